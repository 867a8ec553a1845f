"""The script of `driftline completion fish`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline.commands._completion_words import Argument, CommandWords

__all__ = ["fish_script"]

HEAD = """\
# Completion of driftline in fish: driftline completion fish | source
function __driftline_command
    set -l words (commandline -opc)
    if test (count $argv) -eq 0
        test (count $words) -eq 1
    else
        test (count $words) -gt 1; and test "$words[2]" = "$argv[1]"
    end
end

complete -c driftline -f
complete -c driftline -n __driftline_command -l help -s h -d 'show the help'
complete -c driftline -n __driftline_command -l version -d 'show the version'
"""


def fish_script(commands: Sequence[CommandWords]) -> str:
    """Return the script."""
    return HEAD + "".join(f"{line}\n" for command in commands for line in _lines(command))


def _lines(command: CommandWords) -> Iterator[str]:
    start = "complete -c driftline -n"
    yield f"{start} __driftline_command -a {command.name} -d {_quoted(command.help)}"
    condition = _quoted(f"__driftline_command {command.name}")
    for option in command.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        yield f"{start} {condition} {names}{_value(option)} -d {_quoted(option.help)}"
    for positional in command.positionals:
        if positional.choices:
            yield f"{start} {condition} -a {_quoted(' '.join(positional.choices))}"
        elif positional.is_path:
            yield f"{start} {condition} -F"
        elif positional.is_program:
            yield f"{start} {condition} -a '(__fish_complete_subcommand --fcs-skip=2)'"


def _value(option: Argument) -> str:
    """Return the flags that say what follows an option."""
    if not option.takes_value or option.value_optional:
        return ""
    if option.choices:
        return f" -x -a {_quoted(' '.join(option.choices))}"
    return " -r -F" if option.is_path else " -x"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
