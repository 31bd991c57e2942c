"""The other counts against hand-worked visits, a naive loop and their own invariants."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from test_funnel import FEW, FIVE, JULY, PATHS, PLACES, visits_of

from salesops import checks, funnel, funnel_counts
from salesops.periods import Period
from salesops.stats import proportions

NAMES = [each.name for each in funnel_counts.METHODS]
RATES = [f"counted_conversion_rate{end}" for end in ("", "_low", "_high")]


def counts(visits: pd.DataFrame, period: Period = JULY) -> pd.DataFrame:
    return funnel_counts.other_counts(visits, funnel.stage_conversion(visits, period=period), period=period)


def pairs(table: pd.DataFrame, method: str) -> list[tuple]:
    mine = table[table["method"] == method]
    return list(zip(mine["n"], mine["n_next"].fillna(-1), strict=True))


def test_by_hand():
    # Won straight through; skipped Two and lost; went back and is open; lost in One; open in One.
    table = counts(visits_of(FIVE))
    assert table["stage"].tolist() == [stage for stage in PLACES for _ in NAMES]
    assert table["method"].tolist() == NAMES * 3
    assert pairs(table, "snapshot") == [(2, 0), (0, 0), (0, -1)]
    assert pairs(table, "period flow") == [(5, 2), (2, 2), (2, 1)]
    assert pairs(table, "any stage") == [(5, 2), (2, 2), (2, 1)]
    assert pairs(table, "all stages") == [(5, 2), (2, 1), (1, 1)]
    assert pairs(table, "imputed") == [(5, 3), (3, 2), (2, 1)]
    assert pairs(table, "direct moves") == [(6, 2), (2, 1), (2, 1)]
    ours = table[table["method"] == NAMES[0]].set_index("stage")
    assert ours["n"].tolist() == [5, 2, 2] and ours["n_next"].isna().all()
    assert ours["counted_conversion_rate"].tolist() == pytest.approx([3 / 4, 1 / 2, 1 / 2])


def test_ratios_and_their_limits():
    table = counts(visits_of(FIVE)).set_index(["stage", "method"])
    low, high = proportions.wilson_interval([2], [5])
    assert table.loc[("One", "all stages"), RATES].tolist() == pytest.approx([2 / 5, low[0], high[0]])
    low, high = proportions.wilson_interval([2], [7])  # of seven entries, two into the next
    flow = table.loc[("One", "period flow"), RATES].tolist()
    assert flow == pytest.approx([2 / 5, low[0] / (1 - low[0]), high[0] / (1 - high[0])])
    assert table.loc[("Three", "snapshot"), RATES].isna().all()  # nobody stands in "won"
    assert table.loc[("Two", "snapshot"), RATES].isna().all()  # nobody stands in Two


def test_flow_counts_what_happened_in_the_period_and_the_rest_those_who_came_in_it():
    visits = visits_of([([("One", 40), ("Two", 5)], "won", None)] * 3)  # One in July, Two and won in August
    august = Period("2026-08", JULY.end + pd.Timedelta(days=1), JULY.end + pd.Timedelta(days=31))
    table = counts(visits)
    assert pairs(table, "period flow") == [(3, 0), (0, 0)] and pairs(table, "any stage") == [(3, 3), (3, 3)]
    assert pairs(table, "direct moves") == [(3, 3), (0, 0)]
    table = counts(visits, august)
    assert pairs(table, "period flow") == [(0, 3), (3, 3)] and pairs(table, "any stage") == [(0, 0), (0, 0)]
    assert table.loc[table["n"] == 0, RATES].isna().all(axis=None)
    assert pairs(counts(visits_of([([("One", 40)], "won", None)] * 3)), "period flow") == [(3, 0)]  # won in August


def test_a_snapshot_may_pass_one():
    table = counts(
        visits_of([([("One", 1)], "still_there", None)] + [([("One", 1), ("Two", 1)], "still_there", None)] * 3)
    )
    row = table[(table["stage"] == "One") & (table["method"] == "snapshot")].iloc[0]
    assert (row["n"], row["n_next"], row["counted_conversion_rate"]) == (1, 3, 3)
    assert row["counted_conversion_rate_low"] < 3 < row["counted_conversion_rate_high"]


def test_pipelines_are_counted_apart_and_a_missing_one_is_a_pipeline():
    visits = visits_of(FIVE)
    unnamed = visits.assign(pipeline=None, opportunity_id="x" + visits["opportunity_id"])
    both = pd.concat([visits, unnamed.astype({"pipeline": "str"})], ignore_index=True)
    table = counts(both)
    named, other = table[table["pipeline"] == "new"], table[table["pipeline"].isna()]
    pd.testing.assert_frame_equal(
        named.drop(columns="pipeline").reset_index(drop=True), other.drop(columns="pipeline").reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(named.reset_index(drop=True), counts(visits))


def test_no_visits_give_an_empty_table_with_its_columns():
    visits = visits_of(FIVE)
    none = counts(visits.iloc[:0])
    assert none.empty and list(none.columns) == list(counts(visits).columns)


def test_a_missing_column_is_named():
    visits = visits_of(FIVE)
    ours = funnel.stage_conversion(visits, period=JULY)
    with pytest.raises(checks.DataError, match=r"conversion: missing column \['stage_conversion_rate_low'\]"):
        funnel_counts.other_counts(visits, ours.drop(columns="stage_conversion_rate_low"), period=JULY)


def loop(visits: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """n and n_next of each stage and method, deal by deal; every deal came in the period and has ended."""
    found = {(stage, name): [0, 0] for stage in visits["stage"].unique() for name in NAMES[1:]}
    places = sorted({PLACES[stage] for stage, _ in found})
    names = {place: stage for stage, place in PLACES.items()}
    for _, deal in visits.groupby("opportunity_id"):
        deal = deal.sort_values("visit")
        entered, is_won = set(deal["position"]), deal["exit"].iloc[-1] == "won"
        furthest = np.inf if is_won else max(entered)
        for at, place in enumerate(places):
            following = places[at + 1] if at + 1 < len(places) else np.inf
            came_next = is_won if following == np.inf else following in entered
            every = set(places[: at + 1]) <= entered
            stays = deal[deal["position"] == place]
            direct = stays["exit"] == ("won" if following == np.inf else "forward")
            last = deal.iloc[-1]
            counted = {
                "any stage": (place in entered, came_next),
                "period flow": (place in entered, came_next),
                "all stages": (every, every and came_next),
                "imputed": (furthest >= place, furthest >= following),
                "direct moves": (len(stays), direct.sum()),
                "snapshot": [last["exit"] == "still_there" and last["position"] == one for one in (place, following)],
            }
            for name, (n, n_next) in counted.items():
                found[names[place], name][0] += int(n)
                found[names[place], name][1] += int(n_next)
    return {key: tuple(value) for key, value in found.items()}


@FEW
@given(PATHS)
def test_counts_equal_a_loop_over_deals(paths):
    visits = visits_of(paths)
    year = Period("2026", JULY.start, JULY.end.replace(month=12))
    table = counts(visits, year).set_index(["stage", "method"])
    for (stage, name), (n, n_next) in loop(visits).items():
        row = table.loc[(stage, name)]
        assert row["n"] == n, (stage, name)
        assert (
            pd.isna(row["n_next"]) if name == "snapshot" and stage == visits_last(visits) else row["n_next"] == n_next
        )


def visits_last(visits: pd.DataFrame) -> str:
    return visits.sort_values("position")["stage"].iloc[-1]


@FEW
@given(PATHS)
def test_shares_stay_within_one_and_limits_in_order(paths):
    table = counts(visits_of(paths)).dropna(subset=RATES[:1])
    assert (table[RATES[1]] <= table[RATES[0]] + 1e-9).all() and not (table[RATES[2]] < table[RATES[0]] - 1e-9).any()
    assert (table.loc[table["method"].isin(["all stages", "imputed", "direct moves"]), RATES] <= 1).all(axis=None)


@FEW
@given(PATHS)
def test_row_order_is_irrelevant(paths):
    visits = visits_of(paths)
    pd.testing.assert_frame_equal(counts(visits), counts(visits.sample(frac=1, random_state=1)))
