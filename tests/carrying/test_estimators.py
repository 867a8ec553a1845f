"""References on estimators and pipelines of scikit-learn."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

import driftline as dl
from driftline.carrying import feature_names

ROWS = 400


@pytest.fixture(scope="module")
def data():
    """A frame of three features, and labels."""
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(ROWS, 3)), columns=["age", "über x", "amount"])
    return frame, (frame["age"] > 0).astype(int)


@pytest.fixture(scope="module")
def fitted(data):
    """The reference of the frame."""
    frame, labels = data
    return dl.Reference.fit(frame, predictions=labels, outcomes=labels)


def pipeline(data):
    """A fitted pipeline."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*data)


MODELS = {
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": lambda: RandomForestClassifier(3, random_state=0),
    "search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_carry_returns_the_model_and_carried_the_reference(data, fitted, name):
    """The object stays the same, and the reference is equal to the original."""
    model = MODELS[name]().fit(*data)
    assert dl.carried(model) is None
    assert dl.carry(model, fitted) is model
    assert dl.carried(model).to_json() == fitted.to_json()
    assert feature_names(model) == ("age", "über x", "amount")


def through_joblib(model, folder, compress):
    """A model that was saved and loaded by joblib."""
    joblib.dump(model, folder / "model.joblib", compress=compress)
    return joblib.load(folder / "model.joblib")


COPIES = {
    **{f"pickle {protocol}": lambda m, _, p=protocol: pickle.loads(pickle.dumps(m, p)) for protocol in range(6)},  # noqa: S301
    "joblib": lambda model, folder: through_joblib(model, folder, 0),
    "joblib, compressed": lambda model, folder: through_joblib(model, folder, 3),
    "copy.copy": lambda model, _: copy.copy(model),
    "copy.deepcopy": lambda model, _: copy.deepcopy(model),
}


@pytest.mark.parametrize("name", COPIES)
def test_what_survives(data, fitted, tmp_path, name):
    """Pickles of every protocol, joblib and copies keep the reference."""
    model = dl.carry(pipeline(data), fitted)
    assert dl.carried(COPIES[name](model, tmp_path)).to_json() == fitted.to_json()


def test_clone_drops_the_reference(data, fitted):
    """A clone is not fitted, and will be fitted to other data."""
    assert dl.carried(clone(dl.carry(pipeline(data), fitted))) is None


def test_the_inner_model_does_not_answer_for_the_outer(data, fitted):
    """A step, or the best of a search, carries for itself only."""
    model = pipeline(data)
    dl.carry(model[-1], dl.Reference.fit(model[:-1].transform(data[0])))
    assert dl.carried(model) is None
    assert dl.carried(dl.carry(model, fitted)).columns == fitted.columns


def html(model):
    """The representation in HTML, without the numbers that it gives to its parts."""
    return re.sub(r"(sk-(?:container-)?(?:estimator-)?id-)\d+|sk-[0-9a-f-]{36}", r"\1", estimator_html_repr(model))


def test_scikit_learn_sees_no_difference(data, fitted):
    """Parameters, text, HTML, predictions and fitted attributes stay."""
    bare, model = pipeline(data), dl.carry(pipeline(data), fitted)
    assert model.get_params().keys() == bare.get_params().keys()
    assert repr(model) == repr(bare)
    assert html(model) == html(bare)
    assert {k for k in vars(model) if k.endswith("_")} == {k for k in vars(bare) if k.endswith("_")}
    assert np.array_equal(model.predict_proba(data[0]), bare.predict_proba(data[0]))
    assert model.set_params(logisticregression__C=2.0) is model


def test_an_unfitted_model_stays_unfitted(fitted):
    """The attribute does not look like one that `fit` makes."""
    model = dl.carry(LogisticRegression(), fitted)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    assert dl.carried(model).columns == fitted.columns


def test_a_second_carry_replaces_the_first(data, fitted):
    """The last reference counts."""
    other = dl.Reference.fit(data[0][:100])
    model = dl.carry(dl.carry(pipeline(data), fitted), other)
    assert dl.carried(model).rows == 100


def test_refused_features_are_listed(data):
    """The message has the features of both, and those that the model lacks."""
    reference = dl.Reference.fit(data[0].rename(columns={"age": "years"}))
    model = pipeline(data)
    with pytest.raises(dl.ConfigurationError) as error:
        dl.carry(model, reference)
    assert str(error.value) == (
        "features ['years', 'über x', 'amount'] of the reference do not fit the features ['age', 'über x', 'amount'] "
        "of the Pipeline; the model lacks ['years']"
    )
    assert dl.carried(model) is None


def test_fewer_features_need_partial(data):
    """A reference of some features is accepted on request, and then found."""
    reference, model = dl.Reference.fit(data[0][["age"]]), pipeline(data)
    with pytest.raises(dl.ConfigurationError, match=r"the reference lacks \['über x', 'amount'\] \(pass partial=True"):
        dl.carry(model, reference)
    assert dl.carried(dl.carry(model, reference, partial=True)).columns == ("age",)


def test_names_in_another_order_fit(data):
    """Rows are aligned by name."""
    reference, model = dl.Reference.fit(data[0][["amount", "age", "über x"]]), pipeline(data)
    assert dl.carried(dl.carry(model, reference)).columns == ("amount", "age", "über x")
    assert feature_names(model) == ("age", "über x", "amount")


@pytest.mark.parametrize("partial", [False, True])
def test_without_names_the_number_counts(data, fitted, partial):
    """The model or the reference may have no names."""
    frame, labels = data
    nameless = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame.to_numpy(), labels)
    assert dl.carry(nameless, fitted, partial=partial) is nameless
    assert dl.carry(pipeline(data), dl.Reference.fit(frame.to_numpy()), partial=partial)
    assert feature_names(nameless) is None
    with pytest.raises(dl.ConfigurationError, match=r"\['age', 'amount'\] \(2\) .* do not fit 3 columns without names"):
        dl.carry(nameless, dl.Reference.fit(frame[["age", "amount"]]), partial=partial)


