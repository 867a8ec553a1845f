"""`HookErrors`: the errors of hooks, which belong to no monitor, and their export."""

from __future__ import annotations

import threading

from driftline._runtime.guard import Guard
from driftline._runtime.process_hooks import register
from driftline.errors import DriftlineError
from driftline.otel import MeterProvider, Reading, instruments_for
from driftline.semconv import ML_MODEL_NAME

__all__ = ["HookErrors"]

MAX_MODELS = 50
"""Names of models whose hooks may fail, each with a series. Further ones count under `OTHER`."""

OTHER = "_OTHER"
"""The name of the model of all others."""


class HookErrors:
    """
    Counts what fails in hooks as ``ml.monitor.errors``, under the place ``instrumentor`` and the name of the model.

    Args:
        meter_provider: exports the counts. If None, the global one.
        on_error: ``"log"``, or ``"raise"`` so that hooks raise, for tests.
    """

    def __init__(self, meter_provider: MeterProvider | None, on_error: str) -> None:
        self._meter_provider, self._on_error = meter_provider, on_error
        self._models: dict[str, FailedModel] = {}
        self._lock = threading.Lock()

    def report_error(self, model: str, error: BaseException) -> None:
        """
        Count an error of a hook. Log the first of each model.

        The message of an error of driftline is logged whole: it is about a file or a configuration, not about features.

        Raises:
            BaseException: *error* itself, with ``on_error="raise"``.
        """
        if isinstance(error, DriftlineError) and self._on_error != "raise":
            self.report(model, str(error))
            return
        failed = self._failed(model)
        failed.guard.report_error("instrumentor", error)
        failed.export(self._meter_provider)

    def report(self, model: str, message: str) -> None:
        """Count a problem of a hook. Log the first of each model."""
        failed = self._failed(model)
        failed.guard.report("instrumentor", message)
        failed.export(self._meter_provider)

    def _failed(self, model: str) -> FailedModel:
        failed = self._models.get(model)
        if failed is None:
            with self._lock:
                name = model if len(self._models) < MAX_MODELS else OTHER
                failed = self._models.get(name)
                if failed is None:
                    failed = self._models[name] = FailedModel(name, self._on_error)
        return failed

    @property
    def counts(self) -> dict[str, int]:
        """The number of errors by model."""
        return {name: sum(each.guard.counts.values()) for name, each in self._models.items() if each.guard.counts}


class FailedModel:
    """The errors of the hooks of one model, as a source of metrics."""

    def __init__(self, name: str, on_error: str) -> None:
        self.guard = Guard(name, on_error)
        self.attributes = {ML_MODEL_NAME: name}
        self._exported = False

    def export(self, provider: MeterProvider | None) -> None:
        """Export the counts from now on, if there are any."""
        if self.guard.counts and not self._exported:
            self._exported = True
            register(self)
            instruments_for(provider).add(self)

    def reading(self) -> Reading | None:
        """Return the counts, or None if there are none."""
        return Reading(self.attributes, errors=dict(self.guard.counts)) if self.guard.counts else None

    def flush(self) -> None:
        """Do nothing: errors are counted where they happen."""

    def end(self) -> None:
        """Do nothing, as `flush`."""

    def after_fork(self) -> None:
        """Delete the counts, in the child of a fork."""
        self.guard.reset()
