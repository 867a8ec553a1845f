"""A request about a model, `RetrainingRequest`, with its evidence and its history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from driftline._runtime import json as documents
from driftline._runtime.json import DocumentError, Reader
from driftline.errors import ConfigurationError
from driftline.retraining._states import CLOSED, KINDS, OPEN, RequestKind, RequestState

__all__ = ["RetrainingEvidence", "RetrainingReason", "RetrainingRequest", "Transition"]

SCHEMA_VERSION = 1
"""Version of the JSON form."""

MAX_ITEMS = 20_000
"""Most features, reasons and transitions of a document: twice the features that a model may have."""

RetrainingReason: TypeAlias = Literal["drift", "accuracy", "latency", "guardrail", "broken_data"]

REASONS = ("drift", "accuracy", "latency", "guardrail", "broken_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingEvidence:
    """
    A limit that was crossed, in figures and words.

    Attributes:
        reason: the kind of limit.
        words: the evidence as a sentence.
        name: the feature, the metric or the guardrail.
        value: the measured value: of drift the corrected PSI, of accuracy a share, of latency seconds. None if unknown.
        lower: the lower end of its 95 % interval, or None.
        upper: the upper end of its 95 % interval, or None.
        limit: the limit, or None.
        p_value: the p-value of the test, or None.
        rows: the rows, calls or outcomes behind the value, or None.
    """

    reason: RetrainingReason
    words: str
    name: str = ""
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None
    p_value: float | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """
    A change of the state of a request.

    Attributes:
        state: the state after it.
        at: its time, in UNIX seconds.
        who: the person or program that reported it.
        comment: what they said; empty if nothing.
    """

    state: RequestState
    at: float
    who: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class RetrainingRequest:
    """
    A request to train a model again, or to fix the pipeline of its data.

    Attributes:
        id: the same in every process that makes this decision: see `decision_id`. It is a DNS label of at most 63
            characters, so that it can name a run of an orchestrator.
        model: the model's name.
        version: the model's version, if it has one.
        reason: the first kind of limit that was crossed: ``"drift"``, ``"accuracy"``, ``"latency"``, ``"guardrail"``,
            or ``"broken_data"`` if the pipeline is to be fixed.
        detail: the evidence as sentences.
        features: the drifting or broken features; empty for other reasons.
        created: the time of the request, in UNIX seconds.
        kind: ``"retrain"``, or ``"fix_pipeline"`` if the data are broken.
        state: ``"requested"``, ``"acknowledged"``, ``"running"``, ``"succeeded"``, ``"failed"``, ``"rejected"``,
            ``"expired"`` or ``"superseded"``.
        ordinal: the number of the decision among those of this kind about this version, from 1. If 0, the queue
            assigns the ordinal and the id.
        evidence: each limit that was crossed. The latest evidence replaces that of the same reason and name.
        reference: the fingerprint of the reference, or None.
        window: the label of the window, or None.
        data_from: the start of the data to train with, in UNIX seconds, or None.
        data_until: their end, in UNIX seconds, or None.
        count: how often a limit was crossed while the request was open.
        last_seen: when a limit was crossed last, in UNIX seconds. None stands for *created*.
        history: the transitions so far.
    """

    id: str
    model: str
    version: str | None
    reason: RetrainingReason
    detail: str
    features: tuple[str, ...]
    created: float
    kind: RequestKind = "retrain"
    state: RequestState = "requested"
    ordinal: int = 1
    evidence: tuple[RetrainingEvidence, ...] = ()
    reference: str | None = None
    window: str | None = None
    data_from: float | None = None
    data_until: float | None = None
    count: int = 1
    last_seen: float | None = None
    history: tuple[Transition, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the request is not finished."""
        return self.state in OPEN

    def to_dict(self) -> dict[str, Any]:
        """Return the request as a dict that `json.dumps` accepts."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def to_json(self) -> str:
        """Return the request as JSON in one line of ASCII. `from_json` reads it."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> RetrainingRequest:
        """
        Return the request of its JSON form.

        Raises:
            ConfigurationError: the text is not such JSON. The message names the part.
        """
        try:
            return documents.read(text if isinstance(text, str) else text.decode("utf-8"), _request)
        except (DocumentError, UnicodeDecodeError) as error:
            msg = f"a request for retraining: {error}"
            raise ConfigurationError(msg) from error


_optional: Reader[float | None] = documents.nullable(documents.number)
_text: Reader[str | None] = documents.nullable(documents.string)
_state = documents.choice(*OPEN, *CLOSED)
_names: Reader[tuple[str, ...]] = documents.array(documents.string, most=MAX_ITEMS)


def _evidence(value: Mapping[str, Any]) -> RetrainingEvidence:
    return documents.record(
        RetrainingEvidence,
        reason=documents.choice(*REASONS),
        words=documents.string,
        name=documents.absent("", documents.string),
        value=_optional,
        lower=_optional,
        upper=_optional,
        limit=_optional,
        p_value=_optional,
        rows=documents.nullable(documents.count),
    )(value)


_transition: Reader[Transition] = documents.record(
    Transition,
    state=_state,
    at=documents.number,
    who=documents.string,
    comment=documents.absent("", documents.string),
)

read_evidence: Reader[tuple[RetrainingEvidence, ...]] = documents.array(_evidence, most=MAX_ITEMS)
"""Reads the evidence of a request from parsed JSON."""

_request: Reader[RetrainingRequest] = documents.versioned(
    SCHEMA_VERSION,
    documents.record(
        RetrainingRequest,
        id=documents.name,
        model=documents.name,
        version=_text,
        reason=documents.choice(*REASONS),
        detail=documents.string,
        features=_names,
        created=documents.number,
        kind=documents.absent("retrain", documents.choice(*KINDS)),
        state=documents.absent("requested", _state),
        ordinal=documents.absent(1, documents.count),
        evidence=documents.absent((), read_evidence),
        reference=_text,
        window=_text,
        data_from=_optional,
        data_until=_optional,
        count=documents.absent(1, documents.count),
        last_seen=_optional,
        history=documents.absent((), documents.array(_transition, most=MAX_ITEMS)),
    ),
)
