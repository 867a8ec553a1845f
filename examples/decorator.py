"""The smallest service: a decorated predict function that exports metrics through OTLP.

`OTEL_EXPORTER_OTLP_ENDPOINT` is the collector's address, by default http://localhost:4318. Without a collector the
exporter logs a warning and predictions continue. Install with ``pip install 'driftline[otlp]'``.
"""

from __future__ import annotations

import numpy as np

import driftline as dl

random = np.random.default_rng(seed=0)


def train() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return made-up training data, and the model's predictions for it."""
    features = {"amount": random.lognormal(3.0, 1.0, 20_000), "age": random.integers(18, 90, 20_000)}
    return features, features["amount"] / (features["amount"] + 20.0)


# Once, where the training data is. The file holds bins and counts only.
X_train, p_train = train()
dl.Reference.fit(X_train, predictions=p_train).save("orders.reference.json")

# Once, at start-up.
telemetry = dl.configure_otlp("orders")
monitor = dl.Monitor("orders", version="3", reference="orders.reference.json", window=dl.Window(rows=2_000))


@monitor.instrument
def predict(features: dict[str, float]) -> float:
    """Your model."""
    return features["amount"] / (features["amount"] + 20.0)


# Serving. After half of the calls the customers are twenty years older.
for aged in [0] * 6_000 + [20] * 6_000:
    predict({"amount": float(random.lognormal(3.0, 1.0)), "age": int(random.integers(18, 90)) + aged})

# The states that a collector receives are available here, too.
for name, feature in monitor.status().items():
    print(f"{name:<12}{feature.state:<12}{feature.reason}")
monitor.shutdown()
telemetry.shutdown()
