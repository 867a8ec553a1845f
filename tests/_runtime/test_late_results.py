"""`late_kind` remembers classes, and holds none of them alive."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import weakref

import pytest

from driftline._runtime import late_results
from driftline._runtime.late_results import MAX_KINDS, late_kind


class Awaitable:
    def __await__(self):
        yield


class Unhashable(type):
    """A metaclass whose classes have no hash."""

    __hash__ = None


class Hostile(type):
    """A metaclass whose hash raises."""

    def __hash__(cls):
        raise RuntimeError


async def coroutine():
    pass


def generator():
    yield


async def async_generator():
    yield


def kind_of(result):
    return type(result)


KINDS = {
    float: None,
    dict: None,
    Awaitable: "awaitable",
    asyncio.Future: "future",
    concurrent.futures.Future: "future",
    kind_of(generator()): "generator",
    kind_of(async_generator()): "async generator",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_remembered_class_has_the_same_kind(kind):
    assert [late_kind(kind) for _ in range(3)] == [KINDS[kind]] * 3


def test_the_class_of_a_coroutine_is_remembered():
    started = coroutine()
    assert late_kind(type(started)) == late_kind(type(started)) == "coroutine"
    started.close()


@pytest.mark.parametrize("metaclass", [Unhashable, Hostile])
def test_no_code_of_a_metaclass_runs(metaclass):
    kind = metaclass("Result", (Awaitable,), {})
    assert late_kind(kind) == late_kind(kind) == "awaitable"


def test_names_of_a_remembered_class_are_not_read_again(monkeypatch):
    late_kind(Awaitable)
    monkeypatch.setattr(late_results, "_parents", None)
    assert late_kind(Awaitable) == "awaitable"


def test_classes_are_held_neither_alive_nor_without_end():
    classes = [type("Result", (Awaitable,) if number % 2 else (), {}) for number in range(3 * MAX_KINDS)]
    for number, kind in enumerate(classes):
        assert late_kind(kind) == ("awaitable" if number % 2 else None)
    assert len(late_results.kinds) <= MAX_KINDS
    references = [weakref.ref(kind) for kind in classes]
    del classes, kind
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


def test_a_class_at_the_address_of_a_deleted_one_has_its_own_kind():
    deleted, kind = type("Deleted", (Awaitable,), {}), type("Result", (), {})
    assert late_kind(deleted) == "awaitable"
    late_results.kinds[id(kind)] = late_results.kinds[id(deleted)]
    assert late_kind(kind) is late_kind(kind) is None
