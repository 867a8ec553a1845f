"""Two variants of a model side by side: which of them should stay, and why.

Install with ``pip install 'driftline[otlp]'``.
"""

from __future__ import annotations

import contextlib

import numpy as np

import driftline as dl

random = np.random.default_rng(seed=0)


def score(amount: float) -> float:
    """The probability that an order is paid back late."""
    return amount / (amount + 40.0)


SMALL = 5.0
"""Amounts that the new variant has no bucket for: the bug that the canary is to find."""

amounts = random.lognormal(3.0, 1.0, 20_000)
reference = dl.Reference.fit(
    {"amount": amounts}, predictions=score(amounts), outcomes=random.random(20_000) < score(amounts)
)

telemetry = dl.configure_otlp("late-payment")
# One reference for both, so that their predictions are counted in the same bins.
baseline = dl.Monitor("late-payment", version="7", variant="baseline", reference=reference)
candidate = dl.Monitor("late-payment", version="8", variant="canary", reference=reference)
canary = dl.Canary(
    baseline=baseline,
    candidate=candidate,
    policy=dl.CanaryPolicy(allowed_accuracy_drop=0.05, allowed_latency_delta=0.02),
    share=0.5,
)


orders: dict[tuple[dl.Monitor, str], float] = {}


def predict_old(features: dict[str, float]) -> float:
    """The variant that is trusted."""
    with baseline.prediction(features) as call:
        call.output = score(features["amount"])
    orders[baseline, call.id] = features["amount"]
    return call.output


def predict_new(features: dict[str, float]) -> float:
    """The variant on trial; it breaks on small amounts."""
    with candidate.prediction(features) as call:
        if features["amount"] < SMALL:
            message = "no bucket for this amount"
            raise LookupError(message)
        call.output = score(features["amount"]) ** 1.1
    orders[candidate, call.id] = features["amount"]
    return call.output


predict = canary.split(predict_old, predict_new)
previous = None
for order in range(4_000):
    features = {"amount": float(random.lognormal(3.0, 1.0))}
    with contextlib.suppress(LookupError):  # a service would answer something else; the canary has counted it
        predict(features)
    # Labels arrive later than predictions, for some orders never.
    if order % 100 == 0:
        for (monitor, prediction_id), amount in orders.items():
            monitor.outcome(prediction_id, actual=bool(random.random() < score(amount)))
        orders.clear()
        verdict = canary.verdict()
        if verdict.state != previous:
            print(f"after {order} orders: {verdict.state}: {verdict.reason}")
            previous = verdict.state

for criterion in canary.verdict().criteria:
    print(f"  {criterion.name:<18}{criterion.state:<14}{criterion.reason}")
for monitor in (baseline, candidate):
    monitor.shutdown()
telemetry.shutdown()
