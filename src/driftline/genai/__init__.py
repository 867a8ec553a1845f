"""
Drift of language models, agents and any spans, from the attributes that other instrumentations write on them.

`DriftSpanProcessor` needs ``opentelemetry-sdk`` (extra ``otlp``).
"""

from __future__ import annotations

from driftline.genai._groups import GENAI, SpanGroup
from driftline.genai._processor import DriftSpanProcessor

__all__ = ["GENAI", "DriftSpanProcessor", "SpanGroup"]
