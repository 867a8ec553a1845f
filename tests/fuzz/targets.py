"""
What is fuzzed: bytes in, and nothing but the promised errors out.

``python tests/fuzz/targets.py reference -max_total_time=20 FOLDER`` runs the coverage-guided fuzzer on one of them.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
from types import SimpleNamespace

import numpy as np

if __name__ == "__main__":
    import atheris  # not to be had for every Python, and not needed to replay the corpus

    # Of ours alone: all of numpy's would take minutes. What is imported in here tells the fuzzer where it has been.
    with atheris.instrument_imports(include=["driftline"]):
        import driftline.testing

import driftline as dl
from driftline import testing
from driftline.canary import CanaryEvidence

TYPES = (int, float, str, bytes, bool, list, tuple, dict, set, type(None))


class Choices:
    """Choices made by bytes, zeros when they run out: the same code reads the fuzzer's bytes and the corpus's."""

    def __init__(self, data):
        self._data, self._at = data, 0

    def number(self, below):
        """A whole number from 0 to below - 1."""
        value = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return value % below

    def text(self):
        """A short text, of any characters."""
        size = self.number(12)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece.decode("utf-8", "surrogateescape")

    def double(self):
        """Any double: infinite, nan, subnormal ones among them."""
        piece = self._data[self._at : self._at + 8].ljust(8, b"\0")
        self._at += 8
        return float(np.frombuffer(piece, dtype="<f8")[0])

    def value(self, depth=2):
        """Anything that a caller may pass."""
        kind = self.number(20)
        simple = (
            lambda: None,
            self.text,
            self.double,
            lambda: self.number(256) - 128,
            lambda: bool(self.number(2)),
            lambda: 10 ** (self.number(200) * 3),
            lambda: np.float32(self.number(256)),
            lambda: np.datetime64(self.number(256), "D"),
            lambda: math.nan,
            lambda: b"\xff" * self.number(4),
            Raises,
            lambda: complex(self.double(), 1.0),
            lambda: np.array(self.double()),
            object,
        )
        if kind < len(simple):
            return simple[kind]()
        if depth == 0:
            return None
        items = [self.value(depth - 1) for _ in range(self.number(5))]
        if kind == 14:
            return items
        if kind == 15:
            return tuple(items)
        if kind == 16:
            return {self.text(): item for item in items}
        if kind == 17:
            return np.array([self.double() for _ in items]).reshape((-1, 1) if self.number(2) else (-1,))
        if kind == 18:
            return SimpleNamespace(**{f"f{place}": item for place, item in enumerate(items)})
        return Pair(items[0] if items else 0.0, items)


class Raises:
    """A value of which nothing can be asked."""

    def _no(self, *_):
        message = "no"
        raise ZeroDivisionError(message)

    __float__ = __int__ = __index__ = __len__ = __iter__ = __eq__ = __hash__ = __str__ = __repr__ = __bool__ = _no


@dataclasses.dataclass
class Pair:
    """A dataclass as features."""

    x: object
    channel: object


def reference(data):
    """A reference file that may be anything: a reference that can be written and used, or a ReferenceError."""
    text = data.decode("utf-8", "replace")
    try:
        made = dl.Reference.from_json(text)
    except dl.ReferenceError:
        return
    again = dl.Reference.from_json(made.to_json())
    assert again == made
    assert again.to_json() == made.to_json()
    monitor = testing.in_memory_monitor(reference=made, on_error="log")
    monitor.observe({feature.name: [None, 1.0, "a"] for feature in made.features})
    snapshot = monitor.snapshot()
    assert snapshot is not None
    assert snapshot.rows == 3
    monitor.shutdown()


def structured_reference(data):
    """A valid reference in which some places are changed: deeper than the bytes of a file come by themselves."""
    choices = Choices(data)
    document = json.loads(REFERENCE.to_json())
    for _ in range(1 + choices.number(4)):
        place, key = document, None
        for _ in range(choices.number(5)):
            keys = list(place) if isinstance(place, dict) else range(len(place)) if isinstance(place, list) else ()
            if not keys:
                break
            key = list(keys)[choices.number(len(keys))]
            if not isinstance(place[key], (dict, list)):
                break
            parent, place = place, place[key]
            if choices.number(3) == 0:
                place = parent
                break
        if isinstance(place, dict) or (isinstance(place, list) and isinstance(key, int) and key < len(place)):
            place[key if key is not None else choices.text()] = choices.value(1)
    try:
        text = json.dumps(document)
    except (TypeError, ValueError, ZeroDivisionError):
        return
    reference(text.encode("utf-8", "replace"))


def features(data):
    """Calls whose features and results may be anything: results come back, every call is counted, nothing raises."""
    choices = Choices(data)
    monitor = testing.in_memory_monitor(reference=REFERENCE, on_error="log")
    results = [choices.value() for _ in range(3)]

    @monitor.instrument
    def predict(features, result=None):
        return result

    for result in results:
        assert predict(choices.value(), result) is result
    with monitor.prediction(choices.value()) as call:
        call.output = results[0]
    monitor.outcome(call.id, choices.value())
    monitor.flush()
    # A duration each; predictions may be none: of features that cannot be read and an empty batch of outputs.
    assert int(monitor.evidence().durations.sum()) == 4
    monitor.status()
    monitor.shutdown()


def batches(data):
    """Tables that may be anything, to `observe` and to `Reference.fit`."""
    choices = Choices(data)
    monitor = testing.in_memory_monitor(reference=REFERENCE, on_error="log")
    monitor.observe({"x": choices.value(), "channel": choices.value()}, choices.value())
    monitor.observe(choices.value(), choices.value())
    monitor.flush()
    monitor.shutdown()
    try:
        made = dl.Reference.fit({choices.text(): choices.value(1), "y": choices.value(1)}, predictions=choices.value(1))
    except (dl.ConfigurationError, ZeroDivisionError):
        return  # the latter from a value of the caller's that cannot even be read
    dl.Reference.from_json(made.to_json())


OPTIONS = (
    "name",
    "version",
    "variant",
    "window",
    "distances",
    "rule",
    "correct",
    "export_bins",
    "export_labels",
    "trace",
    "retraining",
    "on_error",
    "synchronous",
    "enabled",
    "clock",
    "reference",
    "meter_provider",
)


def configuration(data):
    """Arguments of constructors that may be anything: they are taken, or refused with a ConfigurationError."""
    choices = Choices(data)
    made = (
        lambda: dl.Window(choices.value(), rows=choices.value(), every=choices.value()),
        lambda: dl.FalseAlarms(choices.value(), per=choices.value()),
        lambda: dl.Thresholds(**{choices.text() or "psi": choices.value()}),
        lambda: dl.ThresholdPolicy(min_accuracy=choices.value(), max_error_ratio=choices.value()),
        lambda: dl.RetrainingPolicy(min_drifting=choices.value(), max_latency=choices.value()),
        lambda: dl.Reference.learn(choices.value(), categorical=choices.value()),
        lambda: testing.in_memory_monitor(
            **{"reference": REFERENCE, OPTIONS[choices.number(len(OPTIONS))]: choices.value()}
        ).shutdown(),
    )
    try:
        made[choices.number(len(made))]()
    except (dl.DriftlineError, ZeroDivisionError):
        return  # the latter from a value of the caller's that cannot even be shown in a message


def policies(data):
    """As `configuration`, of outcomes, detectors, functions, canaries and replacements."""
    choices = Choices(data)

    def one_of(*names):
        return {names[choices.number(len(names))]: choices.value()}

    limits = ("limits", "kind", "classes", "window", "max_drop", "per", "capacity", "expire")
    asked = ("rates", "guardrails", "alpha", "latency_quantile", "allowed_prediction_drift", "max_rows", "max_time")
    parts = ("derive", "detectors", "outcomes", "wall_clock", "clock")

    def monitor():
        ((part, value),) = one_of(*parts).items()
        # A text is the path of a file: in no folder that there is.
        value = "/no/such/" + value if part == "outcomes" and isinstance(value, str) else value
        return testing.in_memory_monitor(**{"reference": REFERENCE, part: value, "on_error": "log"})

    made = (
        lambda: dl.OutcomePolicy(**one_of(*limits)),
        lambda: dl.CanaryPolicy(**one_of(*asked)),
        lambda: dl.Margin(choices.value(), choices.value()),
        lambda: dl.Guardrail(choices.value(), kind=choices.value()),
        lambda: monitor().shutdown(),
        lambda: testing.in_memory_monitor(reference=REFERENCE).replace_reference(choices.value()),
        lambda: dl.Canary(BASELINE, BASELINE, choices.value(), share=choices.value(), path=None),
    )
    try:
        made[choices.number(len(made))]()
    except (dl.DriftlineError, ZeroDivisionError):
        return  # as above


def evidence(data):
    """A file of a canary's evidence that may be anything: evidence that is written again alike, or an error."""
    try:
        made = CanaryEvidence.from_json(data.decode("utf-8", "replace"))
    except dl.ConfigurationError:
        return
    assert CanaryEvidence.from_json(made.to_json()).to_json() == made.to_json()


