"""Names, units and attributes of the metrics and events of driftline. Generated from model/: do not edit."""

from __future__ import annotations

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """A metric of the registry."""

    name: str
    instrument: str
    unit: str
    brief: str
    attributes: frozenset[str]


SCHEMA_URL: Final = "https://driftline.dev/schemas/0.1.0"

ML_MODEL_NAME: Final = "ml.model.name"
ML_MODEL_VERSION: Final = "ml.model.version"
ML_MODEL_VARIANT: Final = "ml.model.variant"
ML_FEATURE_NAME: Final = "ml.feature.name"
ML_FEATURE_BIN: Final = "ml.feature.bin"
ML_REFERENCE_FINGERPRINT: Final = "ml.reference.fingerprint"
ML_FEATURE_DRIFT_STATE: Final = "ml.feature.drift.state"
ML_FEATURE_DRIFT_PREVIOUS_STATE: Final = "ml.feature.drift.previous_state"
ML_DRIFT_DISTANCE: Final = "ml.drift.distance"
ML_DRIFT_REASON: Final = "ml.drift.reason"
ML_DRIFT_EFFECT: Final = "ml.drift.effect"
ML_DRIFT_P_VALUE: Final = "ml.drift.p_value"
ML_WINDOW_LENGTH: Final = "ml.window.length"
ML_WINDOW_ROWS: Final = "ml.window.rows"
ML_CANARY_STATE: Final = "ml.canary.state"
ML_CANARY_PREVIOUS_STATE: Final = "ml.canary.previous_state"
ML_CANARY_REASON: Final = "ml.canary.reason"
ML_CANARY_CRITERION: Final = "ml.canary.criterion"
ML_CANARY_MEASURE: Final = "ml.canary.measure"
ML_OUTCOME_RESULT: Final = "ml.outcome.result"
ML_MODEL_PERFORMANCE_METRIC: Final = "ml.model.performance.metric"
ML_MODEL_PERFORMANCE_BOUND: Final = "ml.model.performance.bound"
ML_MODEL_CLASS: Final = "ml.model.class"
ML_RETRAINING_REASON: Final = "ml.retraining.reason"
ML_RETRAINING_STATE: Final = "ml.retraining.state"
ML_RETRAINING_ID: Final = "ml.retraining.id"
ML_MONITOR_PLACE: Final = "ml.monitor.place"
ML_MONITOR_REASON: Final = "ml.monitor.reason"
ML_MONITOR_SIGNAL: Final = "ml.monitor.signal"
ML_PREDICTION_ID: Final = "ml.prediction.id"

FEATURE_DRIFT_STATES: Final = ("stable", "drifting", "insufficient_data")

CANARY_STATES: Final = ("promote", "rollback", "inconclusive")

CANARY_MEASURES: Final = ("harm", "lower", "upper", "allowed", "e_harm", "e_harm_needed", "e_safe", "e_safe_needed")

OUTCOME_RESULTS: Final = ("correct", "incorrect", "matched", "unmatched", "early", "late", "duplicate", "expired", "replaced", "dropped")

MODEL_PERFORMANCE_METRICS: Final = ("accuracy", "error_rate", "precision", "recall", "f1", "brier", "calibration_error", "auc", "mae", "rmse", "bias", "accuracy_estimated")

MODEL_PERFORMANCE_BOUNDS: Final = ("value", "lower", "upper")

RETRAINING_REASONS: Final = ("drift", "accuracy", "latency")

RETRAINING_STATES: Final = ("pending", "acknowledged")

MONITOR_PLACES: Final = ("agree", "canary", "capture", "cardinality", "clock", "collect", "derive", "detector", "distance", "drain", "failure", "features", "flush", "guardrail", "judging", "learn", "observe", "on_verdict", "outcome", "outcomes", "output", "prediction_id", "record", "retraining", "route", "shadow", "span", "unknown_feature", "user_id", "value")

MONITOR_REASONS: Final = ("shape", "unreadable", "shadow", "replaced", "derive", "learning")

MONITOR_SIGNALS: Final = ("metrics", "logs", "traces")

EVENT_FEATURE_DRIFT_STATE_CHANGED: Final = "ml.feature.drift.state_changed"
EVENT_CANARY_VERDICT_CHANGED: Final = "ml.canary.verdict_changed"
EVENT_RETRAINING_REQUESTED: Final = "ml.retraining.requested"

DURATION_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

METRIC_PREDICTIONS_SERVED: Final = Metric(
    "ml.predictions.served",
    "counter",
    "{prediction}",
    "Predictions, one per row; those with error.type failed.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "error.type"}),
)

METRIC_PREDICTION_DURATION: Final = Metric(
    "ml.prediction.duration",
    "histogram",
    "s",
    "Duration of a call of the model, for any number of rows.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "error.type"}),
)

METRIC_FEATURE_DRIFT_SCORE: Final = Metric(
    "ml.feature.drift.score",
    "gauge",
    "{score}",
    "Distance of the last window of a feature from the reference.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.feature.name",
            "ml.drift.distance",
            "ml.window.length",
        }
    ),
)

METRIC_FEATURE_DRIFT_STATUS: Final = Metric(
    "ml.feature.drift.status",
    "updowncounter",
    "1",
    "Drift state of a feature; a series per state, 1 for the current state.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.feature.name",
            "ml.feature.drift.state",
        }
    ),
)

METRIC_FEATURE_OBSERVATIONS: Final = Metric(
    "ml.feature.observations",
    "counter",
    "{observation}",
    "Values of a feature per bin of the reference, to add up over a fleet; opt-in.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.feature.name",
            "ml.feature.bin",
            "ml.reference.fingerprint",
        }
    ),
)

