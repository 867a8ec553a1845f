"""The identity of a service and of a process: ``service.name`` and ``service.instance.id``."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.sdk import resources
from opentelemetry.sdk.resources import Resource

__all__ = ["INSTANCE_ID", "InstanceId", "name_of", "report_service_name"]

_log = logging.getLogger("driftline")

INSTANCE_ID = "service.instance.id"

UNKNOWN_SERVICE = "unknown_service"
"""What the SDK's default of ``service.name`` begins with."""

SERVICE_NAME = re.compile(r"[a-zA-Z0-9 _-]+")
"""Every ``service.name`` that Elastic accepts, by the limitations of its OpenTelemetry distributions."""

SUFFIX_DIGITS = 8
"""Hexadecimal digits after an id that processes may share. Two of 1,000 processes have the same ones in 1 of 8,600."""


class InstanceId:
    """
    An id of this process that no other process has, not even one with the same environment, or the parent of a fork.

    Series of processes with one id overwrite each other in a backend. The SDK gives each process its own id since 1.43,
    but not if the id is set, as the Kubernetes operator does for a whole pod.

    Args:
        resource: the resource that the environment and its detectors describe.
    """

    def __init__(self, resource: Resource) -> None:
        present = resource.attributes.get(INSTANCE_ID)
        # The id that the SDK has made for this process, since 1.43.
        own = getattr(resources, "_service_instance_id", None)
        self._shared = None if present in {None, own} else str(present)

    def resource(self) -> Resource:
        """Return a resource with a new id: a random one, or the one of the environment, a slash and a suffix."""
        random = uuid.uuid4()
        return Resource(
            {INSTANCE_ID: str(random) if self._shared is None else f"{self._shared}/{random.hex[:SUFFIX_DIGITS]}"}
        )

    def renew(self, *providers: Any) -> None:
        """
        Give the providers a new id, in the child of a fork.

        SDKs before 1.43 have no method for that, and the spans of their existing tracers keep the id of the parent.
        """
        resource = self.resource()
        for provider in providers:
            if hasattr(provider, "_update_resource"):
                provider._update_resource(resource)  # noqa: SLF001 - as the SDK does after a fork
            elif hasattr(provider, "_sdk_config"):
                provider._sdk_config.resource = provider._sdk_config.resource.merge(resource)  # noqa: SLF001 - as above
            else:
                provider._resource = provider._resource.merge(resource)  # noqa: SLF001 - as above


def name_of(providers: Iterable[Any]) -> str | None:
    """Return the ``service.name`` that one of some providers has, unless the environment sets a name."""
    if not _is_default(Resource.create().attributes.get("service.name")):
        return None
    for provider in providers:
        attributes = getattr(getattr(provider, "resource", None), "attributes", None)
        name = attributes.get("service.name") if isinstance(attributes, Mapping) else None
        if isinstance(name, str) and not _is_default(name):
            return name
    return None


def _is_default(name: object) -> bool:
    return not isinstance(name, str) or name.startswith(UNKNOWN_SERVICE)


def report_service_name(name: str) -> None:
    """Log a warning about a ``service.name`` that no service has chosen, or that Elastic refuses."""
    if _is_default(name):
        _log.warning(
            "configure_otlp: service.name is %r, the default of the SDK. Pass a name to configure_otlp, or set "
            "OTEL_SERVICE_NAME.",
            name,
        )
    elif not SERVICE_NAME.fullmatch(name):
        _log.warning(
            "configure_otlp: Elastic refuses the service.name %r. Use ASCII letters, digits, blanks, _ and - only, if "
            "telemetry may go there.",
            name,
        )
