"""Requests of Prometheus' remote write, version 1: snappy blocks of protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from arrivals import Point

__all__ = ["compress", "decompress", "encode", "field_of", "points_of"]

_LITERAL, _COPY_1, _COPY_2 = 0, 1, 2


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def decompress(block: bytes) -> bytes:
    """
    Return the content of a snappy block.

    The format: https://github.com/google/snappy/blob/main/format_description.txt
    """
    length, at = _varint(block, 0)
    out = bytearray()
    while at < len(block):
        tag = block[at]
        at += 1
        if tag & 3 == _LITERAL:
            size = tag >> 2
            if size >= 60:
                width = size - 59
                size = int.from_bytes(block[at : at + width], "little")
                at += width
            out += block[at : at + size + 1]
            at += size + 1
            continue
        if tag & 3 == _COPY_1:
            size, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[at]
            at += 1
        else:
            width = 2 if tag & 3 == _COPY_2 else 4
            size, offset = (tag >> 2) + 1, int.from_bytes(block[at : at + width], "little")
            at += width
        for _ in range(size):  # the copy may reach into what it writes
            out.append(out[-offset])
    if len(out) != length:
        message = f"a snappy block of {length} bytes has {len(out)}"
        raise ValueError(message)
    return bytes(out)


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Yield number and value of each field of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
        elif key & 7 == 1:
            yield key >> 3, data[at : at + 8]
            at += 8
        else:
            size, at = _varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size


def points_of(data: bytes) -> Iterator[Point]:
    """Yield the samples of a WriteRequest. Its series have no type: all are gauges here."""
    for number, series in _fields(data):
        if number != 1:
            continue
        labels, samples = {}, []
        for field, content in _fields(series):
            parts = dict(_fields(content))
            if field == 1:
                labels[parts[1].decode()] = parts.get(2, b"").decode()
            if field == 2:
                samples.append((struct.unpack("<d", parts.get(1, bytes(8)))[0], parts.get(2, 0) / 1e3))
        name = labels.pop("__name__", "")
        for value, time in samples:
            yield Point(metric=name, kind="gauge", temporality="", value=value, time=time, attributes=labels)


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field_of(number: int, content: bytes) -> bytes:
    """Return a field of bytes of a message."""
    return _number(number << 3 | 2) + _number(len(content)) + content


def encode(points: list[Point]) -> bytes:
    """Return a WriteRequest with a series for each point."""
    out = b""
    for point in points:
        labels = {"__name__": point.metric, **point.attributes}
        series = b"".join(
            field_of(1, field_of(1, key.encode()) + field_of(2, str(value).encode()))
            for key, value in sorted(labels.items())
        )
        sample = b"\x09" + struct.pack("<d", point.value) + b"\x10" + _number(int(point.time * 1e3))
        out += field_of(1, series + field_of(2, sample))
    return out


def compress(data: bytes) -> bytes:
    """Return a snappy block of literals only."""
    out = _number(len(data))
    for at in range(0, len(data), 60):
        part = data[at : at + 60]
        out += bytes([len(part) - 1 << 2]) + part
    return out
