"""`build_groups`: all rules of a backend, in groups as small as Mimir allows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftline._backends.names import NAME_STYLES
from driftline._runtime import validation as check
from driftline.errors import ConfigurationError
from driftline.fleet._dashboards.panel import MODEL_UID
from driftline.fleet._promql import SCOPES, TEMPORALITIES, PromQL
from driftline.fleet._rules.alerts import SEVERITIES, AlertOptions, alerts
from driftline.fleet._rules.records import records
from driftline.fleet._rules.reference import constants, distance_records, shift_alerts
from driftline.fleet._rules.rule import Group, Rule
from driftline.fleet._rules.templates import Templates
from driftline.reference import Reference

__all__ = ["RUNBOOK_URL", "RuleOptions", "build_groups"]

RUNBOOK_URL = "https://github.com/driftline/driftline/blob/main/docs/troubleshooting.md"
"""The page that has a heading for each alert."""

MOST_RULES = 20
"""Most rules of a group: the default of Mimir's ``ruler_max_rules_per_rule_group``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOptions:
    """
    What rules are written for.

    Attributes:
        promql: the dialect of the backend.
        seconds: the window of the rules, at least a minute.
        max_failures: largest share of failed predictions.
        min_accuracy: smallest accuracy; None for no such alert.
        references: the reference of each model whose counts are compared in PromQL.
        psi: smallest bias-corrected PSI that alerts; None for no such alert.
        mean: smallest shift of a mean that alerts, in standard deviations; None for no such alert.
        severities: the value of the label ``severity`` for each of `SEVERITIES`.
        runbook_url: the address of the page that has a heading for each alert.
        grafana_url: the address of a Grafana with the dashboards; empty for none.

    Raises:
        ConfigurationError: an option is invalid, or two do not fit together.
    """

    promql: PromQL
    seconds: float = 3_600.0
    max_failures: float = 0.05
    min_accuracy: float | None = None
    references: Mapping[str, Reference]
    psi: float | None = None
    mean: float | None = None
    severities: Mapping[str, str]
    runbook_url: str = RUNBOOK_URL
    grafana_url: str = ""

    def __post_init__(self) -> None:
        check.one_of("names", self.promql.names, NAME_STYLES)
        check.one_of("temporality", self.promql.temporality, TEMPORALITIES)
        check.one_of("scope", self.promql.scope, SCOPES)
        check.number("window", self.seconds, at_least=60)
        check.probability("max-failures", self.max_failures)
        if self.min_accuracy is not None:
            check.probability("min-accuracy", self.min_accuracy)
        for name in ("psi", "mean"):
            if getattr(self, name) is not None:
                check.number(name, getattr(self, name), above=0)
                if not self.references:
                    msg = f"{name}: expected with a reference, whose counts are compared"
                    raise ConfigurationError(msg)
        if self.promql.keep and self.references:
            msg = "keep: expected without references, which are the same for all values of a label"
            raise ConfigurationError(msg)
        if "`" in self.promql.selector:
            msg = f"selector {self.promql.selector}: expected no backtick, which ends a string of the templates"
            raise ConfigurationError(msg)
        for name, url in (("runbook-url", self.runbook_url), ("grafana-url", self.grafana_url)):
            if url and not re.fullmatch(r"https?://[^\s{}]+", url):
                msg = f"{name} {url}: expected an address that begins with http:// or https://"
                raise ConfigurationError(msg)
        for name in self.severities:
            check.one_of("severity", name, SEVERITIES)


def build_groups(options: RuleOptions) -> list[Group]:
    """Return the groups of recording rules, then those of alerts."""
    promql, seconds = options.promql, options.seconds
    alert_options = AlertOptions(
        seconds,
        options.max_failures,
        options.min_accuracy,
        {name: options.severities.get(name, name) for name in SEVERITIES},
        options.runbook_url,
        f"{options.grafana_url.rstrip('/')}/d/{MODEL_UID}?{Templates(promql).address}" if options.grafana_url else "",
    )
    groups = _grouped("driftline.records", records(promql, seconds))
    alerting = alerts(promql, alert_options)
    # The number keeps the names of groups apart: two models may have the same plain name.
    for number, (model, reference) in enumerate(options.references.items(), 1):
        name = f"driftline.reference{number}.{_plain(model)}"
        groups += _grouped(name, constants(promql, model, reference, seconds))
    if options.references:
        groups += _grouped("driftline.distances", distance_records(promql, seconds))
        alerting += shift_alerts(promql, alert_options, options.psi, options.mean)
    return [*groups, *_grouped("driftline.alerts", alerting)]


def _grouped(name: str, rules: Sequence[Rule]) -> list[Group]:
    """Return groups of at most `MOST_RULES` rules. The names after the first have a number."""
    starts = range(0, len(rules), MOST_RULES)
    return [
        Group(name if not start else f"{name}.{start // MOST_RULES + 1}", rules[start : start + MOST_RULES])
        for start in starts
    ]


def _plain(model: str) -> str:
    """Return the name of a model as a part of the name of a group."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", model)
