"""Calls to spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from driftline import semconv as sc
from driftline.otel._scope import SCOPE, version

__all__ = ["Tracing", "current_context", "error_type"]


def _reader() -> Callable[[], Context]:
    """
    What `opentelemetry.context.get_current` ends up calling: a quarter of its price, which every call pays.

    Where the API keeps contexts in another way than its own context variable, it is asked as usual.
    """
    runtime = getattr(otel_context, "_RUNTIME_CONTEXT", None)
    variable = getattr(runtime, "_current_context", None)
    usual = isinstance(runtime, ContextVarsRuntimeContext) and isinstance(variable, ContextVar)
    return variable.get if usual and variable is not None else otel_context.get_current


current_context = _reader()

ENDUSER_ID = "enduser.id"
"""
The end user of a system, as OpenTelemetry's registry has it: deprecated for a while, and current again since 2025.
``user.id`` is its name for an account of an operating system, say.
https://opentelemetry.io/docs/specs/semconv/registry/attributes/enduser/
"""


class Tracing:
    """
    A span per call of one monitor.

    Args:
        attributes: model, version, variant.
        provider: the tracer provider; None: the global one.
    """

    def __init__(self, attributes: Mapping[str, str], provider: TracerProvider | None) -> None:
        self._attributes = dict(attributes)
        self._name = f"predict {attributes[sc.ML_MODEL_NAME]}"
        self._tracer = trace.get_tracer(SCOPE, version(), provider, sc.SCHEMA_URL)

    def add(self, attributes: Mapping[str, str]) -> None:
        """Put further attributes on every span from now on."""
        self._attributes = {**self._attributes, **attributes}

    def start(self, prediction_id: str, user_id: str | None) -> Span:
        """Start a span, to be made current by `attach`."""
        attributes = {**self._attributes, sc.ML_PREDICTION_ID: prediction_id}
        if user_id is not None:
            attributes[ENDUSER_ID] = user_id
        return self._tracer.start_span(self._name, kind=SpanKind.INTERNAL, attributes=attributes)

    @staticmethod
    def attach(span: Span) -> object:
        """Make a span the current one; the token goes to `end`."""
        return otel_context.attach(trace.set_span_in_context(span))

    @staticmethod
    def end(span: Span, token: object, error: BaseException | None) -> None:
        """End a span, with the error that the call raised."""
        try:
            if error is not None:
                # Its class and not its text, which often quotes the value that the model could not take.
                span.set_attribute("error.type", error_type(error))
                span.set_status(Status(StatusCode.ERROR))
            span.end()
        finally:
            if token is not None:
                otel_context.detach(token)  # type: ignore[arg-type]

    @staticmethod
    def context_of(span: Span) -> object:
        """The context in which *span* is current: exemplars of the duration lead to it."""
        return trace.set_span_in_context(span)


def error_type(error: BaseException) -> str:
    """The value of ``error.type``: the class, with its module unless it is a builtin."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
