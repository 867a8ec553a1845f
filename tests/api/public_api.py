"""
The public API as text, one line for each name, so that two versions of it can be compared.

``python tests/api/public_api.py`` prints it, ``make public-api`` writes it to ``public_api.txt``.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import typing

import numpy as np

import driftline

LONG = 80
"""Characters of parameters above which each has a separate line, so that a change of one changes one line."""

NEXT = ",\n    "

PROGRAMS = ("driftline.demo",)
"""Packages that are programs: their modules are no API."""

NAME_ONLY = {
    "driftline.instrument.instrument",
    "driftline.otel.Emitter",
    "driftline.otel.Instruments",
    "driftline.otel.Reading",
    "driftline.otel.Source",
    "driftline.otel.Tracing",
    "driftline.otel.current_context",
    "driftline.otel.error_type",
    "driftline.otel.flag_attributes",
    "driftline.otel.instruments_for",
    "driftline.otel.meter_of",
    "driftline.outcomes.Outcomes",
    "driftline.testing.Probe",
}
"""Names for driftline's own packages and tests: they stay importable, their signatures may change."""

OPERATORS = {"__add__", "__aenter__", "__aexit__", "__call__", "__enter__", "__exit__", "__iter__", "__len__"}


def public_modules():
    """Return the names of all public modules, sorted."""
    names = (module.name for module in pkgutil.walk_packages(driftline.__path__, "driftline."))
    return sorted(["driftline", *(name for name in names if not name.startswith(PROGRAMS) and "._" not in name)])


def public_names(module):
    """Return the public names of a module: its ``__all__``, or the names that it defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", None) in {None, module.__name__}
    )


def listing():
    """Return the lines of the listing, sorted by name."""
    lines, homes = {}, {}
    for module_name in public_modules():
        module = importlib.import_module(module_name)
        for name in public_names(module):
            path, value = f"{module_name}.{name}", getattr(module, name)
            if path in NAME_ONLY:
                lines[path] = path
                continue
            shared = is_class(value) or inspect.isfunction(value)
            home = homes.setdefault(id(value), path) if shared else path
            lines.update(describe(path, value) if home == path else {path: f"{path} = {home}"})
    return [lines[path] for path in sorted(lines)]


def describe(path, value):
    """Return the lines of one name by path: one for a function or a constant, one for each member of a class."""
    if is_class(value):
        return {path: f"class {path}{constructor_of(value)}", **members(path, value)}
    if inspect.isroutine(value):
        return {path: path + signature_of(value)}
    return {path: f"{path} = {constant(value)}"}


def members(path, cls):
    """Return a line for each public member that driftline defines for a class, by path."""
    fields = {field.name: field.type for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    lines = {f"{path}.{name}": f": {annotation(kind)}" for name, kind in fields.items() if not name.startswith("_")}
    names = {name for base in cls.__mro__ if in_driftline(base) for name in vars(base)}
    for name in names - set(fields):
        if name.startswith("_") and name not in OPERATORS:
            continue
        value = inspect.getattr_static(cls, name)
        if isinstance(value, property):
            lines[f"{path}.{name}"] = f": {annotation(value.fget.__annotations__.get('return'))}"
        elif isinstance(value, classmethod) or inspect.isfunction(getattr(cls, name)):  # also by a descriptor
            lines[f"{path}.{name}"] = signature_of(getattr(cls, name))
        elif inspect.ismemberdescriptor(value):
            lines[f"{path}.{name}"] = ""
        elif not inspect.isdatadescriptor(value):
            lines[f"{path}.{name}"] = f" = {constant(value)}"
    return {name: name + rest for name, rest in lines.items()}


def constructor_of(cls):
    """Return the signature of a class that can be called, else an empty string."""
    defined = any({"__init__", "__new__"} & set(vars(base)) for base in cls.__mro__ if in_driftline(base))
    return signature_of(cls) if defined and not getattr(cls, "_is_protocol", False) else ""


def is_class(value):
    """Return whether a value is a class. Python 3.10 takes an alias such as ``Callable[[int], str]`` for one too."""
    return inspect.isclass(value) and typing.get_origin(value) is None


def in_driftline(cls):
    """Return whether driftline defines a class."""
    return cls.__module__.startswith("driftline")


def signature_of(function):
    """Return the parameters and the return type as written, with modules cut from the names of types."""
    signature = inspect.signature(function)
    parts, kind = [], None
    for parameter in signature.parameters.values():
        if kind == parameter.POSITIONAL_ONLY != parameter.kind:
            parts.append("/")
        if parameter.kind == parameter.KEYWORD_ONLY and kind not in {parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL}:
            parts.append("*")
        kind = parameter.kind
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(kind, "")
        text = f"{stars}{parameter.name}"
        if parameter.annotation is not parameter.empty:
            text += f": {annotation(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {default(parameter.default)}"
        parts.append(text)
    if kind is inspect.Parameter.POSITIONAL_ONLY:
        parts.append("/")
    text = f"({', '.join(parts)})" if len(", ".join(parts)) < LONG else f"(\n    {NEXT.join(parts)},\n)"
    if signature.return_annotation is not signature.empty and not is_class(function):
        text += f" -> {annotation(signature.return_annotation)}"
    return f"{text}  # async" if inspect.iscoroutinefunction(function) else text


def annotation(value):
    """Return an annotation as text, without the modules of its types, because the private ones move."""
    if value is None:
        return "None"
    value = getattr(value, "__forward_arg__", value)
    if typing.get_origin(value) is np.ndarray:
        return f"NDArray[{typing.get_args(typing.get_args(value)[1])[0].__name__}]"
    text = value if isinstance(value, str) else value.__name__ if is_class(value) else repr(value)
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_]\w*)", "", text)


def default(value):
    """Return a default as text, without addresses."""
    return value.__qualname__ if inspect.isroutine(value) or is_class(value) else repr(value)


def constant(value):
    """Return a constant as text: sets sorted, of dicts the keys, of metrics all but the prose."""
    if isinstance(value, (str, int, float, type(None))):
        return repr(value)
    if isinstance(value, (set, frozenset, dict)):
        return f"{{{', '.join(sorted(map(repr, value)))}}}"
    if isinstance(value, tuple):
        items = [item for name, item in zip(getattr(value, "_fields", value), value, strict=True) if name != "brief"]
        return f"({', '.join(map(constant, items))})"
    return default(value) if inspect.isroutine(value) else annotation(value)


if __name__ == "__main__":
    sys.stdout.write("\n".join(listing()) + "\n")
