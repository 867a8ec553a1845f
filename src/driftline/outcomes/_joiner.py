"""Joins the outcomes of one monitor to its predictions by id, and has them graded and counted."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from driftline._binning.bins import (
    Feature,
    OutcomeCounts,
)
from driftline._binning.label_scheme import LabelScheme
from driftline._capture.class_scores import ANY_FORM, as_rows
from driftline._capture.labels import plain_label
from driftline._capture.ownership import copy_value
from driftline._runtime.guard import GuardedBlock, UnreadableError, is_contained, is_no_interrupt
from driftline._runtime.sqlite import is_unavailable
from driftline._runtime.watched_lock import WatchedLock
from driftline.outcomes._clock import MONOTONIC_OFFSET, WallClock
from driftline.outcomes._cohorts import CohortChanges
from driftline.outcomes._graded_pairs import Countable, GradedPairs, RegradedPairs
from driftline.outcomes._id_columns import MISSING_ID, is_missing_id, read_columns, rows_of
from driftline.outcomes._join import Event, JoinResult, Pair, Source, Store
from driftline.outcomes._join_key import join_key
from driftline.outcomes._known_labels import is_unknown
from driftline.outcomes._ledger import Ledger
from driftline.outcomes._memory_store import MemoryStore
from driftline.outcomes._pairs import essence_of
from driftline.outcomes._policy import OutcomePolicy
from driftline.outcomes._sqlite_store import FileStore
from driftline.outcomes._tally import OutcomeTally
from driftline.results import FeatureStatus

__all__ = ["Outcomes", "is_id_batch"]

_log = logging.getLogger("driftline")

BUFFER_EVENTS = 8_192
"""Number of pending events at which the caller's thread joins a chunk itself. This bounds the backlog."""

WAKE_EVENTS = 1_024
"""Number of pending events at which the worker thread is woken before its next round."""

CHUNK_EVENTS = 512
"""Largest number of events joined in one step, which is one transaction in a file."""

MAX_EVENTS = 8 * BUFFER_EVENTS
"""Largest number of pending events while the file cannot be written. Beyond it, the oldest are counted as dropped."""

EXPIRY_CHECK_SECONDS = 10.0
"""Seconds between checks for expired records while no events arrive."""


