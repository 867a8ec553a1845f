"""Models that carry a reference are watched as joblib and skops load them."""

from __future__ import annotations

import gc
import io
import logging
import threading
import tracemalloc

import joblib
import numpy as np
import pytest
import sklearn

import driftline as dl
from driftline.instrumentors import SklearnInstrumentor
from driftline.watching import monitor_of


def served(telemetry, name, **attributes):
    """Return the predictions of a model."""
    return telemetry.value("ml.predictions.served", ml__model__name=name, **attributes)


def test_a_model_that_carries_a_reference_is_watched(instrument, telemetry, file, trained):
    """Results are those of the model, and every row is counted."""
    instrument()
    model = joblib.load(file)
    assert (model.predict(trained.rows) == trained.model.predict(trained.rows)).all()
    model.predict_proba(trained.rows[:7])
    assert monitor_of(model).name == "delay"
    assert served(telemetry, "delay") == len(trained.rows) + 7
    assert telemetry.value("ml.monitor.errors") is None


def test_all_ways_to_name_a_file_work(instrument, file):
    """A path, a keyword, a file object with a name, and a buffer without one."""
    instrument()
    with file.open("rb") as opened:
        models = [joblib.load(str(file)), joblib.load(filename=file), joblib.load(opened)]
    assert [monitor_of(model).name for model in models] == ["delay"] * 3
    assert monitor_of(joblib.load(io.BytesIO(file.read_bytes()))).name == "model"


def test_skops_files_are_watched(instrument, telemetry, trained, tmp_path):
    """`load` and `loads`, with the arguments that skops needs."""
    io_of_skops = pytest.importorskip("skops.io")
    path = tmp_path / "delay.skops"
    dl.carry(trained.model, trained.reference)
    io_of_skops.dump(trained.model, path)
    originals = io_of_skops.load, io_of_skops.loads
    instrumentor = instrument()
    loaded = io_of_skops.load(path), io_of_skops.loads(path.read_bytes())
    for model in loaded:
        model.predict(trained.rows[:5])
    assert (served(telemetry, "delay"), served(telemetry, "model")) == (5, 5)
    instrumentor.uninstrument()
    assert (io_of_skops.load, io_of_skops.loads) == originals


def test_models_in_containers_are_watched(instrument, telemetry, trained, tmp_path):
    """Programs keep a model beside its columns."""
    dl.carry(trained.model, trained.reference)
    for name, content in (("dict", {"model": trained.model, "columns": [1]}), ("pair", (1, trained.model))):
        joblib.dump(content, tmp_path / f"{name}.joblib")
    instrument()
    joblib.load(tmp_path / "dict.joblib")["model"].predict(trained.rows[:3])
    joblib.load(tmp_path / "pair.joblib")[1].predict(trained.rows[:4])
    assert (served(telemetry, "dict"), served(telemetry, "pair")) == (3, 4)


def test_a_neighbour_file_belongs_to_the_model(instrument, telemetry, trained, tmp_path):
    """A reference beside the file is as good as one in the object."""
    path = tmp_path / "beside.joblib"
    joblib.dump(trained.model, path)
    dl.carry(path, trained.reference)
    instrument()
    joblib.load(path).predict(trained.rows[:9])
    assert served(telemetry, "beside") == 9


def test_other_files_are_not_affected(instrument, telemetry, trained, tmp_path):
    """Arrays, and models without a reference, come back as they were."""
    contents = {"model": trained.model, "array": np.arange(5.0), "items": [1, "a", None], "text": "x"}
    for name, content in contents.items():
        joblib.dump(content, tmp_path / name)
    instrument()
    loaded = {name: joblib.load(tmp_path / name) for name in contents}
    assert type(loaded["model"]) is type(trained.model)
    assert monitor_of(loaded["model"]) is None
    assert (loaded["array"] == contents["array"]).all()
    assert (loaded["items"], loaded["text"]) == (contents["items"], "x")
    assert telemetry.metrics() == {}


