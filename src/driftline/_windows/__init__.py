"""Counts in the panes of a ring, and since the start of the process."""
