"""Models in files, and instrumentors that each test leaves as it met them."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import driftline as dl
from driftline import instrumentors
from driftline.instrumentors import SklearnInstrumentor, _state

NAMES = ("age", "amount", "hour")


def _train(seed=0, shift=0.0):
    """Return a fitted classifier, its rows, and a reference of them."""
    random = np.random.default_rng(seed)
    rows = random.normal(shift, 1.0, (2_000, 3))
    model = LogisticRegression().fit(rows, rows[:, 0] + random.normal(0, 1, len(rows)) > shift)
    columns = dict(zip(NAMES, rows.T, strict=True))
    return model, rows, dl.Reference.fit(columns, predictions=model.predict(rows))


@pytest.fixture
def train():
    """Return a function that trains a classifier: ``train(seed, shift)`` returns it, its rows and a reference."""
    return _train


@pytest.fixture
def trained():
    """A classifier, its rows and its reference."""
    model, rows, reference = _train()
    return SimpleNamespace(model=model, rows=rows, reference=reference)


@pytest.fixture
def file(trained, tmp_path):
    """The file of a model that carries a reference."""
    path = tmp_path / "delay.joblib"
    joblib.dump(dl.carry(trained.model, trained.reference), path)
    return path


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch):
    """No test sees the configuration or the hooks of another."""
    monkeypatch.delenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    _state.reset()
    yield
    for name in instrumentors.__all__:
        instrumentor = getattr(instrumentors, name)()
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
    _state.reset()
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def instrument(telemetry):
    """Return a function that instruments with an in-memory provider, until the end of the test."""
    active = []

    def instrument(kind=SklearnInstrumentor, **options):
        instrumentor = kind()
        instrumentor.instrument(meter_provider=telemetry.meter_provider, **options)
        active.append(instrumentor)
        return instrumentor

    yield instrument
    for instrumentor in active:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()
