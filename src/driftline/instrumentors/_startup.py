"""Sets driftline up in a Python process that `driftline run` has started, before its program runs."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module

from driftline.errors import DriftlineError

__all__ = ["ERROR", "INSTRUMENTORS", "start"]

_log = logging.getLogger("driftline")

ERROR = 3
"""Exit code of a process whose configuration is wrong, as of the other commands."""

INSTRUMENTORS = {
    "driftline": "DriftlineInstrumentor",
    "driftline_catboost": "CatBoostInstrumentor",
    "driftline_fastapi": "FastAPIInstrumentor",
    "driftline_lightgbm": "LightGBMInstrumentor",
    "driftline_mlflow": "MLflowInstrumentor",
    "driftline_onnxruntime": "OnnxRuntimeInstrumentor",
    "driftline_sklearn": "SklearnInstrumentor",
    "driftline_xgboost": "XGBoostInstrumentor",
}
"""The class of each entry point ``opentelemetry_instrumentor`` in ``pyproject.toml``."""

DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def start(folder: str) -> None:
    """
    Set OpenTelemetry and the instrumentors up. A mistake in the configuration ends the process with code `ERROR`.

    Anything else that fails is an error in the log, and the program runs.

    Args:
        folder: the folder of the ``sitecustomize`` on ``PYTHONPATH``. Processes that start meanwhile do not get it.
    """
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(each for each in path.split(os.pathsep) if each != folder)
    try:
        _set_up()
    except DriftlineError as error:
        print(f"driftline run: {error}", file=sys.stderr, flush=True)  # noqa: T201 - logging is not set up yet
        os._exit(ERROR)
    except Exception:  # noqa: BLE001 - the program runs, whatever it is
        _log.exception("driftline could not be set up; the program runs without it")
    finally:
        os.environ["PYTHONPATH"] = path


def _set_up() -> None:
    from driftline.otlp import configure_otlp  # noqa: PLC0415 - imports the SDK

    configure_otlp()
    instrument()


def instrument() -> None:
    """
    Call the instrumentors of all libraries that are installed, but for those that the environment disables.

    Raises:
        DriftlineError: an option is wrong.
    """
    from driftline.instrumentors._state import current_options  # noqa: PLC0415 - as above
    from driftline.instrumentors._termination import flush_at_sigterm  # noqa: PLC0415 - as above

    disabled = {name.strip() for name in os.environ.get(DISABLED, "").split(",")}
    if disabled & {"*", "driftline"}:
        return
    module = import_module("driftline.instrumentors")
    for name, kind in INSTRUMENTORS.items():
        instrumentor = getattr(module, kind)()
        if name in disabled or instrumentor.is_instrumented_by_opentelemetry:
            continue
        try:
            instrumentor.instrument(skip_dep_check=True)
        except ModuleNotFoundError as error:
            _log.debug("%s: %s", name, error)
    current_options()
    flush_at_sigterm()
