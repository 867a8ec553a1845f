"""Train a model, and log it with its reference. The line with ``carry`` is the only one of driftline.

Install, train and serve::

    pip install 'driftline[otlp]' mlflow scikit-learn pandas opentelemetry-distro opentelemetry-exporter-otlp
    export MLFLOW_TRACKING_URI=sqlite:///mlflow.db
    python examples/zero-code/train_mlflow.py
    opentelemetry-instrument mlflow models serve -m models:/delay@champion --env-manager local
"""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

import driftline as dl
import driftline.mlflow

random = np.random.default_rng(seed=0)
rows = pd.DataFrame(
    {"distance": random.lognormal(6.5, 0.6, 20_000), "departure_delay": random.normal(12.0, 30.0, 20_000)}
)
late = rows["departure_delay"] + random.normal(0.0, 15.0, len(rows)) > 15.0  # noqa: PLR2004 - minutes
model = LogisticRegression().fit(rows, late)
predictions = model.predict(rows)

with mlflow.start_run():
    mlflow.sklearn.log_model(
        model,
        name="delay",
        registered_model_name="delay",
        signature=infer_signature(rows, predictions),
        **driftline.mlflow.carry(dl.Reference.fit(rows, predictions=predictions)),
    )
mlflow.MlflowClient().set_registered_model_alias("delay", "champion", "1")
