"""A span processor that records attributes of finished spans as features."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, cast

from driftline._pipeline.settings import enabled_by_environment
from driftline._runtime import validation as check
from driftline._runtime.guard import is_contained, public_message
from driftline._windows.window import Window
from driftline.errors import ConfigurationError
from driftline.genai._groups import DURATION, GENAI, SpanGroup
from driftline.genai._streams import Streams
from driftline.monitor import Monitor
from driftline.otel._scope import SCOPE
from driftline.reference import Learn, Reference
from driftline.results import FeatureStatus

try:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
    from opentelemetry.trace import StatusCode
except ModuleNotFoundError as error:
    msg = f"driftline.genai needs opentelemetry-sdk (pip install 'driftline[otlp]'): {error}"
    raise ModuleNotFoundError(msg, name=error.name) from error

__all__ = ["DriftSpanProcessor"]

_log = logging.getLogger("driftline")

LEARN_ROWS = 5_000
"""Spans of which each stream learns its reference by default."""

WINDOW_ROWS = 1_000
"""Spans of a window by default. Services call language models less often than other models."""

OWN = frozenset({"name", "reference", "trace", "outcomes", "learned_path"})
"""Arguments of `Monitor` that belong to one stream, or that would make spans of spans."""

EVALUATION_EVENT = "gen_ai.evaluation.result"
"""The event of a span that carries an evaluation."""

NANOSECONDS = 1e9


class DriftSpanProcessor(SpanProcessor):
    """
    Watches finished spans: each stream of them is a model, whose features are attributes of its spans.

    By default it watches the operations of language models and agents that follow OpenTelemetry's conventions for
    generative AI, or those of OpenInference. A change of the model behind an API shows as drift of the tokens, of the
    model that answers, or of the reasons why it finishes. Only listed attributes are read, and of them only numbers
    and labels of at most 100 characters. Prompts, answers, arguments and documents cannot be asked for.

    A span with the status ERROR is a failed prediction, with its ``error.type``. Spans that are not recorded, because
    of sampling, are not seen. Add the processor to the provider before or after the exporting ones.

    Args:
        groups: the spans to watch, and what to read of them. If None, `GENAI`; ``[*GENAI, SpanGroup(...)]`` adds
            others.
        numbers: further attributes that are read of every span as quantities, where the group does not have them.
        labels: further attributes that are read of every span as categories.
        duration: if False, no group that has other features watches ``"duration"``. Where durations come in long runs,
            changes of other features are named late, or not at all.
        scopes: the names of the instrumentation scopes whose spans are watched. If None, all of them. Choose one where
            two instrumentations make spans of the same call.
        references: references, or their paths, by the name of the stream, such as ``"chat gpt-4o"``. Only features that
            the reference has are read. Other streams learn one.
        learn: how streams learn their reference. If None, ``Reference.learn(rows=5_000)``.
        max_streams: the largest number of streams. Spans of further ones are not recorded, which is logged once.
        options: further arguments of each `Monitor`, such as ``window=`` and ``rule=``. The window is by default
            ``Window(rows=1_000)``, and ``export_duration`` False.

    Raises:
        ConfigurationError: an argument is of the wrong type or out of range, or a reference does not fit its stream.
        ReferenceError: the file of a reference cannot be read or is damaged.
    """

    def __init__(
        self,
        groups: Sequence[SpanGroup] | None = None,
        *,
        numbers: Sequence[str] = (),
        labels: Sequence[str] = (),
        duration: bool = True,
        scopes: Sequence[str] | None = None,
        references: Mapping[str, Reference | str | os.PathLike[str]] | None = None,
        learn: Learn | None = None,
        max_streams: int = 20,
        **options: Any,
    ) -> None:
        for name, value in options.items():
            if name in OWN or name not in inspect.signature(Monitor).parameters:
                check.reject(name, value, "an argument of Monitor that all streams can share")
        self._learn = Reference.learn(rows=LEARN_ROWS) if learn is None else learn
        check.instance("learn", self._learn, Learn, "Reference.learn(rows=...)")
        check.boolean("duration", duration)
        self._options = {"window": Window(rows=WINDOW_ROWS), "export_duration": False, **options}
        self._scopes = None if scopes is None else frozenset(check.string("scopes", each) for each in scopes)
        self._groups = tuple(
            _extended(group, numbers, labels, duration=duration) for group in (GENAI if groups is None else groups)
        )
        if len({group.name for group in self._groups}) < len(self._groups):
            check.reject("groups", [group.name for group in self._groups], "groups of different names")
        self._dispatch = _dispatch(self._groups)
        self._evaluations = [group for group in self._groups if group.name == "evaluation"]
        self._raises, self._reported = options.get("on_error") == "raise", False
        # A monitor that does nothing checks the arguments now, and not when the first span of a stream ends.
        Monitor("spans", reference=self._learn, **{**self._options, "enabled": False}).shutdown()
        loaded = {
            check.string("references", name): value if isinstance(value, Reference) else Reference.load(value)
            for name, value in (references or {}).items()
        }
        self._ended = not enabled_by_environment() if options.get("enabled") is None else not options["enabled"]
        self._streams = Streams(
            self._monitor,
            loaded,
            check.integer("max_streams", max_streams, at_least=max(1, len(loaded)), at_most=1_000),
        )
        for name, reference in loaded.items():
            group = self._group_of(name)
            _check_fit(name, group, reference)
            if not self._ended:
                self._streams.add(group, name)

    # --- the interface of the SDK ------------------------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: attributes are read when the span has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Record a finished span. Never raise."""
        if self._ended:
            return
        try:
            self._record(span)
        except BaseException as error:
            if not is_contained(error) or self._raises:
                raise
            self._report(error)

    def shutdown(self) -> None:
        """Evaluate what is left, and end the monitors. Later spans are not recorded."""
        self._ended = True
        for monitor in self.monitors.values():
            monitor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's signature
        """Evaluate pending windows, so that the next collection of metrics has their results. Return True."""
        for monitor in self.monitors.values():
            monitor.flush()
        return True

    # --- results -----------------------------------------------------------------------------------------------------

    @property
    def monitors(self) -> dict[str, Monitor]:
        """The monitor of each stream so far, by the name of the stream."""
        return self._streams.monitors

    @property
    def skipped(self) -> int:
        """The number of spans that were not recorded, because there are more streams than *max_streams*."""
        return self._streams.skipped

    def status(self) -> dict[str, dict[str, FeatureStatus]]:
        """Return the states of the features of each stream, by the name of the stream."""
        return {name: monitor.status() for name, monitor in self.monitors.items()}

    def references(self) -> dict[str, Reference]:
        """Return the references that streams have or have learned. Pass them as *references* at the next start."""
        references = {name: monitor.reference for name, monitor in self.monitors.items()}
        return {name: reference for name, reference in references.items() if reference is not None}

    # --- within ------------------------------------------------------------------------------------------------------

    def _record(self, span: ReadableSpan) -> None:
        scope = span.instrumentation_scope
        name = "" if scope is None else scope.name
        if name == SCOPE or (self._scopes is not None and name not in self._scopes):
            return
        # A copy, because a look-up in the SDK's attributes takes several times as long as in a dict.
        attributes: dict[str, Any] = cast("Any", span.attributes or {}).copy()
        done: list[SpanGroup] = []
        for attribute, any_value, by_value in self._dispatch:
            value = attributes.get(attribute)
            if value is None:
                continue
            for group in (*by_value.get(value, ()), *any_value) if isinstance(value, str) else any_value:
                if group not in done:
                    done.append(group)
                    self._record_in(group, span, attributes)
        if self._evaluations and span.events:
            for event in span.events:
                if event.name == EVALUATION_EVENT and event.attributes:
                    self._record_in(self._evaluations[0], span, dict(event.attributes))

    def _report(self, error: BaseException) -> None:
        """Log the first span that could not be read, and count each in the first stream."""
        for stream in self._streams.all():
            stream.report(error)
            return
        if not self._reported:
            self._reported = True
            _log.warning("DriftSpanProcessor: a span could not be read: %s", public_message(error))

    def _record_in(self, group: SpanGroup, span: ReadableSpan, attributes: Mapping[str, Any]) -> None:
        stream = self._streams.of(group, attributes)
        if stream is None:
            return
        start, end = span.start_time, span.end_time
        seconds = None if start is None or end is None else (end - start) / NANOSECONDS
        error = None
        if span.status.status_code is StatusCode.ERROR:
            error = str(attributes.get("error.type") or "ERROR")
        stream.record(attributes, seconds, error)

    def _monitor(self, name: str, reference: Reference | None) -> Monitor:
        return Monitor(name, reference=self._learn if reference is None else reference, **self._options)

    def _group_of(self, name: str) -> SpanGroup:
        """Return the group of a stream: the one with the longest name that the stream's begins with."""
        fitting = [group for group in self._groups if f"{name} ".startswith(f"{group.name} ")]
        if not fitting:
            expected = f"the name of a stream, which begins with one of {', '.join(each.name for each in self._groups)}"
            check.reject("references", name, expected)
        return max(fitting, key=lambda group: len(group.name))


