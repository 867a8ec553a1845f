"""Spans of calls, and the current context of OpenTelemetry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from driftline import semconv as sc
from driftline._runtime.version import VERSION
from driftline.otel._scope import SCOPE

__all__ = ["Tracing", "current_context", "error_type"]


def _context_reader() -> Callable[[], Context]:
    """
    Return the function that reads the current context. Every recorded call needs it.

    `opentelemetry.context.get_current` calls the same method in the end, at four times the cost. If the API keeps
    contexts elsewhere than in its own context variable, this returns `get_current` itself.
    """
    runtime = getattr(otel_context, "_RUNTIME_CONTEXT", None)
    variable = getattr(runtime, "_current_context", None)
    usual = isinstance(runtime, ContextVarsRuntimeContext) and isinstance(variable, ContextVar)
    return variable.get if usual and variable is not None else otel_context.get_current


current_context = _context_reader()
"""Return the current OpenTelemetry context of this thread or task."""

_runtime = getattr(otel_context, "_RUNTIME_CONTEXT", None)
_detach: Callable[[Any], object] = getattr(_runtime, "detach", otel_context.detach)
"""What `opentelemetry.context.detach` calls. It raises ValueError in another context than that of ``attach``."""

ENDUSER_ID = "enduser.id"
"""
The attribute for the end user of a system. It was deprecated for a while, and is current again since 2025.
``user.id`` is for accounts, such as those of an operating system.
https://opentelemetry.io/docs/specs/semconv/registry/attributes/enduser/
"""


class Tracing:
    """
    Starts and ends a span for each call of one monitor.

    Args:
        attributes: model, version, variant.
        provider: the tracer provider. If None, the global one.
    """

    def __init__(self, attributes: Mapping[str, str], provider: TracerProvider | None) -> None:
        self._attributes = dict(attributes)
        self._name = f"predict {attributes[sc.ML_MODEL_NAME]}"
        self._tracer = trace.get_tracer(SCOPE, VERSION, provider, sc.SCHEMA_URL)

    def add(self, attributes: Mapping[str, str]) -> None:
        """Add attributes to all later spans."""
        self._attributes = {**self._attributes, **attributes}

    def start(self, prediction_id: str, user_id: str | None) -> Span:
        """Start a span. `attach` makes it the current one."""
        attributes = {**self._attributes, sc.ML_PREDICTION_ID: prediction_id}
        if user_id is not None:
            attributes[ENDUSER_ID] = user_id
        return self._tracer.start_span(self._name, kind=SpanKind.INTERNAL, attributes=attributes)

    @staticmethod
    def attach(span: Span) -> object:
        """Make a span the current one. Return the token that `detach` needs."""
        return otel_context.attach(trace.set_span_in_context(span))

    @staticmethod
    def detach(token: object) -> None:
        """
        Make the span current that was so before `attach` or `resume`, which returned *token*.

        If another context is at work by now, do nothing: an event loop closes a suspended coroutine where it likes, and
        a web framework may leave a block in another thread. The SDK's own function logs an error then.
        """
        with suppress(ValueError):
            _detach(token)

    @staticmethod
    def resume(context: object) -> object:
        """Make *context* the current one for a step of a generator. Return the token that `detach` needs."""
        return otel_context.attach(context)  # type: ignore[arg-type]

    @staticmethod
    def end(span: Span, error: BaseException | None) -> None:
        """End a span. *error* is the exception that the call raised, or None if it returned."""
        if error is not None:
            # The class only: the message often quotes the value that the model rejected.
            span.set_attribute("error.type", error_type(error))
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    @staticmethod
    def context_of(span: Span) -> object:
        """Return the context in which *span* is current, for exemplars of the duration."""
        return trace.set_span_in_context(span)


# Attributes of a class may run code of its metaclass, whose error would replace that of the model.
_name_of: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module_of: Callable[[type], object] = type.__dict__["__module__"].__get__


def error_type(error: BaseException) -> str:
    """Return the attribute ``error.type``: the name of the class, with its module unless it is a builtin."""
    kind = type(error)
    name, module = _name_of(kind), _module_of(kind)
    return name if module == "builtins" else f"{module}.{name}"
