"""The verdict of a report in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from driftline._drawing.text import clean, count, number, percent, plural
from driftline._report.values import CanaryValues, FeatureValues, OutcomeValues, StateValues

__all__ = ["headline", "is_conspicuous", "sentences"]

LARGE_EFFECT = 0.25
"""Corrected PSI from which a feature looks different: a shift of the mean by half a standard deviation."""

MAX_NAMES = 3
"""Names of features in a sentence."""


def headline(features: Sequence[FeatureValues], canary: CanaryValues | None) -> str:
    """Return the verdict as a sentence."""
    if canary is not None and (canary.state == "rollback" or not features):
        return _canary(canary)
    return _drift(features) if features else "Nothing has been compared yet."


def _drift(features: Sequence[FeatureValues]) -> str:
    states = [feature.state for feature in features if not feature.output]
    shifted = any(feature.output and feature.state == "drifting" for feature in features)
    drifting, unknown, size = states.count("drifting"), states.count("insufficient_data"), len(states)
    total = plural(size, "feature")
    if drifting:
        every = {1: "The only feature", 2: "Both features"}.get(size, f"All {total}")
        part = every if drifting == size else f"{count(drifting)} of {total}"
        return f"{part} {'drifts' if drifting == 1 else 'drift'}{', and so does the prediction' if shifted else ''}."
    if shifted:
        return "The prediction drifts, and no feature does." if not unknown else "The prediction drifts."
    if unknown == size:
        return "Too little data to tell whether anything drifts."
    if unknown:
        return f"No drift in {count(size - unknown)} of {total}; too little data for the rest."
    every = {1: "the only feature is", 2: "both features are"}.get(size, f"all {total} are")
    return f"Nothing drifts: {every} as in the reference."


def _canary(canary: CanaryValues) -> str:
    return {
        "promote": "The candidate may take over.",
        "rollback": "The candidate does harm: roll it back.",
        "inconclusive": "Too early to decide about the candidate.",
    }[canary.state]


def sentences(
    features: Sequence[FeatureValues],
    states: Sequence[StateValues],
    outcomes: OutcomeValues | None,
    canary: CanaryValues | None,
) -> Iterator[str]:
    """Yield what else matters most, a sentence each."""
    unknown = sum(feature.state == "insufficient_data" for feature in features)
    if unknown and any(feature.state == "drifting" for feature in features):
        yield f"{plural(unknown, 'feature')} {'has' if unknown == 1 else 'have'} too little data."
    yield from _conspicuous(features)
    for state in states:
        if state.state == "drifting":
            yield f"{state.name}: {state.reason}."
    if outcomes is not None:
        yield from _accuracy(outcomes)
    if canary is not None and features:
        yield _drift(features) if canary.state == "rollback" else _canary(canary)


def is_conspicuous(feature: FeatureValues) -> bool:
    """Return whether a feature looks different, although too little is known to call it drifting."""
    return feature.state == "insufficient_data" and (feature.effect or 0.0) >= LARGE_EFFECT


def _conspicuous(features: Sequence[FeatureValues]) -> Iterator[str]:
    different = [feature for feature in features if is_conspicuous(feature)]
    if different:
        names = [f"{clean(each.name, 30)} (PSI {number(each.effect)})" for each in different[:MAX_NAMES]]
        if len(different) > MAX_NAMES:
            names.append(plural(len(different) - MAX_NAMES, "other"))
        shown = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        verb = "looks" if len(different) == 1 else "look"
        yield f"{shown} {verb} different. Too little is known to tell whether that is chance."


def _accuracy(outcomes: OutcomeValues) -> Iterator[str]:
    usual = "" if outcomes.reference is None else f", {percent(outcomes.reference)} in the reference"
    if outcomes.accuracy is not None:
        yield f"{percent(outcomes.accuracy)} of {plural(outcomes.known, 'outcome')} confirm the prediction{usual}."
    elif outcomes.estimated is not None:
        estimate = outcomes.estimated
        yield (
            f"Expected accuracy, before outcomes arrive: {percent(estimate.value)} "
            f"({percent(estimate.lower)} to {percent(estimate.upper)}){usual}."
        )
