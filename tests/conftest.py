"""Fixtures of many tests: a small reference with several kinds of features, and an OpenTelemetry set-up in memory."""

from __future__ import annotations

import gc
import signal
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import driftline as dl
from driftline import semconv
from driftline._runtime.guard import Guard

# For the type checkers; its monitor must not run beside those of the tests.
# Its import takes os.fork and others away from the whole process.
collect_ignore = ["typing/api.py", "without_posix"]

# A slow machine must not fail a test.
hypothesis.settings.register_profile("driftline", deadline=None)
hypothesis.settings.load_profile("driftline")

# A shell starts background jobs with the interrupt of the keyboard ignored; tests raise it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def only_documented_places():
    """Fail the session when an error was counted at a place that ``docs/troubleshooting.md`` lacks."""
    unknown: set[str] = set()
    report = Guard.report

    def checked(self, where, message, *more):
        if where not in semconv.MONITOR_PLACES:
            unknown.add(where)
        report(self, where, message, *more)

    Guard.report = checked
    yield
    Guard.report = report
    assert unknown == set(), "not in model/attributes.yaml and docs/troubleshooting.md"


SYSTEM = {"benchmarks", "demo", "end_to_end", "examples", "fuzz", "reliability"}
"""Folders whose tests start servers or processes, or measure time. `make test` runs them after the unit tests."""

ALONE = {"demo", "reliability"}
"""
Those whose tests measure time, or count seconds of the clock, as the canary of the demo does. They run one at a time,
the other ones two at a time.
"""

COUNTED = {"test_interrupts.py", "test_memory.py"}
"""Files of these folders whose tests count lines and bytes: they are unit tests."""


def pytest_collection_modifyitems(items):
    """Mark the tests in these folders as ``system`` and ``alone``."""
    for item in items:
        if item.path.name in COUNTED:
            continue
        folder = set(item.path.relative_to(Path(__file__).parent.parent).parts[1:2])
        if SYSTEM & folder:
            item.add_marker(pytest.mark.system)
        if ALONE & folder:
            item.add_marker(pytest.mark.alone)


def pytest_collection_finish():
    """
    Exclude the collected tests and the imported modules from the garbage collector.

    Many tests call the collector. It would look at all of these objects each time, and none of them is garbage.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def training():
    """4,000 rows of a normal, a skewed, a categorical and a boolean feature, with predictions and outcomes."""
    random = np.random.default_rng(7)
    rows = 4_000
    features = {
        "age": random.normal(40.0, 10.0, rows),
        "amount": random.lognormal(3.0, 1.0, rows),
        "channel": random.choice(["web", "shop", "phone"], rows, p=[0.6, 0.3, 0.1]).tolist(),
        "member": (random.random(rows) < 0.5).tolist(),
    }
    predictions = 1.0 / (1.0 + np.exp(-(features["age"] - 40.0) / 10.0))
    return SimpleNamespace(features=features, predictions=predictions, outcomes=random.random(rows) < predictions)


@pytest.fixture(scope="session")
def reference(training):
    """The reference of the training data."""
    return dl.Reference.fit(training.features, predictions=training.predictions, outcomes=training.outcomes)


@pytest.fixture(scope="session")
def row():
    """One call's features."""
    return {"age": 41.0, "amount": 20.0, "channel": "web", "member": True}


class Telemetry:
    """Meter, logger and tracer providers in memory, with access to their telemetry."""

    def __init__(self, temporality=None):
        self.reader = InMemoryMetricReader(preferred_temporality=temporality or {})
        self.meter_provider = MeterProvider([self.reader])
        self._logs = InMemoryLogRecordExporter()
        self.logger_provider = LoggerProvider()
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self._spans = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))

    @property
    def providers(self):
        """The providers as keyword arguments of a monitor."""
        return {
            "meter_provider": self.meter_provider,
            "logger_provider": self.logger_provider,
            "tracer_provider": self.tracer_provider,
        }

    def metrics(self):
        """Return every metric of one collection, by name."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self):
        """Return name, attributes and value (the count for a histogram) of every point of one collection."""
        return [
            (name, dict(point.attributes), point.count if hasattr(point, "count") else point.value)
            for name, metric in self.metrics().items()
            for point in metric.data.data_points
        ]

    def value(self, name, **attributes):
        """Return the sum of the points with these attributes (``__`` for a dot), or None without such points."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        values = [value for key, have, value in self.points() if key == name and wanted.items() <= have.items()]
        return sum(values) if values else None

    def events(self):
        """Return the log records: (event name, attributes)."""
        return [(log.log_record.event_name, dict(log.log_record.attributes)) for log in self._logs.get_finished_logs()]

    def bodies(self):
        """Return the sentences of the log records."""
        return [log.log_record.body for log in self._logs.get_finished_logs()]

    def spans(self):
        """Return the finished spans."""
        return self._spans.get_finished_spans()

    def close(self):
        """Shut all providers down."""
        for provider in (self.meter_provider, self.logger_provider, self.tracer_provider):
            provider.shutdown()


@pytest.fixture
def telemetry():
    """An OpenTelemetry set-up in memory, cumulative."""
    setup = Telemetry()
    yield setup
    setup.close()


@pytest.fixture
def make_telemetry():
    """Return a function that makes further set-ups: ``make_telemetry(temporality)``."""
    setups = []

    def make(temporality=None):
        setups.append(Telemetry(temporality))
        return setups[-1]

    yield make
    for setup in setups:
        setup.close()


@pytest.fixture
def make_monitor(reference, telemetry):
    """Return a function that makes monitors with *telemetry*, which raise errors and are shut down after the test."""
    monitors = []

    def make(name="m", **options):
        monitor = dl.Monitor(
            name, **{"reference": reference, "on_error": "raise", "enabled": True, **telemetry.providers, **options}
        )
        monitors.append(monitor)
        return monitor

    yield make
    for monitor in monitors:
        monitor.shutdown()


@pytest.fixture(scope="session")
def readme_world():
    """Source code of what the README's examples take for granted: training data, a frame, a model."""
    return """
import numpy as np

random = np.random.default_rng(0)
delay = random.normal(10.0, 30.0, 5_000)
X_train = {"dep_delay": delay, "carrier": random.choice(["UA", "AA", "DL"], 5_000).tolist()}
p_train = 1.0 / (1.0 + np.exp(-delay / 30.0))
y_train = random.random(5_000) < p_train
frame, outputs = X_train, p_train


class model:
    @staticmethod
    def predict(features):
        return 0.7

"""