METRIC_CANARY_STATUS: Final = Metric(
    "ml.canary.status",
    "updowncounter",
    "1",
    "Verdict on a candidate; a series per state, 1 for the current state.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "ml.canary.state"}),
)

METRIC_CANARY_EVIDENCE: Final = Metric(
    "ml.canary.evidence",
    "gauge",
    "{evidence}",
    "Evidence about each criterion of a candidate, for other tools to read.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.criterion",
            "ml.canary.measure",
        }
    ),
)

METRIC_OUTCOMES: Final = Metric(
    "ml.outcomes",
    "counter",
    "{outcome}",
    "Outcomes that arrived, and predictions that expired without one, by result.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "ml.outcome.result"}),
)

METRIC_MODEL_ACCURACY: Final = Metric(
    "ml.model.accuracy",
    "gauge",
    "{ratio}",
    "Share of the latest outcomes that were predicted right.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant"}),
)

METRIC_MODEL_ACCURACY_ESTIMATED: Final = Metric(
    "ml.model.accuracy.estimated",
    "gauge",
    "{ratio}",
    "Accuracy expected of the latest predictions, before outcomes arrive.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant"}),
)

METRIC_MODEL_PERFORMANCE: Final = Metric(
    "ml.model.performance",
    "gauge",
    "{score}",
    "Quality of the latest predictions, by measure, with its 95 % interval.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.model.performance.metric",
            "ml.model.performance.bound",
            "ml.model.class",
        }
    ),
)

METRIC_RETRAINING_REQUESTS: Final = Metric(
    "ml.retraining.requests",
    "counter",
    "{request}",
    "Requests for retraining.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "ml.retraining.reason"}),
)

METRIC_RETRAINING_QUEUE_SIZE: Final = Metric(
    "ml.retraining.queue.size",
    "updowncounter",
    "{request}",
    "Requests for retraining in the queue.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "ml.retraining.state"}),
)

METRIC_MONITOR_ERRORS: Final = Metric(
    "ml.monitor.errors",
    "counter",
    "{error}",
    "Errors inside driftline or in its inputs.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "ml.monitor.place"}),
)

METRIC_MONITOR_ROWS_DROPPED: Final = Metric(
    "ml.monitor.rows.dropped",
    "counter",
    "{row}",
    "Rows that could not be counted, or that a shadow did not predict.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "ml.monitor.reason"}),
)

METRIC_MONITOR_TELEMETRY_LOST: Final = Metric(
    "ml.monitor.telemetry.lost",
    "counter",
    "{item}",
    "Events, spans and exports of metrics that could not be sent; for the process, with configure_otlp.",
    frozenset({"ml.monitor.signal"}),
)

METRICS: Final = {
    "ml.predictions.served": METRIC_PREDICTIONS_SERVED,
    "ml.prediction.duration": METRIC_PREDICTION_DURATION,
    "ml.feature.drift.score": METRIC_FEATURE_DRIFT_SCORE,
    "ml.feature.drift.status": METRIC_FEATURE_DRIFT_STATUS,
    "ml.feature.observations": METRIC_FEATURE_OBSERVATIONS,
    "ml.canary.status": METRIC_CANARY_STATUS,
    "ml.canary.evidence": METRIC_CANARY_EVIDENCE,
    "ml.outcomes": METRIC_OUTCOMES,
    "ml.model.accuracy": METRIC_MODEL_ACCURACY,
    "ml.model.accuracy.estimated": METRIC_MODEL_ACCURACY_ESTIMATED,
    "ml.model.performance": METRIC_MODEL_PERFORMANCE,
    "ml.retraining.requests": METRIC_RETRAINING_REQUESTS,
    "ml.retraining.queue.size": METRIC_RETRAINING_QUEUE_SIZE,
    "ml.monitor.errors": METRIC_MONITOR_ERRORS,
    "ml.monitor.rows.dropped": METRIC_MONITOR_ROWS_DROPPED,
    "ml.monitor.telemetry.lost": METRIC_MONITOR_TELEMETRY_LOST,
}

EVENTS: Final = {
    "ml.feature.drift.state_changed": frozenset(
            {
                "ml.model.name",
                "ml.model.version",
                "ml.model.variant",
                "feature_flag.key",
                "feature_flag.result.variant",
                "feature_flag.result.reason",
                "feature_flag.provider.name",
                "ml.feature.name",
                "ml.feature.drift.state",
                "ml.feature.drift.previous_state",
                "ml.drift.reason",
                "ml.drift.effect",
                "ml.drift.p_value",
                "ml.window.length",
                "ml.window.rows",
            }
    ),
    "ml.canary.verdict_changed": frozenset(
            {
                "ml.model.name",
                "ml.model.version",
                "ml.model.variant",
                "feature_flag.key",
                "feature_flag.result.variant",
                "feature_flag.result.reason",
                "feature_flag.provider.name",
                "ml.canary.state",
                "ml.canary.previous_state",
                "ml.canary.reason",
            }
    ),
    "ml.retraining.requested": frozenset(
            {
                "ml.model.name",
                "ml.model.version",
                "ml.model.variant",
                "feature_flag.key",
                "feature_flag.result.variant",
                "feature_flag.result.reason",
                "feature_flag.provider.name",
                "ml.retraining.reason",
                "ml.retraining.id",
                "ml.drift.reason",
                "ml.feature.name",
            }
    ),
}
