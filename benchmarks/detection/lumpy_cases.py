"""The cases of lumpy traffic: a stream without drift, its training data, and the windows of the monitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import lumpy_streams as lumpy
import numpy as np
from lumpy_mixed import INDEPENDENT, KINDS, categories_of, mixed
from numpy.typing import NDArray
from streams import generator

__all__ = ["CASES", "Case", "Month", "draw_month", "matching"]

DAYS = 30
"""Days of a simulated month, the time of the budget of one false alarm. A window ends every hour."""

WEEKS_4 = 4 * 7 * 24 * lumpy.ROWS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Case:
    """
    Traffic and how it is watched.

    Args:
        key: the name of the case in commands, such as "D2a". The digits are those of the issue.
        name: what comes in, for the tables.
        draw: the stream.
        order: order of the training data. "time" keeps it, "shuffled" permutes it.
        rows: rows of a window.
        reference: rows of the training data.
        history: rows before the served ones that training data are a random sample of. If 0, all of them are taken.
        categorical: whether the features are categories, or the names of those that are.
        seasons: seasons that the reference profiles.
        cluster: the column that says whose rows belong together. If None, the monitor does not know.
        drifted: features of number 0 to this drift for good, and alarms of these are right. If 0, nothing drifts.
        aim: whether the aim of the issue applies.
        kinds: kinds of the features, if they are of several.
    """

    key: str
    name: str
    draw: lumpy.Draw
    order: str = "shuffled"
    rows: int = 1_000
    reference: int = 20_000
    history: int = 0
    categorical: bool | tuple[str, ...] = False
    seasons: tuple[str, ...] = ()
    cluster: str | None = None
    drifted: int = 0
    aim: bool = True
    kinds: tuple[str, ...] = ()

    def categories(self, names: Iterable[str]) -> list[str]:
        """Return which of the features are categories."""
        if isinstance(self.categorical, tuple):
            return [name for name in names if name in self.categorical]
        return [*names] if self.categorical else []


DRIFT_AFTER, DRIFT_BY = 48, 0.5
"""Windows before the true drift of D13, and its size in standard deviations."""


def _cases() -> Iterable[Case]:
    for key, size, reference in (("a", 1_000, 500), ("b", 1_000, 2_000), ("c", 1_000, 5_000), ("d", 5_000, 20_000)):
        name = f"{size:,} categories (Zipf), {reference:,} training rows"
        yield Case(f"D1{key}", name, lumpy.categories(size), reference=reference, categorical=True)
    yield Case("D1e", "identifiers", lumpy.identifiers, categorical=True)
    for key, order, fixed, shared in (
        ("a", "shuffled", True, False),
        ("b", "shuffled", False, False),
        ("c", "shuffled", False, True),
        ("d", "time", False, False),
    ):
        length = "states of 3,000 rows" if fixed else "states of 3,000 rows on average"
        name = f"two {length}{', the same for all features' if shared else ''}"
        yield Case(f"D2{key}", name, lumpy.states(3_000, fixed=fixed, shared=shared), order)
    yield Case("D3a", "AR(1) 0.99", lumpy.ar(0.99), rows=200)
    yield Case("D3b", "AR(1) 0.99", lumpy.ar(0.99))
    yield Case("D3c", "AR(1) 0.99", lumpy.ar(0.99), "time")
    yield Case("D3d", "AR(1) 0.95", lumpy.ar(0.95), rows=200)
    yield Case("D3e", "AR(1) 0.95", lumpy.ar(0.95))
    yield Case("D3f", "AR(1) 0.99, 5,000 training rows", lumpy.ar(0.99), rows=200, reference=5_000)
    several = lumpy.users(200)
    yield Case("D4a", "users of 1 to 200 rows", several)
    yield Case("D4b", "users of 1 to 200 rows", several, "time")
    yield Case("D4c", "users of 1 to 200 rows", several, rows=200)
    yield Case("D4d", "users of 1 to 200 rows, by key", several, cluster=lumpy.USER)
    interleaved = lumpy.users(200, interleaved=10_000)
    yield Case("D4e", "users of 1 to 200 rows, interleaved, by key", interleaved, cluster=lumpy.USER)
    pareto = lumpy.pareto_users(2_000)
    yield Case("D5a", "users of up to 2,000 rows (Pareto)", pareto)
    yield Case("D5b", "users of up to 2,000 rows (Pareto)", pareto, "time")
    yield Case("D5c", "users of up to 2,000 rows (Pareto), by key", pareto, cluster=lumpy.USER)
    asked = lumpy.panel(4, 0.015)
    yield Case("D6a", "people of 4 rows, yes in 1.5 %", asked, "time", categorical=True)
    yield Case("D6b", "people of 4 rows, yes in 1.5 %", asked, categorical=True)
    yield Case("D6c", "people of 4 rows, yes in 1.5 %, by key", asked, categorical=True, cluster=lumpy.USER)
    often, seldom = lumpy.outages(0.05, 50), lumpy.outages(0.005, 500)
    yield Case("D7a", "5 % missing in runs of 50", often, history=200_000)
    yield Case("D7b", "5 % missing in runs of 50", often, "time")
    yield Case("D8a", "0.5 % missing in runs of 500", seldom, history=200_000)
    yield Case("D8b", "0.5 % missing in runs of 500", seldom)
    for key, d in (("a", 0.3), ("c", 0.4)):
        for step, order in enumerate(("shuffled", "time")):
            name = f"long memory, d = {d}"
            yield Case(f"D9{chr(ord(key) + step)}", name, lumpy.long_memory(d), order, aim=d < 0.4)
    seasons = ("hour", "weekday")
    month = {"order": "time", "history": WEEKS_4, "reference": WEEKS_4 // 5, "seasons": seasons}
    yield Case("D10", "hour and weekday that add up", lumpy.additive_seasons, **month)  # type: ignore[arg-type]
    yield Case("D11", "a weekend with its own course of the day", lumpy.weekend, **month)  # type: ignore[arg-type]
    yield Case("D12", "AR(1) 0.95", lumpy.ar(0.95), "time")
    yield Case("D13", "ten of twenty features drift for good", lumpy.ar(0.0, 20), "time", drifted=10)
    several_kinds = {"categorical": categories_of(INDEPENDENT), "kinds": KINDS}
    for key, order, history, cluster in (
        ("a", "shuffled", 200_000, None),
        ("b", "time", 0, None),
        ("c", "shuffled", 200_000, lumpy.USER),
    ):
        name = f"features of ten kinds{', by key' if cluster else ''}"
        yield Case(f"M1{key}", name, mixed(), order, history=history, cluster=cluster, **several_kinds)  # type: ignore[arg-type]
    yield Case("H1", "independent rows", lumpy.ar(0.0))
    yield Case("H2", "AR(1) 0.9", lumpy.ar(0.9))


CASES = tuple(_cases())


def matching(keys: str) -> list[Case]:
    """Return the cases of some keys: "D2a,D9" is one case and all those of D9; "all" is every case."""
    wanted = keys.split(",")
    chosen = [case for case in CASES if keys == "all" or case.key in wanted or case.key.rstrip("abcdefgh") in wanted]
    if not chosen:
        message = f"--case: {keys!r} is none of {', '.join(case.key for case in CASES)}"
        raise SystemExit(message)
    return chosen


@dataclass(frozen=True, slots=True)
class Month:
    """The rows of a simulated month, and the training data before it."""

    training: dict[str, NDArray[Any]]
    times: NDArray[np.float64]
    """UNIX seconds of the rows of the training data."""
    served: dict[str, NDArray[Any]]
    began: float
    """UNIX seconds of the first row served."""

    def window(self, number: int, rows: int) -> dict[str, NDArray[Any]]:
        """Return the rows of a window."""
        return {name: column[number * rows : (number + 1) * rows] for name, column in self.served.items()}


def draw_month(case: Case, number: int, windows: int) -> Month:
    """Draw the training data and the rows of a month. The seed depends on the stream of the case and the number."""
    random = generator("lumpy", case.key, number)
    history = max(case.history, case.reference)
    columns = case.draw(random, history + windows * case.rows)
    chosen: NDArray[np.int64] = np.arange(history)
    if history > case.reference:
        chosen = np.sort(random.choice(history, case.reference, replace=False))
    if case.order == "shuffled":
        chosen = random.permutation(chosen)
    served = {name: column[history:] for name, column in columns.items() if name != lumpy.USER or case.cluster}
    for index in range(case.drifted):
        served[f"f{index}"][DRIFT_AFTER * case.rows :] += DRIFT_BY
    second = 3_600.0 / case.rows
    training: Mapping[str, Any] = {name: columns[name][chosen] for name in served}
    return Month(dict(training), chosen * second, served, history * second)
