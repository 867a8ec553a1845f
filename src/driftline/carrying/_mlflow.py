"""MLflow models: the reference is a file in the model's folder, and the metadata have its fingerprint."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from driftline._runtime.json_text import shown
from driftline.carrying._carrier import is_instance
from driftline.carrying._signature import UNKNOWN, Signature, check_fit, numbered
from driftline.errors import ConfigurationError, DriftlineError, ReferenceError
from driftline.reference import Reference

__all__ = ["arguments", "is_folder", "is_model", "is_uri", "raw_model", "read", "signature"]

KEY = "driftline"
"""The key in the metadata of a model."""

NAME = "driftline.reference.json"
"""Name of the reference's file."""

PLACE = f"extra_files/{NAME}"
"""Path of the reference's file in the folder of a model."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")

_folders: dict[int, Path] = {}
"""The folder of the files to log, by the id of the process, because each process removes only its own."""


def is_uri(path: object) -> bool:
    """Return whether a path is a URI that MLflow resolves. A drive such as ``C:/`` is not."""
    return isinstance(path, str) and _URI.match(path) is not None


def is_folder(path: Path) -> bool:
    """Return whether a path is the folder of an MLflow model."""
    return os.path.isfile(path / "MLmodel")  # noqa: PTH113 - it raises nothing for a name that no file can have


def is_model(model: Any) -> bool:
    """Return whether an object is a loaded pyfunc model of MLflow."""
    return is_instance(model, "mlflow", "PyFuncModel")


def arguments(
    reference: Reference, extra_files: Sequence[str | os.PathLike[str]], metadata: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the arguments of `driftline.mlflow.carry`."""
    if isinstance(extra_files, (str, os.PathLike)) or not isinstance(extra_files, Sequence):
        msg = f"extra_files={shown(extra_files)}: expected a list of paths or URIs"
        raise ConfigurationError(msg)
    if metadata is not None and (not isinstance(metadata, Mapping) or KEY in metadata):
        msg = f"metadata={shown(metadata)}: expected a mapping without the key {KEY!r}"
        raise ConfigurationError(msg)
    entry = {
        "fingerprint": reference.fingerprint,
        "path": PLACE,
        "schema_version": json.loads(reference.to_json())["schema_version"],
    }
    return {
        "extra_files": [*(os.fspath(path) for path in extra_files), str(_file_to_log(reference))],
        "metadata": {**(metadata or {}), KEY: entry},
    }


def _file_to_log(reference: Reference) -> Path:
    """Save a reference in a folder that lasts as long as the process, once for equal references; return its path."""
    folder = _folders.get(os.getpid())
    if folder is None or not folder.is_dir():
        folder = Path(tempfile.mkdtemp(prefix="driftline-"))
        _folders[os.getpid()] = folder
        atexit.register(_remove, os.getpid(), folder)
    content = hashlib.sha256(reference.to_json().encode("utf-8")).hexdigest()[:16]
    (folder / content).mkdir(exist_ok=True)
    path = folder / content / NAME
    if not path.is_file():
        reference.save(path)
    return path


def _remove(process: int, folder: Path) -> None:
    """Remove a folder of this process. A forked child has the callbacks of its parent, too."""
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


def read(model: Any) -> Reference | None:
    """
    Return the reference of a loaded model, of the folder of a model, or of a model's URI.

    Raises:
        ReferenceError: MLflow is absent or cannot reach the model, or the reference is damaged or another than the
            metadata say.
        ConfigurationError: the reference does not fit the signature of the model.
    """
    source = f"the {type(model).__name__}" if is_model(model) else str(model)
    with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
        try:
            files = _Files(model, folder)
            metadata = files.metadata()
            entry = _entry(metadata)
            path = None if entry is None else files.get(PLACE)
        except DriftlineError:
            raise
        except Exception as error:
            msg = f"{source}: MLflow cannot read the model and its {PLACE}: {type(error).__name__}: {error}"
            raise ReferenceError(msg) from error
        if entry is None or path is None:
            return None
        if entry.get("path") != PLACE:
            msg = f"{source}: metadata.{KEY}.path is {shown(entry.get('path'))}, expected {PLACE!r}"
            raise ReferenceError(msg)
        reference = Reference.load(path)
    if entry.get("fingerprint") != reference.fingerprint:
        msg = (
            f"{source}: metadata.{KEY}.fingerprint is {shown(entry.get('fingerprint'))}, but that of {PLACE} is "
            f"{reference.fingerprint!r}: the file is of another reference"
        )
        raise ReferenceError(msg)
    check_fit(reference, _signature_of(metadata), f"the signature of {source}", partial=True)
    return reference


