"""
Applies the default policy to public streams, and finds out for each request whether retraining at that time helped.

    git clone https://github.com/scikit-multiflow/streaming-datasets
    python benchmarks/retraining_study/study.py --data streaming-datasets [--keep results.json]

A request is followed: a model is trained on the days before it, as many as the first training had, and serves from
then on with its reference. Both models predict the following month. A month without a request is asked about in the
same way, but nothing changes then. A request to fix the pipeline is rejected, because the data are right. All is
seeded; a run takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from streams import DAY, STREAMS, Classifier, Stream

import driftline as dl

__all__ = ["Comparison", "compare", "markdown", "study"]

START = 1_356_998_400.0
"""Unix time of the first row of each stream, so that requests have dates: the first of January of 2013."""

QUANTILE = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    The accuracy of a retrained model and of the one before, on the same rows after the retraining.

    Attributes:
        day: the day of the retraining.
        old: the accuracy of the model before.
        new: the accuracy of the retrained model.
        lower: the lower end of the 95 % interval of the difference, from blocks of days.
        upper: the upper end.
        rows: the number of rows.
    """

    day: float
    old: float
    new: float
    lower: float
    upper: float
    rows: int

    @property
    def result(self) -> str:
        """What the retraining did."""
        return "better" if self.lower > 0 else "worse" if self.upper < 0 else "no difference"


def compare(stream: Stream, old: Classifier, new: Classifier, day: float) -> Comparison:
    """Compare two models in the days after a retraining."""
    rows = stream.rows(day, day + stream.after)
    columns, target = stream.part(rows), stream.target[rows]
    right = [(model.probabilities(columns) > 0.5) == target for model in (old, new)]
    gain = right[1].astype(float) - right[0]
    blocks = np.unique(stream.seconds[rows] // (stream.block * DAY), return_inverse=True)[1]
    difference = float(gain.mean())
    sums = np.bincount(blocks, gain - difference)
    error = QUANTILE * float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1))) / len(gain)
    return Comparison(
        day, float(right[0].mean()), float(right[1].mean()), difference - error, difference + error, len(gain)
    )


def retrained(stream: Stream, day: float) -> tuple[Classifier, dl.Reference]:
    """Return a model of the days before a day, and its reference."""
    rows = stream.rows(day - stream.training, day)
    model = Classifier(stream, rows)
    columns = stream.part(rows)
    # A model knows the rows that it was fitted to too well, so another one predicts a third of them.
    half = stream.rows(day - stream.training, day - stream.training / 3)
    held = stream.rows(day - stream.training / 3, day)
    check = Classifier(stream, half)
    predictions = np.full(rows.stop - rows.start, np.nan)
    predictions[held.start - rows.start :] = check.probabilities(stream.part(held))
    predictions[: half.stop - rows.start] = model.probabilities(stream.part(half))
    reference = dl.Reference.fit(
        columns, categorical=stream.categorical, predictions=predictions, outcomes=stream.target[rows].tolist()
    )
    return model, reference


def study(stream: Stream) -> dict[str, Any]:
    """Return the requests of the default policy with a comparison each, and the months without one."""
    queue = dl.RetrainingQueue()
    day = stream.training
    model, reference = retrained(stream, day)
    clock = [day]
    monitor = dl.Monitor(
        stream.name,
        version="1",
        reference=reference,
        window=dl.Window(stream.window),
        retraining=dl.RetrainingPolicy(queue=queue),
        clock=lambda: clock[0] * DAY,
        wall_clock=lambda: START + clock[0] * DAY,
        synchronous=True,
    )
    requests, quiet, fixes = [], [], []
    known = stream.rows(0, day).stop
    version, last, end = 1, day, float(stream.seconds[-1] / DAY) - stream.after
    while day < end:
        rows = stream.rows(day, day + stream.step)
        if rows.stop > rows.start:
            columns = stream.part(rows)
            monitor.observe(columns, model.probabilities(columns), prediction_ids=list(range(rows.start, rows.stop)))
        day += stream.step
        clock[0] = day
        labelled = stream.rows(0, day - stream.delay).stop
        if labelled > known:
            monitor.outcomes(list(range(known, labelled)), stream.target[known:labelled].tolist())
            known = labelled
        monitor.status()
        for request in queue.requests(states=("requested",)):
            if request.kind == "fix_pipeline":
                queue.move(request.id, "rejected", who="the study", comment="the data are as published")
                fixes.append({"day": day, "detail": request.detail})
                continue
            queue.move(request.id, "running", who="the study")
            following, reference = retrained(stream, day)
            comparison = compare(stream, model, following, day)
            requests.append(
                {**asdict(comparison), "result": comparison.result, "reason": request.reason, "detail": request.detail}
            )
            model, version, last = following, version + 1, day
            monitor.replace_reference(reference, version=str(version))
            known = labelled
        if day - last >= stream.after:
            following = Classifier(stream, stream.rows(day - stream.training, day))
            comparison = compare(stream, model, following, day)
            quiet.append({**asdict(comparison), "result": comparison.result})
            last = day
    monitor.shutdown()
    return {
        "stream": stream.name,
        "title": stream.title,
        "rows": len(stream.target),
        "days": end - stream.training,
        "after": stream.after,
        "requests": requests,
        "quiet": quiet,
        "fixes": fixes,
    }


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of the documentation: a summary, and every request."""
    lines = ["| stream | requests | better | no difference | worse | fixes | months without | of them better |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for result in results:
        counts = Counter(each["result"] for each in result["requests"])
        numbers = [len(result["requests"]), counts["better"], counts["no difference"], counts["worse"]]
        missed = sum(each["result"] == "better" for each in result["quiet"])
        numbers += [len(result["fixes"]), len(result["quiet"]), missed]
        lines.append(f"| {result['stream']} | {' | '.join(map(str, numbers))} |")
    lines += ["", "| stream | day | reason | before | after | difference, 95 % interval | result |"]
    lines.append("|---|---:|---|---:|---:|---:|---|")
    for result in results:
        for each in result["requests"]:
            interval = f"{100 * each['lower']:+.1f} to {100 * each['upper']:+.1f} points"
            result_words = each["result"] if each["result"] == "better" else f"**{each['result']}**"
            lines.append(
                f"| {result['stream']} | {each['day']:.0f} | {each['reason']} | {each['old']:.1%} | {each['new']:.1%} "
                f"| {interval} | {result_words} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the results, and keep them if asked to."""
    logging.getLogger("driftline").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of elec.csv and weather.csv")
    parser.add_argument("--stream", choices=["all", *STREAMS], default="all")
    parser.add_argument("--keep", type=Path, help="a file to which the results are written as JSON")
    options = parser.parse_args(arguments)
    results = []
    for name, stream_of in STREAMS.items():
        if options.stream not in ("all", name):
            continue
        result = study(stream_of(options.data))
        results.append(result)
        print(f"== {name}")
        for request in result["requests"]:
            print(
                f"request at day {request['day']:5.0f}: {request['old']:.1%} -> {request['new']:.1%} "
                f"({request['lower']:+.1%} .. {request['upper']:+.1%}) {request['result']:13} {request['reason']}: "
                f"{request['detail'][:100]}"
            )
        for fix in result["fixes"]:
            print(f"fix     at day {fix['day']:5.0f}: {fix['detail'][:140]}")
        for each in result["quiet"]:
            print(f"quiet   at day {each['day']:5.0f}: {each['old']:.1%} -> {each['new']:.1%} {each['result']}")
    print(markdown(results))
    if options.keep:
        options.keep.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
