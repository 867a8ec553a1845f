"""Backends of clouds, which want signed requests or tokens that expire: extensions of the collector make them."""

from __future__ import annotations

from driftline.fleet._collector.backend import SIGNALS, Backend, Component, Variable

__all__ = ["CLOUDS"]

_REGION = Variable("AWS_REGION", "the region")
_ACCESS = (
    "Credentials are those of the AWS SDK: the role of the pod or the instance, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY."
)

GOOGLE_CLOUD = Backend(
    name="google-cloud",
    title="Google Cloud, through its Telemetry API",
    endpoint=Variable("GOOGLE_CLOUD_OTLP_ENDPOINT", "the Telemetry API", "https://telemetry.googleapis.com"),
    variables=(
        Variable("GOOGLE_CLOUD_PROJECT", "the project"),
        Variable("GOOGLE_CLOUD_REGION", "the region that is stored with metrics, such as europe-west1"),
    ),
    signals=SIGNALS,
    extensions=(
        Component(
            "googleclientauth",
            """
            project: ${env:GOOGLE_CLOUD_PROJECT}
            quota_project: ${env:GOOGLE_CLOUD_PROJECT}
            """,
            why="Tokens from the application default credentials, renewed before they expire.",
        ),
    ),
    processors=(
        Component(
            "transform/google_cloud",
            """
            error_mode: ignore
            metric_statements:
              - set(resource.attributes["cloud.region"], "${env:GOOGLE_CLOUD_REGION}")
                where resource.attributes["cloud.region"] == nil and resource.attributes["location"] == nil
                and resource.attributes["cloud.availability_zone"] == nil
              - set(resource.attributes["gcp.project_id"], "${env:GOOGLE_CLOUD_PROJECT}")
                where resource.attributes["gcp.project_id"] == nil
            """,
            why="Google refuses points without a location. The SDK's service.instance.id is their instance.",
        ),
    ),
    exporter=Component(
        "otlp_http/google_cloud",
        """
        endpoint: ${env:GOOGLE_CLOUD_OTLP_ENDPOINT:-https://telemetry.googleapis.com}
        auth:
          authenticator: googleclientauth
        """,
    ),
    notes="""
        The account needs the roles telemetry.writer and serviceusage.serviceUsageConsumer.
    """,
)

CLOUDWATCH = Backend(
    name="cloudwatch",
    title="Amazon CloudWatch, through its OTLP endpoint",
    endpoint=Variable(
        "CLOUDWATCH_METRICS_ENDPOINT",
        "the endpoint of the region",
        "https://monitoring.${env:AWS_REGION}.amazonaws.com/v1/metrics",
    ),
    variables=(_REGION,),
    extensions=(
        Component(
            "sigv4auth/cloudwatch",
            """
            region: ${env:AWS_REGION}
            service: monitoring
            """,
            why="Signs each request.",
        ),
    ),
    exporter=Component(
        "otlp_http/cloudwatch",
        """
        metrics_endpoint: ${env:CLOUDWATCH_METRICS_ENDPOINT:-https://monitoring.${env:AWS_REGION}.amazonaws.com/v1/metrics}
        auth:
          authenticator: sigv4auth/cloudwatch
        """,
    ),
    batch_bytes=900_000,
    notes=f"""
        {_ACCESS}
    """,
)

AMP = Backend(
    name="amp",
    title="Amazon Managed Service for Prometheus, through remote write",
    endpoint=Variable("AMP_REMOTE_WRITE_ENDPOINT", "the workspace's address for remote write"),
    variables=(_REGION,),
    extensions=(
        Component(
            "sigv4auth/amp",
            """
            region: ${env:AWS_REGION}
            service: aps
            """,
            why="Signs each request.",
        ),
    ),
    exporter=Component(
        "prometheusremotewrite/amp",
        """
        endpoint: ${env:AMP_REMOTE_WRITE_ENDPOINT}
        auth:
          authenticator: sigv4auth/amp
        # The labels job and instance suffice. target_info has the others.
        resource_to_telemetry_conversion:
          enabled: false
        retry_on_failure:
          enabled: true
          initial_interval: 1s
          max_interval: 30s
          max_elapsed_time: 1h
        """,
    ),
    queued=False,
    notes=f"""
        {_ACCESS}

        The exporter of remote write has no queue on disk: what it holds in memory is lost when the collector ends.
        Counters are cumulative, so that the next export makes up for it.
    """,
)

AZURE_MONITOR = Backend(
    name="azure-monitor",
    title="Azure Monitor, through its OTLP ingestion",
    endpoint=Variable(
        "AZURE_MONITOR_METRICS_ENDPOINT",
        "https://DCE.metrics.ingest.monitor.azure.com/datacollectionRules/DCR/streams/microsoft-otelmetrics/otlp/v1/metrics",
    ),
    variables=(
        Variable("AZURE_TENANT_ID", "the directory of the application"),
        Variable("AZURE_CLIENT_ID", "an application with the role Monitoring Metrics Publisher on the rule"),
        Variable("AZURE_CLIENT_SECRET", "its secret", secret=True),
        Variable("AZURE_AUTHORITY", "the authority that issues tokens", "https://login.microsoftonline.com"),
    ),
    extensions=(
        Component(
            "oauth2client/azure",
            """
            client_id: ${env:AZURE_CLIENT_ID}
            client_secret: ${env:AZURE_CLIENT_SECRET}
            token_url: ${env:AZURE_AUTHORITY:-https://login.microsoftonline.com}/${env:AZURE_TENANT_ID}/oauth2/v2.0/token
            scopes: ["https://monitor.azure.com/.default"]
            """,
            why="Tokens of an application, renewed before they expire. In Azure, azure_auth with a managed "
            "identity needs no secret.",
        ),
    ),
    exporter=Component(
        "otlp_http/azure_monitor",
        """
        metrics_endpoint: ${env:AZURE_MONITOR_METRICS_ENDPOINT}
        auth:
          authenticator: oauth2client/azure
        """,
    ),
    batch_bytes=900_000,
    notes="""
        The workspace keeps counters as they are sent; PromQL's rate() and increase() need cumulative ones.
    """,
)

CLOUDS = (GOOGLE_CLOUD, CLOUDWATCH, AMP, AZURE_MONITOR)
