"""`min_effect` by part and by feature: what it accepts, what it means, and which drifts it hides."""

from __future__ import annotations

import ast
import copy
import logging
import pickle
from types import MappingProxyType

import numpy as np
import pytest

from driftline import ConfigurationError, FalseAlarms, Monitor, Reference, Window
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD
from driftline.detection._least_effects import LeastEffects
from driftline.testing import in_memory_monitor

ROWS = 2_000


@pytest.fixture(scope="module")
def reference():
    """Two numbers and two categories, one of which has the name of a part."""
    random = np.random.default_rng(0)
    return Reference.fit(
        {
            "age": random.normal(size=20_000),
            "income": random.normal(size=20_000),
            "carrier": random.choice(["a", "b", "c"], 20_000, p=[0.5, 0.3, 0.2]),
            "location": random.choice(["x", "y"], 20_000),
        }
    )


def window(seed=1, **columns):
    """Return rows like those of the reference, but for *columns*."""
    random = np.random.default_rng(seed)
    return {
        "age": random.normal(size=ROWS),
        "income": random.normal(size=ROWS),
        "carrier": random.choice(["a", "b", "c"], ROWS, p=[0.5, 0.3, 0.2]),
        "location": random.choice(["x", "y"], ROWS),
        **columns,
    }


def drifting(reference, min_effect, **columns):
    """Return the names of the features that drift in one window."""
    rule = FalseAlarms(1, every="1h", lengths=(1,), min_effect=min_effect)
    monitor = in_memory_monitor(reference=reference, window=Window(rows=ROWS), rule=rule)
    monitor.observe(window(**columns))
    return {name for name, status in monitor.status().items() if status.state == "drifting"}


def limits(reference, min_effect):
    """Return the least sizes of the features by name."""
    sizes = LeastEffects(min_effect).limits(reference.features).sizes
    return dict(zip([feature.name for feature in reference.features], sizes, strict=True))


@pytest.mark.parametrize(
    ("min_effect", "message"),
    [
        ({"location": -1}, r"min_effect\['location'\]=-1: expected a number from 0 to"),
        ({"location": "0.3"}, r"min_effect\['location'\]='0.3': expected a number from 0 to"),
        ({"location": True}, r"min_effect\['location'\]=True: expected a number"),
        ({"location": float("nan")}, r"min_effect\['location'\]=nan: expected a number"),
        ({"spread": 0.9}, r"min_effect\['spread'\]=0.9: expected a number from 1 to"),
        ({"missing": 2}, r"min_effect\['missing'\]=2: expected a number from 0 to 1"),
        ({"age": None}, r"min_effect\['age'\]=None: expected a number from 0 to"),
        ({"age": {"speed": 1}}, r"min_effect\['age'\]='speed': expected a part \(location, spread, shape, mix, out of"),
        ({"age": {"unseen": 7}}, r"min_effect\['age'\]\['unseen'\]=7: expected a number from 0 to 1"),
        ({"age": {"location": {}}}, r"min_effect\['age'\]\['location'\]={}: expected a number"),
        ({3: 0.1}, r"min_effect=3: expected the name of a part or of a feature"),
        ([0.1], r"min_effect=\[0.1\]: expected a number from 0 to"),
    ],
)
def test_bad_least_effects_are_refused(min_effect, message):
    """The message contains the value and what was expected."""
    with pytest.raises(ConfigurationError, match=message):
        FalseAlarms(min_effect=min_effect)


@pytest.mark.parametrize(
    ("min_effect", "message"),
    [
        ({"salary": 0}, "min_effect='salary': expected a part .*'all' or a feature: 'age', 'income', 'carrier', 'loca"),
        ({"age": {"unseen": 0.1}}, r"min_effect\['age'\]='unseen': expected a part of this feature \(location, spread"),
        ({"carrier": {"location": 1}}, r"min_effect\['carrier'\]='location': .*\(mix, unseen, missing\) or 'all'"),
    ],
)
def test_unknown_features_and_parts_are_refused_when_the_monitor_is_made(reference, min_effect, message):
    """Only then the features are known. A later reference is checked as well."""
    rule = FalseAlarms(min_effect=min_effect)
    with pytest.raises(ConfigurationError, match=message):
        Monitor("m", reference=reference, rule=rule, enabled=True)


def test_a_replaced_reference_has_to_have_the_features(reference):
    """The monitor goes on with the one before."""
    monitor = in_memory_monitor(reference=reference, rule=FalseAlarms(min_effect={"age": 0}))
    with pytest.raises(ConfigurationError, match="min_effect='age'"):
        monitor.replace_reference(Reference.fit({"other": np.arange(500.0)}))
    assert "age" in monitor.status()


def test_a_message_names_the_first_features_only():
    """Of a model with many."""
    many = Reference.fit({f"f{number}": np.arange(10.0) for number in range(30)})
    with pytest.raises(ConfigurationError, match=r"'f19' and 10 others"):
        LeastEffects({"x": 1}).check_fit(many.features)


def test_a_learned_reference_may_lack_a_feature():
    """Nothing is raised while a model serves."""
    rule = FalseAlarms(every="1h", min_effect={"absent": 0})
    monitor = in_memory_monitor(reference=Reference.learn(rows=1_000), window=Window(rows=500), rule=rule)
    for seed in range(4):
        monitor.observe({"x": np.random.default_rng(seed).normal(size=500)})
    assert monitor.status()["x"].state == "stable"


