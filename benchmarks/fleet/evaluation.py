"""
What one evaluation of a large fleet costs: seconds and memory of ``driftline judge`` and of a real Prometheus.

    python benchmarks/fleet/evaluation.py [--instances 50] [--features 200] [--windows 1] [--folder DIR]

Half of the features have numbers (17 bins), half categories (23 bins), so 200 features have 4,000 bins, and 50
instances 200,000 series. Each instance exports every minute of the windows, with times in the past, to the OTLP
receiver of a Prometheus that ``tools/build`` has built. The command then runs as a process, as a user starts it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, Sum

import driftline as dl
from driftline import semconv as sc
from driftline._binning.layout import Layout
from driftline.typing import Counts

Bytes, Indices = NDArray[np.uint8], NDArray[np.intp]

ROOT = Path(__file__).parents[2]
INTERVAL = 60
"""Seconds between two exports."""

ROWS = 100
"""Rows of an instance between two exports."""

TIME, VALUE = 0x1122334455667788, 0x0102030405060708
"""Marks in a serialised request, which has fixed64 numbers at their place."""

POINTS_PER_REQUEST = 20_000
"""Most points of a request: about 6 MB."""


def fit(features: int) -> dl.Reference:
    """Return a reference with 17 or 23 bins per feature."""
    random = np.random.default_rng(0)
    columns = {}
    for index in range(features):
        if index % 2:
            columns[f"feature_{index}"] = random.integers(0, 20, 20_000).astype(str)
        else:
            columns[f"feature_{index}"] = random.normal(size=20_000)
    return dl.Reference.fit(columns)


class Instance:
    """A process whose exports are serialised once, and sent with other times and values."""

    def __init__(self, name: str, reference: dl.Reference, layout: Layout) -> None:
        self.template: list[tuple[Bytes, Indices, Indices]] = []
        request, metric = None, None
        shared = {
            sc.ML_MODEL_NAME: "large",
            sc.ML_MODEL_VERSION: "1",
            sc.ML_MONITOR_PROCESS: name,
            sc.ML_REFERENCE_FINGERPRINT: layout.fingerprint,
        }
        for feature, bins in zip(reference.watched, layout.slices, strict=True):
            for index in range(bins.stop - bins.start):
                if metric is None or len(metric.data_points) == POINTS_PER_REQUEST:
                    self._close(request)
                    request, metric = self._request(name, sc.METRIC_FEATURE_OBSERVATIONS, monotonic=True)
                self._add(metric, {**shared, sc.ML_FEATURE_NAME: feature.name, sc.ML_FEATURE_BIN: str(index)})
        self._close(request)
        request, metric = self._request(name, sc.METRIC_MONITOR_INFO, monotonic=False)
        self._add(metric, shared)
        self._close(request)

    @staticmethod
    def _request(name: str, metric: sc.Metric, *, monotonic: bool) -> tuple[ExportMetricsServiceRequest, Sum]:
        request = ExportMetricsServiceRequest()
        resource_metrics = request.resource_metrics.add()
        for key, value in (("service.name", "large"), ("service.instance.id", name)):
            attribute = resource_metrics.resource.attributes.add()
            attribute.key, attribute.value.string_value = key, value
        series = resource_metrics.scope_metrics.add().metrics.add()
        series.name, series.unit = metric.name, metric.unit
        series.sum.is_monotonic = monotonic
        series.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        return request, series.sum

    @staticmethod
    def _add(metric: Sum, attributes: Mapping[str, str]) -> None:
        point = metric.data_points.add(time_unix_nano=TIME, as_int=VALUE)
        for key, value in attributes.items():
            attribute = point.attributes.add()
            attribute.key, attribute.value.string_value = key, value

    def _close(self, request: ExportMetricsServiceRequest | None) -> None:
        if request is None:
            return
        body = np.frombuffer(bytearray(request.SerializeToString()), dtype=np.uint8)
        self.template.append((body, _places(body, TIME), _places(body, VALUE)))

    def bodies(self, seconds: float, values: Counts) -> Iterator[bytes]:
        """Yield the requests of one export."""
        start = 0
        values = np.append(values, 1)
        for body, times, numbers in self.template:
            body[times] = np.frombuffer(np.uint64(seconds * 1e9).tobytes(), np.uint8)
            part = values[start : start + len(numbers)].astype("<i8")
            body[numbers] = part.view(np.uint8).reshape(-1, 8)
            start += len(numbers)
            yield body.tobytes()


def _places(body: Bytes, mark: int) -> Indices:
    """Return the indices of the bytes of each mark, shape (marks, 8)."""
    data, pattern = body.tobytes(), mark.to_bytes(8, "little")
    starts, start = [], data.find(pattern)
    while start >= 0:
        starts.append(start)
        start = data.find(pattern, start + 8)
    return np.array(starts)[:, None] + np.arange(8)


@contextmanager
def prometheus(folder: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Prometheus server; yield its URL and its process."""
    where = subprocess.run(  # noqa: S603 - a script of this repository
        ["bash", ROOT / "tools" / "build", "--where"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        Path(where.stdout.strip()) / "prometheus",
        f"--config.file={ROOT / 'collector-config' / 'prometheus-server.yaml'}",
        f"--storage.tsdb.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-otlp-receiver",
    ]
    with (Path(folder) / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()  # noqa: S310
                break
            except OSError:
                time.sleep(0.1)
        yield url, process
    finally:
        process.terminate()
        process.wait()


def fill(url: str, reference: dl.Reference, instances: int, windows: int) -> int:
    """Send the exports of all instances, and return how many samples they have."""
    layout = Layout(reference.watched)
    pods = [Instance(f"{index:016x}", reference, layout) for index in range(instances)]
    random = np.random.default_rng(1)
    shares = [np.array(feature.counts) / sum(feature.counts) for feature in reference.watched]
    totals = np.zeros((instances, layout.total), dtype=np.int64)
    # Until two minutes after the last full hour, at which the last window ends.
    now = time.time() // 3_600 * 3_600 + 2 * INTERVAL
    samples = 0
    for export in range(60 * windows + 22, -1, -1):
        rows = np.concatenate([random.multinomial(ROWS, share, instances) for share in shares], axis=1)
        totals += rows
        for pod, counts in zip(pods, totals, strict=True):
            for body in pod.bodies(now - export * INTERVAL, counts):
                headers = {"Content-Type": "application/x-protobuf"}
                request = urllib.request.Request(f"{url}/api/v1/otlp/v1/metrics", body, headers)  # noqa: S310
                urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
            samples += len(counts) + 1
    return samples


def memory(process: subprocess.Popen[bytes]) -> float:
    """Return the largest resident set of a running process, in MiB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Return the processor seconds of a running process."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Fill a Prometheus, evaluate it, and print what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--instances", type=int, default=50)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--windows", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder")
    asked = parser.parse_args()
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = "127.0.0.1"
    reference = fit(asked.features)
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, prometheus(folder) as (url, server):
        path = Path(folder) / "reference.json"
        reference.save(path)
        start = time.monotonic()
        samples = fill(url, reference, asked.instances, asked.windows)
        series = asked.instances * Layout(reference.watched).total
        print(f"{series} series, {samples} samples in {time.monotonic() - start:.0f} s, {memory(server):.0f} MiB")
        command = [sys.executable, "-m", "driftline.cli", "judge", "--prometheus", url, "--reference", str(path)]
        command += ["--since", f"{asked.windows}h", "--json", "--request-timeout", "2min"]
        for _ in range(asked.runs):
            before, start = cpu(server), time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            seconds = time.monotonic() - start
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            document = json.loads(done.stdout)
            print(
                f"code {done.returncode}, {document['rows']} rows, {document['processes']} processes: {seconds:.1f} s; "
                f"judge {used.ru_utime + used.ru_stime:.1f} s of processor time in all, {used.ru_maxrss / 1024:.0f} "
                f"MiB; Prometheus {cpu(server) - before:.1f} s, {memory(server):.0f} MiB"
            )


if __name__ == "__main__":
    main()
