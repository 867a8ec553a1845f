"""What stands between captured columns and their bins: features made of others, and detectors that look on."""

from __future__ import annotations

from collections.abc import Callable

from driftline._binning import Layout
from driftline._capture import Capture
from driftline._deriving import Columns, Deriver, StagedLayout
from driftline._detecting import Detecting
from driftline._detectors import unwatched
from driftline._guard import Guard
from driftline._settings import Settings
from driftline._values import StateChange
from driftline._vector_capture import capture_of
from driftline.reference import Learn, Reference

__all__ = ["capture_for", "detecting_for", "layout_for"]


def detecting_for(settings: Settings, changed: Callable[[StateChange], None], guard: Guard) -> Detecting | None:
    """The detectors at work; None where there are none."""
    if not settings.detectors or not settings.enabled:
        return None
    raises = settings.on_error == "raise"
    return Detecting(settings.detectors, settings.window, settings.clock, changed, guard.note, raises=raises)


def layout_for(reference: Reference, settings: Settings, detecting: Detecting | None, guard: Guard) -> Layout:
    """The layout of what is counted: a plain one where every column is a feature and no detector looks on."""

    def not_derived(name: str, error: Exception) -> None:
        if settings.on_error == "raise":
            raise error
        # Its type alone: the message may quote the row, which stays here.
        guard.note("derive", f"derive[{name!r}] raised {type(error).__name__}, its value is missing")

    stages: list[Callable[[Columns, int], Columns]] = []
    if reference.derived is not None:
        stages.append(Deriver(reference.derived, settings.derive, not_derived))
    if detecting is not None:
        names = [one.name for one in reference.watched]
        stages.append(detecting.watch(names, unwatched(reference, settings.detectors)))
    return StagedLayout(reference.watched, stages, reference.derived) if stages else Layout(reference.watched)


def capture_for(
    reference: Reference | Learn, names: tuple[str, ...], guard: Guard, dropped: Callable[[str, int], None]
) -> Capture:
    """The capture of rows of these columns."""
    if isinstance(reference, Learn):
        return capture_of(names, reference.vectors, guard.note, dropped)
    vectors = () if reference.derived is None else tuple(vector.column for vector in reference.derived.vectors)
    return capture_of(names, vectors, guard.note, dropped)
