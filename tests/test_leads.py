"""Leads against hand-worked cases, a naive clock, simulated truth and their own invariants."""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import acquisition, checks, lead_funnel, lead_routing, lead_speed, leads
from salesops.crm import model
from salesops.periods import Period
from salesops.stats import working_time

JULY = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
Q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
AS_OF = date(2026, 7, 31)
MOMENTS = ["created_at", *leads._MOMENTS]
FEW = settings(max_examples=25, deadline=None)


def table(rows: list[dict]) -> pd.DataFrame:
    """Leads from a few columns: of the Website, class A, of U1, arrived on 1 July at nine."""
    usual = {
        "source": "Website",
        "campaign": None,
        "class": "A",
        "score": 50.0,
        "owner_id": "U1",
        "created_at": "2026-07-01 09:00",
    }
    frame = pd.DataFrame(
        [usual | {"lead_id": f"L{number}"} | row for number, row in enumerate(rows)],
        columns=list(dict.fromkeys([*usual, "lead_id", *MOMENTS, "opportunity_id", "reason"])),
    )
    for name in MOMENTS:
        frame[name] = pd.to_datetime(frame[name], format="mixed").astype("datetime64[us]")
    return model.conform(frame, "leads")


NONE = deals([])


@pytest.fixture
def five():
    """Answered after 2, 5 and 30 hours; disqualified unanswered after 10 hours; open, unanswered."""
    return table(
        [
            {
                "first_response_at": "2026-07-01 11:00",
                "qualified_at": "2026-07-03 09:00",
                "converted_at": "2026-07-05 09:00",
                "opportunity_id": "D1",
            },
            {
                "first_response_at": "2026-07-01 14:00",
                "qualified_at": "2026-07-03 09:00",
                "disqualified_at": "2026-07-09 09:00",
            },
            {"first_response_at": "2026-07-02 15:00", "source": None},
            {"disqualified_at": "2026-07-01 19:00"},
            {},
        ]
    )


# the clock


def naive_hours(start: datetime, end: datetime, week: working_time.Week) -> float:
    """Minute by minute."""
    minutes, now = 0, start
    while now < end:
        hour = now.hour + now.minute / 60
        is_open = week.days[now.weekday()] and week.opens <= hour < week.closes and now.date() not in week.holidays
        minutes += is_open
        now += timedelta(minutes=1)
    return minutes / 60


WEEKS = ["Mon-Fri 09:00-17:00", "Mon-Sat 08:30-12:15", "Sun-Thu 00:00-24:00", "Sat 10:00-11:00", "Fri-Tue 6:05-23:59"]


@FEW
@given(
    st.datetimes(datetime(2026, 6, 25), datetime(2026, 7, 12)),
    st.integers(0, 20_000),
    st.sampled_from(WEEKS),
    st.lists(st.dates(date(2026, 6, 25), date(2026, 7, 20)), max_size=3),
)
def test_working_hours_agree_with_a_minute_by_minute_count(start, minutes, text, holidays):
    start = start.replace(second=0, microsecond=0)
    week, end = working_time.week(text, holidays=tuple(holidays)), start + timedelta(minutes=minutes)
    found = working_time.hours_between(pd.Series([start]), pd.Series([end]), week)
    assert found[0] == pytest.approx(naive_hours(start, end, week), abs=1e-9)
    assert working_time.hours_between(pd.Series([start]), pd.Series([end]))[0] == pytest.approx(minutes / 60)


def test_working_hours_by_hand():
    week = working_time.week("Mon-Fri 09:00-17:00", holidays=(date(2026, 7, 6),))
    start = pd.Series(
        pd.to_datetime(["2026-07-03 16:30", "2026-07-03 18:00", "2026-07-04 12:00", "2026-07-03 08:00", None])
    )
    end = pd.Series(
        pd.to_datetime(
            ["2026-07-07 09:15", "2026-07-07 08:00", "2026-07-07 10:00", "2026-07-03 10:00", "2026-07-03 00:00"]
        )
    )
    assert working_time.hours_between(start, end, week).tolist()[:4] == [0.75, 0.0, 1.0, 1.0]
    assert working_time.hours_between(start, end, week).isna().tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nine to five", "cannot read 'nine to five'. Write them as Mon-Fri 09:00-17:00."),
        ("Mon-Fry 09:00-17:00", "cannot read"),
        ("Mon-Fri 17:00-09:00", "ends before it begins"),
        ("Mon-Fri 09:00-25:00", "not within one day"),
    ],
)
def test_bad_working_hours_say_what_to_write(text, words):
    with pytest.raises(checks.ParameterError, match=words):
        working_time.week(text)


# responses


def test_only_people_answer():
    frame = table([{"first_response_at": "2026-07-01 09:01"}] * 4)
    log = pd.DataFrame(
        [
            ("L0", "2026-07-01 09:01", "outbound", True),
            ("L0", "2026-07-01 08:00", "outbound", False),
            ("L0", "2026-07-01 09:30", "inbound", False),
            ("L0", "2026-07-01 12:00", None, False),
            ("L0", "2026-07-01 11:00", "outbound", None),
            ("L1", "2026-07-01 09:01", "outbound", True),
            ("L9", "2026-07-01 09:01", "outbound", False),
            (None, "2026-07-01 09:01", "outbound", False),
            ("L2", "2026-07-01 09:05", "inbound", False),
        ],
        columns=["lead_id", "occurred_at", "direction", "is_automated"],
    ).astype({"occurred_at": "datetime64[us]", "is_automated": "boolean"})
    found = leads.answered_by_people(frame, log)
    # Before its arrival, from outside, by a machine: none of them an answer. L3 is not in the log and keeps its own.
    assert found["first_response_at"].dt.strftime("%H:%M").tolist() == ["11:00", np.nan, np.nan, "09:01"]
    assert found["automatic_response_at"].notna().tolist() == [True, True, False, False]
    pd.testing.assert_frame_equal(leads.answered_by_people(frame, log[:0])[frame.columns], frame)