def _extended(group: SpanGroup, numbers: Sequence[str], labels: Sequence[str], *, duration: bool) -> SpanGroup:
    """Return a group that reads further attributes too, and perhaps no duration."""
    check.instance("groups", group, SpanGroup, "a sequence of SpanGroup")
    more: dict[str, Any] = {}
    for argument, names in (("numbers", numbers), ("labels", labels)):
        if isinstance(names, str) or not isinstance(names, Sequence):
            check.reject(argument, names, "a list of attributes")
        own = getattr(group, argument)
        own = dict(own) if isinstance(own, Mapping) else {each: each for each in own}
        more[argument] = {**own, **{name: name for name in names if name not in group.features}}
    watched = group.duration and (duration or group.features == (DURATION,))
    unchanged = watched is group.duration and not numbers and not labels
    return group if unchanged else dataclasses.replace(group, duration=watched, **more)


Dispatch = list[tuple[str, tuple[SpanGroup, ...], dict[str, tuple[SpanGroup, ...]]]]
"""Attributes, with the groups that take any value of them, and the groups by value."""


def _dispatch(groups: Sequence[SpanGroup]) -> Dispatch:
    attributes = dict.fromkeys(name for group in groups for name in group._where)  # noqa: SLF001 - the same package
    result: Dispatch = []
    for attribute in attributes:
        asking = [(group, group._where[attribute]) for group in groups if attribute in group._where]  # noqa: SLF001
        by_value: dict[str, tuple[SpanGroup, ...]] = {}
        for group, values in asking:
            for value in values:
                by_value[value] = (*by_value.get(value, ()), group)
        result.append((attribute, tuple(group for group, values in asking if not values), by_value))
    return result


def _check_fit(name: str, group: SpanGroup, reference: Reference) -> None:
    """
    Check that a stream has the features of its reference.

    Raises:
        ConfigurationError: it lacks some, or the reference has predictions.
    """
    features = [each.name for each in reference.features]
    absent = [each for each in features if each not in group.features]
    if absent or reference.prediction is not None:
        what = f"the features {', '.join(absent)}" if absent else "predictions"
        msg = (
            f"references: the reference of {name!r} has {what}; its stream has the features {', '.join(group.features)}"
        )
        raise ConfigurationError(msg)
