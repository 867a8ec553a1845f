"""Which states, scores and bins of a monitor are exported, within the limits on the series of each metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from driftline import semconv as sc
from driftline.otel import Instruments
from driftline.results import Score

__all__ = ["ExportedSeries"]

STATES = len(sc.FEATURE_DRIFT_STATES)
"""Series of ``ml.feature.drift.status`` for each feature: one for each state."""

SHOWN = 5
"""Names in a message about features that are not exported."""


class ExportedSeries:
    """
    Reserves the series of one monitor under one reference. Each metric has its own limit.

    Args:
        instruments: grant the series. If None, nothing is exported, and everything is granted.
        attributes: model, version and variant.
        report: `Guard.report`.
        names: the features and the detectors, which have states.
        scored: the features that have scores.
        distances: the number of scores of a feature at each window length.
        shortest: the label of the shortest length, whose scores are reserved now. Those of others are reserved when
            they appear, so that a short job needs no series of long windows.
    """

    def __init__(
        self,
        instruments: Instruments | None,
        attributes: Mapping[str, str],
        report: Callable[[str, str, int, str], None],
        names: Iterable[str],
        scored: Iterable[str],
        distances: int,
        shortest: str,
    ) -> None:
        self._instruments, self._attributes, self._report = instruments, attributes, report
        self._scored, self._distances = tuple(scored), distances
        self._lengths: set[str] = set()
        self._evaluated: Score | None = None
        self._evaluated_scores = 0
        self._exported: Sequence[Score] = ()
        self._granted: set[tuple[str, str]] = set()
        self._complete = True
        states = dict.fromkeys(names, STATES)
        self.states = frozenset(states)
        """The names whose states are exported."""
        if instruments is not None:
            self.states = instruments.reserve(sc.METRIC_FEATURE_DRIFT_STATUS.name, attributes, states)
            self._report_refused("states", [name for name in states if name not in self.states])
            self._reserve(instruments, shortest)

    def bins(self, fingerprint: str, sizes: Mapping[str, int]) -> frozenset[str]:
        """
        Reserve the series of the counts per bin, and return the features that are exported.

        Args:
            fingerprint: that of the reference.
            sizes: the number of bins by feature.
        """
        if self._instruments is None:
            return frozenset()
        wanted = {(fingerprint, name): size for name, size in sizes.items()}
        metric = sc.METRIC_FEATURE_OBSERVATIONS.name
        granted = {name for _, name in self._instruments.reserve(metric, self._attributes, wanted)}
        self._report_refused("bins", [name for name in sizes if name not in granted])
        return frozenset(granted)

    def scores(self, scores: Sequence[Score]) -> Sequence[Score]:
        """
        Return the scores that are exported.

        Series are reserved for all features of a length in the order of the reference, so that each process of a fleet
        exports the same ones.
        """
        if self._instruments is None or not scores:
            return scores
        # Each evaluation replaces the scores of the shortest length, which come first.
        if scores[0] is not self._evaluated or len(scores) != self._evaluated_scores:
            self._evaluated, self._evaluated_scores = scores[0], len(scores)
            self._exported = self._granted_of(self._instruments, scores)
        return self._exported

    def _granted_of(self, instruments: Instruments, scores: Sequence[Score]) -> Sequence[Score]:
        """Return the scores whose series are granted, and reserve those of new lengths."""
        for length in dict.fromkeys(score.length for score in scores):
            if length not in self._lengths:
                self._reserve(instruments, length)
        if self._complete:
            return scores
        return [score for score in scores if (score.feature, score.length) in self._granted]

    def _reserve(self, instruments: Instruments, length: str) -> None:
        """Reserve the series of the scores of a length."""
        self._lengths.add(length)
        wanted = {(name, length): self._distances for name in self._scored}
        granted = instruments.reserve(sc.METRIC_FEATURE_DRIFT_SCORE.name, self._attributes, wanted)
        self._granted |= granted
        refused = [name for name in self._scored if (name, length) not in granted]
        self._complete &= not refused
        self._report_refused(f"scores over {length}", refused)

    def _report_refused(self, values: str, names: Sequence[str]) -> None:
        """Report that the features *names* have no series for *values*. Do nothing if *names* is empty."""
        if names:
            shown = ", ".join(repr(name[:60]) for name in names[:SHOWN])
            more = ", …" if len(names) > SHOWN else ""
            self._report(
                "cardinality",
                f"{len(names)} features have no {values} in the export: {shown}{more}. OpenTelemetry limits the series "
                f"of a metric in a process, see docs/metrics.md: call configure_otlp() before the monitor is made, "
                f"raise the limit of your provider, watch fewer features, or export fewer distances",
                1,
                values,
            )
