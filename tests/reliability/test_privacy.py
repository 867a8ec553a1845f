"""No side effects and no raw values outside of the process, by the interpreter's audit events and by the receiver."""

from __future__ import annotations

import ast
import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from otlp_receiver import eventually

import driftline as dl

SOURCE = Path(dl.__file__).parent

AUDITED = """
import sys

bad = []
ready = []


def watch(event, arguments):
    if not ready:
        return
    if event.startswith(("socket.", "urllib.", "http.client", "ftplib.", "smtplib.", "subprocess.", "os.exec",
                         "os.system", "os.posix_spawn", "pickle.find_class", "os.putenv")):
        bad.append((event, str(arguments)[:200]))
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        bad.append((event, str(arguments)[:200]))
    elif event == "compile" and not importing():
        bad.append((event, str(arguments)[:200]))


def importing():
    # numpy and scipy compile signatures during their import.
    frame = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


sys.addaudithook(watch)
import numpy as np
import opentelemetry.sdk.metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import driftline as dl

reader = InMemoryMetricReader()
provider = MeterProvider([reader])
numbers = np.random.default_rng(1).permutation(500).astype(float)
columns = {"x": numbers, "channel": ["web", "shop"] * 250}
ready.append(True)
reference = dl.Reference.fit(columns, predictions=numbers / 500.0)
reference = dl.Reference.from_json(reference.to_json())
monitor = dl.Monitor("m", reference=reference, window=dl.Window(rows=200), meter_provider=provider, export_bins=True)


@monitor.instrument
def predict(features):
    return 0.5


monitor.observe({"x": numbers[:400], "channel": ["web", "shop"] * 200}, numbers[:400] / 500.0)
for number in [*numbers, *numbers]:
    predict({"x": number, "channel": "phone"})
monitor.flush()
assert any(feature.state == "drifting" for feature in monitor.status().values()), monitor.status()
assert reader.get_metrics_data() is not None
monitor.shutdown()
ready.clear()
print(bad)
"""


def test_fitting_serving_and_evaluating_have_no_side_effects(tmp_path):
    """An audit hook sees no socket, no file for writing, no process, no unpickling and no compiled string."""
    done = subprocess.run([sys.executable, "-c", AUDITED], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_audit_hook_reports_side_effects(tmp_path):
    """The same hook reports a socket, a file and an eval, so the test above can fail."""
    sneaky = AUDITED.replace(
        "    return 0.5\n",
        "    import socket; socket.socket().close(); open('f', 'w').close(); eval('1'); return 0.5\n",
        1,
    )
    done = subprocess.run([sys.executable, "-c", sneaky], capture_output=True, text=True, check=False, cwd=tmp_path)
    for seen in ("socket.__new__", "open", "compile"):
        assert f"('{seen}'" in done.stdout, (done.stdout[:500], done.stderr)


LOADERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve", "skops"}
"""Modules that turn data into code."""


def test_the_source_has_no_pickle():
    """No module turns data into code. (Some name joblib and pickle, which may hold a monitor as its configuration.)"""
    for file in SOURCE.rglob("*.py"):
        if "demo" in file.parts:
            continue
        text = file.read_text(encoding="utf-8")
        assert "yaml.load" not in text, file
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not LOADERS & {name.partition(".")[0] for name in names}, (file, node.lineno)


SECRETS = ("Frieda-Category", "Otto-Category", "Unseen-Category")


def drifting(make, sending, receiver, **options):
    """Return a monitor with drifting categories that exports as much as possible."""
    reference = dl.Reference.fit(
        {"patient": [SECRETS[0], SECRETS[1]] * 500, "x": np.arange(1_000.0)},
        predictions=[SECRETS[0], SECRETS[1]] * 500,
    )
    monitor = make(
        sending(receiver), reference=reference, retraining=dl.RetrainingPolicy(persistence=(1, 1)), **options
    )

    @monitor.instrument
    def predict(features):
        if features["x"] == 7.0:
            raise ValueError(features["patient"])
        return features["patient"]

    for turn in range(400):
        with contextlib.suppress(ValueError):
            predict({"patient": SECRETS[2] if turn % 3 else SECRETS[0], "x": float(turn), "unknown": SECRETS[1]})
    monitor.flush()
    assert monitor.status()["patient"].state == "drifting"
    assert eventually(lambda: sum(name == "ml.retraining.requested" for name, _ in receiver.events), 1) == 1
    assert eventually(receiver.served, 399) == 399
    return monitor


def test_categories_stay_within_the_process(receiver, sending, make, caplog):
    """Metrics, events and the log do not name them. `status` does, inside the process."""
    monitor = drifting(make, sending, receiver)
    sent = repr(receiver.events) + repr(receiver.received_values) + caplog.text
    assert not [secret for secret in SECRETS if secret in sent]
    assert [name for name, _ in receiver.events if name == "ml.feature.drift.state_changed"]
    assert SECRETS[1] in monitor.status()["patient"].reason


def test_export_labels_names_categories(receiver, sending, make):
    """With ``export_labels=True`` events have the reason of `status`."""
    drifting(make, sending, receiver, export_labels=True)
    assert SECRETS[1] in repr(receiver.events)
    assert SECRETS[1] not in repr(receiver.received_values)


def test_a_span_has_no_message_of_an_exception(make_telemetry, reference_file):
    """The messages of the host's exceptions may quote features, so spans carry the class only."""
    telemetry = make_telemetry()
    monitor = dl.Monitor("m", reference=reference_file, trace=True, synchronous=True, **telemetry.providers)

    @monitor.instrument
    def predict(features):
        raise ValueError(SECRETS[0])

    with pytest.raises(ValueError, match=SECRETS[0]):
        predict({"x": 1.0, "channel": "web"})
    monitor.shutdown()
    (span,) = telemetry.spans()
    assert span.attributes["error.type"] == "ValueError"
    assert SECRETS[0] not in span.to_json()
