"""Hooks wrap functions of modules, and restore exactly what was there."""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
import types

import pytest

from driftline._runtime.guard import GuardedBlock
from driftline.instrumentors._hooks import Hook, HookedFunction, Hooks


class Parent:
    """A class whose method a subclass inherits."""

    def run(self, x):
        """Return the double."""
        return 2 * x


class Child(Parent):
    """The class that is hooked."""

    @classmethod
    def build(cls, x):
        """Return the class and the argument."""
        return cls, x


@pytest.fixture
def module():
    """A module with a function and two classes, which an import finds."""
    hooked = types.ModuleType("driftline_hooked")

    def load(path, *, mode="r"):
        """Load."""
        return path, mode

    load.__module__ = "driftline_hooked"
    load.__qualname__ = "load"
    hooked.load, hooked.Child, hooked.Parent = load, Child, Parent
    sys.modules[hooked.__name__] = hooked
    yield hooked
    del sys.modules[hooked.__name__]


def passing(wrapped, instance, args, kwargs):
    """Mark the result."""
    return "hooked", wrapped(*args, **kwargs)


def hooks_of(*names, errors=None):
    """Return hooks of the module, not installed."""
    caught = GuardedBlock(lambda where, error: errors.append((where, error)), "instrumentor")
    return Hooks([Hook("driftline_hooked", name, passing) for name in names], caught)


def test_removing_restores_the_same_object(module):
    """A function is the same object again."""
    original = module.load
    hooks = hooks_of("load")
    hooks.install()
    assert module.load("a", mode="w") == ("hooked", ("a", "w"))
    hooks.remove()
    assert module.load is original


def test_removing_restores_methods_and_inheritance(module):
    """A class method keeps its kind. An inherited method is inherited again."""
    original = vars(Child)["build"]
    hooks = hooks_of("Child.build", "Child.run")
    hooks.install()
    assert Child.build(1) == ("hooked", (Child, 1))
    assert Child().run(2) == ("hooked", 4)
    assert Parent().run(2) == 4
    hooks.remove()
    assert vars(Child)["build"] is original
    assert "run" not in vars(Child)


def test_a_wrapper_that_a_program_keeps_calls_the_original(module):
    """``from module import load`` holds the wrapper for ever."""
    hooks = hooks_of("load")
    hooks.install()
    kept = module.load
    hooks.remove()
    assert kept("a") == ("a", "r")


def test_a_wrapper_of_another_library_stays(module):
    """It may rely on what it wraps, which passes through."""
    hooks = hooks_of("load")
    hooks.install()
    inner = module.load

    def other(path):
        return "other", inner(path)

    module.load = other
    hooks.remove()
    assert module.load("a") == ("other", ("a", "r"))


def test_nothing_is_wrapped_twice(module):
    """Neither by the same hooks nor by others."""
    original = module.load
    first, second = hooks_of("load"), hooks_of("load")
    first.install()
    first.install()
    second.install()
    assert module.load("a") == ("hooked", ("a", "r"))
    second.remove()
    first.remove()
    assert module.load is original


def test_signature_name_and_pickle_stay(module):
    """A pickle holds the name, so that a process without hooks gets its function."""
    hooks = hooks_of("load")
    hooks.install()
    wrapper = module.load
    assert str(inspect.signature(wrapper)) == "(path, *, mode='r')"
    assert wrapper.__name__ == "load"
    assert wrapper.__doc__ == "Load."
    data = pickle.dumps(wrapper)
    assert pickle.loads(data) is wrapper  # noqa: S301 - pickled above
    hooks.remove()
    assert pickle.loads(data) is module.load  # noqa: S301 - pickled above
    assert not isinstance(module.load, HookedFunction)


def test_a_module_is_hooked_when_it_is_imported(tmp_path, monkeypatch):
    """Its import is not brought forward, and hooks that were removed meanwhile do nothing."""
    (tmp_path / "driftline_late.py").write_text("def load():\n    return 1\n")
    (tmp_path / "driftline_later.py").write_text("def load():\n    return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    caught = GuardedBlock(lambda *_: None, "instrumentor")
    hooks = Hooks([Hook("driftline_late", "load", passing)], caught)
    gone = Hooks([Hook("driftline_later", "load", passing)], caught)
    hooks.install()
    gone.install()
    gone.remove()
    assert "driftline_late" not in sys.modules
    assert importlib.import_module("driftline_late").load() == ("hooked", 1)
    assert importlib.import_module("driftline_later").load() == 1
    hooks.remove()
    assert importlib.import_module("driftline_late").load() == 1


def test_a_function_that_a_version_lacks_is_reported(module):
    """The import of the module, and the other hooks, go on."""
    errors = []
    hooks = hooks_of("absent", "Child.absent", "load", errors=errors)
    hooks.install()
    assert [where for where, _ in errors] == ["instrumentor", "instrumentor"]
    assert module.load("a") == ("hooked", ("a", "r"))
    hooks.remove()


def test_exceptions_of_the_original_go_on(module):
    """The same object, with its traceback."""
    error = FileNotFoundError("absent")

    def load(path):
        raise error

    module.load = load
    hooks = hooks_of("load")
    hooks.install()
    with pytest.raises(FileNotFoundError) as raised:
        module.load("a")
    hooks.remove()
    assert raised.value is error
