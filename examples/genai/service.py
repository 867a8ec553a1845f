"""
A service that calls a language model, whose silent change driftline names.

    pip install 'driftline[otlp]' openai opentelemetry-instrumentation-genai-openai
    python examples/genai/provider.py 8081 2600 &
    OPENAI_BASE_URL=http://127.0.0.1:8081/v1 OPENAI_API_KEY=none python examples/genai/service.py

`provider.py` stands for the provider. `OTEL_EXPORTER_OTLP_ENDPOINT` is the collector's address.
"""

from __future__ import annotations

import openai
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

import driftline as dl
from driftline.genai import DriftSpanProcessor

# Once, at start-up: the instrumentation makes the spans, and driftline reads their attributes.
telemetry = dl.configure_otlp("assistant")
# The durations of a provider on the same machine say nothing.
processor = DriftSpanProcessor(learn=dl.Reference.learn(rows=400), window=dl.Window(rows=200), duration=False)
telemetry.tracer_provider.add_span_processor(processor)
OpenAIInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)

# The service. A real one has no line of driftline here, and neither has this one.
client = openai.OpenAI(max_retries=0)
for number in range(3_200):
    client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": f"Question {number}, which is secret."}]
    )

# The states that a collector receives are available here, too.
processor.force_flush()
for name, feature in processor.status()["chat gpt-4o"].items():
    print(f"{name:<17}{feature.state:<18}{feature.reason}")
telemetry.shutdown()
