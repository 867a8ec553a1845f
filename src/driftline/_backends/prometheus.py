"""`PrometheusSource`: counts in Prometheus, or in a store with its API, such as Thanos, Mimir or VictoriaMetrics."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from driftline._backends.access import Access, redacted
from driftline._backends.counts import Grid, Match, Sample
from driftline._backends.http import MAX_ERROR_BYTES, MAX_SHOWN, TIMEOUT, fetch
from driftline._backends.names import SPELLINGS, metric_pattern, quoted
from driftline.errors import ConfigurationError
from driftline.semconv import Metric
from driftline.typing import Floats

__all__ = ["IncompleteError", "PrometheusSource", "Temporality", "check_selector", "query"]

Temporality: TypeAlias = Literal["cumulative", "delta"]

_STRING = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
_MATCHER = rf"(?:[a-zA-Z_][a-zA-Z0-9_]*|{_STRING})\s*(?:=~|!~|!=|=)\s*(?:{_STRING})"
_SELECTOR = re.compile(rf"\s*{_MATCHER}(?:\s*,\s*{_MATCHER})*\s*,?\s*")

MIN_SECONDS = 0.05
"""Seconds that a request gets at least, so that a deadline that is over is an error of the request."""


class IncompleteError(OSError):
    """
    The server says that its response is incomplete.

    Attributes:
        document: the response.
        samples: the samples in it, if it is one of `PrometheusSource.latest`.
    """

    def __init__(self, message: str, document: Any) -> None:
        super().__init__(message)
        self.document = document
        self.samples: Sequence[Sample] = ()


@dataclass(frozen=True, slots=True)
class PrometheusSource:
    """
    A `CountSource` of a server with the HTTP API of Prometheus.

    Attributes:
        url: the URL of the server, without ``/api/v1``.
        selector: matchers of PromQL that all series must fulfil, such as ``namespace="prod"``; empty for none.
        deadline: seconds of the monotonic clock by which all responses must be there.
        timeout: seconds that one response may take.
        access: credentials and certificates.
        temporality: what a sample of a counter is: the count since the start of its process, or ``"delta"``, the count
            since the sample before. With ``"delta"``, histories of counters begin with 0 at the first point.
    """

    url: str
    selector: str = ""
    deadline: float = math.inf
    timeout: float = TIMEOUT
    access: Access = field(default_factory=Access)
    temporality: Temporality = "cumulative"

    def latest(self, metric: Metric, match: Match, *, at: float, within: float) -> Sequence[Sample]:
        """Return the last value of each series, in any spelling of its name; see `CountSource`."""
        usual, *others = SPELLINGS
        span = _span(within)
        selector = _selector(metric_pattern(metric, usual), match, usual, self.selector)
        # Servers before Prometheus 3 cannot parse labels with dots, so those series are selected here, not there.
        other = _selector(metric_pattern(metric, *others), {}, usual, self.selector)
        text = f"last_over_time({selector}[{span}]) or last_over_time({other}[{span}])"
        try:
            document = self._ask("query", {"query": text, "time": _timestamp(at)})
        except IncompleteError as error:
            error.samples = _samples(error.document, metric, match, self.access)
            raise
        return _samples(document, metric, match, self.access)

    def history(
        self, metric: Metric, match: Match, *, unit: str, by: Sequence[str], grid: Grid, within: float, dialect: str
    ) -> Mapping[tuple[str, ...], Floats]:
        """Return sums over processes at points of time; see `CountSource`."""
        spell = SPELLINGS[dialect]
        labels = [spell(name) for name in by]
        kept = ", ".join(map(quoted, labels))
        # Copies of a series differ in labels of the backend alone.
        each = ", ".join(quoted(spell(name)) for name in sorted({unit, *metric.attributes}))
        selector = _selector(metric_pattern(metric, dialect), match, dialect, self.selector)
        delta = self.temporality == "delta" and metric.instrument == "counter"
        # Ranges are open at their start, so that the ranges of neighbouring points have no sample in common.
        samples = (
            f"sum_over_time({selector}[{_span(grid.step)}])"
            if delta
            else f"last_over_time({selector}[{_span(within)}])"
        )
        text = f"sum by ({kept}) (max by ({each}) ({samples}))"
        parameters = {
            "query": text,
            "start": _timestamp(grid.start),
            "end": _timestamp(grid.end),
            "step": f"{grid.step:.3f}",
            "nocache": "1",  # VictoriaMetrics moves the points to multiples of the step otherwise
        }
        document = self._ask("query_range", parameters)
        sums: dict[tuple[str, ...], Floats] = {}
        for entry in _series(document, "matrix", self.access):
            values = np.full(grid.points, np.nan)
            for seconds, value in entry["values"]:
                index = round((float(seconds) - grid.start) / grid.step)
                if 0 <= index < grid.points:
                    values[index] = float(value)
                if metric.instrument == "counter" and math.isnan(float(value)):
                    # The sum of all processes is none if one has exported none. It would pass as no rows of any.
                    msg = f"expected counts of {metric.name}, not NaN"
                    raise ValueError(msg)
            if delta:
                values[0] = 0.0  # these samples are from before the first point
                values = np.cumsum(np.nan_to_num(values))
            sums[tuple(str(entry["metric"].get(label, "")) for label in labels)] = values
        return sums

    def _ask(self, endpoint: str, parameters: Mapping[str, str]) -> Any:
        seconds = min(self.timeout, max(MIN_SECONDS, self.deadline - time.monotonic()))
        return query(f"{self.url}/api/v1/{endpoint}", parameters, seconds, self.access)


def check_selector(argument: str, selector: str) -> str:
    """
    Return matchers of PromQL without braces.

    Args:
        argument: the name of the argument, for a message.
        selector: the matchers, such as ``namespace="prod", cluster=~"eu-.*"``, with or without braces.

    Raises:
        ConfigurationError: they are no matchers.
    """
    text = selector.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    if text and not _SELECTOR.fullmatch(text):
        msg = f"{argument} {selector}: expected matchers of PromQL, such as 'namespace=\"prod\"'"
        raise ConfigurationError(msg)
    return text.rstrip(",").rstrip()


def query(url: str, parameters: Mapping[str, str], seconds: float, access: Access | None = None) -> Any:
    """
    Return the document with which Prometheus answers a successful query.

    Raises:
        OSError: the server cannot be reached, its response is cut off, late, or known to be incomplete.
        ValueError: the response is not one of Prometheus.
    """
    access = access or Access()
    body = fetch(url, parameters, seconds, access)
    try:
        document = json.loads(body)
        if document["status"] != "success" or not isinstance(document["data"]["result"], list):
            raise ValueError  # noqa: TRY301 - the response may be anything
    except Exception as error:
        shown = redacted(body[:MAX_ERROR_BYTES].decode("utf-8", "backslashreplace"), access)[:MAX_SHOWN]
        msg = f"{url}: expected a response of Prometheus, not {shown}"
        raise ValueError(msg) from error
    # Thanos and Mimir warn of stores that did not respond, and VictoriaMetrics says that a response is partial.
    if document.get("warnings") or document.get("isPartial"):
        warnings = redacted(str(document.get("warnings") or "isPartial"), access)[:MAX_SHOWN]
        msg = f"{url}: the response is incomplete: {warnings}"
        raise IncompleteError(msg, document)
    return document


def _series(document: Any, kind: str, access: Access) -> list[Any]:
    """
    Return the series of a response. The secrets of *access* are in no message.

    Raises:
        ValueError: it has another type, or is damaged.
    """
    data = document["data"]
    try:
        if data.get("resultType", kind) != kind:
            raise TypeError  # noqa: TRY301 - as below
        for entry in data["result"]:
            if not all(isinstance(value, str) for value in entry["metric"].values()):
                raise TypeError  # noqa: TRY301 - as below
            for seconds, value in entry["values"] if kind == "matrix" else [entry["value"]]:
                if not math.isfinite(float(seconds)) or not isinstance(value, str):
                    raise TypeError  # noqa: TRY301 - as below
                float(value)
    except Exception as error:
        msg = f"expected a {kind} of Prometheus, not {redacted(str(data), access)[:MAX_SHOWN]}"
        raise ValueError(msg) from error
    series: list[Any] = data["result"]
    return series


def _samples(document: Any, metric: Metric, match: Match, access: Access) -> list[Sample]:
    """
    Return the samples of a response, with their attributes by the usual names.

    Raises:
        ValueError: the response has another type, or a series is of another metric.
    """
    samples = []
    usual = next(iter(SPELLINGS))
    dotted = [name for name in metric.attributes if "." in name]  # others are spelled alike everywhere
    for entry in _series(document, "vector", access):
        labels = entry["metric"]
        dialect = next(
            (each for each, spell in SPELLINGS.items() if any(map(labels.__contains__, map(spell, dotted)))),
            None,
        )
        if dialect is None:
            msg = f"expected series of {metric.name}, not {redacted(str(labels), access)[:MAX_SHOWN]}"
            raise ValueError(msg)
        names = {SPELLINGS[dialect](name): name for name in metric.attributes}
        attributes = {names.get(label, label): value for label, value in labels.items()}
        # The server has selected those of the usual spelling, which need not have all labels then.
        if _matches({**_any_of(match), **attributes} if dialect == usual else attributes, match):
            samples.append(Sample(attributes, float(entry["value"][1]), dialect))
    return samples


def _any_of(match: Match) -> dict[str, str]:
    """Return attributes that are selected."""
    return {name: value if isinstance(value, str) else next(iter(value), "") for name, value in match.items()}


def _matches(attributes: Mapping[str, str], match: Match) -> bool:
    """Return whether attributes are selected. An empty one is an absent one."""
    return all(
        attributes.get(name, "") == value if isinstance(value, str) else attributes.get(name, "") in value
        for name, value in match.items()
    )


def _selector(pattern: str, match: Match, dialect: str, more: str) -> str:
    matchers = [f'__name__=~"{pattern}"']
    for name, value in match.items():
        label = quoted(SPELLINGS[dialect](name))
        if isinstance(value, str):
            matchers.append(f"{label}={json.dumps(value, ensure_ascii=False)}")
        else:
            pattern = "|".join(re.escape(each) for each in sorted(value))
            matchers.append(f"{label}=~{json.dumps(pattern, ensure_ascii=False)}")
    if more:
        matchers.append(more)
    return "{" + ",".join(matchers) + "}"


def _span(seconds: float) -> str:
    milliseconds = max(1, math.ceil(seconds * 1_000.0 - 1e-3))
    return f"{milliseconds}ms" if milliseconds % 1_000 else f"{milliseconds // 1_000}s"


def _timestamp(seconds: float) -> str:
    return f"{seconds:.3f}"
