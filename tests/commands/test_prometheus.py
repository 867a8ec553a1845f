"""The arguments of commands that say how a server is reached."""

from __future__ import annotations

import argparse

import pytest

from driftline import ConfigurationError
from driftline.cli import main
from driftline.commands._prometheus import add_prometheus_arguments, prometheus_source


def source(*arguments, url="https://localhost"):
    parser = argparse.ArgumentParser()
    parser.add_argument("--prometheus")
    add_prometheus_arguments(parser)
    return prometheus_source(parser.parse_args(["--prometheus", url, *arguments]))


def test_arguments_become_access(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MY_TOKEN", "abc")
    (tmp_path / "password").write_text("hunter2\n")
    access = source("--token-env", "MY_TOKEN", "--tenant", "a-team", "--request-timeout", "3s").access
    assert access.authorization() == ("Bearer abc", "abc")
    assert access.headers == {"X-Scope-OrgID": "a-team"}
    access = source("--user", "me", "--password-file", str(tmp_path / "password")).access
    assert access.authorization()[0].startswith("Basic ")
    assert source("--request-timeout", "3s").timeout == 3.0
    assert not source().access.has_credentials
    assert capsys.readouterr().err == ""


def test_credentials_without_encryption_are_said(monkeypatch, capsys):
    monkeypatch.setenv("MY_TOKEN", "abc")
    source("--token-env", "MY_TOKEN", url="http://localhost:9090")
    assert capsys.readouterr().err == "http://localhost:9090: the credentials are sent without encryption\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--token-env", "ABSENT"], "--token-env ABSENT: expected an environment variable with one line"),
        (["--token-env", "MY_TOKEN", "--user", "me"], "--token-env, --token-file: expected without --user"),
        (["--token-env", "MY_TOKEN", "--password-env", "MY_TOKEN"], "expected without --user and a password"),
        (["--user", "me"], "--user: expected with --password-env or --password-file"),
        (["--password-env", "MY_TOKEN"], "--user: expected with"),
        (["--user", "a:b", "--password-env", "MY_TOKEN"], "--user a:b: expected a name"),
        (["--tenant", "a\nb"], "--tenant a\nb: expected an id"),
        (["--tenant", ""], "--tenant : expected an id"),
        (["--ca-file", "absent.pem"], "--ca-file absent.pem: expected a file of PEM certificates"),
        (["--request-timeout", "0s"], "--request-timeout"),
        (["--selector", "x"], "--selector x: expected matchers"),
    ],
)
def test_wrong_arguments(monkeypatch, arguments, expected):
    monkeypatch.setenv("MY_TOKEN", "abc")
    with pytest.raises(ConfigurationError) as caught:
        source(*arguments)
    assert expected in str(caught.value)


@pytest.mark.parametrize("argument", ["--token-env", "--tenant", "--ca-file"])
def test_access_needs_a_server(argument, capsys):
    assert main(["canary", "--path", "canary.json", argument, "x"]) == 3
    assert f"{argument}: expected with --prometheus only" in capsys.readouterr().err
