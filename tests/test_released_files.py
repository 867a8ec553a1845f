"""Files that earlier releases wrote load, and are written back byte for byte (one folder per release)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from driftline import ConfigurationError, Reference, Window
from driftline.canary import CanaryEvidence
from driftline.testing import in_memory_monitor

DATA = Path(__file__).parent / "data"


def released(pattern):
    """Files of all releases, by release and name."""
    return [pytest.param(path, id=str(path.relative_to(DATA))) for path in sorted(DATA.glob(pattern))]


@pytest.mark.parametrize(
    "path", [*released("*/features.json"), *released("*/seasons.json"), *released("*/derived.json")]
)
def test_a_released_reference_is_written_back_byte_for_byte(path, tmp_path):
    reference = Reference.load(path)
    reference.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("path", "fingerprint"),
    [("features", "4384039b00d6d74b"), ("seasons", "a5794cc4974c8612"), ("derived", "cfb6be87d62e69a4")],
)
def test_a_reference_of_0_1_keeps_its_fingerprint(path, fingerprint):
    """Counts of processes of both releases add up while the fleet is updated."""
    assert Reference.load(DATA / "0.1" / f"{path}.json").fingerprint == fingerprint


def test_a_reference_of_0_1_keeps_its_cuts():
    """Further data are counted in them. Data with cuts of this release are not added up with them."""
    old = Reference.load(DATA / "0.1" / "features.json")
    reference = replace(old, features=old.features[:1], prediction=None, outcomes=None, dependence=None, traffic=None)
    name = reference.features[0].name
    values = np.random.default_rng(0).normal(40.0, 12.0, 1_000)
    further = Reference.fit({name: values}, like=reference)
    assert reference.merge(further).rows == old.rows + 1_000
    monitor = in_memory_monitor(reference=further, window=Window(rows=500))
    monitor.observe({name: values[:500]})
    assert monitor.status()[name].state == "stable"
    with pytest.raises(ConfigurationError, match=r"expected a Reference over the same bins \(fit it with like=\)"):
        reference.merge(Reference.fit({name: values}))


@pytest.mark.parametrize("path", released("*/evidence.json"))
def test_released_evidence_is_written_back_byte_for_byte(path):
    text = path.read_text(encoding="utf-8")
    assert CanaryEvidence.from_json(text).to_json() == text


def test_the_released_references_hold_every_part():
    """So that the tests above cover every part of a file."""
    features, seasons, derived = (
        Reference.load(DATA / "0.1" / f"{name}.json") for name in ("features", "seasons", "derived")
    )
    kinds = {type(feature.bins).__name__ for feature in features.features}
    assert kinds == {"NumericBins", "CategoricalBins"}
    assert any(getattr(feature.bins, "others", ()) for feature in features.features)
    assert any(getattr(feature.bins, "open", False) for feature in features.features)
    assert features.prediction is not None
    assert features.outcomes is not None
    assert features.dependence is not None
    assert features.traffic is not None
    assert features.check is not None
    assert seasons.seasons.kinds == ("hour", "weekday")
    assert derived.derived.inputs == ("text", "embedding")
    assert derived.derived.functions == ("length",)
    assert derived.derived.vectors
    assert derived.derived.projections is not None
