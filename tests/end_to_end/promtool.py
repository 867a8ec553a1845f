"""Writes unit tests of `promtool test rules`, in the names and the temporality of a backend."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field

from driftline import semconv as sc
from driftline._backends.names import exported_name
from driftline.fleet._promql import PromQL
from driftline.fleet._rules.alerts import ALERTS, PREFIX


@dataclass
class Scenario:
    """
    Series that are exported, and the alerts that they must raise.

    Attributes:
        promql: the dialect.
        series: each series with its values, as promtool writes them.
        alerts: minutes, name of an alert without its prefix, and the descriptions expected then.
        values: an expression, and the value that it must have after 100 minutes to nine digits.
    """

    promql: PromQL = field(default_factory=PromQL)
    series: list[tuple[str, str]] = field(default_factory=list)
    alerts: list[tuple[int, str, list[str]]] = field(default_factory=list)
    values: list[tuple[str, float]] = field(default_factory=list)

    def add(self, metric, values, model="m", **attributes):
        """Add a series. The names of attributes are those of constants, such as ``ML_FEATURE_NAME``."""
        named = {sc.ML_MODEL_NAME: model, **{getattr(sc, name): value for name, value in attributes.items()}}
        labels = {self.promql.label(name): value for name, value in named.items() if value is not None}
        self.add_labels(metric, values, labels)

    def add_labels(self, metric, values, labels):
        """Add a series with labels in the names of the backend."""
        inner = ", ".join(f"{_quoted(name)}={json.dumps(value)}" for name, value in labels.items())
        name = exported_name(metric, self.promql.names)
        self.series.append((f"{name}{{{inner}}}" if "." not in name else f'{{"{name}", {inner}}}', values))

    def count(self, metric, per_minute, minutes, model="m", **attributes):
        """Add a counter that grows by *per_minute* in each of the first *minutes*, and then stays or ends."""
        if self.promql.temporality == "delta":
            self.add(metric, f"{per_minute}x{minutes}", model, **attributes)
        else:
            self.add(metric, f"0+{per_minute}x{minutes} {per_minute * minutes}x300", model, **attributes)

    def served(self, minutes=3000, model="m"):
        """Add predictions, and a stable feature, so that no alert about their absence is raised."""
        self.count(sc.METRIC_PREDICTIONS_SERVED, 10, minutes, model)
        self.state("steady", "stable", "1x3000", model=model)

    def state(self, feature, state, values, **attributes):
        """Add the state of a feature."""
        scope = "fleet" if self.promql.scope == "fleet" else None
        self.add(
            sc.METRIC_FEATURE_DRIFT_STATUS,
            values,
            ML_FEATURE_NAME=feature,
            ML_FEATURE_DRIFT_STATE=state,
            ML_WINDOW_SCOPE=scope,
            **attributes,
        )

    def expect(self, minutes, **alerts):
        """Expect these alerts at a time, by name with their descriptions, and no others."""
        for name in ALERTS:
            self.alerts.append((minutes, name, alerts.get(name, [])))
        assert set(alerts) <= set(ALERTS)

    def run(self, promtool, rules, folder):
        """Run promtool on the rules, which are a file as `driftline rules` writes it."""
        texts = {alert["alert"]: alert for group in rules["groups"] for alert in group["rules"] if "alert" in alert}
        checks = []
        for minutes, name, descriptions in self.alerts:
            rule = texts.get(PREFIX + name)
            if rule is None:
                assert not descriptions, f"{name} is not in the rules"
                continue
            annotations = {key: value for key, value in rule["annotations"].items() if key != "description"}
            if "dashboard_url" in annotations:
                annotations["dashboard_url"] = re.sub(r"{{.*?}}", "m", annotations["dashboard_url"])
            raised = [
                {
                    "exp_labels": {**rule["labels"], **labels},
                    "exp_annotations": {**annotations, "description": description},
                }
                for labels, description in (self._labelled(each) for each in descriptions)
            ]
            checks.append({"eval_time": f"{minutes}m", "alertname": PREFIX + name, "exp_alerts": raised})
        (folder / "rules.json").write_text(json.dumps(rules), encoding="utf-8")
        test = {
            "rule_files": ["rules.json"],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values} for name, values in self.series],
                    "alert_rule_test": checks,
                    "promql_expr_test": [
                        {
                            "expr": f"count(abs({expression} - ({value!r})) < 1e-9)",
                            "eval_time": "100m",
                            "exp_samples": [{"labels": "{}", "value": 1}],
                        }
                        for expression, value in self.values
                    ],
                }
            ],
        }
        file = folder / "test.json"
        file.write_text(json.dumps(test), encoding="utf-8")
        done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _labelled(self, expected):
        """Return the labels of an expected alert, and its description, which may come with labels."""
        usual = {self.promql.label(sc.ML_MODEL_NAME): "m"}
        return (usual, expected) if isinstance(expected, str) else expected


def _quoted(name):
    return f'"{name}"' if "." in name else name
