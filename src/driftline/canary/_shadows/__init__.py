"""Shadows: the candidate repeats the baseline's calls in the background, and its outputs are compared."""
