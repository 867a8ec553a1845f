"""The study of the default policy: the comparison of two models, and its tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "retraining_study"


@pytest.fixture
def stream(part):
    """A stream of a hundred days, whose relation is reversed after day 50."""
    random = np.random.default_rng(0)
    seconds = np.sort(random.uniform(0.0, 100 * 86_400.0, 6_000))
    x = random.normal(size=6_000)
    shop = np.array(random.choice(["a", "b"], 6_000), dtype=object)
    target = (x > 0) != (seconds > 50 * 86_400.0)
    streams = part("streams")
    return streams.Stream("s", "t", {"x": x, "shop": shop}, target, seconds, 20, "7d", 20, 1, 1, 1)


def test_a_changed_relation_shows_in_the_comparison(part, stream):
    """The retrained model is better after the change, and a model is no different from itself."""
    study, streams = part("study"), part("streams")
    old = streams.Classifier(stream, stream.rows(0, 20))
    after = study.compare(stream, old, streams.Classifier(stream, stream.rows(55, 75)), 75)
    assert (after.result, study.compare(stream, old, old, 30).result) == ("better", "no difference")
    assert after.old < 0.1
    assert after.new > 0.9
    assert after.lower < after.new - after.old < after.upper


def test_the_tables_name_what_did_not_help(part, stream):
    """In bold, with the numbers of requests by result."""
    study = part("study")
    better = study.Comparison(60.0, 0.5, 0.9, 0.3, 0.5, 100)
    worse = study.Comparison(70.0, 0.9, 0.5, -0.5, -0.3, 100)
    requests = [
        {**dataclasses.asdict(each), "result": each.result, "reason": "drift", "detail": ""} for each in (better, worse)
    ]
    text = study.markdown([{"stream": "s", "requests": requests, "quiet": requests[:1], "fixes": []}])
    assert "| s | 2 | 1 | 0 | 1 | 0 | 1 | 1 |" in text
    assert "| s | 70 | drift | 90.0% | 50.0% | -50.0 to -30.0 points | **worse** |" in text
