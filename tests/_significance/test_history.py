"""A history learns how rows depend on each other and where features usually are, and never from a drift."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from driftline._binning.bins import Feature, NumericBins
from driftline._binning.layout import Layout
from driftline._significance.components import LOCATION, MISSING, PARTS, SPREAD
from driftline._significance.history import CUTS, MOST_GUARDED, History
from driftline._significance.learner import Learner
from driftline._windows.ring import WindowCounts

ROWS = 1_000


def independent(seed=0):
    """Return a function that draws columns of independent normal rows."""
    random = np.random.default_rng(seed)
    return lambda features=1, rows=ROWS: list(random.normal(size=(features, rows)))


def autoregressive(rho, seed=0, features=1, rows=200_000):
    """Return columns of AR(1) rows of variance 1."""
    noise = np.random.default_rng(seed).normal(size=(features, rows + 2_000))
    return list(lfilter([np.sqrt(1 - rho**2)], [1, -rho], noise)[:, 2_000:])


def trained(traffic, draw, features=1, rows=20_000, **options):
    """Return traffic whose training data are drawn too."""
    return traffic({f"x{index}": column for index, column in enumerate(draw(features, rows))}, **options)


def factors(served, part=LOCATION):
    """Return what was learned for blocks of a window and longer ones, shape (lengths, features)."""
    dependence = served.history.dependence
    return dependence.factors[dependence.lengths >= ROWS, :, part]


def test_before_the_first_row_nothing_is_known(traffic):
    served = trained(traffic, independent())
    assert served.history.look(1, WindowCounts(np.zeros(served.layout.total, dtype=np.int64), 0)) is None
    assert served.history.dependence is None


def test_independent_rows_have_the_error_of_independent_rows(traffic):
    """About the square root of 1/n + 1/m, at each length of a look."""
    draw = independent()
    served = trained(traffic, draw, features=40)
    for _ in range(16):
        served.serve(*draw(40))
    for windows in (1, 4, 16):
        ideal = np.sqrt(1 / (windows * ROWS) + 1 / 20_000)
        assert np.median(served.error(LOCATION, windows)) == pytest.approx(ideal, rel=0.3)
        assert served.error(LOCATION, windows).min() >= 0.99 * ideal


def test_dependent_rows_have_the_error_of_their_process(traffic):
    """After 64 windows of AR(1) of 0.95, with training data that were shuffled."""
    rows = autoregressive(0.95, features=20, rows=64 * ROWS)
    served = trained(traffic, independent(), features=20)
    for start in range(0, 64 * ROWS, ROWS):
        served.serve(*(column[start : start + ROWS] for column in rows))
    # The variance of the mean of n rows is 39 / n, and that of the reference is too.
    ideal = np.sqrt(39 / ROWS + 39 / 20_000)
    assert 0.8 * ideal < np.median(served.error(LOCATION)) < 1.5 * ideal
    assert served.history.rows_to_see(0, 0.9, 1e-4) > 3 * trained(traffic, independent()).history.rows_to_see(
        0, 0.9, 1e-4
    )


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_a_constant_shift_teaches_nothing(traffic, shift):
    """It is in no difference of neighbouring blocks."""
    draw = independent()
    served = trained(traffic, draw, features=8)
    for _ in range(40):
        served.serve(*(column + shift for column in draw(8)))
    assert np.median(factors(served)) < 1.3


def test_a_change_is_not_learned_while_it_is_guarded(traffic):
    """So there is time to see it as a drift. What is not called a drift is learned afterwards."""
    draw = independent()
    served = trained(traffic, draw)
    for _ in range(41):  # an odd number, so that the windows on both sides of the change are compared
        served.serve(*draw())
    before = factors(served)[0, 0]
    learned = []
    for _ in range(2 * MOST_GUARDED):
        served.serve(draw()[0] + 1.0)
        learned.append(factors(served).max() > 2.0 * before)
    guarded = learned.index(True)
    assert 4 <= guarded <= MOST_GUARDED


def test_the_beginning_of_a_drift_is_cut_out(traffic):
    """Neither the step up nor the step down is learned, so the next drift is found as soon as this one."""
    draw = independent()
    learned = {}
    for reported in (False, True):
        served = trained(traffic, draw)
        for _ in range(40):
            served.serve(*draw())
        for window in range(20):
            served.serve(draw()[0] + 1.0)
            if reported:
                served.change(begun=[0] if window == 0 else [], drifting=[0])
        for window in range(40):
            served.serve(*draw())
            if reported and window == 0:
                served.change(ended=[0])
        learned[reported] = factors(served).max()
    assert learned[True] < 3.0
    assert learned[False] > 10.0


def test_of_each_drift_that_is_cut_out_both_ends_are(traffic):
    """The end of the last drift that may be cut out is cut out too."""
    draw = independent()
    served = trained(traffic, draw)
    for window in range(100):
        up = window % 20 in {18, 19} and window // 20 < CUTS
        begun, ended = up and window % 20 == 18, window % 20 == 0 and window > 0
        served.serve(draw()[0] + up)
        served.change(begun=[0] if begun else [], ended=[0] if ended else [], drifting=[0] if up else [])
    assert factors(served).max() < 3.0


def test_states_that_alternate_for_ever_are_learned(traffic):
    """Only a few changes of level are cut out. What goes on alternating is how the feature is."""
    draw = independent()
    served = trained(traffic, draw)
    for window in range(120):
        up = window // 5 % 2
        served.serve(draw()[0] + up)
        served.change(begun=[0] if up and window % 5 == 0 else [], ended=[0] if not up and window % 5 == 0 else [])
    assert factors(served).max() > 10.0


def test_the_past_sharpens_the_baseline(traffic):
    """A feature that always was 0.2 deviations above its training data is compared with where it is."""
    draw = independent()
    served = trained(traffic, draw, features=2, rows=1_000)
    for _ in range(100):
        first, second = draw(2)
        served.serve(first + 0.2, second)
    look = served.look()
    assert look.error[0, LOCATION] < 0.9 * np.sqrt(1 / ROWS + 1 / 1_000)
    moved, still = (look.baseline[bins] / look.baseline[bins].sum() for bins in served.layout.slices)
    usual = [np.array(each.counts) / sum(each.counts) for each in served.features]
    middle = len(moved) // 2
    assert moved[:middle].sum() < usual[0][:middle].sum() - 0.03
    assert still[:middle].sum() == pytest.approx(usual[1][:middle].sum(), abs=0.03)


def test_features_that_drift_stay_out_of_the_past(traffic):
    draw = independent()
    served = trained(traffic, draw, features=2, rows=5_000)
    for _ in range(100):
        first, second = draw(2)
        served.serve(first + 1.0, second)
        served.change(drifting=[0])
    look = served.look()
    drifting = look.baseline[served.layout.slices[0]]
    np.testing.assert_allclose(drifting / drifting.sum(), np.array(served.features[0].counts) / 5_000, atol=0.002)
    assert look.error[0, LOCATION] > look.error[1, LOCATION]


def test_rows_that_cannot_be_evaluated_are_not_learned(traffic):
    """Nor is what lies on both sides of them compared."""
    draw = independent()
    served = trained(traffic, draw)
    for window in range(64):
        unusable = window % 2 == 1
        served.serve(draw()[0] + 5.0 * unusable, unusable=served.which(0) if unusable else None)
    assert served.history.dependence is None or factors(served).size == 0 or np.nanmax(factors(served)) < 3.0


def test_after_a_fork_it_begins_afresh(traffic):
    """It is then what a new one is."""
    draw = independent()
    first, second = trained(traffic, independent(1)), trained(traffic, independent(1))
    for _ in range(30):
        first.serve(draw()[0] * 3.0)
    first.history.reset()
    assert first.history.dependence is None
    first.served.clear()
    for _ in range(12):
        columns = draw()
        first.serve(*columns)
        second.serve(*columns)
    assert first.history.dependence == second.history.dependence
    np.testing.assert_array_equal(first.look(4).error, second.look(4).error)


def test_windows_of_a_single_row(traffic):
    draw = independent()
    served = trained(traffic, draw, features=3)
    for _ in range(200):
        served.serve(*draw(3, 1))
    look = served.look()
    assert np.isfinite(look.error).all()
    assert (look.error[:, LOCATION] > 0.9).all()


def test_a_window_without_blocks_or_with_empty_ones_changes_nothing(traffic):
    draw = independent()
    served = trained(traffic, draw)
    for _ in range(4):
        served.serve(*draw())
    before = served.history.dependence, served.error(LOCATION)
    empty = WindowCounts(np.zeros(served.layout.total, dtype=np.int64), 0)
    served.history.add(empty, served.which())
    empty.blocks = (empty, empty)
    served.history.add(empty, served.which())
    served.history.change(np.zeros(1, dtype=np.intp), served.which(), served.which(0))
    assert served.history.dependence == before[0]


@pytest.mark.parametrize("rows", [[16, 2_000], [0, 1_000], [1_000, 0], [100, 5_000]])
def test_blocks_of_unequal_length(traffic, rows):
    """As those of time have at night."""
    draw = independent()
    served = trained(traffic, draw)
    for _ in range(20):
        window = WindowCounts(np.zeros(served.layout.total, dtype=np.int64), 0)
        window.blocks = tuple(served.counts(draw(1, size)) for size in rows * 4)
        for block in window.blocks:
            window.add(block.counts, block.rows, None)
        served.history.add(window, served.which())
        served.served.append(window)
    ideal = np.sqrt(1 / (4 * sum(rows)) + 1 / 20_000)
    assert np.isfinite(served.look().error).all()
    assert 0.9 * ideal < served.error(LOCATION)[0] < 3.0 * ideal


def test_values_that_are_all_missing_have_finite_errors(traffic):
    """Before and after rows with values."""
    draw = independent()
    served = trained(traffic, draw, features=2)
    for window in range(30):
        first, second = draw(2)
        served.serve(np.full(ROWS, np.nan) if window < 10 else first, second)
        assert np.isfinite(served.look().error).all()
        assert np.isfinite(served.look().inflation.factor).all()
        assert (served.look().inflation.freedom > 0.0).all()
    assert served.error(MISSING)[1] == pytest.approx(np.sqrt(1 / ROWS + 1 / 20_000), rel=2.0)


def test_a_constant_feature_has_finite_errors(traffic):
    served = traffic({"x": np.full(5_000, 7.0), "name": ["a"] * 5_000})
    for _ in range(20):
        served.serve(np.full(ROWS, 7.0), np.array(["a"] * ROWS))
    assert np.isfinite(served.look().error).all()
    assert (served.error(SPREAD) < 0.2).all()


@pytest.mark.slow
def test_ten_thousand_features():
    """Their bins are compared a few pairs at a time, so that memory stays small."""
    counts = tuple(np.random.default_rng(0).multinomial(5_000, [1 / 15] * 15))
    features = [
        Feature(f"x{index}", NumericBins(tuple(map(float, range(14)))), (*counts, 0)) for index in range(10_000)
    ]
    layout, random = Layout(features), np.random.default_rng(1)
    history = History(
        features, layout, panes=1, blocks=8, longest=64, reference_rows=5_000, learner=Learner(np.full(10_000, 12.0), 8)
    )
    window = WindowCounts(np.zeros(layout.total, dtype=np.int64), 0)
    blocks = [
        np.append(random.multinomial(125, [1 / 15] * 15, size=10_000), np.zeros((10_000, 1), int), axis=1)
        for _ in range(8)
    ]
    window.blocks = tuple(WindowCounts(block.ravel(), 125) for block in blocks)
    for block in window.blocks:
        window.add(block.counts, block.rows, None)
    history.add(window, np.zeros(10_000, dtype=np.bool_))
    look = history.look(1, window)
    assert look.error.shape == (10_000, PARTS)
    assert np.isfinite(look.error).all()
    assert np.median(look.error[:, LOCATION]) == pytest.approx(np.sqrt(1 / 1_000 + 1 / 5_000), rel=0.3)


def test_a_reference_that_is_too_small_never_shows_a_small_shift(traffic):
    """However many rows are served. A large one needs a few."""
    served = trained(traffic, independent(), rows=100)
    served.serve(*independent(3)())
    assert served.history.rows_to_see(0, 0.05, 1e-5) == float("inf")
    assert served.history.rows_to_see(0, 3.0, 1e-5) < 2_000
