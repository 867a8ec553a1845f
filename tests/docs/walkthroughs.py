"""Walk through a page as a reader: write its files, and run its commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from processes import free_port

ROOT = Path(__file__).parents[2]
MARK = "<!-- walkthrough: "
PAGES = [page for page in sorted((ROOT / "docs").glob("*.md")) if MARK in page.read_text(encoding="utf-8")]
TUTORIAL = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"(?P<before>[^\n]*)\n+```(?P<language>\w+)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)
PROMETHEUS = "localhost:9090"
SECONDS = 120.0
"""Seconds until an alert; reached only when a test fails."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Command(NamedTuple):
    """A command of a page, and the lines below it, in which three dots stand for anything."""

    line: str
    shown: str


def steps(page):
    """Yield the files, as (name, text), and the commands of a page in their order."""
    text = page.read_text(encoding="utf-8")
    position = 0
    for block in BLOCK.finditer(text):
        above = text[position : block.start("text")].rsplit("\n\n", 2)
        position = block.end()
        if any("<!-- not run: " in part for part in above[-2:]):
            continue
        if block["language"] == "console":
            for entry in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
                line, _, shown = entry.partition("\n")
                yield Command(line, shown.strip())
        else:
            names = re.findall(r"`([\w.]+\.(?:py|yaml))`", " ".join(above))
            assert names, f"no name of a file before:\n{block['text']}"
            yield names[-1], block["text"]


class Walk:
    """A reader in an empty folder, with the programs of this environment."""

    def __init__(self, folder, port):
        self.folder, self.port, self.running = folder, port, []
        self.environment = {**os.environ, "PYTHONUTF8": "1", "NO_PROXY": "localhost,127.0.0.1"}
        self.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(self, command):
        """Run a command, and return what it prints; of an endless one, nothing yet."""
        line = command.line.replace(PROMETHEUS, f"127.0.0.1:{self.port}")
        if line.startswith("export "):
            self.environment.update(entry.split("=", 1) for entry in shlex.split(line)[1:])
            return None
        if line.endswith("&") or "serve.py" in line:
            line = line.removesuffix("&").replace(
                "--web.enable", f"--web.listen-address=127.0.0.1:{self.port} --web.enable"
            )
            output = (self.folder / f"{len(self.running)}.log").open("wb")
            self.running.append(
                subprocess.Popen(
                    shlex.split(line),
                    cwd=self.folder,
                    env=self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
            output.close()
            return None
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode in {0, 1, 2}, done.stderr  # 3 is an error of driftline
        assert "Traceback" not in done.stderr, done.stderr
        assert "The model still serves" not in done.stderr, done.stderr  # a warning of driftline
        return done.stdout

    def log(self):
        """What the last program in the background has printed."""
        return (self.folder / f"{len(self.running) - 1}.log").read_text(encoding="utf-8")


@contextmanager
def walk(folder):
    """A walk, whose programs end with it."""
    walking = Walk(folder, free_port())
    try:
        yield walking
    finally:
        for process in reversed(walking.running):
            process.send_signal(signal.SIGTERM)
        for process in walking.running:
            process.wait(60)


def agrees(shown, printed):
    """Whether an output is the one that a page shows."""
    pattern = re.escape(re.sub(r"\s+", " ", shown.strip())).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, re.sub(r"\s+", " ", printed.strip())) is not None


def until(condition):
    """Wait for a condition, and return whether it came true."""
    end = time.monotonic() + SECONDS
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.5)
    return value


def alerts(port):
    """The alerts of a Prometheus, or none while it starts."""
    try:
        with _direct.open(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=10) as response:
            return json.load(response)["data"]["alerts"]
    except OSError:
        return []
