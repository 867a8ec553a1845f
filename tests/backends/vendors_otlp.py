"""The rules of vendors whose models are close to OTLP's: what each documents, on a screen."""

from __future__ import annotations

from sink_rules import (
    CHANGED,
    REQUEST,
    AttributeCount,
    AttributeKey,
    AttributeValue,
    Buckets,
    ConsistentHistogram,
    ContentTypes,
    Encodings,
    FiniteValues,
    Header,
    MetricName,
    OnePointASecond,
    Refused,
    RequestPoints,
    RequestSize,
    ResourceAttribute,
)
from vendor import Fact, Vendor

KB, MB = 1_000, 1_000_000

_DATADOG = "https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/metrics/"
_DATADOG_TAGS = '{"resource_attributes_as_tags": true}'
DATADOG = Vendor(
    name="datadog",
    title="Datadog",
    host="https://otlp.SITE",
    paths={"metrics": "/v1/metrics"},
    headers={"dd-api-key": "KEY", "dd-otel-metric-config": _DATADOG_TAGS},
    sample={"SITE": "datadoghq.com", "KEY": "0123456789abcdef0123456789abcdef"},
    delta=True,
    rules=(
        Header(name="dd-api-key", words="the API key", status=403, source=_DATADOG),
        ContentTypes(allowed=("application/x-protobuf", "application/json"), source=_DATADOG),
        Refused(kind="counter", temporality="cumulative", status=400, effect=REQUEST, source=_DATADOG),
        Refused(kind="histogram", temporality="cumulative", status=400, effect=REQUEST, source=_DATADOG),
        Refused(kind="exponential", temporality="cumulative", status=400, effect=REQUEST, source=_DATADOG),
        RequestSize(most=500 * KB, of="plain", source=_DATADOG),
        RequestSize(most=5 * MB, of="compressed", source=_DATADOG),
        OnePointASecond(
            header="dd-otel-metric-config",
            switch="resource_attributes_as_tags",
            source=_DATADOG,
            effect="only the last point is kept",
        ),
    ),
    unknown=(
        Fact("Whether cumulative up-down counters pass the direct intake, which asks for delta metrics only."),
        Fact("The length of tags, 200 characters in other intakes of Datadog, is not on the page of the OTLP intake."),
    ),
)

_DYNATRACE = (
    "https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api/ingest-otlp-metrics/about-metrics-ingest"
)
_DYNATRACE_LIMITS = "https://docs.dynatrace.com/docs/ingest-from/opentelemetry/getting-started/metrics/limitations"
_DYNATRACE_API = "https://docs.dynatrace.com/docs/discover-dynatrace/references/dynatrace-api/environment-api/opentelemetry/post-metrics"
_DYNATRACE_WHY = (
    "https://community.dynatrace.com/t5/Troubleshooting/Why-are-my-OpenTelemetry-metrics-not-ingested/ta-p/269428"
)
DYNATRACE = Vendor(
    name="dynatrace",
    title="Dynatrace",
    host="https://ENVIRONMENT.live.dynatrace.com",
    paths={signal: f"/api/v2/otlp/v1/{signal}" for signal in ("metrics", "logs", "traces")},
    headers={"Authorization": "Api-Token TOKEN"},
    sample={"ENVIRONMENT": "abc12345", "TOKEN": "dt0c01.ABC.DEF"},
    delta=True,
    rules=(
        Header(
            name="Authorization",
            form=r"(Api-Token dt0c01\.\S+|Bearer \S+)",
            words="`Api-Token TOKEN` with the scope metrics.ingest, or `Bearer` with a platform token",
            source=_DYNATRACE_API,
        ),
        ContentTypes(source=_DYNATRACE_API),
        Refused(kind="counter", temporality="cumulative", source=_DYNATRACE),
        Refused(kind="histogram", temporality="cumulative", source=_DYNATRACE),
        Refused(kind="exponential", temporality="cumulative", source=_DYNATRACE),
        Refused(kind="summary", source=_DYNATRACE),
        ConsistentHistogram(source=_DYNATRACE_WHY),
        FiniteValues(source=_DYNATRACE_WHY),
        MetricName(least=2, most=255, form=r"[a-zA-Z][a-zA-Z0-9_.\-]*", source=_DYNATRACE_LIMITS, effect=CHANGED),
        AttributeCount(most=50, source=_DYNATRACE_LIMITS),
        AttributeKey(most=100, form=r"[a-z][a-z0-9_.\-]*", source=_DYNATRACE_LIMITS, effect=CHANGED),
        AttributeValue(most=255, source=_DYNATRACE_LIMITS, effect=CHANGED),
        RequestSize(most=4 * MB, source=_DYNATRACE_LIMITS),
        RequestPoints(most=15_000, source=_DYNATRACE_LIMITS),
    ),
    unknown=(Fact("Which suffixes keys get: the page says that keys may get `.count` and `.gauge`."),),
)

