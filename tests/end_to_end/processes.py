"""Processes that tests start: the ports that they listen on, and their end."""

from __future__ import annotations

import socket
import subprocess
import time

__all__ = ["LOCAL", "free_port", "is_listening", "wait_for_end", "wait_for_port"]

LOCAL = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "no_grpc_proxy": "127.0.0.1"}
"""Environment of a process that reaches others on this host without a proxy."""

SECONDS = 60.0
"""Seconds that a process may take to listen; reached only when a test fails."""


def free_port():
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_listening(port):
    """Return whether a process listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for_port(port, process, log=str):
    """Wait until a process listens on a port. What *log* returns explains why it does not."""
    end = time.monotonic() + SECONDS
    while not is_listening(port):
        assert process.poll() is None, log()
        assert time.monotonic() < end, log()
        time.sleep(0.05)


def wait_for_end(process, seconds=20):
    """Wait for the end of a process, which is killed if it takes longer. Return its exit code."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return process.returncode
