"""Expected shares of hours that come again are those of a first look."""

from __future__ import annotations

import numpy as np

import driftline as dl
from driftline._binning.layout import Layout
from driftline._seasons.calendar import CELLS
from driftline._seasons.expectation import Expectation
from driftline._significance.expected_shares import KEPT_HOURS, ExpectedShares


def test_shares_of_an_hour_do_not_depend_on_what_came_before():
    random = np.random.default_rng(3)
    times = 1_700_000_000.0 + np.arange(24 * 28 * 20) * 180.0
    columns = {"x": random.normal(size=len(times)) + np.sin(2 * np.pi * times / 86_400.0)}
    reference = dl.Reference.fit(columns, time=times, seasons=["hour"])
    features, layout = reference.watched, Layout(reference.watched)
    seasonal = Expectation(reference.seasons, features, layout)
    shares = ExpectedShares(features, layout, seasonal)
    for hour in [*range(KEPT_HOURS + 2), 0, 1, 0]:
        for rows in (1, 125):
            hours = np.zeros(CELLS, dtype=np.int64)
            hours[hour] = rows
            fresh = ExpectedShares(features, layout, seasonal).of_hours(hours)
            assert shares.of_hours(hours).tolist() == fresh.tolist()
            hours[hour + 1] = 50
            fresh = ExpectedShares(features, layout, seasonal).of_hours(hours)
            assert shares.of_hours(hours).tolist() == fresh.tolist()
