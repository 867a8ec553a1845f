"""A certificate of this host for the tests of TLS."""

from __future__ import annotations

import importlib.util

import pytest
from certificates import make_certificate

# grpcio has no wheel for a Python without the GIL.
collect_ignore = [] if importlib.util.find_spec("grpc") else ["test_grpc_server.py"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a certificate that signs itself, and of its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
