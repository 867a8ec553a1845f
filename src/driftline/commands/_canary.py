"""`driftline canary` prints a canary's verdict, which is also the exit code."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from driftline import semconv as sc
from driftline._backends.http import within_seconds
from driftline._backends.prometheus import PrometheusSource
from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.canary import CanaryPolicy, Verdict, judge_canary
from driftline.canary._exported import Selection, read_exported
from driftline.canary._exported_states import read_states
from driftline.canary._sources import decide_files, read_path, read_policy, wait_for_verdict
from driftline.commands._prometheus import ACCESS_OPTIONS, add_prometheus_arguments, prometheus_source
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["EXIT_CODES", "add_arguments", "run"]

EXIT_CODES: dict[CanaryState, int] = {"promote": 0, "rollback": 1, "inconclusive": 2}

MIN_SECONDS = 1.0
"""Seconds that the last reading of ``--wait`` may take beyond ``--timeout``."""

LOOK_SECONDS = 60.0
"""Seconds that one reading may take: about twenty queries."""

PROMETHEUS_ONLY = (
    "model",
    "version",
    "variant",
    "id",
    "selector",
    "baseline-id",
    "baseline-version",
    "baseline-variant",
    "export-interval",
    *ACCESS_OPTIONS,
)

EXPORTS = 2
"""Exports after which a process without one has ended."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = "Print the verdict on a candidate, and exit with its code."
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--prometheus", metavar="URL", help="decide by the evidence that all processes export to this server"
    )
    source.add_argument("--path", metavar="FILE", help="read the file that Canary(path=...) keeps")
    source.add_argument(
        "--evidence", metavar="FILE", nargs="+", help="decide by the sum of the evidence in these JSON files"
    )
    parser.add_argument("--model", help="ml.model.name, required with --prometheus")
    parser.add_argument("--version", help="ml.model.version of the candidate")
    parser.add_argument("--variant", help="ml.model.variant of the candidate")
    parser.add_argument("--id", help="ml.canary.id (default: the newest one of the candidate)")
    parser.add_argument("--baseline-id", metavar="ID", help="ml.canary.id that the baseline was released with")
    parser.add_argument("--baseline-version", metavar="VERSION", help="ml.model.version of the baseline")
    parser.add_argument(
        "--baseline-variant",
        metavar="VARIANT",
        help="ml.model.variant of the baseline (default of all three: what exports as a baseline)",
    )
    parser.add_argument("--export-interval", metavar="TIME", help="time between two exports of a process (default 60s)")
    parser.add_argument(
        "--state", action="store_true", help="read the states that processes export as ml.canary.status instead"
    )
    parser.add_argument("--policy", metavar="FILE", help="a CanaryPolicy as JSON (default: CanaryPolicy())")
    parser.add_argument("--wait", action="store_true", help="wait until the verdict is promote or rollback")
    parser.add_argument("--timeout", default="1h", help="longest time to wait (default 1h)")
    parser.add_argument("--interval", default="15s", help="time between two readings (default 15s)")
    add_prometheus_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print the verdict, and return its exit code."""
    timeout, interval = check.duration("--timeout", options.timeout), check.duration("--interval", options.interval)
    end = time.monotonic() + (timeout if options.wait else min(timeout, LOOK_SECONDS))
    read = _verdict_reader(options)

    def read_in_time() -> Verdict:
        seconds = min(LOOK_SECONDS, max(MIN_SECONDS, end - time.monotonic()))
        return within_seconds(partial(read, time.monotonic() + seconds), seconds, "verdict")

    if options.wait:
        verdict = wait_for_verdict(read_in_time, timeout, interval, _print_verdict)
    else:
        verdict = read_in_time()
        _print_verdict(verdict)
    return EXIT_CODES[verdict.state]


def _verdict_reader(options: argparse.Namespace) -> Callable[[float], Verdict]:
    """
    Return a function that reads the verdict from the source that the options name, by a time of the monotonic clock.

    The source is Prometheus, a canary's file, or files of evidence.

    Raises:
        ConfigurationError: the options do not fit together, or the policy is invalid.
        OSError: the policy's file cannot be read.
    """
    decided = "--path" if options.path is not None else "--state" if options.state else None
    if options.policy is not None and decided is not None:
        msg = f"--policy: expected without {decided}, whose verdict is decided already"
        raise ConfigurationError(msg)
    if options.prometheus is None:
        for name in (*PROMETHEUS_ONLY, "state"):
            if getattr(options, name.replace("-", "_")) not in {None, False}:
                msg = f"--{name}: expected with --prometheus only"
                raise ConfigurationError(msg)
    if options.path is not None:
        return lambda _: read_path(options.path)
    policy = CanaryPolicy() if options.policy is None else read_policy(options.policy)
    if options.evidence is not None:
        return lambda _: decide_files(options.evidence, policy)
    if not options.model:
        msg = "--prometheus: expected --model too"
        raise ConfigurationError(msg)
    source = prometheus_source(options)
    interval = check.duration("--export-interval", options.export_interval or "60s")
    return (
        _state_reader(options, source, interval)
        if options.state
        else _evidence_reader(options, source, interval, policy)
    )


def _evidence_reader(
    options: argparse.Namespace, source: PrometheusSource, interval: float, policy: CanaryPolicy
) -> Callable[[float], Verdict]:
    """Return a function that decides by the evidence that all processes export."""
    baseline = options.baseline_id, options.baseline_version, options.baseline_variant
    if any(baseline) and baseline == (options.id, options.version, options.variant):
        msg = "--baseline-version: expected another id, version or variant than the candidate's"
        raise ConfigurationError(msg)
    selection = Selection(
        model=options.model,
        version=options.version,
        variant=options.variant,
        canary_id=options.id,
        baseline_id=options.baseline_id,
        baseline_version=options.baseline_version,
        baseline_variant=options.baseline_variant,
        interval=interval,
    )
    notes = _Notes()

    def read(deadline: float) -> Verdict:
        exported = read_exported(replace(source, deadline=deadline), selection, time.time())
        if exported.canary_id is None:
            wanted = {"--version": options.version, "--variant": options.variant, "--id": options.id}
            shown = "".join(f", {name} {value}" for name, value in wanted.items() if value is not None)
            return Verdict("inconclusive", f"no evidence of a candidate is exported for --model {options.model}{shown}")
        old, new = exported.processes
        notes.say(
            f"canary {exported.canary_id}: {old} processes of the baseline and {new} of the candidate have exported"
        )
        for note in exported.notes:
            notes.say(note)
        return judge_canary(exported.evidence, policy)

    return read


def _state_reader(options: argparse.Namespace, source: PrometheusSource, interval: float) -> Callable[[float], Verdict]:
    """Return a function that reads the verdict from the states that processes export."""
    for name in ("baseline_id", "baseline_version", "baseline_variant"):
        if getattr(options, name) is not None:
            msg = f"--{name.replace('_', '-')}: expected without --state"
            raise ConfigurationError(msg)
    match = {
        sc.ML_MODEL_NAME: options.model,
        sc.ML_MODEL_VERSION: options.version,
        sc.ML_MODEL_VARIANT: options.variant,
        sc.ML_CANARY_ID: options.id,
    }
    match = {name: value for name, value in match.items() if value is not None}
    notes = _Notes()

    def read(deadline: float) -> Verdict:
        verdict, states = read_states(replace(source, deadline=deadline), match, time.time(), EXPORTS * interval)
        if len(states) > 1:
            counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            notes.say(f"processes disagree: {counts}")
        return verdict

    return read


class _Notes:
    """Prints each note once to the standard error."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, note: str) -> None:
        if note not in self._said:
            self._said.add(note)
            say(note, sys.stderr)


def _print_verdict(verdict: Verdict) -> None:
    say(f"{verdict.state}: {verdict.reason}", sys.stdout)
