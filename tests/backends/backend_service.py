"""A small service with features, outcomes, a canary, retraining and events. It prints what it has served."""

from __future__ import annotations

import contextlib
import json
import sys

import numpy as np

import driftline as dl
from driftline.retraining import RetrainingPolicy

ROWS, WINDOW, SERVED = 2_000, 200, 1_000
FAILED = 7


def main() -> None:
    """Serve rows of which one feature has moved, flush, and print what was served."""
    setup = dl.configure_otlp("orders")
    random = np.random.default_rng(3)
    features = {"amount": random.lognormal(3.0, 1.0, ROWS), "channel": random.choice(["web", "shop"], ROWS).tolist()}
    score = 1.0 / (1.0 + np.exp(3.0 - np.log(features["amount"])))
    reference = dl.Reference.fit(features, predictions=score, outcomes=random.random(ROWS) < score)
    options = {"reference": reference, "window": dl.Window(rows=WINDOW), "distances": ("psi", "mean"), "version": "1"}
    monitor = dl.Monitor(
        "orders", **options, export_bins=True, retraining=RetrainingPolicy(min_drifting=1, persistence=(1, 1))
    )
    options["version"] = "2"
    candidate = dl.Monitor("orders", **options, variant="canary")
    canary = dl.Canary(baseline=monitor, candidate=candidate, policy=dl.CanaryPolicy(), export=True)

    @monitor.instrument
    def predict(features: dict, fails: bool = False) -> float:
        if fails:
            raise KeyError(features["channel"])
        return 1.0 / (1.0 + np.exp(3.0 - np.log(features["amount"])))

    live = random.lognormal(4.5, 1.0, SERVED)
    for at, amount in enumerate(live):
        row = {"amount": float(amount), "channel": "web" if at % 2 else "shop"}
        with monitor.prediction(row) as call:
            call.output = float(1.0 / (1.0 + np.exp(3.0 - np.log(amount))))
        monitor.outcome(call.id, bool(at % 3))
        with candidate.prediction(row) as call:
            call.output = 0.5
    for _ in range(FAILED):
        with contextlib.suppress(KeyError):
            predict({"amount": 1.0, "channel": "web"}, fails=True)
    monitor.flush()
    candidate.flush()
    canary.verdict()
    sent = setup.force_flush()
    served = {"baseline": SERVED, "candidate": SERVED, "failed": FAILED, "outcomes": SERVED, "sent": sent}
    sys.stdout.write(json.dumps(served) + "\n")
    sys.stdout.flush()
    if "--stay" in sys.argv:
        sys.stdin.read()


if __name__ == "__main__":
    main()
