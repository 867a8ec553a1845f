"""What is recorded of the results of a watched object: labels, probabilities, quantities, scores."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

import driftline as dl
from driftline.watching import monitor_of

ROWS = 40


@pytest.fixture
def recorded(training, counts):
    """Return a function that calls a method of a watched model, and returns the predictions by bin as indices."""

    def call(model, method, predictions, *, classes=(), data=None, **arguments):
        data = training[0] if data is None else data
        reference = dl.Reference.fit(data, predictions=predictions, classes=classes)
        watched = dl.watch(model, name="m", reference=reference, synchronous=True, **arguments)
        getattr(watched, method)(data[:ROWS])
        return counts(watched)

    return call


def expected(predictions, frame, classes=()):
    """Return the bins of predictions that are observed without a watched model."""
    reference = dl.Reference.fit(frame, predictions=predictions, classes=classes)
    monitor = dl.Monitor("m", reference=reference, synchronous=True)
    monitor.observe(frame[:ROWS], predictions[:ROWS])
    return monitor.snapshot().counts[-reference.prediction.bins.size :]


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_probabilities_of_two_classes(classifier, training, recorded, method):
    frame = training[0]
    probabilities = classifier.predict_proba(frame)
    np.testing.assert_array_equal(
        recorded(classifier, method, probabilities, on_error="raise"), expected(probabilities, frame)
    )


def test_the_column_of_the_positive_label_is_recorded(training, counts):
    frame, target = training
    words = np.where(target == 1, "approved", "refused")  # the positive label comes first
    model = LogisticRegression().fit(frame, words)
    positive = model.predict_proba(frame)[:, 0]
    reference = dl.Reference.fit(frame, predictions=positive, outcomes=words, positive="approved")
    dl.watch(model, name="m", reference=reference, synchronous=True, on_error="raise")
    model.predict_proba(frame)
    np.testing.assert_array_equal(counts(model), reference.prediction.counts)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_labels_are_recorded_whatever_the_method(training, recorded, method):
    frame = training[0]
    words = np.array(["low", "middle", "high"])[np.digitize(frame["age"], [-0.5, 0.5])]
    model = LogisticRegression().fit(frame, words)
    labels = model.predict(frame)
    np.testing.assert_array_equal(recorded(model, method, labels, on_error="raise"), expected(labels, frame))


def test_probabilities_of_several_classes_follow_the_classes_of_the_reference(training, recorded):
    frame = training[0]
    words = np.array(["low", "middle", "high"])[np.digitize(frame["age"], [-0.5, 0.5])]
    model = LogisticRegression().fit(frame, words)
    shuffled = ["middle", "low", "high"]
    ordered = model.predict_proba(frame)[:, [list(model.classes_).index(label) for label in shuffled]]
    result = recorded(model, "predict_proba", ordered, classes=shuffled, on_error="raise")
    np.testing.assert_array_equal(result, expected(ordered, frame, shuffled))


def test_labels_that_are_floats_are_labels(training, recorded):
    frame, target = training
    model = LogisticRegression().fit(frame, target.astype(float))
    labels = model.predict(frame)
    np.testing.assert_array_equal(recorded(model, "predict", labels, on_error="raise"), expected(labels, frame))


@pytest.mark.parametrize("method", ["predict", "decision_function"])
def test_outputs_of_another_kind_than_the_reference_are_not_recorded(classifier, training, recorded, method):
    result = recorded(classifier, method, classifier.predict_proba(training[0]), on_error="raise")
    assert result.sum() == 0
    assert monitor_of(classifier).snapshot().rows == ROWS


def test_quantities(training, recorded):
    frame = training[0]
    model = LinearRegression().fit(frame, frame["age"] * 3.0)
    values = model.predict(frame)
    np.testing.assert_array_equal(recorded(model, "predict", values, on_error="raise"), expected(values, frame))


@pytest.mark.parametrize("method", ["decision_function", "score_samples"])
def test_scores(training, recorded, method):
    frame = training[0]
    model = IsolationForest(n_estimators=10, random_state=0).fit(frame)
    values = getattr(model, method)(frame)
    np.testing.assert_array_equal(recorded(model, method, values, on_error="raise"), expected(values, frame))


def test_scores_of_a_classifier(training, recorded):
    frame, target = training
    model = SVC().fit(frame, target)
    values = model.decision_function(frame)
    result = recorded(model, "decision_function", values, on_error="raise")
    np.testing.assert_array_equal(result, expected(values, frame))


def test_the_mean_of_a_mean_with_a_deviation(training, recorded):
    frame = training[0][:ROWS]
    model = GaussianProcessRegressor().fit(frame, frame["age"])
    values = model.predict(frame)
    watched = dl.watch(
        model, name="m", reference=dl.Reference.fit(frame, predictions=values), synchronous=True, on_error="raise"
    )
    mean, deviation = watched.predict(frame[:2], return_std=True)
    assert mean.shape == deviation.shape == (2,)
    assert monitor_of(model).snapshot().rows == 2


def test_several_outputs_need_a_function(training, caplog):
    frame, target = training
    model = RandomForestClassifier(3, random_state=0).fit(frame, np.column_stack([target, 1 - target]))
    reference = dl.Reference.fit(frame, predictions=model.predict_proba(frame)[0])
    watched = dl.watch(model, name="m", reference=reference, synchronous=True)
    with caplog.at_level(logging.WARNING, "driftline"):
        for rows in (2, 3):  # as many rows as outputs are no reason to mistake the outputs for rows
            assert len(watched.predict_proba(frame[:rows])) == 2
    assert caplog.text.count("predict_proba returned a list of 2 arrays") == 1
    assert monitor_of(model).snapshot().rows == 5
    dl.unwatch(model)
    dl.watch(model, name="m", reference=reference, synchronous=True, output=lambda result: result[0])
    model.predict_proba(frame)
    np.testing.assert_array_equal(
        monitor_of(model).snapshot().counts[-reference.prediction.bins.size :], reference.prediction.counts
    )


def test_several_regression_outputs_are_unreadable_and_counted(training, caplog):
    frame = training[0]
    model = RandomForestRegressor(3).fit(frame, frame[["age", "fare"]])
    reference = dl.Reference.fit(frame, predictions=model.predict(frame)[:, 0])
    dl.watch(model, name="m", reference=reference, synchronous=True)
    with caplog.at_level(logging.WARNING, "driftline"):
        model.predict(frame)
    assert "a model of several outputs needs a monitor for each" in caplog.text


def test_while_a_reference_is_learned_the_first_method_decides(training, counts):
    frame, target = training
    model = LogisticRegression().fit(frame, target)
    dl.watch(model, name="m", reference=dl.Reference.learn(200), synchronous=True, on_error="raise")
    model.predict_proba(frame[:150])
    model.predict(frame[150:200])
    model.predict_proba(frame[:200])
    prediction = monitor_of(model).reference.prediction
    assert prediction.moments.maximum < 1.0
    assert counts(model).sum() == 200


def test_labels_of_several_classes_are_learned_from_probabilities(training):
    frame = training[0]
    words = np.array(["low", "middle", "high"])[np.digitize(frame["age"], [-0.5, 0.5])]
    model = LogisticRegression().fit(frame, words)
    dl.watch(model, name="m", reference=dl.Reference.learn(200), synchronous=True, on_error="raise")
    model.predict_proba(frame[:200])
    assert set(monitor_of(model).reference.prediction.bins.categories) == {"low", "middle", "high"}


def test_keras_like_models_return_columns_of_probabilities(training, counts):
    class Keras:
        def predict(self, x, batch_size=None, verbose="auto"):
            return 1.0 / (1.0 + np.exp(-np.asarray(x)[:, :1]))

    frame = training[0]
    reference = dl.Reference.fit(frame, predictions=Keras().predict(frame)[:, 0])
    model = dl.watch(Keras(), name="m", reference=reference, synchronous=True, on_error="raise")
    assert model.predict(frame.to_numpy(), verbose=0).shape == (600, 1)
    np.testing.assert_array_equal(counts(model), reference.prediction.counts)


def test_results_that_come_later_are_not_consumed(watch):
    class Lazy:
        def predict(self, row):
            return (value for value in [row["age"]])

    model = watch(Lazy(), on_error="raise")
    assert list(model.predict({"age": 1.0, "fare": 2.0, "stops": 3.0})) == [1.0]
    assert monitor_of(model).snapshot().rows == 1


def test_results_are_returned_as_they_are(classifier, watch, training):
    class Frames:
        classes_ = np.array([0, 1])

        def predict_proba(self, rows):
            self.result = pd.DataFrame(classifier.predict_proba(rows), columns=[0, 1])
            return self.result

    model = watch(Frames(), on_error="raise")
    assert model.predict_proba(training[0]) is model.result
