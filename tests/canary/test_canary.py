"""A canary over two monitors: verdicts that stand, callbacks, exported telemetry, guardrails, arguments."""

from __future__ import annotations

import os

import numpy as np
import pytest

import driftline as dl
from driftline import ConfigurationError
from driftline.canary import judge_canary


@pytest.fixture
def watched(pair, quick):
    """A canary with a single criterion, and the states that its callback received."""
    changes = []
    canary = dl.Canary(*pair, quick(), on_verdict=lambda previous, verdict: changes.append((previous, verdict.state)))
    return canary, changes


def test_calls_before_the_construction_do_not_count(pair, serve, quick):
    serve(pair[0], 50, failed=10)
    canary = dl.Canary(*pair, quick())
    serve(pair[0], 7)
    serve(pair[1], 5, failed=2, correct=1)
    baseline, candidate = canary.evidence().pooled()
    assert (baseline.calls, baseline.failed_calls) == (7, 0)
    assert (candidate.calls, candidate.failed_calls, candidate.known, candidate.correct) == (5, 2, 3, 1)
    assert judge_canary(canary.evidence(), quick()) == canary.verdict()


def test_a_batch_is_a_single_trial_of_many_rows(pair, training, quick):
    """Ten rows that fail together are a single failure; an observed batch is a single trial."""
    canary = dl.Canary(*pair, quick())
    batch = {name: column[:10] for name, column in training.features.items()}

    @pair[1].instrument
    def broken(features):
        raise KeyError

    with pytest.raises(KeyError):
        broken(batch)
    pair[1].observe(batch, training.predictions[:10])
    candidate = canary.evidence().pooled()[1]
    assert (candidate.rows, candidate.calls, candidate.failed_calls, candidate.batches) == (20, 2, 1, 1)
    assert int(candidate.predictions.sum()) == 10
    assert set(candidate.features) == {"age", "amount", "channel", "member"}
    assert candidate.unordered == {"channel", "member"}


def test_rates_of_the_outcomes_are_criteria_by_name(pair, row, quick):
    """A candidate that misses half of a class rolls back by its recall, even without a criterion of accuracy."""
    baseline, candidate = pair
    rates = {"recall True": dl.Guardrail(0.05, kind="rate")}
    canary = dl.Canary(baseline, candidate, quick(rates=rates))
    for monitor, every in ((baseline, 1), (candidate, 2)):
        for number in range(400):
            with monitor.prediction(row) as prediction:
                prediction.output = 0.1 if number % every else 0.9
            monitor.outcome(prediction.id, actual=True)
    verdict = canary.verdict()
    assert verdict.state == "rollback"
    assert "recall True" in verdict.reason
    assert candidate.evidence().rates["recall True"] == (200, 400)


def test_a_rollback_stands(watched, pair, serve):
    """Good calls afterwards change nothing, because the guarantee is about ever rolling back."""
    canary, changes = watched
    serve(pair[0], 300)
    serve(pair[1], 300, failed=60)
    first = canary.verdict()
    serve(pair[1], 5_000)
    later = canary.verdict()
    assert (first.state, later.state, later.reason) == ("rollback", "rollback", first.reason)
    assert later.criteria[0].rows > first.criteria[0].rows or later.criteria != first.criteria
    assert changes == [("inconclusive", "rollback")]


def test_a_promotion_stands_until_a_rollback(watched, pair, serve):
    """The callback receives each change once, with the previous state."""
    canary, changes = watched
    serve(pair[0], 400)
    serve(pair[1], 400)
    assert canary.verdict().state == "promote"
    serve(pair[0], 200)
    serve(pair[1], 10, failed=3)
    assert canary.verdict().state in {"promote", "rollback"}
    serve(pair[1], 400, failed=200)
    assert canary.verdict().state == "rollback"
    assert changes == [("inconclusive", "promote"), ("promote", "rollback")]
    assert canary.state == canary.last.state == "rollback"


def test_a_verdict_by_thresholds_does_not_stand(pair, serve):
    policy = dl.ThresholdPolicy(min_accuracy=None, max_prediction_drift=None, allowed_latency_delta=None, min_rows=10)
    canary = dl.Canary(*pair, policy)
    serve(pair[0], 100, failed=10)
    serve(pair[1], 100, failed=20)
    assert canary.verdict().state == "rollback"
    serve(pair[1], 300)
    assert canary.verdict().state == "promote"


def test_state_is_none_before_the_first_verdict(watched, pair, serve, telemetry):
    canary, _ = watched
    assert (canary.state, canary.last) == (None, None)
    serve(pair[1], 3)
    pair[1].flush()
    assert canary.state == "inconclusive"


