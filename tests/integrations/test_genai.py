"""Real instrumentations of the OpenAI client, against a stand-in of the provider: what arrives of their spans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from libraries import require
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otlp_receiver import Receiver

import driftline as dl
from driftline.genai import DriftSpanProcessor

openai = require("openai")
instrumentations = {
    "chat gpt-4o": require("opentelemetry.instrumentation.genai.openai"),
    "chat openai": require("openinference.instrumentation.openai"),
}
EXAMPLE = Path(__file__).parents[2] / "examples" / "genai"
CALLS = 150


@pytest.fixture
def provider(monkeypatch):
    """The example's provider, on a free port of this process."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    import provider as module  # noqa: PLC0415 - a file of the example

    server = module.Provider(0, change=10_000)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("stream", instrumentations)
def test_spans_of_an_instrumentation(provider, stream, monkeypatch):
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    reader, spans, tracers = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    meters = MeterProvider([reader], shutdown_on_exit=False)
    processor = DriftSpanProcessor(
        learn=dl.Reference.learn(rows=100), synchronous=True, meter_provider=meters, export_labels=True
    )
    tracers.add_span_processor(processor)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    instrumentor = instrumentations[stream].OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=tracers)
    try:
        client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{provider.server_port}/v1", max_retries=0)

        def ask(content):
            client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])

        for number in range(CALLS):
            ask(f"Question {number}, which is secret.")
            client.embeddings.create(model="text-embedding-3-small", input="Another secret.")
        for _ in range(3):
            with pytest.raises(openai.RateLimitError):
                ask("overload")
    finally:
        instrumentor.uninstrument()
    assert "secret" in "".join(str(dict(span.attributes)) for span in spans.get_finished_spans())
    processor.force_flush()
    references = processor.references()
    features = {each.name: each for each in references[stream].features}
    assert list(features) == [
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cached_tokens",
        "response_model",
        "finish_reasons",
        "duration",
    ]
    assert features["response_model"].bins.categories == ("gpt-4o-2024-05-13",)
    assert set(features["finish_reasons"].bins.categories) <= {"stop", "length"}
    assert 10.0 <= features["input_tokens"].moments.minimum <= features["input_tokens"].moments.maximum <= 60.0
    assert 0.0 < features["duration"].moments.minimum < 5.0
    assert list(references) == [stream, "embeddings text-embedding-3-small"]
    data = reader.get_metrics_data()
    served = {
        (point.attributes["ml.model.name"], "error.type" in point.attributes): point.value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "ml.predictions.served"
        for point in metric.data.data_points
    }
    assert served == {
        (stream, False): CALLS,
        (stream, True): 3,
        ("embeddings text-embedding-3-small", False): CALLS,
    }
    kept = json.dumps([each.to_json() for each in references.values()]) + data.to_json() + repr(processor.status())
    assert "secret" not in kept


def test_the_example_names_the_change_of_the_provider(tmp_path):
    """All calls arrive through OTLP, and what the provider has changed drifts."""
    with Receiver() as receiver, Receiver() as free:
        port = free.port
        free.kill()
        provider = subprocess.Popen([sys.executable, EXAMPLE / "provider.py", str(port), "2600"])
        try:
            ended = subprocess.run(
                [sys.executable, "-W", "ignore", EXAMPLE / "service.py"],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                timeout=280,
                check=True,
                env={
                    **os.environ,
                    "NO_PROXY": "127.0.0.1",
                    "OPENAI_API_KEY": "none",
                    "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
                },
            )
        finally:
            provider.terminate()
            provider.wait()
        assert receiver.total("ml.predictions.served") == 3_200
        assert receiver.spans == 3_200
        states = receiver.values("ml.feature.drift.status", ml__feature__drift__state="drifting")
        drifting = {dict(attributes)["ml.feature.name"] for (_, attributes), value in states.items() if value}
    assert {"output_tokens", "response_model", "finish_reasons"} <= drifting
    assert "input_tokens" not in drifting
    assert "response_model   drifting" in ended.stdout
    assert "unseen categories" in ended.stdout
