"""Reads the evidence that all processes of a canary have exported, as one `CanaryEvidence`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from driftline import semconv as sc
from driftline._backends.counts import CountSource, Grid, Match, Sample
from driftline._windows.blocks import MAX_BLOCKS
from driftline.canary._arguments import START_PREFIX
from driftline.canary._evidence import CanaryEvidence, Stratum
from driftline.canary._exported_counts import (
    GAP_SECONDS,
    Blocks,
    ProcessGroup,
    SideCounts,
    SideReader,
    align_features,
)
from driftline.canary._exported_outcomes import OutcomeSpan, add_outcomes

__all__ = ["ExportedEvidence", "Selection", "read_exported"]

LOOKBACK_SECONDS = 30 * 86_400.0
"""Seconds before now in which the processes of a canary are looked for. Most stores keep less."""

MIN_LEVEL = 2
"""Least binary logarithm of the seconds of a block, 4 s. Processes do not export more often."""

EXPORTS = 2
"""Exports after which a process without one has ended, or must have had its first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    The canary whose evidence is read. A part that is None selects all.

    Attributes:
        model: ``ml.model.name``.
        version: ``ml.model.version`` of the candidate.
        variant: ``ml.model.variant`` of the candidate.
        canary_id: the id of the canary. If None, the newest one of the candidate.
        baseline_id: the id of the canary that the baseline was released with. If this and the next two are None, all
            processes that export as a baseline.
        baseline_version: version of the baseline.
        baseline_variant: variant of the baseline.
        interval: seconds between two exports of a process.
    """

    model: str
    version: str | None = None
    variant: str | None = None
    canary_id: str | None = None
    baseline_id: str | None = None
    baseline_version: str | None = None
    baseline_variant: str | None = None
    interval: float = 60.0


class ExportedEvidence(NamedTuple):
    """
    The evidence of all processes of a canary.

    Attributes:
        evidence: the evidence; without strata if no process of the candidate has exported any.
        canary_id: the id of the canary; None without one.
        processes: number of processes that have exported: (baseline, candidate).
        notes: sentences about what limits the evidence, such as that no process of the candidate exports any more.
    """

    evidence: CanaryEvidence
    canary_id: str | None
    processes: tuple[int, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Process:
    """One side of a canary in one process."""

    attributes: Mapping[str, str]
    started: float
    dialect: str
    alive: bool = field(compare=False)

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.side

    @property
    def name(self) -> str:
        return self.attributes.get(sc.ML_CANARY_PROCESS, "")

    @property
    def side(self) -> str:
        return self.attributes.get(sc.ML_CANARY_SIDE, "")

    @property
    def canary_id(self) -> str:
        return self.attributes.get(sc.ML_CANARY_ID, "")

    def serves(self, version: str | None, variant: str | None) -> bool:
        expected = {sc.ML_MODEL_VERSION: version, sc.ML_MODEL_VARIANT: variant}
        return all(value is None or self.attributes.get(name, "") == value for name, value in expected.items())


def read_exported(source: CountSource, selection: Selection, now: float) -> ExportedEvidence:
    """
    Return the evidence of all processes of a canary, of both sides, since its first process of the candidate began.

    Processes of the baseline may have begun long before, and under the id of an earlier canary: what they had counted
    by then is subtracted.

    Args:
        source: the store.
        selection: names the canary.
        now: Unix time in seconds.

    Raises:
        OSError: the store cannot be reached, is late, or its response is incomplete.
        ValueError: a response cannot be read.
    """
    match: Match = {sc.ML_MODEL_NAME: selection.model}
    recent = EXPORTS * selection.interval
    processes = _processes(source, match, now, recent)
    candidate = _newest([each for each in processes if _is_candidate(each, selection)], selection.canary_id)
    if not candidate:
        return ExportedEvidence(CanaryEvidence(), None, (0, 0), ())
    notes = []
    if not any(process.alive for process in candidate):
        notes.append("no process of the candidate exports any more")
    began = min(process.started for process in candidate)
    elapsed = max(now - began, 1.0)
    before = _exporting(source, match, began, GAP_SECONDS)
    since = _exporting(source, match, now, elapsed)
    others = [
        each for each in processes if _is_baseline(each, selection) and each.key in since and each not in candidate
    ]
    # What a process had counted before the canary is subtracted, so it must have exported that.
    baseline = [each for each in others if each.started >= began - recent or each.key in before]
    lost = len(others) - len(baseline)
    if lost:
        notes.append(f"{lost} processes of the baseline do not count: they exported nothing at the start of the canary")
    if not baseline:
        notes.append("no process of the baseline exports evidence")
    level = max(MIN_LEVEL, math.ceil(math.log2(elapsed / (MAX_BLOCKS - 1))))
    blocks = Blocks(level, Grid(began, float(2**level), math.ceil(elapsed / 2**level) + 1))
    readers = [
        SideReader(source, groups, blocks.grid)
        for groups in (_groups(baseline, before), _groups(candidate, frozenset()))
    ]
    sides = [SideCounts.read(reader, blocks) for reader in readers]
    has_outcomes = any(side.outcomes for side in sides)
    older = any(each.started < began - recent for each in baseline)
    if has_outcomes and all("predicted" in side.outcomes for side in sides if side.outcomes):
        started = {each.name: each.started for each in (*baseline, *candidate)}
        alive = {each.name for each in (*baseline, *candidate) if each.alive}
        sides, more = add_outcomes(sides, readers, OutcomeSpan.of(began, now, older=older), started, alive)
        notes += more
    elif has_outcomes and older:
        # Their outcomes have had more time to come, so the shares of wrong ones are not those of equal age.
        sides = [replace(side, outcomes={}) for side in sides]
        notes.append("outcomes do not count: processes of the baseline began before the canary")
    variants = [side.evidence(features) for side, features in zip(sides, align_features(*sides), strict=True)]
    sticky = any(variant.call_tables is not None and variant.call_tables.has_keys for variant in variants)
    evidence = CanaryEvidence((Stratum(None, sticky, variants[0], variants[1]),), seconds=elapsed, at=now)
    return ExportedEvidence(evidence, candidate[0].canary_id, (len(baseline), len(candidate)), tuple(notes))


def _processes(source: CountSource, match: Match, now: float, recent: float) -> list[_Process]:
    """
    Return all processes of a model that have exported evidence, each side once.

    Args:
        source: the store.
        match: selects the model.
        now: Unix time in seconds.
        recent: seconds before *now* in which a process has exported that has not ended.
    """
    alive = _exporting(source, match, now, recent)
    alive -= {_key(sample) for sample in source.latest(sc.METRIC_CANARY_ENDED, match, at=now, within=recent)}
    samples = source.latest(sc.METRIC_CANARY_STARTED, match, at=now, within=LOOKBACK_SECONDS)
    # The same series may come from several stores, with labels of the store.
    unique = {_key(sample): sample for sample in samples if math.isfinite(sample.value) and all(_key(sample))}
    return [_Process(each.attributes, each.value, each.dialect, key in alive) for key, each in unique.items()]


def _exporting(source: CountSource, match: Match, at: float, within: float) -> set[tuple[str, str]]:
    """Return the keys of the processes that have exported evidence in the seconds *within* before *at*."""
    return {_key(sample) for sample in source.latest(sc.METRIC_CANARY_STARTED, match, at=at, within=within)}


def _key(sample: Sample) -> tuple[str, str]:
    return sample.attributes.get(sc.ML_CANARY_PROCESS, ""), sample.attributes.get(sc.ML_CANARY_SIDE, "")


def _is_candidate(process: _Process, selection: Selection) -> bool:
    return process.side == "candidate" and process.serves(selection.version, selection.variant)


def _is_baseline(process: _Process, selection: Selection) -> bool:
    """Return whether a process is one of the baseline: of its id, version and variant, or of this side."""
    canary_id, version, variant = selection.baseline_id, selection.baseline_version, selection.baseline_variant
    if canary_id is None and version is None and variant is None:
        return process.side == "baseline"
    # What was promoted serves on as the baseline of the next release, though it exports as a candidate.
    return process.serves(version, variant) and canary_id in {None, process.canary_id}


def _newest(processes: Sequence[_Process], canary_id: str | None) -> list[_Process]:
    """
    Return the processes of one canary.

    Without an id, it is that of the process that began last, of those that still export if there are any. Ids that are
    the start of a process are one canary, of the processes that still export and all that began after the oldest.
    """
    if canary_id is not None:
        return [process for process in processes if process.canary_id == canary_id]
    present = [process for process in processes if process.alive] or list(processes)
    if not present:
        return []
    newest = max(present, key=lambda process: process.started).canary_id
    if not newest.startswith(START_PREFIX):
        return [process for process in processes if process.canary_id == newest]
    started = [process for process in processes if process.canary_id.startswith(START_PREFIX)]
    oldest = min(process.started for process in present if process.canary_id.startswith(START_PREFIX))
    return [process for process in started if process.started >= oldest]


def _groups(processes: Iterable[_Process], before: Collection[tuple[str, str]]) -> list[ProcessGroup]:
    """
    Return the processes in groups that are read together.

    Args:
        processes: the processes.
        before: keys of processes that had exported before the canary began.
    """
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for process in processes:
        groups.setdefault((process.side, process.dialect, process.key in before), []).append(process.name)
    return [ProcessGroup(side, dialect, names, older) for (side, dialect, older), names in groups.items()]
