"""
Three ways to watch a model object, and what each of them breaks.

``python benchmarks/watching/ways.py`` prints the table of ``docs/watching.md``. A test compares the two.

The ways are as short as they can be: the first two count calls, and do nothing else. The third is `driftline.watch`.
"""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import re
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.validation import check_is_fitted

import driftline as dl
from driftline.watching import monitor_of, unwatch

__all__ = ["OPERATIONS", "WAYS", "table"]

METHODS = ("predict", "predict_proba", "decision_function")

X = np.random.default_rng(0).normal(size=(200, 3))
Y = (X[:, 0] > 0).astype(int)


class Proxy:
    """An object that passes everything on to the model, and counts the calls of its prediction methods."""

    def __init__(self, model: Any, counts: list[str]) -> None:
        object.__setattr__(self, "_parts", (model, counts))

    @property
    def __class__(self) -> type:
        return type(object.__getattribute__(self, "_parts")[0])

    def __getattribute__(self, name: str) -> Any:
        if name in {"__class__", "__reduce_ex__"}:
            return object.__getattribute__(self, name)
        model, counts = object.__getattribute__(self, "_parts")
        value = getattr(model, name)
        return _counting(value, name, counts) if name in METHODS else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_parts")[0], name, value)

    def __repr__(self) -> str:
        return repr(object.__getattribute__(self, "_parts")[0])

    def __reduce_ex__(self, protocol: Any) -> Any:
        return object.__getattribute__(self, "_parts")[0].__reduce_ex__(protocol)


