"""The time of a prediction, where only the wall clock of a monitor is the user's."""

from __future__ import annotations

import driftline as dl

DAY = 86_400.0


def test_late_outcomes_count_at_the_time_of_the_prediction() -> None:
    """Beside the monotonic clock of the system, ten days would be as short as the test."""
    now = [1_700_000_000.0]
    reference = dl.Reference.fit({"x": [0.0, 1.0, 2.0]}, predictions=[0.1, 0.5, 0.9], outcomes=[0, 1, 1])
    old, new = (
        dl.Monitor("m", version=version, reference=reference, synchronous=True, wall_clock=lambda: now[0])
        for version in ("1", "2")
    )
    canary = dl.Canary(old, new, share=0.5)
    now[0] += DAY
    with new.prediction({"x": 1.0}, prediction_id="a") as call:
        call.output = 0.9
    canary.evidence()
    now[0] += 2.0 * DAY
    new.outcome("a", 0)
    tables = canary.evidence().strata[0].candidate.outcome_tables
    assert tables is not None
    counts = tables.predictions.counts
    assert counts[counts.any(axis=1)].tolist() == [[1, 1, 0]]
    assert tables.delays.total().argmax() > 1
