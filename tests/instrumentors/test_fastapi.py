"""Routes that the configuration names are monitored, and apps flush when they stop."""

from __future__ import annotations

import asyncio
import contextlib

import fastapi
import httpx
import numpy as np
import pydantic
import pytest

import driftline as dl
from driftline.instrumentors import FastAPIInstrumentor


class Client:
    """Requests of an app within its lifespan, without a server."""

    def __init__(self, app):
        self._app = app
        self._loop = asyncio.new_event_loop()

    def __enter__(self):
        self._lifespan = self._app.router.lifespan_context(self._app)
        self._loop.run_until_complete(self._lifespan.__aenter__())
        transport = httpx.ASGITransport(app=self._app)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://app")
        return self

    def __exit__(self, *error):
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._lifespan.__aexit__(*error))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def get(self, path):
        """Return the answer to GET."""
        return self._loop.run_until_complete(self._client.get(path))

    def post(self, path, json):
        """Return the answer to POST."""
        return self._loop.run_until_complete(self._client.post(path, json=json))


FLIGHT = {"distance": 700.0, "delay": 3.0}


class Flight(pydantic.BaseModel):
    """The input of the model."""

    distance: float
    delay: float


class Answer(pydantic.BaseModel):
    """The answer."""

    late: float


@pytest.fixture
def reference_file(tmp_path):
    """A reference of flights."""
    random = np.random.default_rng(0)
    columns = {"distance": random.lognormal(6.5, 0.6, 2_000), "delay": random.normal(12.0, 30.0, 2_000)}
    path = tmp_path / "r.json"
    dl.Reference.fit(columns, predictions=random.random(2_000)).save(path)
    return str(path)


def make_app(prefix=""):
    """Return an app with a plain and an async route, and one that is not monitored."""
    app, router = fastapi.FastAPI(), fastapi.APIRouter(prefix=prefix)

    @router.post("/predict")
    def predict(flight: Flight) -> Answer:
        if flight.delay > 1000:
            raise fastapi.HTTPException(422, "no such delay")
        return Answer(late=flight.delay / 60)

    @router.post("/predict-later")
    async def predict_later(flight: Flight, urgent: bool = False) -> Answer:
        return Answer(late=flight.delay / 60 + urgent)

    @router.get("/health")
    def health() -> str:
        return "ok"

    app.include_router(router)
    return app


@pytest.mark.parametrize(("route", "prefix"), [("/predict", ""), ("/predict-later", ""), ("/v1/predict", "/v1")])
def test_a_configured_route_is_monitored(instrument, telemetry, reference_file, route, prefix):
    """Its answers, its errors and its documentation stay as they are."""
    plain = make_app(prefix)
    entry = {"name": "delay", "version": "2", "reference": reference_file, "route": route, "output": "late"}
    instrument(FastAPIInstrumentor, monitors=[entry])
    app = make_app(prefix)
    assert app.openapi() == plain.openapi()
    with Client(app) as client, Client(plain) as other:
        for flight in (FLIGHT, {"distance": 1.0}, {"distance": "far", "delay": 1}):
            answers = client.post(route, json=flight), other.post(route, json=flight)
            assert answers[0].status_code == answers[1].status_code
            assert answers[0].json() == answers[1].json()
        assert client.get(f"{prefix}/health").json() == "ok"
        if "later" in route:
            assert client.post(f"{route}?urgent=true", json=FLIGHT).json() == {"late": 1.05}
    rows = 2 if "later" in route else 1
    assert telemetry.value("ml.predictions.served", ml__model__name="delay", ml__model__version="2") == rows
    assert telemetry.value("ml.monitor.errors") is None


def test_an_error_of_the_endpoint_goes_on(instrument, telemetry, reference_file):
    """FastAPI answers it as before. It is a failed prediction."""
    instrument(FastAPIInstrumentor, monitors=[{"name": "m", "reference": reference_file, "route": "/predict"}])
    with Client(make_app()) as client:
        assert client.post("/predict", json={"distance": 1.0, "delay": 2000.0}).json() == {"detail": "no such delay"}
    assert telemetry.value("ml.predictions.served", error__type="fastapi.exceptions.HTTPException") == 1


def test_a_route_that_cannot_be_monitored_serves(instrument, telemetry, reference_file, caplog):
    """It has no body. The problem is counted under the name of the model."""
    instrument(FastAPIInstrumentor, monitors=[{"name": "m", "reference": reference_file, "route": "/health"}])
    with Client(make_app()) as client:
        assert client.get("/health").json() == "ok"
    assert telemetry.value("ml.monitor.errors", ml__model__name="m", ml__monitor__place="instrumentor") >= 1
    assert "expected body=" in caplog.text


def test_uninstrumenting_restores_the_classes(instrument, telemetry, reference_file):
    """An app that exists serves on without recording."""
    originals = vars(fastapi.routing.APIRoute)["__init__"], vars(fastapi.FastAPI)["__init__"]
    entry = {"name": "m", "reference": reference_file, "route": "/predict", "output": "late"}
    instrumentor = instrument(FastAPIInstrumentor, monitors=[entry])
    app = make_app()
    instrumentor.uninstrument()
    assert (vars(fastapi.routing.APIRoute)["__init__"], vars(fastapi.FastAPI)["__init__"]) == originals
    with Client(app) as client:
        assert client.post("/predict", json=FLIGHT).json() == {"late": 0.05}
    assert not telemetry.value("ml.predictions.served")


def test_the_lifespan_of_the_app_still_runs(instrument, monkeypatch):
    """The flush comes after its end."""
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(_):
        events.append("start")
        yield
        events.append("stop")

    instrument(FastAPIInstrumentor)
    monkeypatch.setattr("driftline.integrations.fastapi.flush", lambda: events.append("flush"))
    with Client(fastapi.FastAPI(lifespan=lifespan)) as client:
        assert client.get("/docs").status_code == 200
        assert events == ["start"]
    assert events == ["start", "stop", "flush"]
