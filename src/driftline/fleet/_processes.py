"""Finds the processes of a fleet, and the model that they serve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from driftline import semconv as sc
from driftline._backends.counts import CountSource, Match
from driftline.errors import ConfigurationError

__all__ = ["FleetModel", "NoProcessError", "Process", "choose_model", "find_processes"]

SHOWN = 5
"""Most items of a list in a message."""


@dataclass(frozen=True, slots=True, order=True)
class FleetModel:
    """
    The model that a fleet serves.

    Attributes:
        name: ``ml.model.name``.
        version: ``ml.model.version``; empty for a model without one.
        variant: ``ml.model.variant``; empty for a model without one.
    """

    name: str
    version: str = ""
    variant: str = ""

    @classmethod
    def of(cls, name: str, attributes: Mapping[str, str]) -> FleetModel:
        """Return the version and variant of the model *name* that a series has."""
        return cls(name, attributes.get(sc.ML_MODEL_VERSION, ""), attributes.get(sc.ML_MODEL_VARIANT, ""))

    @property
    def match(self) -> dict[str, str]:
        """Selects the series of the model; see `Match`."""
        return {
            sc.ML_MODEL_NAME: self.name,
            sc.ML_MODEL_VERSION: self.version,
            sc.ML_MODEL_VARIANT: self.variant,
        }

    def __str__(self) -> str:
        further = (("version", self.version), ("variant", self.variant))
        return self.name + "".join(f", {key} {value}" for key, value in further if value)


class NoProcessError(ConfigurationError):
    """No process exports what is wanted, yet."""


class Process(NamedTuple):
    """
    A process that has exported ``ml.monitor.info``.

    Attributes:
        name: ``ml.monitor.process``.
        model: the model that it serves.
        fingerprint: ``ml.reference.fingerprint`` of its reference; empty while it learns one.
        dialect: the spelling of names in the store.
    """

    name: str
    model: FleetModel
    fingerprint: str
    dialect: str


def find_processes(source: CountSource, match: Match, *, at: float, within: float) -> list[Process]:
    """
    Return the processes that have exported ``ml.monitor.info``, in the order of their names.

    A process that has replaced its reference is returned once for each of its references.

    Args:
        source: the store.
        match: selects series.
        at: Unix time in seconds.
        within: seconds before *at* in which they have exported.

    Raises:
        OSError: the store cannot be reached, is late, or its response is incomplete.
        ValueError: the response cannot be read.
    """
    # Copies of a series, with other labels of the store, are one process.
    processes = {
        Process(
            each.attributes.get(sc.ML_MONITOR_PROCESS, ""),
            FleetModel.of(each.attributes.get(sc.ML_MODEL_NAME, ""), each.attributes),
            each.attributes.get(sc.ML_REFERENCE_FINGERPRINT, ""),
            each.dialect,
        )
        for each in source.latest(sc.METRIC_MONITOR_INFO, match, at=at, within=within)
    }
    return sorted(process for process in processes if process.name)


def choose_model(
    processes: Iterable[Process], fingerprint: str, name: str | None, version: str | None, variant: str | None
) -> FleetModel:
    """
    Return the one model that fits the reference and the given name, version and variant.

    Args:
        processes: the processes that export.
        fingerprint: that of the reference. Models of which no process has it count only if there is no other.
        name: ``ml.model.name``. If None, any.
        version: ``ml.model.version``. If None, any.
        variant: ``ml.model.variant``. If None, any.

    Raises:
        ConfigurationError: several models fit.
        NoProcessError: none does.
    """
    fits = [
        process
        for process in processes
        if name in {None, process.model.name}
        and version in {None, process.model.version}
        and variant in {None, process.model.variant}
    ]
    models = sorted({process.model for process in fits if process.fingerprint == fingerprint})
    models = models or sorted({process.model for process in fits})
    if len(models) == 1:
        return models[0]
    if models:
        option = next(
            option for option in ("name", "version", "variant") if len({getattr(model, option) for model in models}) > 1
        )
        values = sorted({str(getattr(model, option)) or "''" for model in models})
        msg = f"--{'model' if option == 'name' else option}: expected one of {_listed(values)}, which are all served"
        raise ConfigurationError(msg)
    wanted = {"--model": name, "--version": version, "--variant": variant}
    shown = "".join(f" of {key} {value}" for key, value in wanted.items() if value is not None)
    msg = (
        f"no process{shown} exports ml.monitor.info: expected processes that export to this store, with "
        "Monitor(export_bins=True)"
    )
    raise NoProcessError(msg)


def _listed(values: Sequence[str]) -> str:
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(values[:SHOWN]) + more
