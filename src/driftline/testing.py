"""Helpers for tests: an assertion about data, a manual clock, a monitor without threads, checks, a probe."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from driftline._files.evaluation import ALPHA, check_batches, rule_of
from driftline._pipeline.active_reference import ActiveReference
from driftline._report import report
from driftline._significance.learned import Learned
from driftline._windows.totals import Totals
from driftline.detection._least_effects import MinEffect
from driftline.detection._stream_detectors import resolve_detectors
from driftline.errors import ConfigurationError
from driftline.monitor import Monitor
from driftline.outcomes import OutcomeTally
from driftline.outcomes._ledger import Ledger
from driftline.reference import Reference
from driftline.typing import Column, Counts, Detector, Distance

__all__ = ["ManualClock", "Probe", "assert_no_drift", "check_detector", "check_distance", "in_memory_monitor"]


class ManualClock:
    """
    A clock that only `advance` moves.

    Args:
        start: seconds that it shows at first.

    >>> clock = ManualClock()
    >>> clock.advance(90.0)
    >>> clock()
    90.0
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def __call__(self) -> float:
        """Return the seconds that the clock shows."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock by a number of seconds; a negative number moves it back."""
        self._now += seconds


def in_memory_monitor(name: str = "model", **options: Any) -> Monitor:
    """
    Return a monitor that starts no thread and raises errors instead of logging them.

    Args:
        name: the name of the model.
        options: arguments of `driftline.Monitor`. Three of them have other defaults here: ``synchronous=True``,
            ``on_error="raise"`` and ``enabled=True``.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range.
    """
    return Monitor(name, **{"synchronous": True, "on_error": "raise", "enabled": True, **options})


def assert_no_drift(
    reference: Reference | str | os.PathLike[str],
    data: Any,
    *,
    predictions: Any = None,
    alpha: float = ALPHA,
    min_effect: MinEffect = 0.05,
    shuffled: bool = False,
    page: str | os.PathLike[str] | None = None,
    **options: Any,
) -> None:
    """
    Fail a test if rows differ from a reference, with the features that do, the worst first.

    Args:
        reference: a reference, or the path of its file.
        data: the rows in their order: a dict of columns, a frame, or an array of shape (rows, features).
        predictions: the model's outputs, shape (rows,). If None, they are not compared.
        alpha: the probability with which the test fails although nothing drifts, above 0 and at most 0.05.
        min_effect: the smallest difference that counts, as for `driftline.FalseAlarms`.
        shuffled: whether the training data were shuffled. If they were not, they show how much a part of them differs
            from the rest.
        page: a file, which a failure writes the report to. It names no category.
        options: further arguments of `driftline.Monitor`, such as *derive*.

    Raises:
        AssertionError: a feature drifts.
        ConfigurationError: there are no rows, or an argument has a wrong value.
        ReferenceError: the file of the reference cannot be read or is damaged.

    >>> reference = Reference.fit({"age": [float(number % 50) for number in range(1_000)]})
    >>> assert_no_drift(reference, {"age": [float(number % 50) for number in range(500)]})
    """
    known = reference if isinstance(reference, Reference) else Reference.load(reference)
    result = check_batches(
        known,
        [(data, predictions)],
        _row_count(data),
        alpha=alpha,
        min_effect=min_effect,
        shuffled=shuffled,
        **options,
    )
    drifting = [f"{name}: {status.reason}" for name, status in result.features.items() if status.state == "drifting"]
    if drifting:
        lines = "\n".join(drifting)
        shown = ""
        if page is not None:
            rule = rule_of(alpha, min_effect)
            report(known, data, predictions=predictions, rule=rule, derive=options.get("derive")).save(page)
            shown = f"\nSee {os.fspath(page)}."
        msg = f"{result.words}\n{lines}{shown}"
        raise AssertionError(msg)


def _row_count(data: Any) -> int:
    """
    Return the number of rows of a dict of columns, a frame or an array.

    Raises:
        ConfigurationError: *data* has no length.
    """
    try:
        return len(next(iter(data.values()), ())) if isinstance(data, Mapping) else len(data)
    except TypeError:
        msg = f"data={type(data).__name__}: expected a dict of columns, a frame or a 2-D array"
        raise ConfigurationError(msg) from None