def test_a_configured_reference_serves_a_model_without_one(instrument, telemetry, trained, tmp_path):
    """The entry names it by a pattern of its path."""
    path, reference = tmp_path / "plain.joblib", tmp_path / "r.json"
    joblib.dump(trained.model, path)
    trained.reference.save(reference)
    entry = {"name": "price", "version": "7", "model": "*/plain.joblib", "reference": str(reference)}
    instrument(monitors=[entry], window=100, rule="1 per 7d", export_bins=True)
    model = joblib.load(path)
    model.predict(trained.rows[:100])
    assert served(telemetry, "price", ml__model__version="7") == 100
    assert telemetry.value("ml.feature.observations", ml__feature__name="age") == 100


# --- instrumenting and restoring -------------------------------------------------------------------------------------


def test_uninstrumenting_restores_the_original(instrument, telemetry, file, trained):
    """Models that were loaded before are what they were, and a wrapper that was kept passes through."""
    original = joblib.load
    instrumentor = instrument()
    kept, model = joblib.load, joblib.load(file)
    assert kept is not original
    model.predict(trained.rows[:3])
    instrumentor.uninstrument()
    assert joblib.load is original
    assert type(model) is type(trained.model)
    model.predict(trained.rows[:3])
    assert monitor_of(kept(file)) is None
    assert served(telemetry, "delay") == 3


def test_instrumenting_twice_is_a_warning(instrument, telemetry, file, trained, caplog):
    """The function is wrapped once, and restored by one call."""
    original = joblib.load
    instrumentor = instrument()
    wrapper = joblib.load
    instrumentor.instrument()
    assert "already instrumented" in caplog.text
    assert joblib.load is wrapper
    joblib.load(file).predict(trained.rows[:3])
    assert served(telemetry, "delay") == 3
    instrumentor.uninstrument()
    assert joblib.load is original


def test_it_can_be_instrumented_again(instrument, telemetry, file, trained):
    """With other options."""
    for rows in (3, 4):
        instrumentor = instrument(monitors=[{"name": "delay", "version": str(rows)}])
        joblib.load(file).predict(trained.rows[:rows])
        instrumentor.uninstrument()
    assert [served(telemetry, "delay", ml__model__version=version) for version in "34"] == [3, 4]


@pytest.mark.parametrize("names", ["driftline_sklearn, flask", "driftline", "*"])
def test_the_variable_of_opentelemetry_turns_it_off(monkeypatch, names):
    """By the name of the entry point, which the distribution reads, or that of driftline, for all."""
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", names)
    from opentelemetry.instrumentation.auto_instrumentation import _load  # noqa: PLC0415
    from opentelemetry.instrumentation.distro import DefaultDistro  # noqa: PLC0415

    original = joblib.load
    _load._load_instrumentors(DefaultDistro())  # noqa: SLF001
    assert joblib.load is original
    assert not SklearnInstrumentor().is_instrumented_by_opentelemetry


def test_a_wrong_option_raises_by_hand_and_is_logged_automatically(caplog, monkeypatch):
    """Instrumentors of other libraries must go on."""
    original = joblib.load
    with pytest.raises(dl.ConfigurationError, match="unknown 'windw'"):
        SklearnInstrumentor().instrument(windw=5)
    monkeypatch.setenv("DRIFTLINE_WINDOW", "soon")
    SklearnInstrumentor().instrument(skip_dep_check=True)
    assert "SklearnInstrumentor is off: driftline: length='soon'" in caplog.text
    assert joblib.load is original
    assert not SklearnInstrumentor().is_instrumented_by_opentelemetry


def test_nothing_happens_when_driftline_is_disabled(instrument, telemetry, file, trained, monkeypatch):
    """The variable that turns every monitor off."""
    monkeypatch.setenv("DRIFTLINE_ENABLED", "false")
    instrument()
    model = joblib.load(file)
    model.predict(trained.rows)
    assert type(model) is type(trained.model)
    assert telemetry.metrics() == {}


# --- hostile models --------------------------------------------------------------------------------------------------


def test_errors_of_the_original_go_on(instrument, telemetry, tmp_path):
    """They are not counted."""
    (tmp_path / "broken").write_bytes(b"no pickle")
    expected = []
    for path in (tmp_path / "absent", tmp_path / "broken"):
        with pytest.raises(Exception) as error:  # noqa: PT011 - whatever joblib raises
            joblib.load(path)
        expected.append((type(error.value), str(error.value)))
    instrument()
    for path, (kind, message) in zip((tmp_path / "absent", tmp_path / "broken"), expected, strict=True):
        with pytest.raises(kind) as error:
            joblib.load(path)
        assert str(error.value) == message
    assert telemetry.metrics() == {}


