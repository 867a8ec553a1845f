"""What each metric becomes in each backend, and what it costs by, for docs/backends.md."""

from __future__ import annotations

from vendor import Fact

ROWS = ("counters", "up-down counters", "gauges", "histogram", "names", "labels", "costs by")
"""The rows of a table, in order."""

_TRANSLATED = "tests/end_to_end/test_names.py"
"""The test that sends each metric to a real Prometheus, and to VictoriaMetrics."""

_OTLP = "https://prometheus.io/docs/guides/opentelemetry/"
_PROMETHEUS = {
    "counters": Fact("counter, `ml_predictions_served_total`", _TRANSLATED),
    "up-down counters": Fact("gauge, `ml_feature_drift_status`", _TRANSLATED),
    "gauges": Fact("gauge, `ml_feature_drift_score`", _TRANSLATED),
    "histogram": Fact("`ml_prediction_duration_seconds_bucket`, `_sum` and `_count`", _TRANSLATED),
    "names": Fact("dots become underscores, counters get `_total`, seconds `_seconds`", _TRANSLATED),
    "labels": Fact(
        "attributes of the point, `job` from service.name, `instance` from service.instance.id; the other attributes "
        "of the resource are in `target_info`",
        _OTLP,
    ),
}
_GRAFANA = "https://grafana.com/docs/grafana-cloud/send-data/otlp/otlp-format-considerations/"
_DOTTED = {
    "counters": Fact('`{"ml.predictions.served"}`', ""),
    "up-down counters": Fact('`{"ml.feature.drift.status"}`', ""),
    "gauges": Fact('`{"ml.feature.drift.score"}`', ""),
    "histogram": Fact('`{"ml.prediction.duration"}`', ""),
}
_GOOGLE = "https://docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview"
_GOOGLE_MAP = "https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics"
_CLOUDWATCH = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-PromQL-Querying.html"
_CLOUDWATCH_PRICE = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/metrics-otel-overview.html"
_AZURE = "https://learn.microsoft.com/en-us/azure/azure-monitor/metrics/prometheus-opentelemetry-best-practices"
_CHRONOSPHERE = "https://docs.chronosphere.io/control/shaping/types"
_CHRONOSPHERE_OTEL = "https://docs.chronosphere.io/ingest/metrics-traces/otel/otel-config"
_DATADOG = "https://docs.datadoghq.com/metrics/open_telemetry/otlp_metric_types/"
_DATADOG_INTAKE = "https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/metrics/"
_DYNATRACE = (
    "https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api/ingest-otlp-metrics/about-metrics-ingest"
)
_NEWRELIC = "https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-best-practices-metrics/"
_NEWRELIC_OTLP = "https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/"
_HONEYCOMB = "https://docs.honeycomb.io/investigate/query/apply-temporal-aggregation"
_SPLUNK = "https://docs.splunk.com/observability/en/metrics-and-metadata/histograms-gdi.html"
_SPLUNK_LIMITS = "https://docs.splunk.com/observability/en/admin/references/system-limits/sys-limits-infra.html"
_ELASTIC = "https://www.elastic.co/docs/reference/opentelemetry/motlp"
_ELASTIC_LIMITS = "https://www.elastic.co/docs/reference/opentelemetry/compatibility/limitations"
_CLICKHOUSE = "https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/clickhouseexporter"

