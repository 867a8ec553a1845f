"""Bins of features: fitted to training data, then values to bin numbers and bin numbers to counts."""
