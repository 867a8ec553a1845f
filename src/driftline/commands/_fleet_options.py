"""Arguments of `driftline judge` that say what is evaluated, and how."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass

from driftline._runtime import validation as check
from driftline._windows.window import Window
from driftline.detection import FalseAlarms
from driftline.errors import ConfigurationError
from driftline.fleet import Blocks, FleetJudge
from driftline.fleet._judge import HISTORY_WINDOWS, block_seconds
from driftline.reference import Reference

__all__ = ["FleetOptions", "add_fleet_arguments"]

INTERVALS = 2
"""
Least export intervals in a block. With one, a block would have the rows of none or two intervals by chance, and a
process that is alive could have no export in it.
"""


def add_fleet_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser."""
    parser.add_argument("--reference", metavar="FILE", required=True, help="the reference that the processes have")
    parser.add_argument("--model", help="ml.model.name (default: the only one that exports)")
    parser.add_argument("--version", help="ml.model.version (default: the only one that has the reference)")
    parser.add_argument("--variant", help="ml.model.variant (default: the only one that has the reference)")
    parser.add_argument("--window", metavar="TIME", default="1h", help="length of a window (default 1h)")
    parser.add_argument(
        "--since",
        metavar="TIME",
        help="time whose windows are evaluated in order, so that the dependence of rows is learned (default "
        f"{HISTORY_WINDOWS} windows)",
    )
    parser.add_argument(
        "--budget", metavar="N/TIME", default="1/30d", help="false alarms of the whole fleet (default 1/30d)"
    )
    parser.add_argument(
        "--min-effect", metavar="PSI", type=float, default=0.05, help="smallest difference that counts (default 0.05)"
    )
    parser.add_argument("--min-rows", metavar="N", type=int, default=200, help="rows that a state needs (default 200)")
    parser.add_argument(
        "--export-interval", metavar="TIME", default="60s", help="time between two exports of a process (default 60s)"
    )


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """
    What is evaluated, and how.

    Attributes:
        reference: the reference.
        model: ``ml.model.name``. If None, the only one that exports.
        version: ``ml.model.version``. If None, the only one.
        variant: ``ml.model.variant``. If None, the only one.
        window: the window.
        rule: the rule.
        interval: seconds between two exports of a process.
        windows: number of windows that are evaluated.
        step: seconds of a block of time.
    """

    reference: Reference
    model: str | None
    version: str | None
    variant: str | None
    window: Window
    rule: FalseAlarms
    interval: float
    windows: int
    step: float

    @classmethod
    def read(cls, options: argparse.Namespace) -> FleetOptions:
        """
        Check the arguments, and read the reference.

        Raises:
            ConfigurationError: an argument is wrong, or they do not fit together.
            ReferenceError: the reference cannot be read.
        """
        window = Window(check.duration("--window", options.window))
        seconds = window.seconds or 0.0
        interval = check.duration("--export-interval", options.export_interval)
        since = HISTORY_WINDOWS * seconds
        if options.since is not None:
            since = check.duration("--since", options.since)
            if since < seconds:
                msg = f"--since {options.since}: expected at least a window of {window.label}"
                raise ConfigurationError(msg)
        rule, reference = _rule(options), Reference.load(options.reference)
        step = block_seconds(reference, window)
        if step < INTERVALS * interval:
            least = math.ceil(INTERVALS * interval * seconds / step)
            msg = f"--window {window.label}: expected at least {least} s, with an --export-interval of {interval:g} s"
            raise ConfigurationError(msg)
        return cls(
            reference,
            options.model,
            options.version,
            options.variant,
            window,
            rule,
            interval,
            math.ceil(since / seconds),
            step,
        )

    def build(self, history: Blocks | None = None) -> FleetJudge:
        """Return the evaluator. *history* are blocks that were evaluated before."""
        return FleetJudge(self.reference, self.window, self.rule, history=history)


def _rule(options: argparse.Namespace) -> FalseAlarms:
    match = re.fullmatch(r"\s*([0-9.]+)\s*/\s*(.+?)\s*", options.budget)
    try:
        count = float(match[1]) if match else math.nan
    except ValueError:  # such as "1.2.3"
        count = math.nan
    if match is None or not count > 0:
        msg = f"--budget {options.budget}: expected false alarms per time, such as 1/30d"
        raise ConfigurationError(msg)
    per = check.duration("--budget", match[2])
    return FalseAlarms(
        count,
        per=per,
        min_effect=check.number("--min-effect", options.min_effect, at_least=0),
        min_rows=check.integer("--min-rows", options.min_rows, at_least=1),
        scope="fleet",
    )
