"""The dependence of consecutive rows: learned from the reference and from the rows served."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.signal import lfilter

from driftline import ConfigurationError, FalseAlarms, Reference, Window
from driftline._significance.components import LOCATION, MISSING, OUTSIDE, SHAPE, SPREAD, orthonormal_polynomials
from driftline._significance.dependence import Dependence, choose_block_lengths
from driftline._significance.inflation import difference_inflation
from driftline._windows.ring import BLOCKS, RowRing, TimeRing
from driftline.testing import Probe, in_memory_monitor


def series(rho, rows, seed, features=1):
    """Return AR(1) features of variance 1, shape (rows, features). Their correlation decays exponentially."""
    noise = np.random.default_rng(seed).normal(size=(rows + 2_000, features))
    return lfilter([np.sqrt(1 - rho**2)], [1, -rho], noise, axis=0)[2_000:]


def design_effect(rho, rows):
    """Return the variance of the mean of AR(1) rows, over that of independent rows (Bartlett 1946)."""
    lags = np.arange(1, rows)
    return 1 + 2 * ((1 - lags / rows) * rho**lags).sum()


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("rows", [200, 1_000, 5_000])
def test_the_inflation_of_location_is_the_design_effect_of_the_mean(rho, rows):
    """Rank scores of a Gaussian series correlate nearly as its values do."""
    reference = Reference.fit(series(rho, 40_000, 0, features=8))
    factor = np.median(reference.dependence.inflation(rows).factor[:, LOCATION])
    assert factor == pytest.approx(design_effect(rho, rows), rel=0.25)


def test_independent_rows_are_recognised():
    """Nearly all features have a factor of 1 and infinite degrees of freedom, and the self-check reports it."""
    reference = Reference.fit(series(0.0, 20_000, 1, features=20))
    inflation = reference.dependence.inflation(1_000)
    assert (inflation.factor[:, LOCATION] == 1.0).mean() >= 0.8
    assert np.isinf(inflation.freedom[:, LOCATION]).mean() >= 0.8
    assert reference.check.words.startswith("rows are independent")
    assert reference.check.independent < 0.03


def test_shuffled_rows_are_independent():
    """However dependent they were before. Training data are usually shuffled."""
    rows = np.random.default_rng(0).permutation(series(0.97, 20_000, 2, features=4))
    assert (Reference.fit(rows).dependence.inflation(1_000).factor[:, LOCATION] < 2).all()


def test_the_self_check_reports_the_effective_rows():
    """And how often the reference's own blocks would alarm, with and without the correction."""
    check = Reference.fit(series(0.97, 20_000, 3, features=5)).check
    assert check.independent > 0.5
    assert check.corrected < 0.1
    assert check.worth == pytest.approx(1_000 / design_effect(0.97, 1_000), rel=0.6)
    assert "1000 rows of" in check.words
    assert "rows are dependent" in check.words


def test_the_self_check_reports_a_reference_that_is_too_short():
    """Because it has too few rows, or because its variance still grows at the longest blocks."""
    reference = Reference.fit({"x": np.arange(100.0)})
    assert reference.dependence is None
    assert Reference.fit({"x": [1.0, 2.0]}).check.words.startswith("too short to know")
    trend = Reference.fit({"x": np.arange(4_000.0)})
    assert trend.check.growing == 1
    assert "too short: the variance inflation of 1 features still grows" in trend.check.words


def test_missing_values_that_come_in_bursts_are_dependent():
    """The rate of missing values has its own inflation: large for bursts, 1 without missing values."""
    random = np.random.default_rng(4)
    values = random.normal(size=40_000)
    for start in random.choice(39_000, 40, replace=False):
        values[start : start + 100] = np.nan
    factor = Reference.fit({"x": values, "y": random.normal(size=40_000)}).dependence.inflation(1_000).factor
    assert factor[0, MISSING] > 20
    assert factor[1, MISSING] == 1.0


