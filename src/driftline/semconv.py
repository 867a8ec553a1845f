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
ML_FEATURE_KIND: Final = "ml.feature.kind"
ML_REFERENCE_FINGERPRINT: Final = "ml.reference.fingerprint"
ML_REFERENCE_ROWS: Final = "ml.reference.rows"
ML_REFERENCE_FEATURES: Final = "ml.reference.features"
ML_REFERENCE_ORIGIN: Final = "ml.reference.origin"
ML_FEATURE_DRIFT_STATE: Final = "ml.feature.drift.state"
ML_FEATURE_DRIFT_PREVIOUS_STATE: Final = "ml.feature.drift.previous_state"
ML_DRIFT_DISTANCE: Final = "ml.drift.distance"
ML_DRIFT_REASON: Final = "ml.drift.reason"
ML_DRIFT_EFFECT: Final = "ml.drift.effect"
ML_DRIFT_P_VALUE: Final = "ml.drift.p_value"
ML_WINDOW_LENGTH: Final = "ml.window.length"
ML_WINDOW_SCOPE: Final = "ml.window.scope"
ML_WINDOW_ROWS: Final = "ml.window.rows"
ML_CANARY_STATE: Final = "ml.canary.state"
ML_CANARY_ID: Final = "ml.canary.id"
ML_CANARY_SIDE: Final = "ml.canary.side"
ML_CANARY_PROCESS: Final = "ml.canary.process"
ML_CANARY_KEY_BUCKET: Final = "ml.canary.key_bucket"
ML_CANARY_RESULT: Final = "ml.canary.result"
ML_CANARY_BIN: Final = "ml.canary.bin"
ML_CANARY_PHASE: Final = "ml.canary.phase"
ML_CANARY_BLOCK: Final = "ml.canary.block"
ML_CANARY_OUTCOME: Final = "ml.canary.outcome"
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
ML_RETRAINING_KIND: Final = "ml.retraining.kind"
ML_RETRAINING_WHO: Final = "ml.retraining.who"
ML_RETRAINING_COMMENT: Final = "ml.retraining.comment"
ML_MONITOR_PROCESS: Final = "ml.monitor.process"
ML_MONITOR_LIBRARY_VERSION: Final = "ml.monitor.library_version"
ML_MONITOR_PLACE: Final = "ml.monitor.place"
ML_MONITOR_REASON: Final = "ml.monitor.reason"
ML_MONITOR_SIGNAL: Final = "ml.monitor.signal"
ML_PREDICTION_ID: Final = "ml.prediction.id"

FEATURE_KINDS: Final = ("numeric", "categorical")

REFERENCE_ORIGINS: Final = ("training", "serving")

FEATURE_DRIFT_STATES: Final = ("stable", "drifting", "insufficient_data")

WINDOW_SCOPES: Final = ("fleet",)

CANARY_STATES: Final = ("promote", "rollback", "inconclusive")

CANARY_SIDES: Final = ("baseline", "candidate")

CANARY_RESULTS: Final = ("returned", "failed", "batch")

CANARY_PHASES: Final = ("warm_up", "serving")

CANARY_OUTCOMES: Final = ("predicted", "bad", "good", "unreadable")

CANARY_MEASURES: Final = ("harm", "lower", "upper", "allowed", "e_harm", "e_harm_needed", "e_safe", "e_safe_needed")

OUTCOME_RESULTS: Final = ("correct", "incorrect", "matched", "unmatched", "early", "late", "duplicate", "corrected", "pending", "expired", "replaced", "dropped")

MODEL_PERFORMANCE_METRICS: Final = ("accuracy", "error_rate", "precision", "recall", "f1", "brier", "calibration_error", "auc", "mae", "rmse", "bias", "accuracy_estimated")

MODEL_PERFORMANCE_BOUNDS: Final = ("value", "lower", "upper")

RETRAINING_REASONS: Final = ("drift", "accuracy", "latency", "guardrail", "broken_data")

RETRAINING_STATES: Final = ("requested", "acknowledged", "running", "succeeded", "failed", "rejected", "expired", "superseded")

RETRAINING_KINDS: Final = ("retrain", "fix_pipeline")

MONITOR_PLACES: Final = ("agree", "canary", "capture", "cardinality", "clock", "collect", "derive", "detector", "distance", "drain", "failure", "features", "fleet", "flush", "guardrail", "instrumentor", "judging", "key", "learn", "learned", "observe", "on_verdict", "outcome", "outcomes", "output", "prediction_id", "record", "retraining", "route", "shadow", "span", "unknown_feature", "user_id", "value")

MONITOR_REASONS: Final = ("shape", "unreadable", "shadow", "shadow_bytes", "shadow_ended", "shadow_loop", "shadow_share", "shadow_stopped", "replaced", "derive", "learning")

MONITOR_SIGNALS: Final = ("metrics", "logs", "traces")

EVENT_FEATURE_DRIFT_STATE_CHANGED: Final = "ml.feature.drift.state_changed"
EVENT_CANARY_VERDICT_CHANGED: Final = "ml.canary.verdict_changed"
EVENT_RETRAINING_REQUESTED: Final = "ml.retraining.requested"
EVENT_RETRAINING_STATE_CHANGED: Final = "ml.retraining.state_changed"

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
            "ml.window.scope",
        }
    ),
)

METRIC_FEATURE_DRIFT_STATUS: Final = Metric(
    "ml.feature.drift.status",
    "updowncounter",
    "{status}",
    "Drift state of a feature; a series per state, 1 for the current state.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.feature.name",
            "ml.feature.drift.state",
            "ml.window.scope",
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
            "ml.monitor.process",
        }
    ),
)

