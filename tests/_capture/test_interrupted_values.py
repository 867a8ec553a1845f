"""Interrupts that come while a method of a host's value runs: they reach the host, whatever their class."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest

import driftline as dl
from driftline._binning.rejects import describe_rejected
from driftline._capture.ownership import copy_value, own_value
from driftline._capture.placeholders import describe_type, is_absent, is_unreadable_number


class TimedOut(Exception):  # noqa: N818 - as hosts name it
    """A time-out as that of Celery, which a signal handler raises."""


@pytest.fixture
def interrupt():
    """Return a function in which the handler of a signal raises `TimedOut`."""

    def on_signal(number, frame):
        raise TimedOut

    before = signal.signal(signal.SIGINT, on_signal)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def fail():
    raise ValueError


class Compared:
    """A value whose comparison runs code."""

    def __init__(self, run):
        self.run = run

    def __ne__(self, other):
        self.run()

    __hash__ = None


class Sized(list):
    """A list whose length runs code."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def __len__(self):
        return self.run()


class Number(str):
    """A string whose number runs code."""

    __slots__ = ("run",)

    def __float__(self):
        return self.run()


class Tensor:
    """A tensor whose array runs code."""

    def __init__(self, run):
        self.run = run

    def __array__(self, *args, **kwargs):
        return self.run()


class Copied:
    """An item whose copy runs code."""

    def __init__(self, run):
        self.run = run

    def __deepcopy__(self, memo):
        return self.run()


class Written:
    """A value whose string runs code."""

    def __init__(self, run):
        self.run = run

    def __str__(self):
        return self.run()


def number(run):
    value = Number("word")
    value.run = run
    return value


def reject(value):
    (feature,) = dl.Reference.fit({"color": ["red", "blue"] * 20}).features
    column = np.array([value], dtype=object)
    return describe_rejected(feature, column, np.array([feature.bins.unseen]))


def reject_among_many(value):
    """The feature has more categories than it lists, so that a value is compared with those that have bins."""
    (feature,) = dl.Reference.fit({"color": ["red", "blue"] * 20}).features
    feature = replace(feature, bins=replace(feature.bins, open=True))
    return describe_rejected(feature, np.array([value], dtype=object), np.array([feature.bins.other]))


READS = {
    "compare": (is_absent, Compared),
    "measure": (describe_type, Sized),
    "read as a number": (is_unreadable_number, number),
    "read as an array": (own_value, Tensor),
    "copy": (lambda item: copy_value([item]), Copied),
    "label": (reject, Written),
    "label of a bin": (reject_among_many, Written),
}


@pytest.mark.parametrize("read", READS)
def test_an_interrupt_in_the_method_of_a_value_reaches_the_host(interrupt, read):
    function, make = READS[read]
    with pytest.raises(TimedOut):
        function(make(interrupt))


@pytest.mark.parametrize("read", READS)
def test_an_error_in_the_method_of_a_value_does_not(read):
    function, make = READS[read]
    function(make(fail))
