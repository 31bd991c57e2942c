"""The funnel against hand-worked visits, simulated truth and its own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, funnel, stage_times
from salesops.periods import Period
from salesops.stats import proportions, survival

JULY = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
TYPES = {
    "opportunity_id": "str",
    "visit": int,
    "stage": "str",
    "position": float,
    "entered_at": "datetime64[us]",
    "exited_at": "datetime64[us]",
    "exit": "str",
    "is_reentry": bool,
    "days": float,
    "segment": "str",
}
PLACES = {"One": 1, "Two": 2, "Three": 3}
FEW = settings(max_examples=20, deadline=None)
STEPS = st.lists(st.tuples(st.sampled_from(list(PLACES)), st.integers(0, 9)), min_size=1, max_size=5)
PATHS = st.lists(
    st.tuples(STEPS, st.sampled_from(["won", "lost", "still_there"]), st.sampled_from(["SMB", "Enterprise", None])),
    min_size=1,
    max_size=8,
)


def visits_of(paths: list[tuple[list[tuple[str, float]], str, str | None]]) -> pd.DataFrame:
    """Visits from (stage, days) steps, the last exit and a segment; every deal starts on 1 July."""
    rows = []
    for number, (steps, last, segment) in enumerate(paths):
        path = [step for before, step in zip([("", 0), *steps], steps, strict=False) if step[0] != before[0]]
        entered = pd.Timestamp("2026-07-01")
        for visit, (stage, days) in enumerate(path):
            gap = PLACES[path[visit + 1][0]] - PLACES[stage] if visit + 1 < len(path) else 0
            left = entered + pd.Timedelta(days=days)
            kind = {0: last, 1: "forward", 2: "skip"}.get(gap, "back")
            is_reentry = stage in [name for name, _ in path[:visit]]
            exited = pd.NaT if kind == "still_there" else left
            place = PLACES[stage]
            rows.append((f"d{number}", visit + 1, stage, place, entered, exited, kind, is_reentry, days, segment))
            entered = left
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES).assign(pipeline="new")


# Won straight through; skipped Two and lost; went back and is open; lost in One; open in One.
FIVE = [
    ([("One", 5), ("Two", 5), ("Three", 5)], "won", "SMB"),
    ([("One", 10), ("Three", 5)], "lost", "SMB"),
    ([("One", 3), ("Two", 3), ("One", 4)], "still_there", None),
    ([("One", 7)], "lost", "Enterprise"),
    ([("One", 2)], "still_there", "Enterprise"),
]


@pytest.fixture
def five_deals():
    return visits_of(FIVE)


def test_conversion_by_hand(five_deals):
    table = funnel.stage_conversion(five_deals, period=JULY).set_index("stage")
    one, two, three = (table.loc[stage] for stage in PLACES)
    assert one[["n", "n_advanced", "n_lost", "n_moved_back", "n_still_there"]].tolist() == [5, 3, 1, 0, 1]
    assert two[["n", "n_advanced", "n_lost", "n_moved_back", "n_still_there"]].tolist() == [2, 1, 0, 1, 0]
    assert three[["n", "n_advanced", "n_lost", "n_moved_back", "n_still_there"]].tolist() == [2, 1, 1, 0, 0]
    assert table["n_skipped"].tolist() == [0, 1, 0] and table["n_reentered"].tolist() == [1, 0, 0]
    assert table["n_still_open"].tolist() == [1, 1, 0] and two["still_open_rate"] == 0.5
    # One: of 4 left after day 2, advanced on days 3, 5 and 10, lost on day 7: 1/4 + 1/4 + (1/2 x 1/2) x 1.
    assert one["stage_conversion_rate"] == pytest.approx(3 / 4)
    # Two: one advanced on day 5; the other, back in One, was last seen at 3 + 4 days.
    assert two["stage_conversion_rate"] == pytest.approx(1 / 2)
    assert three["stage_conversion_rate"] == pytest.approx(1 / 2)


def test_a_missing_group_is_a_row_and_an_empty_stage_keeps_its_own(five_deals):
    table = funnel.stage_conversion(five_deals, period=JULY, by="segment")
    assert len(table) == 9 and table["segment"].isna().sum() == 3
    empty = table[(table["stage"] == "Three") & table["segment"].isna()].iloc[0]
    assert empty["n"] == 0 and np.isnan(empty["stage_conversion_rate"]) and np.isnan(empty["still_open_rate"])
    assert table.groupby("stage")["n"].sum().to_dict() == {"One": 5, "Two": 2, "Three": 2}
    assert table["n_skipped"].sum() == 1


def test_entries_outside_the_period_do_not_count(five_deals):
    june = Period("2026-06", date(2026, 6, 1), date(2026, 6, 30))
    table = funnel.stage_conversion(five_deals, period=june)
    assert table["n"].tolist() == [0, 0, 0] and table["stage_conversion_rate"].isna().all()
    assert funnel.overall_conversion(five_deals, period=june)["n"].tolist() == [0]


def test_a_lost_deal_opened_again_is_not_lost_while_it_goes_on():
    paths = visits_of([([("One", 5), ("Two", 5)], "won", None)])
    paths.loc[0, "exit"] = "lost"  # lost from One, opened again in Two, won
    row = funnel.stage_conversion(paths, period=JULY).iloc[0]
    assert (row["n_lost"], row["stage_conversion_rate"]) == (1, 1)


def test_overall_conversion_by_hand(five_deals):
    row = funnel.overall_conversion(five_deals, period=JULY).iloc[0]
    assert row[["n", "n_won", "n_lost", "n_still_open"]].tolist() == [5, 1, 2, 2]
    # Ends: open 2, lost 7, open 10, lost and won 15: 1/4 lost at once, then of 2 left one each.
    assert row["overall_conversion_rate"] == pytest.approx(3 / 4 * 1 / 2)


def test_no_visits_give_empty_tables_with_their_columns(five_deals):
    none = five_deals.iloc[:0]
    for question in (funnel.stage_conversion, funnel.overall_conversion):
        table, full = (question(each, period=JULY, by="pipeline") for each in (none, five_deals))
        assert table.empty and list(table.columns) == list(full.columns)
    assert np.isnan(funnel.overall_conversion(none, period=JULY)["overall_conversion_rate"].iloc[0])


def test_a_missing_column_is_named(five_deals):
    with pytest.raises(checks.DataError, match=r"missing column \['sgment'\].*Did you mean 'segment'\?"):
        funnel.stage_conversion(five_deals, period=JULY, by="sgment")


def companies(visits: pd.DataFrame, each: int) -> pd.DataFrame:
    """The visits with a company for every so many deals."""
    number = pd.factorize(visits["opportunity_id"])[0] // each
    return visits.assign(account_id=pd.Series(number, index=visits.index).astype("str"))


def test_deals_of_one_company_that_end_alike_count_once():
    """Forty deals of ten companies, all four of a company alike: the interval is that of ten."""
    paths = [([("One", 5)], "won" if number < 20 else "lost", None) for number in range(40)]
    visits = visits_of(paths)
    alone = funnel.stage_conversion(visits, period=JULY).iloc[0]
    together = funnel.stage_conversion(companies(visits, 4), period=JULY).iloc[0]
    low, high = proportions.wilson_interval([20], [40])
    assert (alone["stage_conversion_rate_low"], alone["stage_conversion_rate_high"]) == pytest.approx(
        (low[0], high[0]), abs=0.003
    )
    low, high = proportions.wilson_interval([4.5], [9])  # ten clusters are worth nine: 10 / (10 - 1)
    found = together[["stage_conversion_rate_low", "stage_conversion_rate_high"]].tolist()
    assert found == pytest.approx([low[0], high[0]]) and together["stage_conversion_rate"] == 0.5
    whole = funnel.overall_conversion(companies(visits, 4), period=JULY).iloc[0]
    assert whole[["overall_conversion_rate_low", "overall_conversion_rate_high"]].tolist() == pytest.approx(found)


def test_a_deal_without_a_company_stands_alone():
    visits = visits_of([([("One", 5)], "won" if number < 20 else "lost", None) for number in range(40)])
    unknown = visits.assign(account_id=pd.Series(None, index=visits.index, dtype="str"))
    pd.testing.assert_frame_equal(*(funnel.stage_conversion(each, period=JULY) for each in (visits, unknown)))


def test_a_deal_under_way_when_the_history_began_counts_from_the_age_at_which_it_was_seen():
    """Ten start in July, five of them lost on day 2, five won on day 9; ten were seen from day 5 on, five of them won."""
    paths = [([("One", 2)], "lost", None)] * 5 + [([("One", 9)], "won", None)] * 5
    paths += [([("One", 4)], "won", None)] * 5 + [([("One", 3)], "lost", None)] * 5
    visits = visits_of(paths).assign(entry_days=[0.0] * 10 + [5.0] * 10)
    row = funnel.stage_conversion(visits, period=JULY).iloc[0]
    # Half are lost on day 2; then of 15 watched, five are lost on day 8 and ten won on day 9.
    assert row["n"] == 20 and row["stage_conversion_rate"] == pytest.approx(1 / 2 * 10 / 15)
    unknown = visits.assign(entry_days=visits["entry_days"].where(visits["entry_days"] == 0))
    row = funnel.stage_conversion(unknown, period=JULY).iloc[0]
    assert row[["n", "n_advanced", "n_lost"]].tolist() == [20, 10, 10] and row[
        "stage_conversion_rate"
    ] == pytest.approx(1 / 2)
    taken = stage_times.stage_duration(visits, period=JULY).iloc[0]
    assert taken[["n", "stage_duration_days_p25", "stage_duration_days_p75"]].tolist() == [20, 2, 9]


def test_pipelines_are_counted_apart():
    new, renewal = visits_of(FIVE), visits_of(FIVE[1:2]).assign(pipeline="renewal", opportunity_id="r0")
    table = funnel.stage_conversion(pd.concat([new, renewal], ignore_index=True), period=JULY)
    assert table.groupby("pipeline")["n_skipped"].sum().to_dict() == {"new": 1, "renewal": 0}
    assert table.groupby("pipeline")["n"].sum().to_dict() == {"new": 9, "renewal": 2}
    table = funnel.stage_conversion(pd.concat([new, renewal], ignore_index=True), period=JULY, by="segment")
    assert table["n_skipped"].sum() == 1 and len(table) == 3 * 3 + 2 * 3


def test_a_deal_that_changes_its_pipeline_skips_in_each_on_its_own():
    both = visits_of([([("One", 5), ("Two", 5)], "lost", None), ([("Two", 5), ("Three", 1)], "lost", None)])
    moved = both.assign(opportunity_id="d0", visit=range(1, 5), pipeline=["new", "new", "renewal", "renewal"])
    other = visits_of([([("One", 1)], "lost", None)]).assign(opportunity_id="x", pipeline="renewal")
    table = funnel.stage_conversion(pd.concat([moved, other], ignore_index=True), period=JULY)
    skipped = table.set_index(["pipeline", "stage"])["n_skipped"]
    assert skipped[skipped > 0].to_dict() == {("renewal", "One"): 1}


QUARTER = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
EARLIER = Period("2026Q2", date(2026, 4, 1), date(2026, 6, 30))


@pytest.fixture
def two_quarters():
    """Twelve deals of July and eleven of April; of each eight go on from One on day 3, the others stay until day 9."""
    july = visits_of([([("One", 3), ("Two", 6)], "still_there", None)] * 8 + [([("One", 9)], "still_there", None)] * 4)
    april = july[july["opportunity_id"] != "d11"].assign(
        entered_at=july["entered_at"] - pd.Timedelta(days=91), exited_at=july["exited_at"] - pd.Timedelta(days=91)
    )
    april["opportunity_id"] = "a" + april["opportunity_id"]
    return pd.concat([july, april], ignore_index=True)


def test_curves_by_quarter_by_hand(two_quarters):
    curves = funnel.conversion_curves(two_quarters, cohorts=[EARLIER, QUARTER], ages=[1, 3, 4, 9])
    one = curves[curves["stage"] == "One"]
    assert one["cohort"].tolist() == ["2026Q2"] * 2 + ["2026Q3"] * 2  # fewer than ten were watched beyond day 3
    assert one["advanced_by_age_rate"].tolist() == pytest.approx([0, 8 / 11, 0, 8 / 12])
    assert one["n"].tolist() == one["n_at_risk"].tolist() == [11, 11, 12, 12]
    assert curves["stage"].unique().tolist() == ["One"]  # eight entered Two: no curve from so few
    low, high = proportions.wilson_interval([8 * 11 / 12], [11])  # twelve alone are worth eleven: 12 / (12 - 1)
    assert one.iloc[3][["advanced_by_age_rate_low", "advanced_by_age_rate_high"]].tolist() == pytest.approx(
        [low[0], high[0]]
    )


def test_overall_curves_are_of_the_first_stage_and_of_wins():
    paths = [([("One", 3), ("Two", 4)], "won", None)] * 5 + [([("One", 2)], "lost", None)] * 5
    paths += [([("One", 9), ("Two", 20)], "still_there", None)] * 10
    curves = funnel.overall_curves(visits_of(paths), cohorts=[QUARTER], ages=[3, 7, 20])
    assert curves["stage"].unique().tolist() == ["One"] and curves["n_at_risk"].tolist() == [15, 15, 10]
    assert curves["overall_by_age_rate"].tolist() == pytest.approx([0, 0.25, 0.25])


def test_a_curve_ends_at_the_plateau_and_is_read_at_sixty_ages_at_most():
    rng = np.random.default_rng(0)
    paths = [([("One", int(days))], kind, None) for days, kind in
             zip(rng.integers(1, 200, 300), rng.choice(["won", "lost", "still_there"], 300), strict=True)]  # fmt: skip
    visits = visits_of(paths)
    curves = funnel.conversion_curves(visits, cohorts=[QUARTER])
    assert 40 <= len(curves) <= 61 and curves["days"].iloc[0] == 0
    assert curves["advanced_by_age_rate"].is_monotonic_increasing and curves["n_at_risk"].min() >= 10
    rate = funnel.stage_conversion(visits, period=QUARTER)["stage_conversion_rate"].iloc[0]
    assert rate - 0.1 < curves["advanced_by_age_rate"].iloc[-1] <= rate
    at = survival.plateau(visits["days"], visits["exit"].where(visits["exit"] != "still_there")).set_index("cause")
    assert rate == pytest.approx(at.loc["won", "incidence"])


def test_no_visits_give_no_curves(five_deals):
    curves = funnel.conversion_curves(five_deals.iloc[:0], cohorts=[QUARTER])
    full = funnel.conversion_curves(pd.concat([five_deals] * 1), cohorts=[QUARTER])
    assert curves.empty and list(curves.columns) == list(full.columns)


@FEW
@given(PATHS)
def test_every_entry_ends_in_one_way(paths):
    table = funnel.stage_conversion(visits_of(paths), period=JULY)
    parts = table[["n_advanced", "n_lost", "n_moved_back", "n_still_there"]].sum(axis=1)
    assert parts.tolist() == table["n"].tolist()
    rate = table.dropna(subset=["stage_conversion_rate"])
    assert (rate["stage_conversion_rate_low"] <= rate["stage_conversion_rate"] + 1e-12).all()
    assert (rate["stage_conversion_rate"] <= rate["stage_conversion_rate_high"] + 1e-12).all()


@FEW
@given(PATHS)
def test_groups_add_up(paths):
    visits = visits_of(paths)
    whole, parts = (funnel.stage_conversion(visits, period=JULY, by=by) for by in (None, "segment"))
    counts = [name for name in whole.columns if name == "n" or name.startswith("n_")]
    assert parts.groupby("stage")[counts].sum().to_dict() == whole.set_index("stage")[counts].to_dict()


@FEW
@given(PATHS, st.integers(0, 5))
def test_row_order_is_irrelevant(paths, seed):
    visits = visits_of(paths)
    mixed = visits.sample(frac=1, random_state=seed)
    for question in (funnel.stage_conversion, funnel.overall_conversion):
        pd.testing.assert_frame_equal(question(visits, period=JULY), question(mixed, period=JULY))


@FEW
@given(PATHS)
def test_with_nothing_open_the_rate_is_the_plain_share_that_went_on(paths):
    closed = visits_of([(steps, "won" if end == "still_there" else end, segment) for steps, end, segment in paths])
    table = funnel.stage_conversion(closed, period=JULY)
    final = closed.groupby("opportunity_id").tail(1).set_index("opportunity_id")["exit"]
    for row in table.itertuples():
        mine = closed[closed["stage"] == row.stage].drop_duplicates("opportunity_id")
        went_on = [
            final[deal] == "won" or later_beyond(closed, deal, visit, PLACES[row.stage])
            for deal, visit in zip(mine["opportunity_id"], mine["visit"], strict=True)
        ]
        assert row.stage_conversion_rate == pytest.approx(np.mean(went_on))


def later_beyond(visits: pd.DataFrame, deal: str, visit: int, place: int) -> bool:
    rest = visits[(visits["opportunity_id"] == deal) & (visits["visit"] > visit)]
    return bool((rest["position"] > place).any())


def test_open_deals_are_counted_where_a_plain_ratio_would_mislead():
    """True chance 60 %; losing takes 5 days on average, going on 40; entries until the last day."""
    rng, n = np.random.default_rng(0), 6000
    goes_on, age = rng.random(n) < 0.6, rng.uniform(0, 200, n)
    end = rng.exponential(np.where(goes_on, 40.0, 5.0))
    is_open = end > age
    visits = pd.DataFrame(
        {
            "opportunity_id": np.arange(n).astype(str),
            "visit": 1,
            "pipeline": "new",
            "stage": "One",
            "position": 1,
            "entered_at": pd.Timestamp("2026-07-01"),
            "is_reentry": False,
            "days": np.minimum(end, age),
            "exit": np.select([is_open, goes_on], ["still_there", "won"], "lost"),
        }
    )
    visits["exited_at"] = (visits["entered_at"] + pd.to_timedelta(end, unit="D")).where(~is_open)
    row = funnel.stage_conversion(visits, period=JULY).iloc[0]
    assert row["stage_conversion_rate"] == pytest.approx(0.6, abs=0.02)
    assert row["n_advanced"] / (row["n_advanced"] + row["n_lost"]) < 0.56
    took = stage_times.stage_duration(visits.query("exit != 'lost'"), period=JULY).iloc[0]
    assert took["stage_duration_days_median"] == pytest.approx(40 * np.log(2), abs=2)


def stages(rates: list[tuple], n: int = 100, metric: str = "stage_conversion_rate") -> pd.DataFrame:
    table = pd.DataFrame(rates, columns=["stage", metric, f"{metric}_low", f"{metric}_high"])
    return table.assign(pipeline="new", n=n)


CLEAR = [("One", 0.4, 0.35, 0.45), ("Two", 0.7, 0.6, 0.8)]
CLOSE = [("One", 0.4, 0.3, 0.65), ("Two", 0.7, 0.6, 0.8)]
SLOW = [("One", 30.0, 25.0, 36.0), ("Two", 10.0, 8.0, 12.0)]
EVEN = [("One", 30.0, 11.0, 36.0), ("Two", 10.0, 8.0, 12.0)]


def overall(**changes) -> pd.DataFrame:
    row = {
        "pipeline": "new",
        "n": 1200,
        "n_still_open": 120,
        "overall_conversion_rate": 0.215,
        "overall_conversion_rate_low": 0.2,
        "overall_conversion_rate_high": 0.23,
    }
    return pd.DataFrame([row | changes])


def cycle(**changes) -> pd.DataFrame:
    row = {
        "n_won": 50,
        "sales_cycle_days_median": 62.0,
        "sales_cycle_days_median_low": 53.0,
        "sales_cycle_days_median_high": 69.0,
        "sales_cycle_days_p25": 26.0,
        "sales_cycle_days_p75": 127.0,
    }
    return pd.DataFrame([row | changes])


def headlines(rates=CLEAR, slow=SLOW, n=100, whole=None, wins=None) -> list[str]:
    """The sentences that the tables of a report give, one under the other."""
    durations = stages(slow, n, "stage_duration_days_median")
    whole, wins = overall() if whole is None else whole, cycle() if wins is None else wins
    return [
        *funnel.headlines(whole, wins, window=JULY),
        funnel.weakest_sentence(stages(rates, n)),
        funnel.slowest_sentence(durations),
        funnel.cycle_sentence(wins, JULY),
    ]


def test_headlines_when_all_is_known():
    assert headlines() == [
        "22 % of the 1,200 deals that entered the first stage in 2026-07 can be expected to be won "
        "(likely between 20 % and 23 %); 10 % are still open.",
        "Fewest deals of new get past One: 40 % (likely between 35 % and 45 %).",
        "Deals of new stay longest in One: half leave within 30 days (likely between 25 days and 36 days).",
        "Half of the wins take no more than 62 days (likely between 53 days and 69 days); "
        "the middle half take 26 to 127.",
    ]


def test_no_stage_is_named_whose_interval_touches_another():
    said = headlines(CLOSE, EVEN)
    assert said[1] == "No stage of new stands clear as the one fewest deals get past."
    assert said[2] == "No stage of new stands clear as the one where deals stay longest."


def test_no_stage_is_named_from_too_few():
    said = headlines(n=19, whole=overall(n=1), wins=cycle(n_won=3))
    assert said == [
        "1 deal entered the first stage in 2026-07: too few to say how many will be won.",
        "Too few deals entered the stages to say where they stall.",
        "Too few deals entered the stages to compare how long they stay.",
        "3 of the deals started in 2026-07 have been won: too few to say how long winning takes.",
    ]


def test_headlines_while_nothing_has_ended_and_with_two_pipelines():
    unknown = overall(overall_conversion_rate=np.nan)
    assert headlines(whole=unknown)[0] == "1,200 deals entered the first stage in 2026-07; none of them has ended yet."
    two = headlines(whole=pd.concat([overall(n=30), overall(pipeline="Customer")], ignore_index=True))
    assert two[0].startswith(
        "22 % of the 1,200 deals that entered the first stage of Customer in 2026-07 can be expected"
    )
    assert "of new" in two[1] and len(two) == 5
    assert funnel.headlines(overall(n_still_open=0), cycle(), window=JULY)[0].endswith("; none is still open.")


def test_the_group_won_most_often_is_named_only_where_it_stands_clear():
    row = {
        "n": 100,
        "overall_conversion_rate": 0.4,
        "overall_conversion_rate_low": 0.3,
        "overall_conversion_rate_high": 0.5,
    }
    low = {f"overall_conversion_rate{end}": value for end, value in (("", 0.2), ("_low", 0.1), ("_high", 0.29))}

    def said(*rows):
        return funnel.groups_sentence(pd.DataFrame([row | each for each in rows]), "lead_source")

    assert said({"lead_source": None}, low | {"lead_source": "Web"}) == (
        "Deals without lead source are won most often: 40 % (likely between 30 % and 50 %)."
    )
    assert said({"lead_source": "Ads"}, low | {"lead_source": "Web", "overall_conversion_rate_high": 0.3}) == (
        "No lead source stands clear as the one whose deals are won most often."
    )
    few = low | {"lead_source": "Web", "n": 19}
    assert said({"lead_source": "Ads"}, few) == "Too few deals to compare how many are won by lead source."


def test_headlines_without_a_history():
    none = stages([])
    said = funnel.headlines(overall()[:0], cycle(), window=Period("all", JULY.start, JULY.end))
    assert said[1] == "There is no stage history, so how far deals come and where they stall cannot be told."
    assert said[0].startswith("Half of the wins")
    assert funnel.weakest_sentence(none) == "Too few deals entered the stages to say where they stall."
