"""`CommandSink`: a command that gets requests as JSON on its standard input."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from driftline._runtime import validation as check
from driftline.retraining._request import RetrainingRequest
from driftline.retraining._sink import DeliveryError, label_of

__all__ = ["CommandSink"]

MAX_OUTPUT_BYTES = 16_384
"""Most bytes of the output that are kept: the last ones, which have the error. The others are read and dropped."""

MAX_SHOWN = 1_000
"""Most characters of the output in a message."""

CHUNK_BYTES = 4_096
"""Most bytes of one read of the output."""

GRACE_SECONDS = 1.0
"""Seconds that remain for reading the output after the end of the command. A child of it may keep the pipe open."""


class CommandSink:
    """
    Runs a command for each request, which gets the request as JSON on its standard input.

    The request is delivered if the command ends with the exit code 0 within the time limit. Otherwise it runs again
    later, so the command has to recognise an id that it knows. A command that trains should start the training and end.

    Args:
        command: a command line for the shell, or the program and its arguments.
        timeout: seconds or a string such as ``"5min"`` after which the command is killed, with its children.
        name: the name under which the queue records deliveries. If None, the program and a hash of the command, whose
            arguments may have a secret.

    Attributes:
        name: that name.

    Raises:
        ConfigurationError: an argument has a wrong value.

    >>> CommandSink(["train", "--request", "-"]).name
    'command:train#d7debe75'
    """

    def __init__(self, command: str | Sequence[str], *, timeout: float | str = "1min", name: str | None = None) -> None:
        is_line = isinstance(command, str)
        words = [command] if isinstance(command, str) else command
        if (
            not isinstance(words, Sequence)
            or not words
            or not all(isinstance(word, str) and "\0" not in word for word in words)
            or not words[0].strip()
        ):
            check.reject("command", command, "a command line, or a list of a program and its arguments")
        self._command = list(words)
        self._is_line = is_line
        self._seconds = check.duration("timeout", timeout)
        own = f"command:{words[0].split()[0]}#{label_of(chr(0).join(words))}"
        self.name = check.string("name", own if name is None else name, at_least=1)

    def deliver(self, request: RetrainingRequest) -> None:
        """
        Run the command.

        Raises:
            DeliveryError: it cannot be started, fails, or takes too long.
        """
        text = request.to_json().encode("ascii") + b"\n"
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's command
                self._command[0] if self._is_line else self._command,
                shell=self._is_line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children can be killed with it
            )
        except (OSError, ValueError) as error:
            msg = f"the command cannot be started: {error}"
            raise DeliveryError(msg) from error
        output = _Output(process)
        threads = [
            threading.Thread(target=work, args=arguments, name="driftline-command", daemon=True)
            for work, arguments in ((_write, (process.stdin, text)), (output.read, ()))
        ]
        for thread in threads:
            thread.start()
        try:
            code = process.wait(self._seconds)
        except subprocess.TimeoutExpired as error:
            msg = f"the command did not end within {self._seconds:g} seconds{output.shown()}"
            raise DeliveryError(msg) from error
        finally:
            if process.poll() is None:
                _kill(process)
            for thread in threads:
                thread.join(GRACE_SECONDS)
        if code != 0:
            msg = f"the command ended with exit code {code}{output.shown()}"
            raise DeliveryError(msg)


class _Output:
    """The last bytes that a process has written."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._stream = process.stdout
        self._kept = b""

    def read(self) -> None:
        """Read until the end. A command whose output is not read stops when the pipe is full."""
        stream = self._stream
        if stream is None:
            return
        with stream, suppress(OSError, ValueError):
            while chunk := os.read(stream.fileno(), CHUNK_BYTES):
                self._kept = (self._kept + chunk)[-MAX_OUTPUT_BYTES:]

    def shown(self) -> str:
        """Return the end of the output for a message."""
        text = self._kept.decode("utf-8", "backslashreplace").strip()[-MAX_SHOWN:]
        return f": {text}" if text else ""


def _write(stream: IO[bytes] | None, text: bytes) -> None:
    """Write the request. A command that does not read it may have ended already."""
    if stream is not None:
        with suppress(OSError), stream:
            stream.write(text)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
