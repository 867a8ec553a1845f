"""Against `ville`, an independent implementation of anytime-valid tests."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from driftline._windows.totals import DURATION_EDGES
from driftline.canary import Moments
from driftline.canary._evalues.means import EFFECT, _log_normal_cdf, log_e_two_means
from driftline.canary._evalues.quantiles import Latencies
from driftline.canary._evalues.rates import log_e_one_rate, rate_difference_bounds

ville = pytest.importorskip("ville", reason="of the group test, from the package index")


def test_the_normal_mixture_is_vills():
    """At the boundary that ville computes the logarithm of our e-value is ln(1/alpha)."""
    for alpha in (0.05, 0.001):
        for v in (10.0, 500.0, 1e5):
            rho = 1.0 / EFFECT**2
            boundary = float(ville.normal_mixture(np.array([v]), alpha, rho, one_sided=True)[0])
            known, z = v / (v + rho), boundary / math.sqrt(v)
            ours = (
                0.5 * math.log1p(-known) + 0.5 * known * z * z + math.log(2.0) + _log_normal_cdf(z * math.sqrt(known))
            )
            assert ours == pytest.approx(-math.log(alpha), abs=1e-6)


def test_means_are_excluded_where_ville_excludes_them():
    """Two arms of unit variance and equal size: the first look with certain harm is about that of ville's A/B test."""
    random = np.random.default_rng(12)
    n = 4_000
    y = np.where(np.arange(n) % 2 == 1, 0.2, 0.0) + random.normal(size=n)
    treated = np.arange(n) % 2
    test = ville.AsymptoticABTest(alpha=0.1, propensity=0.5, t_opt=2_000).fit(y, treated)
    theirs = int(np.flatnonzero(np.asarray(test.lower_) > 0)[0])
    ours = next(
        look
        for look in range(200, n, 20)
        if log_e_two_means([(Moments.of(y[:look][::2]), Moments.of(y[:look][1::2]))]) >= math.log(20)
    )
    assert 0.5 < ours / theirs < 2.0


def test_one_rate_is_judged_like_villes_beta_mixture():
    """A mixture over a grid and one over a Beta distribution differ by a few units in the exponent."""
    for p0, p in ((0.05, 0.08), (0.05, 0.05), (0.5, 0.6), (0.01, 0.03)):
        x = (np.random.default_rng(3).random(3_000) < p).astype(float)
        theirs = ville.BernoulliTest(p0, alpha=0.05).fit(x)
        log_e = float(theirs.log_e_values_[-1])
        ours = float(log_e_one_rate([x.sum()], [len(x)], limit=[p0], side=0))
        assert ours == pytest.approx(log_e, abs=4.0)


def test_bounds_of_rates_overlap_with_villes():
    """The difference of two rates lies in both intervals, and ours is not wider."""
    random = np.random.default_rng(8)
    for p, q in ((0.02, 0.04), (0.2, 0.2)):
        n = 5_000
        a, b = (random.random(n) < p).astype(float), (random.random(n) < q).astype(float)
        lower, upper = rate_difference_bounds([a.sum()], [n], [b.sum()], [n], lower=0.025, upper=0.025)
        one, other = (ville.BernoulliCS(alpha=0.025).fit(x).interval() for x in (a, b))
        theirs = other[0] - one[1], other[1] - one[0]
        assert lower <= q - p <= upper
        assert theirs[0] <= q - p <= theirs[1]
        assert upper - lower < theirs[1] - theirs[0]


def test_places_of_a_quantile_lie_within_villes_bounds():
    """Its bounds use the variance of a coin: ours, of the quantile's own rate, are narrower."""
    seconds = np.random.default_rng(5).lognormal(-4, 0.5, 3_000)
    counts = np.bincount(np.searchsorted(DURATION_EDGES, seconds, side="right"), minlength=len(DURATION_EDGES) + 1)
    seen = Latencies(counts[None].astype(float), counts[None].astype(float), DURATION_EDGES)
    places = seen.quantile_bins(0.95, 0.05, 1.0)
    low, high = ville.QuantileCS(q=0.95, alpha=0.05, t_opt=3_000).fit(seconds).interval()
    assert low < seen.edges[places[0]] * 1.03
    assert seen.edges[places[-1]] < high * 1.03


@pytest.mark.slow
def test_the_benchmark_runs():
    """One command, every scenario; three runs say nothing, but say it in all of them."""
    script = Path(__file__).parents[2] / "benchmarks/canary/run.py"
    command = [sys.executable, script, "--runs", "3", "--looks", "20", "--dry"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.count("driftline, whole policy") == 10
    assert "ville, asymptotic sequence" in printed
