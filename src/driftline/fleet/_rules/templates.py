"""The variable parts of an alert's description, in Go's templates as Prometheus, Mimir and vmalert expand them."""

from __future__ import annotations

from driftline import semconv as sc
from driftline._backends.names import PLAIN, quoted
from driftline.fleet._promql import PromQL

__all__ = ["MODEL", "Templates"]

MODEL = "`MODEL`"
"""Stands for the matchers of the alert's model in an expression. No matcher of the user's has a backtick."""

MOST_LISTED = 10
"""Most series that a description lists, so that a page stays readable when all features drift."""


class Templates:
    """
    Writes templates.

    Args:
        promql: the dialect, whose labels the templates read.

    Attributes:
        model: the name of the alert's model.
        address: the choice of the alert's model in the address of a dashboard.
    """

    def __init__(self, promql: PromQL) -> None:
        self._promql = promql
        name = promql.label(sc.ML_MODEL_NAME)
        self.address = f"var-model={{{{ {_read('$labels', name)} | urlquery }}}}"
        self.model = " in ".join(f"{{{{ {_read('$labels', label)} }}}}" for label in promql.model)

    def listed(self, expression: str, attribute: str) -> str:
        """
        Return a template that lists the values of an attribute, in order and separated by commas.

        Args:
            expression: an expression with `MODEL` where the matchers of the alert's model belong.
            attribute: the attribute, which the result of the expression has.
        """
        label = self._promql.label(attribute)
        matchers = ",".join(f"{quoted(name)}=%[{number}]q" for number, name in enumerate(self._promql.model, 1))
        values = " ".join(f"({_read('$labels', name)})" for name in self._promql.model)
        # A matcher of the user's may hold a percent sign, which is a verb of printf.
        query = expression.replace("%", "%%").replace(MODEL, matchers)
        return (
            f'{{{{ range $i, $s := query (printf `{query}` {values}) | sortByLabel "{label}" }}}}'
            f"{{{{ if lt $i {MOST_LISTED} }}}}{{{{ if $i }}}}, {{{{ end }}}}"
            f"{{{{ {_read('$s.Labels', label)} }}}}{{{{ end }}}}"
            f"{{{{ if eq $i {MOST_LISTED} }}}}, …{{{{ end }}}}{{{{ end }}}}"
        )

    def label(self, attribute: str) -> str:
        """Return a template with the value of one of the alert's labels."""
        return f"{{{{ {_read('$labels', self._promql.label(attribute))} }}}}"

    def features(self, states: str, state: str, names: str) -> str:
        """
        Return a template that lists the features of the alert's model in a state.

        Args:
            states: the name of the recorded states.
            state: the state.
            names: a matcher of the names of features.
        """
        matcher = self._promql.match(sc.ML_FEATURE_DRIFT_STATE, "=", state)
        return self.listed(f"{states}{{{MODEL},{matcher},{names}}} == 1", sc.ML_FEATURE_NAME)


def _read(labels: str, name: str) -> str:
    """Return the expression of a template that reads a label: with dots in its name it is no field."""
    return f"{labels}.{name}" if PLAIN.fullmatch(name) else f'index {labels} "{name}"'
