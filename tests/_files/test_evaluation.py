"""A table is compared with a reference in one window, with the probability of a false alarm that its caller states."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl
from driftline._files.evaluation import check_batches
from driftline.testing import assert_no_drift


def draw(random, rows, shift=0.0, word="a"):
    return {"number": random.normal(shift, size=rows), "word": np.where(random.random(rows) < 0.5, word, "b")}


@pytest.fixture(scope="module")
def reference():
    random = np.random.default_rng(1)
    return dl.Reference.fit(draw(random, 5_000), predictions=random.random(5_000))


def test_parts_give_the_states_of_the_whole(reference):
    table = draw(np.random.default_rng(2), 3_000, shift=0.4)
    parts = [
        ({name: column[start : start + 700] for name, column in table.items()}, None) for start in range(0, 3_000, 700)
    ]
    in_parts = check_batches(reference, parts, 3_000)
    whole = check_batches(reference, [(table, None)], 3_000)
    assert in_parts.state == whole.state == "drifting"
    assert [score.value for score in in_parts.scores] == [score.value for score in whole.scores]
    assert in_parts.features["word"].state == "stable"


def test_as_many_tables_without_a_drift_are_called_drifting_as_stated(reference):
    random = np.random.default_rng(5)
    tables = 150
    drifting = sum(
        check_batches(reference, [(draw(random, 500), None)], 500, alpha=0.05, min_effect=0.0).state == "drifting"
        for _ in range(tables)
    )
    # 7.5 are expected, and more than 16 have a probability of 0.1 %.
    assert drifting <= 16


def test_a_prediction_is_compared_only_if_there_are_outputs(reference):
    random = np.random.default_rng(6)
    assert set(check_batches(reference, [(draw(random, 500), None)], 500).features) == {"number", "word"}
    high = check_batches(reference, [(draw(random, 500), 0.5 + 0.5 * random.random(500))], 500)
    assert high.features["prediction"].state == "drifting"


def test_narrower_rows_are_undecided_if_the_training_data_were_shuffled(reference):
    random = np.random.default_rng(6)
    parts = [(draw(random, 500), 0.5 + 0.5 * random.random(500))]
    assert check_batches(reference, parts, 500).features["prediction"].state == "drifting"
    shuffled = check_batches(reference, parts, 500, shuffled=True)
    assert shuffled.features["prediction"].reason.startswith("cannot tell: 500 rows vary less")


def test_categories_are_named_only_on_request(reference):
    table = draw(np.random.default_rng(7), 2_000, word="secret")
    named = check_batches(reference, [(table, None)], 2_000)
    assert named.features["word"].state == "drifting"
    assert "a from" in named.features["word"].reason
    hidden = check_batches(reference, [(table, None)], 2_000, labels=False)
    assert hidden.features["word"].state == "drifting"
    assert "category 0" in hidden.features["word"].reason or "unseen" in hidden.features["word"].reason
    assert "a from" not in hidden.features["word"].reason


def test_few_rows_are_undecided_and_none_are_refused(reference):
    assert check_batches(reference, [(draw(np.random.default_rng(8), 50), None)], 50).state == "insufficient_data"
    with pytest.raises(dl.ConfigurationError, match="0 rows, expected at least one"):
        check_batches(reference, [], 0)
    with pytest.raises(dl.ConfigurationError, match=r"alpha=0\.5: expected a number above 0 and at most 0.05"):
        check_batches(reference, [], 10, alpha=0.5)


def test_the_assertion_names_the_feature_and_how_it_moved(reference, tmp_path):
    random = np.random.default_rng(9)
    assert_no_drift(reference, draw(random, 2_000))
    reference.save(tmp_path / "reference.json")
    with pytest.raises(
        AssertionError, match=r"drifting \(1 of 2 features\), 2,000 rows, alpha 0.01\nnumber: .*location up"
    ):
        assert_no_drift(tmp_path / "reference.json", draw(random, 2_000, shift=1.0))
    page = tmp_path / "page.html"
    with pytest.raises(AssertionError, match=r"See .*page\.html"):
        assert_no_drift(reference, draw(random, 2_000, shift=1.0), page=page)
    assert "location up" in page.read_text(encoding="utf-8")
    with pytest.raises(dl.ConfigurationError, match=r"data=int: expected a dict of columns"):
        assert_no_drift(reference, 3)
