"""`BACKENDS`: all backends by their names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from driftline.fleet._collector.backend import Backend
from driftline.fleet._collector.clouds import CLOUDS
from driftline.fleet._collector.servers import SERVERS
from driftline.fleet._collector.vendors import VENDORS

__all__ = ["BACKENDS"]

BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {backend.name: backend for backend in sorted((*SERVERS, *VENDORS, *CLOUDS), key=lambda backend: backend.name)}
)
"""The backends by name, in alphabetical order."""
