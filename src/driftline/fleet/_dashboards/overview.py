"""`overview`: the dashboard of all models at a glance."""

from __future__ import annotations

from driftline import semconv as sc
from driftline.fleet._dashboards.panel import Dashboard, Panel, Query, Row
from driftline.fleet._dashboards.queries import WINDOW, Queries
from driftline.fleet._promql import PromQL

__all__ = ["overview"]

UID = "driftline-models"

GOOD, BAD = "green", "red"


def overview(promql: PromQL) -> Dashboard:
    """Return the dashboard of all models."""
    queries = Queries(promql)
    return Dashboard(
        uid=UID,
        title="Driftline: models at a glance",
        description="Which models serve, drift, lose accuracy or fail.",
        variables=queries.variables(several=True),
        rows=[Row("Now", _now(queries)), Row("Over time", _over_time(queries))],
    )


def _now(queries: Queries) -> list[Panel]:
    model, name = (sc.ML_MODEL_NAME,), queries.legend(sc.ML_MODEL_NAME)
    served = queries.total(queries.series(sc.METRIC_PREDICTIONS_SERVED), *model)
    rollback = queries.promql.match(sc.ML_CANARY_STATE, "=", "rollback")
    canaries = f"max {queries.by(*model)} ({queries.scoped(sc.METRIC_CANARY_STATUS, rollback)})"
    errors = queries.rare(queries.series(sc.METRIC_MONITOR_ERRORS), *model)
    pending = queries.series(
        sc.METRIC_RETRAINING_QUEUE_SIZE, queries.promql.match(sc.ML_RETRAINING_STATE, "=~", "requested|pending")
    )
    numbers = [
        ("Models", "Models that made predictions in the window.", f"count({served} > 0)", ()),
        (
            "Models that drift",
            "Models of which a feature drifts.",
            f"count({queries.features_in('drifting', *model)} > 0) or vector(0)",
            ((None, GOOD), (1.0, BAD)),
        ),
        (
            "Candidates to roll back",
            "Models with a candidate whose verdict is rollback.",
            f"sum({canaries}) or vector(0)",
            ((None, GOOD), (1.0, BAD)),
        ),
        (
            "Errors of driftline",
            "Errors in driftline or its inputs in the window.",
            f"sum({errors}) or vector(0)",
            ((None, GOOD), (1.0, BAD)),
        ),
    ]
    return [
        *(
            Panel(
                title=title,
                description=text,
                kind="stat",
                queries=[Query(expr, "")],
                width=6,
                height=4,
                steps=steps,
                decimals=0,
            )
            for title, text, expr, steps in numbers
        ),
        Panel(
            title="Models",
            description="Each model, with its features by state, its accuracy and its requests for retraining.",
            kind="table",
            queries=[
                Query(served, "predictions"),
                Query(queries.features_in("drifting", *model), "drifting"),
                Query(queries.features_in("insufficient_data", *model), "undecided"),
                Query(queries.features_in("stable", *model), "stable"),
                Query(queries.mean(sc.METRIC_MODEL_ACCURACY, *model), "accuracy"),
                Query(queries.mean(sc.METRIC_MODEL_ACCURACY_ESTIMATED, *model), "estimated accuracy"),
                Query(f"max {queries.by(*model)} ({pending})", "retraining pending"),
                Query(errors, "errors of driftline"),
            ],
            width=24,
            decimals=2,
        ),
        Panel(
            title="Features that drift",
            description="The number of features that drift, by model and time.",
            kind="states",
            queries=[Query(queries.features_in("drifting", *model), name)],
            width=24,
            height=6,
            steps=((None, GOOD), (1.0, "orange"), (5.0, BAD)),
        ),
    ]


def _over_time(queries: Queries) -> list[Panel]:
    model, name = (sc.ML_MODEL_NAME,), queries.legend(sc.ML_MODEL_NAME)
    served = queries.total(queries.series(sc.METRIC_PREDICTIONS_SERVED), *model)
    failed = queries.total(
        queries.series(sc.METRIC_PREDICTIONS_SERVED, queries.promql.match("error.type", "!=", "")), *model
    )
    buckets = queries.promql.increase(queries.series(sc.METRIC_PREDICTION_DURATION, suffix="_bucket"), WINDOW)
    slow = f"histogram_quantile(0.95, sum by (le, {queries.listed(*model)}) ({buckets}))"
    return [
        Panel(
            title="Predictions",
            description="Predictions in the window, by model.",
            kind="lines",
            queries=[Query(served, name)],
        ),
        Panel(
            title="Latency, 95th percentile",
            description="The duration that 95 % of the calls of a model do not exceed.",
            kind="lines",
            queries=[Query(slow, name)],
            unit="s",
        ),
        Panel(
            title="Failed predictions",
            description="The share of the predictions that raised an exception.",
            kind="lines",
            queries=[Query(f"{failed} / {served}", name)],
            unit="percentunit",
        ),
        Panel(
            title="Accuracy",
            description="The accuracy of the latest outcomes, and the one expected of the latest predictions.",
            kind="lines",
            queries=[
                Query(queries.mean(sc.METRIC_MODEL_ACCURACY, *model), f"{name} realised"),
                Query(queries.mean(sc.METRIC_MODEL_ACCURACY_ESTIMATED, *model), f"{name} estimated"),
            ],
            unit="percentunit",
        ),
    ]
