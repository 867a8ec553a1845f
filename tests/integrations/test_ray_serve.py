"""Ray Serve: what replicas have answered has arrived after they were shut down."""

from __future__ import annotations

import sys

import cloudpickle
import pytest
from libraries import require
from servers import APPS, running

import driftline as dl
from driftline.integrations.ray_serve import flushing

CALLS = 101


@pytest.mark.system
def test_every_answer_has_arrived_after_the_shutdown(receiver, environment, tmp_path):
    """The export interval is an hour, so only the flush of a replica sends. The driver has served nothing."""
    require("ray.serve")
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": "/tmp"}  # noqa: S108 - paths of sockets are short
    with running([sys.executable, APPS / "ray_app.py", str(CALLS)], environment, tmp_path / "log") as server:
        server.process.wait(300)
    log = (tmp_path / "log").read_text()
    assert "answered 0" in log, log
    assert receiver.served() == CALLS, log
    assert receiver.observations("x") == receiver.observations("prediction") == CALLS
    assert len(receiver.instances()) == 2
    assert receiver.decreases == []


def test_the_class_stays_what_it_is(monkeypatch):
    """Its names, arguments, and a destructor that it has, plain or async."""
    import asyncio  # noqa: PLC0415 - of this test

    from driftline.integrations import ray_serve  # noqa: PLC0415 - its flush is replaced

    order = []
    monkeypatch.setattr(ray_serve, "flush", lambda: order.append("flush"))

    @flushing(setup=lambda: order.append("setup"))
    class Delay:
        """Predicts delays."""

        def __init__(self, scale):
            order.append(scale)

        def __del__(self):
            order.append("del")

    assert (Delay.__name__, Delay.__doc__) == ("Delay", "Predicts delays.")
    delay = Delay(3)
    delay.__del__()
    assert order == ["setup", 3, "del", "flush"]
    order.clear()

    @flushing(setup=None)
    class Ingress:
        async def __del__(self):
            order.append("async del")

    instance = Ingress()
    asyncio.run(instance.__del__())
    assert order == ["async del", "flush"]
    Ingress.__del__ = lambda self: None
    Delay.__del__ = lambda self: None
    assert cloudpickle.loads(cloudpickle.dumps(Delay)).__name__ == "Delay"
    with pytest.raises(dl.ConfigurationError, match=r"^flushing\(3\): expected a class, below @serve\.deployment"):
        flushing(3)
