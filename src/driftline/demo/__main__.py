"""``python -m driftline.demo``: see `driftline.demo`."""

from __future__ import annotations

import sys

STOPPED = 130
"""The exit code of a program that Ctrl-C has ended (128 + SIGINT)."""


def main() -> int:
    """Run the demo; the exit code."""
    try:
        # Imported here: it takes a second or two, and Ctrl-C ends that as quietly as all the rest.
        from driftline.demo.command import run  # noqa: PLC0415

        interrupted = run(sys.argv[1:])
    except KeyboardInterrupt:
        interrupted = True
    return STOPPED if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
