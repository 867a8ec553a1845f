"""`driftline rules`: its formats hold the same rules, and bad arguments are named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from driftline.cli import main
from driftline.fleet._rules.alerts import ALERTS, KEPT, PREFIX
from driftline.fleet._rules.formats import to_prometheus
from driftline.fleet._rules.rule import Alert, Group, Recording, as_document
from driftline.fleet._rules.rules import MOST_RULES
from driftline.reference import Reference

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "tests" / "data" / "schemas" / "kubernetes" / "prometheusrule-monitoring-v1.json"


@pytest.fixture
def rules(capsys):
    """Return a function that returns what the command prints."""

    def run(*arguments):
        assert main(["rules", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def reference(tmp_path):
    """The file of a reference with more features than a group may have rules."""
    file = tmp_path / "reference.json"
    columns = {f"f{number}": [*range(number, number + 200)] for number in range(30)}
    Reference.fit(columns).save(file)
    return file


def test_the_resource_of_the_operator_holds_the_same_rules(rules):
    """And is what its schema describes."""
    resource = yaml.safe_load(rules("--format", "operator", "--resource-label", "release=prometheus"))
    assert resource["spec"] == yaml.safe_load(rules())
    assert resource["metadata"] == {"name": "driftline", "labels": {"release": "prometheus"}}
    # A pattern of Go's that is none of Python's, for a field that the rules do not have.
    schema = SCHEMA.read_text(encoding="utf-8").replace("^(?i)(abort|warn)?$", "")
    jsonschema.validate(resource, json.loads(schema))


def evaluate(mixin, **config):
    """Return the rules of a mixin in one file, with the configuration changed."""
    jsonnet = pytest.importorskip("_jsonnet", reason="Jsonnet has no wheel for this Python")
    changes = "".join(f"{name}: {json.dumps(value)}, " for name, value in config.items())
    source = f"local m = ({mixin}) + {{_config+:: {{{changes}}}}}; m.prometheusRules.groups + m.prometheusAlerts.groups"
    return {"groups": json.loads(jsonnet.evaluate_snippet("mixin.libsonnet", source))}


def test_the_mixin_holds_the_same_rules(rules, reference):
    """As it is, and where `_config` has what the arguments had."""
    arguments = ["--reference", f"m={reference}", "--psi", "0.2", "--min-accuracy", "0.9"]
    mixin = rules("--format", "mixin", *arguments)
    assert evaluate(mixin) == yaml.safe_load(rules(*arguments))
    severities = {"critical": "page", "warning": "ticket", "info": "info"}
    selector = 'namespace=~"prod.*"'
    changed = evaluate(
        mixin, driftlineSelector=selector, driftlineRunbookUrl="https://wiki/ml", driftlineSeverities=severities
    )
    command = ["--selector", selector, "--runbook-url", "https://wiki/ml"]
    command += ["--severity", "critical=page", "--severity", "warning=ticket"]
    assert changed == yaml.safe_load(rules(*arguments, *command))
    assert evaluate(rules("--format", "mixin", *arguments, *command)) == changed


@pytest.mark.parametrize("names", ["underscores", "utf8"])
def test_the_mixin_removes_its_matcher_everywhere(rules, names):
    """In selectors with and without further matchers."""
    mixin = rules("--format", "mixin", "--names", names)
    assert "driftline_selector" not in json.dumps(evaluate(mixin))
    assert evaluate(mixin) == yaml.safe_load(rules("--names", names))


def test_each_alert_has_what_a_pager_shows(rules, reference):
    """A severity, a static sentence, a description, and the address of a heading that exists."""
    document = yaml.safe_load(rules("--reference", f"m={reference}", "--psi", "0.2", "--min-accuracy", "0.9"))
    alerts = [rule for group in document["groups"] for rule in group["rules"] if "alert" in rule]
    assert {alert["alert"] for alert in alerts} == {PREFIX + name for name in ALERTS}
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (Driftline\w+)$", page, re.MULTILINE)
    assert headings == [PREFIX + name for name in ALERTS]
    for alert in alerts:
        assert "for" not in alert
        name = alert["alert"].removeprefix(PREFIX)
        assert alert.get("keep_firing_for") == ("2h" if name in KEPT else None)
        assert alert["labels"]["severity"] == ALERTS[name]
        assert re.fullmatch(r"[A-Z][^{}]*\.|driftline [^{}]*\.", alert["annotations"]["summary"])
        assert "{{" in alert["annotations"]["description"]
        address, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert address == "https://github.com/driftline/driftline/blob/main/docs/troubleshooting.md"
        assert anchor == alert["alert"].lower()


@pytest.mark.parametrize("names", ["underscores", "utf8"])
def test_alerts_lead_to_the_dashboard_of_their_model(rules, names):
    """All but that of a service. The name of a model is escaped in the address."""
    label = {"underscores": "$labels.ml_model_name", "utf8": 'index $labels "ml.model.name"'}[names]
    document = yaml.safe_load(rules("--names", names, "--grafana-url", "https://grafana.example.org/"))
    alerts = [rule for group in document["groups"] for rule in group["rules"] if "alert" in rule]
    address = f"https://grafana.example.org/d/driftline-model?var-model={{{{ {label} | urlquery }}}}"
    assert {rule["annotations"].get("dashboard_url", rule["alert"]) for rule in alerts} == {
        address,
        "DriftlineTelemetryLost",
    }


def test_groups_are_as_small_as_mimir_allows(rules, reference):
    """30 features of a reference are two groups and more, each with another name."""
    groups = yaml.safe_load(rules("--reference", f"m x={reference}"))["groups"]
    assert max(len(group["rules"]) for group in groups) <= MOST_RULES
    names = [group["name"] for group in groups]
    assert len(set(names)) == len(names) >= 5
    assert "driftline.reference1.m_x.2" in names


def test_the_file_says_how_it_was_written(rules, tmp_path):
    """The command line is in a comment, and `--output` writes what is printed."""
    file = tmp_path / "rules.yaml"
    printed = rules("--scope", "fleet", "--selector", 'namespace="prod"')
    assert "driftline rules --scope fleet --selector 'namespace=\"prod\"'" in printed.splitlines()[0]
    assert rules("--scope", "fleet", "--selector", 'namespace="prod"', "--output", file) == ""
    assert file.read_text(encoding="utf-8") == printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--selector", "namespace"], "--selector namespace: expected matchers"),
        (["--selector", 'a="`"'], "expected no backtick"),
        (["--keep", "a b"], "--keep a b: expected the name of a label"),
        (["--window", "soon"], "--window='soon': expected a positive duration"),
        (["--window", "1s"], "window=1.0: expected a number of at least 60"),
        (["--max-failures", "2"], "max-failures=2.0: expected"),
        (["--min-accuracy", "-1"], "min-accuracy=-1.0: expected"),
        (["--reference", "file.json"], "--reference file.json: expected NAME=VALUE"),
        (["--reference", "m=absent.json"], "absent.json: cannot be read"),
        (["--psi", "0.2"], "psi: expected with a reference"),
        (["--severity", "fatal=page"], "severity='fatal': expected 'critical', 'warning' or 'info'"),
        (["--severity", "info=a", "--severity", "info=b"], "expected info once"),
        (["--format", "operator", "--resource-name", "Driftline Rules"], "expected the name of a Kubernetes resource"),
        (["--runbook-url", "javascript:x"], "runbook-url javascript:x: expected an address"),
        (["--grafana-url", "grafana"], "grafana-url grafana: expected an address"),
    ],
)
def test_bad_arguments_are_named(capsys, arguments, words):
    """With the exit code of an error, and nothing on the standard output."""
    assert main(["rules", *arguments]) == 3
    output = capsys.readouterr()
    assert words in output.err
    assert output.out == ""


def test_labels_to_keep_and_references_exclude_each_other(capsys, reference):
    """A reference has no label of an environment that could be matched."""
    assert main(["rules", "--reference", f"m={reference}", "--keep", "namespace"]) == 3
    assert "keep: expected without references" in capsys.readouterr().err


@given(st.text(min_size=1), st.text(min_size=1))
def test_yaml_holds_any_string(key, value):
    """Names of models, features and labels are the user's."""
    rules = [Recording("a:b:c", value, {key: value}), Alert("A", value, value, value, value, value, "", "1h")]
    groups = [Group(value, rules)]
    assert yaml.safe_load(to_prometheus(groups, ["comment"])) == as_document(groups)