def test_block_lengths_double_and_leave_at_least_eight_blocks():
    """Too few rows give none. Very many rows start with longer blocks."""
    assert choose_block_lengths(255) == ()
    assert choose_block_lengths(1_000) == (32, 64)
    assert choose_block_lengths(2**22)[0] == 1_024
    assert all(2**22 // length >= 8 for length in choose_block_lengths(2**22))


def test_merging_weights_the_dependence_of_both_by_blocks():
    """Lengths that only one side has are kept."""
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


@pytest.mark.parametrize("rows", [100, 1_000, 20_000])
def test_the_inflation_of_a_difference_is_that_of_both_sides_weighted(rows):
    """A window that is much shorter than the reference has its own inflation, a longer one that of the reference."""
    dependence = Reference.fit(series(0.9, 20_000, 7, features=3)).dependence
    window, whole = dependence.inflation(rows), dependence.inflation(20_000)
    difference = difference_inflation(dependence.inflation_curve(), rows, np.full((3, 1), 20_000.0))
    variance = window.factor / rows + whole.factor / 20_000
    np.testing.assert_allclose(difference.factor * (1 / rows + 1 / 20_000), variance)
    assert (difference.freedom == window.freedom).all()
    assert (difference.directions == window.directions).all()


@pytest.mark.parametrize("shares", [[0.25, 0.5, 0.25], [0.1] * 10, [0.7, 0.1, 0.1, 0.1]])
def test_polynomials_are_orthonormal(shares):
    """Under the shares that they are computed for."""
    p = np.array(shares)
    location, spread = orthonormal_polynomials(p)
    gram = [[(p * a * b).sum() for a in (np.ones(len(p)), location, spread)] for b in (location, spread)]
    np.testing.assert_allclose(gram, [[0, 1, 0], [0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("shares", [[1.0], [0.0, 1.0, 0.0], [0.5, 0.5]])
def test_too_few_bins_have_no_spread(shares):
    """A single bin has no location either."""
    location, spread = orthonormal_polynomials(np.array(shares))
    assert not spread.any()
    assert location.any() == (max(shares) < 1.0)


# --- traffic ---------------------------------------------------------------------------------------------------------


def test_learning_never_ends():
    """The first window is the beginning. The state has no note of it."""
    random = np.random.default_rng(0)
    reference = Reference.fit({"x": random.normal(size=5_000)})
    monitor = in_memory_monitor(reference=reference, window=Window(rows=500), rule=FalseAlarms(1, every="1h"))
    assert monitor.dependence is None
    known = []
    for _ in range(6):
        for _ in range(20):
            monitor.observe({"x": random.normal(size=500)})
        known.append(monitor.dependence)
        assert monitor.status()["x"].reason == "as the reference"
    assert all(before != after for before, after in itertools.pairwise(known))
    assert (np.diff([each.blocks[0] for each in known]) >= 0.0).all()
    assert Probe(monitor).divides_panes


def test_learned_dependence_is_saved_with_the_reference(tmp_path):
    """A process that loads it knows it in its first window."""
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
    # It starts with what was learned, and goes on learning.
    known = []
    for start in (reference, again):
        successor = in_memory_monitor(reference=start, window=Window(rows=500), rule=FalseAlarms(1, every="1h"))
        successor.observe(rows[8_000:8_500])
        known.append(successor.dependence)
    assert len(known[0].lengths) < len(known[1].lengths)
    assert known[0].blocks[0] < 10 < known[1].blocks[0] < monitor.dependence.blocks[0]


def test_dependence_of_other_features_is_refused():
    """The message contains the number of features that is expected."""
    one_feature = Reference.fit({"x": np.arange(1_000.0)})
    two_features = Reference.fit({"x": np.arange(1_000.0), "y": np.arange(1_000.0)})
    with pytest.raises(ConfigurationError, match="expected that of a monitor of these 1 features"):
        one_feature.with_traffic(two_features.dependence)
    with pytest.raises(ConfigurationError, match="dependence=3: expected that of a monitor"):
        one_feature.with_traffic(3)
    assert one_feature.with_traffic(None) == one_feature


@pytest.mark.parametrize("shuffled", [False, True])
def test_dependent_traffic_does_not_alarm_and_a_real_shift_does(shuffled):
    """In hourly windows of AR(1) of 0.9, a test for independent rows would alarm in most of them: at most one onset."""
    rows = series(0.9, 20_000 + 120 * 1_000, 11, features=5)
    training = rows[:20_000]
    reference = Reference.fit(np.random.default_rng(0).permutation(training) if shuffled else training)
    monitor = in_memory_monitor(
        reference=reference, window=Window(rows=1_000), rule=FalseAlarms(1, every="1h", min_effect=0.0)
    )
    onsets, drifting = 0, set()
    for start in range(20_000, len(rows), 1_000):
        monitor.observe(rows[start : start + 1_000])
        before, drifting = drifting, {name for name, each in monitor.status().items() if each.state == "drifting"}
        onsets += len(drifting - before)
    assert onsets <= 1
    for seed in range(4):
        shifted = series(0.9, 1_000, 100 + seed, features=5)
        shifted[:, 3] += 1.5
        monitor.observe(shifted)
    assert monitor.status()["3"].state == "drifting"


# --- few blocks ------------------------------------------------------------------------------------------------------


def dependence_of(location, blocks, length=12.0):
    """Return the dependence from blocks of one length, with these factors of location."""
    factors = np.ones((1, len(location), 5))
    factors[0, :, LOCATION] = location
    return Dependence(np.array([length]), np.array([float(blocks)]), factors, np.full((1, len(location)), 8.0))


def test_dependence_that_half_of_the_features_show_counts():
    """With a few blocks, no feature could show it alone."""
    alone = dependence_of([3.5, 0.8, 0.9, 1.1, 1.0], 5).inflation(100)
    assert (alone.factor[:, LOCATION] == 1.0).all()
    together = dependence_of([3.5, 3.0, 4.0, 0.9, 3.2], 5).inflation(100)
    assert (together.factor[[0, 1, 2, 4], LOCATION] >= 3.0).all()
    assert together.factor[3, LOCATION] == 1.0
    assert (together.freedom[[0, 1, 2, 4], LOCATION] == 5).all()


def test_the_first_blocks_of_a_window_are_extrapolated_to_the_window():
    """Without `whole`, the inflation is extrapolated to twice the longest block only."""
    known = dependence_of([5.0], 200)
    bounded, whole = known.inflation(96), known.inflation(96, whole=96)
    power = np.log(5) / np.log(12)
    assert bounded.factor[0, LOCATION] == pytest.approx(5 * 2**power)
    assert whole.factor[0, LOCATION] == pytest.approx(5 * 8**power)
    assert known.inflation(12, whole=96).factor[0, LOCATION] == pytest.approx(5)


@pytest.mark.parametrize("lengths", [[1.0], [1.0, 2.0], [1.0, 2.0, 4.0]])
def test_blocks_of_one_or_two_rows_give_finite_factors(lengths):
    """Windows of five rows have such blocks. The logarithm of one row is 0, and must not be a divisor."""
    size = len(lengths)
    factors = np.linspace(1.0, 2.0, size)[:, None, None] * np.ones((size, 6, 5))
    known = Dependence(np.array(lengths), np.full(size, 500.0), factors, np.full((size, 6), 8.0))
    for rows in (0, 1, 2, 3, 5, 100):
        factor = known.inflation(rows, whole=5).factor
        assert (factor >= 1.0).all()
        assert (factor <= 8.0).all()


@pytest.mark.parametrize("rows", [100, 127, 200, 1_000])
def test_a_window_of_few_rows_has_at_least_eight_blocks(rows):
    """So the first window is enough for an estimate of their variance."""
    ring = RowRing(1, 1, rows)
    ring.divide = True
    served = 0
    while served < rows:
        part = min(ring.room(), rows - served)
        window = ring.add(np.array([part]), part)
        served += part
    assert len(window.blocks) >= 8


@pytest.mark.slow
def test_small_windows_of_dependent_rows_do_not_alarm_at_the_start():
    """With shuffled training data, the first windows of 100 rows are all that is known of the traffic."""
    alarms = 0
    for seed in range(4):
        rows = series(0.9, 21_600, 40 + seed, features=20)
        reference = Reference.fit(np.random.default_rng(seed).permutation(rows[:20_000]))
        rule = FalseAlarms(1, every="1h", min_effect=0.0, min_rows=100)
        monitor = in_memory_monitor(reference=reference, window=Window(rows=100), rule=rule)
        seen = set()
        for start in range(20_000, 21_600, 100):
            monitor.observe(rows[start : start + 100])
            seen |= {name for name, status in monitor.status().items() if status.state == "drifting"}
        alarms += len(seen)
        monitor.shutdown()
    # A test for independent rows at the start had five to eight alarms a stream.
    assert alarms <= 3


# --- blocks ----------------------------------------------------------------------------------------------------------


def test_the_blocks_of_a_window_of_rows_add_up_to_it():
    """None crosses a pane, and each is returned once."""
    ring = RowRing(2, 3, 400)
    ring.divide = True
    random = np.random.default_rng(0)
    whole, blocks = [], []
    for _ in range(4_000):
        window = ring.add(random.multinomial(1, [0.2, 0.3, 0.5]), 1)
        if window is not None:
            whole.append(window)
            blocks.extend(window.blocks)
    assert len(whole) == 9
    assert {block.rows for block in blocks} == {800 // BLOCKS}
    assert sum(block.rows for block in blocks) == 4_000
    np.testing.assert_array_equal(np.sum([block.counts for block in blocks[:BLOCKS]], axis=0), whole[0].counts)


def test_the_blocks_of_a_window_of_time_follow_the_clock():
    """Each has enough rows."""
    ring = TimeRing(1, 1, 160.0)
    ring.divide = True
    ring.advance(0.0)
    block_rows = []
    for second in range(1, 321):
        ring.add(np.array([4]), 4)
        block_rows.extend([block.rows for block in window.blocks] for window in ring.advance(float(second)))
    assert [sum(rows) for rows in block_rows] == [640, 640]
    assert all(rows[0] == 640 // BLOCKS for rows in block_rows)


def test_a_ring_divides_windows_into_blocks_only_on_request():
    """A rule without a test needs none, and panes cost nothing further."""
    ring = RowRing(1, 1, 1_000)
    assert ring.room() == 1_000
    ring.divide = True
    size = -(-1_000 // BLOCKS)
    assert ring.room() == size
    ring.add(np.array([size]), size)
    assert ring.pop_partial().blocks[0].rows == size
    assert ring.pop_partial().blocks == ()


def test_dependence_is_compared_and_hashed_by_value():
    """With nan equal to nan."""
    dependence = Reference.fit({"x": np.arange(1_000.0)}).dependence
    same = Dependence(
        dependence.lengths.copy(), dependence.blocks.copy(), dependence.factors.copy(), dependence.directions.copy()
    )
    assert dependence == same
    assert hash(dependence) == hash(same)
    assert dependence != "x"
    assert [SPREAD, SHAPE, OUTSIDE] == [1, 2, 3]
