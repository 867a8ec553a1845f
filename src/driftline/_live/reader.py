"""Turns readings of a store into views: what has changed, at which rate, and what matters most."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from driftline._backends.counts import CountSource, Match
from driftline._live.courses import Course
from driftline._live.durations import latency
from driftline._live.events import EventLog
from driftline._live.rates import Increases
from driftline._live.readings import Reading, ScoreReading, length_order, read
from driftline._live.remedies import remedy
from driftline._live.values import (
    CanaryView,
    CriterionView,
    Event,
    FeatureView,
    LiveView,
    ModelKey,
    ModelView,
    Performance,
    Problem,
)
from driftline.reference import Reference
from driftline.results import WORST_FIRST, worst_state

__all__ = ["LiveReader", "ReaderOptions"]

VERDICTS = ("rollback", "inconclusive", "promote")
"""Verdicts in the order in which they matter. That of a canary is the first in which a process is."""

SHOWN_EVENTS = 200
"""Last events in a view."""

RECENT_BINS = 4
"""Changes of the counts per bin, which come with exports, over which recent rows are taken."""

MAX_MESSAGE = 300
"""Characters of an error that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderOptions:
    """
    What a live view shows.

    Attributes:
        title: the title.
        source: where the telemetry comes from.
        hint: what to do while none has arrived.
        match: selects series.
        reference: adds the rows by bin of its features, if its counts are exported. If None, they are not read.
        within: seconds after which a process without exports is no longer shown. Prometheus has the same five minutes.
        dates_only: whether the time that is shown is that of a replay: the latest of the log of events.
        span: the first and the last time of a replay, for its progress; None for a service.
    """

    title: str
    source: str
    hint: str = ""
    match: Match | None = None
    reference: Reference | None = None
    within: float = 300.0
    dates_only: bool = False
    span: tuple[float, float] | None = None


class LiveReader:
    """
    Reads a store again and again, and returns views. It is used by one thread.

    Args:
        store: the store of metrics.
        log: the log of events.
        options: what is shown.
    """

    def __init__(self, store: CountSource, log: EventLog, options: ReaderOptions) -> None:
        self._store, self._log, self._options = store, log, options
        self._reference = {} if options.reference is None else _shares_of(options.reference)
        self._predictions, self._durations = Increases(), Increases()
        self._courses: dict[tuple[ModelKey, str], Course] = {}
        self._bins: deque[Mapping[tuple[ModelKey, str], Mapping[int, int]]] = deque(maxlen=RECENT_BINS + 1)
        self._states: dict[tuple[ModelKey, str], str] = {}
        self._verdicts: dict[tuple[str, str], str] = {}
        self._last = LiveView(options.title, options.source, 0.0, hint=options.hint, dates_only=options.dates_only)

    def read_past(self, times: Sequence[float]) -> None:
        """Read earlier values for the courses of features, where the store has them. Times are Unix times."""
        for at in times:
            self.read(at)

    def read(self, at: float | None = None) -> LiveView:
        """
        Return the view of a moment. If the store cannot be read, it is the last view, with the reason.

        Args:
            at: Unix time in seconds. If None, now.
        """
        now, options = time.time() if at is None else at, self._options
        try:
            readings = read(
                self._store, options.match or {}, at=now, within=options.within, bins=options.reference is not None
            )
        except (OSError, ValueError) as error:
            trouble = f"{type(error).__name__}: {error}"[:MAX_MESSAGE]
            self._last = replace(self._last, time=self._time(now), trouble=trouble, events=self._events())
            return self._last
        self._see_changes(now, readings)
        models = tuple(self._models(now, readings))
        self._last = LiveView(
            title=options.title,
            source=options.source,
            time=self._time(now),
            models=models,
            canaries=tuple(self._canaries(readings)),
            events=self._events(),
            hint="" if models else options.hint,
            progress=self._progress(),
            dates_only=options.dates_only,
        )
        return self._last

    def _time(self, now: float) -> float:
        """Return the time that is shown."""
        if not self._options.dates_only:
            return now
        start = self._options.span[0] if self._options.span else 0.0
        return max(self._log.latest, start)

    def _progress(self) -> float | None:
        if self._options.span is None:
            return None
        start, end = self._options.span
        return min(max((self._log.latest - start) / (end - start), 0.0), 1.0)

    def _events(self) -> Sequence[Event]:
        return tuple(self._log.events()[-SHOWN_EVENTS:])

    # --- models ------------------------------------------------------------------------------------------------------

    def _models(self, now: float, readings: Mapping[ModelKey, Reading]) -> Iterator[ModelView]:
        predictions: dict[tuple[ModelKey, str], float] = {}
        durations: dict[tuple[ModelKey, float], float] = {}
        for key, reading in readings.items():
            predictions[key, ""] = reading.served
            predictions.update({(key, error): float(count) for error, count in reading.failed.items()})
            durations.update({(key, end): count for end, count in reading.buckets.items()})
        served, seconds = self._predictions.add(now, predictions)
        calls, _ = self._durations.add(now, durations)
        current = self._recent_bins(readings)
        for key in sorted(readings):
            reading = readings[key]
            rate = sum(more for (model, _), more in served.items() if model == key) / seconds if seconds else None
            recent = {end: count for (model, end), count in calls.items() if model == key}
            yield ModelView(
                key=key,
                served=round(reading.served),
                failed=dict(reading.failed),
                rate=rate,
                latency=latency(recent) or latency(reading.buckets),
                accuracy=reading.accuracy,
                estimated=reading.estimated,
                outcomes=dict(reading.outcomes),
                performance=tuple(_performance(reading)),
                features=tuple(sorted(self._features(now, key, reading, current), key=_order)),
                retraining={reason: count for reason, count in reading.retraining.items() if count},
                queue={state: count for state, count in reading.queue.items() if count},
                problems=tuple(_problems(reading)),
                processes=reading.processes,
            )

    def _features(
        self, now: float, key: ModelKey, reading: Reading, current: Mapping[Hashable, Mapping[int, int]]
    ) -> Iterator[FeatureView]:
        for name in reading.states.keys() | reading.scores.keys():
            processes = {state: count for state, count in reading.states.get(name, {}).items() if count > 0}
            state = worst_state(processes)
            score = _score(reading.scores.get(name, ()))
            course = self._courses.setdefault((key, name), Course())
            if score is not None:
                course.add(now, score.value)
            reference, rows = self._shares(name, current.get((key, name), {}))
            yield FeatureView(
                name=name,
                state=state,
                processes=processes,
                distance="psi" if score is None else score.distance,
                score=None if score is None else score.value,
                length="" if score is None else score.length,
                changed=self._log.changed(key, name, state),
                course=course.points,
                reference=reference,
                current=rows,
            )

    def _recent_bins(self, readings: Mapping[ModelKey, Reading]) -> Mapping[Hashable, Mapping[int, int]]:
        """Return the recent rows by feature and bin."""
        bins = {(key, name): counts for key, reading in readings.items() for name, counts in reading.bins.items()}
        if bins and (not self._bins or self._bins[-1] != bins):
            self._bins.append(bins)
        if not self._bins:
            return {}
        latest, earliest = self._bins[-1], self._bins[0] if len(self._bins) > 1 else {}
        return {
            feature: {index: max(0, count - earliest.get(feature, {}).get(index, 0)) for index, count in counts.items()}
            for feature, counts in latest.items()
        }

    def _shares(self, name: str, counts: Mapping[int, int]) -> tuple[Sequence[float], Sequence[float]]:
        """Return the shares of rows of the reference and of recent rows by bin; nothing if either is not known."""
        shares, total = self._reference.get(name, ()), sum(counts.values())
        if not shares or not total:
            return (), ()
        return shares, tuple(counts.get(index, 0) / total for index in range(len(shares)))

    # --- canaries and changes ----------------------------------------------------------------------------------------

    def _canaries(self, readings: Mapping[ModelKey, Reading]) -> Iterator[CanaryView]:
        for (model, each), states in sorted(_canary_states(readings).items()):
            state = next((verdict for verdict in VERDICTS if states.get(verdict, 0) > 0), "inconclusive")
            event = self._log.verdict(model, state)
            evidence = {
                name: measures
                for key, reading in readings.items()
                if key.name == model
                for name, measures in reading.evidence.items()
            }
            criteria = tuple(
                CriterionView(name, *(measures.get(part) for part in ("harm", "lower", "upper", "allowed")))
                for name, measures in sorted(evidence.items())
            )
            yield CanaryView(model, each, state, "" if event is None else event.reason, criteria)

    def _see_changes(self, now: float, readings: Mapping[ModelKey, Reading]) -> None:
        """Add events for states that differ from those of the last reading."""
        for key, reading in readings.items():
            for name, processes in reading.states.items():
                state = next((each for each in WORST_FIRST if processes.get(each, 0) > 0), "")
                before = self._states.get((key, name), "")
                if state and state != before:
                    self._states[key, name] = state
                    if state == "drifting" or before == "drifting":
                        self._log.add_seen(Event(now, "drift", key, name, state, before))
        for (model, each), states in _canary_states(readings).items():
            state = next((verdict for verdict in VERDICTS if states.get(verdict, 0) > 0), "")
            before = self._verdicts.get((model, each), "")
            if state and state != before:
                self._verdicts[model, each] = state
                if before:
                    self._log.add_seen(Event(now, "canary", ModelKey(model), each, state, before))


