"""Latency of a call while the collector is well, slow, refusing or gone, interleaved in one run, in microseconds."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from time import perf_counter_ns, sleep

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reliability"))

from otlp_receiver import Receiver

import driftline as dl

STATES = {"well": None, "slow (30 s)": "slow", "refusing (503)": 503, "reset": "reset", "gone": "gone"}
CALLS = 4_000
"""Calls of each kind in each round."""


def main() -> None:
    """Print a table: quantiles of a bare and of an instrumented call per state of the collector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    for name in ("opentelemetry", "urllib3", "driftline"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    os.environ.update(OTEL_METRIC_EXPORT_INTERVAL="200", OTEL_EXPORTER_OTLP_TIMEOUT="2", NO_PROXY="127.0.0.1")
    names = [f"f{number}" for number in range(20)]
    random = np.random.default_rng(0)
    reference = dl.Reference.fit({name: random.normal(size=2_000) for name in names})
    row = dict.fromkeys(names, 0.5)
    with Receiver() as receiver:
        dl.configure_otlp("faults", endpoint=receiver.endpoint)
        monitor = dl.Monitor("m", reference=reference)

        def bare(features: dict[str, float]) -> float:
            return features["f0"]

        kinds = {"bare": bare, "instrumented": monitor.instrument(bare)}
        taken: dict[tuple[str, str], list[int]] = {(state, kind): [] for state in STATES for kind in kinds}
        for _ in range(rounds):
            for state, fault in STATES.items():
                _change(receiver, fault)
                for kind, function in kinds.items():
                    into = taken[state, kind]
                    for _ in range(CALLS):
                        start = perf_counter_ns()
                        function(row)
                        into.append(perf_counter_ns() - start)
                if fault == "gone":
                    receiver.start()
        receiver.fault = None
    print(f"{'collector':16} {'call':14} {'p50':>8} {'p99':>8} {'p99.9':>8}   µs, {rounds * CALLS:,} calls each")
    for (state, kind), values in taken.items():
        p50, p99, p999 = np.quantile(values, [0.5, 0.99, 0.999]) / 1e3
        print(f"{state:16} {kind:14} {p50:8.2f} {p99:8.2f} {p999:8.2f}")
    sys.stdout.flush()
    os._exit(0)  # the receiver's threads may wait for clients that are gone


def _change(receiver: Receiver, fault: object) -> None:
    receiver.fault = None if fault == "gone" else fault
    if fault == "gone":
        receiver.kill()
    sleep(0.5)


if __name__ == "__main__":
    main()
