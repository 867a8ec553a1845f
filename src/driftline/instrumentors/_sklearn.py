"""`SklearnInstrumentor`: watches models that carry a reference as `joblib` and `skops` load them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from driftline.instrumentors._hooks import Hook
from driftline.instrumentors._library import LibraryInstrumentor, outermost
from driftline.instrumentors._models import watch_loaded
from driftline.instrumentors._naming import source_of
from driftline.instrumentors._session import Session

__all__ = ["SklearnInstrumentor"]


class SklearnInstrumentor(LibraryInstrumentor):
    """
    Watches scikit-learn models that carry a reference, as ``joblib.load``, ``skops.io.load`` and ``loads`` return them.

    So does it watch other objects with ``predict`` in such files, and models in a dict, list or tuple. Files without a
    reference are not affected. A program that unpickles by hand calls `driftline.watch`.
    """

    _modules = ("joblib", "skops")
    _dependencies = ("scikit-learn >= 1.2",)

    def _hooks_of(self, session: Session) -> Iterable[Hook]:
        def after(result: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            source = next(iter((*args, *(kwargs.get(name) for name in ("filename", "file")))), None)
            watch_loaded(session, result, source_of(source))
            return result

        def after_bytes(result: Any, *_: Any) -> Any:
            watch_loaded(session, result, None)
            return result

        return (
            Hook("joblib", "load", outermost(after)),
            Hook("skops.io", "load", outermost(after)),
            Hook("skops.io", "loads", outermost(after_bytes)),
        )
