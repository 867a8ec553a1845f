"""How much consecutive rows depend on each other: from the reference, and from what is served."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from driftline import ConfigurationError, FalseAlarms, Reference, Window
from driftline._binning.layout import Layout
from driftline._significance.burn_in import BURN_IN_WINDOWS, BurnIn
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD, orthonormal
from driftline._significance.dependence import Dependence, choose_block_lengths
from driftline._significance.inflation import larger_inflation
from driftline._windows.ring import (
    RowRing,
    TimeRing,
    WindowCounts,
)
from driftline.testing import ManualClock, in_memory_monitor


def series(rho, rows, seed, features=1):
    """Features that forget exponentially: AR(1) of variance 1, shape (rows, features)."""
    noise = np.random.default_rng(seed).normal(size=(rows + 2_000, features))
    return lfilter([np.sqrt(1 - rho**2)], [1, -rho], noise, axis=0)[2_000:]


def effect(rho, rows):
    """Variance of a mean of so many rows of an AR(1), over that of independent ones (Bartlett 1946)."""
    lags = np.arange(1, rows)
    return 1 + 2 * ((1 - lags / rows) * rho**lags).sum()


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("rows", [200, 1_000, 5_000])
def test_the_inflation_of_location_is_that_of_the_mean(rho, rows):
    """Rank scores of a Gaussian series correlate nearly as its values do."""
    reference = Reference.fit(series(rho, 40_000, 0, features=8))
    found = np.median(reference.dependence.inflation(rows).factor[:, LOCATION])
    assert found == pytest.approx(effect(rho, rows), rel=0.25)


def test_independent_rows_are_recognised_as_such():
    """Nearly all features have a factor of 1 and no limit to what is known; the check says so."""
    reference = Reference.fit(series(0.0, 20_000, 1, features=20))
    inflation = reference.dependence.inflation(1_000)
    assert (inflation.factor[:, LOCATION] == 1.0).mean() >= 0.8
    assert np.isinf(inflation.freedom[:, LOCATION]).mean() >= 0.8
    assert reference.check.words.startswith("rows are independent")
    assert reference.check.independent < 0.03


def test_shuffled_rows_are_independent_whatever_they_were():
    """Training data usually are shuffled."""
    rows = np.random.default_rng(0).permutation(series(0.97, 20_000, 2, features=4))
    assert (Reference.fit(rows).dependence.inflation(1_000).factor[:, LOCATION] < 2).all()


def test_the_check_says_what_dependent_rows_are_worth():
    """And how often its own blocks would have alarmed, with and without the correction."""
    check = Reference.fit(series(0.97, 20_000, 3, features=5)).check
    assert check.independent > 0.5
    assert check.corrected < 0.1
    assert check.worth == pytest.approx(1_000 / effect(0.97, 1_000), rel=0.6)
    assert "1000 rows of" in check.words
    assert "rows are dependent" in check.words


def test_a_short_reference_says_that_it_is_too_short():
    """Rather than pretend."""
    reference = Reference.fit({"x": np.arange(100.0)})
    assert reference.dependence is None
    assert Reference.fit({"x": [1.0, 2.0]}).check.words.startswith("too short to know")
    trend = Reference.fit({"x": np.arange(4_000.0)})
    assert trend.check.growing == 1
    assert "too short: the scatter of 1 features still grows" in trend.check.words


def test_missing_values_that_come_in_bursts_are_dependent():
    """Their rate has a scatter of its own; where there are none it has none."""
    random = np.random.default_rng(4)
    values = random.normal(size=40_000)
    for start in random.choice(39_000, 40, replace=False):
        values[start : start + 100] = np.nan
    factor = Reference.fit({"x": values, "y": random.normal(size=40_000)}).dependence.inflation(1_000).factor
    assert factor[0, MISSING] > 20
    assert factor[1, MISSING] == 1.0


def test_lengths_of_blocks_double_and_leave_eight_blocks():
    """None where there are too few rows; of very many rows no more blocks than are of use."""
    assert choose_block_lengths(255) == ()
    assert choose_block_lengths(1_000) == (32, 64)
    assert choose_block_lengths(2**22)[0] == 1_024
    assert all(2**22 // length >= 8 for length in choose_block_lengths(2**22))


def test_merged_dependence_is_that_of_both():
    """Weighted by blocks; lengths of one side only are kept."""
    reference = Reference.fit({"x": series(0.9, 30_000, 5)[:, 0]})
    first = Reference.fit({"x": series(0.9, 10_000, 6)[:, 0]}, like=reference)
    merged = reference.merge(first)
    assert merged.dependence.lengths.tolist() == reference.dependence.lengths.tolist()
    assert merged.dependence.blocks[0] == reference.dependence.blocks[0] + first.dependence.blocks[0]
    low, high = sorted([reference.dependence.factors[0, 0, LOCATION], first.dependence.factors[0, 0, LOCATION]])
    assert low <= merged.dependence.factors[0, 0, LOCATION] <= high
    assert merged.dependence == first.merge(reference).dependence or np.allclose(
        merged.dependence.factors, first.merge(reference).dependence.factors, equal_nan=True
    )


def test_the_larger_of_two_is_taken_part_by_part():
    """With the degrees of freedom that belong to it."""
    small, large = (Reference.fit(series(rho, 20_000, 7, features=3)).dependence.inflation(1_000) for rho in (0.5, 0.9))
    both = larger_inflation(small, large)
    assert (both.factor >= np.maximum(small.factor, large.factor)).all()
    where = large.factor > small.factor
    assert (both.freedom[where] == large.freedom[where]).all()


@pytest.mark.parametrize("shares", [[0.25, 0.5, 0.25], [0.1] * 10, [0.7, 0.1, 0.1, 0.1]])
def test_polynomials_are_orthonormal(shares):
    """Under the shares that they are made for."""
    p = np.array(shares)
    location, spread = orthonormal(p)
    gram = [[(p * a * b).sum() for a in (np.ones(len(p)), location, spread)] for b in (location, spread)]
    np.testing.assert_allclose(gram, [[0, 1, 0], [0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("shares", [[1.0], [0.0, 1.0, 0.0], [0.5, 0.5]])
def test_too_few_bins_have_no_spread(shares):
    """And a single one no location either."""
    location, spread = orthonormal(np.array(shares))
    assert not spread.any()
    assert location.any() == (max(shares) < 1.0)


# --- what is learnt from what is served ------------------------------------------------------------------------------


def learnt(values, reference, window=1_000, blocks=16, windows=BURN_IN_WINDOWS):
    """A burn-in that has seen these rows."""
    layout = Layout(reference.features)
    one = BurnIn(reference.features, layout)
    size = window // blocks
    for start in range(0, windows * window, window):
        parts = [values[place : place + size] for place in range(start, start + window - size + 1, size)]
        one.learn([WindowCounts(layout.count(list(part.T), len(part)), len(part)) for part in parts])
    return one


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.97])
def test_what_is_served_tells_the_dependence_that_shuffled_data_hide(rho):
    """After 32 windows about what the rows have; after one already more than nothing."""
    rows = series(rho, 60_000, 8, features=6)
    reference = Reference.fit(np.random.default_rng(0).permutation(rows[:20_000]))
    for windows, low, high in ((1, 0.2, 5.0), (32, 0.55, 1.8)):
        factor = learnt(rows[20_000:], reference, windows=windows).dependence.inflation(1_000).factor
        assert low <= np.median(factor[:, LOCATION]) / effect(rho, 1_000) <= high


def test_a_drift_that_sets_in_while_learning_does_not_become_normal():
    """Half a deviation at window 10 of 32: the factor stays far below what would hide it."""
    rows = series(0.0, 52_000, 9, features=4)
    reference = Reference.fit(rows[:20_000])
    served = rows[20_000:].copy()
    served[10_000:] += 0.5
    factor = learnt(served, reference).dependence.inflation(1_000).factor
    assert factor[:, LOCATION].max() < 4
    # Around a common mean it would have been the variance between the two halves: some 50.


def test_learning_ends_and_is_told():
    """The state says what it was judged with; afterwards nothing changes any more."""
    clock, random = ManualClock(), np.random.default_rng(0)
    reference = Reference.fit({"x": random.normal(size=5_000)})
    monitor = in_memory_monitor(
        reference=reference, window=Window(rows=500), rule=FalseAlarms(1, every="1h"), clock=clock
    )
    assert monitor.dependence is None
    monitor.observe({"x": random.normal(size=1_500)})
    assert monitor.status()["x"].reason == ("as the reference; learning how rows depend on each other: 2 of 32 windows")
    for _ in range(40):
        monitor.observe({"x": random.normal(size=500)})
    assert monitor.status()["x"].reason == "as the reference"
    kept = monitor.dependence
    monitor.observe({"x": random.normal(size=5_000)})
    assert monitor.dependence == kept
    assert not monitor._pipeline._recorder._panes._ring.divide


def test_what_was_learnt_is_kept_beside_the_reference(tmp_path):
    """Saved and loaded; the next process learns no more."""
    rows = series(0.95, 40_000, 10, features=2)
    reference = Reference.fit(np.random.default_rng(0).permutation(rows[:8_000]))
    monitor = in_memory_monitor(reference=reference, window=Window(rows=500), rule=FalseAlarms(1, every="1h"))
    monitor.observe(rows[8_000:])
    path = tmp_path / "reference.json"
    reference.with_traffic(monitor.dependence).save(path)
    again = Reference.load(path)
    assert again.traffic == monitor.dependence
    assert (
        again.traffic.inflation(500).factor[0, LOCATION] > 5 > reference.dependence.inflation(500).factor[0, LOCATION]
    )
    next_one = in_memory_monitor(reference=again, window=Window(rows=500), rule=FalseAlarms(1, every="1h"))
    next_one.observe(rows[8_000:8_500])
    assert next_one.dependence is None
    assert next_one.status()["0"].reason == "as the reference"


def test_dependence_of_other_features_is_refused():
    """It says how many are expected."""
    one = Reference.fit({"x": np.arange(1_000.0)})
    two = Reference.fit({"x": np.arange(1_000.0), "y": np.arange(1_000.0)})
    with pytest.raises(ConfigurationError, match="expected that of a monitor of these 1 features"):
        one.with_traffic(two.dependence)
    with pytest.raises(ConfigurationError, match="dependence=3: expected that of a monitor"):
        one.with_traffic(3)
    assert one.with_traffic(None) == one


@pytest.mark.parametrize("shuffled", [False, True])
def test_dependent_traffic_does_not_alarm_and_a_real_shift_does(shuffled):
    """AR(1) with 0.9, hourly windows: a test for independent rows alarms in most of them, this one hardly ever."""
    rows = series(0.9, 20_000 + 200 * 1_000, 11, features=5)
    training = rows[:20_000]
    reference = Reference.fit(np.random.default_rng(0).permutation(training) if shuffled else training)
    monitor = in_memory_monitor(
        reference=reference, window=Window(rows=1_000), rule=FalseAlarms(1, every="1h", min_effect=0.0)
    )
    alarms = 0
    for start in range(20_000, len(rows), 1_000):
        monitor.observe(rows[start : start + 1_000])
        alarms += any(one.state == "drifting" for one in monitor.status().values())
    assert alarms <= 8
    for seed in range(4):
        shifted = series(0.9, 1_000, 100 + seed, features=5)
        shifted[:, 3] += 1.5
        monitor.observe(shifted)
    assert monitor.status()["3"].state == "drifting"


# --- from few blocks -------------------------------------------------------------------------------------------------


def scattered(location, blocks, length=12.0):
    """What is known of features from so many blocks of one length, by their factors of location."""
    factors = np.ones((1, len(location), 5))
    factors[0, :, LOCATION] = location
    return Dependence(np.array([length]), np.array([float(blocks)]), factors, np.full((1, len(location)), 8.0))


def test_what_half_of_the_features_show_a_little_is_believed():
    """From a few blocks none of them could show it alone."""
    alone = scattered([3.5, 0.8, 0.9, 1.1, 1.0], 5).inflation(100)
    assert (alone.factor[:, LOCATION] == 1.0).all()
    together = scattered([3.5, 3.0, 4.0, 0.9, 3.2], 5).inflation(100)
    assert (together.factor[[0, 1, 2, 4], LOCATION] >= 3.0).all()
    assert together.factor[3, LOCATION] == 1.0
    assert (together.freedom[[0, 1, 2, 4], LOCATION] == 5).all()


def test_the_first_blocks_of_a_window_tell_of_all_of_it():
    """Growth goes on to the whole window; without one only to twice the longest block."""
    known = scattered([5.0], 200)
    bounded, whole = known.inflation(96), known.inflation(96, whole=96)
    power = np.log(5) / np.log(12)
    assert bounded.factor[0, LOCATION] == pytest.approx(5 * 2**power)
    assert whole.factor[0, LOCATION] == pytest.approx(5 * 8**power)
    assert known.inflation(12, whole=96).factor[0, LOCATION] == pytest.approx(5)


@pytest.mark.parametrize("lengths", [[1.0], [1.0, 2.0], [1.0, 2.0, 4.0]])
def test_blocks_of_a_row_or_two_say_something_too(lengths):
    """Windows of five rows are cut so small; no division by the logarithm of one row."""
    size = len(lengths)
    factors = np.linspace(1.0, 2.0, size)[:, None, None] * np.ones((size, 6, 5))
    known = Dependence(np.array(lengths), np.full(size, 500.0), factors, np.full((size, 6), 8.0))
    for rows in (0, 1, 2, 3, 5, 100):
        found = known.inflation(rows, whole=5)
        assert (found.factor >= 1.0).all()
        assert (found.factor <= 8.0).all()


@pytest.mark.parametrize("rows", [100, 127, 200, 1_000])
def test_a_window_of_few_rows_has_blocks_enough(rows):
    """How they scatter is known after the first of them."""
    ring = RowRing(1, 1, rows)
    ring.divide = True
    served = 0
    while served < rows:
        part = min(ring.room(), rows - served)
        window = ring.put(np.array([part]), part)
        served += part
    assert len(window.blocks) >= 8


def test_small_windows_of_dependent_rows_do_not_alarm_at_the_start():
    """Shuffled training data, windows of 100: the first ones are all that is known of the traffic."""
    alarms = 0
    for seed in range(4):
        rows = series(0.9, 21_600, 40 + seed, features=20)
        reference = Reference.fit(np.random.default_rng(seed).permutation(rows[:20_000]))
        rule = FalseAlarms(1, every="1h", min_effect=0.0, min_rows=100)
        monitor = in_memory_monitor(reference=reference, window=Window(rows=100), rule=rule)
        seen = set()
        for start in range(20_000, 21_600, 100):
            monitor.observe(rows[start : start + 100])
            seen |= {name for name, one in monitor.status().items() if one.state == "drifting"}
        alarms += len(seen)
        monitor.shutdown()
    # Taken for independent at first, they alarmed five to eight times a stream.
    assert alarms <= 3


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_blocks_of_a_window_of_rows_add_up_to_it():
    """Sixteen of them, none crossing a pane, each handed over once."""
    ring = RowRing(2, 3, 400)
    ring.divide = True
    random = np.random.default_rng(0)
    whole, blocks = [], []
    for _ in range(4_000):
        window = ring.put(random.multinomial(1, [0.2, 0.3, 0.5]), 1)
        if window is not None:
            whole.append(window)
            blocks.extend(window.blocks)
    assert len(whole) == 9
    assert {block.rows for block in blocks} == {50}
    assert sum(block.rows for block in blocks) == 4_000
    np.testing.assert_array_equal(np.sum([block.counts for block in blocks[:16]], axis=0), whole[0].counts)


def test_blocks_of_a_window_of_time_come_with_the_clock():
    """And only where they hold enough rows."""
    ring = TimeRing(1, 1, 160.0)
    ring.divide = True
    ring.advance(0.0)
    found = []
    for second in range(1, 321):
        ring.put(np.array([4]), 4)
        found.extend([block.rows for block in window.blocks] for window in ring.advance(float(second)))
    assert [sum(rows) for rows in found] == [640, 640]
    assert all(rows[0] == 40 for rows in found)


def test_nobody_wants_blocks_of_a_rule_without_a_test():
    """Or after the burn-in: windows are then put together in panes, at no further cost."""
    ring = RowRing(1, 1, 1_000)
    assert ring.room() == 1_000
    ring.divide = True
    assert ring.room() == 63
    ring.put(np.array([63]), 63)
    assert ring.partial().blocks[0].rows == 63
    assert ring.partial().blocks == ()


def test_hash_and_equality_of_dependence():
    """By value, nan included."""
    one = Reference.fit({"x": np.arange(1_000.0)}).dependence
    same = Dependence(one.lengths.copy(), one.blocks.copy(), one.factors.copy(), one.directions.copy())
    assert one == same
    assert hash(one) == hash(same)
    assert one != "x"
    assert [SPREAD, SHAPE, OUTSIDE] == [1, 2, 3]
