"""Margins, guardrails and policies: accepted values, and messages for rejected ones."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import CanaryPolicy, ConfigurationError, Guardrail, Margin

NOTHING = dict.fromkeys(
    (
        "allowed_error_increase",
        "allowed_accuracy_drop",
        "allowed_latency_delta",
        "allowed_prediction_drift",
        "allowed_disagreement",
    )
)


def test_numbers_are_absolute_margins():
    """In a policy, and in a guardrail."""
    assert CanaryPolicy(allowed_latency_delta=0.02).allowed_latency_delta == Margin(0.02)
    assert Guardrail(3).margin == Margin(3.0)
    assert CanaryPolicy(guardrails={"revenue": 0.5}).guardrails == {"revenue": Guardrail(Margin(0.5))}
    assert CanaryPolicy(rates={"precision": 0.01}).rates == {"precision": Guardrail(Margin(0.01), "higher", "rate")}
    assert CanaryPolicy(latency_quantile=[0.5, 0.99]).latency_quantile == (0.5, 0.99)
    assert CanaryPolicy(max_time="2h").max_time == 7_200.0


def test_a_margin_is_a_sum_or_the_larger_part():
    """A tenth of 20 ms is less than 5 ms, a tenth of 80 ms is more."""
    assert Margin(0.005, relative=0.1).allowed(0.02) == pytest.approx(0.007)
    larger = Margin(0.005, relative=0.1, combine="larger")
    assert (larger.allowed(0.02), larger.allowed(-0.08)) == (0.005, pytest.approx(0.008))
    assert CanaryPolicy().allowed_latency_delta == larger


@pytest.mark.parametrize(
    ("warm_up", "calls", "seconds"),
    [(30, 30, 0.0), (np.int64(5), 5, 0.0), ("2min", 0, 120.0), ("500ms", 0, 0.5), (0, 0, 0.0), (None, 0, 0.0)],
)
def test_a_warm_up_is_calls_or_seconds(warm_up, calls, seconds):
    policy = CanaryPolicy(warm_up=warm_up)
    assert (policy.warm_up_calls, policy.warm_up_seconds) == (calls, seconds)
    assert (CanaryPolicy().warm_up_calls, CanaryPolicy().warm_up_seconds) == (30, 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Margin(-0.1), "absolute=-0.1: expected a number from 0"),
        (lambda: Margin("0.1"), "absolute='0.1': expected a number from 0"),
        (lambda: Margin(relative=float("nan")), "relative=nan: expected a number from 0"),
        (lambda: Margin(relative=True), "relative=True: expected a number from 0"),
        (lambda: Margin(any_harm=1), "any_harm=1: expected True or False"),
        (lambda: Margin(weight=0), "weight=0: expected a number above 0"),
        (lambda: Margin(weight=float("inf")), "weight=inf: expected a number above 0"),
        (lambda: Margin(combine="max"), "combine='max': expected 'sum' or 'larger'"),
        (lambda: Guardrail(None), "margin=None: expected a Margin or a number"),
        (lambda: Guardrail("1"), "margin='1': expected a Margin, a number from 0"),
        (lambda: Guardrail(1, "up"), "better='up': expected 'higher' or 'lower'"),
        (lambda: Guardrail(1, kind="sum"), "kind='sum': expected 'mean' or 'rate'"),
        (lambda: CanaryPolicy(**NOTHING), "every margin is None, expected at least one criterion"),
    ],
)
def test_invalid_margins_are_rejected(make, message):
    """The message names the value and the expected kind."""
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"allowed_error_increase": -1},
            "allowed_error_increase=-1: expected a Margin, a number from 0 to .*, or None",
        ),
        ({"allowed_accuracy_drop": "2%"}, "allowed_accuracy_drop='2%': expected a Margin"),
        ({"allowed_latency_delta": True}, "allowed_latency_delta=True: expected a Margin"),
        ({"allowed_prediction_drift": 1}, "allowed_prediction_drift=1: expected an absolute margin below 1"),
        ({"allowed_prediction_drift": Margin(relative=0.1)}, "expected an absolute margin below 1"),
        ({"allowed_disagreement": 0}, "allowed_disagreement=0: expected a positive share"),
        ({"allowed_feature_drift": 1.5}, "allowed_feature_drift=1.5: expected a number from 0 to 0.99"),
        ({"allowed_accuracy_drop": Margin(0.1, combine="larger")}, "because the margin of a rate is a sum"),
        ({"allowed_accuracy_drop": 2}, "allowed_accuracy_drop=2.0: expected a share of at most 1, such as 0.02"),
        ({"rates": {"recall": 5}}, "expected a share of at most 1"),
        ({"guardrails": {"r": Guardrail(Margin(combine="larger"), kind="rate")}}, "the margin of a rate is a sum"),
        ({"rates": {"recall": Margin(0.1, combine="larger")}}, "the margin of a rate is a sum"),
        ({"warm_up": -1}, "warm_up=-1: expected an integer from 0 to 1000000 calls, a duration such as '2min', or"),
        ({"warm_up": True}, "warm_up=True: expected an integer"),
        ({"warm_up": 30.0}, "warm_up=30.0: expected an integer"),
        ({"warm_up": "30 calls"}, "warm_up='30 calls': expected a positive duration"),
        ({"latency_quantile": 1}, "latency_quantile=1: expected a number above 0 and below 1"),
        ({"latency_quantile": ()}, "latency_quantile=.*: expected different quantiles, at least one"),
        ({"latency_quantile": (0.5, 0.5)}, "expected different quantiles"),
        ({"latency_quantile": "p95"}, "latency_quantile='p95': expected a number above 0 and below 1"),
        ({"rates": ["precision"]}, "rates: expected a dict of at most 32 Guardrails by name"),
        ({"rates": {"": 0.1}}, "rates: '': expected a name of 1 to 100 characters"),
        ({"rates": {"precision": None}}, r"rates\['precision'\]=None: expected a Guardrail, a Margin or a number"),
        ({"guardrails": {1: 0.1}}, "guardrails: 1: expected a name"),
        ({"guardrails": {"r": "x"}}, r"guardrails\['r'\]='x': expected a Margin"),
        ({"guardrails": {str(n): 1 for n in range(33)}}, "guardrails: expected a dict of at most 32"),
        ({"alpha": 0}, "alpha=0: expected a number above 0"),
        ({"alpha": 0.6}, "alpha=0.6: expected a number above 0 and at most 0.5"),
        ({"share": 0}, "share=0: expected a number above 0 and below 1"),
        ({"share": 1.0}, "share=1.0: expected a number above 0 and below 1"),
        ({"share": "half"}, "share='half': expected a number above 0 and below 1"),
        ({"design_effect": 0.5}, "design_effect=0.5: expected a number from 1"),
        ({"max_rows": 0}, "max_rows=0: expected an integer of at least 1, or None"),
        ({"max_rows": 1e6}, "max_rows=1000000.0: expected an integer of at least 1"),
        ({"max_time": "soon"}, "max_time='soon': expected a positive duration"),
        ({"otherwise": "wait"}, "otherwise='wait': expected 'promote', 'rollback' or 'inconclusive'"),
    ],
)
def test_invalid_policies_are_rejected(arguments, message):
    """The message names the argument, the value and the expected kind."""
    with pytest.raises(ConfigurationError, match=message):
        CanaryPolicy(**arguments)


def test_a_policy_is_read_from_json():
    """Margins and guardrails are numbers or objects; there may be several quantiles."""
    policy = CanaryPolicy.from_json(
        '{"allowed_error_increase": {"absolute": 0.01, "any_harm": true}, "allowed_accuracy_drop": null,'
        ' "latency_quantile": [0.5, 0.99], "guardrails": {"revenue": {"margin": {"relative": 0.02},'
        ' "better": "higher"}, "tickets": 3}, "alpha": 0.01, "max_time": "1h",'
        ' "warm_up": "90s", "allowed_latency_delta": {"absolute": 0.01, "relative": 0.2, "combine": "larger"}}'
    )
    assert policy.warm_up_seconds == 90.0
    assert policy.allowed_latency_delta == Margin(0.01, relative=0.2, combine="larger")
    assert policy.allowed_error_increase == Margin(0.01, any_harm=True)
    assert policy.allowed_accuracy_drop is None
    assert policy.guardrails["revenue"] == Guardrail(Margin(relative=0.02))
    assert policy.guardrails["tickets"] == Guardrail(Margin(3.0))
    assert (policy.alpha, policy.max_time, policy.latency_quantile) == (0.01, 3_600.0, (0.5, 0.99))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "policy: expected JSON"),
        ("[]", r"policy: the document is \[\], expected an object"),
        ('{"alhpa": 1}', "policy: unknown 'alhpa'"),
        ('{"allowed_accuracy_drop": {"abs": 1}}', "allowed_accuracy_drop: unknown 'abs'"),
        ('{"guardrails": {"r": {"better": "higher"}}}', "guardrails.r: expected a margin"),
        ('{"guardrails": {"r": {"margin": {"x": 1}}}}', "guardrails.r.margin: unknown 'x'"),
        ('{"guardrails": [1]}', "guardrails: expected a dict"),
        ('{"guardrails": {"r": 7, "s": {"margin": "x"}}}', "margin='x': expected a Margin"),
        ('{"alpha": "x"}', "alpha='x': expected a number"),
    ],
)
def test_a_damaged_policy_is_rejected(text, message):
    """The message has the path."""
    with pytest.raises(ConfigurationError, match=message):
        CanaryPolicy.from_json(text)
