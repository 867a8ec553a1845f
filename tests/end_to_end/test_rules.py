"""The rules of `driftline rules` alert when they must, and only then, as the real promtool evaluates them."""

from __future__ import annotations

import itertools
import subprocess

import numpy as np
import pytest
import yaml
from promtool import Scenario

import driftline as dl
from driftline import semconv as sc
from driftline._backends.names import NAME_STYLES
from driftline.cli import main
from driftline.fleet._promql import TEMPORALITIES, PromQL
from driftline.fleet._rules.records import Records
from driftline.testing import in_memory_monitor

pytestmark = pytest.mark.real

DIALECTS = [
    PromQL(names, temporality, scope)
    for names, temporality, scope in (
        *((names, temporality, "process") for names, temporality in itertools.product(NAME_STYLES, TEMPORALITIES)),
        ("underscores", "cumulative", "fleet"),
    )
]

SCENES = [each for each in DIALECTS if each.names in {"underscores", "utf8"} or each.temporality == "cumulative"]
"""Dialects of the scenarios of alerts: what depends on a suffix does not depend on the temporality too."""


@pytest.fixture
def written(capsys):
    """Return a function that returns the rules of a command line, as they are parsed from YAML."""

    def write(promql, *arguments):
        dialect = ["--names", promql.names, "--temporality", promql.temporality, "--scope", promql.scope]
        assert main(["rules", *dialect, *map(str, arguments)]) == 0
        return yaml.safe_load(capsys.readouterr().out)

    return write


@pytest.fixture(params=SCENES, ids=lambda each: f"{each.names}-{each.temporality}-{each.scope}")
def scenario(request):
    """A scenario without series, in each dialect."""
    return Scenario(request.param)


@pytest.fixture
def play(tools, written, tmp_path):
    """Return a function that runs a scenario against the rules of a command line."""
    return lambda scenario, *arguments: scenario.run(tools / "promtool", written(scenario.promql, *arguments), tmp_path)


