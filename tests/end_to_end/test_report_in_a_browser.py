"""Reports in a real browser: nothing is requested, the style applies, and axe finds nothing serious."""

from __future__ import annotations

import numpy as np
import pytest

import driftline as dl

pytestmark = pytest.mark.system


def rows(random, size, shift=0.0):
    """Rows with a hostile name among the features and the categories."""
    kinds = ["<img src=http://127.0.0.1:9/x>", "b", "c"]
    return {
        "amount": random.lognormal(shift, 1.0, size),
        "<script>document.title='broken'</script>": random.normal(size=size),
        "kind": random.choice(kinds, size),
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A report on a monitor with outcomes and a canary, and one on data."""
    folder = tmp_path_factory.mktemp("reports")
    random = np.random.default_rng(1)
    table, scores = rows(random, 4_000), random.random(4_000)
    reference = dl.Reference.fit(table, predictions=scores, outcomes=random.random(4_000) < scores)
    sides = [
        dl.Monitor("m", variant=name, reference=reference, window=dl.Window(rows=400), synchronous=True)
        for name in ("baseline", "candidate")
    ]
    canary = dl.Canary(*sides, dl.CanaryPolicy(allowed_accuracy_drop=0.05))
    for step in range(8):
        for monitor, worse in zip(sides, (0.0, 0.3), strict=True):
            ids, scores = [f"{step}-{row}" for row in range(400)], random.random(400)
            monitor.observe(rows(random, 400, worse * 3), scores, prediction_ids=ids)
            monitor.outcomes(ids, random.random(400) < scores * (1 - worse))
        canary.verdict()
    dl.report(None, sides[1], canary=canary, labels=True).save(folder / "monitor.html")
    dl.report(reference, rows(random, 1_000, 1.0)).save(folder / "data.html")
    return folder


def opened(browser, path, width, scheme, *, checks=False):
    """A page, the requests that it made, and what the browser complained of."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=checks)
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_timeout(200)
    return page, requests, complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["monitor", "data"])
def test_a_page_asks_for_nothing_and_fits(browser, files, name, width, scheme):
    """The page itself is the only request; its policy admits its style; it is no wider than the screen."""
    path = files / f"{name}.html"
    page, requests, complaints = opened(browser, path, width, scheme)
    assert requests == [path.as_uri()]
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(14, 17, 22)"}[scheme]
    assert page.title() != "broken"
    assert page.evaluate("document.scripts.length + document.images.length") == 0
    page.context.close()


def test_the_keyboard_reaches_and_opens_a_feature(browser, files):
    """Tab leads to the parts of the page, and Enter opens a feature that is closed."""
    page, _, _ = opened(browser, files / "data.html", 1280, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    closed = page.locator("details.feature:not([open])").last
    closed.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert closed.count() == 0 or page.locator("details.feature").last.get_attribute("open") is not None
    page.context.close()


def test_the_small_picture_is_a_copy_of_the_plot(browser, files):
    """It has the colours of the plot, although the plot is in a part that is closed."""
    page, _, _ = opened(browser, files / "data.html", 1280, "light")
    size = page.evaluate("document.querySelector('.overview use').getBoundingClientRect().width")
    assert size > 100
    page.context.close()


def test_print_has_everything(browser, files, tmp_path):
    """Closed features are open on paper."""
    page, _, _ = opened(browser, files / "data.html", 1280, "dark")
    page.emulate_media(media="print")
    hidden = page.evaluate(
        "[...document.querySelectorAll('details.feature .body')]"
        ".filter(each => !each.getBoundingClientRect().height).length"
    )
    assert hidden == 0
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["monitor", "data"])
def test_axe_finds_nothing_serious(browser, serious_violations, files, name, width, scheme):
    """Names, roles, contrast, headings, labels; with all features open."""
    page, _, _ = opened(browser, files / f"{name}.html", width, scheme, checks=True)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert serious_violations(page) == []
    page.context.close()
