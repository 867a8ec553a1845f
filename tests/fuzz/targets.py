"""
The targets of the fuzzer: each takes bytes, and raises only the documented errors.

``python tests/fuzz/targets.py reference -max_total_time=20 FOLDER`` runs the coverage-guided fuzzer on a target.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import socket
import sys
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

if __name__ == "__main__":
    import atheris  # not available for every Python, and not needed to replay the corpus

    # Only driftline reports its coverage to the fuzzer. Instrumenting numpy too would take minutes.
    with atheris.instrument_imports(include=["driftline"]):
        import driftline.fleet._receiver.http_server
        import driftline.testing

import driftline as dl
from driftline import testing
from driftline._backends.counts import Grid
from driftline._backends.otlp_store import OtlpStore, retention_by
from driftline._backends.otlp_table import Limits
from driftline.canary import Agreement, CanaryEvidence
from driftline.fleet._receiver.addresses import Door
from driftline.fleet._receiver.http_server import OtlpHandler
from driftline.fleet._receiver.intake import Intake, IntakeLimits, RefusedError
from driftline.semconv import METRICS

TYPES = (int, float, str, bytes, bool, list, tuple, dict, set, type(None))


class Choices:
    """Choices derived from bytes of the fuzzer or the corpus; zeros after the last byte."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def number(self, below):
        """Return an integer from 0 to below - 1."""
        value = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return value % below

    def text(self):
        """Return a short string of any characters."""
        size = self.number(12)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece.decode("utf-8", "surrogateescape")

    def double(self):
        """Return any double, including infinite, nan and subnormal values."""
        piece = self._data[self._at : self._at + 8].ljust(8, b"\0")
        self._at += 8
        return float(np.frombuffer(piece, dtype="<f8")[0])

    def value(self, depth=2):
        """Return any value that a caller may pass."""
        kind = self.number(20)
        simple = (
            lambda: None,
            self.text,
            self.double,
            lambda: self.number(256) - 128,
            lambda: bool(self.number(2)),
            lambda: 10 ** (self.number(200) * 3),
            lambda: np.float32(self.number(256)),
            lambda: np.datetime64(self.number(256), "D"),
            lambda: math.nan,
            lambda: b"\xff" * self.number(4),
            Raises,
            lambda: complex(self.double(), 1.0),
            lambda: np.array(self.double()),
            object,
        )
        if kind < len(simple):
            return simple[kind]()
        if depth == 0:
            return None
        items = [self.value(depth - 1) for _ in range(self.number(5))]
        if kind == 14:
            return items
        if kind == 15:
            return tuple(items)
        if kind == 16:
            return {self.text(): item for item in items}
        if kind == 17:
            return np.array([self.double() for _ in items]).reshape((-1, 1) if self.number(2) else (-1,))
        if kind == 18:
            return SimpleNamespace(**{f"f{index}": item for index, item in enumerate(items)})
        return Pair(items[0] if items else 0.0, items)


class Raises:
    """A value whose methods raise."""

    def _no(self, *_):
        message = "no"
        raise ZeroDivisionError(message)

    __float__ = __int__ = __index__ = __len__ = __iter__ = __eq__ = __hash__ = __str__ = __repr__ = __bool__ = _no


@dataclasses.dataclass
class Pair:
    """Features as a dataclass."""

    x: object
    channel: object


def reference(data):
    """Read any bytes as a reference file: either it can be written and used, or ReferenceError is raised."""
    text = data.decode("utf-8", "replace")
    try:
        read = dl.Reference.from_json(text)
    except dl.ReferenceError:
        return
    again = dl.Reference.from_json(read.to_json())
    assert again == read
    assert again.to_json() == read.to_json()
    monitor = testing.in_memory_monitor(reference=read, on_error="log")
    monitor.observe({feature.name: [None, 1.0, "a"] for feature in read.features})
    snapshot = monitor.snapshot()
    assert snapshot is not None
    assert snapshot.rows == 3
    monitor.shutdown()


def structured_reference(data):
    """Change some values of a valid reference, which reaches deeper than random bytes."""
    choices = Choices(data)
    document = json.loads(REFERENCE.to_json())
    for _ in range(1 + choices.number(4)):
        node, key = document, None
        for _ in range(choices.number(5)):
            keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
            if not keys:
                break
            key = list(keys)[choices.number(len(keys))]
            if not isinstance(node[key], (dict, list)):
                break
            parent, node = node, node[key]
            if choices.number(3) == 0:
                node = parent
                break
        if isinstance(node, dict) or (isinstance(node, list) and isinstance(key, int) and key < len(node)):
            node[key if key is not None else choices.text()] = choices.value(1)
    try:
        text = json.dumps(document)
    except (TypeError, ValueError, ZeroDivisionError):
        return
    reference(text.encode("utf-8", "replace"))


