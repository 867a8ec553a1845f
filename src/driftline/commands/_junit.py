"""Writes the states of features as a report of tests, in the form of JUnit that CI systems show."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from driftline.results import FeatureStatus

__all__ = ["write_junit"]


def write_junit(path: str, suite: str, states: Mapping[str, FeatureStatus]) -> None:
    """
    Write a test case for each feature: failed if it drifts, skipped if that is not known.

    Args:
        path: the file that is written.
        suite: the name of the suite of tests.
        states: the states by feature.

    Raises:
        OSError: the file cannot be written.
    """
    counted = [status.state for status in states.values()]
    root = ET.Element(
        "testsuite",
        name=_printable(suite),
        tests=str(len(counted)),
        failures=str(counted.count("drifting")),
        skipped=str(counted.count("insufficient_data")),
        errors="0",
    )
    for name, status in states.items():
        case = ET.SubElement(root, "testcase", classname=_printable(suite), name=_printable(name))
        if status.state != "stable":
            kind = "failure" if status.state == "drifting" else "skipped"
            ET.SubElement(case, kind, message=_printable(status.reason))
    Path(path).write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    """Return a text with escapes for what XML cannot hold."""
    return "".join(mark if _is_in_xml(mark) else mark.encode("unicode_escape").decode("ascii") for mark in text)


def _is_in_xml(mark: str) -> bool:
    return mark in "\t\n\r" or " " <= mark <= "\ud7ff" or "\ue000" <= mark <= "\ufffd" or mark >= "\U00010000"
