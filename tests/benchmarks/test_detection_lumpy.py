"""The lumpy traffic of the benchmark of detection has the dependence that its names say, and its cases run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "detection"

ROWS = 60_000


def _matrix(columns):
    return np.array([column for name, column in columns.items() if name != "user"], dtype=np.float64)


def _correlation(values, lag):
    """Return the correlation of rows *lag* apart, pooled over the features, whose mean is 0 and variance 1."""
    return float((values[:, :-lag] * values[:, lag:]).mean())


def test_every_stream_returns_the_rows_asked_for(part):
    """All columns have the length asked for, and equal seeds give equal rows."""
    cases = part("lumpy_cases")
    for case in cases.CASES:
        served = cases.draw_month(case, 0, 2).served
        assert {len(column) for column in served.values()} == {2 * case.rows}, case.key
        again = cases.draw_month(case, 0, 2).served if case.key == "D2a" else served
        np.testing.assert_array_equal(again["f0"], served["f0"])


@pytest.mark.parametrize(
    ("name", "arguments", "lag", "correlation"),
    [
        ("ar", (0.95,), 10, 0.95**10),
        ("users", (200,), 20, 0.5 * (200 - 20) * (200 - 19) / (200 * 201)),
        ("long_memory", (0.3,), 5, 0.3 * 1.3 * 2.3 * 3.3 * 4.3 / (0.7 * 1.7 * 2.7 * 3.7 * 4.7)),
    ],
)
def test_rows_correlate_as_the_process_says(part, name, arguments, lag, correlation):
    """The correlation at one lag is that of the formula of the process."""
    draw = getattr(part("lumpy_streams"), name)(*arguments)
    measured = [_correlation(_matrix(draw(np.random.default_rng(seed), ROWS)), lag) for seed in range(4)]
    assert np.mean(measured) == pytest.approx(correlation, abs=0.03)


def test_states_last_as_long_as_they_should(part):
    """A state of fixed length has changed after that many rows, and random ones are forgotten exponentially."""
    states = part("lumpy_streams").states
    values = _matrix(states(300, fixed=True)(np.random.default_rng(0), ROWS))
    assert _correlation(values, 300) == pytest.approx(-0.5, abs=0.02)
    assert values.var() == pytest.approx(1.0, abs=0.02)
    values = _matrix(states(300, fixed=False)(np.random.default_rng(0), 5 * ROWS))
    assert _correlation(values, 100) == pytest.approx(0.5 * np.exp(-2 / 3), abs=0.03)


def test_values_are_missing_in_runs(part):
    """The share is right, and nearly every run has the length of its name."""
    columns = part("lumpy_streams").outages(0.05, 50)(np.random.default_rng(0), 10 * ROWS)
    missing = np.isnan(_matrix(columns))
    assert missing.mean() == pytest.approx(0.05, abs=0.005)
    runs = (np.diff(missing.astype(int), axis=1) == 1).sum()
    assert missing.sum() / runs == pytest.approx(50, rel=0.05)


def test_pareto_users_and_people_send_their_rows_in_a_row(part):
    """A user of at least x rows has probability 1/x. A person gives the same answer each time."""
    streams = part("lumpy_streams")
    user = streams.pareto_users(2_000)(np.random.default_rng(0), 10 * ROWS)["user"]
    lengths = np.unique(user, return_counts=True)[1]
    assert (lengths >= 10).mean() == pytest.approx(0.1, abs=0.01)
    assert lengths.max() == 2_000
    people = streams.panel(4, 0.015)(np.random.default_rng(0), ROWS)
    answers = _matrix(people).reshape(10, -1, 4)
    assert (answers == answers[:, :, :1]).all()
    assert answers.mean() == pytest.approx(0.015, abs=0.002)


def test_a_case_runs_and_its_row_counts_states(part):
    """A short month gives a row with all figures, and a case by its key or by its number is found."""
    cases, lumpy = part("lumpy_cases"), part("lumpy")
    assert [case.key for case in cases.matching("D2a,D9")] == ["D2a", "D9a", "D9b", "D9c", "D9d"]
    with pytest.raises(SystemExit, match="D99"):
        cases.matching("D99")
    case = cases.matching("D13")[0]
    months = [lumpy.simulate(case, number, windows=3) for number in range(2)]
    row = lumpy.pooled(case, months, "default least effect")
    assert row["onsets"] == row["time"] == 0
    assert row["months"] == round(6 / 720, 2)
    assert "ten of twenty" in lumpy.line(row, 1.0)


def test_detectors_that_know_the_process_find_a_jump_soon(part):
    """Both find one standard deviation in the first window, and nothing without a jump."""
    oracle, streams = part("lumpy_oracle"), part("lumpy_streams")
    process = oracle.Process("independent rows", streams.ar(0.0))
    known = oracle.know(process, 2)
    assert known.deviations[1] == pytest.approx(np.sqrt(1 / 1_000 + 1 / 20_000), rel=0.1)
    assert 3.5 < known.limit < 5.0
    rows = process.draw(np.random.default_rng(1), 160_000)["f0"]
    panes = rows.reshape(-1, oracle.PANE).mean(axis=1)
    assert oracle.oracle_delay(known, panes, 0.0, 100) is None
    assert oracle.adwin_delay(known, panes, 100) is None
    panes[400:] += 1.0
    assert oracle.oracle_delay(known, panes, 0.0, 100) == 1
    assert oracle.adwin_delay(known, panes, 100) == 1
    assert oracle.river_delay(process, known, panes, 100) in {None, 1, 2}


def test_a_scenario_gives_delay_and_recovery(part, monkeypatch):
    """A drift of one standard deviation is found, and its end is seen, in a scenario of few windows."""
    power, scenarios, streams, oracle = map(part, ("lumpy_power", "lumpy_scenarios", "lumpy_streams", "lumpy_oracle"))
    process = oracle.Process("independent rows", streams.ar(0.0))

    def jump(rows, training, random):
        return rows + 1.0

    scenario = scenarios.Scenario("P6a", "a jump", process, jump, begins=4, lasts=3, replaced=2)
    assert [scenario.drifts(window) for window in (3, 4, 6, 7)] == [False, True, True, False]
    monkeypatch.setattr(power, "SCENARIOS", (scenario,))
    outcome = power.run(scenario, 0, None, ["least effect 0"])
    rows = power.rows_of([outcome])
    assert rows[0]["found"] == 1.0
    assert rows[0]["in drift before"] == 0.0
    assert "found 100%" in power.line(rows[0])
    assert power.until_end("SDDDSS", 3) == 1
    assert power.until_end("SDDDDD", 3) == 3
    assert power.until_end("SDSSSS", 3) is None


def test_changes_of_the_scenarios_have_the_size_of_their_name(part):
    """They move the mean, the variance, the share of a category, or put rows far out."""
    scenarios = {scenario.key: scenario for scenario in part("lumpy_scenarios").SCENARIOS}
    random = np.random.default_rng(0)
    rows = random.normal(size=400_000)

    def after(key, rows):
        return scenarios[key].change(rows, rows, random)

    assert (after("P1", rows) - rows).mean() == pytest.approx(0.5)
    assert after("P4b", rows).var() / rows.var() == pytest.approx(1.2)
    assert (after("P4c", rows) - rows).mean() == pytest.approx(0.1, abs=0.005)
    assert (after("P4e", rows) > 2 * rows.max()).mean() == pytest.approx(0.01, abs=0.001)
    codes = scenarios["P4d"].process.draw(random, 400_000)["f0"]
    assert (codes == 0).mean() - (after("P4d", codes) == 0).mean() == pytest.approx(0.05, abs=0.005)


def test_features_of_ten_kinds_stand_beside_each_other(part):
    """Each kind is there once, whichever comes first, and behaves as its name says."""
    mixed = part("lumpy_mixed")
    for first in mixed.KINDS:
        kinds = mixed.kinds_from(first)
        assert kinds[0] == first
        assert sorted(kinds) == sorted(mixed.KINDS)
        assert {kinds[int(name[1:])] for name in mixed.categories_of(first)} == {mixed.YES, mixed.MANY}
    columns = mixed.mixed(mixed.AR95)(np.random.default_rng(0), ROWS // 2)
    assert [*columns] == [*(f"f{index}" for index in range(10)), "user"]
    by_kind = dict(zip(mixed.kinds_from(mixed.AR95), columns.values(), strict=False))
    slow = by_kind[mixed.AR95]
    assert _correlation(slow[None], 10) == pytest.approx(0.95**10, abs=0.08)
    assert abs(_correlation(by_kind[mixed.INDEPENDENT][None], 1)) < 0.03
    assert by_kind[mixed.YES].mean() == pytest.approx(0.015, abs=0.003)
    assert np.isnan(by_kind[mixed.OFTEN]).mean() == pytest.approx(0.05, abs=0.02)


def test_onsets_of_a_kind_are_those_of_its_feature(part):
    """Counts of several months are added up by feature, and the page names the kinds, the months and the intervals."""
    lumpy, page = part("lumpy"), part("lumpy_mixed_page")
    case = part("lumpy_cases").matching("M1c")[0]
    counts = {"windows": 720, "onsets of f8": 2, "time of f8": 36, "undecided of f2": 72}
    months = [{"counts": {"least effect 0": counts}}, {"counts": {"least effect 0": {"windows": 720}}}]
    rows = lumpy.by_kind(case, months, "least effect 0")
    states = next(row for row in rows if row["kind"] == "two states")
    assert (states["onsets"], states["time"], states["months"]) == (2, 0.025, 2.0)
    assert states["low"] < 1.0 < states["high"]
    text = "\n".join(page.kinds_section(rows))
    assert "| two states | 2 (0.12 to 3.61) | 2.50% | 0% |" in text
    assert "M1c 2" in text


def test_the_page_pairs_a_kind_with_features_of_the_same_kind(part):
    """A scenario of which only one half was run has no row."""
    page = part("lumpy_mixed_page")
    row = {"detector": "driftline, least effect 0", "drift": "mean +0.1 σ", "runs": 4, "found": 1.0, "low": 0.4}
    row = {**row, "high": 1.0, "median windows": 4.0}
    pair = [
        {**row, "scenario": key, "traffic": f"independent{rest}"} for key, rest in (("M2a", ", beside"), ("M3a", ""))
    ]
    assert "| independent | mean +0.1 σ | 4, 4 | 100% (40% to 100%), 4 | 100% (40% to 100%), 4 |" in page.pairs_section(
        pair
    )
    assert page.pairs_section(pair[:1]) == []
    assert page.is_of_kinds("M3a")
    assert not page.is_of_kinds("P1")
