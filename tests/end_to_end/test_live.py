"""`driftline live` beside a real monitor: through OTLP and through Prometheus, as a page in a real browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest
from exporting import ROWS, shop
from processes import wait_for_end
from views import hostile_view

from driftline._live.server import PageScreen
from driftline._live.values import FeatureView, LiveView, ModelKey, ModelView
from driftline.fleet._receiver.addresses import Address

pytestmark = pytest.mark.system

SECONDS = 90.0
"""Seconds until a wait counts as stuck."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url):
    with _direct.open(url, timeout=20) as response:
        return response.read().decode()


def wait_for_text(read, *parts):
    """Return the text that has all parts."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        text = read()
        if all(part in text for part in parts):
            return text
        time.sleep(0.1)
    pytest.fail(f"expected {parts} in {text}")


@contextmanager
def live(*arguments):
    """Run the command, and yield what it says first."""
    command = [sys.executable, "-m", "driftline.cli", "live", *arguments]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, bufsize=1
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        code = wait_for_end(process)
        rest = process.stdout.read()
        process.stdout.close()
    assert (code, "Traceback" in rest) == (0, False), rest


@pytest.fixture(scope="module")
def service():
    """A page that receives OTLP, and a monitor that sends it: (the URL of the page, the monitor)."""
    with live("--otlp", ":0", "--web", "--port", "0", "--every", "200ms") as process:
        said = process.stdout.readline()
        endpoint, page = re.search(r"OTLP/HTTP at ([\d.:]+); the page is at (\S+)", said).groups()
        with shop(f"http://{endpoint}/v1/metrics", f"http://{endpoint}/v1/logs") as sender:
            assert "No telemetry has arrived yet" in fetch(page)
            yield page, sender


def opened(browser, url, width=1280, scheme="light", *, checks=False):
    """A page, the requests that it made, and what the browser complained of."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=checks)
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    return page, requests, complaints


@pytest.mark.slow
def test_the_page_updates_by_itself(browser, service):
    """Metrics and events arrive while the page is open; it shows what the monitor says, and asks no other server."""
    url, sender = service
    page, requests, complaints = opened(browser, url)
    status = sender.serve()["age"]
    page.wait_for_selector("text=Nothing drifts", timeout=1_000 * SECONDS)
    status = sender.serve(2.0)["age"]
    page.wait_for_selector("h1:has-text('1 of 2 features drifts.')", timeout=1_000 * SECONDS)
    page.wait_for_selector("td.change:has-text('median')", timeout=1_000 * SECONDS)
    row = page.locator("tr.drifting")
    assert float(row.locator(".effect data").get_attribute("value")) == status.effect
    assert float(row.locator(".p data").get_attribute("value")) == status.p_value
    assert f"{2 * ROWS:,}" in page.locator("dl.facts").inner_text()
    models = page.locator("table.models").inner_text()
    assert "100% of all 800" in models
    assert re.search(r"\d+ ms / \d+ ms", models)
    assert "age drifts: " in page.locator(".events").inner_text()
    assert page.locator("#said").inner_text() == "1 of 2 features drifts."
    assert page.locator("#clock").inner_text().startswith("updated ")
    assert all(request.startswith(url) for request in requests)
    assert len(requests) > 2
    assert complaints == []
    assert page.title() == "driftline live"
    assert page.evaluate("document.images.length") == 0
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_axe_finds_nothing_serious(browser, serious_violations, service, width, scheme):
    url, sender = service
    sender.serve(2.0)
    page, _, _ = opened(browser, url, width, scheme, checks=True)
    page.wait_for_selector("tr.drifting", timeout=1_000 * SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 17, 22)"}[scheme]
    assert serious_violations(page) == []
    page.context.close()


def many(state="stable"):
    """A view with 100 features in this state."""
    features = tuple(FeatureView(f"f{index:03}", state) for index in range(100))
    return LiveView("driftline live", "a test", time.time(), (ModelView(ModelKey("m"), features=features),))


@pytest.fixture
def screen():
    """A page without a source."""
    with PageScreen(Address("127.0.0.1", 0), 0.25) as page:
        page.show(many())
        yield page


def test_an_update_keeps_what_the_reader_does(browser, screen):
    """An opened part stays open, the keyboard keeps its place, and only what has changed is replaced."""
    page, _, _ = opened(browser, screen.url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("#rest-summary").focus()
    page.keyboard.press("Enter")
    head = page.evaluate_handle("document.getElementById('part-head')")
    screen.show(many("insufficient_data"))
    page.wait_for_selector("h1:has-text('Too little data')", timeout=1_000 * SECONDS)
    assert page.locator("#rest").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.id") == "rest-summary"
    assert not page.evaluate("head => head.isConnected", head)
    features = page.evaluate_handle("document.getElementById('part-features')")
    view = many("insufficient_data")
    screen.show(LiveView(view.title, view.source, view.time, view.models, trouble="gone"))
    page.wait_for_selector(".trouble:has-text('gone')", timeout=1_000 * SECONDS)
    assert page.evaluate("part => part.isConnected", features)
    page.context.close()


def test_a_lost_connection_is_said(browser, screen):
    page, _, _ = opened(browser, screen.url)
    page.route("**/view*", lambda route: route.abort())
    page.wait_for_selector("#note:has-text('No connection to driftline live')", timeout=1_000 * SECONDS)
    page.unroute("**/view*")
    page.wait_for_selector("#note:empty", state="attached", timeout=1_000 * SECONDS)
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_names_do_no_harm(browser, screen, width):
    """Scripts, overrides of direction, 10,000 characters, in 500 features: they are text, and the page fits."""
    screen.show(hostile_view())
    page, requests, complaints = opened(browser, screen.url, width)
    page.wait_for_selector("h1:has-text('roll it back')", timeout=1_000 * SECONDS)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.title() != "broken"
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert all(request.startswith(screen.url) for request in requests)
    assert complaints == []
    page.context.close()


@pytest.mark.real
def test_a_prometheus_is_shown(prometheus):
    """The same figures, with the names of Prometheus; changes of states are seen between two readings."""
    with shop(f"{prometheus.url}/api/v1/otlp/v1/metrics") as sender:
        sender.serve()
        with live("--prometheus", prometheus.url, "--web", "--port", "0", "--every", "500ms") as process:
            page = re.search(r"the page is at (\S+)", process.stdout.readline())[1]
            wait_for_text(lambda: fetch(f"{page}view"), "Nothing drifts", f'<data value="{float(ROWS)}">')
            status = sender.serve(2.0)
            assert status["age"].state == "drifting"
            text = wait_for_text(lambda: fetch(f"{page}view"), "1 of 2 features drifts.", "age drifts", " ms / ")
            assert "100% of all 800" in text
            assert "shop · version 3" in text


@pytest.mark.slow
def test_without_a_terminal_it_prints_lines():
    """The state, and each event once with its reason. It ends with Ctrl-C."""
    with live("--otlp", ":0", "--every", "200ms") as process:
        endpoint = re.search(r"OTLP/HTTP at ([\d.:]+)", process.stdout.readline())[1]
        with shop(f"http://{endpoint}/v1/metrics", f"http://{endpoint}/v1/logs") as sender:
            sender.serve(2.0)
        lines = [process.stdout.readline() for _ in range(2)]
    assert re.fullmatch(r"\d\d:\d\d:\d\d  500 predictions; drifting: (age|nothing)\n", lines[0])
    assert re.match(r"\d\d:\d\d:\d\d  age drifts: .*median", lines[1])
