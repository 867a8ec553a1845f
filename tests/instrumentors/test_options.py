"""Options of a file and of environment variables: values, precedence, and messages."""

from __future__ import annotations

import pytest

import driftline as dl
from driftline.instrumentors import _state
from driftline.instrumentors._options import read_options


@pytest.fixture
def path(reference, tmp_path):
    """The path of a reference."""
    file = tmp_path / "delay.reference.json"
    reference.save(file)
    return str(file)


@pytest.fixture(autouse=True)
def unconfigured():
    """Each test begins without a configuration."""
    _state.reset()
    yield
    _state.reset()


def test_without_a_configuration_everything_is_default():
    """No key is an argument of `Monitor`."""
    options = read_options({})
    assert options.models == ()
    assert options.default.arguments == {}
    assert options.default.learn == 10_000


def test_a_section_describes_models(path):
    """Defaults apply to all models, and an entry overrides them."""
    options = read_options(
        {
            "window": "10min every 1min",
            "rule": {"false_alarms": {"count": 2, "per": "7d"}},
            "export_bins": True,
            "monitors": [
                {"name": "delay", "reference": path, "window": {"rows": 500}},
                {"name": "price", "model": "*/price.joblib", "rule": "psi=0.2, mean=0.3", "learn": 0},
            ],
        }
    )
    delay, price = options.of("delay", None), options.of("anything", "/srv/price.joblib")
    assert delay.arguments["window"] == dl.Window(rows=500)
    assert delay.arguments["rule"] == dl.FalseAlarms(2, per="7d")
    assert delay.reference == path
    assert price.name == "price"
    assert price.arguments["window"] == dl.Window("10min", every="1min")
    assert price.arguments["rule"] == dl.Thresholds(psi=0.2, mean=0.3)
    assert price.arguments["export_bins"] is True
    assert price.learn == 0
    assert options.of("other", "/srv/other.joblib") is options.default
    assert options.default.arguments["rule"] == dl.FalseAlarms(2, per="7d")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"windw": 5}, "driftline: unknown 'windw', expected monitors, window, rule"),
        ({"window": 0}, "driftline: rows=0: expected an integer from 1"),
        ({"window": "10 rows every 1min"}, "window='10 rows every 1min': expected rows such as 5000, '10min'"),
        ({"window": {"row": 5}}, "window: unknown 'row', expected length, rows, every"),
        ({"window": [5]}, r"window=\[5\]: expected rows"),
        ({"rule": "often"}, "rule='often': expected '1 per 30d'"),
        ({"rule": "x per 30d"}, "rule='x per 30d': expected '1 per 30d'"),
        ({"rule": {"false_alarms": {"per": "30 days"}}}, "per='30 days': expected a positive duration"),
        ({"rule": {"false_alarms": 3}}, "rule: false_alarms=3: expected a mapping of arguments"),
        ({"rule": {"thresholds": {"ps": 0.2}}}, "'ps'"),
        ({"rule": {"x": {}, "y": {}}}, "expected '1 per 30d'"),
        ({"export_bins": "yes"}, "export_bins='yes': expected True or False"),
        ({"distances": ["psy"]}, "'psy'"),
        ({"learn": -1}, "learn=-1: expected an integer of at least 0"),
        ({"learn": 5}, "rows=5: expected"),
        ({"monitors": {"name": "m"}}, "monitors={'name': 'm'}: expected a list of mappings"),
        ({"monitors": ["m"]}, r"monitors\[0\]='m': expected a mapping with a name"),
        ({"monitors": [{"reference": "x"}]}, r"monitors\[0\]: name=None: expected a string"),
        ({"monitors": [{"name": "m"}, {"name": "m" * 300}]}, r"monitors\[1\]: name='m+"),
        ({"monitors": [{"name": "m", "version": 3}]}, r"monitors\[0\]: version=3: expected a string"),
        ({"monitors": [{"name": "m", "route": "/predict"}]}, "reference=None: expected the path of the reference"),
        ({"monitors": [{"name": "m", "model": 7}]}, "model=7: expected a string"),
    ],
)
def test_a_mistake_is_named(section, message):
    """With the messages of `Monitor`, and the entry."""
    with pytest.raises(dl.ConfigurationError, match=message):
        read_options(section)


def test_a_file_that_is_absent_or_damaged_is_named(tmp_path):
    """At the start, and not when the first model is loaded."""
    absent, damaged = tmp_path / "absent.json", tmp_path / "damaged.json"
    damaged.write_text('{"schema_version": 1,')
    for file in (absent, damaged):
        with pytest.raises(dl.ReferenceError, match=file.name):
            read_options({"monitors": [{"name": "m", "reference": str(file)}]})


def test_variables_describe_one_model(monkeypatch, path):
    """The short prefix counts before the long one, and a file before both."""
    monkeypatch.setenv("OTEL_PYTHON_DRIFTLINE_NAME", "long")
    monkeypatch.setenv("OTEL_PYTHON_DRIFTLINE_VERSION", "3")
    monkeypatch.setenv("DRIFTLINE_NAME", "short")
    monkeypatch.setenv("DRIFTLINE_REFERENCE", path)
    monkeypatch.setenv("DRIFTLINE_WINDOW", "700")
    monkeypatch.setenv("DRIFTLINE_RULE", "3 per 1d")
    monkeypatch.setenv("DRIFTLINE_EXPORT_BINS", "On")
    monkeypatch.setenv("DRIFTLINE_DISTANCES", "psi, js")
    monkeypatch.setenv("DRIFTLINE_LEARN", "0")
    model = read_options({}).of("file", "/srv/file.joblib")
    assert (model.name, model.version, model.reference, model.learn) == ("short", "3", path, 0)
    assert model.arguments["window"] == dl.Window(rows=700)
    assert model.arguments["rule"] == dl.FalseAlarms(3, per="1d")
    assert model.arguments["export_bins"] is True
    assert model.arguments["distances"] == ["psi", "js"]
    assert read_options({"window": 900}).default.arguments["window"] == dl.Window(rows=900)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DRIFTLINE_EXPORT_BINS", "maybe", "DRIFTLINE_EXPORT_BINS='maybe': expected true or false"),
        ("OTEL_PYTHON_DRIFTLINE_LEARN", "many", "OTEL_PYTHON_DRIFTLINE_LEARN='many': expected a number of rows"),
        ("DRIFTLINE_WINDOW", "soon", "length='soon': expected a positive duration"),
        ("DRIFTLINE_ROUTE", "/predict", "reference=None: expected the path"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch, name, value, message):
    """With its name, or that of the argument."""
    monkeypatch.setenv(name, value)
    with pytest.raises(dl.ConfigurationError, match=message):
        read_options({})


def test_a_reference_without_a_name_is_refused(monkeypatch, path):
    """Every model of the process would get it."""
    monkeypatch.setenv("DRIFTLINE_REFERENCE", path)
    with pytest.raises(dl.ConfigurationError, match="expected DRIFTLINE_NAME"):
        read_options({})


def test_after_a_wrong_section_there_are_no_options():
    """No model is watched with options that were not intended."""
    with pytest.raises(dl.ConfigurationError):
        _state.configure({"window": 0})
    with pytest.raises(dl.ConfigurationError, match="rows=0"):
        _state.current_options()
    _state.reset()
    assert _state.current_options().models == ()
