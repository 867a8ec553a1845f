"""The extractor of a call's key, such as the id of a customer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from driftline._runtime import validation as check
from driftline.instrument._arguments import Extractor, without_self

__all__ = ["key_extractor"]


def key_extractor(
    key: Callable[..., object] | str | None, extract: Extractor, parameters: list[inspect.Parameter], skip: int
) -> Extractor | None:
    """
    Return the extractor of the key, or None without one.

    Args:
        key: a function that returns the key, from the call's arguments without ``self``. Or the name of an argument or
            of a feature.
        extract: returns the features of a call.
        parameters: the parameters of the decorated function.
        skip: 1 for a method, else 0.

    Raises:
        ConfigurationError: the key is no function and no name.
    """
    if key is None:
        return None
    if not isinstance(key, str):
        check.function("key", key, "a function of the call's arguments, or the name of an argument or feature")
        return without_self(key, skip)
    name, index = key, None
    for position, parameter in enumerate(parameters):
        if parameter.name == name and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            index = position
            default = None if parameter.default is inspect.Parameter.empty else parameter.default
    if index is None:
        return lambda args, kwargs: kwargs[name] if name in kwargs else _value_of(extract(args, kwargs), name)
    return lambda args, kwargs: args[index] if len(args) > index else kwargs.get(name, default)


def _value_of(features: Any, name: str) -> object:
    """Return a value of features by its name. If a column of a frame has one value, return that."""
    if isinstance(features, Mapping):
        return features[name]
    column = features[name] if hasattr(features, "columns") else getattr(features, name)
    return column[0] if isinstance(column, (list, tuple)) and len(column) == 1 else column
