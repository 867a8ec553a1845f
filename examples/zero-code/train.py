"""Train a model that brings its monitor. The line with ``carry`` is the only one of driftline.

Install and start::

    pip install 'driftline[otlp]' scikit-learn fastapi uvicorn
    python examples/zero-code/train.py delay.joblib
"""

from __future__ import annotations

import sys

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

import driftline as dl

random = np.random.default_rng(seed=0)
columns = {"distance": random.lognormal(6.5, 0.6, 20_000), "departure_delay": random.normal(12.0, 30.0, 20_000)}
rows = np.column_stack([*columns.values()])
late = rows[:, 1] + random.normal(0.0, 15.0, len(rows)) > 15.0  # noqa: PLR2004 - minutes
model = LogisticRegression().fit(rows, late)

dl.carry(model, dl.Reference.fit(columns, predictions=model.predict(rows)))
joblib.dump(model, sys.argv[1] if len(sys.argv) > 1 else "delay.joblib")
