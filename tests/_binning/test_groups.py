"""Groups of bins: what is close to a known value counts with it, where bins are compared one by one."""

from __future__ import annotations

import numpy as np
import pytest

from driftline import Reference, Window
from driftline._binning.bins import CategoricalBins, NumericBins
from driftline._binning.groups import BinGroups, add_up_groups
from driftline.outcomes import estimated_accuracy
from driftline.testing import in_memory_monitor

GROUPED = NumericBins((0.0, 1.0, 2.0, 3.0), (1.5,), (0, 1, 1, 1, 2))
PLAIN = NumericBins((0.0, 1.0, 2.0, 3.0))


def test_the_first_bin_of_a_group_has_its_sum():
    groups = BinGroups.of([GROUPED, PLAIN], 6)
    counts = np.array([[1, 2, 3, 4, 5, 6]] * 2)
    assert groups.merge(counts).tolist() == [[1, 9, 0, 0, 5, 6], [1, 2, 3, 4, 5, 6]]
    assert add_up_groups(GROUPED, counts[0]).tolist() == [1, 9, 5, 6]
    assert add_up_groups(PLAIN, counts[0]).tolist() == [1, 2, 3, 4, 5, 6]


def test_bins_that_neither_side_fills_have_no_pseudo_count():
    """But those below, above and for missing values have one, as in every other feature."""
    groups = BinGroups.of([GROUPED], 6)
    empty, filled = np.zeros((1, 6)), np.ones((1, 6))
    assert groups.smoothing(empty, empty).tolist() == [[0.5, 0, 0, 0, 0.5, 0.5]]
    assert groups.smoothing(empty, filled).tolist() == [[0.5, 0.5, 0, 0, 0.5, 0.5]]


def test_features_without_groups_need_no_sums():
    assert BinGroups.of([PLAIN, CategoricalBins(("a",))], 6) is None


@pytest.mark.parametrize("known", [[0.1, 0.2, 0.3], [0.0, 1.0]])
def test_a_user_function_sees_one_bin_for_each_group(known):
    """With positions it sees all bins, as `ks` does."""
    lengths = {}

    def plain(reference, current, /):
        lengths["plain"] = len(reference), len(current)
        return float(np.abs(reference / reference.sum() - current / current.sum()).sum())

    def placed(reference, current, /, *, positions):
        lengths["placed"] = len(reference), len(current), len(positions)
        return 0.0

    random = np.random.default_rng(0)
    trained = random.choice(known, 5_000)
    reference = Reference.fit({"x": trained})
    monitor = in_memory_monitor(reference=reference, window=Window(rows=500), distances=(plain, placed))
    monitor.observe({"x": random.choice(known, 500) + 0.003})
    monitor.flush()
    scores = {score.distance: score.value for score in monitor.scores()}
    bins = reference.features[0].bins
    assert lengths == {"plain": (bins.groups[-1] + 2,) * 2, "placed": (bins.size,) * 3}
    assert scores["plain"] < 0.1


def test_a_prediction_close_to_a_known_one_has_its_accuracy():
    """Rounded to two digits, for instance."""
    random = np.random.default_rng(1)
    predicted = random.choice([0.123, 0.456, 0.789], 3_000)
    reference = Reference.fit(
        {"x": random.normal(size=3_000)}, predictions=predicted, outcomes=random.random(3_000) < predicted
    )
    monitor = in_memory_monitor(reference=reference, window=Window(rows=600))
    served = random.choice([0.123, 0.456, 0.789], 600)
    monitor.observe({"x": random.normal(size=600)}, served.round(2))
    exact = in_memory_monitor(reference=reference, window=Window(rows=600))
    exact.observe({"x": random.normal(size=600)}, served)
    estimate = monitor.estimated_accuracy()
    assert estimate.rows == 600
    assert estimate.value == pytest.approx(exact.estimated_accuracy().value, abs=0.01)
    counts = np.array(reference.prediction.counts)
    assert estimated_accuracy(reference.outcomes, counts, reference.prediction.bins) == estimated_accuracy(
        reference.outcomes, counts
    )
