"""Tests of `RetrainingRequest`: its id, its states and its JSON form."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline import ConfigurationError
from driftline.retraining import RetrainingEvidence, RetrainingRequest, Transition
from driftline.retraining._identity import decision_id
from driftline.retraining._states import CLOSED, OPEN, may_follow

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""RFC 1123, as Kubernetes checks names."""

AIRFLOW_RUN = re.compile(r"[A-Za-z0-9_.~:+-]+")
"""Airflow's default of `allowed_run_id_pattern`."""

REQUEST = RetrainingRequest(
    "retrain-m-3-1-abc",
    "m",
    "3",
    "drift",
    "age: median 40 to 50",
    ("age",),
    1.5e9,
    evidence=(
        RetrainingEvidence(reason="drift", words="age: median 40 to 50", name="age", value=0.4, p_value=1e-9, rows=500),
        RetrainingEvidence(reason="accuracy", words="low", value=0.7, lower=0.68, upper=0.72, limit=0.78, rows=900),
    ),
    reference="4384039b00d6d74b",
    window="5000 rows",
    data_from=1.4e9,
    data_until=1.5e9,
    count=3,
    last_seen=1.6e9,
    history=(Transition(state="requested", at=1.5e9, who="driftline"),),
)


@settings(max_examples=300, deadline=None)
@given(
    st.text(min_size=1, max_size=255),
    st.one_of(st.none(), st.text(min_size=1, max_size=255)),
    st.sampled_from(["retrain", "fix_pipeline"]),
    st.integers(1, 9_999_999),
)
def test_an_id_is_a_name_for_every_orchestrator(model, version, kind, ordinal):
    """Of whatever the model is called: halves of surrogates, slashes, newlines."""
    id_ = decision_id(model, version, kind, ordinal)
    assert len(id_) <= 63
    assert DNS_LABEL.fullmatch(id_)
    assert AIRFLOW_RUN.fullmatch(id_)
    assert id_ == decision_id(model, version, kind, ordinal)
    others = [(model + "x", version, kind, ordinal), (model, version, kind, ordinal + 1), (model, "x" * 300, kind, 1)]
    assert id_ not in {decision_id(*other) for other in others}


def test_an_absent_version_is_none_of_the_versions():
    assert len({decision_id("m", version, "retrain", 1) for version in (None, "None", "null", "0")}) == 4


def test_a_request_ends_once():
    """Open states follow each other in their order, some may be skipped, and nothing follows an end."""
    for number, state in enumerate(OPEN):
        assert [may_follow(other, state) for other in OPEN] == [other > number for other in range(len(OPEN))]
        assert all(may_follow(end, state) for end in CLOSED)
    assert not any(may_follow(state, end) for end in CLOSED for state in (*OPEN, *CLOSED))


def test_json_holds_every_field():
    assert RetrainingRequest.from_json(REQUEST.to_json()) == REQUEST
    assert RetrainingRequest.from_json(REQUEST.to_json().encode()) == REQUEST
    assert REQUEST.is_open
    assert not replace(REQUEST, state="failed").is_open
    assert "\n" not in replace(REQUEST, detail="two\nlines \ud83d").to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version is 2, expected 1: a newer driftline"),
        ({"state": "lost"}, "state is 'lost', expected 'requested' or"),
        ({"id": ""}, "id is '', expected a string that is not empty"),
        ({"created": "now"}, "created is 'now', expected a finite number"),
        ({"evidence": [{"reason": "drift"}]}, r"evidence\[0\].words is absent, expected a string"),
        ({"history": [{"state": "running", "at": 1, "who": 5}]}, r"history\[0\].who is 5, expected a string"),
        ({"features": "age"}, "features is 'age', expected an array"),
    ],
)
def test_other_json_is_refused(change, message):
    document = json.dumps({**REQUEST.to_dict(), **change})
    with pytest.raises(ConfigurationError, match=message):
        RetrainingRequest.from_json(document)


@pytest.mark.parametrize("text", ["", "[]", "{", b"\xff", "null", "[" * 100_000])
def test_what_is_no_request_is_refused(text):
    with pytest.raises(ConfigurationError, match="a request for retraining"):
        RetrainingRequest.from_json(text)


def test_json_has_no_number_that_json_lacks():
    """Readers in other languages refuse NaN."""
    evidence = RetrainingEvidence(reason="drift", words="", value=math.nan)
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(REQUEST, evidence=(evidence,)).to_json()
