"""Writes a dashboard as Grafana imports it, with the builders of Grafana's foundation SDK (extra ``dashboards``)."""

from __future__ import annotations

import string
from typing import Any, TypeAlias

from grafana_foundation_sdk.builders import barchart, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from driftline.fleet._dashboards.panel import Dashboard, Panel, Query, Variable

__all__ = ["to_grafana"]

SOURCE = common.DataSourceRef("prometheus", "$datasource")
"""The source of the queries: a choice at the top of the dashboard."""

ALL = ".*"
"""What selects all values of a variable, those of series without the label included."""

_Builder: TypeAlias = Any
"""A builder of the SDK. Those of panels share their methods and no type."""


def to_grafana(source: Dashboard, tags: list[str]) -> str:
    """
    Return a dashboard as JSON.

    Args:
        source: the dashboard.
        tags: its tags, by which a folder of dashboards is searched.
    """
    text: str = JSONEncoder(indent=2).encode(_dashboard(source, tags).build())
    return f"{text}\n"


def _dashboard(source: Dashboard, tags: list[str]) -> _Builder:
    """Return the builder of a dashboard."""
    builder = (
        builders.Dashboard(source.title)
        .uid(source.uid)
        .description(source.description)
        .tags(tags)
        .editable()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .time("now-24h", "now")
        .refresh("1m")
        .with_variable(builders.DatasourceVariable("datasource").type("prometheus").label("Data source"))
    )
    for variable in source.variables:
        builder.with_variable(_variable(variable))
    for row in source.rows:
        builder.with_row(builders.Row(row.title))
        for panel in row.panels:
            builder.with_panel(_panel(panel))
    return builder


def _variable(variable: Variable) -> Any:
    if variable.kind == "custom":
        first, _, value = variable.query.split(",")[0].partition(" : ")
        return (
            builders.CustomVariable(variable.name)
            .label(variable.title)
            .values(variable.query)
            .current(dashboard.VariableOption(selected=True, text=first, value=value or first))
        )
    if variable.kind == "interval":
        usual = "1h"
        return (
            builders.IntervalVariable(variable.name)
            .label(variable.title)
            .values(variable.query)
            .current(dashboard.VariableOption(selected=True, text=usual, value=usual))
        )
    builder = (
        builders.QueryVariable(variable.name)
        .label(variable.title)
        .datasource(SOURCE)
        .query(variable.query)
        .regex(variable.regex)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
    if variable.several:
        everything = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
        builder.multi(True).include_all(True).all_value(ALL).current(everything)  # noqa: FBT003 - the SDK's names
    return builder


def _panel(panel: Panel) -> _Builder:
    """Return the builder of a panel."""
    makers = {
        "stat": _stat,
        "lines": _lines,
        "states": _states,
        "table": _table,
        "bars": _bars,
    }
    builder = makers[panel.kind](panel)
    builder.title(panel.title).description(panel.description).datasource(SOURCE)
    builder.span(panel.width).height(panel.height).unit(panel.unit)
    if panel.decimals is not None:
        builder.decimals(panel.decimals)
    for name, query in zip(string.ascii_uppercase, panel.queries, strict=False):
        builder.with_target(_target(panel, query).ref_id(name))
    return builder


def _target(panel: Panel, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).datasource(SOURCE)
    if panel.kind in {"table", "bars"}:
        return target.instant().format(PromQueryFormat.TABLE)
    return target.instant() if panel.kind == "stat" else target.range()


def _stat(panel: Panel) -> _Builder:
    return stat.Panel().thresholds(_thresholds(panel)).color_mode(common.BigValueColorMode.VALUE)


def _lines(_: Panel) -> _Builder:
    legend = common_builders.VizLegendOptions().show_legend(True).placement(common.LegendPlacement.BOTTOM)  # noqa: FBT003
    return timeseries.Panel().legend(legend).fill_opacity(0).min(0)


def _states(panel: Panel) -> _Builder:
    builder = statetimeline.Panel().show_value(common.VisibilityMode.NEVER)
    if panel.values:
        results = {
            str(value): dashboard.ValueMappingResult(text=word, color=colour, index=index)
            for index, (value, (word, colour)) in enumerate(panel.values.items())
        }
        return builder.mappings([dashboard.ValueMap(results)])
    return builder.thresholds(_thresholds(panel)).color_scheme(
        builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS)
    )


def _table(panel: Panel) -> _Builder:
    """Return a table with a row for each set of labels, and a column for each query."""
    names = _columns(panel)
    if len(panel.queries) == 1:
        names = {"Value": panel.queries[0].legend}  # a single query has no letter in its column
    organised = {"excludeByName": {"Time": True}, "renameByName": names}
    return (
        table.Panel()
        .with_transformation(dashboard.DataTransformerConfig("merge", options={}))
        .with_transformation(dashboard.DataTransformerConfig("organize", options=organised))
    )


def _bars(panel: Panel) -> _Builder:
    """Return bars in the order of the bins, whose numbers are text in a label."""
    organised = {"excludeByName": {"Time": True}, "renameByName": _columns(panel)}
    label = "ml_feature_bin" if "ml_feature_bin" in panel.queries[0].expr else "ml.feature.bin"
    number = {"conversions": [{"targetField": label, "destinationType": "number"}]}
    steps = [
        ("merge", {}),
        ("organize", organised),
        ("convertFieldType", number),
        ("sortBy", {"sort": [{"field": label}]}),
        ("convertFieldType", {"conversions": [{"targetField": label, "destinationType": "string"}]}),
    ]
    builder = barchart.Panel().x_field(label).show_value(common.VisibilityMode.NEVER)
    for name, options in steps:
        builder.with_transformation(dashboard.DataTransformerConfig(name, options=options))
    return builder


def _columns(panel: Panel) -> dict[str, str]:
    """Return the name of the column of each query, by that which Grafana gives it."""
    return {f"Value #{name}": query.legend for name, query in zip(string.ascii_uppercase, panel.queries, strict=False)}


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    steps = panel.steps or ((None, "text"),)
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps([dashboard.Threshold(value, colour) for value, colour in steps])
    )
