"""Checks the stream detectors that the user passes, and records how each of them is called."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driftline._binning.bins import PREDICTION, CategoricalBins
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.reference import Reference
from driftline.typing import Detector

__all__ = ["ERROR", "NamedDetector", "check_streams", "resolve_detectors", "unwatchable_streams"]

ERROR = "error"
"""Name of the stream of prediction errors. An error is 1 if wrong, 0 if right, and absolute for a quantity."""


@dataclass(frozen=True, slots=True)
class NamedDetector:
    """
    A detector with its stream and its interface.

    Attributes:
        name: the name of its state in `Monitor.status`, such as ``"dep_delay (ADWIN)"``.
        kind: the name of its class, such as ``"ADWIN"``.
        stream: the name of the values that it watches: a feature, ``"prediction"`` or ``"error"``.
        original: a copy of the user's detector. It is never fed.
        flag: name of its attribute that is true when the last value showed a change.
        resets: whether it needs a call of ``reset()`` after a change.
    """

    name: str
    kind: str
    stream: str
    original: Any
    flag: str
    resets: bool

    def fresh(self) -> Detector:
        """Return a copy that has seen no value."""
        return copy.deepcopy(self.original)  # type: ignore[no-any-return]


def resolve_detectors(detectors: object) -> tuple[NamedDetector, ...]:
    """
    Return the detectors of the argument ``detectors``, a mapping from the name of a stream to one detector or several.

    Raises:
        ConfigurationError: *detectors* is not a mapping, or an item is not a detector or cannot be copied.
    """
    if detectors is None:
        return ()
    if not isinstance(detectors, Mapping):
        msg = f"detectors={detectors!r}: expected a dict of feature names and detectors"
        raise ConfigurationError(msg)
    resolved: list[NamedDetector] = []
    uses: Counter[str] = Counter()
    for stream, value in detectors.items():
        if not isinstance(stream, str):
            msg = f"detectors: {stream!r}: expected the name of a feature, {PREDICTION!r} or {ERROR!r}"
            raise ConfigurationError(msg)
        several: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
        for detector in several:
            kind = type(detector).__name__
            uses[f"{stream} ({kind})"] += 1
            times = uses[f"{stream} ({kind})"]
            name = f"{stream} ({kind})" if times == 1 else f"{stream} ({kind} {times})"
            resolved.append(_resolve(name, stream, detector))
    return tuple(resolved)


def _resolve(name: str, stream: str, detector: Any) -> NamedDetector:
    argument = f"detectors[{stream!r}]={detector!r}"
    if isinstance(detector, type):
        msg = f"{argument}: expected an object, such as {detector.__name__}()"
        raise ConfigurationError(msg)
    # river's detectors have `drift_detected` and reset themselves. frouros's have `drift`, which stays true until
    # `reset()`.
    flag = next((name for name in ("drift_detected", "drift") if hasattr(detector, name)), None)
    update: Callable[[float], object] | None = getattr(detector, "update", None)
    if flag is None or not callable(update):
        msg = f"{argument}: expected an object with update(x) and drift_detected (or drift)"
        raise ConfigurationError(msg)
    with check.trial(lambda error: f"{argument}: cannot be copied, which the child of a fork needs: {error!r}"):
        original = copy.deepcopy(detector)
    resets = flag == "drift" and callable(getattr(detector, "reset", None))
    return NamedDetector(name, type(detector).__name__, stream, original, flag, resets)


def unwatchable_streams(reference: Reference, detectors: Sequence[NamedDetector]) -> dict[str, str]:
    """Return stream to reason, for each stream of *detectors* that cannot be watched with this reference."""
    watched = {feature.name: feature for feature in reference.watched}
    reasons = {}
    for stream in {detector.stream: None for detector in detectors}:
        feature = watched.get(stream)
        if feature is None:
            if stream != ERROR:
                names = [*watched, ERROR]
                reasons[stream] = f"no such feature, expected a name out of {names}"
        elif isinstance(feature.bins, CategoricalBins) and any(
            isinstance(label, str) for label in feature.bins.categories
        ):
            reasons[stream] = "holds strings, expected a feature of numbers"
    return reasons


def check_streams(reference: Reference, detectors: Sequence[NamedDetector]) -> None:
    """
    Check that each stream of *detectors* can be watched with this reference.

    Raises:
        ConfigurationError: a stream is neither a feature of the reference nor ``"error"``, or it holds strings.
    """
    for stream, reason in unwatchable_streams(reference, detectors).items():
        msg = f"detectors: {stream!r}: {reason}"
        raise ConfigurationError(msg)
