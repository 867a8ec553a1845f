"""Anytime-valid tests of rates, means, quantiles and histograms."""
