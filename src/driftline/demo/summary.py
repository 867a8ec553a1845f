"""Writes the summary at the end of the demo from the telemetry that arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from driftline._drawing.text import count, percent
from driftline._live.values import Event, LiveView
from driftline._live.words import time_text

__all__ = ["VARIANT", "Estimate", "Spell", "spells", "summary"]

VARIANT = "baseline"
"""The variant whose features the summary lists: it serves most flights."""

MAX_LISTED_SPELLS = 3
"""Largest number of spells of a feature that the summary lists one by one. More are summed up in one line."""

DAY_SECONDS = 86_400.0


class Spell(NamedTuple):
    """A time in which a feature drifted: its start, its end (None if it still drifts), and the reason."""

    start: float
    end: float | None
    reason: str


class Estimate(NamedTuple):
    """An estimate of the accuracy, with its simulated Unix time."""

    time: float
    value: float


def spells(events: Sequence[Event]) -> dict[str, list[Spell]]:
    """Return the spells of each feature that drifted, by name. The feature that drifted first comes first."""
    by_feature: dict[str, list[Spell]] = {}
    for event in events:
        if event.kind != "drift" or event.model.variant != VARIANT:
            continue
        if event.state == "drifting":
            by_feature.setdefault(event.subject, []).append(Spell(event.time, None, event.reason))
        elif (times := by_feature.get(event.subject)) and times[-1].end is None:
            times[-1] = times[-1]._replace(end=event.time)
    return by_feature


def summary(
    view: LiveView,
    events: Sequence[Event],
    early: Mapping[str, Estimate],
    *,
    exports: int,
    predictions: int | None,
    interrupted: bool,
) -> Iterator[str]:
    """
    Yield the lines of the summary.

    Args:
        view: the last view.
        events: all events, the earliest first.
        early: the estimates of accuracy that came before any outcome, by variant.
        exports: the number of exports of metrics that arrived.
        predictions: the number of predictions that the sender reported; None if it reported none.
        interrupted: whether Ctrl-C ended the demo.
    """
    total = sum(model.predictions for model in view.models)
    if interrupted:
        yield f"Stopped on {_day(view.time)}."
    if predictions is not None:
        arrived = "all of them arrived" if predictions == total else f"{count(total)} of them arrived"
        yield f"{count(predictions)} predictions were made, {arrived} through OTLP, in {count(exports)} exports."
    if not total:
        return
    yield from _drift_lines(view, events)
    for event in events:
        if event.kind == "canary":
            yield f"The canary went from {event.previous} to {event.state} on {_day(event.time)}: {event.reason}."
    for variant, estimate in sorted(early.items()):
        yield (
            f"Accuracy of the {variant} on {_day(estimate.time)}, before any outcome was known: estimated "
            f"{percent(estimate.value)}."
        )
    yield from _accuracy_lines(view)
    for event in events:
        if event.kind == "retraining":
            yield f"Retraining was requested on {_day(event.time)} because of {event.subject}: {event.reason}."


def _drift_lines(view: LiveView, events: Sequence[Event]) -> Iterator[str]:
    drifted = spells(events)
    for feature, times in drifted.items():
        yield from _feature_lines(feature, times, view.time)
    names = [each.name for model in view.models if model.key.variant == VARIANT for each in model.features]
    stable = sorted(name for name in names if name not in drifted)
    if stable:
        yield f"Never drifted: {', '.join(stable)}."


def _accuracy_lines(view: LiveView) -> Iterator[str]:
    for model in view.models:
        right, wrong = model.outcomes.get("correct", 0), model.outcomes.get("incorrect", 0)
        if model.accuracy is None or not right + wrong:
            continue
        # The latest outcomes of two variants are of different days, so only all outcomes compare.
        estimated = "" if model.estimated is None else f" (estimated without outcomes: {percent(model.estimated)})"
        yield (
            f"Accuracy of the {model.key.variant}: {percent(right / (right + wrong))} on {count(right + wrong)} "
            f"outcomes, {percent(model.accuracy)} lately{estimated}."
        )


def _feature_lines(feature: str, times: list[Spell], end: float) -> Iterator[str]:
    if len(times) > MAX_LISTED_SPELLS:
        days = sum((end if each.end is None else each.end) - each.start for each in times) / DAY_SECONDS
        yield (
            f"{feature} drifted {len(times)} times, {days:.0f} days in all, "
            f"first on {_day(times[0].start)}: {_shift(feature, times[0].reason)}."
        )
        return
    for each in times:
        until = "and still does" if each.end is None else f"until {_day(each.end)}"
        yield f"{feature} drifted from {_day(each.start)} {until}: {_shift(feature, each.reason)}."


def _shift(feature: str, reason: str) -> str:
    """Return the part of *reason* that describes the shift, without the name of the feature and the statistics."""
    return reason.split("; ", maxsplit=1)[0].removeprefix(f"{feature}: ")


def _day(seconds: float) -> str:
    return time_text(seconds, dates_only=True)
