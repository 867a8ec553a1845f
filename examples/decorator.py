"""The smallest service: a decorated predict function whose metrics leave through OTLP.

Without a collector the exporter says so in the log and the predictions go on; `OTEL_EXPORTER_OTLP_ENDPOINT` says where
one is (http://localhost:4318 by default). Install with ``pip install 'driftline[otlp]'``.
"""

from __future__ import annotations

import numpy as np

import driftline as dl

random = np.random.default_rng(seed=0)


def train() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Stands in for your training data and your model's predictions on it."""
    features = {"amount": random.lognormal(3.0, 1.0, 20_000), "age": random.integers(18, 90, 20_000)}
    return features, features["amount"] / (features["amount"] + 20.0)


# Once, where the training data is. Only bins and counts are kept.
X_train, p_train = train()
dl.Reference.fit(X_train, predictions=p_train).save("orders.reference.json")

# Once, at start-up.
telemetry = dl.configure_otlp("orders")
monitor = dl.Monitor("orders", version="3", reference="orders.reference.json", window=dl.Window(rows=2_000))


@monitor.instrument
def predict(features: dict[str, float]) -> float:
    """Your model."""
    return features["amount"] / (features["amount"] + 20.0)


# Serving. Half-way the customers have become twenty years older: somebody has bought a newspaper ad.
for aged in [0] * 6_000 + [20] * 6_000:
    predict({"amount": float(random.lognormal(3.0, 1.0)), "age": int(random.integers(18, 90)) + aged})

# What a collector receives is here, too.
for name, feature in monitor.status().items():
    print(f"{name:<12}{feature.state:<12}{feature.reason}")
monitor.shutdown()
telemetry.shutdown()
