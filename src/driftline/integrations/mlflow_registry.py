"""MLflow's model registry: requests for retraining become tags, and a moved alias brings the reference of its model."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from driftline import ConfigurationError, Reference, RetrainingRequest, carried

__all__ = ["AliasFollower", "RequestTag"]

_log = logging.getLogger("driftline")

TAGS = {"retrain": "driftline.retraining", "fix_pipeline": "driftline.pipeline"}
"""The key of the tag by kind of request. MLflow sends a webhook when a tag of a model version is set."""


def _client(tracking_uri: str | None, registry_uri: str | None) -> Any:
    try:
        from mlflow import MlflowClient  # noqa: PLC0415 - importing this module needs no MLflow
    except ImportError as error:
        msg = f"the registry needs MLflow (pip install mlflow, or mlflow-skinny): {error}"
        raise ConfigurationError(msg) from error
    return MlflowClient(tracking_uri, registry_uri)


class RequestTag:
    """
    A sink that sets a tag on the version of a registered model, whose webhook starts what the team has.

    The tag is ``driftline.retraining`` with the value ``requested:ID``; of a request to fix the pipeline it is
    ``driftline.pipeline``. A tag that is set already is not set again.

    Args:
        registered_model: the name in the registry. If None, the name of the monitor.
        alias: the alias of the version that gets the tag, such as ``champion``. If None, the version of the monitor.
        tracking_uri: the server of MLflow. If None, as MLflow is configured.
        registry_uri: the registry, if it is another server.

    Attributes:
        name: the name under which the queue records deliveries.

    Raises:
        ConfigurationError: MLflow is not installed.
    """

    def __init__(
        self,
        registered_model: str | None = None,
        *,
        alias: str | None = None,
        tracking_uri: str | None = None,
        registry_uri: str | None = None,
    ) -> None:
        self._model, self._alias = registered_model, alias
        self._client = _client(tracking_uri, registry_uri)
        self.name = "mlflow:" + ":".join(part or "" for part in (registered_model, alias, tracking_uri, registry_uri))

    def deliver(self, request: RetrainingRequest) -> None:
        """Set the tag. MLflow raises if it cannot be reached, or if there is no such version."""
        model, version = self._model or request.model, request.version
        if self._alias is not None:
            version = self._client.get_model_version_by_alias(model, self._alias).version
        if version is None:
            msg = f"{request.id} names no version of the model: expected RequestTag(alias=...), or Monitor(version=...)"
            raise ConfigurationError(msg)
        key, value = TAGS[request.kind], f"requested:{request.id}"
        if self._client.get_model_version(model, version).tags.get(key) != value:
            self._client.set_model_version_tag(model, version, key, value)


class Replaceable(Protocol):
    """A monitor."""

    def replace_reference(self, reference: Reference, *, version: str | None = None) -> None:
        """Compare with another reference from now on."""
        ...


class AliasFollower:
    """
    Watches an alias in a thread. When it moves, the monitor gets the reference that the new version carries.

    The monitor then has the number of that version, and the requests about earlier ones close. If MLflow cannot be
    reached or the version carries no usable reference, the monitor keeps its own. That is logged, and tried again.

    Args:
        monitor: the monitor.
        registered_model: the name in the registry.
        alias: the alias, such as ``champion``.
        version: the version that the monitor has now. If None, the one that the alias names at first.
        load: called with the URI of a new version before the reference changes, for example to load the model. If it
            raises, the reference does not change, and it is called again later.
        seconds: seconds between two looks.
        tracking_uri: the server of MLflow. If None, as MLflow is configured.
        registry_uri: the registry, if it is another server.

    Attributes:
        version: the version whose reference the monitor has; None before the first look without an argument.

    Raises:
        ConfigurationError: MLflow is not installed.
    """

    def __init__(
        self,
        monitor: Replaceable,
        registered_model: str,
        alias: str,
        *,
        version: str | None = None,
        load: Callable[[str], object] | None = None,
        seconds: float = 60.0,
        tracking_uri: str | None = None,
        registry_uri: str | None = None,
    ) -> None:
        self.version = version
        self._monitor, self._model, self._alias = monitor, registered_model, alias
        self._load, self._seconds = load, seconds
        self._client = _client(tracking_uri, registry_uri)
        self._ended = threading.Event()
        self._problem = ""

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="driftline-alias", daemon=True).start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()

    def look(self) -> bool:
        """Look at the alias now, and return whether the reference was replaced. Nothing is raised."""
        try:
            version = str(self._client.get_model_version_by_alias(self._model, self._alias).version)
            if self.version in {None, version}:
                self.version, self._problem = version, ""
                return False
            uri = f"models:/{self._model}/{version}"
            reference = carried(uri)
            if reference is None:
                msg = f"{uri} carries no reference: log it with driftline.mlflow.carry"
                raise ConfigurationError(msg)  # noqa: TRY301 - as the errors of a damaged one
            if self._load is not None:
                self._load(uri)
            self._monitor.replace_reference(reference, version=version)
        except Exception as error:  # noqa: BLE001 - MLflow's, or of the user function
            problem = f"{type(error).__name__}: {error}"
            if problem != self._problem:
                _log.warning("models:/%s@%s: %s. It is tried again.", self._model, self._alias, problem)
            self._problem = problem
            return False
        self.version, self._problem = version, ""
        return True

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()
