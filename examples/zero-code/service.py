"""A service without a line of driftline.

Start it, and its model is monitored, because the model carries its reference::

    driftline run uvicorn service:app --app-dir examples/zero-code

``opentelemetry-instrument`` in place of ``driftline run`` does the same, with the OpenTelemetry distribution.
"""

from __future__ import annotations

import os

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ.get("MODEL", "delay.joblib"))
app = FastAPI()


class Flight(BaseModel):
    """The input of the model."""

    distance: float
    departure_delay: float


@app.post("/predict")
def predict(flight: Flight) -> dict[str, bool]:
    """Predict whether a flight arrives late."""
    return {"late": bool(model.predict([[flight.distance, flight.departure_delay]])[0])}
