"""A call of a decorated function from its start to its end: `Plan` and `OpenCall`."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from driftline._capture.captured import Captured
from driftline._capture.outputs import is_hashable
from driftline._recording.buffer import CallBuffer
from driftline._runtime.call_keys import Bucket, with_bucket
from driftline._runtime.guard import GuardedBlock, is_contained
from driftline.instrument._arguments import Extractor, FirstArgument, span_id, user_text
from driftline.instrument._open_blocks import OpenBlocks
from driftline.otel import current_context, error_type

if TYPE_CHECKING:
    from driftline.otel import Tracing
    from driftline.reference import Reference

__all__ = ["OpenCall", "Plan", "Target", "leave"]

NO_INDEX = 2**31
"""The index of an argument that no call has."""


class Target(Protocol):
    """
    The part of a monitor that the decorator and the context manager use.

    Attributes:
        call_flag: context variable that detects nested calls, which are not recorded separately. Its value is None or a
            list of one boolean. The boolean is True while the outer call runs.
        call_bucket: holds the bucket of the key of the calls that follow.
        enabled: whether anything is recorded.
        tracing: makes spans. If None, there are none.
        reference: the reference at work, or None while one is learned.
        buffer: the buffer in which calls begin.
        overflows: steps that the limit of recursion has prevented, as (place, seconds of a call to count or None).
        open_blocks: the blocks that generators have open. It is always the same dict, which is empty as a rule.
    """

    call_flag: ContextVar[list[bool] | None]
    call_bucket: Bucket
    enabled: bool
    tracing: Tracing | None
    reference: Reference | None
    buffer: CallBuffer
    overflows: list[tuple[str, float | None]]
    open_blocks: OpenBlocks

    def capture(self, buffer: CallBuffer, features: Any) -> Captured:
        """Read and copy the features of a call that begins in this buffer; if that fails, report it."""
        ...

    def report_unreadable(self, where: str, error: BaseException, features: object = None) -> Captured:
        """Report the error that kept the features of a call from being read. Return their rows, which are dropped."""
        ...

    def record(
        self,
        buffer: CallBuffer,
        captured: Captured,
        output: Any,
        seconds: float,
        context: object,
        prediction_id: object,
    ) -> None:
        """Record a call that began in this buffer and returned."""
        ...

    def record_failure(
        self, buffer: CallBuffer, captured: Captured, seconds: float, context: object, error: str
    ) -> None:
        """Record a call that began in this buffer and raised an error of type *error*."""
        ...

    def remember_output(self, prediction_id: object, output: Any, bucket: int | None) -> None:
        """Keep the output of a recorded call until the outcome of this id arrives. *bucket* is that of its key."""
        ...

    def bucket_of_key(self, key: object) -> int | None:
        """Return the bucket of a key, or None if it is None or of a wrong type, which is reported."""
        ...

    def relieve(self) -> None:
        """Start the worker thread, wake it, or bin a share in this thread, as `Backpressure.relieve`."""
        ...

    def report_error(self, where: str, error: BaseException) -> None:
        """Count an error of driftline or of a user function under the place *where*."""
        ...


def leave(call_flag: ContextVar[list[bool] | None], token: Token[list[bool] | None] | None) -> None:
    """
    End a prediction, whose flag is False already: later calls in this context no longer belong to it.

    Args:
        call_flag: the variable in which the flag was set.
        token: the token that ``call_flag.set`` returned; None if an interrupt came first. In other threads and tasks
            *call_flag* keeps its value, so that a task which was started within the prediction still has the flag.
    """
    if token is not None:
        try:  # noqa: SIM105 - `contextlib.suppress` takes longer than all the rest
            call_flag.reset(token)
        except ValueError:  # another task or thread ends it than the one that began it
            pass


class Plan:
    """
    How to record the calls of one decorated function.

    Args:
        target: records the calls.
        extract: returns the features, from the arguments of a call.
        output: the user function that returns the prediction from the result. If None, the result is the prediction.
        prediction_id: returns the id from the arguments. If None, predictions have no id.
        user_id: returns the id of the end user from the arguments. If None, spans have none.
        key: returns the key from the arguments. If None, calls have the key of `driftline.Canary.route`.

    Attributes:
        target: as above, and so are *extract* and *output*.
        call_flag: the variable `Target.call_flag`.
        open_blocks: the dict `Target.open_blocks`.
        first: the index of the argument that holds all features, or `NO_INDEX` if no single one does.
    """

    __slots__ = (
        "_key",
        "_prediction_id",
        "_user_id",
        "call_flag",
        "extract",
        "first",
        "open_blocks",
        "output",
        "target",
    )

    def __init__(
        self,
        target: Target,
        extract: Extractor,
        output: Callable[[Any], Any] | None,
        prediction_id: Extractor | None,
        user_id: Extractor | None,
        key: Extractor | None = None,
    ) -> None:
        self.target = target
        self.extract = extract
        self.output = output
        self._prediction_id = prediction_id
        self._user_id = user_id
        self._key = key
        self.call_flag = target.call_flag
        self.open_blocks = target.open_blocks
        self.first = extract.index if isinstance(extract, FirstArgument) else NO_INDEX

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.target, self.extract, self.output, self._prediction_id, self._user_id, self._key)
        return Plan, arguments

    def capture(self, buffer: CallBuffer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Captured:
        """Extract, read and copy the features of a call; if that raises, report the error."""
        try:
            return self.target.capture(buffer, self.extract(args, kwargs))
        except BaseException as error:
            if not is_contained(error):
                raise
            return self.target.report_unreadable("features", error)  # of the user function features=

    # --- the fast path calls these after an error --------------------------------------------------------------------

    def capture_anew(self, error: BaseException, buffer: CallBuffer, features: Any) -> tuple[Captured, object]:
        """
        Capture the features of a call after *error*, such as that of an unknown class.

        Returns:
            the features, and the OpenTelemetry context (None if no exemplar is wanted).

        Raises:
            BaseException: *error* itself, if it is an interrupt.
        """
        # The error of an unknown class, the commonest by far, is recognised without a look at its traceback.
        if type(error) is not KeyError and not is_contained(error):
            raise error
        return self.target.capture(buffer, features), buffer.read_context() if buffer.read_context else None

    def extract_anew(
        self, error: BaseException, buffer: CallBuffer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Captured, object]:
        """Capture the features of a call with these arguments after *error*, as `capture_anew` does."""
        if type(error) is not KeyError and not is_contained(error):
            raise error
        return self.capture(buffer, args, kwargs), buffer.read_context() if buffer.read_context else None

    def record_failure(
        self, buffer: CallBuffer, captured: Captured, seconds: float, context: object, error: BaseException
    ) -> None:
        """Record a call that raised *error*."""
        self.target.record_failure(buffer, captured, seconds, context, error_type(error))

    def record_anew(
        self,
        error: BaseException,
        buffer: CallBuffer,
        captured: Captured,
        result: Any,
        seconds: float | None,
        context: object,
    ) -> None:
        """
        Record a call after *error*, or only report *error* if *seconds* is None, because the call is recorded already.

        Raises:
            BaseException: *error* itself, if it is an interrupt, or if the limit of recursion has prevented the record.
        """
        if not is_contained(error) or (seconds is not None and type(error) is RecursionError):
            raise error
        if seconds is not None and not is_hashable(type(result)):
            self.target.record(buffer, captured, result, seconds, context, None)
        else:
            self.target.report_error("record", error)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenCall:
        """Begin a call with these arguments: capture its features, and start its span if there is tracing."""
        return OpenCall(self, args, kwargs)

    def ids(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[object, str | None]:
        """Return (id of the prediction, id of the end user). Each is None if no function returns it or it raises."""
        prediction_id: object = None
        user: str | None = None
        # Guarded separately: an error in user_id= must not lose the outcome of the prediction.
        try:
            prediction_id = None if self._prediction_id is None else self._prediction_id(args, kwargs)
        except BaseException as error:
            if not is_contained(error):
                raise
            # the user function prediction_id=
            self.target.report_error("prediction_id", error)
        if self._user_id is not None and self.target.tracing is not None:
            try:
                user = user_text(self._user_id(args, kwargs))
            except BaseException as error:
                if not is_contained(error):
                    raise
                # the user function user_id=
                self.target.report_error("user_id", error)
        return prediction_id, user

    def bucket(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
        """Return the bucket of the key of a call, or None if it has none or the user function raises."""
        if self._key is None:
            return self.target.call_bucket.get()
        with GuardedBlock(self.target.report_error, "key"):
            return self.target.bucket_of_key(self._key(args, kwargs))
        return None

    def record(
        self,
        buffer: CallBuffer,
        captured: Captured,
        result: Any,
        seconds: float,
        context: object,
        prediction_id: object,
    ) -> None:
        """Record a call that returned *result*, with the prediction that ``output=`` makes of it."""
        if self.output is not None:
            try:
                result = self.output(result)
            except BaseException as error:
                if not is_contained(error):
                    raise
                # the user function output=
                result = None
                self.target.report_error("output", error)
        self.target.record(buffer, captured, result, seconds, context, prediction_id)


class OpenCall:
    """
    A call under way of a function with a span, an id or ``output=``, or whose result is awaited or iterated.

    The fast path serves all other functions without such an object.

    Args:
        plan: how to record the calls of the function.
        args: the positional arguments of the call.
        kwargs: its keyword arguments.

    Attributes:
        start: when the call began, by `perf_counter`.
        seconds: how long the function ran before it returned what is awaited now.
        inside: the context in which the body of a generator goes on.
    """

    __slots__ = (
        "buffer",
        "captured",
        "context",
        "inside",
        "plan",
        "prediction_id",
        "seconds",
        "span",
        "start",
        "token",
    )

    def __init__(self, plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.plan = plan
        self.buffer = plan.target.buffer
        self.captured = plan.capture(self.buffer, args, kwargs)
        self.prediction_id, user = plan.ids(args, kwargs)
        self.span: Any = None
        self.token: object = None
        tracing = plan.target.tracing
        if tracing is not None:
            with GuardedBlock(plan.target.report_error, "span"):
                self.span = tracing.start(span_id(self.prediction_id), user)
        self.inside = current_context() if self.span is None or tracing is None else tracing.context_of(self.span)
        self.context = self.inside
        if self.buffer.has_keys:
            self.context = with_bucket(self.context, plan.bucket(args, kwargs))
        self.seconds = 0.0
        self.start = perf_counter()

    @classmethod
    def begun(cls, plan: Plan, buffer: CallBuffer, captured: Captured, seconds: float, context: object) -> OpenCall:
        """Return the call of the fast path that has run for *seconds*."""
        call = cls.__new__(cls)
        call.plan, call.buffer, call.captured = plan, buffer, captured
        call.prediction_id = call.span = call.token = None
        call.context = call.inside = context
        call.seconds = seconds
        call.start = perf_counter() - seconds
        return call

    def attach(self) -> None:
        """Make the span current, until `detach` or the end of the call."""
        tracing = self.plan.target.tracing
        if self.span is not None and tracing is not None:
            self.token = tracing.attach(self.span)

    def detach(self) -> None:
        """Make the span current that was so before, unless the call has ended."""
        tracing = self.plan.target.tracing
        if self.token is not None and tracing is not None:
            tracing.detach(self.token)
            self.token = None

    def resume(self) -> None:
        """Enter the context in which the body of a generator goes on. It runs in that of its consumer otherwise."""
        tracing = self.plan.target.tracing
        if self.span is not None and tracing is not None:
            self.token = tracing.resume(self.inside)

    def suspend(self) -> None:
        """Leave the context of the body, before the consumer gets a value."""
        if self.token is not None:
            self.inside = current_context()
            self.detach()

    def drop(self) -> None:
        """Record nothing, because the result is awaited within another call. End the span."""
        self._end(None)

    def finish(self, result: Any) -> None:
        """Record that the call returned *result*, and end its span."""
        self.plan.record(
            self.buffer, self.captured, result, perf_counter() - self.start, self.context, self.prediction_id
        )
        self._end(None)

    def fail(self, error: BaseException) -> None:
        """Record that the call raised *error*, and end its span."""
        seconds = perf_counter() - self.start
        self.plan.target.record_failure(self.buffer, self.captured, seconds, self.context, error_type(error))
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        """End the span, if there is one."""
        tracing = self.plan.target.tracing
        if self.span is not None and tracing is not None:
            with GuardedBlock(self.plan.target.report_error, "span"):
                self.detach()
                tracing.end(self.span, error)
