"""`CanaryEvidence`: the counts of a canary's two variants, which can be added up and written as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from json import dumps
from typing import Any

from driftline._runtime import json
from driftline._runtime.json import DocumentError, Reader, shown
from driftline.canary._evalues.means import Moments
from driftline.canary._json import (
    MAX_NAMES,
    moments_document,
    read_count,
    read_moments,
    read_number,
    read_variant,
    variant_document,
)
from driftline.canary._value_tables import ValueTables
from driftline.canary._values_json import read_values, values_document
from driftline.canary._variant_evidence import VariantEvidence
from driftline.errors import ConfigurationError

__all__ = ["CanaryEvidence", "Stratum", "VariantEvidence"]

SCHEMA_VERSION = 2
"""Version of a JSON document with tables by time and key; documents without them are of version 1."""

MAX_SOURCES = 10_000
"""Ids of processes in evidence at most, so that a damaged file, or a canary of years, does not fill the memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """
    The counts of both variants while the candidate had one share of the traffic.

    Attributes:
        share: the candidate's share, in [0, 1]; None if driftline does not split the traffic.
        sticky: whether keys chose the variant of calls. Calls of the same key are then not independent.
        baseline: counts of the baseline.
        candidate: counts of the candidate.
        guardrails: for each guardrail by name, (baseline's moments, candidate's moments).
        values: for each guardrail by name, the same numbers by size, time and key. Guardrails of which numbers are in
            no table, such as those of older files, are absent.
    """

    share: float | None
    sticky: bool
    baseline: VariantEvidence
    candidate: VariantEvidence
    guardrails: Mapping[str, tuple[Moments, Moments]] = field(default_factory=dict)
    values: Mapping[str, tuple[ValueTables, ValueTables]] = field(default_factory=dict)

    def __add__(self, other: Stratum) -> Stratum:
        none = (Moments(), Moments())
        guardrails = {}
        for name in {**self.guardrails, **other.guardrails}:
            a, b = self.guardrails.get(name, none), other.guardrails.get(name, none)
            guardrails[name] = (a[0] + b[0], a[1] + b[1])
        return replace(
            self,
            baseline=self.baseline + other.baseline,
            candidate=self.candidate + other.candidate,
            guardrails=guardrails,
            values=_add_values(self, other),
        )


def _add_values(a: Stratum, b: Stratum) -> dict[str, tuple[ValueTables, ValueTables]]:
    """Return the tables of two strata together, without guardrails of which numbers of either are in no table."""
    values = {}
    for name in {**a.values, **b.values}:
        pairs = [stratum.values[name] for stratum in (a, b) if name in stratum.values]
        missing = any(
            moments.count
            for stratum in (a, b)
            if name not in stratum.values
            for moments in stratum.guardrails.get(name, ())
        )
        if not missing:
            first, *others = pairs
            values[name] = first
            for pair in others:
                values[name] = (first[0] + pair[0], first[1] + pair[1])
    return values


