"""What goes wrong within driftline while serving: counted, logged once per place, and never the host's business."""

from __future__ import annotations

import logging
import threading

__all__ = ["Guard"]

_log = logging.getLogger("driftline")


class Guard:
    """
    Counts errors per place and logs the first of each.

    Args:
        model: whose errors these are.
        on_error: ``"log"``, or ``"raise"`` for tests.
    """

    __slots__ = ("_lock", "_model", "_raises", "counts")

    def __init__(self, model: str, on_error: str) -> None:
        self._model = model
        self._raises = on_error == "raise"
        self.reset()

    def reset(self) -> None:
        """Forget what was counted: the child of a fork starts here."""
        self._lock = threading.Lock()
        self.counts: dict[str, int] = {}

    def note(self, place: str, message: str) -> None:
        """Count something at *place* that is not as it should be; log the first."""
        with self._lock:
            count = self.counts.get(place, 0) + 1
            self.counts[place] = count
        if count == 1:
            _log.warning(
                "model %s, %s: %s. The model serves on; what follows of this kind is counted in ml.monitor.errors.",
                self._model,
                place,
                message,
            )

    def caught(self, place: str, error: Exception) -> None:
        """
        Count an exception at *place*.

        Raises:
            Exception: the same one, with ``on_error="raise"``.
        """
        if self._raises:
            raise error
        self.note(place, repr(error)[:500])
