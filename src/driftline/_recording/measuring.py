"""`CallMeter`: the durations and the keys of calls, before they are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, compress, repeat
from math import isnan
from typing import Any, TypeAlias

from driftline._recording.buffer import CallBuffer, Failure
from driftline._recording.durations import Duration, DurationQueue
from driftline._runtime.call_keys import Bucket, split_context, with_bucket
from driftline._windows.call_log import CallLog
from driftline._windows.panes import Panes
from driftline._windows.totals import count_key_seconds, count_seconds
from driftline.typing import Counts

__all__ = ["CallMeter"]


NO_SPAN: Mapping[str, object] = {}
"""
The OpenTelemetry context of a call that keeps nothing but its bucket.

If it were None, the exemplar would have the span of the thread that records the duration.
"""

Measured: TypeAlias = "tuple[Counts | int, list[Any], Counts | int, Counts | None]"
"""What `CallMeter.measure` returns."""


class CallMeter:
    """
    Measures calls before they are counted, and lets later calls keep what is needed of their context.

    Args:
        panes: the counts.
        buffer: the buffer of the calls.
        durations: the queue of durations to record. If None, durations are not recorded one by one.
    """

    __slots__ = ("_buffer", "_call_bucket", "_durations", "_panes")

    def __init__(self, panes: Panes, buffer: CallBuffer, durations: DurationQueue | None) -> None:
        self._panes, self._buffer, self._durations = panes, buffer, durations
        self._call_bucket: Bucket | None = None
        self._wants_durations()

    def start_keys(self, call_bucket: Bucket) -> None:
        """Let later calls keep the bucket of their key, which *call_bucket* holds, and count them by it."""
        self._call_bucket = call_bucket
        self._buffer.has_keys = True
        self._wants_durations()

    def measure(self, seconds: Sequence[float], contexts: Sequence[object]) -> Measured:
        """
        Measure calls that returned.

        Args:
            seconds: the durations. `NO_CALL` is skipped: the row shares its call with another one, or has none.
            contexts: what each call has kept of its context (`driftline._runtime.call_keys.split_context`).

        Returns:
            the counts of durations, the items of the queue of durations (none if no SDK is set up so far), the calls by
            bucket of their key, and what `Totals.warm_up` is once they are counted. Counts are 0 if there are none.
        """
        totals = self._panes.totals
        if not seconds:
            return 0, [], 0, totals.warm_up
        counts, known = count_seconds(seconds)
        are_calls = None if known == len(seconds) else [not isnan(duration) for duration in seconds]
        warm_up = totals.warm_up
        if warm_up is None and self._panes.log is not None:
            calls = seconds if are_calls is None else [*compress(seconds, are_calls)]
            warm_up = self._warm_up_after(self._panes.log, calls)
        contexts, keys = self._split(seconds, contexts, are_calls)
        if not self._wants_durations():
            return counts, [], keys, warm_up
        durations: Iterable[Duration] = zip(seconds, contexts, repeat(None))
        if are_calls is not None:
            durations = compress(durations, are_calls)
        return counts, [*chain.from_iterable(durations)], keys, warm_up

    def _warm_up_after(self, log: CallLog, seconds: Sequence[float]) -> Counts | None:
        """Return what `Totals.warm_up` is after calls of these durations: None if the warm-up goes on."""
        left = log.warm_up_calls()
        if log.logging.warm_up.seconds or left > len(seconds):
            return None
        # Calls in other recorders of the monitor may have ended it already.
        last = count_seconds(seconds[:left])[0] if left else 0
        durations: Counts = self._panes.totals.durations + last
        return durations

    def measure_failures(self, failures: Sequence[Failure]) -> tuple[list[Any], Counts | int]:
        """Return what `measure` returns for calls that raised, without the counts of durations."""
        contexts, keys = self._split(
            [seconds for seconds, _, _, _ in failures], [context for _, context, _, _ in failures], None
        )
        if not isinstance(keys, int):
            keys[:, 1] = keys[:, 0]
            keys[:, 2:] = 0
        if not self._wants_durations():
            return [], keys
        durations = (
            (seconds, context, error) for (seconds, _, error, _), context in zip(failures, contexts, strict=True)
        )
        return [*chain.from_iterable(durations)], keys

    def _split(
        self, seconds: Sequence[float], contexts: Sequence[object], are_calls: Sequence[bool] | None
    ) -> tuple[Sequence[object], Counts | int]:
        """Return OpenTelemetry's contexts, and the calls as `Totals.keys` has them. If *are_calls* is None, all are."""
        kinds = {*map(type, contexts)} if self._buffer.has_keys else ()
        if int not in kinds and tuple not in kinds:
            return contexts, 0
        pairs = [*map(split_context, contexts)]
        calls = zip(pairs, seconds, strict=True)
        keyed = [
            (bucket, duration)
            for (_, bucket), duration in (calls if are_calls is None else compress(calls, are_calls))
            if bucket is not None
        ]
        keys = count_key_seconds([bucket for bucket, _ in keyed], [duration for _, duration in keyed])
        return [NO_SPAN if context is None else context for context, _ in pairs], keys

    def _wants_durations(self) -> bool:
        """Return whether durations are recorded one by one. If so, let later calls keep OpenTelemetry's context."""
        queue = self._durations
        wanted = queue is not None and queue.is_wanted()
        self._buffer.read_context = self._context_reader(queue.context if queue is not None and wanted else None)
        return wanted

    def _context_reader(self, read: Callable[[], object] | None) -> Callable[[], object] | None:
        """Return the function that reads what a call keeps of its context. If None, that is nothing."""
        if self._call_bucket is None:
            return read
        bucket = self._call_bucket.get
        return bucket if read is None else lambda: with_bucket(read(), bucket())
