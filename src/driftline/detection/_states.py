"""Evidence at several lengths of window to one state per feature, without flickering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftline.detection._rules import Evidence
from driftline.results import DriftState, FeatureStatus

__all__ = ["Episode", "update_status"]


@dataclass(frozen=True, slots=True)
class Episode:
    """
    What is remembered of a feature from window to window.

    Attributes:
        length: the shortest length that has shown the drift going on, in windows; 0 while there is none.
        ended: the number of the window at which the last drift was over; longer windows that still hold rows of it say
            nothing new.
    """

    length: int = 0
    ended: int = 0


def update_status(
    episode: Episode, evidence: Mapping[int, Evidence], window: int, min_rows: int, note: str = ""
) -> tuple[FeatureStatus, Episode]:
    """
    The state of a feature after a window, and what is remembered of it.

    A drift begins when any length of window shows it. It is over when the shortest length that has shown it no longer
    does: a big drift that has ended is not held against the feature for as long as a long window remembers it, and a
    small one that lasts is not forgotten because one short window looks quiet. A feature with too few rows at every
    length has no state: what is not known is said.

    Args:
        episode: what was remembered.
        evidence: by length, in windows, the shortest first: of each the last look.
        window: the number of the window, counting whole ones.
        min_rows: rows below which a length says nothing.
        note: said along with the state of a feature that does not drift.
    """
    if not episode.length:
        # Hundreds of features at every look, and nearly all of them well.
        first = None
        for one in evidence.values():
            if one.rows >= min_rows:
                if one.enter:
                    break
                first = first or one
        else:
            if first is not None:
                return _status("stable", first, f"as the reference{note}"), episode
    enough = {length: one for length, one in evidence.items() if one.rows >= min_rows}
    if not enough:
        rows = max((one.rows for one in evidence.values()), default=0)
        reason = f"{rows} rows, needs {min_rows}"
        return FeatureStatus("insufficient_data", None, None, rows, reason), Episode(0, episode.ended)
    shortest = min(enough)
    heard = [
        length for length in sorted(enough) if length in {shortest, episode.length} or window - episode.ended >= length
    ]
    entering = [length for length in heard if enough[length].enter]
    if entering:
        length = min(entering[0], episode.length or entering[0])
        return _status("drifting", enough[_telling(length, entering, enough)]), replace(episode, length=length)
    if episode.length in enough and enough[episode.length].stay:
        return _status("drifting", enough[episode.length]), episode
    ended = window if episode.length else episode.ended
    return _status("stable", enough[shortest], f"as the reference{note}"), Episode(0, ended)


def _telling(length: int, entering: list[int], evidence: Mapping[int, Evidence]) -> int:
    """The length whose words are told: the one held to, unless it no longer shows anything."""
    return length if length in evidence and evidence[length].stay else entering[0]


def _status(state: DriftState, one: Evidence, reason: str | None = None) -> FeatureStatus:
    if reason is None:
        reason = one.reason() if callable(one.reason) else one.reason
    return FeatureStatus(state, one.p_value, one.effect, one.rows, reason, one.components)
