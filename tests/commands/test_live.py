"""`driftline live`: its arguments. `tests/end_to_end/test_live.py` has it beside real services."""

from __future__ import annotations

import re
import socket

import pytest

from driftline.cli import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--otlp", "--prometheus", "http://localhost:9090"], "expected one of them"),
        (["--demo", "--prometheus", "http://localhost:9090"], "expected one of them"),
        (["--otlp", "--selector", 'a="b"'], "--selector: expected with --prometheus only"),
        (["--otlp", "--port", "80"], "--port: expected with --web only"),
        (["--otlp", "--web", "--port", "99999"], "--port 99999: expected a number from 0 to 65535"),
        (["--otlp", "--seconds", "-1"], "--seconds -1: expected a positive number"),
        (["--otlp", "0.0.0.0:4318"], "--otlp-cert and --otlp-key and --otlp-token-file too"),
        (["--otlp", "not an address"], "expected an address such as 127.0.0.1:4318"),
        (["--prometheus", "localhost"], "expected an address such as http://prometheus:9090"),
        (["--otlp", ":0", "--every", "soon"], "--every"),
        (["--otlp", ":0", "--reference", "no-file.json"], "no-file.json"),
    ],
)
def test_wrong_arguments_say_what_was_expected(arguments, message, capsys):
    assert main(["live", *arguments]) == 3
    assert message in capsys.readouterr().err


def test_a_server_that_is_not_there_is_named(capsys):
    """It may come back, so the view goes on."""
    assert main(["live", "--prometheus", "http://127.0.0.1:9", "--seconds", "0.1", "--within", "1s"]) == 0
    assert "http://127.0.0.1:9 cannot be read: " in capsys.readouterr().out


def test_it_says_where_telemetry_and_the_page_are(capsys):
    """Both servers, on free ports, until the time is over."""
    arguments = ["live", "--otlp", ":0", "--web", "--port", "0", "--every", "50ms", "--seconds", "0.2"]
    assert main(arguments) == 0
    pattern = r"OTLP/HTTP at 127\.0\.0\.1:\d+; the page is at http://127\.0\.0\.1:\d+/\n"
    assert re.fullmatch(pattern, capsys.readouterr().out)


def test_a_port_that_is_in_use_is_named(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["live", "--otlp", f":{port}", "--seconds", "0.1"]) == 3
        assert "driftline live: " in capsys.readouterr().err


def test_other_hosts_are_let_in_with_a_warning(capsys):
    arguments = ["live", "--otlp", ":0", "--web", "--host", "0.0.0.0", "--port", "0", "--seconds", "0.1"]  # noqa: S104 - what is tested
    assert main(arguments) == 0
    assert "--host 0.0.0.0: every host that can connect reads the page" in capsys.readouterr().err
