"""The PromQL of docs/backends.md answers on the real servers, sent there as the page says, without a collector."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from backend_checks import serve
from backend_queries import QUERIES
from test_direct import local
from vendors import VENDORS

pytestmark = pytest.mark.real


def send(name, url, **more):
    """Run the service with the variables of a backend, at an address."""
    served = serve({**local(VENDORS[name], SimpleNamespace(url=url)), **more})
    assert served["sent"], served["log"]
    return served


def assert_answers(server, name, eventually, served):
    """Each question of a backend has its answer."""
    drifting, psi, rate, alert = QUERIES[name].texts
    amount = {"ml_feature_name": "amount", "ml.feature.name": "amount"}

    def features():
        return {labels.get(key) for labels, _ in server.query(drifting) for key in amount} - {None}

    assert "amount" in eventually(lambda: features() & {"amount"}, {"amount"})
    assert "channel" not in features()
    assert min(value for _, value in server.query(psi)) >= 0.0
    assert max(value for _, value in server.query(psi)) > 0.2
    assert server.query(rate) is not None
    assert len(server.query(alert)) == 1
    total = rate.split("rate(")[1].split("[")[0]
    expected = 2 * served["baseline"] + served["failed"]
    assert eventually(lambda: server.value(f"sum({total})"), expected) == expected


@pytest.mark.parametrize("name", ["prometheus", "signoz"])
def test_prometheus(run_prometheus, eventually, name):
    with run_prometheus() as server:
        served = send("prometheus", server.url)
        assert_answers(server, name, eventually, served)


def test_names_with_dots(run_prometheus, eventually):
    with run_prometheus("translation_strategy: NoTranslation") as server:
        served = send("prometheus", server.url)
        for name in ("google-cloud", "cloudwatch", "azure-monitor"):
            assert_answers(server, name, eventually, served)


def test_prometheus_refuses_deltas_and_the_service_says_so(run_prometheus):
    """The rule of its sink is what the server does: it answers 500."""
    with run_prometheus() as server:
        variables = local(VENDORS["prometheus"], SimpleNamespace(url=server.url))
        served = serve({**variables, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"})
        assert not served["sent"]
        assert "500" in served["log"]
        assert server.query("ml_predictions_served_total") == []
        assert server.query("ml_feature_drift_status") == []  # nor what is no delta


@pytest.mark.slow
def test_victoria_metrics(run_victoria_metrics, eventually):
    with run_victoria_metrics("-opentelemetry.usePrometheusNaming") as server:
        served = send("victoriametrics", server.url)
        assert_answers(server, "victoriametrics", eventually, served)
