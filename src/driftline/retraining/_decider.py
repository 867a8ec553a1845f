"""`Decider`: applies a policy to one window after the other, and asks the queue."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from driftline.retraining._assessment import Assessment
from driftline.retraining._draft import draft
from driftline.retraining._policy import RetrainingPolicy
from driftline.retraining._queue import RetrainingQueue, Submission
from driftline.retraining._request import RetrainingEvidence
from driftline.retraining._situation import RetrainingSituation
from driftline.retraining._states import OPEN

__all__ = ["Decider", "Decision"]


class Decision(NamedTuple):
    """
    What was decided after one window.

    Attributes:
        assessment: the limits that the window crosses.
        submissions: what was submitted to the queue.
        held: why no retraining was requested although the window speaks for it; empty if it does not, or if it was.
    """

    assessment: Assessment
    submissions: tuple[Submission, ...] = ()
    held: str = ""


class Decider:
    """
    Applies a policy to the windows of one model.

    Args:
        policy: the policy.
        queue: gets the requests.
        model: the model's name.
        version: its version, or None.
        began: the start of the process, in UNIX seconds. None stands for the first window.
    """

    def __init__(
        self,
        policy: RetrainingPolicy,
        queue: RetrainingQueue,
        model: str,
        version: str | None,
        began: float | None = None,
    ) -> None:
        self._policy, self._queue, self._model, self._version = policy, queue, model, version
        self._looks: deque[bool] = deque(maxlen=policy.persistence[1])
        self._fine: deque[float] = deque(maxlen=policy.persistence[1])
        self._latest: float | None = began
        self._since: float | None = None
        self._labels = 0
        self._tainted: set[str] = set()
        self._was_broken = False
        self._repaired: int | None = None
        self._reference: str | None = None

    def _reset(self, reference: str | None) -> None:
        """Forget the windows so far, because another reference serves."""
        self._reference = reference
        self._looks.clear()
        self._fine.clear()
        self._since = self._repaired = None
        self._was_broken = False
        self._tainted.clear()

    def decide(self, situation: RetrainingSituation) -> Decision:
        """Decide after one window, and submit a request if it is due."""
        if situation.reference != self._reference:
            self._reset(situation.reference)
        assessment = self._policy.assess(situation)
        broken = self._unrejected(assessment.broken)
        previous, self._latest = self._latest, situation.at
        if broken:
            return self._hold_for(assessment, broken, situation)
        if self._policy.broken_data and situation.suspected and assessment.evidence:
            self._looks.append(False)
            names = ", ".join(situation.suspected)
            return Decision(assessment, (), f"the data of {names} may be broken: the next window decides")
        self._close_fixes(situation)
        evidence = self._untainted(assessment.evidence, situation)
        self._looks.append(bool(evidence))
        if not any([*self._looks][:-1]):
            self._since = previous if evidence else None
        if not evidence:
            return Decision(assessment)
        held = self._not_yet(situation)
        if held:
            return Decision(assessment, (), held)
        request = draft(self._model, self._version, "retrain", evidence, situation, self._since)
        submission = self._queue.submit(request, cooldown=float(self._policy.cooldown))
        if submission.is_new and situation.labels is not None:
            self._labels = situation.labels
        return Decision(assessment, (submission,), submission.held)

    def _hold_for(
        self, assessment: Assessment, broken: tuple[RetrainingEvidence, ...], situation: RetrainingSituation
    ) -> Decision:
        """Request a fix of the pipeline. A window of broken data does not speak for retraining."""
        self._fine.clear()
        self._was_broken = True
        self._looks.append(False)
        self._tainted.update(each.name for each in broken)
        submission = self._queue.submit(draft(self._model, self._version, "fix_pipeline", broken, situation))
        names = ", ".join(each.name for each in broken)
        return Decision(assessment, (submission,), f"the data of {names} are broken: fix the pipeline first")

    def _close_fixes(self, situation: RetrainingSituation) -> None:
        """Close requests for a fix once the data have been fine for as many windows as *persistence* remembers."""
        self._fine.append(situation.at)
        if len(self._fine) < (self._fine.maxlen or 1):
            return
        for request in self._queue.requests(self._model, states=OPEN):
            seen = request.created if request.last_seen is None else request.last_seen
            if request.kind == "fix_pipeline" and request.version == self._version and seen < self._fine[0]:
                comment = f"no broken data in {len(self._fine)} windows"
                self._queue.move(request.id, "succeeded", who="driftline", comment=comment, at=situation.at)

    def _untainted(
        self, evidence: tuple[RetrainingEvidence, ...], situation: RetrainingSituation
    ) -> tuple[RetrainingEvidence, ...]:
        """Return evidence without features that drift because of windows in which they were broken."""
        drifting = {name for name, status in situation.status.items() if status.state == "drifting"}
        self._tainted &= drifting
        if self._was_broken:
            self._was_broken, self._repaired = False, situation.labels or 0
        return tuple(
            each
            for each in evidence
            if (each.reason != "drift" or each.name not in self._tainted)
            and (each.reason != "accuracy" or not self._is_of_broken_rows(each, situation))
        )

    def _is_of_broken_rows(self, evidence: RetrainingEvidence, situation: RetrainingSituation) -> bool:
        """Return whether an accuracy is still that of predictions from broken data."""
        if self._tainted:
            return True
        if self._repaired is None:
            return False
        labels = (situation.labels or 0) - self._repaired
        if labels < max(evidence.rows or 0, self._policy.min_labels):
            return situation.labels is not None
        self._repaired = None
        return False

    def _not_yet(self, situation: RetrainingSituation) -> str:
        """Return why a request is not due although the window speaks for it; empty if it is due."""
        least, last = self._policy.persistence
        windows = sum(self._looks)
        if windows < least:
            return f"{windows} of the last {last} windows, needs {least}"
        if situation.labels:
            labels = situation.labels - self._labels
            if labels < self._policy.min_labels:
                return f"{labels} new labels, needs {self._policy.min_labels}"
        return ""

    def _unrejected(self, broken: tuple[RetrainingEvidence, ...]) -> tuple[RetrainingEvidence, ...]:
        """Return the broken features without those of which a person has said that they are not broken."""
        if not broken:
            return ()
        rejected = {
            name
            for request in self._queue.requests(self._model, states=("rejected",))
            if request.kind == "fix_pipeline" and request.reference == self._reference
            for name in request.features
        }
        return tuple(each for each in broken if each.name not in rejected)
