"""The rules of backends that are asked in PromQL, and of ClickHouse: what each documents, on a screen."""

from __future__ import annotations

from sink_rules import (
    REQUEST,
    AttributeCount,
    AttributeKey,
    AttributeValue,
    ContentTypes,
    Encodings,
    Header,
    MetricName,
    Refused,
    RequestPoints,
    RequestSize,
    ResourceAttribute,
)
from vendor import Fact, Vendor

MB = 1_000_000

_PROMETHEUS = "https://prometheus.io/docs/guides/opentelemetry/"
_DELTAS = tuple(
    # As a real server does: tests/end_to_end/test_backend_queries.py
    Refused(kind=kind, temporality="delta", source=_PROMETHEUS, status=500, effect=REQUEST)
    for kind in ("counter", "updowncounter", "histogram")
)
PROMETHEUS = Vendor(
    name="prometheus",
    title="Prometheus",
    host="http://SERVER:9090",
    paths={"metrics": "/api/v1/otlp/v1/metrics"},
    sample={"SERVER": "prometheus"},
    rules=_DELTAS,
)

_MIMIR = "https://grafana.com/docs/mimir/latest/configure/configuration-parameters/"
_MIMIR_OTLP = "https://grafana.com/docs/mimir/latest/configure/configure-otel-collector/"
_MIMIR_LABELS = (
    AttributeCount(most=28, source=_MIMIR),  # 30 labels, of which job and instance are two
    AttributeKey(most=1_024, source=_MIMIR),
    AttributeValue(most=2_048, source=_MIMIR),
)
MIMIR = Vendor(
    name="mimir",
    title="Grafana Mimir",
    host="http://MIMIR",
    paths={"metrics": "/otlp/v1/metrics"},
    headers={"X-Scope-OrgID": "TENANT"},
    sample={"MIMIR": "mimir", "TENANT": "anonymous"},
    rules=(
        Header(name="X-Scope-OrgID", words="the tenant, if there are several", source=_MIMIR_OTLP),
        *_DELTAS,
        *_MIMIR_LABELS,
    ),
    unknown=(Fact("Deltas follow the rule of Prometheus; the pages of Mimir do not say so."),),
)

_GRAFANA = "https://grafana.com/docs/grafana-cloud/send-data/otlp/otlp-format-considerations/"
GRAFANA_CLOUD = Vendor(
    name="grafana-cloud",
    title="Grafana Cloud",
    host="https://otlp-gateway-ZONE.grafana.net",
    paths={signal: f"/otlp/v1/{signal}" for signal in ("metrics", "logs", "traces")},
    headers={"Authorization": "Basic INSTANCE_AND_TOKEN_IN_BASE64"},
    sample={"ZONE": "prod-us-east-2", "INSTANCE_AND_TOKEN_IN_BASE64": "MTIzNDU2OmdsY190b2tlbg=="},
    rules=(
        Header(
            name="Authorization",
            form=r"Basic [A-Za-z0-9+/]+=*",
            words="`Basic` and base64 of `INSTANCE:TOKEN`",
            source=_GRAFANA,
        ),
        ContentTypes(allowed=("application/x-protobuf", "application/json"), source=_GRAFANA),
        Encodings(allowed=("identity", "gzip"), source=_GRAFANA),
        *_DELTAS,
        *_MIMIR_LABELS,
    ),
    unknown=(Fact("Deltas follow the rule of Prometheus, to which the page refers."),),
)

_VICTORIA = "https://docs.victoriametrics.com/victoriametrics/integrations/opentelemetry/"
VICTORIAMETRICS = Vendor(
    name="victoriametrics",
    title="VictoriaMetrics",
    host="http://SERVER:8428",
    paths={"metrics": "/opentelemetry/v1/metrics"},
    sample={"SERVER": "victoriametrics"},
    rules=(),
    unknown=(Fact("No sink stands for it: the tests start VictoriaMetrics."),),
)

_GOOGLE = "https://docs.cloud.google.com/stackdriver/docs/otlp-metrics/overview"
_GOOGLE_MAP = "https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics"
GOOGLE_CLOUD = Vendor(
    name="google-cloud",
    title="Google Cloud",
    host="https://telemetry.googleapis.com",
    paths={signal: f"/v1/{signal}" for signal in ("metrics", "logs", "traces")},
    headers={"Authorization": "Bearer TOKEN"},
    sample={"TOKEN": "ya29.token"},
    needs_collector="access tokens of Google expire after an hour, and the exporters of the SDK do not renew them",
    rules=(
        Header(name="Authorization", form=r"Bearer \S+", words="an OAuth token, which expires", source=_GOOGLE),
        MetricName(form=r"[a-zA-Z][a-zA-Z0-9_:./]*", source=_GOOGLE),
        AttributeKey(form=r"[a-zA-Z_][a-zA-Z0-9_.]*", source=_GOOGLE),
        ResourceAttribute(names=("instance", "service.instance.id", "host.id", "host.name"), source=_GOOGLE_MAP),
        ResourceAttribute(names=("location", "cloud.availability_zone", "cloud.region"), source=_GOOGLE_MAP),
    ),
    unknown=(
        Fact("Which attributes fill `instance`: the page was read in parts; service.instance.id is certain."),
        Fact("Whether deltas are accepted. Metrics are stored as those of Prometheus, which are cumulative."),
    ),
)

