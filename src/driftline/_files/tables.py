"""`TableFile`: the rows of a file of columns, read in batches, so that a file may be larger than memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from driftline.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BATCH_ROWS", "FORMATS", "TableFile"]

BATCH_ROWS: Final = 131_072
"""Rows of a batch. 20 columns of eight bytes take 20 MiB, and a batch of this size is counted at full speed."""

FORMATS: Final = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".arrow": "ipc",
    ".ipc": "ipc",
    ".feather": "ipc",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
"""Format of a file by the end of its name, as in ``pyarrow.dataset``. A JSON file has an object on each line."""

COMPRESSED: Final = {".gz", ".bz2"}
"""Further ends of the names of csv files, which are decompressed while they are read."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """
    The rows of a file, or of all files of one format in a folder, in their order.

    Attributes:
        path: the file or the folder.
        format: one of the values of `FORMATS`.
        columns: names of the columns, in the order of the file.
        dataset: the data as ``pyarrow.dataset.Dataset``.
    """

    path: Path
    format: str
    columns: tuple[str, ...]
    dataset: Any

    @classmethod
    def open(cls, path: str | os.PathLike[str], form: str | None = None) -> TableFile:
        """
        Open a file. Its rows are not read yet.

        Args:
            path: the file, or a folder of files of one format, which are read in the order of their names.
            form: ``"parquet"``, ``"csv"``, ``"ipc"`` or ``"json"``. If None, the end of the name says it.

        Raises:
            ConfigurationError: the file is absent or cannot be read, its format is not known, or pyarrow is absent.
        """
        file = Path(path)
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            import pyarrow.dataset as ds  # noqa: PLC0415 - as above
        except ImportError as error:
            msg = f"{file}: files are read with pyarrow, which is not installed: pip install 'driftline[pyarrow]'"
            raise ConfigurationError(msg) from error
        if not file.exists():
            msg = f"{file}: no such file"
            raise ConfigurationError(msg)
        known = form or _format_of(file)
        try:
            dataset = ds.dataset(str(file), format=known)
            names = tuple(dataset.schema.names)
        except (pa.ArrowException, OSError, ValueError) as error:
            msg = f"{file}: cannot be read as {known}: {_first_line(error)}"
            raise ConfigurationError(msg) from error
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            msg = f"{file}: several columns are called {doubled}, expected different names"
            raise ConfigurationError(msg)
        return cls(file, known, names, dataset)

    def count_rows(self) -> int:
        """
        Return the number of rows. Parquet files and Arrow files know it; other files are read.

        Raises:
            ConfigurationError: the file is damaged.
        """
        with _readable(self):
            return int(self.dataset.count_rows())

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.Table]:
        """
        Yield the rows of some columns as tables, in the order of the file.

        Args:
            columns: names of the columns.
            rows: largest number of rows of a table.

        Raises:
            ConfigurationError: the file lacks a column or is damaged.
        """
        import pyarrow as pa  # noqa: PLC0415 - an extra

        self.require(columns)
        with _readable(self):
            # Strings are counted by their codes, which are made while a batch is small.
            for batch in self.dataset.to_batches(columns=list(columns), batch_size=rows, **self._reading()):
                if batch.num_rows:
                    yield pa.Table.from_arrays([_encoded(each) for each in batch.columns], names=list(columns))

    def known_columns(self, names: Iterable[str | None]) -> list[str]:
        """
        Return those of some names that are columns of the file, each once and in their order.

        Raises:
            ConfigurationError: none of them is. The message has both lists.
        """
        wanted = [name for name in dict.fromkeys(names) if name is not None]
        known = [name for name in wanted if name in self.columns]
        if not known:
            msg = f"{self.path}: columns {list(self.columns)}, expected at least one of {wanted}"
            raise ConfigurationError(msg)
        return known

    def _reading(self) -> dict[str, Any]:
        """Return how the file is read: by default pyarrow keeps all of the bytes of a Parquet file that it has read."""
        import pyarrow.dataset as ds  # noqa: PLC0415 - an extra

        options: dict[str, Any] = {"batch_readahead": 2}
        if self.format == "parquet":
            options["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
        return options

    def require(self, columns: Sequence[str]) -> None:
        """
        Check that the file has columns.

        Raises:
            ConfigurationError: it lacks one. The message has both lists.
        """
        if absent := [name for name in columns if name not in self.columns]:
            msg = f"{self.path}: columns {absent} are absent, expected some of {list(self.columns)}"
            raise ConfigurationError(msg)


class _readable:  # noqa: N801 - used as a function
    """Turns the errors of pyarrow, also those between batches, into a `ConfigurationError` that names the file."""

    def __init__(self, file: TableFile) -> None:
        self._file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an extra

        if isinstance(error, (pa.ArrowException, OSError)):
            msg = f"{self._file.path}: cannot be read as {self._file.format}: {_first_line(error)}"
            raise ConfigurationError(msg) from error


def _encoded(column: Any) -> Any:
    """Return a column of strings with a dictionary; others as they are."""
    import pyarrow.types as kinds  # noqa: PLC0415 - an extra

    text = kinds.is_string(column.type) or kinds.is_large_string(column.type)
    return column.dictionary_encode() if text else column


def _format_of(file: Path) -> str:
    """
    Return the format that the name of a file, or of the files in a folder, shows.

    Raises:
        ConfigurationError: it shows none, or a folder has files of several formats.
    """
    if file.is_dir():
        inside = {known for each in file.rglob("*") if each.is_file() and (known := _format_of_name(each))}
        if len(inside) == 1:
            return inside.pop()
        msg = f"{file}: files of the formats {sorted(inside)}, expected those of one of {sorted(set(FORMATS.values()))}"
        raise ConfigurationError(msg)
    known = _format_of_name(file)
    if known is None:
        msg = f"{file}: expected a name that ends in one of {', '.join(FORMATS)}, or --format"
        raise ConfigurationError(msg)
    return known


def _format_of_name(file: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        inner = FORMATS.get(suffixes[-2]) if len(suffixes) > 1 else None
        return inner if inner == "csv" else None
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
