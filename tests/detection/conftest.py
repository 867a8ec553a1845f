"""Fixtures of the tests of detection."""

from __future__ import annotations

import pytest

from driftline.detection import Evidence


@pytest.fixture
def recording_rule():
    """Return a function that makes a rule of some window lengths, which keeps each `Look` in ``looks``."""

    class Recording:
        distances = ()
        min_rows = 1
        tests = False

        def __init__(self, *lengths):
            self.lengths, self.looks = lengths, []

        def prepare(self, features, layout, window):
            def evaluate(look):
                self.looks.append(look)
                return tuple(Evidence(False, False, None, 0.0, look.window.rows, "") for _ in features)

            return evaluate

    return Recording
