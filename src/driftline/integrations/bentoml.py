"""BentoML: a class for ``bentoml.monitor`` that compares what a service logs with a reference, and exports it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import driftline as dl

__all__ = ["Monitor"]

_log = logging.getLogger("driftline")

_records: ContextVar[dict[str, dict[str, list[Any]]] | None] = ContextVar("driftline.bentoml", default=None)
"""The columns of the record that is open in a request, by role and name."""

ROLES = ("feature", "prediction", "target")


class Monitor:
    """
    The class that ``monitoring.type`` of BentoML's configuration names.

    ::

        services:
          Delay:
            monitoring:
              enabled: true
              type: driftline.integrations.bentoml.Monitor
              options: {reference: flights.reference.json}

    The service logs as with any other class of BentoML: ``with bentoml.monitor("flight-delay") as m``, then ``m.log``
    or ``m.log_batch`` of features, a prediction, and a target if it is known. When the server gets SIGTERM, everything
    that it has logged is sent before it ends.

    Args:
        name: the name of the model, which the service passes to ``bentoml.monitor``.
        setup: whether to call `driftline.configure_otlp`. If False, the service has set OpenTelemetry up.
        window: rows of a window, or a duration such as ``"10min"``. If None, the default of `driftline.Monitor`.
        options: other arguments of `driftline.Monitor`, such as ``reference``.

    Raises:
        ConfigurationError: an option has a wrong value.
        ReferenceError: the file of the reference cannot be read or is damaged.
    """

    def __init__(self, name: str, *, setup: bool = True, window: int | str | None = None, **options: Any) -> None:
        for default in ("log_config_file", "log_path"):  # of BentoML's own class, to which options are added
            options.pop(default, None)
        if setup:
            dl.configure_otlp()
        if window is not None:
            options["window"] = dl.Window(window) if isinstance(window, str) else dl.Window(rows=window)
        self.monitor = dl.Monitor(name, **options)
        if not _flush_at_stop():
            _log.warning(
                "BentoML: the signal handlers cannot be installed from this thread. Call driftline.flush_at_stop() in "
                "the module of the service. Otherwise what is logged since the last export is lost at a stop."
            )

    def start_record(self) -> None:
        """Open a record. BentoML calls it at the beginning of the block."""
        _records.set({role: {} for role in ROLES})

    def log(self, data: Any, name: str, role: str, data_type: str = "") -> None:  # noqa: ARG002 - of BentoML
        """Add a value to a column of the open record."""
        self._column(name, role).append(data)

    def log_batch(self, data_batch: Iterable[Any], name: str, role: str, data_type: str = "") -> None:  # noqa: ARG002 - as above
        """Add several values to a column of the open record."""
        try:
            self._column(name, role).extend(data_batch)
        except TypeError:
            _log.warning("BentoML: the batch of %s is not iterable: use log() for a single value", name)

    def log_table(self, data: Any, schema: dict[str, str]) -> None:  # noqa: ARG002 - as above
        """Record nothing, as the other classes of BentoML: use `log` or `log_batch`."""
        _log.warning("BentoML: log_table() is not supported: use log() or log_batch()")

    def stop_record(self) -> None:
        """Record the predictions of the open record. BentoML calls it at the end of the block."""
        record = _records.get()
        _records.set(None)
        if record is not None and (record["feature"] or record["prediction"]):
            predictions = list(record["prediction"].values())
            # Several columns are the scores of the classes.
            outputs = predictions[0] if len(predictions) == 1 else list(zip(*predictions, strict=False)) or None
            targets = next(iter(record["target"].values()), None)
            ids = None if targets is None else [uuid.uuid4().hex for _ in targets]
            self.monitor.observe(record["feature"], outputs, prediction_ids=ids)
            if ids is not None and targets is not None:
                self.monitor.outcomes(ids, targets)
        if dl.stop_requested():
            dl.flush()

    def _column(self, name: str, role: str) -> list[Any]:
        """Return a column of the open record. Values of other roles are not recorded."""
        record = _records.get()
        return [] if record is None or role not in ROLES else record[role].setdefault(name, [])


def _flush_at_stop() -> bool:
    """Install the handlers, also from a thread that BentoML runs a plain function in. Return whether that worked."""
    if dl.flush_at_stop():
        return True
    from anyio import from_thread  # noqa: PLC0415 - BentoML needs it

    try:
        return from_thread.run_sync(dl.flush_at_stop)
    except RuntimeError:  # a thread that anyio has not started
        return False
