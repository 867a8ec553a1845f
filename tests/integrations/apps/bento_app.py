"""A service of BentoML that logs with ``bentoml.monitor``, and has no line of driftline."""

from __future__ import annotations

import time

import bentoml


@bentoml.service
class Delay:
    """Predicts delays."""

    @bentoml.api
    def plain(self, x: float, channel: str) -> float:
        """Predict in a thread."""
        if x == 77.0:
            time.sleep(1.5)
        result = x / 100.0
        with bentoml.monitor("m") as m:
            m.log(x, "x", "feature", "numerical")
            m.log(channel, "channel", "feature", "categorical")
            m.log(result, "prediction", "prediction", "numerical")
            m.log(1, "actual", "target", "numerical")
        return result

    @bentoml.api
    async def batch(self, x: list[float], channel: list[str]) -> list[float]:
        """Predict several rows on the event loop."""
        result = [each / 100.0 for each in x]
        with bentoml.monitor("m") as m:
            m.log_batch(x, "x", "feature", "numerical")
            m.log_batch(channel, "channel", "feature", "categorical")
            m.log_batch(result, "prediction", "prediction", "numerical")
        return result
