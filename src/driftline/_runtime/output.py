"""Prints the lines of commands so that what they say never changes how they end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["say"]


def say(line: str, stream: TextIO | None) -> None:
    """
    Print one line, with escapes for what a terminal would interpret or the stream cannot encode.

    If the stream is closed or its disk is full, nothing is printed. A verdict is an exit code too, which must not
    depend on a reader of the line.

    Args:
        line: the text. It may have parts that a server sent.
        stream: ``sys.stdout`` or ``sys.stderr``, which is None for a program without one.
    """
    if stream is None:
        return
    text = "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in line)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except (OSError, ValueError):
        _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let a stream write to nowhere: Python would end with the code 120 if the last flush at exit failed."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
