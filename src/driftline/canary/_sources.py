"""Read a canary's verdict from outside its process: from the canary's file, or files of evidence; and wait for one."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from driftline._runtime.files import read_file
from driftline._runtime.sqlite import open_read_only
from driftline.canary._decision import judge_canary
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._policy import CanaryPolicy
from driftline.canary._store import FORMAT, read_decision
from driftline.canary._verdict import Verdict
from driftline.errors import ConfigurationError

__all__ = ["decide_files", "read_path", "read_policy", "wait_for_verdict"]

MAX_BYTES = 10_000_000
"""Most bytes of a file of evidence, or of a policy."""

T = TypeVar("T")

PIPE_SECONDS = 30.0
"""Seconds within which a pipe, such as the output of a command that reads another host's file, must end."""


def read_path(path: str) -> Verdict:
    """
    Return the verdict in a canary's file; inconclusive if it holds no decision yet. The file is not written to.

    Raises:
        ConfigurationError: the file does not exist, is not a canary's file, or is damaged.
        OSError: another process is writing to the file; it can be read later.
    """
    try:
        with open_read_only(Path(path), FORMAT, "--path") as connection:
            decision = read_decision(connection)
    except ConfigurationError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):
            raise OSError(str(error)) from error
        raise
    return Verdict("inconclusive", "nothing is decided yet") if decision is None else Verdict(*decision)


def read_policy(name: str) -> CanaryPolicy:
    """
    Return the policy in a JSON file.

    Raises:
        ConfigurationError: the file is damaged or too large, or the policy is invalid.
        OSError: the file cannot be read.
    """
    return _read_document(name, CanaryPolicy.from_json)


def _read_document(name: str, read: Callable[[str], T]) -> T:
    """Return what *read* returns for the text of a file. Its errors get the file's name."""
    try:
        return read(read_file(Path(name), MAX_BYTES, PIPE_SECONDS).decode("utf-8-sig"))
    except OSError as error:
        msg = f"{name}: {error.strerror or error}"
        raise OSError(msg) from error
    except ValueError as error:
        msg = f"{name}: {error}"
        raise ConfigurationError(msg) from error


def decide_files(files: Sequence[str], policy: CanaryPolicy) -> Verdict:
    """
    Add up the evidence in files that `CanaryEvidence.to_json` wrote, and decide about the candidate.

    Raises:
        ConfigurationError: a file is damaged or too large, or two files have calls of the same process.
        OSError: a file cannot be read.
    """
    total = CanaryEvidence()
    names: dict[str, str] = {}
    for name in files:
        part = _read_document(name, CanaryEvidence.from_json)
        shared = part.shared_sources(total)
        if shared:
            msg = (
                f"{name}: has calls of a process that {names[min(shared)]} has too, so they would count twice: "
                "expected one file per process, or per file of a canary"
            )
            raise ConfigurationError(msg)
        names.update(dict.fromkeys(part.sources, name))
        total += part
    return judge_canary(total, policy)


def wait_for_verdict(
    read: Callable[[], Verdict],
    timeout: float,
    interval: float,
    on_change: Callable[[Verdict], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Verdict:
    """
    Read the verdict until it is "promote" or "rollback", or *timeout* is over; return the last verdict.

    If *read* raises `OSError`, it is called again after *interval*, because the server may be restarting.

    Args:
        read: returns the present verdict.
        timeout: longest time to wait, in seconds.
        interval: seconds between two readings.
        on_change: called with each verdict that differs from the previous one.
        clock: returns the time in seconds.
        sleep: sleeps for a number of seconds.

    Raises:
        OSError: *timeout* is over, and the last call of *read* raised this.
    """
    end = clock() + timeout
    last: Verdict | None = None
    while True:
        failure: OSError | None = None
        try:
            verdict = read()
        except OSError as error:
            failure = error
        else:
            if verdict != last:
                on_change(verdict)
            last = verdict
            if verdict.state != "inconclusive":
                return verdict
        remaining = end - clock()
        if remaining <= 0.0 or math.isnan(remaining):
            if failure is not None:
                raise failure
            return verdict
        sleep(min(interval, remaining))
