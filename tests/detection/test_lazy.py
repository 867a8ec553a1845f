"""Values that are made when they are looked at."""

from __future__ import annotations

import pickle

import pytest

from driftline.detection._lazy import LazySequence


def test_nothing_is_made_before_a_look_and_nothing_twice():
    """Whatever the look is."""
    made = []

    def make(*arguments):
        made.append(arguments)
        return arguments

    values = LazySequence(make, 3, 4)
    assert made == []
    assert list(values) == [3, 4]
    assert (len(values), values[0], values[-1], values[:1]) == (2, 3, 4, (3,))
    assert (4 in values, 5 in values) == (True, False)
    assert made == [(3, 4)]


def test_it_equals_and_travels_as_the_tuple_of_its_values():
    """Statuses with it are compared, hashed, printed and sent to other processes."""
    values = LazySequence(divmod, 7, 2)
    assert values == (3, 1)
    assert values == LazySequence(divmod, 7, 2)
    assert values != (3, 2)
    assert hash(values) == hash((3, 1))
    assert repr(values) == "(3, 1)"
    assert pickle.loads(pickle.dumps(values)) == (3, 1)  # noqa: S301 - what was dumped here


def test_what_cannot_be_made_says_so_at_every_look():
    """No half-made values."""
    values = LazySequence(divmod, 1, 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            len(values)
