"""What evaluates a simulated fleet: one judge of the summed counts, or a monitor in each pod."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pods import FEATURES, WINDOW_SECONDS

import driftline as dl
from driftline._binning.layout import Layout
from driftline.fleet import Blocks, FleetJudge
from driftline.testing import ManualClock, in_memory_monitor

__all__ = ["SIDES", "Alone", "Together", "fit_reference"]

Floats = NDArray[np.float64]

REFERENCE_ROWS = 20_000
BLOCKS = 8
"""Blocks of time in a window."""

WINDOW = dl.Window(WINDOW_SECONDS)


def fit_reference(random: np.random.Generator) -> dl.Reference:
    """Return a reference of independent rows, such as a random sample of many weeks is."""
    return dl.Reference.fit({f"f{index}": random.normal(size=REFERENCE_ROWS) for index in range(FEATURES)})


class Alone:
    """
    A monitor in each pod, with a separate budget.

    Args:
        reference: the reference of the model.
        pods: number of pods.

    Attributes:
        judges: number of monitors.
        drifting: the pod and the name of each feature that drifts.
        undecided: features with the state `insufficient_data`, over all pods.
    """

    def __init__(self, reference: dl.Reference, pods: int) -> None:
        self._clock = ManualClock()
        self._monitors = [
            in_memory_monitor(
                "fleet",
                reference=reference,
                window=WINDOW,
                rule=dl.FalseAlarms(1, per="30d"),
                distances=(),
                clock=self._clock,
            )
            for _ in range(pods)
        ]
        self.judges = pods
        self.drifting: frozenset[tuple[int, str]] = frozenset()
        self.undecided = 0

    def feed(self, rows: Floats) -> None:
        """Serve the rows of a window, shape (features, pods, rows of a pod), and evaluate it."""
        for block in np.array_split(rows, BLOCKS, axis=2):
            for pod, monitor in enumerate(self._monitors):
                monitor.observe({f"f{index}": block[index, pod] for index in range(FEATURES)})
            self._clock.advance(WINDOW_SECONDS / BLOCKS)
        states = [(pod, monitor.status()) for pod, monitor in enumerate(self._monitors)]
        self.drifting = frozenset(
            (pod, name) for pod, status in states for name, each in status.items() if each.state == "drifting"
        )
        self.undecided = sum(each.state == "insufficient_data" for _, status in states for each in status.values())

    def close(self) -> None:
        """Shut the monitors down."""
        for monitor in self._monitors:
            monitor.shutdown()


class Together:
    """
    The judge of a fleet, fed with the counts of all pods in blocks of time. Its attributes are those of `Alone`.

    Args:
        reference: the reference of the model.
        pods: number of pods.
    """

    def __init__(self, reference: dl.Reference, pods: int) -> None:
        self._pods = pods
        self._layout = Layout(reference.watched)
        self._judge = FleetJudge(reference, WINDOW, dl.FalseAlarms(1, per="30d"), distances=())
        self._start = 0.0
        self.judges = 1
        self.drifting: frozenset[tuple[int, str]] = frozenset()
        self.undecided = 0

    def feed(self, rows: Floats) -> None:
        """Serve the rows of a window, shape (features, pods, rows of a pod), and evaluate it."""
        counts = np.array(
            [
                self._layout.count(list(block.reshape(FEATURES, -1)), self._pods * block.shape[2])
                for block in np.array_split(rows, BLOCKS, axis=2)
            ]
        )
        exporting, whole = np.full(BLOCKS, self._pods), np.ones(BLOCKS, dtype=np.bool_)
        blocks = Blocks(self._start, self._judge.step, counts, exporting, whole)
        self._judge.feed(blocks)
        self._start = blocks.end
        states = self._judge.result().features
        self.drifting = frozenset((0, name) for name, each in states.items() if each.state == "drifting")
        self.undecided = sum(each.state == "insufficient_data" for each in states.values())

    def close(self) -> None:
        """Do nothing: a judge registers nowhere."""


SIDES: dict[str, Any] = {"together": Together, "alone": Alone}
