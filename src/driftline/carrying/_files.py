"""
References in and beside model files. Nothing is unpickled: a pickle is not opened, only its neighbour file is read.

The text of a reference has a unique beginning, and its characters need no escape in JSON, UBJSON, protobuf or the
binary form of CatBoost. It is searched for in these files, without the libraries that load them.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from driftline._runtime.json_text import DocumentError, parse
from driftline.carrying._estimators import ATTRIBUTE
from driftline.carrying._text import MAGIC, MAX_TEXT, decode
from driftline.errors import ReferenceError
from driftline.reference import Reference

__all__ = ["neighbour", "read_path"]

SUFFIX = ".driftline.json"
"""What follows the name of a model's file in the name of the file of its reference."""

CHUNK_BYTES = 2**20
"""Bytes of a model's file in memory during the search."""

MAX_TEXTS = 16
"""Most beginnings of a text in a file, so that a hostile file cannot cost much time."""

MAX_SCHEMA_BYTES = 256 * 2**20
"""Most bytes of the description of objects in a skops file."""

_HEADS = (b"{", b"tree\n", b"tree\r\n", b"CBM1", b"\x08", b"binf")
"""First bytes of JSON and UBJSON of xgboost, of texts of LightGBM, of CatBoost, of ONNX, and of old xgboost files."""

_ZIP = b"PK\x03\x04"
_BEGINNING = re.compile(re.escape(MAGIC.encode("ascii")) + rb"\d")
_END = re.compile(rb"\d\.[0-9A-Za-z_=-]*(?:\.|[^0-9A-Za-z_=-])")


def neighbour(path: Path) -> Path:
    """Return the path of the file beside a model's file or folder that has its reference."""
    return path.with_name(path.name + SUFFIX)


def read_path(path: Path) -> Reference | None:
    """
    Return the reference in a model's file or, if there is none, beside it.

    Raises:
        ReferenceError: there is neither a model nor a file beside it, or the reference is damaged.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        status, reason = None, error
    reference = None
    if status is not None and stat.S_ISREG(status.st_mode):
        try:
            reference = _read_inside(path)
        except OSError as error:
            msg = f"{path}: cannot be read: {error}"
            raise ReferenceError(msg) from error
    if reference is not None:
        return reference
    if path.name and os.path.lexists(neighbour(path)):
        return Reference.load(neighbour(path))
    if status is None:
        msg = f"{path}: cannot be read, and there is no {path.name}{SUFFIX}: {reason}"
        raise ReferenceError(msg) from reason
    return None


def _read_inside(path: Path) -> Reference | None:
    with path.open("rb") as stream:
        head = stream.read(8)
        if not head.startswith((*_HEADS, _ZIP)):
            return None
        if head.startswith(_ZIP):
            return _read_skops(stream, path)
        stream.seek(0)
        texts = _find_texts(stream, path)
    if len(texts) > 1:
        places = ", ".join(map(str, sorted(texts.values())))
        msg = f"{path}: {len(texts)} different references, at bytes {places}; expected one"
        raise ReferenceError(msg)
    for text, offset in texts.items():
        return decode(text, f"{path}: byte {offset}")
    return None


def _find_texts(stream: BinaryIO, path: Path) -> dict[bytes, int]:
    """
    Return the different texts in a file, and the byte at which each begins.

    Raises:
        ReferenceError: there are too many.
    """
    texts: dict[bytes, int] = {}
    start, buffer, count = 0, b"", 0
    while chunk := stream.read(CHUNK_BYTES):
        buffer += chunk
        for match in _BEGINNING.finditer(buffer):
            count += 1
            if count > MAX_TEXTS:
                msg = f"{path}: more than {MAX_TEXTS} references, expected one"
                raise ReferenceError(msg)
            texts.setdefault(_text_at(stream, start + match.start()), start + match.start())
        kept = len(MAGIC)  # a beginning may be broken over two chunks; it has a character more
        start += max(0, len(buffer) - kept)
        buffer = buffer[-kept:]
    return texts


def _text_at(stream: BinaryIO, offset: int) -> bytes:
    """Return the text that begins at a byte, as far as its characters go. The position of the stream stays."""
    before = stream.tell()
    stream.seek(offset)
    text = bytearray()
    while len(text) <= MAX_TEXT and (chunk := stream.read(CHUNK_BYTES)):
        text += chunk
        if end := _END.search(text, len(MAGIC)):
            del text[end.end() :]
            break
    stream.seek(before)
    return bytes(text)


def _read_skops(stream: BinaryIO, path: Path) -> Reference | None:
    """Return the reference of the outermost object in a skops file: its attribute is JSON in the file."""
    try:
        with zipfile.ZipFile(stream) as archive:
            if "schema.json" not in archive.namelist():
                return None
            with archive.open("schema.json") as member:
                document = member.read(MAX_SCHEMA_BYTES + 1)
        if len(document) > MAX_SCHEMA_BYTES:
            msg = f"{path}: schema.json has more than {MAX_SCHEMA_BYTES} bytes"
            raise ReferenceError(msg)
        if ATTRIBUTE.encode("ascii") not in document:
            return None
        text = _attribute_of(parse(document.decode("utf-8")))
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, DocumentError) as error:
        if isinstance(error, ReferenceError):
            raise
        msg = f"{path}: not a skops file that can be read: {error}"
        raise ReferenceError(msg) from error
    return None if text is None else decode(text, f"{path}: schema.json: {ATTRIBUTE}")


def _attribute_of(schema: Any) -> Any:
    """Return the text in the description of an object, or None."""
    for key in ("content", "content", ATTRIBUTE, "content"):
        schema = schema.get(key) if isinstance(schema, dict) else None
    return parse(schema) if isinstance(schema, str) else None
