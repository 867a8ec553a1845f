"""Monitors, canaries and pages that several tests of reports read."""

from __future__ import annotations

import contextlib
from html.parser import HTMLParser

import numpy as np
import pytest

import driftline as dl

ROWS = 400
WINDOWS = 6
CITIES = ["berlin", "paris", "rome"]


def rows(random, size, shift=0.0):
    """Rows of three features: one that may shift, one that does not, and a category."""
    return {
        "amount": random.lognormal(shift, 1.0, size),
        "age": random.integers(18, 90, size).astype(float),
        "city": random.choice(CITIES, size, p=[0.5, 0.3, 0.2]),
    }


def scores_of(table):
    """Probabilities that depend on the features."""
    return 1 / (1 + np.exp(-(np.log(table["amount"]) + table["age"] / 30 - 1.5)))


@pytest.fixture(scope="package")
def reference():
    """A reference with predictions and outcomes."""
    random = np.random.default_rng(1)
    table = rows(random, 4_000)
    scores = scores_of(table)
    return dl.Reference.fit(table, predictions=scores, outcomes=random.random(4_000) < scores)


@pytest.fixture(scope="package")
def monitor(reference):
    """A monitor of six windows, of which the last two have shifted amounts and new cities."""
    random = np.random.default_rng(2)
    rule = dl.FalseAlarms(1, per="30d", every="1h")
    result = dl.Monitor(
        "shop", version="3", reference=reference, window=dl.Window(rows=ROWS), rule=rule, synchronous=True
    )
    for window in range(WINDOWS):
        table = rows(random, ROWS, 1.0 if window >= WINDOWS - 2 else 0.0)
        if window >= WINDOWS - 2:
            table["city"] = np.where(random.random(ROWS) < 0.2, "atlantis", table["city"])
        scores = scores_of(table)
        ids = [f"{window}-{row}" for row in range(ROWS)]
        result.observe(table, scores, prediction_ids=ids)
        result.outcomes(ids, random.random(ROWS) < scores)
    return result


def answer(features):
    """A model that says the same of everything."""
    return 0.5


def fail(features):
    """A model that fails."""
    raise ValueError


@pytest.fixture(scope="package")
def canary(reference):
    """A canary whose candidate fails in a tenth of its calls."""
    random = np.random.default_rng(3)
    sides = [
        dl.Monitor("shop", variant=name, reference=reference, synchronous=True) for name in ("baseline", "candidate")
    ]
    policy = dl.CanaryPolicy(allowed_error_increase=0.01, allowed_latency_delta=None)
    result = dl.Canary(*sides, policy)
    for _ in range(8):
        for monitor, share in zip(sides, (0.0, 0.1), strict=True):
            for failed in random.random(100) < share:
                predict = monitor.instrument(fail if failed else answer)
                with contextlib.suppress(ValueError):
                    predict({"amount": 1.0, "age": 30.0, "city": "rome"})
        result.verdict()
    return result


class Page(HTMLParser):
    """Reads a page: its tags with their attributes, its text, the values of its figures, and whether tags match."""

    VOID = frozenset({"meta", "link", "br", "path", "rect", "line", "circle", "use"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.figures, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self):
        """All text that is shown."""
        return " ".join(self.texts)

    def handle_starttag(self, tag, attrs):
        """Take a tag, and the value of a figure."""
        self.tags.append((tag, dict(attrs)))
        if tag == "data":
            self.figures.append(float(dict(attrs)["value"]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Take a tag without content."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Check that the tag is the one that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Take text, but not that of the style."""
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)


@pytest.fixture(scope="package")
def page():
    """The class that reads a page."""
    return Page
