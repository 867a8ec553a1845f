"""`Dashboard`, `Row`, `Panel` and `Query`: what a dashboard shows, without the words of a tool that draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["COLUMNS", "MODEL_UID", "Dashboard", "Kind", "Panel", "Query", "Row", "Variable"]

MODEL_UID = "driftline-model"
"""The identifier of the dashboard of one model, to which alerts lead."""

COLUMNS = 24
"""Columns of the grid that panels lie on."""

Kind: TypeAlias = Literal["stat", "lines", "states", "table", "bars"]
"""A number, lines over time, coloured bands over time, a table of labels and values, or a bar for each bin."""


@dataclass(frozen=True, slots=True)
class Query:
    """
    An expression of PromQL.

    Attributes:
        expr: the expression, with variables such as ``$model``.
        legend: the name of each series, with labels such as ``{{ml_feature_name}}``; the header of a table's column.
    """

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """
    A part of a dashboard.

    Attributes:
        title: the title.
        description: a sentence about it.
        kind: how it is drawn.
        queries: what it draws.
        unit: the unit of the values, as Grafana names it.
        width: columns, at most `COLUMNS`.
        height: rows of the grid.
        values: the word and the colour of each value of a state.
        steps: the colour from each value on, for a number or the bands of states; the first is below all others.
        decimals: decimals of the values; None for those that they need.
    """

    title: str
    description: str
    kind: Kind
    queries: Sequence[Query]
    unit: str = "short"
    width: int = 12
    height: int = 8
    values: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    steps: Sequence[tuple[float | None, str]] = ()
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """
    Panels below a heading.

    Attributes:
        title: the heading.
        panels: the panels.
    """

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """
    A choice at the top of a dashboard.

    Attributes:
        name: the name in expressions.
        title: the name that is shown.
        kind: whether the values come from a query, are listed, or are durations.
        query: the query of Grafana, or the values.
        regex: what of the query's result is a value; empty for all.
        several: whether several values may be chosen, and all.
    """

    name: str
    title: str
    kind: Literal["query", "custom", "interval"]
    query: str
    regex: str = ""
    several: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """
    A dashboard.

    Attributes:
        uid: its identifier, of which addresses are made.
        title: the title.
        description: a sentence about it.
        variables: the choices.
        rows: the rows.
    """

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
