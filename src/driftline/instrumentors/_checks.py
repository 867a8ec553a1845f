"""Checks options, with the messages of `Monitor`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from driftline import Monitor, Reference
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.instrumentors import _values
from driftline.instrumentors._options import (
    DEFAULT_KEYS,
    DEFAULT_LEARN_ROWS,
    MODEL_KEYS,
    MONITOR_KEYS,
    ModelOptions,
    Options,
)

__all__ = ["checked_options"]

SWITCHES = frozenset({"export_bins", "export_labels", "export_duration", "trace"})
"""Keys whose values are booleans."""

WORDS = {**dict.fromkeys(("true", "1", "yes", "on"), True), **dict.fromkeys(("false", "0", "no", "off"), False)}
"""Values of variables that are booleans."""


def checked_options(section: dict[str, Any], texts: Mapping[str, tuple[str, str]]) -> Options:
    """
    Return the options of a section and of variables.

    Args:
        section: values by key.
        texts: names and values of variables, by key.

    Raises:
        ConfigurationError: a key is unknown, or a value is of the wrong type or out of range.
        ReferenceError: the file of a reference cannot be read or is damaged.
    """
    _values.reject_unknown("driftline", section, ("monitors", *DEFAULT_KEYS))
    variables = {key: _from_text(key, *text) for key, text in texts.items()}
    entries = section.pop("monitors", ())
    if isinstance(entries, (str, Mapping)) or not hasattr(entries, "__iter__"):
        check.reject("monitors", entries, "a list of mappings, each with a name")
    single = {key: variables.pop(key) for key in MODEL_KEYS if key not in DEFAULT_KEYS and key in variables}
    defaults = {**variables, **section}
    models = [_model(f"monitors[{index}]", entry, defaults) for index, entry in enumerate(entries)]
    default = _model("driftline", {**defaults, **single}, {})
    if default.name is None and (default.reference or default.route):
        msg = "DRIFTLINE_REFERENCE, DRIFTLINE_ROUTE: expected DRIFTLINE_NAME, the name of the model, beside them"
        raise ConfigurationError(msg)
    if default.route is not None:
        models.append(default)
    return Options(default, tuple(models))


def _model(where: str, entry: object, defaults: Mapping[str, Any]) -> ModelOptions:
    if not isinstance(entry, Mapping):
        raise check.error(where, entry, "a mapping with a name")
    values = {**defaults, **{key: value for key, value in entry.items() if value is not None}}
    try:
        _values.reject_unknown("keys", values, MODEL_KEYS)
        if where != "driftline":
            check.string("name", values.get("name"), at_least=1)
        if "route" in values and "reference" not in values:
            check.reject("reference", None, "the path of the reference of the model behind the route")
        options = _checked(values)
    except ConfigurationError as error:
        msg = f"{where}: {error}"
        raise ConfigurationError(msg) from error
    return options


def _checked(values: Mapping[str, Any]) -> ModelOptions:
    texts = {
        key: check.optional(check.string, key, values.get(key), at_least=1) for key in ("model", "route", "output")
    }
    learn = check.integer("learn", values.get("learn", DEFAULT_LEARN_ROWS), at_least=0)
    reference = values.get("reference")
    arguments = {key: values[key] for key in MONITOR_KEYS if key in values}
    named = {key: values.get(key) for key in ("name", "version", "variant")}
    stated = any(value is not None for value in (reference, *named.values())) or learn not in {0, DEFAULT_LEARN_ROWS}
    if arguments or stated:
        arguments = _check_monitor(arguments, named, reference, learn)
    path = None if reference is None else os.fspath(reference)
    return ModelOptions(**named, **texts, reference=path, learn=learn, arguments=arguments)


def _check_monitor(
    arguments: dict[str, Any], named: Mapping[str, Any], reference: object, learn: int
) -> dict[str, Any]:
    """Return the arguments of a monitor, which a monitor that is turned off has checked."""
    for key, convert in (("window", _values.window), ("rule", _values.rule)):
        if key in arguments:
            arguments[key] = convert(key, arguments[key])
    if isinstance(arguments.get("distances"), str):
        arguments["distances"] = [each.strip() for each in arguments["distances"].split(",")]
    source = Reference.learn(rows=learn or DEFAULT_LEARN_ROWS) if reference is None else reference
    checked: Any = {**arguments, "version": named["version"], "variant": named["variant"], "reference": source}
    name: Any = "model" if named["name"] is None else named["name"]
    Monitor(name, **checked, enabled=False)
    return arguments


def _from_text(key: str, variable: str, text: str) -> Any:
    """Return the value of an option from the value of a variable."""
    if key in SWITCHES:
        if text.lower() not in WORDS:
            check.reject(variable, text, "true or false")
        return WORDS[text.lower()]
    if key == "learn":
        if not text.isdecimal():
            check.reject(variable, text, "a number of rows, or 0")
        return int(text)
    return text
