"""`PickledMonitor`: monitors travel to other processes as their configuration, and start empty there."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from driftline._pipeline.calls import Calls
from driftline._pipeline.pipeline import Pipeline
from driftline._pipeline.settings import Settings
from driftline._runtime import validation as check
from driftline._runtime.arrivals import arrive, enlist, new_key
from driftline._runtime.by_value import check_functions
from driftline.semconv import ML_MODEL_NAME, ML_MODEL_VARIANT, ML_MODEL_VERSION

__all__ = ["Blueprint", "PickledMonitor"]

Kind = TypeVar("Kind", bound="PickledMonitor")

PROVIDERS = ("meter_provider", "logger_provider", "tracer_provider")


class Blueprint:
    """
    What a pickle holds of a monitor in place of its counts, locks and threads.

    Args:
        kind: the class of monitors.
        arguments: the arguments of the monitor.
        settings: the same, checked.

    Attributes:
        key: the same in all processes that the monitor travels to.
        monitor: the monitor of the calls, as long as it is in use.
    """

    __slots__ = ("_arguments", "_kind", "key", "monitor")

    def __init__(self, kind: type[PickledMonitor], arguments: Mapping[str, Any], settings: Settings) -> None:
        # Only what differs from the defaults, so that another version of driftline can read it as far as possible.
        defaults = kind.__init__.__kwdefaults__ or {}
        self._kind = kind
        self._arguments = {
            name: value for name, value in arguments.items() if name not in defaults or value is not defaults[name]
        }
        if settings.detectors:
            # Copies that were never fed, because the user may feed the detectors that were passed.
            originals: dict[str, list[Any]] = {}
            for each in settings.detectors:
                originals.setdefault(each.stream, []).append(each.original)
            self._arguments["detectors"] = originals
        self.key = new_key()
        self.monitor: weakref.ref[PickledMonitor] | None = None

    def reduce(self, calls: Calls) -> tuple[Any, ...]:
        """
        Return what ``__reduce__`` of the calls of the monitor returns.

        Raises:
            ConfigurationError: an argument cannot travel: a provider, or a function that the pickler cannot store.
        """
        arguments = dict(self._arguments)
        if calls.reference is not None:  # it may have been loaded, learned or replaced
            arguments["reference"] = calls.reference
        for name in PROVIDERS:
            value = arguments.get(name)
            if value is not None and not _has_own_pickle(type(value)):
                expected = (
                    "None in a monitor that is pickled, which stands for the global provider of each process, because "
                    "a provider has threads and connections"
                )
                check.reject(name, value, expected)
        check_functions(arguments)
        return _arrive, (self.key, self._kind, arguments)


def _has_own_pickle(kind: type) -> bool:
    return any(getattr(kind, name) is not getattr(object, name) for name in ("__reduce__", "__reduce_ex__"))


class PickledMonitor:
    """
    The part of a monitor that pickles and copies it.

    A pickle has the configuration. Where the monitor lives already it arrives as that monitor: in its own process, in
    the child of a fork, and with each further pickle. Elsewhere it starts empty. A copy is the monitor itself.
    """

    name: str
    version: str | None
    variant: str | None
    _attributes: Mapping[str, str]
    _calls: Calls
    _pipeline: Pipeline

    def _begin(self, kind: type[PickledMonitor], arguments: Mapping[str, Any]) -> None:
        """Check the arguments, start the pipeline, and let pickles of this monitor arrive as it in this process."""
        settings = Settings.check(**arguments)
        calls = Pipeline(settings).take_calls()
        calls.blueprint = blueprint = Blueprint(kind, arguments, settings)
        self._adopt(calls)
        blueprint.monitor = weakref.ref(self)
        enlist(blueprint.key, calls)

    def _adopt(self, calls: Calls) -> None:
        self._calls, self._pipeline = calls, cast("Pipeline", calls.owner)
        self._attributes = attributes = self._pipeline.attributes
        self.name = attributes[ML_MODEL_NAME]
        self.version, self.variant = attributes.get(ML_MODEL_VERSION), attributes.get(ML_MODEL_VARIANT)

    def __reduce__(self) -> tuple[Any, ...]:
        own = {name: value for name, value in vars(self).items() if name not in _ATTRIBUTES}
        return _monitor_of, (type(self), self._calls), own or None

    def __copy__(self: Kind) -> Kind:  # noqa: PYI019 - typing has Self since Python 3.11
        return self

    def __deepcopy__(self: Kind, memo: object) -> Kind:  # noqa: PYI019 - as above
        return self


_ATTRIBUTES = {"name", "version", "variant", "_attributes", "_calls", "_pipeline"}
"""The attributes of each monitor. A class that derives from it may have others, which are pickled as they are."""


def _arrive(key: str, kind: type[Any], arguments: dict[str, Any]) -> Calls:
    """Return the calls of the monitor with this key in this process. If there is none, make it."""

    def make() -> Calls:
        calls: Calls = kind(**arguments)._calls  # noqa: SLF001 - of this class
        if calls.blueprint is not None:
            calls.blueprint.key = key
        return calls

    return arrive(key, make)


def _monitor_of(kind: type[Kind], calls: Calls) -> Kind:
    """Return the monitor that these calls belong to. It may be gone, while its decorated functions are in use."""
    blueprint = calls.blueprint
    present = None if blueprint is None or blueprint.monitor is None else blueprint.monitor()
    if type(present) is kind:
        return present
    monitor = kind.__new__(kind)
    monitor._adopt(calls)  # noqa: SLF001 - as above
    if blueprint is not None:
        blueprint.monitor = weakref.ref(monitor)
    return monitor
