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
from driftline.canary._variant_evidence import VariantEvidence
from driftline.errors import ConfigurationError

__all__ = ["CanaryEvidence", "Stratum", "VariantEvidence"]

SCHEMA_VERSION = 1
"""Version of the JSON document of `CanaryEvidence`; documents of other versions are rejected."""


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
    """

    share: float | None
    sticky: bool
    baseline: VariantEvidence
    candidate: VariantEvidence
    guardrails: Mapping[str, tuple[Moments, Moments]] = field(default_factory=dict)

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
        )


@dataclass(frozen=True, slots=True, eq=False)
class CanaryEvidence:
    """
    The evidence from which `judge_canary` computes a verdict.

    ``a + b`` is the evidence of two processes together: counts add up, and *seconds* is the larger of both.

    Attributes:
        strata: counts of both variants, one stratum for each share that the candidate has had.
        compared: rows that both baseline and shadow have predicted.
        agreed: compared rows on which the two outputs agreed.
        seconds: seconds since the canary began.
    """

    strata: tuple[Stratum, ...] = ()
    compared: int = 0
    agreed: int = 0
    seconds: float = 0.0

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
        )

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
            "schema_version": SCHEMA_VERSION,
            "strata": [_stratum_document(stratum) for stratum in self.strata],
            "compared": self.compared,
            "agreed": self.agreed,
            "seconds": self.seconds,
        }
        return dumps(document, separators=(",", ":"))

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
    return {
        "share": stratum.share,
        "sticky": stratum.sticky,
        "baseline": variant_document(stratum.baseline),
        "candidate": variant_document(stratum.candidate),
        "guardrails": {
            name: [moments_document(baseline), moments_document(candidate)]
            for name, (baseline, candidate) in stratum.guardrails.items()
        },
    }


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
)

_read_evidence: Reader[CanaryEvidence] = json.check(
    json.record(
        CanaryEvidence, strata=json.array(_read_stratum), compared=read_count, agreed=read_count, seconds=read_number
    ),
    lambda evidence: evidence.agreed <= evidence.compared,
    "at most as many agreed rows as compared ones",
)
