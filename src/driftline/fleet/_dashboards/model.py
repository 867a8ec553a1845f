"""`one_model`: the dashboard of one model, from its features to the health of driftline."""

from __future__ import annotations

from driftline import semconv as sc
from driftline.fleet._dashboards.panel import MODEL_UID, Dashboard, Panel, Query, Row, Variable
from driftline.fleet._dashboards.queries import WINDOW, Queries
from driftline.fleet._promql import PromQL
from driftline.fleet._rules.records import LIMITS

__all__ = ["one_model"]

GREY = "#8e8e8e"

STATES = {0: ("stable", "green"), 1: ("insufficient_data", GREY), 2: ("drifting", "red")}
"""States of features as numbers: a higher one hides lower ones where processes or versions differ."""

VERDICTS = {0: ("promote", "green"), 1: ("inconclusive", GREY), 2: ("rollback", "red")}
"""Verdicts on candidates as numbers."""

MOST_LINES = 15
"""Most features whose scores are drawn: those with the largest."""


def one_model(promql: PromQL) -> Dashboard:
    """Return the dashboard of one model."""
    queries = Queries(promql)
    features = queries.values_of(
        "feature",
        "Feature",
        sc.METRIC_FEATURE_DRIFT_STATUS,
        sc.ML_FEATURE_NAME,
        [promql.match(sc.ML_MODEL_NAME, "=~", "$model"), promql.match(sc.ML_FEATURE_NAME, "!~", LIMITS)],
        several=False,
    )
    distance = Variable(name="distance", title="Distance", kind="custom", query="psi, js, wasserstein, mean")
    return Dashboard(
        uid=MODEL_UID,
        title="Driftline: one model",
        description="The features of a model, its predictions, candidates, outcomes and retraining.",
        variables=[*queries.variables(several=False), features, distance],
        rows=[
            Row("Features", _features(queries)),
            Row("Predictions", _predictions(queries)),
            Row("Candidates", _candidates(queries)),
            Row("Outcomes", _outcomes(queries)),
            Row("Retraining", _retraining(queries)),
            Row("driftline", _health(queries)),
        ],
    )


def _state(queries: Queries, *matchers: str) -> str:
    """Return the state of each feature that the matchers select, as a number of `STATES`."""
    drifting, unknown = (
        queries.series(
            sc.METRIC_FEATURE_DRIFT_STATUS, queries.promql.match(sc.ML_FEATURE_DRIFT_STATE, "=", state), *matchers
        )
        for state in ("drifting", "insufficient_data")
    )
    return f"max {queries.by(sc.ML_FEATURE_NAME)} (2 * {drifting} or {unknown})"


def _features(queries: Queries) -> list[Panel]:
    promql, feature = queries.promql, queries.legend(sc.ML_FEATURE_NAME)
    distance = promql.match(sc.ML_DRIFT_DISTANCE, "=", "$distance")
    scores = f"max {queries.by(sc.ML_FEATURE_NAME)} ({queries.scoped(sc.METRIC_FEATURE_DRIFT_SCORE, distance)})"
    chosen = promql.match(sc.ML_FEATURE_NAME, "=", "$feature")
    counts = queries.total(queries.series(sc.METRIC_FEATURE_OBSERVATIONS, chosen), sc.ML_FEATURE_BIN)
    model = promql.match(sc.ML_MODEL_NAME, "=~", "$model")
    reference = f"sum {queries.by(sc.ML_FEATURE_BIN)} (model_feature_bin:ml_reference_rows{{{model}, {chosen}}})"
    return [
        Panel(
            title="States of the features",
            description="The state of each feature over time. Where processes or versions differ, the worst is shown.",
            kind="states",
            queries=[Query(_state(queries, queries.scope, promql.match(sc.ML_FEATURE_NAME, "!~", LIMITS)), feature)],
            width=24,
            height=10,
            values=STATES,
        ),
        Panel(
            title="Scores: $distance",
            description=f"The distance of the last windows from the reference, of the {MOST_LINES} largest.",
            kind="lines",
            queries=[Query(f"topk({MOST_LINES}, {scores})", feature)],
            decimals=2,
        ),
        Panel(
            title="$feature: reference against now",
            description=(
                "The share of the rows in each bin. The counts need export_bins=True, and the reference needs the "
                "rules of driftline rules --reference."
            ),
            kind="bars",
            queries=[
                Query(f"{reference} / scalar(sum({reference}))", "reference"),
                Query(f"{counts} / scalar(sum({counts}))", "now"),
            ],
            unit="percentunit",
        ),
    ]


