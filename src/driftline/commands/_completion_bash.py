"""The script of `driftline completion bash`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline.commands._completion_words import CommandWords

__all__ = ["bash_script"]

SCRIPT = """\
# Completion of driftline in bash: source <(driftline completion bash)
_driftline() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words=
  COMPREPLY=()
  # bash divides --option=value into three words.
  if [ "$current" = = ]; then
    current=
  elif [ "$previous" = = ]; then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="@commands@ --help --version"
  else
    case "$command:$previous" in
@values@
      *)
        case "$command:$current" in
@arguments@
        esac
        ;;
    esac
  fi
  # Without words, bash completes the names of files.
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}

# The words of another program follow, and the names of its options are not those of driftline.
_driftline_program() {
  local index=2
  while [ "$index" -lt "$COMP_CWORD" ]; do
    case "${COMP_WORDS[index]}" in
      --*)
        [ "${COMP_WORDS[index + 1]}" = = ] && index=$((index + 1))
        index=$((index + 2))
        ;;
      *) break ;;
    esac
  done
  if [ "$index" -lt "$COMP_CWORD" ]; then
    if declare -F _command_offset >/dev/null; then _command_offset "$index"; fi
  elif [[ "$current" = -* ]]; then
    COMPREPLY=($(compgen -W "$1" -- "$current"))
  else
    COMPREPLY=($(compgen -c -- "$current"))
  fi
}

complete -o default -F _driftline driftline
"""


def bash_script(commands: Sequence[CommandWords]) -> str:
    """Return the script. It needs bash 3.2, which macOS has, and uses bash-completion where it is loaded."""
    return (
        SCRIPT.replace("@commands@", " ".join(command.name for command in commands))
        .replace("@values@", "\n".join(f"      {line}" for command in commands for line in _values(command)))
        .replace("@arguments@", "\n".join(f"          {_arguments(command)}" for command in commands))
    )


def _values(command: CommandWords) -> Iterator[str]:
    """Yield the cases in which the value of an option is completed."""
    paths, others = [], []
    for option in command.options:
        patterns = [f"{command.name}:{name}" for name in option.names]
        if option.choices:
            yield f'{" | ".join(patterns)}) words="{" ".join(option.choices)}" ;;'
        elif option.is_path:
            paths += patterns
        elif option.takes_value and not option.value_optional:
            others += patterns
    if paths:
        yield f"{' | '.join(paths)}) return ;;"
    if others:
        yield f"{' | '.join(others)}) compopt +o default 2>/dev/null; return ;;"


def _arguments(command: CommandWords) -> str:
    """Return the line of the case that completes an option or a positional argument."""
    options = " ".join(command.option_names)
    if command.runs_program:
        return f'{command.name}:*) _driftline_program "{options}"; return ;;'
    choices = [choice for each in command.positionals for choice in each.choices]
    if choices:
        return f'{command.name}:-*) words="{options}" ;; {command.name}:*) words="{" ".join(choices)}" ;;'
    if command.positionals:
        return f'{command.name}:-*) words="{options}" ;;'
    return f'{command.name}:*) words="{options}" ;;'
