"""
The incident of the demo: broken data ask for a fix, a changed relation asks for retraining, and the loop closes.

``make demo-incident``, or ``python -m driftline.demo.incident``. It prints lines of text.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import driftline as dl
from driftline.demo.flights import START, Flights, hour_to_date, load
from driftline.demo.models import Model

__all__ = ["Accuracy", "Incident", "main", "result_of"]

DAY, WEEK = 24, 7 * 24
"""Hours of a day and of a week. The hour is the unit of simulated time."""

TRAINING = 6 * WEEK
"""Hours at the start of the year that the first model is fitted to."""

BROKEN = (7 * WEEK, 9 * WEEK)
"""Hours between which the visibility is in kilometres instead of miles."""

KILOMETRES = 1.609
"""Kilometres of a mile."""

WATCHED = ("hour", "dep_delay", "distance", "visib", "carrier", "origin")
"""The features that the monitor watches. The others are weather, of which six weeks are few."""

CHANGE = 11 * WEEK
"""The hour from which on the relation is another one."""

CARRIER, LATE_SHARE = "UA", 0.8
"""The carrier whose flights become late, and the share of its punctual flights that do."""

END = 20 * WEEK
"""The hour at which the demo ends."""

PATIENCE = 3 * WEEK
"""Hours between the acknowledgement and the training, in which rows and outcomes of the new relation arrive."""

HELD_OUT = WEEK
"""Hours before the retraining whose outcomes decide whether the new model is better. It is not fitted to them."""

QUANTILE = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Two models on the same flights: the rows, and the share of right predictions of each model."""

    rows: int
    before: float
    after: float
    error: float
    """Half the length of the 95 % interval of the difference."""

    @classmethod
    def of(cls, old: Model, new: Model, flights: Flights) -> Accuracy:
        """Compare two models on the flights that have landed."""
        landed = ~np.isnan(flights.landed)
        right = [(model.probabilities(flights.columns) > 0.5) == flights.late for model in (old, new)]  # noqa: PLR2004
        before, after = (each[landed].astype(np.float64) for each in right)
        gain = after - before
        error = QUANTILE * float(gain.std() / np.sqrt(max(1, len(gain))))
        return cls(len(gain), float(before.mean()), float(after.mean()), error)

    def __str__(self) -> str:
        change = self.after - self.before
        return (
            f"accuracy {self.before:.1%} before, {self.after:.1%} after "
            f"({change:+.1%} ± {self.error:.1%}) on {self.rows:,} outcomes"
        )


def result_of(accuracy: Accuracy) -> str:
    """
    Return what the request says at its end.

    >>> result_of(Accuracy(5_000, 0.9, 0.901, 0.004))
    'no better: accuracy 90.0% before, 90.1% after (+0.1% ± 0.4%) on 5,000 outcomes'
    """
    is_better = accuracy.after - accuracy.before > accuracy.error
    return f"{'better' if is_better else 'no better'}: {accuracy}"


