"""Plateaus of many groups at once against the curve of one, plain shares, and rows given more weight."""

import numpy as np
import pandas as pd
import pytest

from salesops.stats import incidence, survival


def drawn(seed: int, n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    cause = rng.choice(["won", "lost", None], n, p=[0.4, 0.35, 0.25])
    return pd.DataFrame({"days": rng.integers(0, 40, n), "cause": cause, "group": rng.integers(0, 4, n)})


def plateaus(rows: pd.DataFrame, n_groups: int) -> incidence.Plateaus:
    return incidence.plateaus(
        rows["days"], rows["cause"] == "won", rows["cause"] == "lost", rows["group"], n_groups=n_groups
    )


def test_with_nothing_censored_it_is_the_share():
    rows = pd.DataFrame({"days": [3, 1, 7, 2], "cause": ["won", "lost", "lost", "lost"], "group": 0})
    found = plateaus(rows, 1)
    assert found.share == pytest.approx(0.25)
    assert found.influence == pytest.approx([0.75 / 4, -0.25 / 4, -0.25 / 4, -0.25 / 4])


def test_each_group_is_its_own_curve():
    rows = drawn(1)
    found = plateaus(rows, 5)
    for group in range(4):
        mine = rows[rows["group"] == group]
        one = survival.plateau(mine["days"], mine["cause"], causes=["won"]).iloc[0]
        assert found.share[group] == pytest.approx(one["incidence"], abs=1e-12)
        assert found.influence[rows["group"] == group].sum() == pytest.approx(0, abs=1e-12)
    assert np.isnan(found.share[4])


def test_an_influence_is_what_a_row_of_more_weight_adds():
    rows = drawn(2, 60).assign(group=0)
    found, often = plateaus(rows, 1), pd.concat([rows] * 2000)
    for at in (0, 7, 20, 33, 59):
        more = plateaus(pd.concat([often, rows.iloc[[at]]]), 1).share[0] - found.share[0]
        assert more * 2000 == pytest.approx(found.influence[at], abs=2e-5)


def test_a_row_of_no_group_counts_nowhere():
    rows = drawn(3)
    found = plateaus(rows.assign(group=np.where(rows["group"] == 2, -1, rows["group"])), 4)
    assert np.isnan(found.share[2]) and (found.influence[rows["group"] == 2] == 0).all()
    assert found.share[[0, 1, 3]] == pytest.approx(plateaus(rows, 4).share[[0, 1, 3]])


def test_no_rows_at_all():
    found = plateaus(drawn(4).iloc[:0], 2)
    assert np.isnan(found.share).all() and len(found.influence) == 0
