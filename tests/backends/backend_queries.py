"""The same four questions in the language of each backend, for docs/backends.md."""

from __future__ import annotations

from dataclasses import dataclass

QUESTIONS = ("Which features drift now?", "The PSI of one feature", "Predictions per second", "An alert")


@dataclass(frozen=True, slots=True)
class Queries:
    """
    The questions in one language.

    Attributes:
        language: its name.
        block: the name of it for a block of Markdown.
        texts: one for each of `QUESTIONS`.
        run: what the tests run them on; empty if they are not run.
        note: what to know before.
    """

    language: str
    block: str
    texts: tuple[str, str, str, str]
    run: str = ""
    note: str = ""


def promql(alert: str, *, run: str = "", note: str = "") -> Queries:
    """PromQL with the names of Prometheus."""
    return Queries(
        "PromQL",
        "promql",
        (
            'ml_feature_drift_status{ml_feature_drift_state="drifting"} == 1',
            'ml_feature_drift_score{ml_drift_distance="psi", ml_feature_name="amount"}',
            "sum by (ml_model_name, ml_model_version) (rate(ml_predictions_served_total[5m]))",
            alert,
        ),
        run,
        note,
    )


def dotted(alert: str, *, note: str = "") -> Queries:
    """PromQL with the names of OpenTelemetry, which are quoted."""
    return Queries(
        "PromQL",
        "promql",
        (
            '{"ml.feature.drift.status", "ml.feature.drift.state"="drifting"} == 1',
            '{"ml.feature.drift.score", "ml.drift.distance"="psi", "ml.feature.name"="amount"}',
            'sum by ("ml.model.name", "ml.model.version") (rate({"ml.predictions.served"}[5m]))',
            alert,
        ),
        "Prometheus, without translation of names",
        note,
    )


_RULE = 'count by (ml_model_name) (ml_feature_drift_status{ml_feature_drift_state="drifting"} == 1) > 0'
_DOTTED_RULE = 'count by ("ml.model.name") ({"ml.feature.drift.status", "ml.feature.drift.state"="drifting"} == 1) > 0'
_RULES = "`driftline rules` writes this alert and others. "
_RULES_DOTTED = "`driftline rules --names utf8` writes this alert and others. "

_CLICKHOUSE = Queries(
    "SQL of ClickHouse",
    "sql",
    (
        """
SELECT Attributes['ml.feature.name'] AS feature
FROM otel_metrics_sum
WHERE MetricName = 'ml.feature.drift.status' AND TimeUnix > now() - INTERVAL 5 MINUTE
  AND Attributes['ml.feature.drift.state'] = 'drifting'
GROUP BY ResourceAttributes['service.instance.id'] AS instance, Attributes['ml.model.version'] AS version, feature
HAVING argMax(Value, TimeUnix) = 1
ORDER BY feature
""",
        """
SELECT TimeUnix, Value
FROM otel_metrics_gauge
WHERE MetricName = 'ml.feature.drift.score' AND Attributes['ml.feature.name'] = 'amount'
  AND Attributes['ml.drift.distance'] = 'psi'
ORDER BY TimeUnix DESC
LIMIT 1
""",
        """
SELECT model, version, sum(increase) / 300 AS per_second
FROM (
  SELECT Attributes['ml.model.name'] AS model, Attributes['ml.model.version'] AS version,
    if(any(AggregationTemporality) = 1, sum(Value), max(Value) - min(Value)) AS increase
  FROM otel_metrics_sum
  WHERE MetricName = 'ml.predictions.served' AND TimeUnix > now() - INTERVAL 5 MINUTE
  GROUP BY model, version, ResourceAttributes['service.instance.id'], Attributes['error.type']
)
GROUP BY model, version
""",
        """
SELECT model, groupArray(feature) AS features
FROM (
  SELECT Attributes['ml.model.name'] AS model, Attributes['ml.feature.name'] AS feature
  FROM otel_metrics_sum
  WHERE MetricName = 'ml.feature.drift.status' AND TimeUnix > now() - INTERVAL 5 MINUTE
    AND Attributes['ml.feature.drift.state'] = 'drifting'
  GROUP BY model, feature, ResourceAttributes['service.instance.id'], Attributes['ml.model.version']
  HAVING argMax(Value, TimeUnix) = 1
)
GROUP BY model
""",
    ),
    "chDB, on what the exporter would write",
    "An alert is a query that returns rows, run by Grafana or another scheduler.",
)

