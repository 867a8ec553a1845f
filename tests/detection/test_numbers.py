"""Numbers of sentences have one form, and are rounded to the side that stays true."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.detection._numbers import format_error, format_number, format_share, resolution_of


@pytest.mark.parametrize(
    ("value", "resolution", "towards", "written"),
    [
        (0.30000000000000004, 0.0, 0, "0.3"),
        (float(np.float32(0.1)), 0.0, 0, "0.1"),
        (1_000_000_050.0, 0.0, 0, "1000000050"),
        (1 / 3, 0.0, 0, "0.333333333333"),
        (5e-324, 0.0, 0, "5e-324"),
        (1e300, 0.0, 0, "1e+300"),
        (1e300, 1e-5, 0, "1e+300"),
        (1.234e-9, 1e-11, 0, "1.23e-9"),
        (-0.0004, 0.001, 0, "0"),
        (-0.0004, 0.001, -1, "-0.001"),
        (4.2301, 0.01, 1, "4.24"),
        (4.23, 0.01, 1, "4.23"),
        (4.2399, 0.01, -1, "4.23"),
        (1_700_500_123.0, 100.0, 1, "1700500200"),
    ],
)
def test_numbers(value, resolution, towards, written):
    assert format_number(value, resolution, towards) == written


def test_errors_are_never_too_small():
    for error in np.random.default_rng(0).lognormal(0, 9, 1_000).tolist():
        assert error <= float(format_error(error)) <= error * 1.1


def test_shares_near_0_and_1_are_not_written_as_0_and_1():
    for share in np.random.default_rng(0).uniform(0, 0.002, 1_000).tolist():
        for each in (share, 1.0 - share):
            written = format_share(each)
            assert 0.0 < float(written.rstrip("%")) < 100.0
            assert abs(float(written.rstrip("%")) / 100 - each) <= 0.0005 + 1e-12
    assert [format_share(share) for share in (0.0, 0.5, 1.0)] == ["0.0%", "50.0%", "100.0%"]


@pytest.mark.parametrize("size", [0.0, np.inf, np.nan])
def test_a_size_without_digits_has_no_resolution(size):
    assert resolution_of(size, 4) == 0.0
