"""A block of code that is one prediction."""

from __future__ import annotations

import sys
import uuid
import weakref
from contextvars import Token
from time import perf_counter
from typing import TYPE_CHECKING, Any

from driftline._runtime.call_keys import bucket_of, with_bucket
from driftline._runtime.guard import GuardedBlock
from driftline._runtime.with_statements import ExitMethod, Held
from driftline.instrument._arguments import user_text
from driftline.instrument._call import Target, leave
from driftline.instrument._open_blocks import ENTERING, GENERATORS, add_block, generator_frame, on_stack
from driftline.otel import current_context, error_type

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from typing_extensions import Self

__all__ = ["PredictionCall"]

_UNSET = object()
"""The output of a block that has set none so far."""


class _BlockFlag(list[bool]):
    """The flag of a block: True until its ``with`` statement ends, also if an interrupt keeps ``__exit__`` from it."""

    # Set right after the construction, which then is that of `list`, in C.
    __slots__ = ("block",)

    block: weakref.ref[Held]
    """A weak reference, because a task that was started within the block keeps the flag."""

    def __getitem__(self, index: Any) -> Any:
        if not super().__getitem__(index):
            return False
        block = self.block()
        return block is not None and not block.statement_ended


class PredictionCall(Held):
    """
    One prediction as a context manager. Decorated functions that the block calls belong to it.

    A generator may yield within the block. What its consumer does meanwhile does not belong to it, a consumer that
    leaves is no failure, and the span is not the current one.

    Args:
        target: records the prediction.
        features: one row or n rows, read and copied immediately.
        prediction_id: the id of the prediction. If None, `id` creates one when it is read.
        user_id: the id of the end user, for the span.
        key: the key of the call. If None, it is that of `driftline.Canary.route`.

    Attributes:
        output: the prediction, or a column of n predictions. Set it within the block.
    """

    __slots__ = (
        "__weakref__",
        "_bucket",
        "_buffer",
        "_captured",
        "_context",
        "_flag",
        "_generator",
        "_id",
        "_key",
        "_returned",
        "_span",
        "_start",
        "_target",
        "_token",
        "_user",
        "output",
    )

    def __init__(
        self, target: Target, features: Any, prediction_id: object, user_id: str | None, key: object = None
    ) -> None:
        self._exit_method = None  # as `Held.__init__`, without a call
        self._target = target
        self._id = prediction_id
        self._user = user_id
        self._span: Any = None
        self._token: object = None
        self._flag: tuple[list[bool], Token[list[bool] | None]] | None = None
        self._generator = False
        self._key: int | None = None
        self._returned = False
        self._context: object = None
        self.output: Any = _UNSET
        # Copied now: the caller may change its features within the block.
        self._buffer = target.buffer
        self._captured = target.capture(self._buffer, features) if target.enabled else ()
        has_key = key is not None and self._buffer.has_keys
        self._bucket = target.bucket_of_key(key) if has_key else target.call_bucket.get()

    @property
    def id(self) -> Any:
        """The id that joins the prediction with its outcome. Without *prediction_id*, the first access creates one."""
        if self._id is None:
            self._id = uuid.uuid4().hex
            if self._returned:
                # The id is read after the block, so the output was not kept for an outcome.
                self._target.remember_output(self._id, self.output, bucket_of(self._context))
        return self._id

    def __enter__(self) -> Self:
        target = self._target
        code = sys._getframe(1).f_code  # noqa: SLF001 - documented, and in every CPython
        frame: FrameType | None = None
        if code.co_flags & GENERATORS or code.co_name in ENTERING:
            frame = generator_frame(sys._getframe(1))  # noqa: SLF001 - as above
            self._generator = frame is not None
        self._context = current_context()
        tracing = target.tracing
        if tracing is not None and target.enabled:
            with GuardedBlock(target.report_error, "span"):
                self._span = tracing.start(str(self.id), user_text(self._user))
                self._context = tracing.context_of(self._span)
                if frame is None:
                    self._token = tracing.attach(self._span)
        if self._buffer.has_keys:
            self._context = with_bucket(self._context, self._bucket)
        outer = target.call_flag.get()
        if not ((outer is not None and outer[0]) or (target.open_blocks and on_stack(target.open_blocks))):
            if frame is None:
                flag = _BlockFlag((True,))
                flag.block = weakref.ref(self)
                self._flag = flag, target.call_flag.set(flag)
            else:
                self._key = add_block(target.open_blocks, frame, self)
        self._start = perf_counter()
        return self

    @ExitMethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = perf_counter() - self._start
        target = self._target
        if self._flag is not None:
            flag, token = self._flag
            # A task that was started within the block and still runs has this list too. Its calls count from now on.
            flag[0] = False
            leave(target.call_flag, token)
        if self._key is not None:
            target.open_blocks.pop(self._key, None)
        if self._generator and isinstance(error, GeneratorExit):
            error = None  # the consumer has left, which is no fault of the model
        if not target.enabled:
            return
        within = self._flag is None and self._key is None
        if not within:
            self._record(seconds, error)
        if error is None and self.output is not _UNSET:
            self._returned = True
            if within and self._id is not None:
                # The outer call is the prediction, but the outcome may arrive under the id of this block.
                target.remember_output(self._id, self.output, bucket_of(self._context))
        if self._span is not None and target.tracing is not None:
            with GuardedBlock(target.report_error, "span"):
                if self._token is not None:
                    target.tracing.detach(self._token)
                target.tracing.end(self._span, error)

    def _record(self, seconds: float, error: BaseException | None) -> None:
        """Record the block as a failure, as a call without an output, or with its output."""
        target = self._target
        if error is not None:
            target.record_failure(self._buffer, self._captured, seconds, self._context, error_type(error))
        elif self.output is _UNSET:
            target.record(self._buffer, self._captured, None, seconds, self._context, None)
        else:
            target.record(self._buffer, self._captured, self.output, seconds, self._context, self._id)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    @ExitMethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
