"""Writes a configuration as manifests of Kubernetes."""

from __future__ import annotations

from textwrap import dedent, indent

from driftline.fleet._collector.backend import Component

__all__ = ["DAEMONSET", "HEALTH", "KINDS", "OPERATOR", "SIDECAR", "STATEFULSET", "to_manifests"]

SIDECAR, DAEMONSET, STATEFULSET, OPERATOR = KINDS = ("sidecar", "daemonset", "statefulset", "operator")
"""Where the collector runs. A gateway is a StatefulSet, because its queue has its own volume."""

IMAGE = "otel/opentelemetry-collector-contrib:0.159.0"
"""The distribution with all components of the files; the tests run the same version."""

HEALTH = Component("health_check", "endpoint: 0.0.0.0:13133", why="For the probes of Kubernetes.")

QUEUE = "/var/lib/driftline"

EVERYWHERE = "0.0.0.0"  # noqa: S104 - other pods reach it

_SETTINGS = f"""
image: {IMAGE}
args: [--config=/etc/driftline/collector.yaml]
env:
  - {{name: DRIFTLINE_OTLP_GRPC, value: "ADDRESS:4317"}}
  - {{name: DRIFTLINE_OTLP_HTTP, value: "ADDRESS:4318"}}
  - {{name: DRIFTLINE_COLLECTOR_QUEUE, value: {QUEUE}}}
  - {{name: DRIFTLINE_GATEWAY, value: "http://driftline-gateway:4318"}}
  # Go collects garbage before memory_limiter has to refuse: 80 % of the limit below.
  - {{name: GOMEMLIMIT, value: "409MiB"}}
# The variables of the backend, which the head of collector.yaml lists:
#   kubectl create secret generic driftline-NAME --from-literal=NAME=VALUE
envFrom:
  - secretRef: {{name: driftline-NAME, optional: true}}
resources:
  requests: {{cpu: 50m, memory: 128Mi}}
  limits: {{memory: 512Mi}}
"""

_PORTS = """
ports:
  - {name: otlp-grpc, containerPort: 4317}
  - {name: otlp-http, containerPort: 4318}
"""

_HOST_PORTS = """
ports:
  - {name: otlp-grpc, containerPort: 4317, hostPort: 4317}
  - {name: otlp-http, containerPort: 4318, hostPort: 4318}
"""

_PROBES = """
readinessProbe:
  httpGet: {path: /, port: 13133}
livenessProbe:
  httpGet: {path: /, port: 13133}
"""

_MOUNTS = f"""
volumeMounts:
  - {{name: config, mountPath: /etc/driftline, readOnly: true}}
  - {{name: queue, mountPath: {QUEUE}}}
"""

_UNPRIVILEGED = """
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
"""

_SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: driftline-NAME
  labels: {app: driftline-NAME}
spec:
  selector: {app: driftline-NAME}
  ports:
    - {name: otlp-grpc, port: 4317, targetPort: otlp-grpc, appProtocol: grpc}
    - {name: otlp-http, port: 4318, targetPort: otlp-http}
"""


def to_manifests(kind: str, text: str, *, gateway: bool) -> str:
    """
    Return manifests with a configuration.

    Args:
        kind: one of `KINDS`.
        text: the file of the collector.
        gateway: whether all processes export to this one collector, which matters to the operator.
    """
    role = "gateway" if gateway else "agent"
    if kind == OPERATOR:
        return _operator(text, gateway=gateway).replace("driftline-NAME", f"driftline-{role}")
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: driftline-NAME\ndata:\n  collector.yaml: |\n"
    documents = [config + indent(text.rstrip("\n"), "    ")]
    documents += {SIDECAR: _sidecar, DAEMONSET: _daemonset, STATEFULSET: _statefulset}[kind]()
    manifests = "\n---\n".join(document.strip("\n") for document in documents) + "\n"
    return manifests.replace("driftline-NAME", f"driftline-{role}")


def _container(address: str, *further: str) -> str:
    """Return the settings of the collector's container, for addresses that start with *address*."""
    parts = (_SETTINGS.replace("ADDRESS", address), *further, _MOUNTS, _UNPRIVILEGED)
    return indent("".join(part.lstrip("\n") for part in parts), " " * 10).rstrip("\n")


def _sidecar() -> list[str]:
    return [
        dedent(
            """
            # Your service with the collector beside it, in the same pod: only the service reaches it. The queue
            # survives the end of the container, and ends with the pod.
            apiVersion: apps/v1
            kind: Deployment
            metadata:
              name: orders
            spec:
              selector:
                matchLabels: {app: orders}
              template:
                metadata:
                  labels: {app: orders}
                spec:
                  # The collector ends after the service, which exports for the last time on SIGTERM.
                  terminationGracePeriodSeconds: 60
                  securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001}
                  containers:
                    - name: orders
                      image: registry.example.com/orders:1
                      env:
                        - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://127.0.0.1:4318"}
                  initContainers:
                    - name: collector
                      restartPolicy: Always # a sidecar, since Kubernetes 1.29: it starts before the service
            """
        )
        + _container("127.0.0.1")
        + indent(
            dedent(
                """
                volumes:
                  - name: config
                    configMap: {name: driftline-NAME}
                  - name: queue
                    emptyDir: {sizeLimit: 2Gi}
                """
            ),
            " " * 6,
        )
    ]