_SIGNATURE = (
    r"AWS4-HMAC-SHA256 Credential=\w+/\d{{8}}/[a-z0-9\-]+/{service}/aws4_request, "
    r"SignedHeaders=[a-z0-9;\-]+, Signature=[0-9a-f]{{64}}"
)
_CLOUDWATCH = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html"
_CLOUDWATCH_LABELS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/metrics-otel-overview.html"
CLOUDWATCH = Vendor(
    name="cloudwatch",
    title="AWS CloudWatch",
    host="https://monitoring.REGION.amazonaws.com",
    paths={"metrics": "/v1/metrics"},
    headers={"Authorization": "SIGNATURE"},
    sample={
        "REGION": "us-east-1",
        "SIGNATURE": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/us-east-1/monitoring/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64,
    },
    needs_collector="each request is signed (SigV4)",
    rules=(
        Header(
            name="Authorization",
            form=_SIGNATURE.format(service="monitoring"),
            words="a signature (SigV4) for the service `monitoring`",
            status=403,
            source=_CLOUDWATCH,
        ),
        ContentTypes(allowed=("application/x-protobuf", "application/json"), source=_CLOUDWATCH),
        Encodings(allowed=("identity", "gzip"), source=_CLOUDWATCH),
        AttributeCount(most=150, with_resource=True, source=_CLOUDWATCH_LABELS),
    ),
    unknown=(
        Fact("The largest request of metrics: the page names 5 MB and 10,000 spans for traces."),
        Fact("Which temporality is stored: the page warns that queries which assume cumulative counters need care."),
    ),
)

_AMP = "https://docs.aws.amazon.com/prometheus/latest/userguide/AMP_quotas.html"
_AMP_WRITE = "https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/extension/sigv4authextension"
AMP = Vendor(
    name="amp",
    title="Amazon Managed Service for Prometheus",
    host="https://aps-workspaces.REGION.amazonaws.com",
    paths={"metrics": "/workspaces/WORKSPACE/api/v1/remote_write"},
    headers={"Authorization": "SIGNATURE"},
    sample={
        "REGION": "us-east-1",
        "WORKSPACE": "ws-0123",
        "SIGNATURE": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/us-east-1/aps/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64,
    },
    protocol="remote write",
    needs_collector="it takes remote write, and each request is signed (SigV4)",
    rules=(
        Header(
            name="Authorization",
            form=_SIGNATURE.format(service="aps"),
            words="a signature (SigV4) for the service `aps`",
            status=403,
            source=_AMP_WRITE,
        ),
        Encodings(allowed=("snappy",), source="https://prometheus.io/docs/specs/prw/remote_write_spec/"),
        AttributeCount(most=70, source=_AMP),
    ),
    unknown=(Fact("The number of labels is of an older version of the page; newer ones were read in parts."),),
)

_AZURE = "https://learn.microsoft.com/en-us/azure/azure-monitor/fundamentals/opentelemetry-protocol-ingestion"
_AZURE_STREAM = "/datacollectionRules/RULE/streams"
AZURE_MONITOR = Vendor(
    name="azure-monitor",
    title="Azure Monitor",
    host="https://ENDPOINT.metrics.ingest.monitor.azure.com",
    paths={
        "metrics": f"{_AZURE_STREAM}/microsoft-otelmetrics/otlp/v1/metrics",
        "logs": f"{_AZURE_STREAM}/opentelemetry_logs/otlp/v1/logs",
        "traces": f"{_AZURE_STREAM}/opentelemetry_traces/otlp/v1/traces",
    },
    headers={"Authorization": "Bearer TOKEN"},
    sample={"ENDPOINT": "example-xyz.southcentralus-1", "RULE": "dcr-0123", "TOKEN": "eyJ0.e30.sig"},
    needs_collector="tokens of Microsoft Entra expire, and the exporters of the SDK do not renew them",
    rules=(Header(name="Authorization", form=r"Bearer \S+", words="a token of Entra, which expires", source=_AZURE),),
    unknown=(
        Fact(
            "Both temporalities are stored as they are sent, and queries cannot tell them apart.",
            "https://learn.microsoft.com/en-us/azure/azure-monitor/metrics/prometheus-opentelemetry-best-practices",
        ),
        Fact("The largest request, and limits of labels."),
    ),
)

_CHRONOSPHERE = "https://docs.chronosphere.io/ingest/metrics-traces/otel/otlp-endpoints"
CHRONOSPHERE = Vendor(
    name="chronosphere",
    title="Chronosphere",
    host="https://TENANT.chronosphere.io",
    paths={signal: f"/data/opentelemetry/v1/{signal}" for signal in ("metrics", "traces")},
    headers={"API-Token": "TOKEN"},
    sample={"TENANT": "example", "TOKEN": "0123456789abcdef"},
    rules=(
        Header(name="API-Token", words="the token of a service account with write permissions", source=_CHRONOSPHERE),
        Encodings(allowed=("gzip", "snappy", "zstd"), source=_CHRONOSPHERE),
        RequestSize(most=16 * MB, measured="as sent", source=_CHRONOSPHERE),
        RequestPoints(most=9_999, source=_CHRONOSPHERE, effect=REQUEST),
    ),
    unknown=(Fact("The length of attributes, which Chronosphere limits on a page that was not read."),),
)

VENDORS = (
    PROMETHEUS,
    MIMIR,
    GRAFANA_CLOUD,
    VICTORIAMETRICS,
    GOOGLE_CLOUD,
    CLOUDWATCH,
    AMP,
    AZURE_MONITOR,
    CHRONOSPHERE,
)
