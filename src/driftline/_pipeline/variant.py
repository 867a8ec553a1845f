"""What one monitored variant has done, as the counts that a canary compares."""

from __future__ import annotations

__all__ = []
