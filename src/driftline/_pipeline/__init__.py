"""The life of one monitor in one process."""