class Incident:
    """
    Half a year of flights with an incident and a change.

    Args:
        flights: the flights of the year.
        queue: the file of the queue, which the command line reads and writes too.
        patience: hours between the acknowledgement of a request and the training.
    """

    def __init__(self, flights: Flights, queue: Path, patience: int = PATIENCE) -> None:
        self._flights, self._patience = _changed(flights.between(0, END)), patience
        self._path, self._queue = queue, dl.RetrainingQueue(queue)
        self._hour = TRAINING
        self._model, reference = _fit(self._flights.between(0, TRAINING))
        self._version = 1
        self._served, self._known = 0, 0
        policy = dl.RetrainingPolicy(min_drifting=None, queue=self._queue)
        self._monitor = dl.Monitor(
            "flight-delay",
            version="1",
            reference=reference,
            window=dl.Window("1d"),
            retraining=policy,
            clock=lambda: self._hour * 3_600.0,
            wall_clock=lambda: START.timestamp() + self._hour * 3_600.0,
            synchronous=True,
            enabled=True,
        )

    def run(self) -> None:
        """Serve all days, and act on the requests as a team does."""
        for hour in range(TRAINING, END, DAY):
            self._events(hour)
            self._serve(hour)
            for request in self._queue.requests(states=("requested",)):
                if request.kind == "fix_pipeline":
                    self._say(f"request to FIX THE PIPELINE, and none to retrain: {request.detail}")
                    self._command("ack", request.id, "--comment", "the feed changed its unit")
                else:
                    self._say(f"request to RETRAIN: {request.detail}")
                    self._command("ack", request.id, "--comment", "the relation has changed")
            for request in self._queue.requests(states=("acknowledged",)):
                taken = (request.created - START.timestamp()) / 3_600 + self._patience
                if request.kind == "retrain" and self._hour >= taken:
                    self._retrain(request)
        status = self._monitor.status()
        self._say(f"the end: version {self._version} serves: {self._accuracy()}")
        for state in ("stable", "drifting", "insufficient_data"):
            self._say(f"{state}: {', '.join(name for name, each in status.items() if each.state == state) or 'none'}")
        for request in self._queue.requests():
            self._say(f"{request.kind}: {request.id} {request.state}, {request.history[-1].comment}")
        self._monitor.shutdown()
        self._queue.close()

    def _events(self, hour: int) -> None:
        """Say what happens to the data today, which the monitor does not know."""
        if hour == BROKEN[0]:
            self._say("INCIDENT: from now on the visibility arrives in kilometres instead of miles")
        if hour == BROKEN[1]:
            self._say("the feed is repaired: the visibility is in miles again")
        if hour == CHANGE:
            self._say(f"CHANGE: from now on, many punctual flights of {CARRIER} arrive late")

    def _serve(self, hour: int) -> None:
        """Predict the flights of a day, report the outcomes that have arrived, and let the monitor evaluate."""
        today = self._flights.between(hour, hour + DAY)
        columns = dict(today.columns)
        if BROKEN[0] <= hour < BROKEN[1]:
            columns["visib"] = columns["visib"] * KILOMETRES
        first = self._served = int(np.searchsorted(self._flights.departed, hour))
        ids = list(range(first, first + len(today)))
        self._monitor.observe(_watched(columns), self._model.probabilities(columns), prediction_ids=ids)
        self._hour = hour + DAY
        yesterday = self._flights.between(max(TRAINING, hour - DAY), hour)
        landed = np.flatnonzero(~np.isnan(yesterday.landed))
        start = int(np.searchsorted(self._flights.departed, max(TRAINING, hour - DAY)))
        self._monitor.outcomes((landed + start).tolist(), yesterday.late[landed].tolist())
        self._monitor.status()

    def _retrain(self, request: dl.RetrainingRequest) -> None:
        """Train on the recent weeks, let the outcomes decide whether that helped, and let the new model serve."""
        begin = self._hour - max(self._patience, PATIENCE)
        recent = self._flights.between(begin, self._hour - HELD_OUT)
        self._command("start", request.id)
        self._say(f"training on {len(recent):,} flights since {hour_to_date(begin):%Y-%m-%d}, without the last week")
        candidate, _ = _fit(recent)
        held_out = self._flights.between(self._hour - HELD_OUT, self._hour - DAY)
        self._command("done", request.id, "--comment", result_of(Accuracy.of(self._model, candidate, held_out)))
        self._say(f"version {self._version} at its end: {self._accuracy()}")
        before, (self._model, reference) = self._model, _fit(self._flights.between(begin, self._hour - DAY))
        self._version += 1
        self._monitor.replace_reference(reference, version=str(self._version))
        self._say(f"version {self._version} serves with its reference, in the same process")
        coming = self._flights.between(self._hour, END)
        self._say(f"(what both versions do until the end: {Accuracy.of(before, self._model, coming)})")

    def _accuracy(self) -> str:
        """Return the accuracy of the latest outcomes, as the monitor knows it."""
        known = [each for each in self._monitor.performance() if each.metric == "accuracy"]
        return f"accuracy {known[0].value:.1%} on its latest {known[0].rows:,} outcomes" if known else "no outcome"

    def _command(self, *arguments: str) -> None:
        """Run the real command line on the queue's file, and print what it prints."""
        shown = " ".join(f'"{each}"' if " " in each else each for each in arguments)
        self._say(f"$ driftline retraining {shown}")
        command = [sys.executable, "-m", "driftline.cli", "retraining", *arguments, "--queue", str(self._path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - driftline itself
        print("\n".join(f"              {line}" for line in (done.stdout + done.stderr).splitlines()), flush=True)

    def _say(self, text: str) -> None:
        print(f"{hour_to_date(self._hour):%Y-%m-%d}  {text}", flush=True)


def _changed(flights: Flights) -> Flights:
    """Return flights of which a carrier's punctual ones become late from `CHANGE` on."""
    random = np.random.default_rng(2013)
    affected = (flights.departed >= CHANGE) & (flights.columns["carrier"] == CARRIER)
    late: NDArray[np.bool_] = flights.late | (affected & (random.random(len(flights)) < LATE_SHARE))
    return replace(flights, late=late)


def _fit(flights: Flights) -> tuple[Model, dl.Reference]:
    """Return a model of flights, and its reference."""
    model = Model(make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), flights)
    pairs = zip(flights.landed, flights.late, strict=True)
    outcomes = [None if np.isnan(landed) else bool(late) for landed, late in pairs]
    probabilities = model.probabilities(flights.columns)
    columns = _watched(flights.columns)
    return model, dl.Reference.fit(columns, predictions=probabilities, outcomes=outcomes, numeric=["hour"])


def _watched(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: columns[name] for name in WATCHED}


def main(arguments: Sequence[str] = ()) -> int:
    """
    Run the incident and return the exit code.

    With the argument ``--hasty`` the training starts as soon as it is requested, and has hardly seen the new relation.
    """
    if set(arguments) - {"--hasty"}:
        print("usage: python -m driftline.demo.incident [--hasty]", file=sys.stderr)
        return 2
    # The demo knows that six weeks of weather are few.
    logging.getLogger("driftline").addHandler(logging.NullHandler())
    print("reading the flights and fitting the first model ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
        Incident(load(), Path(folder) / "queue.db", 0 if arguments else PATIENCE).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
