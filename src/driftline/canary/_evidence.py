"""What two variants have done: counts that add up over threads, processes, hosts and time, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from json import dumps
from typing import Any

from driftline._runtime import json
from driftline._runtime.json import DocumentError, Reader, shown
from driftline.canary._evalues.means import Moments
from driftline.canary._json import (
    MOST_NAMES,
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


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """
    A stretch of the canary in which one share of the traffic went to the candidate.

    Attributes:
        share: the share that was set; None where something else splits the traffic.
        sticky: whether keys decided: the calls of one key are then no independent draws.
        baseline: what it has done meanwhile.
        candidate: what it has done meanwhile.
        guardrails: the user's own numbers by name, of the baseline and of the candidate.
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
            ours, theirs = self.guardrails.get(name, none), other.guardrails.get(name, none)
            guardrails[name] = (ours[0] + theirs[0], ours[1] + theirs[1])
        return replace(
            self,
            baseline=self.baseline + other.baseline,
            candidate=self.candidate + other.candidate,
            guardrails=guardrails,
        )


@dataclass(frozen=True, slots=True, eq=False)
class CanaryEvidence:
    """
    All that a verdict is made of; evidence of several processes adds up with ``+``.

    Attributes:
        strata: one for each share that the candidate has had.
        compared: rows that both variants have predicted (shadow).
        agreed: those on which they agreed.
        seconds: since the canary began; of a sum the longest.
    """

    strata: tuple[Stratum, ...] = ()
    compared: int = 0
    agreed: int = 0
    seconds: float = 0.0

    def __add__(self, other: CanaryEvidence) -> CanaryEvidence:
        strata = {(one.share, one.sticky): one for one in self.strata}
        for one in other.strata:
            key = (one.share, one.sticky)
            strata[key] = strata[key] + one if key in strata else one
        return CanaryEvidence(
            tuple(strata.values()),
            self.compared + other.compared,
            self.agreed + other.agreed,
            max(self.seconds, other.seconds),
        )

    def over(self, other: CanaryEvidence) -> CanaryEvidence:
        """The same, without counts over other bins than those of *other*."""
        if not other.strata:
            return self
        last = other.strata[-1]
        strata = tuple(
            replace(one, baseline=one.baseline.over(last.baseline), candidate=one.candidate.over(last.candidate))
            for one in self.strata
        )
        return replace(self, strata=strata)

    def pooled(self) -> tuple[VariantEvidence, VariantEvidence] | None:
        """Baseline and candidate over all strata; None before there is any."""
        if not self.strata:
            return None
        baseline, candidate = self.strata[0].baseline, self.strata[0].candidate
        for one in self.strata[1:]:
            baseline, candidate = baseline + one.baseline, candidate + one.candidate
        return baseline, candidate

    # --- the file ----------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """As JSON: counts, shares and moments, no value of any feature."""
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
        Read what `to_json` wrote.

        Raises:
            ConfigurationError: it is damaged; the message says where.
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
    guardrails=json.mapping(json.row(lambda *sides: sides, read_moments, read_moments), most=MOST_NAMES),
)

_read_evidence: Reader[CanaryEvidence] = json.check(
    json.record(
        CanaryEvidence, strata=json.array(_read_stratum), compared=read_count, agreed=read_count, seconds=read_number
    ),
    lambda evidence: evidence.agreed <= evidence.compared,
    "at most as many agreed rows as compared ones",
)