def derived(data):
    """Anything to a monitor with vectors, functions and detectors, whose reference is replaced meanwhile."""
    choices = Choices(data)
    monitor = testing.in_memory_monitor(
        reference=DERIVED[0], derive={"length": length}, detectors={"y": Never()}, on_error="log"
    )
    monitor.observe({"v": choices.value(), "y": choices.value(), "text": choices.value()})
    with monitor.prediction(choices.value()):
        monitor.replace_reference(DERIVED[1 + choices.number(2)])
    monitor.observe({"v": choices.value(), "y": choices.value(), "text": choices.value()})
    monitor.flush()
    monitor.status()
    monitor.shutdown()


def length(row):
    """A function that makes a feature, and raises where there is no text."""
    return len(row["text"])


class Never:
    """A detector that finds nothing."""

    drift_detected = False

    def update(self, x):
        """Take a value."""


def made_of(columns):
    """A reference with a function."""
    return dl.Reference.fit(columns, derive={"length": length}, ignore=["text"])


REFERENCE = dl.Reference.fit(
    {"x": np.arange(200.0), "channel": ["web", "shop", "phone", "shop"] * 50}, predictions=np.arange(200.0) / 200.0
)

BASELINE = testing.in_memory_monitor(reference=REFERENCE)
_TEXTS = ["a", "bb", "ccc", "dddd"] * 25
DERIVED = (
    made_of({"v": np.arange(300.0).reshape(100, 3) % 7, "y": np.arange(100.0), "text": _TEXTS}),
    made_of({"text": _TEXTS, "y": np.arange(100.0) % 9, "v": np.arange(200.0).reshape(100, 2) % 5}),
    made_of({"v": np.arange(100.0), "y": np.arange(100.0), "text": _TEXTS}),
)

TARGETS = {
    "reference": reference,
    "structured_reference": structured_reference,
    "features": features,
    "batches": batches,
    "configuration": configuration,
    "policies": policies,
    "evidence": evidence,
    "derived": derived,
}


def main():
    """Run atheris on the target that is named first; the rest of the arguments are libFuzzer's."""
    logging.getLogger("driftline").setLevel(logging.CRITICAL)
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
