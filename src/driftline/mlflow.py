"""References that travel with MLflow models: `carry` for `log_model` and `save_model`, `carried` for serving."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import driftline.carrying as _carrying
from driftline._runtime import validation as _check
from driftline.carrying import _mlflow
from driftline.reference import Reference

__all__ = ["carried", "carry"]


def carry(
    reference: Reference,
    *,
    extra_files: Sequence[str | os.PathLike[str]] = (),
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Return the arguments *extra_files* and *metadata* of MLflow's `log_model` and `save_model`.

    Every flavour that has both arguments takes them: ``mlflow.sklearn.log_model(model, **driftline.mlflow.carry(r))``.
    The model then has the file ``extra_files/driftline.reference.json``. The metadata have only its fingerprint, its
    path and the version of its form, because MLflow reads the metadata each time it loads the model.

    Args:
        reference: the reference of the model's training data.
        extra_files: other files to log.
        metadata: other metadata of the model.

    Raises:
        ConfigurationError: an argument has a wrong value.
        ReferenceError: the reference is too large to be read back.
    """
    _check.instance("reference", reference, Reference, "a Reference")
    return _mlflow.arguments(reference, extra_files, metadata)


def carried(model: Any) -> Reference | None:
    """
    Return the reference of an MLflow model, or None, as `driftline.carried` does.

    Args:
        model: the folder of a model, a URI such as ``models:/delay@champion`` or ``runs:/…/model``, or a model that
            ``mlflow.pyfunc.load_model`` has loaded. A model that was saved and not logged does not know its folder, so
            pass the folder.

    Raises:
        ReferenceError: the reference is damaged, another than the metadata say, or MLflow cannot reach the model.
        ConfigurationError: the reference does not fit the signature of the model, or *model* is something else.
    """
    if not isinstance(model, (str, os.PathLike)) and not _mlflow.is_model(model):
        _check.reject("model", model, "a loaded pyfunc model, the path of its folder, or its URI")
    return _carrying.carried(model)
