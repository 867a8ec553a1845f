"""Read a canary's verdict from outside its process: from Prometheus, the canary's file, or files of evidence."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from driftline.canary._decision import judge_canary
from driftline.canary._evidence import CanaryEvidence
from driftline.canary._policy import CanaryPolicy
from driftline.canary._store import CanaryStore
from driftline.canary._verdict import Verdict
from driftline.errors import ConfigurationError
from driftline.results import CanaryState

__all__ = ["check_url", "decide_files", "query_prometheus", "read_path", "wait_for_verdict"]

TIMEOUT = 10.0
"""Seconds that a response of Prometheus may take."""

MAX_BYTES = 10_000_000
"""Most bytes of a response of Prometheus that are read; most characters that a file of evidence may have."""


def check_url(url: str) -> str:
    """
    Return the URL of a Prometheus server without a trailing slash.

    Raises:
        ConfigurationError: the URL has another scheme than http or https, or no host.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        msg = f"--prometheus {url}: expected an address such as http://prometheus:9090"
        raise ConfigurationError(msg)
    return url.rstrip("/")


def query_prometheus(url: str, labels: Mapping[str, str]) -> Verdict:
    """
    Return one verdict from the states that all processes export as ``ml_canary_status``.

    Each process has observed a part of the traffic. The verdict is a rollback if any process exports a rollback. It is
    a promotion if all processes export a promotion. In all other cases, also without any process, it is inconclusive.

    Args:
        url: the URL of the server.
        labels: labels that select the series, such as ``ml_model_name``.

    Raises:
        OSError: the server cannot be reached.
        ValueError: the response is not a vector of states.
    """
    selector = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
    query = urllib.parse.urlencode({"query": f"ml_canary_status{{{selector}}} == 1"})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=TIMEOUT) as response:  # noqa: S310 - checked
            document = json.loads(response.read(MAX_BYTES))
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
    try:
        series = document["data"]["result"]
        states: list[CanaryState] = [entry["metric"]["ml_canary_state"] for entry in series]
    except (KeyError, TypeError) as error:
        msg = f"{url}: expected a vector of states, not {str(document)[:200]}"
        raise ValueError(msg) from error
    if not states:
        return Verdict("inconclusive", f"no canary of {{{selector}}} is exported")
    reason = f"{len(states)} process{'es' * (len(states) > 1)}: " + ", ".join(sorted(set(states)))
    if "rollback" in states:
        return Verdict("rollback", reason)
    return Verdict("promote" if set(states) == {"promote"} else "inconclusive", reason)


def read_path(path: str) -> Verdict:
    """
    Return the verdict in a canary's file; inconclusive if it holds no decision yet.

    Raises:
        ConfigurationError: the file does not exist, or is not a canary's file.
    """
    if not Path(path).is_file():
        msg = f"--path {path}: expected the file of a canary"
        raise ConfigurationError(msg)
    decision = CanaryStore(path, {}).read_verdict()
    return Verdict("inconclusive", "nothing is decided yet") if decision is None else Verdict(*decision)


def decide_files(files: Sequence[str], policy: CanaryPolicy) -> Verdict:
    """
    Add up the evidence in files that `CanaryEvidence.to_json` wrote, and decide about the candidate.

    Raises:
        ConfigurationError: a file is damaged or too large.
        OSError: a file cannot be read.
    """
    total = CanaryEvidence()
    for name in files:
        with Path(name).open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            msg = f"{name}: expected at most {MAX_BYTES:,} characters of evidence"
            raise ConfigurationError(msg)
        try:
            total += CanaryEvidence.from_json(text)
        except ConfigurationError as error:
            msg = f"{name}: {error}"
            raise ConfigurationError(msg) from None
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
