"""The script of `driftline completion zsh`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline.commands._completion_words import Argument, CommandWords

__all__ = ["zsh_script"]

SCRIPT = """\
#compdef driftline
# Completion of driftline in zsh: source <(driftline completion zsh)
_driftline() {
  local curcontext="$curcontext" state line
  local -a commands
  typeset -A opt_args
  _arguments -C \\
    '(- : *)'{-h,--help}'[show the help]' \\
    '(- : *)--version[show the version]' \\
    '1: :->command' \\
    '*:: :->argument'
  case $state in
    command)
      commands=(
@commands@
      )
      _describe -t commands command commands
      ;;
    argument)
      case $line[1] in
@arguments@
      esac
      ;;
  esac
}

if [ "$funcstack[1]" = _driftline ]; then
  _driftline "$@"
else
  compdef _driftline driftline
fi
"""


def zsh_script(commands: Sequence[CommandWords]) -> str:
    """Return the script, which may be sourced after `compinit` or be a file of the path of functions."""
    names = "\n".join(f"        {_quoted(f'{each.name}:{each.help}')}" for each in commands)
    arguments = "\n".join(f"        {line}" for command in commands for line in _lines(command))
    return SCRIPT.replace("@commands@", names).replace("@arguments@", arguments)


def _lines(command: CommandWords) -> Iterator[str]:
    yield f"{command.name})"
    specs = [_option(each) for each in command.options] + [_positional(each) for each in command.positionals]
    yield "  _arguments -s \\"
    yield from (f"    {spec} \\" for spec in specs[:-1])
    yield f"    {specs[-1]}"
    yield "  ;;"


def _option(option: Argument) -> str:
    """Return the specification of an option."""
    names = [f"{name}{_joint(name, option)}" for name in option.names]
    value = ""
    if option.takes_value:
        value = f"{':' if option.value_optional else ''}:{_escaped(option.label)}:{_action(option)}"
    rest = _quoted(f"[{_escaped(option.help)}]{value}")
    if option.repeats:
        return f"'*'{{{','.join(names)}}}{rest}" if len(names) > 1 else f"'*{names[0]}'{rest}"
    if len(names) > 1:
        return f"'({' '.join(option.names)})'{{{','.join(names)}}}{rest}"
    return f"'{names[0]}'{rest}"


def _joint(name: str, option: Argument) -> str:
    """Return how a value follows the name of an option."""
    if not option.takes_value:
        return ""
    if name.startswith("--"):
        return "=-" if option.value_optional else "="
    return "+"


def _positional(argument: Argument) -> str:
    return _quoted(f"{'*::' if argument.is_program else ':'}{_escaped(argument.label)}:{_action(argument)}")


def _action(argument: Argument) -> str:
    """Return what zsh does to complete a value."""
    if argument.choices:
        return f"({' '.join(argument.choices)})"
    if argument.is_program:
        return "_normal"
    if argument.label == "COMMAND":
        return "_command_names -e"
    return "_files" if argument.is_path else " "


def _escaped(text: str) -> str:
    for sign in "\\[]:":
        text = text.replace(sign, f"\\{sign}")
    return text


def _quoted(text: str) -> str:
    return "'{}'".format(text.replace("'", "'\\''"))
