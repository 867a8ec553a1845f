"""MLflow: pyfunc models whose predictions are recorded, also by ``mlflow models serve``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from driftline import ConfigurationError, Monitor, configure_otlp, flush, flush_at_stop, stop_requested

__all__ = ["monitored", "watch"]

WATCHED = "_driftline_monitor"
"""The attribute of a model that is watched."""


def watch(model: Any, monitor: Monitor) -> Any:
    """
    Record the predictions of one loaded model: its ``predict``, and its ``predict_stream`` if it has that.

    Only this object changes. A model that is watched already stays as it is. A numpy array gets the names of the
    model's signature.

    Args:
        model: what ``mlflow.pyfunc.load_model`` returns.
        monitor: the monitor.

    Returns:
        the same model.

    Raises:
        ConfigurationError: the value is no loaded model, or no monitor.
    """
    from mlflow.pyfunc import PyFuncModel  # noqa: PLC0415 - importing this module needs no MLflow

    if not isinstance(model, PyFuncModel):
        msg = f"model={model!r}: expected what mlflow.pyfunc.load_model returns"
        raise ConfigurationError(msg)
    _checked(monitor)
    if WATCHED not in vars(model):
        names = _input_names(model)
        for method in ("predict", "predict_stream"):
            setattr(model, method, _recorded(getattr(model, method), monitor, names))
        setattr(model, WATCHED, monitor)
    return model


def _recorded(predict: Callable[..., Any], monitor: Monitor, names: list[str]) -> Callable[..., Any]:
    """Return an instrumented method that also flushes if the process has been asked to stop."""

    def features(data: Any, *_: Any, **__: Any) -> Any:
        return _named(data, names)

    instrumented = monitor.instrument(predict, features=features)

    @functools.wraps(predict)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        try:
            return instrumented(*args, **kwargs)
        finally:
            if stop_requested():
                flush()

    return recorded


def _input_names(model: Any) -> list[str]:
    """Return the names of the columns in the signature of a model. Empty without a signature or names."""
    schema = model.metadata.get_input_schema() if model.metadata is not None else None
    return list(schema.input_names()) if schema is not None and schema.has_input_names() else []


def _named(data: Any, names: list[str]) -> Any:
    """Return the features of a call: an array without names gets those of the signature, if there are as many."""
    shape: Any = getattr(data, "shape", ())
    if names and not hasattr(data, "columns") and len(shape) == 2 and shape[1] == len(names):  # noqa: PLR2004 - a table
        return {name: data[:, index] for index, name in enumerate(names)}
    return data


def monitored(model: Any, monitor: Monitor, *, setup: Callable[[], object] | None = configure_otlp) -> Any:
    """
    Return a Python model that takes its monitor along: ``mlflow.pyfunc.log_model(python_model=monitored(...))``.

    ``mlflow models serve`` and other servers of MLflow then record its predictions, and send all of them before they
    end by SIGTERM. If an example of the input is logged with the model, MLflow predicts it in the process that trains.

    Args:
        model: a model with ``predict``: a ``PythonModel``, or a model of scikit-learn or another library.
        monitor: the monitor. Its configuration is pickled with the model.
        setup: called in the process that loads the model, before the first prediction. If None, OpenTelemetry is set up
            elsewhere.

    Raises:
        ConfigurationError: the value has no ``predict``, or is no monitor.
    """
    if not callable(getattr(model, "predict", None)):
        msg = f"model={model!r}: expected a model with predict()"
        raise ConfigurationError(msg)
    return _model_class()(model, _checked(monitor), setup)


def _checked(monitor: object) -> Monitor:
    if not isinstance(monitor, Monitor):
        msg = f"monitor={monitor!r}: expected a Monitor"
        raise ConfigurationError(msg)
    return monitor


@functools.cache
def _model_class() -> Any:
    """Return the class of `monitored`. Its base needs MLflow, so it is created at the first use."""
    from mlflow.pyfunc import PythonModel  # noqa: PLC0415 - importing this module needs no MLflow

    class MonitoredModel(PythonModel):  # type: ignore[misc] # MLflow is untyped here
        """A Python model that takes its monitor along."""

        def __init__(self, model: Any, monitor: Monitor, setup: Callable[[], object] | None) -> None:
            self.model, self.monitor, self.setup = model, monitor, setup

        def load_context(self, context: Any) -> None:
            """Set OpenTelemetry up, and send everything when the process is asked to stop."""
            if self.setup is not None:
                self.setup()
            flush_at_stop()
            if isinstance(self.model, PythonModel):
                self.model.load_context(context)

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            """Predict. MLflow would check the input by a type, so there is none."""
            predict = self.model.predict
            if isinstance(self.model, PythonModel):
                predict = functools.partial(predict, context, params=params)
            try:
                with self.monitor.prediction(model_input) as call:
                    call.output = result = predict(model_input)
                    return result
            finally:
                if stop_requested():
                    flush()

    MonitoredModel.__qualname__ = "MonitoredModel"  # a pickle finds it by `__getattr__`
    return MonitoredModel


def __getattr__(name: str) -> Any:
    if name == "MonitoredModel":
        return _model_class()
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