def test_errors_of_the_model_go_on(instrument, telemetry, file):
    """The exception is counted as a failed prediction, not as an error of driftline."""
    instrument()
    with pytest.raises(ValueError, match="features"):
        joblib.load(file).predict(np.zeros((2, 17)))
    assert served(telemetry, "delay", error__type="ValueError") == 2 or served(telemetry, "delay") is not None
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="instrumentor") is None


def test_a_damaged_reference_is_counted_and_the_model_serves(instrument, telemetry, file, trained, caplog):
    """The log says why, once for each model, and what to read."""
    model = joblib.load(file)
    vars(model)["_driftline_reference"] = "{"
    joblib.dump(model, file)
    instrument()
    for _ in range(3):
        loaded = joblib.load(file)
        assert (loaded.predict(trained.rows) == trained.model.predict(trained.rows)).all()
    assert telemetry.value("ml.monitor.errors", ml__model__name="delay", ml__monitor__place="instrumentor") == 3
    assert len([record for record in caplog.records if "model delay, instrumentor: " in record.message]) == 1
    assert "reference" in caplog.text


def test_a_reference_of_other_features_is_counted_and_the_model_serves(instrument, telemetry, train, tmp_path, caplog):
    """It was copied from another model. The log has both lists."""
    pandas = pytest.importorskip("pandas")
    model, rows, _ = train()
    model.fit(pandas.DataFrame(rows, columns=["age", "amount", "hour"]), rows[:, 0] > 0)
    other = dl.carry(model, dl.Reference.fit(dict(zip(("age", "amount", "hour"), rows.T, strict=True))))
    other.feature_names_in_ = np.array(["height", "width", "depth"], dtype=object)
    joblib.dump(other, tmp_path / "renamed.joblib")
    instrument()
    assert monitor_of(joblib.load(tmp_path / "renamed.joblib")) is None
    assert telemetry.value("ml.monitor.errors", ml__model__name="renamed", ml__monitor__place="instrumentor") == 1
    assert "height" in caplog.text
    assert "age" in caplog.text


def test_a_hook_that_fails_is_counted(instrument, telemetry, file, trained, monkeypatch, caplog):
    """Whatever it is that fails: the program gets its model."""

    def fail(*_):
        value = "42.5 of a customer"
        raise KeyError(value)

    instrument()
    monkeypatch.setattr("driftline.carrying.carried", fail)
    assert (joblib.load(file).predict(trained.rows) == trained.model.predict(trained.rows)).all()
    assert telemetry.value("ml.monitor.errors", ml__model__name="delay", ml__monitor__place="instrumentor") == 1
    assert "KeyError in fail" in caplog.text
    assert "customer" not in caplog.text


def test_a_hook_that_fails_raises_in_tests(instrument, file, monkeypatch):
    """The switch is the option or the variable."""

    def fail(*_):
        raise KeyError

    instrument(on_error="raise")
    monkeypatch.setattr("driftline.carrying.carried", fail)
    with pytest.raises(KeyError):
        joblib.load(file)


def test_interrupts_go_on(instrument, file, monkeypatch):
    """A hook does not swallow what ends a program."""

    def fail(*_):
        raise KeyboardInterrupt

    instrument()
    monkeypatch.setattr("driftline.carrying.carried", fail)
    with pytest.raises(KeyboardInterrupt):
        joblib.load(file)


def test_two_models_of_one_name_have_two_monitors(instrument, telemetry, train, tmp_path, caplog):
    """While both are in use, the later one has a variant, and no row is counted in bins of the other."""
    instrument()
    loaded = []
    for seed, shift in ((0, 0.0), (1, 5.0)):
        model, rows, reference = train(seed, shift)
        (tmp_path / str(seed)).mkdir()
        path = tmp_path / str(seed) / "delay.joblib"
        joblib.dump(dl.carry(model, reference), path)
        loaded.append(joblib.load(path))
        loaded[-1].predict(rows[: 10 + seed])
    monitors = [monitor_of(model) for model in loaded]
    assert monitors[0] is not monitors[1]
    assert monitors[0].variant is None
    assert monitors[1].variant
    assert "model delay: another model of this name and version is in use" in caplog.text
    assert served(telemetry, "delay", ml__model__variant=monitors[1].variant) == 11
    assert served(telemetry, "delay") == 21


