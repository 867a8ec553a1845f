"""`RetrainingDelivery`: takes the requests of a queue to sinks, each until it is confirmed."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterable
from types import TracebackType

from typing_extensions import Self

from driftline._runtime import validation as check
from driftline._runtime.guard import is_contained
from driftline._runtime.worker import Worker
from driftline.retraining._queue import RetrainingQueue
from driftline.retraining._request import RetrainingRequest
from driftline.retraining._sink import DeliveryError, RetrainingSink
from driftline.retraining._states import KINDS, OPEN, RequestKind

__all__ = ["RetrainingDelivery"]

_log = logging.getLogger("driftline")

FIRST_PAUSE = 2.0
"""Seconds before the second attempt. Each further pause is twice as long."""

LONGEST_PAUSE = 600.0
"""Seconds between two attempts at most, and after a refusal."""

JITTER = 0.5
"""Share of a pause by which it may be shorter, so that processes do not come together."""


ONLY_TRAINING: tuple[RequestKind, ...] = ("retrain",)
"""The kinds that are delivered by default, so that no pipeline trains on broken data."""

MAX_LOGGED = 1_000
"""Most different problems that are remembered, so that each is logged once."""


class RetrainingDelivery:
    """
    Takes the open requests of a queue to sinks, in a thread for each sink.

    The queue records which sink has taken which request, so a process that ends is followed by another one. A request
    is delivered at least once, with pauses that grow from 2 seconds to 10 minutes, until it is delivered or closed. A
    request to retrain waits while a request to fix the pipeline of its model is open. Errors are logged, once for each
    request and message, and never raised. The child of a fork delivers nothing until it calls `start`.

    Args:
        queue: the queue.
        sinks: the sinks, with different names.
        kinds: the kinds of requests that are delivered, ``"retrain"`` or ``"fix_pipeline"``.
        every: seconds or a string such as ``"5s"`` between two looks at the queue.

    Raises:
        ConfigurationError: an argument has a wrong value.

    >>> from driftline.retraining import CallbackSink, RetrainingQueue
    >>> with RetrainingDelivery(RetrainingQueue(), [CallbackSink(print)]) as delivery:
    ...     delivery.problems()
    {}
    """

    def __init__(
        self,
        queue: RetrainingQueue,
        sinks: Iterable[RetrainingSink],
        *,
        kinds: Collection[RequestKind] = ONLY_TRAINING,
        every: float | str = "5s",
    ) -> None:
        check.instance("queue", queue, RetrainingQueue, "a RetrainingQueue")
        if isinstance(sinks, (str, bytes)) or not isinstance(sinks, Iterable):
            check.reject("sinks", sinks, "a list of sinks")
        known = tuple(sinks)
        for sink in known:
            if not isinstance(sink, RetrainingSink):
                check.reject("sinks", sink, "sinks, which have a name and a method deliver(request)")
            check.string("name", sink.name, at_least=1)
        names = [sink.name for sink in known]
        if len(set(names)) < len(names):
            check.reject("sinks", names, "sinks with different names")
        if isinstance(kinds, str) or not isinstance(kinds, Collection) or not kinds:
            check.reject("kinds", kinds, f"a list of kinds: {', '.join(KINDS)}")
        for kind in kinds:
            check.one_of("kinds", kind, KINDS)
        seconds = check.duration("every", every)
        self._lanes = tuple(_Lane(queue, sink, frozenset(kinds), seconds) for sink in known)

    def start(self) -> None:
        """Start the threads, unless they run. The threads of a discarded delivery end."""
        for lane in self._lanes:
            lane.worker.start()

    def wake(self) -> None:
        """Look at the queue now."""
        for lane in self._lanes:
            lane.worker.wake()

    def run_once(self) -> int:
        """Deliver in this thread what is due, and return the number of deliveries. Nothing is raised."""
        return sum(lane.deliver_due() for lane in self._lanes)

    def problems(self) -> dict[str, str]:
        """Return the last problem of each sink that has undelivered requests, by the sink's name."""
        return {lane.sink.name: lane.problem for lane in self._lanes if lane.problem}

    def close(self) -> None:
        """End the threads. An attempt that goes on is not interrupted."""
        for lane in self._lanes:
            lane.worker.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Lane:
    """
    The deliveries to one sink.

    Attributes:
        sink: the sink.
        worker: its thread.
        problem: the last problem; empty if there is none.
    """

    def __init__(
        self,
        queue: RetrainingQueue,
        sink: RetrainingSink,
        kinds: frozenset[RequestKind],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sink = sink
        self.problem = ""
        self._queue, self._kinds, self._clock = queue, kinds, clock
        self._attempts: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._logged: set[tuple[str, str]] = set()
        self.worker = Worker(self._round)
        self.worker.interval = seconds

    def _round(self) -> None:
        """Deliver in the thread of the lane, which no exception may end."""
        self.deliver_due(is_own_thread=True)

    def deliver_due(self, *, is_own_thread: bool = False) -> int:
        """
        Deliver the requests whose pause is over, and return the number of deliveries.

        Args:
            is_own_thread: whether this is a thread of the library, which contains exceptions of every class. In other
                threads, interrupts go on to the host.
        """
        number = 0
        try:
            undelivered = [each for each in self._queue.undelivered(self.sink.name) if each.kind in self._kinds]
            self._forget_closed(undelivered)
            for request in undelivered:
                if self._due.get(request.id, 0.0) > self._clock() or self._is_held(request):
                    continue
                try:
                    self.sink.deliver(request)
                except BaseException as error:
                    if not is_own_thread and not is_contained(error):
                        raise
                    self._postpone(request.id, error)
                else:
                    self._queue.deliver(request.id, self.sink.name)
                    self.problem = ""
                    number += 1
        except Exception as error:  # noqa: BLE001 - the file of the queue is locked, full or gone
            self._remember("the queue", f"{type(error).__name__}: {error}")
        return number

    def _forget_closed(self, undelivered: list[RetrainingRequest]) -> None:
        """Drop what is known of requests that are delivered or closed."""
        ids = {request.id for request in undelivered}
        for known in (self._attempts, self._due):
            for id_ in known.keys() - ids:
                del known[id_]
        if not ids:
            self.problem = ""
            self._logged.clear()

    def _is_held(self, request: RetrainingRequest) -> bool:
        """Return whether a request to retrain has to wait, because the data of its model are broken."""
        if request.kind != "retrain":
            return False
        return any(each.kind == "fix_pipeline" for each in self._queue.requests(request.model, states=OPEN))

    def _postpone(self, request_id: str, error: BaseException) -> None:
        """Note when the next attempt is due."""
        attempt = self._attempts.get(request_id, 0)
        self._attempts[request_id] = attempt + 1
        self._due[request_id] = self._clock() + pause_of(request_id, attempt, error)
        self._remember(
            request_id, str(error) if isinstance(error, DeliveryError) else f"{type(error).__name__}: {error}"
        )

    def _remember(self, subject: str, words: str) -> None:
        """Log a problem, unless the same one was logged."""
        self.problem = f"{subject}: {words}"
        if len(self._logged) > MAX_LOGGED:
            self._logged.clear()
        if (subject, words) not in self._logged:
            self._logged.add((subject, words))
            _log.warning("%s was not delivered by %s: %s. It is tried again.", subject, self.sink.name, words)


def pause_of(request_id: str, attempt: int, error: BaseException) -> float:
    """
    Return the seconds before the next attempt.

    Args:
        request_id: the id of the request.
        attempt: the number of attempts before the one that failed.
        error: why it failed.
    """
    if isinstance(error, DeliveryError):
        if error.retry_after is not None:
            return error.retry_after
        if error.refused:
            return LONGEST_PAUSE
    pause = min(FIRST_PAUSE * 2.0 ** min(attempt, 20), LONGEST_PAUSE)
    digest = hashlib.sha256(f"{request_id} {attempt}".encode("utf-8", "backslashreplace")).digest()
    return pause * (1.0 - JITTER * digest[0] / 255.0)
