"""`driftline fit` fits a reference to a file, which may be larger than memory."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from driftline._files.fitting import FileFit, fit_file
from driftline._files.tables import FORMATS, TableFile
from driftline._runtime.output import say
from driftline.errors import ConfigurationError

__all__ = ["add_arguments", "name_options", "names", "run"]

OPTIONS = {"ignore": "--without", "max_categories": "--max-categories"}
"""Arguments of `Reference.fit` whose options have other names."""

ARGUMENT = re.compile(
    r"\b(categorical|cluster|ignore|max_categories|numeric|outcomes|positive|predictions|seasons|threshold|time|timezone)"
    r"=(\S?)"
)
"""An argument of `Reference.fit` in a message, such as ``time=`` and ``time='at'``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Fit a reference to a file of training data: csv, Parquet, Arrow or JSON lines, or a folder of them. A file of "
        "more than half a million rows is read twice, in batches."
    )
    parser.add_argument("data", metavar="DATA", help="the file or the folder")
    parser.add_argument("-o", "--output", metavar="REFERENCE", required=True, help="the file that is written")
    parser.add_argument("--format", choices=sorted(set(FORMATS.values())), help="the format, if the name does not say")
    parser.add_argument("--predictions", metavar="COLUMN", help="the model's output")
    parser.add_argument("--outcomes", metavar="COLUMN", help="the true value, if it is known")
    parser.add_argument("--without", metavar="COLUMNS", help="columns that are not features, such as ids")
    parser.add_argument("--categorical", metavar="COLUMNS", help="columns whose numbers are codes")
    parser.add_argument("--numeric", metavar="COLUMNS", help="columns that are quantities, although of few values")
    parser.add_argument("--time", metavar="COLUMN", help="the time of the row")
    parser.add_argument("--seasons", metavar="KINDS", help="hour, weekday or both; needs --time")
    parser.add_argument("--timezone", metavar="ZONE", help="time zone of hours and days, such as Europe/Berlin")
    parser.add_argument("--cluster", metavar="COLUMN", help="whose rows belong together, such as user_id")
    parser.add_argument("--positive", metavar="LABEL", help="the label whose probability is predicted")
    parser.add_argument("--threshold", metavar="P", type=float, help="smallest probability that predicts it")
    parser.add_argument(
        "--max-categories", metavar="N", type=int, help="most categories with their own bin (default 50)"
    )


def run(options: argparse.Namespace) -> int:
    """Fit and write the reference, and return 0."""
    arguments: dict[str, Any] = {
        "categorical": names(options.categorical),
        "numeric": names(options.numeric),
        "seasons": names(options.seasons),
        "time": options.time,
        "timezone": options.timezone,
        "cluster": options.cluster,
        "positive": options.positive,
        "threshold": options.threshold,
        "max_categories": options.max_categories,
    }
    stated = {name: value for name, value in arguments.items() if value not in (None, ())}
    file = TableFile.open(options.data, options.format)
    fit = FileFit(options.predictions, options.outcomes, names(options.without), stated)
    try:
        reference = fit_file(file, fit)
    except ConfigurationError as error:
        raise ConfigurationError(name_options(str(error))) from error
    reference.save(options.output)
    size = Path(options.output).stat().st_size
    say(f"{options.output}: {reference.rows:,} rows, {len(reference.features)} features, {size:,} bytes", sys.stdout)
    if reference.check is not None:
        say(reference.check.words, sys.stdout)
    return 0


def name_options(message: str) -> str:
    """Return a message about arguments of `Reference.fit` with the options of the command in their place."""

    def option(match: re.Match[str]) -> str:
        name, after = match.groups()
        return OPTIONS.get(name, f"--{name}") + (f"={after}" if after and after not in ",.;:)" else after)

    return ARGUMENT.sub(option, message)


def names(text: str | None) -> tuple[str, ...]:
    """Return the names in a list with commas; none if it is None."""
    return () if text is None else tuple(name for name in text.split(",") if name)
