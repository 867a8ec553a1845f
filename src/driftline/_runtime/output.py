"""Prints the lines of commands so that what they say never changes how they end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["discard", "escape", "say", "write"]


def say(line: str, stream: TextIO | None) -> None:
    """
    Print one line, with escapes for what a terminal would interpret or the stream cannot encode.

    Args:
        line: the text. It may have parts that a server sent.
        stream: ``sys.stdout`` or ``sys.stderr``, which is None for a program without one.
    """
    write(escape(line), stream)


def escape(text: str) -> str:
    """Return a text with escapes for what a terminal would interpret."""
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in text)


def write(text: str, stream: TextIO | None) -> None:
    """
    Print a text as it is, with escapes for what the stream cannot encode.

    If the stream is closed or its disk is full, nothing is printed. A verdict is an exit code too, which must not
    depend on a reader of the text.
    """
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except (OSError, ValueError):
        discard(stream)


def discard(stream: TextIO) -> None:
    """Let a stream write to nowhere: Python would end with the code 120 if the last flush at exit failed."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
