"""A canary whose labels come late, and wrong predictions at another delay than right ones."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline.canary import judge_canary
from driftline.canary._exported import Selection, read_exported
from driftline.testing import ManualClock

DAY = 86_400.0
CALLS_A_DAY, HISTORY, SLOW = 400, 15, 10.0
"""Calls of both variants, days that the baseline has served before, and days until the slow outcomes come."""

QUICK_DAYS = 0.5
"""Largest delay of the quick outcomes, in days."""


class Service:
    """
    A service that gets 400 calls a day, of which each wrong prediction, or each right one, is known on the same day.

    Args:
        make_monitor: makes a monitor of a version.
        worse: by how much more of the candidate's predictions are wrong than a third.
        quick: which predictions have their outcome on the same day: "wrong" or "right". The others have it after ten
            days.
    """

    def __init__(self, make_monitor, worse, quick):
        self.clock, self.random = ManualClock(1.7e9), np.random.default_rng(5)
        self.make, self.worse, self.quick = make_monitor, worse, quick
        self.variants, self.due, self.calls = [self.monitor("1")], [], 0

    def monitor(self, version):
        clocks = {"clock": self.clock, "wall_clock": self.clock}
        return self.make("late", version=version, outcomes=dl.OutcomePolicy(max_drop=None), synchronous=True, **clocks)

    def run(self, days):
        """Serve, and report the outcomes that are due, four times a day."""
        for _ in range(4 * days):
            due = [entry for entry in self.due if entry[0] <= self.clock()]
            self.due = [entry for entry in self.due if entry[0] > self.clock()]
            for _, monitor, prediction_id, label in due:
                monitor.outcome(prediction_id, label)
            sides = self.random.integers(0, len(self.variants), CALLS_A_DAY // 4)
            for side, monitor in enumerate(self.variants):
                self.serve(monitor, int((sides == side).sum()), 0.33 + side * self.worse)
            self.clock.advance(DAY / 4)

    def serve(self, monitor, size, share):
        """Predict true for rows of which a share is false."""
        ids = list(range(self.calls, self.calls + size))
        self.calls += size
        monitor.observe({"age": self.random.normal(40, 10, size)}, np.full(size, 0.9), prediction_ids=ids)
        for prediction_id, wrong in zip(ids, self.random.random(size) < share, strict=True):
            days = QUICK_DAYS * self.random.random() if wrong == (self.quick == "wrong") else SLOW
            self.due.append((self.clock() + days * DAY, monitor, prediction_id, not wrong))


class Pods:
    """A canary of two pods, of which the first was a candidate itself and was promoted."""

    def __init__(self, service, store):
        self.service, self.store = service, store
        self.canaries = [dl.Canary(candidate=service.variants[0], id="first", export=True)]

    def begin(self):
        """Begin the canary of the second pod."""
        self.export()
        self.canaries.append(dl.Canary(candidate=self.service.variants[1], id="second", export=True))

    def export(self):
        for canary in self.canaries:
            self.store.add(self.service.clock(), canary.points())

    def verdict(self):
        """Return the verdict on what both pods have exported."""
        self.export()
        selection = Selection(model="late", canary_id="second", baseline_version="1", interval=DAY)
        exported = read_exported(self.store, selection, self.service.clock())
        assert (exported.processes, exported.notes) == ((1, 1), ())
        return judge_canary(exported.evidence, dl.CanaryPolicy())


@pytest.fixture(params=["one process", "pods"])
def make_service(make_monitor, request, store):
    """Return a function that makes a service whose baseline has served for fifteen days, and its new canary."""
    reference = dl.Reference.fit({"age": np.random.default_rng(0).normal(40, 10, 1_000)})

    def make(worse, quick):
        service = Service(lambda *names, **options: make_monitor(*names, reference=reference, **options), worse, quick)
        pods = Pods(service, store) if request.param == "pods" else None
        service.run(HISTORY)
        service.variants.append(service.monitor("2"))
        if pods is None:
            return service, dl.Canary(*service.variants)
        pods.begin()
        return service, pods

    return make


def first_rollback(service, canary, days):
    """Return the day of the rollback, and the verdict; None if there is none."""
    for day in range(days):
        service.run(1)
        verdict = canary.verdict()
        if verdict.state == "rollback":
            return day, verdict
    return None, verdict


@pytest.mark.slow
@pytest.mark.parametrize("quick", ["wrong", "right"])
def test_equal_variants_are_not_rolled_back(make_service, quick):
    """Although the baseline has outcomes of fifteen days, which are old, and the candidate has early ones only."""
    day, verdict = first_rollback(*make_service(0.0, quick), days=15)
    assert day is None, verdict.reason
    assert verdict.state == "inconclusive"
    assert "of the predictions at equal age" in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize(("quick", "latest"), [("wrong", 8), ("right", 22)])
def test_a_candidate_that_is_20_points_worse_is_rolled_back(make_service, quick, latest):
    """Soon after its wrong predictions are known. Pods export fewer and longer blocks of time."""
    day, verdict = first_rollback(*make_service(0.2, quick), days=latest)
    assert day is not None, verdict.reason
    assert "wrong so far" in verdict.reason


def accuracy_states(service, canary, days):
    """Return the state of the criterion of accuracy on each day."""
    states = []
    for _ in range(days):
        service.run(1)
        (accuracy,) = (criterion for criterion in canary.verdict().criteria if criterion.name == "accuracy")
        states.append(accuracy.state)
    return states


@pytest.mark.slow
@pytest.mark.parametrize("quick", ["wrong", "right"])
def test_a_better_candidate_is_promoted_once_its_outcomes_are_there(make_service, quick):
    """How late outcomes come is learned from the baseline's."""
    states = accuracy_states(*make_service(-0.2, quick), days=20)
    assert "rollback" not in states
    assert "promote" not in states[:9]
    assert states[-1] == "promote"


@pytest.mark.slow
@pytest.mark.parametrize("quick", ["wrong", "right"])
def test_a_worse_candidate_is_not_promoted_by_its_early_outcomes(make_service, quick):
    """On no day."""
    assert "promote" not in accuracy_states(*make_service(0.2, quick), days=12)
