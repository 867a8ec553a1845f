"""Writes the summary at the end of the demo from the telemetry that arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline.demo.flights import hour_to_date
from driftline.demo.received import DriftEvent, Received

__all__ = ["Spell", "spells", "summary", "with_name"]

MAX_LISTED_SPELLS = 3
"""Largest number of spells of a feature that the summary lists one by one. More are summed up in one line."""

Spell = tuple[float, float | None, str]
"""A time in which a feature drifted: first hour, last hour (None if it still drifts), and reason of the drift."""


def with_name(feature: str, reason: str) -> str:
    """
    Return *reason* with the name of the feature at its start. If the name is there already, return it unchanged.

    >>> with_name("temp", "temp: up"), with_name("temp", "up")
    ('temp: up', 'temp: up')
    """
    return f"{feature}: {reason.removeprefix(f'{feature}: ')}"


def spells(events: Sequence[DriftEvent]) -> dict[str, list[Spell]]:
    """Return the spells of each feature that drifted, by name. The feature that drifted first comes first."""
    by_feature: dict[str, list[Spell]] = {}
    for event in sorted(events, key=lambda event: event.hour):
        times = (
            by_feature.setdefault(event.feature, []) if event.state == "drifting" else by_feature.get(event.feature, [])
        )
        if event.state == "drifting":
            times.append((event.hour, None, event.reason))
        elif times and times[-1][1] is None:
            times[-1] = (times[-1][0], event.hour, times[-1][2])
    return by_feature


def summary(
    received: Received, features: Sequence[str], predictions: int | None, *, interrupted: bool
) -> Iterator[str]:
    """
    Yield the lines of the summary.

    Args:
        received: the telemetry that arrived.
        features: the names of all features.
        predictions: the number of predictions that the sender reported; None if it reported none.
        interrupted: whether Ctrl-C ended the demo.
    """
    if interrupted:
        yield f"Stopped on {received.date}."
    if predictions is not None:
        arrived = "all of them arrived" if predictions == received.total else f"{received.total:,} of them arrived"
        yield f"{predictions:,} predictions were made, {arrived} through OTLP, in {received.requests} exports."
    if not received.total:
        return
    drifted = spells(received.drift)
    for feature, times in drifted.items():
        yield from _feature_lines(feature, times, received.hour)
    stable = [feature for feature in features if feature not in drifted]
    if stable:
        yield f"Never drifted: {', '.join(stable)}."
    for change in received.verdicts:
        yield f"The canary went from {change.previous} to {change.state} on {_day(change.hour)}: {change.reason}."
    for variant, (hour, estimate) in sorted(received.early_estimates.items()):
        yield f"Accuracy of the {variant} on {_day(hour)}, before any outcome was known: estimated {estimate:.1%}."
    for variant, accuracy in sorted(received.accuracy.items()):
        # The latest outcomes of two variants are of different days, so only all outcomes compare.
        known, correct = received.outcomes_known(variant)
        expected = received.estimated.get(variant)
        remark = "" if expected is None else f" (estimated without outcomes: {expected:.1%})"
        yield f"Accuracy of the {variant}: {correct / known:.1%} on {known:,} outcomes, {accuracy:.1%} lately{remark}."
    for hour, reason in received.retraining:
        yield f"Retraining was requested on {_day(hour)}: {reason}."


def _feature_lines(feature: str, times: list[Spell], end: float) -> Iterator[str]:
    if len(times) > MAX_LISTED_SPELLS:
        days = sum((stop or end) - start for start, stop, _ in times) / 24
        yield (
            f"{feature} drifted {len(times)} times, {days:.0f} days in all, "
            f"first on {_day(times[0][0])}: {_shift(feature, times[0][2])}."
        )
        return
    for start, stop, reason in times:
        until = "and still does" if stop is None else f"until {_day(stop)}"
        yield f"{feature} drifted from {_day(start)} {until}: {_shift(feature, reason)}."


def _shift(feature: str, reason: str) -> str:
    """Return the part of *reason* that describes the shift, without the name of the feature and the statistics."""
    return reason.split("; ", maxsplit=1)[0].removeprefix(f"{feature}: ")


def _day(hour: float) -> str:
    return f"{hour_to_date(hour):%Y-%m-%d}"
