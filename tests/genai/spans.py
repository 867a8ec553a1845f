"""Spans as instrumentations of language models make them, and what arrives of them."""

from __future__ import annotations

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Status, StatusCode

import driftline as dl
from driftline.genai import DriftSpanProcessor

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


class Setup:
    """A tracer whose spans a processor watches, and a reader of the metrics."""

    def __init__(self, *arguments, sampler=ALWAYS_ON, **options):
        self.reader = InMemoryMetricReader()
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        defaults = {"learn": dl.Reference.learn(rows=200), "synchronous": True, "meter_provider": meters}
        self.processor = DriftSpanProcessor(*arguments, **{**defaults, **options})
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(self.processor)

    def span(self, attributes, *, error=None, events=(), scope="app"):
        """Make a span."""
        with self.provider.get_tracer(scope).start_as_current_span("span", attributes=attributes) as span:
            for event in events:
                span.add_event("gen_ai.evaluation.result", event)
            if error is not None:
                span.set_attribute("error.type", error)
                span.set_status(Status(StatusCode.ERROR))

    def points(self, metric):
        """Return the points of a metric as (attributes, value)."""
        self.provider.force_flush()
        data = self.reader.get_metrics_data()
        return [
            (dict(point.attributes), getattr(point, "value", None))
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for each in scope.metrics
            if each.name == metric
            for point in each.data.data_points
        ]

    def served(self):
        """Return the spans by stream, and by error type if they have failed."""
        return {
            (attributes["ml.model.name"], attributes.get("error.type")): value
            for attributes, value in self.points("ml.predictions.served")
        }


def chat(random, *, model="gpt-4o-2024-05-13", longer=0, cut=0.02):
    """Return the attributes of a call of a language model."""
    return {
        **CHAT,
        "gen_ai.usage.input_tokens": int(random.integers(20, 400)),
        "gen_ai.usage.output_tokens": int(random.integers(20, 300)) + longer,
        "gen_ai.response.model": model,
        "gen_ai.response.finish_reasons": ("length",) if random.random() < cut else ("stop",),
    }
