"""The decorator and the context manager: results and errors stay the same, and each prediction counts once."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import driftline as dl


class Hostile:
    """An object whose every access raises."""

    __hash__ = None

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __eq__(self, other):
        raise RuntimeError

    def __str__(self):
        raise RuntimeError


class HostileDict(dict):
    """A dict that raises when it is read."""

    def __iter__(self):
        raise RuntimeError

    def __len__(self):
        raise ValueError


@dataclasses.dataclass(slots=True)
class HalfSet:
    """A dataclass with a field that is never set."""

    age: float
    amount: float = dataclasses.field(init=False)


COLUMNS = {"age": [1.0, 2.0], "amount": [3.0, None], "channel": ["web", "fax"], "member": [True, None]}
FRAME = pd.DataFrame(COLUMNS)
FEATURES = {
    "nothing": None,
    "a number": 3,
    "a text": "web",
    "an empty dict": {},
    "an empty list": [],
    "a set": {1, 2},
    "a generator": (number for number in (1, 2)),
    "ragged rows": [[1, 2, 3, 4], [1]],
    "nested rows": [[1, [2]], 3],
    "0-d": np.array(3.0),
    "3-d": np.zeros((2, 2, 2)),
    "float16": np.zeros((40, 4), np.float16),
    "objects": np.array([[0.1, 5, "web", True]] * 40, dtype=object),
    "structured": np.zeros(40, dtype=[("age", "f8"), ("amount", "f8")]),
    "dates": np.zeros((40, 4), "M8[s]"),
    "masked": np.ma.masked_array(np.zeros((40, 4)), mask=True),
    "no rows": FRAME.iloc[:0],
    "no columns": pd.DataFrame(),
    "a column twice": pd.DataFrame([[1, 2, 3, 4]], columns=["age", "age", "amount", "member"]),
    "numbered columns": pd.DataFrame(np.zeros((3, 4))),
    "columns of two levels": pd.DataFrame(np.zeros((3, 4)), columns=pd.MultiIndex.from_product([["a", "b"], [1, 2]])),
    "nullable": FRAME.convert_dtypes(),
    "category": FRAME.astype({"channel": "category"}),
    "arrow-backed": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame(COLUMNS),
    "lazy": pl.DataFrame(COLUMNS).lazy(),
    "arrow dictionary": pa.table({"channel": pa.array(["web", "fax"]).dictionary_encode()}),
    "columns of unequal length": {"age": [1, 2], "amount": [1]},
    "a huge number": {"age": 10**400, "amount": -(10**400)},
    "unhashable": {"age": 1.0, "channel": ["web"]},
    "half a surrogate": {"age": 1.0, "channel": "\ud800"},
    "names that are none": {0: 1, None: 2},
    "half set": HalfSet(1.0),
    "hostile": Hostile(),
    "hostile values": {"age": Hostile(), "amount": Hostile(), "channel": Hostile(), "member": Hostile()},
    "hostile dict": HostileDict(age=1.0),
}
OUTPUTS = {"a number": 0.5, "nothing": None, "an array": np.zeros((3, 2)), "an object": object(), "hostile": Hostile()}


@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES)
@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("trace", [False, True])
@pytest.mark.slow
def test_results_and_errors_pass_through_unchanged(make_monitor, features, output, trace):
    """The same object and the same exception, for any features and outputs."""
    monitor = make_monitor(on_error="log", synchronous=True, trace=trace)

    @monitor.instrument(prediction_id=lambda _: "an id", user_id=lambda _: 7)
    def predict(argument):
        assert argument is features
        return output

    @monitor.instrument
    def fails(argument):
        raise error

    assert predict(features) is output
    error = LookupError(features)
    with pytest.raises(LookupError) as raised:
        fails(features)
    assert raised.value is error
    with monitor.prediction(features) as call:
        call.output = output
    monitor.observe(features, output)
    monitor.observe(features, output, prediction_ids=[1, 2], seconds=0.1)
    monitor.outcome("an id", output)
    monitor.flush()
    snapshot = monitor.snapshot()
    widths = [feature.bins.size for feature in monitor.reference.features]
    starts = np.cumsum([0, *widths])
    # Every row is in one bin of each feature.
    for start, width in zip(starts, widths, strict=False):
        assert snapshot.counts[start : start + width].sum() == snapshot.rows


def test_user_functions_that_raise_are_counted(monitor, counted, telemetry, row):
    """Each raises an error count at its place; the prediction counts with the features that could be read."""

    def fails(*_):
        message = "not for this call"
        raise RuntimeError(message)

    for option in ("features", "output", "prediction_id", "user_id"):
        assert monitor.instrument(lambda features: features["age"], **{option: fails})(row) == row["age"]
    assert counted() == (4, 0, 4)
    assert telemetry.value("ml.monitor.rows.dropped", ml__monitor__reason="unreadable") == 1
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="features") == 1
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="output") == 1
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="prediction_id") == 1


def test_user_id_that_raises_keeps_the_prediction_id(make_monitor, telemetry, row):
    """The outcome is joined although ``user_id=`` raised."""
    monitor = make_monitor(on_error="log", synchronous=True, trace=True)
    function = monitor.instrument(lambda _: 0.9, prediction_id=lambda _: "p", user_id=lambda features: features["user"])
    function(row)
    monitor.outcome("p", actual=True)
    assert telemetry.value("ml.outcomes", ml__outcome__result="correct") == 1
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="user_id") == 1
    (span,) = telemetry.spans()
    assert span.attributes["ml.prediction.id"] == "p"
    assert "enduser.id" not in span.attributes


def test_span_has_the_user_id_and_the_error_type_only(make_monitor, telemetry, row):
    """The message of an exception may quote a feature, so the span carries its class alone."""
    monitor = make_monitor(trace=True, version="3")

    @monitor.instrument(user_id=lambda _: 42)
    def predict(features):
        message = f"no tariff for {features['age']}"
        raise LookupError(message)

    with pytest.raises(LookupError):
        predict(row)
    with monitor.prediction(row, user_id="someone") as call:
        call.output = 0.5
    failed, served = telemetry.spans()
    assert (failed.attributes["enduser.id"], served.attributes["enduser.id"]) == ("42", "someone")
    assert failed.attributes["error.type"] == "LookupError"
    assert failed.status.status_code.name == "ERROR"
    assert "tariff" not in failed.to_json()
    assert served.attributes["ml.prediction.id"] == call.id
    assert served.attributes["ml.model.version"] == "3"


def test_span_that_cannot_be_ended_is_detached(make_monitor, telemetry, row, monkeypatch):
    """Later spans of the host are not its children."""
    from opentelemetry import trace  # noqa: PLC0415 - the host's own tracing
    from opentelemetry.sdk.trace import Span  # noqa: PLC0415 - as above

    monitor = make_monitor(on_error="log", trace=True)

    def fails(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Span, "end", fails)
        assert monitor.instrument(lambda _: 0.5)(row) == 0.5
    assert not trace.get_current_span().get_span_context().is_valid
    assert telemetry.value("ml.monitor.errors", ml__monitor__place="span") == 1


# --- the decorated function -------------------------------------------------------------------------------------------


def generator(features, steps: int = 2):
    """A generator function."""
    yield from range(steps)


async def coroutine(features):
    """Say something."""
    return features["age"]


async def stream(features, *, twice: bool = False):
    """Yield something."""
    yield features["age"]


def plain(features, scale: float = 1.0) -> float:
    """Compute something."""
    return features["age"] * scale


@pytest.mark.parametrize("function", [plain, generator, coroutine, stream], ids=lambda one: one.__name__)
def test_decorated_function_looks_the_same(monitor, function):
    """Its name, docstring, signature and kind."""
    wrapped = monitor.instrument(function)
    assert wrapped is not function
    assert wrapped.__wrapped__ is function
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == (
        function.__name__,
        function.__doc__,
        function.__module__,
    )
    assert inspect.signature(wrapped) == inspect.signature(function)
    for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert kind(wrapped) == kind(function)


def test_methods_and_callable_objects_can_be_decorated(make_monitor, telemetry, row):
    """Methods of each kind in both orders of decorators, bound methods, partials, objects and builtins."""
    monitor = make_monitor(synchronous=True)

    class Model:
        @monitor.instrument
        def method(self, features):
            return features["age"]

        @monitor.instrument
        @staticmethod
        def static(features):
            return features["age"]

        @classmethod
        @monitor.instrument
        def of_class(cls, features):
            return features["age"]

        @monitor.instrument
        async def waits(self, features):
            return features["age"]

        def __call__(self, features):
            return features["age"]

        def bound(self, features):
            return features["age"]

    model = Model()
    model.bound = monitor.instrument(model.bound)
    results = [
        model.method(row),
        model.method(features=row),
        Model.method(model, row),
        Model.static(row),
        model.static(row),
        Model.of_class(row),
        asyncio.run(model.waits(row)),
        monitor.instrument(model)(row),
        model.bound(row),
        monitor.instrument(functools.partial(plain, scale=1.0))(row),
    ]
    assert results == [row["age"]] * 10
    assert monitor.instrument(len)(row) == 4
    assert telemetry.value("ml.predictions.served") == 11
    assert monitor.snapshot().rows == 11


def test_batch_of_n_rows_is_n_predictions_and_one_duration(monitor, counted):
    """For one call."""
    assert monitor.instrument(lambda frame: frame)(FRAME) is FRAME
    assert counted() == (2, 0, 1)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (5, {}, "instrument(5): expected a function, a method or another callable object"),
        (dict, {}, "expected a function, a method or another callable object"),
        (lambda: 0, {}, "has no argument with a name: expected features="),
        (lambda *rows: rows, {}, "has no argument with a name: expected features="),
        (plain, {"features": "age"}, "features='age': expected a function"),
        (plain, {"output": 1}, "output=1: expected a function"),
        (plain, {"prediction_id": "id"}, "prediction_id='id': expected a function"),
        (plain, {"user_id": "someone"}, "user_id='someone': expected a function"),
    ],
)
def test_decorator_rejects_wrong_arguments(monitor, function, options, message):
    """The message names the value and what was expected."""
    with pytest.raises(dl.ConfigurationError) as raised:
        monitor.instrument(**options)(function)
    assert message in str(raised.value)
