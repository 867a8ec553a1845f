"""How users call driftline, for mypy and pyright: `make lint` checks this file and nothing runs it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from opentelemetry.sdk.metrics import MeterProvider
from typing_extensions import assert_type

import driftline as dl
from driftline import canary as canaries
from driftline import distances, errors, oneshot, otlp, outcomes, semconv, synthetic, testing
from driftline.instrument import PredictionCall
from driftline.reference import Learn
from driftline.typing import Correct

Features = Mapping[str, float]
FEATURES: Features = {"age": 41.0}
REFERENCE = dl.Reference.fit({"age": [1.0, 2.0]}, predictions=[0.1, 0.9], outcomes=[False, True])
MONITOR = dl.Monitor("model", reference=REFERENCE)


# --- the decorator keeps the types of a function ---------------------------------------------------------------------


@MONITOR.instrument
def plain(features: Features, bias: float = 0.0) -> float:
    return features["age"] + bias


@MONITOR.instrument(output=lambda result: result[0], prediction_id=lambda features: features["id"])
def with_options(features: Features) -> tuple[float, str]:
    return features["age"], "ok"


@MONITOR.instrument()
def with_parentheses(features: Features) -> int:
    return len(features)


@MONITOR.instrument
async def asynchronous(features: Features) -> float:
    return features["age"]


@MONITOR.instrument(user_id=lambda features: "user")
async def asynchronous_with_options(features: Features) -> float:
    return features["age"]


@MONITOR.instrument
def generator(features: Features) -> Iterator[str]:
    yield str(features["age"])


@MONITOR.instrument
async def async_generator(features: Features) -> AsyncIterator[str]:
    yield str(features["age"])


class Model:
    @MONITOR.instrument
    def predict(self, features: Features) -> float:
        return features["age"]

    @MONITOR.instrument(features=lambda features: features)
    async def predict_later(self, features: Features) -> float:
        return features["age"]

    @MONITOR.instrument
    @staticmethod
    def predict_statically(features: Features) -> float:
        return features["age"]

    @staticmethod
    @MONITOR.instrument
    def predict_statically_inside(features: Features) -> float:
        return features["age"]

    @MONITOR.instrument()
    @classmethod
    def predict_by_class(cls, features: Features) -> float:
        return features["age"]

    @classmethod
    @MONITOR.instrument
    def predict_by_class_inside(cls, features: Features) -> float:
        return features["age"]

    def __call__(self, features: Features) -> float:
        return features["age"]


def calls_of_functions(model: Model) -> None:
    assert_type(plain(FEATURES), float)
    assert_type(plain(features=FEATURES, bias=1.0), float)
    assert_type(with_options(FEATURES), tuple[float, str])
    assert_type(with_parentheses(FEATURES), int)
    assert_type(generator(FEATURES), Iterator[str])
    assert_type(async_generator(FEATURES), AsyncIterator[str])
    assert_type(model.predict(FEATURES), float)
    assert_type(model.predict_statically(FEATURES), float)
    assert_type(Model.predict_statically(FEATURES), float)
    assert_type(model.predict_statically_inside(FEATURES), float)
    assert_type(Model.predict_by_class(FEATURES), float)
    assert_type(model.predict_by_class_inside(FEATURES), float)
    assert_type(MONITOR.instrument(model)(FEATURES), float)
    assert_type(MONITOR.instrument(model.predict, output=str)(features=FEATURES), float)
    assert_type(MONITOR.instrument(len)(FEATURES), int)
    assert_type(plain.__name__, str)


async def calls_of_coroutines(model: Model) -> None:
    assert_type(await asynchronous(FEATURES), float)
    assert_type(await asynchronous_with_options(features=FEATURES), float)
    assert_type(await model.predict_later(FEATURES), float)
    async for text in async_generator(FEATURES):
        assert_type(text, str)


def mistakes(model: Model) -> None:
    """Each line is an error of the checkers; an unused comment is one too."""
    plain("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain(FEATURES, skew=1.0)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    model.predict()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    model.predict_statically(model, FEATURES)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    MONITOR.instrument(5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    dl.Monitor("model")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    dl.Monitor("model", reference=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- the monitor -----------------------------------------------------------------------------------------------------


class MeanOfHundred:
    """A detector of the user."""

    @property
    def drift_detected(self) -> bool:
        return False

    def update(self, x: float, /) -> None: ...


def overlap(reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64]) -> float:
    return float(np.minimum(reference, current).sum())


def is_correct(prediction: object, actual: object) -> bool:
    return prediction == actual


def monitors(path: Path) -> None:
    detector: dl.Detector = MeanOfHundred()
    distance: dl.Distance = overlap
    correct: Correct = is_correct
    monitor = dl.Monitor(
        "model",
        version="3",
        variant="canary",
        reference=path,
        window=dl.Window("10min", every="1min"),
        distances=("psi", "ks", distance, overlap),
        rule=dl.FalseAlarms(1, per="30d", lengths=(1, 4)),
        correct=correct,
        derive={"ratio": lambda features: features["a"] / features["b"]},
        detectors={"age": detector, "error": [detector, MeanOfHundred()]},
        outcomes=dl.OutcomePolicy(path=path, limits={"accuracy": 0.85}),
        export_bins=True,
        export_labels=True,
        export_duration=False,
        trace=True,
        retraining=dl.RetrainingPolicy(queue=dl.RetrainingQueue(path)),
        on_error="raise",
        synchronous=True,
        enabled=True,
        clock=testing.ManualClock(),
        wall_clock=lambda: 0.0,
        meter_provider=MeterProvider(),
    )
    dl.Monitor("model", reference=str(path), rule=dl.Thresholds(psi=0.2), outcomes=str(path))
    assert_type(dl.Reference.learn(rows=10_000), Learn)
    dl.Monitor("model", reference=dl.Reference.learn(rows=10_000))
    assert_type(monitor.reference, dl.Reference | None)
    assert_type(monitor.enabled, bool)
    assert_type((monitor.name, monitor.version, monitor.variant), tuple[str, str | None, str | None])
    monitor.replace_reference(path)
    monitor.flush()
    monitor.shutdown()


def serving() -> None:
    with MONITOR.prediction(FEATURES, prediction_id=17, user_id="user") as call:
        assert_type(call, PredictionCall)
        call.output = 0.5
    MONITOR.outcome(call.id, actual=True)
    MONITOR.outcomes(["a", "b"], [True, False])
    MONITOR.observe({"age": [1.0, 2.0]}, [0.5, 0.8], prediction_ids=["a", 2], seconds=0.1)
    dl.record_outcome("model", "3", 0.7, True, variant="canary", correct=is_correct)


async def serving_asynchronously() -> None:
    async with MONITOR.prediction(FEATURES) as call:
        assert_type(call, PredictionCall)
        call.output = 0.5


def results() -> None:
    for name, status in MONITOR.status().items():
        assert_type(name, str)
        assert_type(status, dl.FeatureStatus)
        assert_type(status.p_value, float | None)
        assert_type([component.name for component in status.components], list[str])
        if status.state == "drifting":
            assert_type(status.reason, str)
    for score in MONITOR.scores():
        assert_type(score, dl.Score)
        assert_type(score.value, float)
    snapshot = MONITOR.snapshot()
    if snapshot is not None:
        assert_type(snapshot + snapshot, dl.Snapshot)
    assert_type(MONITOR.accuracy(), float | None)
    assert_type(MONITOR.estimated_accuracy(), dl.Performance | None)
    assert_type(MONITOR.performance(), tuple[dl.Performance, ...])
    assert_type(MONITOR.outcome_counts() + MONITOR.outcome_counts(), dl.OutcomeSnapshot)


def references(path: Path) -> None:
    fitted = dl.Reference.fit(
        {"age": np.arange(10.0), "channel": ["web"] * 10},
        categorical=["channel"],
        predictions=np.arange(10.0),
        derive={"double": lambda features: features["age"] * 2},
    )
    assert_type(fitted, dl.Reference)
    assert_type(fitted.merge(fitted), dl.Reference)
    assert_type(fitted.with_traffic(MONITOR.dependence), dl.Reference)
    assert_type(fitted.to_json(), str)
    assert_type(dl.Reference.from_json(fitted.to_json()), dl.Reference)
    assert_type(dl.Reference.load(path), dl.Reference)
    fitted.save(path)


# --- canaries --------------------------------------------------------------------------------------------------------


def on_verdict(previous: str, verdict: dl.Verdict) -> None:
    assert_type(verdict.criteria, tuple[dl.Criterion, ...])


def canary(baseline: dl.Monitor, candidate: dl.Monitor) -> None:
    policy = dl.CanaryPolicy(
        allowed_accuracy_drop=dl.Margin(0.005, relative=0.1),
        guardrails={"revenue": dl.Guardrail(dl.Margin(0.1), better="higher")},
    )
    trial = dl.Canary(baseline, candidate, policy, share=0.05, on_verdict=on_verdict)
    predict = trial.split(plain, plain, key=lambda features: features["customer"])
    assert_type(predict, Callable[..., Any])
    assert_type(trial.verdict(), dl.Verdict)
    if trial.verdict().state == "promote":
        trial.share = 1.0
    assert_type(trial.evidence(), canaries.CanaryEvidence)
    assert_type(canaries.judge_canary(trial.evidence(), policy), dl.Verdict)
    dl.Canary(baseline, candidate, dl.ThresholdPolicy(min_accuracy=0.8))


# --- the modules beside ----------------------------------------------------------------------------------------------


def modules(path: Path) -> None:
    setup = dl.configure_otlp("service", endpoint="http://localhost:4318")
    assert_type(setup, otlp.OtlpSetup)
    assert_type(setup.force_flush(), bool)
    assert_type(oneshot.compute_mean_drift([1.0], np.arange(3.0)), oneshot.DriftReport)
    assert_type(oneshot.evaluate_canary({"accuracy": 1.0}, {"latency": 0.1}), oneshot.CanaryVerdict)
    synthetic.inject({"age": [1.0]}, synthetic.MeanShift("age", by=1.0), schedule=synthetic.gradual(), seed=1)
    distance: float = distances.psi(np.arange(3), np.arange(3))
    assert_type(distance, float)
    assert_type(outcomes.read_totals(path), dict[tuple[str, str | None, str | None], dict[str, int]])
    attributes: dict[str, str] = {semconv.ML_MODEL_NAME: "model"}
    assert_type(attributes[semconv.ML_MODEL_NAME], str)
    try:
        testing.check_distance(overlap)
        testing.check_detector(MeanOfHundred(), quiet=[0.0], changed=[1.0])
    except (errors.ConfigurationError, dl.ReferenceError) as error:
        assert_type(str(error), str)
    monitor = testing.in_memory_monitor(reference=REFERENCE)
    assert_type(monitor, dl.Monitor)
    queue = dl.RetrainingQueue()
    assert_type(queue.pending(), tuple[dl.RetrainingRequest, ...])
    assert_type(queue.acknowledge("id"), bool)


class Net:
    """A callable object with a method."""

    def __call__(self, features: dict[str, float]) -> float:
        return features["age"]

    def eval(self) -> Net:
        return self


def use_callable_objects() -> None:
    """They keep their attributes, and are callable with the same arguments."""
    net = MONITOR.instrument(Net())
    assert_type(dl.carry(net, REFERENCE, partial=True), Net)
    assert_type(dl.carried("model.pkl"), dl.Reference | None)
    assert_type(dl.mlflow.carry(REFERENCE)["extra_files"], Any)
    assert_type(net, Net)
    assert_type(net.eval()({"age": 1.0}), float)
    assert_type(MONITOR.instrument(user_id=None)(Net()), Net)
    MONITOR.instrument(functools.lru_cache(len)).cache_clear()
    net("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
