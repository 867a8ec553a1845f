"""
How far the metrics of outcomes are from those of scikit-learn on the same rows, through a monitor.

Each case is a model with its outcomes, which a monitor joins by id. The table has the largest difference of each metric
over the classes; of MAE, RMSE and bias relative to the MAE. The calibration error has no counterpart in scikit-learn:
its coverage is in docs/outcomes-statistics.md.

Run: ``python benchmarks/outcomes/exactness.py``. The script fails if a difference exceeds `TOLERANCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics as scikit_learn

from driftline import OutcomePolicy, Reference
from driftline.testing import in_memory_monitor
from driftline.typing import Floats

ROWS = 5_000
SEED = 20_261_130

TOLERANCES = {
    "accuracy": 1e-15,
    "precision": 1e-15,
    "recall": 1e-15,
    "f1": 1e-15,
    "brier": 1e-12,
    "auc": 0.002,
    "mae": 1e-12,
    "rmse": 1e-12,
    "bias": 1e-12,
}
"""The largest difference of each metric that is allowed in any case."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """
    Predictions and outcomes.

    Attributes:
        name: what they are like.
        outputs: shape (rows,), or (rows, classes) for probabilities of classes.
        actuals: shape (rows,).
    """

    name: str
    outputs: Floats
    actuals: Any


def logistic(log_odds: Floats) -> Floats:
    """Return probabilities."""
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)))


def cases() -> list[Case]:
    """Return all cases."""
    random = np.random.default_rng(SEED)

    def binary(name: str, scores: Floats, chances: Floats) -> Case:
        return Case(name, scores, random.random(len(scores)) < chances)

    def regression(name: str, scale: float, rows: int) -> Case:
        predicted = scale * random.normal(10.0, 3.0, rows)
        return Case(name, predicted, predicted + scale * random.normal(0.3, 1.0, rows))

    usual, rare, latent = random.beta(1, 2, ROWS), random.beta(0.5, 60, ROWS), random.normal(0, 1.5, ROWS)
    classes = random.dirichlet([1.0, 1.0, 0.5, 0.05], ROWS)
    return [
        binary("binary", usual, usual),
        binary("binary, float32", usual.astype(np.float32).astype(np.float64), usual),
        binary("rare, 0.8 %", rare, rare),
        binary("all above 0.9999", logistic(13.0 + latent), logistic(1.5 * latent)),
        binary("all below 1e-9", logistic(-30.0 + 2 * latent), logistic(1.5 * latent)),
        binary("0 and 1 among the scores", np.round(usual, 1), usual),
        Case("tiny, 8 rows", random.random(8), np.array([0, 1, 0, 1, 1, 0, 0, 1])),
        Case("four classes, one of 2 %", classes, np.array([random.choice(4, p=row) for row in classes])),
        regression("regression", 1.0, ROWS),
        regression("regression, 1e15", 1e15, ROWS),
        regression("regression, 1e-200", 1e-200, ROWS),
        regression("regression, 1e300", 1e300, ROWS),
        regression("regression, 3 rows", 1.0, 3),
    ]


def served(case: Case) -> dict[tuple[str, object], float]:
    """Return the metrics that a monitor reports, by name and label."""
    rows = len(case.actuals)
    features, ids = {"x": np.arange(rows) % 7.0}, list(range(rows))
    few = OutcomePolicy(classes=range(case.outputs.shape[1])) if case.outputs.ndim > 1 else OutcomePolicy()
    numeric = case.actuals.dtype.kind == "f"
    reference = Reference.fit(features, predictions=case.outputs, outcomes=None if numeric else case.actuals.tolist())
    monitor = in_memory_monitor(reference=reference, outcomes=few)
    monitor.observe(features, case.outputs, prediction_ids=ids)
    monitor.outcomes(ids, case.actuals)
    return {(metric.metric, metric.label): metric.value for metric in monitor.performance()}


def exact(case: Case) -> dict[tuple[str, object], float]:
    """Return the metrics of scikit-learn."""
    outputs, actuals = case.outputs, case.actuals
    if actuals.dtype.kind == "f":
        # scikit-learn squares numbers, which overflows at 1e300 and underflows at 1e-200.
        scale = 2.0 ** np.round(np.log2(np.abs(outputs).max()))
        errors = (outputs / scale, actuals / scale)
        return {
            ("mae", None): scikit_learn.mean_absolute_error(*errors) * scale,
            ("rmse", None): scikit_learn.root_mean_squared_error(*errors) * scale,
            ("bias", None): float((errors[0] - errors[1]).mean()) * scale,
        }
    if outputs.ndim > 1:
        predicted = outputs.argmax(axis=1)
        truths, scores, labels = predicted == actuals, outputs.max(axis=1), [*range(outputs.shape[1])]
        names: Mapping[object, int] = {label: index for index, label in enumerate(labels)}
    else:
        predicted, truths, scores, labels, names = outputs >= 0.5, actuals.astype(bool), outputs, [True], {True: 0}
    values: dict[tuple[str, object], float] = {
        ("accuracy", None): scikit_learn.accuracy_score(actuals, predicted),
        ("brier", None): scikit_learn.brier_score_loss(truths, scores),
        ("auc", None): scikit_learn.roc_auc_score(truths, scores),
    }
    for name, function in (
        ("precision", scikit_learn.precision_score),
        ("recall", scikit_learn.recall_score),
        ("f1", scikit_learn.f1_score),
    ):
        each = function(actuals, predicted, labels=labels, average=None, zero_division=np.nan)
        values |= {(name, label): float(each[index]) for label, index in names.items()}
    return values


def differences(case: Case) -> dict[str, float]:
    """
    Return the largest difference of each metric.

    Raises:
        ValueError: the monitor lacks a metric that scikit-learn has.
    """
    reported, expected = served(case), exact(case)
    unit = expected.get(("mae", None), 1.0)
    largest: dict[str, float] = {}
    for (metric, label), value in expected.items():
        if np.isnan(value):
            continue
        if (metric, label) not in reported:
            msg = f"{case.name}: the monitor has no {metric} of {label}"
            raise ValueError(msg)
        difference = abs(reported[metric, label] - value) / unit
        largest[metric] = max(largest.get(metric, 0.0), difference)
    return largest


def main() -> None:
    """Print the table, and fail if a metric is too far off."""
    print(f"| case | {' | '.join(TOLERANCES)} |")
    print("|---" * (len(TOLERANCES) + 1) + "|")
    too_large = []
    for case in cases():
        largest = differences(case)
        cells = [f"{largest[metric]:.1g}" if metric in largest else "–" for metric in TOLERANCES]
        print(f"| {case.name} | {' | '.join(cells)} |", flush=True)
        too_large += [f"{case.name}: {metric}" for metric in largest if largest[metric] > TOLERANCES[metric]]
    print(f"| *allowed* | {' | '.join(f'{tolerance:.1g}' for tolerance in TOLERANCES.values())} |")
    if too_large:
        raise SystemExit(", ".join(too_large))


if __name__ == "__main__":
    main()
