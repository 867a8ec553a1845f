"""Names of models, from where they are loaded."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

__all__ = ["Identity", "of_path", "of_uri", "source_of", "without_scheme"]

MAX_NAME = 255
"""Longest name of a model, as `Monitor` accepts it."""

DEFAULT_NAME = "model"
"""Name of a model that was loaded from something without a name, such as bytes."""

PLAIN = frozenset({"model", "artifacts", "data", "mlmodel"})
"""Names of files that many models have, so that the folder tells more."""

REGISTERED = "registered_model_meta"
"""The file that MLflow adds to a registered model that it downloads."""

_REGISTERED = re.compile(r"models:/+(?P<name>[^/@]+)(?:/(?P<version>[^/]+)|@(?P<alias>[^/]+))?")


class Identity(NamedTuple):
    """
    The name and version of a model, as far as its source tells.

    Attributes:
        name: the attribute ``ml.model.name``.
        version: the attribute ``ml.model.version``, if it is known.
    """

    name: str
    version: str | None = None


def source_of(value: object) -> str | None:
    """Return the path or URI that a model is loaded from, or None for a file object, bytes and the like."""
    if isinstance(value, (str, os.PathLike)):
        path = os.fspath(value)
        return path if isinstance(path, str) else os.fsdecode(path)
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else None


def without_scheme(uri: str) -> str:
    """
    Return the path of a URI that names a file of this host, and others as they are.

    >>> without_scheme("file:///srv/a%20b"), without_scheme("models:/delay/3")
    ('/srv/a b', 'models:/delay/3')
    """
    parts = urlsplit(uri)
    return url2pathname(parts.path) if parts.scheme == "file" else uri


def of_path(source: str | None) -> Identity:
    """
    Return the identity of a model in a file: the name of the file, or of its folder if many files have that name.

    >>> of_path("/srv/models/delay.v2.joblib").name, of_path("/srv/delay/model.pkl").name, of_path(None).name
    ('delay.v2', 'delay', 'model')
    """
    if source is None:
        return Identity(DEFAULT_NAME)
    parts = [part for part in re.split(r"[\\/]+", source) if part not in {"", ".", ".."}]
    names = [os.path.splitext(part)[0] for part in parts]  # noqa: PTH122 - a URI is no path
    name = next((each for each in reversed(names[-2:]) if each.lower() not in PLAIN), DEFAULT_NAME)
    return Identity(name[:MAX_NAME])


def of_uri(uri: str, model: Any) -> Identity:
    """
    Return the identity of an MLflow model: name and version in the registry, or else the name that training gave it.

    An alias is resolved by the registry. MLflow downloads a registered model together with a file that has both, which
    is all that ``mlflow models serve`` knows.

    >>> of_uri("models:/delay/3", None)
    Identity(name='delay', version='3')
    """
    match = _REGISTERED.match(uri)
    if match is not None and not match["name"].startswith("m-"):
        return Identity(match["name"][:MAX_NAME], match["version"] or _resolved(uri))
    meta = Path(uri) / REGISTERED
    if meta.is_file():
        return _in_file(meta)
    metadata = getattr(model, "metadata", None)
    for attribute in ("name", "artifact_path"):
        name = getattr(metadata, attribute, None)
        if isinstance(name, str) and name and "/" not in name and ":" not in name:
            return Identity(name[:MAX_NAME])
    return of_path(uri)


def _in_file(path: Path) -> Identity:
    """Return the identity in the file that MLflow adds to a registered model."""
    import yaml  # noqa: PLC0415 - MLflow needs it

    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Identity(str(content["model_name"])[:MAX_NAME], str(content["model_version"]))


def _resolved(uri: str) -> str | None:
    """Return the version behind an alias or stage, as the registry has it now."""
    from mlflow.store.artifact.utils.models import get_model_name_and_version  # noqa: PLC0415 - MLflow is loaded
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - as above

    _, version = get_model_name_and_version(MlflowClient(), uri)
    return None if version is None else str(version)
