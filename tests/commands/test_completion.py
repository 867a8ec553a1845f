"""`driftline completion`: its scripts complete commands, options, values and files in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from driftline.cli import COMMANDS, _parser, main
from driftline.commands._completion import command_words

pty = pytest.importorskip("pty", reason="terminals of POSIX")

SHELLS = ("bash", "fish", "zsh")


def needs(shell):
    """The mark of a test that starts a shell."""
    return [pytest.mark.system, pytest.mark.skipif(shutil.which(shell) is None, reason=f"needs {shell}")]


@pytest.fixture
def script(capsys, tmp_path):
    """Return a function that writes the script of a shell into a file."""

    def write(shell):
        assert main(["completion", shell]) == 0
        path = tmp_path / f"script.{shell}"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_each_command_and_option(script, shell):
    text = script(shell).read_text(encoding="utf-8")
    commands = command_words(_parser(COMMANDS)[0])
    assert [command.name for command in commands] == list(COMMANDS)
    for command in commands:
        assert command.name in text
        for name in command.option_names:
            assert (name if shell != "fish" else name.lstrip("-")) in text


def test_words_need_no_quotes():
    """Names and choices stand in the scripts as they are."""
    for command in command_words(_parser(COMMANDS)[0]):
        for argument in command.arguments:
            for word in (command.name, *argument.names, *argument.choices):
                assert word.replace("-", "").replace("_", "").isalnum()


def test_another_shell_is_an_error(capsys):
    with pytest.raises(SystemExit) as end:
        main(["completion", "tcsh"])
    assert end.value.code == 3
    assert "'tcsh'" in capsys.readouterr().err


BASH = """
. {script}
complete_words() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _driftline; echo "${{COMPREPLY[*]}}"; }}
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ch"], "check"),
        (["check", "--sh"], "--shuffled"),
        (["check", "--format", "c"], "csv"),
        (["check", "--format", "=", "c"], "csv"),
        (["check", "--format", "="], "csv ipc json parquet"),
        (["completion", ""], "bash fish zsh"),
        (["completion", "--"], "--help"),
        (["run", "--c"], "--config"),
        (["run", "--service-name", "a", "ech"], "echo"),
        (["fit", "tra"], ""),
        (["fit", "--max-categories", ""], ""),
        (["nothing", ""], ""),
    ],
)
@pytest.mark.parametrize("shell", [pytest.param("bash", marks=needs("bash"))])
def test_bash_completes(script, tmp_path, shell, words, expected):
    """Without the package bash-completion. An empty line leaves the names of files to bash."""
    (tmp_path / "echo").touch(mode=0o755)
    program = BASH.format(script=script(shell)) + 'complete_words "$@"\n'
    path = str(tmp_path) if "run" in words else ""
    done = subprocess.run(
        [shutil.which("bash"), "--norc", "-c", program, "-", "driftline", *words],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) == set(expected.split())
    assert done.stderr == ""


SETUP = {
    "bash": """bind 'set bell-style none'
bind -x '"\\C-x": printf "%s" "$READLINE_LINE" > {out}.part; mv {out}.part {out}'
""",
    "zsh": """autoload -Uz compinit; compinit -D -u
show() {{ print -rn -- "$BUFFER" > {out}.part; mv {out}.part {out} }}; zle -N show; bindkey '^X' show
""",
}
START = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}


class Terminal:
    """A shell that reads a terminal, in a folder with the file ``train.parquet``."""

    def __init__(self, shell, script, folder):
        self._out = folder / "line"
        (folder / "train.parquet").touch()
        self._side, other = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "TERM": "vt100", "HOME": str(folder), "PS1": "$ "}
        self._process = subprocess.Popen(
            [shell, *START[shell]],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(other)
        os.set_blocking(self._side, False)
        self._send(SETUP[shell].format(out=self._out) + f". {script}\n")
        assert self.line_after("echo ready") == "echo ready"

    def _send(self, text):
        data = text.encode()
        while data:
            self._drain()
            try:
                data = data[os.write(self._side, data) :]
            except BlockingIOError:
                time.sleep(0.01)

    def _drain(self):
        try:
            while os.read(self._side, 65_536):
                pass
        except BlockingIOError:
            return

    def line_after(self, keys):
        """Return the line that the shell edits after some keys."""
        self._out.unlink(missing_ok=True)
        self._send(keys + "\x18")
        end = time.monotonic() + 60.0
        while not self._out.exists():
            assert time.monotonic() < end, "the shell does not answer"
            assert self._process.poll() is None
            self._drain()
            time.sleep(0.02)
        self._send("\x15")
        return self._out.read_text(encoding="utf-8")

    def close(self):
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._side)


@pytest.mark.parametrize("shell", [pytest.param(shell, marks=needs(shell)) for shell in ("bash", "zsh")])
def test_the_tab_key_completes_at_a_terminal(script, tmp_path, shell):
    terminal = Terminal(shell, script(shell), tmp_path)
    try:
        for typed, expected in (
            ("driftline chec", "driftline check "),
            ("driftline check --shu", "driftline check --shuffled "),
            ("driftline judge --temporality=cu", "driftline judge --temporality=cumulative "),
            ("driftline rules --scope fl", "driftline rules --scope fleet "),
            ("driftline fit tra", "driftline fit train.parquet "),
            ("driftline show --json tra", "driftline show --json train.parquet "),
            ("driftline fit train.parquet -o tra", "driftline fit train.parquet -o train.parquet "),
            ("driftline fit --max-categories tra", "driftline fit --max-categories tra"),
            ("driftline completion z", "driftline completion zsh "),
        ):
            assert terminal.line_after(f"{typed}\t") == expected
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("driftline ch", ["check"]),
        ("driftline check --sh", ["--shuffled"]),
        ("driftline check report --jso", ["--json"]),
        ("driftline check --format ", ["csv", "ipc", "json", "parquet"]),
        ("driftline judge --temporality=cu", ["--temporality=cumulative"]),
        ("driftline fit tra", ["train.parquet"]),
        ("driftline check --alpha tra", []),
        ("driftline completion ", ["bash", "fish", "zsh"]),
    ],
)
@pytest.mark.parametrize("shell", [pytest.param("fish", marks=needs("fish"))])
def test_fish_completes(script, tmp_path, shell, line, expected):
    path = script(shell)
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "train.parquet").touch()
    done = subprocess.run(
        [shell, "--no-config", "-c", f"source {path}; complete -C {line!r}"],
        cwd=folder,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == expected
