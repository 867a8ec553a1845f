"""The span processor with the real SDK: streams, features, errors, threads, forks and privacy."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, TraceIdRatioBased
from spans import CHAT, Setup, chat

import driftline as dl
from driftline.genai import GENAI, DriftSpanProcessor, SpanGroup, _streams
from driftline.genai._groups import CONTENT

PROMPT = "What would the prime minister say to that?"
ROUTES = SpanGroup(name="http", where="http.route", by=["http.route"], labels=["http.response.status_code"])


@pytest.fixture
def random():
    """A generator with a fixed seed."""
    return np.random.default_rng(7)


def test_a_silent_change_of_the_model_is_named(random):
    setup = Setup(learn=dl.Reference.learn(rows=1_000), window=dl.Window(rows=500), duration=False)
    for _ in range(7_000):
        setup.span(chat(random))
    setup.provider.force_flush()
    states = setup.processor.status()["chat gpt-4o"]
    watched = ("input_tokens", "output_tokens", "response_model", "finish_reasons")
    assert {name: states[name].state for name in watched} == dict.fromkeys(watched, "stable")
    for _ in range(1_500):
        setup.span(chat(random, model="gpt-4o-2024-08-06", longer=60, cut=0.15))
    setup.provider.force_flush()
    states = setup.processor.status()["chat gpt-4o"]
    assert {name: states[name].state for name in watched} == {
        "input_tokens": "stable",
        "output_tokens": "drifting",
        "response_model": "drifting",
        "finish_reasons": "drifting",
    }
    assert "location up" in states["output_tokens"].reason
    assert "unseen categories from 0.0% to 100.0%" in states["response_model"].reason
    drifting = {
        attributes["ml.feature.name"]
        for attributes, value in setup.points("ml.feature.drift.status")
        if value and attributes["ml.feature.drift.state"] == "drifting"
    }
    assert {"output_tokens", "response_model", "finish_reasons"} <= drifting


def test_operations_and_nested_agents_are_kept_apart(random):
    setup = Setup()
    tracer = setup.provider.get_tracer("app")
    for _ in range(250):
        with tracer.start_as_current_span(
            "agent", attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}
        ):
            setup.span(chat(random))
            setup.span({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"})
            setup.span(
                {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e", "gen_ai.usage.input_tokens": 5}
            )
            setup.span({"gen_ai.operation.name": "create_spaceship"})
            setup.span({"http.route": "/"})
    assert setup.served() == {
        (name, None): 250 for name in ("chat gpt-4o", "execute_tool", "embeddings e", "invoke_agent clerk")
    }
    features = {name: [each.name for each in found.features] for name, found in setup.processor.references().items()}
    assert features["execute_tool"] == ["tool", "duration"]
    assert features["embeddings e"] == ["input_tokens", "dimensions", "response_model", "duration"]
    assert "output_tokens" in features["chat gpt-4o"]


def test_names_of_openinference(random):
    setup = Setup()
    for _ in range(200):
        setup.span(
            {
                "openinference.span.kind": "LLM",
                "llm.system": "openai",
                "llm.model_name": "gpt-4o-2024-05-13",
                "llm.token_count.prompt": 12,
                "llm.token_count.completion": int(random.integers(5, 50)),
                "llm.finish_reason": "stop",
                "input.value": PROMPT,
            }
        )
        setup.span({"openinference.span.kind": "TOOL", "tool.name": "search", "tool.parameters": PROMPT})
        setup.span({"openinference.span.kind": "CHAIN"})
    assert setup.served() == {("chat openai", None): 200, ("execute_tool", None): 200}
    reference = setup.processor.references()["chat openai"]
    assert reference.features[0].moments.mean == 12.0
    assert [each.bins.categories for each in reference.features if each.name == "response_model"] == [
        ("gpt-4o-2024-05-13",)
    ]


def test_a_span_of_both_conventions_counts_once():
    setup = Setup()
    for _ in range(3):
        setup.span({**CHAT, "openinference.span.kind": "LLM"})
    assert setup.served() == {("chat gpt-4o", None): 3}


def test_failures_count_with_their_type(random):
    setup = Setup()
    for _ in range(5):
        setup.span(chat(random), error="RateLimitError")
        setup.span(chat(random))
    assert setup.served() == {("chat gpt-4o", None): 5, ("chat gpt-4o", "RateLimitError"): 5}


def test_evaluations_of_attributes_and_events(random):
    setup = Setup()
    for _ in range(200):
        score = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": float(random.random())}
        setup.span(chat(random), events=[{**score, "gen_ai.evaluation.score.label": "good"}])
        setup.span({**CHAT, **score, "gen_ai.evaluation.name": "truth"})
    assert setup.served() == {
        ("chat gpt-4o", None): 400,
        ("evaluation tone", None): 200,
        ("evaluation truth", None): 200,
    }
    names = [each.name for each in setup.processor.references()["evaluation tone"].features]
    assert names == ["score", "label"]


def test_any_attribute_can_be_watched(random):
    setup = Setup([ROUTES])
    for turn in range(400):
        setup.span({"http.route": f"/{turn % 2}", "http.response.status_code": 500 if random.random() < 0.1 else 200})
        setup.span(CHAT)
    assert setup.served() == {("http /0", None): 200, ("http /1", None): 200}
    reference = setup.processor.references()["http /0"]
    assert set(reference.features[0].bins.categories) == {"200", "500"}
    assert reference.features[1].name == "duration"


def test_no_prompt_or_answer_is_kept(random):
    setup = Setup(labels=["app.tenant"], export_labels=True, window=dl.Window(rows=100))
    content = {name: f"{PROMPT} {name}" for name in CONTENT}
    for _ in range(500):
        long = {"gen_ai.response.finish_reasons": (PROMPT * 5,), "gen_ai.request.model": PROMPT * 5, "app.tenant": "a"}
        setup.span({**content, **chat(random), **long})
    setup.provider.force_flush()
    kept = [json.dumps([name, reference.to_json()]) for name, reference in setup.processor.references().items()]
    kept += [repr(setup.processor.status()), repr(setup.points("ml.feature.drift.score"))]
    assert len(kept) == 3
    assert not [text for text in kept if "minister" in text]
    assert "(long)" in kept[0]
    assert list(setup.processor.monitors) == ["chat (long)"]


@pytest.mark.parametrize("argument", ["labels", "numbers"])
@pytest.mark.parametrize("name", [*CONTENT, "llm.input_messages.3.message.content"])
def test_content_cannot_be_asked_for(argument, name):
    with pytest.raises(dl.ConfigurationError, match=f"^{argument}="):
        DriftSpanProcessor(**{argument: [name]})


def test_durations_can_be_left_out(random):
    setup = Setup(duration=False)
    for _ in range(200):
        setup.span(chat(random))
        setup.span({"gen_ai.operation.name": "invoke_workflow"})
    features = {name: [each.name for each in found.features] for name, found in setup.processor.references().items()}
    assert features["chat gpt-4o"][-2:] == ["response_model", "finish_reasons"]
    assert features["invoke_workflow"] == ["duration"]


def test_further_attributes_are_read_by_name(random):
    setup = Setup(labels=["openai.response.system_fingerprint"], numbers=["app.retries"])
    for _ in range(200):
        setup.span({**chat(random), "openai.response.system_fingerprint": "fp_1", "app.retries": 0})
    names = [each.name for each in setup.processor.references()["chat gpt-4o"].features]
    assert {"openai.response.system_fingerprint", "app.retries"} <= set(names)


def test_own_spans_and_other_scopes_are_not_recorded(random):
    setup = Setup(scopes=["app"])
    for scope in ("app", "other", "driftline"):
        setup.span(chat(random), scope=scope)
    everything = Setup()
    for scope in ("app", "other", "driftline"):
        everything.span(chat(random), scope=scope)
    assert setup.served() == {("chat gpt-4o", None): 1}
    assert everything.served() == {("chat gpt-4o", None): 2}


@pytest.mark.parametrize(("sampler", "least", "most"), [(ALWAYS_OFF, 0, 0), (TraceIdRatioBased(0.5), 50, 150)])
def test_sampling_decides_which_spans_are_seen(random, sampler, least, most):
    setup = Setup(sampler=sampler)
    for _ in range(200):
        setup.span(chat(random))
    assert least <= sum(setup.served().values()) <= most


def test_a_stored_reference_is_used(random, tmp_path):
    path = tmp_path / "chat.json"
    columns = {"output_tokens": random.integers(20, 300, 2_000).astype(float), "response_model": ["a"] * 2_000}
    dl.Reference.fit(columns).save(path)
    setup = Setup(references={"chat gpt-4o": path}, window=dl.Window(rows=500))
    assert list(setup.processor.monitors) == ["chat gpt-4o"]
    for _ in range(1_000):
        setup.span(chat(random, model="b"))
    setup.provider.force_flush()
    states = setup.processor.status()["chat gpt-4o"]
    assert list(states) == ["output_tokens", "response_model"]
    assert states["output_tokens"].state == "stable"
    assert states["response_model"].state == "drifting"
    assert setup.points("ml.monitor.errors") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"references": {"weather": dl.Reference.fit({"a": [1.0]})}}, "^references='weather': expected the name of a"),
        ({"references": {"chat x": dl.Reference.fit({"age": [1.0]})}}, "'chat x' has the features age; its stream"),
        (
            {"references": {"chat x": dl.Reference.fit({"duration": [1.0, 2.0]}, predictions=[0.5, 0.1])}},
            "'chat x' has predictions",
        ),
        ({"learn": 5_000}, "^learn="),
        ({"max_streams": 0}, "^max_streams="),
        ({"duration": "no"}, "^duration="),
        ({"window": 3}, "^window="),
        ({"windows": 3}, "^windows=3: expected an argument of Monitor"),
        ({"trace": True}, "^trace="),
        ({"labels": "text"}, "^labels="),
        ({"groups": [ROUTES, ROUTES]}, "^groups="),
        ({"groups": ["chat"]}, "^groups="),
        ({"scopes": [3]}, "^scopes="),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(dl.ConfigurationError, match=message):
        DriftSpanProcessor(**arguments)


def test_the_number_of_streams_is_bounded(random, caplog):
    setup = Setup(max_streams=3)
    for turn in range(500):
        setup.span({**chat(random), "gen_ai.request.model": f"model-{turn}"})
        setup.span({**chat(random), "gen_ai.request.model": f"{PROMPT * 5}{turn}"})
    assert sorted(setup.processor.monitors) == ["chat (long)", "chat model-0", "chat model-1"]
    assert setup.processor.skipped == 498
    assert sum(setup.served().values()) == 502
    assert caplog.text.count("there are 3 streams already") == 1


def test_values_of_any_type_are_survived(random):
    setup = Setup()
    odd = (None, True, 3, 0.5, float("nan"), 10**400, "\ud800", "", (), ("a", 3), [[1]], {"a": 1}, object())
    for value in odd:
        for name in ("gen_ai.request.model", "gen_ai.operation.name", "gen_ai.usage.input_tokens", "error.type"):
            span = SimpleNamespace(
                instrumentation_scope=None,
                attributes={**chat(random), name: value},
                events=(),
                start_time=None,
                end_time=3,
                status=SimpleNamespace(status_code=None),
            )
            setup.processor.on_end(span)
    assert sum(setup.served().values()) >= 3 * len(odd)
    assert setup.points("ml.monitor.errors") == []


def test_an_error_of_ours_is_counted_and_never_raised(random, monkeypatch, caplog):
    setup = Setup()
    setup.span(chat(random))

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(_streams.Stream, "record", fail)
    for _ in range(3):
        setup.span(chat(random))
    assert [(found["ml.monitor.place"], value) for found, value in setup.points("ml.monitor.errors")] == [("span", 3)]
    assert caplog.text.count("ZeroDivisionError") == 1
    first = Setup()
    first.span(chat(random))
    assert caplog.text.count("ZeroDivisionError") == 2
    strict = Setup(on_error="raise")
    with pytest.raises(ZeroDivisionError):
        strict.span(chat(random))


def test_spans_of_many_threads_are_counted_once(random):
    setup = Setup(synchronous=False)
    attributes = [{**chat(random), "gen_ai.request.model": f"m{turn % 5}"} for turn in range(500)]

    def serve():
        for each in attributes:
            setup.span(each)

    threads = [threading.Thread(target=serve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert setup.served() == {(f"chat m{turn}", None): 800 for turn in range(5)}
    setup.provider.shutdown()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_child_of_a_fork_starts_empty_and_makes_new_streams(random):
    setup = Setup(synchronous=False)
    for _ in range(10):
        setup.span(chat(random))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for _ in range(3):
            setup.span(chat(random))
            setup.span({**chat(random), "gen_ai.request.model": "new"})
        os.write(write, repr(sorted(setup.served().items())).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 10_000).decode() == "[(('chat gpt-4o', None), 3), (('chat new', None), 3)]"
    assert setup.served() == {("chat gpt-4o", None): 10}
    setup.provider.shutdown()


def test_after_shutdown_nothing_is_recorded(random):
    setup = Setup()
    for _ in range(3):
        setup.span(chat(random))
    setup.provider.shutdown()
    setup.processor.on_end(SimpleNamespace())
    assert setup.processor.force_flush()
    assert setup.served() == {("chat gpt-4o", None): 3}


@pytest.mark.parametrize("means", ["argument", "variable"])
def test_a_disabled_processor_does_nothing(random, monkeypatch, means):
    options = {"enabled": False} if means == "argument" else {}
    if means == "variable":
        monkeypatch.setenv("DRIFTLINE_ENABLED", "false")
    setup = Setup(references={"execute_tool": dl.Reference.fit({"tool": ["a"]})}, **options)
    setup.span(chat(random))
    assert setup.served() == {}
    assert setup.processor.monitors == {}


def test_every_group_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "genai.md").read_text(encoding="utf-8")
    for group in GENAI:
        assert f"`{group.name}`" in text
        for feature in group.features:
            assert f"`{feature}`" in text
