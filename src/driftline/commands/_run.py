"""`driftline run COMMAND ...`: run a Python program with driftline's instrumentors, without a line in the program."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
from pathlib import Path

from driftline.errors import ConfigurationError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Run a Python program, and monitor the models that it loads: what opentelemetry-instrument does, without the "
        "OpenTelemetry distribution. Exit code and signals are those of the program. All OTEL_* and DRIFTLINE_* "
        "variables apply."
    )
    parser.add_argument("--config", metavar="FILE", help="a declarative configuration file (OTEL_CONFIG_FILE)")
    parser.add_argument("--service-name", metavar="NAME", help="the resource attribute service.name")
    parser.add_argument("program", metavar="COMMAND", help="the program, such as gunicorn, python or a script")
    parser.add_argument("arguments", metavar="...", nargs=argparse.REMAINDER, help="its arguments")


def run(options: argparse.Namespace) -> int:
    """
    Replace this process by the program.

    Raises:
        ConfigurationError: the program or the configuration file cannot be found, or OTLP is not installed.
    """
    program = shutil.which(options.program)
    if program is None:
        msg = f"{options.program!r}: expected the name or path of a program"
        raise ConfigurationError(msg)
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        msg = "needs the extra otlp (pip install 'driftline[otlp]')"
        raise ConfigurationError(msg)
    environment = dict(os.environ)
    if options.config is not None:
        if not Path(options.config).is_file():
            msg = f"--config={options.config!r}: expected the path of a file"
            raise ConfigurationError(msg)
        environment["OTEL_CONFIG_FILE"] = os.path.abspath(options.config)  # noqa: PTH100 - keeps links
    if options.service_name is not None:
        environment["OTEL_SERVICE_NAME"] = options.service_name
    environment["PYTHONPATH"] = _path(environment.get("PYTHONPATH", ""))
    os.execve(program, [options.program, *options.arguments], environment)  # noqa: S606 - the program that was named


def _path(path: str) -> str:
    """Return the path of Python with the folder of the ``sitecustomize`` first."""
    from driftline.instrumentors import _site  # noqa: PLC0415 - the command alone imports it

    folder = str(Path(_site.__file__).parent)
    others = [each for each in path.split(os.pathsep) if each != folder] if path else []
    return os.pathsep.join([folder, *others])
