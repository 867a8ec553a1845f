"""Projections of alternatives onto the edge of a null hypothesis, and likelihood ratios of single trials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from driftline.canary._evalues.projections import MARGIN_RATES, alternatives, log_ratios, project, with_rates

EDGES = [(1.0, 0.0), (1.0, 0.05), (1.3, 0.02), (0.9, 0.12)]


@pytest.mark.parametrize(("slope", "offset"), [*EDGES, (0.8, 0.25), (1.0, -0.1)])
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("share", [0.5, 0.05, 0.97])
def test_projections_are_the_nearest_points_of_the_null_hypothesis(slope, offset, side, share):
    """Compared with scipy's minimiser, for each alternative of the mixture."""
    baseline, candidate, _ = alternatives(slope, offset, side)
    projections = project(baseline, candidate, np.array([share]), slope, offset)

    def divergence(q, a, b):
        def kl(p, r):
            return p * np.log(p / r) + (1 - p) * np.log((1 - p) / (1 - r))

        return (1 - share) * kl(a, q) + share * kl(b, slope * q + offset)

    least = max(1e-12, (1e-12 - offset) / slope)
    most = min(1 - 1e-12, (1 - 1e-12 - offset) / slope)
    for q, a, b in zip(projections, baseline, candidate, strict=True):
        best = minimize_scalar(divergence, (least, most), args=(a, b), bounds=(least, most), options={"xatol": 1e-14})
        assert divergence(q, a, b) <= best.fun + 1e-9


@pytest.mark.parametrize(("slope", "offset"), [(1.1, 0.005), (1.0, 1e-4), (1.0, -1e-9), (1e-6, 0.999), (2.0, 0.0)])
@pytest.mark.parametrize("side", [1, -1])
def test_projections_of_extreme_edges_are_between_the_alternative_and_its_inverse(slope, offset, side):
    """Also where one variant has nearly all trials, or all of them."""
    baseline, candidate, _ = alternatives(slope, offset, side)
    share = np.array([0.0, 1e-9, 0.5, 1 - 1e-9, 1.0])[:, None]
    q = project(baseline, candidate, share, slope, offset)
    inverse = (candidate - offset) / slope
    assert (q >= np.minimum(baseline, inverse) - 1e-12).all()
    assert (q <= np.maximum(baseline, inverse) + 1e-12).all()
    assert q[0] == pytest.approx(baseline, rel=1e-6)


def test_fewer_alternatives_have_the_same_weights():
    whole = log_ratios(np.array([0.3]), slope=1.1, offset=0.005, side=-1)
    kept = with_rates(MARGIN_RATES[3:5])
    part = log_ratios(np.array([0.3]), slope=1.1, offset=0.005, side=-1, kept=kept)
    assert np.isin(alternatives(1.1, 0.005, -1)[0][kept], MARGIN_RATES[3:5]).all()
    assert part.weights == pytest.approx(whole.weights[kept])
    assert part.bad_candidate == pytest.approx(whole.bad_candidate[:, kept])


def test_trials_that_all_strata_share_give_the_same_ratios_as_their_own():
    """Counts of several canaries have an axis in front; a product of matrices serves both."""
    random = np.random.default_rng(1)
    share = random.random(5)
    counts = random.integers(0, 50, (4, 3, 5)).astype(float)
    shared, own = log_ratios(share, offset=0.01), log_ratios(np.broadcast_to(share, (3, 5)), offset=0.01)
    assert shared.of(*counts) == pytest.approx(own.of(*counts))
