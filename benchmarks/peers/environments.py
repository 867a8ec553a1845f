"""An environment for each peer, made once and kept outside the repository, because their requirements conflict."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
IMPORTS = {
    "whylogs": "import whylogs",
    "bentoml": "import bentoml; bentoml.monitor",
    "river": "from river import drift",
    "frouros": "from frouros.detectors.concept_drift import PageHinkley",
    "evidently": "from evidently import Report; from evidently.presets import DataDriftPreset",
    "nannyml": "import nannyml",
}
"""The imports of a program that uses the peer."""


def cache() -> Path:
    """Return the folder of the environments."""
    folder = os.environ.get("DRIFTLINE_BENCH_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(folder) if folder else home / "driftline" / "bench"


def environments(names: Mapping[str, str] = IMPORTS) -> dict[str, Path | str]:
    """Return the Python of each peer, or the reason why there is none."""
    return {name: _environment(name, imported) for name, imported in names.items()}


def _environment(name: str, imported: str) -> Path | str:
    wanted = (HERE / f"{name}.txt").read_bytes() + sys.version.encode()
    folder = cache() / f"{name}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {name}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / f"{name}.txt"]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)  # noqa: S603 - this folder's files
        if done.returncode:
            return f"did not install: {_last(done.stderr)}"
        (folder / "ready").touch()
    done = subprocess.run(  # noqa: S603 - as above
        [python, "-c", imported], capture_output=True, text=True, check=False, cwd=folder
    )
    return f"installs and cannot be imported: {_last(done.stderr)}" if done.returncode else python


def size(python: Path) -> float:
    """Return the bytes of the installed packages without pip and without compiled Python files."""
    folder = next((python.parent.parent / "lib").glob("python*/site-packages"))
    return float(
        sum(
            file.stat().st_size
            for file in folder.rglob("*")
            if file.is_file()
            and file.suffix != ".pyc"
            and not file.relative_to(folder).parts[0].startswith(("pip", "setuptools"))
        )
    )


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "no message"
