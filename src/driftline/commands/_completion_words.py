"""What can be completed after the commands of the command line, for scripts of several shells."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Argument", "CommandWords"]


@dataclass(frozen=True, slots=True)
class Argument:
    """
    An option or a positional argument.

    Attributes:
        names: the names of an option, such as ``-o`` and ``--output``; empty for a positional argument.
        label: what stands for its value in the help.
        help: its help.
        choices: the values that it admits; empty if it admits others.
        is_path: whether its value is the path of a file or folder.
        is_program: whether it is all further words, those of another program.
        takes_value: whether a value follows.
        value_optional: whether the value may be absent.
        repeats: whether it may occur several times.
    """

    names: tuple[str, ...]
    label: str
    help: str
    choices: tuple[str, ...]
    is_path: bool
    is_program: bool
    takes_value: bool
    value_optional: bool
    repeats: bool


@dataclass(frozen=True, slots=True)
class CommandWords:
    """
    A command.

    Attributes:
        name: its name.
        help: its help.
        arguments: its arguments, in their order.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        """The arguments with names."""
        return tuple(each for each in self.arguments if each.names)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        """The arguments without names."""
        return tuple(each for each in self.arguments if not each.names)

    @property
    def option_names(self) -> tuple[str, ...]:
        """The names of all options."""
        return tuple(name for option in self.options for name in option.names)

    @property
    def runs_program(self) -> bool:
        """Whether the words of another program follow."""
        return any(each.is_program for each in self.arguments)
