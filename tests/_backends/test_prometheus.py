"""Counts in Prometheus: queries in each spelling, what is refused, what is incomplete, how long it may take."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from driftline import ConfigurationError
from driftline import semconv as sc
from driftline._backends.counts import Grid
from driftline._backends.http import check_url, within_seconds
from driftline._backends.names import SPELLINGS, metric_pattern
from driftline._backends.prometheus import IncompleteError, PrometheusSource, check_selector

STARTED = sc.METRIC_CANARY_STARTED


@pytest.fixture
def server(monkeypatch):
    """A server that answers each request with *answer*, and keeps the paths and parameters of requests."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            self.answer(parts.path, parts.query)

        def do_POST(self):
            self.answer(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode())

        def answer(self, path, parameters):
            running.requests.append((self.command, path, {k: v[0] for k, v in parse_qs(parameters).items()}))
            body = json.dumps(running.answer).encode()
            self.send_response(running.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.requests, running.answer, running.status = [], answer([]), 200
    running.url = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def answer(result, kind="vector", **more):
    return {"status": "success", "data": {"resultType": kind, "result": result}, **more}


def history(source, **more):
    arguments = {
        "unit": sc.ML_CANARY_PROCESS,
        "by": [sc.ML_CANARY_RESULT],
        "grid": Grid(1_000.0, 4.0, 3),
        "within": 60.0,
        "dialect": "underscores",
    }
    return source.history(sc.METRIC_CANARY_CALLS, {sc.ML_CANARY_SIDE: "candidate"}, **arguments | more)


@pytest.mark.parametrize(("dialect", "spell"), SPELLINGS.items())
def test_latest_values_have_the_usual_names_in_each_spelling(server, dialect, spell):
    """Series of another model, which a server that keeps dots returns too, are dropped."""
    labels = [
        {**{spell(name): value for name, value in attributes.items()}, "replica": "a"}
        for attributes in ({"ml.model.name": "m", "ml.canary.id": "x"}, {"ml.model.name": "other", "ml.canary.id": "y"})
    ]
    server.answer = answer([{"metric": metric, "value": [1.0, "7.5"]} for metric in labels])
    source = PrometheusSource(server.url, 'namespace="prod"')
    (sample,) = source.latest(STARTED, {"ml.model.name": "m"}, at=100.0, within=30.0)
    assert sample.attributes == {"ml.model.name": "m", "ml.canary.id": "x", "replica": "a"}
    assert (sample.value, sample.dialect) == (7.5, dialect)
    ((method, path, parameters),) = server.requests
    assert (method, path, parameters["time"]) == ("GET", "/api/v1/query", "100.000")
    usual, others = parameters["query"].split(" or ")
    assert usual == (
        'last_over_time({__name__=~"ml_canary_started(_total|_seconds|_ratio)?",ml_model_name="m",'
        'namespace="prod"}[30s])'
    )
    assert "ml[.]canary[.]started(_total" in others
    assert 'namespace="prod"' in others


def test_history_adds_each_process_once(server):
    """Copies of a series of one process, from two collectors or replicas, are one."""
    server.answer = answer(
        [
            {"metric": {"ml_canary_result": "failed"}, "values": [[1_000, "1"], [1_004, "3"], [1_008, "9"]]},
            {"metric": {}, "values": [[1_008, "5"]]},
        ],
        "matrix",
    )
    sums = history(PrometheusSource(server.url))
    np.testing.assert_array_equal(sums["failed",], [1, 3, 9])
    np.testing.assert_array_equal(sums["",], [np.nan, np.nan, 5])
    ((_, path, parameters),) = server.requests
    assert path == "/api/v1/query_range"
    assert parameters == {
        "query": (
            "sum by (ml_canary_result) (max by (ml_canary_id, ml_canary_key_bucket, ml_canary_process, "
            "ml_canary_result, ml_canary_side, ml_model_name, ml_model_variant, ml_model_version) (last_over_time("
            '{__name__=~"ml_canary_calls(_total|_seconds|_ratio)?",ml_canary_side="candidate"}[60s])))'
        ),
        "start": "1000.000",
        "end": "1008.000",
        "step": "4.000",
        "nocache": "1",
    }


def test_history_adds_up_deltas(server):
    """From the first point on: the samples before it belong to no step. States of one instant are no deltas."""
    server.answer = answer(
        [
            {"metric": {"ml_canary_result": "failed"}, "values": [[1_000, "7"], [1_004, "3"], [1_008, "9"]]},
            {"metric": {}, "values": [[1_008, "5"]]},
        ],
        "matrix",
    )
    source = PrometheusSource(server.url, temporality="delta")
    sums = history(source, grid=Grid(1_000.0, 4.0, 4))
    np.testing.assert_array_equal(sums["failed",], [0, 3, 12, 12])
    np.testing.assert_array_equal(sums["",], [0, 0, 5, 5])
    assert "sum_over_time(" in server.requests[0][2]["query"]
    assert '"candidate"}[4s]' in server.requests[0][2]["query"]
    source.history(STARTED, {}, unit="u", by=[], grid=Grid(1_000.0, 0.5, 3), within=0.5, dialect="underscores")
    assert "last_over_time(" in server.requests[1][2]["query"]
    assert "[500ms]" in server.requests[1][2]["query"]


def test_history_quotes_names_with_dots(server):
    server.answer = answer([{"metric": {"ml.canary.result": "failed"}, "values": [[1_008, "5"]]}], "matrix")
    assert list(history(PrometheusSource(server.url), dialect="dots")) == [("failed",)]
    query = server.requests[0][2]["query"]
    assert query.startswith('sum by ("ml.canary.result") (max by ("ml.canary.id", "ml.canary.key_bucket"')
    assert '"ml.canary.side"="candidate"' in query


def test_long_queries_are_sent_as_a_body(server):
    server.answer = answer([], "matrix")
    names = [f"{number:016x}" for number in range(500)]
    source = PrometheusSource(server.url)
    grid = Grid(0.0, 1.0, 1)
    source.history(
        sc.METRIC_CANARY_CALLS,
        {sc.ML_CANARY_PROCESS: names},
        unit=sc.ML_CANARY_PROCESS,
        by=[],
        grid=grid,
        within=1,
        dialect="underscores",
    )
    ((method, _, parameters),) = server.requests
    assert method == "POST"
    assert all(name in parameters["query"] for name in names)


@pytest.mark.parametrize("more", [{"warnings": ["a store did not respond"]}, {"isPartial": True}])
def test_an_incomplete_response_is_an_error(server, more):
    """Thanos and Mimir warn, VictoriaMetrics says that it is partial."""
    server.answer = answer([{"metric": {"ml_model_name": "m"}, "value": [1, "2"]}], **more)
    with pytest.raises(IncompleteError, match="incomplete") as caught:
        PrometheusSource(server.url).latest(STARTED, {}, at=1.0, within=1.0)
    assert [sample.value for sample in caught.value.samples] == [2.0]


def test_remarks_are_no_warnings(server):
    """Prometheus 3 remarks that a metric may be no counter."""
    server.answer = answer([], infos=["metric might not be a counter"])
    assert PrometheusSource(server.url).latest(STARTED, {}, at=1.0, within=1.0) == []


@pytest.mark.parametrize(
    "result",
    [
        [{"metric": {"ml_canary_result": "x"}}],
        [{"metric": {"ml_canary_result": "x"}, "values": [[1]]}],
        [{"metric": {"ml_canary_result": "x"}, "values": [["now", "1"]]}],
        [{"metric": {"ml_canary_result": "x"}, "values": [[1, "many"]]}],
        [{"metric": {"ml_canary_result": ["x"]}, "values": []}],
        [{"metric": [], "values": []}],
        [None],
    ],
)
def test_damaged_series_are_refused(server, result):
    server.answer = answer(result, "matrix")
    with pytest.raises(ValueError, match="expected a matrix"):
        history(PrometheusSource(server.url))


def test_no_number_is_no_count(server):
    """The sum of all processes is NaN if one has exported NaN: it is not 0 rows of all."""
    entry = {"metric": {"ml_canary_result": "ok"}, "values": [[1_000, "5"], [1_004, "NaN"], [1_008, "7"]]}
    server.answer = answer([entry], "matrix")
    with pytest.raises(ValueError, match=r"expected counts of ml\.canary\.calls, not NaN"):
        history(PrometheusSource(server.url))


def test_an_error_says_what_the_server_said(server):
    server.status, server.answer = 422, {"status": "error", "error": "too many samples"}
    with pytest.raises(OSError, match=r"HTTP 422 .*too many samples"):
        history(PrometheusSource(server.url))


def test_a_deadline_that_is_over_is_an_error(server):
    source = PrometheusSource(server.url, deadline=time.monotonic() - 1.0)
    server.answer = answer([], "matrix")
    start = time.monotonic()
    with suppress(OSError):
        history(source)
    assert time.monotonic() - start < 5.0


def test_work_that_hangs_is_left_behind():
    ended = threading.Event()
    with pytest.raises(TimeoutError, match=r"no verdict within 0.01 seconds"):
        within_seconds(ended.wait, 0.01, "verdict")
    ended.set()
    with pytest.raises(KeyError):
        within_seconds(lambda: {}["x"], 5.0, "verdict")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ""),
        ('namespace="prod"', 'namespace="prod"'),
        (' {namespace="prod", cluster=~"eu-.*",} ', 'namespace="prod", cluster=~"eu-.*"'),
        ("""namespace!~'a"b', "k8s.namespace"!='x'""", """namespace!~'a"b', "k8s.namespace"!='x'"""),
    ],
)
def test_matchers(selector, expected):
    assert check_selector("--selector", selector) == expected


