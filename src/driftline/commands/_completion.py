"""`driftline completion` prints a script with which a shell completes what is typed after `driftline`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from driftline._runtime.output import write
from driftline.commands._completion_bash import bash_script
from driftline.commands._completion_fish import fish_script
from driftline.commands._completion_words import Argument, CommandWords
from driftline.commands._completion_zsh import zsh_script

__all__ = ["add_arguments", "command_words", "run"]

SCRIPTS = {"bash": bash_script, "fish": fish_script, "zsh": zsh_script}

FILES = {"AFTER", "BEFORE", "DATA", "FILE", "FOLDER", "REFERENCE"}
"""The metavars of arguments that are paths."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Print a script that completes commands, options, their values and files in a shell. bash and zsh read it with "
        "`source <(driftline completion bash)`, fish with `driftline completion fish | source`."
    )
    parser.add_argument("shell", choices=sorted(SCRIPTS), help="the shell")


def run(options: argparse.Namespace) -> int:
    """Print the script. The option *whole_parser* returns the parser with the arguments of all commands."""
    write(SCRIPTS[options.shell](command_words(options.whole_parser())), sys.stdout)
    return 0


def command_words(parser: argparse.ArgumentParser) -> list[CommandWords]:
    """Return what can be completed after each command."""
    [commands] = [each for each in _actions(parser) if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001 - as below
    help_of = {choice.dest: choice.help or "" for choice in commands._choices_actions}  # noqa: SLF001 - as below
    return [
        CommandWords(name, help_of[name], tuple(map(_argument, _actions(command))))
        for name, command in commands.choices.items()
    ]


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser: argparse has no other way to list them, and other tools use this one too."""
    yield from (action for action in parser._actions if action.help is not argparse.SUPPRESS)  # noqa: SLF001


def _argument(action: argparse.Action) -> Argument:
    text = action.metavar or action.dest.upper()
    label = text if isinstance(text, str) else " ".join(text)
    return Argument(
        names=tuple(action.option_strings),
        label=label,
        help=(action.help or "") % vars(action),
        choices=tuple(map(str, action.choices or ())),
        is_path=label in FILES,
        is_program=action.nargs == argparse.REMAINDER,
        takes_value=action.nargs != 0,
        value_optional=action.nargs == "?",
        repeats=action.nargs in {"*", "+"} or isinstance(action, argparse._AppendAction),  # noqa: SLF001 - it has no name
    )
