"""Certificates of this host for the tests of TLS."""

from __future__ import annotations

import shutil
import subprocess
from types import SimpleNamespace

import pytest


def make_certificate(folder):
    """Return the files of a certificate that signs itself, and of its key; made by ``openssl``."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return SimpleNamespace(chain=chain, key=key)
