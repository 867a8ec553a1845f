"""References that travel with models: `carry` attaches a reference to a model, `carried` finds it again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from driftline._runtime import validation as check
from driftline.carrying import _mlflow
from driftline.carrying._boosters import CatBoost, LightGBM, XGBoost
from driftline.carrying._carrier import Carrier
from driftline.carrying._estimators import Estimators
from driftline.carrying._files import neighbour, read_path
from driftline.carrying._onnx import OnnxModels, OnnxSessions
from driftline.carrying._signature import Signature, check_fit
from driftline.carrying._text import decode, encode
from driftline.errors import ConfigurationError, DriftlineError, ReferenceError
from driftline.reference import Reference

__all__ = ["carried", "carry", "feature_names"]

_Model = TypeVar("_Model")

# The classes of boosters have the interface of scikit-learn too.
_CARRIERS: tuple[Carrier, ...] = (XGBoost(), LightGBM(), CatBoost(), OnnxModels(), OnnxSessions(), Estimators())


def carry(model: _Model, reference: Reference, *, partial: bool = False) -> _Model:
    """
    Attach a reference to a fitted model, so that the model's own file formats keep it.

    ``docs/carrying.md`` has a table of the kinds of model, and of what each survives. An earlier reference is replaced.

    Args:
        model: an estimator or a pipeline of scikit-learn, or any object with `get_params` and `fit`; a booster of
            xgboost, LightGBM or CatBoost; an `onnx.ModelProto`. For every other model, the path of its file or folder:
            the reference is saved beside it, in ``PATH.driftline.json``.
        reference: the reference of the model's training data.
        partial: accept a model that has features that the reference lacks.

    Returns:
        The same object.

    Raises:
        ConfigurationError: the model is of another kind or not fitted, or expects other features than those of the
            reference. If both have names, their order does not matter. Otherwise only the numbers are compared.
        ReferenceError: the reference is too large to be read back.
        OSError: the file beside the model cannot be written.
    """
    check.instance("reference", reference, Reference, "a Reference")
    check.boolean("partial", partial)
    if isinstance(model, (str, os.PathLike)):
        reference.save(neighbour(_file(model)))
        return model
    kind = type(model).__name__
    with _errors_of(ConfigurationError, kind):
        carrier = _carrier(model)
        if carrier is None:
            hint = " (pass **driftline.mlflow.carry(reference) to log_model)" * _mlflow.is_model(model)
            msg = (
                f"model: a {kind}, expected an estimator, a booster, an onnx.ModelProto, or the path of a model's "
                f"file, beside which the reference is saved{hint}"
            )
            raise ConfigurationError(msg)
        check_fit(reference, carrier.signature(model), f"the {kind}", partial=partial)
        carrier.write(model, encode(reference))
    return model


def carried(model: Any) -> Reference | None:
    """
    Return the reference that a model carries, or None.

    A model is never unpickled. In files of xgboost, LightGBM, CatBoost, ONNX and skops the reference is found without
    their libraries. Then the file ``PATH.driftline.json`` is read, which is the only place for a pickle: load the
    pickle, and pass the object.

    Args:
        model: what `carry` takes, an `onnxruntime.InferenceSession`, a loaded pyfunc model of MLflow, the folder of an
            MLflow model, or its URI, such as ``models:/delay@champion``.

    Raises:
        ReferenceError: the reference is damaged or of a newer version, or there is no such file. The message names the
            place.
        ConfigurationError: the reference describes features that the model does not have. Files other than those of
            MLflow are not checked.
    """
    if isinstance(model, (str, os.PathLike)):
        if _mlflow.is_uri(model):
            return _mlflow.read(model)
        path = _file(model)
        reference = _mlflow.read(path) if _mlflow.is_folder(path) else None
        return read_path(path) if reference is None else reference
    kind = type(model).__name__
    with _errors_of(ReferenceError, kind):
        if _mlflow.is_model(model):
            reference = _mlflow.read(model)
            return reference if reference is not None else carried(_mlflow.raw_model(model))
        carrier = _carrier(model)
        text = None if carrier is None else carrier.read(model)
        if carrier is None or text is None:
            return None
        reference = decode(text, f"the reference of the {kind}")
        check_fit(reference, carrier.signature(model), f"the {kind}", partial=True)
        return reference


def feature_names(model: Any) -> tuple[str, ...] | None:
    """
    Return the names of the features that a model expects, in the model's order; None if it has none.

    The features of a carried reference may have another order. These are the names for the columns of an array that has
    none. *model* is what `carried` takes, but not a path.
    """
    kind = type(model).__name__
    with _errors_of(ReferenceError, kind):
        if _mlflow.is_model(model):
            return _mlflow.signature(model).names
        carrier = _carrier(model)
        return (Signature() if carrier is None else carrier.signature(model)).names


def _carrier(model: Any) -> Carrier | None:
    return next((carrier for carrier in _CARRIERS if carrier.matches(model)), None)


def _file(model: Any) -> Path:
    return check.path("model", model, "a model, or the path of its file")


@contextmanager
def _errors_of(error: type[DriftlineError], kind: str) -> Iterator[None]:
    """Raise whatever the library of a model raises as an error of driftline."""
    try:
        yield
    except DriftlineError:
        raise
    except Exception as cause:
        msg = f"model: a {kind} that cannot be read: {type(cause).__name__}: {cause}"
        raise error(msg) from cause
