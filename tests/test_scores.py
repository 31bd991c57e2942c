"""Scores of stated chances: published and R numbers, oracles by loop, identities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss
from statsmodels.discrete.discrete_model import Logit

from salesops.stats import bootstrap, proportions, scores

# Patients whom surgery helped, then those whom it did not: albumin, total protein and Krebs-Goplerud score of DeLong,
# DeLong & Clarke-Pearson (1988), Biometrics 44:837-845, the 43 with all three, as SAS/STAT's manual prints them.
HELPED = np.repeat([True, False], [31, 12])
ALBUMIN, PROTEIN, KREBS = (
    np.array(values.split(), dtype=float)
    for values in (
        "3.2 3.9 3.2 1.6 3.8 3.7 3.2 3.8 4.1 3.6 4.3 2.3 3.5 3.8 4.5 3.7 3.1 4.1 4.3 4.3 3.2 2.6 3.7 3.3 4.2 3.5 2.1 4.0 3.3 3.7 3.6 "
        "3.0 2.8 0.9 2.5 3.6 4.2 4.0 3.0 3.3 1.7 2.9 2.8",
        "6.3 6.8 5.8 5.6 5.7 6.7 5.4 6.6 6.6 5.7 7.0 4.4 5.8 6.8 7.4 7.4 6.6 8.2 7.0 6.5 5.1 4.7 6.1 6.3 7.7 6.2 4.8 7.0 5.7 6.9 6.6 "
        "5.8 4.8 4.0 5.7 6.7 7.6 6.6 4.7 6.8 4.0 5.7 6.2",
        "5 3 3 5 5 6 4 6 5 5 4 6 6 7 5 5 6 6 5 4 5 6 5 7 6 5 7 7 6 5 5 10 6 5 8 4 4 6 8 6 7 9 8",
    )
)
CHANCES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.5, 0.8, 1.0]), st.floats(0.1, 3)), min_size=1
)


def drawn(n: int = 400, *, slope: float = 1.0, intercept: float = 0.0, seed: int = 0):
    random = np.random.default_rng(seed)
    chance = random.uniform(0.05, 0.7, n)
    return random.random(n) < expit(intercept + slope * logit(chance)), chance, random.uniform(0.2, 3, n)


def test_log_loss_and_brier_are_those_of_scikit_learn():
    outcome, chance, weight = drawn()
    assert scores.log_loss(outcome, chance) == pytest.approx(sklearn_log_loss(outcome, chance), rel=1e-12)
    assert scores.brier(outcome, chance) == pytest.approx(brier_score_loss(outcome, chance), rel=1e-12)
    weighted = sklearn_log_loss(outcome, chance, sample_weight=weight)
    assert scores.log_loss(outcome, chance, weight=weight) == pytest.approx(weighted, rel=1e-12)
    weighted = brier_score_loss(outcome, chance, sample_weight=weight)
    assert scores.brier(outcome, chance, weight=weight) == pytest.approx(weighted, rel=1e-12)


def test_a_sure_chance_that_fails_costs_much_and_not_everything():
    assert scores.log_loss([True, False], [0.0, 1.0]) == pytest.approx(sklearn_log_loss([1, 0], [0.0, 1.0]))
    assert 36 < scores.log_loss([True, False], [0.0, 1.0]) < 37
    assert scores.log_loss([False, True], [0.0, 1.0]) == pytest.approx(0, abs=1e-12)


def test_nothing_to_score_is_missing():
    assert np.isnan(scores.log_loss([], [])) and np.isnan(scores.brier([], []))
    assert np.isnan(scores.expected_calibration_error([], [])) and np.isnan(scores.calibration_error_by_chance([]))
    assert np.isnan(list(scores.murphy([], []).values())).all() and scores.calibration_table([], []).empty
    assert np.isnan(scores.auc([], [])).all() and np.isnan(scores.auc([1, 1], [0.2, 0.3])).all()
    assert np.isnan(bootstrap.mean_interval([])).all()


@given(rows=CHANCES, bins=st.sampled_from([None, 1, 3, 10]))
def test_murphys_parts_add_up(rows, bins):
    outcome, chance, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    parts = scores.murphy(outcome, chance, bins=bins, weight=weight)
    together = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within"]
    assert parts["brier"] == pytest.approx(together, abs=1e-12)
    assert parts["brier"] == pytest.approx(scores.brier(outcome, chance, weight=weight), abs=1e-12)
    assert parts["reliability"] >= 0 and parts["resolution"] >= 0
    if bins is None:
        assert parts["within"] == pytest.approx(0, abs=1e-12)


def test_murphys_parts_by_hand():
    # Four of five rain days forecast at 0.8, one of five at 0.2: right in both, so reliability is nothing.
    outcome = [1, 1, 1, 1, 0, 1, 0, 0, 0, 0]
    parts = scores.murphy(outcome, [0.8] * 5 + [0.2] * 5)
    assert parts["reliability"] == pytest.approx(0, abs=1e-15)
    assert parts["resolution"] == pytest.approx(0.09) and parts["uncertainty"] == pytest.approx(0.25)


def test_spiegelhalter_by_hand():
    # Terms (x - p)(1 - 2p): .12, -.12, -.12, -.08; squares (1 - 2p)^2 p (1 - p): .0096, .0336, .0576, .0576.
    z, p_value = scores.spiegelhalter([1, 0, 0, 0], [0.4, 0.3, 0.2, 0.1])
    assert z == pytest.approx(-0.2 / np.sqrt(0.1584)) and p_value == pytest.approx(0.61531, abs=1e-5)
    assert np.isnan(scores.spiegelhalter([1, 0], [0.5, 1.0])).all()


def test_spiegelhalters_z_is_standard_normal_when_the_chances_are_right():
    random = np.random.default_rng(1)
    chance = random.uniform(0.02, 0.6, 300)
    z = np.array([scores.spiegelhalter(random.random(300) < chance, chance)[0] for _ in range(4000)])
    assert abs(z.mean()) < 4 / np.sqrt(4000) and abs(z.var() - 1) < 4 * np.sqrt(2 / 4000)
    assert abs((np.abs(z) > 1.96).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 4000)
    outcome, said, _ = drawn(2000, slope=0.5)
    assert scores.spiegelhalter(outcome, said)[1] < 0.001


def test_the_calibration_line_is_that_of_a_logit_with_clusters():
    outcome, chance, _ = drawn(600)
    company = np.arange(600) // 3
    slope, intercept = scores.calibration_line(outcome, chance, cluster=company)
    fit = Logit(outcome.astype(float), np.column_stack([logit(chance), np.ones(600)])).fit(
        disp=False, cov_type="cluster", cov_kwds={"groups": company, "use_correction": False}
    )
    assert [slope.value, intercept.value] == pytest.approx(fit.params, abs=1e-8)
    error = fit.bse * np.sqrt(200 / 199)
    half = [(part.high - part.low) / 2 / 1.959963985 for part in (slope, intercept)]
    assert half == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.0), (1.6, -0.4)])
def test_the_calibration_line_finds_what_was_drawn(slope, intercept):
    found = scores.calibration_line(*drawn(20_000, slope=slope, intercept=intercept)[:2])
    assert found[0].low < slope < found[0].high and found[1].low < intercept < found[1].high


def test_a_weight_is_so_many_rows():
    outcome, chance, _ = drawn(80)
    times = np.random.default_rng(3).integers(1, 4, 80)
    again = np.repeat(outcome, times), np.repeat(chance, times)
    assert scores.calibration_line(outcome, chance, weight=times)[0].value == pytest.approx(
        scores.calibration_line(*again)[0].value
    )
    assert scores.auc(outcome, chance, weight=times).value == pytest.approx(scores.auc(*again).value)
    # The same rows as clusters of copies: the same variance.
    copies = scores.auc(*again, cluster=np.repeat(np.arange(80), times))
    alone = scores.auc(outcome, chance, weight=times, cluster=np.arange(80))
    assert list(copies) == pytest.approx(list(alone))
    bins = scores.expected_calibration_error(outcome, chance, bins=1, weight=times)
    assert bins == pytest.approx(scores.expected_calibration_error(*again, bins=1))


@pytest.mark.parametrize(
    ("outcome", "chance"), [([1, 0, 1], [0.4] * 3), ([1, 1], [0.2, 0.3]), ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])]
)
def test_no_line_where_there_is_none(outcome, chance):
    slope, intercept = scores.calibration_line(outcome, chance)
    assert np.isnan(slope).all() and np.isnan(intercept).all()


def test_calibration_error_by_a_loop():
    outcome, chance, weight = drawn(505)
    which = scores.equal_count_bins(chance, 10)
    assert set(np.bincount(which)) <= {50, 51}
    total = 0.0
    for number in range(10):
        mine = which == number
        gap = np.average(outcome[mine], weights=weight[mine]) - np.average(chance[mine], weights=weight[mine])
        total += abs(gap) * weight[mine].sum() / weight.sum()
    assert scores.expected_calibration_error(outcome, chance, weight=weight) == pytest.approx(total, abs=1e-14)


def test_equal_chances_stay_in_one_bin():
    assert scores.equal_count_bins([0.3] * 50, 10).tolist() == [0] * 50
    assert scores.expected_calibration_error([1, 0, 0, 0], [0.25] * 4) == pytest.approx(0)
    table = scores.calibration_table([1, 0, 0, 0], [0.1, 0.1, 0.1, 0.9], bins=2)
    assert table["n"].tolist() == [3, 1] and table["n_hit"].tolist() == [1, 0]


def test_the_calibration_error_of_right_chances_is_what_chance_gives():
    random = np.random.default_rng(2)
    chance, weight = random.uniform(0.05, 0.6, 2000), random.uniform(0.3, 2, 2000)
    seen = [scores.expected_calibration_error(random.random(2000) < chance, chance, weight=weight) for _ in range(400)]
    expected = scores.calibration_error_by_chance(chance, weight=weight)
    assert np.mean(seen) == pytest.approx(expected, abs=4 * np.std(seen) / 20)


def test_the_calibration_table_is_said_beside_seen():
    table = scores.calibration_table([0, 1, 0, 1], [0.1, 0.2, 0.6, 0.9], bins=2, weight=[1, 1, 1, 3])
    assert table["predicted"].tolist() == pytest.approx([0.15, 0.825])
    assert table["observed"].tolist() == pytest.approx([0.5, 0.75])
    # Weights 1 and 3 are worth 16 / 10 trials.
    low, high = proportions.wilson_interval([1.0, 1.2], [2.0, 1.6])
    assert table["observed_low"].tolist() == pytest.approx(low) and table["observed_high"].tolist() == pytest.approx(
        high
    )


@pytest.mark.parametrize(
    ("score", "area", "published"),
    [
        (ALBUMIN, [0.736559139785, 0.554881559952, 0.918236719618], [0.7366, 0.5549, 0.9182]),
        (PROTEIN, [0.647849462366, 0.451760209474, 0.843938715257], [0.6478, 0.4518, 0.8439]),
        (10 - KREBS, [0.725806451613, 0.524279801180, 0.927333102046], [0.7258, 0.5243, 0.9273]),  # low is well
    ],
    ids=["albumin", "protein", "krebs"],
)
def test_delong_is_that_of_the_paper_s_example(score, area, published):
    """To twelve digits R's pROC 1.18.0, to four SAS/STAT's manual (LOGISTIC, comparing ROC curves)."""
    found = list(scores.auc(HELPED, score))
    assert found == pytest.approx(area, abs=1e-11) and np.round(found, 4).tolist() == published


def test_two_areas_of_the_same_patients_are_compared_as_in_the_paper():
    gap, p_value = scores.auc_difference(HELPED, ALBUMIN, 10 - KREBS)
    assert list(gap) == pytest.approx([0.010752688172, -0.176117368735, 0.197622745079], abs=1e-11)
    assert p_value == pytest.approx(0.910206347201, abs=1e-11)
    gap, p_value = scores.auc_difference(HELPED, PROTEIN, 10 - KREBS)
    assert list(gap) == pytest.approx([-0.077956989247, -0.282988015572, 0.127074037078], abs=1e-11)
    assert p_value == pytest.approx(0.456139707507, abs=1e-11)


@given(rows=st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=30))
def test_the_auc_counts_pairs(rows):
    pairs = [
        (wins * losses, 1.0 if high > low else 0.5 if high == low else 0.0)
        for won, high, wins in rows
        for lost, low, losses in rows
        if won and not lost
    ]
    outcome, score, weight = zip(*rows, strict=True)
    found = scores.auc(outcome, score, weight=weight).value
    if not pairs or min(sum(outcome), len(rows) - sum(outcome)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.average([hit for _, hit in pairs], weights=[times for times, _ in pairs]))


def test_a_score_is_no_better_than_itself():
    gap, p_value = scores.auc_difference(HELPED, ALBUMIN, ALBUMIN * 2 + 1)
    assert list(gap) == [0, 0, 0] and p_value == 1


def test_clusters_widen_the_interval():
    outcome, chance, _ = drawn(300)
    twice = np.repeat(outcome, 2), np.repeat(chance, 2)
    width = {}
    for name, cluster in (("rows", None), ("companies", np.repeat(np.arange(300), 2))):
        found = scores.auc(*twice, cluster=cluster)
        width[name] = found.high - found.low
    once = scores.auc(outcome, chance)
    assert (
        width["companies"] == pytest.approx(once.high - once.low, rel=0.01)
        and width["rows"] < 0.75 * width["companies"]
    )


def test_the_bootstrap_is_close_to_the_usual_error_and_minds_clusters():
    values = np.random.default_rng(4).normal(size=400)
    found = bootstrap.mean_interval(values, draws=4000)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.08)
    copied = bootstrap.mean_interval(np.repeat(values, 3), cluster=np.repeat(np.arange(400), 3), draws=4000)
    assert copied.high - copied.low == pytest.approx(found.high - found.low, rel=0.08)
    assert found == bootstrap.mean_interval(values, draws=4000) != bootstrap.mean_interval(values, draws=4000, seed=1)


def test_a_row_without_a_cluster_stands_alone():
    sums = bootstrap.by_cluster(np.array([[1.0], [2], [4], [8]]), ["a", None, "a", None])
    assert sorted(sums.ravel()) == [2, 5, 8]


def test_many_intervals_at_once_are_each_of_them():
    columns = np.random.default_rng(5).normal(size=(60, 2))
    weight, cluster = np.arange(1.0, 61), np.arange(60) // 4
    mean, low, high, error = bootstrap.mean_intervals(columns, weight=weight, cluster=cluster)
    for place in range(2):
        one = bootstrap.mean_interval(columns[:, place], weight=weight, cluster=cluster)
        assert [mean[place], low[place], high[place]] == pytest.approx(list(one))
    assert (error > 0).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_summary_is_its_parts(seed):
    outcome, chance, weight = drawn(120, seed=seed)
    found = scores.summary(outcome, chance, np.full(120, 0.3), weight=weight, cluster=np.arange(120), draws=50)
    base = scores.log_loss(outcome, np.full(120, 0.3), weight=weight)
    assert found["skill_rate"] == pytest.approx(1 - found["log_loss"] / base)
    assert found["brier_score"] == pytest.approx(scores.brier(outcome, chance, weight=weight))
    for name in ("log_loss", "brier_score", "skill_rate", "auc", "calibration_slope"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]


@pytest.mark.parametrize("seed", range(6))
def test_the_auc_of_counts_is_that_of_the_rows(seed):
    random = np.random.default_rng(seed)
    score = random.choice([0.1, 0.3, 0.3 + 1e-12, 0.9], 60)
    outcome = random.random(60) < score * (seed % 3) / 2  # of the first there is no hit
    values = np.repeat(np.unique(score), 2)  # each twice, as of two cells with one score
    cells = [outcome[score == value] for value in np.unique(score)]
    hits, misses = (
        np.ravel([[part[:5].sum(), part[5:].sum()] for part in each]) for each in (cells, [~part for part in cells])
    )
    found = scores.auc_of_counts(hits, misses, values)
    assert found == pytest.approx(scores.auc(outcome, score), rel=1e-12, nan_ok=True)
    assert np.isnan(found.value) == (outcome.sum() < 2)
