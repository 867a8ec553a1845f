"""What callers pass, read into rows and columns."""