_NEWRELIC = "https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/"
_NEWRELIC_SUMS = "https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-best-practices-metrics/"
_NEWRELIC_LIMITS = (
    "https://docs.newrelic.com/docs/data-apis/ingest-apis/metric-api/metric-api-limits-restricted-attributes/"
)
NEWRELIC = Vendor(
    name="newrelic",
    title="New Relic",
    host="https://otlp.nr-data.net",
    paths={signal: f"/v1/{signal}" for signal in ("metrics", "logs", "traces")},
    headers={"api-key": "KEY"},
    sample={"KEY": "0123456789abcdef0123456789abcdefNRAL"},
    delta=True,
    rules=(
        Header(name="api-key", words="the license key", status=403, source=_NEWRELIC),
        Encodings(allowed=("identity", "gzip", "zstd"), source=_NEWRELIC),
        Refused(kind="updowncounter", temporality="delta", source=_NEWRELIC_SUMS),
        FiniteValues(source=_NEWRELIC_LIMITS),
        AttributeCount(most=100, with_resource=True, source=_NEWRELIC_LIMITS),
        AttributeKey(most=255, form=r"[a-zA-Z0-9:._]+", source=_NEWRELIC_LIMITS),
        AttributeValue(most=4_095, with_resource=True, source=_NEWRELIC),
        RequestSize(most=1 * MB, measured="as sent", source=_NEWRELIC),
    ),
    unknown=(
        Fact("Cumulative counters and histograms are accepted, at a higher cost in data: deltas are only recommended."),
    ),
)

_HONEYCOMB = "https://docs.honeycomb.io/send-data/metrics/application"
_HONEYCOMB_OTLP = "https://docs.honeycomb.io/send-data/opentelemetry/"
HONEYCOMB = Vendor(
    name="honeycomb",
    title="Honeycomb",
    host="https://api.honeycomb.io",
    paths={signal: f"/v1/{signal}" for signal in ("metrics", "logs", "traces")},
    headers={"x-honeycomb-team": "KEY", "x-honeycomb-dataset": "DATASET"},
    sample={"KEY": "hcaik_0123456789", "DATASET": "driftline-metrics"},
    rules=(
        Header(name="x-honeycomb-team", words="an ingest key with write permissions", source=_HONEYCOMB),
        Header(
            name="x-honeycomb-dataset",
            words="the dataset of the metrics; without it they go to `unknown_metrics`",
            status=400,
            source=_HONEYCOMB,
        ),
        ContentTypes(allowed=("application/x-protobuf", "application/json"), source=_HONEYCOMB_OTLP),
    ),
    unknown=(Fact("The largest request, and the number and length of attributes of metrics."),),
)

