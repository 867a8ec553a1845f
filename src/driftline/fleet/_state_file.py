"""The file of what `driftline judge --watch` knows, so that it goes on after a restart as if there had been none."""

from __future__ import annotations

import io
import json as plain_json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline._backends.otlp_series import SeriesState
from driftline._backends.otlp_table import SeriesEntry
from driftline._runtime import json
from driftline._runtime.files import read_file, write_file
from driftline._runtime.json import DocumentError, Reader
from driftline.errors import ConfigurationError
from driftline.fleet._blocks import Blocks
from driftline.fleet._processes import FleetModel
from driftline.results import CanaryState, DriftState
from driftline.semconv import CANARY_STATES, FEATURE_DRIFT_STATES

__all__ = ["Received", "ServiceState", "StateFile", "Subject"]

SCHEMA_VERSION = 1
"""Version of the form of the file. It grows when older code would misread a new form."""

CONTENT = "driftline: state of a fleet judge"
"""Value of the key ``content``, which tells the file from others. No other file is ever overwritten."""

MAX_FILE_BYTES = 2**30
"""Most bytes of a file. 200,000 series of an hour's windows take 30 MB."""

MAX_ARRAY_BYTES = 4 * 2**30
"""Most bytes of the arrays of a file when decompressed."""

MAX_NAMES = 100_000
"""Most features, and most canaries."""

MAX_PAIRS = 1_000_000
"""Most values of attributes."""


class Subject(NamedTuple):
    """
    What is evaluated. The state of another subject is of no use.

    Attributes:
        model: the model.
        fingerprint: that of the reference.
        window: seconds of a window.
        step: seconds of a block.
    """

    model: FleetModel
    fingerprint: str
    window: float
    step: float


@dataclass(frozen=True, slots=True)
class Received:
    """
    What a store of OTLP holds.

    Attributes:
        began: Unix time in seconds, see `OtlpStore.began`.
        entries: the series.
    """

    began: float
    entries: Sequence[SeriesEntry]


@dataclass(frozen=True, slots=True)
class ServiceState:
    """
    What the service knows.

    Attributes:
        subject: what is evaluated; None before any process has been found.
        history: the blocks of the last windows; None before the first.
        states: the state of each feature that was exported last.
        canaries: the verdict on each canary, by its id: (state, reason).
        received: what has arrived as OTLP; None if the counts are in another store.
    """

    subject: Subject | None = None
    history: Blocks | None = None
    states: Mapping[str, DriftState] = field(default_factory=dict)
    canaries: Mapping[str, tuple[CanaryState, str]] = field(default_factory=dict)
    received: Received | None = None


class StateFile:
    """
    Reads and writes the file.

    Args:
        path: the file, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> ServiceState:
        """
        Return what the file holds; nothing if it is absent or empty.

        Raises:
            ConfigurationError: the file cannot be read, is damaged, is of a newer version, or holds something else.
        """
        try:
            data = read_file(self._path, MAX_FILE_BYTES)
        except FileNotFoundError:
            return ServiceState()
        except (OSError, ValueError) as error:
            msg = f"--state {self._path}: cannot be read: {error}"
            raise ConfigurationError(msg) from error
        if not data:
            return ServiceState()
        try:
            return _parse(data)
        except DocumentError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - numpy raises what it likes for a damaged file
            reason = f"{type(error).__name__}: {error}"
        msg = (
            f"--state {self._path}: is damaged or holds something else ({reason[:200]}): move it away to start without "
            "the memory of earlier windows, or restore it from a backup"
        )
        raise ConfigurationError(msg)

    def write(self, state: ServiceState) -> None:
        """
        Replace the file in one step.

        Raises:
            OSError: the folder cannot be written to, or the disk is full. The old file is unchanged.
        """
        arrays: dict[str, NDArray[Any]] = {}
        document = {
            "content": CONTENT,
            "schema_version": SCHEMA_VERSION,
            "subject": None if state.subject is None else _subject_document(state.subject),
            "states": dict(state.states),
            "canaries": {key: {"state": each, "reason": reason} for key, (each, reason) in state.canaries.items()},
            "began": None if state.received is None else state.received.began,
        }
        history = state.history
        if history is not None:
            arrays |= {
                "start": np.array([history.start, history.step]),
                "counts": history.counts,
                "exporting": history.exporting,
                "whole": history.whole,
            }
        if state.received is not None:
            arrays |= _received_arrays(state.received.entries)
        arrays["document"] = _as_bytes(document)
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type] # its own arguments have other names
        write_file(self._path, stream.getvalue())


def _as_bytes(document: object) -> NDArray[np.uint8]:
    # A name may hold half of a surrogate pair, which only ASCII survives.
    return np.frombuffer(plain_json.dumps(document, allow_nan=False).encode("ascii"), dtype=np.uint8)


def _subject_document(subject: Subject) -> dict[str, Any]:
    model = subject.model
    return {
        "model": [model.name, model.version, model.variant],
        "fingerprint": subject.fingerprint,
        "window": subject.window,
        "step": subject.step,
    }


def _received_arrays(entries: Sequence[SeriesEntry]) -> dict[str, NDArray[Any]]:
    """Return the arrays of series. Names are numbered: there are few of them, and many series."""
    metrics: dict[str, int] = {}
    origins: dict[str, int] = {}
    pairs: dict[tuple[str, str], int] = {}
    names = [
        [
            metrics.setdefault(entry.metric, len(metrics)),
            origins.setdefault(entry.origin.hex(), len(origins)),
            *(pairs.setdefault(pair, len(pairs)) for pair in entry.attributes),
        ]
        for entry in entries
    ]
    states = [entry.state for entry in entries]
    none = np.zeros(0, dtype=np.int64)
    return {
        "series": _as_bytes({"metrics": list(metrics), "origins": list(origins), "pairs": list(pairs)}),
        "names": np.array([number for each in names for number in each], dtype=np.int64),
        "name_sizes": np.array([len(each) for each in names], dtype=np.int64),
        "times": np.concatenate([none, *(state.times for state in states)]),
        "time_sizes": np.array([len(state.times) for state in states], dtype=np.int64),
        "values": np.concatenate([np.zeros(0), *(state.values for state in states)]),
        "value_sizes": np.array([len(state.values) for state in states], dtype=np.int64),
        "deltas": np.array([state.is_delta for state in states], dtype=np.bool_),
    }


def _parse(data: bytes) -> ServiceState:
    """
    Return the state that the content of a file is.

    Raises:
        DocumentError: it has no such state.
        Exception: it is no such file; whatever `numpy.load` raises.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(each.file_size for each in archive.infolist()) > MAX_ARRAY_BYTES:
            msg = f"more than {MAX_ARRAY_BYTES} bytes"
            raise ValueError(msg)
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        subject, states, canaries, began = json.read(_text(file["document"]), _read_document)
        history = None
        if "start" in file:
            start, step = _checked(file["start"], np.float64, 1).tolist()
            counts = _checked(file["counts"], np.int64, 2)
            exporting = _checked(file["exporting"], np.int64, 1)
            whole = _checked(file["whole"], np.bool_, 1)
            if not len(counts) == len(exporting) == len(whole) or not step > 0 or (counts < 0).any():
                msg = "blocks that do not fit"
                raise ValueError(msg)
            history = Blocks(start, step, counts, exporting, whole)
        received = None if began is None else Received(began, _read_entries(file))
    return ServiceState(subject, history, states, canaries, received)