QUERIES: dict[str, Queries] = {
    "prometheus": promql(_RULE, run="Prometheus", note=_RULES),
    "mimir": promql(_RULE, run="Prometheus", note=_RULES),
    "grafana-cloud": promql(_RULE, run="Prometheus", note=_RULES),
    "victoriametrics": promql(_RULE, run="VictoriaMetrics, with `-opentelemetry.usePrometheusNaming`", note=_RULES),
    "amp": promql(_RULE, run="Prometheus", note=_RULES),
    "chronosphere": promql(_RULE, run="Prometheus", note=_RULES),
    "google-cloud": dotted(_DOTTED_RULE, note=_RULES_DOTTED),
    "cloudwatch": dotted(_DOTTED_RULE, note=_RULES_DOTTED),
    "azure-monitor": dotted(
        _DOTTED_RULE,
        note=_RULES_DOTTED + "Metrics are asked in PromQL; KQL asks the events, which are in Log Analytics. ",
    ),
    "datadog": Queries(
        "queries of Datadog",
        "text",
        (
            "max:ml.feature.drift.status{ml.feature.drift.state:drifting} by {ml.model.name,ml.feature.name}",
            "max:ml.feature.drift.score{ml.drift.distance:psi,ml.feature.name:amount} by {ml.model.name}",
            "sum:ml.predictions.served{*} by {ml.model.name,ml.model.version}.as_rate()",
            "max(last_5m):max:ml.feature.drift.status{ml.feature.drift.state:drifting} by {ml.model.name} > 0",
        ),
        note="The alert is the query of a metric monitor.",
    ),
    "dynatrace": Queries(
        "DQL",
        "text",
        (
            """
timeseries status = max(ml.feature.drift.status), by: {ml.model.name, ml.feature.name},
  filter: {ml.feature.drift.state == "drifting"}
| filter arrayLast(status) == 1
""",
            """
timeseries psi = max(ml.feature.drift.score), by: {ml.model.name},
  filter: {ml.drift.distance == "psi" and ml.feature.name == "amount"}
""",
            "timeseries served = sum(ml.predictions.served, rate: 1s), by: {ml.model.name, ml.model.version}",
            """
timeseries status = max(ml.feature.drift.status), by: {ml.model.name},
  filter: {ml.feature.drift.state == "drifting"}
""",
        ),
        note="The alert is the query of a custom anomaly detector with the static threshold 0.5. ",
    ),
    "newrelic": Queries(
        "NRQL",
        "sql",
        (
            """
SELECT latest(ml.feature.drift.status) FROM Metric WHERE ml.feature.drift.state = 'drifting'
FACET ml.model.name, ml.feature.name SINCE 5 minutes ago
""",
            """
SELECT latest(ml.feature.drift.score) FROM Metric WHERE ml.drift.distance = 'psi' AND ml.feature.name = 'amount'
TIMESERIES
""",
            """
SELECT rate(sum(ml.predictions.served), 1 second) FROM Metric FACET ml.model.name, ml.model.version
TIMESERIES
""",
            """
SELECT max(ml.feature.drift.status) FROM Metric WHERE ml.feature.drift.state = 'drifting' FACET ml.model.name
""",
        ),
        note="The alert is the query of a NRQL condition, with the static threshold 0.",
    ),
    "honeycomb": Queries(
        "queries of Honeycomb",
        "text",
        (
            "VISUALIZE MAX(ml.feature.drift.status) WHERE ml.feature.drift.state = drifting GROUP BY ml.feature.name",
            "VISUALIZE MAX(ml.feature.drift.score) WHERE ml.drift.distance = psi AND ml.feature.name = amount",
            "VISUALIZE SUM(RATE(ml.predictions.served)) GROUP BY ml.model.name, ml.model.version",
            "a trigger on the first query: MAX(ml.feature.drift.status) > 0",
        ),
    ),
    "splunk": Queries(
        "SignalFlow",
        "text",
        (
            """
data('ml.feature.drift.status', filter=filter('ml.feature.drift.state', 'drifting'))
  .max(by=['ml.model.name', 'ml.feature.name']).publish('drifting')
""",
            """
data('ml.feature.drift.score', filter=filter('ml.drift.distance', 'psi') and filter('ml.feature.name', 'amount'))
  .max(by=['ml.model.name']).publish('psi')
""",
            """
data('ml.predictions.served', rollup='rate').sum(by=['ml.model.name', 'ml.model.version']).publish('served')
""",
            """
states = data('ml.feature.drift.status', filter=filter('ml.feature.drift.state', 'drifting'))
drifting = states.max(by=['ml.model.name'])
detect(when(drifting > 0)).publish('Features drift')
""",
        ),
    ),
    "elastic": Queries(
        "ES|QL",
        "text",
        (
            """
FROM metrics-generic.otel-default
| WHERE @timestamp > NOW() - 5 minutes AND attributes.ml.feature.drift.state == "drifting"
| STATS status = MAX(metrics.ml.feature.drift.status) BY attributes.ml.model.name, attributes.ml.feature.name
| WHERE status == 1
""",
            """
FROM metrics-generic.otel-default
| WHERE attributes.ml.drift.distance == "psi" AND attributes.ml.feature.name == "amount"
| STATS psi = MAX(metrics.ml.feature.drift.score) BY minute = BUCKET(@timestamp, 1 minute)
""",
            """
FROM metrics-generic.otel-default
| WHERE @timestamp > NOW() - 5 minutes
| STATS per_second = SUM(metrics.ml.predictions.served) / 300.0 BY attributes.ml.model.name, attributes.ml.model.version
""",
            """
FROM metrics-generic.otel-default
| WHERE attributes.ml.feature.drift.state == "drifting"
| STATS features = SUM(metrics.ml.feature.drift.status) BY attributes.ml.model.name
| WHERE features > 0
""",
        ),
        note="The sum of the third query is right for deltas. The alert is the query of a rule of the kind ES|QL.",
    ),
    "signoz": promql(_RULE, run="Prometheus", note="SigNoz has a query builder too. Names with dots are quoted there."),
    "clickhouse": _CLICKHOUSE,
}
