"""Competitors against hand-worked cases, statsmodels, planted truths and what is typed in only after a loss."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, competition
from salesops.crm import sample
from salesops.stats import multiplicity

ENDS = ("", "_low", "_high")


def faced(counts: dict[str | None, tuple[int, int]], **columns: object) -> pd.DataFrame:
    """Closed deals by competitor: so many won, so many lost; every deal its own company."""
    rows = [
        {"competitor": name, "outcome": outcome} | columns
        for name, (won, lost) in counts.items()
        for outcome, n in (("won", won), ("lost", lost))
        for _ in range(n)
    ]
    return deals([{"account_id": f"c{number}"} | row for number, row in enumerate(rows)])


def named(table: pd.DataFrame) -> pd.DataFrame:
    return multiplicity.named_together(table)[0]


def company(seed: int, size: int = 1500, ratio: float = 0.4) -> pd.DataFrame:
    """Deals whose segment decides both whom they meet and how often they are won; companies come back."""
    random = np.random.default_rng(seed)
    segment = random.integers(0, 2, size)
    rival = np.where(random.random(size) < 0.2 + 0.4 * segment, 2, random.integers(0, 4, size))
    own = random.normal(0, 0.5, size // 3)[account := random.integers(0, size // 3, size)]
    chance = 1 / (1 + np.exp(1.5 - 1.5 * segment - own - np.log(ratio) * (rival == 2)))
    won = random.random(size) < chance
    return pd.DataFrame(
        {
            "competitor": pd.Series(np.array(["A", "B", "C", "D"])[rival]).where(random.random(size) < 0.7),
            "segment": np.where(segment == 1, "Large", "Small"),
            "account_id": account.astype(str),
            "is_won": won,
            "is_closed": True,
            "outcome": np.where(won, "won", "lost"),
            "qualified_date": pd.Timestamp("2026-07-01"),
        }
    )


def test_counts_and_rates_by_hand():
    table = competition.competitors(
        pd.concat([faced({"Acuity": (3, 1), None: (1, 4)}), deals([{"outcome": "open", "competitor": "Acuity"}])]),
        adjust=[],
    )
    first, unknown = table.iloc[0], table.iloc[1]
    assert (first["competitor"], first["faced_count"], first["n"], first["won_count"]) == ("Acuity", 5, 4, 3)
    assert first["competitive_win_rate"] == 0.75 and unknown["competitive_win_rate"] == 0.2
    assert pd.isna(unknown["competitor"]) and np.isnan(unknown["competitive_shrunk_win_rate"])
    # Four deals are too few to compare.
    assert table[["p_value", "competitor_odds_ratio", "competitive_win_rate_difference"]].isna().all(axis=None)


def test_the_comparison_is_statsmodels_own():
    """Penalty apart, the odds ratio is that of a plain logistic regression among deals with a competitor named."""
    rows = company(3)
    row = competition.competitors(rows, adjust=["segment"]).set_index("competitor").loc["C"]
    frame = rows.dropna(subset=["competitor"]).assign(
        c=lambda each: (each["competitor"] == "C").astype(float), won=lambda each: each["is_won"].astype(float)
    )
    fitted = smf.logit("won ~ c + segment", frame).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": frame["account_id"].astype(int)}
    )
    assert np.log(row["competitor_odds_ratio"]) == pytest.approx(fitted.params["c"], abs=0.02)
    half = np.log(row["competitor_odds_ratio_high"] / row["competitor_odds_ratio_low"]) / 2 / 1.96
    assert half == pytest.approx(fitted.bse["c"], rel=0.04)
    effect = fitted.get_margeff(dummy=True).margeff[list(fitted.params.index).index("c") - 1]
    assert row["competitive_win_rate_difference"] == pytest.approx(effect, abs=0.004)
    assert row["n_others_win_rate"] == (frame["c"] == 0).sum()
    assert row["others_win_rate"] == pytest.approx(frame.loc[frame["c"] == 0, "won"].mean())


def test_deals_of_one_company_are_not_as_many_pieces_of_evidence():
    """Five deals of each company, all won or all lost against the same competitor, are one piece."""
    rows = faced({"A": (20, 40), "B": (30, 30)})
    wide, narrow = (
        competition.competitors(pd.concat([rows] * 5).assign(account_id=account), adjust=[])
        for account in (np.tile(np.arange(120), 5), np.arange(600))
    )
    half = [np.log(each["competitor_odds_ratio_high"] / each["competitor_odds_ratio"])[0] for each in (wide, narrow)]
    assert half[0] / half[1] == pytest.approx(np.sqrt(5), rel=0.03) and wide["p_value"][0] > 20 * narrow["p_value"][0]


def test_without_adjustment_the_mix_hides_the_truth():
    """The hurting competitor is met where we win most, so its plain rate looks harmless."""
    rows = company(5, size=4000)
    plain, held = (
        competition.competitors(rows, adjust=adjust).set_index("competitor").loc["C"] for adjust in ([], ["segment"])
    )
    assert plain["competitor_odds_ratio"] > 1.35 * held["competitor_odds_ratio"]
    assert held["competitor_odds_ratio_low"] < 0.42 and held["competitor_odds_ratio_high"] < 0.6


def test_one_that_hurts_does_not_make_the_others_look_good():
    """Each of four is better than all others together, but only because of the fifth."""
    table = named(
        competition.competitors(
            faced({"A": (200, 300), "B": (200, 300), "C": (60, 440), "D": (200, 300), "E": (200, 300)}), adjust=[]
        )
    ).set_index("competitor")
    assert table["is_named"].to_dict() == {"A": False, "B": False, "C": True, "D": False, "E": False}
    assert table.loc["C", "n_others_win_rate"] == 2000 and table.loc["A", "n_others_win_rate"] == 1500
    assert table.loc["A", "competitor_odds_ratio"] == pytest.approx(1, abs=0.01)


def test_a_competitor_never_beaten_still_has_limits():
    row = competition.competitors(faced({"A": (0, 40), "B": (60, 100)}), adjust=[]).set_index("competitor").loc["A"]
    assert 0 < row["competitor_odds_ratio_low"] < row["competitor_odds_ratio"] < row["competitor_odds_ratio_high"] < 1
    assert -0.375 < row["competitive_win_rate_difference"] < -0.3 and row["p_value"] < 1e-4


@pytest.mark.parametrize("counts", [{"A": (40, 60)}, {"A": (40, 60), "B": (3, 9)}, {"A": (0, 40), "B": (0, 40)}])
def test_nothing_to_compare_with_is_not_compared(counts):
    rows = pd.concat([faced(counts), faced({None: (30, 30)})])
    table = named(competition.competitors(rows, adjust=[]))
    assert table["p_value"].isna().all() and not table["is_named"].any()
    fill = pd.DataFrame({"outcome": ["won", "lost"], "n": 60, "named_count": 30})
    said = competition.competitor_sentence(table, fill)
    assert said == "Too few deals name a competitor to compare how often we win."


def test_what_says_unknown_is_unknown_and_nobody_is_no_competitor():
    rows = faced({"A": (30, 30), "B": (30, 30), " Unknown": (5, 5), "n/a": (5, 5), "None": (40, 10), None: (5, 5)})
    table = competition.competitors(rows, adjust=[])
    assert table["competitor"].tolist()[:3] == ["A", "B", "None"] and table["competitor"].isna().tolist()[3:] == [True]
    assert table["n"].tolist() == [60, 60, 50, 30]
    assert (
        table["n_others_win_rate"].isna().tolist() == [False, False, True, True] and table["n_others_win_rate"][0] == 60
    )
    assert table["competitive_shrunk_win_rate"].isna().tolist() == [False, False, True, True]


def test_rates_are_withheld_where_losses_name_the_competitor_more_often():
    rows = pd.concat([faced({"A": (10, 150), "B": (20, 150)}), faced({None: (200, 60)})])
    fill = competition.fill_by_outcome(rows)
    assert fill[["outcome", "n", "named_count"]].values.tolist() == [["won", 230, 30], ["lost", 360, 300]]
    table = named(competition.competitors(rows, adjust=[]))
    rates = [
        name for name in table if not name.startswith("n_") and ("rate" in name or "ratio" in name or name == "p_value")
    ]
    assert table[rates].isna().all(axis=None) and table["n"].tolist() == [170, 160, 260]
    assert competition.competitor_sentence(table, fill) == (
        "A competitor is named for 83 % of the deals lost but 13 % of those won, so win rates against competitors "
        "are withheld."
    )


@pytest.mark.parametrize(
    ("named_count", "is_withheld"),
    [
        ([55, 60], False),
        ([40, 60], True),
        ([49, 60], True),
        ([50, 60], False),
        ([80, 60], True),
        ([0, 10], False),
        ([0, 0], False),
    ],
)
def test_withholding_takes_more_than_ten_points_and_more_than_chance(named_count, is_withheld):
    large = pd.DataFrame({"outcome": ["won", "lost"], "n": [1000, 1000], "named_count": np.multiply(named_count, 10)})
    assert bool(competition.fill_sentence(large)) == is_withheld
    small = pd.DataFrame({"outcome": ["won", "lost"], "n": [10, 10], "named_count": [4, 6]})
    assert competition.fill_sentence(small) == ""


def test_open_and_undecided_deals_are_shown_but_do_not_withhold():
    rows = faced({"A": (20, 20), None: (20, 20)})
    more = deals([{"outcome": "no_decision"}] * 50 + [{"outcome": "open"}] * 50).assign(competitor=None)
    fill = competition.fill_by_outcome(pd.concat([rows, more]))
    assert fill["outcome"].tolist() == ["won", "lost", "no_decision", "open"]
    assert fill["competitor_named_rate"].tolist() == [0.5, 0.5, 0.0, 0.0] and competition.fill_sentence(fill) == ""


def test_deals_never_qualified_do_not_count():
    rows = pd.concat([faced({"A": (30, 30), "B": (30, 30)}), faced({"A": (0, 90)}, qualified_date=None)])
    assert competition.competitors(rows, adjust=[])["n"].tolist() == [60, 60]


def test_each_segment_is_compared_within_itself():
    rows = company(7, size=3000)
    table = competition.competitors(rows, "segment", adjust=["segment"])
    alone = competition.competitors(rows[rows["segment"] == "Large"], adjust=[])
    part = table[table["segment"] == "Large"].drop(columns="segment").reset_index(drop=True)
    # Over all cells the shrinkage and Holm's steps have more to go by.
    columns = part.columns.drop([*(f"competitive_shrunk_win_rate{end}" for end in ENDS), "p_value"])
    assert (part["p_value"].dropna() >= alone["p_value"].dropna()).all()
    pd.testing.assert_frame_equal(part[columns], alone[columns])
    assert list(table.columns[:2]) == ["segment", "competitor"]


def test_a_missing_segment_is_a_group():
    rows = faced({"A": (3, 3)}).assign(segment=[None] * 4 + ["SMB"] * 2)
    table = competition.competitors(rows, "segment", adjust=[])
    assert table["segment"].isna().tolist() == [True, False] and table["n"].tolist() == [4, 2]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"A": (150, 350), "B": (40, 360), "C": (150, 350)}, "We win less often against B: 10 % of 400 deals against"),
        ({"A": (40, 160), "B": (120, 80), "C": (40, 160)}, "We win more often against B: 60 % of 200 deals against"),
        ({"A": (41, 159), "B": (40, 160)}, "We win no more and no less often against any competitor"),
        ({None: (50, 50)}, "No deal names a competitor."),
    ],
)
def test_each_form_of_the_sentence(counts, said):
    rows = faced(counts)
    table, fill = named(competition.competitors(rows, adjust=[])), competition.fill_by_outcome(rows)
    assert competition.competitor_sentence(table, fill).startswith(said)


def test_no_difference_says_what_would_have_shown():
    """R: power.prop.test(n = 200, p1 = .205, power = .8) gives p2 = .3285."""
    rows = faced({"A": (41, 159), "B": (40, 160)})
    table, fill = named(competition.competitors(rows, adjust=[])), competition.fill_by_outcome(rows)
    said = competition.competitor_sentence(table, fill)
    assert said.endswith("beyond chance (2 compared; a difference of 12 points would most likely have shown).")
    few = table.assign(n=1)
    assert competition.competitor_sentence(few, fill).endswith("beyond chance (2 compared).")


def test_two_that_stand_out_are_both_said():
    rows = faced({"A": (100, 200), "B": (20, 280), "C": (100, 200), "D": (240, 60), "E": (100, 200)})
    table, fill = named(competition.competitors(rows, adjust=[])), competition.fill_by_outcome(rows)
    said = competition.competitor_sentence(table, fill)
    assert "less often against B: 7 % of 300 deals" in said and "; and more often against D: 80 % of 300 deals" in said
    assert len(competition.competitor_sentence(table, fill, brief=True).split()) <= 15


def test_a_named_row_whose_interval_holds_zero_is_not_said():
    row = {
        "competitor": "A",
        "n": 50,
        "n_others_win_rate": 90,
        "others_win_rate": 0.3,
        "p_value": 0.01,
        "is_named": True,
    }
    row |= {"segment": "SMB"}
    row |= dict(zip([f"competitive_win_rate_difference{end}" for end in ENDS], (-0.1, -0.21, 0.01), strict=True))
    fill = pd.DataFrame({"outcome": ["won", "lost"], "n": 60, "named_count": 30})
    assert competition.competitor_sentence(pd.DataFrame([row]), fill).startswith("We win no more and no less")
    assert competition.grid_sentence(pd.DataFrame([row]), "segment").startswith("In no segment does")


def test_the_grid_s_sentence_counts_what_else_stands_out():
    rows = company(12, size=6000, ratio=0.3)
    table = named(competition.competitors(rows, "segment", adjust=[]))
    assert "we win less often against C" in competition.grid_sentence(table, "segment")
    assert competition.grid_sentence(table, "segment").endswith("One more stands out.")
    none = table.assign(p_value=np.nan)
    assert competition.grid_sentence(none, "segment").startswith("Too few deals in each segment name a competitor")


def test_no_deals_give_no_rows(no_deals):
    for by in (None, "segment"):
        table = competition.competitors(no_deals.assign(competitor=None), by, adjust=[])
        assert table.empty and "p_value" in table
    fill = competition.fill_by_outcome(no_deals.assign(competitor=None))
    assert fill["n"].tolist() == [0, 0] and fill["competitor_named_rate"].isna().all()
    assert competition.competitor_sentence(named(table), fill) == "No deal names a competitor."


def test_missing_columns_are_named(one_won):
    with pytest.raises(checks.DataError, match=r"missing columns? \['x_tier'\]"):
        competition.competitors(one_won.assign(competitor="A"), adjust=["x_tier"])


def test_the_planted_competitor_of_the_sample_is_the_one_named():
    """Seeds differ; the benchmark has the rates over many."""
    key, rows = sample.truth(), sample.tables()["opportunities"].query("opportunity_type != 'renewal'")
    table = named(competition.competitors(rows))
    row = table[table["is_named"]].iloc[0]
    assert table["is_named"].sum() == 1 and row["competitor"] == key.hurting_competitor
    assert row["competitor_odds_ratio_low"] < key.competitor_odds_ratio < row["competitor_odds_ratio_high"]


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["open", "won", "lost", "no_decision"]),
            "competitor": st.sampled_from(["A", "B", "none", "unknown", None]),
            "account_id": st.sampled_from(["acme", "bolt", None]),
            "segment": st.sampled_from(["SMB", None]),
        }
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=25)
@given(ROWS)
def test_counts_add_up_and_order_does_not_matter(rows):
    frame = deals(rows)
    frame["competitor"] = pd.Series([row["competitor"] for row in rows], dtype="str")
    table = competition.competitors(frame, adjust=["segment"], min_n=3)
    assert table["faced_count"].sum() == len(frame) and table["n"].sum() == frame["is_closed"].sum()
    turned = competition.competitors(frame[::-1].reset_index(drop=True), adjust=["segment"], min_n=3)
    pd.testing.assert_frame_equal(table, turned, rtol=1e-6, atol=1e-9)
    for name in ("competitive_win_rate", "competitor_odds_ratio", "competitive_win_rate_difference"):
        known = table.dropna(subset=[name])
        assert ((known[f"{name}_low"] <= known[name]) & (known[name] <= known[f"{name}_high"])).all()
