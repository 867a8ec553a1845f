"""`Access`: the credentials and the certificates of requests to a server."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from driftline._runtime.files import read_file
from driftline.errors import ConfigurationError

__all__ = ["Access", "Secret", "redacted", "secret_from_environment", "secret_from_file"]

MAX_SECRET_BYTES = 65_536
"""Most bytes of a file with a token or a password. A JSON web token has one or two thousand."""

Secret = Callable[[], str]
"""A function that returns a token or a password. It reads it again each time, because tokens are renewed."""


@dataclass(frozen=True, slots=True)
class Access:
    """
    How a client identifies itself, and how it checks the server.

    Attributes:
        token: returns a bearer token. If None, there is none.
        user: the user of basic authentication. If None, there is none.
        password: returns the password of the user.
        ca_file: PEM file of the certificates of a private authority. If None, those of the system count.
        headers: further headers, such as ``X-Scope-OrgID``.
    """

    token: Secret | None = field(default=None, repr=False)
    user: str | None = None
    password: Secret | None = field(default=None, repr=False)
    ca_file: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_credentials(self) -> bool:
        """Whether requests hold a token or a password."""
        return self.token is not None or self.user is not None

    def check(self) -> None:
        """
        Check that secrets and certificates can be read.

        Raises:
            ConfigurationError: they cannot.
        """
        self.authorization()
        self.context()

    def authorization(self) -> tuple[str, ...]:
        """
        Return the value of the header ``Authorization``, and the secrets in it; nothing without credentials.

        Raises:
            ConfigurationError: the secret cannot be read.
        """
        if self.token is not None:
            token = self.token()
            return f"Bearer {token}", token
        if self.user is not None:
            password = "" if self.password is None else self.password()
            pair = base64.b64encode(f"{self.user}:{password}".encode()).decode("ascii")
            return (f"Basic {pair}", pair, password) if password else (f"Basic {pair}", pair)
        return ()

    def context(self) -> ssl.SSLContext | None:
        """
        Return the context of TLS; None for the default one.

        Raises:
            ConfigurationError: the file of certificates cannot be read.
        """
        if self.ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
            msg = f"--ca-file {self.ca_file}: expected a file of PEM certificates, which cannot be read: {reason}"
            raise ConfigurationError(msg) from error


def redacted(text: str, access: Access) -> str:
    """Return what a server has sent without the secrets that it got. Text that is cut may have a part of one."""
    try:
        secrets = access.authorization()[1:]
    except ConfigurationError:  # the file is being renewed
        return "***"
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def secret_from_environment(argument: str, name: str) -> Secret:
    """Return a function that returns the value of an environment variable. *argument* is for messages."""

    def read() -> str:
        value = os.environ.get(name, "")
        return _checked(f"{argument} {name}", value, "an environment variable")

    return read


def secret_from_file(argument: str, path: str) -> Secret:
    """Return a function that returns the content of a file. *argument* is for messages."""

    def read() -> str:
        try:
            value = read_file(Path(path), MAX_SECRET_BYTES).decode("utf-8")
        except (OSError, ValueError) as error:
            # A decoding error would quote bytes of the secret.
            reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is no short text"
            msg = f"{argument} {path}: cannot be read: {reason}"
            raise ConfigurationError(msg) from error
        return _checked(f"{argument} {path}", value, "a file")

    return read


def _checked(argument: str, value: str, kind: str) -> str:
    """Return a secret without the line break at its end. The message never quotes it."""
    secret = value.strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        msg = f"{argument}: expected {kind} with one line of ASCII characters"
        raise ConfigurationError(msg)
    return secret
