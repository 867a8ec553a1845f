"""`Watched`: what the methods of one watched object do beside their work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from driftline._recording.buffer import NO_OUTPUT
from driftline._runtime.guard import is_contained, returning_on_error
from driftline.carrying import feature_names
from driftline.instrument import PredictionCall
from driftline.monitor import Monitor
from driftline.watching._inputs import first_argument, read_inputs
from driftline.watching._open_calls import OpenCalls
from driftline.watching._outputs import Outputs

__all__ = ["Watched"]


class Watched:
    """
    Records the calls of one object. It does not refer to the object, which it would keep alive.

    Args:
        monitor: records the calls.
        owned: whether the monitor was made for this object, and ends with it.
        original: the class of the object.
        features: the user function that returns the features from the arguments. If None, they are the first argument.
        output: the user function that returns the predictions from the result. If None, `Outputs` reads them.

    Attributes:
        monitor: as above, and so are *owned* and *original*.
        calls: the calls under way.
    """

    __slots__ = ("_decorated", "_features", "_names", "_output", "_outputs", "calls", "monitor", "original", "owned")

    def __init__(
        self,
        monitor: Monitor,
        *,
        owned: bool,
        original: type,
        features: Callable[..., Any] | None,
        output: Callable[[Any], Any] | None,
    ) -> None:
        self.monitor = monitor
        self.owned = owned
        self.original = original
        self.calls = OpenCalls()
        self._features = features
        self._output = output
        self._outputs = Outputs()
        self._names: tuple[tuple[str, ...] | None] | None = None
        self._decorated: dict[Any, Callable[..., Any]] = {}

    def begin(self, model: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> PredictionCall:
        """Read and copy the features of a call, and return the prediction that it is."""
        try:
            features = self._read_features(model, arguments, keywords)
        except BaseException as error:
            if not is_contained(error):
                raise
            self.monitor.caught("features", error)
            features = first_argument(arguments, keywords)
        return self.monitor.prediction(features)

    def _read_features(self, model: Any, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        if self._features is not None:
            return self._features(*arguments, **keywords)
        return read_inputs(first_argument(arguments, keywords), self.monitor.reference, partial(self._names_of, model))

    def _names_of(self, model: Any) -> tuple[str, ...] | None:
        """Return the names of the model's features, which are read once until the model is fitted again."""
        if self._names is None:
            self._names = (returning_on_error(None)(feature_names)(model),)
        return self._names[0]

    def refit(self) -> None:
        """Take note that the model may have been fitted to other features."""
        self._names = None

    def output(self, method: str, model: Any, result: Any, keywords: Mapping[str, Any]) -> Any:
        """Return the predictions in the result of a call, or what says that there are none."""
        try:
            if self._output is not None:
                return self._output(result)
            return self._outputs.read(method, model, result, keywords, self.monitor.reference)
        except BaseException as error:
            if not is_contained(error):
                raise
            self.monitor.caught("output", error)
        return NO_OUTPUT

    def decorated(self, function: Any) -> Callable[..., Any]:
        """Return *function*, a coroutine function or a generator with ``self``, as the monitor decorates it."""
        if function not in self._decorated:
            self._decorated[function] = self.monitor.instrument(
                function, features=self._features or _first, output=self._output
            )
        return self._decorated[function]


def _first(*arguments: Any, **keywords: Any) -> Any:
    return first_argument(arguments, keywords)
