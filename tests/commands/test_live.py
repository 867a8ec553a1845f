"""`driftline live`: its arguments. `tests/end_to_end/test_live.py` has it beside real services."""

from __future__ import annotations

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
