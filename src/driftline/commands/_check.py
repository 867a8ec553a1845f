"""`driftline check` compares the rows of a file with a reference."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from driftline._binning.bins import PREDICTION
from driftline._files.evaluation import ALPHA, TableCheck, check_batches, rule_of
from driftline._files.tables import TableFile
from driftline._runtime.output import say
from driftline.commands._junit import write_junit
from driftline.commands._report import add_data_arguments, captured_columns, file_report
from driftline.commands._state_table import (
    EXIT_CODES,
    print_document,
    print_states,
    score_documents,
    state_documents,
    worst_first,
)
from driftline.errors import ConfigurationError
from driftline.reference import Reference

__all__ = ["add_arguments", "run"]

SCHEMA_VERSION = 1
"""Version of the form of the JSON."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Compare the rows of a file with a reference: csv, Parquet, Arrow or JSON lines, or a folder of them. The exit "
        "code is 0 if no feature drifts, 1 if any does, and 2 if that is not known of a feature, as with few rows."
    )
    add_data_arguments(parser)
    parser.add_argument(
        "--alpha",
        metavar="P",
        type=float,
        default=ALPHA,
        help=f"probability that any feature drifts if none does (default {ALPHA:g}, at most 0.05)",
    )
    parser.add_argument("--min-effect", metavar="PSI", type=float, default=0.05, help="FalseAlarms(min_effect=...)")
    parser.add_argument("--labels", action="store_true", help="name categories in reasons")
    parser.add_argument("--html", metavar="FILE", help="also write a page, for which all rows are read into memory")
    parser.add_argument("--junit", metavar="FILE", help="also write the features as tests in the form of JUnit")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Compare the file, print the result, and return the exit code of its state."""
    reference = Reference.load(options.reference)
    file = TableFile.open(options.data, options.format)
    result = _check(reference, file, options)
    if options.junit is not None:
        write_junit(options.junit, f"driftline check {options.data}", dict(worst_first(result.features)))
    if options.html is not None:
        page = file_report(
            reference,
            file,
            predictions=options.predictions,
            rule=rule_of(options.alpha, options.min_effect),
            shuffled=options.shuffled,
            labels=options.labels,
        )
        page.save(options.html)
    if options.json:
        print_document(_document(result))
    else:
        say(f"{options.data}: {result.words}", sys.stdout)
        for note in _notes(reference, result):
            say(note, sys.stderr)
        print_states(result.features)
    return EXIT_CODES[result.state]


def _check(reference: Reference, file: TableFile, options: argparse.Namespace) -> TableCheck:
    """
    Return the result.

    Raises:
        ConfigurationError: the file is empty or damaged, has none of the features, or an argument has a wrong value.
    """
    predictions: str | None = options.predictions
    if predictions is not None:
        file.require([predictions])
    read = file.known_columns(captured_columns(reference))

    def batches() -> Iterator[tuple[Any, Any]]:
        for batch in file.batches([*read, *([predictions] if predictions and predictions not in read else [])]):
            yield batch.select(read), None if predictions is None else batch.column(predictions)

    rows = file.count_rows()
    if not rows:
        msg = f"{file.path}: no rows, expected at least one"
        raise ConfigurationError(msg)
    return check_batches(
        reference,
        batches(),
        rows,
        alpha=options.alpha,
        min_effect=options.min_effect,
        labels=options.labels,
        shuffled=options.shuffled,
        absent=[name for name in reference.columns if name not in file.columns],
    )


def _notes(reference: Reference, result: TableCheck) -> Iterator[str]:
    """Yield what the states do not show."""
    if result.absent:
        yield f"columns {list(result.absent)} are absent, and count as missing values"
    if reference.prediction is not None and PREDICTION not in result.features:
        yield "the reference has predictions, which are not compared without --predictions"
    if reference.seasons is not None and reference.seasons.kinds:
        yield "the seasons of the reference are not used: rows of a part of the day or week differ from all of it"


def _document(result: TableCheck) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "state": result.state,
        "rows": result.rows,
        "alpha": result.alpha,
        "absent": list(result.absent),
        "features": state_documents(result.features),
        "scores": score_documents(result.scores),
    }
