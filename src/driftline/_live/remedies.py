"""What to do about errors of a monitor and rows that it dropped, in a line each. The troubleshooting page has more."""

from __future__ import annotations

__all__ = ["remedy"]

BUG = "report it as a bug, with the logged line"
SHADOW = "expected for a slow candidate: increase concurrency=, max_load= or size=, or accept a sample"

ERRORS = {
    "agree": "fix agree= of Canary.shadow",
    "canary": "check that the file of the canary is writable and its disk not full",
    "capture": "compare the features of a call with the reference, or pass features=",
    "cardinality": "call configure_otlp() before the monitor is made, or raise the limit of your provider",
    "clock": "fix clock= or wall_clock=",
    "collect": BUG,
    "derive": "fix the function in derive=: it must not raise or block",
    "detector": "fix the stream detector that the log names",
    "distance": "check the function with driftline.testing.check_distance",
    "drain": BUG,
    "failure": BUG,
    "features": "fix features=: it receives the arguments of the call",
    "fleet": "check the store of counts, and the folder of --state",
    "flush": BUG,
    "guardrail": "pass 'baseline' or 'candidate', and a finite number",
    "instrumentor": "let training carry a reference that fits; the log says why this one does not",
    "judging": "a distance or rule of yours blocks: fix it",
    "key": "fix key=: it returns a string, bytes, an integer or a UUID",
    "learn": "the log names the column: pass it in vectors= or ignore=",
    "learned": "check the file in learned_path= and its folder",
    "observe": "pass as many outputs and ids as rows",
    "on_verdict": "fix on_verdict=; the verdict stands",
    "outcome": "pass as many actual values as ids, and check correct=",
    "outcomes": "check the file of the OutcomePolicy and its disk",
    "output": "fix output=: it returns a number, a label, or one of them per row",
    "prediction_id": "fix prediction_id=: outcomes of these predictions cannot be joined",
    "record": BUG,
    "retraining": "check the file of the RetrainingQueue and its disk",
    "route": "fix key= of the canary; the baseline served the call",
    "shadow": "pass plain values or copy=; the log says which value could not be copied",
    "span": "check the tracer provider and its span processors",
    "unknown_feature": "often a renamed column: fit the reference with it, or name it in ignore=",
    "user_id": "fix user_id=",
    "value": "convert the values before the call; the log says which type came",
}
"""By the value of ``ml.monitor.place``."""

DROPPED = {
    "derive": "fix the function in derive=: it does not return",
    "learning": "expected while a reference is learned; if it continues, the log says why the fit fails",
    "replaced": "replace references less often",
    "shadow": SHADOW,
    "shadow_bytes": "increase max_bytes= of the shadow, or accept a sample",
    "shadow_ended": "await canary.aflush() before the loop ends",
    "shadow_loop": "pass plain functions to Canary.shadow",
    "shadow_share": "expected: raise share= to repeat more calls",
    "shadow_stopped": "the candidate blocks the event loop, or cannot be ended: see the log",
    "shape": "pass named features, or rows as long as the reference",
    "unreadable": "pass a dict, a row, a data frame, a dataclass or a pydantic model; or features=",
}
"""By the value of ``ml.monitor.reason``."""

ELSE = "see the log of the service, and the page on troubleshooting"


def remedy(where: str, *, dropped: bool) -> str:
    """
    Return what to do.

    Args:
        where: the value of ``ml.monitor.place``, or of ``ml.monitor.reason`` for dropped rows.
        dropped: whether rows were dropped.
    """
    return (DROPPED if dropped else ERRORS).get(where, ELSE)
