"""Backends that a team runs itself: Prometheus and its relatives, ClickHouse, a file, and the next collector."""

from __future__ import annotations

from driftline.fleet._collector.backend import CUMULATIVE, DELTA, SIGNALS, Backend, Component, Variable

__all__ = ["SERVERS"]

PROMETHEUS = Backend(
    name="prometheus",
    title="Prometheus 3, through its OTLP receiver",
    endpoint=Variable("DRIFTLINE_PROMETHEUS", "the Prometheus server", "http://127.0.0.1:9090"),
    exporter=Component(
        "otlp_http/prometheus",
        """
        # The exporter adds /v1/metrics to this.
        endpoint: ${env:DRIFTLINE_PROMETHEUS:-http://127.0.0.1:9090}/api/v1/otlp
        """,
    ),
    notes="""
        prometheus --config.file=collector-config/prometheus-server.yaml --web.enable-otlp-receiver

        In Prometheus dots become underscores, counters end in _total, and ml.prediction.duration in _seconds.
        Prometheus requires cumulative counters, the default of the SDK: it refuses deltas.
    """,
)

MIMIR = Backend(
    name="mimir",
    title="Grafana Mimir",
    endpoint=Variable("MIMIR_ENDPOINT", "the distributor or gateway of Mimir", "http://127.0.0.1:9009"),
    variables=(Variable("MIMIR_TENANT", "the tenant", "anonymous"),),
    exporter=Component(
        "otlp_http/mimir",
        """
        # The exporter adds /v1/metrics to this.
        endpoint: ${env:MIMIR_ENDPOINT:-http://127.0.0.1:9009}/otlp
        headers:
          X-Scope-OrgID: ${env:MIMIR_TENANT:-anonymous}
        """,
    ),
    notes="""
        Names are those of Prometheus. Mimir requires cumulative counters, as Prometheus does.
    """,
)

VICTORIAMETRICS = Backend(
    name="victoriametrics",
    title="VictoriaMetrics, through its OTLP receiver",
    endpoint=Variable("VICTORIAMETRICS_ENDPOINT", "the server, or vminsert", "http://127.0.0.1:8428"),
    temporalities=(CUMULATIVE, DELTA),
    exporter=Component(
        "otlp_http/victoriametrics",
        """
        # The exporter adds /v1/metrics to this.
        endpoint: ${env:VICTORIAMETRICS_ENDPOINT:-http://127.0.0.1:8428}/opentelemetry
        """,
    ),
    notes="""
        Start the server with -opentelemetry.usePrometheusNaming for the names that Prometheus has. It stores
        counters as they are sent, so that deltas need sum_over_time() in place of increase().
    """,
)

CLICKHOUSE = Backend(
    name="clickhouse",
    title="ClickHouse",
    endpoint=Variable("CLICKHOUSE_ENDPOINT", "the server", "tcp://127.0.0.1:9000"),
    variables=(
        Variable("CLICKHOUSE_DATABASE", "the database", "default"),
        Variable("CLICKHOUSE_USER", "the user", "default"),
        Variable("CLICKHOUSE_PASSWORD", "the password", "", secret=True),
    ),
    temporalities=(CUMULATIVE, DELTA),
    signals=SIGNALS,
    exporter=Component(
        "clickhouse",
        """
        endpoint: ${env:CLICKHOUSE_ENDPOINT:-tcp://127.0.0.1:9000}
        database: ${env:CLICKHOUSE_DATABASE:-default}
        username: ${env:CLICKHOUSE_USER:-default}
        password: ${env:CLICKHOUSE_PASSWORD:-}
        # The exporter creates its tables at the start: otel_metrics_sum, otel_metrics_gauge, otel_metrics_histogram,
        # otel_logs and otel_traces. The collector does not start while the server is away; false avoids both.
        create_schema: true
        # Days that a row is kept, in hours.
        ttl: 720h
        """,
    ),
    notes="""
        The column AggregationTemporality says whether a counter is cumulative or a delta.
    """,
)

LOCAL = Backend(
    name="local",
    title="a file of JSON lines, and the output of the collector",
    endpoint=Variable("DRIFTLINE_OTLP_FILE", "output file, one OTLP request a line", "driftline-otlp.jsonl"),
    temporalities=(CUMULATIVE, DELTA),
    signals=SIGNALS,
    exporter=Component(
        "file",
        """
        path: ${env:DRIFTLINE_OTLP_FILE:-driftline-otlp.jsonl}
        flush_interval: 200ms
        """,
    ),
    queued=False,
    beside=(
        Component(
            "debug", "verbosity: normal", why="`normal` prints one line a metric; `detailed` prints every attribute."
        ),
    ),
    notes="""
        The smallest collector, to see what a service exports.
    """,
)

GATEWAY = Backend(
    name="gateway",
    title="another collector",
    endpoint=Variable("DRIFTLINE_GATEWAY", "OTLP/HTTP of the gateway", "http://127.0.0.1:14318"),
    temporalities=(CUMULATIVE, DELTA),
    signals=SIGNALS,
    exporter=Component(
        "otlp_http/gateway",
        """
        endpoint: ${env:DRIFTLINE_GATEWAY:-http://127.0.0.1:14318}
        """,
    ),
    notes="""
        An agent: it stands beside the service, on the same host or in the same pod, and keeps telemetry on disk
        while the gateway is away.
    """,
)

SERVERS = (PROMETHEUS, MIMIR, VICTORIAMETRICS, CLICKHOUSE, LOCAL, GATEWAY)