def _text(array: NDArray[Any]) -> str:
    return _checked(array, np.uint8, 1).tobytes().decode("ascii")


def _checked(array: NDArray[Any], kind: type[np.generic], dimensions: int) -> NDArray[Any]:
    if array.dtype != kind or array.ndim != dimensions:
        msg = f"an array of {array.dtype} in {array.ndim} dimensions"
        raise ValueError(msg)
    if kind is np.float64 and not np.isfinite(array).all():
        msg = "a number that is not finite"
        raise ValueError(msg)
    return array


def _read_entries(file: Mapping[str, Any]) -> list[SeriesEntry]:
    metrics, origins, pairs = json.read(_text(file["series"]), _read_series)
    deltas = _checked(file["deltas"], np.bool_, 1)
    names = _split(_checked(file["names"], np.int64, 1), file["name_sizes"], len(deltas))
    times = _split(_checked(file["times"], np.int64, 1), file["time_sizes"], len(deltas))
    values = _split(_checked(file["values"], np.float64, 1), file["value_sizes"], len(deltas))
    origins = [bytes.fromhex(origin) for origin in origins]
    entries = []
    for numbers, *state in zip(names, times, values, deltas.tolist(), strict=True):
        if len(numbers) < 2 or (numbers < 0).any():  # noqa: PLR2004 - the metric and the origin
            msg = "a series without a name"
            raise ValueError(msg)
        metric, origin, *attributes = numbers.tolist()
        entries.append(
            SeriesEntry(
                metrics[metric], origins[origin], tuple(pairs[number] for number in attributes), SeriesState(*state)
            )
        )
    return entries


def _split(array: NDArray[Any], sizes: NDArray[Any], length: int) -> list[NDArray[Any]]:
    """
    Return parts of an array, of these sizes.

    Raises:
        ValueError: there are not *length* sizes, or they are not those of the array.
    """
    sizes = _checked(sizes, np.int64, 1)
    if len(sizes) != length or (sizes < 0).any() or sizes.sum() != len(array):
        msg = "series that do not fit"
        raise ValueError(msg)
    return np.split(array, np.cumsum(sizes)[:-1]) if length else []


_read_subject: Reader[Subject] = json.record(
    lambda model, **more: Subject(FleetModel(*model), **more),
    model=json.array(json.string, size=3),
    fingerprint=json.string,
    window=json.positive,
    step=json.positive,
)

_read_fields: Reader[Any] = json.record(
    lambda subject, states, canaries, began: (subject, states, canaries, began),
    subject=json.nullable(_read_subject),
    states=json.mapping(json.choice(*FEATURE_DRIFT_STATES), most=MAX_NAMES),
    canaries=json.mapping(
        json.record(lambda state, reason: (state, reason), state=json.choice(*CANARY_STATES), reason=json.string),
        most=MAX_NAMES,
    ),
    began=json.nullable(json.number),
)

_read_pair: Reader[tuple[str, str]] = json.row(lambda name, value: (name, value), json.string, json.string)

_read_series: Reader[Any] = json.record(
    lambda metrics, origins, pairs: (metrics, origins, pairs),
    metrics=json.array(json.name, most=MAX_NAMES),
    origins=json.array(json.name, most=MAX_NAMES),
    pairs=json.array(_read_pair, most=MAX_PAIRS),
)


def _read_document(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("content") != CONTENT:
        actual = ""
        raise DocumentError(actual, f"a file that driftline wrote, with the content {CONTENT!r}")
    return json.versioned(SCHEMA_VERSION, _read_fields)(value)
