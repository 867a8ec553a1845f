"""Access to a server: tokens, passwords and private authorities, over real sockets; secrets never go elsewhere."""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from driftline import ConfigurationError
from driftline import semconv as sc
from driftline._backends import http as backend_http
from driftline._backends.access import Access, secret_from_environment, secret_from_file
from driftline._backends.prometheus import PrometheusSource

EMPTY = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode()
TOKEN = "eyJhbGciOi.secret"  # noqa: S105 - of a test


class Server(ThreadingHTTPServer):
    """A server that keeps the headers of requests, and answers with a status, headers and a body."""

    daemon_threads = True

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen, self.status, self.headers, self.body = [], 200, {}, EMPTY
        self.phrase = None
        self.expected = None
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'http' if context is None else 'https'}://localhost:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that does not trust the certificate ends the connection."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.seen.append(dict(self.headers))
        status = server.status
        if server.expected is not None:
            status = 200 if self.headers.get("Authorization") == server.expected else 401
        sent = self.headers.get("Authorization") or ""
        body = server.body.replace(b"ECHO", sent.encode())
        self.send_response(status, server.phrase and server.phrase.replace("ECHO", sent))
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Return a function that starts servers."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    running = []

    def start(context=None):
        server = Server(context)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The files of a certificate that signs itself, and of its key; made by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", chain]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    return chain, key


def ask(server, access, **options):
    return PrometheusSource(server.url, access=access, **options).latest(sc.METRIC_MONITOR_INFO, {}, at=1.0, within=1.0)


def test_a_token_is_sent_as_bearer(serve, monkeypatch):
    """It is read at each request, because tokens are renewed."""
    server = serve()
    monkeypatch.setenv("TOKEN", TOKEN + "\n")
    access = Access(token=secret_from_environment("--token-env", "TOKEN"))
    server.expected = f"Bearer {TOKEN}"
    assert ask(server, access) == []
    monkeypatch.setenv("TOKEN", "renewed")
    with pytest.raises(OSError, match="HTTP 401"):
        ask(server, access)
    server.expected = "Bearer renewed"
    assert ask(server, access) == []


def test_a_user_and_a_password_from_a_file(serve, tmp_path):
    """As Grafana Cloud and many gateways ask for; long queries are sent as POST, with them too."""
    server = serve()
    path = tmp_path / "password"
    path.write_text("hunter2\n")
    access = Access(user="me", password=secret_from_file("--password-file", str(path)), headers={"X-Scope-OrgID": "t"})
    server.expected = "Basic " + base64.b64encode(b"me:hunter2").decode()
    assert ask(server, access) == []
    assert ask(server, access, selector=f'pod="{"x" * 3_000}"') == []
    assert [headers["X-Scope-Orgid"] for headers in server.seen] == ["t", "t"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_an_error_without_the_secret(serve, status):
    """Also if the server repeats it."""
    server = serve()
    server.status, server.body = status, b"no entry for ECHO, go away"
    with pytest.raises(OSError, match=f"HTTP {status} .*no entry for Bearer \\*\\*\\*, go away") as caught:
        ask(server, Access(token=lambda: TOKEN))
    assert TOKEN not in str(caught.value)
    with pytest.raises(OSError, match=r"no entry for Basic \*\*\*, go"):
        ask(server, Access(user="me", password=lambda: "hunter2"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_are_not_sent_to_where_a_server_redirects(serve, status):
    """Another host, or the same one without TLS, could read them."""
    server, other = serve(), serve()
    server.status, server.headers = status, {"Location": f"{other.url}/api/v1/query"}
    with pytest.raises(OSError, match=rf"HTTP {status}: the server redirects to http://localhost:{other.server_port}"):
        ask(server, Access(token=lambda: TOKEN))
    assert other.seen == []
    if status == 308 and sys.version_info < (3, 11):
        return  # urllib follows it since 3.11
    assert ask(server, Access()) == []  # without credentials, redirects are followed
    assert len(other.seen) == 1


def test_a_private_authority(serve, certificate):
    """Its file is needed, and the name in the certificate must be that of the server."""
    chain, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = serve(context)
    server.expected = f"Bearer {TOKEN}"
    assert ask(server, Access(token=lambda: TOKEN, ca_file=str(chain))) == []
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(server, Access(token=lambda: TOKEN))
    server.url = f"https://127.0.0.1:{server.server_port}"
    with pytest.raises(OSError, match=r"IP address mismatch|not valid for"):
        ask(server, Access(token=lambda: TOKEN, ca_file=str(chain)))
    assert len(server.seen) == 1


def test_secrets_and_certificates_that_cannot_be_read(tmp_path, monkeypatch):
    """The message names the argument, and never quotes a secret."""
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("LINES", "hunter2\nhunter3")
    (tmp_path / "binary").write_bytes(b"\xff\xfehunter2")
    (tmp_path / "huge").write_bytes(b"x" * 70_000)
    (tmp_path / "no.pem").write_text("hunter2")
    accesses = [
        Access(token=secret_from_environment("--token-env", "ABSENT")),
        Access(token=secret_from_environment("--token-env", "EMPTY")),
        Access(token=secret_from_environment("--token-env", "LINES")),
        *(
            Access(token=secret_from_file("--token-file", str(tmp_path / name)))
            for name in ("absent", "binary", "huge", "")
        ),
        Access(ca_file=str(tmp_path / "no.pem")),
        Access(ca_file=str(tmp_path / "absent.pem")),
    ]
    for access in accesses:
        with pytest.raises(ConfigurationError, match=r"^--(token-env|token-file|ca-file) .*: ") as caught:
            access.check()
        assert "hunter" not in str(caught.value)


def test_no_secret_is_in_a_representation():
    assert TOKEN not in repr(PrometheusSource("http://localhost", access=Access(token=lambda: TOKEN)))


def test_a_response_without_end_is_refused(serve, monkeypatch):
    server = serve()
    monkeypatch.setattr(backend_http, "MAX_BYTES", 10_000)
    server.body = b"x" * 20_000
    with pytest.raises(ValueError, match="more than 10,000 bytes"):
        ask(server, Access(token=lambda: TOKEN))


@pytest.mark.parametrize(
    ("status", "phrase", "body"),
    [
        (200, None, "<html>ECHO"),
        (200, None, "x" * 190 + "ECHO"),
        (401, "not ECHO", ""),
        (200, None, '{"status": "success", "warnings": ["ECHO"], "data": {"result": []}}'),
        (200, None, '{"status": "success", "data": {"result": ["ECHO"]}}'),
        (200, None, '{"status": "success", "data": {"result": [{"metric": {"a": "ECHO"}, "value": [1, "1"]}]}}'),
    ],
)
def test_a_server_that_repeats_the_secret(serve, status, phrase, body):
    """Nothing that it sends, whole or cut, puts the secret into a message."""
    server = serve()
    server.status, server.phrase, server.body = status, phrase, body.encode()
    for access, secret in [
        (Access(token=lambda: TOKEN), TOKEN),
        (Access(user="me", password=lambda: "passw0rd"), base64.b64encode(b"me:passw0rd").decode()),
    ]:
        with pytest.raises((OSError, ValueError), match=r"HTTP 401|incomplete|expected") as caught:
            PrometheusSource(server.url, access=access).latest(sc.METRIC_MONITOR_INFO, {}, at=1.0, within=1.0)
        assert secret[:3] not in str(caught.value)