def _predictions(queries: Queries) -> list[Panel]:
    promql = queries.promql
    release = (sc.ML_MODEL_VERSION, sc.ML_MODEL_VARIANT)
    served = queries.series(sc.METRIC_PREDICTIONS_SERVED)
    failed = queries.series(sc.METRIC_PREDICTIONS_SERVED, promql.match("error.type", "!=", ""))
    buckets = promql.increase(queries.series(sc.METRIC_PREDICTION_DURATION, suffix="_bucket"), WINDOW)
    return [
        Panel(
            title="Predictions",
            description="Predictions in the window, by version and variant.",
            kind="lines",
            queries=[Query(queries.total(served, *release), queries.legend(*release))],
            width=8,
        ),
        Panel(
            title="Failed predictions",
            description="Predictions in the window that raised an exception, by its class.",
            kind="lines",
            queries=[Query(queries.total(failed, "error.type"), queries.legend("error.type"))],
            width=8,
        ),
        Panel(
            title="Latency",
            description="The duration that half, 95 % and 99 % of the calls do not exceed.",
            kind="lines",
            queries=[
                Query(f"histogram_quantile({share:g}, sum by (le) ({buckets}))", f"p{share * 100:g}")
                for share in (0.5, 0.95, 0.99)
            ],
            unit="s",
            width=8,
        ),
    ]


def _candidates(queries: Queries) -> list[Panel]:
    promql = queries.promql
    release, criterion = (sc.ML_MODEL_VERSION, sc.ML_MODEL_VARIANT), (sc.ML_CANARY_CRITERION,)
    rollback, undecided = (
        queries.scoped(sc.METRIC_CANARY_STATUS, promql.match(sc.ML_CANARY_STATE, "=", state))
        for state in ("rollback", "inconclusive")
    )
    return [
        Panel(
            title="Verdicts",
            description="The verdict on each candidate over time.",
            kind="states",
            queries=[Query(f"max {queries.by(*release)} (2 * {rollback} or {undecided})", queries.legend(*release))],
            values=VERDICTS,
        ),
        Panel(
            title="Criteria",
            description="The measured harm of each criterion with its bounds, and the harm that is allowed.",
            kind="table",
            queries=[
                Query(
                    f"max {queries.by(*criterion)} "
                    f"({queries.series(sc.METRIC_CANARY_EVIDENCE, promql.match(sc.ML_CANARY_MEASURE, '=', measure))})",
                    measure,
                )
                for measure in ("harm", "lower", "upper", "allowed")
            ],
            decimals=4,
        ),
    ]


