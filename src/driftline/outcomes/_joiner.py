"""Late labels to counts of how right a model was: joined by id when they arrive, judged, and estimated before."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from driftline._binning.bins import (
    Feature,
    OutcomeCounts,
)
from driftline._runtime.watched_lock import WatchedLock
from driftline.outcomes._grading import Graded
from driftline.outcomes._join import Event, MemoryStore, Pair, Source, Store, key_of
from driftline.outcomes._ledger import Ledger, OutcomeTally
from driftline.outcomes._policy import OutcomePolicy
from driftline.outcomes._sqlite_store import FileStore
from driftline.results import FeatureStatus

__all__ = ["Outcomes", "as_ids"]

BUFFER_EVENTS = 8_192
"""Predictions and outcomes that wait to be joined; at that whoever brings one joins a chunk, so that nothing grows."""

WAKE_EVENTS = 1_024
"""Events at which the drain thread is woken early."""

CHUNK_EVENTS = 512
"""Events joined at once: one transaction where a file is shared."""

MOST_EVENTS = 8 * BUFFER_EVENTS
"""Events that wait at most while the file cannot be written; beyond it the oldest are dropped, and counted."""

FORGET_SECONDS = 10.0
"""Seconds between two looks for what is too old, when nothing else happens."""


class Outcomes:
    """
    The outcomes of one monitor: its buffer, the store in which predictions wait, and its ledger.

    Callers append to a list, which takes no lock; `settle` joins what waits, off their way.

    Args:
        policy: where predictions wait.
        source: model, version and variant.
        ledger: what is counted.
        clock: seconds, as `time.monotonic`; a file goes by `time.time` instead, which processes have in common.
        elsewhere: finds the ledger of another version or variant whose prediction waited in the file.
        caught: told of what the user's function, or the file, raises.
    """

    def __init__(
        self,
        policy: OutcomePolicy,
        source: tuple[str, str | None, str | None],
        ledger: Ledger,
        clock: Callable[[], float],
        elsewhere: Callable[[Source], Ledger],
        caught: Callable[[str, Exception], None],
    ) -> None:
        self.ledger = ledger
        self._store: Store
        if policy.path is None:
            self._store = MemoryStore(policy.capacity, policy.expire)
        else:
            self._store = FileStore(policy.path, *source, policy.capacity, policy.expire)
        self._clock = time.time if policy.path is not None and clock is time.monotonic else clock
        self._elsewhere = elsewhere
        self._caught = caught
        self.wake: Callable[[], None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._lock = WatchedLock()
        self._events: list[Event] = []
        self._looked = self._clock()

    def reset(self) -> None:
        """Forget what this process had: the child of a fork starts here. What is in a file stays there."""
        self._begin()
        self._store.reset()
        self.ledger.reset()

    def expect(self, prediction: Feature | None, outcomes: OutcomeCounts | None) -> None:
        """Take what a reference knows of predictions and outcomes."""
        self.ledger.expect(prediction, outcomes)

    # --- what callers do ---------------------------------------------------------------------------------------------

    def remember(self, prediction_id: object, output: object) -> None:
        """Keep an output until its outcome arrives."""
        if isinstance(output, np.ndarray):
            # The caller may use its array for something else.
            output = output.copy()
        self._events.append(Event(key_of(prediction_id), False, output, self._clock()))  # noqa: FBT003 - a field
        if len(self._events) >= WAKE_EVENTS:
            self._crowded()

    def remember_all(self, ids: Iterable[object], outputs: Iterable[object]) -> None:
        """Keep the outputs of a batch."""
        for prediction_id, output in zip(ids, outputs, strict=True):
            self.remember(prediction_id, output)

    def tell(self, prediction_id: object, actual: object) -> None:
        """Take down an outcome."""
        self._events.append(Event(key_of(prediction_id), True, actual, self._clock()))  # noqa: FBT003 - a field
        if len(self._events) >= WAKE_EVENTS:
            self._crowded()

    def _crowded(self) -> None:
        if self.wake is not None:
            self.wake()
        if self.wake is None or len(self._events) >= BUFFER_EVENTS:
            self._guarded(self._settle_chunk)

    # --- joining -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Join all that waits, forget what is too old, and judge the limits."""
        self._guarded(self._settle_all)

    def _guarded(self, work: Callable[[], object]) -> None:
        if not self._lock.acquire():
            self._drop()
            self._caught("outcomes", TimeoutError("a function that compares outcomes does not come to its end"))
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a file that is locked, full or gone; what waits is tried again
            self._caught("outcomes", error)
        finally:
            self._lock.release()

    def _settle_all(self) -> None:
        while self._settle_chunk():
            pass
        if self._clock() >= self._looked + FORGET_SECONDS:
            self._apply([])
        self.ledger.judge()

    def _settle_chunk(self) -> bool:
        events = self._events[:CHUNK_EVENTS]
        if not events:
            return False
        del self._events[: len(events)]
        try:
            graded = self._apply(events)
        except Exception:
            self._events[:0] = events
            self._drop()
            raise
        self._lock.moves_on()
        for source, one in graded:
            self._ledger_of(source).report(one.errors)
        return True

    def _drop(self) -> None:
        too_many = len(self._events) - MOST_EVENTS
        if too_many > 0:
            del self._events[:too_many]
            self.ledger.count({"dropped": too_many})

    def _apply(self, events: Sequence[Event]) -> list[tuple[Source, Graded]]:
        graded: list[tuple[Source, Graded]] = []
        self._looked = now = self._clock()
        joined = self._store.apply(events, now, lambda pairs: self._grade(pairs, graded))
        # Only what has been stored is counted: had that failed, the events would come again.
        results: dict[Source, Counter[str]] = {}
        for (source, result), count in joined.results.items():
            results.setdefault(source, Counter())[result] += count
        for source, counts in results.items():
            self._ledger_of(source).count(counts)
        for source, one in graded:
            self._ledger_of(source).add(one, {})
        return graded

    def _grade(self, pairs: Sequence[Pair], graded: list[tuple[Source, Graded]]) -> Counter[tuple[Source, str]]:
        by_source: dict[Source, list[tuple[object, object]]] = {}
        for source, output, actual in pairs:
            by_source.setdefault(source, []).append((output, actual))
        results: Counter[tuple[Source, str]] = Counter()
        for source, theirs in by_source.items():
            for one in self._ledger_of(source).grade(theirs):
                graded.append((source, one))
                results.update({(source, result): count for result, count in one.results.items()})
        return results

    def _ledger_of(self, source: Source) -> Ledger:
        return self.ledger if source is None else self._elsewhere(source)

    # --- what is read ------------------------------------------------------------------------------------------------

    def read(self) -> OutcomeTally:
        """Results since the start, and how many of the latest were right."""
        return self.ledger.read()

    @property
    def status(self) -> Mapping[str, FeatureStatus]:
        """The states of the limits, once outcomes have come."""
        return self.ledger.status


def as_ids(prediction_ids: Any) -> bool:
    """Whether these are the ids of a batch rather than one id."""
    return not isinstance(prediction_ids, (str, bytes, int)) and hasattr(prediction_ids, "__len__")
