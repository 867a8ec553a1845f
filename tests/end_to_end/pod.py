"""A pod: a FastAPI service that serves one version of a model, as users write it."""

from __future__ import annotations

import argparse
import itertools
from contextlib import suppress

import numpy as np
import uvicorn
from fastapi import FastAPI

import driftline as dl


def main():
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--baseline", action="store_true", help="serve the baseline of a canary, not the candidate")
    parser.add_argument("--failing", type=int, help="every call of this number raises")
    parser.add_argument("--wrong", type=float, help="share of the predictions that turn out to be wrong immediately")
    asked = parser.parse_args()

    dl.configure_otlp("checkout")
    random = np.random.default_rng(asked.port)
    reference = dl.Reference.fit(
        {"amount": np.random.default_rng(0).normal(10.0, 2.0, 2_000)},
        predictions=np.random.default_rng(1).uniform(size=2_000),
    )
    monitor = dl.Monitor("checkout", version=asked.version, reference=reference)
    # The id comes from DRIFTLINE_CANARY_ID.
    dl.Canary(**{"baseline" if asked.baseline else "candidate": monitor}, export=True)
    app = FastAPI()
    calls_so_far = itertools.count(1)

    @monitor.instrument
    def predict(features):
        if asked.failing is not None and next(calls_so_far) % asked.failing == 0:
            message = "no such customer"
            raise KeyError(message)
        return float(random.uniform())

    @app.post("/predict")
    def serve(calls: int = 1):
        for amount in random.normal(10.0, 2.0, calls).tolist():
            if asked.wrong is not None:
                with monitor.prediction({"amount": amount}) as prediction:
                    prediction.output = 0.9
                monitor.outcome(prediction.id, random.uniform() >= asked.wrong)
                continue
            with suppress(KeyError):
                predict({"amount": amount})

    uvicorn.run(app, host="127.0.0.1", port=asked.port, log_level="warning")


if __name__ == "__main__":
    main()
