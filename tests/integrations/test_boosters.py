"""References in boosters of xgboost, LightGBM and CatBoost, through their file formats."""

from __future__ import annotations

import copy
import json
import pickle
import zipfile

import joblib
import numpy as np
import pandas as pd
import pytest
from libraries import require
from sklearn.linear_model import LogisticRegression

import driftline as dl
from driftline.carrying import feature_names
from driftline.carrying._text import KEY, encode

xgboost, lightgbm, catboost, skops = map(require, ("xgboost", "lightgbm", "catboost", "skops.io"))

NAMES = ("age", "über x", "amount")


@pytest.fixture(scope="module")
def data():
    """A frame of three features, and labels."""
    frame = pd.DataFrame(np.random.default_rng(3).normal(size=(300, 3)), columns=list(NAMES))
    return frame, (frame["age"] > 0).astype(int)


@pytest.fixture(scope="module")
def reference(data):
    """The reference of the frame."""
    return dl.Reference.fit(data[0], predictions=data[1], outcomes=data[1])


def xgboost_booster(frame, labels):
    """A booster of `xgboost.train`."""
    return xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(frame, labels), 4)


def lightgbm_booster(frame, labels, **options):
    """A booster of `lightgbm.train`."""
    return lightgbm.train({"verbose": -1, "objective": "binary"}, lightgbm.Dataset(frame, labels), 4, **options)


def catboost_model(frame, labels):
    """A classifier of CatBoost."""
    return catboost.CatBoostClassifier(iterations=4, verbose=0, allow_writing_files=False).fit(frame, labels)


# Of a file with a suffix that xgboost does not know, it warns.
pytestmark = pytest.mark.filterwarnings("ignore:.*UBJSON.*:UserWarning")

MODELS = {
    "xgboost.Booster": xgboost_booster,
    "XGBClassifier": lambda *data: xgboost.XGBClassifier(n_estimators=4).fit(*data),
    "lightgbm.Booster": lightgbm_booster,
    "LGBMClassifier": lambda *data: lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(*data),
    "CatBoostClassifier": catboost_model,
    "CatBoost": lambda frame, labels: catboost.CatBoost(
        {"iterations": 4, "verbose": 0, "allow_writing_files": False}
    ).fit(frame, labels),
}


def predict(model, frame):
    """The predictions of any of the models."""
    data = xgboost.DMatrix(frame) if isinstance(model, xgboost.Booster) else frame
    return getattr(model, "predict_proba", model.predict)(data)


def through_joblib(model, folder):
    """A model that was saved and loaded by joblib."""
    joblib.dump(model, folder / "model.joblib", compress=3)
    return joblib.load(folder / "model.joblib")


def through_skops(model, folder):
    """A model that was saved and loaded by skops. Its types must be trusted, with a reference or without."""
    skops.dump(model, folder / "model.skops")
    trusted = skops.get_untrusted_types(file=folder / "model.skops")
    assert [name for name in trusted if "driftline" in name] == []
    return skops.load(folder / "model.skops", trusted=trusted)


COPIES = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),  # noqa: S301
    "joblib": through_joblib,
    "skops": through_skops,
    "copy.copy": lambda model, _: copy.copy(model),
    "copy.deepcopy": lambda model, _: copy.deepcopy(model),
}


@pytest.mark.parametrize("name", MODELS)
def test_carry_changes_no_prediction(data, reference, name):
    """The object and its predictions stay, bit by bit; the reference comes back equal, and can be replaced."""
    model = MODELS[name](*data)
    before = predict(model, data[0])
    assert dl.carried(model) is None
    assert dl.carry(model, reference) is model
    assert np.array_equal(predict(model, data[0]), before)
    assert dl.carried(model).to_json() == reference.to_json()
    other = dl.Reference.fit(data[0][:100])
    assert dl.carried(dl.carry(dl.carry(model, other), other)).rows == 100
    spelled = tuple(name.replace(" ", "_") for name in NAMES) if name[0] == "l" or "LGBM" in name else NAMES
    assert feature_names(model) == spelled


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", MODELS)
def test_copies_keep_the_reference(data, reference, tmp_path, name, way):
    """Also the fit state and the predictions."""
    model = dl.carry(MODELS[name](*data), reference)
    copied = COPIES[way](model, tmp_path)
    assert dl.carried(copied).to_json() == reference.to_json()
    assert np.array_equal(predict(copied, data[0]), predict(model, data[0]))


