"""Serves the flights of a year through two monitored functions, as fast as the machine can."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import driftline as dl
from driftline import synthetic
from driftline.demo.flights import Flights
from driftline.demo.models import Model, fit_models

__all__ = ["CANDIDATES", "DAY", "INCIDENTS", "WEEK", "Clock", "Counted", "Incident", "Replay"]

HOUR, DAY, WEEK = 1, 24, 7 * 24
"""In hours, the unit of the simulated time."""

_LONG, _SHORT = "28d", "7d"
SEASON = 12 * WEEK
"""A replay longer than this is judged by four weeks at once: the seasons rather than the weather of a week."""

CANDIDATE_SHARE = 0.2
"""Share of the flights that the candidate serves."""

SINGLE_SHARE = 0.02
"""Share of the flights that come one by one rather than in the batch of their hour."""

FORETOLD = 20
"""Predictions after which the replay stops once on its first morning, before anybody has landed."""

LOST_SHARE = 0.03
"""Share of the outcomes that never arrive, beside those of cancelled flights."""

CANARY = dl.CanaryPolicy(allowed_error_increase=dl.Margin(0.02, any_harm=True, weight=4.0))
"""A call is the batch of an hour: there are few of them, and to promote two in a hundred might fail."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that breaks a feature, and how one would tell a colleague."""

    shift: synthetic.Shift
    words: str


INCIDENTS = {
    "missing": Incident(synthetic.MissingRate("dep_delay", 0.9), "dep_delay is missing in 90% of the flights"),
    "unit": Incident(synthetic.UnitChange("distance", 1.609), "distance comes in kilometres instead of miles"),
}

CANDIDATES = {
    "healthy": "the same regression, regularised more strongly",
    "broken": "a release that has lost the departure delay on the way",
}


class Clock:
    """The simulated time in seconds since the start of the data."""

    def __init__(self) -> None:
        self.hour = 0

    def __call__(self) -> float:
        """Seconds."""
        return self.hour * 3600.0


@dataclass(slots=True)
class Counted:
    """What the sender has done, to be compared with what arrives."""

    predictions: int = 0
    outcomes: int = 0


class Replay:
    """
    The whole service of the demo: models, reference, monitors, canary.

    Args:
        flights: all of them.
        weeks: the first weeks, which the models and the reference are fitted on.
        until: the hour at which the replay ends.
        incident: what happens to a feature from an hour on; None: nothing but the year's own weather.
        incident_at: that hour.
        candidate: one of `CANDIDATES`.
    """

    def __init__(
        self,
        flights: Flights,
        weeks: int,
        until: int,
        incident: synthetic.Shift | None,
        incident_at: int,
        candidate: str,
    ) -> None:
        self.first, self.until = weeks * WEEK, until
        training = flights.between(0, self.first)
        self._models = fit_models(training, broken=candidate == "broken")
        self.reference = _reference(training, self._models[0])
        self._flights = _with_incident(flights.between(self.first, until), incident, incident_at)
        self.clock = Clock()
        self.clock.hour = self.first
        self.counted = Counted()
        self.queue = dl.RetrainingQueue()
        retraining = dl.RetrainingPolicy(min_drifting=4, min_accuracy=0.85, max_latency=0.5, queue=self.queue)
        options: dict[str, Any] = {
            "reference": self.reference,
            "window": dl.Window(_LONG if until - self.first > SEASON else _SHORT, every="1d"),
            "clock": self.clock,
            "export_bins": True,
            "export_labels": True,
            "enabled": True,
        }
        self.baseline = dl.Monitor("flight-delay", version="1", variant="baseline", retraining=retraining, **options)
        self.candidate = dl.Monitor("flight-delay", version="2", variant="candidate", **options)
        self.canary = dl.Canary(self.baseline, self.candidate, CANARY)
        self._judged_every = DAY if until - self.first <= SEASON else WEEK

    def hour(self) -> float:
        """The simulated time in hours since the start of the data."""
        return float(self.clock.hour)

    def days(self) -> Iterator[int]:
        """
        Serve everything; yields the hour at each midnight, before what the day brought is judged.

        And once on the first morning: there are predictions, and nobody knows yet how right they are.
        """
        serve = [
            _instrumented(monitor, model)
            for monitor, model in zip((self.baseline, self.candidate), self._models, strict=True)
        ]
        random = np.random.default_rng(2013)
        flights, rows = self._flights, len(self._flights)
        variant = (random.random(rows) < CANDIDATE_SHARE).astype(int)
        single = random.random(rows) < SINGLE_SHARE
        lost = random.random(rows) < LOST_SHARE
        waiting: list[tuple[float, int]] = []
        foretold = False
        # The first reading of the clock starts the first pane: at midnight.
        self.baseline.status(), self.candidate.status()
        for hour in flights.hours():
            if hour.number % DAY == 0:
                yield hour.number
            self.clock.hour = hour.number
            if hour.number % DAY == 0:
                # Judged on the day to which it belongs, however fast the days go by.
                self.baseline.status(), self.candidate.status()
            if hour.number % self._judged_every == 0:
                self.canary.verdict()
            here = np.arange(hour.rows.start, hour.rows.stop)
            for place in (0, 1):
                mine = here[variant[here] == place]
                batch, alone = mine[~single[mine]], mine[single[mine]]
                if len(batch):
                    serve[place]({name: column[batch] for name, column in flights.columns.items()}, batch)
                for row in alone.tolist():
                    serve[place]({name: column[row] for name, column in flights.columns.items()}, row)
            self.counted.predictions += len(here)
            for row in here[~lost[here] & ~np.isnan(flights.landed[here])].tolist():
                heapq.heappush(waiting, (float(flights.landed[row]), row))
            if not foretold and not self.counted.outcomes and self.counted.predictions >= FORETOLD:
                foretold = True
                yield hour.number
            self._tell_outcomes(waiting, hour.number, variant)
        yield self.until
        self.clock.hour = self.until
        self._tell_outcomes(waiting, self.until, variant)
        self.baseline.status(), self.candidate.status()
        self.canary.verdict()

    def _tell_outcomes(self, waiting: list[tuple[float, int]], now: int, variant: np.ndarray[Any, Any]) -> None:
        while waiting and waiting[0][0] <= now:
            _, row = heapq.heappop(waiting)
            monitor = self.candidate if variant[row] else self.baseline
            monitor.outcome(row, bool(self._flights.late[row]))
            self.counted.outcomes += 1


def _reference(training: Flights, model: Model) -> dl.Reference:
    outcomes = [
        None if np.isnan(landed) else bool(late) for landed, late in zip(training.landed, training.late, strict=True)
    ]
    return dl.Reference.fit(
        training.columns, predictions=model.probabilities(training.columns), outcomes=outcomes, numeric=["hour"]
    )


def _with_incident(flights: Flights, incident: synthetic.Shift | None, at: int) -> Flights:
    if incident is None:
        return flights
    since = int(np.searchsorted(flights.departed, at))
    changed = synthetic.inject(
        flights.columns, incident, schedule=synthetic.sudden(since / max(1, len(flights))), seed=0
    )
    return Flights(changed, flights.departed, flights.landed, flights.late)


def _instrumented(monitor: dl.Monitor, model: Model) -> Callable[[dict[str, Any], Any], Any]:
    @monitor.instrument(features=lambda features, _: features, prediction_id=lambda _, ids: ids)
    def predict(features: dict[str, Any], ids: Any) -> Any:
        del ids
        probabilities = model.probabilities(features)
        return probabilities if np.ndim(features["distance"]) else float(probabilities[0])

    return predict
