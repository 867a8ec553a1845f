"""Tells the exceptions of signal handlers and of other threads from those that driftline or a value raised."""

from __future__ import annotations

import inspect
import opcode
from collections.abc import Iterator
from types import FrameType, TracebackType

__all__ = ["interrupt_in"]

COMPILED = frozenset(
    {
        b"",  # Python 3.10
        *(
            bytes((opcode.opmap["RESUME"], 0, opcode.opmap[name], 0, opcode.opmap["RAISE_VARARGS"], 1))
            for name in ("LOAD_ASSERTION_ERROR", "LOAD_COMMON_CONSTANT")
            if "RESUME" in opcode.opmap and name in opcode.opmap
        ),
    }
)
"""
The bytecode of the frames that Cython makes for its tracebacks, from ``PyCode_NewEmpty`` of CPython.

No thread looks for exceptions there. pandas, pyarrow and numpy.random raise all their errors in such frames.
"""

MAX_LINKS = 20
"""Exceptions of one chain of contexts that are looked at. Libraries replace one exception by another once or twice."""

NEVER_RAISES = frozenset({"RESUME", "JUMP_ABSOLUTE", "JUMP_BACKWARD"})
"""Instructions that look for the exceptions of other threads, and raise nothing else."""

NOT_ASYNCHRONOUS = (RecursionError, MemoryError, StopIteration, StopAsyncIteration, LookupError)
"""Classes that C code raises without arguments, so that they look like the exception of another thread."""


def interrupt_in(error: BaseException) -> BaseException | None:
    """
    Return the interrupt that *error* is, or that *error* has replaced. Return None if there is none.

    An interrupt is an exception that a signal handler raises, or that another thread raises here with
    ``PyThreadState_SetAsyncExc``. Call this in the frame that has caught *error*: it reads the traceback from there on.

    A signal handler is known by its arguments, because one of them is the frame that was interrupted. The exception of
    another thread appears where Python looks for one, which is no ``raise``. At instructions that may raise another
    error, such as a call of a function in C, it is known by the arguments with which its class makes it.
    """
    trace = error.__traceback__
    if trace is None:
        return None
    last = _last_entry(trace, None)
    if last is None or _is_asynchronous(last, error):
        return error
    return _replaced(error, trace)


def _last_entry(trace: TracebackType, outer: FrameType | None) -> TracebackType | None:
    """Return the last entry of a traceback that begins within *outer*; None if a signal handler is on the way."""
    while True:
        if outer is not None and _is_handler(trace.tb_frame, outer):
            return None
        if trace.tb_next is None:
            return trace
        outer, trace = trace.tb_frame, trace.tb_next


def _is_handler(frame: FrameType, interrupted: FrameType) -> bool:
    """Return whether a frame is one of a signal handler that was called while the frame *interrupted* ran."""
    code = frame.f_code
    packs = code.co_flags & inspect.CO_VARARGS
    if code.co_argcount < 2 and not packs:  # noqa: PLR2004 - the number of the signal, and the frame
        return False
    values = frame.f_locals
    if any(values.get(name) is interrupted for name in code.co_varnames[: code.co_argcount]):
        return True
    packed = values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount]) if packs else None
    return type(packed) is tuple and any(value is interrupted for value in packed)


def _is_asynchronous(last: TracebackType, error: BaseException) -> bool:
    """Return whether another thread, or Ctrl-C without a handler in Python, raised the exception at this entry."""
    if last.tb_frame.f_code.co_code in COMPILED:
        return False
    name = _instruction(last)
    if name in NEVER_RAISES:
        return True
    if name.startswith(("RAISE", "RERAISE")) or isinstance(error, NOT_ASYNCHRONOUS):
        return False
    if type(error) is KeyboardInterrupt:
        return True
    return _makes(type(error), error.args)


def _makes(kind: type[BaseException], arguments: tuple[object, ...]) -> bool:
    """Return whether a class makes exceptions with these arguments when it is called without any."""
    try:
        return bool(kind().args == arguments)
    except BaseException as error:
        # The class is the host's. An interrupt may come here too. Only a TypeError, of a class that needs arguments,
        # comes out of this frame itself.
        trace = error.__traceback__
        here = trace is not None and trace.tb_next is None and not isinstance(error, TypeError)
        if not isinstance(error, Exception) or here or _was_interrupted(error):
            raise
        return False


def _was_interrupted(error: BaseException) -> bool:
    """Return whether an exception certainly is an interrupt, without a call of its class."""
    if error.__traceback__ is None:
        return False
    last = _last_entry(error.__traceback__, None)
    return last is None or _instruction(last) in NEVER_RAISES


def _instruction(entry: TracebackType) -> str:
    """Return the name of the instruction at which an exception was raised; ``RESUME`` for the start of a function."""
    if entry.tb_lasti < 0:
        # Python 3.10 looks for interrupts before the first instruction.
        return "RESUME"
    code = entry.tb_frame.f_code.co_code[entry.tb_lasti : entry.tb_lasti + 1]
    return opcode.opname[code[0]] if code else ""


def _replaced(error: BaseException, trace: TracebackType) -> BaseException | None:
    """Return the interrupt in the chain of contexts of *error* that code under the caller's frame caught, or None."""
    if error.__cause__ is None and error.__context__ is None:
        return None  # as nearly always
    within = {id(frame) for frame in _frames(trace)}
    link: BaseException | None = error
    for _ in range(MAX_LINKS):
        link = None if link is None else link.__cause__ or link.__context__
        if link is None or link.__traceback__ is None:
            return None
        # What the host caught before it called driftline has a traceback that begins in a frame of the host.
        first = link.__traceback__.tb_frame
        if id(first) not in within and id(first.f_back) not in within:
            return None
        last = _last_entry(link.__traceback__, first.f_back)
        if last is None or _is_asynchronous(last, link):
            return link
    return None


def _frames(trace: TracebackType) -> Iterator[FrameType]:
    """Yield the frame of each entry of a traceback."""
    entry: TracebackType | None = trace
    while entry is not None:
        yield entry.tb_frame
        entry = entry.tb_next