def test_status_evidence_and_event_are_exported(watched, pair, serve, telemetry):
    """The candidate exports each state as 0 or 1, the evidence of each criterion, and the change with its reason."""
    canary, _ = watched
    serve(pair[0], 300)
    serve(pair[1], 300, failed=60)
    verdict = canary.verdict()
    states = {
        attributes["ml.canary.state"]: value
        for name, attributes, value in telemetry.points()
        if name == "ml.canary.status" and attributes["ml.model.variant"] == "candidate"
    }
    assert states == {"promote": 0, "rollback": 1, "inconclusive": 0}
    measures = {
        attributes["ml.canary.measure"]: value
        for name, attributes, value in telemetry.points()
        if name == "ml.canary.evidence" and attributes["ml.canary.criterion"] == "error_rate"
    }
    criterion = verdict.criteria[0]
    assert measures == {
        "harm": criterion.value,
        "lower": criterion.lower,
        "upper": criterion.upper,
        "allowed": criterion.limit,
        "e_harm": criterion.e_harm,
        "e_harm_needed": criterion.e_harm_needed,
        "e_safe": criterion.e_safe,
        "e_safe_needed": criterion.e_safe_needed,
    }
    ((_, attributes),) = [event for event in telemetry.events() if event[0] == "ml.canary.verdict_changed"]
    assert attributes["ml.canary.state"] == "rollback"
    assert attributes["ml.canary.previous_state"] == "inconclusive"
    assert attributes["ml.canary.reason"] == verdict.reason
    assert attributes["ml.model.version"] == "2"


def test_an_error_of_the_callback_is_counted(make_monitor, serve, quick, telemetry):
    """The verdict is returned all the same."""
    monitors = [make_monitor("m", version=str(number), synchronous=True, on_error="log") for number in (1, 2)]
    canary = dl.Canary(*monitors, quick(), on_verdict=lambda previous, verdict: 1 / 0)
    serve(monitors[0], 300)
    serve(monitors[1], 300, failed=60)
    assert canary.verdict().state == "rollback"
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="on_verdict") == 1


def test_a_flag_is_on_spans_and_events(make_monitor, serve, quick, telemetry):
    """Each variant has its own result of the flag."""
    monitors = [make_monitor("m", version=str(number), synchronous=True, trace=True) for number in (1, 2)]
    canary = dl.Canary(*monitors, quick(), flag="new-model", flag_provider="flagd")
    serve(monitors[0], 300)
    serve(monitors[1], 300, failed=60)
    canary.verdict()
    flags = {
        span.attributes["ml.model.version"]: {
            name.removeprefix("feature_flag."): value
            for name, value in span.attributes.items()
            if name.startswith("feature_flag.")
        }
        for span in telemetry.spans()
    }
    same = {"key": "new-model", "provider.name": "flagd", "result.reason": "split"}
    assert flags == {"1": {**same, "result.variant": "baseline"}, "2": {**same, "result.variant": "candidate"}}
    ((_, attributes),) = telemetry.events()
    assert attributes["feature_flag.key"] == "new-model"
    assert attributes["feature_flag.result.variant"] == "candidate"


def test_spans_have_no_flag_by_default(make_monitor, serve, telemetry):
    monitors = [make_monitor("m", version=str(number), synchronous=True, trace=True) for number in (1, 2)]
    dl.Canary(*monitors)
    serve(monitors[1], 1)
    assert not [name for span in telemetry.spans() for name in span.attributes if name.startswith("feature_flag")]


# --- guardrails ------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(pair, quick):
    """A canary with two guardrails."""
    guardrails = {"revenue": dl.Guardrail(1.0), "bought": dl.Guardrail(0.05, kind="rate")}
    return dl.Canary(*pair, quick(allowed_error_increase=None, guardrails=guardrails), share=0.5)


def test_observed_guardrails_roll_back(guarded, pair):
    """Observations of several strata add up."""
    revenue, bought = guarded.guardrail("revenue"), guarded.guardrail("bought")
    random = np.random.default_rng(3)
    for share in (0.5, 0.3):
        guarded.share = share
        for value in random.normal(0.0, 1.0, 400):
            for side, mean in (("baseline", 10.0), ("candidate", 7.0)):
                revenue.observe(side, mean + value)
                bought.observe(side, mean + value > 9.0)
    verdict = guarded.verdict()
    assert verdict.state == "rollback"
    assert {one.name: one.state for one in verdict.criteria if one.name in {"revenue", "bought"}} == {
        "revenue": "rollback",
        "bought": "rollback",
    }
    assert [one.guardrails["revenue"][0].count for one in guarded.evidence().strata] == [0, 400, 400][
        -len(guarded.evidence().strata) :
    ]


def test_observations_have_the_time_of_the_monitors_clock(guarded, clock):
    """They are compared within blocks of the same clock as calls."""
    for _ in range(3):
        clock.now += 10.0
        guarded.guardrail("revenue").observe("candidate", 1.0)
    (stratum,) = guarded.evidence().strata
    blocks = stratum.values["revenue"][1].blocks
    assert (blocks.level, blocks.first, len(blocks)) == (0, 1_700_000_010, 21)