class Probe:
    """
    Reads and controls internals of a monitor that no metric shows, for tests of memory, threads and forks.

    Each release of driftline may add or remove members.

    Args:
        monitor: the monitor to look into.

    >>> from driftline import Reference
    >>> monitor = in_memory_monitor(reference=Reference.fit({"age": [20.0, 30.0, 40.0]}))
    >>> monitor.instrument(len)({"age": 25.0})
    1
    >>> Probe(monitor).backlog
    1
    >>> monitor.flush()
    >>> Probe(monitor).backlog
    0
    """

    def __init__(self, monitor: Monitor) -> None:
        self._pipeline, self._calls = monitor._pipeline, monitor._calls

    # --- sizes: what must not grow with traffic ----------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Number of rows that no thread has binned yet."""
        return self._calls.buffer.rows

    @property
    def pending_windows(self) -> int:
        """Number of completed windows that no thread has evaluated yet."""
        return len(self._pipeline.serving.recorder.panes.pending)

    @property
    def pending_outcomes(self) -> int:
        """Number of predictions with an id, and of outcomes, that no thread has joined yet."""
        return len(self._pipeline.outcomes._events)

    @property
    def remembered_predictions(self) -> int:
        """Number of ids in the store of outcomes: pending, recently joined and expired ones."""
        return len(self._pipeline.outcomes._store)  # type: ignore[arg-type] # a store in a file has no length

    @property
    def retired_references(self) -> int:
        """Number of replaced references whose late calls are still binned."""
        return len(self._pipeline.serving.retired)

    @property
    def exported_features(self) -> frozenset[str]:
        """Names of the features and detectors whose states are exported."""
        return self._active.exported.states

    @property
    def learned(self) -> Learned:
        """What is known about the dependence of rows, by feature."""
        return self._active.evaluator.learned

    # --- counts ------------------------------------------------------------------------------------------------------

    @property
    def totals(self) -> Totals:
        """Calls and rows since the start of the process, and the counts over the bins of the present reference."""
        return self._pipeline.serving.read().totals

    @property
    def recent_outcomes(self) -> OutcomeTally:
        """Outcomes by result since the start of the process, and the graded outcomes of the window."""
        return self._pipeline.outcomes.tally()

    @property
    def ledger(self) -> Ledger:
        """The `Ledger` of the monitor. A test can grade and add pairs in two steps, as two threads would."""
        return self._pipeline.outcomes.ledger

    @property
    def open_blocks(self) -> int:
        """Number of blocks that generators have open."""
        return len(self._calls.open_blocks)

    @property
    def errors(self) -> dict[str, int]:
        """Number of errors, the metric ``ml.monitor.errors``, by ``ml.monitor.place``."""
        return dict(self._pipeline.guard.counts)

    def bins_of(self, feature: str) -> slice:
        """Return the slice of ``monitor.snapshot().counts`` that holds the bins of a feature."""
        names = [watched.name for watched in self._active.reference.watched]
        return self._active.layout.slices[names.index(feature)]

    def bin_columns(self, columns: Sequence[Column | None], rows: int) -> Counts:
        """
        Return the counts of rows over the bins of the reference, shape (bins,), without recording them.

        Args:
            columns: one column per feature, in the order of the reference. None for a missing column.
            rows: number of rows.
        """
        return self._active.layout.count(columns, rows)

    def late_counts(self) -> list[Counts]:
        """Return the counts by bin of each replaced reference whose late calls are still binned, oldest first."""
        return [totals.counts for totals in self._pipeline.serving.read().kept]

    # --- states ------------------------------------------------------------------------------------------------------

    @property
    def defers_batches(self) -> bool:
        """Whether the worker thread bins batches, because the reference has derived features."""
        return self._active.layout.defers

    @property
    def divides_panes(self) -> bool:
        """Whether windows also count blocks of consecutive rows, from which the monitor learns their dependence."""
        return bool(self._active.recorder.panes._ring.divide)

    @property
    def runs_user_functions(self) -> bool:
        """Whether a thread is computing derived features at this moment."""
        lock = self._active.recorder.deferred.lock
        with lock.hold() as held:
            return not held

    # --- steering ----------------------------------------------------------------------------------------------------

    def hold_worker(self) -> None:
        """Prevent the start of the worker thread, so that rows stay in the buffer until `Monitor.flush`."""
        self._pipeline.worker.start = lambda: None  # type: ignore[method-assign, union-attr]

    def wake_worker(self) -> None:
        """Make the worker thread run its next round immediately."""
        self._pipeline.worker.wake()  # type: ignore[union-attr]

    def drain(self) -> None:
        """Bin the backlog without evaluating windows."""
        self._pipeline.serving.drain()

    def settle(self, pause: Callable[[], bool] | None = None) -> None:
        """
        Do a round of the worker thread: bin rows, evaluate windows, join outcomes, feed detectors, request retraining.

        Args:
            pause: called between two pieces of this work. If None, there are no pauses.
        """
        self._pipeline.settle(pause)

    def remember_output(self, prediction_id: object, output: object) -> None:
        """Keep an output of any class until the outcome with this id arrives."""
        self._pipeline.outcomes.remember(prediction_id, output)

    def begin_batch(self, features: Any) -> Callable[[], None]:
        """Read a batch as `Monitor.observe` does, and return the function that records it when it is called."""
        buffer = self._calls.buffer
        captured = buffer.capture_batch(features)
        return lambda: buffer.sink.record_batch(captured, None)

    def become_fork_child(self) -> None:
        """Reset the monitor as in the child of a fork."""
        self._pipeline.after_fork()

    @property
    def _active(self) -> ActiveReference:
        active = self._pipeline.serving.active
        if active is None:
            msg = "the reference is still being learned"
            raise ValueError(msg)
        return active


