"""Backends of vendors that accept OTLP with a key in a header."""

from __future__ import annotations

from driftline.fleet._collector.backend import CUMULATIVE, DELTA, SIGNALS, Backend, Component, Variable

__all__ = ["VENDORS"]

GRAFANA_CLOUD = Backend(
    name="grafana-cloud",
    title="Grafana Cloud, through its OTLP gateway",
    endpoint=Variable("GRAFANA_CLOUD_OTLP_ENDPOINT", "https://otlp-gateway-ZONE.grafana.net/otlp"),
    variables=(
        Variable("GRAFANA_CLOUD_INSTANCE_ID", "the number of the stack"),
        Variable("GRAFANA_CLOUD_API_KEY", "an access policy token that may write", secret=True),
    ),
    signals=SIGNALS,
    extensions=(
        Component(
            "basicauth/grafana_cloud",
            """
            client_auth:
              username: ${env:GRAFANA_CLOUD_INSTANCE_ID}
              password: ${env:GRAFANA_CLOUD_API_KEY}
            """,
        ),
    ),
    exporter=Component(
        "otlp_http/grafana_cloud",
        """
        endpoint: ${env:GRAFANA_CLOUD_OTLP_ENDPOINT}
        auth:
          authenticator: basicauth/grafana_cloud
        """,
    ),
    notes="""
        Names are those of Prometheus. The price is per active series: see docs/capacity.md.
    """,
)

DATADOG = Backend(
    name="datadog",
    title="Datadog, through its OTLP intake",
    endpoint=Variable("DATADOG_OTLP_ENDPOINT", "the intake of your site", "https://otlp.datadoghq.com"),
    variables=(Variable("DD_API_KEY", "an API key", secret=True),),
    temporalities=(DELTA,),
    exporter=Component(
        "otlp_http/datadog",
        """
        metrics_endpoint: ${env:DATADOG_OTLP_ENDPOINT:-https://otlp.datadoghq.com}/v1/metrics
        headers:
          dd-api-key: ${env:DD_API_KEY}
          # Datadog keeps one point for each second and set of tags. These tags tell processes apart.
          dd-otel-metric-config: '{"resource_attributes_as_tags": true}'
        """,
    ),
    processors=(
        Component(
            "filter/zeros",
            """
            error_mode: ignore
            metrics:
              datapoint:
                - metric.type == METRIC_DATA_TYPE_SUM and metric.is_monotonic == true
                  and value_int == 0 and value_double == 0.0
                - metric.type == METRIC_DATA_TYPE_HISTOGRAM and count == 0
            """,
            why="A delta of zero in the same second would replace the counts before it, as at the end of a process.",
        ),
    ),
    batch_bytes=450_000,
    notes="""
        The intake accepts deltas only, and requests of at most 500 kB.
    """,
)

DYNATRACE = Backend(
    name="dynatrace",
    title="Dynatrace, through its OTLP API",
    endpoint=Variable("DYNATRACE_ENDPOINT", "the environment, https://ID.live.dynatrace.com"),
    variables=(
        Variable(
            "DYNATRACE_API_TOKEN", "a token with metrics.ingest, logs.ingest, openTelemetryTrace.ingest", secret=True
        ),
    ),
    temporalities=(DELTA,),
    signals=SIGNALS,
    exporter=Component(
        "otlp_http/dynatrace",
        """
        endpoint: ${env:DYNATRACE_ENDPOINT}/api/v2/otlp
        headers:
          Authorization: Api-Token ${env:DYNATRACE_API_TOKEN}
        """,
    ),
    batch_bytes=3_000_000,
    notes="""
        Dynatrace refuses cumulative counters. A request has at most 4 MB and 15,000 points.
    """,
)

NEW_RELIC = Backend(
    name="newrelic",
    title="New Relic, through its OTLP endpoint",
    endpoint=Variable("NEW_RELIC_OTLP_ENDPOINT", "the endpoint of your region", "https://otlp.nr-data.net"),
    variables=(Variable("NEW_RELIC_LICENSE_KEY", "an ingest licence key", secret=True),),
    temporalities=(DELTA, CUMULATIVE),
    signals=SIGNALS,
    exporter=Component(
        "otlp_http/newrelic",
        """
        endpoint: ${env:NEW_RELIC_OTLP_ENDPOINT:-https://otlp.nr-data.net}
        headers:
          api-key: ${env:NEW_RELIC_LICENSE_KEY}
        """,
    ),
    batch_bytes=900_000,
    notes="""
        A request has at most 1 MB. In the EU the endpoint is https://otlp.eu01.nr-data.net.
    """,
)

