"""A service as users write it, which the tests run as a separate process; it prints its number of predictions."""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np

import driftline as dl
from driftline import synthetic

ROWS = 20_000

POLICY = dl.CanaryPolicy(allowed_accuracy_drop=None, allowed_latency_delta=None)
"""A policy without latency, which needs more time than 2,000 calls take."""


def training(seed=0):
    """Return features, predictions and outcomes of the training data."""
    random = np.random.default_rng(seed)
    features = {
        "amount": random.lognormal(3.0, 1.0, ROWS),
        "age": random.integers(18, 90, ROWS),
        "channel": random.choice(["web", "shop", "phone"], ROWS, p=[0.6, 0.3, 0.1]).tolist(),
    }
    score = 1.0 / (1.0 + np.exp(-(np.log(features["amount"]) - 3.0)))
    return features, score, random.random(ROWS) < score


def main():
    """Serve single rows and a batch; the exit of the process exports them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shift", action="store_true", help="shift one feature")
    parser.add_argument("--canary", action="store_true", help="serve a broken candidate too")
    parser.add_argument("--trace", action="store_true", help="a span per call, with the user's id")
    parser.add_argument("--healthy-canary", action="store_true", help="serve an equal candidate too")
    parser.add_argument("--stay", action="store_true", help="export, and end when the standard input does")
    asked = parser.parse_args()

    setup = dl.configure_otlp("end-to-end")
    features, score, outcomes = training()
    reference = dl.Reference.fit(features, predictions=score, outcomes=outcomes)
    window = dl.Window(rows=1_000)
    monitor = dl.Monitor("orders", version="1", reference=reference, window=window, export_bins=True, trace=asked.trace)

    @monitor.instrument(user_id=lambda _: "someone@example.com")
    def predict(features):
        return 1.0 / (1.0 + np.exp(-(np.log(features["amount"]) - 3.0)))

    live, _, _ = training(asked.seed)
    if asked.shift:
        live = synthetic.inject(live, synthetic.MeanShift("age", by=1.0))
    rows = [dict(zip(live, row, strict=True)) for row in zip(*live.values(), strict=True)][: asked.rows]
    singles = rows[: len(rows) // 2]
    for row in singles:
        predict(row)
    rest = {name: column[len(singles) : asked.rows] for name, column in live.items()}
    predict(rest)
    served = len(rows)

    if asked.canary or asked.healthy_canary:
        candidate = dl.Monitor("orders", version="2", variant="canary", reference=reference, window=window)
        canary = dl.Canary(baseline=monitor, candidate=candidate, policy=POLICY)

        @candidate.instrument
        def broken(features):
            if asked.canary and features["channel"] == "phone":
                message = "no model for this channel"
                raise KeyError(message)
            return 0.5 if asked.canary else 1.0 / (1.0 + np.exp(-(np.log(features["amount"]) - 3.0)))

        failed = 0
        for row in rows:
            predict(row)
            try:
                broken(row)
            except KeyError:
                failed += 1
        served += 2 * len(rows) - failed
        canary.verdict()
        setup.force_flush()  # the state ends with the process
    sys.stdout.write(json.dumps({"served": served}) + "\n")
    if asked.stay:
        setup.force_flush()
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
