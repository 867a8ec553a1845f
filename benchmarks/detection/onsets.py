"""
Changes that begin anywhere in one of the first windows: windows until they show, the table of docs/detection.md.

    python benchmarks/detection/onsets.py --runs 4
    PYTHONPATH=/other/tree/src python benchmarks/detection/onsets.py --change shift --stream ar

Windows have 1,000 rows. A change begins after 0.5 windows, 1.5 windows and so on. It shows *in window 1* if the window
in which it begins shows it, and *in window 2* if the next one does.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rules_driftline import Watch, fit
from scipy.signal import lfilter
from streams import generator

Values = NDArray[np.float64]

ROWS, TRAINED, FEATURES, HORIZON = 1_000, 20_000, 5, 24
"""Rows of a window and of the training data, features, and windows for which a change is watched."""

POSITIONS = (*range(9), 10, 12, 16)
"""Whole windows before that in which a change begins."""


def independent(random: np.random.Generator, rows: int) -> Values:
    """Return independent rows."""
    return random.normal(size=(rows, FEATURES))


def autoregressive(random: np.random.Generator, rows: int) -> Values:
    """Return rows of AR(1) 0.9 and variance 1."""
    noise = random.normal(size=(rows + ROWS, FEATURES)) * np.sqrt(1.0 - 0.81)
    series: Values = lfilter([1.0], [1.0, -0.9], noise, axis=0)[ROWS:]
    return series


STREAMS: Mapping[str, Callable[[np.random.Generator, int], Values]] = {"iid": independent, "ar": autoregressive}


def shifted(by: float) -> Callable[[Values, np.random.Generator], Values]:
    """Return a change of the mean."""
    return lambda values, _: values + by


def lost(share: float) -> Callable[[Values, np.random.Generator], Values]:
    """Return a change by which a share of the values is missing."""
    return lambda values, random: np.where(random.random(values.shape) < share, np.nan, values)


def new(share: float) -> Callable[[Values, np.random.Generator], Values]:
    """Return a change by which a share of the rows has a new category."""
    return lambda values, random: np.where(random.random(values.shape) < share, 99.0, values)


CHANGES = {
    "+1 σ": shifted(1.0),
    "+0.5 σ": shifted(0.5),
    "all missing": lost(1.0),
    "20 % missing": lost(0.2),
    "all unseen": new(1.0),
    "5 % unseen": new(0.05),
}
"""Changes of the rows. Those of categories turn values into letters first."""


def columns(values: Values, *, letters: bool) -> dict[str, list[float] | list[str]]:
    """Return the features, numbers or four letters each."""
    if not letters:
        return {f"x{index}": column.tolist() for index, column in enumerate(values.T)}
    names = np.array([*"abcd", "new"])
    kinds = np.where(values > 9.0, 4, np.digitize(values, [-1.0, 0.0, 1.0]))
    return {f"x{index}": names[column].tolist() for index, column in enumerate(kinds.T)}


def delays(
    stream: str, change: str, position: float, run: int, changed: int = FEATURES, length: int = ROWS
) -> tuple[list[float], list[int]]:
    """
    Return the windows until each feature drifts, inf if it does not, and those for which each one was *cannot tell*.

    Args:
        stream: a key of `STREAMS`.
        change: a key of `CHANGES`.
        position: windows before the change.
        run: number of the draw.
        changed: number of features that change.
        length: rows of a window.
    """
    random = generator("onset", stream, run)
    begins, begun = round(position * length), int(position)
    values = STREAMS[stream](random, TRAINED + (begun + HORIZON) * length)
    letters = "unseen" in change
    training, served = values[:TRAINED], values[TRAINED:]
    served[begins:, :changed] = CHANGES[change](served[begins:, :changed], random)
    reference = fit(
        columns(random.permutation(training), letters=letters), [f"x{i}" for i in range(FEATURES)] if letters else ()
    )
    watch = Watch(reference, length, None)
    windows_until = dict.fromkeys(reference_names(), np.inf)
    unknown = dict.fromkeys(windows_until, 0)
    for window in range(begun + HORIZON):
        result = watch.feed(columns(served[window * length : (window + 1) * length], letters=letters))
        if window < begun:
            continue
        for name in result.drifting:
            windows_until[name] = min(windows_until[name], window - begun + 1)
        for name in result.undecided:
            unknown[name] += 1
    watch.close()
    return list(windows_until.values())[:changed], list(unknown.values())[:changed]


def reference_names() -> list[str]:
    """Return the names of the features."""
    return [f"x{index}" for index in range(FEATURES)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each stream, change and position."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--stream", choices=[*STREAMS], action="append")
    parser.add_argument("--change", choices=[*CHANGES], action="append")
    parser.add_argument("--changed", type=int, default=FEATURES, help="features that change, of five")
    parser.add_argument("--offset", type=float, default=0.5, help="the part of a window before the change")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args(arguments)
    for stream in options.stream or STREAMS:
        for change in options.change or CHANGES:
            cells = []
            for whole in POSITIONS:
                position = whole + options.offset
                results = [
                    delays(stream, change, position, run, options.changed, options.rows) for run in range(options.runs)
                ]
                windows_until = np.concatenate([windows for windows, _ in results])
                unknown = np.concatenate([windows for _, windows in results])
                share = np.isfinite(windows_until).mean()
                within = f"{np.median(windows_until):.0f}" if share > 0.5 else "-"
                cells.append(f"{position:4.1f}: {share:4.0%} {within:>2} ({unknown.mean():2.0f})")
            print(f"{stream:3} {change:12} {'  '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
