"""What a configuration of `driftline collector` needs to start in a test."""

from __future__ import annotations

import re

from driftline.fleet._collector.backends import BACKENDS

__all__ = ["environment_of", "with_stand_ins"]

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_EC2_METADATA_DISABLED": "true"}
"""What the AWS SDK reads in place of a role."""


def environment_of(name, endpoint="http://127.0.0.1:9"):
    """Return all variables that the file of a backend needs, with its endpoint."""
    backend = BACKENDS[name]
    variables = {each.name: "x" for each in backend.variables if each.default is None}
    return {backend.endpoint.name: endpoint, **variables, **CREDENTIALS}


def with_stand_ins(text):
    """
    Return a file in which a bearer token stands for Google's credentials.

    The Go module proxy has no ``googleclientauth``, which the contrib distribution has.
    """
    text = re.sub(r"(?m)^  googleclientauth:\n(?:    .*\n)+", "  bearertokenauth/google:\n    token: x\n", text)
    return text.replace("googleclientauth", "bearertokenauth/google")
