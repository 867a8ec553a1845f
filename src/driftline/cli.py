"""The command line of driftline. It only dispatches: each command has its module in `driftline.commands`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Collection, Sequence
from typing import NoReturn, Protocol

from driftline._runtime.output import say
from driftline._runtime.version import VERSION

__all__ = ["main"]

ERROR = 3
"""Exit code of every error, invalid arguments included."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells: 128 and the number of the signal."""

COMMANDS = {
    "fit": "fit a reference to a file of training data",
    "show": "print what a reference holds",
    "diff": "print how two references differ",
    "check": "compare the rows of a file with a reference",
    "report": "write a page about the rows of a file, compared with a reference",
    "canary": "decide whether a candidate may take over",
    "live": "show a running service in the terminal or as a page",
    "judge": "evaluate all processes that serve a model together",
    "series": "count the series that a monitor will export",
    "dashboards": "write dashboards for Grafana",
    "retraining": "show requests for retraining, report on them, replay a policy",
    "run": "run a program, and monitor the models that it loads",
    "rules": "write recording and alerting rules for Prometheus",
    "collector": "write a configuration of the OpenTelemetry Collector",
    "completion": "print a script for the completion of a shell",
}
"""Each command with its help. Its module in `driftline.commands` has its name with an underscore before it."""

EPILOG = "Exit codes: 0 promote or no drift, 1 rollback or drift, 2 undecided, 3 error, 130 interrupted."


class _Command(Protocol):
    """A module of `driftline.commands`."""

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Add the arguments of the command to its parser."""
        ...

    def run(self, options: argparse.Namespace, /) -> int:
        """Run the command, and return its exit code."""
        ...


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print *message* and exit with `ERROR`, because argparse's exit code 2 would mean "inconclusive"."""
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command, and return its exit code: 0 fine, 1 drift or rollback, 2 undecided, 3 error, 130 interrupted.

    Whatever fails, the code is 3: Python's own code for an exception is 1, which would mean drift or a rollback.

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
    from driftline.errors import DriftlineError  # noqa: PLC0415

    words = sys.argv[1:] if arguments is None else arguments
    # The modules of the other commands are not imported: some need extras.
    parser, commands = _parser([name for name in COMMANDS if name in words])
    parser.set_defaults(whole_parser=lambda: _parser(COMMANDS)[0])
    options = parser.parse_args(words)
    try:
        return commands[options.command].run(options)
    except (DriftlineError, OSError, ValueError) as error:
        _complain(f"driftline {options.command}: {error}")
        return ERROR


def _parser(names: Collection[str]) -> tuple[argparse.ArgumentParser, dict[str, _Command]]:
    """Return the parser, which knows the arguments of the commands *names*, and the modules of these."""
    parser = _Parser(prog="driftline", description="Monitor machine-learning models with OpenTelemetry.")
    parser.add_argument("--version", action="version", version=f"driftline {VERSION}")
    parsers = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    commands: dict[str, _Command] = {}
    for name, text in COMMANDS.items():
        command_parser = parsers.add_parser(name, help=text, epilog=EPILOG)
        if name in names:
            commands[name] = importlib.import_module(f"driftline.commands._{name}")
            commands[name].add_arguments(command_parser)
    return parser, commands


def _complain(line: str) -> None:
    say(line, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
