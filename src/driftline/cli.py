"""The command line of driftline: `driftline canary` prints a canary's verdict, which is also the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from driftline._runtime import validation as check
from driftline.canary import CanaryPolicy, Verdict
from driftline.canary._sources import check_url, decide_files, query_prometheus, read_path, wait_for_verdict
from driftline.errors import ConfigurationError, DriftlineError
from driftline.results import CanaryState

__all__ = ["main"]

ERROR = 3
"""Exit code of every error, invalid arguments included."""

EXIT_CODES: dict[CanaryState, int] = {"promote": 0, "rollback": 1, "inconclusive": 2}

EPILOG = "Exit codes: 0 promote, 1 rollback, 2 inconclusive, 3 error."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print *message* and exit with `ERROR`, because argparse's exit code 2 would mean "inconclusive"."""
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command, and return its exit code: 0 promote, 1 rollback, 2 inconclusive, 3 error.

    Args:
        arguments: the command line without the program's name. If None, the arguments of this process.

    Raises:
        SystemExit: the arguments are invalid (code `ERROR`), or ask for help (code 0).
    """
    parser = _Parser(prog="driftline", description="Monitor machine-learning models with OpenTelemetry.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    _add_canary(commands.add_parser("canary", help="decide whether a candidate may take over", epilog=EPILOG))
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (DriftlineError, OSError, ValueError) as error:
        print(f"driftline {options.command}: {error}", file=sys.stderr)
        return ERROR


def _add_canary(parser: argparse.ArgumentParser) -> None:
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
    parser.set_defaults(run=_run_canary)


def _run_canary(options: argparse.Namespace) -> int:
    read = _verdict_reader(options)
    timeout, interval = check.duration("--timeout", options.timeout), check.duration("--interval", options.interval)
    if options.wait:
        verdict = wait_for_verdict(read, timeout, interval, _print_verdict)
    else:
        verdict = read()
        _print_verdict(verdict)
    return EXIT_CODES[verdict.state]


def _verdict_reader(options: argparse.Namespace) -> Callable[[], Verdict]:
    """
    Return a function that reads the verdict from the source that the options name.

    The source is Prometheus, a canary's file, or files of evidence.

    Args:
        options: the options of ``driftline canary``.

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
            "ml_model_name": options.model,
            "ml_model_version": options.version,
            "ml_model_variant": options.variant,
        }
        labels = {name: value for name, value in labels.items() if value is not None}
        return lambda: query_prometheus(url, labels)
    for name in ("model", "version", "variant"):
        if getattr(options, name) is not None:
            msg = f"--{name}: expected with --prometheus only"
            raise ConfigurationError(msg)
    if options.path is not None:
        return lambda: read_path(options.path)
    policy = CanaryPolicy()
    if options.policy is not None:
        policy = CanaryPolicy.from_json(Path(options.policy).read_text(encoding="utf-8"))
    return lambda: decide_files(options.evidence, policy)


def _print_verdict(verdict: Verdict) -> None:
    print(f"{verdict.state}: {verdict.reason}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
