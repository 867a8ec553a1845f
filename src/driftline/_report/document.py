"""`report`: a page about a monitor, a canary, a snapshot or a data set."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, timezone
from typing import Any

from driftline._derived.spec import Derive
from driftline._drawing.text import clean
from driftline._pipeline.inspection import Inspection
from driftline._report.canaries import History, canary_values
from driftline._report.comparison import NAME, Comparison, compare_data, compare_snapshot
from driftline._report.features import Slices, feature_values
from driftline._report.outcomes import outcome_values
from driftline._report.page import draw_page
from driftline._report.references import reference_values
from driftline._report.values import CanaryValues, FeatureValues, ReportValues, StateValues
from driftline._report.words import headline, sentences
from driftline._runtime import validation as check
from driftline._runtime.files import write_file
from driftline._runtime.version import VERSION
from driftline.canary import Canary, Verdict
from driftline.detection import Rule
from driftline.errors import ConfigurationError
from driftline.monitor import Monitor
from driftline.outcomes import OutcomeSnapshot
from driftline.reference import Reference
from driftline.results import Snapshot
from driftline.typing import Correct

__all__ = ["Report", "report"]


class Report:
    """
    A report, as `driftline.report` returns it.

    A notebook shows it in place. The page needs no other file, makes no request and runs no script.

    Attributes:
        content: the values of the report, from which the page and the JSON are made.
    """

    __slots__ = ("_html", "content")

    def __init__(self, content: ReportValues) -> None:
        self.content = content
        self._html: str | None = None

    @property
    def headline(self) -> str:
        """The verdict, as a sentence."""
        return self.content.headline

    @property
    def html(self) -> str:
        """The page."""
        if self._html is None:
            self._html = draw_page(self.content)
        return self._html

    def json(self) -> str:
        """Return the values of the report as JSON. Numbers that are not finite are null."""
        return json.dumps(_plain(self.content), separators=(",", ":"), allow_nan=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """
        Write the page to a file, in one step.

        Raises:
            ConfigurationError: the value is no path.
            OSError: the file cannot be written.
        """
        write_file(check.path("path", path), self.html.encode("utf-8"))

    def _repr_html_(self) -> str:
        """Return the page in a frame, so that its style does not reach the notebook."""
        import html  # noqa: PLC0415 - the property has this name

        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="" width="100%" height="640" '
            f'title="{html.escape(clean(self.headline, 200))}"></iframe>'
        )

    def __repr__(self) -> str:
        return f"Report({self.headline!r})"


def report(
    reference: Reference | str | os.PathLike[str] | None = None,
    current: Any = None,
    *,
    predictions: Any = None,
    outcomes: Any = None,
    canary: Canary | Verdict | None = None,
    rule: Rule | None = None,
    derive: Derive | None = None,
    correct: Correct | None = None,
    title: str | None = None,
    shuffled: bool = False,
    labels: bool = False,
) -> Report:
    """
    Return a report on what has changed since the reference.

    It holds counts, and no row of the data. ``report(...).save("report.html")`` writes a page for mail, artefacts of
    CI, or a browser.

    Args:
        reference: a `Reference` or the path of one. It may be None if *current* is a monitor, which has a reference, or
            a canary.
        current: what is compared with it: a `Monitor`, a `Snapshot`, or a data set as for `Reference.fit`. A `Canary`
            or a `Verdict` stands alone. A data set is compared as a whole.
        predictions: the model's output for each row of a data set, as for `Reference.fit`.
        outcomes: the true value for each row of a data set.
        canary: a canary that the report shows beside the features.
        rule: decides which features of a data set or a snapshot drift. By default, of a hundred comparisons without
            drift at most one reports a drifting feature.
        derive: the functions that the reference was fitted with, for a data set.
        correct: decides whether a prediction of a data set was right, as for `Reference.fit`.
        title: the title. By default the name of the model.
        shuffled: whether the training data were shuffled, for a data set. If they were not, they show how much a part
            of them differs from the rest. If they were, rows of narrower values may be a part of them, and have no
            state.
        labels: whether to name categories and classes. By default they have numbers, because a report leaves the
            process.

    Raises:
        ConfigurationError: there is nothing to report on, an argument has a wrong type or value, or the data do not fit
            the reference.
        ReferenceError: the file of the reference cannot be read or is damaged.

    >>> reference = Reference.fit({"age": [20.0, 30.0, 40.0] * 200})
    >>> print(report(reference, {"age": [30.0, 40.0, 50.0] * 200}).headline)
    The only feature drifts.
    """
    check.boolean("labels", labels)
    check.boolean("shuffled", shuffled)
    check.optional(check.string, "title", title)
    if isinstance(reference, (str, os.PathLike)):
        reference = Reference.load(reference)
    check.optional(lambda name, value: check.instance(name, value, Reference, "a Reference"), "reference", reference)
    if isinstance(current, (Canary, Verdict)) and canary is None:
        current, canary = None, current
    if current is None and canary is None:
        msg = "current=None: expected a Monitor, a Snapshot, a data set, a Canary or a Verdict"
        raise ConfigurationError(msg)
    if current is not None and not isinstance(current, Monitor):
        if reference is None:
            msg = "reference=None: expected a Reference, with which the data are compared"
            raise ConfigurationError(msg)
        if isinstance(current, Snapshot):
            compared = compare_snapshot(reference, current, rule, labels=labels)
        else:
            compared = compare_data(
                reference, current, predictions, outcomes, rule, derive, correct, shuffled=shuffled, labels=labels
            )
    elif current is not None:
        compared = _monitored(current, reference, labels=labels)
    else:
        nothing = Inspection({}, reference, None, {}, (), None, OutcomeSnapshot(), {})
        compared = Comparison(nothing, 0, None, None, ())
    return Report(_values(compared, _canary(canary), title, labels=labels, compared_rows=current is not None))


def _monitored(monitor: Monitor, reference: Reference | None, *, labels: bool) -> Comparison:
    """Return what a monitor shows."""
    inspection = monitor.inspect(labels=labels)
    if (
        reference is not None
        and inspection.reference is not None
        and reference.fingerprint != inspection.reference.fingerprint
    ):
        msg = (
            f"reference of the bins {reference.fingerprint}: expected that of the monitor, "
            f"{inspection.reference.fingerprint}, or None"
        )
        raise ConfigurationError(msg)
    snapshot = monitor.snapshot()
    rows = 0 if snapshot is None else snapshot.rows
    evaluation, slices = inspection.evaluation, None
    if evaluation is not None:
        if evaluation.lengths:
            rows = next(iter(evaluation.lengths.values())).window.rows
        recent = evaluation.recent
        slices = Slices(
            [each.counts for each in recent],
            [each.rows for each in recent],
            f"{len(recent)} windows ago",
            "last window",
        )
    notes = tuple(
        f"{number} errors of driftline at {where}: see the log." for where, number in inspection.errors.items()
    )
    return Comparison(inspection, rows, None if snapshot is None else snapshot.counts, slices, notes)


def _canary(canary: Canary | Verdict | None) -> CanaryValues | None:
    if canary is None:
        return None
    if isinstance(canary, Verdict):
        return canary_values(canary, ())
    check.instance("canary", canary, Canary, "a Canary or a Verdict")
    verdict = canary.verdict()
    history: History = canary.history
    return canary_values(verdict, history)


def _values(
    compared: Comparison, canary: CanaryValues | None, title: str | None, *, labels: bool, compared_rows: bool
) -> ReportValues:
    inspection, reference = compared.inspection, compared.inspection.reference
    features: tuple[FeatureValues, ...] = ()
    if reference is not None and compared_rows:
        features = feature_values(
            reference, inspection.states, inspection.evaluation, compared.counts, compared.slices, labels=labels
        )
    names = {feature.name for feature in features}
    features = tuple(feature for feature in features if compared.predicted or not feature.output)
    states = tuple(
        StateValues(name, status.state, status.reason, status.rows)
        for name, status in inspection.states.items()
        if name not in names
    )
    outcomes = outcome_values(inspection.outcomes, inspection.performance, inspection.estimated, reference)
    notes = compared.notes
    if not labels and any(feature.kind == "categorical" for feature in features):
        notes = (*notes, "Categories have numbers in place of their names: the report was made without labels=True.")
    attributes = dict(inspection.attributes)
    name = attributes.pop("ml.model.name", None)
    shown = "Canary" if not features and canary is not None else "Drift report"
    if name is not None and name != NAME:
        shown = name
    return ReportValues(
        title=title or shown,
        subject={key.rpartition(".")[2]: value for key, value in attributes.items() if value},
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        library=VERSION,
        headline=headline(features, canary),
        sentences=tuple(sentences(features, states, outcomes, canary)),
        rows=compared.rows if compared_rows else None,
        features=features,
        states=states,
        outcomes=outcomes,
        canary=canary,
        reference=None if reference is None else reference_values(reference),
        notes=notes,
    )


def _plain(value: Any) -> Any:
    """Return a value of a report in the types of JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return value.item() if hasattr(value, "item") else str(value)
