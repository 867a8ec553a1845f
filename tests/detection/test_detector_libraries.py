"""The detectors of river and of frouros work unchanged; frouros is tested where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline.testing import check_detector, in_memory_monitor

RIVER = {"ADWIN": {}, "KSWIN": {"alpha": 1e-6, "seed": 1}, "PageHinkley": {}}
FROUROS = ("ADWIN", "CUSUM", "DDM", "PageHinkley", "STEPD")


@pytest.mark.parametrize("name", RIVER)
@pytest.mark.slow
def test_rivers_detectors_work_unchanged(name):
    """They find a shift of five deviations, which shows in the states of the monitor."""
    drift = pytest.importorskip("river.drift")
    detector = getattr(drift, name)(**RIVER[name])
    check_detector(detector)
    _check_in_a_monitor(detector)


@pytest.mark.parametrize("name", FROUROS)
def test_frouros_detectors_work_unchanged(name):
    """They find the same shift."""
    concept = pytest.importorskip("frouros.detectors.concept_drift")
    check_detector(getattr(concept, name)())
    if name not in {"ADWIN", "DDM", "STEPD"}:  # these accept errors only
        _check_in_a_monitor(getattr(concept, name)())


def _check_in_a_monitor(detector):
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({"delay": random.normal(0, 1, 2_000)})
    monitor = in_memory_monitor(reference=reference, detectors={"delay": detector}, window=dl.Window(rows=10_000))
    name = f"delay ({type(detector).__name__})"
    monitor.observe({"delay": random.normal(0, 1, 500)})
    assert monitor.status()[name].state == "stable"
    monitor.observe({"delay": random.normal(5, 1, 500)})
    status = monitor.status()[name]
    assert status.state == "drifting"
    assert 500 < int(status.reason.split("value ")[1].split()[0]) < 700
    monitor.shutdown()