@pytest.mark.parametrize("output", ["prometheus", "operator"])
def test_promtool_accepts_the_rules(tools, tmp_path, output, reference_file):
    """All of them, without a complaint of its linter."""
    for promql in DIALECTS:
        file = tmp_path / "rules.yaml"
        arguments = ["--names", promql.names, "--temporality", promql.temporality, "--format", output]
        more = ["--min-accuracy", "0.8", "--psi", "0.2", "--mean", "0.3", "--reference", f"m={reference_file}"]
        assert main(["rules", *arguments, *more, "--selector", 'namespace=~"prod%.*"', "--output", str(file)]) == 0
        if output == "operator":
            file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]), encoding="utf-8")
        command = [tools / "promtool", "check", "rules", "--lint=all", "--lint-fatal", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("names", ["underscores", "utf8"])
def test_victoria_metrics_understands_the_expressions(run_victoria_metrics, written, reference_file, names):
    """Its language differs from PromQL in places. An empty store has no result, but constants and their sums."""
    rules = written(
        PromQL(names), "--reference", f"m={reference_file}", "--psi", "0.2", "--mean", "0.3", "--min-accuracy", "0.8"
    )
    with run_victoria_metrics() as server:
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            result = server.query(rule["expr"])
            assert bool(result) == ("vector(" in rule["expr"]), rule


def test_a_broken_upstream_alerts_once(scenario, play):
    """Many features of two versions in two processes drift: one alert, which lasts two hours longer than the drift."""
    scenario.served()
    for version, process, feature in itertools.product("34", "ab", range(12)):
        scenario.add_labels(
            sc.METRIC_FEATURE_DRIFT_STATUS,
            "0x60 1x60 0x300",
            {
                **{
                    scenario.promql.label(name): value
                    for name, value in {
                        sc.ML_MODEL_NAME: "m",
                        sc.ML_MODEL_VERSION: version,
                        sc.ML_FEATURE_NAME: f"f{feature:02}",
                        sc.ML_FEATURE_DRIFT_STATE: "drifting",
                        **({sc.ML_WINDOW_SCOPE: "fleet"} if scenario.promql.scope == "fleet" else {}),
                    }.items()
                },
                "instance": process,
            },
        )
    scenario.expect(50)
    listed = ", ".join(f"f{feature:02}" for feature in range(10))
    alarm = f"12 features of m differ from the reference: {listed}, …."
    scenario.expect(100, FeaturesDrifting=[alarm])
    scenario.expect(200, FeaturesDrifting=[alarm])
    scenario.expect(250)
    play(scenario)


def test_silence_alerts_only_for_models_that_served(scenario, play):
    """One model stops, another never served, a third goes on."""
    scenario.served(90)
    scenario.served(3000, model="busy")
    scenario.state("steady", "stable", "1x3000", model="idle")
    scenario.expect(100)
    scenario.expect(200, PredictionsMissing=["m made predictions in the last 1d, and none in the last 1h."])
    play(scenario)


def test_predictions_that_return_end_the_alert(play):
    """Immediately: the window has smoothed them already."""
    scenario = Scenario()
    scenario.state("steady", "stable", "1x3000")
    scenario.add(sc.METRIC_PREDICTIONS_SERVED, "0+10x60 600x120 610+10x300")
    scenario.expect(170, PredictionsMissing=["m made predictions in the last 1d, and none in the last 1h."])
    scenario.expect(190)
    play(scenario)


def test_limits_of_outcomes_are_those_of_processes_in_each_scope(play):
    """A service that evaluates a fleet has no outcomes, and its absence is noticed beside them."""
    scenario = Scenario(PromQL(scope="fleet"))
    scenario.count(sc.METRIC_PREDICTIONS_SERVED, 10, 3000)
    limit = {"ML_FEATURE_NAME": "prediction.accuracy", "ML_FEATURE_DRIFT_STATE": "drifting"}
    scenario.add(sc.METRIC_FEATURE_DRIFT_STATUS, "1x3000", **limit)
    scenario.expect(
        100,
        PerformanceLow=["The outcomes of m exceed 1 limits: prediction.accuracy."],
        StatesMissing=["m made 600 predictions in 1h, and exported no state of a feature."],
    )
    play(scenario)


def test_predictions_without_states_alert(scenario, play):
    """The monitor of a process is off, or no service evaluates the fleet."""
    scenario.count(sc.METRIC_PREDICTIONS_SERVED, 10, 3000)
    scenario.expect(100, StatesMissing=["m made 600 predictions in 1h, and exported no state of a feature."])
    play(scenario)


def test_the_first_error_alerts(scenario, play):
    """Its counter begins with 1, which an increase ignores."""
    scenario.served()
    ends = "1" if scenario.promql.temporality == "delta" else "1x300"
    scenario.add(sc.METRIC_MONITOR_ERRORS, f"_x100 {ends}", ML_MONITOR_PLACE="features")
    scenario.expect(90)
    scenario.expect(130, MonitorErrors=["1 errors of driftline at m in 1h. Places: features."])
    scenario.expect(350)
    play(scenario)


def test_lost_telemetry_and_dropped_rows_alert(scenario, play):
    """Rows that a shadow did not predict are expected."""
    scenario.served()
    scenario.count(sc.METRIC_MONITOR_ROWS_DROPPED, 1, 3000, ML_MONITOR_REASON="shape")
    scenario.count(sc.METRIC_MONITOR_ROWS_DROPPED, 5, 3000, ML_MONITOR_REASON="shadow_share")
    signal, values = scenario.promql.label(sc.ML_MONITOR_SIGNAL), "_x50 3 _x300"
    if scenario.promql.temporality == "cumulative":
        values = "_x50 3x300"
    scenario.add_labels(sc.METRIC_MONITOR_TELEMETRY_LOST, values, {"job": "shop", signal: "logs"})
    lost = [({"job": "shop", signal: "logs"}, "shop lost 3 items of logs in 1h.")]
    scenario.expect(100, RowsDropped=["driftline dropped 10% of the rows of m in 1h."], TelemetryLost=lost)
    play(scenario)


def test_states_of_outcomes_and_the_accuracy_alert(scenario, play):
    """Limits are not among the features, and the accuracy is that of all processes."""
    scenario.served()
    scenario.state("prediction.accuracy", "drifting", "1x3000")
    scenario.count(sc.METRIC_OUTCOMES, 6, 3000, ML_OUTCOME_RESULT="correct")
    scenario.count(sc.METRIC_OUTCOMES, 2, 3000, ML_OUTCOME_RESULT="incorrect")
    scenario.expect(
        100,
        PerformanceLow=["The outcomes of m exceed 1 limits: prediction.accuracy."],
        AccuracyLow=["The accuracy of m, realised or estimated, is 75%."],
    )
    play(scenario, "--min-accuracy", "0.8")


def test_a_failing_candidate_alerts(scenario, play):
    """A verdict, failed predictions, and nothing about the baseline."""
    scenario.served()
    scenario.count(sc.METRIC_PREDICTIONS_SERVED, 2, 3000)
    scenario.series[-1] = (scenario.series[-1][0].replace("}", f", {_error_type(scenario)}}}"), scenario.series[-1][1])
    scope = "fleet" if scenario.promql.scope == "fleet" else None
    scenario.add(
        sc.METRIC_CANARY_STATUS, "_x30 1x3000", ML_MODEL_VERSION="2", ML_CANARY_STATE="rollback", ML_WINDOW_SCOPE=scope
    )
    failing = "16.67% of the predictions of m in 1h failed."
    scenario.expect(25, PredictionsFailing=[failing])
    scenario.expect(
        100,
        PredictionsFailing=[failing],
        CanaryRollback=["The verdict on a candidate of m is rollback. Its version: 2."],
    )
    play(scenario, "--grafana-url", "https://grafana.example.org")


def test_what_lasts_for_a_day_is_reported(scenario, play):
    """A feature whose state is unknown, and a request for retraining."""
    scenario.served()
    scenario.state("sparse", "insufficient_data", "1x3000")
    scenario.add(
        sc.METRIC_RETRAINING_QUEUE_SIZE, "_x10 1x3000", ML_RETRAINING_KIND="retrain", ML_RETRAINING_STATE="requested"
    )
    requested = ["Retraining of m is requested, and not acknowledged yet."]
    scenario.expect(1400, RetrainingRequested=requested)
    scenario.expect(
        1500,
        RetrainingRequested=requested,
        FeaturesUndecided=["1 features of m have been insufficient_data for 1d: sparse."],
        RetrainingPending=["1 requests for retraining of m have been pending for 1d."],
    )
    play(scenario)


def test_a_request_to_fix_the_pipeline_starts_no_training(scenario, play):
    """Alertmanager passes `RetrainingRequested` to a pipeline, which must not train on broken data."""
    scenario.served()
    queue = {"ML_RETRAINING_STATE": "requested", "ML_RETRAINING_KIND": "fix_pipeline"}
    scenario.add(sc.METRIC_RETRAINING_QUEUE_SIZE, "_x10 1x3000", **queue)
    scenario.add(
        sc.METRIC_RETRAINING_QUEUE_SIZE, "_x10 0x3000", ML_RETRAINING_KIND="retrain", ML_RETRAINING_STATE="requested"
    )
    scenario.expect(100)
    play(scenario)


def test_the_other_scope_does_not_alert(play):
    """The states of a process do not count where the fleet's are selected, and the reverse."""
    for mine, other in (("process", "fleet"), ("fleet", "process")):
        scenario = Scenario(PromQL(scope=mine))
        scenario.served()
        foreign = Scenario(PromQL(scope=other))
        foreign.state("age", "drifting", "1x3000")
        scenario.series += foreign.series
        scenario.expect(100)
        play(scenario)


def test_labels_that_are_kept_tell_models_apart(play):
    """One alert for each environment, and only of those that the selector selects."""
    scenario = Scenario()
    for environment, values in (("prod", "1x300"), ("test", "1x300"), ("old", "1x300")):
        scenario.add_labels(
            sc.METRIC_FEATURE_DRIFT_STATUS,
            values,
            {
                "ml_model_name": "m",
                "ml_feature_name": "age",
                "ml_feature_drift_state": "drifting",
                "environment": environment,
            },
        )
    alarm = "1 features of m in {} differ from the reference: age."
    scenario.expect(
        100,
        FeaturesDrifting=[
            ({"ml_model_name": "m", "environment": each}, alarm.format(each)) for each in ("prod", "test")
        ],
    )
    play(scenario, "--keep", "environment", "--selector", 'environment!="old"', "--severity", "warning=ticket")


@pytest.fixture(scope="module")
def reference():
    """A reference of numbers with and without groups of bins, few and many categories, and missing values."""
    random = np.random.default_rng(0)
    rows = 5_000
    weights = 1.0 / np.arange(1, 401)
    data = {
        "amount": random.normal(size=rows),
        "count": random.poisson(12.0, rows),
        "price": np.round(random.gamma(2.0, 2.0, rows)) + random.choice([0.0, 0.49, 0.99], rows),
        "channel": random.choice(["web", "shop", "phone"], rows).tolist(),
        "city": random.choice([f"c{number}" for number in range(400)], rows, p=weights / weights.sum()).tolist(),
        "sparse": np.where(random.random(rows) < 0.3, np.nan, random.normal(size=rows)),
    }
    return dl.Reference.fit(data, predictions=random.random(rows))


@pytest.fixture(scope="module")
def reference_file(reference, tmp_path_factory):
    """The file of the reference."""
    file = tmp_path_factory.mktemp("reference") / "reference.json"
    reference.save(file)
    return file


@pytest.mark.slow
@pytest.mark.parametrize("promql", DIALECTS[:-1], ids=lambda each: f"{each.names}-{each.temporality}")
def test_distances_are_those_of_a_monitor(play, reference, reference_file, promql):
    """PSI, its corrected form and the shift of the mean, of each feature, to nine digits."""
    random = np.random.default_rng(1)
    rows = 600
    monitor = in_memory_monitor(
        "m", reference=reference, window=dl.Window(rows=rows), distances=("psi", "mean"), export_bins=True
    )
    monitor.observe(
        {
            "amount": random.normal(0.5, size=rows),
            "count": random.poisson(14.0, rows),
            "price": np.round(random.gamma(2.0, 2.4, rows)) + random.choice([0.0, 0.5], rows),
            "channel": random.choice(["web", "shop", "fax"], rows).tolist(),
            "city": random.choice([f"c{number}" for number in range(600)], rows).tolist(),
            "sparse": random.normal(size=rows),
        },
        random.random(rows),
    )
    scores = {(score.feature, score.distance): score for score in monitor.scores()}
    assert len(scores) == 2 * 5 + 2
    scenario = Scenario(promql)
    for feature, counts in counts_of(monitor, reference):
        for number, count in enumerate(counts):
            if count:
                scenario.count(
                    sc.METRIC_FEATURE_OBSERVATIONS,
                    count / 60,  # in an hour, a minute at a time
                    110,
                    ML_FEATURE_NAME=feature,
                    ML_FEATURE_BIN=f"{number}",
                    ML_REFERENCE_FINGERPRINT=reference.fingerprint,
                )
    names = Records(3_600)
    for (feature, distance), score in scores.items():
        matcher = promql.match(sc.ML_FEATURE_NAME, "=", feature)
        scenario.values.append((f"{names.psi if distance == 'psi' else names.mean}{{{matcher}}}", score.value))
        if distance == "psi":
            scenario.values.append((f"{names.corrected_psi}{{{matcher}}}", score.corrected))
    shifted = sorted(
        {
            feature
            for (feature, distance), score in scores.items()
            if (score.corrected if distance == "psi" else score.value) >= 0.2
        }
    )
    assert 2 <= len(shifted) < len(reference.watched)
    text = f"{len(shifted)} features of m are far from the reference: {', '.join(shifted)}."
    scenario.expect(100, FeaturesShifted=[text])
    play(scenario, "--reference", f"m={reference_file}", "--psi", "0.2", "--mean", "0.2")


def test_counts_of_an_unknown_reference_alert(play, reference_file):
    """A model that was fitted again, while the rules were not."""
    scenario = Scenario()
    scenario.served()
    for model in ("m", "other"):
        scenario.count(
            sc.METRIC_FEATURE_OBSERVATIONS,
            10,
            3000,
            model,
            ML_FEATURE_NAME="amount",
            ML_FEATURE_BIN="3",
            ML_REFERENCE_FINGERPRINT="0123456789abcdef",
        )
    scenario.expect(100, ReferenceUnknown=["Processes of m compare with 1 references that these rules lack."])
    play(scenario, "--reference", f"m={reference_file}")


def counts_of(monitor, reference):
    """The rows per bin of each feature of a monitor's window."""
    counts, start = monitor.snapshot().counts.tolist(), 0
    for feature in reference.watched:
        yield feature.name, counts[start : start + feature.bins.size]
        start += feature.bins.size


def _error_type(scenario):
    label = scenario.promql.label("error.type")
    return f'"{label}"="KeyError"' if "." in label else f'{label}="KeyError"'
