"""Arithmetic that is independent of the floating-point settings of the host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

__all__ = ["without_float_errors"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def without_float_errors(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """
    Return a function whose floating-point errors are ignored, as they are expected: their results are inf, nan or 0.

    The host may have set ``np.seterr(all="raise")``, or turned warnings into errors. Neither is for driftline. The
    settings of other threads, and those after the call, stay as they are.
    """

    @functools.wraps(function)
    def quiet(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return quiet