@dataclass(frozen=True, slots=True, eq=False)
class CanaryEvidence:
    """
    The evidence from which `judge_canary` computes a verdict.

    ``a + b`` is the evidence of two processes together: counts add up, *seconds* and *at* are the larger of both. It
    does not check that the processes differ; `shared_sources` tells.

    Attributes:
        strata: counts of both variants, one stratum for each share that the candidate has had.
        compared: rows that both baseline and shadow have predicted.
        agreed: compared rows on which the two outputs agreed.
        seconds: seconds since the canary began.
        at: Unix time of the reading, in seconds, by which predictions have an age. 0 if it is not known.
        sources: random ids of the processes whose calls are counted, at most `MAX_SOURCES`.
    """

    strata: tuple[Stratum, ...] = ()
    compared: int = 0
    agreed: int = 0
    seconds: float = 0.0
    at: float = 0.0
    sources: frozenset[str] = frozenset()

    def __add__(self, other: CanaryEvidence) -> CanaryEvidence:
        strata = {(stratum.share, stratum.sticky): stratum for stratum in self.strata}
        for stratum in other.strata:
            key = (stratum.share, stratum.sticky)
            strata[key] = strata[key] + stratum if key in strata else stratum
        return CanaryEvidence(
            tuple(strata.values()),
            self.compared + other.compared,
            self.agreed + other.agreed,
            max(self.seconds, other.seconds),
            max(self.at, other.at),
            frozenset(sorted(self.sources | other.sources)[:MAX_SOURCES]),
        )

    def shared_sources(self, other: CanaryEvidence) -> frozenset[str]:
        """Return the ids of the processes whose calls are in both. If there are any, a sum would count them twice."""
        return self.sources & other.sources

    def over(self, other: CanaryEvidence) -> CanaryEvidence:
        """
        Return this evidence with only those counts of features and predictions whose bins *other* has too.

        The result can be added to *other*. If *other* has no strata, this evidence is returned unchanged.
        """
        if not other.strata:
            return self
        last = other.strata[-1]
        strata = tuple(
            replace(
                stratum,
                baseline=stratum.baseline.over(last.baseline),
                candidate=stratum.candidate.over(last.candidate),
            )
            for stratum in self.strata
        )
        return replace(self, strata=strata)

    def pooled(self) -> tuple[VariantEvidence, VariantEvidence] | None:
        """Return (baseline's counts, candidate's counts), each summed over all strata; None if there is no stratum."""
        if not self.strata:
            return None
        baseline, candidate = self.strata[0].baseline, self.strata[0].candidate
        for stratum in self.strata[1:]:
            baseline, candidate = baseline + stratum.baseline, candidate + stratum.candidate
        return baseline, candidate

    # --- JSON --------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """Return the evidence as JSON: counts, shares and moments, without any value of a feature."""
        document = {
            "schema_version": SCHEMA_VERSION if self._has_tables() else 1,
            "strata": [_stratum_document(stratum) for stratum in self.strata],
            "compared": self.compared,
            "agreed": self.agreed,
            "seconds": self.seconds,
        }
        if self._has_tables():
            document["at"] = self.at
        if self.sources:
            document["sources"] = sorted(self.sources)
        return dumps(document, separators=(",", ":"))

    def _has_tables(self) -> bool:
        return any(stratum.values for stratum in self.strata) or any(
            side.call_tables is not None or side.outcome_tables is not None
            for stratum in self.strata
            for side in (stratum.baseline, stratum.candidate)
        )

    @classmethod
    def from_json(cls, text: str) -> CanaryEvidence:
        """
        Return the evidence in a JSON string that `to_json` wrote.

        Raises:
            ConfigurationError: the document is damaged; the message names the path within the document.
        """
        try:
            return json.read(text, json.versioned(SCHEMA_VERSION, _read_evidence))
        except DocumentError as error:
            msg = f"evidence: {error}"
            raise ConfigurationError(msg) from error.__cause__


def _stratum_document(stratum: Stratum) -> dict[str, Any]:
    document: dict[str, Any] = {
        "share": stratum.share,
        "sticky": stratum.sticky,
        "baseline": variant_document(stratum.baseline),
        "candidate": variant_document(stratum.candidate),
        "guardrails": {
            name: [moments_document(baseline), moments_document(candidate)]
            for name, (baseline, candidate) in stratum.guardrails.items()
        },
    }
    if stratum.values:
        document["values"] = {name: [values_document(side) for side in pair] for name, pair in stratum.values.items()}
    return document


def _read_share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise DocumentError(shown(value), "a number from 0 to 1, or null")
    return value


_read_stratum: Reader[Stratum] = json.record(
    Stratum,
    share=json.nullable(_read_share),
    sticky=json.boolean,
    baseline=read_variant,
    candidate=read_variant,
    guardrails=json.mapping(json.row(lambda *sides: sides, read_moments, read_moments), most=MAX_NAMES),
    values=json.absent({}, json.mapping(json.row(lambda *sides: sides, read_values, read_values), most=MAX_NAMES)),
)

_read_sources: Reader[tuple[str, ...]] = json.absent((), json.array(json.string, most=MAX_SOURCES))

_read_evidence: Reader[CanaryEvidence] = json.check(
    json.record(
        CanaryEvidence,
        strata=json.array(_read_stratum),
        compared=read_count,
        agreed=read_count,
        seconds=read_number,
        at=json.absent(0.0, read_number),
        sources=lambda value: frozenset(_read_sources(value)),
    ),
    lambda evidence: evidence.agreed <= evidence.compared,
    "at most as many agreed rows as compared ones",
)
