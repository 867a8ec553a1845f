"""Fits the reference where the training data is. The image of the service contains the file."""

from __future__ import annotations

import sys

import numpy as np

import driftline as dl


def main(path: str) -> None:
    """Write the reference; a real program has training data."""
    random = np.random.default_rng(seed=0)
    amount, age = random.lognormal(3.0, 1.0, 50_000), random.integers(18, 90, 50_000)
    dl.Reference.fit({"amount": amount, "age": age}, predictions=amount / (amount + 40.0)).save(path)


if __name__ == "__main__":
    main(sys.argv[1])
