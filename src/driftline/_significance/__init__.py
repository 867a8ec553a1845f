"""Tests counts for differences, with p-values that allow for the dependence between rows."""
