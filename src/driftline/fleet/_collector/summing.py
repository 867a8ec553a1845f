"""The gateway's part that adds up the counters of all processes, so that the backend stores one series for all."""

from __future__ import annotations

from driftline import semconv as sc
from driftline.fleet._collector.backend import Component, Variable
from driftline.fleet._collector.delivery import delivery

__all__ = [
    "FILTER_SINGLE",
    "FILTER_SUMMED",
    "SUM_EXPORTER",
    "SUM_PROCESSORS",
    "SUM_RECEIVER",
    "SUM_VARIABLES",
    "TO_CUMULATIVE",
]

BATCH_BYTES = 8_000_000
"""Largest batch that is added up at the same time, in bytes: below the receiver's limit of 20 MiB."""

_PORT = Variable("DRIFTLINE_OTLP_SUM", "address between both halves", "127.0.0.1:14317")
_INTERVAL = Variable("DRIFTLINE_SUM_INTERVAL", "time between two sums", "30s")

SUM_VARIABLES = (_PORT, _INTERVAL)

KEPT = (
    "service.namespace",
    "service.name",
    "service.version",
    "deployment.environment.name",
    "k8s.namespace.name",
)
"""Resource attributes that processes of one deployment share; all others would keep their series apart."""

FILTER_SUMMED = Component(
    "filter/summed",
    f"""
    error_mode: ignore
    metrics:
      metric:
        - not IsMatch(name, "^ml[.]")
        - IsMatch(name, "^ml[.]canary[.]")
        - type == METRIC_DATA_TYPE_GAUGE
        - type == METRIC_DATA_TYPE_SUM and is_monotonic == false and name != "{sc.METRIC_MONITOR_INFO.name}"
    """,
    why="Drops what does not add up: gauges, states, other libraries. Canaries are evaluated by process.",
)

FILTER_SINGLE = Component(
    "filter/single",
    f"""
    error_mode: ignore
    metrics:
      metric:
        - name == "{sc.METRIC_MONITOR_INFO.name}"
        - IsMatch(name, "^ml[.]") and not IsMatch(name, "^ml[.]canary[.]") and type != METRIC_DATA_TYPE_GAUGE
          and not (type == METRIC_DATA_TYPE_SUM and is_monotonic == false)
    """,
    why="Drops the counters and histograms that are added up; all others stay as they are.",
)

SUM_RECEIVER = Component(
    "otlp/sum",
    f"""
    protocols:
      http:
        endpoint: {_PORT.reference}
        # A batch that the second half has added must not be sent again, however long it waits for room in the queue.
        write_timeout: 0s
    """,
    why="The second half of the gateway, which no other host reaches.",
)

SUM_EXPORTER = Component(
    "otlp_http/sum",
    "\n".join(
        [
            f"endpoint: http://{_PORT.reference}",
            "timeout: 0s",
            *delivery(BATCH_BYTES, seconds=_INTERVAL.reference),
        ]
    ),
    why="Batches of all processes wait on disk until the second half has put their sums into the queue of the backend.",
)

_HASHED = ", ".join(f'resource.attributes["{name}"]' for name in KEPT)

SUM_PROCESSORS = (
    Component(
        "transform/identity",
        f"""
        metric_statements:
          - context: resource
            statements:
              - keep_keys(resource.attributes, [{", ".join(f'"{name}"' for name in KEPT)}])
          - context: datapoint
            statements:
              - set(resource.attributes["service.instance.id"], Concat([
                Substring("${{file:/proc/sys/kernel/random/uuid}}", 0, 36),
                FNV(Concat([{_HASHED}], "/"))], "/"))
                where resource.attributes["service.instance.id"] == nil
              - set(datapoint.attributes["{sc.ML_MONITOR_PROCESS}"], resource.attributes["service.instance.id"])
                where datapoint.attributes["{sc.ML_MONITOR_PROCESS}"] != nil
              - set(scope.version, "")
        """,
        why="All processes get one identity: that of this start of the gateway, because its sums begin at 0 with it. "
        "driftline judge takes the gateway for one process. The file is Linux's source of random ids; it is read once.",
    ),
    Component(
        "groupbyattrs/merge", "keys: []", why="Puts points of one series into one metric, where they can be added."
    ),
    Component(
        "transform/sum",
        f"""
        metric_statements:
          - context: datapoint
            statements:
              - set(datapoint.time_unix_nano, 1)
              - set(datapoint.start_time_unix_nano, 1)
          - context: metric
            statements:
              - aggregate_on_attributes("sum") where metric.is_monotonic != false
              # ml.monitor.info, which is 1 for each process: the gateway is one.
              - aggregate_on_attributes("max") where metric.is_monotonic == false
          - context: datapoint
            statements:
              - set(datapoint.time, Now())
              - set(datapoint.start_time, Now() - Duration("{_INTERVAL.reference}"))
        """,
        why="Adds the deltas of a batch, whatever their times. The sum has the time of the gateway, which increases.",
    ),
)

TO_CUMULATIVE = Component(
    "deltatocumulative",
    """
    # A rare bin may have no row for days. Forgetting its sum would make it decrease.
    max_stale: 8760h
    """,
    why="Adds the sums up since the start of the gateway. Processes that end take nothing away.",
)
