"""Where a receiver listens, and what it demands there: TLS and a token, unless only this host can reach it."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from driftline._backends.access import Secret, secret_from_file
from driftline._runtime import validation as check
from driftline._runtime.files import read_file
from driftline.errors import ConfigurationError

__all__ = ["LOCALHOST", "MAX_PORT", "Address", "Door", "token_from_file"]

_log = logging.getLogger("driftline")

LOCALHOST = "127.0.0.1"

MIN_TOKEN = 16
"""Fewest characters of a token. 16 of 64 letters are 96 bits, too many to guess through a network."""

MAX_FILE_BYTES = 2**20
"""Most bytes of a file of a certificate or a key."""

MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """
    A host and a port.

    Attributes:
        host: a name or an IP address.
        port: a number; 0 for any free port.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, argument: str, text: str, port: int) -> Address:
        """
        Return the address of ``HOST``, ``HOST:PORT``, ``:PORT`` or ``[IPv6]:PORT``.

        Args:
            argument: the name of the argument, for a message.
            text: the address. An empty host is this one, through which no other host can connect.
            port: the port, if the text has none.

        Raises:
            ConfigurationError: the text is no address.
        """
        host, colon, number = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, number = text, str(port)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            is_host = _ip(host) is not None
        else:
            is_host = ":" not in host and all(mark.isalnum() or mark in "-._" for mark in host)
        if not is_host or not (number.isascii() and number.isdigit() and int(number) <= MAX_PORT):
            check.reject(argument, text, f"an address such as {LOCALHOST}:{port}")
        return cls(host or LOCALHOST, int(number))

    @property
    def is_loopback(self) -> bool:
        """Whether only processes of this host can connect."""
        address = _ip(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """
    What a client must have to be let in.

    Attributes:
        token: returns the token that requests must bring. If None, they need none.
        certificate: the file of the certificate with its chain, PEM; None for no TLS.
        key: the file of its private key, PEM.
    """

    token: Secret | None = field(default=None, repr=False)
    certificate: Path | None = None
    key: Path | None = None

    def check(self, argument: str, address: Address) -> None:
        """
        Check that the address may be opened.

        Args:
            argument: the name of the argument of the address, for a message.
            address: where the receiver listens.

        Raises:
            ConfigurationError: other hosts could connect without TLS or a token, or the files do not fit.
        """
        if (self.certificate is None) != (self.key is None):
            msg = "--otlp-cert and --otlp-key: expected both or none"
            raise ConfigurationError(msg)
        self.context()
        if address.is_loopback:
            return
        absent = [
            *(["--otlp-cert and --otlp-key"] if self.certificate is None else []),
            *(["--otlp-token-file"] if self.token is None else []),
        ]
        if absent:
            msg = (
                f"{argument} {address}: expected an address of this host such as {LOCALHOST}:{address.port}, or "
                f"{' and '.join(absent)} too: any host could send counts otherwise"
            )
            raise ConfigurationError(msg)

    def context(self) -> ssl.SSLContext | None:
        """
        Return the settings of TLS; None without.

        Raises:
            ConfigurationError: a file cannot be read, or they are no certificate and its key.
        """
        if self.certificate is None or self.key is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            msg = f"--otlp-cert {self.certificate}: expected a certificate and its key without a password: {error}"
            raise ConfigurationError(msg) from error
        return context

    def files(self) -> tuple[bytes, bytes] | None:
        """
        Return the contents of the key and of the certificate; None without TLS.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        if self.certificate is None or self.key is None:
            return None
        try:
            return read_file(self.key, MAX_FILE_BYTES), read_file(self.certificate, MAX_FILE_BYTES)
        except (OSError, ValueError) as error:
            msg = f"--otlp-cert {self.certificate}: {error}"
            raise ConfigurationError(msg) from error

    def admits(self, authorization: str | None) -> bool:
        """Return whether the value of the header ``Authorization`` has the token, if one is demanded."""
        if self.token is None:
            return True
        try:
            expected = self.token()
        except ConfigurationError as error:  # the file is gone, or is being replaced
            _log.warning("%s", error)
            return False
        scheme, _, token = (authorization or "").partition(" ")
        # A comparison that ends at the first wrong letter would tell how many are right.
        same = hmac.compare_digest(token.strip().encode("utf-8", "replace"), expected.encode("utf-8"))
        return same and scheme.lower() == "bearer"


def _no_password() -> str:
    msg = "the key has a password"
    raise ValueError(msg)


def token_from_file(argument: str, path: str) -> Secret:
    """
    Return a function that returns the token in a file, which it reads again each time: tokens are renewed.

    Raises:
        ConfigurationError: the file cannot be read, or its token is too short.
    """
    read = secret_from_file(argument, path)
    if len(read()) < MIN_TOKEN:
        msg = f"{argument} {path}: expected a token of at least {MIN_TOKEN} characters"  # not the token
        raise ConfigurationError(msg)
    return read
