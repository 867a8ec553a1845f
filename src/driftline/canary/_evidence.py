"""What two variants have done: counts that add up over threads, processes, hosts and time, and their JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

import numpy as np

from driftline.canary._evalues.means import Moments
from driftline.canary._json import MOST_BINS, count_of, counts_of, named, number_of, of, pair_of
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
        return json.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "strata": [
                    {
                        "share": one.share,
                        "sticky": one.sticky,
                        "baseline": _variant_out(one.baseline),
                        "candidate": _variant_out(one.candidate),
                        "guardrails": {
                            name: [[getattr(half, part.name) for part in fields(half)] for half in pair]
                            for name, pair in one.guardrails.items()
                        },
                    }
                    for one in self.strata
                ],
                "compared": self.compared,
                "agreed": self.agreed,
                "seconds": self.seconds,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> CanaryEvidence:
        """
        Read what `to_json` wrote.

        Raises:
            ConfigurationError: it is damaged; the message says where.
        """
        try:
            return _evidence_in(json.loads(text))
        except ConfigurationError as error:
            msg = f"evidence: {error}"
        except (ValueError, RecursionError) as error:
            msg = f"evidence: not JSON: {error}"
        raise ConfigurationError(msg)


def _evidence_in(given: Any) -> CanaryEvidence:
    if not isinstance(given, dict) or given.get("schema_version") != SCHEMA_VERSION:
        msg = f"expected an object with schema_version {SCHEMA_VERSION}"
        raise ConfigurationError(msg)
    strata = []
    for number, one in enumerate(of(given.get("strata"), list, "strata")):
        where = f"strata[{number}]"
        of(one, dict, where)
        share, numbers = one.get("share"), f"{where}.guardrails"
        if share is not None and (
            isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1
        ):
            msg = f"{where}.share: expected a number from 0 to 1 or null"
            raise ConfigurationError(msg)
        strata.append(
            Stratum(
                share,
                of(one.get("sticky"), bool, f"{where}.sticky"),
                _variant_in(one.get("baseline"), f"{where}.baseline"),
                _variant_in(one.get("candidate"), f"{where}.candidate"),
                {
                    name: (_moments_in(pair, 0, f"{numbers}.{name}"), _moments_in(pair, 1, f"{numbers}.{name}"))
                    for name, pair in named(one.get("guardrails"), numbers).items()
                },
            )
        )
    compared, agreed = count_of(given.get("compared"), "compared"), count_of(given.get("agreed"), "agreed")
    if agreed > compared:
        msg = f"agreed: {agreed} of {compared}"
        raise ConfigurationError(msg)
    return CanaryEvidence(tuple(strata), compared, agreed, number_of(given.get("seconds"), "seconds"))


def _variant_out(one: VariantEvidence) -> dict[str, Any]:
    used = np.flatnonzero(one.durations).tolist()
    return {
        "served": one.served,
        "failed": one.failed,
        "failed_calls": one.failed_calls,
        "batches": one.batches,
        "known": one.known,
        "correct": one.correct,
        "edges": _edges_out(one.edges),
        "durations": {str(place): int(one.durations[place]) for place in used},
        "predictions": None if one.predictions is None else one.predictions.tolist(),
        "rates": {name: list(pair) for name, pair in one.rates.items()},
        "features": {name: counts.tolist() for name, counts in one.features.items()},
        "unordered": sorted(one.unordered),
        "bins": dict(one.bins),
    }


def _edges_out(edges: tuple[float, ...]) -> list[float] | dict[str, float]:
    """Edges that lie evenly on a logarithmic scale are told by their ends."""
    if len(edges) > 1 and edges[0] > 0.0:
        spec = {"from": float(np.log10(edges[0])), "to": float(np.log10(edges[-1])), "count": len(edges)}
        if _edges_in(spec, "edges") == edges:
            return spec
    return list(edges)


def _edges_in(given: Any, where: str) -> tuple[float, ...]:
    if isinstance(given, dict):
        low, high = number_of(given.get("from"), f"{where}.from"), number_of(given.get("to"), f"{where}.to")
        count = count_of(given.get("count"), f"{where}.count")
        if not -30.0 <= low < high <= 30.0 or not 2 <= count <= MOST_BINS:  # noqa: PLR2004 - beyond any duration
            msg = f"{where}: {count} edges from 1e{low:g} to 1e{high:g} s are no bins of durations"
            raise ConfigurationError(msg)
        return tuple(np.logspace(low, high, count).tolist())
    edges = tuple(number_of(one, where) for one in of(given, list, where))
    if len(edges) > MOST_BINS or list(edges) != sorted(set(edges)):
        msg = f"{where}: expected at most {MOST_BINS} ascending numbers"
        raise ConfigurationError(msg)
    return edges


def _variant_in(given: Any, where: str) -> VariantEvidence:
    one = cast("dict[str, Any]", of(given, dict, where))
    numbers = {
        name: count_of(one.get(name), f"{where}.{name}")
        for name in ("served", "failed", "failed_calls", "batches", "known", "correct")
    }
    if numbers["correct"] > numbers["known"]:
        msg = f"{where}.correct: {numbers['correct']} of {numbers['known']}"
        raise ConfigurationError(msg)
    edges = _edges_in(one.get("edges"), f"{where}.edges")
    durations = np.zeros(len(edges) + 1, dtype=np.int64)
    for place, count in of(one.get("durations"), dict, f"{where}.durations").items():
        if not place.isascii() or not place.isdigit() or int(place[:9]) >= len(durations):
            msg = f"{where}.durations: {place[:20]!r} is no bin of {len(durations)}"
            raise ConfigurationError(msg)
        durations[int(place)] = count_of(count, f"{where}.durations[{place}]")
    predictions = one.get("predictions")
    rates = {}
    for name, pair in named(one.get("rates"), f"{where}.rates").items():
        good, trials = (count_of(part, f"{where}.rates.{name}") for part in pair_of(pair, f"{where}.rates.{name}"))
        if good > trials:
            msg = f"{where}.rates.{name}: {good} of {trials}"
            raise ConfigurationError(msg)
        rates[name] = (good, trials)
    features = {
        name: counts_of(counts, f"{where}.features.{name}")
        for name, counts in named(one.get("features"), f"{where}.features").items()
    }
    bins = {
        name: of(which, str, f"{where}.bins.{name}") for name, which in named(one.get("bins"), f"{where}.bins").items()
    }
    unordered = [of(name, str, f"{where}.unordered") for name in of(one.get("unordered"), list, f"{where}.unordered")]
    return VariantEvidence(
        numbers["served"],
        numbers["failed"],
        durations,
        edges,
        numbers["known"],
        numbers["correct"],
        None if predictions is None else counts_of(predictions, f"{where}.predictions"),
        numbers["failed_calls"],
        numbers["batches"],
        rates,
        features,
        frozenset(unordered),
        bins,
    )


def _moments_in(pair: Any, place: int, where: str) -> Moments:
    parts = of(pair_of(pair, where)[place], list, where)
    if len(parts) != len(fields(Moments)):
        msg = f"{where}: expected {len(fields(Moments))} numbers"
        raise ConfigurationError(msg)
    count, squares = count_of(parts[0], where), number_of(parts[2], where)
    if squares < 0.0:
        msg = f"{where}: squares are at least 0, not {squares:g}"
        raise ConfigurationError(msg)
    return Moments(count, number_of(parts[1], where), squares, number_of(parts[3], where))
