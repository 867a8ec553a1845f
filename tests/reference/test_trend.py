"""A reference whose own order shows a trend says so: at fit, in its file, and when a monitor starts."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

import driftline as dl
from driftline.testing import in_memory_monitor

SCHEMA = json.loads(files("driftline").joinpath("reference.schema.json").read_text(encoding="utf-8"))


def autoregressive(coefficient, rows, seed=0):
    """A series of variance 1 whose correlation decays exponentially."""
    noise = np.random.default_rng(seed).normal(size=rows + 1_000) * np.sqrt(1 - coefficient**2)
    values = np.zeros(len(noise))
    for index in range(1, len(noise)):
        values[index] = coefficient * values[index - 1] + noise[index]
    return values[1_000:]


@pytest.fixture
def random():
    """Random numbers, the same for each test."""
    return np.random.default_rng(7)


RANDOM = np.random.default_rng(1)
ROWS = 6_000
LEVEL = np.linspace(0.0, 1.0, ROWS)


@pytest.mark.parametrize(
    ("column", "of", "figure", "before", "after", "shift"),
    [
        (RANDOM.normal(size=ROWS) + 10 + LEVEL, "values", "median", 10.25, 10.75, 0.5),
        (RANDOM.normal(size=ROWS) + 3 * (LEVEL > 0.7), "values", "median", 0.0, 3.0, 1.7),
        (np.arange(ROWS) // 2 + 0.5, "values", "median", 750.0, 2_250.0, 1.6),
        (autoregressive(0.95, ROWS) + 2 * LEVEL, "values", "median", 0.5, 1.5, 0.9),
        ((RANDOM.random(ROWS) < 0.1 + 0.4 * LEVEL).astype(float), "values", "mean", 0.2, 0.4, 0.45),
        (np.where(RANDOM.random(ROWS) < 0.4 * LEVEL, np.nan, 1.0), "missing values", "share", 0.1, 0.3, 0.5),
        (np.where(RANDOM.random(ROWS) < 0.2 + 0.4 * LEVEL, "b", "a"), "category 1", "share", 0.3, 0.5, 0.4),
        (-(10.0 ** (100 + LEVEL + RANDOM.normal(size=ROWS))), "values", "median", -1e100, -1e101, -0.5),
    ],
    ids=["slow", "jump", "sorted", "dependent", "two values", "missing", "category", "huge"],
)
def test_a_trend_is_described(column, of, figure, before, after, shift, random):
    """With the figures of the rows before and after it, as anyone can compute them."""
    reference = dl.Reference.fit({"noise": random.normal(size=ROWS), "x": column})
    trend = reference.check.trend
    assert (trend.feature, trend.figure, trend.features) == ("x", figure, 1)
    assert trend.of == of or {trend.of, of} == {"category 0", "category 1"}
    parts = column[: trend.row], column[trend.row :]
    if of == "values":
        compute = np.median if figure == "median" else np.mean
        assert (trend.before, trend.after) == tuple(compute(part) for part in parts)
    elif of == "missing values":
        assert (trend.before, trend.after) == tuple(np.isnan(part).mean() for part in parts)
    assert abs(trend.shift) == pytest.approx(abs(shift), rel=0.35)
    assert np.sign(trend.after - trend.before) == np.sign(trend.shift)
    if of != "category 1" and abs(before) < 1e99:
        assert trend.before == pytest.approx(before, abs=0.35 * abs(after - before))
        assert trend.after == pytest.approx(after, abs=0.35 * abs(after - before))


@pytest.mark.parametrize(
    "column",
    [
        RANDOM.normal(size=ROWS),
        RANDOM.permutation(np.arange(float(ROWS))),
        autoregressive(0.95, ROWS),
        autoregressive(0.95, 600),
        np.sin(np.arange(ROWS) * 2 * np.pi / 300) + RANDOM.normal(size=ROWS),
        np.sin(np.arange(ROWS) * 2 * np.pi / 2_000) + RANDOM.normal(size=ROWS),
        np.repeat(RANDOM.normal(size=ROWS // 50), 50),
        np.exp(3 * RANDOM.normal(size=ROWS)),
        np.ones(ROWS),
        np.full(ROWS, np.nan),
        np.full(ROWS, np.inf),
        np.linspace(0, 1, 511),
        RANDOM.normal(size=ROWS) + 0.1 * LEVEL,
        RANDOM.choice(["a", "b", None], ROWS),
        np.arange(ROWS) % 2 * 1.0,
    ],
    ids=[
        *("independent", "shuffled", "dependent", "short", "season", "long season", "clumps", "heavy tails"),
        *("constant", "missing", "infinite", "too short", "too small", "words", "alternating"),
    ],
)
def test_no_trend_is_seen_in_what_dependence_or_a_season_explains(column):
    assert dl.Reference.fit({"x": column}).check.trend is None


@pytest.mark.slow
def test_at_most_one_of_a_hundred_references_shows_a_trend_by_chance():
    """Over all features together, of rows that are independent or an AR(1) series of coefficient 0.95."""
    with_trend = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        independent = {f"i{number}": random.normal(size=5_000) for number in range(10)}
        dependent = {f"d{number}": autoregressive(0.95, 5_000, 1_000 * seed + number) for number in range(2)}
        with_trend += dl.Reference.fit({**independent, **dependent}).check.trend is not None
    assert with_trend <= 2


def test_the_largest_trend_is_named_and_the_others_are_counted(random):
    columns = {name: random.normal(size=ROWS) + size * LEVEL for name, size in (("a", 1), ("b", 3), ("c", 0), ("d", 2))}
    check = dl.Reference.fit(columns).check
    assert (check.trend.feature, check.trend.features) == ("b", 3)
    assert "the order of the rows shows a trend, as in 2 other features: the median of b is" in check.words
    assert "pass time= or shuffle them" in check.words


def test_rows_are_in_the_order_of_their_times(random):
    time = random.permutation(ROWS) * 60.0
    trending = random.normal(size=ROWS) + time / time.max()
    assert dl.Reference.fit({"x": trending}).check.trend is None
    trend = dl.Reference.fit({"x": trending}, time=time).check.trend
    order = np.argsort(time)
    assert trend.before == np.median(trending[order][: trend.row])


def test_a_season_that_is_compared_by_is_no_trend(random):
    """A week in which the weekend differs: without `seasons=` the level moves at its end."""
    time = np.arange(ROWS) * 7 * 86_400 / ROWS + 4 * 86_400
    weekend = random.normal(size=ROWS) + 2 * (np.arange(ROWS) >= ROWS * 5 // 7)
    assert dl.Reference.fit({"x": weekend}, time=time).check.trend is not None
    assert dl.Reference.fit({"x": weekend}, time=time, seasons=["weekday"]).check.trend is None


def test_predictions_are_searched_too(random):
    check = dl.Reference.fit({"x": random.normal(size=ROWS)}, predictions=np.sort(random.random(ROWS))).check
    assert check.trend.feature == "prediction"


def test_a_trend_is_logged_at_fit_kept_in_the_file_and_logged_once_at_start_up(tmp_path, caplog, random):
    caplog.set_level(logging.INFO, "driftline")
    reference = dl.Reference.fit({"x": random.normal(size=ROWS) + LEVEL})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert reference.check.words in record.getMessage()
    path = tmp_path / "reference.json"
    reference.save(path)
    jsonschema.validate(json.loads(path.read_text(encoding="utf-8")), SCHEMA)
    loaded = dl.Reference.load(path)
    assert loaded == reference
    caplog.clear()
    monitor = in_memory_monitor("flights", reference=path)
    monitor.observe({"x": random.normal(size=10_000)})
    messages = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    (message,) = [each for each in messages if each.startswith("model flights, reference")]
    assert message == f"model flights, reference: {reference.check.warning}"
    assert "the median of x is" in message


def test_a_label_is_not_logged():
    """It may be personal data."""
    names = np.where(np.arange(ROWS) < 3_000, "ann@example.com", "bob@example.com")
    words = dl.Reference.fit({"who": names}).check.words
    assert "the share of category" in words
    assert "example" not in words


def test_a_file_without_the_new_keys_has_a_plain_sentence(random):
    """As release 0.1 wrote it."""
    check = dl.Reference.fit({"x": autoregressive(0.95, ROWS)}).check
    old = replace(check, whole=0.0, clump=0, trend=None)
    assert old.warning == ""
    assert " tell as much as " in old.words
    assert "clumps" not in old.words
    text = dl.Reference.fit({"x": random.normal(size=ROWS)}).to_json()
    assert "clump" not in json.loads(text)["check"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"figure": "mode"}, "figure is 'mode'"),
        ({"row": 0}, "row is 0"),
        ({"before": None}, "before is None"),
        ({"feature": ""}, "feature is ''"),
    ],
)
def test_a_damaged_trend_is_refused(change, message, random):
    reference = dl.Reference.fit({"x": random.normal(size=ROWS) + LEVEL})
    document = json.loads(reference.to_json())
    document["check"]["trend"] |= change
    with pytest.raises(dl.ReferenceError, match=message):
        dl.Reference.from_json(json.dumps(document))


def test_clumps_are_described_in_rows(random):
    """Each value stays for 50 rows: 50 rows tell as much as one, in clumps of about 50."""
    check = dl.Reference.fit({"x": np.repeat(random.normal(size=400), 50), "y": random.normal(size=20_000)}).check
    assert check.feature == "x"
    assert check.block_rows / check.worth == pytest.approx(50, rel=0.5)
    assert check.clump in {64, 128}
    assert check.whole == pytest.approx(400, rel=0.5)
    assert check.warning == ""
    assert f"as much as one), in clumps of up to about {check.clump} rows, and the whole reference as much as" in (
        check.words
    )


def test_a_reference_of_few_clumps_warns(random):
    """All of its rows tell as much as twenty: no small drift can be found with it."""
    check = dl.Reference.fit({"x": np.repeat(random.normal(size=20), 300)}).check
    assert check.whole < 40
    assert "the reference is too short: all its rows of x tell as much as" in check.warning or check.trend is not None
