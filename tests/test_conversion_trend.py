"""Conversion over time, each deal with the same time: hand-worked histories, a naive loop, statsmodels, the sentence."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from salesops import checks, conversion_trend, crm, journey
from salesops.periods import Period, quarter, trailing_quarters

AS_OF = date(2026, 9, 30)
QUARTERS = [Period(f"2026Q{n}", date(2026, 3 * n - 2, 1), date(2026, 3 * n, 30)) for n in (1, 2, 3)]


def visit(deal, entered, exit="still_there", left=None, **more):
    """A stay in One unless told; the days run to the end of September where it goes on."""
    entered, left = pd.Timestamp(entered), pd.Timestamp(left) if left else pd.NaT
    until = pd.Timestamp("2026-10-01") if left is pd.NaT else left
    return {
        "opportunity_id": deal, "visit": 1, "pipeline": "new", "stage": "One", "position": 1.0, "entered_at": entered,
        "exited_at": left, "exit": exit, "is_reentry": False, "days": (until - entered).days * 1.0, "account_id": deal,
    } | more  # fmt: skip


def frame(*rows):
    return pd.DataFrame(rows).astype({"exited_at": "datetime64[us]", "entered_at": "datetime64[us]"})


SECOND = {"visit": 2, "stage": "Two", "position": 2.0}
VISITS = frame(
    visit("A", "2026-01-10", "forward", "2026-01-20"),  # in One 10 days, then won after 30 more
    visit("A", "2026-01-20", "won", "2026-02-19", **SECOND),
    visit("B", "2026-02-01", "forward", "2026-03-13"),  # 40 days: late
    visit("B", "2026-03-13", "lost", "2026-03-20", **SECOND),
    visit("C", "2026-04-01", "lost", "2026-04-05"),
    visit("D", "2026-04-01"),  # still there
    visit("E", "2026-09-10", "won", "2026-09-15"),  # had only 21 days
    visit("F", "2026-09-01", "won", "2026-09-30"),  # had 30 days, took 29
)


def entries(visits=VISITS, **options):
    return conversion_trend.entries(visits, as_of=AS_OF, **options).set_index(["opportunity_id", "stage"])


def test_each_deal_has_the_same_time():
    found = entries(within_days=30).xs("One", level="stage")
    assert found["is_known"].to_dict() == dict.fromkeys("ABCD", True) | {"E": False, "F": True}
    assert found.index[found["is_converted"]].tolist() == ["A", "F"]
    assert entries(within_days=40).xs("One", level="stage")["is_converted"].sum() == 2  # A and B; F had not 40 days
    assert entries(within_days=39).xs("One", level="stage")["is_converted"].sum() == 1
    to_won = entries(to="won", within_days=40)
    assert to_won.index.get_level_values("stage").unique().tolist() == ["One"]
    assert to_won.index[to_won["is_converted"]].get_level_values(0).tolist() == ["A"]
    assert entries(to="won", within_days=39).loc["A", "is_converted"].tolist() == [False]


def test_a_second_entry_does_not_count():
    again = visit("D", "2026-05-01", "won", "2026-05-02", visit=2, is_reentry=True)
    found = conversion_trend.entries(pd.concat([VISITS, frame(again)]), as_of=AS_OF, within_days=30)
    assert (found["opportunity_id"] == "D").sum() == 1


def test_the_usual_time_is_that_of_those_who_convert():
    rows = [visit(f"d{n}", "2026-01-01", "won", f"2026-01-{1 + n:02}") for n in range(1, 9)]
    rows += [visit(f"e{n}", "2026-01-01", "lost", "2026-01-30") for n in range(5)]
    assert entries(frame(*rows))["within_days"].unique().tolist() == [6.5]
    assert entries(frame(*rows), usual=0.5)["within_days"].unique().tolist() == [4.5]
    none = entries(frame(*rows[8:]))
    assert none["within_days"].isna().all() and not none["is_known"].any()


def test_a_period_is_unknown_until_all_have_had_the_time():
    table = conversion_trend.conversion_trend(entries(within_days=30).reset_index(), periods=QUARTERS)
    one = table[table["stage"] == "One"]
    assert one["cohort"].tolist() == ["2026Q1", "2026Q2", "2026Q3"]
    assert one["n"].tolist() == [2, 2, 1] and one["n_too_young"].tolist() == [0, 0, 1]
    assert one["conversion_in_time_rate"].tolist()[:2] == [0.5, 0.0] and np.isnan(
        one["conversion_in_time_rate"].iloc[2]
    )
    two = table[table["stage"] == "Two"]
    assert two["n"].tolist() == [2, 0, 0] and two["conversion_in_time_rate"].isna().tolist() == [False, True, True]


def test_the_slope_is_least_squares_with_clusters():
    """statsmodels' OLS with covariance over clusters, without its small-sample factor, and its t."""
    rng = np.random.default_rng(2)
    account = rng.integers(0, 40, 300)
    number = rng.integers(0, 3, 300)
    entered = pd.DataFrame({
        "stage": "One", "pipeline": "new", "position": 1.0, "within_days": 30.0, "is_known": True, "account_id": account,
        "entered_at": pd.to_datetime([QUARTERS[each].start for each in number]),
        "is_converted": rng.random(300) < 0.3 + 0.1 * number + 0.2 * (account % 2),
    })  # fmt: skip
    row = conversion_trend.conversion_slopes(entered, periods=QUARTERS).iloc[0]
    fit = sm.OLS(entered["is_converted"].astype(float).to_numpy(), sm.add_constant(number.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": account, "use_correction": False}, use_t=True
    )
    error = fit.bse[1] * np.sqrt(40 / 39)
    assert row["conversion_slope"] == pytest.approx(fit.params[1])
    half = row["conversion_slope_high"] - row["conversion_slope"]
    assert half == pytest.approx(error * 2.0226909, rel=1e-6)  # t of 39
    assert row["is_named"] and row["p_value"] < 0.05
    alone = conversion_trend.conversion_slopes(entered.assign(account_id=None), periods=QUARTERS).iloc[0]
    assert alone["conversion_slope"] == row["conversion_slope"] and alone["p_value"] != row["p_value"]


def test_a_young_period_is_no_part_of_the_slope():
    def cohort(start, converted, n, known=True):
        return pd.DataFrame({
            "stage": "One", "pipeline": "new", "position": 1.0, "within_days": 30.0, "is_known": known, "account_id": None,
            "entered_at": pd.Timestamp(start), "is_converted": np.arange(n) < converted,
        })  # fmt: skip

    old = [cohort(f"202{year}-{month}-05", 20, 40) for year, month in ((5, "07"), (5, "10"), (6, "01"), (6, "04"))]
    young = [cohort("2026-07-02", 0, 40), cohort("2026-09-20", 0, 1, known=False)]
    periods = trailing_quarters(quarter(AS_OF), 5)
    row = conversion_trend.conversion_slopes(pd.concat([*old, *young]), periods=periods).iloc[0]
    assert row["conversion_slope"] == pytest.approx(0) and row["last_cohort"] == "2026Q2" and row["n"] == 160
    few = conversion_trend.conversion_slopes(pd.concat(old[:2]), periods=periods).iloc[0]
    assert np.isnan(few["conversion_slope"]) and few["n_cohorts"] == 2 and not few["is_named"]


def test_the_last_two_spans_are_whole():
    rows = pd.DataFrame({"entered_at": pd.to_datetime(["2025-01-05", "2026-09-20"]), "is_known": [True, False]})
    periods = trailing_quarters(quarter(AS_OF), 8)
    now, before = conversion_trend.last_two(rows, periods=periods)
    assert (now.label, before.label) == ("2025Q4–2026Q2", "2025Q1–2025Q3")  # seven whole quarters: three and three
    assert (now.start, now.end) == (date(2025, 10, 1), date(2026, 6, 30))
    now, before = conversion_trend.last_two(rows, periods=periods, length=2)
    assert (now.label, before.label) == ("2026Q1–2026Q2", "2025Q3–2025Q4")
    young = pd.DataFrame({"entered_at": [each.start for each in periods], "is_known": False})
    young["entered_at"] = pd.to_datetime(young["entered_at"])
    assert [each.label for each in conversion_trend.last_two(young, periods=periods)] == ["2026Q3", "2026Q2"]
    assert conversion_trend.known_in(rows, periods[0]).empty and len(conversion_trend.known_in(rows, periods[1])) == 1


def test_nobody_entered():
    none = conversion_trend.entries(VISITS.iloc[:0], as_of=AS_OF)
    assert none.empty and conversion_trend.conversion_trend(none, periods=QUARTERS).empty
    slopes = conversion_trend.conversion_slopes(none, periods=QUARTERS)
    assert conversion_trend.sentence(slopes) == (
        "Too few deals have had the time to tell whether conversion rises or falls."
    )


def test_the_sample_company_against_a_plain_loop():
    company = crm.load("sample", where="opportunity_type != 'renewal'")
    visits = journey.stage_visits(
        company.stage_history, stages=company.stages, opportunities=company.opportunities, as_of=company.as_of,
        carry=["account_id", "segment"],
    )  # fmt: skip
    periods = trailing_quarters(quarter(AS_OF), 6)
    table = conversion_trend.conversion_trend(
        conversion_trend.entries(visits, as_of=company.as_of, to="won", within_days=120), periods=periods
    )
    stays, known, time = {}, {}, pd.Timedelta(days=120)
    for row in visits.itertuples():
        stays.setdefault((row.opportunity_id, row.pipeline), []).append(row)
    for (_, pipeline), each in stays.items():
        first, last = next((row for row in each if row.position == 1), None), each[-1]
        if first and first.entered_at + time <= pd.Timestamp(company.as_of) + pd.Timedelta(days=1):
            is_won = last.exit == "won" and last.exited_at <= first.entered_at + time
            known.setdefault(pipeline, []).append((first.entered_at.date(), is_won))
    for row in table.itertuples():
        mine = [won for day, won in known[row.pipeline] if row.cohort_start <= day <= row.cohort_end]
        assert (row.n, row.n_converted) == (len(mine), sum(mine))
    assert table["n"].sum() > 1_000


def test_what_is_wrong_is_said():
    with pytest.raises(checks.ParameterError, match=r"conversion_trend: to is 'lost'. Write next or won."):
        entries(to="lost")
    with pytest.raises(checks.ParameterError, match=r"within_days is 0. Write a number of days above 0."):
        entries(within_days=0)
    with pytest.raises(checks.ParameterError, match=r"conversion_trend: periods are none. Name at least one."):
        conversion_trend.conversion_trend(entries().reset_index(), periods=[])
    with pytest.raises(checks.DataError, match=r"entered: missing column \['is_known'\]"):
        conversion_trend.conversion_slopes(entries().reset_index().drop(columns="is_known"), periods=QUARTERS)


def slopes(*rows):
    columns = ["stage", "pipeline", "n", "conversion_slope", "is_named"]
    table = pd.DataFrame(rows, columns=columns).assign(within_days=30.0, first_cohort="2024Q4", last_cohort="2026Q2")
    table["conversion_slope_low"] = table["conversion_slope"] - 0.01
    table["conversion_slope_high"] = table["conversion_slope"] + 0.01
    return table


UP = "From 2024Q4 to 2026Q2 the share of deals that got beyond One within 30 days rose by 2 points a quarter (likely between 1 and 3)"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("One", "new", 90, 0.02, True)], f"{UP}."),
        ([("One", "new", 90, 0.02, True), ("Two", "new", 90, 0.0, False)], f"{UP}; at the other stage there is no clear trend."),
        ([("Two", "new", 90, 0.0, False), ("One", "new", 90, 0.02, True), ("Three", "new", 90, 0.0, False)], f"{UP}; at the other 2 stages there is no clear trend."),
        ([("Two", "new", 90, -0.01, True), ("One", "new", 90, 0.02, True)], f"{UP}; from 2024Q4 to 2026Q2 the share of deals that got beyond Two within 30 days fell by 1 point a quarter."),
        ([("One", "new", 90, 0.0, False), ("Two", "new", 90, 0.0, False)], "There is no clear trend in the conversion of any stage."),
        ([("One", "new", 90, 0.0, False)], "There is no clear trend in the share of deals that got beyond One within 30 days."),
        ([("One", "new", 19, 0.5, True)], "Too few deals have had the time to tell whether conversion rises or falls."),
        ([("One", "new", 90, np.nan, False)], "Too few deals have had the time to tell whether conversion rises or falls."),
    ],
)  # fmt: skip
def test_every_form_of_the_sentence(rows, told):
    assert conversion_trend.sentence(slopes(*rows)) == told


def test_the_sentence_to_a_win_names_the_pipeline_where_there_are_two():
    table = slopes(("One", "new", 90, -0.02, True), ("Scope", "old", 90, 0.0, False))
    assert conversion_trend.sentence(table, to="won", each="month") == (
        "From 2024Q4 to 2026Q2 the share of deals won within 30 days of entering One of new fell by 2 points a month "
        "(likely between 1 and 3); at the other stage there is no clear trend."
    )
    flat = conversion_trend.sentence(table.assign(is_named=False), to="won")
    assert flat == "There is no clear trend in the share of deals won, in any pipeline."