def check_distance(distance: Distance | Callable[..., float]) -> None:
    """
    Check that a function keeps the contract of `driftline.typing.Distance`, on 50 random pairs of counts (fixed seed).

    Args:
        distance: takes two vectors of counts over the same bins, shape (bins,), and returns a number or NaN.

    Raises:
        AssertionError: the function changes its arguments, returns a negative number, returns different numbers for the
            same counts, or does not return 0 for equal counts.
    """
    seeded = np.random.default_rng(0)
    for _ in range(50):
        reference, current = seeded.integers(0, 100, 8), seeded.integers(1, 100, 8)
        kept = reference.copy(), current.copy()
        value = float(distance(reference, current))
        if not (np.array_equal(kept[0], reference) and np.array_equal(kept[1], current)):
            msg = "the distance changes the counts in its arguments"
            raise AssertionError(msg)
        if not math.isnan(value) and value < 0:
            msg = f"distance({kept[0].tolist()}, {kept[1].tolist()}) is {value}, expected at least 0"
            raise AssertionError(msg)
        if float(distance(reference, current)) != value and not math.isnan(value):
            msg = "the distance returns different numbers for the same counts"
            raise AssertionError(msg)
        same = float(distance(current, current))
        if abs(same) > 1e-9:  # noqa: PLR2004 - rounding
            msg = f"distance of {current.tolist()} from itself is {same}, expected 0"
            raise AssertionError(msg)


def check_detector(detector: Detector | Any, quiet: Sequence[float] = (), changed: Sequence[float] = ()) -> None:
    """
    Check that an object keeps the contract of a detector. It feeds two copies, and leaves the object unchanged.

    Args:
        detector: an object with ``update(x)`` and ``drift_detected``. As in frouros, it may have ``drift`` and
            ``reset()`` instead of ``drift_detected``.
        quiet: values without a change. If empty, 2,000 values, of which a tenth are 1.0 and the others 0.0.
        changed: values after a change. If empty, 2,000 values, of which nine tenths are 1.0.

    Raises:
        AssertionError: the detector reports a change before the first value, at more than 1 % of the values in *quiet*,
            or at no value in *changed*.
        ConfigurationError: the object is no detector, or cannot be copied.
    """
    seeded = np.random.default_rng(0)
    before = list(quiet) or (seeded.random(2_000) < 0.1).astype(float).tolist()  # noqa: PLR2004 - as documented
    after = list(changed) or (seeded.random(2_000) < 0.9).astype(float).tolist()  # noqa: PLR2004 - as documented
    (named,) = resolve_detectors({"error": detector})
    # State that the two copies share shows in the second.
    for copy in (named.fresh(), named.fresh()):
        if getattr(copy, named.flag):
            msg = f"{named.kind} reports a change before the first value"
            raise AssertionError(msg)
        changes = []
        for index, value in enumerate([*before, *after]):
            copy.update(value)
            if getattr(copy, named.flag):
                changes.append(index)
                if named.resets:
                    copy.reset()  # type: ignore[attr-defined]
        early = [index for index in changes if index < len(before)]
        if len(early) > len(before) / 100:
            msg = (
                f"{named.kind} finds {len(early)} changes in {len(before)} values without one, the first at {early[0]}"
            )
            raise AssertionError(msg)
        if len(early) == len(changes):
            msg = f"{named.kind} finds no change in {len(after)} values after one"
            raise AssertionError(msg)