def test_columns_of_derived_features_need_not_be_of_the_model(data):
    """A function may read a column that the model does not get."""
    frame = data[0].assign(note="a b")
    reference = dl.Reference.fit(frame, ignore=["note"], derive={"words": lambda row: len(row["note"].split())})
    model = dl.carry(pipeline(data), reference)
    assert dl.carried(model).columns == reference.columns
    with pytest.raises(dl.ConfigurationError, match="the model lacks"):
        dl.carry(pipeline(data), dl.Reference.fit(frame))


def test_features_are_checked_when_they_are_read(data, fitted):
    """A model that was fitted again to other columns does not return the old reference."""
    frame, labels = data
    model = dl.carry(pipeline(data), fitted)
    model.fit(frame.rename(columns={"age": "years"}), labels)
    with pytest.raises(dl.ConfigurationError, match=r"'age'.*'years'"):
        dl.carried(model)


@pytest.mark.parametrize("model", [object(), 3, None, LogisticRegression, lambda x: x])
def test_other_objects_are_refused_and_carry_nothing(fitted, model):
    """Only paths and known kinds of model are accepted."""
    with pytest.raises(dl.ConfigurationError, match="expected an estimator, a booster"):
        dl.carry(model, fitted)
    assert dl.carried(model) is None
    assert feature_names(model) is None


@pytest.mark.parametrize("reference", [None, "flights.reference.json", {}])
def test_the_reference_is_checked(data, reference):
    """It is a `Reference`, not its path."""
    with pytest.raises(dl.ConfigurationError, match="reference="):
        dl.carry(pipeline(data), reference)


def test_nothing_warns(data, fitted, tmp_path):
    """Neither `carry` nor `carried` nor joblib says anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = dl.carry(pipeline(data), fitted)
        assert dl.carried(through_joblib(model, tmp_path, 0))


class Hostile:
    """A model whose attributes raise."""

    __slots__ = ("kind",)

    def __init__(self, kind):
        self.kind = kind

    def __getattr__(self, name):
        raise self.kind(name)


def test_errors_of_a_model_become_those_of_driftline(fitted):
    """They name the kind of model; interrupts pass."""
    with pytest.raises(dl.ConfigurationError, match="a Hostile that cannot be read: ZeroDivisionError: get_params"):
        dl.carry(Hostile(ZeroDivisionError), fitted)
    for function in (dl.carried, feature_names):
        with pytest.raises(dl.ReferenceError, match="a Hostile that cannot be read: ZeroDivisionError: get_params"):
            function(Hostile(ZeroDivisionError))
        with pytest.raises(KeyboardInterrupt):
            function(Hostile(KeyboardInterrupt))


class Slotted:
    """An estimator without a dict."""

    __slots__ = ()

    def fit(self):
        """Do nothing."""

    def get_params(self):
        """Return nothing."""


def test_an_estimator_that_takes_no_attributes_is_refused(fitted):
    """The message says where else the reference can be."""
    with pytest.raises(dl.ConfigurationError, match="a Slotted takes no attributes; save the reference beside"):
        dl.carry(Slotted(), fitted)


@pytest.mark.parametrize("value", [3, b"x", "hello", ["driftline.reference.1.AAAA."], "driftline.reference.1.AAAA."])
def test_foreign_attributes_are_errors(data, value):
    """They say which model has them; the model still predicts."""
    model = pipeline(data)
    model._driftline_reference = value  # noqa: SLF001 - as a hostile file could
    with pytest.raises(dl.ReferenceError, match="the reference of the Pipeline: "):
        dl.carried(model)
    assert len(model.predict(data[0])) == ROWS


def test_a_hundred_names_are_cut_off_in_messages():
    """Both lists, and how long they are."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 100)), columns=[f"name {i}" for i in range(100)])
    model = LogisticRegression().fit(frame, frame["name 0"] > 0)
    with pytest.raises(dl.ConfigurationError, match=r"'name 39', …\] \(100 names\) of the reference") as error:
        dl.carry(model, dl.Reference.fit(frame.rename(columns={"name 99": "other"})))
    assert str(error.value).endswith("the model lacks ['other']")


def test_models_of_many_threads(data, fitted):
    """`carry` and `carried` have no shared state."""
    models = [pipeline(data) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda model: dl.carried(dl.carry(model, fitted)).to_json(), models * 5))
    assert set(results) == {fitted.to_json()}
