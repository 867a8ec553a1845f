"""The file of ``--state``, which one process has at a time."""

from __future__ import annotations

from contextlib import ExitStack

from driftline._runtime import validation as check
from driftline._runtime.file_lock import lock_file
from driftline.errors import ConfigurationError
from driftline.fleet._state_file import StateFile

__all__ = ["locked_state"]

LOCK_SECONDS = 5.0
"""Seconds to wait for an earlier process that still has the file."""


def locked_state(path: str, stack: ExitStack) -> StateFile:
    """
    Return the file of the state, which no other process has until the end.

    Raises:
        ConfigurationError: another process has it, or its folder cannot be written to.
    """
    file = check.path("--state", path)
    try:
        locked = stack.enter_context(lock_file(file.with_name(f"{file.name}.lock"), LOCK_SECONDS))
    except OSError as error:
        msg = f"--state {path}: {error}"
        raise ConfigurationError(msg) from error
    if not locked:
        msg = f"--state {path}: another process has it: expected a file for each"
        raise ConfigurationError(msg)
    return StateFile(file)
