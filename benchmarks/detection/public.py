"""
Public streams whose changes are known or can be known, month by month, each alarm with its reason.

    python benchmarks/detection/public.py --data FOLDER [--stream stops] [--effect 0]

`public_data.py` writes the folder. The rows of a stream until some day are the training data, in their order. The rest
is served in windows of rows, as in a monitor with a budget of one false alarm in thirty days.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lumpy import can_run
from public_known import KNOWN
from rules_driftline import DEFAULT, RULES, Watch, fit

__all__ = ["STREAMS", "Stream", "month_marks", "serve"]

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Stream:
    """
    A public stream.

    Args:
        name: the name of its file.
        title: what its rows are.
        until: the first day after the training data. A number is a number of rows.
        rows: rows of a window.
        every: about how often such a window ends.
        cluster: the column that says whose rows belong together. The others are features.
        by_key: whether the monitor gets this column.
    """

    name: str
    title: str
    until: str | int
    rows: int
    every: str
    cluster: str | None = None
    by_key: bool = False

    @property
    def label(self) -> str:
        """The name in the tables."""
        return f"{self.name}, by {self.cluster}" if self.by_key else self.name


STREAMS = (
    Stream("stops", "police stops in Minneapolis, 2017", "2017-04-01", 500, "3d"),
    Stream("storms", "positions of Atlantic storms, 1975 to 2022", "1990-01-01", 250, "7d", "storm"),
    Stream("storms", "positions of Atlantic storms, 1975 to 2022", "1990-01-01", 250, "7d", "storm", by_key=True),
    Stream("tests", "COVID-19 tests of a children's hospital, 2020", "2020-03-28", 500, "3d"),
    Stream("pizzas", "pizzas sold in 2015 (synthetic)", "2015-03-01", 1_000, "7d", "order"),
    Stream("pizzas", "pizzas sold in 2015 (synthetic)", "2015-03-01", 1_000, "7d", "order", by_key=True),
    Stream("tweets", "tweets of one account, 2012 to 2018", "2012-12-01", 250, "7d"),
    Stream("housing", "census blocks of California, by county", 7_032, 350, "1h"),
)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _date(day: float) -> str:
    return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"


def _columns(table: pd.DataFrame) -> dict[str, Any]:
    return {name: table[name].to_numpy() for name in table.columns}


def serve(stream: Stream, folder: Path, rule: str = DEFAULT) -> dict[str, Any]:
    """
    Serve a stream to a monitor.

    Returns:
        The alarms with their reasons, and for each month and feature the share of windows in each state.
    """
    table = pd.read_csv(folder / f"{stream.name}.csv", low_memory=False)
    days = table.pop("day").to_numpy(dtype=np.float64, copy=True)
    if stream.cluster and not stream.by_key:
        table = table.drop(columns=stream.cluster)
    if isinstance(stream.until, int):
        first = stream.until
        days /= 24.0  # a row has no time: take the rows as hours
    else:
        begin = datetime.fromisoformat(stream.until).replace(tzinfo=timezone.utc).timestamp() / DAY
        first = int(np.searchsorted(days, begin))
    numbers = table.select_dtypes("number").columns
    categorical = [name for name in table if name not in numbers and name != stream.cluster]
    reference = fit(_columns(table[:first]), categorical, cluster=stream.cluster if stream.by_key else None)
    watch = Watch(reference, stream.rows, RULES[rule], stream.every)
    alarms: list[dict[str, Any]] = []
    states: Counter[tuple[str, str, str]] = Counter()
    last = days[first]
    for start in range(first, len(table) - stream.rows + 1, stream.rows):
        end = days[start + stream.rows - 1]
        result = watch.feed(_columns(table[start : start + stream.rows]), max(1.0, float(end - last) * DAY))
        last = end
        date = f"row {start + stream.rows:6,}" if isinstance(stream.until, int) else _date(end)
        alarms += [
            {"stream": stream.label, "seen at": date, "feature": name, "reason": watch.reason(name)}
            for name in result.started
        ]
        for name in set(table.columns) - {stream.cluster}:
            state = "drifting" if name in result.drifting else "cannot tell" if name in result.undecided else "stable"
            states[date[:7], name, state] += 1
    reasons = {name: watch.reason(name) for name in sorted(result.undecided)}
    watch.close()
    return {
        "stream": stream.label,
        "rule": rule,
        "training rows": first,
        "alarms": alarms,
        "reasons": reasons,
        "months": [
            {"month": month, "feature": name, "state": state, "windows": count}
            for (month, name, state), count in sorted(states.items())
        ],
    }


def month_marks(months: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """
    Return a mark for each month of each feature, by its name.

    D: it drifts in half of the windows of the month or more; d: in fewer; ?: it is *cannot tell* in half or more; a dot
    for the rest.
    """
    states: dict[str, dict[str, Counter[str]]] = {}
    for month in months:
        by_month = states.setdefault(month["feature"], {})
        by_month.setdefault(month["month"], Counter())[month["state"]] += month["windows"]
    return {name: "".join(_mark(counts) for _, counts in sorted(by_month.items())) for name, by_month in states.items()}


def _mark(counts: Counter[str]) -> str:
    half = counts.total() / 2.0
    if counts["drifting"]:
        return "D" if counts["drifting"] >= half else "d"
    return "?" if counts["cannot tell"] >= half else "."


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the alarms of the streams, and which features drift in which months."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stream", default="all")
    parser.add_argument("--effect", choices=("0", "default"), default="default")
    parser.add_argument(
        "--keep", type=Path, help="a folder to which the results are written as JSON, one file a stream"
    )
    parser.add_argument("--page", type=Path, help="a page to write from the results that --keep has, of all streams")
    options = parser.parse_args(arguments)
    if options.page:
        from public_page import write_public_page  # noqa: PLC0415 - it imports this module

        stored = [options.keep / f"{stream.label}.json" for stream in STREAMS]
        write_public_page([json.loads(file.read_text("utf-8")) for file in stored if file.exists()], options.page)
        return
    rule = next(rule for rule in RULES if rule.replace("least effect", "").strip() == options.effect)
    for stream in STREAMS:
        if options.stream not in ("all", stream.name) or not can_run(stream.cluster if stream.by_key else None):
            continue
        served = serve(stream, options.data, rule)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{stream.label}.json").write_text(json.dumps(served), encoding="utf-8")
        print(f"== {stream.label}: {stream.title}; {served['training rows']:,} training rows, windows of {stream.rows}")
        for alarm in served["alarms"]:
            print(f"{alarm['seen at']}  {alarm['feature']:28} {alarm['reason']}")
        for name, marks in month_marks(served["months"]).items():
            print(f"            {name:28} {marks}")
        for known in KNOWN[stream.name]:
            print(f"known: {known.when}, {known.features}: {known.what} [{known.source}]")
        for name, reason in served["reasons"].items():
            print(f"at the end: {name:28} {reason}")


if __name__ == "__main__":
    main()
