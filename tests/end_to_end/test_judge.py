"""``driftline judge`` on the counts that processes send to a real Prometheus or VictoriaMetrics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from fleet_workers import EXPORT_MILLISECONDS, WINDOW, draw, predict, start_worker
from processes import LOCAL, wait_for_end, wait_for_port

import driftline as dl
from driftline._binning.layout import Layout

pytestmark = [pytest.mark.real, pytest.mark.system]

WINDOW_SECONDS = int(WINDOW[:-1])
SECONDS = 60.0
"""Seconds that a process or a state may take; reached only when a test fails."""


class Fleet:
    """Workers that export to one server, and a thread that sends rows to all of them."""

    def __init__(self, endpoint, folder, reference, temporality="cumulative"):
        self.temporality = temporality
        self.endpoint, self.folder, self.reference = endpoint, folder, reference
        self.workers, self.served, self.shift = {}, [], 0.0
        self._random = np.random.default_rng(3)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def start(self, *names):
        for name in names:
            self.workers[name] = start_worker(
                name,
                self.folder,
                self.reference,
                OTEL_EXPORTER_OTLP_ENDPOINT=self.endpoint,
                OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
                OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=self.temporality,
            )
        for port, process in self.workers.values():
            wait_for_port(port, process)
        self._thread.start()

    def _send(self):
        while not self._ended.wait(0.1):
            for port, _ in self.workers.values():
                rows = draw(self._random, 20, self.shift)
                predict(port, rows)
                self.served += rows

    def stop_traffic(self):
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(SECONDS)

    def close(self):
        """End all workers, which export the rest."""
        self.stop_traffic()
        for _, process in self.workers.values():
            process.send_signal(signal.SIGTERM)
        for _, process in self.workers.values():
            wait_for_end(process)
        self.workers = {}


@pytest.fixture
def reference():
    random = np.random.default_rng(0)
    return dl.Reference.fit({"amount": random.normal(10.0, 2.0, 20_000), "age": random.normal(40.0, 10.0, 20_000)})


def judge(url, path, *arguments):
    """Run the command, and return its code and its document."""
    command = [sys.executable, "-m", "driftline.cli", "judge", "--prometheus", url, "--reference", path]
    command += ["--window", WINDOW, "--export-interval", f"{EXPORT_MILLISECONDS}ms", "--budget", "1/1h", "--json"]
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **LOCAL}
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def replay(url, path, temporality):
    """Replay a policy on what the server stores, and return the code and the document."""
    command = [sys.executable, "-m", "driftline.cli", "retraining", "replay", "--prometheus", url, "--reference", path]
    command += ["--window", WINDOW, "--export-interval", f"{EXPORT_MILLISECONDS}ms", "--budget", "1/1h", "--json"]
    command += ["--persistence", "1/1", "--temporality", temporality]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **LOCAL})
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def stored(prometheus, temporality):
    """Return rows by feature and bin, from the samples as they are: nothing is extrapolated."""
    counts = {}
    function = "sum_over_time" if temporality == "delta" else "last_over_time"
    for labels, value in prometheus.query(f'{function}({{__name__=~"ml.feature.observations.*"}}[10m])'):
        plain = {key.replace(".", "_"): text for key, text in labels.items()}
        key = plain["ml_feature_name"], int(plain["ml_feature_bin"])
        counts[key] = counts.get(key, 0) + int(value)
    return counts


PROMETHEUS, VICTORIA_METRICS = ("run_prometheus", "/api/v1/otlp"), ("run_victoria_metrics", "/opentelemetry")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "options", "temporality"),
    [
        (PROMETHEUS, [], "cumulative"),
        (PROMETHEUS, ["translation_strategy: NoTranslation"], "cumulative"),
        (PROMETHEUS, ["", "--enable-feature=otlp-native-delta-ingestion"], "delta"),
        (VICTORIA_METRICS, [], "cumulative"),
        (VICTORIA_METRICS, ["-opentelemetry.usePrometheusNaming"], "delta"),
    ],
    ids=["Prometheus", "dots in Prometheus", "deltas in Prometheus", "VictoriaMetrics", "deltas in VictoriaMetrics"],
)
def test_a_fleet_is_evaluated_from_a_store(request, tmp_path, reference, eventually, backend, options, temporality):
    fixture, endpoint = backend
    path = tmp_path / "reference.json"
    reference.save(path)
    with request.getfixturevalue(fixture)(*options) as server:

        def verdict(*arguments):
            return judge(server.url, path, "--temporality", temporality, *arguments)

        fleet = Fleet(f"{server.url}{endpoint}", tmp_path, str(path), temporality)
        try:
            fleet.start("a", "b", "c")
            assert eventually(lambda: verdict()[0], 0) == 0, verdict()
            # A drift that begins with a window shows in it, however few windows there were before.
            time.sleep(WINDOW_SECONDS - time.time() % WINDOW_SECONDS)
            fleet.shift = 3.0
            documents = []

            def code_and_errors():
                code, document, err = verdict("--model", "orders", "--version", "3")
                documents.append(document)
                return code, err

            assert eventually(code_and_errors, (1, "")) == (1, "")
        finally:
            fleet.close()
        document = documents[-1]
        assert (document["model"], document["version"], document["processes"]) == ("orders", "3", 3)
        assert document["features"][0]["name"] == "amount"
        assert document["features"][0]["state"] == "drifting"
        code, past = replay(server.url, path, temporality)
        assert code == 1, past
        assert "amount" in json.dumps(past["requests"]), past

        # Each process has exported all that it served.
        layout = Layout(reference.watched)
        columns = [[row[name] for row in fleet.served] for name in ("amount", "age")]
        expected = {}
        for feature, bins in zip(reference.watched, layout.slices, strict=True):
            counts = layout.count(columns, len(fleet.served))[bins].tolist()
            expected |= {(feature.name, index): count for index, count in enumerate(counts) if count}
        assert eventually(lambda: stored(server, temporality), expected) == expected

        assert verdict("--version", "4")[0] == 3
        assert judge(server.url.replace("http", "ftp"), path)[0] == 3
        # After a window in which no process exports, nothing is known.
        assert eventually(lambda: verdict()[0], 2) == 2
