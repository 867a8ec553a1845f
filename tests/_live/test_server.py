"""The server of the page: parts and tags, names of other sites, slow and many clients."""

from __future__ import annotations

import re
import socket
import threading
import urllib.error
import urllib.request

import pytest
from views import hostile_view, view

from driftline._live.server import PageScreen
from driftline.fleet._receiver.addresses import Address

SECONDS = 60.0
"""Seconds until a client counts as stuck."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def screen():
    with PageScreen(Address("127.0.0.1", 0), 0.25) as page:
        page.show(view())
        yield page


def fetch(url, **headers):
    """Return a body and its headers."""
    with _direct.open(urllib.request.Request(url, headers=headers), timeout=20) as response:  # noqa: S310 - of this test
        return response.read().decode(), response.headers


def test_the_page_has_its_parts_and_a_strict_policy(screen):
    page, headers = fetch(screen.url)
    parts, _ = fetch(f"{screen.url}view")
    assert parts in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_parts_that_were_seen_are_not_sent_again(screen):
    parts, headers = fetch(f"{screen.url}view?seen=")
    tag = headers["ETag"]
    again, headers = fetch(f"{screen.url}view?seen={tag}")
    assert (bool(parts), again) == (True, "")
    assert headers["X-Driftline-Time"].startswith("updated ")
    (tag_of_page,) = re.findall(r'data-tag="(\w+)"', fetch(screen.url)[0])
    assert tag_of_page == tag
    screen.show(view(trouble="gone"))
    assert "gone" in fetch(f"{screen.url}view?seen={tag}")[0]


@pytest.mark.parametrize("name", ["attacker.example", "", "127.0.0.1.attacker.example", "[::1", "x" * 5_000])
def test_another_site_cannot_read_the_page(screen, name):
    """The name of another site may resolve to this host: a request by such a name is refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(screen.url, Host=name)
    assert caught.value.code == 421
    caught.value.close()


@pytest.mark.parametrize("path", ["../etc/passwd", "favicon.ico", "view/", "%00"])
def test_there_is_nothing_else(screen, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(f"{screen.url}{path}")
    assert caught.value.code == 404
    caught.value.close()


@pytest.mark.slow
def test_slow_and_many_clients_do_not_stop_the_page(screen):
    """Clients that send half a request, or read nothing of a large page, and 50 that read all."""
    screen.show(hostile_view())
    port = int(screen.url.rstrip("/").rpartition(":")[2])
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for index, connection in enumerate(slow):
        connection.sendall(b"GET / HT" if index % 2 else b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append("more features" in fetch(f"{screen.url}view")[0]))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    for connection in slow:
        connection.close()
    assert results == [True] * 50
