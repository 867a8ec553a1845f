"""The instruments of each meter provider of this process, found by identity."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from driftline._runtime.process_hooks import in_children
from driftline.otel._instruments import Instruments, meter_of
from driftline.otel._stand_ins import actual_provider

__all__ = ["instruments_for"]

_groups: list[weakref.ref[Instruments]] = []
"""The instruments of all providers, in the order of their creation. Only a provider and its monitors keep them."""

_creating = threading.Lock()
_hooked: list[bool] = []


def instruments_for(provider: MeterProvider | None) -> Instruments:
    """
    Return the instruments of a meter provider, or of the global one for None. The first call creates them.

    Any object with ``get_meter`` is a provider. It needs no hash and no weak references, and equality does not count.
    Instruments that were created before the application sets its global provider belong to the API's stand-in. They
    become those of the provider to which the stand-in passes everything on.
    """
    wanted = metrics.get_meter_provider() if provider is None else provider
    actual = actual_provider(wanted)
    actual = wanted if actual is None else actual
    instruments = _find(actual)
    if instruments is None:
        with _creating:
            instruments = _find(actual) or _find_or_create(actual)
    return instruments


def _find(provider: object) -> Instruments | None:
    """Return the instruments of a provider, or None. Of several, those that it has registered count."""
    groups = [group for group in _living() if group.belongs_to(provider)]
    return next((group for group in groups if group.registered), groups[0] if groups else None)


def _find_or_create(provider: MeterProvider) -> Instruments:
    """Return the instruments of the provider's meter, or create some."""
    meter = meter_of(provider)
    for group in _living():
        if group.meter is meter:
            group.providers = (*group.providers, provider)
            return group
    if not _hooked:
        _hooked.append(True)
        in_children(_after_fork)
    _groups[:] = [reference for reference in _groups if reference() is not None]
    created = Instruments(provider, meter, _others_of)
    _groups.append(weakref.ref(created))
    return created


def _living() -> Iterator[Instruments]:
    for reference in tuple(_groups):
        group = reference()
        if group is not None:
            yield group


def _others_of(group: Instruments, provider: object) -> list[Instruments]:
    """
    Return other instruments of the same provider. A stand-in may come to pass on to a provider that has some.

    A callback calls this while the SDK holds a lock, so this calls nothing of the SDK, and waits for no lock.
    """
    return [each for each in _living() if each is not group and provider is not None and each.belongs_to(provider)]


def _after_fork() -> None:
    """Start empty in the child of a fork. A lock that another thread held at the fork stays locked for ever."""
    global _creating  # noqa: PLW0603 - as above
    _creating = threading.Lock()
    for group in _living():
        group.after_fork()