def _counting(function: Callable[..., Any], name: str, counts: list[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        counts.append(name)
        return function(*args, **kwargs)

    return counted


class _Counts:
    """How often a model that `driftline.watch` watches was called."""

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)

    def __len__(self) -> int:
        return monitor_of(self._model()).snapshot().rows


def proxy(model: Any) -> tuple[Any, Any, Callable[[], Any]]:
    """Return a proxy, what counts its calls, and what undoes it."""
    counts: list[str] = []
    return Proxy(model, counts), counts, lambda: model


def bound_methods(model: Any) -> tuple[Any, Any, Callable[[], Any]]:
    """Put functions that count into the ``__dict__`` of the model, and a ``__getstate__`` that leaves them out."""
    counts: list[str] = []
    names = [name for name in METHODS if hasattr(model, name)]
    state = model.__getstate__
    hidden = {*names, "__getstate__"}
    for name in names:
        vars(model)[name] = _counting(getattr(model, name), name, counts)
    vars(model)["__getstate__"] = lambda: {k: v for k, v in state().items() if k not in hidden}

    def undo() -> Any:
        for name in hidden:
            del vars(model)[name]
        return model

    return model, counts, undo


def subclass(model: Any) -> tuple[Any, Any, Callable[[], Any]]:
    """Give the model a subclass of its class, as `driftline.watch` does."""
    dl.watch(model, name="m", reference=dl.Reference.fit(X), synchronous=True)
    return model, _Counts(model), lambda: unwatch(model)


WAYS = {"proxy": proxy, "bound methods": bound_methods, "subclass": subclass}


def _fitted() -> Any:
    return LogisticRegression().fit(X, Y)


def _pipeline() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


def _copies(way: Any, copied: Callable[[Any], Any]) -> bool:
    """Return whether a copy predicts as the model does, is of its class, has its attributes, and is not counted."""
    model, counts, _ = way(_fitted())
    other = copied(model)
    other.intercept_ = model.intercept_ + 100.0
    own = bool((other.predict(X) == 1).all())
    exact = type(other) is LogisticRegression and vars(other).keys() == vars(_fitted()).keys()
    return own and exact and len(counts) == 0


def _through_joblib(model: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(model, Path(folder) / "model")
        return joblib.load(Path(folder) / "model")


def _follows_parameters(way: Any) -> bool:
    model, *_ = way(SGDClassifier(loss="log_loss", random_state=0).fit(X, Y))
    first = hasattr(model, "predict_proba")
    model.set_params(loss="hinge")
    return first and not hasattr(model, "predict_proba")


def _routing(way: Any) -> bool:
    with sklearn.config_context(enable_metadata_routing=True):
        model, *_ = way(_fitted().set_score_request(sample_weight=True))
        expected = _fitted().set_score_request(sample_weight=True).get_metadata_routing()
        return str(model.get_metadata_routing()) == str(expected)


def _within_a_pipeline(way: Any) -> bool:
    bare = make_pipeline(StandardScaler(), LogisticRegression())
    model, *_ = way(LogisticRegression())
    scores = cross_val_score(make_pipeline(StandardScaler(), model), X, Y, cv=3)
    return bool((scores == cross_val_score(bare, X, Y, cv=3)).all())


def _freed(way: Any) -> bool:
    model, *rest = way(_fitted())
    rest.clear()
    reference = weakref.ref(model)
    del model, rest
    return reference() is None


def _restored(way: Any) -> bool:
    original = _fitted()
    before = dict(vars(original))
    model, _, undo = way(original)
    del model
    return undo() is original and vars(original) == before and type(original) is LogisticRegression


def _html(model: Any) -> str:
    """Return the HTML representation without its numbers, which count the representations of the process."""
    return re.sub(r"id-\d+", "id", estimator_html_repr(model))


def _set_output(way: Any) -> bool:
    model, *_ = way(_pipeline())
    model.set_output(transform="pandas")
    return type(model[0].transform(X)).__name__ == "DataFrame"


OPERATIONS: dict[str, Callable[[Any], bool]] = {
    "`isinstance(model, C)`": lambda way: isinstance(way(_fitted())[0], LogisticRegression),
    "`model.__class__ is C`": lambda way: way(_fitted())[0].__class__ is LogisticRegression,
    "`type(model) is C`": lambda way: type(way(_fitted())[0]) is LogisticRegression,
    "the same object, which other references see": lambda way: way(model := _fitted())[0] is model,
    "`vars(model)` is the same": lambda way: vars(way(_fitted())[0]).keys() == vars(_fitted()).keys(),
    "`check_is_fitted`": lambda way: check_is_fitted(way(_fitted())[0]) is None,
    "`get_params`, `set_params`": lambda way: way(_fitted())[0].set_params(C=2.0).get_params()["C"] == 2.0,
    "tags, `is_classifier`": lambda way: (
        is_classifier(way(_fitted())[0]) and get_tags(way(_fitted())[0]) == get_tags(_fitted())
    ),
    "`repr`": lambda way: repr(way(_pipeline())[0]) == repr(_pipeline()),
    "HTML representation": lambda way: _html(way(_pipeline())[0]) == _html(_pipeline()),
    "signature of `predict`": lambda way: (
        inspect.signature(way(_fitted())[0].predict) == inspect.signature(_fitted().predict)
    ),
    "`hasattr` of a method that a parameter switches": _follows_parameters,
    "metadata routing": _routing,
    "`set_output`": _set_output,
    "`clone` is bare": lambda way: type(clone(way(_fitted())[0])) is LogisticRegression,
    "`pickle`": lambda way: _copies(way, lambda model: pickle.loads(pickle.dumps(model))),  # noqa: S301 - own bytes
    "`joblib.dump`": lambda way: _copies(way, _through_joblib),
    "`copy.copy`": lambda way: _copies(way, copy.copy),
    "`copy.deepcopy`": lambda way: _copies(way, copy.deepcopy),
    "a step of a pipeline in `cross_val_score`": _within_a_pipeline,
    "freed with its last reference": _freed,
    "undone exactly": _restored,
}
"""What users and scikit-learn do with a model ``C``, and whether it goes on as before."""


def _outcome(operation: Callable[[Any], bool], way: Any) -> str:
    try:
        return "yes" if operation(way) else "**no**"
    except Exception as error:  # noqa: BLE001 - whatever a library raises is the result
        return f"**{type(error).__name__}**"


def table() -> str:
    """Return the table in Markdown: for each operation and way, whether it goes on as before."""
    rows = [f"| operation | {' | '.join(WAYS)} |", f"|---|{'---|' * len(WAYS)}"]
    rows.extend(
        f"| {name} | {' | '.join(_outcome(operation, way) for way in WAYS.values())} |"
        for name, operation in OPERATIONS.items()
    )
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(table())