@pytest.mark.parametrize(
    ("name", "observation"),
    [
        ("revenue", ("canary", 1.0)),
        ("revenue", ("candidate", float("nan"))),
        ("revenue", ("candidate", "much")),
        ("revenue", ("candidate", None)),
        ("revenue", ("candidate", float("-inf"))),
        ("revenue", ("candidate", 1e200)),
        ("revenue", ("candidate", 10**400)),
        ("bought", ("candidate", 0.5)),
        ("revenue", ("candidate", 1.0, 2.5)),
    ],
)
def test_invalid_observations_are_dropped_and_counted(make_monitor, quick, name, observation, telemetry, row):
    monitors = [make_monitor("m", version=str(number), synchronous=True, on_error="log") for number in (1, 2)]
    guardrails = {"revenue": dl.Guardrail(1.0), "bought": dl.Guardrail(0.05, kind="rate")}
    canary = dl.Canary(*monitors, quick(guardrails=guardrails))
    canary.guardrail(name).observe(*observation)
    assert sum(one.count for one in canary.evidence().strata[0].guardrails[name]) == 0
    with monitors[1].prediction(row):
        pass
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="guardrail") == 1


def test_observations_of_a_key_are_in_its_bucket(guarded):
    """Keys of one customer have one bucket."""
    revenue = guarded.guardrail("revenue")
    for value in range(20):
        revenue.observe("candidate", float(value), key="customer-7")
    tables = guarded.evidence().strata[-1].values["revenue"][1]
    assert tables.keys[..., 0].sum(axis=1).tolist().count(20) == 1
    assert tables.count == 20


def test_unknown_guardrails_are_rejected(guarded, pair):
    """The message names the guardrails of the policy."""
    with pytest.raises(
        ConfigurationError, match=r"guardrail\('profit'\): expected one of the policy's: revenue, bought"
    ):
        guarded.guardrail("profit")
    with pytest.raises(ConfigurationError, match=r"guardrail\('profit'\): expected one of the policy's: it has none"):
        dl.Canary(*pair).guardrail("profit")


# --- construction ----------------------------------------------------------------------------------------------------


def test_invalid_arguments_are_rejected(pair, make_monitor, training, tmp_path):
    """The message names the value and the expected kind."""
    baseline, candidate = pair
    other = make_monitor("m", version="3", reference=dl.Reference.fit({"x": [1.0, 2.0]}, predictions=[1.0, 5.0]))
    for arguments, options, message in (
        ((None, candidate), {}, "baseline=None: expected a Monitor, or None with path="),
        ((baseline, None), {}, "candidate=None: expected a Monitor, or None with path="),
        (
            (None, None),
            {"path": tmp_path / "x.db"},
            "baseline=None: expected a Monitor, or None with path=",
        ),
        ((7, candidate), {"path": tmp_path / "x.db"}, "baseline=7: expected a Monitor$"),
        ((baseline, baseline), {}, "are one monitor: expected two"),
        (
            (baseline, make_monitor("m", version="1", variant="baseline")),
            {},
            "both monitors are .*: expected different",
        ),
        ((baseline, other), {}, "over different bins: expected one reference for both"),
        (pair, {"policy": 0.05}, "policy=0.05: expected a CanaryPolicy or a ThresholdPolicy"),
        (pair, {"policy": dl.CanaryPolicy}, "policy=<class .*: expected a CanaryPolicy"),
        (pair, {"salt": 7}, "salt=7: expected a string"),
        (pair, {"flag": 7}, "flag=7: expected a string"),
        (pair, {"flag_provider": 7}, "flag_provider=7: expected a string"),
        (pair, {"on_verdict": "mail"}, "on_verdict='mail': expected a function"),
        (pair, {"path": 7}, "path=7: expected the path of a file"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            dl.Canary(*arguments, **options)


def test_one_variant_alone_needs_a_path(pair, tmp_path, serve):
    """The evidence of the other variant comes from the file."""
    baseline, candidate = pair
    path = tmp_path / "canary.db"
    trusted, trial = dl.Canary(baseline=baseline, path=path), dl.Canary(candidate=candidate, path=path)
    serve(baseline, 30)
    assert trusted.verdict().state == "inconclusive"
    serve(candidate, 20, failed=20)
    serve(baseline, 30)
    trusted.verdict()
    assert trial.verdict().state == "rollback"
    assert trusted.verdict().state == "rollback"
    assert [side.calls for side in trusted.evidence().pooled()] == [60, 20]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_child_of_a_fork_starts_from_zero(watched, pair, serve):
    """It has neither the counts nor the state of the parent."""
    canary, _ = watched
    serve(pair[0], 20)
    canary.verdict()
    child = os.fork()
    if child == 0:
        fresh = canary.state is None and canary.evidence().pooled()[0].calls == 0
        os._exit(0 if fresh else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_background_decisions_pause(watched, pair, serve):
    """After a decision, `refresh` waits; `verdict` decides immediately."""
    canary, _ = watched
    canary.refresh()
    first = canary.last
    serve(pair[1], 5)
    canary._next_refresh = float("inf")
    canary.refresh()
    assert canary.last is first
    assert canary.verdict() is not first
    canary._next_refresh = 0.0
    serve(pair[1], 5)
    last = canary.last
    canary.refresh()
    assert canary.last is not last
