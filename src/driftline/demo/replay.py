"""Replays the flights of a year: two monitored functions serve them as fast as the machine can."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import driftline as dl
from driftline import synthetic
from driftline.demo.flights import START, Flights
from driftline.demo.models import Model, fit_models

__all__ = ["CANDIDATES", "DAY", "INCIDENTS", "WEEK", "Clock", "Incident", "Replay", "SentCounts"]

DAY, WEEK = 24, 7 * 24
"""Hours of a day and of a week. The hour is the unit of simulated time."""

LONG_WINDOW, SHORT_WINDOW = "28d", "7d"
SEASON = 12 * WEEK
"""Hours of a replay beyond which the monitors get a long window, which shows seasons and not the weather of a week."""

CANDIDATE_SHARE = 0.2
"""Share of the flights that the candidate serves."""

SINGLE_SHARE = 0.02
"""Share of the flights that are served by single calls. The others are served in one batch per hour."""

FIRST_STOP = 20
"""Number of predictions after which the replay yields in its first morning, before any flight has landed."""

LOST_SHARE = 0.03
"""Share of the outcomes that never arrive, in addition to those of cancelled flights."""

CANARY = dl.CanaryPolicy(
    allowed_error_increase=dl.Margin(0.02, any_harm=True, weight=4.0),
    allowed_latency_delta=0.05,
    latency_quantile=0.95,
    outcomes_after="1d",
)
"""
The policy of the canary. Two more calls in a hundred may fail, and the slow ones may take 50 ms longer: there are too
few batches for smaller margins. A flight that has not landed after a day never will.
"""


@dataclass(frozen=True, slots=True)
class Incident:
    """A shift that breaks a feature, with its description for the terminal."""

    shift: synthetic.Shift
    description: str


INCIDENTS = {
    "missing": Incident(synthetic.MissingRate("dep_delay", 0.9), "dep_delay is missing for 90% of the flights"),
    "unit": Incident(synthetic.UnitChange("distance", 1.609), "distance is in kilometres instead of miles"),
}

CANDIDATES = {
    "healthy": "the same regression with stronger regularisation",
    "broken": "a release that lost the departure delay",
}


class Clock:
    """The clock of the monitors: a callable that returns simulated seconds. The replay sets the attribute `hour`."""

    def __init__(self) -> None:
        self.hour = 0

    def __call__(self) -> float:
        """Return the simulated seconds since `START`."""
        return self.hour * 3600.0


@dataclass(slots=True)
class SentCounts:
    """Number of predictions and outcomes that the replay has sent, to compare with those that arrive."""

    predictions: int = 0
    outcomes: int = 0


class Replay:
    """
    The service of the demo: models, reference, monitors and canary.

    Args:
        flights: the flights of the whole year.
        weeks: number of weeks at the start of the year on which the models and the reference are fitted.
        until: the hour since `START` at which the replay ends.
        incident: a shift of a feature. If None, only the data themselves shift features.
        incident_at: the hour since `START` at which the incident starts.
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
        self.sent = SentCounts()
        self.queue = dl.RetrainingQueue()
        retraining = dl.RetrainingPolicy(min_drifting=4, min_accuracy=0.85, max_latency=0.5, queue=self.queue)
        options: dict[str, Any] = {
            "reference": self.reference,
            "window": dl.Window(LONG_WINDOW if until - self.first > SEASON else SHORT_WINDOW, every="1d"),
            "clock": self.clock,
            # The canary compares variants within blocks of simulated time.
            "wall_clock": lambda: START.timestamp() + self.clock(),
            "export_bins": True,
            "export_labels": True,
            "enabled": True,
        }
        self.baseline = dl.Monitor("flight-delay", version="1", variant="baseline", retraining=retraining, **options)
        self.candidate = dl.Monitor("flight-delay", version="2", variant="candidate", **options)
        self.canary = dl.Canary(self.baseline, self.candidate, CANARY)
        self._verdict_hours = DAY if until - self.first <= SEASON else WEEK

    def hour(self) -> float:
        """Return the simulated time in hours since `START`."""
        return float(self.clock.hour)

    def days(self) -> Iterator[int]:
        """
        Serve all flights. At each midnight, yield the hours since `START`, before the monitors evaluate the day.

        It also yields once in the first morning, when there are predictions but no outcomes.
        """
        serve = [
            _instrument(monitor, model)
            for monitor, model in zip((self.baseline, self.candidate), self._models, strict=True)
        ]
        random = np.random.default_rng(2013)
        flights, rows = self._flights, len(self._flights)
        variant = (random.random(rows) < CANDIDATE_SHARE).astype(int)
        single = random.random(rows) < SINGLE_SHARE
        lost = random.random(rows) < LOST_SHARE
        landings: list[tuple[float, int]] = []
        stopped = False
        # The first call of the clock starts the first pane, so call it at midnight.
        self.baseline.status(), self.candidate.status()
        for hour in flights.hours():
            if hour.number % DAY == 0:
                yield hour.number
            self.clock.hour = hour.number
            if hour.number % DAY == 0:
                # Evaluate each day on that day. The worker thread would be too slow for the simulated time.
                self.baseline.status(), self.candidate.status()
            if hour.number % self._verdict_hours == 0:
                self.canary.verdict()
            departing = np.arange(hour.rows.start, hour.rows.stop)
            for index in (0, 1):
                served = departing[variant[departing] == index]
                batch, alone = served[~single[served]], served[single[served]]
                if len(batch):
                    serve[index]({name: column[batch] for name, column in flights.columns.items()}, batch)
                for row in alone.tolist():
                    serve[index]({name: column[row] for name, column in flights.columns.items()}, row)
            self.sent.predictions += len(departing)
            for row in departing[~lost[departing] & ~np.isnan(flights.landed[departing])].tolist():
                heapq.heappush(landings, (float(flights.landed[row]), row))
            if not stopped and not self.sent.outcomes and self.sent.predictions >= FIRST_STOP:
                stopped = True
                yield hour.number
            self._add_outcomes(landings, hour.number, variant)
        yield self.until
        self.clock.hour = self.until
        self._add_outcomes(landings, self.until, variant)
        self.baseline.status(), self.candidate.status()
        self.canary.verdict()

    def _add_outcomes(self, landings: list[tuple[float, int]], now: int, variant: np.ndarray[Any, Any]) -> None:
        while landings and landings[0][0] <= now:
            _, row = heapq.heappop(landings)
            monitor = self.candidate if variant[row] else self.baseline
            monitor.outcome(row, bool(self._flights.late[row]))
            self.sent.outcomes += 1


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
    first_row = int(np.searchsorted(flights.departed, at))
    columns = synthetic.inject(
        flights.columns, incident, schedule=synthetic.sudden(first_row / max(1, len(flights))), seed=0
    )
    return Flights(columns, flights.departed, flights.landed, flights.late)


def _instrument(monitor: dl.Monitor, model: Model) -> Callable[[dict[str, Any], Any], Any]:
    @monitor.instrument(features=lambda features, _: features, prediction_id=lambda _, ids: ids)
    def predict(features: dict[str, Any], ids: Any) -> Any:
        del ids
        probabilities = model.probabilities(features)
        return probabilities if np.ndim(features["distance"]) else float(probabilities[0])

    return predict
