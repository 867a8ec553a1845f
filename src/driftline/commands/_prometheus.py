"""Arguments that say how a server with the API of Prometheus is reached. Several commands have them."""

from __future__ import annotations

import argparse
import math
import sys

from driftline._backends.access import Access, Secret, secret_from_environment, secret_from_file
from driftline._backends.http import TIMEOUT, check_url
from driftline._backends.prometheus import PrometheusSource, Temporality, check_selector
from driftline._runtime import validation as check
from driftline._runtime.output import say
from driftline.errors import ConfigurationError

__all__ = ["ACCESS_OPTIONS", "add_prometheus_arguments", "prometheus_source"]

ACCESS_OPTIONS = (
    "token-env",
    "token-file",
    "user",
    "password-env",
    "password-file",
    "ca-file",
    "tenant",
    "request-timeout",
)
"""The arguments that only make sense with ``--prometheus``, beside the selector."""


def add_prometheus_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser, which has ``--prometheus`` already."""
    parser.add_argument(
        "--selector", metavar="MATCHERS", help="further matchers of PromQL, such as 'namespace=\"prod\"'"
    )
    access = parser.add_argument_group("access to the server", "Secrets are in no argument, which other users see.")
    token = access.add_mutually_exclusive_group()
    token.add_argument("--token-env", metavar="NAME", help="environment variable with a bearer token")
    token.add_argument("--token-file", metavar="FILE", help="file with a bearer token, read at each request")
    access.add_argument("--user", metavar="NAME", help="user of basic authentication")
    password = access.add_mutually_exclusive_group()
    password.add_argument("--password-env", metavar="NAME", help="environment variable with the password of the user")
    password.add_argument("--password-file", metavar="FILE", help="file with the password, read at each request")
    access.add_argument("--ca-file", metavar="FILE", help="PEM certificates of a private authority")
    access.add_argument("--tenant", metavar="ID", help="the header X-Scope-OrgID, as Mimir expects it")
    access.add_argument(
        "--request-timeout", metavar="TIME", help=f"longest time of one response (default {TIMEOUT:g}s)"
    )


def prometheus_source(
    options: argparse.Namespace, *, deadline: float = math.inf, temporality: Temporality = "cumulative"
) -> PrometheusSource:
    """
    Return the source that the arguments name.

    Args:
        options: the arguments.
        deadline: seconds of the monotonic clock by which all responses must be there.
        temporality: what the samples of counters are, as for `PrometheusSource`.

    Raises:
        ConfigurationError: an argument is wrong, or a secret or certificate cannot be read.
    """
    url = check_url("--prometheus", options.prometheus)
    access = _access(options)
    access.check()
    if access.has_credentials and url.startswith("http://"):
        say(f"{url}: the credentials are sent without encryption", sys.stderr)
    seconds = TIMEOUT
    if options.request_timeout is not None:
        seconds = check.duration("--request-timeout", options.request_timeout)
    selector = check_selector("--selector", options.selector or "")
    return PrometheusSource(url, selector, deadline, seconds, access, temporality)


def _access(options: argparse.Namespace) -> Access:
    token = _secret("token", options.token_env, options.token_file)
    password = _secret("password", options.password_env, options.password_file)
    if token is not None and (options.user is not None or password is not None):
        msg = "--token-env, --token-file: expected without --user and a password"
        raise ConfigurationError(msg)
    if (options.user is None) != (password is None):
        msg = "--user: expected with --password-env or --password-file, and they with it"
        raise ConfigurationError(msg)
    if options.user is not None and (":" in options.user or not _is_header(options.user)):
        msg = f"--user {options.user}: expected a name of ASCII characters without a colon"
        raise ConfigurationError(msg)
    headers = {}
    if options.tenant is not None:
        if not options.tenant or not _is_header(options.tenant):
            msg = f"--tenant {options.tenant}: expected an id of ASCII characters"
            raise ConfigurationError(msg)
        headers["X-Scope-OrgID"] = options.tenant
    return Access(token, options.user, password, options.ca_file, headers)


def _secret(kind: str, variable: str | None, path: str | None) -> Secret | None:
    if variable is not None:
        return secret_from_environment(f"--{kind}-env", variable)
    return None if path is None else secret_from_file(f"--{kind}-file", path)


def _is_header(text: str) -> bool:
    return text.isascii() and text.isprintable()