def test_response_by_hand(five):
    row = leads.lead_response(five, period=JULY, as_of=AS_OF).iloc[0]
    assert row[["n", "n_answered", "n_waiting", "n_closed_unanswered"]].tolist() == [5, 3, 1, 1]
    # 2, 5, 10+, 30, 735+: survival 4/5, 3/5, then of two left one at 30 hours: 3/10.
    assert row["lead_response_hours_median"] == 30 and np.isnan(row["lead_response_hours_p90"])
    assert "lead_response_working_hours_median" not in row


def test_the_working_clock_stands_beside_the_other(five):
    week = working_time.week("Mon-Fri 09:00-17:00")
    row = leads.lead_response(five, period=JULY, as_of=AS_OF, working=week).iloc[0]
    # 2, 5, 8+ (closed at 19:00), 8 + 6 = 14, open.
    assert (row["lead_response_hours_median"], row["lead_response_working_hours_median"]) == (30, 14)


def test_a_response_before_the_lead_is_left_out_and_a_later_one_not_known_yet(five):
    five.loc[0, "first_response_at"] = pd.Timestamp("2026-06-30")
    assert leads.lead_response(five, period=JULY, as_of=AS_OF)["n"].tolist() == [4]
    early = leads.lead_response(five, period=JULY, as_of=date(2026, 7, 1)).iloc[0]
    assert early[["n", "n_answered", "n_waiting", "n_closed_unanswered"]].tolist() == [4, 1, 2, 1]


def test_prospects_answer_on_their_own_clock(five):
    five.loc[0, "replied_at"] = pd.Timestamp("2026-07-02 11:00")
    five.loc[3, "replied_at"] = pd.Timestamp("2026-07-02 11:00")  # we never answered: no clock runs
    row = leads.prospect_reply(five, period=JULY, as_of=AS_OF).iloc[0]
    assert row[["n", "n_replied", "n_waiting", "n_closed_unanswered"]].tolist() == [3, 1, 1, 1]
    assert np.isnan(row["prospect_reply_hours_median"])
    alone = leads.prospect_reply(five.iloc[:1], period=JULY, as_of=AS_OF).iloc[0]
    assert alone["prospect_reply_hours_median"] == 24


def test_sla_by_hand(five):
    late = table(
        [
            {"created_at": "2026-07-31 20:00"},
            {"created_at": "2026-07-31 20:00", "first_response_at": "2026-07-31 21:00"},
        ]
    )
    both = pd.concat([five, late], ignore_index=True)
    row = leads.lead_sla(both, period=JULY, as_of=AS_OF, hours=5).iloc[0]
    # In 5 hours: 2 and exactly 5; late: 30, closed after 10, open. The two of the last evening are not due.
    assert row[["n", "n_in_time", "n_not_due", "n_closed_before"]].tolist() == [5, 2, 2, 0]
    row = leads.lead_sla(both, period=JULY, as_of=AS_OF, hours=12).iloc[0]
    assert row[["n", "n_in_time", "n_not_due", "n_closed_before"]].tolist() == [4, 2, 2, 1]
    assert row["lead_sla_rate"] == 0.5
    week = working_time.week("Mon-Fri 09:00-17:00")
    row = leads.lead_sla(both, period=JULY, as_of=AS_OF, hours=14, working=week).iloc[0]
    assert row[["n", "n_in_time", "n_not_due", "n_closed_before"]].tolist() == [4, 3, 2, 1]  # 14 hours on the day
    with pytest.raises(checks.ParameterError, match="hours: 0 is no time to answer in"):
        leads.lead_sla(both, period=JULY, as_of=AS_OF, hours=0)


# the funnel


def won(**changes) -> pd.DataFrame:
    return deals([{"opportunity_id": "D1", "created_date": "2026-07-05", "close_date": "2026-07-20"} | changes])


def test_conversion_by_hand(five):
    found = lead_funnel.lead_conversion(five, won(), period=JULY, as_of=AS_OF).set_index("goal")
    counted = found[["n", "n_reached", "n_ended", "n_open", "n_from"]]
    # Qualified: the second was qualified before it was disqualified; the fourth is out after ten hours.
    assert counted.loc["qualified"].tolist() == [5, 2, 1, 2, 5]
    assert counted.loc["opportunity"].tolist() == [5, 1, 2, 2, 2]
    assert counted.loc["won"].tolist() == [5, 1, 2, 2, 1]
    assert found["lead_conversion_rate"].tolist() == [0.4, 0.2, 0.2]  # the open ones outlast every end
    assert found["lead_step_rate"].tolist() == [0.4, 0.5, 1.0]
    assert found["lead_unsettled_rate"].round(9).tolist() == [0.4, 0.4, 0.4]


