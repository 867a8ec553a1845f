"""A model server of KServe."""

from __future__ import annotations

import os
import sys

import kserve

import driftline as dl
from driftline.integrations.kserve import monitored

monitor = dl.Monitor("m", reference=os.environ["SERVICE_REFERENCE"], export_bins=True)


@monitored(monitor)
class Delay(kserve.Model):
    """Predicts delays."""

    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        """Predict the rows of a request, of either protocol."""
        if isinstance(payload, dict):
            return {"predictions": [row["x"] / 100.0 for row in payload["instances"]]}
        (x,) = [each for each in payload.inputs if each.name == "x"]
        values = [float(value) / 100.0 for value in x.data]
        output = kserve.InferOutput("delay", [len(values)], "FP64", values)
        return kserve.InferResponse(payload.id or "1", "m", [output])


if __name__ == "__main__":
    kserve.ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=int(sys.argv[2])).start([Delay("m")])
