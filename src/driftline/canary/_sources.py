"""The state of a canary as others see it: from Prometheus, from a canary's file, from evidence of several hosts."""

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

__all__ = ["ask_evidence", "ask_path", "ask_prometheus", "check_url", "wait_for"]

SECONDS = 10.0
"""How long an answer of Prometheus may take."""

MOST_BYTES = 10_000_000
"""Of an answer, or of a file of evidence."""


def check_url(url: str) -> str:
    """
    The address of a Prometheus server.

    Raises:
        ConfigurationError: it is none.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        msg = f"--prometheus {url}: expected an address such as http://prometheus:9090"
        raise ConfigurationError(msg)
    return url.rstrip("/")


def ask_prometheus(url: str, labels: Mapping[str, str]) -> Verdict:
    """
    The verdict that processes export as ``ml_canary_status``.

    Where several tell one, any rollback is one, and all must promote: each has seen a part of the traffic.

    Args:
        url: of the server.
        labels: of the series, such as ``ml_model_name``.

    Raises:
        OSError: the server cannot be reached.
        ValueError: what it answers is no answer.
    """
    chosen = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
    query = urllib.parse.urlencode({"query": f"ml_canary_status{{{chosen}}} == 1"})
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=SECONDS) as response:  # noqa: S310 - checked
            given = json.loads(response.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
    try:
        series = given["data"]["result"]
        states: list[CanaryState] = [one["metric"]["ml_canary_state"] for one in series]
    except (KeyError, TypeError) as error:
        msg = f"{url} answers what is no vector: {str(given)[:200]}"
        raise ValueError(msg) from error
    if not states:
        return Verdict("inconclusive", f"no canary of {{{chosen}}} is exported")
    words = f"{len(states)} process{'es' * (len(states) > 1)}: " + ", ".join(sorted(set(states)))
    if "rollback" in states:
        return Verdict("rollback", words)
    return Verdict("promote" if set(states) == {"promote"} else "inconclusive", words)


def ask_path(path: str) -> Verdict:
    """
    The verdict that stands in a canary's file.

    Raises:
        ConfigurationError: there is no such file, or it is none.
    """
    if not Path(path).is_file():
        msg = f"--path {path}: expected the file of a canary"
        raise ConfigurationError(msg)
    decided = CanaryStore(path, {}).decided()
    return Verdict("inconclusive", "nothing is decided yet") if decided is None else Verdict(*decided)


def ask_evidence(files: Sequence[str], policy: CanaryPolicy) -> Verdict:
    """
    Judge the sum of the evidence in files that `CanaryEvidence.to_json` wrote.

    Raises:
        ConfigurationError: a file is damaged or too large.
        OSError: it cannot be read.
    """
    total = CanaryEvidence()
    for name in files:
        with Path(name).open(encoding="utf-8") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            msg = f"{name}: expected at most {MOST_BYTES:,} characters of evidence"
            raise ConfigurationError(msg)
        try:
            total += CanaryEvidence.from_json(text)
        except ConfigurationError as error:
            msg = f"{name}: {error}"
            raise ConfigurationError(msg) from None
    return judge_canary(total, policy)


def wait_for(
    ask: Callable[[], Verdict],
    timeout: float,
    interval: float,
    told: Callable[[Verdict], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Verdict:
    """
    Ask until the answer is not `inconclusive` any more, or the time is over.

    A server that cannot be reached is asked again: it may be restarting.

    Args:
        ask: the question.
        timeout: seconds.
        interval: seconds between two questions.
        told: told of each answer that differs from the one before.
        clock: seconds.
        sleep: waits for so many.

    Raises:
        OSError: nobody had answered when the time was over.
    """
    end = clock() + timeout
    last: Verdict | None = None
    while True:
        failure: OSError | None = None
        try:
            verdict = ask()
        except OSError as error:
            failure = error
        else:
            if verdict != last:
                told(verdict)
            last = verdict
            if verdict.state != "inconclusive":
                return verdict
        left = end - clock()
        if left <= 0.0 or math.isnan(left):
            if failure is not None:
                raise failure
            return verdict
        sleep(min(interval, left))
