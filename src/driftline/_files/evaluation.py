"""Compares all rows of a table with a reference, once: one window of a monitor that sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from driftline._binning.bins import PREDICTION
from driftline._files.parts import IN_ORDER, PART_SHARE, PartExaminer, split_batch
from driftline._runtime import validation as check
from driftline._windows.window import Window
from driftline.detection import FalseAlarms, Rule
from driftline.detection._least_effects import MinEffect
from driftline.errors import ConfigurationError
from driftline.monitor import Monitor
from driftline.otel._silent import silent_providers
from driftline.reference import Reference
from driftline.results import DriftState, FeatureStatus, Score, worst_state

__all__ = ["ALPHA", "TableCheck", "check_batches", "rule_of", "table_monitor"]

ALPHA: Final = 0.01
"""Probability with which rows without a drift are called drifting, if the caller does not say it."""

LARGEST_ALPHA: Final = 0.05
"""Largest such probability, because the approximations of the tests hold for small ones."""

DAY: Final = 86_400.0
"""Seconds between two windows. Only its ratio to the time of the budget counts."""


@dataclass(frozen=True, slots=True)
class TableCheck:
    """
    The states of all features of a table.

    Attributes:
        state: ``"drifting"`` if any feature drifts; else ``"insufficient_data"`` if any has this state; else
            ``"stable"``.
        rows: number of rows.
        alpha: the probability with which any feature of rows without a drift is called drifting.
        features: the state of each feature, by name. The prediction is among them if there are outputs.
        scores: the distances.
        absent: columns of the reference that the table lacks. Their values count as missing.
    """

    state: DriftState
    rows: int
    alpha: float
    features: Mapping[str, FeatureStatus]
    scores: tuple[Score, ...]
    absent: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """A sentence that says how many features have the state, of how many rows."""
        number = sum(status.state == self.state for status in self.features.values())
        features = "" if self.state == "stable" else f" ({number} of {len(self.features)} features)"
        return f"{self.state}{features}, {self.rows:,} rows, alpha {self.alpha:g}"


def rule_of(alpha: float, min_effect: MinEffect) -> FalseAlarms:
    """
    Return the rule that evaluates all rows as a single window. The arguments are those of `check_batches`.

    Its budget is smaller than *alpha* by the share that parts of the table have.

    Raises:
        ConfigurationError: an argument has a wrong value.
    """
    level = check.number("alpha", alpha, above=0.0, at_most=LARGEST_ALPHA)
    return FalseAlarms(level * (1.0 - PART_SHARE), per=DAY, every=DAY, lengths=(1,), min_effect=min_effect)


def table_monitor(
    name: str, reference: Reference, rows: int, rule: Rule, *, shuffled: bool = False, **options: Any
) -> Monitor:
    """
    Return a monitor that exports nothing, and whose only window is a table.

    Args:
        name: its name.
        reference: the reference. Its seasons are not used.
        rows: the number of rows of the table.
        rule: decides which features drift.
        shuffled: as for `check_batches`.
        options: further arguments of `Monitor`.

    Raises:
        ConfigurationError: an argument has a wrong value.
    """
    return Monitor(
        name,
        reference=replace(reference, seasons=None if shuffled else IN_ORDER),
        window=Window(rows=rows),
        rule=rule,
        synchronous=True,
        enabled=True,
        **silent_providers(),
        **options,
    )


def check_batches(
    reference: Reference,
    batches: Iterable[tuple[Any, Any]],
    rows: int,
    *,
    alpha: float = ALPHA,
    min_effect: MinEffect = 0.05,
    labels: bool = True,
    shuffled: bool = False,
    absent: Sequence[str] = (),
    **options: Any,
) -> TableCheck:
    """
    Compare all rows with a reference, and each part of them if the training data were not shuffled.

    A feature that drifts in a part alone, as after a change in the middle, has the state of that part. Its reason names
    the rows.

    Args:
        reference: the reference. Its seasons are not used.
        batches: the rows in their order, in parts: features as for `Monitor.observe`, and outputs or None.
        rows: the number of all rows.
        alpha: the probability with which any feature of rows without a drift is called drifting, above 0 and at most
            0.05.
        min_effect: as for `FalseAlarms`.
        labels: whether reasons name categories.
        shuffled: whether the training data were shuffled. If they were not, they show how much rows of a part of them
            differ from the rest. If they were, a table of narrower values may be a part of them, and has no state.
        absent: columns of the reference that the rows lack.
        options: further arguments of `Monitor`, such as *derive*.

    Raises:
        ConfigurationError: there are no rows, or an argument has a wrong value.
        Exception: whatever the rows cannot be read for.
    """
    rule = rule_of(alpha, min_effect)
    if rows < 1:
        msg = f"{rows} rows, expected at least one"
        raise ConfigurationError(msg)
    monitor = table_monitor("check", reference, rows, rule, shuffled=shuffled, on_error="raise", **options)
    examiner = PartExaminer(reference, 0 if shuffled else rows, rule, labels=labels)
    try:
        predicted, end = False, 0
        for features, outputs in batches:
            for part, part_outputs, seen in split_batch(features, outputs, end, examiner.cuts):
                monitor.observe(part, part_outputs)
                if seen in examiner.cuts and (counted := monitor.snapshot()) is not None:
                    examiner.add(seen, counted.counts, counted.rows)
                end = seen
            predicted = predicted or outputs is not None
        monitor.flush()
        states = examiner.complete(monitor.inspect(labels=labels).states)
        if not predicted:
            states = {name: status for name, status in states.items() if name != PREDICTION}
        scores = monitor.scores()
    finally:
        monitor.shutdown()
    state = worst_state(status.state for status in states.values())
    return TableCheck(state, rows, alpha, states, scores, tuple(absent))