@pytest.mark.parametrize("names", ["underscores", "utf8"])
def test_a_selector_may_hold_any_word(rules, names):
    """Also the one that stands for the model in expressions."""
    text = rules("--names", names, "--selector", 'env="MODEL_SERVING"')
    assert "MODEL" not in text.replace('env="MODEL_SERVING"', "").replace("--selector", "")
    assert "`MODEL`" not in text


def test_a_line_break_leaves_the_comment_a_comment(rules):
    text = rules("--window", "1h\n")
    assert yaml.safe_load(text) == yaml.safe_load(rules())


def test_models_of_one_plain_name_have_groups_of_their_own(rules, reference):
    groups = yaml.safe_load(rules("--reference", f"a b={reference}", "--reference", f"a_b={reference}"))["groups"]
    names = [group["name"] for group in groups]
    assert len(set(names)) == len(names)


def run_to(stdout, *arguments, **more):
    """Run the command with a standard output, and return its code and what it says."""
    command = [sys.executable, "-m", "driftline.cli", "rules", *map(str, arguments)]
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, check=False, text=True, env={**os.environ, **more}
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.skipif(os.name != "posix", reason="of pipes and devices of POSIX")
def test_an_output_that_cannot_be_written_is_an_error(reference):
    """Not a file of rules that lacks its end."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe, Path("/dev/full").open("wb") as full:
        for stream in (pipe, full):
            code, said = run_to(stream, "--reference", f"m={reference}")
            assert code == 3
            assert said.startswith("driftline rules: ")
            assert said.count("\n") == 1


@pytest.mark.system
def test_the_output_is_utf8_on_every_terminal(tmp_path, rules):
    file = tmp_path / "rules.yaml"
    with file.open("wb") as stream:
        assert run_to(stream, PYTHONIOENCODING="ascii") == (0, "")
    assert file.read_text(encoding="utf-8") == rules()
