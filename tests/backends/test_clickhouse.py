"""What the exporter for ClickHouse would write is replayed in ClickHouse's engine, and asked by the page's queries."""

from __future__ import annotations

import json

import pytest
from backend_checks import serve
from backend_queries import QUERIES
from clickhouse_tables import inserts, schema
from strict_sink import running
from test_direct import local
from vendors import SINKS

pytestmark = [pytest.mark.system, pytest.mark.integration]

session = pytest.importorskip("chdb.session", reason="tools/test-integrations has chDB")


@pytest.fixture(scope="module", params=["signoz", "datadog"])
def replay(request):
    """Return a function that asks, and what was served; once of cumulative counters, once of deltas."""
    vendor = SINKS[request.param]
    with running(vendor) as sink:
        served = serve(local(vendor, sink))
    engine = session.Session()
    engine.query("CREATE DATABASE otel")
    engine.query("USE otel")
    for statement in [*schema(), *inserts(sink.points)]:
        engine.query(statement)

    def ask(sql):
        answer = str(engine.query(sql, "JSONEachRow"))
        return [json.loads(line) for line in answer.splitlines()]

    yield ask, served, sink
    engine.close()


def test_all_points_are_rows(replay):
    ask, _, sink = replay
    for table, kinds in (
        ("otel_metrics_sum", {"counter", "updowncounter"}),
        ("otel_metrics_gauge", {"gauge"}),
        ("otel_metrics_histogram", {"histogram"}),
    ):
        expected = sum(point.kind in kinds for point in sink.points)
        assert int(ask(f"SELECT count() AS rows FROM {table}")[0]["rows"]) == expected > 0  # noqa: S608 - a constant


def test_the_queries_of_the_page_answer(replay):
    ask, served, _ = replay
    drifting, psi, rate, alert = (ask(text) for text in QUERIES["clickhouse"].texts)
    assert {row["feature"] for row in drifting} >= {"amount"}
    assert "channel" not in {row["feature"] for row in drifting}
    assert psi[0]["Value"] > 0.2
    per_second = {row["version"]: row["per_second"] for row in rate}
    assert set(per_second) == {"1", "2"}
    assert "amount" in alert[0]["features"]
    total = """
        SELECT sum(value) AS served FROM (
          SELECT if(any(AggregationTemporality) = 1, sum(Value), max(Value)) AS value FROM otel_metrics_sum
          WHERE MetricName = 'ml.predictions.served' GROUP BY Attributes, ResourceAttributes)
    """
    assert ask(total)[0]["served"] == 2 * served["baseline"] + served["failed"]
