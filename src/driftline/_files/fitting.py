"""Fits a reference to a file in parts: the bins to rows from all of it, the counts to every row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from driftline._files.tables import BATCH_ROWS, TableFile
from driftline.errors import ConfigurationError
from driftline.reference import Reference

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["WHOLE_ROWS", "FileFit", "fit_file"]

WHOLE_ROWS: Final = 500_000
"""
Most rows that are fitted in one step, in memory. Of more rows, this many from all parts of the file say where the bins
lie: the standard error of a cut at the quantile 0.01 is then 0.00014 of the rows.
"""

ONLY_FIRST: Final = ("categorical", "numeric", "max_categories", "ignore", "seasons")
"""Arguments of `Reference.fit` that are for the bins. Parts that are counted in them have those of the first."""


@dataclass(frozen=True, slots=True)
class FileFit:
    """
    How the columns of a file are used.

    Attributes:
        predictions: the column of the model's output; None if there is none.
        outcomes: the column of the true values; None if there is none.
        without: columns that are not read.
        options: further arguments of `Reference.fit`.
    """

    predictions: str | None = None
    outcomes: str | None = None
    without: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def columns(self, file: TableFile) -> list[str]:
        """
        Return the columns that are read.

        Raises:
            ConfigurationError: the file lacks a column, or no feature is left.
        """
        named = [each for each in (self.predictions, self.outcomes, *self.without) if each is not None]
        file.require(named)
        read = [name for name in file.columns if name not in self.without]
        if not set(read) - {self.predictions, self.outcomes, self.options.get("time"), self.options.get("cluster")}:
            msg = f"{file.path}: no feature is left of the columns {list(file.columns)}"
            raise ConfigurationError(msg)
        return read

    def fit(self, table: pa.Table, like: Reference | None = None) -> Reference:
        """
        Fit a reference to a table, or count its rows in the bins of another one.

        Raises:
            ConfigurationError: an argument has a wrong value, or does not fit the columns.
        """
        options = dict(self.options)
        if like is not None:
            options = {name: value for name, value in options.items() if name not in ONLY_FIRST}
        roles = {"predictions": self.predictions, "outcomes": self.outcomes}
        columns = {role: table.column(name) for role, name in roles.items() if name is not None}
        features = table.drop_columns([name for name in roles.values() if name is not None])
        return Reference.fit(features, **columns, **options, like=like)


def fit_file(file: TableFile, fit: FileFit, whole: int = WHOLE_ROWS) -> Reference:
    """
    Fit a reference to all rows of a file.

    Args:
        file: the file.
        fit: how its columns are used.
        whole: most rows that are held in memory.

    Returns:
        The reference. That of a longer file has no ``check``.

    Raises:
        ConfigurationError: the file is empty or damaged, lacks a column, or an argument has a wrong value.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra

    columns, rows = fit.columns(file), file.count_rows()
    if not rows:
        msg = f"{file.path}: no rows, expected at least one"
        raise ConfigurationError(msg)
    if rows <= whole:
        return fit.fit(_joined(pa, list(file.batches(columns))))
    bins = fit.fit(_joined(pa, list(_sample(file, columns, rows, whole))))
    total: Reference | None = None
    for part in _parts(pa, file.batches(columns), whole):
        counted = fit.fit(part, bins)
        total = counted if total is None else total.merge(counted)
    if total is None:  # the file was cut while it was read
        msg = f"{file.path}: no rows, expected {rows}"
        raise ConfigurationError(msg)
    return total


def _sample(file: TableFile, columns: list[str], rows: int, wanted: int) -> Iterator[pa.Table]:
    """Yield rows from all parts of a file: the first ones of each batch, as many as its share of *wanted* rows."""
    seen = taken = 0
    for batch in file.batches(columns):
        seen += batch.num_rows
        due = min(batch.num_rows, max(0, wanted * seen // rows - taken))
        taken += due
        if due:
            # A slice would keep all rows of its batch in memory.
            yield batch.take(np.arange(due))


def _parts(pa: Any, batches: Iterator[pa.Table], whole: int) -> Iterator[pa.Table]:
    """Join batches to tables of about a quarter of *whole* rows, in their order."""
    held: list[pa.Table] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.num_rows
        if size >= max(BATCH_ROWS, whole // 4):
            yield _joined(pa, held)
            held, size = [], 0
    if held:
        yield _joined(pa, held)


def _joined(pa: Any, tables: list[pa.Table]) -> pa.Table:
    """Return one table of several, whose columns of strings have one dictionary."""
    return pa.concat_tables(tables).unify_dictionaries() if len(tables) > 1 else tables[0]
