"""Two variants of a model side by side, and the decision between them.

Install with ``pip install 'driftline[otlp]'``.
"""

from __future__ import annotations

import contextlib

import numpy as np

import driftline as dl

random = np.random.default_rng(seed=0)


def score(amount: float) -> float:
    """Return the probability that an order is paid late."""
    return amount / (amount + 40.0)


SMALL = 5.0
"""Amounts below which the new variant fails: the bug that the canary detects."""

amounts = random.lognormal(3.0, 1.0, 20_000)
reference = dl.Reference.fit(
    {"amount": amounts}, predictions=score(amounts), outcomes=random.random(20_000) < score(amounts)
)

telemetry = dl.configure_otlp("late-payment")
# Both variants use one reference, so that their predictions are counted in the same bins.
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
    """Predict with the baseline."""
    with baseline.prediction(features) as call:
        call.output = score(features["amount"])
    orders[baseline, call.id] = features["amount"]
    return call.output


def predict_new(features: dict[str, float]) -> float:
    """Predict with the candidate, which fails on small amounts."""
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
    with contextlib.suppress(LookupError):  # the candidate's monitor has counted the error
        predict(features)
    # Labels arrive later than predictions.
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
# A canary has no state after its end, so send the verdict before.
telemetry.force_flush()
for monitor in (baseline, candidate):
    monitor.shutdown()
telemetry.shutdown()
