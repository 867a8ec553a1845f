"""A watched object is what it was: for pickle and copy, for scikit-learn, and for the type checks of libraries."""

from __future__ import annotations

import abc
import copy
import copyreg
import dataclasses
import gc
import io
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if

import driftline as dl
from driftline.watching import _subclass, monitor_of, unwatch


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("pickler", [pickle.Pickler, pickle._Pickler])  # noqa: SLF001 - the one in Python
def test_the_pickle_of_a_watched_object_is_that_of_the_object(classifier, watch, protocol, pickler):
    def dump():
        file = io.BytesIO()
        pickler(file, protocol).dump(classifier)
        return file.getvalue()

    before = dump()
    watch(classifier)
    assert dump() == before
    assert monitor_of(pickle.loads(before)) is None  # noqa: S301 - own bytes


@pytest.mark.slow
def test_a_pickle_needs_no_driftline_in_the_other_process(classifier, watch, training, tmp_path):
    watch(classifier)
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(classifier))
    program = f"""
        import pickle, sys
        model = pickle.loads(open({str(file)!r}, "rb").read())
        assert not any(name.partition(".")[0] == "driftline" for name in sys.modules)
        print(type(model) is __import__("sklearn.linear_model").linear_model.LogisticRegression)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@dataclasses.dataclass
class Record:
    factor: float

    def predict(self, row):
        return row["age"] * self.factor


class Copying(Record):
    def __copy__(self):
        return type(self)(self.factor)

    def __deepcopy__(self, memo):
        return type(self)(self.factor)


class Reducing(Record):
    def __reduce__(self):
        return type(self), (self.factor,)


class NewArguments(Record):
    def __getnewargs_ex__(self):
        return (), {}


class Registered(Record):
    pass


class Slots:
    __slots__ = ("__weakref__", "factor")

    def __init__(self, factor):
        self.factor = factor

    def predict(self, row):
        return row["age"] * self.factor


class Dictionary(dict):
    factor = 2.0

    def predict(self, row):
        return row["age"] * self.factor


class Abstract(abc.ABC):
    @abc.abstractmethod
    def predict(self, row): ...


class Concrete(Abstract):
    factor = 2.0

    def predict(self, row):
        return row["age"] * self.factor


class Noted(Record):
    """A class that notes its subclasses and wraps their methods, as scikit-learn and MLflow do."""

    noted: list[type] = []  # noqa: RUF012 - shared by subclasses

    def __init_subclass__(cls, **kwargs):
        cls.noted.append(cls)


copyreg.pickle(Registered, lambda record: (Registered, (record.factor,)))

RECORDS = [
    lambda: Record(2.0),
    lambda: Copying(2.0),
    lambda: Reducing(2.0),
    lambda: NewArguments(2.0),
    lambda: Registered(2.0),
    lambda: Slots(2.0),
    Dictionary,
    Concrete,
    lambda: Noted(2.0),
]


@pytest.mark.parametrize("make", RECORDS, ids=lambda make: type(make()).__name__)
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, *[lambda each, p=p: pickle.loads(pickle.dumps(each, p)) for p in (2, 5)]],  # noqa: S301
    ids=["copy", "deepcopy", "pickle 2", "pickle 5"],
)
def test_copies_are_bare_objects_of_the_class(make, copied, watch):
    model, row = make(), {"age": 3.0}
    kind = type(model)
    watch(model)
    other = copied(model)
    assert type(other) is kind
    assert other.predict(row) == 6.0
    assert monitor_of(other) is None
    assert model.predict(row) == 6.0
    assert monitor_of(model).snapshot().rows == 1
    assert isinstance(model, kind)
    assert model.__class__ is kind
    unwatch(model)
    assert type(model) is kind


def test_a_class_does_not_hear_of_the_class_of_watched_objects(watch):
    before = list(Noted.noted)
    watch(Noted(2.0))
    assert Noted.noted == before


def test_the_class_of_watched_objects_is_freed(watch):
    class Passing(Record):
        pass

    model = watch(Passing(2.0))
    key = (Passing, ("predict",))
    assert key in _subclass._classes  # noqa: SLF001 - the only place that keeps them
    unwatch(model)
    del model
    gc.collect()
    assert key not in _subclass._classes  # noqa: SLF001 - as above
    assert Passing.__subclasses__() == []


def test_clones_are_bare_and_search_does_not_count(classifier, watch, training):
    watch(classifier)
    assert type(clone(classifier)) is LogisticRegression
    search = GridSearchCV(classifier, {"C": [0.1, 1.0]}, cv=2).fit(*training)
    search.predict(training[0])
    assert monitor_of(classifier).snapshot().rows == 0
    assert type(search.best_estimator_) is LogisticRegression


def test_a_search_is_watched_before_and_after_its_fit(training, reference):
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)
    dl.watch(search, name="m", reference=reference, synchronous=True)
    search.fit(*training)
    search.predict(training[0][:4])
    assert monitor_of(search).snapshot().rows == 4


@pytest.mark.parametrize("available", [True, False])
def test_the_error_of_a_missing_method_is_the_same(training, watch, available):
    model = SGDClassifier(loss="log_loss" if available else "hinge", random_state=0).fit(*training)

    def message():
        try:
            model.predict_proba  # noqa: B018 - the access is the test
        except AttributeError as error:
            return str(error), str(error.__cause__)
        return None

    before = message()
    watch(model)
    assert message() == before


def test_a_condition_is_asked_as_often_as_before(watch):
    asked = []

    class Conditional:
        @available_if(lambda self: asked.append(self) or True)
        def predict(self, row):
            return 1.0

    model = Conditional()
    model.predict({"age": 1.0})
    once = len(asked)
    watch(model)
    asked.clear()
    model.predict({"age": 1.0})
    assert len(asked) == once


def test_an_equal_object_stays_equal(watch):
    assert watch(Record(2.0)) == Record(2.0)


def test_transformations_and_output_settings_of_a_pipeline_stay(training, watch):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(*training)
    expected = pipeline[:-1].transform(training[0])
    watch(pipeline)
    pipeline.set_output(transform="pandas")
    np.testing.assert_array_equal(pipeline[:-1].transform(training[0]).to_numpy(), expected)
    assert monitor_of(pipeline).snapshot().rows == 0
