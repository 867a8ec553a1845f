"""
Trains the model of the example on recent data, registers it with its reference, and moves the alias `champion`.

    python mlflow_train.py REQUEST MODEL VERSION

The data are those of the file RETRAINING_DATA: a table with the columns `age`, `amount` and `late`.
"""

from __future__ import annotations

import os
import sys

import mlflow
import pandas as pd
from sklearn.linear_model import LogisticRegression

import driftline as dl

FEATURES = ["age", "amount"]


def train(name: str, note: str) -> str:
    """Train and register a version of a model, and return its number."""
    table = pd.read_csv(os.environ["RETRAINING_DATA"])
    features, late = table[FEATURES], table["late"]
    model = LogisticRegression().fit(features, late)
    reference = dl.Reference.fit(features, predictions=model.predict(features), outcomes=late)
    with mlflow.start_run(run_name=note):
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            signature=mlflow.models.infer_signature(features, late),
            pip_requirements=["scikit-learn"],
            **dl.mlflow.carry(reference),
        )
    version = str(logged.registered_model_version)
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", version)
    return version


if __name__ == "__main__":
    request, model_name, before = sys.argv[1:]
    print(f"{request}: version {before} is followed by {train(model_name, request)}")
