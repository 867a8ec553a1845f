"""Requests as CloudEvents: the package of the CloudEvents project reads them in both modes."""

from __future__ import annotations

import json

import pytest
from receivers import request

from driftline.retraining._cloud_events import EVENT_TYPES, MAX_DATA_BYTES, binary_message, structured_message
from driftline.retraining._request import RetrainingEvidence

MODES = {"binary": binary_message, "structured": structured_message}


def parsed(message):
    """Return the event that the CloudEvents SDK reads from a message."""
    http = pytest.importorskip("cloudevents.core.bindings.http")
    return http.from_http_event(http.HTTPMessage(message.headers, message.body))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("model", "version", "source", "subject"),
    [
        ("flight-delay", "3", "/driftline/models/flight-delay", "3"),
        ("a/b c?d", '3 "%é', "/driftline/models/a%2Fb%20c%3Fd", '3 "%é'),
        ("Flugverspätung ✈", "version\n2", "/driftline/models/Flugversp%C3%A4tung%20%E2%9C%88", "version\ufffd2"),
    ],
)
def test_the_sdk_of_cloudevents_reads_both_modes(mode, model, version, source, subject):
    """The attributes and the data are those of the request, whatever the names are."""
    sent = request(model=model, version=version)
    event = parsed(MODES[mode](sent))
    assert (event.get_id(), event.get_source(), event.get_specversion()) == (sent.id, source, "1.0")
    assert event.get_type() == "io.github.driftline.retraining.requested"
    assert event.get_subject() == subject
    assert event.get_time().timestamp() == sent.created
    assert event.get_datacontenttype() == "application/json"
    data = event.get_data()
    assert (data if isinstance(data, dict) else json.loads(data)) == json.loads(sent.to_json())


@pytest.mark.parametrize("mode", MODES)
def test_a_request_to_fix_the_pipeline_is_an_event_of_another_type(mode):
    """A trigger that starts trainings by type never sees broken data."""
    event = parsed(MODES[mode](request(kind="fix_pipeline", reason="broken_data")))
    assert event.get_type() == EVENT_TYPES["fix_pipeline"] != EVENT_TYPES["retrain"]


def test_a_request_without_a_version_has_no_subject():
    """An attribute of CloudEvents is never empty."""
    event = json.loads(structured_message(request(version=None)).body)
    assert "subject" not in event
    assert "ce-subject" not in binary_message(request(version=None)).headers


@pytest.mark.parametrize(("features", "letters"), [(5_000, 20), (60, 30_000)])
def test_a_large_event_stays_below_the_limit_of_intermediaries(features, letters):
    """It has the first features and evidence, and says how many it lacks."""
    names = tuple(f"{index}".zfill(letters) for index in range(features))
    evidence = tuple(RetrainingEvidence(reason="drift", words=f"{name} moved", name=name) for name in names)
    sent = request(features=names, evidence=evidence, detail="; ".join(each.words for each in evidence))
    for message in (binary_message(sent), structured_message(sent)):
        assert len(message.body) < MAX_DATA_BYTES + 2_000
        event = parsed(message)
        data = event.get_data()
        data = data if isinstance(data, dict) else json.loads(data)
        assert data["omitted"]["features"] == features - 50
        assert data["id"] == sent.id