def _shares_of(reference: Reference) -> Mapping[str, Sequence[float]]:
    """Return the shares of rows by bin, for each feature."""
    rows = {feature.name: sum(feature.counts) or 1 for feature in reference.watched}
    return {
        feature.name: tuple(count / rows[feature.name] for count in feature.counts) for feature in reference.watched
    }


def _canary_states(readings: Mapping[ModelKey, Reading]) -> dict[tuple[str, str], dict[str, int]]:
    """Return the numbers of processes by state, for each model and id."""
    states: dict[tuple[str, str], dict[str, int]] = {}
    for key, reading in readings.items():
        for each, numbers in reading.canaries.items():
            known = states.setdefault((key.name, each), {})
            for state, number in numbers.items():
                known[state] = known.get(state, 0) + number
    return states


def _score(scores: Sequence[ScoreReading]) -> ScoreReading | None:
    """Return the distance that is shown: PSI if there is one, over the shortest window."""
    chosen = [each for each in scores if each.distance == "psi"] or scores
    return min(chosen, key=lambda each: (each.distance, length_order(each.length)), default=None)


def _order(feature: FeatureView) -> tuple[int, float, float, str]:
    """Return by what features are ordered: state, then effect, then score, then name."""
    return WORST_FIRST.index(feature.state), -(feature.effect or 0.0), -(feature.score or 0.0), feature.name


def _performance(reading: Reading) -> Iterator[Performance]:
    for (metric, each, bound), value in sorted(reading.performance.items()):
        if bound == "value":
            lower, upper = (reading.performance.get((metric, each, end)) for end in ("lower", "upper"))
            yield Performance(f"{metric} of {each}" if each else metric, value, lower, upper)


def _problems(reading: Reading) -> Iterator[Problem]:
    for kind, counts in (("errors", reading.errors), ("rows dropped", reading.dropped)):
        for where, count in counts.most_common():
            if count > 0:
                yield Problem(kind, where, count, remedy(where, dropped=kind != "errors"))
