"""The table of docs/carrying.md: each cell is tried."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from libraries import require
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import driftline as dl

xgboost, lightgbm, catboost, skops, onnx, skl2onnx = map(
    require, ("xgboost", "lightgbm", "catboost", "skops.io", "onnx", "skl2onnx")
)

pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = (Path(__file__).parents[2] / "docs" / "carrying.md").read_text(encoding="utf-8")
DATA = Path(__file__).parent / "data"
FRAME = pd.DataFrame(np.random.default_rng(3).normal(size=(300, 2)), columns=["age", "amount"])
LABELS = (FRAME["age"] > 0).astype(int)
REFERENCE = dl.Reference.fit(FRAME)


def catboost_model():
    """A classifier of CatBoost."""
    return catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False)


MODELS = {
    "estimator or pipeline of scikit-learn": lambda: make_pipeline(LogisticRegression()).fit(FRAME, LABELS),
    "`xgboost.Booster`": lambda: xgboost.train({}, xgboost.DMatrix(FRAME, LABELS), 2),
    "`xgboost.XGBClassifier` and the like": lambda: xgboost.XGBClassifier(n_estimators=2).fit(FRAME, LABELS),
    "`lightgbm.Booster`": lambda: lightgbm.train({"verbose": -1}, lightgbm.Dataset(FRAME, LABELS), 2),
    "`lightgbm.LGBMClassifier` and the like": lambda: lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(
        FRAME, LABELS
    ),
    "`catboost.CatBoostClassifier` and the like": lambda: catboost_model().fit(FRAME, LABELS),
    "`onnx.ModelProto`": lambda: skl2onnx.to_onnx(
        LogisticRegression().fit(FRAME.to_numpy(), LABELS), FRAME.to_numpy()[:1].astype("float32")
    ),
}


def table():
    """The cells of the table by model and column."""
    lines = re.search(r"^\| model \| where .*?\n\n", PAGE, re.DOTALL | re.MULTILINE)[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line)
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def through_joblib(model, folder):
    """A model that was saved and loaded by joblib."""
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def through_skops(model, folder):
    """A model that was saved and loaded by skops."""
    skops.dump(model, folder / "model.skops")
    return skops.load(folder / "model.skops", trusted=skops.get_untrusted_types(file=folder / "model.skops"))


WAYS = {
    "pickle, joblib, deepcopy": (
        lambda model, _: pickle.loads(pickle.dumps(model)),  # noqa: S301
        through_joblib,
        lambda model, _: copy.deepcopy(model),
    ),
    "skops": (through_skops,),
    "`fit` again": (lambda model, _: model.fit(FRAME, LABELS),),
    "`clone`": (lambda model, _: clone(model),),
}


def save(model, path, suffix):
    """Save a model in a format of its library."""
    if isinstance(model, onnx.ModelProto):
        onnx.save(model, path)
    elif hasattr(model, "get_metadata"):
        model.save_model(path, format=suffix)
    else:
        getattr(model, "booster_", model).save_model(path)


@pytest.mark.parametrize("column", WAYS)
@pytest.mark.parametrize("name", MODELS)
def test_cells_say_what_happens(tmp_path, name, column):
    """A cell is "kept", "lost", or empty where the library offers no such thing."""
    cell = table()[name][column]
    for way in WAYS[column] if cell else ():
        result = dl.carried(way(dl.carry(MODELS[name](), REFERENCE), tmp_path))
        assert (result is not None) == {"kept": True, "lost": False}[cell]
    if not cell:
        assert column == "skops" or not hasattr(MODELS[name](), "get_params")


@pytest.mark.parametrize("name", MODELS)
def test_own_files_keep_the_reference(tmp_path, name):
    """In every format that the cell names."""
    formats = table()[name]["own files"].removeprefix("kept: ").split(", ")
    for suffix in filter(None, formats):
        save(dl.carry(MODELS[name](), REFERENCE), tmp_path / f"model.{suffix}", suffix)
        assert dl.carried(tmp_path / f"model.{suffix}").to_json() == REFERENCE.to_json(), suffix


def test_the_table_has_every_model():
    """And no other."""
    assert table().keys() == MODELS.keys()


LOADERS = {
    "xgboost": lambda path: xgboost.Booster(model_file=path),
    "lightgbm": lambda path: lightgbm.Booster(model_file=path),
    "catboost": lambda path: catboost.CatBoost().load_model(path, format=path.suffix[1:]),
}


@pytest.mark.parametrize("path", sorted(DATA.iterdir()), ids=lambda path: path.name)
def test_files_of_older_releases_are_read(path):
    """As files, and by today's libraries, of which xgboost has dropped its old binary form."""
    assert dl.carried(path).columns == ("age", "amount")
    if path.suffix != ".deprecated":
        assert dl.carried(LOADERS[path.name.partition("-")[0]](path)).rows == 200