def features(data):
    """Pass any features and results: results are returned, every call is counted, nothing raises."""
    choices = Choices(data)
    monitor = testing.in_memory_monitor(reference=REFERENCE, on_error="log")
    results = [choices.value() for _ in range(3)]

    @monitor.instrument
    def predict(features, result=None):
        return result

    for result in results:
        assert predict(choices.value(), result) is result
    with monitor.prediction(choices.value()) as call:
        call.output = results[0]
    monitor.outcome(call.id, choices.value())
    monitor.flush()
    # Each call has a duration. Unreadable features with an empty batch of outputs are no prediction.
    assert int(monitor.evidence().durations.sum()) == 4
    monitor.status()
    monitor.shutdown()


def batches(data):
    """Pass any tables to `observe` and to `Reference.fit`."""
    choices = Choices(data)
    monitor = testing.in_memory_monitor(reference=REFERENCE, on_error="log")
    monitor.observe({"x": choices.value(), "channel": choices.value()}, choices.value())
    monitor.observe(choices.value(), choices.value())
    monitor.flush()
    monitor.shutdown()
    try:
        read = dl.Reference.fit({choices.text(): choices.value(1), "y": choices.value(1)}, predictions=choices.value(1))
    except (dl.ConfigurationError, ZeroDivisionError):
        return  # ZeroDivisionError: a value of the caller that cannot be read
    dl.Reference.from_json(read.to_json())


OPTIONS = (
    "name",
    "version",
    "variant",
    "window",
    "distances",
    "rule",
    "correct",
    "export_bins",
    "export_labels",
    "trace",
    "retraining",
    "on_error",
    "synchronous",
    "enabled",
    "clock",
    "reference",
    "meter_provider",
)


def configuration(data):
    """Pass any arguments to constructors, which accept them or raise ConfigurationError."""
    choices = Choices(data)
    constructors = (
        lambda: dl.Window(choices.value(), rows=choices.value(), every=choices.value()),
        lambda: dl.FalseAlarms(choices.value(), per=choices.value()),
        lambda: dl.Thresholds(**{choices.text() or "psi": choices.value()}),
        lambda: dl.ThresholdPolicy(min_accuracy=choices.value(), max_error_ratio=choices.value()),
        lambda: dl.RetrainingPolicy(min_drifting=choices.value(), max_latency=choices.value()),
        lambda: dl.Reference.learn(choices.value(), categorical=choices.value()),
        lambda: testing.in_memory_monitor(
            **{"reference": REFERENCE, OPTIONS[choices.number(len(OPTIONS))]: choices.value()}
        ).shutdown(),
    )
    try:
        constructors[choices.number(len(constructors))]()
    except (dl.DriftlineError, ZeroDivisionError):
        return  # ZeroDivisionError: a value of the caller that cannot be shown in a message


def policies(data):
    """Pass any arguments for outcomes, detectors, functions, canaries and replacements."""
    choices = Choices(data)

    def one_of(*names):
        return {names[choices.number(len(names))]: choices.value()}

    limits = ("limits", "kind", "classes", "positive", "threshold", "window", "max_drop", "per", "capacity", "expire")
    shadows = ("agree", "size", "share", "concurrency", "timeout", "max_bytes", "max_load", "copy")
    asked = (
        "rates",
        "guardrails",
        "alpha",
        "latency_quantile",
        "allowed_prediction_drift",
        "max_rows",
        "max_time",
        "warm_up",
    )
    parts = ("derive", "detectors", "outcomes", "wall_clock", "clock")

    def monitor():
        ((part, value),) = one_of(*parts).items()
        # A string is the path of a file, here in a folder that does not exist.
        value = "/no/such/" + value if part == "outcomes" and isinstance(value, str) else value
        return testing.in_memory_monitor(**{"reference": REFERENCE, part: value, "on_error": "log"})

    constructors = (
        lambda: dl.OutcomePolicy(**one_of(*limits)),
        lambda: dl.CanaryPolicy(**one_of(*asked)),
        lambda: dl.Margin(choices.value(), choices.value()),
        lambda: dl.Guardrail(choices.value(), kind=choices.value()),
        lambda: monitor().shutdown(),
        lambda: testing.in_memory_monitor(reference=REFERENCE).replace_reference(choices.value()),
        lambda: dl.Canary(BASELINE, BASELINE, choices.value(), share=choices.value(), path=None),
        lambda: Agreement(**one_of("tolerance", "absolute", "threshold", "classes", "kind")),
        lambda: CANARY.shadow(len, len, **one_of(*shadows)),
    )
    try:
        constructors[choices.number(len(constructors))]()
    except (dl.DriftlineError, ZeroDivisionError):
        return  # as above


def evidence(data):
    """Read any bytes as a canary's evidence: either it is written again unchanged, or ConfigurationError is raised."""
    try:
        read = CanaryEvidence.from_json(data.decode("utf-8", "replace"))
    except dl.ConfigurationError:
        return
    assert CanaryEvidence.from_json(read.to_json()).to_json() == read.to_json()


