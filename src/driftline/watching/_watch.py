"""`watch`, `unwatch` and `monitor_of`."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from driftline._runtime import validation as check
from driftline._runtime.guard import returning_on_error
from driftline.carrying import carried
from driftline.errors import ConfigurationError
from driftline.monitor import Monitor
from driftline.reference import Learn, Reference
from driftline.watching import _registry
from driftline.watching._subclass import set_class, watched_class
from driftline.watching._watched import Watched

__all__ = ["METHODS", "monitor_of", "unwatch", "watch"]

METHODS = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "score_samples",
    "inplace_predict",
    "predict_on_batch",
)
"""Methods whose calls are predictions: those of scikit-learn, of the boosters of xgboost, and of keras."""

_log = logging.getLogger("driftline")

_lock = threading.Lock()

T = TypeVar("T")


def watch(
    model: T,
    *,
    name: str | None = None,
    version: str | None = None,
    reference: Reference | Learn | str | os.PathLike[str] | None = None,
    monitor: Monitor | None = None,
    methods: Sequence[str] | None = None,
    features: Callable[..., Any] | None = None,
    output: Callable[[Any], Any] | None = None,
    **options: Any,
) -> T:
    """
    Record the predictions of a model object, and return the object.

    The calls of its prediction methods are recorded from now on: ``predict``, ``predict_proba``, ``decision_function``
    and the like. Results, exceptions and signatures stay as they are, and so do ``isinstance``, pickles and clones. A
    pickle, a copy and a clone are not watched. A call within another call of the object is not counted, nor is one
    within ``fit`` and ``score``. Other objects of the class are not affected. ``docs/watching.md`` has the details.

    Args:
        model: the object, such as a fitted estimator of scikit-learn, a booster, or any object with ``predict``.
        name: the name of the model, as for `Monitor`. Required unless *monitor* is given.
        version: the version of the model, as for `Monitor`.
        reference: as for `Monitor`. If None, the reference that the model carries. Without one, a reference is learned
            from the first 10,000 rows served, which the log says once.
        monitor: the monitor that records the calls, which several objects may share. If None, a new one is recording.
        methods: names of the methods whose calls are predictions. If None, those of `METHODS` that the object has.
        features: returns the features from the arguments of a call. If None, they are the first argument.
        output: returns the predictions, one per row, from the result of a call. If None, they are read by the method:
            labels, quantities, or probabilities.
        **options: the other arguments of `Monitor`.

    Returns:
        *model* itself.

    Raises:
        ConfigurationError: the object has none of the methods, cannot be watched, or an argument is wrong.
            The carried reference does not fit the model.
        ReferenceError: the reference cannot be read or is damaged.

    >>> class Model:
    ...     def predict(self, rows):
    ...         return [row["age"] > 25.0 for row in rows]
    >>> reference = Reference.fit({"age": [20.0, 30.0, 40.0]})
    >>> model = watch(Model(), name="adults", reference=reference, synchronous=True)
    >>> model.predict([{"age": 30.0}])
    [True]
    >>> monitor_of(model).snapshot().rows
    1
    """
    with _lock:
        present = _registry.find(model)
        if present is not None:
            _report_second(present, name, version, monitor)
            return model
        names = _method_names(model, methods)
        for argument, value in (("features", features), ("output", output)):
            check.optional(check.function, argument, value)
        if monitor is None:
            recording = _make_monitor(model, name, version, reference, options)
        else:
            recording = _given_monitor(monitor, name, version, reference, options)
        original = type(model)
        watched = Watched(recording, owned=monitor is None, original=original, features=features, output=output)
        try:
            _registry.add(model, watched)
            if recording.enabled:
                watched_class(model, names)
        except TypeError as error:
            _registry.remove(model)
            if monitor is None:
                recording.shutdown()
            msg = (
                f"watch({original.__name__}): objects of this class cannot be watched ({error}): expected an object "
                "with a __dict__ that takes weak references. Monitor.instrument(model.predict) decorates its method"
            )
            raise ConfigurationError(msg) from error
    return model


def unwatch(model: T) -> T:
    """
    Undo `watch`: the object is what it was before, and later calls are not recorded.

    A monitor that `watch` made is shut down. Its counters are still exported. If the object is not watched, nothing
    happens.
    """
    with _lock:
        watched = _registry.find(model)
        if watched is None:
            return model
        if type(model) is not watched.original:
            set_class(model, watched.original)
        _registry.remove(model)
    if watched.owned:
        watched.monitor.shutdown()
    return model


def monitor_of(model: Any) -> Monitor | None:
    """Return the monitor that records the calls of an object, or None if the object is not watched."""
    watched = _registry.find(model)
    return None if watched is None else watched.monitor


def _method_names(model: Any, methods: Sequence[str] | None) -> tuple[str, ...]:
    """
    Return the names of the methods whose calls are predictions.

    Raises:
        ConfigurationError: there is none.
    """
    kind = type(model)
    if isinstance(model, type) or methods is None:
        names = () if isinstance(model, type) else tuple(name for name in METHODS if _has_method(model, name))
        if not names:
            shown = f"the class {model.__name__}" if isinstance(model, type) else f"a {kind.__name__}"
            msg = (
                f"watch({shown}): expected an object with a method such as predict (methods= names another one; "
                "Monitor.instrument decorates a function)"
            )
            raise ConfigurationError(msg)
        return names
    if isinstance(methods, str) or not methods or not all(isinstance(name, str) for name in methods):
        msg = f"methods={methods!r}: expected names of methods, such as ('predict',)"
        raise ConfigurationError(msg)
    missing = [name for name in methods if not _has_method(model, name)]
    special = [name for name in methods if name.startswith("__")]
    if missing or special:
        msg = f"methods={methods!r}: {kind.__name__} has no method {(missing or special)[0]!r} that can be watched"
        raise ConfigurationError(msg)
    return tuple(dict.fromkeys(methods))


@returning_on_error(default=False)
def _has_method(model: Any, name: str) -> bool:
    """Return whether an object has a method, also if its class has it under a condition that does not hold yet."""
    return hasattr(type(model), name) or callable(getattr(model, name, None))


def _make_monitor(
    model: Any,
    name: str | None,
    version: str | None,
    reference: Reference | Learn | str | os.PathLike[str] | None,
    options: dict[str, Any],
) -> Monitor:
    if name is None:
        msg = "watch(name=None): expected name=, the name of the model, or monitor="
        raise ConfigurationError(msg)
    if reference is None:
        reference = carried(model)
    if reference is None:
        learn = Reference.learn()
        monitor = Monitor(name, version=version, reference=learn, **options)
        _log.info(
            "model %s: it carries no reference, so one is learned from the first %d rows served. driftline.carry adds "
            "one to the model when it is trained.",
            name,
            learn.rows,
        )
        return monitor
    return Monitor(name, version=version, reference=reference, **options)


def _given_monitor(
    monitor: Any, name: str | None, version: str | None, reference: object, options: dict[str, Any]
) -> Monitor:
    if not isinstance(monitor, Monitor):
        msg = f"monitor={monitor!r}: expected a Monitor"
        raise ConfigurationError(msg)
    arguments = {"name": name, "version": version, "reference": reference, **options}
    twice = [argument for argument, value in arguments.items() if value is not None]
    if twice:
        msg = f"watch(monitor=..., {twice[0]}=...): expected {twice[0]}= in the Monitor alone"
        raise ConfigurationError(msg)
    return monitor


def _report_second(present: Watched, name: str | None, version: str | None, monitor: Monitor | None) -> None:
    """Log a warning if an object is watched already, and by another monitor than the one that is asked for."""
    known = present.monitor
    same = monitor is known if monitor is not None else (name, version) == (known.name, known.version)
    if not same:
        _log.warning(
            "model %s: the object is watched already, and stays so: unwatch it before another monitor watches it",
            known.name,
        )