def _outcomes(queries: Queries) -> list[Panel]:
    promql = queries.promql
    results = queries.series(sc.METRIC_OUTCOMES)
    right, known = (
        queries.total(queries.series(sc.METRIC_OUTCOMES, promql.match(sc.ML_OUTCOME_RESULT, "=~", pattern)))
        for pattern in ("correct", "correct|incorrect")
    )
    metric = (sc.ML_MODEL_PERFORMANCE_METRIC, sc.ML_MODEL_CLASS)
    value = promql.match(sc.ML_MODEL_PERFORMANCE_BOUND, "=", "value")
    return [
        Panel(
            title="Accuracy",
            description=(
                "Realised: of the outcomes that arrived in the window. Latest: over the window of each process. "
                "Estimated: expected of the latest predictions, before outcomes arrive."
            ),
            kind="lines",
            queries=[
                Query(f"{right} / {known}", "realised"),
                Query(f"avg({queries.series(sc.METRIC_MODEL_ACCURACY)})", "latest"),
                Query(f"avg({queries.series(sc.METRIC_MODEL_ACCURACY_ESTIMATED)})", "estimated"),
            ],
            unit="percentunit",
            width=8,
        ),
        Panel(
            title="Performance",
            description="Other measures of the latest outcomes.",
            kind="lines",
            queries=[
                Query(
                    f"avg {queries.by(*metric)} ({queries.series(sc.METRIC_MODEL_PERFORMANCE, value)})",
                    queries.legend(*metric),
                )
            ],
            width=8,
            decimals=2,
        ),
        Panel(
            title="Outcomes",
            description="Outcomes in the window, by the result of joining them.",
            kind="lines",
            queries=[Query(queries.rare(results, sc.ML_OUTCOME_RESULT), queries.legend(sc.ML_OUTCOME_RESULT))],
            width=8,
        ),
        Panel(
            title="Limits of outcomes",
            description="The state of each limit of the outcomes over time.",
            kind="states",
            queries=[
                Query(
                    _state(queries, promql.match(sc.ML_FEATURE_NAME, "=~", LIMITS)), queries.legend(sc.ML_FEATURE_NAME)
                )
            ],
            width=24,
            height=5,
            values=STATES,
        ),
    ]


def _retraining(queries: Queries) -> list[Panel]:
    requests = queries.rare(queries.series(sc.METRIC_RETRAINING_REQUESTS), sc.ML_RETRAINING_REASON)
    queue = f"max {queries.by(sc.ML_RETRAINING_STATE)} ({queries.series(sc.METRIC_RETRAINING_QUEUE_SIZE)})"
    return [
        Panel(
            title="Requests",
            description="Requests for retraining in the window, by their reason.",
            kind="lines",
            queries=[Query(requests, queries.legend(sc.ML_RETRAINING_REASON))],
            height=6,
        ),
        Panel(
            title="Queue",
            description="Requests in the queue, by their state.",
            kind="lines",
            queries=[Query(queue, queries.legend(sc.ML_RETRAINING_STATE))],
            height=6,
        ),
    ]


def _health(queries: Queries) -> list[Panel]:
    lost = queries.promql.series(sc.METRIC_MONITOR_TELEMETRY_LOST, 'instance=~"$instance"')
    rare = [
        (
            "Errors",
            "Errors in driftline or its inputs, by place.",
            queries.series(sc.METRIC_MONITOR_ERRORS),
            sc.ML_MONITOR_PLACE,
        ),
        (
            "Dropped rows",
            "Rows that are in no window, by reason.",
            queries.series(sc.METRIC_MONITOR_ROWS_DROPPED),
            sc.ML_MONITOR_REASON,
        ),
        ("Lost telemetry", "Items that could not be sent, by signal.", lost, sc.ML_MONITOR_SIGNAL),
    ]
    info = (
        sc.ML_MODEL_VERSION,
        sc.ML_MONITOR_LIBRARY_VERSION,
        sc.ML_REFERENCE_FINGERPRINT,
        sc.ML_REFERENCE_ROWS,
        sc.ML_REFERENCE_FEATURES,
    )
    return [
        *(
            Panel(
                title=title,
                description=text,
                kind="lines",
                queries=[Query(queries.rare(series, attribute), queries.legend(attribute))],
                width=8,
                height=6,
            )
            for title, text, series, attribute in rare
        ),
        Panel(
            title="Processes",
            description="The processes of the model, by their version of driftline and their reference.",
            kind="table",
            queries=[Query(f"sum {queries.by(*info)} ({queries.series(sc.METRIC_MONITOR_INFO)})", "processes")],
            width=24,
            height=5,
        ),
    ]