def test_censoring_counts(five):
    five.loc[4, "created_at"] = pd.Timestamp("2026-07-31 09:00")  # watched for 15 hours: through the first loss alone
    rate = lead_funnel.lead_conversion(five, won(), period=JULY, as_of=AS_OF).set_index("goal")["lead_conversion_rate"]
    # Opportunity: 1/5 out at 10 hours, one censored at 15; of three left one on day 4: 4/5 x 1/3.
    assert rate["opportunity"] == pytest.approx(4 / 15)


def test_a_lead_passes_what_it_skips_and_a_lost_deal_ends_it(five):
    five.loc[0, "qualified_at"] = pd.NaT
    lost = won(outcome="lost", closed_at="2026-07-18")
    found = lead_funnel.lead_conversion(five, lost, period=JULY, as_of=AS_OF).set_index("goal")
    assert found.loc["qualified", "n_reached"] == 2
    assert found.loc["won", ["n_reached", "n_ended", "n_open"]].tolist() == [0, 3, 2]
    unseen = lead_funnel.lead_progress(five, NONE, goal="won", as_of=AS_OF)
    assert (
        unseen["cause"].isna()[0] and unseen["days"][0] == 4
    )  # its deal is not on record: watched until it became one
    still_open = lead_funnel.lead_progress(five, won(outcome="open"), goal="won", as_of=AS_OF)
    assert still_open["cause"].isna()[0] and still_open["days"][0] == pytest.approx(30.625)


def test_a_disqualified_lead_that_came_back_counts_as_reached(five):
    five.loc[0, "disqualified_at"] = pd.Timestamp("2026-07-02")
    assert lead_funnel.lead_progress(five, won(), goal="opportunity", as_of=AS_OF)["cause"][0] == "reached"


def test_a_deal_without_the_date_it_came_from_has_its_own(five):
    five.loc[0, "converted_at"] = pd.NaT
    rows = lead_funnel.lead_progress(five, won(created_date="2026-07-05 09:00"), goal="opportunity", as_of=AS_OF)
    assert (rows["cause"][0], rows["days"][0]) == ("reached", 4)


def test_a_missing_group_is_a_row_and_nothing_gives_missing(five):
    by_source = lead_funnel.lead_conversion(five, won(), period=JULY, as_of=AS_OF, by="source")
    assert by_source.groupby("goal")["n"].apply(list).to_dict() == {goal: [4, 1] for goal in lead_funnel.GOALS}
    assert by_source["source"].isna().sum() == 3
    june = Period("2026-06", date(2026, 6, 1), date(2026, 6, 30))
    for found in (
        lead_funnel.lead_conversion(five, won(), period=june, as_of=AS_OF),
        leads.lead_response(five, period=june, as_of=AS_OF),
        leads.lead_sla(five, period=june, as_of=AS_OF, hours=4),
    ):
        assert (found["n"] == 0).all() and found.filter(like="_rate").isna().all(axis=None)
    assert leads.lead_response(five, period=JULY, as_of=AS_OF, by="source")["n"].tolist() == [4, 1]


def test_curves_stop_where_few_are_left():
    rows = [{"converted_at": f"2026-07-{day:02d} 09:00"} for day in range(2, 22)]
    curve = lead_funnel.conversion_curves(table(rows), NONE, period=JULY, as_of=AS_OF)
    assert curve["n_at_risk"].min() == 10 and curve["reached_rate"].iloc[-1] == pytest.approx(11 / 20)
    whole = lead_funnel.conversion_curves(table(rows), NONE, period=JULY, as_of=AS_OF, by="source")
    assert whole["source"].unique().tolist() == ["Website"] and len(whole) == len(curve)


def test_settled_leads_are_old_enough(five):
    rows = lead_funnel.settled(five, won(), goal="opportunity", within_days=3, as_of=AS_OF)
    assert rows["is_reached"].tolist() == [False] * 5  # on the fourth day
    assert lead_funnel.settled(five, won(), goal="opportunity", within_days=4, as_of=AS_OF)["is_reached"].sum() == 1
    assert len(lead_funnel.settled(five, won(), goal="opportunity", within_days=31, as_of=AS_OF)) == 0
    assert len(lead_funnel.settled(five, NONE, goal="won", within_days=10, as_of=AS_OF)) == 4  # out of sight
    with pytest.raises(checks.ParameterError, match="within_days: 0"):
        lead_funnel.settled(five, won(), goal="won", within_days=0, as_of=AS_OF)


