"""`Monitors`: one monitor for all objects of one model, however often it is loaded."""

from __future__ import annotations

import hashlib
import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from driftline import Monitor, Reference
from driftline._runtime.process_hooks import register
from driftline.instrumentors._errors import HookErrors
from driftline.instrumentors._naming import Identity
from driftline.instrumentors._options import ModelOptions

__all__ = ["Monitors"]

_log = logging.getLogger("driftline")

MAX_MONITORS = 64
"""Most monitors of one instrumentor, each with memory and a thread. Further models are served without one."""

VARIANT_LENGTH = 8
"""Characters of the fingerprint that tell two models of one name apart."""


@dataclass(slots=True)
class Watched:
    """
    A monitor, and the objects that it watches.

    Attributes:
        monitor: the monitor.
        fingerprint: a hash of the reference, or of the source of a model that learns its reference.
        living: the objects by their ids, as long as the program has them.
        immortal: whether an object has been watched that cannot be referred to weakly.
    """

    monitor: Monitor
    fingerprint: str
    living: weakref.WeakValueDictionary[int, Any] = field(default_factory=weakref.WeakValueDictionary)
    immortal: bool = False

    def add(self, model: object) -> None:
        """Count an object as watched."""
        try:
            self.living[id(model)] = model
        except TypeError:
            self.immortal = True

    @property
    def used(self) -> bool:
        """Whether the program has an object that the monitor watches."""
        return self.immortal or len(self.living) > 0


class Monitors:
    """
    The monitors of one instrumentor, by the name, version and variant of their model.

    A model that is loaded again gets the monitor that it had. If all objects of a model are gone, and one of the same
    name and version has another reference, the monitor compares with that from now on. If objects of the earlier one
    are in use, the later one gets a monitor whose variant is the fingerprint of its reference.

    Args:
        errors: counts errors.
        providers: arguments of `Monitor`, such as ``meter_provider``.
    """

    def __init__(self, errors: HookErrors, providers: dict[str, Any]) -> None:
        self._errors, self._providers = errors, providers
        self._watched: dict[tuple[str, str | None, str | None], Watched] = {}
        self._lock = threading.RLock()
        register(self)

    def __len__(self) -> int:
        return len(self._watched)

    def obtain(
        self,
        model: object,
        identity: Identity,
        reference: Reference | None,
        options: ModelOptions,
        source: str | None,
    ) -> Monitor | None:
        """
        Return the monitor of a model that was loaded, or None if there are too many.

        Args:
            model: the object that was loaded. It is referred to weakly.
            identity: its name and version, unless others are configured.
            reference: the reference that it carries. If None, it is learned.
            options: what is configured for the model.
            source: the path or URI that it was loaded from.

        Raises:
            ConfigurationError: the options do not fit the reference.
        """
        name, version = options.name or identity.name, options.version or identity.version
        fingerprint = _fingerprint(source, reference)
        with self._lock:
            watched = self._find(name, version, options.variant, fingerprint, reference)
            if watched is None:
                variant = options.variant
                if (name, version, variant) in self._watched:
                    variant = fingerprint[:VARIANT_LENGTH]
                    _log.warning(
                        "model %s: another model of this name and version is in use, with another reference. This one "
                        "has ml.model.variant=%s. Configure names or versions that differ.",
                        name,
                        variant,
                    )
                watched = self._create(name, version, variant, fingerprint, reference, options)
            if watched is not None:
                watched.add(model)
        return None if watched is None else watched.monitor

    def flush(self) -> None:
        """Do nothing: monitors flush themselves when a process ends."""

    def end(self) -> None:
        """Do nothing, as `flush`."""

    def after_fork(self) -> None:
        """Replace the lock, which another thread may have held at the fork."""
        self._lock = threading.RLock()

    def shutdown(self, unwatch: Callable[[Any], object]) -> None:
        """Flush and end all monitors, after *unwatch* was called with each object that is in use."""
        with self._lock:
            watched = tuple(self._watched.values())
            self._watched.clear()
        for each in watched:
            for model in list(each.living.values()):
                unwatch(model)
            each.monitor.shutdown()

    def _find(
        self, name: str, version: str | None, variant: str | None, fingerprint: str, reference: Reference | None
    ) -> Watched | None:
        """Return the monitor that a model has already, or that no model uses any more."""
        for key in ((name, version, variant), (name, version, fingerprint[:VARIANT_LENGTH])):
            watched = self._watched.get(key)
            if watched is not None and watched.fingerprint == fingerprint:
                return watched
        watched = self._watched.get((name, version, variant))
        if watched is None or watched.used or reference is None:
            return None
        watched.monitor.replace_reference(reference)
        watched.fingerprint = fingerprint
        return watched

    def _create(
        self,
        name: str,
        version: str | None,
        variant: str | None,
        fingerprint: str,
        reference: Reference | None,
        options: ModelOptions,
    ) -> Watched | None:
        if len(self._watched) >= MAX_MONITORS:
            self._errors.report(name, f"{MAX_MONITORS} models are watched, further ones are served without a monitor")
            return None
        if reference is None:
            _log.warning(
                "model %s carries no reference: it is compared with its first %d rows. Let training add one: see "
                "docs/zero-code.md.",
                name,
                options.learn,
            )
        monitor = Monitor(
            name,
            version=version,
            variant=variant,
            reference=Reference.learn(rows=options.learn) if reference is None else reference,
            **{**options.arguments, **self._providers},
        )
        watched = self._watched[name, version, variant] = Watched(monitor, fingerprint)
        return watched


def _fingerprint(source: str | None, reference: Reference | None) -> str:
    """Return a hash of all that a reference holds, or of the source of a model without one."""
    content = f"learned:{source}" if reference is None else reference.to_json()
    return hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()
