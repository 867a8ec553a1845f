"""Reading files of unknown origin, and writing files in one step."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from driftline._runtime.files import read_file, write_file

posix = pytest.mark.skipif(os.name == "nt", reason="a file system of POSIX")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.json"


def test_a_file_is_read_up_to_the_limit(path):
    path.write_bytes(b"x" * 10)
    assert read_file(path, 10) == b"x" * 10
    with pytest.raises(ValueError, match="10 bytes, expected at most 9"):
        read_file(path, 9)
    path.write_bytes(b"")
    assert read_file(path, 0) == b""


def test_a_file_without_a_size_is_read_up_to_the_limit():
    """Such as a device, or a file of the kernel."""
    with pytest.raises(ValueError, match="101 bytes, expected at most 100"):
        read_file(Path("/dev/zero"), 100)
    assert read_file(Path(os.devnull), 100) == b""


@posix
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in files here")
def test_a_pipe_is_read_if_something_writes_to_it(path):
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_bytes(b"a" * 200_000))
    thread.start()
    assert read_file(path, 10**6, pipe_seconds=30.0) == b"a" * 200_000
    thread.join()


@posix
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in files here")
@pytest.mark.parametrize("written", [b"", b"some"])
def test_a_pipe_that_does_not_end_is_given_up(path, written):
    """With and without a process at its other end."""
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR) if written else None
    if writer is not None:
        os.write(writer, written)
    start = time.monotonic()
    with pytest.raises(OSError, match="a pipe that does not give its content in time"):
        read_file(path, 100, pipe_seconds=0.1)
    assert time.monotonic() - start < 5.0
    if writer is not None:
        os.close(writer)


def test_folders_sockets_and_absent_files_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent", tmp_path / "a" / "b"):
        with pytest.raises(OSError):  # noqa: PT011 - each system has its own message
            read_file(path, 100)


def test_a_file_is_replaced_in_one_step(path):
    """A reader that has the old one open goes on with it."""
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_file(path, b"new content")
        if os.name != "nt":
            assert reader.read() == b"old"
    assert path.read_bytes() == b"new content"
    assert list(path.parent.iterdir()) == [path]


@posix
def test_the_mode_and_a_symbolic_link_stay(path, tmp_path):
    """A new file gets the mode that the umask allows."""
    link = tmp_path / "link"
    link.symlink_to(path)
    before = os.umask(0o027)
    try:
        write_file(link, b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    write_file(link, b"2")
    assert link.is_symlink()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"2", 0o600)


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    """And nothing else, also after an interrupt."""
    path.write_bytes(b"old")
    for error in (OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()):

        def fail(descriptor, error=error):
            raise error

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(type(error)):
            write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@posix
@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit of a file's size here")
def test_a_full_disk_leaves_the_old_reference(path):
    """A limit on the size of files has the effect of a full disk."""
    script = (
        "import resource, signal, sys, driftline as dl\n"
        "reference = dl.Reference.fit({'x': list(range(100))}); reference.save(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try: dl.Reference.fit({'x': list(range(200))}).save(sys.argv[1])\n"
        "except OSError as error: print(error.strerror)\n"
        "print(dl.Reference.load(sys.argv[1]).rows)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n100\n"
    assert list(path.parent.iterdir()) == [path]


@posix
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in files here")
def test_a_pipe_is_written_to(path):
    """Such as the standard output of a command."""
    os.mkfifo(path)
    contents = []
    thread = threading.Thread(target=lambda: contents.append(path.read_bytes()))
    thread.start()
    write_file(path, b"through")
    thread.join()
    assert contents == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@posix
def test_a_name_of_the_largest_length(tmp_path):
    path = tmp_path / ("n" * 255)
    write_file(path, b"1")
    assert path.read_bytes() == b"1"
