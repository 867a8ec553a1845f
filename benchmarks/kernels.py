"""Ways to count 20 columns of float64 into bins, side by side in this process. Prints JSON: nanoseconds per value."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import driftline as dl
from driftline._binning.layout import Layout

COLUMNS = 20
TRAINING_ROWS = 5_000
VALUES = 400_000
"""Values that one way counts before the next starts; distinct, so that the branch predictor cannot memorise them."""

CELLS = 256
"""Cells of the look-up grid."""


def ways(reference: dl.Reference) -> dict[str, Callable[[Any], object]]:
    """Return the ways by name; each takes a matrix of shape (columns, rows)."""
    cuts = [np.array(feature.bins.cuts) for feature in reference.features]  # type: ignore[union-attr]
    plain = [edges.tolist() for edges in cuts]
    layout = Layout(reference.features)

    def search(matrix: Any) -> None:
        for edges, values in zip(cuts, matrix, strict=True):
            np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 2)

    def sort(matrix: Any) -> None:
        for edges, values in zip(cuts, np.sort(matrix, axis=1), strict=True):
            values.searchsorted(edges)

    def cut_by_cut(matrix: Any) -> None:
        room = np.empty(matrix.shape[1], dtype=np.bool_)
        for edges, values in zip(plain, matrix, strict=True):
            for edge in edges:
                np.count_nonzero(np.greater_equal(values, edge, out=room))

    grids = [_grid(edges) for edges in cuts]

    def grid(matrix: Any) -> None:
        for (low, scale, guess, padded), values in zip(grids, matrix, strict=True):
            cell = np.clip((values - low) * scale, -1.0, CELLS).astype(np.intp) + 1
            bins = guess[cell]
            bins += values >= padded[bins + 1]
            bins -= values < padded[bins]
            np.bincount(bins, minlength=len(padded))

    return {
        "searchsorted + bincount": search,
        "sort, then search the cuts": sort,
        "compare cut by cut": cut_by_cut,
        "look-up grid, corrected": grid,
        "driftline: compare all together": lambda matrix: layout.count(matrix, matrix.shape[1]),
    }


def _grid(cuts: Any) -> tuple[float, float, Any, Any]:
    low, high = cuts[0], cuts[-1]
    starts = np.linspace(low, high, CELLS + 1)[:-1]
    guess = np.concatenate([[0], np.searchsorted(cuts, starts, side="right"), [len(cuts)]])
    return float(low), CELLS / float(high - low), guess.astype(np.intp), np.concatenate([[-np.inf], cuts, [np.inf]])


def measure(rows: int) -> dict[str, float]:
    """Return the best time of each way, in nanoseconds per value."""
    random = np.random.default_rng(0)
    names = [f"f{index}" for index in range(COLUMNS)]
    reference = dl.Reference.fit(dict(zip(names, random.normal(size=(COLUMNS, TRAINING_ROWS)), strict=True)))
    matrices = [random.normal(size=(COLUMNS, rows)) for _ in range(max(2, VALUES // rows // COLUMNS))]
    best: dict[str, float] = {}
    for _ in range(5):
        for name, count in ways(reference).items():
            start = time.process_time_ns()
            for matrix in matrices:
                count(matrix)
            taken = (time.process_time_ns() - start) / (len(matrices) * rows * COLUMNS)
            best[name] = min(taken, best.get(name, taken))
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int)
    print(json.dumps(measure(parser.parse_args().rows)))
