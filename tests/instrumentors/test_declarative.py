"""The section ``driftline`` of a declarative configuration file, read by OpenTelemetry's own package."""

from __future__ import annotations

import joblib
import pytest

import driftline as dl
from driftline.instrumentors import DriftlineInstrumentor, SklearnInstrumentor, _state
from driftline.watching import monitor_of

configuration = pytest.importorskip("opentelemetry.configuration")
pytest.importorskip("yaml")


@pytest.fixture
def apply(tmp_path):
    """Return a function that applies a file with a section ``driftline``."""

    def apply(section):
        file = tmp_path / "otel.yaml"
        file.write_text('file_format: "1.0"\ninstrumentation/development:\n  python:\n' + section, encoding="utf-8")
        configuration.configure_sdk(configuration.load_config_file(str(file)))

    yield apply
    if DriftlineInstrumentor().is_instrumented_by_opentelemetry:
        DriftlineInstrumentor().uninstrument()


@pytest.mark.slow
def test_a_file_configures_monitors(apply, instrument, telemetry, trained, tmp_path):
    """Name, reference path, window, rule and exports."""
    joblib.dump(trained.model, tmp_path / "plain.joblib")
    trained.reference.save(tmp_path / "r.json")
    apply(f"""
    driftline:
      export_bins: true
      window: 10min every 1min
      monitors:
        - name: delay
          version: "4"
          model: "*/plain.joblib"
          reference: {tmp_path / "r.json"}
          window: {{rows: 200}}
          rule:
            false_alarms: {{count: 1, per: 7d}}
""")
    instrument()
    model = joblib.load(tmp_path / "plain.joblib")
    model.predict(trained.rows[:200])
    assert monitor_of(model).version == "4"
    assert telemetry.value("ml.feature.observations", ml__model__name="delay", ml__feature__name="age") == 200
    assert {status.length for status in monitor_of(model).scores()} == {"200 rows"}


def test_a_mistake_is_in_the_log_and_nothing_is_watched(apply, caplog, file, telemetry):
    """OpenTelemetry logs what the section raises, and goes on; no model is watched with other options."""
    apply("""
    driftline:
      monitors:
        - name: delay
          window: {rows: 0}
""")
    assert "monitors[0]: rows=0: expected an integer from 1" in caplog.text
    with pytest.raises(dl.ConfigurationError, match="rows=0"):
        SklearnInstrumentor().instrument(meter_provider=telemetry.meter_provider)
    SklearnInstrumentor().instrument(skip_dep_check=True)
    assert "SklearnInstrumentor is off: monitors[0]: rows=0" in caplog.text
    assert monitor_of(joblib.load(file)) is None


def test_a_section_can_be_disabled(apply):
    """As those of other instrumentors."""
    apply("""
    driftline:
      enabled: false
      window: 10
""")
    assert not DriftlineInstrumentor().is_instrumented_by_opentelemetry
    assert _state.current_options().default.arguments == {}


def test_uninstrumenting_forgets_the_file(apply):
    """What follows is the configuration of the environment."""
    apply("""
    driftline:
      window: 10
""")
    assert _state.current_options().default.arguments == {"window": dl.Window(rows=10)}
    DriftlineInstrumentor().uninstrument()
    assert _state.current_options().default.arguments == {}
