"""Draws outcomes: accuracy expected and realised, metrics with intervals, and the reliability of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

from driftline._drawing.intervals import Interval, draw_intervals
from driftline._drawing.reliability import draw_reliability
from driftline._drawing.text import count, escape, figure, isolated, number, percent, plural
from driftline._report.values import MetricValues, OutcomeValues

__all__ = ["draw_outcomes"]

SHARES = {"accuracy", "accuracy_estimated", "precision", "recall", "f1", "error_rate", "roc_auc", "auc"}
"""Metrics that are written as percentages."""


def _write(metric: str, value: float) -> str:
    return percent(value) if metric in SHARES else number(value)


def draw_outcomes(outcomes: OutcomeValues) -> str:
    """Return the section about outcomes."""
    parts = [_accuracy(outcomes)]
    if outcomes.metrics:
        parts.append(_metrics(outcomes.metrics))
    if outcomes.reliability:
        rows = "".join(
            f'<tr><th scope="row">{percent(each.low)} to {percent(each.high)}</th><td>{count(each.rows)}</td>'
            f"<td>{figure(each.predicted, percent(each.predicted))}</td>"
            f"<td>{figure(each.actual, percent(each.actual))}</td></tr>"
            for each in outcomes.reliability
        )
        points = [(each.predicted, each.actual, each.lower, each.upper) for each in outcomes.reliability]
        parts.append(f"<div><h3>Predicted probability, and how often it came true</h3>{draw_reliability(points)}</div>")
        parts.append(
            '<div><table><thead><tr><th scope="col">Predicted</th><th scope="col">outcomes</th>'
            '<th scope="col">mean prediction</th><th scope="col">came true</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )
    results = ", ".join(f"{count(value)} {escape(name)}" for name, value in outcomes.results.items())
    lead = f'<p class="lead">Outcomes since the start: {results}.</p>' if results else ""
    return (
        f'<section aria-labelledby="outcomes"><h2 id="outcomes">Outcomes</h2>{lead}'
        f'<div class="columns">{"".join(parts)}</div></section>'
    )


def _accuracy(outcomes: OutcomeValues) -> str:
    """Return the accuracy of the reference, the expected and the realised one, side by side."""
    intervals = []
    if outcomes.reference is not None:
        intervals.append(Interval("in the reference", outcomes.reference, None, None, percent(outcomes.reference)))
    if outcomes.estimated is not None:
        each = outcomes.estimated
        intervals.append(
            Interval(
                "expected of these rows", each.value, each.lower, each.upper, _range(each), f"{count(each.rows)} rows"
            )
        )
    realised = next((each for each in outcomes.metrics if each.metric == "accuracy"), None)
    if realised is not None:
        intervals.append(
            Interval(
                "of the latest outcomes",
                realised.value,
                realised.lower,
                realised.upper,
                _range(realised),
                plural(realised.rows, "outcome"),
            )
        )
    elif outcomes.accuracy is not None:
        intervals.append(Interval("of all outcomes", outcomes.accuracy, None, None, percent(outcomes.accuracy)))
    return f"<div><h3>Accuracy</h3>{draw_intervals(intervals, unit='%')}</div>" if intervals else ""


def _range(metric: MetricValues) -> str:
    write = [_write(metric.metric, each) for each in (metric.value, metric.lower, metric.upper)]
    return f"{write[0]} ({write[1]} to {write[2]})"


def _metrics(metrics: Sequence[MetricValues]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(each.metric.replace("_", " "))}'
        f"{'' if each.label is None else f' of {isolated(each.label, 30)}'}</th>"
        f"<td>{figure(each.value, _write(each.metric, each.value))}</td>"
        f"<td>{figure(each.lower, _write(each.metric, each.lower))} to "
        f"{figure(each.upper, _write(each.metric, each.upper))}</td><td>{count(each.rows)}</td></tr>"
        for each in metrics
    )
    return (
        '<div><table><thead><tr><th scope="col">Metric of the latest outcomes</th><th scope="col">value</th>'
        '<th scope="col">95% interval</th><th scope="col">outcomes</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
