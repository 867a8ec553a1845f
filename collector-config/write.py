"""Write the files of this folder: each is the output of `driftline collector`."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from driftline.cli import main
from driftline.fleet._collector.backends import BACKENDS

FOLDER = Path(__file__).parent

FILES = {
    **{f"{name}.yaml": f"--backend {name}" for name in BACKENDS if name != "gateway"},
    "agent.yaml": "--backend gateway",
    "gateway.yaml": "--backend prometheus --gateway",
    "fleet.yaml": "--backend prometheus --bins judge",
    "delta.yaml": "--backend local --temporality delta",
    "kubernetes/sidecar.yaml": "--backend gateway --kubernetes sidecar",
    "kubernetes/daemonset.yaml": "--backend gateway --kubernetes daemonset",
    "kubernetes/gateway.yaml": "--backend prometheus --gateway --kubernetes statefulset",
    "kubernetes/operator-daemonset.yaml": "--backend gateway --kubernetes operator",
    "kubernetes/operator-gateway.yaml": "--backend prometheus --gateway --kubernetes operator",
}
"""The arguments that write each file."""


def text_of(arguments: str) -> str:
    """Return the output of ``driftline collector``."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(printed):
        code = main(["collector", *arguments.split()])
    if code != 0:
        msg = f"driftline collector {arguments} ended with {code}"
        raise SystemExit(msg)
    printed.seek(0)
    return printed.read()


def write(*, check: bool) -> list[str]:
    """Write the files, or with *check* only compare them; return the names of those that differ."""
    changed = []
    for name, arguments in FILES.items():
        path, text = FOLDER / name, text_of(arguments)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed.append(name)
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    return changed


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    differ = write(check=check)
    print(f"{'differ' if check else 'written'}: {', '.join(differ) or 'none'}")
    sys.exit(1 if check and differ else 0)
