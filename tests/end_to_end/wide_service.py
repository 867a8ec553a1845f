"""A model of 2,000 features, which serves a row for every bin; it prints the series that it plans, as JSON."""

from __future__ import annotations

import sys

import numpy as np

import driftline as dl
from driftline.cli import main as command

FEATURES, ROWS = 2_000, 1_000


def main(path):
    """Serve, and let the exit of the process export."""
    dl.configure_otlp("wide")
    columns = np.random.default_rng(0).normal(size=(FEATURES, ROWS))
    names = [f"feature_{number}" for number in range(FEATURES)]
    reference = dl.Reference.fit(dict(zip(names, columns, strict=True)))
    reference.save(path)
    monitor = dl.Monitor(
        "wide", reference=reference, window=dl.Window(rows=ROWS), rule=dl.FalseAlarms(lengths=(1,)), export_bins=True
    )
    extremes = np.tile([-1e9, 1e9, np.nan], (FEATURES, 1))
    monitor.observe(dict(zip(names, np.concatenate([columns, extremes], axis=1), strict=True)))
    monitor.flush()
    command(["series", path, "--lengths", "1", "--export-bins", "--no-duration", "--json"])


if __name__ == "__main__":
    main(sys.argv[1])
