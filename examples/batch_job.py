"""A nightly job that scores a data frame: one more line records it, and the job prints its scores before it ends.

Install with ``pip install 'driftline[otlp,pandas]'``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

import driftline as dl

random = np.random.default_rng(seed=0)


def customers(rows: int, *, phone: float) -> pd.DataFrame:
    """Return a made-up table; *phone* is the share of customers of the channel phone."""
    return pd.DataFrame(
        {
            "income": random.lognormal(10.0, 0.5, rows),
            "since": random.integers(0, 30, rows).astype(float),
            "channel": random.choice(["web", "phone"], rows, p=[1.0 - phone, phone]),
        }
    )


def predict(frame: pd.DataFrame) -> np.ndarray:
    """Your model: one prediction for each row."""
    return np.where(frame["channel"] == "web", 0.2, 0.6) + 0.01 * frame["since"].to_numpy()


training = customers(50_000, phone=0.1)
reference = dl.Reference.fit(training, predictions=predict(training))

# A job ends before the next export. `synchronous=True` needs no thread, and `shutdown` exports the rest.
telemetry = dl.configure_otlp("nightly-churn")
monitor = dl.Monitor("churn", version="2", reference=reference, window=dl.Window(rows=10_000), synchronous=True)

tonight = customers(30_000, phone=0.3)
for start in range(0, len(tonight), 5_000):
    part = tonight.iloc[start : start + 5_000]
    monitor.observe(part, predict(part))

monitor.flush()
for score in monitor.scores():
    corrected = "" if score.corrected is None else f" ({score.corrected:.3f} corrected)"
    print(f"{score.feature:<12}{score.distance:<12}{score.value:.3f}{corrected}, n = {score.rows}")
for name, feature in monitor.status().items():
    print(f"{name:<12}{feature.state:<12}{feature.reason}")
monitor.shutdown()
telemetry.shutdown()
