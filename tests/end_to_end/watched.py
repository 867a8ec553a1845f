"""A service with a drift, a failing candidate, outcomes, retraining and problems, for the dashboards to show."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

import numpy as np

import driftline as dl

FEATURES = ("dep_delay", "distance", "carrier", "temperature", "wind")

RULE = dl.FalseAlarms(1, every="1h")


def rows(random, number, delay=0.0):
    """Return features of flights, whose delays are longer by *delay*."""
    return {
        "dep_delay": np.round(random.gamma(1.5, 12.0, number) + delay),
        "distance": random.gamma(4.0, 250.0, number),
        "carrier": random.choice(["UA", "DL", "AA", "B6"], number, p=[0.4, 0.3, 0.2, 0.1]).tolist(),
        "temperature": random.normal(12.0, 8.0, number),
        "wind": random.gamma(2.0, 5.0, number),
    }


def probability(features):
    """Return the probability that each flight is late."""
    return 1.0 / (1.0 + np.exp(-(np.asarray(features["dep_delay"]) - 20.0) / 8.0))


def fit():
    """Return the reference."""
    random = np.random.default_rng(0)
    features = rows(random, 20_000)
    score = probability(features)
    return dl.Reference.fit(features, predictions=score, outcomes=random.random(len(score)) < score)


def flaky(reference, current, /):
    """Raise for every window, but not for the check at configuration."""
    if len(current) > 3:
        raise ArithmeticError
    return 0.0


def main():
    """Serve for some seconds, two thirds of them with a drift, and stay until the standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--reference", type=Path, required=True, help="the file to write the reference to")
    options = parser.parse_args()

    reference = fit()
    reference.save(options.reference)
    setup = dl.configure_otlp("flights")
    random = np.random.default_rng(1)
    shared = {"reference": reference, "window": dl.Window(rows=300), "rule": RULE}
    baseline = dl.Monitor(
        "flight-delay",
        version="3",
        variant="baseline",
        distances=("psi", "js", "wasserstein", "mean", flaky),
        outcomes=dl.OutcomePolicy(window=dl.Window(rows=300)),
        retraining=dl.RetrainingPolicy(persistence=(1, 1)),
        export_bins=True,
        **shared,
    )
    candidate = dl.Monitor("flight-delay", version="4", variant="canary", **shared)
    other = dl.Monitor("taxi-time", version="1", **shared)
    policy = dl.CanaryPolicy(allowed_accuracy_drop=None, allowed_latency_delta=None)
    canary = dl.Canary(baseline=baseline, candidate=candidate, policy=policy)

    begin = time.monotonic()
    batch = 0
    while (spent := time.monotonic() - begin) < options.seconds:
        drifts = spent > options.seconds / 3
        features = rows(random, 30, delay=6.0 if drifts else 0.0)
        score = probability(features)
        ids = [f"{batch}-{row}" for row in range(len(score))]
        baseline.observe(features, score, prediction_ids=ids)
        for prediction_id, each in zip(ids, score, strict=True):
            baseline.outcome(prediction_id, bool(random.random() < each * (0.5 if drifts else 1.0)))
        usual = rows(random, 30)
        other.observe(usual, probability(usual))
        calls = rows(random, 10, delay=6.0 if drifts else 0.0)
        for row, late in enumerate(probability(calls).tolist()):
            single = {name: column[row] for name, column in calls.items()}
            with baseline.prediction(single) as call:
                call.output = late
            with contextlib.suppress(KeyError), candidate.prediction(single) as call:
                if single["carrier"] == "B6":
                    message = "no model for this carrier"
                    raise KeyError(message)
                call.output = late
        baseline.observe([[1.0, 2.0]], [0.5])  # two values where five are expected
        batch += 1
        time.sleep(0.05)
    canary.verdict()
    setup.force_flush()
    sys.stdout.write("served\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
