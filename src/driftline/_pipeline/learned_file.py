"""The file of what the monitors of one model have learned about the dependence of rows, which processes share."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from json import dumps
from pathlib import Path
from typing import Any, get_args

import numpy as np

from driftline._binning.bins import MAX_FEATURES
from driftline._runtime import json
from driftline._runtime.file_lock import lock_file
from driftline._runtime.files import read_file, write_file
from driftline._runtime.json import MAX_COUNT, DocumentError, Reader, check_length, shown
from driftline._significance.clusters import ROW_SIZE
from driftline._significance.components import PARTS
from driftline._significance.learned import FeatureDependence, FeatureKind, Learned

__all__ = ["LearnedFile", "LearnedFileError"]

SCHEMA_VERSION = 1
"""Version of the form of the file. It grows when older code would misread a new form."""

CONTENT = "driftline: learned dependence of rows"
"""Value of the key ``content``, which tells the file from other JSON. No other file is ever overwritten."""

MAX_FILE_BYTES = 64 * 2**20
"""Most bytes of a file. 200 features at twelve block lengths take about 150 kB."""

MAX_LENGTHS = 64
"""Most block lengths of a feature. Each is about twice the one before, so no data have this many."""

MAX_OTHERS = 1_000
"""Most features that this process does not watch, such as those of another version of the model, that a file keeps."""

LOCK_SECONDS = 1.0
"""Seconds to wait for another process that writes the file. Writing takes some milliseconds."""

MAX_SUM = 1e12
"""Largest sum of what is known of keys, as in a reference."""

DIGITS = 4
"""Significant digits of the estimates, as in a reference: more would be noise."""


class LearnedFileError(Exception):
    """The file cannot be read or written, or holds something else. The message quotes no value of a foreign file."""


class LearnedFile:
    """
    A JSON file with what the monitors of one model have learned about the dependence of rows.

    Each process writes all that it knows, and keeps what other processes know better: see `Learned.updated`. So nothing
    is added up, and it does not matter how many processes write, how often, or which of them were killed.

    Args:
        path: the file, which need not exist.
        model: the name of the model, which the file must have.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model

    def read(self) -> Learned:
        """
        Return what the file holds; nothing if it is absent or empty.

        Raises:
            LearnedFileError: the file cannot be read, is damaged, is of a newer version, or holds something else.
        """
        try:
            text = read_file(self._path, MAX_FILE_BYTES).decode("utf-8")
        except FileNotFoundError:
            return Learned({})
        except (OSError, ValueError) as error:
            raise LearnedFileError(self._problem("read", error)) from error
        if not text:
            return Learned({})
        try:
            return json.read(text, self._read_document)
        except DocumentError as error:
            msg = f"{self._path}: {error} (remove the file to start afresh)"
            raise LearnedFileError(msg) from error

    def update(self, learned: Learned) -> None:
        """
        Write what this process knows. Features of which the file has more evidence stay as they are.

        Raises:
            LearnedFileError: as for `read`; the folder cannot be written to, the disk is full, or another process keeps
                the file locked. The file is unchanged.
        """
        try:
            path = Path(os.path.realpath(self._path))
            with lock_file(path, LOCK_SECONDS) as locked:
                if not locked:
                    msg = f"{self._path}: cannot be written: another process keeps it locked"
                    raise LearnedFileError(msg)
                before = self.read()
                data = _document(self._model, _limited(before.updated(learned), learned)).encode("utf-8")
                if len(data) > MAX_FILE_BYTES:
                    msg = f"{self._path}: {len(data)} bytes, expected at most {MAX_FILE_BYTES}"
                    raise LearnedFileError(msg)
                write_file(path, data)
        except OSError as error:
            raise LearnedFileError(self._problem("written", error)) from error

    def _problem(self, doing: str, error: Exception) -> str:
        # A decoding error would quote bytes of the file, which may be anything.
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else type(error).__name__
        return f"{self._path}: cannot be {doing}: {reason}"

    def _read_document(self, value: Any) -> Learned:
        if not isinstance(value, dict) or value.get("content") != CONTENT:
            actual = ""
            raise DocumentError(actual, f"a file that driftline wrote, with the content {CONTENT!r}")
        learned, model = json.versioned(SCHEMA_VERSION, _read_fields)(value)
        if model != self._model:
            raise DocumentError(shown(model), f"{self._model!r}: each model needs its own file", ".model")
        return learned


