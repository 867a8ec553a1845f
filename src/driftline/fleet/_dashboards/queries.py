"""`Queries`: the selectors and the variables that both dashboards share."""

from __future__ import annotations

from driftline import semconv as sc
from driftline._backends.names import PLAIN, exported_name, quoted
from driftline.fleet._dashboards.panel import Variable
from driftline.fleet._promql import PromQL
from driftline.fleet._rules.records import LIMITS
from driftline.semconv import Metric

__all__ = ["MODEL_VARIABLES", "WINDOW", "Queries"]

WINDOW = "$window"
"""The time that counters are added up over."""

MODEL_VARIABLES = {
    "model": sc.ML_MODEL_NAME,
    "version": sc.ML_MODEL_VERSION,
    "variant": sc.ML_MODEL_VARIANT,
}
"""The attributes that variables select by."""

INSTANCE = "instance"
"""The label of a process: Prometheus and its relatives make it of ``service.instance.id``."""


class Queries:
    """
    Writes the queries of dashboards.

    Args:
        promql: the dialect.

    Attributes:
        scope: the matcher of the chosen scope.
    """

    def __init__(self, promql: PromQL) -> None:
        self.promql = promql
        self._selected = [promql.match(attribute, "=~", f"${name}") for name, attribute in MODEL_VARIABLES.items()]
        self.scope = promql.match(sc.ML_WINDOW_SCOPE, "=~", "$scope")

    def series(self, metric: Metric, *matchers: str, suffix: str = "") -> str:
        """Return a selector of the chosen models and processes."""
        instance = f'{INSTANCE}=~"$instance"'
        return self.promql.series(metric, *self._selected, instance, *matchers, suffix=suffix)

    def scoped(self, metric: Metric, *matchers: str) -> str:
        """Return a selector of the chosen models, processes and scope."""
        return self.series(metric, self.scope, *matchers)

    def by(self, *attributes: str) -> str:
        """Return ``by (...)`` with the labels of attributes."""
        return f"by ({self.listed(*attributes)})"

    def listed(self, *attributes: str) -> str:
        """Return the labels of attributes, separated by commas."""
        return ", ".join(quoted(self.promql.label(attribute)) for attribute in attributes)

    def mean(self, metric: Metric, *attributes: str) -> str:
        """Return the mean of a metric for each value of the attributes."""
        return f"avg {self.by(*attributes)} ({self.series(metric)})"

    def legend(self, *attributes: str) -> str:
        """Return the name of a series: the values of attributes."""
        return " ".join(f"{{{{{self.promql.label(attribute)}}}}}" for attribute in attributes)

    def total(self, series: str, *attributes: str) -> str:
        """Return the growth of a counter in the window, summed up for each value of the attributes."""
        return f"sum {self.by(*attributes)} ({self.promql.increase(series, WINDOW)})"

    def rare(self, series: str, *attributes: str) -> str:
        """Return the growth of a rare counter in the window, its first value included."""
        return f"sum {self.by(*attributes)} ({self.promql.any_increase(series, WINDOW)})"

    def features_in(self, state: str, *attributes: str) -> str:
        """Return the number of features in a state, for each value of the attributes."""
        matchers = (
            self.promql.match(sc.ML_FEATURE_DRIFT_STATE, "=", state),
            self.promql.match(sc.ML_FEATURE_NAME, "!~", LIMITS),
        )
        series = self.scoped(sc.METRIC_FEATURE_DRIFT_STATUS, *matchers)
        inner = self.by(sc.ML_MODEL_NAME, sc.ML_FEATURE_NAME, *attributes)
        return f"sum {self.by(*attributes)} (max {inner} ({series}))"

    def variables(self, *, several: bool) -> list[Variable]:
        """
        Return the choices of models, processes, scope and window.

        Args:
            several: whether several models may be chosen.
        """
        served = sc.METRIC_PREDICTIONS_SERVED
        titles = {"model": "Model", "version": "Version", "variant": "Variant"}
        chosen: list[Variable] = []
        for name, attribute in MODEL_VARIABLES.items():
            earlier = [
                self.promql.match(MODEL_VARIABLES[variable.name], "=~", f"${variable.name}") for variable in chosen
            ]
            multiple = several or name != "model"
            chosen.append(self.values_of(name, titles[name], served, attribute, earlier, several=multiple))
        instance = self.values_of("instance", "Instance", served, INSTANCE, self._selected, several=True)
        scope = Variable(name="scope", title="Scope", kind="custom", query="process : (), fleet : fleet, both : .*")
        window = Variable(name="window", title="Window", kind="interval", query="5m,15m,1h,6h,1d")
        return [*chosen, instance, scope, window]

    def values_of(
        self, name: str, title: str, metric: Metric, attribute: str, matchers: list[str], *, several: bool
    ) -> Variable:
        """Return a choice of the values of an attribute of a metric."""
        label, series = self.promql.label(attribute), self.promql.series(metric, *matchers)
        if PLAIN.fullmatch(label) and PLAIN.fullmatch(exported_name(metric, self.promql.names)):
            query, regex = f"label_values({series}, {label})", ""
        else:
            # Grafana's function takes no label with dots, so the values are read from the text of a result.
            query = f"query_result(count by ({quoted(label)}) ({series}))"
            regex = f'/{label.replace(".", "[.]")}"?="([^"]+)"/'
        return Variable(name=name, title=title, kind="query", query=query, regex=regex, several=several)
