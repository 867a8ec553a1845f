"""Events of a monitor: changes of states and verdicts, requests for retraining."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry._logs import LoggerProvider, SeverityNumber, get_logger

from driftline import semconv as sc
from driftline._runtime.version import VERSION
from driftline.canary import Verdict
from driftline.otel._scope import SCOPE
from driftline.results import (
    CanaryState,
    StateChange,
)
from driftline.retraining._request import RetrainingRequest, Transition

__all__ = ["Emitter"]

_MODEL = (sc.ML_MODEL_NAME, sc.ML_MODEL_VERSION, sc.ML_MODEL_VARIANT)
"""The attributes with which the body of an event begins."""


class Emitter:
    """
    Emits the events of one monitor through the Logs API, each with its evidence.

    Args:
        attributes: model, version, variant.
        provider: the logger provider. If None, the global one.
        news: features of which events were emitted before, by an earlier process.
    """

    def __init__(
        self, attributes: Mapping[str, str], provider: LoggerProvider | None, news: Iterable[str] = ()
    ) -> None:
        self._attributes = dict(attributes)
        self._news = set(news)
        self._logger = get_logger(SCOPE, VERSION, provider, sc.SCHEMA_URL)

    def add(self, attributes: Mapping[str, str]) -> None:
        """Add attributes to all later events."""
        self._attributes = {**self._attributes, **attributes}

    def state_changed(self, change: StateChange) -> None:
        """
        Emit the change of the state of a feature, a detector or a limit.

        That its first state is ``stable`` is no news: a service with 50 features would begin with 50 events.
        """
        status = change.status
        if status.state == "stable" and change.feature not in self._news:
            return
        self._news.add(change.feature)
        attributes: dict[str, Any] = {
            sc.ML_FEATURE_NAME: change.feature,
            sc.ML_FEATURE_DRIFT_STATE: status.state,
            sc.ML_FEATURE_DRIFT_PREVIOUS_STATE: change.previous,
            sc.ML_DRIFT_REASON: status.reason,
            sc.ML_WINDOW_LENGTH: change.length,
            sc.ML_WINDOW_ROWS: status.rows,
        }
        if status.effect is not None:
            attributes[sc.ML_DRIFT_EFFECT] = status.effect
        if status.p_value is not None:
            attributes[sc.ML_DRIFT_P_VALUE] = status.p_value
        sentence = f"{change.feature} is {status.state}: {status.reason.removeprefix(f'{change.feature}: ')}"
        self._emit(sc.EVENT_FEATURE_DRIFT_STATE_CHANGED, sentence, attributes, warn=status.state == "drifting")

    def verdict_changed(self, previous: CanaryState, verdict: Verdict) -> None:
        """Emit a canary's verdict whose state differs from the state *previous*."""
        self._emit(
            sc.EVENT_CANARY_VERDICT_CHANGED,
            f"{verdict.state}: {verdict.reason}",
            {
                sc.ML_CANARY_STATE: verdict.state,
                sc.ML_CANARY_PREVIOUS_STATE: previous,
                sc.ML_CANARY_REASON: verdict.reason,
            },
            warn=verdict.state == "rollback",
        )

    def retraining_requested(self, request: RetrainingRequest) -> None:
        """Emit that a request for retraining has been queued."""
        attributes: dict[str, Any] = {
            sc.ML_RETRAINING_REASON: request.reason,
            sc.ML_RETRAINING_KIND: request.kind,
            sc.ML_RETRAINING_ID: request.id,
            sc.ML_DRIFT_REASON: request.detail,
        }
        if len(request.features) == 1:
            attributes[sc.ML_FEATURE_NAME] = request.features[0]
        words = "retraining" if request.kind == "retrain" else "a fix of the pipeline"
        sentence = f"{words} requested because of {request.reason.replace('_', ' ')}: {request.detail}"
        self._emit(sc.EVENT_RETRAINING_REQUESTED, sentence, attributes, warn=True)

    def retraining_moved(self, request: RetrainingRequest, transition: Transition) -> None:
        """Emit that a request for retraining has another state."""
        attributes = {
            sc.ML_RETRAINING_ID: request.id,
            sc.ML_RETRAINING_KIND: request.kind,
            sc.ML_RETRAINING_STATE: transition.state,
            sc.ML_RETRAINING_WHO: transition.who,
            sc.ML_RETRAINING_COMMENT: transition.comment,
        }
        comment = f": {transition.comment}" if transition.comment else ""
        sentence = f"{request.id} is {transition.state}, reported by {transition.who}{comment}"
        warn = transition.state in {"failed", "expired"}
        self._emit(sc.EVENT_RETRAINING_STATE_CHANGED, sentence, attributes, warn=warn)

    def _emit(self, name: str, sentence: str, attributes: Mapping[str, Any], *, warn: bool) -> None:
        """Emit the event *name* with a sentence as its body, and the attributes of the monitor too, as WARN or INFO."""
        model = ", ".join(self._attributes[key] for key in _MODEL if key in self._attributes)
        self._logger.emit(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.WARN if warn else SeverityNumber.INFO,
            event_name=name,
            body=f"{model}: {sentence}",
            attributes={**self._attributes, **attributes},
        )
