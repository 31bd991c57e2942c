"""Win rates side by side: hand-worked cases, a naive loop, R's number, and every branch of the sentences."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, win_loss, win_rates
from salesops.periods import Calendar, Period, month, quarter, trailing_quarters

Q3 = quarter(date(2026, 7, 1))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["open", "won", "lost", "no_decision"]),
            "segment": st.sampled_from(["SMB", "Enterprise", None]),
            "region": st.sampled_from(["EMEA", None]),
            "amount": st.one_of(st.none(), st.floats(1, 1e6)),
        }
    ),
    max_size=20,
)


def closed_on(day: str, won: int, lost: int) -> list[dict]:
    return [{"close_date": day}] * won + [{"close_date": day, "outcome": "lost"}] * lost


def at(frame: pd.DataFrame, as_of: date, **options) -> pd.DataFrame:
    return win_rates.win_rate_by_position(frame, period=Q3, as_of=as_of, **options)


def test_a_part_is_compared_with_the_same_part():
    frame = deals(
        closed_on("2026-07-10", 1, 3) + closed_on("2026-04-10", 2, 2) + closed_on("2026-04-11", 50, 0)
        + closed_on("2025-07-01", 0, 1) + closed_on("2025-07-11", 9, 0)
    )  # fmt: skip
    table = at(frame, date(2026, 7, 10))
    assert table["period"].tolist() == ["2026Q3", "2026Q2", "2025Q3"] and not table["is_complete"].any()
    assert [str(day) for day in table["last_date"]] == ["2026-07-10", "2026-04-10", "2025-07-10"]
    assert table["n"].tolist() == [4, 4, 1] and table["win_rate"].tolist() == [0.25, 0.5, 0.0]
    assert table["position_win_rate_change"].tolist() == pytest.approx([np.nan, -0.25, 0.25], nan_ok=True)


def test_a_whole_period_is_compared_with_whole_ones():
    frame = deals(closed_on("2026-09-30", 1, 0) + closed_on("2026-06-30", 1, 1))
    table = at(frame, date(2026, 12, 31))
    assert table["is_complete"].all() and [str(day) for day in table["last_date"]] == [
        "2026-09-30",
        "2026-06-30",
        "2025-09-30",
    ]
    assert table["n"].tolist() == [1, 2, 0] and np.isnan(table["win_rate"][2])


def test_a_shorter_period_ends_where_it_ends():
    february = month(date(2026, 3, 1))
    table = win_rates.win_rate_by_position(deals([]), period=february, as_of=date(2026, 3, 30))
    assert str(table["last_date"][1]) == "2026-02-28"


def test_the_calendar_says_what_came_before():
    period = quarter(date(2026, 8, 1), Calendar(2))
    table = win_rates.win_rate_by_position(deals([]), period=period, as_of=date(2026, 8, 3), calendar=Calendar(2))
    assert [str(day) for day in table["first_date"]] == ["2026-08-01", "2026-05-01", "2025-08-01"]


def test_all_of_the_data_holds_the_deals_without_a_date():
    every = Period("all", Q3.start, Q3.end)
    frame = deals(closed_on("2026-07-10", 1, 1) + [{"close_date": None}, {"outcome": "open"}])
    table = win_rates.win_rate_by_position(frame, period=every, as_of=Q3.end)
    assert table["n"].tolist() == [3, 0, 0] and win_loss.win_rate(frame)["n"].tolist() == [3]


def test_a_period_in_which_none_was_qualified_has_no_rate():
    frame = deals(closed_on("2026-07-10", 1, 1) + [{"close_date": "2026-04-10", "qualified_date": None}])
    assert at(frame, Q3.end)["n"].tolist() == [2, 0, 0]
    assert win_rates.win_rate_trend(frame, trailing_quarters(Q3, 2))["n"].tolist() == [0, 2]


def test_a_period_that_has_not_begun_is_refused():
    with pytest.raises(
        checks.ParameterError, match=r"period: 2026Q3 begins after 2026-06-30\. Choose an earlier period\."
    ):
        at(deals([]), date(2026, 6, 30))


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_every_dimension_is_what_win_loss_says_of_it(rows):
    frame = deals(rows)
    table = win_rates.win_rates_by_dimension(frame, ["segment", "region", "product"])
    assert set(table["dimension"]) <= {"segment", "region"}
    for name, mine in table.groupby("dimension"):
        closed = frame[frame["is_closed"]]
        plain = win_loss.win_rate(closed, by=name)
        money = win_loss.value_win_rate(closed, by=name).set_index(name)
        assert mine["n"].sum() == len(closed) and mine["n"].is_monotonic_decreasing
        pd.testing.assert_frame_equal(
            mine[["group", "n", "win_rate", "win_rate_low"]].sort_values("group", ignore_index=True),
            plain.rename(columns={name: "group"})[["group", "n", "win_rate", "win_rate_low"]].sort_values("group", ignore_index=True),
        )  # fmt: skip
        known = mine[mine["group"].isin(money.index.dropna())].set_index("group")["value_win_rate"]
        assert known.to_dict() == pytest.approx(money.loc[known.index, "value_win_rate"].to_dict(), nan_ok=True)


def test_a_dimension_that_is_not_there_is_left_out(no_deals):
    assert win_rates.win_rates_by_dimension(no_deals, ["segment"]).empty
    table = win_rates.win_rates_by_dimension(deals([{}, {"segment": None}]), ["nothing", "segment", "competitor"])
    assert table["dimension"].tolist() == ["segment", "segment"]


def test_dimensions_that_are_made():
    frame = deals([{"partner_id": "P-1", "owner_id": "r1"}, {"owner_id": "r2", "amount": None}, {"owner_id": None}])
    reps = pd.DataFrame({"owner_id": ["r1", "r2"], "team": ["East", None]})
    made = win_rates.with_dimensions(frame, reps=reps, currency="EUR")
    assert made["is_partner"].tolist() == ["partner", "direct", "direct"]
    assert made["team"].fillna("-").tolist() == ["East", "-", "-"]
    assert made["size_band"].fillna("-").tolist() == ["€100 or more", "-", "€100 or more"]
    none = win_rates.with_dimensions(deals([{}]))
    assert none["is_partner"].isna().all() and none["team"].isna().all() and "team" not in deals([{}])


def test_size_bands_have_round_edges_and_hold_their_lower_one():
    amount = pd.Series([1_000.0, 9_700, 10_000, 26_000, 24_999, 61_000, 90_000, 1_000])
    bands = win_rates.size_band(amount, "USD")
    # Quartiles 7,525; 17,500; 34,750 become 8,000; 15,000 or 20,000; 30,000.
    assert bands.tolist() == [
        "under $8.0K", "$8.0K to $15K", "$8.0K to $15K", "$15K to $30K", "$15K to $30K", "$30K or more", "$30K or more", "under $8.0K",
    ]  # fmt: skip
    edge = win_rates.size_band(pd.Series([1.0, 8, 8, 9]), bands=2)
    assert edge.tolist() == ["under 8", "8 or more", "8 or more", "8 or more"]
    assert win_rates.size_band(pd.Series([np.nan, np.nan])).isna().all()
    assert win_rates.size_band(pd.Series([0.0, 0.0])).tolist() == ["0 or more"] * 2


def rows_by_quarter(won: list[int], n: int) -> tuple[pd.DataFrame, list]:
    quarters = trailing_quarters(Q3, len(won))
    rows = [row for each, wins in zip(quarters, won, strict=True) for row in closed_on(str(each.end), wins, n - wins)]
    return deals([row | {"qualified_date": "2020-01-01"} for row in rows]), quarters


def test_a_lasting_change_is_dated():
    frame, quarters = rows_by_quarter([10, 12, 11, 10, 9, 10, 11, 12] + [22] * 8, 50)
    trend = win_rates.win_rate_trend(frame, quarters)
    assert trend["rule"].fillna("").tolist() == [""] * 8 + ["run"] * 8 and trend["n"].eq(50).all()
    assert (
        win_rates.trend_sentence(trend, each="quarter")
        == "From 2024Q4 on the win rate is higher than before: 44 % over 8 quarters, against 21 % until then."
    )
    ended = pd.concat([trend, trend.iloc[:1].assign(period="2026Q4", rule=None)])
    assert "From 2024Q4 to 2026Q3 the win rate is higher" in win_rates.trend_sentence(ended, each="quarter")


def test_open_and_unqualified_deals_do_not_move_the_trend():
    frame, quarters = rows_by_quarter([10] * 9, 50)
    more = deals([{"outcome": "open"}, {"qualified_date": None, "outcome": "lost"}])
    first, second = (win_rates.win_rate_trend(each, quarters) for each in (frame, pd.concat([frame, more])))
    pd.testing.assert_frame_equal(first, second)
    assert (
        win_rates.trend_sentence(first, each="quarter")
        == "No quarter has a win rate outside what chance gives (9 looked at)."
    )


def test_nothing_closed_has_a_trend_too(no_deals):
    trend = win_rates.win_rate_trend(no_deals, trailing_quarters(Q3, 9))
    assert trend["n"].eq(0).all() and trend["win_rate"].isna().all() and not trend["is_signal"].any()
    assert win_rates.trend_sentence(trend) == "Too few deals are closed a month to say whether the win rate changes."
    assert win_rates.win_rate_trend(no_deals, []).empty


def test_a_short_record_is_not_said_to_have_few_deals():
    frame, quarters = rows_by_quarter([20] * 4, 100)
    said = win_rates.trend_sentence(win_rates.win_rate_trend(frame, quarters), each="quarter")
    assert said == "Too few quarters have enough deals to tell a trend: 4 of 4."


def test_several_periods_outside_are_all_named():
    frame, quarters = rows_by_quarter([20, 22, 21, 20, 19, 20, 21, 22, 50, 20, 0], 100)
    said = win_rates.trend_sentence(win_rates.win_rate_trend(frame, quarters), each="quarter")
    assert (
        said == "The win rates of 2026Q1 (50 %) and 2026Q3 (0 %) lie outside what chance gives around the usual 21 %."
    )
    both = win_rates.win_rate_trend(frame, quarters).assign(won_count=50, win_rate=0.5)
    assert "lie above what chance gives" in win_rates.trend_sentence(both, each="quarter")


@pytest.mark.parametrize(
    ("counts", "is_complete", "said"),
    [
        ([(0, 0), (9, 50), (9, 50)], False, "No deals were closed in the first 10 days of 2026Q3."),
        ([(5, 19), (9, 50), (9, 50)], True, "In 2026Q3 we won 26 % of the deals closed (5 of 19): too few to compare."),
        ([(5, 25), (1, 2), (0, 0)], True, "In 2026Q3 we won 20 % of the deals closed (5 of 25); too few were closed in the earlier periods to compare with."),
        ([(10, 50), (10, 50), (1, 2)], True, "In 2026Q3 we won 20 % of the deals closed (10 of 50): no clear change from 20 % in 2026Q2."),
        ([(10, 50), (1, 2), (40, 50)], False, "In the first 10 days of 2026Q3 we won 20 % of the deals closed (10 of 50): down 60 points from 80 % in the same days of 2025Q3."),
        ([(40, 50), (10, 50), (40, 50)], True, "In 2026Q3 we won 80 % of the deals closed (40 of 50): up 60 points from 20 % in 2026Q2, and no clear change from 80 % in 2025Q3."),
    ],
)  # fmt: skip
def test_the_position_sentence_is_true_in_every_branch(counts, is_complete, said):
    starts = {"2026-07-01": counts[0], "2026-04-01": counts[1], "2025-07-01": counts[2]}
    frame = deals([row for day, (won, n) in starts.items() for row in closed_on(day, won, n - won)])
    table = at(frame, date(2026, 12, 31) if is_complete else date(2026, 7, 10))
    assert win_rates.position_sentence(table) == said


def test_one_day_is_the_first_day():
    table = at(deals(closed_on("2026-07-01", 5, 25)), date(2026, 7, 1))
    assert win_rates.position_sentence(table).startswith("In the first day of 2026Q3 we won 17 % of the deals closed")