def derived(data):
    """Pass any values to a monitor with vectors, functions and detectors, and replace its reference meanwhile."""
    choices = Choices(data)
    monitor = testing.in_memory_monitor(
        reference=DERIVED[0], derive={"length": length}, detectors={"y": Never()}, on_error="log"
    )
    monitor.observe({"v": choices.value(), "y": choices.value(), "text": choices.value()})
    with monitor.prediction(choices.value()):
        monitor.replace_reference(DERIVED[1 + choices.number(2)])
    monitor.observe({"v": choices.value(), "y": choices.value(), "text": choices.value()})
    monitor.flush()
    monitor.status()
    monitor.shutdown()


def otlp(data):
    """Send any bytes to a receiver: what can be read is stored, and the rest is refused; the counts stay counts."""
    choices = Choices(data)
    intake = Intake(OtlpStore(retention_by(60.0), Limits(series=50)), IntakeLimits(body=10_000, seconds=0.1))
    encoding = ("identity", "gzip", "deflate", "identity", choices.text())[choices.number(5)]
    with suppress(RefusedError):
        intake.add(data[2:], encoding=encoding, is_json=bool(choices.number(2)))


def otlp_points(data):
    """Send points of any times and values, which reaches deeper than random bytes: sums never decrease."""
    choices = Choices(data)
    store = OtlpStore(retention_by(60.0), Limits(series=50), clock=lambda: 1e6)
    request = ExportMetricsServiceRequest()
    for _ in range(1 + choices.number(12)):
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="ml.canary.calls")
        metric.sum.aggregation_temporality = (1, 2, 2, 3)[choices.number(4)]
        metric.sum.is_monotonic = True
        point = metric.sum.data_points.add(time_unix_nano=choices.number(256) * 10**9)
        point.start_time_unix_nano = choices.number(256) * 10**9
        point.flags = int(choices.number(8) == 0)
        if choices.number(8):
            point.as_int = choices.number(256)
        else:
            point.as_double = choices.double()
        point.attributes.add(key=choices.text().encode("utf-8", "replace").decode()).value.int_value = choices.number(4)
    store.add(request)
    grid, unit = Grid(0.0, 4.0, 70), "ml.canary.process"
    for values in store.history(CALLS, {}, unit=unit, by=[], grid=grid, within=1e6, dialect="otlp").values():
        assert (np.diff(values[~np.isnan(values)]) >= 0).all(), values
    store.prune()
    OtlpStore(retention_by(60.0)).restore(store.began, store.entries())


def http(data):
    """Send any bytes to the port of a receiver: they are answered or not, and nothing raises."""
    intake = Intake(OtlpStore(retention_by(60.0)), IntakeLimits(body=10_000, seconds=0.1))
    handler = type("Handler", (OtlpHandler,), {"intake": intake, "door": Door(), "disable_nagle_algorithm": False})
    client, server = socket.socketpair()
    with client, server:
        choices = Choices(data)
        head = (b"", HEAD, HEAD + b"Content-Length: %d\r\n\r\n" % len(data[2:]))[choices.number(3)]
        client.sendall(head + data[2:])
        client.shutdown(socket.SHUT_WR)
        handler(server, ("127.0.0.1", 1), None)


HEAD = b"POST /v1/metrics HTTP/1.1\r\nContent-Type: application/x-protobuf\r\n"
CALLS = METRICS["ml.canary.calls"]


def length(row):
    """Derive a feature; raises without a text."""
    return len(row["text"])


class Never:
    """A detector that never reports a change."""

    drift_detected = False

    def update(self, x):
        """Ignore a value."""


def reference_of(columns):
    """Return a reference with a derived feature."""
    return dl.Reference.fit(columns, derive={"length": length}, ignore=["text"])


REFERENCE = dl.Reference.fit(
    {"x": np.arange(200.0), "channel": ["web", "shop", "phone", "shop"] * 50}, predictions=np.arange(200.0) / 200.0
)

BASELINE = testing.in_memory_monitor(reference=REFERENCE)
CANARY = dl.Canary(BASELINE, testing.in_memory_monitor(reference=REFERENCE, version="2"))
_TEXTS = ["a", "bb", "ccc", "dddd"] * 25
DERIVED = (
    reference_of({"v": np.arange(300.0).reshape(100, 3) % 7, "y": np.arange(100.0), "text": _TEXTS}),
    reference_of({"text": _TEXTS, "y": np.arange(100.0) % 9, "v": np.arange(200.0).reshape(100, 2) % 5}),
    reference_of({"v": np.arange(100.0), "y": np.arange(100.0), "text": _TEXTS}),
)

TARGETS = {
    "reference": reference,
    "structured_reference": structured_reference,
    "features": features,
    "batches": batches,
    "configuration": configuration,
    "policies": policies,
    "evidence": evidence,
    "derived": derived,
    "http": http,
    "otlp": otlp,
    "otlp_points": otlp_points,
}


def main():
    """Run atheris on the target of the first argument; the others are libFuzzer's."""
    logging.getLogger("driftline").setLevel(logging.CRITICAL)
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
