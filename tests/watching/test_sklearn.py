"""scikit-learn's checks and evaluations of watched estimators, beside those of bare ones."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, learning_curve
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import estimator_checks

import driftline as dl
from driftline.watching import monitor_of

ESTIMATORS = [
    pytest.param(LogisticRegression(), marks=pytest.mark.slow),
    SGDClassifier(),
    GaussianNB(),
    SVC(),
    DecisionTreeRegressor(),
    pytest.param(KMeans(n_clusters=2, n_init=2), marks=pytest.mark.slow),
    IsolationForest(n_estimators=5),
    pytest.param(make_pipeline(StandardScaler(), LogisticRegression()), marks=pytest.mark.slow),
]


def outcomes(estimator):
    """Return the outcome of each check of scikit-learn, with the error of a check that failed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = estimator_checks.check_estimator(estimator, on_skip=None, on_fail=None)
    return [(each["check_name"], each["status"], str(each["exception"])[:200]) for each in results]


@pytest.mark.skipif(
    "on_skip" not in inspect.signature(estimator_checks.check_estimator).parameters,
    reason="this scikit-learn returns no outcomes",
)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_the_checks_of_scikit_learn_have_the_same_outcomes(estimator, monkeypatch, telemetry):
    expected = outcomes(estimator)
    monitor = dl.Monitor("m", reference=dl.Reference.learn(100), meter_provider=telemetry.meter_provider)
    clones = []

    def cloned(original, **arguments):
        copy = clone(original, **arguments)
        if hasattr(copy, "fit") and hasattr(type(copy), "predict"):
            dl.watch(copy, monitor=monitor)
            clones.append(monitor_of(copy))
        return copy

    # Each check begins with a clone of the estimator, which would not be watched.
    monkeypatch.setattr(estimator_checks, "clone", cloned)
    assert outcomes(estimator) == expected
    assert len(clones) > len(expected) / 2
    assert set(clones) == {monitor}
    assert telemetry.value("ml.predictions.served") > 100


def evaluations(model, frame, target):
    """Return the results of the tools that evaluate a model. Random choices have seeds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(model, {model_parameter(model): [0.1, 1.0]}, cv=3).fit(frame, target)
        calibrated = CalibratedClassifierCV(model, cv=3).fit(frame, target)
        importance = permutation_importance(model, frame, target, n_repeats=3, random_state=0)
        return [
            cross_val_score(model, frame, target, cv=3),
            cross_val_score(model, frame, target, cv=3, scoring="roc_auc"),
            cross_val_predict(model, frame, target, cv=3, method="predict_proba"),
            search.cv_results_["mean_test_score"],
            search.predict_proba(frame),
            calibrated.predict_proba(frame),
            importance.importances,
            partial_dependence(model, frame, [0], grid_resolution=5)["average"],
            np.array(learning_curve(model, frame, target, cv=3, train_sizes=[0.5, 1.0])[2]),
            model.predict(frame),
            model.predict_proba(frame),
            np.array(model.score(frame, target)),
        ]


def model_parameter(model):
    return next(name for name in model.get_params() if name.endswith(("C", "min_impurity_decrease")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(StandardScaler(), LogisticRegression()),
        lambda: RandomForestClassifier(5, random_state=0),
    ],
    ids=["pipeline", "forest"],
)
def test_evaluations_are_bit_identical(make, training, reference):
    bare, model = make().fit(*training), make().fit(*training)
    dl.watch(model, name="m", reference=reference, synchronous=True, on_error="raise")
    for expected, actual in zip(evaluations(bare, *training), evaluations(model, *training), strict=True):
        assert expected.tobytes() == actual.tobytes()
    assert monitor_of(model).snapshot().rows > 0
