"""Checks of the arguments of `Canary` and its methods."""

from __future__ import annotations

import inspect
import os
import time
from typing import Any

from driftline._runtime import validation as check
from driftline.errors import ConfigurationError

__all__ = ["ID_VARIABLE", "START_PREFIX", "check_functions", "check_id", "check_variants"]

ID_VARIABLE = "DRIFTLINE_CANARY_ID"
"""The environment variable with the id of a canary."""

START_PREFIX = "start-"
"""The beginning of an id that is the time at which the canary began in its process, as in start-20261129T021507Z."""

MAX_ID_LENGTH = 255
"""Most characters of an id, which is an attribute of every series of the evidence."""


def check_id(canary_id: object, began: float) -> tuple[str, bool]:
    """
    Return the id of a canary, and whether it was given: as an argument, or in the environment.

    Args:
        canary_id: the argument.
        began: Unix time in seconds at which the canary began.

    Raises:
        ConfigurationError: the id is no string, empty, too long, or begins like one that was not given.
    """
    name, value = ("id", canary_id) if canary_id is not None else (ID_VARIABLE, os.environ.get(ID_VARIABLE) or None)
    if value is None:
        return time.strftime(f"{START_PREFIX}%Y%m%dT%H%M%SZ", time.gmtime(began)), False
    checked = check.string(name, value, at_least=1, at_most=MAX_ID_LENGTH)
    check.encodable(name, (checked,))
    if checked.startswith(START_PREFIX):
        check.reject(name, checked, f"a string that does not begin with {START_PREFIX!r}, as ids by default do")
    return checked, True


def check_functions(baseline: object, candidate: object) -> None:
    """
    Check that both predict functions are callable and not classes, and that both are plain or both async.

    Raises:
        ConfigurationError: one is not callable, is a class, or only one is async.
    """
    for name, function in (("baseline", baseline), ("candidate", candidate)):
        if not callable(function) or isinstance(function, type):
            msg = f"{name}={function!r}: expected a function"
            raise ConfigurationError(msg)
    if inspect.iscoroutinefunction(baseline) != inspect.iscoroutinefunction(candidate):
        msg = "baseline and candidate: expected two plain functions or two async ones"
        raise ConfigurationError(msg)


def check_variants(baseline: Any, candidate: Any, path: object, *, export: bool) -> None:
    """
    Check that two variants can be compared: two different monitors whose predictions have the same bins.

    Args:
        baseline: the monitor of the baseline. It may be None if there is a *candidate*, and *path* or *export*.
        candidate: the monitor of the candidate. It may be None if there is a *baseline*, and *path* or *export*.
        path: the file that processes share; None without one.
        export: whether the evidence is exported, to be compared with that of other processes.

    Raises:
        ConfigurationError: a monitor is missing or of another type. Or both are the same monitor, have the same
            attributes, or have different bins.
    """
    sides = {"baseline": baseline, "candidate": candidate}
    alone = path is not None or export
    for name, variant in sides.items():
        if variant is None and alone and any(other is not None for other in sides.values()):
            continue
        if not hasattr(variant, "evidence") or not hasattr(variant, "attach"):
            alternative = ", or None with path= or export=True" if variant is None else ""
            msg = f"{name}={variant!r}: expected a Monitor{alternative}"
            raise ConfigurationError(msg)
    if baseline is None or candidate is None:
        return
    if baseline is candidate:
        msg = "baseline and candidate are one monitor: expected two, with different version= or variant="
        raise ConfigurationError(msg)
    if dict(baseline.variant_attributes) == dict(candidate.variant_attributes):
        msg = f"both monitors are {dict(candidate.variant_attributes)}: expected different version= or variant="
        raise ConfigurationError(msg)
    if baseline.prediction_bins != candidate.prediction_bins:
        msg = "the monitors watch their predictions over different bins: expected one reference for both"
        raise ConfigurationError(msg)
