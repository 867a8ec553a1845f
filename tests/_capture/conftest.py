"""What the tests of columns read of a monitor."""

from __future__ import annotations

import pytest

from driftline.testing import Probe


@pytest.fixture
def counts():
    """A function: (rows served, rows dropped by reason, rows in the bins, errors by place), all rows being counted."""

    def read(monitor):
        monitor.status()
        totals = Probe(monitor).totals
        return totals.served, totals.dropped, totals.rows, dict(Probe(monitor).errors)

    return read
