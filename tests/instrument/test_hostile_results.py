"""Tests with results whose classes misbehave, and with hosts near their limit of recursion."""

from __future__ import annotations

import asyncio
import sys
import weakref

import pytest

import driftline as dl
from driftline.testing import Probe


class Lazy:
    """A lazy object, as that of Django: its class is that of the value, which it computes when asked."""

    def __init__(self, load):
        self._load = load

    @property
    def __class__(self):
        return type(self._load())


class EqualWithoutHash(type):
    """A metaclass whose classes have no hash."""

    def __eq__(cls, other):
        return cls is other

    __hash__ = None


class Unhashable(metaclass=EqualWithoutHash):
    """A class without a hash."""


class UnhashableFloat(float, metaclass=EqualWithoutHash):
    """A number whose class has no hash."""


class RaisingAttributes(type):
    """A metaclass whose classes do not say what they are."""

    def __getattribute__(cls, name):
        if name in {"__mro__", "__dict__", "__qualname__", "__module__"}:
            raise LookupError(name)
        return super().__getattribute__(name)


class RaisingHash(type):
    """A metaclass whose classes have a hash that raises."""

    def __hash__(cls):
        raise LookupError


def instance_of(metaclass, *parents):
    kind = type.__call__(metaclass, "Hostile", parents, {})
    return (parents or (object,))[0].__new__(kind)


class Referent:
    """An object that can be referred to weakly."""


def dead_proxy():
    return weakref.proxy(Referent())


@pytest.fixture
def monitor():
    reference = dl.Reference.fit({"x": [1.0, 2.0, 3.0] * 10}, predictions=[0.1, 0.5] * 15)
    monitor = dl.Monitor("flights", reference=reference, synchronous=True)
    yield monitor
    monitor.shutdown()


def call_of_each_kind(monitor, result):
    """Return functions that pass *result* through each wrapper, and a block."""

    @monitor.instrument
    def predict(features):
        return result

    @monitor.instrument
    def several(features, scale=1):
        return result

    @monitor.instrument
    async def awaited(features):
        return result

    @monitor.instrument(output=lambda value: value)
    def plain(features):
        return result

    def block(features):
        with monitor.prediction(features) as call:
            call.output = result
        return result

    return [predict, several, lambda features: asyncio.run(awaited(features)), plain, block]


HOSTILE = {
    "unhashable": Unhashable,
    "unhashable number": lambda: UnhashableFloat(0.5),
    "dead": dead_proxy,
    "attributes": lambda: instance_of(RaisingAttributes),
    "hash": lambda: instance_of(RaisingHash),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", range(5))
def test_a_result_of_any_class_is_returned_and_its_call_counted(monitor, make, kind):
    result = make()
    predict = call_of_each_kind(monitor, result)[kind]
    assert predict({"x": 1.0}) is result
    monitor.flush()
    assert monitor.evidence().served == 1
    assert monitor.snapshot().rows == 1


def test_an_error_of_a_class_that_cannot_be_asked_is_raised_and_counted(monitor):
    error = instance_of(RaisingAttributes, Exception)

    @monitor.instrument
    def fail(features):
        raise error

    caught = None
    try:
        fail({"x": 1.0})
    except Exception as raised:  # noqa: BLE001 - whichever comes
        caught = raised
    assert caught is error
    assert monitor.evidence().failed == 1


@pytest.mark.parametrize("kind", range(5))
def test_a_lazy_result_is_not_computed(monitor, kind):
    loaded = []
    result = Lazy(lambda: loaded.append(1) or 0.5)
    predict = call_of_each_kind(monitor, result)[kind]
    assert predict({"x": 1.0}) is result
    monitor.flush()
    assert loaded == []
    assert monitor.evidence().served == 1


@pytest.mark.parametrize("kind", range(5))
def test_a_lazy_result_that_cannot_be_computed_is_returned(monitor, kind):
    def load():
        msg = "no database"
        raise OSError(msg)

    result = Lazy(load)
    assert call_of_each_kind(monitor, result)[kind]({"x": 1.0}) is result


@pytest.mark.parametrize("make", [Unhashable, lambda: Lazy(lambda: 1 / 0), dead_proxy])
def test_features_of_any_class_reach_the_model(monitor, make):
    features = make()
    for predict in call_of_each_kind(monitor, 0.5):
        assert predict(features) == 0.5


# --- near the limit of recursion -------------------------------------------------------------------------------------


def outcomes_by_depth(predict):
    """Call a function at each depth near the limit. Return the results, an exception as its class."""

    def at(depth):
        return at(depth - 1) if depth else predict({"x": 1.0})

    frame, used = sys._getframe(), 0  # noqa: SLF001
    while frame is not None:
        frame, used = frame.f_back, used + 1
    results = []
    for depth in range(sys.getrecursionlimit() - used - 40, sys.getrecursionlimit() - used + 2):
        try:
            results.append(at(depth))
        except (RecursionError, ZeroDivisionError) as error:  # noqa: PERF203
            results.append(type(error))
    return results


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("wraps", ["single", "several", "plain", "plan"])
def test_a_call_near_the_limit_of_recursion_has_the_result_of_the_bare_one_a_frame_deeper(monitor, wraps, fails):
    """The wrapper itself takes one frame."""
    ran = []

    def predict(features):
        ran.append(1)
        return 1 / 0 if fails else 0.5

    def several(features, scale=1):
        ran.append(1)
        return 1 / 0 if fails else 0.5

    function = several if wraps == "several" else predict
    options = {"plain": {"output": lambda result: result}, "plan": {"prediction_id": lambda features: 1}}
    instrumented = monitor.instrument(function, **options.get(wraps, {}))
    bare = outcomes_by_depth(lambda features: function(features))  # noqa: PLW0108 - takes a frame
    # A reader that is trusted needs fewer frames.
    warm = 300 if wraps == "single" and not fails else 0
    for _ in range(warm):
        instrumented({"x": 1.0})
    ran.clear()
    # The answer of the model, or its error, is never replaced.
    assert outcomes_by_depth(instrumented) == bare
    monitor.flush()
    evidence = monitor.evidence()
    # A call that could not be counted is an error, as is one whose features could not be read.
    errors = sum(Probe(monitor).errors.values())
    counted = evidence.served + evidence.failed - warm
    assert counted <= len(ran) <= counted + errors
    if warm:
        assert counted == len(ran)
