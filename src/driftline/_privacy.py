"""What is said of a feature outside of the process: no category by its name, unless the user asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from driftline._values import CategoricalBins, FeatureStatus, RetrainingRequest
from driftline.reference import Reference

__all__ = ["nameless", "nameless_request"]


def nameless(reference: Reference | None, name: str, status: FeatureStatus) -> FeatureStatus:
    """The status of a feature, with a reason that names no category."""
    if reference is None or status.state != "drifting":
        return status
    categorical = any(
        feature.name == name and isinstance(feature.bins, CategoricalBins) for feature in reference.watched
    )
    if not categorical:
        return status
    parts = [component.words for component in status.components[:1]]
    if status.effect is not None:
        parts.append(f"corrected PSI {status.effect:.3g}")
    return replace(status, reason=f"{name}: {', '.join([*parts, f'n = {status.rows}'])}")


def nameless_request(
    reference: Reference | None, request: RetrainingRequest, states: Mapping[str, FeatureStatus]
) -> RetrainingRequest:
    """The request, with a detail that names no category."""
    if request.reason != "drift":
        return request
    said = [nameless(reference, name, states[name]).reason for name in request.features]
    return replace(request, detail="; ".join(said))
