"""Turns the evidence at several window lengths into one state per feature that does not flicker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftline.detection._rules import Evidence
from driftline.results import DriftState, FeatureStatus

__all__ = ["Episode", "update_status"]


@dataclass(frozen=True, slots=True)
class Episode:
    """
    The memory of a feature's drift from window to window.

    Attributes:
        length: the shortest length, in windows, that has shown the current drift; 0 while the feature does not drift.
        ended: the number of the window at which the last drift ended; 0 if none has. A longer window that still holds
            rows of that drift does not start a new one.
        explained: the length whose evidence explains the state ``drifting``; 0 while the feature does not drift. It is
            another length than *length* if that one no longer shows the drift.
    """

    length: int = 0
    ended: int = 0
    explained: int = 0


def update_status(
    episode: Episode, evidence: Mapping[int, Evidence], window: int, min_rows: int, note: str = ""
) -> tuple[FeatureStatus, Episode]:
    """
    Return the state of a feature after a window, and the new memory of its drift.

    A drift begins when any window length shows it. It ends when the shortest length that has shown it no longer does.
    So a large drift ends with the first quiet short window, although longer windows still hold its rows. A small drift
    that only a long window shows continues through quiet short windows. A feature with too few rows at every length has
    the state ``insufficient_data``, and so has one whose latest values cannot be evaluated.

    Args:
        episode: the memory so far.
        evidence: the latest evidence by length, in windows, the shortest first.
        window: the number of whole windows so far, this one included.
        min_rows: rows below which the evidence of a length does not count.
        note: a string that is appended to the reason of a stable feature.
    """
    latest = next(iter(evidence.values()), None)
    if latest is not None and latest.unusable:
        # The latest rows cannot be evaluated. What longer windows hold of earlier rows says nothing about them.
        return FeatureStatus("insufficient_data", None, None, latest.rows, latest.unusable), Episode(0, episode.ended)
    if not episode.length:
        # The fast path: a rule evaluates hundreds of features, and nearly all of them are stable.
        shortest_evidence = None
        for item in evidence.values():
            if item.rows >= min_rows:
                if item.enter:
                    break
                shortest_evidence = shortest_evidence or item
        else:
            if shortest_evidence is not None:
                return _status("stable", shortest_evidence, f"as the reference{note}"), episode
    enough = {length: item for length, item in evidence.items() if item.rows >= min_rows}
    if not enough:
        rows = max((item.rows for item in evidence.values()), default=0)
        reason = f"{rows} rows, needs {min_rows}"
        return FeatureStatus("insufficient_data", None, None, rows, reason), Episode(0, episode.ended)
    shortest = min(enough)
    eligible = [
        length for length in sorted(enough) if length in {shortest, episode.length} or window - episode.ended >= length
    ]
    entering = [length for length in eligible if enough[length].enter]
    if entering:
        length = min(entering[0], episode.length or entering[0])
        explained = length if length in enough and enough[length].stay else entering[0]
        return _status("drifting", enough[explained]), replace(episode, length=length, explained=explained)
    if episode.length in enough and enough[episode.length].stay:
        return _status("drifting", enough[episode.length]), replace(episode, explained=episode.length)
    ended = window if episode.length else episode.ended
    return _status("stable", enough[shortest], f"as the reference{note}"), Episode(0, ended)


def _status(state: DriftState, evidence: Evidence, reason: str | None = None) -> FeatureStatus:
    if reason is None:
        reason = evidence.reason() if callable(evidence.reason) else evidence.reason
    return FeatureStatus(state, evidence.p_value, evidence.effect, evidence.rows, reason, evidence.components)