def test_a_misspelt_goal():
    with pytest.raises(checks.ParameterError, match=r"goal: 'win'. Use qualified, opportunity, won"):
        lead_funnel.lead_progress(table([]), NONE, goal="win", as_of=AS_OF)
    with pytest.raises(checks.DataError, match="leads: missing column"):
        leads.lead_response(table([]).drop(columns="created_at"), period=JULY, as_of=AS_OF)


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_invariants(data):
    """Every lead in one cell, rates within their limits, order irrelevant, a later look never takes a goal back."""
    offset = st.one_of(st.none(), st.integers(0, 40))
    drawn = data.draw(
        st.lists(st.tuples(*[offset] * 5, st.sampled_from(["Event", "Web", None])), min_size=1, max_size=8)
    )
    start = pd.Timestamp("2026-07-01")
    rows = [
        {"created_at": start, "source": source}
        | {
            name: None if at is None else start + pd.Timedelta(days=at)
            for name, at in zip(leads._MOMENTS, moments, strict=True)
        }
        for *moments, source in drawn
    ]
    frame = table(rows)
    found = lead_funnel.lead_conversion(frame, NONE, period=JULY, as_of=AS_OF, by="source")
    assert (found[["n_reached", "n_ended", "n_open"]].sum(axis=1) == found["n"]).all()
    assert (found.groupby("goal")["n"].sum() == len(frame)).all()
    for name in ("lead_conversion_rate", "lead_step_rate"):
        known = found.dropna(subset=name)
        assert ((known[f"{name}_low"] <= known[name] + 1e-9) & (known[name] <= known[f"{name}_high"] + 1e-9)).all()
    shuffled = lead_funnel.lead_conversion(frame.iloc[::-1], NONE, period=JULY, as_of=AS_OF, by="source")
    pd.testing.assert_frame_equal(found, shuffled)
    later = lead_funnel.lead_conversion(frame, NONE, period=JULY, as_of=date(2026, 12, 31), by="source")
    assert (later["n_reached"] >= found["n_reached"]).all()
    agreed = leads.lead_sla(frame, period=JULY, as_of=AS_OF, hours=24.0)
    assert agreed[["n", "n_not_due", "n_closed_before"]].sum(axis=1).tolist() == [len(frame)]


def test_young_leads_do_not_lower_the_expected_rate():
    """Half convert on the third day, half are out on the fourth; leads of the last days have not had the time."""
    created = pd.date_range("2026-07-01", "2026-07-31", periods=620)
    ends = pd.Series(created + pd.Timedelta(days=3))
    is_good = np.arange(620) % 2 == 0
    frame = table([{"created_at": moment} for moment in created])
    frame["converted_at"] = ends.where(is_good).astype("datetime64[us]")
    frame["disqualified_at"] = (ends + pd.Timedelta(days=1)).where(~is_good).astype("datetime64[us]")
    row = lead_funnel.lead_conversion(frame, NONE, period=JULY, as_of=AS_OF).set_index("goal").loc["opportunity"]
    assert row["lead_reached_rate"] < 0.47 and row["lead_conversion_rate"] == pytest.approx(0.5, abs=0.005)
    assert row["lead_unsettled_rate"] == pytest.approx(0, abs=1e-9)


# the score


def test_score_bands_by_hand():
    rows = pd.DataFrame({"score": [1.0, 2, 2, 2, 9, None], "is_reached": [False, False, True, False, True, True]})
    found = lead_funnel.score_bands(rows, bands=2)
    assert found["score_band"].fillna("none").tolist() == ["1-2", "9", "none"]  # the three twos stay together
    assert found["n"].tolist() == [4, 1, 1] and found["n_reached"].tolist() == [1, 1, 1]
    assert found["score_lift"].tolist() == pytest.approx([0.25 / 0.4, 1 / 0.4, 1 / 0.4])
    chance = lead_funnel.score_bands(rows.assign(score=rows["score"] / 10), bands=2, is_probability=True)
    assert chance["expected_rate"].tolist()[:2] == pytest.approx([0.175, 0.9])
    none = lead_funnel.score_bands(rows.assign(is_reached=False), bands=2)
    assert none["score_lift"].isna().all() and (none["score_band_rate"] == 0).all()
    with pytest.raises(checks.ParameterError, match="bands: 1"):
        lead_funnel.score_bands(rows, bands=1)


def test_score_sentences():
    bands = pd.DataFrame({"score_band": ["1-40", "41-100", None], "n": [200, 200, 50], "n_reached": [60, 20, 3]})
    said = lead_funnel.score_sentence(bands)
    assert said.endswith("become an opportunity less often than those of the lowest (1-40): 10 % against 30 %.")
    title = lead_funnel.score_sentence(bands, goal="won", brief=True)
    assert title == "High scores are won less often: 10 % against 30 % of the lowest"
    assert "are won more often" in lead_funnel.score_sentence(bands.assign(n_reached=[20, 60, 3]), goal="won")
    few = "Too few leads have a score to say whether it tells how many become an opportunity."
    assert (
        lead_funnel.score_sentence(bands.assign(n=[200, 19, 50])) == few == lead_funnel.score_sentence(bands.iloc[:1])
    )


# reps and routing


def cell(owner, kind, n, reached) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "owner_id": owner,
            "class": kind,
            "is_reached": np.arange(n) < reached,
            "waited_hours": np.arange(n) % 7 + 1.0,
            "is_over": True,
        }
    )


def test_reps_by_hand():
    rows = pd.concat(
        [cell("U1", "A", 100, 40), cell("U2", "A", 100, 10), cell("U1", None, 10, 5), cell(None, "A", 30, 6)]
    )
    found = lead_routing.rep_leads(rows)
    assert found[["owner_id", "class", "n"]].fillna("-").values.tolist() == [
        ["U1", "A", 100],
        ["U2", "A", 100],
        ["-", "A", 30],
        ["U1", "-", 10],
    ]
    first = found.iloc[0]
    assert first["rep_conversion_difference"] == pytest.approx(40 / 100 - 16 / 130)
    assert 0.2 < first["shrunk_conversion_rate"] < first["rep_conversion_rate"] and first["is_named"]
    assert first["rep_response_hours_median"] == 4
    assert found["p_value"].isna().tolist() == [False, False, True, True] and not found["is_named"].iloc[2:].any()
    assert (found["n_compared"] == 2).all()
    assert lead_routing.rep_leads(rows[:0]).empty and list(lead_routing.rep_leads(rows[:0])) == list(found)