METRIC_CANARY_STATUS: Final = Metric(
    "ml.canary.status",
    "updowncounter",
    "{status}",
    "Verdict on a candidate; a series per state, 1 for the current state.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.state",
            "ml.window.scope",
        }
    ),
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

METRIC_CANARY_STARTED: Final = Metric(
    "ml.canary.started",
    "gauge",
    "s",
    "Unix time at which a canary began in this process; opt-in, as all counts of a canary.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
        }
    ),
)

METRIC_CANARY_ENDED: Final = Metric(
    "ml.canary.ended",
    "gauge",
    "s",
    "Unix time at which a canary ended in this process.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
        }
    ),
)

METRIC_CANARY_COUNTED: Final = Metric(
    "ml.canary.counted",
    "gauge",
    "s",
    "Unix time of the counts of a canary; it says which block of time each slot of `ml.canary.block` holds.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
        }
    ),
)

METRIC_CANARY_CALLS: Final = Metric(
    "ml.canary.calls",
    "counter",
    "{call}",
    "Calls during a canary, by result and by bucket of the key.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
            "ml.canary.result",
            "ml.canary.key_bucket",
        }
    ),
)

METRIC_CANARY_ROWS: Final = Metric(
    "ml.canary.rows",
    "counter",
    "{row}",
    "Rows of the calls during a canary.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
            "ml.canary.result",
            "ml.canary.key_bucket",
        }
    ),
)

METRIC_CANARY_DURATIONS: Final = Metric(
    "ml.canary.durations",
    "counter",
    "{call}",
    "Calls during a canary that returned, by duration.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
            "ml.canary.bin",
            "ml.canary.phase",
        }
    ),
)

METRIC_CANARY_BINS: Final = Metric(
    "ml.canary.bins",
    "counter",
    "{row}",
    "Values of a feature during a canary, per bin of the reference.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
            "ml.feature.name",
            "ml.feature.kind",
            "ml.feature.bin",
            "ml.reference.fingerprint",
        }
    ),
)

METRIC_CANARY_OUTCOMES: Final = Metric(
    "ml.canary.outcomes",
    "updowncounter",
    "{prediction}",
    "Predictions during a canary, and what is known of them.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
            "ml.canary.outcome",
            "ml.canary.block",
            "ml.canary.key_bucket",
        }
    ),
)

METRIC_CANARY_DELAYS: Final = Metric(
    "ml.canary.delays",
    "updowncounter",
    "{outcome}",
    "Outcomes during a canary, by the time between prediction and outcome.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.canary.id",
            "ml.canary.side",
            "ml.canary.process",
            "ml.canary.bin",
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

METRIC_RETRAINING_TRANSITIONS: Final = Metric(
    "ml.retraining.transitions",
    "counter",
    "{transition}",
    "Changes of the state of requests for retraining.",
    frozenset({"ml.model.name", "ml.model.version", "ml.model.variant", "ml.retraining.state"}),
)

METRIC_RETRAINING_QUEUE_SIZE: Final = Metric(
    "ml.retraining.queue.size",
    "updowncounter",
    "{request}",
    "Requests for retraining in the queue.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.retraining.kind",
            "ml.retraining.state",
        }
    ),
)

METRIC_MONITOR_INFO: Final = Metric(
    "ml.monitor.info",
    "updowncounter",
    "{monitor}",
    "Number of monitors, 1 each; it says what each process of a fleet compares with.",
    frozenset(
        {
            "ml.model.name",
            "ml.model.version",
            "ml.model.variant",
            "ml.monitor.process",
            "ml.monitor.library_version",
            "ml.reference.origin",
            "ml.reference.fingerprint",
            "ml.reference.rows",
            "ml.reference.features",
        }
    ),
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
    "ml.canary.started": METRIC_CANARY_STARTED,
    "ml.canary.ended": METRIC_CANARY_ENDED,
    "ml.canary.counted": METRIC_CANARY_COUNTED,
    "ml.canary.calls": METRIC_CANARY_CALLS,
    "ml.canary.rows": METRIC_CANARY_ROWS,
    "ml.canary.durations": METRIC_CANARY_DURATIONS,
    "ml.canary.bins": METRIC_CANARY_BINS,
    "ml.canary.outcomes": METRIC_CANARY_OUTCOMES,
    "ml.canary.delays": METRIC_CANARY_DELAYS,
    "ml.outcomes": METRIC_OUTCOMES,
    "ml.model.accuracy": METRIC_MODEL_ACCURACY,
    "ml.model.accuracy.estimated": METRIC_MODEL_ACCURACY_ESTIMATED,
    "ml.model.performance": METRIC_MODEL_PERFORMANCE,
    "ml.retraining.requests": METRIC_RETRAINING_REQUESTS,
    "ml.retraining.transitions": METRIC_RETRAINING_TRANSITIONS,
    "ml.retraining.queue.size": METRIC_RETRAINING_QUEUE_SIZE,
    "ml.monitor.info": METRIC_MONITOR_INFO,
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
                "ml.retraining.kind",
                "ml.retraining.id",
                "ml.drift.reason",
                "ml.feature.name",
            }
    ),
    "ml.retraining.state_changed": frozenset(
            {
                "ml.model.name",
                "ml.model.version",
                "ml.model.variant",
                "feature_flag.key",
                "feature_flag.result.variant",
                "feature_flag.result.reason",
                "feature_flag.provider.name",
                "ml.retraining.id",
                "ml.retraining.kind",
                "ml.retraining.state",
                "ml.retraining.who",
                "ml.retraining.comment",
            }
    ),
}
