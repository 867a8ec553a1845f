"""
The processes that serve one model, evaluated together by the counts that they export.

`FleetReader` reads the counts of all processes from a store as blocks of time, and `FleetJudge` evaluates them with the
code with which a monitor evaluates its own windows. ``driftline judge`` does both. `PrometheusSource` is a store, and a
`Grid` the borders of its blocks.
"""

from __future__ import annotations

from driftline._backends.access import Access
from driftline._backends.counts import Grid
from driftline._backends.prometheus import PrometheusSource
from driftline.fleet._blocks import Blocks
from driftline.fleet._counts import FleetReader, FleetReading
from driftline.fleet._judge import FleetJudge, FleetResult
from driftline.fleet._processes import FleetModel, find_processes

__all__ = [
    "Access",
    "Blocks",
    "FleetJudge",
    "FleetModel",
    "FleetReader",
    "FleetReading",
    "FleetResult",
    "Grid",
    "PrometheusSource",
    "find_processes",
]
