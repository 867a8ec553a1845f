"""Makes the values of a reference: how good it is as a yardstick."""

from __future__ import annotations

from driftline._report.values import ReferenceValues
from driftline.reference import Reference

__all__ = ["reference_values"]

MAX_MISSING = 5
"""Features with missing values that are listed, those with most of them first."""


def reference_values(reference: Reference) -> ReferenceValues:
    """Return the values of a reference."""
    check = reference.check
    missing = sorted(
        ((feature.name, feature.counts[-1] / max(sum(feature.counts), 1)) for feature in reference.watched),
        key=lambda pair: -pair[1],
    )
    return ReferenceValues(
        rows=reference.rows,
        features=len(reference.features),
        fingerprint=reference.fingerprint,
        check=None if check is None else check.words,
        warning="" if check is None else check.warning,
        block_rows=None if check is None else check.block_rows,
        blocks=None if check is None else check.blocks,
        independent=None if check is None or not check.feature else check.independent,
        corrected=None if check is None or not check.feature else check.corrected,
        worst=None if check is None or not check.feature else check.feature,
        effective=None if check is None or not check.whole else check.whole,
        seasons=() if reference.seasons is None else tuple(reference.seasons.kinds),
        missing=tuple((name, share) for name, share in missing[:MAX_MISSING] if share > 0),
    )
