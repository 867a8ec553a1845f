"""
Measures the power and cost of projections for docs/derived.md. All seeds are fixed.

    python benchmarks/derived.py
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import numpy as np

import driftline as dl
from driftline._derived.transform import Deriver
from driftline.testing import in_memory_monitor

TRAINING, REFERENCES, WINDOWS = 10_000, 3, 10
RULE = dl.FalseAlarms(1, per="30d", every="1h")
ANY_EFFECT = dl.FalseAlarms(1, per="30d", every="1h", min_effect=0.0)
Draw = Callable[[np.random.Generator, int], dict[str, np.ndarray]]


def normal(correlation: np.ndarray) -> Draw:
    """Return a draw of normal features of unit variance. The correlations do not change the margins."""
    root = np.linalg.cholesky(correlation + 1e-9 * np.eye(len(correlation)))

    def draw(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        matrix = random.normal(size=(rows, len(root))) @ root.T
        return {f"x{index}": matrix[:, index] for index in range(len(root))}

    return draw


def pair(correlation: float, within: np.ndarray | None = None, at: tuple[int, int] = (0, 1)) -> np.ndarray:
    """Return correlations in which one pair has a given value."""
    matrix = (np.eye(20) if within is None else within).copy()
    matrix[at] = matrix[at[::-1]] = correlation
    values, vectors = np.linalg.eigh(matrix)
    if values.min() < 1e-3:  # the nearest valid correlation matrix
        matrix = (vectors * np.maximum(values, 1e-3)) @ vectors.T
        scale = np.sqrt(np.diag(matrix))
        matrix /= np.outer(scale, scale)
    return matrix


def factors(features: int, count: int, own: float, seed: int) -> np.ndarray:
    """Return correlations of features that share factors. *own* is the share of variance of each feature alone."""
    loadings = np.random.default_rng(seed).normal(size=(features, count))
    common = loadings @ loadings.T
    scale = np.sqrt(np.diag(common))
    return (1 - own) * common / np.outer(scale, scale) + own * np.eye(features)


def scenarios() -> dict[str, tuple[Draw, Draw]]:
    """Return the draws of training and serving by name. Only relations between features change."""
    three = factors(20, 3, 0.5, 1)
    strongest = np.unravel_index(np.argmax(np.abs(three - np.eye(20))), three.shape)
    five = np.eye(20)
    five[:18, :18] = factors(18, 5, 0.2, 2)
    pairs = np.eye(20)
    for index in range(0, 20, 2):
        pairs[index, index + 1] = pairs[index + 1, index] = 0.6
    alike = np.full((20, 20), 0.5) + 0.5 * np.eye(20)
    turned = alike.copy()
    turned[0, 1:] *= -1
    turned[1:, 0] *= -1
    outside = (18, 19)
    changes = {
        "nothing (3 factors)": (three, three),
        "one pair 0.8 flips": (pair(0.8), pair(-0.8)),
        "one pair 0.5 flips": (pair(0.5), pair(-0.5)),
        "one pair 0.3 flips": (pair(0.3), pair(-0.3)),
        "one pair 0.5 goes to 0": (pair(0.5), pair(0.0)),
        "one pair 0.5 flips, outside of 5 factors": (pair(0.5, five, outside), pair(-0.5, five, outside)),
        "one pair 0.3 flips, outside of 5 factors": (pair(0.3, five, outside), pair(-0.3, five, outside)),
        "one of ten pairs 0.6 flips": (pairs, pair(-0.6, pairs, (4, 5))),
        "the strongest pair of 3 factors flips": (three, pair(-three[strongest], three, strongest)),
        "all 0.5, one pair flips": (alike, pair(-0.5, alike)),
        "all 0.5, one feature changes its sign": (alike, turned),
        "one pair goes from 0 to 0.5": (pair(0.0), pair(0.5)),
    }
    drawn = {name: (normal(before), normal(after)) for name, (before, after) in changes.items()}
    before, after = drawn["one pair 0.5 flips, outside of 5 factors"]
    drawn["the same, lognormal"] = (_lognormal(before), _lognormal(after))
    return drawn


def _lognormal(draw: Draw) -> Draw:
    return lambda random, rows: {name: np.exp(column) for name, column in draw(random, rows).items()}


LENGTH, TOPICS = 384, 30


def embeddings(
    *, weights: np.ndarray | None = None, moved: float = 0.0, noise: float = 1.0, replaced: bool = False
) -> Draw:
    """Return a draw of vectors of unit length around 30 topics."""
    fixed = np.random.default_rng(9)
    topics = 4 / np.sqrt(LENGTH) * fixed.normal(size=(TOPICS, LENGTH))
    shares = np.ones(TOPICS) if weights is None else weights

    def draw(random: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
        # The direction is new for each draw, because it is luck which directions a random projection detects.
        direction = random.normal(size=LENGTH)
        direction *= moved / np.linalg.norm(direction)
        vectors = topics[random.choice(TOPICS, rows, p=shares / shares.sum())] + direction
        vectors = vectors + 3 * noise / np.sqrt(LENGTH) * random.normal(size=(rows, LENGTH))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return {"embedding": vectors[:, fixed_order] if replaced else vectors}

    fixed_order = np.random.default_rng(1).permutation(LENGTH)
    return draw


def vector_scenarios() -> dict[str, tuple[Draw, Draw]]:
    """Return the draws of training and serving by name."""
    doubled, known, new = np.ones(TOPICS), np.ones(TOPICS), np.ones(TOPICS)
    doubled[:3], known[-1], new[-1] = 2.0, 0.0, 1.5
    return {
        "nothing": (embeddings(), embeddings()),
        "3 of 30 topics twice as frequent": (embeddings(), embeddings(weights=doubled)),
        "a new topic, 5 % of the rows": (embeddings(weights=known), embeddings(weights=new)),
        "all moved by 0.5 in one direction": (embeddings(), embeddings(moved=0.5)),
        "all moved by 1.5 in one direction": (embeddings(), embeddings(moved=1.5)),
        "10 % more noise": (embeddings(), embeddings(noise=1.1)),
        "entries in another order": (embeddings(), embeddings(replaced=True)),
    }


def _kind(name: str) -> str:
    if "given the others" in name:
        return "given the others"
    if name.startswith("embedding projection"):
        return "principal" if int(name.rsplit(maxsplit=1)[-1]) <= 4 else "random"
    if name.startswith("projection"):
        return "principal"
    return "error" if name.endswith("reconstruction error") else "norm" if name.endswith("norm") else "features"


def drifting_shares(before: Draw, after: Draw, rows: int, rule: dl.FalseAlarms) -> Mapping[str, float]:
    """Return the share of windows in which a feature of each kind drifts, and any feature."""
    shares: dict[str, float] = {}
    for seed in range(REFERENCES):
        random = np.random.default_rng(seed)
        reference = dl.Reference.fit(before(random, TRAINING), projections="embedding" not in before(random, 1))
        for _ in range(WINDOWS):
            monitor = in_memory_monitor(reference=reference, window=dl.Window(rows=rows), rule=rule)
            monitor.observe(after(random, rows))
            drifting = {_kind(name) for name, status in monitor.status().items() if status.state == "drifting"}
            for kind in {*drifting, "any"} if drifting else ():
                shares[kind] = shares.get(kind, 0.0) + 1 / (REFERENCES * WINDOWS)
            monitor.shutdown()
    return shares


def table(
    title: str, cases: Mapping[str, tuple[Draw, Draw]], kinds: list[str], rows: int, rule: dl.FalseAlarms = RULE
) -> None:
    """Print one table in Markdown."""
    print(f"\n{title}, windows of {rows} rows\n\n| change | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    for name, (before, after) in cases.items():
        shares = drifting_shares(before, after, rows, rule)
        print(f"| {name} | {' | '.join(f'{shares.get(kind, 0.0):.2f}' for kind in kinds)} |", flush=True)


def cost() -> None:
    """Print the milliseconds to bin 512 rows with and without projections, interleaved."""
    random = np.random.default_rng(0)
    print("\n| features | counted | bin, ms | bin with projections, ms | of that derive, ms |\n|---|---|---|---|---|")
    for features in (20, 200):
        draw = normal(factors(features, 5, 0.5, 0))
        training = draw(random, TRAINING)
        plain, projected = dl.Reference.fit(training), dl.Reference.fit(training, projections=True)
        rows = [dict(zip(training, row, strict=True)) for row in zip(*draw(random, 512).values(), strict=True)]
        columns = [np.array([row[name] for row in rows]) for name in training]
        derive = Deriver(projected.derived, {}, lambda *_: None)
        monitors = [
            in_memory_monitor(reference=reference, window=dl.Window(rows=2**30)) for reference in (plain, projected)
        ]
        times: list[list[float]] = [[], [], []]
        for _ in range(30):
            for index, monitor in enumerate(monitors):
                for row in rows:
                    monitor.observe(row)
                start = time.perf_counter()
                monitor.snapshot()
                times[index].append(time.perf_counter() - start)
            start = time.perf_counter()
            derive(columns, 512)
            times[2].append(time.perf_counter() - start)
        figures = " | ".join(f"{1e3 * min(seconds):.2f}" for seconds in times)
        print(f"| {features} | {len(projected.features)} | {figures} |")


if __name__ == "__main__":
    # Hundreds of monitors in one process exceed the limit of attribute sets, which driftline logs.
    logging.getLogger("driftline").setLevel(logging.ERROR)
    for size in (1_000, 5_000):
        table("Relations", scenarios(), ["features", "principal", "error", "given the others", "any"], size)
    kinds = ["norm", "principal", "random", "error", "any"]
    table("Vectors", vector_scenarios(), kinds, 2_000)
    table("Vectors, any effect", vector_scenarios(), kinds, 2_000, ANY_EFFECT)
    cost()
