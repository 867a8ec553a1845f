"""Evidence built by hand, and pairs of monitors to serve with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from otlp_requests import EveryPoint, ThroughOtlp

import driftline as dl
from driftline._windows.blocks import BlockCounts
from driftline._windows.call_tables import CallTables
from driftline._windows.outcome_tables import AGE_EDGES, OutcomeTables
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


def evidence_of(baseline, candidate, share=None, *, sticky=False, seconds=0.0, guardrails=None, values=None, **more):
    """Return evidence of one stratum."""
    stratum = Stratum(share, sticky, baseline, candidate, guardrails or {}, values or {})
    return CanaryEvidence((stratum,), seconds=seconds, **more)


START = 1_700_000_000
"""Unix time at which the canaries of these tests begin, a multiple of 2^8 s."""


def blocks(counts, level=0, first=None):
    """Return counts by block of time, shape (blocks, columns), from the start on."""
    return BlockCounts(level, (START >> level) if first is None else first, np.array(counts, dtype=np.int64))


def call_tables(calls, raised, keys=None, bins=None, level=0):
    """Return the tables of one variant: calls by block, raised calls by block, and (calls, raised) by bucket."""
    tables = CallTables.none()
    counts = np.stack([calls, raised], axis=1)
    buckets = tables.keys if keys is None else np.array(keys, dtype=np.int64)
    return replace(tables, calls=blocks(counts, level), keys=buckets, bins=bins or {})


def timed_variant(calls, raised, keys=None, bins=None, level=0, **more):
    """Return the counts of a variant whose calls are counted by time and, if *keys* are given, by key."""
    tables = call_tables(calls, raised, keys, bins, level)
    return variant(int(np.sum(calls)), int(np.sum(raised)), call_tables=tables, **more)


def outcome_variant(predicted, bad, good, keys=None, delays=None, rates=None, level=12):
    """Return the counts of a variant whose outcomes are counted by the time of the prediction, in blocks of 1.1 h."""
    tables = replace(
        OutcomeTables.none(),
        predictions=blocks(np.stack([predicted, bad, good], axis=1), level),
        delays=blocks(np.zeros((len(predicted), len(AGE_EDGES) + 1)) if delays is None else delays, level),
        rates={name: blocks(counts, level) for name, counts in (rates or {}).items()},
    )
    if keys is not None:
        tables = replace(tables, keys=np.array(keys, dtype=np.int64))
    return variant(
        int(np.sum(predicted)),
        known=int(np.sum(bad) + np.sum(good)),
        correct=int(np.sum(good)),
        outcome_tables=tables,
        call_tables=call_tables(predicted, np.zeros_like(predicted), level=level),
    )


@pytest.fixture(name="timed_variant")
def _timed_variant():
    return timed_variant


@pytest.fixture(name="outcome_variant")
def _outcome_variant():
    return outcome_variant


class Clock:
    """A clock that a test sets, as `now` in Unix seconds."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=[EveryPoint, ThroughOtlp])
def store(request):
    """A `CountSource` that keeps what exporters export."""
    return request.param()


@pytest.fixture(name="variant")
def _variant():
    return variant


@pytest.fixture(name="evidence_of")
def _evidence_of():
    return evidence_of


@pytest.fixture
def pair(make_monitor, clock):
    """
    Baseline and candidate, two synchronous monitors of one reference, whose time stands still.

    Calls are compared within blocks of a second. On a slow machine those of the two would be in different ones.
    """
    options = {"synchronous": True, "wall_clock": clock}
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
