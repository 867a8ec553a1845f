"""The alerts of a model: at most one of each kind, with the features, places or versions in its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from driftline import semconv as sc
from driftline._backends.names import quoted
from driftline.fleet._promql import PromQL, span
from driftline.fleet._rules.records import LIMITS, Records
from driftline.fleet._rules.rule import Alert
from driftline.fleet._rules.templates import MODEL, Templates

__all__ = ["ALERTS", "PREFIX", "SEVERITIES", "AlertOptions", "alerts"]

PREFIX = "Driftline"
"""The first word of each alert's name."""

SEVERITIES = ("critical", "warning", "info")
"""The severities. Only a model that fails or gets no requests is critical; drift is a warning."""

ALERTS: Mapping[str, str] = {
    "FeaturesDrifting": "warning",
    "FeaturesShifted": "warning",
    "FeaturesUndecided": "info",
    "ReferenceUnknown": "warning",
    "PerformanceLow": "warning",
    "AccuracyLow": "warning",
    "CanaryRollback": "warning",
    "PredictionsFailing": "critical",
    "PredictionsMissing": "critical",
    "StatesMissing": "warning",
    "RetrainingRequested": "info",
    "RetrainingPending": "info",
    "MonitorErrors": "warning",
    "RowsDropped": "warning",
    "TelemetryLost": "warning",
}
"""Each alert, without `PREFIX`, with its severity."""

LOOKBACK_WINDOWS = 24
"""Windows within which a model must have served for its silence to be an alert, and which an undecided state lasts."""

FIRING_WINDOWS = 2
"""Windows that an alert in `KEPT` lasts after its last result, so that one that comes and goes pages once."""

MAX_DROPPED = 0.01
"""Share of the rows that may be dropped. Below it the others are hardly a biased sample."""

MIN_ROWS = 200
"""Rows or predictions in a window below which a share says nothing. It is the monitor's default of ``min_rows``."""

EXPECTED_DROPS = "learning|shadow.*"
"""Reasons of dropped rows that are expected, as a regular expression: they are in no window by intention."""

OF_SERVICES = frozenset({"TelemetryLost"})
"""Alerts that name a service and no model."""

KEPT = frozenset({"FeaturesDrifting", "FeaturesShifted", "PerformanceLow", "CanaryRollback"})
"""Alerts about states, which may come and go. The windows of the others are smooth already."""


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """
    What alerts are made with.

    Attributes:
        seconds: the window of the rules, in seconds.
        max_failures: largest share of failed predictions.
        min_accuracy: smallest accuracy, realised and estimated; None for no such alert.
        severities: the value of the label for each of `SEVERITIES`.
        runbook_url: the address before the anchor of each alert.
        dashboard_url: a template of the address of a model's dashboard; empty for none.
    """

    seconds: float
    max_failures: float
    min_accuracy: float | None
    severities: Mapping[str, str]
    runbook_url: str
    dashboard_url: str = ""

    def alert(self, name: str, expr: str, summary: str, description: str) -> Alert:
        """Return the alert of a name in `ALERTS`."""
        return Alert(
            f"{PREFIX}{name}",
            expr,
            self.severities[ALERTS[name]],
            summary,
            description,
            f"{self.runbook_url}#{PREFIX.lower()}{name.lower()}",
            "" if name in OF_SERVICES else self.dashboard_url,
            span(FIRING_WINDOWS * self.seconds) if name in KEPT else "",
        )


def alerts(promql: PromQL, options: AlertOptions) -> list[Alert]:
    """Return the alerts that need no reference."""
    kinds = [_alerts_of_states, _alerts_of_outcomes, _alerts_of_predictions, _alerts_of_driftline]
    return [alert for kind in kinds for alert in kind(promql, options)]


def _alerts_of_states(promql: PromQL, options: AlertOptions) -> list[Alert]:
    names, templates = Records(options.seconds), Templates(promql)
    drifting = promql.match(sc.ML_FEATURE_DRIFT_STATE, "=", "drifting")
    undecided = promql.match(sc.ML_FEATURE_DRIFT_STATE, "=", "insufficient_data")
    features = promql.match(sc.ML_FEATURE_NAME, "!~", LIMITS)
    limits = promql.match(sc.ML_FEATURE_NAME, "=~", LIMITS)
    lookback = span(LOOKBACK_WINDOWS * options.seconds)
    still = f"{names.states}{{{undecided},{features}}}"
    rollback = promql.series(
        sc.METRIC_CANARY_STATUS, promql.in_scope(), promql.match(sc.ML_CANARY_STATE, "=", "rollback")
    )
    return [
        options.alert(
            "FeaturesDrifting",
            f"count {promql.by()} ({names.states}{{{drifting},{features}}} == 1)",
            "Features of a model drift.",
            f"{{{{ $value }}}} features of {templates.model} differ from the reference: "
            f"{templates.features(names.states, 'drifting', features)}.",
        ),
        options.alert(
            "FeaturesUndecided",
            f"count {promql.by()} (min_over_time({still}[{lookback}]) == 1 and {still} offset {lookback} == 1)",
            "The state of features of a model has been unknown for long.",
            f"{{{{ $value }}}} features of {templates.model} have been insufficient_data for {lookback}: "
            f"{templates.features(names.states, 'insufficient_data', features)}.",
        ),
        options.alert(
            "PerformanceLow",
            f"count {promql.by()} ({names.states}{{{drifting},{limits}}} == 1)",
            "Outcomes of a model are beyond their limits.",
            f"The outcomes of {templates.model} exceed {{{{ $value }}}} limits: "
            f"{templates.features(names.states, 'drifting', limits)}.",
        ),
        options.alert(
            "CanaryRollback",
            f"max {promql.by()} ({rollback}) == 1",
            "A candidate should be rolled back.",
            f"The verdict on a candidate of {templates.model} is rollback. Its version: "
            f"{templates.listed(_of_model(rollback) + ' == 1', sc.ML_MODEL_VERSION)}.",
        ),
    ]


