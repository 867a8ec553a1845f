"""Plain values, as files and variables hold them, to the arguments of `Monitor`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from driftline import ConfigurationError, FalseAlarms, Thresholds, Window
from driftline._runtime import validation as check

__all__ = ["reject_unknown", "rule", "window"]

_WINDOW = re.compile(r"\s*(?P<length>\S+(?:\s+rows)?)(?:\s+every\s+(?P<every>\S+(?:\s+rows)?))?\s*", re.ASCII)
_ROWS = re.compile(r"(?P<rows>\d+)(?:\s+rows)?", re.ASCII)
_BUDGET = re.compile(r"\s*(?P<count>\S+)\s+per\s+(?P<per>\S+)\s*", re.ASCII)

WINDOWS = "rows such as 5000, '10min', '10min every 1min', or the keys length, rows and every"
RULES = (
    "'1 per 30d', 'psi=0.2, mean=0.3', or one of the keys false_alarms and thresholds with the arguments of "
    "FalseAlarms or Thresholds"
)


def reject_unknown(name: str, keys: Collection[object], known: Collection[str]) -> None:
    """
    Check the keys of a mapping.

    Raises:
        ConfigurationError: a key is not known.
    """
    unknown = [key for key in keys if key not in known]
    if unknown:
        msg = f"{name}: unknown {', '.join(map(repr, unknown))}, expected {', '.join(known)}"
        raise ConfigurationError(msg)


def window(name: str, value: object) -> Window:
    """
    Return the window of a number of rows, a string, or a mapping of the arguments of `Window`.

    Raises:
        ConfigurationError: the value is none of these, or an argument is out of range.

    >>> window("window", "10min every 1min") == Window("10min", every="1min")
    True
    >>> window("window", "5000 rows") == window("window", 5000) == window("window", {"rows": 5000})
    True
    """
    if isinstance(value, Window):
        return value
    if isinstance(value, Mapping):
        return Window(**_arguments(Window, name, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Window(rows=value)
    match = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise check.error(name, value, WINDOWS)
    length, every = match["length"], match["every"]
    rows, step = _ROWS.fullmatch(length), _ROWS.fullmatch(every or "")
    if rows is None:
        return Window(length, every=every)
    if every is not None and step is None:
        raise check.error(name, value, WINDOWS)
    return Window(rows=int(rows["rows"]), every=None if step is None else int(step["rows"]))


def rule(name: str, value: object) -> FalseAlarms | Thresholds:
    """
    Return the rule of a string, or of a mapping with the key ``false_alarms`` or ``thresholds``.

    Raises:
        ConfigurationError: the value is none of these, or an argument is out of range.

    >>> rule("rule", "2 per 7d") == rule("rule", {"false_alarms": {"count": 2, "per": "7d"}})
    True
    >>> rule("rule", "psi=0.2") == rule("rule", {"thresholds": {"psi": 0.2}})
    True
    """
    if isinstance(value, (FalseAlarms, Thresholds)):
        return value
    if isinstance(value, str):
        return _rule_of_string(name, value)
    if not isinstance(value, Mapping) or len(value) != 1:
        raise check.error(name, value, RULES)
    (kind, arguments), *_ = value.items()
    reject_unknown(name, value, ("false_alarms", "thresholds"))
    if not isinstance(arguments, Mapping):
        check.reject(f"{name}: {kind}", arguments, "a mapping of arguments")
    if kind == "thresholds":
        return Thresholds(**{str(key): limit for key, limit in arguments.items()})
    return FalseAlarms(**_arguments(FalseAlarms, f"{name}: {kind}", arguments))


def _rule_of_string(name: str, value: str) -> FalseAlarms | Thresholds:
    budget = _BUDGET.fullmatch(value)
    if budget is not None:
        return FalseAlarms(_number(name, value, budget["count"]), per=budget["per"])
    limits: dict[str, Any] = {}
    for part in value.split(","):
        distance, equals, limit = part.partition("=")
        if not equals:
            raise check.error(name, value, RULES)
        limits[distance.strip()] = _number(name, value, limit)
    return Thresholds(**limits)


def _number(name: str, value: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise check.error(name, value, RULES) from None


def _arguments(create: Callable[..., Any], name: str, arguments: Mapping[Any, Any]) -> dict[str, Any]:
    """Return keyword arguments of a class, all of whose keys are known."""
    parameters = [each for each in inspect.signature(create).parameters if each != "self"]
    reject_unknown(name, arguments, parameters)
    return dict(arguments)
