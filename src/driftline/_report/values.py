"""The values of a report. The page and its JSON are made of them, so that both show the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "BinValues",
    "CanaryPoint",
    "CanaryValues",
    "CourseValues",
    "FeatureValues",
    "Kind",
    "LengthValues",
    "MetricValues",
    "OutcomeValues",
    "PartValues",
    "ReferenceValues",
    "ReliabilityValues",
    "ReportValues",
    "ScoreValues",
    "StateValues",
]

Kind: TypeAlias = Literal["numeric", "categorical"]

Where: TypeAlias = Literal["within", "below", "above", "missing", "category", "other", "unseen", "present"]
"""What a bin holds: values between two cuts or beyond them, a category, all others, unseen ones, or missing values."""


@dataclass(frozen=True, slots=True)
class BinValues:
    """
    A bin of a feature.

    Attributes:
        name: the name of the bin; ``"category 3"`` for a category that is not to be named.
        where: what it holds.
        low: the lower end of a numeric bin; None if it has none.
        high: the upper end; None if it has none.
        single: whether the bin holds a single value of the reference.
        reference: the share of all rows of the reference; of a season, of those to be expected.
        current: the share of all current rows; None if there are none.
    """

    name: str
    where: Where
    low: float | None
    high: float | None
    single: bool
    reference: float
    current: float | None


@dataclass(frozen=True, slots=True)
class PartValues:
    """A part of the difference of a feature, as `driftline.Component`."""

    name: str
    words: str
    p_value: float
    size: float | None


@dataclass(frozen=True, slots=True)
class LengthValues:
    """The evidence for a feature at one window length. *drifting* says whether this length alone begins a drift."""

    length: str
    rows: int
    p_value: float | None
    effect: float | None
    drifting: bool
    explains: bool


@dataclass(frozen=True, slots=True)
class ScoreValues:
    """A distance of a feature, as `driftline.Score`."""

    distance: str
    value: float
    corrected: float | None
    rows: int
    length: str


@dataclass(frozen=True, slots=True)
class CourseValues:
    """
    A number of a feature in consecutive windows or slices of the data.

    Attributes:
        of: what the number is, such as ``"median"`` or the name of a bin whose share it is.
        share: whether the number is a share of the rows.
        values: the numbers, the earliest first; None where there are no rows.
        lower: the lower quartiles; empty for shares.
        upper: the upper quartiles; empty for shares.
        reference: the same number of the reference.
        band: the quartiles of the reference; None for shares.
        rows: the rows of each window.
        start: a description of the first window.
        end: a description of the last window.
    """

    of: str
    share: bool
    values: tuple[float | None, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]
    reference: float | None
    band: tuple[float, float] | None
    rows: tuple[int, ...]
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class FeatureValues:
    """
    A feature: its state as `driftline.FeatureStatus`, and the evidence.

    Attributes:
        name: the name.
        kind: whether it is numeric or categorical.
        output: whether it is the model's output.
        state: the state.
        reason: the reason for the state. It names categories only if the report may.
        rows: rows of the feature in the window.
        p_value: the p-value of the test.
        effect: the corrected PSI.
        length: the window length that the state follows from, or what else the current rows are.
        seasonal: whether the shares of the reference are those expected in the season of the current rows.
        parts: the parts of the difference.
        lengths: the evidence by window length.
        scores: the distances.
        bins: the bins with the shares of both sides.
        medians: the medians of the reference and of the current rows.
        mean: the mean of the reference; None for a categorical feature.
        deviation: its standard deviation.
        minimum: its smallest value.
        maximum: its largest value.
        course: the feature over time; None if it is not known.
    """

    name: str
    kind: Kind
    output: bool
    state: str
    reason: str
    rows: int
    p_value: float | None
    effect: float | None
    length: str
    seasonal: bool
    parts: tuple[PartValues, ...]
    lengths: tuple[LengthValues, ...]
    scores: tuple[ScoreValues, ...]
    bins: tuple[BinValues, ...]
    medians: tuple[float | None, float | None]
    mean: float | None
    deviation: float | None
    minimum: float | None
    maximum: float | None
    course: CourseValues | None


@dataclass(frozen=True, slots=True)
class StateValues:
    """The state of a detector, or of a limit of the outcomes."""

    name: str
    state: str
    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class MetricValues:
    """A metric of the model with its 95 % interval, as `driftline.Performance`."""

    metric: str
    label: str | None
    value: float
    lower: float
    upper: float
    rows: int


@dataclass(frozen=True, slots=True)
class ReliabilityValues:
    """Outcomes whose prediction was in a range of probabilities: the mean prediction, and the share that came true."""

    low: float
    high: float
    predicted: float
    actual: float
    lower: float
    upper: float
    rows: int


@dataclass(frozen=True, slots=True)
class OutcomeValues:
    """
    The outcomes.

    Attributes:
        results: the number of outcomes by result.
        known: outcomes that graded a prediction as right or wrong.
        correct: the right ones.
        accuracy: their share, as `OutcomeSnapshot.accuracy`.
        reference: the accuracy of the reference; None if it is not known.
        estimated: the accuracy that is expected of the current rows before their outcomes arrive.
        metrics: the metrics of the latest outcomes.
        reliability: predicted probabilities and what came true; empty if predictions have no probability.
        by_prediction: by bin of the prediction, the accuracy of the reference and of the outcomes.
    """

    results: Mapping[str, int]
    known: int
    correct: int
    accuracy: float | None
    reference: float | None
    estimated: MetricValues | None
    metrics: tuple[MetricValues, ...]
    reliability: tuple[ReliabilityValues, ...]


@dataclass(frozen=True, slots=True)
class CanaryPoint:
    """A criterion of a canary at one time. *seconds* counts from the start of the canary."""

    seconds: float
    rows: int
    value: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class CriterionValues:
    """A criterion of a canary, as `driftline.Criterion`, with its course."""

    name: str
    state: str
    value: float | None
    limit: float
    rows: int
    reason: str
    lower: float | None
    upper: float | None
    more_rows: int | None
    course: tuple[CanaryPoint, ...]


@dataclass(frozen=True, slots=True)
class CanaryValues:
    """A verdict of a canary, as `driftline.Verdict`."""

    state: str
    reason: str
    criteria: tuple[CriterionValues, ...]


@dataclass(frozen=True, slots=True)
class ReferenceValues:
    """
    The reference, and how good it is as a yardstick.

    Attributes:
        rows: its rows.
        features: its features, without the prediction.
        fingerprint: identifies its bins.
        check: the result of the self-check in words; None if there is none.
        warning: what the self-check warns of; empty if of nothing.
        block_rows: rows of the blocks of the self-check.
        blocks: their number.
        independent: share of the tests of blocks with a small p-value, if rows are taken as independent.
        corrected: the same share with the dependence of the rows.
        worst: the feature whose rows depend most on each other.
        effective: effective rows of the whole reference in that feature.
        seasons: the kinds of season.
        missing: the features with most missing values: (name, share).
    """

    rows: int
    features: int
    fingerprint: str
    check: str | None
    warning: str
    block_rows: int | None
    blocks: int | None
    independent: float | None
    corrected: float | None
    worst: str | None
    effective: float | None
    seasons: tuple[str, ...]
    missing: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class ReportValues:
    """
    All values of a report.

    Attributes:
        title: the title.
        subject: model, version and variant.
        created: the time of the report, in ISO 8601.
        library: the version of driftline.
        headline: the verdict, as a sentence.
        sentences: what else matters most.
        rows: rows of the current window or data; None if there are none.
        features: the features, those that matter most first.
        states: the states of detectors and limits.
        outcomes: the outcomes; None if there are none.
        canary: the canary; None if there is none.
        reference: the reference; None if there is none.
        notes: what a reader must know about how the values came about.
    """

    title: str
    subject: Mapping[str, str]
    created: str
    library: str
    headline: str
    sentences: tuple[str, ...]
    rows: int | None
    features: tuple[FeatureValues, ...]
    states: tuple[StateValues, ...]
    outcomes: OutcomeValues | None
    canary: CanaryValues | None
    reference: ReferenceValues | None
    notes: tuple[str, ...]
