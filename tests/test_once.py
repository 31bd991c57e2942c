"""What is kept of an object: once for one object, not for another that is equal, and gone with it."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest

from salesops.kept.memory import once
from salesops.stats import encoding, factors, logit, ridge
from salesops.stats.gram import gram


def counted():
    seen = []

    @once
    def total(frame, other=None, *, name="n"):
        seen.append(name)
        return int(frame[name].sum()) + (0 if other is None else int(other[name].sum()))

    return total, seen


def frame(*numbers):
    return pd.DataFrame({"n": numbers, "m": numbers})


def test_it_is_worked_out_once_for_an_object_and_what_is_asked_of_it():
    total, seen = counted()
    one, equal = frame(1, 2), frame(1, 2)
    assert [total(one), total(one), total(one, name="m"), total(equal)] == [3, 3, 3, 3]
    assert seen == ["n", "m", "n"]


def test_a_frame_that_was_changed_in_place_is_another():
    total, seen = counted()
    one = pd.DataFrame({"n": [1, 2], "kind": ["a", "b"]})
    assert total(one) == 3
    one.loc[1, "n"] = 4
    assert total(one) == 5
    one.loc[1, "kind"] = "c"
    assert total(one) == 5 and len(seen) == 3


def test_a_second_object_is_told_from_another():
    total, seen = counted()
    one, two, three = frame(1), frame(2), frame(3)
    assert [total(one, two), total(one, three), total(one, two)] == [3, 4, 3] and len(seen) == 2


def test_a_second_object_that_is_gone_is_not_taken_for_a_new_one():
    total, _ = counted()
    one = frame(1)
    assert [total(one, frame(number)) for number in range(50)] == [1 + number for number in range(50)]


def test_what_is_kept_goes_with_its_object():
    made = once(lambda each: frame(*each["n"]))
    one = frame(1)
    result = weakref.ref(made(one))
    assert result() is not None
    del one
    gc.collect()
    assert result() is None


def test_a_weighted_product_is_that_of_its_parts():
    random = np.random.default_rng(0)
    design, weight = random.normal(size=(9001, 5)), random.random(9001)
    np.testing.assert_allclose(gram(design, weight), design.T @ (design * weight[:, None]), rtol=1e-12, atol=1e-9)


def test_how_many_threads_share_a_weighted_product_changes_no_digit(monkeypatch):
    random = np.random.default_rng(0)
    design, weight = random.normal(size=(200_001, 3)), random.random(200_001)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr("salesops.stats.gram._THREADS", threads)
        found.append(gram(design, weight))
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()
    np.testing.assert_allclose(found[0], design.T @ (design * weight[:, None]), rtol=1e-11, atol=1e-9)


def test_some_rows_joined_with_others_are_coded_as_one_frame():
    random = np.random.default_rng(1)
    first, then = (
        pd.DataFrame({"kind": random.choice(list(kinds), 60), "size": random.normal(size=60)})
        for kinds in ("abc", "cda")
    )
    first.loc[::7, "kind"] = None
    rows = np.flatnonzero(random.random(60) < 0.4)
    joined = encoding.joined(*(encoding.coded(first, list(first)), rows, encoding.coded(then, list(first))))
    whole = encoding.coded(pd.concat([first.iloc[rows], then], ignore_index=True), list(first))
    assert joined.n_levels == whole.n_levels
    for one, other in zip(joined.values, whole.values, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(4))
def test_finite_estimates_are_given_only_where_nothing_parts_the_outcomes(seed):
    random = np.random.default_rng(seed)
    design = np.column_stack([np.ones(300), random.normal(size=300), random.random(300) < 0.1])
    outcome = (random.random(300) < 0.4).astype(float)
    assert logit.finite_coefficients(design, outcome) is not None
    assert not logit.separated_columns(design, outcome).any()
    parted = np.where(design[:, 2] > 0, 1.0, outcome)
    assert logit.finite_coefficients(design, parted) is None
    assert logit.separated_columns(design, parted).tolist() == [False, False, True]


def test_a_test_without_columns_is_the_same_from_near_as_from_nothing():
    random = np.random.default_rng(3)
    design = np.column_stack([np.ones(800), random.normal(size=(800, 3))])
    outcome = (random.random(800) < 1 / (1 + np.exp(-design @ [0.2, 0.5, 0.0, -0.3]))).astype(float)
    whole = logit.fit(design, outcome)
    smaller = logit.fit(design[:, [0, 1]], outcome)
    ratio = 2 * (whole.log_likelihood - smaller.log_likelihood)
    assert logit.group_test(whole, [2, 3]).statistic == pytest.approx(ratio, rel=1e-9)


def test_a_model_with_more_rows_takes_over_the_fit_of_its_own():
    random = np.random.default_rng(5)
    kinds = pd.Series(random.choice(list("ab"), 500), dtype="str")
    outcome = (random.random(400) < np.where(kinds[:400] == "a", 0.6, 0.3)).astype(float)
    alone = factors.Model(outcome, {"kind": factors.category(kinds[:400])}, None)
    more = factors.Model(outcome, {"kind": factors.category(kinds, n=400)}, None, like=alone)
    assert more.together(["kind"]).fit is alone.together(["kind"]).fit and len(more.columns(slice(None))) == 500


def test_a_rare_level_is_held_without_a_linear_programme(monkeypatch):
    random = np.random.default_rng(7)
    kinds = pd.Series(["rare"] * 3 + list(random.choice(list("ab"), 497)), dtype="str")
    size = pd.Series(random.normal(size=500))
    outcome = (random.random(500) < np.where(kinds == "a", 0.6, 0.3)).astype(float)
    outcome[:3] = 0.0
    made = {"kind": factors.category(kinds), "size": factors.number(size)}
    columns = factors.Model(outcome, made, None).design
    parted = logit.separated_columns(columns, outcome)
    monkeypatch.setattr(logit, "separated_columns", lambda *_: pytest.fail("was asked"))
    assert factors.Model(outcome, made, None).held == {"kind"}
    assert np.flatnonzero(parted).tolist() == [2]


def test_what_parts_the_outcomes_beside_a_rare_level_is_found():
    random = np.random.default_rng(7)
    kinds = pd.Series(["rare"] * 3 + list(random.choice(list("ab"), 497)), dtype="str")
    flag = pd.Series(np.where(random.random(500) < 0.2, "yes", "no"), dtype="str")
    outcome = np.where(flag == "yes", 1.0, (random.random(500) < 0.4).astype(float))
    outcome[:3] = 0.0
    made = {"kind": factors.category(kinds), "flag": factors.category(flag)}
    assert factors.Model(outcome, made, None).held == {"kind", "flag"}


def test_clusters_left_out_a_few_at_a_time_give_the_same_error(monkeypatch):
    random = np.random.default_rng(8)
    design = np.column_stack([np.ones(600), random.normal(size=(600, 2))])
    outcome, cluster = (random.random(600) < 0.4).astype(float), random.integers(0, 150, 600)
    together = logit.fit(design, outcome, cluster=cluster).covariance
    monkeypatch.setattr(logit, "_AT_ONCE", 1)
    np.testing.assert_allclose(logit.fit(design, outcome, cluster=cluster).covariance, together, rtol=1e-12)
    monkeypatch.setattr(logit, "_AT_ONCE", 40)
    np.testing.assert_allclose(logit.fit(design, outcome, cluster=cluster).covariance, together, rtol=1e-12)


def test_a_path_of_penalties_ends_where_each_fit_does():
    random = np.random.default_rng(9)
    design = np.column_stack([np.ones(500), random.normal(size=(500, 4))])
    outcome = (random.random(500) < 1 / (1 + np.exp(-design @ [0.1, 0.8, -0.5, 0.0, 0.3]))).astype(float)
    weight = random.uniform(0.5, 2.0, 500)
    path = ridge._path(ridge.Design(design), outcome, weight, ridge.PENALTIES)
    for penalty, found in zip(ridge.PENALTIES, path, strict=True):
        alone = ridge.fit(ridge.Design(design), outcome, penalty=penalty, weight=weight)
        np.testing.assert_allclose(found, alone.coefficients, atol=1e-6)
