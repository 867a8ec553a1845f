"""A FastAPI service with an instrumented predict function and an endpoint for outcomes.

Install and start::

    pip install 'driftline[otlp]' fastapi uvicorn
    uvicorn fastapi_service:app --app-dir examples

Request a prediction, and send its outcome later::

    curl -s localhost:8000/predict -H 'content-type: application/json' -d '{"amount": 40, "age": 33}'
    curl -s localhost:8000/outcome/<id> -H 'content-type: application/json' -d '{"late": true}'
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

import driftline as dl


class Order(BaseModel):
    """The input of the model."""

    amount: float
    age: int


class Prediction(BaseModel):
    """The answer; its id joins the outcome, which may arrive days later."""

    id: str
    late: float


class Outcome(BaseModel):
    """The actual label of an order."""

    late: bool


def fit_reference() -> dl.Reference:
    """Fit a reference; a real service uses ``Reference.load("orders.reference.json")``."""
    random = np.random.default_rng(seed=0)
    amount, age = random.lognormal(3.0, 1.0, 20_000), random.integers(18, 90, 20_000)
    late = amount / (amount + 40.0)
    return dl.Reference.fit({"amount": amount, "age": age}, predictions=late, outcomes=random.random(20_000) < late)


telemetry = dl.configure_otlp("orders-api")
monitor = dl.Monitor("orders", version="3", reference=fit_reference(), window=dl.Window("10min", every="1min"))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Export the rest when the server stops."""
    yield
    monitor.shutdown()
    telemetry.shutdown()


app = FastAPI(lifespan=lifespan)


# The features are the fields of `order`, and the output is the field `late` of the answer.
@monitor.instrument(
    features=lambda order, **_: order,
    output=lambda answer: answer.late,
    prediction_id=lambda _, prediction_id: prediction_id,
)
async def predict_late(order: Order, *, prediction_id: str) -> Prediction:
    """Your model."""
    return Prediction(id=prediction_id, late=order.amount / (order.amount + 40.0))


@app.post("/predict")
async def predict(order: Order) -> Prediction:
    """Predict whether an order will be paid late."""
    return await predict_late(order, prediction_id=uuid.uuid4().hex)


@app.post("/outcome/{prediction_id}", status_code=204)
async def outcome(prediction_id: str, label: Outcome) -> None:
    """Record the outcome of a prediction."""
    monitor.outcome(prediction_id, label.late)


@app.get("/drift")
async def drift() -> dict[str, str]:
    """Return the states; the backend has them as ``ml.feature.drift.status``."""
    return {name: f"{feature.state}: {feature.reason}" for name, feature in monitor.status().items()}
