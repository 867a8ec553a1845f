"""Detectors for streams as they were given: what they are is found out here, once."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftline._binning.bins import (
    PREDICTION,
    CategoricalBins,
)
from driftline.errors import ConfigurationError
from driftline.reference import Reference
from driftline.typing import Detector

__all__ = ["ERROR", "NamedDetector", "check_streams", "named_detectors", "unwatchable_streams"]

ERROR = "error"
"""The stream of what outcomes say of predictions: 1 wrong and 0 right, or how far off a quantity was."""


@dataclass(frozen=True, slots=True)
class NamedDetector:
    """
    A detector, what it is fed, and how it is read.

    Attributes:
        name: of its entry among the states: ``"dep_delay (ADWIN)"``.
        kind: of what class it is.
        stream: the feature that it watches, ``"prediction"`` or ``"error"``.
        original: a copy of what was given, never fed.
        flag: the attribute that says whether the last value showed a change.
        resets: whether it has to be told to start anew after one.
    """

    name: str
    kind: str
    stream: str
    original: Any
    flag: str
    resets: bool

    def fresh(self) -> Detector:
        """One that has seen nothing."""
        return copy.deepcopy(self.original)  # type: ignore[no-any-return]


def named_detectors(given: object) -> tuple[NamedDetector, ...]:
    """
    Detectors by the stream that they watch, each stream with one or several.

    Raises:
        ConfigurationError: no mapping, or something that is no detector or cannot be copied.
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        msg = f"detectors={given!r}: expected a dict of feature names and detectors"
        raise ConfigurationError(msg)
    found: list[NamedDetector] = []
    taken: Counter[str] = Counter()
    for stream, one in given.items():
        if not isinstance(stream, str):
            msg = f"detectors: {stream!r}: expected the name of a feature, {PREDICTION!r} or {ERROR!r}"
            raise ConfigurationError(msg)
        several: Sequence[Any] = one if isinstance(one, (list, tuple)) else [one]
        for detector in several:
            kind = type(detector).__name__
            taken[f"{stream} ({kind})"] += 1
            times = taken[f"{stream} ({kind})"]
            name = f"{stream} ({kind})" if times == 1 else f"{stream} ({kind} {times})"
            found.append(_named(name, stream, detector))
    return tuple(found)


def _named(name: str, stream: str, detector: Any) -> NamedDetector:
    where = f"detectors[{stream!r}]={detector!r}"
    if isinstance(detector, type):
        msg = f"{where}: expected an object, such as {detector.__name__}()"
        raise ConfigurationError(msg)
    # river says drift_detected and starts anew by itself; frouros says drift, and goes on saying so until reset().
    flag = next((one for one in ("drift_detected", "drift") if hasattr(detector, one)), None)
    update: Callable[[float], object] | None = getattr(detector, "update", None)
    if flag is None or not callable(update):
        msg = f"{where}: expected an object with update(x) and drift_detected (or drift)"
        raise ConfigurationError(msg)
    try:
        original = copy.deepcopy(detector)
    except Exception as error:
        msg = f"{where}: cannot be copied, which the child of a fork needs: {error!r}"
        raise ConfigurationError(msg) from error
    resets = flag == "drift" and callable(getattr(detector, "reset", None))
    return NamedDetector(name, type(detector).__name__, stream, original, flag, resets)


def unwatchable_streams(reference: Reference, detectors: Sequence[NamedDetector]) -> dict[str, str]:
    """The streams that cannot be watched with this reference, and why."""
    watched = {feature.name: feature for feature in reference.watched}
    wrong = {}
    for stream in {one.stream: None for one in detectors}:
        feature = watched.get(stream)
        if feature is None:
            if stream != ERROR:
                names = [*watched, ERROR]
                wrong[stream] = f"no such feature, expected a name out of {names}"
        elif isinstance(feature.bins, CategoricalBins) and any(isinstance(one, str) for one in feature.bins.categories):
            wrong[stream] = "holds texts, expected a feature of numbers"
    return wrong


def check_streams(reference: Reference, detectors: Sequence[NamedDetector]) -> None:
    """
    Check that everything that detectors are to watch is there.

    Raises:
        ConfigurationError: a stream is no feature of the reference, or holds texts.
    """
    for stream, reason in unwatchable_streams(reference, detectors).items():
        msg = f"detectors: {stream!r}: {reason}"
        raise ConfigurationError(msg)
