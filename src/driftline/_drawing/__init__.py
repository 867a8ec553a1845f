"""Numbers to text and SVG. It knows nothing of driftline's values, so that any of them can draw itself."""
