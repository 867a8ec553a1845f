"""The id of a decision: the same on every host, and usable as a name by orchestrators."""

from __future__ import annotations

import hashlib
import json
import re

__all__ = ["MAX_ID", "decision_id"]

MAX_ID = 63
"""Characters of an id at most: those of a DNS label (RFC 1123), which Kubernetes and Argo accept as a name."""

MODEL_CHARACTERS = 20
"""Characters of the model's name in an id. The digest tells longer names apart."""

VERSION_CHARACTERS = 12
"""Characters of the model's version in an id."""

DIGEST_CHARACTERS = 12
"""Hexadecimal digits of the digest. Two of a million decisions share a digest with a probability of 0.2 %."""

WORDS = {"retrain": "retrain", "fix_pipeline": "fix"}
"""The first word of an id, by kind."""


def decision_id(model: str, version: str | None, kind: str, ordinal: int) -> str:
    """
    Return the id of a decision about a model. Equal arguments have equal ids, in every process and on every host.

    An id is a DNS label: lower-case letters, digits and hyphens, at most 63 of them.

    Args:
        model: the model's name.
        version: its version, or None.
        kind: the kind of request.
        ordinal: the number of the decision, from 1, among those of this kind about this version.

    >>> decision_id("flight-delay", "3", "retrain", 1)
    'retrain-flight-delay-3-1-9c9edcdce6bd'
    """
    key = json.dumps([model, version, kind, ordinal], ensure_ascii=True)
    digest = hashlib.sha256(key.encode("ascii")).hexdigest()[:DIGEST_CHARACTERS]
    parts = (
        WORDS.get(kind, "request"),
        _slug(model, MODEL_CHARACTERS),
        _slug(version or "", VERSION_CHARACTERS),
        str(ordinal),
        digest,
    )
    return "-".join(part for part in parts if part)


def _slug(text: str, characters: int) -> str:
    """Return the letters and digits of ASCII in a text, in lower case, with single hyphens between them."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:characters].strip("-")
