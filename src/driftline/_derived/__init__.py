"""Features computed from other features: projections, vectors and user functions."""
