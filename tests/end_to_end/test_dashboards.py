"""Every query of every panel and of every choice has data in the real Prometheus, filled by a real service."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest
from shown import CHOICES, SERVICE, filled, read, serving

from driftline.cli import main
from driftline.fleet._promql import TEMPORALITIES

pytestmark = pytest.mark.real

pytest.importorskip("grafana_foundation_sdk", reason="Grafana's SDK needs Python 3.11")

STYLES = {
    "underscores": "",
    "utf8": "translation_strategy: NoTranslation",
    "utf8-with-suffixes": "translation_strategy: NoUTF8EscapingWithSuffixes",
    "underscores-without-suffixes": "translation_strategy: UnderscoreEscapingWithoutSuffixes",
}
"""The option of Prometheus for each style of names."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def values_of(prometheus, variable):
    """Return the values of a choice, as Grafana reads them."""
    query = filled(variable["query"])
    if labelled := re.fullmatch(r"label_values\((.*), (\w+)\)", query):
        matches = urllib.parse.urlencode({"match[]": labelled[1]})
        with _direct.open(f"{prometheus.url}/api/v1/label/{labelled[2]}/values?{matches}", timeout=10) as response:
            return json.load(response)["data"]
    inner = re.fullmatch(r"query_result\((.*)\)", query)[1]
    pattern = re.compile(variable["regex"].strip("/"))
    # As Grafana writes a series: its labels in braces.
    texts = ["{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" for labels, _ in prometheus.query(inner)]
    return [match[1] for text in texts if (match := pattern.search(text))]


@pytest.mark.slow
@pytest.mark.parametrize("names", STYLES)
def test_every_panel_has_data(names, run_prometheus, tmp_path, eventually):
    """Of a service whose features drift, whose candidate fails, whose rows are dropped and whose events are lost."""
    folder, rules, reference = tmp_path / "dashboards", tmp_path / "rules.yaml", tmp_path / "reference.json"
    folder.mkdir()
    assert main(["dashboards", str(folder), "--names", names]) == 0
    # The rules need the reference, which the service writes with the same bins.
    subprocess.run(
        [sys.executable, "-c", f"import watched; watched.fit().save({str(reference)!r})"],
        check=True,
        cwd=SERVICE.parent,
    )
    command = ["rules", "--names", names, "--reference", f"flight-delay={reference}", "--output", str(rules)]
    assert main(command) == 0
    more = f"\nrule_files: [{rules}]\n"
    with (
        run_prometheus(STYLES[names], server_option="evaluation_interval: 1s", more=more) as prometheus,
        serving(prometheus.url, reference, 12, {}),
    ):
        choices = {**CHOICES, "window": "1m"}
        for file in sorted(folder.iterdir()):
            dashboard, panels = read(file)
            assert len(panels) >= 10
            for variable in dashboard["templating"]["list"]:
                if variable["type"] == "query":
                    assert values_of(prometheus, variable), variable["name"]
            for panel in panels:
                for target in panel["targets"]:
                    # A number that is 0 without data must not be so here.
                    expression = filled(target["expr"], choices).removesuffix(" or vector(0)")
                    data = eventually(lambda e=expression: bool(prometheus.query(e)), True, 15)
                    assert data, f"{panel['title']}: {expression}"


@pytest.mark.parametrize("server", ["run_prometheus", "run_victoria_metrics"])
def test_servers_understand_the_queries_of_each_dialect(server, request, tmp_path):
    """Of delta counters too, which no server here holds: an empty one answers all of them."""
    with request.getfixturevalue(server)() as running:
        check_queries(running, tmp_path)


def check_queries(running, tmp_path):
    """Send each query of each dialect to an empty server."""
    for names, temporality in itertools.product(STYLES, TEMPORALITIES):
        command = ["dashboards", str(tmp_path), "--names", names, "--temporality", temporality]
        assert main([*command, "--selector", 'namespace="prod"']) == 0
        for file in tmp_path.glob("driftline-*.json"):
            for panel in read(file)[1]:
                for target in panel["targets"]:
                    assert 'namespace="prod"' in target["expr"] or "ml_reference_rows" in target["expr"]
                    assert running.query(filled(target["expr"]).removesuffix(" or vector(0)")) == []
