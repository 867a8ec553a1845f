"""A runtime of MLServer."""

from __future__ import annotations

import os

from mlserver import MLModel
from mlserver.types import InferenceResponse, ResponseOutput

import driftline as dl
from driftline.integrations.mlserver import monitored

monitor = dl.Monitor("m", reference=os.environ["SERVICE_REFERENCE"], export_bins=True)


@monitored(monitor)
class Delay(MLModel):
    """Predicts delays."""

    async def predict(self, payload):
        """Predict the rows of a request."""
        (x,) = [each for each in payload.inputs if each.name == "x"]
        values = [value / 100.0 for value in x.data]
        output = ResponseOutput(name="delay", shape=[len(values)], datatype="FP64", data=values)
        return InferenceResponse(model_name=self.name, outputs=[output])