def routed(inter: float, n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Two reps, two classes: the first better by so much with A, the second with B; the same in all."""
    rng = np.random.default_rng(seed)
    chances = {("U1", "A"): 0.3 + inter, ("U1", "B"): 0.2, ("U2", "A"): 0.3, ("U2", "B"): 0.2 + inter}
    return pd.concat([cell(*key, n, rng.binomial(n, chance)) for key, chance in chances.items()], ignore_index=True)


def test_a_plan_holds_every_load_and_class():
    rows = pd.concat([routed(0.2), cell("U3", "A", 5, 5), cell(None, "B", 40, 40), cell("U3", "B", 30, 3)])
    plan = lead_routing.routing_plan(rows)
    for key in ("owner_id", "class"):
        sums = plan.groupby(key, dropna=False)[["n", "n_planned"]].sum()
        assert np.allclose(sums["n"], sums["n_planned"])
    fixed = plan[plan["owner_id"].isna() | (plan["n"] < 20)]
    assert (fixed["n"] == fixed["n_planned"]).all() and len(fixed) == 2
    assert plan.query("owner_id == 'U1' and `class` == 'A'")["n_planned"].item() > 380
    equal = pd.concat(
        [cell("U1", "A", 50, 10), cell("U2", "A", 50, 10), cell("U1", "B", 50, 20), cell("U2", "B", 50, 20)]
    )
    plan = lead_routing.routing_plan(equal)
    assert (plan["n"] == plan["n_planned"]).all()  # nobody moves for nothing


def test_a_better_rep_alone_gains_nothing():
    """U1 does better with every class by the same: moving one of A to them moves one of B away."""
    rows = pd.concat(
        [cell("U1", "A", 200, 80), cell("U2", "A", 200, 40), cell("U1", "B", 200, 60), cell("U2", "B", 200, 20)]
    )
    found = lead_routing.rerouting_gain(rows).iloc[0]
    assert abs(found["rerouting_gain"]) < 0.02 and not found["is_named"]


def test_a_true_gain_is_found_and_order_is_irrelevant():
    rows = routed(0.2)
    found = lead_routing.rerouting_gain(rows)
    gain = found["rerouting_gain"].item()
    assert found["is_named"].item() and found["rerouting_gain_low"].item() > 0 and gain == pytest.approx(0.1, abs=0.04)
    pd.testing.assert_frame_equal(found, lead_routing.rerouting_gain(rows.sample(frac=1, random_state=1)))
    assert "more of every 1,000 leads would become an opportunity (likely" in lead_routing.gain_sentence(found)


def test_chance_alone_is_no_gain():
    """Forty companies in which nobody differs, four reps and three classes: hardly any names a gain."""
    rng = np.random.default_rng(5)
    named = gains = 0
    for draw in range(40):
        rows = pd.concat(
            [
                cell(f"U{r}", k, 60, rng.binomial(60, p))
                for r in range(4)
                for k, p in zip("ABC", (0.35, 0.2, 0.1), strict=True)
            ]
        )
        found = lead_routing.rerouting_gain(rows, seed=draw, draws=40).iloc[0]
        named += "If each lead" in lead_routing.gain_sentence(pd.DataFrame([found]))
        gains += found["rerouting_gain"]
    assert named <= 3 and abs(gains / 40) < 0.01  # 2.5 % of 40 is 1; the mean has an error of about 0.003


def test_too_little_to_route():
    for rows in (
        routed(0.1, n=15),
        cell("U1", "A", 100, 20),
        pd.concat([cell("U1", "A", 100, 20), cell("U2", "A", 100, 30)]),
    ):
        found = lead_routing.rerouting_gain(rows)
        assert found["rerouting_gain"].isna().all() and not found["is_named"].any()
        assert (
            lead_routing.gain_sentence(found)
            == "Too few leads by rep and class to say what giving them to others would gain."
        )
    with pytest.raises(checks.ParameterError, match="draws: 1 are too few"):
        lead_routing.rerouting_gain(routed(0.1), draws=1)


# sooner and later


def answered(n: int, seed: int, effect: float, confounded: bool) -> pd.DataFrame:
    """Answers within an hour or after a day; Events convert more often, and are answered sooner where confounded."""
    rng = np.random.default_rng(seed)
    is_event = rng.random(n) < 0.5
    is_soon = rng.random(n) < np.where(confounded, np.where(is_event, 0.8, 0.2), 0.5)
    chance = 0.1 + 0.3 * is_event + effect * is_soon
    created = pd.Timestamp("2026-07-01") + pd.to_timedelta(rng.integers(0, 4, n) * 6, unit="h")
    hours = np.where(is_soon, 0.5, 30.0)
    return pd.DataFrame(
        {
            "source": np.where(is_event, "Event", "Web"),
            "class": None,
            "created_at": created,
            "waited_hours": hours,
            "first_response_at": created + pd.to_timedelta(hours, unit="h"),
            "is_over": True,
            "cause": None,
            "days": 60.0,
            "is_reached": rng.random(n) < chance,
        }
    )


def test_sources_answered_sooner_do_not_make_sooner_better():
    found = lead_speed.response_effect(answered(6000, 7, 0.0, True), edges=[4])
    raw = found["response_band_rate"]
    assert raw[0] - raw[1] > 0.13  # 0.6 x 0.3 points of source alone
    assert found["response_band_effect_low"][1] < 0 < found["response_band_effect_high"][1]
    assert abs(found["response_band_effect"][1]) < 0.03 and "do not clearly become" in lead_speed.effect_sentence(found)


def test_a_true_difference_is_recovered():
    found = lead_speed.response_effect(answered(6000, 2, 0.1, True), edges=[4])
    assert found["response_band_effect_low"][1] < -0.1 < found["response_band_effect_high"][1] and found["is_named"][1]
    said = lead_speed.effect_sentence(found)
    assert (
        said.startswith("Leads answered in more than 4 hours become an opportunity less often")
        and "association" in said
    )


def test_bands_without_their_like_are_not_standardised():
    rows = answered(600, 3, 0.1, False)
    rows = rows[(rows["source"] == "Event") | (rows["waited_hours"] < 4)]  # no slow answer among the others
    found = lead_speed.response_effect(rows, edges=[4])
    assert found["overlap_rate"][1] < 0.8 and np.isnan(found["standardised_rate"][1])
    assert (
        lead_speed.effect_sentence(found)
        == "Too few leads of like kind were answered sooner and later to compare what became of them."
    )


def test_every_lead_is_in_one_band():
    rows = answered(400, 4, 0.0, False)
    rows.loc[:9, ["is_over", "first_response_at"]] = [False, pd.NaT]
    rows.loc[10:14, ["cause", "days"]] = ["ended", 0.01]  # over before anyone answered
    rows.loc[10:14, "waited_hours"], rows.loc[10:14, "first_response_at"] = (
        24.0,
        rows.loc[10:14, "created_at"] + pd.Timedelta(hours=24),
    )
    rows.loc[15:19, ["cause", "days", "waited_hours"]] = ["reached", 1.0, 24.0]  # answered at the very end, on the edge
    rows.loc[15:19, "first_response_at"] = rows.loc[15:19, "created_at"] + pd.Timedelta(hours=24)
    found = lead_speed.response_effect(rows, edges=[1, 24]).set_index("response_band")
    assert found["n"].sum() == 400 and found.loc["not answered", "n"] == 15
    assert found.loc["1 to 24 hours", "n"] == 5
    assert found.index.tolist() == ["within 1 hour", "1 to 24 hours", "more than 24 hours", "not answered"]
    none = lead_speed.response_effect(rows[:0])
    assert (none["n"] == 0).all() and none["standardised_rate"].isna().all()


@pytest.mark.parametrize("edges", [[], [0, 4], [4, 4], [24, 4]])
def test_edges_must_rise(edges):
    with pytest.raises(checks.ParameterError, match="Give hours above 0 in rising order"):
        lead_speed.response_effect(answered(50, 0, 0, False), edges=edges)


def test_a_band_in_which_nobody_converts_is_finite():
    rows = answered(400, 6, 0.0, False)
    rows.loc[rows["waited_hours"] > 4, "is_reached"] = False
    found = lead_speed.response_effect(rows, edges=[4])
    low, high = (found[f"response_band_effect_{end}"][1] for end in ("low", "high"))
    assert -0.4 < low < high < -0.1 and found["is_named"][1]


# the cost of a customer


def costs(months: list[str], kinds=("sales", "marketing"), amount=100.0) -> pd.DataFrame:
    rows = [(month, kind, "Event" if kind == "marketing" else None, amount) for month in months for kind in kinds]
    return pd.DataFrame(rows, columns=["month", "kind", "source", "amount"]).astype(
        {"month": "datetime64[us]", "source": "str"}
    )


def test_new_accounts_by_hand():
    frame = deals(
        [
            {"opportunity_type": "new", "account_id": "a", "close_date": "2026-06-30"},  # a customer before the quarter
            {"opportunity_type": "new", "account_id": "a", "close_date": "2026-07-10"},
            {"opportunity_type": "expansion", "account_id": "b", "close_date": "2026-07-10"},  # before the records
            {"opportunity_type": "new", "account_id": "b", "close_date": "2026-07-20"},
            {"opportunity_type": "new", "account_id": "c", "close_date": "2026-07-10"},
            {"opportunity_type": "expansion", "account_id": "c", "close_date": "2026-07-11"},
            {"opportunity_type": None, "account_id": None, "close_date": "2026-07-12"},
            {"opportunity_type": "new", "account_id": "d", "close_date": "2026-07-12", "outcome": "lost"},
        ]
    )
    assert acquisition.new_accounts(frame, period=Q3)["opportunity_id"].tolist() == ["d4", "d6"]


def test_cost_by_hand():
    frame = deals([{"opportunity_type": "new", "account_id": name} for name in "abcd"])
    spent = costs(["2026-06-01", "2026-07-01", "2026-08-01", "2026-09-01"])
    found = acquisition.customer_acquisition_cost(frame, costs=spent, periods=[Q3]).iloc[0]
    assert (found["n"], found["sales_cost_amount"], found["customer_acquisition_cost"]) == (4, 300, 150)
    # Garwood's limits of a count of four: 1.0899 and 10.2416.
    limits = found[["customer_acquisition_cost_low", "customer_acquisition_cost_high"]].tolist()
    assert limits == pytest.approx([600 / 10.2416, 600 / 1.0899], rel=1e-4)
    half = Period("h", date(2026, 8, 1), date(2026, 8, 15))
    assert acquisition.customer_acquisition_cost(frame, costs=spent, periods=[half])["sales_cost_amount"][
        0
    ] == pytest.approx(100 * 15 / 31)
    lagged = acquisition.customer_acquisition_cost(frame, costs=spent, periods=[Q3], lag_months=1).iloc[0]
    assert lagged["customer_acquisition_cost"] == 150  # June to August
    for missing in (
        acquisition.customer_acquisition_cost(frame, costs=spent, periods=[Q3], lag_months=2),
        acquisition.customer_acquisition_cost(frame, costs=spent[spent["kind"] == "sales"], periods=[Q3]),
    ):
        assert missing["customer_acquisition_cost"].isna().all()  # May is not on record; no marketing at all
    none = acquisition.customer_acquisition_cost(frame[:0], costs=spent, periods=[Q3]).iloc[0]
    assert (
        none["n"] == 0
        and np.isnan(none["customer_acquisition_cost"])
        and np.isnan(none["customer_acquisition_cost_high"])
    )
    with pytest.raises(checks.ParameterError, match="lag_months: -1"):
        acquisition.customer_acquisition_cost(frame, costs=spent, periods=[Q3], lag_months=-1)


def test_cost_by_source_ties_with_the_whole():
    frame = deals(
        [
            {
                "opportunity_type": "new",
                "account_id": name,
                "lead_source": source,
                "created_date": "2026-07-05",
                "outcome": outcome,
            }
            for name, source, outcome in [
                ("a", "Event", "won"),
                ("b", "Web", "won"),
                ("c", None, "won"),
                ("d", "Web", "lost"),
            ]
        ]
    )
    spent = costs(["2026-07-01", "2026-08-01", "2026-09-01"])
    found = acquisition.source_acquisition_cost(frame, costs=spent, period=Q3, attribution="deals")
    assert found["source"].fillna("-").tolist() == ["Event", "Web", "-"]
    assert found["source_cost_amount"].tolist() == [300 + 75, 150, 75] and found["n"].tolist() == [1, 1, 1]
    own = acquisition.source_acquisition_cost(frame, costs=spent, period=Q3, attribution="marketing")
    assert (
        own["source_cost_amount"].tolist() == [300, 0, 0] and own["attribution"].str.startswith("marketing cost").all()
    )
    with pytest.raises(checks.ParameterError, match=r"attribution: 'deal'. Use marketing, deals. Did you mean 'deals'"):
        acquisition.source_acquisition_cost(frame, costs=spent, period=Q3, attribution="deal")


# every form of every sentence


def test_response_sentences():
    row = pd.DataFrame(
        [
            {
                "n": 100,
                "n_answered": 95,
                "lead_response_hours_median": 3.0,
                "lead_response_hours_median_low": 2.0,
                "lead_response_hours_median_high": 4.0,
                "lead_response_hours_p90": 20.0,
            }
        ]
    )

    def said(**changes):
        return leads.response_sentence(row.assign(**changes), Q3)

    assert said(n=0) == "No leads arrived in 2026Q3."
    assert said(n=1) == "1 lead arrived in 2026Q3: too few to say how soon they are answered."
    assert said(n_answered=0) == "None of the 100 leads that arrived in 2026Q3 has been answered."
    assert (
        said(n_answered=40, lead_response_hours_median=np.nan)
        == "Fewer than half of the 100 leads that arrived in 2026Q3 have been answered (40 %)."
    )
    assert said(lead_response_hours_p90=np.nan).endswith("more than one in ten have had no answer so far.")
    assert (
        said()
        == "Half of the 100 leads that arrived in 2026Q3 are answered within 3 hours (likely between 2 hours and 4 hours); nine in ten within 20 hours."
    )


def test_sla_sentences():
    row = pd.DataFrame([{"n": 100, "lead_sla_rate": 1.0, "lead_sla_rate_low": 0.96, "lead_sla_rate_high": 1.0}])

    def said(**changes):
        return leads.sla_sentence(row.assign(**changes), Q3, hours=4)

    assert said(n=0) == "No lead that arrived in 2026Q3 is due for an answer."
    assert (
        said(n=1)
        == "1 lead that arrived in 2026Q3 is due for an answer: too few to say how many are answered within 4 hours."
    )
    assert (
        said() == "100 % of the 100 leads due in 2026Q3 were answered within 4 hours (likely between 96 % and 100 %)."
    )


def test_conversion_sentences():
    row = pd.DataFrame(
        [
            {
                "goal": "won",
                "n": 100,
                "n_open": 1,
                "lead_reached_rate": 0.1,
                "lead_conversion_rate": 0.2,
                "lead_conversion_rate_low": 0.1,
                "lead_conversion_rate_high": 0.3,
                "lead_unsettled_rate": 0.0,
            }
        ]
    )

    def said(**changes):
        return lead_funnel.conversion_sentence(row.assign(**changes), Q3, goal="won")

    assert said(n=0) == "No leads arrived in 2026Q3."
    assert said(n=2) == "2 leads arrived in 2026Q3: too few to say how many are won."
    assert said(lead_conversion_rate=np.nan) == "100 leads arrived in 2026Q3; none of them has come to an end yet."
    assert said(n_open=0) == "100 leads arrived in 2026Q3: 10 % were won, and none of them is still open."
    assert (
        said(lead_unsettled_rate=0.5)
        == "100 leads arrived in 2026Q3: 10 % were won so far; 1 of them is still open, too many to say how many will be in the end."
    )
    assert (
        said()
        == "100 leads arrived in 2026Q3: 10 % were won so far, 20 % can be expected to be in the end (likely between 10 % and 30 %); 1 of them is still open."
    )


def test_group_sentences():
    found = pd.DataFrame(
        {
            "goal": "won",
            "source": [None, "Web", "Fair"],
            "n": [100, 100, 19],
            "lead_conversion_rate": [0.5, 0.2, 0.9],
            "lead_conversion_rate_low": [0.4, 0.1, 0.6],
            "lead_conversion_rate_high": [0.6, 0.3, 1.0],
        }
    )
    said = lead_funnel.groups_sentence(found, "source", goal="won")
    assert (
        said == "Leads of source (none) are won most often: 50 % (likely between 40 % and 60 %)."
    )  # 19 are too few to name
    assert (
        lead_funnel.groups_sentence(found.iloc[:1], "source", goal="won")
        == "Too few leads to compare how many are won by source."
    )


def test_gain_sentences():
    row = pd.DataFrame(
        [{"rerouting_gain": 0.01, "rerouting_gain_low": -0.002, "rerouting_gain_high": 0.02, "is_named": True}]
    )
    assert lead_routing.gain_sentence(row).startswith(
        "Giving leads to other reps promises no clear gain: between 2 fewer and 20 more"
    )
    assert lead_routing.gain_sentence(row.assign(rerouting_gain_low=0.002)).startswith(
        "If each lead went to a rep who does better"
    )
    assert "no clear gain" in lead_routing.gain_sentence(row.assign(rerouting_gain_low=0.002, is_named=False))


def test_effect_sentences():
    found = pd.DataFrame(
        {
            "response_band": ["within 1 hour", "1 to 4 hours", "more than 4 hours", "not answered"],
            "response_band_effect": [None, 0.05, -0.02, None],
            "response_band_effect_low": [None, 0.02, -0.04, None],
            "response_band_effect_high": [None, 0.08, 0.01, None],
            "is_named": [False, True, False, False],
        }
    )
    said = lead_speed.effect_sentence(found, goal="are won")
    assert said.startswith(
        "Leads answered in 1 to 4 hours are won more often than those answered within 1 hour, by 5 points among leads of like kind (likely between 2 and 8)"
    )
    assert "later: 2 later times of answer were compared with the soonest" in lead_speed.effect_sentence(
        found.assign(is_named=False)
    )


def test_rep_and_reply_sentences():
    name = "rep_conversion_difference"
    found = pd.DataFrame(
        {
            "name": ["Ann", "Bo"],
            "class": ["A", None],
            name: [0.1, -0.3],
            f"{name}_low": [-0.01, -0.4],
            f"{name}_high": [0.2, -0.2],
            "is_named": [True, True],
            "n_compared": 9,
        }
    )
    said = lead_routing.reps_sentence(found, goal="are won", person="name")
    assert said == (
        "Leads of class (none) are won less often with Bo than with the other reps, by 30 points (likely between 20 and 40)."
    )
    assert lead_routing.reps_sentence(found.iloc[:1], person="name").startswith("With no rep do leads")  # covers zero
    assert lead_routing.reps_sentence(found[:0]) == "Too few leads by rep and class to compare what comes of them."
    few = pd.DataFrame({"n": [1], "n_replied": 0, "prospect_reply_hours_median": np.nan})
    assert (
        leads.reply_sentence(few, Q3) == "We have answered 1 lead of 2026Q3: too few to say how soon prospects reply."
    )


def test_cost_sentences():
    name = "customer_acquisition_cost"
    found = pd.DataFrame(
        {
            "period": ["2026Q2", "2026Q3"],
            "n": [80, 100],
            name: [1000.0, 2000.0],
            f"{name}_low": [800.0, 1600.0],
            f"{name}_high": [1260.0, 2460.0],
        }
    )
    assert (
        acquisition.cost_sentence(found)
        == "A new account cost 2.0K in 2026Q3 (likely between 1.6K and 2.5K; 100 accounts), up 100 % (worse) from 1.0K in 2026Q2."
    )
    assert acquisition.cost_sentence(found.assign(n=[80, 1])).endswith("; 1 account).")
    assert acquisition.cost_sentence(found.iloc[1:], lag_months=1).endswith(
        "100 accounts, with the costs of 1 month earlier)."
    )
    missing = found.assign(**{name: np.nan})
    assert (
        acquisition.cost_sentence(missing)
        == "The costs of 2026Q3 are not complete, so what a new account cost cannot be told."
    )


def test_nothing_at_all():
    empty = table([])
    assert leads.lead_response(empty, period=Q3, as_of=AS_OF)["n"].tolist() == [0]
    assert leads.lead_sla(empty, period=Q3, as_of=AS_OF, hours=4, by="source").empty
    assert lead_funnel.lead_conversion(empty, NONE, period=Q3, as_of=AS_OF)["n"].tolist() == [0, 0, 0]
    rows = leads.waits(lead_funnel.settled(empty, NONE, goal="won", within_days=9, as_of=AS_OF), as_of=AS_OF)
    assert lead_funnel.score_bands(rows).empty and lead_routing.routing_plan(rows).empty
    assert lead_routing.rerouting_gain(rows)["rerouting_gain"].isna().all()
