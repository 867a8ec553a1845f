"""Names of telemetry that UTF-8 cannot encode are refused when they are configured."""

from __future__ import annotations

import json

import numpy as np
import pytest

import driftline as dl
from driftline.testing import in_memory_monitor

HALF = "a\ud800"
COLUMN = np.arange(100.0)


def reference_of(name):
    """A reference with a feature of this name, as a file of 0.1 may have."""
    text = json.dumps(json.loads(dl.Reference.fit({"name of the feature": COLUMN}).to_json()))
    return text.replace("name of the feature", name)


@pytest.mark.parametrize(
    "configure",
    [
        lambda: in_memory_monitor(HALF, reference=dl.Reference.fit({"x": COLUMN})),
        lambda: in_memory_monitor("m", version=HALF, reference=dl.Reference.fit({"x": COLUMN})),
        lambda: in_memory_monitor("m", variant=HALF, reference=dl.Reference.fit({"x": COLUMN})),
        lambda: dl.Reference.fit({HALF: COLUMN}),
        lambda: dl.Reference.fit({"x": COLUMN}, derive={HALF: lambda row: 1.0}),
        lambda: dl.CanaryPolicy(guardrails={HALF: 0.1}),
        lambda: dl.CanaryPolicy(rates={f"recall {HALF}": 0.1}),
        lambda: dl.OutcomePolicy(classes=[HALF]),
        lambda: dl.record_outcome(HALF, None, 0.5, True),
    ],
)
def test_half_of_a_surrogate_pair_is_refused(configure):
    with pytest.raises(dl.ConfigurationError, match=r"\\ud800.*UTF-8"):
        configure()


def test_a_file_with_such_a_feature_is_refused(tmp_path):
    path = tmp_path / "reference.json"
    path.write_text(reference_of("a\\ud800"))
    with pytest.raises((dl.ConfigurationError, dl.ReferenceError)):
        in_memory_monitor("m", reference=path)


@pytest.mark.parametrize("name", ["größe", "特徴", "\U0001f600", "\ufffd", "a\0b"])
def test_every_other_name_is_taken(name, telemetry):
    monitor = dl.Monitor(name, reference=dl.Reference.fit({name: COLUMN}), **telemetry.providers)
    monitor.observe({name: COLUMN})
    monitor.flush()
    assert telemetry.value("ml.feature.drift.status", ml__model__name=name, ml__feature__name=name) == 1
    monitor.shutdown()
