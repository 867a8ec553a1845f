"""Evidence built by hand, and pairs of monitors to serve with."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline._windows.totals import DURATION_EDGES
from driftline.canary import CanaryEvidence, Stratum, VariantEvidence

EDGES = tuple(DURATION_EDGES.tolist())


def durations(*seconds):
    """Return counts of durations in the recorder's bins."""
    return np.bincount(np.searchsorted(DURATION_EDGES, seconds, side="right"), minlength=len(EDGES) + 1)


def variant(calls=0, failed=0, known=0, correct=0, seconds=(), predictions=None, **more):
    """Return the counts of a variant: calls of one row each that take *seconds*, by default 10 ms each."""
    served = calls - failed
    counts = None if predictions is None else np.array(predictions, dtype=np.int64)
    durations_of_calls = durations(*seconds) if len(seconds) else durations(*[0.01] * served)
    return VariantEvidence(served, failed, durations_of_calls, EDGES, known, correct, counts, failed, **more)


def evidence_of(baseline, candidate, share=None, *, sticky=False, seconds=0.0, guardrails=None, **more):
    """Return evidence of one stratum."""
    stratum = Stratum(share, sticky, baseline, candidate, guardrails or {})
    return CanaryEvidence((stratum,), seconds=seconds, **more)


@pytest.fixture(name="variant")
def _variant():
    return variant


@pytest.fixture(name="evidence_of")
def _evidence_of():
    return evidence_of


@pytest.fixture
def pair(make_monitor):
    """Baseline and candidate, two synchronous monitors of one reference."""
    options = {"synchronous": True}
    return (
        make_monitor("m", version="1", variant="baseline", **options),
        make_monitor("m", version="2", variant="candidate", **options),
    )


@pytest.fixture
def serve(row):
    """Serve *calls* calls with a monitor, of which the last *failed* raise."""

    def call(monitor, calls, failed=0, correct=None):
        for number in range(calls):
            if number >= calls - failed:
                with pytest.raises(KeyError), monitor.prediction(row):
                    raise KeyError
                continue
            with monitor.prediction(row) as prediction:
                prediction.output = 0.7
            if correct is not None:
                monitor.outcome(prediction.id, number < correct)

    return call


@pytest.fixture
def quick():
    """A policy with a single criterion, the error rate."""

    def policy(**more):
        nothing = dict.fromkeys(
            ("allowed_accuracy_drop", "allowed_latency_delta", "allowed_prediction_drift", "allowed_feature_drift")
        )
        return dl.CanaryPolicy(**nothing | {"allowed_error_increase": dl.Margin(0.05, any_harm=True)} | more)

    return policy
