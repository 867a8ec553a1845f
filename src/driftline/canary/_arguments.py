"""Checks of the arguments of `Canary` and its methods."""

from __future__ import annotations

import inspect
from typing import Any

from driftline.errors import ConfigurationError

__all__ = ["check_functions", "check_variants"]


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


def check_variants(baseline: Any, candidate: Any, path: object) -> None:
    """
    Check that two variants can be compared: two different monitors whose predictions have the same bins.

    Args:
        baseline: the monitor of the baseline. It may be None if *path* and *candidate* are not None.
        candidate: the monitor of the candidate. It may be None if *path* and *baseline* are not None.
        path: the file that processes share; None without one.

    Raises:
        ConfigurationError: a monitor is missing or of another type. Or both are the same monitor, have the same
            attributes, or have different bins.
    """
    sides = {"baseline": baseline, "candidate": candidate}
    for name, variant in sides.items():
        if variant is None and path is not None and any(other is not None for other in sides.values()):
            continue
        if not hasattr(variant, "evidence") or not hasattr(variant, "attach"):
            alternative = ", or None and a path= for the processes to share" if variant is None else ""
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
