"""The site in a real browser: the search works offline, nothing is requested, and axe finds nothing serious."""

from __future__ import annotations

import json
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

BROWSER = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(BROWSER is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="no playwright: pip install playwright"),
]

pytest.importorskip("sphinx", reason="the documentation is built where the group `docs` is installed")
pytest.importorskip("furo")
pytest.importorskip("myst_nb")

MAIN = ["index", "tutorial", "how-to", "configuration", "troubleshooting", "api/driftline.FalseAlarms", "commands"]


@pytest.fixture(scope="module")
def browser():
    """A browser without a window."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not installed everywhere

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and prints nothing."""

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture(params=["file", "http"])
def address(site, request):
    """The address of the site: on the disk, and on a server of this machine."""
    if request.param == "file":
        yield site.as_uri()
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def opened(browser, url, width=1280, scheme="light"):
    """A page, and the requests that it made."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url)
    return page, requests


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("kilometres", "what-went-wrong.html"),
        ("replace_reference", "api/driftline.Monitor.html"),
        ("gunicorn", "processes.html"),
    ],
)
def test_the_search_finds_a_page(browser, address, word, expected):
    """A word that is typed into the box of the front page leads to its page, without another host."""
    page, requests = opened(browser, f"{address}/index.html")
    page.locator("input[name=q]").first.fill(word)
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results .search-summary")
    page.wait_for_function("!/^Searching/.test(document.querySelector('#search-results h2').textContent)")
    targets = page.eval_on_selector_all(
        "#search-results li a", "links => links.map(link => link.href.split(/[?#]/)[0])"
    )
    assert any(target.startswith(f"{address}/{expected}") for target in targets)
    assert [request for request in requests if not request.startswith((address, "data:"))] == []
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", MAIN)
def test_a_page_fits_and_axe_finds_nothing_serious(browser, site, name, width, scheme):
    """No request leaves it, it is no wider than the screen, and names, roles and contrast are right."""
    page, requests = opened(browser, (site / f"{name}.html").as_uri(), width, scheme)
    assert [request for request in requests if not request.startswith((site.as_uri(), "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    package = find_spec("axe_playwright_python")
    if package is None or package.origin is None:
        pytest.skip("no axe: pip install axe-playwright-python")
    (script,) = Path(package.origin).parent.glob("axe.min.js")
    page.add_script_tag(path=script)
    result = page.evaluate("axe.run().then(each => JSON.stringify(each.violations))")
    violations = [(each["impact"], each["id"], each["nodes"][0]["html"][:200]) for each in json.loads(result)]
    assert [each for each in violations if each[0] in {"serious", "critical"}] == []
    page.context.close()
