"""Groups of spans that are watched alike, and those of the conventions for language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from driftline._runtime import validation as check
from driftline.genai._values import Field, label, number

__all__ = ["DURATION", "GENAI", "SpanGroup", "content_attribute"]

DURATION = "duration"
"""The feature that holds the seconds from the start to the end of a span."""

CONTENT = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "gen_ai.evaluation.explanation",
    "input.value",
    "output.value",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.choices",
    "llm.function_call",
    "llm.tools",
    "llm.prompt_template",
    "llm.invocation_parameters",
    "message.content",
    "message.contents",
    "embedding.embeddings",
    "embedding.text",
    "retrieval.documents",
    "reranker.query",
    "reranker.input_documents",
    "reranker.output_documents",
    "tool.parameters",
    "tool_call.function.arguments",
    "evaluation.explanation",
    "annotation.explanation",
    "traceloop.entity.input",
    "traceloop.entity.output",
)
"""Attributes that hold prompts, answers, arguments or documents, by both conventions. No group may read them."""

Names = str | Sequence[str]


def content_attribute(name: str) -> bool:
    """Return whether an attribute holds content. Flattened lists append to its name: ``llm.prompts.0.content``."""
    return any(name == each or name.startswith(f"{each}.") for each in CONTENT)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpanGroup:
    """
    Spans that are watched alike. Each stream of a group is one model of driftline: one per combination of *by*.

    Args:
        name: the first word of the names of its streams, 1 to 100 characters.
        where: the attribute that a span of this group has. A mapping asks for certain values: one of the attributes
            must have one of its values, and an empty sequence stands for any value.
        by: attributes whose values divide the group into streams, such as ``["http.route"]``. Each may be a list of
            names, of which the first that a span has counts.
        numbers: features that are quantities: names of attributes, or a mapping of features to attributes. Each may be
            a list of names, as above.
        labels: features that are categories, as *numbers*.
        duration: also watch ``"duration"``, the seconds that a span took.

    Raises:
        ConfigurationError: a value is of the wrong type, a group has no features or two of one name, or an attribute
            holds prompts, answers or documents.

    >>> SpanGroup(name="http", where="http.route", by=["http.route"], labels=["http.response.status_code"]).features
    ('http.response.status_code', 'duration')
    """

    name: str
    where: str | Mapping[str, Sequence[str]]
    by: Sequence[Names] = ()
    numbers: Sequence[str] | Mapping[str, Names] = ()
    labels: Sequence[str] | Mapping[str, Names] = ()
    duration: bool = True
    _fields: tuple[Field, ...] = field(init=False, compare=False)
    _keys: tuple[tuple[str, ...], ...] = field(init=False, compare=False)
    _where: Mapping[str, tuple[str, ...]] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        check.string("name", self.name, at_least=1, at_most=100)
        check.boolean("duration", self.duration)
        where = {self.where: ()} if isinstance(self.where, str) else self.where
        if not isinstance(where, Mapping) or not where:
            check.reject("where", self.where, "an attribute, or a mapping of attributes to their values")
        object.__setattr__(self, "_where", {_attribute("where", name): _texts("where", where[name]) for name in where})
        object.__setattr__(self, "_keys", tuple(_attributes("by", each) for each in _sequence("by", self.by)))
        fields: list[Field] = []
        for argument, value, read in (("numbers", self.numbers, number), ("labels", self.labels, label)):
            named = value if isinstance(value, Mapping) else {each: each for each in _sequence(argument, value)}
            fields += [
                (check.string(argument, feature, at_least=1, at_most=255), _attributes(argument, names), read)
                for feature, names in named.items()
            ]
        object.__setattr__(self, "_fields", tuple(fields))
        features = self.features
        if not features:
            check.reject("numbers", self.numbers, "at least one feature in numbers, labels or duration")
        if len({*features}) < len(features):
            check.reject("labels", self.labels, f"features of different names, but the group has {', '.join(features)}")

    def __repr__(self) -> str:
        return f"SpanGroup(name={self.name!r}, features={self.features})"

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order of the columns."""
        return tuple(name for name, _, _ in self._fields) + (DURATION,) * self.duration


def _sequence(argument: str, value: object) -> Sequence[object]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        check.reject(argument, value, "a list of attributes")
    return value


def _attribute(argument: str, name: object) -> str:
    text = check.string(argument, name, at_least=1, at_most=255)
    if content_attribute(text):
        check.reject(argument, text, "an attribute without prompts, answers, arguments or documents")
    return text


