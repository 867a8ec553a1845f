"""The reference: bins, counts and dependence of the training data, which windows are compared with."""

from __future__ import annotations

from driftline.reference._reference import Learn, Reference

__all__ = ["Learn", "Reference"]
