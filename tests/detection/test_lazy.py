"""A lazy sequence computes its values at the first access."""

from __future__ import annotations

import pickle

import pytest

from driftline.detection._lazy import LazySequence


def test_the_first_access_computes_the_values_once():
    """Whatever kind of access it is."""
    calls = []

    def compute(*arguments):
        calls.append(arguments)
        return arguments

    values = LazySequence(compute, 3, 4)
    assert calls == []
    assert list(values) == [3, 4]
    assert (len(values), values[0], values[-1], values[:1]) == (2, 3, 4, (3,))
    assert (4 in values, 5 in values) == (True, False)
    assert calls == [(3, 4)]


def test_it_equals_and_pickles_as_the_tuple_of_its_values():
    """Statuses that hold one are compared, hashed, printed and sent to other processes."""
    values = LazySequence(divmod, 7, 2)
    assert values == (3, 1)
    assert values == LazySequence(divmod, 7, 2)
    assert values != (3, 2)
    assert hash(values) == hash((3, 1))
    assert repr(values) == "(3, 1)"
    assert pickle.loads(pickle.dumps(values)) == (3, 1)  # noqa: S301 - dumped on this line


def test_a_failed_computation_raises_at_every_access():
    """There are no partial values."""
    values = LazySequence(divmod, 1, 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            len(values)
