"""What a policy would have done over past windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from driftline.retraining._decider import Decider
from driftline.retraining._policy import RetrainingPolicy
from driftline.retraining._queue import RetrainingQueue
from driftline.retraining._request import RetrainingRequest
from driftline.retraining._situation import RetrainingSituation
from driftline.retraining._states import OPEN

__all__ = ["Replay", "replay"]

RUN_SECONDS = 86_400.0
"""Seconds after which a request of a replay fails, as nothing retrains: a day, so that the cooldown decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """
    What a policy would have done.

    ``str(replay)`` has a line for each request.

    Attributes:
        windows: number of windows.
        start: the time of the first window in UNIX seconds, or None without windows.
        end: the time of the last window, or None.
        requests: the requests that would have been made, oldest first.
        held: number of windows by the reason for which no retraining was requested although they speak for it.
    """

    windows: int = 0
    start: float | None = None
    end: float | None = None
    requests: tuple[RetrainingRequest, ...] = ()
    held: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.windows} windows, {len(self.requests)} requests"]
        for request in self.requests:
            at = datetime.fromtimestamp(request.created, timezone.utc).strftime("%Y-%m-%d %H:%M")
            lines.append(f"{at}  {request.kind}: {request.detail}")
        lines += [f"held back in {count} windows: {reason}" for reason, count in self.held.items()]
        return "\n".join(lines)


def replay(policy: RetrainingPolicy, history: Iterable[RetrainingSituation], model: str, version: str | None) -> Replay:
    """Return what `RetrainingPolicy.replay` returns."""
    queue = RetrainingQueue()
    decider = Decider(policy, queue, model, version)
    windows, start, end = 0, None, None
    latest_by_id: dict[str, RetrainingRequest] = {}
    held: dict[str, int] = {}
    try:
        for situation in history:
            windows += 1
            start, end = situation.at if start is None else start, situation.at
            for request in queue.requests(model, states=OPEN):
                if request.kind == "retrain" and situation.at - request.created >= RUN_SECONDS:
                    ended = request.created + RUN_SECONDS
                    queue.move(request.id, "failed", who="replay", comment="nothing retrains in a replay", at=ended)
            decision = decider.decide(situation)
            latest_by_id.update(
                {each.request.id: each.request for each in decision.submissions if each.request is not None}
            )
            if decision.held:
                reason = _without_figures(decision.held)
                held[reason] = held.get(reason, 0) + 1
        latest = {request.id: request for request in queue.requests(model)}
    finally:
        queue.close()
    return Replay(windows=windows, start=start, end=end, requests=tuple(latest[id_] for id_ in latest_by_id), held=held)


def _without_figures(reason: str) -> str:
    """Return the kind of a reason, so that windows can be counted by it."""
    for word in ("windows, needs", "new labels, needs", "are broken", "cooldown", "succeeded"):
        if word in reason:
            return {
                "windows, needs": "too few windows in a row",
                "new labels, needs": "too few new labels",
                "are broken": "broken data",
                "cooldown": "the cooldown",
                "succeeded": "a new version does not serve yet",
            }[word]
    return reason