HONEYCOMB = Backend(
    name="honeycomb",
    title="Honeycomb",
    endpoint=Variable("HONEYCOMB_ENDPOINT", "the API of your region", "https://api.honeycomb.io"),
    variables=(
        Variable("HONEYCOMB_API_KEY", "an ingest key", secret=True),
        Variable("HONEYCOMB_DATASET", "the dataset of metrics", "driftline"),
    ),
    temporalities=(CUMULATIVE, DELTA),
    signals=SIGNALS,
    exporter=Component(
        "otlp_http/honeycomb",
        """
        endpoint: ${env:HONEYCOMB_ENDPOINT:-https://api.honeycomb.io}
        headers:
          x-honeycomb-team: ${env:HONEYCOMB_API_KEY}
          # Of metrics only: events and spans have the dataset of their service.
          x-honeycomb-dataset: ${env:HONEYCOMB_DATASET:-driftline}
        """,
    ),
    notes="""
        In the EU the endpoint is https://api.eu1.honeycomb.io.
    """,
)

SPLUNK = Backend(
    name="splunk",
    title="Splunk Observability Cloud, through its OTLP endpoint",
    endpoint=Variable("SPLUNK_INGEST_URL", "the ingest address of your realm", "https://ingest.us0.signalfx.com"),
    variables=(Variable("SPLUNK_ACCESS_TOKEN", "an ingest token", secret=True),),
    temporalities=(DELTA, CUMULATIVE),
    exporter=Component(
        "otlp_http/splunk",
        """
        metrics_endpoint: ${env:SPLUNK_INGEST_URL:-https://ingest.us0.signalfx.com}/v2/datapoint/otlp
        headers:
          X-SF-Token: ${env:SPLUNK_ACCESS_TOKEN}
        """,
    ),
    notes="""
        Histograms of more than 31 buckets are dropped; those of driftline have 15.
    """,
)

ELASTIC = Backend(
    name="elastic",
    title="Elastic, through its managed OTLP endpoint",
    endpoint=Variable("ELASTIC_OTLP_ENDPOINT", "the managed OTLP endpoint"),
    variables=(Variable("ELASTIC_API_KEY", "an API key", secret=True),),
    temporalities=(DELTA,),
    signals=SIGNALS,
    exporter=Component(
        "otlp_http/elastic",
        """
        endpoint: ${env:ELASTIC_OTLP_ENDPOINT}
        headers:
          Authorization: ApiKey ${env:ELASTIC_API_KEY}
        """,
    ),
    notes="""
        Elastic drops cumulative histograms. It accepts only letters, digits, spaces, hyphens and underscores in
        service.name.
    """,
)

SIGNOZ = Backend(
    name="signoz",
    title="SigNoz Cloud",
    endpoint=Variable("SIGNOZ_ENDPOINT", "the ingestion address of your region", "https://ingest.us.signoz.cloud:443"),
    variables=(Variable("SIGNOZ_INGESTION_KEY", "an ingestion key", secret=True),),
    temporalities=(CUMULATIVE, DELTA),
    signals=SIGNALS,
    exporter=Component(
        "otlp_http/signoz",
        """
        endpoint: ${env:SIGNOZ_ENDPOINT:-https://ingest.us.signoz.cloud:443}
        headers:
          signoz-ingestion-key: ${env:SIGNOZ_INGESTION_KEY}
        """,
    ),
    notes="""
        Of a SigNoz of your own, set the address to its collector, http://HOST:4318.
    """,
)

CHRONOSPHERE = Backend(
    name="chronosphere",
    title="Chronosphere, through its OTLP endpoint",
    endpoint=Variable("CHRONOSPHERE_ENDPOINT", "the tenant, https://TENANT.chronosphere.io"),
    variables=(Variable("CHRONOSPHERE_API_TOKEN", "the token of a service account", secret=True),),
    temporalities=(CUMULATIVE, DELTA),
    exporter=Component(
        "otlp_http/chronosphere",
        """
        endpoint: ${env:CHRONOSPHERE_ENDPOINT}/data/opentelemetry
        headers:
          API-Token: ${env:CHRONOSPHERE_API_TOKEN}
        """,
    ),
    batch_bytes=1_500_000,
    notes="""
        A request is compressed, and has at most 16 MB and 10,000 points.
    """,
)

VENDORS = (
    GRAFANA_CLOUD,
    DATADOG,
    DYNATRACE,
    NEW_RELIC,
    HONEYCOMB,
    SPLUNK,
    ELASTIC,
    SIGNOZ,
    CHRONOSPHERE,
)
