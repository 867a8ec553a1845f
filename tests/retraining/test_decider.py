"""Tests of decisions over several windows: persistence, labels, cooldown, broken data, and the replay of the past."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftline import FeatureStatus
from driftline.retraining import RetrainingPolicy, RetrainingQueue, RetrainingSituation
from driftline.retraining._decider import Decider

DAY = 86_400.0
STABLE = FeatureStatus("stable", 0.5, 0.0, 500, "as the reference")
DRIFTING = FeatureStatus("drifting", 1e-9, 0.4, 500, "age: median 40 to 50")


@pytest.fixture
def queue():
    queue = RetrainingQueue()
    yield queue
    queue.close()


def window(at, *drifting, broken=(), labels=None, reference="r1", effect=0.4):
    """A window in which these features drift, and the data of some are broken."""
    states = {name: replace(DRIFTING, effect=effect) if name in drifting else STABLE for name in ("age", "fare")}
    return RetrainingSituation(
        at=at,
        status=states,
        labels=labels,
        broken={name: f"{name}: 80% are missing, 0% in the reference" for name in broken},
        reference=reference,
        window="1h",
    )


def decide(decider, *situations):
    """Whether each window makes a new request, True or False; or why it is held back."""
    results = []
    for situation in situations:
        decision = decider.decide(situation)
        new = [each.is_new for each in decision.submissions]
        results.append(decision.held or (new[-1] if new else None))
    return results


def test_k_of_n_windows_must_speak_for_retraining(queue):
    decider = Decider(RetrainingPolicy(persistence=(2, 3)), queue, "m", "3", 50.0)
    assert decide(decider, window(100.0, "age"), window(200.0), window(300.0), window(400.0, "age")) == [
        "1 of the last 3 windows, needs 2",
        None,
        None,
        "1 of the last 3 windows, needs 2",
    ]
    assert decide(decider, window(500.0), window(600.0, "age")) == [None, True]
    (request,) = queue.requests()
    assert request.id.startswith("retrain-m-3-1-")
    # The data to train with begin before the first of these windows.
    assert (request.data_from, request.data_until, request.created) == (300.0, 600.0, 600.0)
    assert (request.reference, request.window, request.features) == ("r1", "1h", ("age",))


def test_a_worse_trigger_updates_the_open_request(queue):
    """Its evidence gets worse and never better; features are added; it stays one request, also while it runs."""
    decider = Decider(RetrainingPolicy(persistence=(1, 1)), queue, "m", "3")
    assert decide(decider, window(1.0, "age")) == [True]
    (first,) = queue.requests()
    queue.move(first.id, "running", who="airflow")
    situations = [window(2.0, "age", effect=0.1), window(3.0, "age", "fare", effect=0.9), window(4.0, "age")]
    assert decide(decider, *situations) == [False] * 3
    (request,) = queue.requests()
    assert (request.id, request.state, request.count, request.last_seen) == (first.id, "running", 4, 4.0)
    assert [(each.name, each.value) for each in request.evidence] == [("age", 0.9), ("fare", 0.9)]
    assert request.features == ("age", "fare")
    assert request.data_until == 4.0


def test_a_request_needs_new_labels_if_labels_are_reported(queue):
    """Since the last request. Without any labels the condition cannot hold anything back."""
    decider = Decider(RetrainingPolicy(persistence=(1, 1), min_labels=100, cooldown=0), queue, "m", None)
    assert decide(decider, window(1.0, "age", labels=99)) == ["99 new labels, needs 100"]
    assert decide(decider, window(2.0, "age", labels=100)) == [True]
    queue.move(queue.requests()[0].id, "failed", who="anna")
    assert decide(decider, window(3.0, "age", labels=150)) == ["50 new labels, needs 100"]
    assert decide(decider, window(4.0, "age", labels=200)) == [True]
    unlabelled = Decider(RetrainingPolicy(persistence=(1, 1), min_labels=100), queue, "other", None)
    assert decide(unlabelled, window(5.0, "age")) == [True]


def test_the_cooldown_lasts_until_something_new_serves(queue):
    """After a success, for as long as the same version and reference serve. After a rejection, for its time."""
    policy = RetrainingPolicy(persistence=(1, 1), cooldown="7d")
    decider = Decider(policy, queue, "m", "3")
    assert decide(decider, window(1.0, "age")) == [True]
    (first,) = queue.requests()
    queue.move(first.id, "succeeded", who="airflow", at=DAY)
    (held,) = decide(decider, window(30 * DAY, "age"))
    assert held == f"{first.id} succeeded, and no other version or reference has begun to serve"
    # Another reference: the cooldown counts from the end.
    queue.serve("m", "3", "r2", at=31 * DAY)
    assert decide(decider, window(32 * DAY, "age", reference="r2")) == [True]
    second = queue.requests()[-1]
    queue.move(second.id, "rejected", who="anna", comment="a holiday", at=33 * DAY)
    (held,) = decide(decider, window(36 * DAY, "age", reference="r2"))
    assert held == f"{second.id} ended as rejected 3 days ago, and the cooldown is 7 days"
    assert decide(decider, window(41 * DAY, "age", reference="r2")) == [True]
    assert [each.ordinal for each in queue.requests()] == [1, 2, 3]
    # Of a new version too, and its numbers begin again.
    queue.move(queue.requests()[-1].id, "failed", who="airflow", at=41 * DAY)
    newer = Decider(policy, queue, "m", "4")
    assert decide(newer, window(42 * DAY, "age"))[0].endswith("the cooldown is 7 days")
    assert decide(newer, window(50 * DAY, "age")) == [True]
    assert queue.requests()[-1].id.startswith("retrain-m-4-1-")


def test_broken_data_request_a_fix_and_hold_retraining_back(queue):
    """Drift of the broken feature does not count as long as it lasts; the fix ends by itself."""
    decider = Decider(RetrainingPolicy(persistence=(2, 3)), queue, "m", "3")
    reason = "the data of age are broken: fix the pipeline first"
    assert decide(decider, *(window(float(at), "age", "fare", broken=["age"]) for at in range(4))) == [reason] * 4
    (fix,) = queue.requests()
    assert (fix.kind, fix.reason, fix.features, fix.count) == ("fix_pipeline", "broken_data", ("age",), 4)
    assert fix.id.startswith("fix-m-3-1-")
    assert fix.detail == "age: 80% are missing, 0% in the reference"
    # The long windows still hold broken rows.
    assert decide(decider, window(5.0, "age"), window(6.0, "age"), window(7.0, "age"), window(8.0)) == [None] * 4
    (fix,) = queue.requests()
    assert (fix.state, fix.history[-1].comment) == ("succeeded", "no broken data in 3 windows")
    assert decide(decider, window(9.0, "age"), window(10.0, "age"))[-1] is True
    # Another feature that really drifts is not held back by one that was broken.
    other = Decider(RetrainingPolicy(persistence=(1, 1)), queue, "other", "3")
    decide(other, window(1.0, "age", broken=["age"]))
    assert decide(other, window(2.0, "age", "fare")) == [True]
    assert queue.requests("other", states=("requested",))[-1].features == ("fare",)


def test_a_rejected_fix_says_that_the_data_are_right(queue):
    """Until another reference serves, what looks broken counts as drift."""
    decider = Decider(RetrainingPolicy(persistence=(1, 1)), queue, "m", "3")
    decide(decider, window(1.0, "age", broken=["age"]))
    queue.move(queue.requests()[0].id, "rejected", who="anna", comment="we fly to Mars now")
    assert decide(decider, window(2.0), window(3.0, "age", broken=["age"])) == [None, True]
    assert queue.requests()[-1].kind == "retrain"
    assert decide(decider, window(4.0, "age", broken=["age"], reference="r2"))[0].startswith("the data of age")


def test_suspected_data_wait_for_the_next_window(queue):
    """Such as a window that is not complete when the accuracy falls."""
    decider = Decider(RetrainingPolicy(persistence=(1, 1)), queue, "m", "3")
    suspected = replace(window(1.0, "age"), suspected={"fare": "fare: 80% are missing, 0% in the reference"})
    assert decide(decider, suspected) == ["the data of fare may be broken: the next window decides"]
    assert queue.requests() == ()
    assert decide(decider, window(2.0, "age")) == [True]


def test_accuracy_of_broken_rows_does_not_count(queue):
    """After a repair, until as many outcomes are new as the accuracy has."""
    decider = Decider(RetrainingPolicy(persistence=(1, 1), min_labels=100), queue, "m", "3")
    low = {"prediction.accuracy": replace(DRIFTING, rows=500, reason="accuracy is low")}
    decide(decider, replace(window(1.0, "age", broken=["age"], labels=1_000), limits=low))
    results = decide(decider, *(replace(window(float(at), labels=1_000 + 200 * at), limits=low) for at in (2, 3, 4, 5)))
    assert results == [None, None, None, True]


def test_broken_data_may_be_ignored(queue):
    decider = Decider(RetrainingPolicy(persistence=(1, 1), broken_data=False), queue, "m", "3")
    assert decide(decider, window(1.0, "age", broken=["age"])) == [True]
    assert queue.requests()[0].kind == "retrain"


def test_another_reference_starts_the_windows_again(queue):
    decider = Decider(RetrainingPolicy(persistence=(2, 2)), queue, "m", "3")
    held = "1 of the last 2 windows, needs 2"
    assert decide(decider, window(1.0, "age"), window(2.0, "age", reference="r2")) == [held, held]


def test_a_replay_shows_when_it_would_have_asked():
    """Two weeks of drift with a cooldown of a week: two requests, and why there were not more."""
    policy = RetrainingPolicy(persistence=(2, 2), cooldown="7d")
    history = [window(day * DAY, *(["age"] if day >= 3 else [])) for day in range(15)]
    replayed = policy.replay(history, model="flights", version="3")
    assert [each.created / DAY for each in replayed.requests] == [4.0, 12.0]
    assert replayed.windows == 15
    assert (replayed.start, replayed.end) == (0.0, 14 * DAY)
    assert replayed.held == {"too few windows in a row": 1, "the cooldown": 9}
    assert str(replayed).splitlines()[:2] == [
        "15 windows, 2 requests",
        "1970-01-05 00:00  retrain: age: median 40 to 50",
    ]
    assert policy.queue.requests() == ()
    assert str(policy.replay([])) == "0 windows, 0 requests"
