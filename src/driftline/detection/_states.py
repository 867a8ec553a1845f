"""Turns the evidence at several window lengths into one state per feature that does not flicker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from driftline.detection._rules import Evidence
from driftline.results import DriftState, FeatureStatus

__all__ = ["AS_REFERENCE", "Episode", "update_status"]


AS_REFERENCE = "as the reference"
"""The reason of the state ``stable``."""

END_SHARE = 0.5
"""Share of its strength below which a drift has ended."""

END_ERRORS = 3.0
"""
Standard deviations that half of a drift must be at a length, so that chance does not end it there. A drift that no
length shows so well must itself be that large to go on: at 1.96, one that began by chance lasts up to twice as long.
"""


@dataclass(frozen=True, slots=True)
class Episode:
    """
    The memory of a feature's drift from window to window.

    Attributes:
        length: the shortest length, in windows, that has shown the current drift; 0 while the feature does not drift.
        ended: the number of the window at which the last drift ended; 0 if none has. A longer window that still holds
            rows of that drift does not start a new one.
        part: index of the part that shows the current drift; -1 while the feature does not drift, and for rules that do
            not test parts.
        strength: the signed deviation of that part when the drift began, in standard deviations of one row.
        explained: the length whose evidence explains the state ``drifting``; 0 while the feature does not drift. It is
            another length than *length* if that one no longer shows the drift.
    """

    length: int = 0
    ended: int = 0
    explained: int = 0
    part: int = -1
    strength: float = 0.0


def update_status(
    episode: Episode, evidence: Mapping[int, Evidence], window: int, min_rows: int
) -> tuple[FeatureStatus, Episode]:
    """
    Return the state of a feature after a window, and the new memory of its drift.

    A drift begins when any window length shows it. It ends when the shortest length that can show it no longer does:
    see `_holding_length`. So a large drift ends with the first quiet short window, although longer windows still hold
    its rows. A small drift that only a long window shows continues through quiet short windows. A feature with too few
    rows at every length has the state ``insufficient_data``. So has one whose latest values cannot be evaluated, and
    one with a part of which no length could show even a large change.

    Args:
        episode: the memory so far.
        evidence: the latest evidence by length, in windows, the shortest first.
        window: the number of whole windows so far, this one included.
        min_rows: rows below which the evidence of a length does not count.
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
                if item.enter or item.blind:
                    break
                shortest_evidence = shortest_evidence or item
        else:
            if shortest_evidence is not None:
                return _status("stable", shortest_evidence, AS_REFERENCE), episode
    enough = {length: item for length, item in evidence.items() if item.rows >= min_rows}
    if not enough:
        rows = max((item.rows for item in evidence.values()), default=0)
        reason = f"{rows} rows, needs {min_rows}"
        return FeatureStatus("insufficient_data", None, None, rows, reason), Episode(0, episode.ended)
    if episode.length:
        return _hold(episode, enough) or (_quiet(enough), Episode(0, window))
    shortest = min(enough)
    eligible = [length for length in sorted(enough) if length == shortest or window - episode.ended >= length]
    entering = [length for length in eligible if enough[length].enter]
    if entering:
        return _status("drifting", enough[entering[0]]), _begin(episode, entering[0], enough[entering[0]])
    return _quiet(enough), Episode(0, episode.ended)


def _begin(episode: Episode, length: int, item: Evidence) -> Episode:
    """Return the memory of a drift that a length shows."""
    if item.deviations is None:
        return replace(episode, length=length, explained=length)
    strength = float(item.deviations[item.lead])
    return replace(episode, length=length, explained=length, part=item.lead, strength=strength)


def _hold(episode: Episode, enough: Mapping[int, Evidence]) -> tuple[FeatureStatus, Episode] | None:
    """Return the state and the memory of a drift that goes on; None if it has ended."""
    length = _holding_length(episode, enough)
    item = enough.get(length)
    if item is None:
        return None
    shorter = [each for each in sorted(enough) if each <= length and enough[each].enter]
    if shorter:
        first = shorter[0]
        return _status("drifting", enough[first]), _begin(episode, min(first, episode.length), enough[first])
    stays = item.stay
    if item.deviations is not None and episode.part >= 0:
        deviation = float(item.deviations[episode.part])
        # What is learned later about dependence may show that the drift was chance.
        chance = 0.0 if item.errors is None else END_ERRORS * float(item.errors[episode.part])
        stays = deviation * math.copysign(1.0, episode.strength) >= max(END_SHARE * abs(episode.strength), chance)
    if not stays:
        return None
    return _status("drifting", item), replace(episode, explained=length)


def _holding_length(episode: Episode, enough: Mapping[int, Evidence]) -> int:
    """
    Return the shortest length that can show that a drift is over.

    It is the one at which half of the drift is `END_ERRORS` standard deviations. If none is so long, or the rule does
    not test, it is the shortest length that has shown the drift.
    """
    if episode.part >= 0:
        for length in sorted(enough):
            errors = enough[length].errors
            if errors is not None and END_ERRORS * errors[episode.part] <= END_SHARE * abs(episode.strength):
                return length
    return episode.length


def _quiet(enough: Mapping[int, Evidence]) -> FeatureStatus:
    """Return the state of a feature that does not drift: stable, unless a large change of a part shows in no length."""
    item = enough[min(enough)]
    longest = enough[max(enough)].blind
    unknown = [part for part in longest if all(part in each.blind for each in enough.values())]
    if unknown:
        # The first one is the location or the mix, if that is unknown: what is unknown of all values matters most.
        reason = longest[unknown[0]]()
        return FeatureStatus("insufficient_data", item.p_value, item.effect, item.rows, reason, item.components)
    return _status("stable", item, AS_REFERENCE)


def _status(state: DriftState, evidence: Evidence, reason: str | None = None) -> FeatureStatus:
    if reason is None:
        reason = evidence.reason() if callable(evidence.reason) else evidence.reason
    return FeatureStatus(state, evidence.p_value, evidence.effect, evidence.rows, reason, evidence.components)