def test_skops_files_are_read_without_skops(data, reference, tmp_path):
    """Of an estimator of scikit-learn; a booster is a binary file in the archive."""
    through_skops(dl.carry(LogisticRegression().fit(*data), reference), tmp_path)
    assert skops.get_untrusted_types(file=tmp_path / "model.skops") == []
    assert dl.carried(tmp_path / "model.skops").to_json() == reference.to_json()
    assert "schema.json" in zipfile.ZipFile(tmp_path / "model.skops").namelist()


def reload_xgboost(path):
    """A new classifier that loads a file."""
    model = xgboost.XGBClassifier()
    model.load_model(path)
    return model


@pytest.mark.parametrize("suffix", ["json", "ubj", "model"])
@pytest.mark.parametrize("name", ["xgboost.Booster", "XGBClassifier"])
def test_formats_of_xgboost(data, reference, tmp_path, name, suffix):
    """JSON and UBJSON, in a file and in memory; boosters from either load the other's files."""
    model = dl.carry(MODELS[name](*data), reference)
    model.save_model(tmp_path / f"model.{suffix}")
    assert dl.carried(tmp_path / f"model.{suffix}").to_json() == reference.to_json()
    for loaded in (
        xgboost.Booster(model_file=tmp_path / f"model.{suffix}"),
        reload_xgboost(tmp_path / f"model.{suffix}"),
    ):
        assert dl.carried(loaded).to_json() == reference.to_json()
    booster = model if name == "xgboost.Booster" else model.get_booster()
    assert dl.carried(xgboost.Booster(model_file=booster.save_raw("json"))).rows == reference.rows
    assert dl.carried(booster[0:2]).rows == reference.rows
    assert dl.carried(booster.copy()).rows == reference.rows


def test_training_of_xgboost_goes_on_with_the_reference_and_starts_without(data, reference):
    """`xgb_model=` keeps the attributes of the booster that it continues; `fit` begins a new booster."""
    model = dl.carry(MODELS["XGBClassifier"](*data), reference)
    assert dl.carried(xgboost.XGBClassifier(n_estimators=1).fit(*data, xgb_model=model.get_booster())).rows == 300
    assert dl.carried(model.fit(*data)) is None


@pytest.mark.parametrize("name", ["lightgbm.Booster", "LGBMClassifier"])
def test_formats_of_lightgbm(data, reference, tmp_path, name):
    """Its text form keeps the reference, through several files and a change of the booster."""
    model = dl.carry(MODELS[name](*data), reference)
    booster = getattr(model, "booster_", model)
    booster.save_model(tmp_path / "model.txt")
    assert dl.carried(tmp_path / "model.txt").to_json() == reference.to_json()
    loaded = lightgbm.Booster(model_file=tmp_path / "model.txt")
    assert dl.carried(loaded).to_json() == reference.to_json()
    loaded.save_model(tmp_path / "again.txt", num_iteration=2)
    again = lightgbm.Booster(model_file=tmp_path / "again.txt")
    assert dl.carried(again).to_json() == reference.to_json()
    assert again.num_trees() == 2
    assert again.params == loaded.params
    assert "driftline" not in str(again.params)
    assert "driftline" not in json.dumps(loaded.dump_model())
    again.shuffle_models()
    again.refit(data[0], data[1])
    assert dl.carried(again).rows == reference.rows


def test_carrying_keeps_what_lightgbm_knows(data, reference):
    """All iterations, not only those to the best; importances; the best iteration; categories of a frame."""
    frame = data[0].assign(channel=pd.Categorical(["web", "shop", "phone"] * 100))
    valid = lightgbm.Dataset(frame, data[1])
    model = lightgbm_booster(frame, data[1], valid_sets=[valid], callbacks=[lightgbm.early_stopping(1, verbose=False)])
    model.best_iteration = 2
    before = (model.num_trees(), model.best_iteration, model.pandas_categorical, model.params)
    importance = model.feature_importance("gain")
    dl.carry(model, dl.Reference.fit(frame))
    assert (model.num_trees(), model.best_iteration, model.pandas_categorical, model.params) == before
    assert np.array_equal(model.feature_importance("gain"), importance)
    assert np.array_equal(model.predict(frame), pickle.loads(pickle.dumps(model)).predict(frame))  # noqa: S301


