"""The recording rules that alerts read: predictions, states and outcomes of each model, added up over its processes."""

from __future__ import annotations

from driftline import semconv as sc
from driftline.fleet._promql import PromQL, span
from driftline.fleet._rules.rule import Recording

__all__ = ["LIMITS", "Records", "records"]

LIMITS = "prediction[.].+"
"""Names of the limits of outcomes among the features, as a regular expression. Only processes have outcomes."""

KNOWN = "correct|incorrect"
"""Results of outcomes that say whether a prediction was right, as a regular expression."""


class Records:
    """
    The names of the recorded series.

    Args:
        seconds: the window of the rules, in seconds. The names of sums over it end with it, as ``increase1h``.
    """

    def __init__(self, seconds: float) -> None:
        increase = f"increase{span(seconds)}"
        self.served = f"model:ml_predictions_served:{increase}"
        self.failed = f"model:ml_predictions_failed:{increase}"
        self.known = f"model:ml_outcomes_known:{increase}"
        self.accuracy = f"model:ml_accuracy:ratio_{increase}"
        self.states = "model_feature_state:ml_feature_drift_status:max"
        self.pending = "model:ml_retraining_queue_pending:max"
        self.observed = f"model_feature_bin:ml_feature_observations:{increase}"
        self.grouped = f"model_feature_group:ml_feature_observations:{increase}"
        self.share = f"model_feature_group:ml_feature_share:{increase}"
        self.reference_share = f"model_feature_group:ml_reference_share:{increase}"
        self.psi = f"model_feature:ml_feature_psi:{increase}"
        self.corrected_psi = f"model_feature:ml_feature_psi_corrected:{increase}"
        self.mean = f"model_feature:ml_feature_mean_shift:{increase}"
        self.rows = f"model_feature:ml_feature_rows:{increase}"
        self.reference_rows = "model_feature_bin:ml_reference_rows"
        self.reference_positions = "model_feature_bin:ml_reference_positions"


def records(promql: PromQL, seconds: float) -> list[Recording]:
    """
    Return the recording rules.

    Args:
        promql: the dialect.
        seconds: the window that counters are added up over.
    """
    names = Records(seconds)
    served, outcomes = sc.METRIC_PREDICTIONS_SERVED, sc.METRIC_OUTCOMES

    def total(series: str) -> str:
        return f"sum {promql.by()} ({promql.increase(series, seconds)})"

    failed = promql.series(served, promql.match("error.type", "!=", ""))
    correct = promql.series(outcomes, promql.match(sc.ML_OUTCOME_RESULT, "=", "correct"))
    known = promql.series(outcomes, promql.match(sc.ML_OUTCOME_RESULT, "=~", KNOWN))
    status = promql.series(sc.METRIC_FEATURE_DRIFT_STATUS, promql.in_scope())
    if promql.scope == "fleet":
        limits = promql.match(sc.ML_FEATURE_NAME, "=~", LIMITS)
        of_processes = promql.match(sc.ML_WINDOW_SCOPE, "=", "")
        status = f"{status} or {promql.series(sc.METRIC_FEATURE_DRIFT_STATUS, of_processes, limits)}"
    requested = promql.match(sc.ML_RETRAINING_STATE, "=~", "requested|pending")  # "pending" before 1.1
    pending = promql.series(sc.METRIC_RETRAINING_QUEUE_SIZE, requested)
    return [
        Recording(names.served, total(promql.series(served))),
        Recording(names.failed, total(failed)),
        Recording(names.states, f"max {promql.by(sc.ML_FEATURE_NAME, sc.ML_FEATURE_DRIFT_STATE)} ({status})"),
        Recording(names.known, total(known)),
        # A model whose outcomes are all wrong has no series of right ones.
        Recording(names.accuracy, f"({total(correct)} or {names.known} * 0) / ({names.known} > 0)"),
        Recording(names.pending, f"max {promql.by()} ({pending})"),
    ]
