"""`Reference`: bins, counts and dependence of the training data, with which windows are compared."""

from __future__ import annotations

from driftline.reference._learn import Learn
from driftline.reference._reference import Reference

__all__ = ["Learn", "Reference"]