def _daemonset() -> list[str]:
    return [
        dedent(
            """
            # A collector on each node. Services export to the address of their node:
            #   env:
            #     - name: HOST_IP
            #       valueFrom: {fieldRef: {fieldPath: status.hostIP}}
            #     - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://$(HOST_IP):4318"}
            apiVersion: apps/v1
            kind: DaemonSet
            metadata:
              name: driftline-NAME
            spec:
              selector:
                matchLabels: {app: driftline-NAME}
              template:
                metadata:
                  labels: {app: driftline-NAME}
                spec:
                  # Only root may write to a folder of the node.
                  securityContext: {runAsUser: 0}
                  containers:
                    - name: collector
            """
        )
        + _container(EVERYWHERE, _HOST_PORTS, _PROBES)
        + indent(
            dedent(
                f"""
                volumes:
                  - name: config
                    configMap: {{name: driftline-NAME}}
                  # On the node, so that the queue survives the pod.
                  - name: queue
                    hostPath: {{path: {QUEUE}, type: DirectoryOrCreate}}
                """
            ),
            " " * 6,
        )
    ]


def _statefulset() -> list[str]:
    return [
        _SERVICE,
        dedent(
            """
            # Services export to http://driftline-gateway:4318. With deltas of the SDK there may be several replicas:
            # any of them adds a delta up. Cumulative counters of a process must reach one replica.
            apiVersion: apps/v1
            kind: StatefulSet
            metadata:
              name: driftline-NAME
            spec:
              serviceName: driftline-NAME
              replicas: 1
              selector:
                matchLabels: {app: driftline-NAME}
              template:
                metadata:
                  labels: {app: driftline-NAME}
                spec:
                  terminationGracePeriodSeconds: 60
                  securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001}
                  containers:
                    - name: collector
            """
        )
        + _container(EVERYWHERE, _PORTS, _PROBES)
        + indent(
            dedent(
                """
                volumes:
                  - name: config
                    configMap: {name: driftline-NAME}
                """
            ),
            " " * 6,
        ).rstrip(" ")
        + indent(
            dedent(
                """\
                # The queue survives the pod.
                volumeClaimTemplates:
                  - metadata:
                      name: queue
                    spec:
                      accessModes: [ReadWriteOnce]
                      resources:
                        requests: {storage: 5Gi}
                """
            ),
            "  ",
        ),
    ]


def _operator(text: str, *, gateway: bool) -> str:
    mode = STATEFULSET if gateway else DAEMONSET
    env = f"""
        # The OpenTelemetry Operator makes the pods, the service and the probes of this.
        apiVersion: opentelemetry.io/v1beta1
        kind: OpenTelemetryCollector
        metadata:
          name: driftline-NAME
        spec:
          mode: {mode}
          image: {IMAGE}
          env:
            - {{name: DRIFTLINE_OTLP_GRPC, value: "0.0.0.0:4317"}}
            - {{name: DRIFTLINE_OTLP_HTTP, value: "0.0.0.0:4318"}}
            - {{name: DRIFTLINE_COLLECTOR_QUEUE, value: {QUEUE}}}
            - {{name: DRIFTLINE_GATEWAY, value: "http://driftline-gateway-collector:4318"}}
            - {{name: GOMEMLIMIT, value: "409MiB"}}
          # kubectl create secret generic driftline-NAME --from-literal=NAME=VALUE
          envFrom:
            - secretRef: {{name: driftline-NAME, optional: true}}
          resources:
            requests: {{cpu: 50m, memory: 128Mi}}
            limits: {{memory: 512Mi}}
          volumeMounts:
            - {{name: queue, mountPath: {QUEUE}}}
    """
    claim = """
          replicas: 1
          volumeClaimTemplates:
            - metadata:
                name: queue
              spec:
                accessModes: [ReadWriteOnce]
                resources:
                  requests: {storage: 5Gi}
    """
    folder = f"""
          # Only root may write to a folder of the node.
          podSecurityContext: {{runAsUser: 0}}
          volumes:
            - name: queue
              hostPath: {{path: {QUEUE}, type: DirectoryOrCreate}}
    """
    body = dedent(env).strip("\n") + "\n" + indent(dedent(claim if gateway else folder).strip("\n"), "  ")
    return f"{body}\n  config:\n{indent(text.rstrip(chr(10)), '    ')}\n"
