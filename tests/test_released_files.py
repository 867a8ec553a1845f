"""Files that earlier releases wrote load, and are written back byte for byte (one folder per release)."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftline import Reference
from driftline.canary import CanaryEvidence

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
