"""A reference that is fitted to a file in parts has the counts of all rows, and bins from all of the file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import driftline as dl
from driftline._files.fitting import FileFit, fit_file
from driftline._files.tables import TableFile

ROWS = 60_000


@pytest.fixture(scope="module")
def table():
    """Rows whose level and categories change with time, so that no part is like the whole."""
    random = np.random.default_rng(3)
    level = np.linspace(0.0, 10.0, ROWS)
    return pa.table(
        {
            "level": level + random.normal(size=ROWS),
            "word": np.array(["early", "late", "always"])[
                np.where(random.random(ROWS) < 0.5, 2, (level > 5.0).astype(int))
            ],
            "gap": pa.array(random.normal(size=ROWS), mask=random.random(ROWS) < 0.1),
            "id": np.arange(ROWS),
            "p": random.random(ROWS),
            "y": random.random(ROWS) < 0.5,
        }
    )


@pytest.fixture(scope="module")
def file(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "data.parquet"
    pyarrow.parquet.write_table(table, path, row_group_size=5_000)
    return TableFile.open(path)


FIT = FileFit("p", "y", ("id",), {"categorical": ("word",)})


def test_a_file_that_fits_in_memory_gives_the_reference_of_its_table(table, file):
    features = table.select(["level", "word", "gap"])
    expected = dl.Reference.fit(features, predictions=table["p"], outcomes=table["y"], categorical=("word",))
    assert fit_file(file, FIT).to_json() == expected.to_json()


def test_a_larger_file_has_the_counts_of_all_its_rows(table, file):
    fitted = fit_file(file, FIT, whole=8_000)
    assert fitted.rows == ROWS
    features = table.select(["level", "word", "gap"])
    again = dl.Reference.fit(features, predictions=table["p"], outcomes=table["y"], like=fitted)
    assert [feature.counts for feature in fitted.watched] == [feature.counts for feature in again.watched]
    assert fitted.outcomes.known == again.outcomes.known
    assert fitted.outcomes.correct == again.outcomes.correct


def test_the_bins_of_a_larger_file_are_from_all_of_it(file):
    level, word, gap = fit_file(file, FIT, whole=8_000).features
    shares = np.array(level.counts) / ROWS
    assert shares[:-1].max() < 0.12, "bins of the first rows alone would hold all the others in the last one"
    assert set(word.bins.categories) == {"early", "late", "always"}
    assert gap.counts[-1] / ROWS == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (FileFit("q"), r"columns \['q'\] are absent, expected some of \['level'"),
        (FileFit("p", "y", ("id", "level", "word", "gap")), "no feature is left"),
    ],
)
def test_wrong_columns_are_refused(file, fit, message):
    with pytest.raises(dl.ConfigurationError, match=message):
        fit_file(file, fit)


def test_an_empty_file_is_refused(tmp_path):
    pyarrow.parquet.write_table(pa.table({"a": pa.array([], pa.float64())}), tmp_path / "empty.parquet")
    with pytest.raises(dl.ConfigurationError, match=r"empty.parquet: no rows, expected at least one"):
        fit_file(TableFile.open(tmp_path / "empty.parquet"), FileFit())
