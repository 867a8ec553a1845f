"""Columns to bin numbers, bin numbers to counts."""
