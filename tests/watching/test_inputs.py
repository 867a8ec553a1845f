"""What is read of the arguments of a watched object, and that they stay as they are."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import driftline as dl
from driftline.watching import monitor_of


def test_frames_are_aligned_by_name(classifier, watch, training, counts, reference):
    class Shuffled:
        def predict(self, frame):
            return classifier.predict_proba(frame[["age", "fare", "stops"]])

    model = watch(Shuffled(), on_error="raise")
    model.predict(training[0][["stops", "fare", "age"]])
    for feature in reference.features:
        np.testing.assert_array_equal(counts(model, feature.name), feature.counts)


@pytest.mark.parametrize("form", ["array", "list", "row"])
def test_arrays_are_aligned_by_the_order_of_the_model_and_not_of_the_reference(training, counts, form):
    frame, target = training
    model = LogisticRegression().fit(frame, target)
    reference = dl.Reference.fit(frame[["stops", "age", "fare"]])
    dl.watch(model, name="m", reference=reference, synchronous=True, on_error="raise")
    values = frame.to_numpy()
    for data in {"array": [values], "list": [values.tolist()], "row": [[row] for row in values.tolist()]}[form]:
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.predict(data)
    for feature in reference.features:
        np.testing.assert_array_equal(counts(model, feature.name), feature.counts)


def test_arrays_follow_the_reference_if_the_model_has_no_names(training, counts):
    frame, target = training
    model = LogisticRegression().fit(frame.to_numpy(), target)
    reference = dl.Reference.fit(frame)
    dl.watch(model, name="m", reference=reference, synchronous=True, on_error="raise")
    model.predict(frame.to_numpy())
    for feature in reference.features:
        np.testing.assert_array_equal(counts(model, feature.name), feature.counts)


def test_a_model_that_is_fitted_again_has_its_new_names(training, counts):
    frame, target = training
    model = LogisticRegression(warm_start=True).fit(frame, target)
    reference = dl.Reference.fit(frame)
    dl.watch(model, name="m", reference=reference, synchronous=True, on_error="raise")
    turned = frame[["fare", "stops", "age"]]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(frame.to_numpy()[:1])
    model.fit(turned, target)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(turned.to_numpy()[1:])
    for feature in reference.features:
        np.testing.assert_array_equal(counts(model, feature.name), feature.counts)


@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix])
def test_sparse_matrices_are_read_and_not_changed(training, counts, form):
    frame, target = training
    values = np.where(frame.to_numpy() > 0.5, frame.to_numpy(), 0.0)
    model = LogisticRegression().fit(values, target)
    reference = dl.Reference.fit(values)
    matrix = form(values)
    before = matrix.data.copy()
    dl.watch(model, name="m", reference=reference, synchronous=True, on_error="raise")
    model.predict(matrix)
    np.testing.assert_array_equal(matrix.data, before)
    for feature in reference.features:
        np.testing.assert_array_equal(counts(model, feature.name), feature.counts)


def test_a_huge_sparse_matrix_is_not_made_dense(caplog):
    matrix = scipy.sparse.csr_matrix((100_000, 100_000))

    class Zero:
        def predict(self, rows):
            return np.zeros(rows.shape[0])

    reference = dl.Reference.fit({"a": np.arange(100.0)})
    model = dl.watch(Zero(), name="m", reference=reference, synchronous=True)
    with caplog.at_level(logging.WARNING, "driftline"):
        assert len(model.predict(matrix)) == 100_000
    assert "features are a csr_matrix" in caplog.text


def test_texts_are_a_column_and_a_generator_of_texts_is_not_consumed(counts):
    texts = ["good", "bad", "ugly", "good", "bad", "good"] * 20
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, [t == "good" for t in texts])
    reference = dl.Reference.fit({"text": texts})
    dl.watch(model, name="m", reference=reference, synchronous=True)
    for data in (texts, np.array(texts), pd.Series(texts, name="text"), pd.Series(texts)):
        model.predict(data)
    np.testing.assert_array_equal(counts(model, "text"), 4 * np.array(reference.features[0].counts))
    assert model.predict(text for text in ["good", "bad"]).tolist() == [True, False]
    assert monitor_of(model).snapshot().rows == 4 * len(texts)


def test_two_texts_are_no_row_of_two_features(caplog):
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(["a1", "b1"] * 4, [0, 1] * 4)
    reference = dl.Reference.fit({"a": ["x", "y"] * 20, "b": ["x", "y"] * 20})
    dl.watch(model, name="m", reference=reference, synchronous=True)
    with caplog.at_level(logging.WARNING, "driftline"):
        model.predict(["a1", "b1"])
    assert "1 features in a row without names: expected 2" in caplog.text


def test_other_frames_and_rows_are_read(watch, counts, reference, training):
    class Any:
        def predict(self, rows):
            return None

    model = watch(Any(), on_error="raise")
    frame = training[0]
    model.predict(pl.from_pandas(frame))
    model.predict(frame.to_dict("list"))
    model.predict(frame.to_dict("records"))
    model.predict(rows=frame)
    for row in frame.to_dict("records"):
        model.predict(row)
    for feature in reference.features:
        np.testing.assert_array_equal(counts(model, feature.name), 5 * np.array(feature.counts))


def test_a_call_without_arguments_raises_as_before(classifier, watch):
    watch(classifier)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'X'"):
        classifier.predict()


def test_features_reads_the_arguments(classifier, watch, training, counts, reference):
    class Session:
        def predict(self, request, *, scale):
            return classifier.predict_proba(request["frame"])

    model = watch(Session(), features=lambda request, *, scale: request["frame"] * scale, on_error="raise")
    model.predict({"frame": training[0]}, scale=1.0)
    for feature in reference.features:
        np.testing.assert_array_equal(counts(model, feature.name), feature.counts)


# --- hooks that fail -------------------------------------------------------------------------------------------------


def fails(*_, **__):
    message = "a hook"
    raise LookupError(message)


@pytest.mark.parametrize(("argument", "counted"), [("features", "features"), ("output", "output")])
def test_a_hook_that_fails_is_counted_and_the_result_is_returned(
    classifier, watch, training, telemetry, argument, counted
):
    expected = classifier.predict_proba(training[0])
    watch(classifier, meter_provider=telemetry.meter_provider, **{argument: fails})
    np.testing.assert_array_equal(classifier.predict_proba(training[0]), expected)
    assert telemetry.value("ml.monitor.errors", **{"ml.monitor.place": counted}) == 1
    assert telemetry.value("ml.predictions.served") == len(training[0])


@pytest.mark.parametrize("argument", ["features", "output"])
def test_a_hook_that_fails_raises_in_tests(classifier, watch, training, argument):
    watch(classifier, on_error="raise", **{argument: fails})
    with pytest.raises(LookupError, match="a hook"):
        classifier.predict(training[0])


@pytest.mark.parametrize("argument", ["features", "output"])
def test_an_interrupt_in_a_hook_reaches_the_host(classifier, watch, training, argument):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    watch(classifier, **{argument: interrupt})
    with pytest.raises(KeyboardInterrupt):
        classifier.predict(training[0])


class Hostile(np.ndarray):
    """An array of which every attribute that driftline may read raises."""

    @property
    def dtype(self):
        message = "no"
        raise RuntimeError(message)


def test_hostile_arguments_do_not_change_a_call(watch):
    class Count:
        def predict(self, rows):
            return 7.0

    model = watch(Count())
    for argument in (np.ones((2, 3)).view(Hostile), object(), 3, None, float("nan"), [], {}, [[]], "text", b"", {1: 2}):
        assert model.predict(argument) == 7.0
