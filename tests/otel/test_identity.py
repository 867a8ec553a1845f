"""Each process has its own ``service.instance.id``, also those that share a set one."""

from __future__ import annotations

import re

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from driftline.otel._identity import INSTANCE_ID, InstanceId, report_service_name

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.mark.parametrize(
    ("attributes", "pattern"),
    [({INSTANCE_ID: "pod-1"}, r"pod-1/[0-9a-f]{8}"), ({INSTANCE_ID: 7}, r"7/[0-9a-f]{8}"), ({}, UUID)],
)
def test_each_id_is_another_and_keeps_the_one_that_is_set(attributes, pattern):
    identity = InstanceId(Resource(attributes))
    ids = {identity.resource().attributes[INSTANCE_ID] for _ in range(10)}
    assert len(ids) == 10
    assert all(re.fullmatch(pattern, each) for each in ids)


def test_providers_of_a_child_get_an_id_and_keep_the_rest():
    """Of all three signals: metrics are exported with the new id."""
    resource, reader = Resource({INSTANCE_ID: "pod-1", "service.name": "s"}), InMemoryMetricReader()
    metrics = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    others = LoggerProvider(resource, shutdown_on_exit=False), TracerProvider(resource=resource, shutdown_on_exit=False)
    InstanceId(resource).renew(metrics, *others)
    metrics.get_meter("m").create_counter("c").add(1)
    exported = reader.get_metrics_data().resource_metrics[0].resource.attributes
    assert exported["service.name"] == "s"
    assert re.fullmatch(r"pod-1/[0-9a-f]{8}", exported[INSTANCE_ID])
    assert {each.resource.attributes[INSTANCE_ID] for each in others} == {exported[INSTANCE_ID]}


@pytest.mark.parametrize("name", ["flights", "Flight delay_2-b", "7"])
def test_a_service_name_that_every_backend_accepts_is_no_news(name, caplog):
    report_service_name(name)
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["flights.v2", "team/flights", "flüge", "a:b", "", "a\n"])
def test_a_service_name_that_elastic_refuses_is_a_warning(name, caplog):
    report_service_name(name)
    assert f"Elastic refuses the service.name {name!r}" in caplog.text


def test_a_service_without_a_name_is_a_warning(caplog):
    report_service_name("unknown_service:python")
    assert "service.name is 'unknown_service:python', the default of the SDK" in caplog.text
