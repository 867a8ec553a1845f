"""Reads files of unknown origin within limits of bytes and seconds, and writes files in one step."""

from __future__ import annotations

import io
import os
import select
import stat
import time
import uuid
from contextlib import suppress
from pathlib import Path

__all__ = ["read_file", "write_file"]

CHUNK_BYTES = 2**20
"""Most bytes of one read."""


def read_file(path: Path, most: int, pipe_seconds: float = 1.0) -> bytes:
    """
    Return the content of a file. Of a device or a pipe, which have no size, no more than the limit is read.

    Args:
        path: the file.
        most: largest accepted number of bytes.
        pipe_seconds: seconds within which a pipe must have given its whole content.

    Raises:
        OSError: the file cannot be read, is a folder, or is a device or a pipe that does not give its content in time.
        ValueError: the file has more than *most* bytes.
    """
    with open(path, "rb", buffering=0, opener=_open_without_waiting) as stream:
        status = os.fstat(stream.fileno())
        is_pipe = stat.S_ISFIFO(status.st_mode)
        if status.st_size > most:
            raise _too_large(status.st_size, most)
        end = time.monotonic() + pipe_seconds
        chunks: list[bytes] = []
        size = 0
        while True:
            if is_pipe:
                _wait_for_data(stream, end)
            chunk = stream.read(min(CHUNK_BYTES, most + 1 - size))
            if chunk is None:  # a terminal, or a file of the kernel, that has nothing at present
                msg = "it gives no content at present"
                raise OSError(msg)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
            if size > most:
                raise _too_large(size, most)


def write_file(path: Path, data: bytes) -> None:
    """
    Write a file in one step: readers see the old content or the new, also after a full disk or a power failure.

    The content goes to a new file in the same folder, which then replaces the old one. The mode of the old file stays,
    and a symbolic link stays one. A new file gets the mode that the umask allows. A device or a pipe is written to.

    Raises:
        OSError: the folder cannot be written to, or the disk is full. The old file is unchanged.
    """
    target = Path(os.path.realpath(path))
    try:
        status = target.stat()
    except FileNotFoundError:
        status = None
    if status is not None and not stat.S_ISREG(status.st_mode):
        target.write_bytes(data)
        return
    # A separate name, because the target's may already have as many characters as the file system allows.
    new = target.with_name(f".driftline-{uuid.uuid4().hex}.tmp")
    try:
        with new.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if status is not None:
            _copy_owner_and_mode(status, new)
        new.replace(target)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    _sync_folder(target.parent)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))


def _wait_for_data(stream: io.FileIO, end: float) -> None:
    if not select.select([stream], [], [], max(0.0, end - time.monotonic()))[0]:
        msg = "it is a pipe that does not give its content in time"
        raise OSError(msg)


def _too_large(size: int, most: int) -> ValueError:
    return ValueError(f"{size} bytes, expected at most {most}")


def _copy_owner_and_mode(status: os.stat_result, new: Path) -> None:
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give a file to another user
            os.chown(new, status.st_uid, status.st_gid)
    new.chmod(stat.S_IMODE(status.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make the new name durable, where folders can be synchronised."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
