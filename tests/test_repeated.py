"""Logistic regression on repeated looks: against statsmodels, closed forms and brute force."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from salesops.stats import repeated
from salesops.stats.repeated import Levels


@pytest.fixture
def looks():
    random = np.random.default_rng(3)
    case = np.repeat(np.arange(150), 4)
    x = random.normal(size=(600, 2)) + random.normal(size=150)[case, None]
    y = random.random(600) < expit(-0.5 + x @ [0.8, -0.4] + random.normal(size=150)[case])
    return x, y, case


def test_errors_are_those_of_statsmodels_over_clusters(looks):
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    x, y, case = looks
    found = repeated.fit(x, y, case=case, penalty=1e-9)
    design = np.column_stack([np.ones(600), x])
    options = {"cov_type": "cluster", "cov_kwds": {"groups": case, "use_correction": False}}
    other = GLM(y.astype(float), design, family=Binomial()).fit(**options)
    np.testing.assert_allclose(found.coefficients, other.params, rtol=1e-5)
    np.testing.assert_allclose(found.covariance, other.cov_params(), rtol=1e-4)
    assert np.diag(repeated.fit(x, y, case=np.arange(600)).covariance)[0] < 0.8 * found.covariance[0, 0]


def test_the_order_of_looks_and_the_names_of_cases_do_not_matter(looks):
    x, y, case = looks
    one = repeated.fit(x, y, case=case)
    order = np.random.default_rng(0).permutation(600)
    other = repeated.fit(x[order], y[order], case=np.array([f"D-{each}" for each in case])[order])
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-9)


def test_log_odds_are_the_sum_of_the_terms(looks):
    x, y, case = looks
    found = repeated.fit(x, y, case=case)
    row = np.r_[1.0, x[7]]
    assert repeated.log_odds(found, x[7:8])[0] == pytest.approx(row @ found.coefficients)


def test_levels_maximise_the_likelihood_with_half_a_success_and_half_a_failure():
    random = np.random.default_rng(1)
    odds, group = random.normal(-1, 1, 90), np.repeat([0, 1, 2], 30)
    outcome = random.random(90) < expit(odds + np.array([-0.6, 0.0, 0.9])[group])
    outcome[group == 0] = False
    found = repeated.levels(odds, outcome, group, n_groups=4)
    for number in range(4):
        mine = group == number

        def loss(level, mine=mine):
            x = odds[mine] + level
            return (np.logaddexp(0, x) - outcome[mine] * x).sum() + np.logaddexp(0, level) - level / 2

        best = minimize_scalar(loss, bounds=(-8, 8), method="bounded", options={"xatol": 1e-9}).x
        assert found.level[number] == pytest.approx(best, abs=1e-5)
    assert found.level[3] == 0 and found.error[3] == pytest.approx(2.0)


def test_next_level_is_the_conditional_normal_of_a_local_level(monkeypatch):
    """Against the joint normal distribution of all groups, written out as a matrix."""
    drift, shock, first, error = 0.15, 0.25, 0.5, np.array([0.2, 0.1, 0.3, 0.15])
    monkeypatch.setattr(repeated, "_DRIFTS", np.array([drift]))
    monkeypatch.setattr(repeated, "_SHOCKS", np.array([shock]))
    monkeypatch.setattr(repeated, "_JUMP_CHANCE", 1e-12)
    seen = np.array([0.3, -0.2, 0.5, 0.4])
    drawn = repeated.next_level(Levels(seen, error), 20_000)
    at = np.arange(5)
    joint = first**2 + drift**2 * np.minimum(at[:, None], at) + shock**2 * np.eye(5)
    known = joint[:4, :4] + np.diag(error**2)
    mean = joint[4, :4] @ np.linalg.solve(known, seen)
    variance = joint[4, 4] - joint[4, :4] @ np.linalg.solve(known, joint[:4, 4])
    assert drawn.mean() == pytest.approx(mean, abs=2e-3)
    assert drawn.std() == pytest.approx(np.sqrt(variance), rel=5e-3)


def test_without_groups_the_prior_is_drawn():
    drawn = repeated.next_level(Levels(np.zeros(0), np.zeros(0)), 4000)
    assert drawn.mean() == pytest.approx(0, abs=0.01) and 0.5 < drawn.std() < 0.6


@pytest.mark.parametrize(("shock", "low", "high"), [(0.0, 0.03, 0.13), (0.3, 0.2, 0.45)])
def test_the_spread_of_the_next_level_is_that_of_those_before(shock, low, high):
    spreads = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        seen = shock * random.normal(size=12) + 0.15 * random.normal(size=12)
        spreads.append(repeated.next_level(Levels(seen, np.full(12, 0.15)), 400).std())
    assert low < np.mean(spreads) < high


def test_after_a_jump_the_new_level_counts():
    error = np.full(10, 0.12)
    after = repeated.next_level(Levels(np.array([-0.5] * 7 + [0.5] * 3), error), 2000)
    assert 0.35 < after.mean() < 0.55
    once = repeated.next_level(Levels(np.array([0.5] + [0.0] * 9), error), 2000)
    assert abs(once.mean()) < 0.08


def test_draws_follow_the_seed():
    found = Levels(np.array([0.1, -0.1]), np.array([0.2, 0.2]))
    one, same, other = (repeated.next_level(found, 50, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any() and np.allclose(np.sort(one), np.sort(other))
