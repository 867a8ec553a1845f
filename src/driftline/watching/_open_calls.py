"""The calls of a watched object that are under way: a call within another one belongs to it, and is not counted."""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar, Token
from types import CodeType, FrameType

__all__ = ["OpenCall", "OpenCalls"]

JOBLIB = "joblib.parallel"
"""The module whose frames are on the stack of joblib's threads, and of a thread that waits for them."""


class OpenCall:
    """
    A call under way.

    Args:
        owner: the calls of the watched object.
        counted: whether the call is a prediction. If False, it is a method such as ``fit``.
        outer: the call within which it began, or None.

    Attributes:
        active: True until the call ends. A task that was started within the call keeps this object.
        token: restores the context at the end.
    """

    __slots__ = ("active", "counted", "outer", "owner", "token")

    token: Token[OpenCall | None]

    def __init__(self, owner: OpenCalls, counted: bool, outer: OpenCall | None) -> None:  # noqa: FBT001 - internal, and faster
        self.owner = owner
        self.counted = counted
        self.outer = outer
        self.active = True


_latest: ContextVar[OpenCall | None] = ContextVar("driftline.watching.latest", default=None)


class OpenCalls:
    """The calls of one watched object that are under way in this process."""

    __slots__ = ("_threads",)

    def __init__(self) -> None:
        self._threads: set[int] = set()

    def here(self) -> bool:
        """Return whether a call of the object is under way in this context."""
        call = _latest.get()
        while call is not None:
            if call.owner is self and call.active:
                return True
            call = call.outer
        return False

    def anywhere(self, code: CodeType) -> bool:
        """
        Return whether a call that begins now belongs to another call of the object.

        A thread of joblib does not get the context of its caller. It belongs to a call in another thread if that call
        waits for joblib.

        Args:
            code: the code of the frames in which calls of watched objects begin.
        """
        if self.here():
            return True
        # No other call is under way as a rule, and then no stack is read.
        return (
            bool(self._threads)
            and _is_joblib(sys._getframe(1))  # noqa: SLF001 - documented, and in every CPython
            and self._waits_for_joblib(code)
        )

    def enter(self, *, counted: bool) -> OpenCall:
        """Begin a call. If not *counted*, it is a method such as ``fit``."""
        outer = _latest.get()
        call = OpenCall(self, counted, outer if outer is not None and outer.active else None)
        if counted:
            self._threads.add(threading.get_ident())
        call.token = _latest.set(call)
        return call

    def leave(self, call: OpenCall) -> None:
        """End a call, in the thread in which it began."""
        call.active = False
        if call.counted:
            self._threads.discard(threading.get_ident())
        _latest.reset(call.token)

    def _waits_for_joblib(self, code: CodeType) -> bool:
        """Return whether a call in another thread waits for joblib."""
        here = threading.get_ident()
        threads = [thread for thread in tuple(self._threads) if thread != here]
        frames = sys._current_frames() if threads else {}  # noqa: SLF001 - documented
        return any(_is_joblib(frames.get(thread), code) for thread in threads)


def _is_joblib(frame: FrameType | None, until: CodeType | None = None) -> bool:
    """Return whether joblib is on the stack of *frame*, above the first frame that runs the code *until*."""
    while frame is not None and frame.f_code is not until:
        if frame.f_globals.get("__name__") == JOBLIB:
            return True
        frame = frame.f_back
    return False
