"""Chances learnt from cases whose end is known: ridge, weights for the open ones, columns as numbers, levels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from salesops.stats import censoring, chances, encoding, ridge, survival

DAY = np.datetime64("2026-01-01")


def drawn(n: int = 500, k: int = 6, seed: int = 0):
    random = np.random.default_rng(seed)
    columns = random.normal(size=(n, k))
    outcome = random.random(n) < expit(columns @ np.linspace(1, 0, k) - 1)
    return columns, outcome.astype(float), random.uniform(0.3, 2, n)


@pytest.mark.parametrize("penalty", [0.5, 20.0, 500.0])
def test_ridge_is_that_of_scikit_learn(penalty):
    columns, outcome, weight = drawn()
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(columns, outcome, sample_weight=weight)
    ours = ridge.fit(columns, outcome, penalty=penalty, weight=weight)
    assert ours.coefficients == pytest.approx(np.r_[theirs.intercept_, theirs.coef_[0]], abs=1e-6)
    started = ridge.fit(columns, outcome, penalty=penalty, weight=weight, start=np.full(7, 2.0))
    assert started.coefficients == pytest.approx(ours.coefficients, abs=1e-8)


def test_leaving_columns_out_is_fitting_without_them():
    columns, outcome, weight = drawn(2000)
    full = ridge.fit(columns, outcome, penalty=10.0, weight=weight)
    dropped = np.array([False, True, False, False, True, False])
    quick = ridge.without(full, dropped, columns, outcome, weight)
    slow = ridge.fit(columns[:, ~dropped], outcome, penalty=10.0, weight=weight)
    assert quick.coefficients[1:][dropped].tolist() == [0, 0]
    assert quick.coefficients[np.r_[True, ~dropped]] == pytest.approx(slow.coefficients, abs=0.01)


def test_noise_gets_the_largest_penalty_and_a_signal_a_small_one():
    random = np.random.default_rng(6)
    noise = random.normal(size=(300, 20))
    assert ridge.best_penalty(noise, random.random(300) < 0.4) == max(ridge.PENALTIES)
    columns, outcome, _ = drawn(3000)
    assert ridge.best_penalty(columns, outcome) < 30


def test_the_penalty_is_chosen_on_companies_left_out():
    # 40 companies with their own chance, each a column: within a company the columns tell, beyond it nothing.
    random = np.random.default_rng(7)
    company = np.repeat(np.arange(40), 30)
    outcome = random.random(1200) < np.where(random.random(40) < 0.5, 0.9, 0.1)[company]
    columns = (company[:, None] == np.arange(40)).astype(float)
    assert ridge.best_penalty(columns, outcome) < 30
    assert ridge.best_penalty(columns, outcome, cluster=company) == max(ridge.PENALTIES)


@given(rows=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["won", "lost", None])), min_size=2, max_size=40))
def test_the_weighted_share_is_the_plateau_of_aalen_and_johansen(rows):
    time, cause = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    over = pd.notna(cause)
    weight = censoring.known_end_weights(time.astype(float), over)
    assert (weight[~over] == 0).all()
    if not over.any():
        return
    assert weight[over].mean() == pytest.approx(1)
    plateau = survival.plateau(time.astype(float), cause, causes=["won", "lost"]).set_index("cause")["incidence"]
    assert np.average(cause == "won", weights=weight) == pytest.approx(plateau["won"] / plateau[["won", "lost"]].sum())


def test_late_entries_are_watched_only_after_it():
    # At 2 three are watched (not the one entering just after 2): S = 2/3. At 5 two are: weights 1/3 and (2/3) / 2.
    weight = censoring.known_end_weights([2, 5, 5, 7], [True, True, False, False], entry=[-1, 2, -1, 1])
    assert weight == pytest.approx([(1 / 3) / (5 / 18), (2 / 9) / (5 / 18), 0, 0])


def test_weights_undo_the_haste_of_a_growing_company():
    random = np.random.default_rng(8)
    n = 60_000
    begun = np.sort((1 - random.exponential(0.35, n) % 1) * 400)  # more and more cases
    won = random.random(n) < 0.3
    lasted = np.where(won, random.exponential(120, n), random.exponential(40, n))
    over = begun + lasted < 400
    weight = censoring.known_end_weights(np.minimum(lasted, 400 - begun), over)
    assert won[over].mean() < 0.25
    assert np.average(won[over], weights=weight[over]) == pytest.approx(0.3, abs=0.02)


def test_columns_become_numbers_of_one_scale():
    frame = pd.DataFrame(
        {
            "segment": ["a"] * 30 + ["b"] * 30 + ["c"] * 12 + ["d"] * 12,
            "amount": np.r_[np.geomspace(1, 1e6, 83), np.nan],
            "delta": np.linspace(-5, 5, 84),
            "flag": [True, False] * 42,
            "constant": 1.0,
            "same": "x",
        }
    )
    columns = encoding.coded(frame, list(frame.columns))
    encoder = encoding.learn(columns, np.arange(84))
    matrix = encoding.encode(encoder, columns, np.arange(84))
    # segment: a, b and the two rare ones together; amount: value and whether missing; delta; flag: two.
    assert encoder.owner.tolist() == [0, 0, 0, 1, 1, 2, 3, 3]
    assert matrix.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert np.nanstd(np.delete(matrix[:, 3], 83)) == pytest.approx(1) and matrix[83, 3] == 0
    assert np.diff(matrix[:83, 3]) == pytest.approx(
        np.diff(np.log1p(frame["amount"][:83])) / np.log1p(frame["amount"]).std(ddof=0)
    )
    assert np.diff(matrix[:, 5]) == pytest.approx(np.diff(matrix[:, 5])[0])
    assert (matrix[60:, 2] > 0).all() and (matrix[:60, 2] < 0).all()


def test_what_was_not_seen_is_the_mean_or_the_end():
    frame = pd.DataFrame({"kind": ["a", "b"] * 30 + ["new"], "size": [*range(60), 1000.0]})
    columns = encoding.coded(frame, ["kind", "size"])
    encoder = encoding.learn(columns, np.arange(60))
    last = encoding.encode(encoder, columns, np.array([59, 60]))
    assert last[1, :2] == pytest.approx([-0.5, -0.5])  # neither a nor b
    assert last[1, 2] == last[0, 2]


def cases(n: int = 3000, *, level=0.0, seed: int = 0, lasts: float = 30.0) -> chances.Cases:
    """Cases over 600 days whose log odds are 1.5 x - 1, and `level` more from day 400 on."""
    random = np.random.default_rng(seed)
    begun = np.sort(random.integers(0, 600, n))
    x = random.normal(size=n)
    lasted = random.exponential(lasts, n).astype(int)
    outcome = random.random(n) < expit(1.5 * x - 1 + level * (begun + lasted >= 400))
    ended = (DAY + begun + lasted).astype("datetime64[D]")
    columns = encoding.coded(pd.DataFrame({"x": x, "noise": random.normal(size=n)}), ["x", "noise"])
    return chances.Cases(DAY + begun, ended, outcome.astype(float), np.arange(n), columns)


def test_nothing_is_learnt_from_the_days_to_come():
    told = cases()
    now = DAY + 450
    future = told.ended >= now
    other = told._replace(
        outcome=np.where(future, 1 - told.outcome, told.outcome),
        ended=np.where(future, np.datetime64("NaT"), told.ended),
    )
    rows = np.arange(len(told.outcome))
    seen = chances.predict(chances.learn(told, now, DAY, now - 180), told, rows)
    assert (seen == chances.predict(chances.learn(other, now, DAY, now - 180), other, rows)).all()
    past = told._replace(outcome=np.where(future, told.outcome, 1 - told.outcome))
    assert not np.allclose(seen, chances.predict(chances.learn(past, now, DAY, now - 180), past, rows))


def test_the_level_is_that_of_the_latest_cases():
    told, now = cases(20_000, level=0.8), DAY + 580
    rows = np.flatnonzero(told.begun >= now)
    truth = expit(1.5 * told.columns.values[0][rows] - 1 + 0.8)
    late = chances.learn(told, now, DAY, now - 120)
    assert chances.predict(late, told, rows).mean() == pytest.approx(truth.mean(), abs=0.02)
    assert late.base_rate == pytest.approx(truth.mean(), abs=0.03)
    early = chances.learn(told, now, DAY, DAY)
    assert chances.predict(early, told, rows).mean() < truth.mean() - 0.05


def test_too_few_ends_teach_nothing():
    told = cases(300)
    assert chances.learn(told, DAY + 100, DAY, DAY) is None
    assert chances.learn(told._replace(outcome=np.ones(300)), DAY + 600, DAY, DAY) is None
    assert chances.learn(told, DAY + 600, DAY, DAY) is not None


def test_each_column_is_worth_what_it_tells():
    told = cases(6000)
    learnt = chances.learn(told, DAY + 400, DAY, DAY + 200)
    rows = np.flatnonzero(told.begun >= DAY + 400)
    dropped, shuffled = chances.changes(learnt, told, rows)
    assert dropped.shape == shuffled.shape == (2, len(rows))
    assert dropped[0].mean() > 0.1 and shuffled[0].mean() > dropped[0].mean()
    assert abs(dropped[1].mean()) < 0.003 and abs(shuffled[1].mean()) < 0.003


def test_dropping_a_column_is_learning_without_it():
    told = cases(6000)
    now, rows = DAY + 400, np.flatnonzero(told.begun >= DAY + 400)
    learnt = chances.learn(told, now, DAY, DAY + 200)
    alone = encoding.Coded(("noise",), told.columns.values[1:], (0,), (None,))
    without = chances.learn(told._replace(columns=alone), now, DAY, DAY + 200, penalty=learnt.found.penalty)
    chance = chances.predict(without, told._replace(columns=alone), rows)
    full = chances.predict(learnt, told, rows)
    said = lambda p: -np.where(told.outcome[rows] > 0, np.log(p), np.log1p(-p))  # noqa: E731
    assert chances.changes(learnt, told, rows)[0][0] == pytest.approx(said(chance) - said(full), abs=0.01)


def test_a_case_that_goes_on_gets_the_level_of_its_age():
    # Half are quick and never happen; those that last happen half the time.
    random = np.random.default_rng(9)
    n = 8000
    slow = random.random(n) < 0.5
    begun = np.sort(random.integers(0, 500, n))
    lasted = np.where(slow, random.integers(50, 90, n), random.integers(0, 30, n))
    outcome = np.where(slow, random.random(n) < 0.5, random.random(n) < 0.05).astype(float)
    columns = encoding.coded(pd.DataFrame({"x": random.normal(size=n)}), ["x"])
    told = chances.Cases(DAY + begun, DAY + begun + lasted, outcome, np.arange(n), columns)
    learnt = chances.learn(told, DAY + 600, DAY, DAY)
    young, old = expit(logit(learnt.base_rate) + chances.age_levels(learnt, told, np.array([0.0, 50.0])))
    assert young == pytest.approx(0.275, abs=0.02) and old == pytest.approx(0.5, abs=0.03)
