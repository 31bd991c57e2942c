"""The clustered mean against the textbook's one-sample interval and hand-worked figures."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from salesops.stats import means, proportions


def test_of_single_rows_the_error_is_the_textbook_one():
    values = np.array([3.0, 0, 1, 4, 2, 2, 8])
    table = means.clustered_mean(pd.DataFrame({"value": values}), by=[], value="value").iloc[0]
    error = values.std(ddof=1) / np.sqrt(len(values))
    half = stats.t.ppf(0.975, len(values) - 1) * error / values.mean()
    assert table["mean"] == pytest.approx(values.mean())
    assert table[["mean_low", "mean_high"]].tolist() == pytest.approx(
        [values.mean() / np.exp(half), values.mean() * np.exp(half)]
    )


def test_rows_that_belong_together_count_as_one():
    values = pd.DataFrame({"value": [3.0, 0, 1, 4], "unit": ["a", "b", "c", "d"]})
    once = means.clustered_mean(values, by=[], value="value", cluster="unit").iloc[0]
    twice = means.clustered_mean(pd.concat([values] * 2), by=[], value="value", cluster="unit").iloc[0]
    assert twice["n"] == 8
    assert twice[["mean", "mean_low", "mean_high"]].tolist() == pytest.approx(
        once[["mean", "mean_low", "mean_high"]].tolist()
    )


def test_groups_and_what_cannot_be_known():
    frame = pd.DataFrame({
        "team": ["N", "N", "N", None, None, "S"], "value": [1.0, 2, 3, 0, 0, 5], "unit": ["a", None, None, "b", "c", "d"],
    })  # fmt: skip
    table = means.clustered_mean(frame, by=["team"], value="value", cluster="unit")
    assert table["team"].fillna("-").tolist() == ["N", "-", "S"] and table["mean"].tolist() == [2, 0, 5]
    assert table["mean_low"].round(2).fillna(-1).tolist() == [0.58, 0.0, -1]
    assert table["mean_high"].isna().tolist() == [False, True, True]
    none = means.clustered_mean(frame.iloc[:0], by=[], value="value").iloc[0]
    assert none["n"] == 0 and np.isnan(none["mean"])


def test_a_share_of_single_rows_is_wilsons_with_one_row_less():
    table = means.clustered_share(pd.DataFrame({"hit": [True] * 30 + [False] * 90}), by=[], success="hit").iloc[0]
    worth = 119 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 119)) ** 2
    low, high = proportions.wilson_interval(0.25 * worth, worth)
    assert table[["n", "hit", "share"]].tolist() == [120, 30, 0.25]
    assert table[["share_low", "share_high"]].tolist() == pytest.approx([low[0], high[0]])


def test_a_share_of_pairs_that_always_agree_has_half_the_rows():
    hits = pd.DataFrame({"hit": [True] * 30 + [False] * 90, "unit": range(120)})
    once = means.clustered_share(hits, by=[], success="hit").iloc[0]
    twice = means.clustered_share(pd.concat([hits] * 2), by=[], success="hit", cluster="unit").iloc[0]
    assert twice["n"] == 240
    assert twice[["share_low", "share_high"]].tolist() == pytest.approx(once[["share_low", "share_high"]].tolist())


def test_shares_of_all_none_one_and_nothing():
    frame = pd.DataFrame(
        {"team": [*"NNSSO", None], "hit": [True, True, False, False, True, False], "unit": [*"abcdef"]}
    )
    table = means.clustered_share(frame, by=["team"], success="hit", cluster="unit")
    assert table["share"].tolist() == [1, 0, 1, 0] and table["n"].tolist() == [2, 2, 1, 1]
    assert table["share_high"].iloc[[0, 2]].tolist() == [1, 1] and table["share_low"].iloc[[1, 3]].tolist() == [0, 0]
    assert ((table["share_high"] - table["share_low"]) > 0.5).all()
    none = means.clustered_share(frame.iloc[:0], by=[], success="hit").iloc[0]
    assert none["n"] == 0 and none[["share", "share_low", "share_high"]].isna().all()


def test_pairs_that_do_not_agree_more_than_chance_lose_nothing():
    hits = pd.DataFrame(
        {"hit": [True, True, True, False, False, True, False, False] * 10, "unit": np.repeat(range(40), 2)}
    )
    pairs = means.clustered_share(hits, by=[], success="hit", cluster="unit").iloc[0]
    single = means.clustered_share(hits, by=[], success="hit").iloc[0]
    assert pairs["share_high"] - pairs["share_low"] == pytest.approx(
        single["share_high"] - single["share_low"], rel=0.03
    )


def test_where_all_succeed_each_cluster_counts_once():
    frame = pd.DataFrame({"hit": [True] * 10, "unit": np.repeat(range(5), 2)})
    pairs = means.clustered_share(frame, by=[], success="hit", cluster="unit").iloc[0]
    single = means.clustered_share(frame.iloc[:5], by=[], success="hit").iloc[0]
    assert pairs["share_low"] == pytest.approx(single["share_low"])
