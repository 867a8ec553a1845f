"""Marks the tests of this folder, and lets the libraries that they need give warnings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from otlp_receiver import Receiver
from servers import environment_of

import driftline as dl

collect_ignore = ["apps"]
"""Services, which need their environment."""


def pytest_collection_modifyitems(items):
    """Mark the tests as ``integration``. Warnings are errors only in driftline's modules."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)
            for action in ("default", "error:::driftline"):
                item.add_marker(pytest.mark.filterwarnings(action), append=False)


@pytest.fixture
def receiver():
    """A receiver of OTLP that listens."""
    with Receiver() as running:
        yield running


@pytest.fixture(scope="session")
def reference_file(tmp_path_factory):
    """The reference of the services: a number, a category and a prediction."""
    random = np.random.default_rng(5)
    reference = dl.Reference.fit(
        {
            "x": random.integers(0, 100, 2_000).astype(float),
            "channel": random.choice(["web", "shop", "phone"], 2_000).tolist(),
        },
        predictions=random.random(2_000),
    )
    file = tmp_path_factory.mktemp("reference") / "m.reference.json"
    reference.save(file)
    return file


@pytest.fixture
def environment(receiver, reference_file, tmp_path):
    """The environment of a service that sends to the receiver, at the stop only."""
    return environment_of(receiver, reference_file, tmp_path)
