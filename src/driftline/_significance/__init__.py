"""Counts to p-values that account for the dependence between rows."""
