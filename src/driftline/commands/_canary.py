"""`driftline canary` prints a canary's verdict, which is also the exit code."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.canary import CanaryPolicy, Verdict
from driftline.canary._prometheus import TIMEOUT, check_url, query_prometheus
from driftline.canary._sources import decide_files, read_path, read_policy, wait_for_verdict
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["EXIT_CODES", "add_arguments", "run"]

EXIT_CODES: dict[CanaryState, int] = {"promote": 0, "rollback": 1, "inconclusive": 2}

MIN_SECONDS = 1.0
"""Seconds that the last reading of ``--wait`` may take beyond ``--timeout``."""

MEMORY_OF_PROMETHEUS = "Prometheus reports a process for five minutes after its last export, so it may have ended."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = "Print the verdict on a candidate, and exit with its code."
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prometheus", metavar="URL", help="read ml_canary_status from this server")
    source.add_argument("--path", metavar="FILE", help="read the file that Canary(path=...) keeps")
    source.add_argument(
        "--evidence", metavar="FILE", nargs="+", help="decide by the sum of the evidence in these JSON files"
    )
    parser.add_argument("--model", help="ml.model.name, required with --prometheus")
    parser.add_argument("--version", help="ml.model.version of the candidate")
    parser.add_argument("--variant", help="ml.model.variant of the candidate")
    parser.add_argument(
        "--policy", metavar="FILE", help="a CanaryPolicy as JSON, for --evidence (default: CanaryPolicy())"
    )
    parser.add_argument("--wait", action="store_true", help="wait until the verdict is promote or rollback")
    parser.add_argument("--timeout", default="1h", help="longest time to wait (default 1h)")
    parser.add_argument("--interval", default="15s", help="time between two readings (default 15s)")


def run(options: argparse.Namespace) -> int:
    """Print the verdict, and return its exit code."""
    timeout, interval = check.duration("--timeout", options.timeout), check.duration("--interval", options.interval)
    read = _verdict_reader(options, timeout if options.wait else TIMEOUT)
    if options.wait:
        verdict = wait_for_verdict(read, timeout, interval, _print_verdict)
    else:
        verdict = read()
        _print_verdict(verdict)
    return EXIT_CODES[verdict.state]


def _verdict_reader(options: argparse.Namespace, timeout: float) -> Callable[[], Verdict]:
    """
    Return a function that reads the verdict from the source that the options name.

    The source is Prometheus, a canary's file, or files of evidence.

    Args:
        options: the options of ``driftline canary``.
        timeout: seconds from now within which the last reading begins.

    Raises:
        ConfigurationError: the options do not fit together, or the policy is invalid.
        OSError: the policy's file cannot be read.
    """
    if options.policy is not None and options.evidence is None:
        msg = "--policy: expected with --evidence only, an exported verdict is decided already"
        raise ConfigurationError(msg)
    if options.prometheus is not None:
        if not options.model:
            msg = "--prometheus: expected --model too"
            raise ConfigurationError(msg)
        url = check_url(options.prometheus)
        labels = {
            "ml.model.name": options.model,
            "ml.model.version": options.version,
            "ml.model.variant": options.variant,
        }
        labels = {name: value for name, value in labels.items() if value is not None}
        return _prometheus_reader(url, labels, time.monotonic() + timeout)
    for name in ("model", "version", "variant"):
        if getattr(options, name) is not None:
            msg = f"--{name}: expected with --prometheus only"
            raise ConfigurationError(msg)
    if options.path is not None:
        return lambda: read_path(options.path)
    policy = CanaryPolicy()
    if options.policy is not None:
        policy = read_policy(options.policy)
    return lambda: decide_files(options.evidence, policy)


def _prometheus_reader(url: str, labels: dict[str, str], end: float) -> Callable[[], Verdict]:
    """
    Return a function that reads the verdict from Prometheus, and says why processes may disagree.

    Args:
        url: the URL of the server.
        labels: the attributes that select the series.
        end: seconds of the monotonic clock after which no reading may take longer than `MIN_SECONDS`.
    """
    explained: list[str] = []

    def read() -> Verdict:
        seconds = min(TIMEOUT, max(MIN_SECONDS, end - time.monotonic()))
        verdict, states = query_prometheus(url, labels, seconds)
        if len(states) > 1:
            counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
            note = f"processes disagree: {counts}. {MEMORY_OF_PROMETHEUS}"
            if note not in explained:
                explained[:] = [note]
                say(note, sys.stderr)
        return verdict

    return read


def _print_verdict(verdict: Verdict) -> None:
    say(f"{verdict.state}: {verdict.reason}", sys.stdout)
