"""How Prometheus and its relatives spell the names of OpenTelemetry, which have dots."""

from __future__ import annotations

import re
from collections.abc import Callable

from driftline.semconv import Metric

__all__ = ["NAME_STYLES", "SPELLINGS", "exported_name", "metric_pattern", "quoted"]

SUFFIXES = ("_total", "_seconds", "_ratio")
"""What translators append to a name. VictoriaMetrics appends ``_ratio`` to states of version 0.1, whose unit was 1."""

PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""A name that all versions of Prometheus accept without quotes."""


def _underscores(name: str) -> str:
    return name.replace(".", "_")


def _dots(name: str) -> str:
    return name


def _values(name: str) -> str:
    return "U__" + name.replace("_", "__").replace(".", "_2e_")


def _dots_in_words(name: str) -> str:
    return name.replace("_", "__").replace(".", "_dot_")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "underscores": _underscores,
    "dots": _dots,
    "values": _values,
    "dots in words": _dots_in_words,
}
"""
How a name with dots may be spelled. The first spelling is the usual one, the second that of
``translation_strategy: NoUTF8EscapingWithSuffixes`` and ``NoTranslation``. The others are the escaping schemes
``values`` and ``dots`` of https://prometheus.io/docs/instrumenting/escaping_schemes/
"""


NAME_STYLES: dict[str, tuple[str, bool]] = {
    "underscores": ("underscores", True),
    "underscores-without-suffixes": ("underscores", False),
    "utf8": ("dots", False),
    "utf8-with-suffixes": ("dots", True),
}
"""
How a backend names what it receives through OTLP: a spelling, and whether the unit is appended. In this order they are
Prometheus' translation strategies UnderscoreEscapingWithSuffixes (the default), UnderscoreEscapingWithoutSuffixes,
NoTranslation and NoUTF8EscapingWithSuffixes. Azure Monitor and CloudWatch keep names as they are, which is "utf8".
"""


def exported_name(metric: Metric, style: str) -> str:
    """
    Return the name of a metric in a backend. Histograms have ``_bucket``, ``_count`` and ``_sum`` after it.

    Args:
        metric: the metric.
        style: a key of `NAME_STYLES`.
    """
    spelling, suffixed = NAME_STYLES[style]
    name = SPELLINGS[spelling](metric.name)
    if suffixed and metric.unit == "s":
        name += "_seconds"
    return f"{name}_total" if suffixed and metric.instrument == "counter" else name


def metric_pattern(metric: Metric, *spellings: str) -> str:
    """
    Return a regular expression of a metric's name in these spellings, with and without the suffixes of its unit.

    Of a histogram, it is the name of the buckets.
    """
    patterns = []
    end = "_bucket" if metric.instrument == "histogram" else ""
    for spelling in spellings:
        escaped = spelling in {"values", "dots in words"}
        suffixes = [suffix.replace("_", "__") if escaped else suffix for suffix in SUFFIXES]
        name = SPELLINGS[spelling](metric.name).replace(".", "[.]")
        patterns.append(f"{name}({'|'.join(suffixes)})?{end.replace('_', '__') if escaped else end}")
    return "|".join(patterns)


def quoted(name: str) -> str:
    """Return the name of a label as PromQL needs it: in quotes if it has dots."""
    return name if PLAIN.fullmatch(name) else f'"{name}"'
