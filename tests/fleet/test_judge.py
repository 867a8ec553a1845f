"""A fleet is evaluated as one monitor that saw all rows: to the last digit, through whatever happens to processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import driftline as dl
from driftline._binning.layout import Layout
from driftline.fleet import Blocks, FleetJudge

START = 1_700_000_000.0 // 3_600.0 * 3_600.0


def plain(status):
    return {name: (each.state, each.p_value, each.effect, each.rows, each.reason) for name, each in status.items()}


def test_a_fleet_has_the_scores_and_states_of_one_monitor(fleet):
    """All numbers agree exactly: the counts, the blocks from which dependence is learned, and the code are the same."""
    for name in "abc":
        fleet.pod(name)
    fleet.run(8 * 6)
    fleet.run(8 * 2, shift=0.5)
    fleet_judge = fleet.evaluated()
    scores, status = fleet.seen_by_monitor()
    result = fleet_judge.result()
    assert result.scores == scores
    assert plain(result.features) == plain(status)
    assert result.state == "drifting"
    assert result.features["kind"].state == "stable"
    assert result.windows == 8
    assert result.rows == 8 * 400
    assert result.processes == 3


def test_too_thin_for_each_is_enough_for_all(fleet):
    """Twenty processes have 160 rows an hour each, below the 200 that a state needs."""
    for index in range(20):
        fleet.pod(f"p{index:02d}")
    fleet.run(8 * 3, exports=1)
    fleet.run(8, shift=1.0, exports=1)
    assert fleet.evaluated().result().features["amount"].state == "drifting"


def test_feeding_in_pieces_is_feeding_together(fleet):
    """Whatever the size of the pieces, and with blocks that are fed again."""
    fleet.pod("a")
    fleet.run(8 * 5, shift=0.2)
    blocks = fleet.read().blocks
    whole, pieces = FleetJudge(fleet.reference), FleetJudge(fleet.reference)
    whole.feed(blocks)
    for last in (1, 8, 9, 9, 20, 30, 40):
        pieces.feed(blocks[max(0, last - 12) : last])
    assert pieces.result().scores == whole.result().scores
    assert plain(pieces.result().features) == plain(whole.result().features)
    assert pieces.fed_until == whole.fed_until == fleet.now


def test_a_later_one_goes_on_where_an_earlier_one_ended(fleet):
    """Its history is replayed without state changes, which the earlier one has reported."""
    fleet.pod("a")
    fleet.run(8 * 5)
    fleet.run(8 + 3, shift=1.0)
    changes, later_changes = [], []
    first = FleetJudge(fleet.reference, on_change=changes.append)
    first.feed(fleet.read().blocks)
    assert [(each.feature, each.status.state) for each in changes if each.status.state == "drifting"] == [
        ("amount", "drifting")
    ]
    second = FleetJudge(fleet.reference, on_change=later_changes.append, history=first.history)
    assert later_changes == []
    assert plain(second.result().features) == plain(first.result().features)
    fleet.run(8 * 2 - 3)
    blocks = fleet.read().blocks
    for each in (first, second):
        each.feed(blocks[-20:])
    assert plain(second.result().features) == plain(first.result().features)
    assert [each.feature for each in later_changes] == ["amount"]


def test_history_holds_the_last_64_windows(fleet):
    fleet_judge = FleetJudge(fleet.reference)
    bins = fleet.layout.total
    for start in range(0, 80 * 8, 40):
        blocks = Blocks.none(start * fleet_judge.step, fleet_judge.step, bins, 40)
        fleet_judge.feed(blocks)
    assert len(fleet_judge.history) == 64 * 8
    assert fleet_judge.history.end == fleet_judge.fed_until == 80 * 3_600.0


def test_a_replay_has_the_same_windows(fleet):
    """Whatever the number of blocks that were fed last: only whole windows are dropped."""
    fleet.pod("a")
    fleet.run(8 * 66 + 5, rows=250, exports=1)
    blocks = fleet.read().blocks
    fleet_judge = FleetJudge(fleet.reference)
    for start in range(0, len(blocks), 3):
        fleet_judge.feed(blocks[start : start + 3])
    assert (fleet_judge.history.start - blocks.start) % 3_600.0 == 0.0
    later = FleetJudge(fleet.reference, history=fleet_judge.history)
    assert later.result().end == fleet_judge.result().end
    assert later.result().rows == fleet_judge.result().rows
    assert later.result().scores[:4] == fleet_judge.result().scores[:4]


def test_what_arrives_late_counts_in_the_next_block(fleet):
    """The sum stays exact, and later readings of the same blocks add nothing."""
    fleet.pod("a")
    fleet.run(24)
    blocks = fleet.read().blocks
    absent = np.zeros_like(blocks.counts)
    absent[10] = blocks.counts[10]
    fleet_judge = FleetJudge(fleet.reference)
    fleet_judge.feed(replace(blocks, counts=blocks.counts - absent)[:12])
    fleet_judge.feed(blocks[4:14])
    fleet_judge.feed(blocks[4:16])
    assert fleet_judge.result().rows == 8 * 400
    np.testing.assert_array_equal(fleet_judge.history.counts, blocks.counts[:16])
    fleet_judge.feed(blocks[8:])
    assert fleet_judge.result().rows == 8 * 400


def test_what_a_store_has_lost_is_not_counted_twice(fleet):
    """Values that were read before, are lost, and come again."""
    fleet.pod("a")
    fleet.run(24)
    blocks = fleet.read().blocks
    lost = blocks.counts.copy()
    lost[14] += lost[11]
    lost[11] = 0
    fleet_judge = FleetJudge(fleet.reference)
    fleet_judge.feed(blocks[:13])
    fleet_judge.feed(replace(blocks, counts=lost)[10:14])
    fleet_judge.feed(replace(blocks, counts=lost)[10:24])
    assert fleet_judge.result().rows == 8 * 400
    assert fleet_judge.history.counts.sum() == blocks.counts.sum()


def test_a_window_in_which_nothing_was_exported_is_unknown(fleet):
    """It is no window without traffic: the states of the features are unknown, and nothing is learned."""
    fleet.pod("a")
    fleet.run(8 * 3)
    fleet.run(8 * 2, silent=["a"])
    result = fleet.evaluated().result()
    assert result.state == "insufficient_data"
    assert result.features["amount"].reason == "no process has exported for 1h"
    assert result.windows == 3
    fleet.run(8)
    result = fleet.evaluated().result()
    assert result.windows == 4
    assert result.rows == 8 * 3 * 400  # what it counted while it was silent counts when it exports again
    assert result.state == "stable"


def test_a_fleet_without_traffic_is_known(fleet):
    """Its processes export, so it has no rows."""
    fleet.pod("a")
    fleet.run(8)
    fleet.run(8, rows=0)
    result = fleet.evaluated().result()
    assert result.rows == 0
    assert result.features["amount"].reason == "0 rows, needs 200"


def test_a_gap_longer_than_the_history(fleet):
    fleet_judge = FleetJudge(fleet.reference)
    fleet.pod("a")
    fleet.run(12)
    fleet_judge.feed(fleet.read().blocks)
    fleet.block += 8 * 100
    fleet_judge.feed(Blocks.none(fleet.now, fleet_judge.step, fleet.layout.total, 8))
    assert fleet_judge.result().features["amount"].reason == "no process has exported for 1h"
    assert len(fleet_judge.history) == 8


@pytest.mark.parametrize(
    ("start", "step", "bins", "expected"),
    [(0.0, 10.0, 0, "expected 450 s"), (0.0, 450.0, 1, "bins"), (100.0, 450.0, 0, "multiple of 450 s")],
)
def test_blocks_that_do_not_fit_are_refused(fleet, start, step, bins, expected):
    fleet_judge = FleetJudge(fleet.reference)
    fleet_judge.feed(Blocks.none(0.0, 450.0, fleet.layout.total, 3))
    with pytest.raises(ValueError, match=expected):
        fleet_judge.feed(Blocks.none(start, step, fleet.layout.total + bins, 3))


def test_a_window_of_rows_is_refused(reference):
    with pytest.raises(dl.ConfigurationError, match="expected a window of time"):
        FleetJudge(reference, dl.Window(rows=1_000))


@pytest.mark.parametrize("window", [dl.Window("1h", every="20min"), dl.Window("10min", every="1min"), dl.Window("1d")])
def test_blocks_end_where_panes_do(reference, window):
    step = FleetJudge(reference, window).step
    assert (window.pane_seconds / step).is_integer()
    assert step <= window.seconds / 8


def test_rows_count_in_their_hour_of_the_week():
    """A reference with seasons expects other rows by night. Blocks are at most an hour long."""
    random = np.random.default_rng(0)

    def columns(times):
        night = times // 3_600.0 % 24 < 12
        return {"amount": random.normal(10.0 + 3.0 * night, 2.0)}

    times = START - 21 * 86_400.0 + np.sort(random.uniform(0.0, 14 * 86_400.0, 40_000))
    reference = dl.Reference.fit(columns(times), time=times, seasons=("hour",))
    fleet_judge = FleetJudge(reference, dl.Window("1d"))
    assert fleet_judge.step == 3_600.0
    hours = START + 3_600.0 * np.arange(24 * 6)
    counts = []
    for hour in hours.tolist():
        rows = 500 if hour // 3_600.0 % 24 < 12 else 200
        counts.append(Layout(reference.watched).count([columns(np.full(rows, hour))["amount"]], rows))
    known = np.ones(len(hours), np.int64)
    fleet_judge.feed(Blocks(START, 3_600.0, np.array(counts), known, known > 0))
    status = fleet_judge.result().features["amount"]
    assert status.state != "drifting"
    assert abs(status.effect) < 0.005  # without the hours it would be 0.1
