"""
Measures what `DriftSpanProcessor` adds to a span of a language model, beside what the SDK's span itself costs.

    python benchmarks/spans.py

All ways take turns in one process, round after round. Figures are CPU time of the thread that ends the span, and of the
whole process, which includes the worker threads.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

import driftline as dl
from driftline.genai import DriftSpanProcessor

SPANS, ROUNDS = 2_000, 15
PAUSE = 0.2
"""Seconds after a round, in which the worker thread drains."""

REFERENCE = dl.Reference.fit(
    {
        "input_tokens": [float(turn % 400) for turn in range(5_000)],
        "output_tokens": [float(turn % 300) for turn in range(5_000)],
        "reasoning_tokens": [None] * 5_000,
        "cached_tokens": [None] * 5_000,
        "response_model": ["gpt-4o-2024-05-13"] * 5_000,
        "finish_reasons": ["stop"] * 5_000,
        "duration": [turn % 100 / 100.0 for turn in range(5_000)],
    }
)


class Keep(SpanProcessor):
    """Keeps the finished spans, to end them again."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a finished span."""
        self.spans.append(span)


def ask(tracer: Tracer, turn: int, others: int = 0) -> None:
    """Make a span of a chat, with the attributes of an instrumentation, and *others* further ones."""
    with tracer.start_as_current_span("chat gpt-4o") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.provider.name", "openai")
        span.set_attribute("gen_ai.request.model", "gpt-4o")
        span.set_attribute("server.address", "api.openai.com")
        span.set_attribute("server.port", 443)
        span.set_attribute("gen_ai.response.model", "gpt-4o-2024-05-13")
        span.set_attribute("gen_ai.response.id", "chatcmpl-1")
        span.set_attribute("gen_ai.response.finish_reasons", ("stop",))
        span.set_attribute("gen_ai.usage.input_tokens", turn % 400)
        span.set_attribute("gen_ai.usage.output_tokens", turn % 300)
        for number in range(others):
            span.set_attribute(f"llm.input_messages.{number}.message.content", "text")


def tracer_with(*processors: SpanProcessor) -> Tracer:
    """Return a tracer whose spans go to some processors."""
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider.get_tracer("benchmark")


def ask_all(tracer: Tracer) -> None:
    """Make all spans of a round."""
    for turn in range(SPANS):
        ask(tracer, turn)


def end_all(processor: DriftSpanProcessor, spans: list[ReadableSpan]) -> None:
    """End all spans of a round again."""
    for span in spans:
        processor.on_end(span)


def spent(action: Callable[[], None]) -> tuple[float, float]:
    """Return the microseconds of this thread and of the process per span."""
    thread, process = time.thread_time(), time.process_time()
    action()
    thread = time.thread_time() - thread
    time.sleep(PAUSE)
    return thread / SPANS * 1e6, (time.process_time() - process) / SPANS * 1e6


def main() -> None:
    """Measure all ways, and print the medians."""
    processor = DriftSpanProcessor(references={"chat gpt-4o": REFERENCE})
    keep, many = Keep(), Keep()
    tracers = {
        "bare span": tracer_with(),
        "+ BatchSpanProcessor (in memory)": tracer_with(BatchSpanProcessor(InMemorySpanExporter())),
        "+ DriftSpanProcessor": tracer_with(processor),
    }
    tracer, long = tracer_with(keep), tracer_with(many)
    for turn in range(SPANS):
        ask(tracer, turn)
        ask(long, turn, others=50)
    ways: dict[str, Callable[[], None]] = {name: partial(ask_all, tracer) for name, tracer in tracers.items()}
    ways["on_end alone"] = partial(end_all, processor, keep.spans)
    ways["on_end alone, 50 further attributes"] = partial(end_all, processor, many.spans)
    ways["on_end alone, no group takes the span"] = partial(end_all, DriftSpanProcessor([]), keep.spans)
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, action in ways.items():
            results[name].append(spent(action))
    for name, rounds in results.items():
        thread, process = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:<40}{thread:8.1f} us of the thread{process:8.1f} us of the process")


if __name__ == "__main__":
    main()
