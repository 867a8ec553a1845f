"""
Measures the join, its cost and the estimate of accuracy, and writes the figures into ``docs/outcomes.md``.

Run: ``python benchmarks/outcomes/run.py [--rows N] [--employment DIR] [--cbpe PYTHON]``; see the three files beside it.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "outcomes.md"
MARK = "<!-- measured by benchmarks/outcomes/run.py: {} -->"


def measured(script: str, *arguments: str) -> str:
    """What a script prints."""
    done = subprocess.run(  # noqa: S603 - the files beside this one
        [sys.executable, str(HERE / script), *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    sys.stdout.write(done.stdout)
    return done.stdout.strip()


def replace(page: str, part: str, text: str) -> str:
    """Put *text* between the two marks of a part."""
    begin, end = MARK.format(part), MARK.format(f"end of {part}")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        msg = f"{PAGE.name} has no marks for {part!r}"
        raise ValueError(msg)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    """Measure all and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--employment")
    parser.add_argument("--cbpe")
    asked = parser.parse_args()
    data = [part for name in ("employment", "cbpe") if (value := getattr(asked, name)) for part in (f"--{name}", value)]
    machine = f"Python {platform.python_version()}, {platform.machine()}.\n\n"
    page = PAGE.read_text(encoding="utf-8")
    page = replace(page, "join", f"```\n{measured('join.py', '--rows', str(asked.rows))}\n```")
    page = replace(page, "cost", machine + measured("cost.py"))
    page = replace(page, "estimate", measured("estimate.py", *data))
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