class Outcomes:
    """
    Joins the predictions and outcomes of one monitor.

    The caller's thread appends `Event` objects to a list, which takes no lock. `settle` later joins these pending
    events, in the worker thread.

    Args:
        policy: where predictions are stored and for how long.
        source: model, version and variant of the monitor.
        ledger: counts the outcomes of this monitor.
        clock: returns seconds. With a file, `WallClock` replaces `time.monotonic`, because processes share the file. So
            does *unix_clock*, with and without a file, if it is a clock of the user.
        find_ledger: returns the ledger of another version or variant, whose prediction is in the same file.
        on_error: called with a value of ``ml.monitor.place`` and the exception, for errors of the user function or the
            file.
        wake: wakes the worker thread, which then calls `settle`. If None, the caller's thread joins a chunk instead.
        unix_clock: returns the Unix time in seconds.

    Attributes:
        ledger: counts the outcomes of this monitor.
    """

    def __init__(
        self,
        policy: OutcomePolicy,
        source: tuple[str, str | None, str | None],
        ledger: Ledger,
        clock: Callable[[], float],
        find_ledger: Callable[[Source], Ledger],
        on_error: Callable[[str, BaseException], None],
        wake: Callable[[], None] | None = None,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self._store: Store
        if policy.path is None:
            self._store = MemoryStore(policy.capacity, policy.expire)
        else:
            self._store = FileStore(
                policy.path, *source, policy.capacity, policy.expire, lambda error: on_error("outcomes", error)
            )
        self._clock = self._now = clock
        self._unix_clock = unix_clock
        self._has_default_clocks = clock is time.monotonic and unix_clock is time.time
        if clock is time.monotonic and unix_clock is not time.time:
            # The user's clock, which says how old a record is.
            self._clock = self._now = unix_clock
        elif policy.path is not None and clock is time.monotonic:
            wall_clock = WallClock()
            self._clock, self._now = wall_clock.stamp, wall_clock.now
        self._find_ledger = find_ledger
        self._on_error = on_error
        self._wake = wake
        self._start_empty()

    def _start_empty(self) -> None:
        self._lock = WatchedLock()
        self._events: list[Event] = []
        self._joined: list[tuple[Source, Countable]] = []
        self._gradings: list[tuple[Source, GradedPairs | RegradedPairs]] = []
        self._has_dropped = False
        self._last_expiry_check = self._now()

    def reset(self) -> None:
        """Drop pending events, counts and records in memory, as the child of a fork must. Records in a file stay."""
        self._start_empty()
        self._store.reset()
        self.ledger.reset()

    def set_reference(
        self, prediction: Feature | None, outcomes: OutcomeCounts | None, labels: LabelScheme | None = None
    ) -> None:
        """
        Use a new reference for limits and classes: see `Ledger.set_reference`.

        Args:
            prediction: the prediction feature of the reference; None if it has none.
            outcomes: outcomes by bin of the prediction in the reference; None if it has none.
            labels: how the outcomes of the reference are read; None if it does not say.
        """
        self.ledger.set_reference(prediction, outcomes, labels)

    # --- called by the caller's thread -------------------------------------------------------------------------------

    def remember(self, prediction_id: object, output: Any, bucket: int | None = None) -> None:
        """
        Keep the output of a prediction until its outcome arrives, or until it expires.

        *bucket* is the bucket of the call's key, or None if the call has none (`driftline._runtime.call_keys`).
        """
        if is_missing_id(prediction_id):
            self._on_error("outcome", UnreadableError(MISSING_ID))
            return
        kept = copy_value(output) if self.ledger.asks_user else essence_of(output, self.ledger.form)
        event = Event(join_key(prediction_id), False, kept, self._clock(), bucket)  # noqa: FBT003 - a field
        self._events.append(event)
        if len(self._events) >= WAKE_EVENTS:
            self._relieve_backlog()

    def remember_all(self, ids: Iterable[object], outputs: Any, buckets: Iterable[int | None] = repeat(None)) -> None:
        """
        Keep the outputs of a batch, each under the id of the same row. There must be as many ids as outputs.

        *buckets* has at least as many values, each as *bucket* of `remember`.
        """
        rows = as_rows(outputs, self.ledger.form)
        columns = zip(rows_of(ids, "ids"), rows, strict=True)
        for (prediction_id, output), bucket in zip(columns, buckets, strict=False):
            self.remember(prediction_id, output, bucket)

    def add_outcome(self, prediction_id: object, actual: object) -> None:
        """
        Add the outcome of the prediction with an id, which may also arrive later.

        If *actual* says that the label is not known yet, such as None or nan, the prediction stays pending.
        """
        actual = plain_label(actual)
        if is_unknown(actual):
            kept: object = None
        elif is_missing_id(prediction_id):
            self.ledger.add_results({"unmatched": 1})
            self._on_error("outcome", UnreadableError(MISSING_ID))
            return
        else:
            kept = copy_value(actual) if self.ledger.asks_user else essence_of(actual, ANY_FORM)
        self._events.append(Event(join_key(prediction_id), True, kept, self._clock()))  # noqa: FBT003 - a field
        if len(self._events) >= WAKE_EVENTS:
            self._relieve_backlog()

    def add_outcomes(self, ids: Any, actuals: Any) -> None:
        """
        Add the outcomes of two columns, row by row, as `add_outcome` does.

        Raises:
            UnreadableError: one of them is no column, or they are known to differ in length.
        """
        for prediction_id, actual in read_columns(ids, actuals):
            self.add_outcome(prediction_id, actual)

    def _relieve_backlog(self) -> None:
        """Wake the worker thread. Without one, or if too many events are pending, join a chunk in this thread."""
        if self._wake is not None:
            self._wake()
        if self._wake is None or len(self._events) >= BUFFER_EVENTS:
            self._run_locked(self._join_chunk)

    # --- joining -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """
        Join all pending events, expire old records, and evaluate the limits.

        Errors go to the callback *on_error*, and the events that they concern stay pending.
        """
        self._run_locked(self._settle)

    def _run_locked(self, work: Callable[[], object]) -> None:
        with self._lock.hold() as held:
            if held:
                # The file may be locked, full or missing. The events stay pending.
                with GuardedBlock(self._on_error, "outcomes"):
                    work()
        if not held:
            self._drop_excess()
            self._on_error("outcomes", TimeoutError("the user function that compares outcomes does not return"))

    def _settle(self) -> None:
        while self._join_chunk():
            pass
        if not 0.0 <= self._now() - self._last_expiry_check < EXPIRY_CHECK_SECONDS:
            self._join([])
        self.ledger.evaluate_limits()

    def _join_chunk(self) -> bool:
        """
        Join the oldest pending events. Return False if there are none.

        If the file is unavailable, this raises, and they stay pending. If an event makes the join fail, that event is
        dropped, and the others are joined.
        """
        self._count_joined()
        events = self._events[:CHUNK_EVENTS]
        if not events:
            return False
        size = len(events)
        while events:
            try:
                gradings = self._join(events[:size])
            except BaseException as error:
                if not is_no_interrupt(error):
                    raise
                self._store.unfinished = None
                if is_unavailable(error):
                    self._drop_excess()
                    raise
                if size > 1:
                    size = (size + 1) // 2
                    continue
                del self._events[:1]
                self._drop(events[0], error)
                if not is_contained(error):
                    raise
                return True
            del events[:size]
            size = min(2 * size, len(events))
            self._lock.heartbeat()
            for source, graded in gradings:
                self._ledger_of(source).report_errors(graded.grading.errors)
        return True

    def _drop(self, event: Event, error: BaseException) -> None:
        """Count an event that cannot be joined as ``dropped``, and report its error."""
        self.ledger.add_results({"dropped": 1})
        kind = "an outcome" if event.is_outcome else "a prediction"
        if not self._has_dropped:
            self._has_dropped = True
            _log.warning(
                "%s of type %s cannot be kept in the file of outcomes (%s). It and further ones are counted in "
                "ml.outcomes as dropped. Pass a number, a string, a boolean, or a list or dict of those.",
                kind,
                type(event.value).__name__,
                type(error).__name__,
            )
        self._on_error("outcomes", error)

    def _drop_excess(self) -> None:
        """Drop the oldest pending events beyond `MAX_EVENTS`, and count them as ``dropped``."""
        excess = len(self._events) - MAX_EVENTS
        if excess > 0:
            del self._events[:excess]
            self.ledger.add_results({"dropped": excess})

    def _join(self, events: Sequence[Event]) -> list[tuple[Source, GradedPairs | RegradedPairs]]:
        """Apply the oldest pending events to the store and count the results. Return the gradings of pairs."""
        if self._store.unfinished is None:
            self._gradings = []
        gradings = self._gradings
        self._last_expiry_check = now = self._now()
        joined = self._store.apply(events, now, lambda joined: self._grade(joined, gradings))
        results: dict[Source, Counter[str]] = {}
        for (source, result), count in joined.results.items():
            results.setdefault(source, Counter())[result] += count
        number = len(events)
        cohorts = self._cohort_changes(events, gradings)
        counts: list[tuple[Source, Countable]] = [*results.items(), *gradings, *cohorts.items()]
        # Without a call, so that no interrupt comes between. If the store raises, the same events are joined later.
        del self._events[:number]
        self._store.unfinished = None
        self._joined += counts
        self._count_joined()
        return gradings

    def _count_joined(self) -> None:
        """Add what was joined to the ledgers, one after the other. After an interrupt, the rest follows later."""
        while self._joined:
            source, counts = self._joined[0]
            ledger = self._ledger_of(source)
            if isinstance(counts, Counter):
                ledger.add_results(counts)
            elif isinstance(counts, GradedPairs):
                ledger.add_grading(counts.grading, {}, (counts.pairs[0].serial, counts.pairs[-1].serial))
            elif isinstance(counts, CohortChanges):
                ledger.add_cohorts(counts)
            else:
                ledger.add_correction(counts.before, counts.grading, counts.pair.serial)
            del self._joined[0]

    def _grade(
        self, joined: JoinResult, gradings: list[tuple[Source, GradedPairs | RegradedPairs]]
    ) -> Counter[tuple[Source, str]]:
        """Grade what is joined, append to *gradings*, and return the number of pairs by (source, result)."""
        gradings.clear()
        by_source: dict[Source, list[Pair]] = {}
        for pair in joined.pairs:
            by_source.setdefault(pair.source, []).append(pair)
        results: Counter[tuple[Source, str]] = Counter()
        for source, pairs in by_source.items():
            start = 0
            for grading in self._ledger_of(source).grade([(pair.output, pair.actual) for pair in pairs]):
                size = sum(grading.results.values())
                if size:
                    gradings.append((source, GradedPairs(grading, pairs[start : start + size])))
                    start += size
                    results.update({(source, result): count for result, count in grading.results.items()})
        for pair, previous in joined.corrections:
            before, after = self._ledger_of(pair.source).regrade(pair.output, previous, pair.actual)
            gradings.append((pair.source, RegradedPairs(before, after, pair)))
        return results

    def _cohort_changes(
        self, events: Sequence[Event], gradings: Sequence[tuple[Source, GradedPairs | RegradedPairs]]
    ) -> dict[Source, CohortChanges]:
        """Return what predictions and graded pairs change in the counts by time, by source."""
        offset = self._unix_offset()
        changes: dict[Source, CohortChanges] = {None: CohortChanges()}
        for event in events:
            if not event.is_outcome:
                changes[None].add_prediction(event.at + offset, event.bucket)
        for source, graded in gradings:
            own = changes.setdefault(source, CohortChanges())
            graded.add_to(own, offset)
        return changes

    def _unix_offset(self) -> float:
        """Return the seconds to add to times of the store for Unix time."""
        if self._has_default_clocks:
            return 0.0 if self._clock is not time.monotonic else MONOTONIC_OFFSET
        if self._now is self._unix_clock:
            return 0.0
        return self._unix_clock() - self._now()

    def unix_time(self) -> float:
        """Return the Unix time in seconds."""
        return self._unix_clock()

    def _ledger_of(self, source: Source) -> Ledger:
        return self.ledger if source is None else self._find_ledger(source)

    # --- reading -----------------------------------------------------------------------------------------------------

    def tally(self) -> OutcomeTally:
        """Return the outcomes by result since the start, and the graded outcomes of the window."""
        return self.ledger.tally()

    @property
    def status(self) -> Mapping[str, FeatureStatus]:
        """The state of each limit by its name; empty before the first outcome."""
        return self.ledger.status


def is_id_batch(prediction_ids: Any) -> bool:
    """Return whether the argument is a sequence or array of ids, and not a single id."""
    if isinstance(prediction_ids, (str, bytes, int)) or not hasattr(prediction_ids, "__len__"):
        return False
    return not isinstance(prediction_ids, np.ndarray) or prediction_ids.ndim > 0