def _alerts_of_outcomes(promql: PromQL, options: AlertOptions) -> list[Alert]:
    names, templates = Records(options.seconds), Templates(promql)
    lookback = span(LOOKBACK_WINDOWS * options.seconds)
    # A request to fix the pipeline must not start a training. Releases before 1.1 know no other kind.
    waiting = promql.match(sc.ML_RETRAINING_STATE, "=~", "requested|pending")
    of_kind = promql.match(sc.ML_RETRAINING_KIND, "!=", "fix_pipeline")
    requested = promql.series(sc.METRIC_RETRAINING_QUEUE_SIZE, waiting, of_kind)
    outcome_alerts = [
        options.alert(
            "RetrainingRequested",
            f"max {promql.by()} ({requested}) > 0",
            "Retraining of a model is requested.",
            f"Retraining of {templates.model} is requested, and not acknowledged yet.",
        ),
        options.alert(
            "RetrainingPending",
            f"min_over_time({names.pending}[{lookback}]) > 0 and {names.pending} offset {lookback} > 0",
            "Requests for retraining of a model are not acknowledged.",
            f"{{{{ $value }}}} requests for retraining of {templates.model} have been pending for {lookback}.",
        ),
    ]
    if options.min_accuracy is not None:
        estimated = promql.series(sc.METRIC_MODEL_ACCURACY_ESTIMATED)
        least = f"{options.min_accuracy:g}"
        realised = f"({names.accuracy} and {names.known} >= {MIN_ROWS})"
        outcome_alerts.append(
            options.alert(
                "AccuracyLow",
                f"({realised} < {least}) or (avg {promql.by()} ({estimated}) < {least})",
                "The accuracy of a model is low.",
                f"The accuracy of {templates.model}, realised or estimated, is {{{{ $value | humanizePercentage }}}}.",
            )
        )
    return outcome_alerts


def _alerts_of_predictions(promql: PromQL, options: AlertOptions) -> list[Alert]:
    names, templates = Records(options.seconds), Templates(promql)
    window, lookback = span(options.seconds), span(LOOKBACK_WINDOWS * options.seconds)
    states = f"{names.states}{{{promql.match(sc.ML_FEATURE_NAME, '!~', LIMITS)}}}"
    return [
        options.alert(
            "PredictionsFailing",
            f"({names.failed} / ({names.served} >= {MIN_ROWS})) > {options.max_failures:g}",
            "Predictions of a model fail.",
            f"{{{{ $value | humanizePercentage }}}} of the predictions of {templates.model} in {window} failed.",
        ),
        options.alert(
            "PredictionsMissing",
            f"(max_over_time({names.served}[{lookback}]) > 0) unless {names.served} > 0",
            "A model makes no predictions any more.",
            f"{templates.model} made predictions in the last {lookback}, and none in the last {window}.",
        ),
        options.alert(
            "StatesMissing",
            f"({names.served} > 0) unless on ({promql.listed()}) last_over_time({states}[{window}])",
            "A model makes predictions, and their drift is not evaluated.",
            f"{templates.model} made {{{{ $value | humanize }}}} predictions in {window}, and exported no state "
            "of a feature.",
        ),
    ]


def _alerts_of_driftline(promql: PromQL, options: AlertOptions) -> list[Alert]:
    names, templates = Records(options.seconds), Templates(promql)
    window = span(options.seconds)
    errors = promql.any_increase(promql.series(sc.METRIC_MONITOR_ERRORS), options.seconds)
    of_model = promql.any_increase(_of_model(promql.series(sc.METRIC_MONITOR_ERRORS)), options.seconds)
    place_label = quoted(promql.label(sc.ML_MONITOR_PLACE))
    unexpected = promql.match(sc.ML_MONITOR_REASON, "!~", EXPECTED_DROPS)
    dropped = promql.any_increase(promql.series(sc.METRIC_MONITOR_ROWS_DROPPED, unexpected), options.seconds)
    lost = promql.any_increase(promql.series(sc.METRIC_MONITOR_TELEMETRY_LOST), options.seconds)
    kept = ", ".join(map(quoted, (*promql.keep, "job", promql.label(sc.ML_MONITOR_SIGNAL))))
    return [
        options.alert(
            "MonitorErrors",
            f"sum {promql.by()} ({errors}) > 0",
            "driftline counts errors in itself or in its inputs.",
            f"{{{{ $value | humanize }}}} errors of driftline at {templates.model} in {window}. Places: "
            f"{templates.listed(f'sum by ({place_label}) ({of_model}) > 0', sc.ML_MONITOR_PLACE)}.",
        ),
        options.alert(
            "RowsDropped",
            f"sum {promql.by()} ({dropped}) / ({names.served} > 0) > {MAX_DROPPED:g}",
            "Rows of a model are in no window.",
            f"driftline dropped {{{{ $value | humanizePercentage }}}} of the rows of {templates.model} in {window}.",
        ),
        options.alert(
            "TelemetryLost",
            f"sum by ({kept}) ({lost}) > 0",
            "Telemetry of a service was lost.",
            f"{{{{ $labels.job }}}} lost {{{{ $value | humanize }}}} items of "
            f"{templates.label(sc.ML_MONITOR_SIGNAL)} in {window}.",
        ),
    ]


def _of_model(series: str) -> str:
    """Return a selector with `MODEL` for further matchers."""
    return f"{series[:-1]},{MODEL}}}" if series.endswith("}") else f"{series}{{{MODEL}}}"
