"""`driftline report` writes a page about the rows of a file, compared with a reference."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from driftline._files.tables import FORMATS, TableFile
from driftline._report import Report, report
from driftline._runtime.output import say
from driftline.commands._state_table import EXIT_CODES
from driftline.detection import Rule
from driftline.errors import ConfigurationError
from driftline.reference import Reference
from driftline.results import worst_state

__all__ = ["add_arguments", "add_data_arguments", "captured_columns", "file_report", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Write a page about the rows of a file, compared with a reference: csv, Parquet, Arrow or JSON lines, or a "
        "folder of them. The exit code is 0 if no feature drifts, 1 if any does, and 2 if that is not known of any."
    )
    add_data_arguments(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="the page (default DATA.html)")
    parser.add_argument("--outcomes", metavar="COLUMN", help="the true value")
    parser.add_argument("--title", metavar="TEXT", help="the title (default the name of the file)")
    parser.add_argument("--labels", action="store_true", help="name categories")
    parser.add_argument("--json", action="store_true", help="print the values as JSON; write a page only with -o")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which file is compared with which reference."""
    parser.add_argument("reference", metavar="REFERENCE", help="the file of the reference")
    parser.add_argument("data", metavar="DATA", help="the file or the folder")
    parser.add_argument("--format", choices=sorted(set(FORMATS.values())), help="the format, if the name does not say")
    parser.add_argument("--predictions", metavar="COLUMN", help="the model's output")
    parser.add_argument("--shuffled", action="store_true", help="the training data were not in order")


def captured_columns(reference: Reference) -> tuple[str | None, ...]:
    """Return the columns that a monitor of a reference reads: those of features, and that of keys or None."""
    clusters = reference.clusters
    return (*reference.columns, None if clusters is None else clusters.column)


def run(options: argparse.Namespace) -> int:
    """Write the page, and return the exit code."""
    result = file_report(
        Reference.load(options.reference),
        TableFile.open(options.data, options.format),
        predictions=options.predictions,
        outcomes=options.outcomes,
        title=options.title,
        shuffled=options.shuffled,
        labels=options.labels,
    )
    if options.output is not None or not options.json:
        path = Path(f"{options.data.rstrip('/')}.html" if options.output is None else options.output)
        result.save(path)
        say(f"{path}: {result.headline}", sys.stderr if options.json else sys.stdout)
    if options.json:
        say(result.json(), sys.stdout)
    return EXIT_CODES[worst_state(feature.state for feature in result.content.features)]


def file_report(
    reference: Reference,
    file: TableFile,
    *,
    predictions: str | None = None,
    outcomes: str | None = None,
    rule: Rule | None = None,
    title: str | None = None,
    shuffled: bool = False,
    labels: bool = False,
) -> Report:
    """
    Return the report on the rows of a file, which are read into memory.

    Args:
        reference: the reference.
        file: the file.
        predictions: the column of the model's output; None if there is none.
        outcomes: the column of the true values; None if there is none.
        rule: as for `driftline.report`.
        title: the title. By default the name of the file.
        shuffled: as for `driftline.report`.
        labels: whether to name categories.

    Raises:
        ConfigurationError: the file is empty or damaged, or has none of the features.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra, without which no file is opened

    read = file.known_columns(captured_columns(reference))
    further = [name for name in (predictions, outcomes) if name is not None]
    file.require(further)
    batches = list(file.batches(list(dict.fromkeys([*read, *further]))))
    if not batches:
        msg = f"{file.path}: no rows, expected at least one"
        raise ConfigurationError(msg)
    table = pa.concat_tables(batches, promote_options="default").unify_dictionaries()
    columns = [None if name is None else table.column(name) for name in (predictions, outcomes)]
    return report(
        reference,
        table.select(read),
        predictions=columns[0],
        outcomes=columns[1],
        rule=rule,
        title=file.path.name if title is None else title,
        shuffled=shuffled,
        labels=labels,
    )
