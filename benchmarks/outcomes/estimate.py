"""
Compares the estimated accuracy with the realised one, and with other estimates.

Run: ``python benchmarks/outcomes/estimate.py [--nannyml DIR] [--cbpe PYTHON]``. DIR is the folder
``nannyml/datasets/data`` of the unpacked wheel of nannyml, PYTHON an interpreter that has nannyml, for its CBPE.
``estimate_cases.py`` describes the cases.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from estimate_cases import CHUNK, Case, Scored, drawn_cases, flights_cases, nannyml_cases

import driftline as dl
from driftline.testing import in_memory_monitor

PEER = Path(__file__).with_name("cbpe.py")


def cbpe(python: str | None, case: Case) -> list[float] | None:
    """Return the estimate of nannyml's CBPE for each window, or None without an interpreter."""
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        arrays = {"scores": case.reference.scores, "truth": case.reference.truth}
        arrays |= {f"window{index}": window.scores for index, window in enumerate(case.windows)}
        np.savez(Path(folder) / "case.npz", **arrays)
        process = subprocess.run(  # noqa: S603 - the interpreter that the user named
            [python, "-W", "ignore", str(PEER), str(Path(folder) / "case.npz")],
            capture_output=True,
            text=True,
            check=True,
        )
    return [float(value) for value in json.loads(process.stdout.splitlines()[-1])]


def evaluate(case: Case, python: str | None) -> dict[str, float]:
    """Print a table and return the mean absolute errors."""
    reference = dl.Reference.fit(
        {"unused": np.zeros(len(case.reference.scores))},
        predictions=_outputs(case.reference.scores),
        outcomes=_labels(case.reference),
    )
    peers = cbpe(python, case)
    print(f"\n### {case.name}\n")
    print("| window | outcomes | realised | estimated (95 %) | error | covered | as trained, error | CBPE, error |")
    print("|---|---|---|---|---|---|---|---|")
    errors: dict[str, list[float]] = {"estimated": [], "as trained": [], "CBPE": []}
    for index, window in enumerate(case.windows):
        estimate = _estimate(reference, window)
        realised = window.accuracy
        errors["estimated"].append(estimate.value - realised)
        errors["as trained"].append(case.training - realised)
        errors["CBPE"].append(np.nan if peers is None else peers[index] - realised)
        peer = "" if peers is None else f"{100 * errors['CBPE'][-1]:+.2f}"
        inside = "yes" if estimate.lower <= realised <= estimate.upper else "no"
        print(
            f"| {window.name} | {len(window.scores):,} | {realised:.2%} "
            f"| {estimate.value:.2%} ({estimate.lower:.2%} to {estimate.upper:.2%}) "
            f"| {100 * errors['estimated'][-1]:+.2f} | {inside} | {100 * errors['as trained'][-1]:+.2f} | {peer} |"
        )
    covered = _coverage(reference, case)
    if covered:
        share = f"{np.mean(covered):.0%}"
        print(
            f"\nThe interval held the realised accuracy of {share} of {len(covered)} stretches of {CHUNK:,} outcomes."
        )
    return {name: float(np.abs(values).mean()) for name, values in errors.items()}


def _outputs(scores: Any) -> Any:
    """Return probabilities as they are, and those of several classes as a dict per row."""
    return scores if scores.ndim == 1 else [dict(enumerate(row)) for row in scores.tolist()]


def _labels(scored: Scored) -> Any:
    return scored.truth if scored.scores.ndim == 1 else scored.truth.tolist()


def _estimate(reference: dl.Reference, scored: Scored) -> dl.Performance:
    monitor = in_memory_monitor(reference=reference, window=dl.Window(rows=len(scored.scores) + 1))
    monitor.observe({"unused": np.zeros(len(scored.scores))}, _outputs(scored.scores))
    estimate = monitor.estimated_accuracy()
    if estimate is None:
        msg = "the reference has no outcomes"
        raise ValueError(msg)
    return estimate


def _coverage(reference: dl.Reference, case: Case) -> list[bool]:
    covered = []
    for window in case.windows:
        for start in range(0, len(window.scores) - CHUNK + 1, CHUNK):
            part = window.part(slice(start, start + CHUNK))
            estimate = _estimate(reference, part)
            covered.append(estimate.lower <= part.accuracy <= estimate.upper)
    return covered


def main() -> None:
    """Evaluate all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nannyml", type=Path, help="nannyml/datasets/data of the unpacked wheel of nannyml")
    parser.add_argument("--cbpe", metavar="PYTHON", help="an interpreter that has nannyml")
    parser.add_argument("--cases", default="", help="only cases with this word in their name")
    arguments = parser.parse_args()
    cases = [*flights_cases(), *drawn_cases(), *(nannyml_cases(arguments.nannyml) if arguments.nannyml else ())]
    errors = {case.name: evaluate(case, arguments.cbpe) for case in cases if arguments.cases in case.name}
    print("\n### Mean absolute error, points of accuracy\n")
    print("| case | estimated | as trained | CBPE of nannyml |")
    print("|---|---|---|---|")
    for name, means in errors.items():
        print(f"| {name} | {' | '.join(f'{100 * value:.2f}' for value in means.values())} |")


if __name__ == "__main__":
    main()
