"""A deployment of Ray Serve, whose monitor travels to the replicas in a pickle, and a program that asks it."""

from __future__ import annotations

import asyncio
import os
import sys

import ray
from ray import serve

import driftline as dl
from driftline.integrations.ray_serve import flushing

monitor = dl.Monitor("m", reference=os.environ["SERVICE_REFERENCE"], export_bins=True)


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0.1})
@flushing
class Delay:
    """Predicts delays."""

    def __init__(self, scale):
        self.scale = scale

    @monitor.instrument
    async def predict(self, features):
        """Predict one row."""
        await asyncio.sleep(0.01)
        return features["x"] / self.scale


def row(turn):
    """Return the features of one request."""
    return {"x": float(turn % 100), "channel": ("web", "shop", "phone")[turn % 3]}


if __name__ == "__main__":
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=80_000_000)
    handle = serve.run(Delay.bind(100.0))
    responses = [handle.predict.remote(row(turn)) for turn in range(int(sys.argv[1]))]
    assert [response.result() for response in responses] == [turn % 100 / 100.0 for turn in range(len(responses))]
    print("answered", monitor.snapshot().rows, flush=True)
    serve.shutdown()
    ray.shutdown()
