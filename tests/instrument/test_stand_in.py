"""Callable objects that are decorated: calls are recorded, and all else is as it was."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import operator
import pickle

import numpy as np
import pytest

import driftline as dl


class Net:
    """A model in the manner of PyTorch."""

    kind = "net"

    def __init__(self):
        self.training = True
        self.layers = [1, 2, 3]

    def __call__(self, features):
        return 0.25 if self.training else 0.5

    def train(self, training=True):
        self.training = training
        return self

    def eval(self):
        return self.train(False)

    @property
    def depth(self):
        return len(self.layers)

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def describe():
        return "a net"

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, index):
        return self.layers[index]

    def __iter__(self):
        return iter(self.layers)

    def __contains__(self, layer):
        return layer in self.layers

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.layers.clear()

    def __eq__(self, other):
        return isinstance(other, Net) and self.layers == other.layers

    __hash__ = None

    def __add__(self, other):
        return self.layers + list(other)

    def __iadd__(self, other):
        self.layers += other
        return self

    def __repr__(self):
        return "Net()"


def test_attributes_and_methods_are_those_of_the_object(monitor, row, counted):
    """Read, written and deleted; a method that returns the object returns the decorated one."""
    net = Net()
    decorated = monitor.instrument(net)
    assert decorated.eval()(row) == 0.5
    assert decorated.train().training is True
    decorated.training = False
    assert net.training is False
    assert decorated(row) == net(row) == 0.5
    decorated.extra = 1
    assert net.extra == 1
    del decorated.extra
    assert not hasattr(net, "extra")
    assert (decorated.kind, decorated.depth, decorated.describe(), type(decorated.make())) == ("net", 3, "a net", Net)
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'missing'"):
        _ = decorated.missing
    assert counted() == (2, 0, 2)


def test_special_methods_are_those_of_the_object(monitor):
    """Operators, containers, context managers, and those that a class has switched off."""
    net = Net()
    decorated = monitor.instrument(net)
    assert isinstance(decorated, Net)
    assert (len(decorated), decorated[1], list(decorated), 2 in decorated, repr(decorated)) == (
        3,
        2,
        [1, 2, 3],
        True,
        "Net()",
    )
    assert decorated == net
    assert operator.add(decorated, [4]) == [1, 2, 3, 4]
    with pytest.raises(TypeError, match="unhashable"):
        hash(decorated)
    with pytest.raises(TypeError):
        operator.sub(decorated, 1)
    same = decorated
    same += [4]
    assert same is decorated
    assert net.layers == [1, 2, 3, 4]
    with decorated as entered:
        assert entered is decorated
    assert net.layers == []


def test_caches_partials_and_vectorised_functions(monitor, row, counted):
    """Objects in C."""
    cached = monitor.instrument(functools.lru_cache(lambda key, features=None: 0.5), features=lambda key: row)
    assert [cached("a"), cached("a")] == [0.5, 0.5]
    assert cached.cache_info().hits == 1
    cached.cache_clear()
    assert cached.cache_info().hits == 0
    assert cached.cache_parameters() == {"maxsize": 128, "typed": False}
    part = monitor.instrument(functools.partial(lambda scale, features: scale, 0.5))
    assert (part(row), part.args, part.keywords, part.func(1.0, row)) == (0.5, (0.5,), {}, 1.0)
    assert isinstance(part, functools.partial)
    vectorised = monitor.instrument(np.vectorize(lambda age: age / 100.0))
    assert vectorised(np.array([40.0])).tolist() == [0.4]
    assert vectorised.pyfunc(50.0) == 0.5
    assert counted()[0] == 4


def test_a_cached_method_is_bound(monitor, row, counted):
    """A class may have it, and its attributes, as it may have the cache."""

    class Model:
        @monitor.instrument
        @functools.lru_cache(maxsize=8)  # noqa: B019 - the test is short
        def predict(self, age):
            return age / 100.0

        net = monitor.instrument(Net())

    model = Model()
    assert [model.predict(40.0), model.predict(40.0), Model.predict(model, 40.0)] == [0.4, 0.4, 0.4]
    assert model.predict.cache_info().hits == Model.predict.cache_info().hits == 2
    assert model.net(row) == 0.25  # an object of a class without `__get__` is not bound
    assert counted() == (4, 0, 4)


def test_names_signature_and_documentation_are_those_of_the_object(monitor):
    """`inspect` and frameworks see what they saw."""
    net = Net()
    decorated = monitor.instrument(net)
    assert inspect.signature(decorated) == inspect.signature(net)
    assert inspect.unwrap(decorated) is net
    assert (decorated.__doc__, decorated.__module__, decorated.__dict__) == (net.__doc__, net.__module__, net.__dict__)
    assert not hasattr(decorated, "__name__")
    cached = functools.lru_cache(test_names_signature_and_documentation_are_those_of_the_object)
    assert monitor.instrument(cached, features=dict).__name__ == cached.__name__


def test_async_and_generator_objects(monitor, row, counted):
    """``async def __call__``, and one that yields."""

    class Async(Net):
        async def __call__(self, features):
            return 0.5

    class Stream(Net):
        def __call__(self, features):
            yield 0.5

    predict = monitor.instrument(Async())
    assert inspect.iscoroutinefunction(predict.__call__)
    assert asyncio.run(predict(row)) == 0.5
    assert list(monitor.instrument(Stream()).eval()(row)) == [0.5]
    partial = monitor.instrument(functools.partial(Async()))
    assert asyncio.run(partial(row)) == 0.5
    assert counted() == (3, 0, 3)


def test_copies_are_decorated(monitor, row, counted):
    """A copy has its own attributes. `tests/_pipeline/test_pickled.py` tests pickles."""
    decorated = monitor.instrument(Net())
    for copied in (copy.copy(decorated), copy.deepcopy(decorated)):
        assert copied.eval()(row) == 0.5
    assert decorated.layers is not copied.layers
    assert decorated(row) == 0.25
    assert counted() == (3, 0, 3)
    with pytest.raises(dl.ConfigurationError, match=r"^meter_provider="):
        pickle.dumps(decorated)
    assert b"Net" in pickle.dumps(decorated.__wrapped__)


def test_an_awaitable_that_is_followed_has_no_pickle(monitor, row):
    """What ends the call stays in this process."""
    followed = monitor.instrument(lambda features: Awaitable())(row)
    with pytest.raises(TypeError, match="an instrumented Awaitable cannot be pickled: pickle the object itself"):
        pickle.dumps(followed)


class Awaitable:
    """A result that is awaited."""

    def __await__(self):
        yield
        return 0.5


def test_functions_and_methods_stay_functions(monitor):
    """Of Python, bound, and built in."""
    for function in (lambda features: 0.5, Net().__call__, len):
        assert inspect.isfunction(monitor.instrument(function))


def test_a_decorated_object_may_be_decorated_by_another_monitor(monitor, make_monitor, row, counted):
    """Each counts."""
    other = make_monitor(synchronous=True)
    both = other.instrument(monitor.instrument(Net()))
    assert both.eval()(row) == 0.5
    other.flush()
    assert other.evidence().served == 1
    monitor.flush()
    assert monitor.evidence().served == 1
