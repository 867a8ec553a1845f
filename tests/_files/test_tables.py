"""Files are read in order and in batches, whatever their format, and a damaged one gets a message that names it."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from driftline._files.tables import TableFile
from driftline.errors import ConfigurationError

ROWS = 1_000

TABLE = pa.table(
    {
        "number": [float(row) for row in range(ROWS)],
        "word": ["abc"[row % 3] for row in range(ROWS)],
        "left": [row % 7 for row in range(ROWS)],
    }
)


def write_lines(table, path):
    """Write a table as JSON lines."""
    rows = (
        f'{{"number": {row["number"]}, "word": "{row["word"]}", "left": {row["left"]}}}' for row in table.to_pylist()
    )
    path.write_text("\n".join(rows) + "\n")


WRITERS = {
    "data.parquet": pyarrow.parquet.write_table,
    "data.csv": pyarrow.csv.write_csv,
    "data.arrow": lambda table, path: pyarrow.feather.write_feather(table, path, compression="uncompressed"),
    "data.feather": pyarrow.feather.write_feather,
    "data.jsonl": write_lines,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_rows_in_their_order(tmp_path, name):
    WRITERS[name](TABLE, tmp_path / name)
    file = TableFile.open(tmp_path / name)
    assert file.count_rows() == ROWS
    assert file.columns == ("number", "word", "left")
    batches = list(file.batches(["word", "number"], rows=300))
    assert max(batch.num_rows for batch in batches) <= 300
    assert pa.types.is_dictionary(batches[0].schema.field("word").type)
    assert [value for batch in batches for value in batch.column("number").to_pylist()] == TABLE["number"].to_pylist()
    assert [value for batch in batches for value in batch.column("word").to_pylist()] == TABLE["word"].to_pylist()


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path):
    for part in range(3):
        pyarrow.parquet.write_table(TABLE.slice(part * 100, 100), tmp_path / f"part-{part}.parquet")
    file = TableFile.open(tmp_path)
    assert [value for batch in file.batches(["number"]) for value in batch["number"].to_pylist()] == list(range(300))


def test_a_compressed_csv_file_is_read(tmp_path):
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(b"number,word\n1,a\n2,b\n"))
    assert TableFile.open(path).count_rows() == 2


def test_the_format_may_be_given(tmp_path):
    path = tmp_path / "data.txt"
    path.write_text("number,word\n1,a\n")
    assert TableFile.open(path, "csv").columns == ("number", "word")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.txt", b"a\n1\n", "expected a name that ends in one of"),
        ("data.parquet", b"PAR1 and no more", "cannot be read as parquet"),
        ("data.arrow", b"", "cannot be read as ipc"),
        ("data.csv", b"a,a\n1,2\n", r"multiple columns named a"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"{name}: .*{message}"):
        TableFile.open(tmp_path / name)


def test_an_absent_file_and_a_folder_of_two_formats_are_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"absent.csv: no such file"):
        TableFile.open(tmp_path / "absent.csv")
    (tmp_path / "one.csv").write_text("a\n1\n")
    (tmp_path / "two.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ConfigurationError, match=r"files of the formats \['csv', 'json'\]"):
        TableFile.open(tmp_path)


def test_an_error_between_batches_is_named(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("number\n" + "1.5\n" * 300_000 + "word\n")
    with pytest.raises(ConfigurationError, match=r"data.csv: cannot be read as csv: .*word"):
        list(TableFile.open(path).batches(["number"]))


def test_an_absent_column_is_refused_with_both_lists(tmp_path):
    WRITERS["data.csv"](TABLE, tmp_path / "data.csv")
    with pytest.raises(ConfigurationError, match=r"columns \['age'\] are absent, expected some of \['number', 'word'"):
        list(TableFile.open(tmp_path / "data.csv").batches(["age"]))
