"""Comparison with `ville`, an independent implementation of anytime-valid tests."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from driftline._windows.totals import DURATION_EDGES
from driftline.canary import Moments
from driftline.canary._evalues.bounds import rate_difference_bounds
from driftline.canary._evalues.latencies import Latencies
from driftline.canary._evalues.means import EFFECT, log_e_two_means, log_normal_cdf
from driftline.canary._evalues.quantiles import QuantileComparison
from driftline.canary._evalues.rates import log_e_one_rate

ville = pytest.importorskip("ville", reason="ville is in the group test")


def test_the_normal_mixture_is_that_of_ville():
    """At ville's boundary, the logarithm of driftline's e-value is ln(1/alpha)."""
    for alpha in (0.05, 0.001):
        for v in (10.0, 500.0, 1e5):
            rho = 1.0 / EFFECT**2
            boundary = float(ville.normal_mixture(np.array([v]), alpha, rho, one_sided=True)[0])
            known, z = v / (v + rho), boundary / math.sqrt(v)
            log_e = (
                0.5 * math.log1p(-known) + 0.5 * known * z * z + math.log(2.0) + log_normal_cdf(z * math.sqrt(known))
            )
            assert log_e == pytest.approx(-math.log(alpha), abs=1e-6)


def test_harm_of_means_is_certain_as_early_as_in_ville():
    """Two arms of unit variance and equal size, against ville's A/B test."""
    random = np.random.default_rng(12)
    n = 4_000
    y = np.where(np.arange(n) % 2 == 1, 0.2, 0.0) + random.normal(size=n)
    treated = np.arange(n) % 2
    test = ville.AsymptoticABTest(alpha=0.1, propensity=0.5, t_opt=2_000).fit(y, treated)
    ville_look = int(np.flatnonzero(np.asarray(test.lower_) > 0)[0])
    our_look = next(
        look
        for look in range(200, n, 20)
        if log_e_two_means([(Moments.of(y[:look][::2]), Moments.of(y[:look][1::2]))]) >= math.log(20)
    )
    assert 0.5 < our_look / ville_look < 2.0


def test_evidence_about_a_rate_is_close_to_villes_beta_mixture():
    """A mixture over a grid and a mixture over a Beta distribution differ by a few units in the exponent."""
    for p0, p in ((0.05, 0.08), (0.05, 0.05), (0.5, 0.6), (0.01, 0.03)):
        x = (np.random.default_rng(3).random(3_000) < p).astype(float)
        expected = float(ville.BernoulliTest(p0, alpha=0.05).fit(x).log_e_values_[-1])
        log_e = float(log_e_one_rate([x.sum()], [len(x)], limit=[p0], side=0))
        assert log_e == pytest.approx(expected, abs=4.0)


def test_bounds_of_rates_are_narrower_than_villes():
    """The difference of two rates lies in both intervals."""
    random = np.random.default_rng(8)
    for p, q in ((0.02, 0.04), (0.2, 0.2)):
        n = 5_000
        a, b = (random.random(n) < p).astype(float), (random.random(n) < q).astype(float)
        lower, upper = rate_difference_bounds([a.sum()], [n], [b.sum()], [n], lower=0.025, upper=0.025)
        interval_a, interval_b = (ville.BernoulliCS(alpha=0.025).fit(x).interval() for x in (a, b))
        low, high = interval_b[0] - interval_a[1], interval_b[1] - interval_a[0]
        assert lower <= q - p <= upper
        assert low <= q - p <= high
        assert upper - lower < high - low


def test_bins_of_a_quantile_lie_within_villes_bounds():
    """Ville's bounds use the variance of a coin; driftline uses that of the quantile, which is smaller."""
    seconds = np.random.default_rng(5).lognormal(-4, 0.5, 3_000)
    counts = np.bincount(np.searchsorted(DURATION_EDGES, seconds, side="right"), minlength=len(DURATION_EDGES) + 1)
    latencies = Latencies(counts[None].astype(float), counts[None].astype(float), DURATION_EDGES)
    bins = QuantileComparison(latencies, 0.95).location.bins(0.05, 1.0)
    low, high = ville.QuantileCS(q=0.95, alpha=0.05, t_opt=3_000).fit(seconds).interval()
    assert low < latencies.edges[bins[0]] * 1.03
    assert latencies.edges[bins[-1]] < high * 1.03


@pytest.mark.slow
def test_the_benchmark_runs():
    """A single command runs every scenario, here with three runs each."""
    script = Path(__file__).parents[2] / "benchmarks/canary/run.py"
    command = [sys.executable, script, "--runs", "3", "--looks", "20", "--dry"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.count("driftline, whole policy") == 10
    assert "ville, asymptotic sequence" in printed
