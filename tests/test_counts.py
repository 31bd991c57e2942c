"""Counts against published limits and the coverage they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from salesops.stats import counts


# Garwood (1936), table; as in Ulm (1990), Am. J. Epidemiol. 131:373-375: 95 % limits of a count.
@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904)])
def test_published_limits(count, low, high):
    found = counts.poisson_interval(count)
    assert [limit[0] for limit in found] == pytest.approx([low, high], abs=1e-4)


def test_no_exposure_is_unknown():
    low, high = counts.poisson_interval([3, 0], [0, 0])
    assert np.isnan(low).all() and np.isnan(high).all()


@settings(deadline=None)
@given(st.integers(0, 500), st.floats(0.1, 100))
def test_rate_lies_between_its_limits_and_scales(count, exposure):
    low, high = counts.poisson_interval(count, exposure)
    assert low[0] <= count / exposure <= high[0]
    one = counts.poisson_interval(count)
    assert (low[0] * exposure, high[0] * exposure) == (pytest.approx(one[0][0]), pytest.approx(one[1][0]))


@pytest.mark.parametrize("rate", [0.5, 3.0, 20.0])
def test_limits_cover_at_least_what_they_say(rate):
    seen = np.arange(0, 200)
    low, high = counts.poisson_interval(seen, 1.0, 0.9)
    covered = poisson.pmf(seen, rate)[(low <= rate) & (rate <= high)].sum()
    assert covered >= 0.9
