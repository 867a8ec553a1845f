"""
How often a policy requests retraining in months without drift, with dependent rows and with few labels.

A month is 720 windows of 500 rows, one each hour, of a model with four features whose accuracy is 80 % and never
changes. Requests are counted with the exact interval of a Poisson rate. In each month the policy begins again; a
request fails after a day, so that the next one may come after the cooldown. All policies see the same months.

Run: ``python benchmarks/retraining.py [--months 12]``. The table stands in docs/retraining.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

import driftline as dl
from driftline.retraining import RetrainingSituation
from driftline.typing import Floats

sys.path.insert(0, str(Path(__file__).parent / "detection"))
from false_alarms import poisson_interval

SEED = 20_261_130
WINDOWS, ROWS = 720, 500
HOUR = 3_600.0
FEATURES = ("a", "b", "c", "d")
LEAST = 0.79
"""The limit of a policy. The true accuracy is 80 %."""

WRONG = 0.8416
"""The 80 % quantile of the normal distribution: predictions whose number is above it are wrong."""

START = 1.7e9


class Rows:
    """
    Rows whose neighbours may depend on each other.

    Args:
        random: draws them.
        correlation: of neighbouring rows, in each feature and in whether predictions are right.
    """

    def __init__(self, random: np.random.Generator, correlation: float) -> None:
        self._random, self._correlation = random, correlation
        self._state = random.normal(size=len(FEATURES) + 1)

    def draw(self, rows: int) -> Floats:
        """Return standard normal numbers of shape (rows, features + 1); the last column is that of the outcomes."""
        noise = self._random.normal(size=(rows, len(self._state)))
        if not self._correlation:
            return noise
        noise *= np.sqrt(1.0 - self._correlation**2)
        values, _ = lfilter([1.0], [1.0, -self._correlation], noise, axis=0, zi=self._correlation * self._state[None])
        self._state = values[-1]
        return np.asarray(values)


def month(correlation: float, labels: int, seed: int) -> list[RetrainingSituation]:
    """
    Return what is known after each window of a month without drift.

    Args:
        correlation: of neighbouring rows.
        labels: outcomes of a day, of consecutive rows.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    rows = Rows(random, correlation)
    known = rows.draw(50_000)
    predicted = random.integers(0, 2, len(known)).astype(bool)
    reference = dl.Reference.fit(
        dict(zip(FEATURES, known[:, :-1].T, strict=True)),
        predictions=predicted,
        outcomes=predicted ^ (known[:, -1] >= WRONG),
    )
    now = [0.0]
    history: list[RetrainingSituation] = []
    monitor = dl.Monitor(
        "m",
        version="1",
        reference=reference,
        window=dl.Window(rows=ROWS),
        rule=dl.FalseAlarms(1, per="30d", every="1h"),
        # A guardrail sees what a policy decides from.
        retraining=dl.RetrainingPolicy(guardrails={"history": history.append}),
        synchronous=True,
        enabled=True,
        clock=lambda: now[0],
        wall_clock=lambda: START + now[0],
    )
    for window in range(WINDOWS):
        now[0] += HOUR
        share = int((window + 1) * labels / 24) - int(window * labels / 24)
        values = rows.draw(ROWS)
        outputs = random.integers(0, 2, ROWS).astype(bool)
        columns = dict(zip(FEATURES, values[:, :-1].T, strict=True))
        if share:
            ids = [f"{window}-{row}" for row in range(share)]
            first = {name: column[:share] for name, column in columns.items()}
            monitor.observe(first, outputs[:share], prediction_ids=ids, seconds=0.01)
            monitor.outcomes(ids, outputs[:share] ^ (values[:share, -1] >= WRONG))
        monitor.observe({name: column[share:] for name, column in columns.items()}, outputs[share:], seconds=0.01)
        monitor.status()
    monitor.shutdown()
    return history


POLICIES: Mapping[str, Callable[[], dl.RetrainingPolicy]] = {
    "default": dl.RetrainingPolicy,
    f"min_accuracy={LEAST}": lambda: dl.RetrainingPolicy(min_accuracy=LEAST, min_labels=50),
    "lesson": dl.RetrainingPolicy.lesson,
}

CASES: Mapping[str, tuple[float, int]] = {
    "independent rows, 240 labels a day": (0.0, 240),
    "rows correlated 0.9, 240 labels a day": (0.9, 240),
    "rows correlated 0.9, 10 labels a day": (0.9, 10),
}


def run(months: int, cases: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield the requests of each policy in these cases, by their number."""
    for case, (correlation, labels) in [list(CASES.items())[number] for number in cases]:
        began = time.process_time()
        histories = [month(correlation, labels, SEED + number) for number in range(months)]
        for name, policy in POLICIES.items():
            kinds = [request.kind for history in histories for request in policy().replay(history).requests]
            low, high = poisson_interval(kinds.count("retrain"), months)
            yield {
                "case": case,
                "policy": name,
                "months": months,
                "retrain": kinds.count("retrain"),
                "low": low,
                "high": high,
                "fix": kinds.count("fix_pipeline"),
                "seconds": time.process_time() - began,
            }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--case", type=int, choices=range(len(CASES)), help="only this one")
    options = parser.parse_args()
    print("| months without drift | policy | months | false requests | per month (95 %) | fixes of the pipeline |")
    print("|---|---|---:|---:|---:|---:|")
    for row in run(options.months, range(len(CASES)) if options.case is None else [options.case]):
        rate = f"{row['retrain'] / row['months']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        cells = (row["case"], row["policy"], row["months"], row["retrain"], rate, row["fix"])
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        print(f"{row['seconds']:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