@pytest.mark.parametrize(
    "selector", ["prod", "a=b", 'a="b\n"', 'a="b"} or vector(1) #', 'a="b" c="d"', '{a="b"', 'a=="b"', ","]
)
def test_what_is_no_matcher(selector):
    with pytest.raises(ConfigurationError, match="expected matchers of PromQL"):
        check_selector("--selector", selector)


def test_a_password_is_in_no_message():
    with pytest.raises(ConfigurationError) as caught:
        check_url("--prometheus", "http://user:hunter2@localhost:9090")
    assert "hunter2" not in str(caught.value)


def test_patterns_cover_names_with_and_without_suffixes():
    assert metric_pattern(sc.METRIC_CANARY_CALLS, "dots", "values") == (
        "ml[.]canary[.]calls(_total|_seconds|_ratio)?|U__ml_2e_canary_2e_calls(__total|__seconds|__ratio)?"
    )


def test_the_pattern_of_a_histogram_is_that_of_its_buckets():
    assert metric_pattern(sc.METRIC_PREDICTION_DURATION, "underscores", "values") == (
        "ml_prediction_duration(_total|_seconds|_ratio)?_bucket|"
        "U__ml_2e_prediction_2e_duration(__total|__seconds|__ratio)?__bucket"
    )


@pytest.mark.parametrize(("dialect", "spell"), SPELLINGS.items())
def test_buckets_of_a_histogram_keep_their_ends(server, dialect, spell):
    """The label of a bucket is spelled alike everywhere, so it does not tell the spelling."""
    labels = {spell(sc.ML_MODEL_NAME): "m", "le": "0.5"}
    server.answer = answer([{"metric": labels, "value": [1_000, "3"]}])
    metric = sc.METRIC_PREDICTION_DURATION._replace(attributes=sc.METRIC_PREDICTION_DURATION.attributes | {"le"})
    (sample,) = PrometheusSource(server.url).latest(metric, {}, at=1_000.0, within=60.0)
    assert (sample.attributes, sample.dialect) == ({sc.ML_MODEL_NAME: "m", "le": "0.5"}, dialect)
    assert "_bucket" in server.requests[0][2]["query"]
