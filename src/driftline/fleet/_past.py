"""Past windows as situations for a policy of retraining: from counts of a fleet, or from a file of snapshots."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from driftline._binning.layout import Layout
from driftline._runtime import json as documents
from driftline._runtime.json import DocumentError
from driftline._windows.ring import WindowCounts
from driftline._windows.window import Window
from driftline.detection import FalseAlarms, Rule
from driftline.detection._evaluator import WindowEvaluator
from driftline.detection._rules import check_rule
from driftline.errors import ConfigurationError
from driftline.fleet._blocks import Blocks
from driftline.fleet._judge import FleetJudge
from driftline.reference import Reference
from driftline.results import Snapshot
from driftline.retraining import RetrainingSituation
from driftline.retraining._broken_data import BrokenData, Findings

__all__ = ["past_of_fleet", "past_of_snapshots", "read_snapshots", "write_snapshot"]

MAX_BINS = 5_000_000
"""Most bins of a snapshot: about as many as a model may have features times the bins of a usual one."""


def past_of_fleet(reference: Reference, fleet_judge: FleetJudge, blocks: Blocks) -> Iterator[RetrainingSituation]:
    """
    Yield a situation for each window of a fleet.

    Args:
        reference: the reference of the fleet.
        fleet_judge: evaluates the windows. It has been fed nothing.
        blocks: the counts of the fleet.
    """
    broken, windows = BrokenData(reference.watched), 0
    for index in range(len(blocks)):
        fleet_judge.feed(blocks[index : index + 1])
        result = fleet_judge.result()
        if result.windows == windows:
            continue
        windows = result.windows
        counts = fleet_judge.latest_counts()
        findings = Findings({}, {}) if counts is None else broken.examine(counts, result.features)
        yield RetrainingSituation(
            at=result.end,
            status=result.features,
            broken=findings.broken,
            suspected=findings.suspected,
            reference=reference.fingerprint,
        )


def past_of_snapshots(
    reference: Reference,
    snapshots: Iterable[tuple[float, Snapshot]],
    window: Window | None = None,
    rule: Rule | None = None,
) -> Iterator[RetrainingSituation]:
    """
    Yield a situation for each snapshot, which counts as a whole window. How rows depend on each other is not learned.

    Args:
        reference: the reference.
        snapshots: for each window its end in UNIX seconds and its counts, in the order of time.
        window: the window of the monitor. If None, ``Window(rows=5_000)``.
        rule: decides which features drift. If None, ``FalseAlarms()``.

    Raises:
        ConfigurationError: a snapshot has other bins than the reference.
    """
    window = Window(rows=5_000) if window is None else window
    layout, broken = Layout(reference.watched), BrokenData(reference.watched)
    clock = _Clock()
    evaluator: WindowEvaluator | None = None
    for at, snapshot in snapshots:
        if snapshot.fingerprint != layout.fingerprint or len(snapshot.counts) != layout.total:
            msg = f"a snapshot of {at:.0f} has the bins {snapshot.fingerprint}, expected those of {layout.fingerprint}"
            raise ConfigurationError(msg)
        clock.now = at
        if evaluator is None:  # at the first time, because the time between two windows sets the level of the tests
            evaluator = WindowEvaluator(
                reference,
                layout,
                window,
                check_rule(FalseAlarms() if rule is None else rule),
                (),
                clock,
                lambda _: None,
                lambda _place, _message: None,
            )
        evaluator.evaluate([WindowCounts(snapshot.counts, snapshot.rows)])
        findings = broken.examine(snapshot.counts, evaluator.status)
        yield RetrainingSituation(
            at=at,
            status=evaluator.status,
            broken=findings.broken,
            suspected=findings.suspected,
            reference=reference.fingerprint,
            window=window.label,
        )


class _Clock:
    """Returns the time of the snapshot that is evaluated."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def write_snapshot(file: TextIO, at: float, snapshot: Snapshot) -> None:
    """Append a snapshot to a file, as one line of JSON that `read_snapshots` reads. *at* is in UNIX seconds."""
    document = {
        "at": at,
        "rows": snapshot.rows,
        "fingerprint": snapshot.fingerprint,
        "counts": np.asarray(snapshot.counts).tolist(),
    }
    file.write(json.dumps(document) + "\n")


def read_snapshots(path: Path) -> Iterator[tuple[float, Snapshot]]:
    """
    Yield the time and the snapshot of each line of a file.

    Raises:
        ConfigurationError: a line is no snapshot, or is earlier than the one before. The message names the line.
        OSError: the file cannot be read.
    """
    reader = documents.record(
        lambda at, rows, fingerprint, counts: (at, Snapshot(np.array(counts, dtype=np.int64), rows, fingerprint)),
        at=documents.number,
        rows=documents.count,
        fingerprint=documents.name,
        counts=documents.array(documents.count, most=MAX_BINS),
    )
    latest = -math.inf
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                at, snapshot = documents.read(line, reader)
            except DocumentError as error:
                msg = f"{path}, line {number}: {error}"
                raise ConfigurationError(msg) from error
            if at < latest:
                msg = f"{path}, line {number}: at is {at}, expected at least {latest}, that of the line before"
                raise ConfigurationError(msg)
            latest = at
            yield at, snapshot
