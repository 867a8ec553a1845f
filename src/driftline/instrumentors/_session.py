"""`Session`: what one instrumentor does with the models that it sees, from `instrument()` to `uninstrument()`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from driftline._runtime.guard import is_contained
from driftline.instrumentors._naming import Identity
from driftline.instrumentors._options import ModelOptions, Options

if TYPE_CHECKING:
    from driftline import Monitor, Reference
    from driftline.instrumentors._errors import HookErrors
    from driftline.instrumentors._monitors import Monitors

__all__ = ["UNKNOWN", "Session"]

_Result = TypeVar("_Result")
_Default = TypeVar("_Default")

UNKNOWN = "unknown"
"""The model in a hook that failed before the name of a model was known."""


class Session:
    """
    The monitors and errors of one instrumentor.

    It imports numpy when it sees its first model, because most Python processes that start have none.

    Args:
        options: returns what is configured.
        providers: arguments of `Monitor`, such as ``meter_provider``.

    Attributes:
        options: as above.
        active: whether `end` has not been called.
    """

    def __init__(self, options: Callable[[], Options], providers: dict[str, Any]) -> None:
        self.options, self.active = options, True
        self._providers = providers

    @cached_property
    def errors(self) -> HookErrors:
        """Counts errors of hooks."""
        from driftline.instrumentors._errors import HookErrors  # noqa: PLC0415 - imports numpy

        on_error = str(self.options().default.arguments.get("on_error", "log"))
        return HookErrors(self._providers.get("meter_provider"), on_error)

    @cached_property
    def monitors(self) -> Monitors:
        """The monitors of the models, one for each."""
        from driftline.instrumentors._monitors import Monitors  # noqa: PLC0415 - imports numpy

        return Monitors(self.errors, self._providers)

    def end(self, unwatch: Callable[[Any], object]) -> None:
        """Watch no model any more, and end the monitors. *unwatch* is called with each model that is in use."""
        self.active = False
        if "monitors" in vars(self):
            self.monitors.shutdown(lambda model: self.guarded(UNKNOWN, lambda: unwatch(model), None))

    def report_error(self, _: str, error: BaseException) -> None:
        """Count an error of a hook that belongs to no model."""
        self.errors.report_error(UNKNOWN, error)

    def guarded(self, name: str, function: Callable[[], _Result], default: _Default) -> _Result | _Default:
        """Return the result of *function*, or *default* if it raises, which counts as an error of the model *name*."""
        try:
            return function()
        except BaseException as error:
            if not is_contained(error):
                raise
            self.errors.report_error(name, error)
            return default

    def monitor_of(
        self,
        model: object,
        identity: Identity,
        source: str | None,
        *,
        places: tuple[object, ...],
        learn: bool = False,
    ) -> Monitor | None:
        """
        Return the monitor of a model that was loaded, or None if it carries no reference and none is configured.

        Args:
            model: the model.
            identity: its name and version, unless others are configured.
            source: the path or URI that it was loaded from.
            places: where its reference may be: the model, and the path or URI.
            learn: whether a reference is learned if there is none.

        Raises:
            DriftlineError: the reference is damaged, or does not fit the model or the configuration.
        """
        options = self.options().of(identity.name, source)
        reference = self._reference(options, places)
        if reference is None and not (learn and options.learn):
            return None
        monitor = self.monitors.obtain(model, identity, reference, options, source)
        return monitor if monitor is not None and monitor.enabled else None

    @staticmethod
    def _reference(options: ModelOptions, places: tuple[object, ...]) -> Reference | None:
        from driftline import Reference  # noqa: PLC0415 - imports numpy
        from driftline.carrying import carried  # noqa: PLC0415 - as above

        for each in places:
            reference = carried(each)
            if reference is not None:
                return reference
        return None if options.reference is None else Reference.load(options.reference)