def test_training_of_lightgbm(data, reference):
    """A booster with its training data is refused, because carrying would drop them; a new training drops the text."""
    model = lightgbm_booster(*data, keep_training_booster=True)
    with pytest.raises(dl.ConfigurationError, match=r"keeps its training data: expected one after free_dataset\(\)"):
        dl.carry(model, reference)
    model.update()
    dl.carry(model.free_dataset(), reference)
    assert dl.carried(model).rows == 300
    assert dl.carried(lightgbm_booster(*data, init_model=model)) is None


@pytest.mark.parametrize("kind", ["cbm", "json"])
@pytest.mark.parametrize("name", ["CatBoostClassifier", "CatBoost"])
def test_formats_of_catboost(data, reference, tmp_path, name, kind):
    """The binary form and JSON keep the metadata."""
    model, path = dl.carry(MODELS[name](*data), reference), tmp_path / f"model.{kind}"
    model.save_model(path, format=kind)
    assert dl.carried(path).to_json() == reference.to_json()
    assert dl.carried(type(model)().load_model(path, format=kind)).to_json() == reference.to_json()
    assert dl.carried(model.copy()).rows == 300
    # As with scikit-learn, `fit` keeps the metadata of the training before: the page says to call `carry` again.
    assert dl.carried(model.fit(*data)).rows == 300


@pytest.mark.parametrize("kind", ["cpp", "python", "pmml"])
def test_exports_of_catboost_as_code_keep_nothing(data, reference, tmp_path, kind):
    """The neighbour file is for these."""
    dl.carry(MODELS["CatBoostClassifier"](*data), reference).save_model(tmp_path / "model", format=kind)
    assert dl.carried(tmp_path / "model") is None


@pytest.mark.parametrize("name", MODELS)
def test_features_that_do_not_fit_are_refused(data, name):
    """Both lists are in the message, and an order is none of the reasons."""
    frame, labels = data
    model = MODELS[name](frame, labels)
    with pytest.raises(dl.ConfigurationError, match=r"features \['years', 'über x', 'amount'\] .* \['age', 'über.x'"):
        dl.carry(model, dl.Reference.fit(frame.rename(columns={"age": "years"})))
    assert dl.carried(model) is None
    assert dl.carry(model, dl.Reference.fit(frame[list(NAMES[::-1])])) is model
    nameless = MODELS[name](frame.to_numpy(), labels)
    assert feature_names(nameless) is None
    assert dl.carry(nameless, dl.Reference.fit(frame)) is nameless
    with pytest.raises(dl.ConfigurationError, match=r"\['age', 'amount'\] \(2\) .* do not fit 3 columns without names"):
        dl.carry(nameless, dl.Reference.fit(frame[["age", "amount"]]))


@pytest.mark.parametrize(
    "make",
    [
        xgboost.XGBClassifier,
        lightgbm.LGBMClassifier,
        catboost.CatBoostClassifier,
        xgboost.Booster,
    ],
)
def test_a_model_before_fit_is_refused_and_carries_nothing(reference, make):
    """It has no booster yet."""
    assert dl.carried(make()) is None
    if not isinstance(make(), xgboost.Booster):
        with pytest.raises(dl.ConfigurationError, match="before fit"):
            dl.carry(make(), reference)


def damage(model, text):
    """Put a text into a model as a hostile file could."""
    if isinstance(model, xgboost.Booster):
        model.set_attr(**{KEY: text})
    elif isinstance(model, lightgbm.Booster):
        before = model.model_to_string()
        model.model_from_string(before.replace("\nend of parameters", f"\n[{KEY}={text}: ]\n\nend of parameters"))
    else:
        model.get_metadata()[KEY] = text


@pytest.mark.parametrize("name", ["xgboost.Booster", "lightgbm.Booster", "CatBoostClassifier"])
def test_hostile_texts_are_errors(data, reference, tmp_path, name):
    """Damaged, truncated, foreign and newer texts say where they are; the model still predicts."""
    text = encode(reference)
    for hostile in ("hello", text[:-1], text[:80], text.replace("1.", "9.", 1), text[:60] + "AAAA" + text[64:], "{"):
        model = MODELS[name](*data)
        damage(model, hostile)
        with pytest.raises(dl.ReferenceError, match=f"the reference of the {type(model).__name__}"):
            dl.carried(model)
        assert predict(model, data[0]).shape[0] == 300
        assert dl.carried(dl.carry(model, reference)).rows == 300
