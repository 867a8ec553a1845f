"""The variables that choose exporters, protocols and endpoints: what they mean, and what a wrong value says."""

from __future__ import annotations

import os

import pytest

import driftline as dl
from driftline.otel import _environment as environment
from driftline.otel import _exporters

SIGNALS = ("metrics", "logs", "traces")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """Remove the variables of the machine that runs the tests."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def anything(_):
    return True


def nothing(_):
    return False


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, ("otlp",)),
        ("", ("otlp",)),
        ("  ", ("otlp",)),
        ("none", ()),
        (" NONE ", ()),
        ("OTLP", ("otlp",)),
        ("console, otlp", ("console", "otlp")),
        ("otlp,otlp", ("otlp",)),
        ("Vendor_x", ("Vendor_x",)),
    ],
)
@pytest.mark.parametrize("signal", SIGNALS)
def test_names_of_exporters(monkeypatch, signal, value, names):
    if value is not None:
        monkeypatch.setenv(f"OTEL_{signal.upper()}_EXPORTER", value)
    assert environment.exporters(signal, installed=anything) == names


@pytest.mark.parametrize("value", ["otpl", "none,otlp", "otlp,", "prometheus", "logging"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_a_wrong_exporter_is_named_with_its_variable(monkeypatch, signal, value):
    monkeypatch.setenv(f"OTEL_{signal.upper()}_EXPORTER", value)
    with pytest.raises(dl.ConfigurationError, match=f"OTEL_{signal.upper()}_EXPORTER='{value}': expected "):
        environment.exporters(signal, installed=nothing)


def test_prometheus_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "prometheus")
    with pytest.raises(dl.ConfigurationError, match="pip install opentelemetry-exporter-prometheus"):
        environment.exporters("metrics", installed=nothing)


def test_the_protocol_of_a_signal_goes_before_that_of_all(monkeypatch):
    assert environment.protocol_of("metrics", None) == "http/protobuf"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "HTTP/protobuf")
    assert environment.protocol_of("metrics", None) == "http/protobuf"
    assert environment.protocol_of("logs", None) == "grpc"
    assert environment.protocol_of("logs", "http/protobuf") == "http/protobuf"


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"])
def test_a_wrong_protocol_is_named_with_its_variable(monkeypatch, variable):
    monkeypatch.setenv(variable, "http/json")
    with pytest.raises(dl.ConfigurationError, match=f"{variable}='http/json': expected 'http/protobuf' or 'grpc'"):
        environment.protocol_of("logs", None)


@pytest.mark.parametrize(
    ("suffix", "value"),
    [
        ("ENDPOINT", "localhost:4318"),
        ("ENDPOINT", "http://"),
        ("ENDPOINT", "ftp://collector"),
        ("ENDPOINT", "http://collector:99999"),
        ("ENDPOINT", "http://[collector"),
        ("ENDPOINT", "http://a b"),
        ("TIMEOUT", "10s"),
        ("TIMEOUT", "nan"),
        ("TIMEOUT", "-1"),
        ("COMPRESSION", "zip"),
    ],
)
@pytest.mark.parametrize("scope", ["", "TRACES_"])
def test_a_wrong_value_is_named_with_its_variable(monkeypatch, scope, suffix, value):
    variable = f"OTEL_EXPORTER_OTLP_{scope}{suffix}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(dl.ConfigurationError) as raised:
        environment.check_otlp("traces", "http/protobuf", endpoint=True)
    assert str(raised.value).startswith(f"{variable}={value!r}: expected ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulativ"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "exponential"),
    ],
)
def test_a_wrong_value_of_metrics_is_named_with_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    environment.check_otlp("logs", "grpc", endpoint=True)
    with pytest.raises(dl.ConfigurationError, match=variable):
        environment.check_otlp("metrics", "grpc", endpoint=True)


def test_a_variable_that_another_overrides_is_not_read(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense with blanks")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://collector:4318/x")
    environment.check_otlp("metrics", "http/protobuf", endpoint=True)
    environment.check_otlp("logs", "http/protobuf", endpoint=False)
    with pytest.raises(dl.ConfigurationError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        environment.check_otlp("logs", "http/protobuf", endpoint=True)


@pytest.mark.parametrize(
    "value", ["localhost:4317", "http://localhost:4317", "unix:///tmp/otlp.sock", "dns:///host:4317"]
)
def test_what_grpc_takes_as_an_endpoint(value):
    environment.check_endpoint("endpoint", value, "grpc")


def test_a_disabled_sdk_has_no_exporters(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", " TRUE ")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "nonsense")
    assert _exporters.choose(SIGNALS, None, None) == dict.fromkeys(SIGNALS, _exporters.Chosen())


def test_an_exporter_that_does_not_start_is_a_configuration_error():
    def fail():
        message = "port 9464 is in use"
        raise OSError(message)

    chosen = {"metrics": _exporters.Chosen(readers=(fail,))}
    with pytest.raises(dl.ConfigurationError, match=r"The exporter of metrics does not start.*port 9464 is in use"):
        _exporters.open_outputs(chosen, losses=None)