def test_a_number_scales_all_parts(reference):
    """By its square root, because PSI is the square of a shift."""
    age = limits(reference, 0.05)["age"]
    assert age[LOCATION] == pytest.approx(0.2236, abs=1e-4)
    assert np.exp(age[SPREAD]) == pytest.approx(1.15)
    assert age[[SHAPE, OUTSIDE, MISSING]].tolist() == pytest.approx([0.05, 0.003, 0.005])
    assert limits(reference, 0.2)["age"] == pytest.approx(2 * age)
    assert not limits(reference, 0)["age"].any()


def test_a_mapping_sets_parts_and_features(reference):
    """A feature comes before a part of all features, a part before "all"."""
    sizes = limits(
        reference,
        {"all": 0.2, "location": 0.3, "mix": 0.1, "age": 0, "income": {"spread": 2}}
        | {"carrier": {"all": 0.05, "unseen": 0.01}},
    )
    assert not sizes["age"].any()
    assert sizes["income"][LOCATION] == 0.3
    assert sizes["income"][SPREAD] == pytest.approx(np.log(2))
    assert sizes["income"][SHAPE] == pytest.approx(0.1)
    assert sizes["location"][SHAPE] == 0.1
    assert sizes["carrier"][[SHAPE, OUTSIDE]].tolist() == [pytest.approx(0.03), 0.01]


def test_a_feature_may_have_the_name_of_a_part(reference, caplog):
    """A mapping is for the feature. A number is for the part, and a warning says so."""
    sizes = limits(reference, {"location": {"all": 0}})
    assert not sizes["location"].any()
    assert sizes["age"][LOCATION] > 0.2
    assert not caplog.records
    with caplog.at_level(logging.WARNING, logger="driftline"):
        assert limits(reference, {"location": 0.5})["age"][LOCATION] == 0.5
    assert "write {'location': {'all': 0.5}}" in caplog.text


@pytest.mark.parametrize(
    ("share", "least"),
    [(0.0, 0.005), (0.02, 0.005), (0.05, 0.01), (0.12, 0.024), (0.5, 0.03), (0.9, 0.02), (0.99, 0.005)],
)
def test_the_least_change_of_missing_values_depends_on_their_share(share, least):
    """Two points more are much for a feature that is complete, and little for one that is half empty."""
    values = np.arange(1_000.0)
    values[: int(1_000 * share)] = np.nan
    assert limits(Reference.fit({"x": values}), 0.05)["x"][MISSING] == pytest.approx(least)


@pytest.mark.parametrize("min_effect", [0.05, 0, {"location": 0.3, "age": 0, "income": {"location": 0.1}}])
def test_rules_are_values(min_effect):
    """They compare, hash, copy, pickle and print, and a later change of the user's mapping does not change them."""
    rule, same = FalseAlarms(min_effect=min_effect), FalseAlarms(min_effect=copy.deepcopy(min_effect))
    assert rule == same
    assert hash(rule) == hash(same)
    copied = pickle.loads(pickle.dumps(rule))  # noqa: S301 - made in this line
    assert copied == copy.deepcopy(rule) == rule
    assert f"min_effect={rule.min_effect!r}" in repr(rule)
    assert ast.literal_eval(repr(rule.min_effect)) == min_effect
    if isinstance(min_effect, dict):
        assert FalseAlarms(min_effect=MappingProxyType(min_effect)) == rule
        min_effect["age"] = 1
        assert rule == same


@pytest.mark.parametrize("seed", range(5))
def test_the_default_finds_a_far_tail(reference, seed):
    """One percent of the rows at three times the largest value that was ever seen."""
    values = np.random.default_rng(seed).normal(size=ROWS)
    values[np.random.default_rng(seed).random(ROWS) < 0.01] = 3 * reference.features[0].moments.maximum
    assert drifting(reference, 0.05, age=values) == {"age"}


def test_the_default_finds_five_points_of_a_mix(reference):
    """Not two, and not five if another limit says so."""

    def moved(share):
        """Return exact shares of the categories, of which *share* moved from the first to the last."""
        rows = np.round(ROWS * np.array([0.5 - share, 0.3, 0.2 + share])).astype(int)
        return np.random.default_rng(3).permutation(np.repeat(["a", "b", "c"], rows))

    assert drifting(reference, 0.05, carrier=moved(0.055)) == {"carrier"}
    assert not drifting(reference, 0.05, carrier=moved(0.02))
    assert not drifting(reference, {"mix": 0.08}, carrier=moved(0.055))
    assert drifting(reference, {"mix": 0.08, "carrier": 0.01}, carrier=moved(0.055)) == {"carrier"}


def test_a_part_with_a_limit_of_its_own_does_not_count_below_it(reference):
    """Not even if the difference as a whole is larger than "all"."""
    moved = np.random.default_rng(4).normal(size=ROWS) + 0.35
    assert drifting(reference, 0.05, age=moved, income=moved) == {"age", "income"}
    assert not drifting(reference, {"location": 0.6}, age=moved, income=moved)
    assert drifting(reference, {"location": 0.6, "age": 0}, age=moved, income=moved) == {"age"}
    assert drifting(reference, {"income": {"location": 0.6}}, age=moved, income=moved) == {"age"}
    assert not drifting(reference, 0.3, age=moved, income=moved)


def test_a_small_part_does_not_drift_with_another(reference):
    """The p-value is that of the parts that count, so a tiny but certain shift adds nothing to a tail."""
    values = np.random.default_rng(5).normal(size=ROWS) + 0.15
    assert drifting(reference, 0, age=values) == {"age"}
    assert not drifting(reference, 0.05, age=values)