FACTS: dict[str, dict[str, Fact]] = {
    "prometheus": {**_PROMETHEUS, "costs by": Fact("memory and disk of the server, by active series", "")},
    "mimir": {**_PROMETHEUS, "costs by": Fact("memory and disk of the servers, by active series", "")},
    "grafana-cloud": {
        **_PROMETHEUS,
        "names": Fact("dots and dashes become underscores, as for Prometheus", _GRAFANA),
        "labels": Fact("as for Prometheus: `job`, `instance`, and `target_info` for the rest", _GRAFANA),
        "costs by": Fact("active series; native histograms have another price", _GRAFANA),
    },
    "victoriametrics": {
        **_PROMETHEUS,
        "names": Fact(
            "as they are, with dots; with the flag `-opentelemetry.usePrometheusNaming` those of Prometheus",
            _TRANSLATED,
        ),
        "costs by": Fact("memory and disk of the server, by active series", ""),
    },
    "google-cloud": {
        **_DOTTED,
        "names": Fact("as they are, with dots; queries quote them", _GOOGLE),
        "labels": Fact("attributes of the point; `job`, `instance`, `location`, `cluster`, `namespace`", _GOOGLE_MAP),
        "costs by": Fact("samples", ""),
    },
    "cloudwatch": {
        **_DOTTED,
        "names": Fact("as they are, with dots; queries quote them", _CLOUDWATCH),
        "labels": Fact("attributes of the point as they are, those of the resource as `@resource.NAME`", _CLOUDWATCH),
        "costs by": Fact("ingested GB, not metrics", _CLOUDWATCH_PRICE),
    },
    "amp": {
        **_PROMETHEUS,
        "costs by": Fact("samples", ""),
    },
    "azure-monitor": {
        **_DOTTED,
        "names": Fact("as they are, with dots; queries quote them", _AZURE),
        "labels": Fact("attributes of the point", _AZURE),
        "costs by": Fact("samples; the parts of a histogram count as at least 10.5 of them", _AZURE),
    },
    "chronosphere": {
        **_PROMETHEUS,
        "counters": Fact("cumulative counter, or delta counter; both are queried as a counter", _CHRONOSPHERE),
        "gauges": Fact("gauge", _CHRONOSPHERE),
        "up-down counters": Fact("gauge", ""),
        "histogram": Fact("a histogram", ""),
        "names": Fact("as for Prometheus", ""),
        "labels": Fact("attributes of the point and of the resource", _CHRONOSPHERE_OTEL),
        "costs by": Fact("data points and series", ""),
    },
    "datadog": {
        "counters": Fact("COUNT, from deltas", _DATADOG),
        "up-down counters": Fact("GAUGE, from cumulative values", _DATADOG),
        "gauges": Fact("GAUGE", _DATADOG),
        "histogram": Fact("DISTRIBUTION, from deltas; percentiles are approximate", _DATADOG),
        "names": Fact("as they are, with dots", ""),
        "labels": Fact(
            "attributes of the point are tags; those of the resource with the header above", _DATADOG_INTAKE
        ),
        "costs by": Fact("custom metrics: each combination of a name and tags", ""),
    },
    "dynatrace": {
        "counters": Fact("counter, from deltas", _DYNATRACE),
        "up-down counters": Fact("gauge, from cumulative values", _DYNATRACE),
        "gauges": Fact("gauge", _DYNATRACE),
        "histogram": Fact("histogram, from deltas; of exponential ones only min, max, sum and count", _DYNATRACE),
        "names": Fact("as they are; other characters than letters, digits, `.`, `-`, `_` become `_`", _DYNATRACE),
        "labels": Fact("attributes of the point, the scope and the resource are dimensions, in this order", ""),
        "costs by": Fact("metric data points", ""),
    },
    "newrelic": {
        "counters": Fact("`count`, from deltas; `cumulativeCount` from cumulative values", _NEWRELIC),
        "up-down counters": Fact("`gauge`, from cumulative values; deltas are not supported", _NEWRELIC),
        "gauges": Fact("`gauge`", _NEWRELIC),
        "histogram": Fact("`distribution`; explicit buckets are interpolated into exponential ones", _NEWRELIC),
        "names": Fact("as they are, in `metricName`", _NEWRELIC),
        "labels": Fact("attributes of the point, the scope and the resource", _NEWRELIC),
        "costs by": Fact("ingested data, to which cumulative counters add", _NEWRELIC_OTLP),
    },
    "honeycomb": {
        "counters": Fact("sum, with the temporality that was sent", _HONEYCOMB),
        "up-down counters": Fact("sum that is not monotonic", _HONEYCOMB),
        "gauges": Fact("gauge", _HONEYCOMB),
        "histogram": Fact("histogram", _HONEYCOMB),
        "names": Fact("as they are, with dots", ""),
        "labels": Fact("attributes of the point and of the resource", ""),
        "costs by": Fact("data points or events, by the plan", ""),
    },
    "splunk": {
        "counters": Fact("counter, from deltas", ""),
        "up-down counters": Fact("gauge", ""),
        "gauges": Fact("gauge", ""),
        "histogram": Fact("histogram, with the buckets that were sent", _SPLUNK),
        "names": Fact("as they are, with dots", ""),
        "labels": Fact("attributes of the point are dimensions", ""),
        "costs by": Fact("active metric time series", _SPLUNK_LIMITS),
    },
    "elastic": {
        "counters": Fact("field `metrics.ml.predictions.served`", ""),
        "up-down counters": Fact("field `metrics.ml.feature.drift.status`", ""),
        "gauges": Fact("field `metrics.ml.feature.drift.score`", ""),
        "histogram": Fact("a histogram field, from deltas only", _ELASTIC_LIMITS),
        "names": Fact("as they are, in the data stream metrics-generic.otel-default", _ELASTIC),
        "labels": Fact("fields `attributes.NAME` and `resource.attributes.NAME`", _ELASTIC),
        "costs by": Fact("ingested and stored data", ""),
    },
    "signoz": {
        "counters": Fact("sum", ""),
        "up-down counters": Fact("sum that is not monotonic", ""),
        "gauges": Fact("gauge", ""),
        "histogram": Fact("histogram", ""),
        "names": Fact("as they are, with dots", ""),
        "labels": Fact("attributes of the point and of the resource", ""),
        "costs by": Fact("samples", ""),
    },
    "clickhouse": {
        "counters": Fact("rows of `otel_metrics_sum`, `IsMonotonic` is true", _CLICKHOUSE),
        "up-down counters": Fact("rows of `otel_metrics_sum`, `IsMonotonic` is false", _CLICKHOUSE),
        "gauges": Fact("rows of `otel_metrics_gauge`", _CLICKHOUSE),
        "histogram": Fact("rows of `otel_metrics_histogram`, with arrays of counts and bounds", _CLICKHOUSE),
        "names": Fact("as they are, in `MetricName`; events are rows of `otel_logs`", _CLICKHOUSE),
        "labels": Fact("maps `Attributes` and `ResourceAttributes`, of text", _CLICKHOUSE),
        "costs by": Fact("rows on disk: each point of each export is a row", ""),
    },
}