def test_a_retrained_model_replaces_the_reference(instrument, telemetry, train, tmp_path):
    """Once no object of the earlier one is in use: the monitor, its thread and its counters stay."""
    instrument()
    path, monitors = tmp_path / "delay.joblib", []
    for seed in range(4):
        model, rows, reference = train(seed, float(seed))
        joblib.dump(dl.carry(model, reference), path)
        loaded = joblib.load(path)
        loaded.predict(rows[:50])
        monitors.append(monitor_of(loaded))
        assert monitors[-1].reference.to_json() == reference.to_json()
        del loaded, model
        gc.collect()
    assert len({id(monitor) for monitor in monitors}) == 1
    assert served(telemetry, "delay") == 200


def test_a_model_of_a_hundred_names_is_served_without_a_monitor(instrument, telemetry, trained, tmp_path, caplog):
    """The number of monitors, threads and series is bounded."""
    instrument()
    before = threading.active_count()
    dl.carry(trained.model, trained.reference)
    models = []
    for index in range(70):
        joblib.dump(trained.model, tmp_path / f"m{index}.joblib")
        models.append(joblib.load(tmp_path / f"m{index}.joblib"))
    assert sum(monitor_of(model) is not None for model in models) == 64
    assert threading.active_count() <= before + 64
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="instrumentor") == 6
    assert "64 models are watched" in caplog.text


@pytest.mark.slow
def test_a_model_that_is_loaded_a_thousand_times_has_one_monitor(instrument, telemetry, file, trained):
    """Threads, series and memory are flat, whether the program keeps the objects or not."""
    instrument()
    kept = [joblib.load(file) for _ in range(100)]
    for model in kept:
        model.predict(trained.rows[:1])
    threads, points = threading.active_count(), len(telemetry.points())
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(900):
            joblib.load(file).predict(trained.rows[:1])
        gc.collect()
        growth, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len({id(monitor_of(model)) for model in kept}) == 1
    assert threading.active_count() == threads
    assert len(telemetry.points()) == points
    assert growth < 300_000
    assert served(telemetry, "delay") == 1_000


def test_many_threads_load_one_model(instrument, telemetry, file, trained):
    """They get one monitor, and every prediction counts."""
    instrument()
    barrier, models = threading.Barrier(8), []

    def load():
        barrier.wait()
        model = joblib.load(file)
        for _ in range(20):
            model.predict(trained.rows[:1])
        models.append(model)

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(monitor_of(model)) for model in models}) == 1
    assert served(telemetry, "delay") == 160


@pytest.mark.slow
def test_joblib_goes_on_as_before(instrument, trained, tmp_path):
    """Its cache, its processes and scikit-learn's clones know no hook."""
    instrument()
    dl.carry(trained.model, trained.reference)
    joblib.dump(trained.model, tmp_path / "m.joblib")
    model = joblib.load(tmp_path / "m.joblib")
    memory = joblib.Memory(tmp_path / "cache", verbose=0)
    assert memory.cache(np.mean)(trained.rows) == memory.cache(np.mean)(trained.rows)
    parts = joblib.Parallel(n_jobs=2)(joblib.delayed(model.predict)(trained.rows[:10]) for _ in range(2))
    assert (parts[0] == trained.model.predict(trained.rows[:10])).all()
    assert monitor_of(sklearn.clone(model)) is None
    loaded = joblib.Parallel(n_jobs=2)(joblib.delayed(joblib.load)(tmp_path / "m.joblib") for _ in range(2))
    assert (loaded[0].predict(trained.rows) == trained.model.predict(trained.rows)).all()


def test_logging_names_the_logger(instrument, telemetry, file, caplog):
    """A model that is watched says nothing."""
    instrument()
    with caplog.at_level(logging.WARNING, logger="driftline"):
        joblib.load(file)
    assert [record for record in caplog.records if record.name == "driftline"] == []
