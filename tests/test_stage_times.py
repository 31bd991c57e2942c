"""Times against hand-worked visits and deals, a published curve's rules and their own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given
from hypothesis import strategies as st
from test_funnel import FEW, FIVE, JULY, PATHS, visits_of

from salesops import checks, stage_times
from salesops.periods import Period
from salesops.stats import proportions

AS_OF = date(2026, 9, 30)


@pytest.fixture
def five_deals():
    return visits_of(FIVE)


def test_time_in_stage_by_hand(five_deals):
    table = stage_times.stage_duration(five_deals, period=JULY).set_index("stage")
    assert table["n"].tolist() == [6, 2, 2] and table["n_still_there"].tolist() == [2, 0, 0]
    # One: 2+, 3, 4+, 5, 7, 10: survival 4/5, 8/15, 4/15, 0.
    assert table["stage_duration_days_median"].tolist() == [7, 4, 5]
    assert table["stage_duration_days_p25"].tolist() == [5, 3, 5]  # 4/15 had left One by day 3: 1/5, by day 5: 7/15
    assert table["stage_duration_days_p75"].tolist() == [10, 5, 5]
    assert table["stage_duration_days_p90"].tolist() == [10, 5, 5]


def test_sales_cycle_by_hand():
    frame = deals(
        [
            {"created_date": "2026-07-01", "qualified_date": "2026-07-05", "close_date": "2026-07-15"},
            {"created_date": "2026-07-01", "qualified_date": "2026-07-05", "close_date": "2026-07-25"},
            {"created_date": "2026-07-01", "qualified_date": None, "close_date": "2026-07-03"},
            {
                "created_date": "2026-07-01",
                "qualified_date": "2026-07-05",
                "outcome": "open",
                "close_date": "2026-12-01",
            },
            {
                "created_date": "2026-07-01",
                "qualified_date": "2026-07-20",
                "outcome": "lost",
                "close_date": "2026-07-10",
            },
        ]
    )
    row = stage_times.sales_cycle(frame, period=JULY, as_of=AS_OF).iloc[0]
    assert row[["n", "n_won", "n_open"]].tolist() == [3, 2, 1]  # never qualified, and lost before it, are left out
    assert row["sales_cycle_days_median"] == 15 and row["sales_cycle_days_mean"] == 15  # 10 and 20 days
    assert row["created_to_won_days_median"] == 14 and row["created_to_won_days_mean"] == 40 / 3  # 14, 24 and 2
    lost = stage_times.time_to_loss(frame, period=JULY, as_of=AS_OF).iloc[0]
    assert lost[["n", "n_lost"]].tolist() == [5, 1] and lost["time_to_loss_days_median"] == 9


def test_the_clock_starts_at_creation_where_nothing_is_qualified():
    frame = deals([{"created_date": "2026-07-01", "qualified_date": None, "close_date": "2026-07-15"}] * 3)
    assert stage_times.sales_cycle(frame, period=JULY, as_of=AS_OF)["sales_cycle_days_median"].tolist() == [14]


def test_no_deals_give_rows_of_nothing(no_deals):
    row = stage_times.sales_cycle(no_deals, period=JULY, as_of=AS_OF).iloc[0]
    assert row["n"] == 0 and np.isnan(row["sales_cycle_days_median"]) and np.isnan(row["sales_cycle_days_mean"])
    assert stage_times.outcome_curves(no_deals, period=JULY, as_of=AS_OF).empty
    assert stage_times.time_to_loss(no_deals, period=JULY, as_of=AS_OF, by="segment").empty


def test_entries_outside_the_period_have_no_times(five_deals):
    june = Period("2026-06", date(2026, 6, 1), date(2026, 6, 30))
    table = stage_times.stage_duration(five_deals, period=june)
    assert table["n"].tolist() == [0, 0, 0] and table["stage_duration_days_median"].isna().all()


def test_no_visits_give_an_empty_table_with_its_columns(five_deals):
    table, full = (
        stage_times.stage_duration(each, period=JULY, by="pipeline") for each in (five_deals.iloc[:0], five_deals)
    )
    assert table.empty and list(table.columns) == list(full.columns)


def test_a_missing_column_is_named(five_deals):
    with pytest.raises(checks.DataError, match=r"missing column \['sgment'\].*Did you mean 'segment'\?"):
        stage_times.stage_duration(five_deals, period=JULY, by="sgment")


@FEW
@given(PATHS, st.integers(0, 5))
def test_row_order_is_irrelevant(paths, seed):
    visits = visits_of(paths)
    mixed = visits.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(*(stage_times.stage_duration(each, period=JULY) for each in (visits, mixed)))


@FEW
@given(PATHS)
def test_quantiles_rise_and_lie_within_their_limits(paths):
    table = stage_times.stage_duration(visits_of(paths), period=JULY)
    values = table[[f"stage_duration_days_{name}" for name in ("p25", "median", "p75", "p90")]]
    assert (values.diff(axis=1).iloc[:, 1:].fillna(0) >= 0).all(axis=None)
    for name in values:
        assert not (table[f"{name}_low"] > values[name] + 1e-9).any()
        assert not (table[f"{name}_high"] < values[name] - 1e-9).any()


def won_after(days: list[int], accounts: list[str]) -> pd.DataFrame:
    ended = pd.Timestamp("2026-07-01") + pd.to_timedelta(days, unit="D")
    rows = [
        {"created_date": "2026-07-01", "qualified_date": "2026-07-01", "close_date": day, "account_id": account}
        for day, account in zip(ended, accounts, strict=True)
    ]
    return deals(rows)


def test_deals_of_one_company_that_take_alike_count_once():
    days = list(range(1, 41))
    alone = won_after(days, [f"a{number}" for number in range(40)])
    together = won_after(days, [f"a{number // 4}" for number in range(40)])
    for question, metric in ((stage_times.sales_cycle, "sales_cycle_days"),):
        narrow, wide = (question(each, period=JULY, as_of=AS_OF).iloc[0] for each in (alone, together))
        assert narrow[f"{metric}_median"] == wide[f"{metric}_median"] == 20.5
        low, high = proportions.wilson_interval([20], [40])
        assert narrow[f"{metric}_median_low"] == np.ceil(40 * low[0]) and narrow[f"{metric}_median_high"] == np.ceil(
            40 * high[0]
        )
        assert wide[f"{metric}_median_low"] < narrow[f"{metric}_median_low"] - 4
        assert wide[f"{metric}_median_high"] > narrow[f"{metric}_median_high"] + 4


def test_outcome_curves_count_companies():
    frame = won_after([10] * 20 + [30] * 20, [f"a{number // 4}" for number in range(40)])
    row = stage_times.outcome_curves(frame, period=JULY, as_of=AS_OF).iloc[0]
    low, high = proportions.wilson_interval([4.5], [9])  # ten companies: 10 / (10 - 1)
    assert (row["outcome"], row["ended_rate"]) == ("won", 0.5)
    assert (row["ended_rate_low"], row["ended_rate_high"]) == pytest.approx((low[0], high[0]))


@pytest.fixture
def standing():
    """Thirty visits to One that ended by day 30, and three deals that still stand there; one in Two."""
    paths = [([("One", days)], "lost", None) for days in range(1, 31)]
    paths += [([("One", days)], "still_there", None) for days in (10, 40, 65)] + [([("Two", 90)], "still_there", None)]
    return visits_of(paths)


@pytest.fixture
def owned():
    rows = [{"opportunity_id": f"d{number}", "amount": 10.0 * number, "owner_id": f"r{number}"} for number in range(34)]
    return deals(rows)


def test_stuck_deals_by_hand(standing, owned):
    usual = stage_times.stage_duration(standing, period=JULY)
    # Of 33 in One, one leaves a day; the one open since day 10 is watched no longer: 90 % have left on day 30.
    assert usual.set_index("stage")["stage_duration_days_p90"].tolist()[0] == 29
    found = stage_times.stuck_deals(standing, usual, opportunities=owned)
    assert found["opportunity_id"].tolist() == ["d32", "d31"]  # Two has one visit: nothing is usual there
    assert found[["owner_id", "amount", "stage"]].values.tolist() == [["r32", 320.0, "One"], ["r31", 310.0, "One"]]
    assert found[["days_in_stage", "usual_days", "days_over"]].values.tolist() == [[65, 29, 36], [40, 29, 11]]
    table = stage_times.stuck_by_stage(standing, usual, opportunities=owned).set_index("stage")
    assert table.loc["One", ["n", "n_stuck", "stuck_amount"]].tolist() == [3, 2, 630.0]
    assert table.loc["One", "stuck_rate"] == pytest.approx(2 / 3)
    assert table.loc["Two", "n"] == 1 and table.loc["Two", ["n_stuck", "stuck_rate", "stuck_amount"]].isna().all()


def test_one_who_stands_exactly_as_long_as_usual_is_not_stuck(standing, owned):
    usual = stage_times.stage_duration(standing, period=JULY).assign(stage_duration_days_p90=40.0)
    assert stage_times.stuck_deals(standing, usual, opportunities=owned)["opportunity_id"].tolist() == ["d32"]


def test_with_nobody_standing_nobody_is_stuck(standing, owned):
    gone = standing[standing["exit"] != "still_there"]
    usual = stage_times.stage_duration(gone, period=JULY)
    assert stage_times.stuck_deals(gone, usual, opportunities=owned).empty
    table = stage_times.stuck_by_stage(gone, usual, opportunities=owned)
    assert table["n"].tolist() == [0] and table["stuck_rate"].isna().all()
    assert stage_times.stuck_sentence(table) == "No open deal stands in a stage whose usual time is known."


def test_an_unknown_amount_stays_unknown(standing, owned):
    usual = stage_times.stage_duration(standing, period=JULY)
    table = stage_times.stuck_by_stage(standing, usual, opportunities=owned.assign(amount=np.nan))
    assert table["n_stuck"].iloc[0] == 2 and np.isnan(table["stuck_amount"].iloc[0])
    assert ", worth" not in stage_times.stuck_sentence(table)


def stuck(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["stage", "n", "n_stuck", "stuck_amount"]).astype({"n_stuck": "Int64"})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            stuck(("One", 40, 12, 9e5), ("Two", 60, 3, 1e5), ("Three", 9, None, None)),
            "15 of the 100 deals open in a known stage, worth $1.0M, have stood in it for longer than nine of ten "
            "usually do: of them 12 in One.",
        ),
        (
            stuck(("One", 40, 1, 5e3)),
            "1 of the 40 deals open in a known stage, worth $5.0K, has stood in it for longer than nine of ten usually do: in One.",
        ),
        (
            stuck(("One", 1, 0, 0.0)),
            "The one open deal has not stood in its stage for longer than nine of ten usually do.",
        ),
        (
            stuck(("One", 2, 0, 0.0)),
            "None of the 2 deals open in a known stage has stood in it for longer than nine of ten usually do.",
        ),
        (stuck(), "No open deal stands in a stage whose usual time is known."),
        (stuck(("One", 5, None, None)), "No open deal stands in a stage whose usual time is known."),
    ],
)
def test_what_is_said_of_stuck_deals(table, said):
    assert stage_times.stuck_sentence(table, currency="USD") == said
