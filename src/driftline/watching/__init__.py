"""Watch a model object: its prediction methods record their calls, and all else about the object stays as it was."""

from __future__ import annotations

from driftline.watching._watch import monitor_of, unwatch, watch

__all__ = ["monitor_of", "unwatch", "watch"]
