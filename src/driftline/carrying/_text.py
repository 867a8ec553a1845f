"""
The form of a reference inside a model: one line of ASCII that any attribute, metadata field or text file can hold.

It is ``driftline.reference.1.``, then the JSON of the reference, compressed by zlib and encoded in base64, then a dot.
The JSON alone is accepted too, so that other programs can write it.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from driftline._runtime.json_text import shown
from driftline.errors import ReferenceError
from driftline.reference import Reference
from driftline.reference._reference import MAX_FILE_BYTES

__all__ = ["KEY", "MAGIC", "MAX_TEXT", "decode", "encode"]

KEY = "driftline_reference"
"""Name of the attribute or the metadata field of a model that has the text."""

MAGIC = "driftline.reference."
"""The beginning of the text. The number of its version follows."""

MAX_TEXT = MAX_FILE_BYTES
"""Most characters of a text."""

_FORM = re.compile(rf"{re.escape(MAGIC)}(\d{{1,6}})\.([A-Za-z0-9_=-]*)(\.?)")


def encode(reference: Reference) -> str:
    """
    Return the text of a reference; equal references give the same text.

    Raises:
        ReferenceError: the reference is too large to be read back.
    """
    dense = json.dumps(json.loads(reference.to_json()), separators=(",", ":")).encode("ascii")
    text = f"{MAGIC}1.{urlsafe_b64encode(zlib.compress(dense)).decode('ascii')}."
    if len(dense) > MAX_FILE_BYTES or len(text) > MAX_TEXT:
        msg = f"reference: {len(dense)} bytes, expected at most {MAX_FILE_BYTES} (fit fewer features or categories)"
        raise ReferenceError(msg)
    return text


def decode(text: Any, source: str) -> Reference:
    """
    Return the reference of a text of unknown origin.

    Args:
        text: the text, or the JSON of a reference.
        source: the place of the text, for the message of an error.

    Raises:
        ReferenceError: the text is damaged, too large, or of a newer version. The message begins with *source*.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        raise _error(source, f"a {type(text).__name__}, expected a string")
    if len(text) > MAX_TEXT:
        raise _error(source, f"{len(text)} characters, expected at most {MAX_TEXT}")
    document = text if text.lstrip().startswith("{") else _decompress(text, source)
    try:
        return Reference.from_json(document)
    except ReferenceError as error:
        raise _error(source, str(error)) from error


def _decompress(text: str, source: str) -> str:
    form = _FORM.match(text)
    if form is None:
        raise _error(source, f"{shown(text)} is no reference, expected {MAGIC}1. and base64")
    version, payload, end = form.groups()
    if version != "1":
        raise _error(source, f"version {version}, expected 1: a newer driftline wrote this text")
    if not end or form.end() != len(text):
        raise _error(source, f"damaged or truncated after character {form.end()} of {len(text)}")
    try:
        unpacker = zlib.decompressobj()
        document = unpacker.decompress(urlsafe_b64decode(payload), MAX_FILE_BYTES + 1)
    except (ValueError, zlib.error) as error:
        raise _error(source, f"damaged: {error}") from error
    if len(document) > MAX_FILE_BYTES:
        raise _error(source, f"more than {MAX_FILE_BYTES} bytes when decompressed")
    if not unpacker.eof:
        raise _error(source, "truncated")
    try:
        return document.decode("utf-8")
    except ValueError as error:
        raise _error(source, f"damaged: {error}") from error


def _error(source: str, what: str) -> ReferenceError:
    return ReferenceError(f"{source}: {what}")
