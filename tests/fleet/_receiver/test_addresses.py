"""Where a receiver listens, and what it demands there."""

from __future__ import annotations

import pytest

from driftline import ConfigurationError
from driftline.fleet._receiver.addresses import Address, Door, token_from_file

TOKEN = "s3cret-s3cret-s3cret"  # noqa: S105 - of no server


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:4000", "127.0.0.1", 4_000, True),
        ("127.9.9.9", "127.9.9.9", 4_318, True),
        ("localhost:0", "localhost", 0, True),
        (":4000", "127.0.0.1", 4_000, True),
        ("[::1]:4000", "::1", 4_000, True),
        ("[::]", "::", 4_318, False),
        ("0.0.0.0:4318", "0.0.0.0", 4_318, False),  # noqa: S104 - it is refused
        ("judge.prod-1.svc", "judge.prod-1.svc", 4_318, False),
        ("10.0.0.1:1", "10.0.0.1", 1, False),
    ],
)
def test_addresses(text, host, port, is_loopback):
    address = Address.parse("--otlp", text, 4_318)
    assert (address.host, address.port, address.is_loopback) == (host, port, is_loopback)
    assert Address.parse("--otlp", str(address), 1) == address


@pytest.mark.parametrize(
    "text", ["x:y", "127.0.0.1:65536", "127.0.0.1:-1", "::1:4000x", "[::1", "[x]:1", "a b", "a/b", "http://x:1", "x:١"]
)
def test_what_is_no_address(text):
    with pytest.raises(ConfigurationError, match="expected an address such as"):
        Address.parse("--otlp", text, 4_318)


def test_an_address_for_other_hosts_needs_tls_and_a_token(certificate):
    files = {"certificate": certificate.chain, "key": certificate.key}
    local, public = Address("127.0.0.1", 1), Address("0.0.0.0", 1)  # noqa: S104 - as above
    for door in (Door(), Door(token=lambda: TOKEN), Door(**files), Door(token=lambda: TOKEN, **files)):
        door.check("--otlp", local)
    Door(token=lambda: TOKEN, **files).check("--otlp", public)
    for door, absent in (
        (Door(), "tls-key and --token"),
        (Door(token=lambda: TOKEN), "--otlp-cert"),
        (Door(**files), "--token"),
    ):
        with pytest.raises(ConfigurationError, match=f"any host could send|{absent}"):
            door.check("--otlp", public)


def test_files_that_do_not_fit(certificate, tmp_path):
    nothing = tmp_path / "nothing"
    nothing.write_text("nothing")
    for certificate_, key in (
        (certificate.chain, None),
        (None, certificate.key),
        (certificate.chain, nothing),
        (nothing, certificate.key),
        (tmp_path / "absent", certificate.key),
    ):
        with pytest.raises(ConfigurationError, match="--otlp-cert"):
            Door(certificate=certificate_, key=key).check("--otlp", Address("127.0.0.1", 1))


def test_tokens(tmp_path):
    file = tmp_path / "token"
    file.write_text(f" {TOKEN}\n")
    read = token_from_file("--token-file", str(file))
    door = Door(token=read)
    assert door.admits(f"Bearer {TOKEN}")
    file.write_text(f"{TOKEN}-renewed")
    assert not door.admits(f"Bearer {TOKEN}")
    assert door.admits(f"Bearer {TOKEN}-renewed")
    file.unlink()
    assert not door.admits(f"Bearer {TOKEN}-renewed")
    for text in ("", "short", "é" * 20, "x" * 10 + "\x07" + "x" * 10):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="--token-file") as caught:
            token_from_file("--token-file", str(file))
        assert not text or text not in str(caught.value)
    with pytest.raises(ConfigurationError, match="--token-file"):
        token_from_file("--token-file", str(tmp_path))


def test_a_token_is_compared_as_a_whole():
    door = Door(token=lambda: TOKEN)
    assert door.admits(f"Bearer {TOKEN}")
    assert door.admits(f"bearer  {TOKEN} ")
    for value in (None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \udcff", "Bearer é"):
        assert not door.admits(value)
    assert Door().admits(None)
