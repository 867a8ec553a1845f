"""The reference that windows are compared with: bins, counts and dependence of the training data."""

from __future__ import annotations

from driftline.reference._reference import Learn, Reference

__all__ = ["Learn", "Reference"]
