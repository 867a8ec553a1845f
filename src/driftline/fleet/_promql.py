"""`PromQL`: writes expressions over the exported metrics, in the names and with the temporality of a backend."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import get_args

from driftline import semconv as sc
from driftline._backends.names import NAME_STYLES, SPELLINGS, exported_name, quoted
from driftline._backends.prometheus import Temporality
from driftline.detection._false_alarms import Scope
from driftline.semconv import Metric

__all__ = ["SCOPES", "TEMPORALITIES", "PromQL", "span"]

TEMPORALITIES = get_args(Temporality)
"""What a sample of a counter is: all so far, or what came since the sample before."""

SCOPES = get_args(Scope)
"""Whose states and verdicts are selected: those of each process, or those of a service that reads the whole fleet."""

SECONDS_PER_UNIT = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
"""Units of durations in PromQL, the largest first, and their seconds."""


def span(seconds: float) -> str:
    """
    Return a duration as PromQL writes it, in whole seconds.

    >>> span(3600.0), span(5400.0)
    ('1h', '90m')
    """
    whole = max(1, round(seconds))
    unit, size = next((unit, size) for unit, size in SECONDS_PER_UNIT if whole % size == 0)
    return f"{whole // size}{unit}"


@dataclass(frozen=True, slots=True)
class PromQL:
    """
    Writes expressions of PromQL.

    Attributes:
        names: a key of `NAME_STYLES`.
        temporality: one of `TEMPORALITIES`.
        scope: one of `SCOPES`.
        selector: matchers of PromQL that all series must fulfil, such as ``namespace="prod"``; empty for none.
        keep: labels that results keep beside the model, such as ``("namespace",)``.
    """

    names: str = "underscores"
    temporality: str = "cumulative"
    scope: str = "process"
    selector: str = ""
    keep: tuple[str, ...] = ()

    @property
    def model(self) -> tuple[str, ...]:
        """The labels that tell models apart: the name, and those to keep. Versions and variants are one model."""
        return self.label(sc.ML_MODEL_NAME), *self.keep

    def label(self, attribute: str) -> str:
        """Return the label of an attribute, without quotes."""
        spelling, _ = NAME_STYLES[self.names]
        return SPELLINGS[spelling](attribute)

    def by(self, *attributes: str) -> str:
        """Return ``by (...)`` with the labels of the model and of *attributes*."""
        return f"by ({self.listed(*attributes)})"

    def listed(self, *attributes: str) -> str:
        """Return the labels of the model and of *attributes*, separated by commas."""
        return ", ".join(map(quoted, (*self.model, *map(self.label, attributes))))

    def match(self, attribute: str, operator: str, value: str) -> str:
        """Return a matcher of an attribute; *operator* is ``=``, ``!=``, ``=~`` or ``!~``."""
        return f"{quoted(self.label(attribute))}{operator}{json.dumps(value, ensure_ascii=False)}"

    def in_scope(self) -> str:
        """Return the matcher of the scope."""
        return self.match(sc.ML_WINDOW_SCOPE, "=", self.scope if self.scope == "fleet" else "")

    def series(self, metric: Metric, *matchers: str, suffix: str = "") -> str:
        """Return a selector of a metric's series. *suffix* is that of a part of a histogram, such as ``_count``."""
        name = exported_name(metric, self.names) + suffix
        inner = [*matchers, self.selector] if self.selector else [*matchers]
        if quoted(name) != name:
            return "{" + ", ".join([quoted(name), *inner]) + "}"
        return name + ("{" + ", ".join(inner) + "}" if inner else "")

    def increase(self, series: str, window: float | str) -> str:
        """
        Return the growth of each of a counter's series.

        Args:
            series: a selector.
            window: the last seconds, or a duration as PromQL writes it, such as a variable of Grafana.
        """
        function = "increase" if self.temporality == "cumulative" else "sum_over_time"
        return f"{function}({series}[{_duration(window)}])"

    def any_increase(self, series: str, window: float | str) -> str:
        """
        Return the growth of each of a rare counter's series, first values included.

        A cumulative counter of errors does not exist before the first error, and `increase` ignores the value that a
        series begins with. The first error would not count.

        Args:
            series: a selector.
            window: as for `increase`.
        """
        grown, time = self.increase(series, window), _duration(window)
        if self.temporality == "delta":
            return grown
        last, before = (f"last_over_time({series}[{time}]{offset})" for offset in ("", f" offset {time}"))
        return f"({grown} > 0 or ({last} unless {before}))"


def _duration(window: float | str) -> str:
    return window if isinstance(window, str) else span(window)
