"""
Hides what Windows lacks: with this folder in PYTHONPATH, a Python process has no fork, no such signals, no `resource`.

`make test-without-posix` runs the unit tests so, and their child processes inherit it.
"""

from __future__ import annotations

# Imported first, because on this platform these modules of the standard library need what is hidden below.
import asyncio  # noqa: F401
import multiprocessing.util  # noqa: F401
import os
import shutil  # noqa: F401
import signal
import subprocess
import sys
import tempfile  # noqa: F401
import uuid  # noqa: F401

FUNCTIONS = (
    *("fork", "forkpty", "register_at_fork", "posix_spawn", "posix_spawnp", "setsid", "killpg", "wait"),
    *("wait3", "wait4", "mkfifo", "mknod", "chown", "fchown", "lchown", "pread", "pwrite", "pipe2", "statvfs"),
    *("sched_getaffinity", "sched_setaffinity", "sched_yield", "nice", "getpriority", "setpriority", "openpty"),
    *("O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_SYNC", "get_blocking", "set_blocking"),
)
"""The parts of `os` that Windows lacks."""

SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIG_DFL", "SIG_IGN"}
"""The signals and handlers that Windows has."""

TIMERS = {"alarm", "setitimer", "getitimer", "pthread_kill", "pthread_sigmask", "sigwait", "siginterrupt"}
"""The functions of `signal` that Windows lacks."""

MODULES = ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix_ipc")
"""Modules that Windows lacks. An import raises ImportError."""

subprocess.Popen.kill = subprocess.Popen.terminate  # as on Windows
for name in FUNCTIONS:
    if hasattr(os, name):
        delattr(os, name)
for name in dir(signal):
    if name in TIMERS or (name.startswith("SIG") and name not in SIGNALS):
        delattr(signal, name)
for name in MODULES:
    sys.modules[name] = None
