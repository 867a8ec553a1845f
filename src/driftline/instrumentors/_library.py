"""`LibraryInstrumentor`: what the instrumentors of all libraries share."""

from __future__ import annotations

import importlib.util
import logging
import threading
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from driftline._runtime.guard import GuardedBlock
from driftline.errors import DriftlineError
from driftline.instrumentors._hooks import Hook, Hooks, Wrapper
from driftline.instrumentors._options import Options, read_options
from driftline.instrumentors._session import Session
from driftline.instrumentors._state import current_options, switched_off
from driftline.instrumentors._termination import flush_at_sigterm

__all__ = ["LibraryInstrumentor"]

_log = logging.getLogger("driftline")

PROVIDERS = ("meter_provider", "logger_provider", "tracer_provider")

_loading = threading.local()
"""The number of hooked loading functions that run in this thread. One may call another; only the outer one counts."""


class LibraryInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """
    An instrumentor that wraps functions of a library, as OpenTelemetry's conventions have it.

    ``instrument()`` reads the options of the configuration file and the environment. Its keyword arguments are those of
    the section ``driftline`` of the file, which then does not count, and ``meter_provider``, ``logger_provider`` and
    ``tracer_provider``.
    """

    _modules: ClassVar[tuple[str, ...]] = ()
    """Modules of which at least one must be installed."""

    _dependencies: ClassVar[tuple[str, ...]] = ()
    """The distribution and versions that are instrumented. Of several distributions of one library any will do."""

    _hooks: Hooks
    _session: Session

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the requirement of the library that is instrumented, by the distribution that is installed."""
        present = (each for each in self._dependencies if _is_installed(each.split()[0]))
        return (next(present, self._dependencies[0]),)

    def instrument(self, **kwargs: Any) -> Any:
        """
        Wrap the functions of the library. A second call is a warning.

        Called by ``opentelemetry-instrument``, a mistake in the configuration is an error in the log, so that other
        instrumentors are not affected.

        Raises:
            ConfigurationError: an option is wrong.
            ReferenceError: the file of a reference cannot be read or is damaged.
            ModuleNotFoundError: the library is not installed.
        """
        automatic = kwargs.get("skip_dep_check", False)
        if automatic and switched_off():
            return None
        try:
            result = super().instrument(**kwargs)
        except DriftlineError as error:
            if not automatic:
                raise
            _log.error("%s is off: %s", type(self).__name__, error)
            return None
        if automatic:
            flush_at_sigterm()
        return result

    def _instrument(self, **kwargs: Any) -> None:
        if not any(importlib.util.find_spec(module) for module in self._modules):
            msg = f"No module named {self._modules[0]!r}"
            raise ModuleNotFoundError(msg)
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        providers = {key: kwargs.pop(key) for key in PROVIDERS if key in kwargs}
        options: Callable[[], Options] = current_options
        if kwargs:
            own = read_options(kwargs)
            options = lambda: own  # noqa: E731 - a constant
        options()
        self._session = Session(options, providers)
        caught = GuardedBlock(self._session.report_error, "instrumentor")
        self._hooks = Hooks(self._hooks_of(self._session), caught)
        self._hooks.install()

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the signature of the base class
        self._hooks.remove()
        self._session.end(self._unwatch)

    def _unwatch(self, model: Any) -> None:
        """Let a model be what it was when it was loaded."""
        from driftline.watching import unwatch  # noqa: PLC0415 - imports numpy

        unwatch(model)

    @abstractmethod
    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        """Return the functions to wrap, with wrappers that use the `Session`."""


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def outermost(after: Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]) -> Wrapper:
    """
    Return a wrapper of a function that loads a model.

    The original runs first, and what it raises goes on untouched. Its result goes through *after*, unless another
    loading function calls it, which gets that result.

    Args:
        after: returns what the caller gets, from the result, the object that the original is bound to, and the
            arguments. It never raises.
    """

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        depth = getattr(_loading, "depth", 0)
        _loading.depth = depth + 1
        try:
            result = wrapped(*args, **kwargs)
        finally:
            _loading.depth = depth
        return result if depth else after(result, instance, args, kwargs)

    return wrapper
