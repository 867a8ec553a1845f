"""
Measures the join, its cost, the metrics and the estimate of accuracy.

It writes the tables of ``docs/results/outcomes.md``.

The summary at the top of that page is written by hand.

Run: ``python benchmarks/outcomes/run.py [--rows N] [--nannyml DIR] [--cbpe PYTHON]``.
The other files of this folder explain the options.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "results" / "outcomes.md"
MARK = "<!-- measured by benchmarks/outcomes/run.py: {} -->"


def run_script(script: str, *arguments: str) -> str:
    """Run a script of this folder and return its output."""
    process = subprocess.run(  # noqa: S603 - a file of this folder
        [sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    sys.stdout.write(process.stdout)
    return process.stdout.strip()


def replace(page: str, part: str, text: str) -> str:
    """Replace the text between the two marks of a part."""
    begin, end = MARK.format(part), MARK.format(f"end of {part}")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        msg = f"{PAGE.name} has no marks for {part!r}"
        raise ValueError(msg)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    """Run all benchmarks and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--nannyml")
    parser.add_argument("--cbpe")
    arguments = parser.parse_args()
    options = {"--nannyml": arguments.nannyml, "--cbpe": arguments.cbpe}
    data = [part for name, value in options.items() if value for part in (name, value)]
    machine = f"Python {platform.python_version()}, {platform.machine()}.\n\n"
    page = PAGE.read_text(encoding="utf-8")
    page = replace(page, "join", f"```\n{run_script('join.py', '--rows', str(arguments.rows))}\n```")
    page = replace(page, "cost", machine + run_script("cost.py"))
    page = replace(page, "exactness", run_script("exactness.py"))
    page = replace(page, "estimate", run_script("estimate.py", *data))
    page = replace(page, "estimate coverage", run_script("estimate_coverage.py"))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
