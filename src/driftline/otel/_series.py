"""The limit on the number of series of each metric."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from typing import TypeVar

from driftline.otel._limits import SDK_SETS

__all__ = ["Model", "SeriesBudget", "model_of"]

_Key = TypeVar("_Key", bound=Hashable)

Model = frozenset[tuple[str, str]]
"""The attributes of a model: its name, version and variant."""

SHARE = 0.95
"""
Share of the SDK's limit that driftline uses, 1,900 of 2,000 attribute sets by default. The SDK merges all sets of a
metric beyond its limit into one overflow point without a name.
"""


def model_of(attributes: Mapping[str, str]) -> Model:
    """Return the attributes of a model as a key."""
    return frozenset(attributes.items())


class SeriesBudget:
    """
    Grants series of each metric up to a limit.

    The SDK keeps each attribute set that it has exported for as long as the process lasts. Series of a model that was
    exported therefore stay granted, and a monitor that replaces another one of equal attributes uses the same series.

    """

    def __init__(self) -> None:
        self._limits: dict[str, int] = {}
        self._granted: dict[str, dict[Model, dict[Hashable, int]]] = {}
        self._used: dict[str, int] = {}
        self._exported: set[Model] = set()
        self.renew_lock()

    def renew_lock(self) -> None:
        """Replace the lock, which another thread may have held when this process was forked."""
        self._lock = threading.RLock()

    def set_limits(self, sets: Mapping[str, int]) -> None:
        """Set the number of attribute sets that the SDK keeps of each metric. Others have the SDK's default."""
        with self._lock:
            self._limits = dict(sets)

    def limit(self, metric: str) -> int:
        """Return the number of series that may be exported of a metric."""
        return int(SHARE * self._limits.get(metric, SDK_SETS))

    def reserve(self, metric: str, model: Model, series: Mapping[_Key, int]) -> frozenset[_Key]:
        """
        Return the keys whose series may be exported.

        Args:
            metric: the name of the metric.
            model: model, version and variant.
            series: the number of series per key, the most important key first.
        """
        keys = set()
        with self._lock:
            limit = self.limit(metric)
            granted, used = self._granted.setdefault(metric, {}).setdefault(model, {}), self._used.get(metric, 0)
            for key, wanted in series.items():
                more = wanted - granted.get(key, 0)
                if more > 0:
                    if used + more > limit:
                        continue
                    granted[key], used = wanted, used + more
                keys.add(key)
            self._used[metric] = used
        return frozenset(keys)

    def unreserved(self, metric: str, model: Model, keys: Mapping[str, object]) -> set[str]:
        """Return those of *keys* whose series have not been granted."""
        with self._lock:
            return keys.keys() - self._granted.get(metric, {}).get(model, {}).keys()

    def mark_exported(self, model: Model) -> None:
        """Remember that the SDK has seen series of this model."""
        self._exported.add(model)

    def release(self, model: Model) -> None:
        """Take back the series of a model that has no monitor any more, unless the SDK has seen some of them."""
        with self._lock:
            if model not in self._exported:
                for metric, granted in self._granted.items():
                    self._used[metric] -= sum(granted.pop(model, {}).values())

    def absorb(self, other: SeriesBudget) -> None:
        """Grant what another budget has granted, as far as the limits of this one allow."""
        with self._lock:
            for metric, models in other._granted.items():
                for model, series in models.items():
                    self.reserve(metric, model, series)
            self._exported |= other._exported
