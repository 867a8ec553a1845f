"""The command line of driftline. It only dispatches: each command has its module in `driftline.commands`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from driftline._runtime.output import say

__all__ = ["main"]

ERROR = 3
"""Exit code of every error, invalid arguments included."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells: 128 and the number of the signal."""

EPILOG = "Exit codes: 0 promote, 1 rollback, 2 inconclusive, 3 error, 130 interrupted."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print *message* and exit with `ERROR`, because argparse's exit code 2 would mean "inconclusive"."""
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command, and return its exit code: 0 promote, 1 rollback, 2 inconclusive, 3 error, 130 interrupted.

    Whatever fails, the code is 3: Python's own code for an exception is 1, which would mean a rollback.

    Args:
        arguments: the command line without the program's name. If None, the arguments of this process.

    Raises:
        SystemExit: the arguments are invalid (code `ERROR`), or ask for help (code 0).
    """
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        _complain("driftline: interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - every other code is a verdict
        _complain(f"driftline: could not find out: {type(error).__name__}: {error}")
        return ERROR


def _run(arguments: Sequence[str] | None) -> int:
    # Imported here, so that an installation without numpy ends with `ERROR` too.
    from driftline.commands import _canary as canary  # noqa: PLC0415
    from driftline.errors import DriftlineError  # noqa: PLC0415

    parser = _Parser(prog="driftline", description="Monitor machine-learning models with OpenTelemetry.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    canary.add_arguments(commands.add_parser("canary", help="decide whether a candidate may take over", epilog=EPILOG))
    options = parser.parse_args(arguments)
    try:
        return canary.run(options)
    except (DriftlineError, OSError, ValueError) as error:
        _complain(f"driftline {options.command}: {error}")
        return ERROR


def _complain(line: str) -> None:
    say(line, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
