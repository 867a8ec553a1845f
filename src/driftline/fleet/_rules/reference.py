"""
PSI and shifts of means in PromQL, from the exported counts and the counts of a reference.

The rules compute what `driftline.distances` computes: PSI with half a row added to each bin, its bias-corrected form,
and the distance of the means. A reference becomes constants, one rule for each feature. They carry the fingerprint of
the reference, so that the counts of another reference are compared with nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline import semconv as sc
from driftline._backends.names import quoted
from driftline._binning.bins import CategoricalBins, Feature, NumericBins
from driftline._binning.selection import NewRows
from driftline.distances import SMOOTHING
from driftline.fleet._promql import PromQL
from driftline.fleet._rules.alerts import MIN_ROWS, AlertOptions
from driftline.fleet._rules.records import Records
from driftline.fleet._rules.rule import Alert, Recording
from driftline.fleet._rules.templates import MODEL, Templates
from driftline.reference import Reference

__all__ = ["constants", "distance_records", "shift_alerts"]

GROUP = "ml_bin_group"
"""The label of the group of a bin: bins of one group count as one, as in the scores of a monitor."""

FEW_ROWS = 1e-9
"""
Rows of a bin that is empty in the reference and still counts as a bin. Bins with 0 rows count once they are filled:
those between known values, and those of categories of which new rows may have others.
"""


def constants(promql: PromQL, model: str, reference: Reference, seconds: float) -> list[Recording]:
    """
    Return the rules that record a reference: the rows of each bin, and the position of each bin of a number.

    Args:
        promql: the dialect.
        model: the name of the model.
        reference: the reference.
        seconds: the window of the rules.
    """
    names = Records(seconds)
    features = reference.watched
    expected = NewRows(features)(np.concatenate([np.array(feature.counts, dtype=np.int64) for feature in features]))
    rules, start = [], 0
    for feature in features:
        rows = expected[start : start + feature.bins.size].astype(np.float64)
        start += feature.bins.size
        labels = {
            promql.label(sc.ML_MODEL_NAME): model,
            promql.label(sc.ML_FEATURE_NAME): feature.name,
            promql.label(sc.ML_REFERENCE_FINGERPRINT): reference.fingerprint,
        }
        groups = _groups(feature)
        kept = np.where((rows == 0) & _always_a_bin(feature, groups), FEW_ROWS, rows)
        rules.append(Recording(names.reference_rows, _vector(promql, kept, groups), labels))
        positions = feature.positions()
        if np.isfinite(positions).any():
            rules.append(Recording(names.reference_positions, _vector(promql, positions), labels))
    return rules


def distance_records(promql: PromQL, seconds: float) -> list[Recording]:
    """Return the rules that compare the exported counts with the recorded references."""
    names = Records(seconds)
    feature = promql.listed(sc.ML_FEATURE_NAME, sc.ML_REFERENCE_FINGERPRINT)
    binned = f"{feature}, {quoted(promql.label(sc.ML_FEATURE_BIN))}"
    grouped = f"{feature}, {GROUP}"
    counts = promql.increase(promql.series(sc.METRIC_FEATURE_OBSERVATIONS), seconds)
    reference, observed = names.reference_rows, names.observed
    current, before = names.grouped, f"sum by ({grouped}) ({reference})"
    filled = f"{before} + {current} > 0"

    def shares(rows: str) -> str:
        smooth = f"({rows} + {SMOOTHING:g} and {filled})"
        return f"{smooth} / on ({feature}) group_left () sum by ({feature}) {smooth}"

    now, usual = names.share, names.reference_share
    positioned = f"and on ({binned}) {names.reference_positions}"
    known = f"({names.reference_rows} * on ({binned}) group_left () {names.reference_positions})"
    return [
        # Bins without rows have no series, or none that a window holds, and count 0.
        Recording(
            observed,
            f"sum by ({binned}) ({counts}) * on ({binned}) group_left ({GROUP}) (0 * {reference} + 1)"
            f" or 0 * {reference}",
        ),
        Recording(current, f"sum by ({grouped}) ({observed})"),
        Recording(names.rows, f"sum by ({feature}) ({current})"),
        Recording(names.share, shares(current)),
        Recording(names.reference_share, shares(before)),
        Recording(
            names.psi,
            f"sum by ({feature}) ((({now} - {usual}) * ln({now} / {usual})) and on ({feature}) {names.rows} > 0)",
        ),
        Recording(
            names.corrected_psi,
            f"{names.psi} - (count by ({feature}) ({before} + {current} > {2 * FEW_ROWS:g}) - 1)"
            f" * (1 / {names.rows} + 1 / sum by ({feature}) ({before}))",
        ),
        Recording(
            names.mean,
            f"abs(sum by ({feature}) ({observed} * on ({binned}) group_left () {names.reference_positions})"
            f" / sum by ({feature}) ({observed} {positioned})"
            f" - sum by ({feature}) ({known}) / sum by ({feature}) ({reference} {positioned}))",
        ),
    ]


def shift_alerts(promql: PromQL, options: AlertOptions, psi: float | None, mean: float | None) -> list[Alert]:
    """
    Return the alerts about the recorded distances, and about counts of a reference that is not recorded.

    Args:
        promql: the dialect.
        options: what alerts are made with.
        psi: smallest bias-corrected PSI that alerts; None for no such alert.
        mean: smallest shift of the mean that alerts, in standard deviations; None for no such alert.
    """
    names, templates = Records(options.seconds), Templates(promql)
    model = quoted(promql.label(sc.ML_MODEL_NAME))
    fingerprint = quoted(promql.label(sc.ML_REFERENCE_FINGERPRINT))
    unknown = f"count {promql.by(sc.ML_REFERENCE_FINGERPRINT)} ({promql.series(sc.METRIC_FEATURE_OBSERVATIONS)})"
    known = f"count by ({model}) ({names.reference_rows})"
    alerts = [
        options.alert(
            "ReferenceUnknown",
            f"count {promql.by()} ({unknown} unless on ({model}, {fingerprint}) {names.reference_rows})"
            f" and on ({model}) {known}",
            "Counts of a model have bins of a reference that the rules do not know.",
            f"Processes of {templates.model} compare with {{{{ $value }}}} references that these rules lack.",
        )
    ]
    limits = [
        f"({distance}{{{MODEL}}} >= {limit:g} and {names.rows} >= {MIN_ROWS})"
        for distance, limit in ((names.corrected_psi, psi), (names.mean, mean))
        if limit is not None
    ]
    if limits:
        shifted = " or ".join(limits)
        listed = templates.listed(
            f"count by ({quoted(promql.label(sc.ML_FEATURE_NAME))}) ({shifted})", sc.ML_FEATURE_NAME
        )
        alerts.append(
            options.alert(
                "FeaturesShifted",
                f"count {promql.by()} (count {promql.by(sc.ML_FEATURE_NAME)} ({shifted.replace(f'{{{MODEL}}}', '')}))",
                "Features of a model are far from their reference.",
                f"{{{{ $value }}}} features of {templates.model} are far from the reference: {listed}.",
            )
        )
    return alerts


def _vector(promql: PromQL, values: NDArray[np.float64], groups: Sequence[int] | None = None) -> str:
    """
    Return an expression of one series for each bin with a finite value.

    Args:
        promql: the dialect.
        values: shape (bins,).
        groups: shape (bins,), the first bin of the group of each bin. If None, the series have no label of a group.
    """
    label = promql.label(sc.ML_FEATURE_BIN)
    parts = []
    for number, value in enumerate(values.tolist()):
        if math.isfinite(value):
            part = f'label_replace(vector({value!r}), "{label}", "{number}", "", "")'
            parts.append(part if groups is None else f'label_replace({part}, "{GROUP}", "{groups[number]}", "", "")')
    return " or ".join(parts)


def _groups(feature: Feature) -> list[int]:
    """Return the first bin of the group of each bin, shape (bins,)."""
    own = list(range(feature.bins.size))
    groups = feature.bins.groups if isinstance(feature.bins, NumericBins) else ()
    own[: len(groups)] = np.searchsorted(groups, groups).tolist() if groups else []
    return own


def _always_a_bin(feature: Feature, groups: Sequence[int]) -> NDArray[np.bool_]:
    """Return whether each bin counts although it is empty on both sides, shape (bins,); see `FEW_ROWS`."""
    always: NDArray[np.bool_] = np.equal(groups, np.arange(len(groups)))
    bins = feature.bins
    if isinstance(bins, NumericBins) and bins.groups:
        always[1 : len(bins.groups) - 1] = False
    if isinstance(bins, CategoricalBins) and (bins.others or bins.open):
        always[: bins.other] = False
    return always
