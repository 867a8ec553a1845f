"""The configuration of outcomes, `OutcomePolicy`: where and for how long predictions are stored, and the limits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from driftline._binning.label_scheme import PAIR, LabelArguments, LabelScheme
from driftline._binning.prediction_kind import Kind
from driftline._runtime import validation as check
from driftline._windows.window import Window
from driftline.outcomes._limits import LIMITABLE_METRICS
from driftline.outcomes._snapshot import MAX_CLASSES
from driftline.typing import Label

__all__ = ["OutcomePolicy"]

MEMORY_CAPACITY = 100_000
"""
Default of the largest number of pending predictions in memory, about 25 MB of ids and outputs. As many joined ids take
38 MB.
"""

FILE_CAPACITY = 5_000_000
"""Default of the largest number of pending predictions in a file, about 0.6 GB. As many joined ids take as much."""

MAX_COUNT = 10**9
"""Largest *capacity* and *per*. It exceeds the number of predictions that a file can hold."""


@dataclass(frozen=True, slots=True, init=False)
class OutcomePolicy:
    """
    How outcomes are joined with predictions, and the limits for the model.

    Args:
        path: an SQLite file that keeps pending predictions, shared by the processes of a host. An outcome may arrive
            weeks later, in another process, after a restart. The folder must exist, on a local disk. If None,
            predictions are kept in memory.
        capacity: largest number of pending predictions. Beyond it, the oldest expires. By default 100,000 in memory and
            5,000,000 in a file, where all models share the number.
        expire: how long a prediction stays pending, as a duration such as ``"30d"`` or in seconds. If None, as long as
            *capacity* allows.
        kind: the kind of predictions: ``"probability"`` (of the positive label), ``"label"`` or ``"quantity"``. By
            default the predictions and outcomes of the reference decide, or else the first outcomes.
        positive: the label whose probability is predicted. By default that of the reference, or else the first outcomes
            decide: 1 and True, and the positive word of a pair such as "yes" and "no".
        threshold: smallest probability that predicts the positive label, above 0 and at most 1. By default that of the
            reference, or else 0.5. Accuracy, precision, recall and F1 use it.
        classes: labels with precision, recall and F1. By default the ten most frequent of the reference. They are also
            the labels of the columns of ``predict_proba``, in order, if there are as many. Of two classes of a
            probability, the second is positive unless *positive* is the first.
        window: the latest outcomes, from which the metrics are computed. If None, ``Window(rows=5_000, every=500)``.
        limits: bounds on metrics, such as ``{"accuracy": 0.85, "recall": 0.6, "brier": 0.1}``. Bounds on accuracy,
            precision, recall and f1 are lower bounds, on error_rate and brier upper bounds.
        max_drop: how far accuracy may fall below the accuracy of the reference, from 0 to 1. It applies unless
            *limits* has a bound on accuracy. If None, there is no such limit.
        per: smallest average number of outcomes between two false alarms of one limit.

    Raises:
        ConfigurationError: if an argument has the wrong type or is out of range.
    """

    path: Path | None
    capacity: int
    expire: float | None
    kind: Kind | None
    positive: Label | None
    threshold: float | None
    classes: tuple[Label, ...]
    window: Window
    limits: Mapping[str, float]
    max_drop: float | None
    per: int

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] | None = None,
        capacity: int | None = None,
        expire: str | float | None = "30d",
        kind: Kind | None = None,
        positive: Label | None = None,
        threshold: float | None = None,
        classes: Sequence[Label] = (),
        window: Window | None = None,
        limits: Mapping[str, float] | None = None,
        max_drop: float | None = 0.05,
        per: int = 1_000_000,
    ) -> None:
        if window is not None and (not isinstance(window, Window) or window.rows is None):
            check.reject("window", window, "Window(rows=...), because outcomes arrive in bursts")
        labels = LabelArguments.checked(positive, threshold, classes, MAX_CLASSES)
        checked_kind = check.optional(check.one_of, "kind", kind, get_args(Kind))
        if checked_kind not in {None, "probability"} and threshold is not None:
            check.reject("threshold", threshold, f"None, because predictions of kind {kind!r} have no threshold")
        default = MEMORY_CAPACITY if path is None else FILE_CAPACITY
        for name, value in {
            "path": check.optional(check.path, "path", path),
            "capacity": default
            if capacity is None
            else check.integer("capacity", capacity, at_least=1, at_most=MAX_COUNT),
            "expire": check.optional(check.duration, "expire", expire),
            "kind": checked_kind,
            "positive": labels.positive,
            "threshold": labels.threshold,
            "classes": labels.classes,
            "window": window or Window(rows=5_000, every=500),
            "limits": _limits(limits),
            "max_drop": check.optional(check.probability, "max_drop", max_drop),
            "per": check.integer("per", per, at_least=1, at_most=MAX_COUNT),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def panes_per_alarm(self) -> float:
        """Smallest average number of panes between two false alarms of one limit."""
        return max(1.0, self.per / (self.window.pane_rows or 1))

    def labels_over(self, reference: LabelScheme | None, *, probable: bool = False) -> LabelScheme:
        """
        Return how outcomes are read: as this policy says, and as the reference says where the policy does not.

        Args:
            reference: how the outcomes of the reference are read; None if it does not say.
            probable: whether the predictions of the reference are numbers from 0 to 1.
        """
        base = LabelScheme() if reference is None else reference
        kind = self.kind or base.kind
        says_so = self.positive is not None or self.threshold is not None
        if kind is None and (says_so or (probable and len(self.classes) == PAIR)):
            kind = "probability"
        classes, positive = base.classes, base.positive
        if kind == "probability" and len(self.classes) == PAIR:
            classes, positive = self.classes, self.classes[1]
        elif kind != "probability" and not classes:
            classes = self.classes
        if self.positive is not None:
            positive = self.positive
            classes = classes if positive in classes else ()
        return LabelScheme(kind, classes, positive, base.threshold if self.threshold is None else self.threshold)


def _limits(limits: Any) -> dict[str, float]:
    if limits is None:
        return {}
    if not isinstance(limits, Mapping) or not set(limits) <= set(LIMITABLE_METRICS):
        check.reject("limits", limits, f"a dict with keys from {list(LIMITABLE_METRICS)}")
    return {name: check.number(f"limits[{name!r}]", bound, above=0, below=1) for name, bound in limits.items()}
