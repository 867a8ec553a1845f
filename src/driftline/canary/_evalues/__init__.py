"""Tests of rates, means, quantiles and histograms that may be read at any time; `rates` explains e-values."""