class _Files:
    """
    The files of a model.

    Args:
        model: as in `read`.
        folder: where files of a remote model go.
    """

    def __init__(self, model: Any, folder: str) -> None:
        self._model = model
        self._folder = folder

    def metadata(self) -> Any:
        """Return the metadata of the model, which a loaded model has in memory."""
        from mlflow.models import Model  # noqa: PLC0415 - optional

        return self._model.metadata if is_model(self._model) else Model.load(str(self.get("MLmodel")))

    def get(self, path: str) -> Path:
        """Return the local path of a file of the model. A remote file is downloaded; MLflow may raise anything."""
        if is_model(self._model):
            return self._first(_uris_of(self._model.metadata), path)
        return self._download(self._model, path) if is_uri(self._model) else Path(self._model) / path

    def _first(self, uris: Sequence[str], path: str) -> Path:
        """Return the file from the first of several places that has it, or raise the error of the first."""
        errors = []
        for uri in uris:
            try:
                return self._download(uri, path)
            except Exception as error:  # noqa: BLE001, PERF203 - MLflow's, or those of a store
                errors.append(error)
        raise errors[0]

    def _download(self, uri: str, path: str) -> Path:
        from mlflow.store.artifact import artifact_repository_registry as registry  # noqa: PLC0415 - optional

        file = Path(registry.get_artifact_repository(uri).download_artifacts(path, self._folder))
        if not file.is_file():
            raise FileNotFoundError(file)
        return file


def signature(model: Any) -> Signature:
    """Return the features in the signature of a loaded model."""
    return _signature_of(model.metadata)


def raw_model(model: Any) -> Any:
    """Return the model of another library inside a loaded model, or None."""
    try:
        return model.get_raw_model()
    except Exception:  # noqa: BLE001 - MLflow's, if there is none, or that of a user's model
        return None


def _entry(metadata: Any) -> Mapping[str, Any] | None:
    """Return what the metadata of a model say about its reference."""
    entry = (metadata.metadata or {}).get(KEY)
    if entry is not None and not isinstance(entry, Mapping):
        msg = f"metadata.{KEY} is {shown(entry)}, expected a mapping"
        raise ReferenceError(msg)
    return entry


def _uris_of(metadata: Any) -> list[str]:
    """
    Return the URIs of a loaded model. The one of its artifacts is good without the store that it was logged to.

    Raises:
        ReferenceError: the model was not logged, and so does not know where its files are.
    """
    uris = [f"models:/{metadata.model_id}"] if metadata.model_id else []
    if is_uri(metadata.artifact_path):
        uris.append(metadata.artifact_path)
    elif metadata.run_id and metadata.artifact_path:
        uris.append(f"runs:/{metadata.run_id}/{metadata.artifact_path}")
    if not uris:
        msg = "a loaded model that was saved and not logged does not know its folder: pass the path of the folder"
        raise ReferenceError(msg)
    return uris


def _signature_of(metadata: Any) -> Signature:
    """Return the features in the signature of a model, which MLflow need not know."""
    schema = metadata.get_input_schema()
    if schema is None:
        return UNKNOWN
    if schema.has_input_names():
        names = tuple(str(name) for name in schema.input_names())
        return Signature(None if numbered(names) else names, len(names))
    if schema.is_tensor_spec():
        shape = schema.inputs[0].shape
        return Signature(None, shape[1]) if len(shape) == 2 and shape[1] > 0 else UNKNOWN  # noqa: PLR2004 - as in ONNX
    return Signature(None, len(schema.inputs))
