"""The sentences of a live view, which the terminal, the page and the lines of a log have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from driftline._drawing.states import WORDS
from driftline._drawing.text import clean, count, number, percent, plural, probability, sentence
from driftline._live.values import (
    CanaryView,
    CriterionView,
    Event,
    FeatureView,
    Latency,
    LiveView,
    ModelView,
    Performance,
)

__all__ = [
    "canary_lines",
    "criterion_line",
    "event_line",
    "evidence",
    "headline",
    "label_of",
    "latency_text",
    "outcome_line",
    "quality_lines",
    "rate_text",
    "rest_line",
    "retraining_line",
    "seconds_text",
    "time_text",
]

MAX_NAME = 60
"""Characters of a name in a sentence."""

MAX_REASON = 1_200
"""Characters of a reason. That of a canary with all criteria has about 900."""


def time_text(seconds: float, *, dates_only: bool) -> str:
    """Return a time as local hours, minutes and seconds; or as a date, for a replay."""
    try:
        moment = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):  # a clock that is wrong
        return "–"
    return time.strftime("%Y-%m-%d" if dates_only else "%H:%M:%S", moment)


def rate_text(rate: float | None) -> str:
    """
    Return predictions per second.

    >>> rate_text(1234.5), rate_text(0.021), rate_text(None)
    ('1,234/s', '0.021/s', '–')
    """
    if rate is None:
        return number(None)
    return f"{rate:,.0f}/s" if rate >= 10.0 else f"{number(rate, 2)}/s"  # noqa: PLR2004 - two digits matter below


def seconds_text(seconds: float) -> str:
    """
    Return a duration with its unit.

    >>> seconds_text(0.00123), seconds_text(0.25), seconds_text(2.5), seconds_text(math.inf)
    ('1.2 ms', '250 ms', '2.5 s', '> 10 s')
    """
    if math.isinf(seconds):
        return "> 10 s"  # the last bucket
    return f"{number(1_000.0 * seconds, 2 if seconds < 0.1 else 3)} ms" if seconds < 1.0 else f"{number(seconds, 3)} s"  # noqa: PLR2004 - digits


def latency_text(latency: Latency | None) -> str:
    """Return the median and the 95 % quantile of durations."""
    if latency is None:
        return number(None)
    return f"{seconds_text(latency.p50)} / {seconds_text(latency.p95)}"


def label_of(model: ModelView, models: Sequence[ModelView]) -> str:
    """Return the shortest name that tells a model apart from the others; an empty string if there is no other."""
    if len(models) < 2:  # noqa: PLR2004 - nothing to tell apart
        return ""
    for name in ("variant", "version", "name"):
        names = [getattr(each.key, name) for each in models]
        if all(names) and len(set(names)) == len(names):
            return clean(getattr(model.key, name), 24)
    return clean(model.key, 40)


def headline(view: LiveView) -> str:
    """Return what matters most, in a sentence."""
    if not view.models:
        return "No telemetry has arrived yet."
    verdicts = [canary.state for canary in view.canaries]
    states = [feature.state for model in view.models for feature in model.features]
    drifting, unknown, size = states.count("drifting"), states.count("insufficient_data"), len(states)
    parts = []
    if "rollback" in verdicts:
        parts.append("A candidate does harm: roll it back.")
    if drifting:
        parts.append(f"{count(drifting)} of {plural(size, 'feature')} {'drifts' if drifting == 1 else 'drift'}.")
    elif size and unknown == size:
        parts.append("Too little data to tell whether anything drifts.")
    elif size:
        rest = f"; too little data for {count(unknown)}" if unknown else ""
        parts.append(f"Nothing drifts: {plural(size - unknown, 'feature')} as in the reference{rest}.")
    else:
        parts.append("No feature has been evaluated yet.")
    return " ".join(parts)


def event_line(event: Event) -> str:
    """
    Return an event as a sentence, without its time.

    >>> from driftline._live.values import ModelKey
    >>> event_line(Event(0.0, "drift", ModelKey("m"), "age", "drifting", "stable", "age: median 30 to 40"))
    'age drifts: median 30 to 40'
    """
    reason = sentence(event.reason.removeprefix(f"{event.subject}: "), MAX_REASON) if event.reason else ""
    after = f": {reason}" if reason else ""
    if event.kind == "canary":
        return f"canary: {clean(event.previous) if event.previous else 'no verdict'} to {clean(event.state)}{after}"
    if event.kind == "retraining":
        return f"retraining requested because of {clean(event.subject, MAX_NAME)}{after}"
    name = clean(event.subject, MAX_NAME)
    if event.state == "drifting":
        return f"{name} drifts{after}"
    if event.previous == "drifting":
        return f"{name} no longer drifts{'' if event.state == 'stable' else after}"
    if event.state == "stable":
        return f"{name} is as in the reference"
    return f"{name}: {WORDS.get(event.state, clean(event.state))}{after}"


def canary_lines(canary: CanaryView) -> Iterator[str]:
    """Yield the reason of a verdict, a line for each criterion."""
    if canary.reason:
        head, colon, rest = canary.reason.partition(": ")
        # The head of some reasons says how much they are based on.
        if colon and head.startswith(("canary healthy", "too early")):
            yield sentence(head, MAX_REASON)
            yield from (sentence(part, MAX_REASON) for part in rest.split("; "))
        else:
            yield from (sentence(part, MAX_REASON) for part in canary.reason.split("; "))
        return
    yield from map(criterion_line, canary.criteria)


def criterion_line(criterion: CriterionView) -> str:
    """Return the evidence about a criterion as a sentence."""
    name = clean(criterion.name.replace("_", " "), MAX_NAME)
    limits = "" if criterion.allowed is None else f", allowed {number(criterion.allowed)}"
    if criterion.harm is None:
        return f"{name}: no evidence yet{limits}"
    ends = [end for end in (criterion.lower, criterion.upper) if end is not None]
    interval = f" ({number(criterion.lower)} to {number(criterion.upper)})" if ends else ""
    return f"{name}: worse by {number(criterion.harm)}{interval}{limits}"


def outcome_line(model: ModelView) -> str:
    """Return the accuracy with the number of outcomes behind it; an empty string if nothing is known."""
    intervals = {each.metric: each for each in model.performance}
    estimated = ""
    if model.estimated is not None:
        estimated = f"{percent(model.estimated)}{_interval(intervals.get('accuracy_estimated'))} estimated without them"
    if model.accuracy is None:
        return f"no outcomes yet; accuracy {estimated}" if estimated else ""
    right, wrong = model.outcomes.get("correct", 0), model.outcomes.get("incorrect", 0)
    known = f", {percent(right / (right + wrong))} of all {count(right + wrong)}" if right + wrong else ""
    latest = f"{percent(model.accuracy)}{_interval(intervals.get('accuracy'))} of the latest outcomes{known}"
    return f"{latest}; {estimated}" if estimated else latest


def _interval(each: Performance | None) -> str:
    if each is None or each.lower is None or each.upper is None:
        return ""
    return f" ({percent(each.lower)} to {percent(each.upper)})"


def quality_lines(model: ModelView) -> Iterator[str]:
    """Yield measures of quality other than the accuracy, each with its interval."""
    for each in model.performance:
        if each.metric not in {"accuracy", "accuracy_estimated"}:
            interval = "" if each.lower is None else f" ({number(each.lower)} to {number(each.upper)})"
            yield f"{clean(each.metric, MAX_NAME)} {number(each.value)}{interval}"


def retraining_line(model: ModelView) -> str:
    """Return how often retraining was requested, why, and what became of the requests."""
    reasons = ", ".join(f"{count(number)} for {clean(each, 30)}" for each, number in model.retraining.items())
    queue = ", ".join(f"{count(number)} {clean(state, 30)}" for state, number in model.queue.items())
    return f"requested: {reasons}{f'; in the queue {queue}' if queue else ''}"


def rest_line(features: Sequence[FeatureView]) -> str:
    """Return what is said of features that are not listed; an empty string without any."""
    if not features:
        return ""
    states = [feature.state for feature in features]
    numbers = [f"{count(states.count(state))} {word}" for state, word in WORDS.items() if state in states]
    return f"and {plural(len(features), 'more feature', 'more features')}: {', '.join(numbers)}"


def evidence(feature: FeatureView) -> tuple[str, str, str]:
    """Return the effect, the p-value and the raw distance of a feature."""
    score = number(feature.score, 2)
    if feature.score is not None and feature.distance != "psi":
        score = f"{clean(feature.distance, 12)} {score}"
    return number(feature.effect, 2), probability(feature.p_value), score
