"""The tutorial of the documentation, up to an alert in the real Prometheus."""

from __future__ import annotations

import json
import os

import pytest
from walkthroughs import TUTORIAL, Command, agrees, alerts, steps, until, walk

pytestmark = pytest.mark.real


@pytest.mark.slow
def test_the_tutorial_ends_with_an_alert(tools, tmp_path):
    """The real Prometheus, with the files and commands of the page, fires the alert that the page shows."""
    with walk(tmp_path) as walking:
        walking.environment["PATH"] = f"{tools}{os.pathsep}{walking.environment['PATH']}"
        for step in steps(TUTORIAL):
            if not isinstance(step, Command):
                (tmp_path / step[0]).write_text(step[1], encoding="utf-8")
            elif step.line.startswith("curl"):
                assert until(lambda: any(alert["state"] == "firing" for alert in alerts(walking.port)))
                assert agrees(step.shown, json.dumps(alerts(walking.port)))
            else:
                walking.run(step)
        (alert,) = alerts(walking.port)
        text = (TUTORIAL).read_text(encoding="utf-8")
        assert f"`{alert['annotations']['description']}`" in text
