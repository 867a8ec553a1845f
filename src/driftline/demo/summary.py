"""What happened, in words, from what arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline.demo.flights import hour_to_date
from driftline.demo.received import DriftEvent, Received

__all__ = ["Spell", "named", "spells", "summary"]

NAMED_SPELLS = 3
"""A feature that came and went more often is told in one line."""

Spell = tuple[float, float | None, str]
"""(first hour, last hour or None when it lasts, reason) of a time in which a feature drifted."""


def named(feature: str, reason: str) -> str:
    """
    A reason with the feature's name before it, which it may have already.

    >>> named("temp", "temp: up"), named("temp", "up")
    ('temp: up', 'temp: up')
    """
    return f"{feature}: {reason.removeprefix(f'{feature}: ')}"


def spells(events: Sequence[DriftEvent]) -> dict[str, list[Spell]]:
    """The times in which each feature drifted, features in the order of their first drift."""
    found: dict[str, list[Spell]] = {}
    for event in sorted(events, key=lambda event: event.hour):
        times = found.setdefault(event.feature, []) if event.state == "drifting" else found.get(event.feature, [])
        if event.state == "drifting":
            times.append((event.hour, None, event.reason))
        elif times and times[-1][1] is None:
            times[-1] = (times[-1][0], event.hour, times[-1][2])
    return found


def summary(received: Received, features: Sequence[str], made: int | None, *, interrupted: bool) -> Iterator[str]:
    """The lines of the summary; *made*: the predictions that the sender says it has made."""
    if interrupted:
        yield f"Stopped on {received.date}."
    if made is not None:
        verdict = "all of them arrived" if made == received.total else f"{received.total:,} of them arrived"
        yield f"{made:,} predictions were made, {verdict} through OTLP, in {received.requests} exports."
    if not received.total:
        return
    drifted = spells(received.drift)
    for feature, times in drifted.items():
        yield from _feature_lines(feature, times, received.hour)
    stable = [feature for feature in features if feature not in drifted]
    if stable:
        yield f"Never drifted: {', '.join(stable)}."
    for one in received.verdicts:
        yield f"The canary went from {one.previous} to {one.state} on {_day(one.hour)}: {one.reason}."
    for variant, (hour, foretold) in sorted(received.foretold.items()):
        yield f"Accuracy of the {variant} on {_day(hour)}, before any outcome was known: estimated {foretold:.1%}."
    for variant, accuracy in sorted(received.accuracy.items()):
        # The latest outcomes of two variants are of different days: only all of them compare.
        known, right = received.outcomes_known(variant)
        estimate = received.estimated.get(variant)
        expected = "" if estimate is None else f" (estimated without outcomes: {estimate:.1%})"
        yield f"Accuracy of the {variant}: {right / known:.1%} on {known:,} outcomes, {accuracy:.1%} lately{expected}."
    for hour, why in received.retraining:
        yield f"Retraining was asked for on {_day(hour)}: {why}."


def _feature_lines(feature: str, times: list[Spell], end: float) -> Iterator[str]:
    if len(times) > NAMED_SPELLS:
        days = sum((stop or end) - start for start, stop, _ in times) / 24
        yield (
            f"{feature} drifted {len(times)} times, {days:.0f} days in all, "
            f"first on {_day(times[0][0])}: {_what(feature, times[0][2])}."
        )
        return
    for start, stop, reason in times:
        until = "and still does" if stop is None else f"until {_day(stop)}"
        yield f"{feature} drifted from {_day(start)} {until}: {_what(feature, reason)}."


def _what(feature: str, reason: str) -> str:
    """The part of a reason that says what moved, without the feature's name before it and the statistics after."""
    return reason.split("; ", maxsplit=1)[0].removeprefix(f"{feature}: ")


def _day(hour: float) -> str:
    return f"{hour_to_date(hour):%Y-%m-%d}"