def _limited(learned: Learned, own: Learned) -> Learned:
    """Return what is learned of the features of *own*, and of the latest `MAX_OTHERS` others."""
    others = [name for name in learned.features if name not in own.features][-MAX_OTHERS:]
    kept = {*own.features, *others}
    return Learned({name: feature for name, feature in learned.features.items() if name in kept})


def _document(model: str, learned: Learned) -> str:
    features = [{"name": name, **_feature_document(feature)} for name, feature in learned.features.items()]
    document = {"content": CONTENT, "schema_version": SCHEMA_VERSION, "model": model, "features": features}
    # Without indentation: the file is for programs, and is half as large. A name may hold half a surrogate pair.
    return dumps(document, allow_nan=False, separators=(",", ":")) + "\n"


def _feature_document(feature: FeatureDependence) -> dict[str, object]:
    return {
        "kind": feature.kind,
        "lengths": feature.lengths.tolist(),
        # Exact, because `Learned.updated` compares their sums, which must not grow by rounding.
        "freedom": feature.freedom.tolist(),
        "factors": [
            [_rounded(factor) if math.isfinite(factor) else None for factor in parts]
            for parts in feature.factors.tolist()
        ],
        "directions": [_rounded(each) for each in feature.directions.tolist()],
        # Older versions ignore the key, and write the file without it.
        **({} if feature.keys is None else {"keys": feature.keys.tolist()}),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _make_feature(
    name: str,
    kind: FeatureKind,
    lengths: tuple[float, ...],
    freedom: tuple[float, ...],
    factors: tuple[tuple[float | None, ...], ...],
    directions: tuple[float, ...],
    keys: tuple[float, ...] | None,
) -> tuple[str, FeatureDependence]:
    for key, items in (("freedom", freedom), ("factors", factors), ("directions", directions)):
        check_length(items, len(lengths), "items, one for each length", f".{key}")
    arrays = (np.array(each, dtype=np.float64) for each in (lengths, freedom, factors, directions))
    of_keys = None if keys is None else np.array(keys, dtype=np.float64)
    return name, replace(FeatureDependence(kind, *arrays), keys=of_keys)


_read_finite: Reader[float] = json.check(
    json.number, lambda value: 0.0 <= value <= MAX_COUNT, "a number from 0 to 2^53"
)
_read_positive: Reader[float] = json.check(_read_finite, lambda value: value > 0.0, "a positive number")

_read_sum: Reader[float] = json.check(
    json.number, lambda value: abs(value) <= MAX_SUM, f"a number of at most {MAX_SUM:g}"
)


def _are_sums(sums: tuple[float, ...]) -> bool:
    """Return whether only the first sums, which are products, are negative."""
    return all(value >= 0.0 for value in sums[PARTS:])


_read_feature = json.record(
    _make_feature,
    name=json.name,
    kind=json.choice(*get_args(FeatureKind)),
    lengths=json.check(
        json.array(_read_positive, most=MAX_LENGTHS),
        lambda lengths: len(lengths) > 0 and json.increasing(lengths),
        "at least one number of rows, strictly increasing",
    ),
    freedom=json.array(_read_positive, most=MAX_LENGTHS),
    factors=json.array(json.array(json.nullable(_read_finite), size=PARTS), most=MAX_LENGTHS),
    directions=json.array(_read_positive, most=MAX_LENGTHS),
    keys=json.nullable(
        json.check(json.array(_read_sum, size=ROW_SIZE), _are_sums, "no negative numbers after the first five")
    ),
)

_read_fields: Reader[tuple[Learned, str]] = json.record(
    lambda model, features: (Learned(dict(features)), model),
    model=json.name,
    features=json.array(_read_feature, most=MAX_FEATURES + 1 + MAX_OTHERS),
)
