"""The entry point of ``python -m driftline.demo``: see `driftline.demo`."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""The exit code after Ctrl-C (128 + SIGINT)."""


def main() -> int:
    """Run the demo and return the exit code."""
    try:
        # The import takes a second or two. It happens here, so that Ctrl-C ends it without a traceback.
        from driftline.demo.command import run  # noqa: PLC0415

        interrupted = run(sys.argv[1:])
    except KeyboardInterrupt:
        interrupted = True
    return INTERRUPTED if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
