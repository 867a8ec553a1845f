"""The simulation of the coverage of outcome metrics, with few runs."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

RUNS = 200
LEAST = 0.89
"""Of 200 intervals that each cover with 95 %, fewer than 89 % cover once in 5,000 cells."""


@contextmanager
def loaded(name):
    """Import a script of the benchmarks of outcomes."""
    path = Path(__file__).parents[2] / "benchmarks" / "outcomes" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"outcomes_{name}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def simulation():
    with loaded("coverage") as module:
        module.POPULATION = 400_000
        yield module


def test_metrics_equal_those_of_scikit_learn():
    """In all cases, with fewer rows."""
    with loaded("exactness") as module:
        module.ROWS = 1_000
        for case in module.cases():
            for metric, difference in module.differences(case).items():
                assert difference <= module.TOLERANCES[metric], (case.name, metric)


@pytest.mark.slow
@pytest.mark.parametrize(("index", "rows"), [(0, 50), (1, 1_000), (2, 200), (3, 200), (4, 200), (5, 200), (6, 50)])
def test_intervals_of_probabilities_cover(simulation, index, rows):
    random = np.random.default_rng(41 + index)
    model = simulation.SCORE_MODELS[index]
    truth = simulation.true_scores(model, random)
    samples_by_metric = simulation.measure(model, rows, RUNS, random)
    for metric in simulation.SCORE_METRICS:
        samples = samples_by_metric.get(metric, [])
        if len(samples) > RUNS / 2 and np.isfinite(truth[metric]):
            assert simulation.coverage(samples, truth[metric]) >= LEAST, metric


@pytest.mark.slow
@pytest.mark.parametrize(("index", "rows"), [(0, 10), (1, 100), (2, 30), (3, 30), (4, 30), (5, 1_000), (6, 1_000)])
def test_intervals_of_errors_cover(simulation, index, rows):
    random = np.random.default_rng(51 + index)
    model = simulation.ERROR_MODELS[index]
    truth = simulation.true_errors(model, random)
    for metric, samples in simulation.measure(model, rows, RUNS, random).items():
        assert simulation.coverage(samples, truth[metric]) >= LEAST, metric