_SPLUNK = "https://docs.splunk.com/observability/en/metrics-and-metadata/histograms-gdi.html"
_SPLUNK_NAMES = "https://docs.splunk.com/observability/en/metrics-and-metadata/metric-names.html"
SPLUNK = Vendor(
    name="splunk",
    title="Splunk Observability Cloud",
    host="https://ingest.REALM.signalfx.com",
    paths={"metrics": "/v2/datapoint/otlp", "traces": "/v2/trace/otlp"},
    headers={"X-SF-Token": "TOKEN"},
    sample={"REALM": "us1", "TOKEN": "abcdefghijklmnopqrstuv"},
    delta=True,
    rules=(
        Header(name="X-SF-Token", words="an access token for ingest", source=_SPLUNK),
        ContentTypes(source=_SPLUNK),
        Refused(
            kind="histogram",
            temporality="cumulative",
            source=_SPLUNK,
            effect="percentiles are wrong, because the least and the most are absent: the page asks for deltas",
        ),
        Buckets(most=31, source=_SPLUNK),
        ConsistentHistogram(source=_SPLUNK),
        MetricName(most=256, source=_SPLUNK_NAMES),
        AttributeCount(most=36, source=_SPLUNK_NAMES),
        AttributeKey(
            most=128, form=r"(?!sf_|aws_|gcp_|azure_)[a-zA-Z][a-zA-Z0-9_.\-]*", source=_SPLUNK_NAMES, effect=CHANGED
        ),
        AttributeValue(most=256, source=_SPLUNK_NAMES),
    ),
    unknown=(
        Fact("The page of names lists letters, digits, `_` and `-` for dimensions, not the dots of OpenTelemetry."),
        Fact("A histogram of one call has its least value as its most; the page says that the least must be lower."),
        Fact("The largest request of `/v2/datapoint/otlp`."),
    ),
)

_ELASTIC = "https://www.elastic.co/docs/reference/opentelemetry/motlp"
_ELASTIC_LIMITS = "https://www.elastic.co/docs/reference/opentelemetry/compatibility/limitations"
_ELASTIC_GA = "https://www.elastic.co/observability-labs/blog/elastic-managed-otlp-endpoint-ga-elastic-cloud-hosted"
ELASTIC = Vendor(
    name="elastic",
    title="Elastic",
    host="https://ENDPOINT",
    paths={signal: f"/v1/{signal}" for signal in ("metrics", "logs", "traces")},
    headers={"Authorization": "ApiKey KEY"},
    sample={"ENDPOINT": "motlp.example", "KEY": "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="},
    delta=True,
    rules=(
        Header(name="Authorization", form=r"ApiKey [A-Za-z0-9+/=_\-]+", words="`ApiKey KEY`", source=_ELASTIC_GA),
        Refused(kind="histogram", temporality="cumulative", source=_ELASTIC_LIMITS),
        ResourceAttribute(
            names=("service.name",),
            form=r"[a-zA-Z0-9 _\-]+",
            source=_ELASTIC_LIMITS,
            effect="the service is not shown under that name",
        ),
    ),
    unknown=(
        Fact("What a counter of deltas becomes; the page names histograms only.", ""),
        Fact("Exemplars are discarded.", _ELASTIC_LIMITS),
        Fact("The largest request of the managed endpoint.", ""),
    ),
)

_SIGNOZ = "https://signoz.io/docs/migration/migrate-from-opentelemetry-to-signoz"
SIGNOZ = Vendor(
    name="signoz",
    title="SigNoz",
    host="https://ingest.REGION.signoz.cloud:443",
    paths={signal: f"/v1/{signal}" for signal in ("metrics", "logs", "traces")},
    headers={"signoz-ingestion-key": "KEY"},
    sample={"REGION": "us", "KEY": "0123456789abcdef"},
    rules=(Header(name="signoz-ingestion-key", words="the ingestion key", source=_SIGNOZ),),
    unknown=(Fact("Which temporalities are stored, the largest request, and limits of attributes."),),
)

VENDORS = (DATADOG, DYNATRACE, NEWRELIC, HONEYCOMB, SPLUNK, ELASTIC, SIGNOZ)
