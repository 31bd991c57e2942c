"""The deals behind the goals that leads reach."""

from datetime import date

import pandas as pd
import pytest

from salesops import lead_funnel
from salesops.periods import Period

JULY = Period("2026-07", date(2026, 7, 1), date(2026, 7, 31))
day = pd.to_datetime


@pytest.fixture
def leads():
    """Won, lost, arrived too early, without a deal on record, and open."""
    return pd.DataFrame({
        "source": ["Web", "Web", "Event", "Event", None],
        "created_at": day(["2026-07-01", "2026-07-02", "2026-06-30", "2026-07-04", "2026-07-05"]),
        "converted_at": day(["2026-07-05", "2026-07-06", "2026-07-06", "2026-07-07", None]),
        "qualified_at": pd.NaT, "disqualified_at": pd.NaT, "opportunity_id": ["D1", "D2", "D3", None, None],
    })  # fmt: skip


@pytest.fixture
def deals():
    return pd.DataFrame({
        "opportunity_id": ["D1", "D2", "D3"], "created_date": day("2026-07-05"), "close_date": day("2026-07-20"),
        "closed_at": pd.NaT, "is_closed": True, "is_won": [True, False, True],
    })  # fmt: skip


def test_the_deals_are_those_the_leads_of_the_period_became(leads, deals):
    found = lead_funnel.lead_deals(leads, deals, period=JULY, as_of=date(2026, 7, 31))
    assert found[["goal", "source", "opportunity_id"]].values.tolist() == [
        ["opportunity", "Web", "D1"], ["opportunity", "Web", "D2"], ["won", "Web", "D1"],
    ]  # fmt: skip


def test_the_deals_are_as_many_as_reached_the_goal_where_all_are_on_record(leads, deals):
    known = {"period": JULY, "as_of": date(2026, 7, 31)}
    leads = leads[leads["opportunity_id"].notna() | leads["converted_at"].isna()]
    counted = lead_funnel.lead_conversion(leads, deals, **known).set_index("goal")["n_reached"]
    listed = lead_funnel.lead_deals(leads, deals, **known)["goal"].value_counts()
    assert listed.to_dict() == counted[["opportunity", "won"]].to_dict() == {"opportunity": 2, "won": 1}


def test_without_leads_or_before_a_deal_none_is_listed(leads, deals):
    assert lead_funnel.lead_deals(leads.iloc[:0], deals, period=JULY, as_of=date(2026, 7, 31)).empty
    assert lead_funnel.lead_deals(leads, deals, period=JULY, as_of=date(2026, 7, 3)).empty
