"""`watch`, `unwatch` and `monitor_of`: what is counted, for how long, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import pickle
import traceback
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import AdaBoostClassifier, IsolationForest, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import driftline as dl
from driftline.errors import ConfigurationError
from driftline.watching import monitor_of, unwatch


def rows(model):
    return monitor_of(model).snapshot().rows


def test_a_watched_object_is_the_same_object_and_counts_its_rows(classifier, watch, training):
    frame = training[0]
    expected = classifier.predict(frame)
    assert watch(classifier) is classifier
    np.testing.assert_array_equal(classifier.predict(frame), expected)
    classifier.predict_proba(frame[:10])
    assert rows(classifier) == 610


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_each_method_of_a_prediction_counts_once(classifier, watch, training, method):
    getattr(watch(classifier, on_error="raise"), method)(training[0][:7])
    assert rows(classifier) == 7


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(5, n_jobs=2),
        VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(3))], voting="soft"),
        AdaBoostClassifier(n_estimators=3),
        KNeighborsClassifier(),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:The SAMME.R algorithm:FutureWarning")  # the default of older versions
def test_calls_within_a_call_are_not_counted(model, watch, training):
    model.fit(*training)
    watch(model, on_error="raise")
    model.predict(training[0][:5])
    model.predict_proba(training[0][:6])
    assert rows(model) == 11


def test_an_outlier_detector_counts_once(watch, training):
    forest = IsolationForest(n_estimators=5).fit(training[0].to_numpy())
    watch(forest, on_error="raise")
    forest.predict(training[0].to_numpy()[:5])  # calls decision_function, which calls score_samples
    assert rows(forest) == 5


def test_score_and_fit_are_no_predictions(classifier, watch, training):
    watch(classifier)
    classifier.score(*training)
    classifier.fit(*training)
    classifier.predict(training[0][:3])
    assert rows(classifier) == 3


def test_early_stopping_during_a_fit_is_no_prediction(watch, training):
    model = MLPClassifier((4,), early_stopping=True, max_iter=5, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        model.fit(*training)
        watch(model)
        model.fit(*training)
    model.predict(training[0][:3])
    assert rows(model) == 3


def test_the_inner_step_of_a_watched_pipeline_counts_under_its_own_name(watch, training):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(*training)
    watch(pipeline)
    inner = watch(pipeline[-1], name="inner")
    pipeline.predict(training[0][:4])
    assert (rows(pipeline), rows(inner)) == (4, 4)


def test_two_objects_with_one_monitor_are_one_prediction_within_each_other(reference, training):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(*training)
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    dl.watch(pipeline, monitor=monitor)
    dl.watch(pipeline[-1], monitor=monitor)
    pipeline.predict(training[0][:4])
    assert monitor.snapshot().rows == 4


def test_a_prediction_block_of_the_monitor_gives_a_call_its_id(classifier, watch, training):
    monitor = monitor_of(watch(classifier))
    with monitor.prediction(training[0][:1], prediction_id="a") as call:
        call.output = classifier.predict_proba(training[0][:1])[0, 1]
    monitor.outcome("a", 1)
    assert rows(classifier) == 1
    assert monitor.outcome_counts().known == 1


# --- the same exceptions, tracebacks and signatures ------------------------------------------------------------------


def test_an_exception_passes_with_one_frame_more(classifier, watch):
    def frames():
        with pytest.raises(ValueError, match="feature names") as caught:
            classifier.predict(pd.DataFrame({"age": [1.0], "fare": [1.0]}))
        assert caught.value.__cause__ is None
        return [each.name for each in traceback.extract_tb(caught.value.__traceback__)]

    before = frames()
    watch(classifier)
    after = frames()
    assert after[0] == before[0]
    assert after[1] == "method"
    assert after[2:] == before[1:]


def test_signatures_names_and_docstrings_stay(classifier, watch):
    before = inspect.signature(classifier.predict), classifier.predict.__doc__, repr(classifier.predict)
    watch(classifier)
    assert (inspect.signature(classifier.predict), classifier.predict.__doc__, repr(classifier.predict)) == before
    assert inspect.ismethod(classifier.predict)
    assert classifier.predict == classifier.predict
    assert classifier.predict.__self__ is classifier
    assert type(classifier).predict is LogisticRegression.predict


# --- the end ---------------------------------------------------------------------------------------------------------


def test_unwatch_restores_the_object(classifier, watch, training):
    attributes = dict(vars(classifier))
    watch(classifier)
    assert unwatch(classifier) is classifier
    assert type(classifier) is LogisticRegression
    assert vars(classifier) == attributes
    assert monitor_of(classifier) is None
    classifier.predict(training[0])
    unwatch(classifier)


def test_unwatch_ends_the_monitor_that_watch_made_and_no_other(classifier, reference, training, telemetry):
    monitor = dl.Monitor("m", reference=reference, synchronous=True, meter_provider=telemetry.meter_provider)
    dl.watch(classifier, monitor=monitor)
    classifier.predict(training[0][:2])
    unwatch(classifier)
    monitor.observe(training[0][:3])
    assert monitor.snapshot().rows == 5


def test_classes_of_other_objects_stay_as_they_are(watch, training):
    before = dict(vars(LogisticRegression))
    first, second = LogisticRegression().fit(*training), LogisticRegression().fit(*training)
    watch(first)
    assert dict(vars(LogisticRegression)) == before
    assert type(second) is LogisticRegression
    second.predict(training[0])
    assert rows(first) == 0
    watch(second, name="n")
    assert type(first) is type(second)


def test_a_dropped_model_frees_its_monitor(watch, training):
    model = watch(LogisticRegression().fit(*training))
    model.predict(training[0])
    model_reference, monitor = weakref.ref(model), weakref.ref(monitor_of(model))
    del model
    assert model_reference() is None
    gc.collect()
    assert monitor() is None


def test_watching_twice_keeps_the_monitor(classifier, watch, caplog):
    monitor = monitor_of(watch(classifier))
    watch(classifier)
    assert "watched already" not in caplog.text
    with caplog.at_level(logging.WARNING, "driftline"):
        watch(classifier, name="other")
    assert monitor_of(classifier) is monitor
    assert "model m: the object is watched already" in caplog.text


def test_a_disabled_monitor_leaves_the_object_alone(classifier, watch, training):
    watch(classifier, enabled=False)
    assert type(classifier) is LogisticRegression
    assert monitor_of(classifier).enabled is False
    classifier.predict(training[0])
    unwatch(classifier)
    assert monitor_of(classifier) is None


def test_without_a_reference_one_is_learned_and_the_log_says_so_once(classifier, training, caplog):
    with caplog.at_level(logging.INFO, "driftline"):
        dl.watch(classifier, name="m", synchronous=True)
    assert caplog.text.count("it carries no reference, so one is learned from the first 10000 rows") == 1
    dl.watch(
        learned := LogisticRegression().fit(*training), name="n", reference=dl.Reference.learn(100), synchronous=True
    )
    learned.predict_proba(training[0][:100])
    reference = monitor_of(learned).reference
    assert reference.columns == ("age", "fare", "stops")
    assert reference.prediction is not None


def test_the_carried_reference_is_the_reference(classifier, reference, training):
    dl.carry(classifier, reference)
    dl.watch(classifier, name="m", synchronous=True)
    assert monitor_of(classifier).reference.fingerprint == reference.fingerprint
    copied = pickle.loads(pickle.dumps(classifier))  # noqa: S301 - own bytes
    assert type(copied) is LogisticRegression
    assert dl.carried(copied).fingerprint == reference.fingerprint


# --- objects of any kind ---------------------------------------------------------------------------------------------


class Own:
    """A model of no library, with dicts as rows."""

    def predict(self, row):
        return row["age"] > 0

    async def answer(self, row):
        return row["age"] > 0

    def stream(self, row):
        yield row["age"]


ROW = {"age": 1.0, "fare": 2.0, "stops": 3.0}


def test_any_object_with_predict_is_watched(watch):
    model = watch(Own(), on_error="raise")
    assert model.predict(ROW) is True
    assert rows(model) == 1


def test_a_method_in_the_objects_dict_is_watched_and_replaceable(watch):
    class Namespace:
        pass

    namespace = Namespace()
    namespace.predict = lambda row: row["age"]
    model = watch(namespace, on_error="raise")
    assert model.predict(ROW) == 1.0
    assert rows(model) == 1
    model.predict = lambda row: 7.0
    assert model.predict(ROW) == 7.0
    assert vars(model).keys() == {"predict"}
    assert rows(model) == 2
    del model.predict
    assert not hasattr(model, "predict")
    with pytest.raises(AttributeError):
        del model.predict


def test_a_method_of_getattr_is_watched(watch):
    class Lazy:
        def __getattr__(self, name):
            if name == "predict":
                return lambda row: row["age"]
            raise AttributeError(name)

    model = watch(Lazy(), on_error="raise")
    assert model.predict(ROW) == 1.0
    assert rows(model) == 1
    assert not hasattr(model, "predict_proba")


def test_coroutine_functions_stay_coroutine_functions(watch):
    model = watch(Own(), methods=["answer"], on_error="raise")
    assert inspect.iscoroutinefunction(model.answer)
    assert asyncio.run(model.answer(ROW)) is True
    assert rows(model) == 1


def test_generators_stay_generators(watch):
    model = watch(Own(), methods=["stream"], on_error="raise")
    assert inspect.isgeneratorfunction(model.stream)
    assert list(model.stream(ROW)) == [1.0]
    assert rows(model) == 1


def test_an_object_of_slots_is_watched_if_it_takes_weak_references(watch):
    class Slotted:
        __slots__ = ("__weakref__", "factor")

        def predict(self, row):
            return row["age"] * self.factor

    model = Slotted()
    model.factor = 2.0
    assert watch(model, on_error="raise").predict(ROW) == 2.0
    assert rows(model) == 1
    unwatch(model)
    assert type(model) is Slotted


def test_a_method_that_exists_under_a_condition_is_watched_when_it_does(watch, training):
    model = SGDClassifier(loss="hinge", random_state=0).fit(*training)
    watch(model, on_error="raise")
    assert not hasattr(model, "predict_proba")
    model.set_params(loss="log_loss").fit(*training)
    assert hasattr(model, "predict_proba")
    model.predict_proba(training[0][:2])
    assert rows(model) == 2


# --- mistakes --------------------------------------------------------------------------------------------------------


class NoWeakReference:
    __slots__ = ()

    def predict(self, row):
        return 0.0


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (LogisticRegression, {}, "watch\\(the class LogisticRegression\\): expected an object"),
        (StandardScaler(), {}, "watch\\(a StandardScaler\\): expected an object with a method such as predict"),
        (NoWeakReference(), {}, "watch\\(NoWeakReference\\): objects of this class cannot be watched"),
        (LogisticRegression(), {"name": None}, "expected name="),
        (LogisticRegression(), {"methods": "predict"}, "methods='predict': expected names"),
        (LogisticRegression(), {"methods": ["foretell"]}, "has no method 'foretell'"),
        (Own(), {"methods": ["__init__"]}, "has no method '__init__'"),
        (LogisticRegression(), {"features": 1}, "features=1"),
        (LogisticRegression(), {"output": 1}, "output=1"),
        (LogisticRegression(), {"monitor": 1}, "monitor=1: expected a Monitor"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, (dict, str)) else "",
)
def test_mistakes_are_refused(watch, model, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        watch(model, **arguments)
    assert monitor_of(model) is None


def test_the_arguments_of_a_given_monitor_are_refused(classifier, reference):
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    with pytest.raises(ConfigurationError, match="name=\\.\\.\\.\\): expected name= in the Monitor alone"):
        dl.watch(classifier, monitor=monitor, name="n")
