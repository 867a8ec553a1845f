"""Looks for drifts in parts of a table, which a test of all rows takes for dependence between them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from driftline._binning.layout import Layout
from driftline._capture.tables import count_rows
from driftline._pipeline.redaction import Redactor
from driftline._seasons.seasons import Seasons
from driftline._windows.ring import BLOCKS, MIN_BLOCK_ROWS, WindowCounts
from driftline._windows.window import Window
from driftline.detection import FalseAlarms, Rule
from driftline.detection._evaluator import WindowEvaluator
from driftline.reference import Reference
from driftline.results import FeatureStatus
from driftline.typing import Counts

__all__ = ["IN_ORDER", "PART_SHARE", "PartExaminer", "pieces", "slice_rows", "split_batch"]

_log = logging.getLogger("driftline")

IN_ORDER: Final = Seasons((), (), (), 0.0, 0.0)
"""
Seasons of a reference whose rows are in order, by none of which windows are compared: the time of the rows of a table
is not known here.
"""

PARTS: Final = 24
"""Most parts that are examined, as many as the course of a report has. Looks of 2, 4 and 8 parts see longer drifts."""

MIN_PARTS: Final = 4
"""Fewest parts. With fewer, a part is hardly smaller than the table."""

MIN_PART_ROWS: Final = BLOCKS * MIN_BLOCK_ROWS
"""Fewest rows of a part, so that its blocks show how rows depend on each other."""

LENGTHS: Final = (1, 2, 4, 8)
"""Lengths of the looks, in parts. The test of all rows sees what lasts longer."""

PART_SHARE: Final = 0.1
"""
Share of the budget of a table that its parts have. What a part shows is usually far beyond any level, and the rows of
one busy user in a part are not far beyond a small one (20 tables of 4,000 rows of Pareto users).
"""


class PartExaminer:
    """
    Evaluates consecutive parts of a table, as a monitor evaluates its windows.

    Args:
        reference: the reference, whose training data must be in their order: only that says how much parts differ.
        rows: the rows of the table.
        rule: the rule of the whole table. Unless it is one of a single window, no part is examined.
        labels: whether reasons name categories.

    Attributes:
        cuts: the numbers of rows after which `add` is to be called, in ascending order.
        drifting: the first status of each feature that drifted in a part, by name.
    """

    def __init__(self, reference: Reference, rows: int, rule: Rule, *, labels: bool) -> None:
        self.drifting: dict[str, FeatureStatus] = {}
        self.cuts: Sequence[int] = (rows,)
        self._rows = rows
        self._redactor = Redactor(labels=labels, named=())
        self._blocks: list[WindowCounts] = []
        self._before: Counts | None = None
        self._counted = self._bins = 0
        self._evaluator: WindowEvaluator | None = None
        parts = min(PARTS, rows // MIN_PART_ROWS)
        if not isinstance(rule, FalseAlarms) or rule.lengths != (1,) or rule.every != rule.per or parts < MIN_PARTS:
            return
        blocks = parts * BLOCKS
        self.cuts = tuple(rows * number // blocks for number in range(1, blocks + 1))
        alone = replace(reference, seasons=IN_ORDER)
        layout = Layout(alone.watched)
        self._bins = layout.total
        self._evaluator = WindowEvaluator(
            alone,
            layout,
            Window(rows=rows // parts),
            FalseAlarms(
                rule.count * PART_SHARE / (1.0 - PART_SHARE),
                per=rule.per,
                every=rule.per / parts,
                lengths=[length for length in LENGTHS if length <= parts],
                min_effect=rule.min_effect,
            ),
            (),
            time.monotonic,
            lambda _: None,
            lambda place, message: _log.warning("%s: %s", place, message),
        )
        self._redactor.switch(alone, self._evaluator)

    def add(self, end: int, counts: Counts, rows: int) -> None:
        """
        Add a block, and evaluate the part that it completes.

        Args:
            end: the number of rows of the table so far.
            counts: shape (bins,), the counts of all rows so far.
            rows: how many of these rows could be counted.
        """
        if self._evaluator is None:
            return
        now = counts[: self._bins].astype("int64", copy=True)
        block = WindowCounts(now if self._before is None else now - self._before, rows - self._counted)
        self._before, self._counted = now, rows
        self._blocks.append(block)
        if len(self._blocks) < BLOCKS:
            return
        part = WindowCounts.sum(self._blocks, self._bins)
        part.blocks = tuple(each for each in self._blocks if each.rows)
        self._blocks = []
        if part.rows:
            self._evaluator.evaluate([part])
            self._keep(self._evaluator.status, end)

    def _keep(self, states: Mapping[str, FeatureStatus], end: int) -> None:
        """Keep the drifts that begin in the part that ends with the row *end*."""
        begun = {name: each for name, each in states.items() if each.state == "drifting" and name not in self.drifting}
        for name, each in self._redactor.states(begun).items():
            begin = max(end - each.rows, 0) + 1
            words = f"{each.reason}; first in rows {begin:,} to {end:,} of {self._rows:,}"
            self.drifting[name] = replace(each, reason=words)

    def complete(self, states: Mapping[str, FeatureStatus]) -> Mapping[str, FeatureStatus]:
        """
        Return the states of all rows, by name, with those of parts for features that drift in a part alone.

        A feature without a p-value keeps its state, because its values could not be read.
        """
        return {
            name: status if status.state == "drifting" or status.p_value is None else self.drifting.get(name, status)
            for name, status in states.items()
        }


def pieces(begin: int, rows: int, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """
    Yield the pieces of a batch, as the numbers of its first row and of that after its last, between *cuts*.

    Args:
        begin: rows of the table before the batch.
        rows: rows of the batch.
        cuts: numbers of rows of the table, in ascending order.
    """
    inner = [cut - begin for cut in cuts if begin < cut < begin + rows]
    yield from pairwise([0, *inner, rows])


def split_batch(features: Any, outputs: Any, begin: int, cuts: Sequence[int]) -> Iterator[tuple[Any, Any, int]]:
    """
    Yield the pieces of a batch between *cuts*: features, outputs or None, and the rows of the table up to the end.

    A batch that is no table of equal columns is one piece, which its reader then reads or refuses as a whole.

    Args:
        features: the batch, as for `Monitor.observe`.
        outputs: the outputs of its rows, or None.
        begin: rows of the table before the batch.
        cuts: numbers of rows of the table, in ascending order.
    """
    rows = count_rows(features) or 0
    columns = [*(features.values() if isinstance(features, Mapping) else ()), *(() if outputs is None else (outputs,))]
    if any(not hasattr(column, "__len__") or len(column) != rows for column in columns):
        yield features, outputs, begin + rows
        return
    for start, stop in pieces(begin, rows, cuts):
        if (start, stop) == (0, rows):
            yield features, outputs, begin + rows
        else:
            part = None if outputs is None else slice_rows(outputs, start, stop)
            yield slice_rows(features, start, stop), part, begin + stop


def slice_rows(data: Any, start: int, stop: int) -> Any:
    """Return some rows of a data set, or of a column."""
    if isinstance(data, Mapping):
        return {name: slice_rows(column, start, stop) for name, column in data.items()}
    if hasattr(data, "iloc"):
        return data.iloc[start:stop]
    if hasattr(data, "schema") and hasattr(data, "slice"):
        return data.slice(start, stop - start)
    if hasattr(data, "__getitem__"):
        return data[start:stop]
    return list(data)[start:stop]
