"""
How often the 95 % intervals of outcome metrics cover the true value, and how wide they are beside exact ones.

Each cell draws samples of n rows from a known model, and computes the metrics from counts as a monitor does. The true
value is that of scikit-learn or numpy on a million rows of the same model. For proportions the width of Clopper and
Pearson's interval on the same rows is printed, for other metrics that of the percentile interval of the metric itself
over all samples, which is the narrowest that could be known. Samples in which a metric is undefined do not count.

Run: ``python benchmarks/outcomes/coverage.py [--runs 1000] [--models calibrated]``. The tables stand in
docs/outcomes-statistics.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta as beta_distribution
from sklearn.metrics import brier_score_loss, f1_score, precision_score, recall_score, roc_auc_score

from driftline.outcomes import ClassCounts, OutcomeSnapshot, Performance, performance
from driftline.outcomes._exact_sums import count_errors
from driftline.outcomes._score_bins import SCORE_EDGES, count_scores
from driftline.typing import Floats

POPULATION = 1_000_000
SEED = 20_261_129
PROPORTIONS = ("accuracy", "precision", "recall")
SCORE_METRICS = (*PROPORTIONS, "f1", "brier", "auc", "calibration_error")
ERROR_METRICS = ("mae", "rmse", "bias")


def logistic(log_odds: Floats) -> Floats:
    """Return probabilities."""
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)))


@dataclass(frozen=True, slots=True)
class Model:
    """
    A model whose metrics are known.

    Attributes:
        name: what the model is like.
        rows: sizes of samples.
        draw: returns n scores and the probability of a true outcome for each, or n errors and None.
    """

    name: str
    rows: Sequence[int]
    draw: Callable[[np.random.Generator, int], tuple[Floats, Floats | None]]


def _calibrated(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    scores = random.beta(1, 2, n)
    return scores, scores


def _exaggerated(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    log_odds = random.normal(-0.5, 1.2, n)
    return logistic(1.8 * log_odds), logistic(log_odds)


def _rare(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    scores = random.beta(0.5, 40, n)
    return scores, scores


def _almost_one(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    latent = random.normal(0, 1.5, n)
    return logistic(14.0 + latent), logistic(1.5 * latent)


def _almost_zero(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    latent = random.normal(0, 1.5, n)
    return logistic(-30.0 + 2 * latent), logistic(1.5 * latent)


def _narrow(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    latent = random.uniform(-1, 1, n)
    return 0.41 + 0.002 * latent, logistic(2 * latent - 0.4)


def _clusters(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    latent = np.where(random.random(n) < 0.3, random.normal(2.0, 0.1, n), random.normal(-1.0, 0.3, n))
    return 0.41 + 0.0007 * latent, logistic(latent)


def _separable(random: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    log_odds = random.normal(0, 8, n)
    return logistic(log_odds), logistic(log_odds)


SCORE_MODELS = (
    Model("calibrated", (20, 50, 200, 1_000, 5_000), _calibrated),
    Model("exaggerated", (20, 50, 200, 1_000, 5_000), _exaggerated),
    Model("rare, 1.2 %", (50, 200, 1_000, 5_000), _rare),
    Model("above 0.9999", (50, 200, 1_000), _almost_one),
    Model("below 1e-9", (50, 200, 1_000), _almost_zero),
    Model("0.408 to 0.412", (50, 200, 1_000, 5_000), _narrow),
    Model("separable, AUC 0.99", (20, 50, 200, 1_000), _separable),
    Model("two clusters in a bin", (50, 200, 1_000, 5_000), _clusters),
)

ERROR_MODELS = (
    Model("normal", (10, 30, 100, 1_000), lambda random, n: (random.normal(0.3, 1.0, n), None)),
    Model("Laplace", (10, 30, 100, 1_000), lambda random, n: (random.laplace(0.3, 1.0, n), None)),
    Model("uniform", (10, 30, 100, 1_000), lambda random, n: (random.uniform(-1.0, 2.0, n), None)),
    Model("Student t, 5 degrees", (10, 30, 100, 1_000), lambda random, n: (random.standard_t(5, n), None)),
    Model("scale 1e15", (30, 1_000), lambda random, n: (random.normal(3e14, 1e15, n), None)),
    Model("scale 1e-200", (30, 1_000), lambda random, n: (random.normal(3e-201, 1e-200, n), None)),
    Model("skewed, lognormal 0.5", (10, 30, 100, 1_000), lambda random, n: (random.lognormal(0.0, 0.5, n) - 1.0, None)),
    Model("skewed, exponential", (10, 30, 100, 1_000), lambda random, n: (random.exponential(1.0, n) - 1.0, None)),
)


def score_snapshot(scores: Floats, truths: Floats) -> OutcomeSnapshot:
    """Return the counts of probabilities as a grader makes them."""
    predicted, actual = scores >= 0.5, truths > 0
    right, wrong = int((predicted & actual).sum()), int((predicted & ~actual).sum())
    missed = int((~predicted & actual).sum())
    return OutcomeSnapshot(
        known=len(scores),
        correct=len(scores) - wrong - missed,
        classes={True: ClassCounts(right, wrong, missed)},
        scores=count_scores(scores, actual.astype(np.int64)),
        score_errors=count_errors(scores, truths),
    )


def true_scores(model: Model, random: np.random.Generator) -> dict[str, float]:
    """Return the metrics of a large sample."""
    scores, chances = model.draw(random, POPULATION)
    truth = random.random(POPULATION) < chances
    predicted = scores >= 0.5
    return {
        "accuracy": float((predicted == truth).mean()),
        "precision": float(precision_score(truth, predicted, zero_division=np.nan)),
        "recall": float(recall_score(truth, predicted)),
        "f1": float(f1_score(truth, predicted)),
        "brier": float(brier_score_loss(truth, scores)),
        "auc": float(roc_auc_score(truth, scores)),
        "calibration_error": _calibration(scores, chances),
    }


def _calibration(scores: Floats, chances: Floats) -> float:
    """Return the calibration error at the resolution of the bins, which are a tenth wide in log-odds."""
    bins = np.searchsorted(SCORE_EDGES, scores, side="right")
    return float(np.abs(np.bincount(bins, weights=chances - scores)).sum() / len(scores))


def true_errors(model: Model, random: np.random.Generator) -> dict[str, float]:
    """Return the metrics of a large sample."""
    errors, _ = model.draw(random, POPULATION)
    scale = float(np.abs(errors).max())
    root = scale * float(np.sqrt(((errors / scale) ** 2).mean()))
    return {"mae": float(np.abs(errors).mean()), "rmse": root, "bias": float(errors.mean())}


def measure(model: Model, n: int, runs: int, random: np.random.Generator) -> dict[str, list[Performance]]:
    """Return the metrics of *runs* samples of *n* rows."""
    measured: dict[str, list[Performance]] = {}
    for _ in range(runs):
        values, chances = model.draw(random, n)
        if chances is None:
            snapshot = OutcomeSnapshot(errors=count_errors(values, np.zeros(n)))
        else:
            snapshot = score_snapshot(values, (random.random(n) < chances).astype(np.float64))
        for metric in performance(snapshot, [True]):
            measured.setdefault(metric.metric, []).append(metric)
    return measured


def coverage(samples: Sequence[Performance], truth: float) -> float:
    """Return the share of intervals that cover the truth."""
    return float(np.mean([sample.lower <= truth <= sample.upper for sample in samples]))


def widths(metric: str, samples: Sequence[Performance]) -> tuple[float, float]:
    """Return the mean width of the intervals, and that of exact ones."""
    own = float(np.mean([sample.upper - sample.lower for sample in samples]))
    if metric in PROPORTIONS:
        rows = np.array([sample.rows for sample in samples])
        hits = np.round(rows * np.array([sample.value for sample in samples]))
        low = np.where(hits == 0, 0.0, beta_distribution.ppf(0.025, hits, rows - hits + 1))
        high = np.where(hits == rows, 1.0, beta_distribution.ppf(0.975, hits + 1, rows - hits))
        return own, float((high - low).mean())
    low, high = np.quantile([sample.value for sample in samples], [0.025, 0.975])
    return own, float(high - low)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--models", nargs="+", help="names of models; by default all")
    arguments = parser.parse_args()
    runs = arguments.runs
    for models, metrics, true_values in (
        (SCORE_MODELS, SCORE_METRICS, true_scores),
        (ERROR_MODELS, ERROR_METRICS, true_errors),
    ):
        print(f"| model | rows | {' | '.join(metrics)} |")
        print("|---" * (len(metrics) + 2) + "|")
        for number, model in enumerate(models):
            if arguments.models and model.name not in arguments.models:
                continue
            # A model has the same samples whatever other models run.
            random = np.random.default_rng([SEED, number])
            truth = true_values(model, random)
            for n in model.rows:
                measured = measure(model, n, runs, random)
                cells = []
                for metric in metrics:
                    samples = measured.get(metric, [])
                    if len(samples) < runs / 10:
                        cells.append("–")
                        continue
                    own, exact = widths(metric, samples)
                    cells.append(f"{coverage(samples, truth[metric]):.1%} ({own:.2g}, {exact:.2g})")
                print(f"| {model.name} | {n:,} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
