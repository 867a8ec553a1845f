"""The configuration of retraining requests, `RetrainingPolicy`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from driftline._runtime import validation as check
from driftline.outcomes import Performance
from driftline.results import FeatureStatus
from driftline.retraining._assessment import Assessment, assess
from driftline.retraining._draft import draft
from driftline.retraining._importance import importance_of
from driftline.retraining._queue import RetrainingQueue
from driftline.retraining._request import RetrainingRequest
from driftline.retraining._situation import RetrainingSituation

if TYPE_CHECKING:
    from driftline.retraining._replay import Replay

__all__ = ["RetrainingPolicy"]

LESSON_ACCURACY, LESSON_LATENCY = 0.78, 0.5
"""The limits of `driftline.oneshot.should_trigger_retraining`: a share, and seconds."""

MAX_LOOKS = 1_000
"""Most windows that *persistence* remembers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingPolicy:
    """
    Decides when to request retraining, and when to request a fix of the pipeline instead.

    A window speaks for retraining if enough features drift, or if an accuracy is below its limit with its whole
    interval, or if the latency or a guardrail is beyond its limit. A request needs *persistence*, enough new labels,
    data that are not broken, and no request of the model that is open or has just ended. ``docs/retraining.md``
    explains each condition.

    Args:
        min_drifting: smallest number of drifting features that speaks for retraining. If None, drift does not.
        features: names of the features that count. If None, all of them do, and the detectors too.
        importance: how much the model depends on each feature, by name, or a fitted model that says so
            (``feature_importances_`` or ``coef_``). If None, each feature counts as one.
        min_importance: smallest share of the importance that the drifting features have together.
        limits: whether a limit of the outcomes that is crossed speaks for retraining. By default that of
            `OutcomePolicy` is an accuracy 5 points below the reference.
        min_accuracy: realised accuracy that the whole interval must be below, above 0 and at most 1. If None, only
            *limits* count.
        min_estimated_accuracy: the same for the accuracy that is estimated before outcomes arrive.
        max_latency: median duration of a call, in seconds, above which the model counts as too slow. If None, none is.
        guardrails: further reasons by name: functions of a `RetrainingSituation` that return a sentence if retraining
            is due, and None if not. They run in the worker thread. One that raises counts as an error.
        persistence: ``(k, n)``: k of the last n windows must speak for retraining.
        min_labels: smallest number of outcomes since the model's last request, if outcomes are reported at all.
        cooldown: how long after the end of a request none is made, as a duration. After a success, none is made either
            until another version or reference serves.
        expire: after how long without a trigger or a report an open request ends as ``expired``. If None, never.
        broken_data: whether broken data hold retraining back and request a fix of the pipeline.
        intervals: whether accuracy needs its interval. If False, the value alone decides, and an unknown value of
            accuracy or latency is not within its limit, as in the lesson.
        queue: stores the requests. By default a queue in memory.

    Raises:
        ConfigurationError: a limit is of the wrong type or out of range.
    """

    min_drifting: int | None = 1
    features: Collection[str] | None = None
    importance: Mapping[str, float] | None = None
    min_importance: float = 0.1
    limits: bool = True
    min_accuracy: float | None = None
    min_estimated_accuracy: float | None = None
    max_latency: float | None = None
    guardrails: Mapping[str, Callable[[RetrainingSituation], str | None]] = field(default_factory=dict)
    persistence: tuple[int, int] = (2, 3)
    min_labels: int = 200
    cooldown: str | float = "7d"
    expire: str | float | None = "30d"
    broken_data: bool = True
    intervals: bool = True
    queue: RetrainingQueue = field(default_factory=RetrainingQueue)

    def __post_init__(self) -> None:
        check.optional(check.integer, "min_drifting", self.min_drifting, at_least=1)
        for name in ("min_accuracy", "min_estimated_accuracy"):
            check.optional(check.number, name, getattr(self, name), above=0, at_most=1)
        if not (isinstance(self.max_latency, float) and self.max_latency == math.inf):  # such a limit is never crossed
            check.optional(check.number, "max_latency", self.max_latency, above=0)
        check.number("min_importance", self.min_importance, at_least=0, at_most=1)
        for name in ("limits", "broken_data", "intervals"):
            check.boolean(name, getattr(self, name))
        check.integer("min_labels", self.min_labels, at_least=0)
        _check_persistence(self.persistence)
        self._set("features", _checked_names(self.features))
        self._set("importance", None if self.importance is None else importance_of(self.importance))
        self._set("guardrails", _checked_guardrails(self.guardrails))
        self._set("cooldown", 0.0 if self.cooldown == 0 else check.duration("cooldown", self.cooldown))
        self._set("expire", check.optional(check.duration, "expire", self.expire))
        check.instance("queue", self.queue, RetrainingQueue, "a RetrainingQueue")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def lesson(cls, queue: RetrainingQueue | None = None) -> RetrainingPolicy:
        """
        Return the rule of `driftline.oneshot.should_trigger_retraining`.

        One window with a drifting feature, an accuracy below 0.78 or a latency above 0.5 s suffices. The rule requests
        retraining for noise and for broken data too.

        >>> policy = RetrainingPolicy.lesson()
        >>> [each.reason for each in policy.assess(RetrainingSituation(at=0.0, latency=0.9)).evidence]
        ['accuracy', 'latency']
        """
        return cls(
            limits=False,
            min_accuracy=LESSON_ACCURACY,
            max_latency=LESSON_LATENCY,
            persistence=(1, 1),
            min_labels=0,
            cooldown=0.0,
            expire=None,
            broken_data=False,
            intervals=False,
            queue=RetrainingQueue() if queue is None else queue,
        )

    def assess(self, situation: RetrainingSituation) -> Assessment:
        """
        Return the limits that one window crosses, without persistence and without the queue.

        Args:
            situation: what is known of the model.
        """
        return assess(self, situation)

    def replay(
        self, history: Iterable[RetrainingSituation], *, model: str = "model", version: str | None = None
    ) -> Replay:
        """
        Return when this policy would have made requests over past windows. The queue of the policy is not used.

        Nothing is retrained: each request fails after a day, so that the next one may come after the cooldown.

        Args:
            history: a situation for each window, in the order of time.
            model: the name of the model, for the ids.
            version: its version.
        """
        from driftline.retraining._replay import replay  # noqa: PLC0415 - it applies policies

        return replay(self, history, model, version)

    def requests(
        self,
        model: str,
        version: str | None,
        status: Mapping[str, FeatureStatus],
        accuracy: float | None,
        latency: float | None,
    ) -> tuple[RetrainingRequest, ...]:
        """
        Return a request if one window crosses a limit, without persistence; empty if it crosses none.

        The request is not added to the queue. This is the interface of driftline 0.1: `assess` returns more.

        Args:
            model: the model's name.
            version: the model's version, if it has one.
            status: the state of each feature by name.
            accuracy: realised accuracy, or None if unknown. It counts as exact.
            latency: median duration of a call in seconds, or None if unknown.
        """
        exact = None if accuracy is None else Performance("accuracy", accuracy, accuracy, accuracy, 0)
        situation = RetrainingSituation(at=time.time(), status=status, accuracy=exact, latency=latency)
        evidence = self.assess(situation).evidence
        return (draft(model, version, "retrain", evidence, situation),) if evidence else ()


def _check_persistence(value: Any) -> None:
    expected = f"(k, n): integers with 1 <= k <= n <= {MAX_LOOKS}"
    if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004 - a pair
        check.reject("persistence", value, expected)
    for number in value:
        if isinstance(number, bool) or not isinstance(number, int):
            check.reject("persistence", value, expected)
    if not 1 <= value[0] <= value[1] <= MAX_LOOKS:
        check.reject("persistence", value, expected)


def _checked_names(value: Any) -> frozenset[str] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, Collection) or not all(isinstance(each, str) for each in value):
        check.reject("features", value, "a collection of names, or None")
    return frozenset(value)


def _checked_guardrails(value: Any) -> dict[str, Callable[[RetrainingSituation], str | None]]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        check.reject("guardrails", value, "a dict of functions by name")
    return {name: check.function(f"guardrails[{name!r}]", function) for name, function in value.items()}
