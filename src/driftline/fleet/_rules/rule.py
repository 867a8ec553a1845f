"""`Recording`, `Alert` and `Group`: what the files of rules consist of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Alert", "Group", "Recording", "Rule", "as_document"]


@dataclass(frozen=True, slots=True)
class Recording:
    """
    A rule that stores the result of an expression as a series.

    Attributes:
        record: the name of the series, ``level:metric:operation``.
        expr: the expression.
        labels: labels of the series.
    """

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as the file of Prometheus has it."""
        rule: dict[str, Any] = {"record": self.record, "expr": self.expr}
        return {**rule, "labels": dict(self.labels)} if self.labels else rule


@dataclass(frozen=True, slots=True)
class Alert:
    """
    A rule that alerts for each series of the result of an expression.

    Attributes:
        alert: the name of the alert.
        expr: the expression.
        severity: the value of the label ``severity``.
        summary: a sentence without variables.
        description: sentences, with variables of Go's templates.
        runbook_url: the address of what to do.
        dashboard_url: the address of the model's dashboard, with variables; empty for none.
        keep_firing_for: how long the alert lasts after the expression has no result, as PromQL writes it; empty for
            not at all.
    """

    alert: str
    expr: str
    severity: str
    summary: str
    description: str
    runbook_url: str
    dashboard_url: str
    keep_firing_for: str

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as the file of Prometheus has it."""
        dashboard = {"dashboard_url": self.dashboard_url} if self.dashboard_url else {}
        kept = {"keep_firing_for": self.keep_firing_for} if self.keep_firing_for else {}
        return {
            "alert": self.alert,
            "expr": self.expr,
            **kept,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": self.runbook_url,
                **dashboard,
            },
        }


Rule: TypeAlias = "Recording | Alert"


@dataclass(frozen=True, slots=True)
class Group:
    """
    Rules that are evaluated together, in their order.

    Attributes:
        name: the name of the group, unique in its file.
        rules: the rules.
    """

    name: str
    rules: Sequence[Rule]

    def as_dict(self) -> dict[str, Any]:
        """Return the group as the file of Prometheus has it."""
        return {"name": self.name, "rules": [rule.as_dict() for rule in self.rules]}


def as_document(groups: Sequence[Group]) -> dict[str, Any]:
    """Return the content of a file of rules."""
    return {"groups": [group.as_dict() for group in groups]}
