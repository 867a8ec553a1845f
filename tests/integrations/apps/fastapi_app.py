"""A service of FastAPI: routes of several kinds, whose monitor flushes in the lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel

import driftline as dl
from driftline.integrations.fastapi import instrument, lifespan

if os.environ.get("SERVICE_SETUP", "import") == "import":
    dl.configure_otlp()
monitor = dl.Monitor("m", reference=os.environ["SERVICE_REFERENCE"], export_bins=True)


class Features(BaseModel):
    """The features of a row."""

    x: float
    channel: str


class Delay(BaseModel):
    """An answer."""

    probability: float
    model: str = "m"


@contextlib.asynccontextmanager
async def model(app):
    """The lifespan of the application."""
    if os.environ.get("SERVICE_SETUP") == "lifespan":
        dl.configure_otlp()
    yield {"scale": 100.0}


app = FastAPI(lifespan=lifespan(model))


def token(request: Request) -> str:
    """Return what a dependency makes of the request."""
    return request.headers.get("token", "")


@app.post("/single")
@instrument(monitor, output="probability")
async def single(request: Request, features: Features, who: Annotated[str, Depends(token)]) -> Delay:
    """Predict one row, async."""
    await asyncio.sleep(0)
    return Delay(probability=features.x / request.state.scale)


@app.post("/plain")
@instrument(monitor)
def plain(features: Features) -> float:
    """Predict one row in a thread."""
    return features.x / 100.0


@app.post("/slow")
@instrument(monitor)
def slow(features: Features) -> float:
    """Predict one row in a thread, for so long that the stop comes first."""
    time.sleep(1.5)
    return features.x / 100.0


@app.post("/batch")
@instrument(monitor, output="probability")
async def batch(rows: list[Features]) -> list[Delay]:
    """Predict several rows."""
    return [Delay(probability=row.x / 100.0) for row in rows]


@app.post("/failing")
@instrument(monitor)
async def failing(features: Features) -> float:
    """Fail as services do."""
    raise HTTPException(503, "no model")
