"""Watched boosters of xgboost, LightGBM and CatBoost: what is counted, and that they stay what they were."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from libraries import require

import driftline as dl
from driftline.watching import monitor_of, unwatch

catboost, lightgbm, xgboost = map(require, ("catboost", "lightgbm", "xgboost"))

ROWS = 400
FRAME = pd.DataFrame(np.random.default_rng(0).normal(size=(ROWS, 3)), columns=["age", "fare", "stops"])
TARGET = (FRAME["age"] > 0).astype(int)
TURNED = FRAME[["stops", "age", "fare"]]
"""The columns in the order of the reference, which is not that of the models."""


def xgboost_classifier():
    return xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(FRAME, TARGET)


def lightgbm_classifier():
    return lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(FRAME, TARGET)


def catboost_classifier():
    model = catboost.CatBoostClassifier(iterations=5, thread_count=1, verbose=0, allow_writing_files=False)
    return model.fit(FRAME, TARGET)


CALLS = {
    "xgboost predict": (xgboost_classifier, lambda model: model.predict(FRAME)),
    "xgboost predict_proba": (xgboost_classifier, lambda model: model.predict_proba(FRAME.to_numpy())),
    "xgboost matrix": (lambda: xgboost_classifier().get_booster(), lambda model: model.predict(xgboost.DMatrix(FRAME))),
    "xgboost in place": (lambda: xgboost_classifier().get_booster(), lambda model: model.inplace_predict(FRAME)),
    "lightgbm predict": (lightgbm_classifier, lambda model: model.predict(FRAME)),
    "lightgbm predict_proba": (lightgbm_classifier, lambda model: model.predict_proba(FRAME)),
    "lightgbm booster": (lambda: lightgbm_classifier().booster_, lambda model: model.predict(FRAME.to_numpy())),
    "catboost predict": (catboost_classifier, lambda model: model.predict(FRAME)),
    "catboost predict_proba": (catboost_classifier, lambda model: model.predict_proba(FRAME.to_numpy())),
    "catboost pool": (catboost_classifier, lambda model: model.predict(catboost.Pool(FRAME))),
}


def assert_counted(model, reference):
    """Each feature is counted once for each row, in its bins."""
    snapshot, start = monitor_of(model).snapshot(), 0
    assert snapshot.rows == ROWS
    for feature in reference.features:
        np.testing.assert_array_equal(snapshot.counts[start : start + feature.bins.size], feature.counts)
        start += feature.bins.size


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_a_watched_booster_counts_each_row_and_stays_what_it_was(call):
    make, predict = CALLS[call]
    model = make()
    kind, expected = type(model), predict(model)
    reference = dl.Reference.fit(TURNED)
    dl.watch(model, name="m", reference=reference, synchronous=True, on_error="raise")
    np.testing.assert_array_equal(predict(model), expected)
    assert_counted(model, reference)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):  # noqa: S301 - own bytes
        assert type(other) is kind
        np.testing.assert_array_equal(predict(other), expected)
    assert_counted(model, reference)
    assert type(unwatch(model)) is kind


def test_values_that_a_matrix_lacks_are_missing_and_explanations_do_not_count():
    gaps = TURNED.copy()
    gaps.iloc[::7, 0] = np.nan
    reference = dl.Reference.fit(gaps)
    booster = xgboost_classifier().get_booster()
    dl.watch(booster, name="m", reference=reference, synchronous=True, on_error="raise")
    matrix = xgboost.DMatrix(gaps[FRAME.columns])
    booster.predict(matrix)
    booster.predict(matrix, pred_contribs=True)
    booster.predict(matrix, pred_leaf=True)
    assert_counted(booster, reference)
