"""A request as a CloudEvent 1.0, in the two modes of the HTTP protocol binding."""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from driftline.retraining._request import RetrainingRequest

__all__ = ["EVENT_TYPES", "Message", "binary_message", "structured_message"]

EVENT_TYPES = {
    "retrain": "io.github.driftline.retraining.requested",
    "fix_pipeline": "io.github.driftline.pipeline.fix_requested",
}
"""The attribute ``type`` by kind of request, so that a trigger for trainings never sees broken data."""

MAX_DATA_BYTES = 60_000
"""
Most bytes of the data. Intermediaries forward events of at most 64 KiB (CloudEvents 1.0.2, size limits), of which the
other attributes have some.
"""

LONGEST = 50
"""Most features and pieces of evidence of an event that would be too large with all of them."""

LONGEST_TEXT = 8_000
"""Most characters of the sentences in such an event."""


@dataclass(frozen=True, slots=True)
class Message:
    """The headers and the body of an HTTP request."""

    headers: dict[str, str]
    body: bytes


def structured_message(request: RetrainingRequest) -> Message:
    """Return a request as a message in structured mode: attributes and data are one JSON document."""
    event = {**_attributes(request), "datacontenttype": "application/json", "data": _data(request)}
    body = json.dumps(event, allow_nan=False).encode("ascii")
    return Message({"Content-Type": "application/cloudevents+json; charset=UTF-8"}, body)


def binary_message(request: RetrainingRequest) -> Message:
    """Return a request as a message in binary mode: attributes are headers, and the body is the data."""
    headers = {f"ce-{name}": _header(value) for name, value in _attributes(request).items()}
    body = json.dumps(_data(request), allow_nan=False).encode("ascii")
    return Message({**headers, "Content-Type": "application/json"}, body)


def message(request: RetrainingRequest, mode: Literal["structured", "binary"]) -> Message:
    """Return a request as a message in a mode."""
    return structured_message(request) if mode == "structured" else binary_message(request)


def _attributes(request: RetrainingRequest) -> dict[str, str]:
    """Return the context attributes. The source and the id together are unique (CloudEvents 1.0.2)."""
    attributes = {
        "specversion": "1.0",
        "id": request.id,
        "source": f"/driftline/models/{urllib.parse.quote(request.model, safe='', errors='backslashreplace')}",
        "type": EVENT_TYPES[request.kind],
        "time": datetime.fromtimestamp(request.created, timezone.utc).isoformat(timespec="milliseconds"),
    }
    if request.version:
        attributes["subject"] = _plain(request.version)
    return attributes


def _plain(text: str) -> str:
    """Return a text without the characters that a string of CloudEvents must not have."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _header(value: str) -> str:
    """
    Return a value as a header.

    Characters outside of printable ASCII, spaces, double quotes and per cent signs are encoded (HTTP protocol binding
    1.0.2, section 3.1.3.2).
    """
    return "".join(
        character if "!" <= character <= "~" and character not in '"%' else urllib.parse.quote(character, safe="")
        for character in value
    )


def _data(request: RetrainingRequest) -> dict[str, Any]:
    """Return the data of the event: the request, with the first features and evidence only if it is too large."""
    data = request.to_dict()
    if len(json.dumps(data, allow_nan=False)) <= MAX_DATA_BYTES:
        return data
    data["omitted"] = {name: max(0, len(data[name]) - LONGEST) for name in ("features", "evidence")}
    data["detail"] = data["detail"][:LONGEST_TEXT]
    data["features"] = data["features"][:LONGEST]
    data["evidence"] = data["evidence"][:LONGEST]
    data["history"] = data["history"][-LONGEST:]
    if len(json.dumps(data, allow_nan=False)) > MAX_DATA_BYTES:  # of huge names
        data["features"], data["evidence"], data["history"] = [], [], []
        data["detail"] = data["detail"][: LONGEST_TEXT // 8]
    return data
