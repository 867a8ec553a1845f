"""Writes a `Configuration` as YAML, with comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import dedent, indent, wrap

from driftline.fleet._collector.backend import Component, Variable
from driftline.fleet._collector.configuration import Configuration, Pipeline

__all__ = ["to_yaml"]

WIDTH = 118
"""Columns of a comment."""


def to_yaml(configuration: Configuration, command: str) -> str:
    """
    Return the file.

    Args:
        configuration: what the collector does.
        command: the command that writes the file, for its first lines.
    """
    pipelines = configuration.pipelines
    sections = {
        "receivers": _distinct(component for pipeline in pipelines for component in pipeline.receivers),
        "processors": _distinct(component for pipeline in pipelines for component in pipeline.processors),
        "exporters": _distinct(component for pipeline in pipelines for component in pipeline.exporters),
        "extensions": configuration.extensions,
    }
    blocks = [_head(configuration, command)]
    blocks += [_section(name, components) for name, components in sections.items() if components]
    blocks.append(_service(configuration.extensions, pipelines))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _distinct(components: Iterable[Component]) -> list[Component]:
    """Return the components in order, each once."""
    return list({component.name: component for component in components}.values())


def _head(configuration: Configuration, command: str) -> list[str]:
    backend = configuration.backend
    what = "a gateway that adds up the counters of all processes" if configuration.gateway else "a collector"
    lines = [
        *_comment(f"{what[0].upper()}{what[1:]} for {backend.title}; {configuration.temporality} counters."),
        "#",
        *_comment(f"Written by `{command}`: change its arguments, not this file."),
    ]
    for note in dedent(backend.notes).strip().split("\n\n"):
        lines += ["#", *_comment(note)]
    return [*lines, "#", *_table(configuration.variables)]


def _table(variables: Sequence[Variable]) -> list[str]:
    """Return the lines that list the variables."""
    name_width = max(len(variable.name) for variable in variables)
    lines = ["# Variables of the environment:"]
    for variable in variables:
        default = "" if variable.default is None else f" [{variable.default or 'empty'}]"
        lines.append(f"#   {variable.name:<{name_width}}  {variable.meaning}{default}")
    return lines


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)]


def _section(name: str, components: Sequence[Component]) -> list[str]:
    lines = [f"{name}:"]
    for component in components:
        lines += [indent(line, "  ") for line in wrap_comment(component.why)]
        settings = component.settings
        lines.append(f"  {component.name}:" if settings else f"  {component.name}: {{}}")
        lines += [indent(line, "    ") for line in settings]
    return lines


def wrap_comment(text: str) -> list[str]:
    """Return a comment inside a section, in lines."""
    return [f"# {line}" for line in wrap(text, WIDTH - 4, break_long_words=False, break_on_hyphens=False)]


def _service(extensions: Sequence[Component], pipelines: Sequence[Pipeline]) -> list[str]:
    lines = ["service:"]
    if extensions:
        lines.append(f"  extensions: {_names(extensions)}")
    lines.append("  pipelines:")
    for pipeline in pipelines:
        lines += [
            f"    {pipeline.name}:",
            f"      receivers: {_names(pipeline.receivers)}",
            f"      processors: {_names(pipeline.processors)}",
            f"      exporters: {_names(pipeline.exporters)}",
        ]
    lines += [
        "  telemetry:",
        "    metrics:",
        "      # No metrics of the collector itself, so no port. With `normal`, watch otelcol_exporter_queue_size.",
        "      level: none",
    ]
    return lines


def _names(components: Iterable[Component]) -> str:
    return f"[{', '.join(component.name for component in components)}]"
