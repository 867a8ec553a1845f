"""
What counts per bin cost to send and to store: bytes of an export, and memory and disk of two real servers.

    python benchmarks/fleet/storage.py --exports
    python benchmarks/fleet/storage.py --server prometheus --instances 10 --windows 4
    python benchmarks/fleet/storage.py --server victoria-metrics --instances 10 --windows 4

Instances are those of `evaluation.py`: 4,000 series each, an export each minute, with times in the past.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from evaluation import INTERVAL, ROOT, ROWS, Instance, fit
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View

import driftline as dl
from driftline._binning.layout import Layout

PORT = 29_090

COMMANDS = {
    "prometheus": [
        f"--config.file={ROOT / 'collector-config' / 'prometheus-server.yaml'}",
        "--storage.tsdb.path=FOLDER",
        f"--web.listen-address=127.0.0.1:{PORT}",
        "--web.enable-otlp-receiver",
        "--web.enable-admin-api",
    ],
    "victoria-metrics": ["-storageDataPath=FOLDER", f"-httpListenAddr=127.0.0.1:{PORT}", "-retentionPeriod=1y"],
}
PATHS = {"prometheus": "/api/v1/otlp/v1/metrics", "victoria-metrics": "/opentelemetry/v1/metrics"}

WINDOWS = 70
"""Windows that a monitor evaluates before its export is measured: as many as its longest look has, and more."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def exports(features: int, scope: str, distances: tuple[str, ...]) -> dict[str, Any]:
    """Return points, bytes and milliseconds of CPU of one export of a monitor of numeric features."""
    random = np.random.default_rng(0)
    names = [f"feature_{index}" for index in range(features)]
    reference = dl.Reference.fit({name: random.normal(size=5_000) for name in names}, predictions=random.random(5_000))
    reader = InMemoryMetricReader()
    unlimited = View(instrument_name="*", aggregation_cardinality_limit=1_000_000)
    monitor = dl.Monitor(
        "flight-delay",
        version="3",
        reference=reference,
        window=dl.Window(rows=1_000),
        rule=dl.FalseAlarms(1, scope=scope),  # type: ignore[arg-type] - an argument of this script
        distances=distances,
        meter_provider=MeterProvider([reader], views=[unlimited]),
        synchronous=True,
    )
    predict = monitor.instrument(lambda _: 0.5)
    for _ in range(WINDOWS):
        monitor.observe({name: random.normal(size=1_000) for name in names}, random.random(1_000))
    predict(dict.fromkeys(names, 0.1))
    monitor.flush()
    reader.get_metrics_data()
    began = time.process_time()
    data = reader.get_metrics_data()
    body = encode_metrics(data).SerializeToString()  # type: ignore[arg-type] - it has data
    seconds = time.process_time() - began
    monitor.shutdown()
    metrics = [each for part in data.resource_metrics for scope in part.scope_metrics for each in scope.metrics]  # type: ignore[union-attr]
    return {
        "features": features,
        "scope": scope,
        "distances": len(distances),
        "points": sum(len(each.data.data_points) for each in metrics),
        "bytes": len(body),
        "gzip": len(gzip.compress(body)),
        "cpu ms": round(seconds * 1e3, 1),
    }


def post(path: str, body: bytes = b"", kind: str = "application/x-protobuf") -> bytes:
    """Send a request to the server, and return its response."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", body, {"content-type": kind})
    with _direct.open(request, timeout=120) as response:
        return bytes(response.read())


def resident(process: subprocess.Popen[bytes]) -> int:
    """Return the resident memory of a process in bytes."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith("VmRSS"))


def size(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def on_disk(server: str, folder: Path) -> int:
    """Return the bytes of what the server has stored, in its final form."""
    if server == "prometheus":
        name = json.loads(post("/api/v1/admin/tsdb/snapshot"))["data"]["name"]
        return size(folder / "snapshots" / name)
    post("/internal/force_flush")
    post("/internal/force_merge")
    time.sleep(10.0)
    return size(folder / "data") + size(folder / "indexdb")


def store(server: str, instances: int, windows: int, features: int) -> dict[str, Any]:
    """Fill a server, and return its memory for each series and its bytes on disk for each sample."""
    where = subprocess.run([ROOT / "tools/build", "--where"], capture_output=True, text=True, check=True)  # noqa: S603
    reference = fit(features)
    layout = Layout(reference.watched)
    pods = [Instance(f"{index:016x}", reference, layout) for index in range(instances)]
    random = np.random.default_rng(1)
    shares = [np.array(feature.counts) / sum(feature.counts) for feature in reference.watched]
    totals = np.zeros((instances, layout.total), dtype=np.int64)
    series = instances * (layout.total + 1)
    number = 60 * windows
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        command = [
            f"{where.stdout.strip()}/{server}",
            *(each.replace("FOLDER", temporary) for each in COMMANDS[server]),
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - built here
        try:
            time.sleep(5.0)
            memory = [resident(process)]
            end = time.time() // INTERVAL * INTERVAL
            for step in range(number - 1, -1, -1):
                totals += np.concatenate([random.multinomial(ROWS, share, instances) for share in shares], axis=1)
                for pod, counts in zip(pods, totals, strict=True):
                    for body in pod.bodies(end - step * INTERVAL, counts):
                        post(PATHS[server], body)
                if step in {number - 2, 0}:
                    memory.append(resident(process))
            stored = on_disk(server, folder)
        finally:
            process.terminate()
            process.wait()
    return {
        "server": server,
        "series": series,
        "samples": series * number,
        "memory before": memory[0],
        "bytes of memory for a series at first": round((memory[1] - memory[0]) / series),
        "bytes of memory for a series at last": round((memory[2] - memory[0]) / series),
        "bytes on disk": stored,
        "bytes on disk for a sample": round(stored / series / number, 3),
    }


def main() -> None:
    """Print lines of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exports", action="store_true")
    parser.add_argument("--server", choices=COMMANDS)
    parser.add_argument("--instances", type=int, default=10)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--windows", type=int, default=4)
    options = parser.parse_args()
    if options.exports:
        for features in (10, 50, 200):
            for scope, distances in (
                ("process", ("psi", "js", "wasserstein", "mean")),
                ("fleet", ("psi", "js", "wasserstein", "mean")),
                ("fleet", ("psi",)),
            ):
                print(json.dumps(exports(features, scope, distances)), flush=True)
    if options.server:
        print(json.dumps(store(options.server, options.instances, options.windows, options.features)))


if __name__ == "__main__":
    main()