def _attributes(argument: str, names: object) -> tuple[str, ...]:
    """Return the names of an attribute, which may be one name."""
    if isinstance(names, str):
        return (_attribute(argument, names),)
    several = tuple(_attribute(argument, each) for each in _sequence(argument, names))
    return several or check.reject(argument, names, "at least one attribute")


def _texts(argument: str, values: object) -> tuple[str, ...]:
    return tuple(check.string(argument, each, at_least=1) for each in _sequence(argument, values))


REQUEST_MODEL = ("gen_ai.request.model", "llm.request.model_name", "llm.provider", "llm.system")
"""
What divides calls into streams. Some instrumentations of OpenInference know the provider only. Their
``llm.model_name`` is the model that has answered, whose change is what must be seen.
"""

RESPONSE_MODEL = ("gen_ai.response.model", "llm.response.model_name", "llm.model_name", "embedding.model_name")

INPUT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")

OUTPUT_TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")

REASONING_TOKENS = ("gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning")

CACHED_TOKENS = ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read")

FINISH_REASONS = ("gen_ai.response.finish_reasons", "llm.finish_reason")

AGENT = ("gen_ai.agent.name", "agent.name")

TOOL = ("gen_ai.tool.name", "tool.name")

EVALUATION = ("gen_ai.evaluation.name", "evaluation.name")


def _where(operation: str, kind: str | None = None) -> dict[str, tuple[str, ...]]:
    """Return what marks an operation of OpenTelemetry, and the kind of span of OpenInference."""
    marks: dict[str, tuple[str, ...]] = {"gen_ai.operation.name": (operation,)}
    return marks if kind is None else {**marks, "openinference.span.kind": (kind,)}


def _generation(operation: str, kind: str | None = None) -> SpanGroup:
    return SpanGroup(
        name=operation,
        where=_where(operation, kind),
        by=[REQUEST_MODEL],
        numbers={
            "input_tokens": INPUT_TOKENS,
            "output_tokens": OUTPUT_TOKENS,
            "reasoning_tokens": REASONING_TOKENS,
            "cached_tokens": CACHED_TOKENS,
        },
        labels={"response_model": RESPONSE_MODEL, "finish_reasons": FINISH_REASONS},
    )


GENAI: tuple[SpanGroup, ...] = (
    _generation("chat", "LLM"),
    _generation("generate_content"),
    _generation("text_completion"),
    SpanGroup(
        name="embeddings",
        where=_where("embeddings", "EMBEDDING"),
        by=[(*REQUEST_MODEL[:2], "embedding.model_name", *REQUEST_MODEL[2:])],
        numbers={"input_tokens": INPUT_TOKENS, "dimensions": "gen_ai.embeddings.dimension.count"},
        labels={"response_model": RESPONSE_MODEL},
    ),
    SpanGroup(name="execute_tool", where=_where("execute_tool", "TOOL"), labels={"tool": TOOL}),
    SpanGroup(
        name="invoke_agent",
        where=_where("invoke_agent", "AGENT"),
        by=[AGENT],
        numbers={"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
        labels={"response_model": RESPONSE_MODEL, "finish_reasons": FINISH_REASONS},
    ),
    SpanGroup(name="invoke_workflow", where=_where("invoke_workflow"), by=["gen_ai.workflow.name"]),
    SpanGroup(name="retrieval", where=_where("retrieval", "RETRIEVER"), by=["gen_ai.data_source.id"]),
    SpanGroup(
        name="rerank",
        where={"openinference.span.kind": ("RERANKER",)},
        by=["reranker.model_name"],
        numbers={"top_k": "reranker.top_k"},
    ),
    SpanGroup(
        name="evaluation",
        where=dict.fromkeys(EVALUATION, ()),
        by=[EVALUATION],
        numbers={"score": ("gen_ai.evaluation.score.value", "evaluation.score")},
        labels={"label": ("gen_ai.evaluation.score.label", "evaluation.label")},
        duration=False,
    ),
)
"""
The operations of OpenTelemetry's conventions for generative AI, and the kinds of spans of OpenInference.

Sources: https://opentelemetry.io/docs/specs/semconv/gen-ai/ and https://arize-ai.github.io/openinference/spec/. Both
are in development; older names of an attribute come after newer ones.
"""
