"""Compares a data set, or counts, with a reference once, with the code with which a monitor evaluates its windows."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from driftline._binning.layout import Layout
from driftline._capture.tables import count_rows, describe, is_table, open_table
from driftline._derived.spec import Derive
from driftline._drawing.text import clean
from driftline._files.evaluation import ALPHA, rule_of, table_monitor
from driftline._files.parts import PartExaminer, slice_rows
from driftline._pipeline.inspection import Inspection
from driftline._pipeline.redaction import Redactor
from driftline._report.features import Slices
from driftline._windows.ring import WindowCounts
from driftline._windows.window import Window
from driftline.detection import Rule
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._least_effects import DEFAULT
from driftline.detection._rules import check_rule
from driftline.detection._scoring import DEFAULT_DISTANCES, resolve_distances
from driftline.errors import ConfigurationError
from driftline.monitor import Monitor
from driftline.outcomes import OutcomeSnapshot
from driftline.reference import Reference
from driftline.results import Snapshot
from driftline.typing import Correct

__all__ = ["NAME", "ONCE", "Comparison", "compare_data", "compare_snapshot"]

_log = logging.getLogger("driftline")

NAME = "driftline.report"
"""The name of the monitor that reads a data set. It exports nothing."""

SLICES = 24
"""Slices of a data set that its course shows."""

MAX_NAMES = 5
"""Names of absent columns in a note."""

MAX_CHUNK = 50_000
"""Most rows that are read in one step, so that predictions whose outcomes are pending do not fill the memory."""

MIN_SLICE = 20
"""Fewest rows of a slice. The median of fewer would show noise."""

ONCE = f"Of a hundred such comparisons without any drift, at most {round(100 * ALPHA)} reports a drifting feature."


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """
    The result of a comparison.

    Attributes:
        inspection: what a monitor of these rows shows.
        rows: the rows.
        counts: shape (bins,), their counts.
        slices: the counts of slices of the data; None for a snapshot.
        notes: what a reader must know.
        predicted: whether the rows have predictions.
    """

    inspection: Inspection
    rows: int
    counts: Any
    slices: Slices | None
    notes: tuple[str, ...]
    predicted: bool = True


def _rule(rule: Rule | None) -> tuple[Rule, tuple[str, ...]]:
    """Return the rule, and notes about it. By default it is a test of a single window."""
    if rule is not None:
        return check_rule(rule), ()
    return rule_of(ALPHA, DEFAULT), (ONCE,)


def _without_seasons(reference: Reference) -> tuple[Reference, tuple[str, ...]]:
    """Return the reference without its seasons, and a note if it had some."""
    if reference.seasons is None or not reference.seasons.kinds:
        return reference, ()
    note = "The rows were compared with all hours and days of the reference, because their times are not known."
    return replace(reference, seasons=None), (note,)


def compare_snapshot(reference: Reference, snapshot: Snapshot, rule: Rule | None, *, labels: bool) -> Comparison:
    """
    Evaluate the counts of a snapshot. *labels* says whether to name categories.

    Raises:
        ConfigurationError: the snapshot has other bins than the reference.
    """
    if snapshot.fingerprint != reference.fingerprint:
        msg = f"snapshot over the bins {snapshot.fingerprint}: expected those of the reference, {reference.fingerprint}"
        raise ConfigurationError(msg)
    checked, notes = _rule(rule)
    alone, season_notes = _without_seasons(reference)
    layout = Layout(alone.watched)
    counts = np.asarray(snapshot.counts[: layout.total], dtype=np.int64)
    evaluator = WindowEvaluator(
        alone,
        layout,
        Window(rows=max(snapshot.rows, 1)),
        checked,
        resolve_distances(DEFAULT_DISTANCES),
        time.monotonic,
        lambda _: None,
        lambda place, message: _log.warning("%s: %s", place, message),
    )
    evaluator.evaluate([WindowCounts(counts, snapshot.rows)], incomplete=True)
    redactor = Redactor(labels=labels, named=())
    redactor.switch(alone, evaluator)
    states = redactor.states(evaluator.status)
    inspection = Inspection({}, reference, evaluator.evaluation_details(), states, (), None, OutcomeSnapshot(), {})
    order = "Counts have no order: rows are taken to depend on each other as those of the reference do."
    return Comparison(inspection, snapshot.rows, counts, None, (*notes, order, *season_notes))


def compare_data(
    reference: Reference,
    data: Any,
    predictions: Any,
    outcomes: Any,
    rule: Rule | None,
    derive: Derive | None,
    correct: Correct | None,
    *,
    shuffled: bool,
    labels: bool,
) -> Comparison:
    """
    Evaluate a data set as one window.

    Args:
        reference: the reference.
        data: as for `Reference.fit`.
        predictions: as for `Reference.fit`; None if they are not known.
        outcomes: a column of the true values; None if they are not known.
        rule: decides which features drift; None for the default.
        derive: the functions of the derived features.
        correct: decides whether a prediction was right.
        shuffled: whether the training data were shuffled.
        labels: whether to name categories.

    Raises:
        ConfigurationError: the data cannot be read, or have no rows.
    """
    rows = count_rows(data)
    if not rows:
        what = describe(data) if rows is None else "no rows"
        msg = f"current: {what}, expected a Monitor, a Snapshot, or rows as a dict of columns, a frame or an array"
        raise ConfigurationError(msg)
    if outcomes is not None and predictions is None:
        msg = "outcomes=: expected predictions= too, which they are compared with"
        raise ConfigurationError(msg)
    checked, notes = _rule(rule)
    _, season_notes = _without_seasons(reference)
    monitor = table_monitor(NAME, reference, rows, checked, shuffled=shuffled, derive=derive, correct=correct)
    examiner = PartExaminer(reference, 0 if shuffled else rows, checked, labels=labels)
    try:
        counted, sizes = _observe(monitor, data, _column(predictions), _column(outcomes), rows, examiner)
        monitor.flush()
        inspection = monitor.inspect(labels=labels)
        inspection = replace(inspection, states=examiner.complete(inspection.states))
    finally:
        monitor.shutdown()
    total = sum(sizes)
    if not total:
        msg = f"data: none of {rows} rows could be read: {dict(inspection.errors)}, see the log"
        raise ConfigurationError(msg)
    errors = tuple(
        f"{number} errors in reading the data ({where}): see the log." for where, number in inspection.errors.items()
    )
    slices = Slices(counted, sizes, "first rows", "last rows")
    counts = sum(counted[1:], counted[0])
    every = (*notes, *season_notes, *_absent(reference, data), *errors)
    shown = replace(inspection, reference=reference)
    return Comparison(shown, total, counts, slices, every, predicted=predictions is not None)


def _observe(
    monitor: Monitor, data: Any, predictions: Any, outcomes: Any, rows: int, examiner: PartExaminer
) -> tuple[list[Any], list[int]]:
    """Let a monitor observe a data set in slices. Return the counts and the rows of each slice."""
    number = max(1, min(SLICES, rows // MIN_SLICE))
    ends = {rows * index // number for index in range(1, number + 1)}
    blocks = set(examiner.cuts)
    counted, sizes = [], []
    before, seen = None, 0
    for begin, end in pairwise([0, *sorted(ends | blocks)]):
        for start in range(begin, end, MAX_CHUNK):
            stop = min(start + MAX_CHUNK, end)
            ids = None if outcomes is None else [str(row) for row in range(start, stop)]
            part = None if predictions is None else slice_rows(predictions, start, stop)
            monitor.observe(slice_rows(data, start, stop), part, prediction_ids=ids)
            if ids is not None:
                monitor.outcomes(ids, slice_rows(outcomes, start, stop))
        snapshot = monitor.snapshot()
        if snapshot is None:
            continue
        if end in blocks:
            examiner.add(end, snapshot.counts, snapshot.rows)
        if end in ends:
            counted.append(snapshot.counts if before is None else snapshot.counts - before)
            sizes.append(snapshot.rows - seen)
            before, seen = snapshot.counts.copy(), snapshot.rows
    return counted, sizes


def _absent(reference: Reference, data: Any) -> tuple[str, ...]:
    """Return a note about the columns of the reference that the data lack."""
    names = open_table(data).names if is_table(data) else None
    absent = [] if names is None else [name for name in reference.columns if name not in names]
    if not absent:
        return ()
    shown = ", ".join(clean(name, 40) for name in absent[:MAX_NAMES])
    more = f" and {len(absent) - MAX_NAMES} others" if len(absent) > MAX_NAMES else ""
    return (f"The data lack {shown}{more}: their values count as missing.",)


def _column(values: Any) -> Any:
    """Return a column of outputs or outcomes, of which single values of pyarrow are no labels, as a list."""
    return values.to_pylist() if hasattr(values, "to_pylist") else values
