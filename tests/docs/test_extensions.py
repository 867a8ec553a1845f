"""What the documentation's extensions of Sphinx do with links, lists and docstrings."""

from __future__ import annotations

import pytest

pytest.importorskip("sphinx", reason="the documentation is built where the group `docs` is installed")

from api_pages import readable
from repository_links import rewritten
from sections import entries, unlisted

GITHUB = "https://github.com/driftline/driftline"


@pytest.mark.parametrize(
    ("document", "link", "expected"),
    [
        ("alarms", "alerting.md#install", "alerting.md#install"),
        ("alarms", "#names", "#names"),
        ("canary", "../examples/canary.py", f"{GITHUB}/blob/main/examples/canary.py"),
        ("canary", "../examples", f"{GITHUB}/tree/main/examples"),
        ("results/canary", "../../benchmarks/canary/candidates.png", "../../benchmarks/canary/candidates.png"),
        ("decisions/rejected", "../../README.md#alerting", f"{GITHUB}/blob/main/README.md#alerting"),
        ("changelog", f"{GITHUB}/blob/main/docs/alarms.md#names", "alarms.md#names"),
        ("results/canary", f"{GITHUB}/blob/main/docs/alarms.md", "../alarms.md"),
        ("alarms", "https://opentelemetry.io/docs/", "https://opentelemetry.io/docs/"),
    ],
)
def test_links_of_the_site(pytestconfig, document, link, expected):
    """Out of the folder they lead to GitHub, and addresses of GitHub that lead into it stay on the site."""
    text = f"[a]({link})\n\n```text\n[b](../examples/canary.py)\n```\n"
    assert rewritten(text, document, pytestconfig.rootpath) == text.replace(f"[a]({link})", f"[a]({expected})")


def test_lists_and_tables_are_the_navigation():
    """Items that begin with a link to a page, each once, in their order; links elsewhere do not count."""
    text = "# T\n\n- [A](a.md): see [B](b.md)\n- [C](c.md#x)\n| [D](d.ipynb) | e |\n- [A](a.md)\n- [F](https://f.md)\n"
    assert entries(text) == ["a", "d"]


def test_a_page_that_no_list_names_is_not_lost(tmp_path):
    """It comes at the end of the how-to guides."""
    (tmp_path / "index.md").write_text("- [How](how-to.md)\n- [D](decisions/README.md)\n", encoding="utf-8")
    (tmp_path / "how-to.md").write_text("- [A](a.md)\n", encoding="utf-8")
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions" / "README.md").write_text("- [E](e.md)\n", encoding="utf-8")
    documents = ["index", "how-to", "a", "b", "decisions/README", "decisions/e", "api/index"]
    assert unlisted(tmp_path, documents) == ["b"]


def test_a_bar_is_a_bar():
    """Not a substitution; code keeps it."""
    lines = ["|p - q| of ``a | b``"]
    readable("function", None, lines)
    assert lines == [r"\|p - q\| of ``a | b``"]


def test_a_constant_without_a_docstring_has_none():
    """Not that of its type."""
    lines = (dict.__doc__ or "").splitlines()
    readable("data", {}, lines)
    assert lines == []
