"""The commands of `docs/files.md` print what follows them there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from driftline.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "files.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SIZE = re.compile(r", [\d,]+ bytes")


@pytest.mark.slow
def test_each_command_prints_what_follows_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = 0
    names: dict[str, object] = {}
    for language, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), names)  # noqa: S102 - our page
            continue
        capsys.readouterr()
        for part in filter(None, re.split(r"^\$ ", text, flags=re.MULTILINE)):
            command, _, expected = part.partition("\n")
            main(shlex.split(command)[1:])
            commands += 1
            # The number of bytes depends on the last digits of floats, which other versions of NumPy round otherwise.
            assert SIZE.sub("", capsys.readouterr().out) == SIZE.sub("", expected), command
    assert commands == 5


if __name__ == "__main__":  # writes the output into the page
    import contextlib
    import io
    import os
    import tempfile

    os.chdir(tempfile.mkdtemp())
    page, known = PAGE.read_text(encoding="utf-8"), {}

    def filled(match):
        """Return a block with the output of its commands."""
        language, text = match.groups()
        if language == "python":
            exec(compile(text, str(PAGE), "exec"), known)  # noqa: S102 - our page
            return match.group()
        parts = []
        for part in filter(None, re.split(r"^\$ ", text, flags=re.MULTILINE)):
            command = part.partition("\n")[0]
            with contextlib.redirect_stdout(io.StringIO()) as output:
                main(shlex.split(command)[1:])
            parts.append(f"$ {command}\n{output.getvalue()}")
        return f"```console\n{''.join(parts)}```"

    PAGE.write_text(BLOCK.sub(filled, page), encoding="utf-8")
