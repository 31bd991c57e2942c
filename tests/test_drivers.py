"""Drivers against standardisation by hand, statsmodels, what was planted, and the words of every branch."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.special import expit
from scipy.stats import chi2

from salesops import checks, driver_findings, drivers
from salesops.periods import Period
from salesops.stats import multiplicity

Q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
RATE = ["adjusted_win_rate", "adjusted_win_rate_low", "adjusted_win_rate_high"]


def company(n: int = 800, seed: int = 0, effect: float = 0.9, **columns) -> pd.DataFrame:
    """Decided deals at companies of a few each: sponsor has an effect, region and visits have none."""
    rng = np.random.default_rng(seed)
    segment = rng.choice(["SMB", "Mid", "Enterprise"], n, p=[0.5, 0.3, 0.2])
    sponsor = rng.random(n) < np.where(segment == "SMB", 0.2, 0.5)
    chance = expit(-1.2 + effect * sponsor + 0.8 * (segment == "Enterprise"))
    return pd.DataFrame(
        {
            "account_id": rng.integers(0, n // 3, n).astype(str),
            "is_closed": True,
            "is_won": rng.random(n) < chance,
            "x_sponsor": np.where(sponsor, "Yes", "No"),
            "segment": segment,
            "region": rng.choice(["EMEA", "AMER"], n, p=[0.6, 0.4]),
            "x_visits": rng.negative_binomial(1, 0.2, n).astype(float),
            "meeting_count": rng.integers(0, 7, n),
            "amount": rng.lognormal(9, 1, n),
            "ended_at": pd.Timestamp("2026-08-01"),
        }
        | columns
    )


FACTORS = ["x_sponsor", "segment", "region", "x_visits"]


@pytest.fixture(scope="module")
def frame():
    return company()


def test_a_factor_s_test_is_the_likelihood_ratio_where_every_deal_stands_alone(frame):
    tests = drivers.factor_tests(frame, FACTORS, cluster=None).set_index("factor")
    rows = frame.assign(won=frame["is_won"].astype(int), visits=np.log1p(frame["x_visits"]))
    whole = smf.logit("won ~ x_sponsor + segment + region + visits", rows).fit(disp=0)
    without = {"segment": "x_sponsor + region + visits", "x_visits": "x_sponsor + segment + region"}
    for factor, formula in without.items():
        gap = 2 * (whole.llf - smf.logit(f"won ~ {formula}", rows).fit(disp=0).llf)
        # The rows' own sandwich stands in for the model's covariance, and corrects only upwards.
        plain = chi2.sf(gap, 2 if factor == "segment" else 1)
        assert plain <= tests.loc[factor, "p_value"] * (1 + 1e-3)
        assert tests.loc[factor, "p_value"] == pytest.approx(plain, rel=0.35)
    assert tests["kind"].tolist() == ["category", "category", "category", "number"]
    assert tests["n_levels"].tolist()[:3] == [2, 3, 2] and tests["n_levels"].isna().tolist()[3]
    assert tests.loc["x_visits", "handling"] == "logarithmic scale"


def test_effects_standardise_by_hand(frame):
    """With sponsor crossed by segment the model is nearly saturated: the weighted difference of the cells' rates."""
    found = drivers.effects(frame, ["x_sponsor"], controls=["segment"]).iloc[0]
    cells = frame.groupby(["segment", "x_sponsor"])["is_won"].mean().unstack()
    weight = frame["segment"].value_counts(normalize=True)
    assert found["win_rate_effect"] == pytest.approx(((cells["Yes"] - cells["No"]) * weight).sum(), abs=0.02)
    assert found["win_rate_effect"] == pytest.approx(found["win_rate_with"] - found["win_rate_without"])
    assert (found["level"], found["reference"], found["n"]) == ("Yes", "No", 800)
    assert found["n_level"] == (frame["x_sponsor"] == "Yes").sum()
    crude = frame.groupby("x_sponsor")["is_won"].mean()
    assert found["win_rate_effect"] < crude["Yes"] - crude["No"] - 0.01  # large segments win more and have sponsors


def test_the_reference_is_the_most_frequent_level_and_every_other_has_a_row(frame):
    table = drivers.effects(frame, ["segment", "region"])
    assert table["factor"].tolist() == ["segment", "segment", "region"]
    assert table["reference"].tolist() == ["SMB", "SMB", "EMEA"] and table["level"].tolist()[2] == "AMER"
    assert table["n_level"].is_monotonic_decreasing or table["n_level"].tolist()[0] >= table["n_level"].tolist()[1]
    assert (table["win_rate_effect_low"] < table["win_rate_effect"]).all()
    assert (table["win_rate_effect"] < table["win_rate_effect_high"]).all()


def test_a_number_compares_its_quartiles_in_words(frame):
    row = drivers.effects(frame, ["x_visits"]).iloc[0]
    low, high = (frame["x_visits"].quantile(q, interpolation="nearest") for q in (0.25, 0.75))
    assert (row["level"], row["reference"]) == (f"{high:.0f}", f"{low:.0f}")
    assert row["n_level"] == (frame["x_visits"] >= high).sum()


def test_the_money_is_the_effect_on_the_period_s_deals_with_the_level(frame):
    """Every deal's own difference of chances, times its amount, over those with the level that ended in the period."""
    days = np.where(np.arange(len(frame)) % 2, "2026-08-01", "2026-02-01")
    rows = frame.assign(ended_at=pd.to_datetime(days), won=frame["is_won"].astype(int))
    rows.loc[rows.index[:9], "amount"] = np.nan
    found = drivers.effects(rows, ["x_sponsor"], controls=["segment"], period=Q3).iloc[0]
    model = smf.logit("won ~ x_sponsor + segment", rows).fit(disp=0)
    gap = model.predict(rows.assign(x_sponsor="Yes")) - model.predict(rows.assign(x_sponsor="No"))
    mine = (rows["x_sponsor"] == "Yes") & (rows["ended_at"] > "2026-07-01") & rows["amount"].notna()
    assert found["n_in_period"] == mine.sum()
    assert found["won_amount_effect"] == pytest.approx((rows["amount"] * gap)[mine].sum(), rel=1e-6)
    assert found["won_amount_effect_low"] < found["won_amount_effect"] < found["won_amount_effect_high"]


def test_the_money_may_be_of_deals_too_young_for_the_model(frame):
    young = company(90, seed=9, segment=np.where(np.arange(90) < 5, "Unheard of", "SMB"))
    old = frame.assign(ended_at=pd.Timestamp("2025-01-01"))
    table = drivers.effects(old, ["x_sponsor", "segment"], period=Q3, decided=pd.concat([old, young.sample(frac=1)]))
    plain = drivers.effects(old, ["x_sponsor", "segment"])
    pd.testing.assert_frame_equal(
        table.drop(columns=table.filter(like="amount").columns).drop(columns="n_in_period"),
        plain.drop(columns=plain.filter(like="amount").columns).drop(columns="n_in_period"),
    )
    row = table.iloc[0]
    mine = young[young["x_sponsor"] == "Yes"]
    model = smf.logit("won ~ x_sponsor + C(segment, Treatment('SMB'))", old.assign(won=old["is_won"].astype(int)))
    rows = mine.assign(segment="SMB")  # what the model never saw counts as the most frequent level
    fitted = model.fit(disp=0)
    gap = fitted.predict(rows.assign(x_sponsor="Yes")) - fitted.predict(rows.assign(x_sponsor="No"))
    assert row["n_in_period"] == len(mine)
    assert row["won_amount_effect"] == pytest.approx((rows["amount"] * gap).sum(), rel=1e-6)
    none = drivers.effects(old, ["x_sponsor"], period=Q3, decided=young.head(0)).iloc[0]
    assert none["n_in_period"] == 0 and np.isnan(none["won_amount_effect"])


def test_without_deals_in_the_period_there_is_no_money_and_all_is_every_deal(frame):
    none = drivers.effects(frame.assign(ended_at=pd.NaT), ["x_sponsor"], period=Q3).iloc[0]
    assert none["n_in_period"] == 0 and np.isnan(none["won_amount_effect"])
    every = drivers.effects(frame, ["x_sponsor"], period=Period("all", Q3.start, Q3.end)).iloc[0]
    assert every["n_in_period"] == every["n_level"]
    assert np.isnan(drivers.effects(frame, ["x_sponsor"]).iloc[0]["n_in_period"])


def test_open_deals_change_nothing_but_their_count(frame):
    more = pd.concat([frame, frame.head(50).assign(is_closed=False, is_won=False)], ignore_index=True)
    pd.testing.assert_frame_equal(drivers.factor_tests(more, FACTORS), drivers.factor_tests(frame, FACTORS))
    pd.testing.assert_frame_equal(drivers.effects(more, FACTORS), drivers.effects(frame, FACTORS))
    facts = drivers.model_facts(more, FACTORS).iloc[0]
    assert (facts["n"], facts["n_open"], facts["n_won"]) == (800, 50, frame["is_won"].sum())
    assert facts["n_coefficients"] == 5 and facts["n_companies"] == frame["account_id"].nunique()
    assert facts["events_per_coefficient"] == pytest.approx(min(facts["n_won"], 800 - facts["n_won"]) / 5)


def test_order_of_rows_and_of_factors_does_not_matter(frame):
    mixed = frame.sample(frac=1, random_state=1).set_axis([0] * len(frame))
    one, other = (drivers.effects(rows, FACTORS) for rows in (frame, mixed))
    pd.testing.assert_frame_equal(one, other, rtol=1e-6)
    turned = drivers.factor_tests(frame, FACTORS[::-1]).iloc[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(turned, drivers.factor_tests(frame, FACTORS), rtol=1e-6)


def test_the_input_is_left_as_it_was(frame):
    before = frame.copy()
    drivers.effects(frame, FACTORS, period=Q3)
    drivers.dose_response(frame, "meeting_count", FACTORS)
    pd.testing.assert_frame_equal(frame, before)


def test_rare_levels_and_missing_values_are_levels(frame):
    source = (
        frame["segment"].where(frame.index >= 30).mask(frame.index >= 795, "Fax").mask(frame.index.isin([700]), "TV")
    )
    table = drivers.factor_tests(frame.assign(source=source), ["source"]).iloc[0]
    assert table["handling"].startswith("2 rare levels as (other)") and table["n_levels"] == 5
    levels = drivers.effects(frame.assign(source=source), ["source"]).set_index("level")
    assert levels.loc["(none)", "n_level"] == 30 and levels.loc["(other)", "n_level"] == 6


def test_many_rare_levels_together_are_never_the_reference(frame):
    code = np.where(frame.index < 300, "usual", [f"one of {number % 60}" for number in range(len(frame))])
    levels = drivers.effects(frame.assign(code=code), ["code"])
    assert levels[["level", "reference", "n_level"]].values.tolist() == [["(other)", "usual", 500]]


def test_a_level_that_four_companies_have_is_no_level_of_its_own(frame):
    own = np.where(frame.index < 40, "Acme way", "usual")
    few = frame.assign(way=own, account_id=np.where(frame.index < 40, frame.index % 4, 1000 + frame.index).astype(str))
    assert drivers.factor_tests(few, ["way"])["handling"].iloc[0].startswith("1 rare level as (other)")
    many = few.assign(account_id=np.arange(len(few)).astype(str))
    assert drivers.factor_tests(many, ["way"])["handling"].iloc[0] == ""


def test_flags_and_numbers_of_two_values_are_categories(frame):
    made = frame.assign(flag=frame["x_sponsor"] == "Yes", number=(frame["x_sponsor"] == "Yes").astype(int))
    one, other, text = (drivers.effects(made, [name]).iloc[0] for name in ("flag", "number", "x_sponsor"))
    assert (one["level"], other["level"]) == ("yes", "1") and (one["reference"], other["reference"]) == ("no", "0")
    assert one["win_rate_effect"] == pytest.approx(text["win_rate_effect"]) == pytest.approx(other["win_rate_effect"])


def test_deals_of_a_company_are_not_so_many_witnesses():
    """Four copies of every deal: the estimate stays, the interval does not shrink."""
    once = company(300, seed=3, account_id=np.arange(300).astype(str))
    copies = pd.concat([once] * 4, ignore_index=True)
    one, four = (drivers.effects(rows, ["x_sponsor"]).iloc[0] for rows in (once, copies))
    width = [each["win_rate_effect_high"] - each["win_rate_effect_low"] for each in (one, four)]
    assert one["win_rate_effect"] == pytest.approx(four["win_rate_effect"])
    assert width[0] == pytest.approx(width[1], rel=0.02)
    p_values = [drivers.factor_tests(rows, ["x_sponsor"])["p_value"].iloc[0] for rows in (once, copies)]
    assert p_values[0] == pytest.approx(p_values[1], rel=0.1)


def test_what_is_not_tested_says_why(frame):
    rows = frame.assign(one="same", town=frame["region"] + " town", twin=frame["region"])
    tests = drivers.factor_tests(rows, ["one", "region", "twin", "x_sponsor"]).set_index("factor")
    assert tests["handling"].tolist() == [
        "one value only",
        "told by the other factors",
        "told by the other factors",
        "",
    ]
    assert tests["p_value"].notna().tolist() == [False, False, False, True]
    part = np.where(frame["region"] == "EMEA", np.where(frame.index % 2, "North", "South"), "AMER")
    partly = drivers.effects(rows.assign(part=part), ["region", "part"])
    assert drivers.factor_tests(rows.assign(part=part), ["region", "part"])["p_value"].notna().tolist() == [False, True]
    assert partly["win_rate_effect"].isna().all()  # North against South is told, but not either against AMER
    table = drivers.effects(rows, ["one", "region", "twin", "x_sponsor"])
    assert table["win_rate_effect"].notna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (company(60), "too few decided deals for so many factors"),
        (company(200).assign(is_won=True), "all decided deals were won"),
        (company(200).assign(is_won=False), "all decided deals were lost"),
        (company(200).assign(is_closed=False, is_won=False), "no deals were decided"),
    ],
)
def test_nothing_is_estimated_where_nothing_can_be(rows, reason):
    tests = drivers.factor_tests(rows, FACTORS)
    assert tests["p_value"].isna().all() and set(tests["handling"]) == {reason}
    table = drivers.effects(rows, FACTORS, period=Q3)
    assert table["win_rate_effect"].isna().all() and table["won_amount_effect"].isna().all()
    assert drivers.interaction_tests(rows, [("segment", "region")])["p_value"].isna().all()
    assert drivers.dose_response(rows, "meeting_count", FACTORS)["adjusted_win_rate"].isna().all()
    [named] = multiplicity.named_together(tests)
    said = driver_findings.headlines(named, table)
    assert said == [f"What goes with winning cannot be told: {reason}."]
    assert driver_findings.not_found(named, table).empty


def test_a_level_never_won_keeps_a_finite_interval_and_says_so(frame):
    dead = frame.assign(source=np.where(frame.index % 20 == 0, "Fax", "Web"))
    dead["is_won"] &= dead["source"] == "Web"
    row = drivers.effects(dead, ["source", "x_sponsor"]).iloc[0]
    assert row["level"] == "Fax" and -1 < row["win_rate_effect_low"] < row["win_rate_effect"] < -0.2
    assert row["win_rate_effect_high"] < 0
    tests = drivers.factor_tests(dead, ["source", "x_sponsor"])
    assert tests["handling"].tolist() == ["held towards no effect: a level has few wins or losses", ""]
    assert tests["p_value"].iloc[0] < 0.001


def test_bad_columns_in_words(frame):
    with pytest.raises(
        checks.DataError, match=r"^drivers: dates as factors \(1: ended_at\)\. Give days or a period instead\.$"
    ):
        drivers.factor_tests(frame, ["ended_at"])
    with pytest.raises(checks.DataError, match="missing column"):
        drivers.factor_tests(frame, ["x_sponsr"])


def test_without_amounts_the_money_is_missing_and_the_points_are_not(frame):
    found = drivers.effects(frame.drop(columns="amount"), ["segment"], period=Q3)
    assert found["won_amount_effect"].isna().all() and found["win_rate_effect"].notna().all()


def crossed(gap: float) -> pd.DataFrame:
    """Enterprise deals win more from events, the others from the web."""
    rng = np.random.default_rng(5)
    segment, source = rng.choice(["Enterprise", "SMB"], 2000), rng.choice(["event", "web"], 2000)
    same = (segment == "Enterprise") == (source == "event")
    won = rng.random(2000) < np.where(same, 0.3 + gap, 0.3)
    return pd.DataFrame({"account_id": None, "is_closed": True, "is_won": won, "segment": segment, "source": source})


def test_an_interaction_is_seen_and_its_grid_is_the_cells_own_rates():
    rows = crossed(0.25)
    [seen], [none] = (
        drivers.interaction_tests(each, [("segment", "source")])["p_value"].tolist() for each in (rows, crossed(0.0))
    )
    assert seen < 1e-6 < 0.01 < none
    grid = drivers.interaction_grid(rows, ("segment", "source"))
    plain = rows.groupby(["segment", "source"])["is_won"].agg(["size", "mean"]).reset_index()
    assert grid["n"].tolist() == plain["size"].tolist()
    assert grid["adjusted_win_rate"].tolist() == pytest.approx(plain["mean"].tolist(), abs=1e-6)
    assert ((grid[RATE[1]] < grid[RATE[0]]) & (grid[RATE[0]] < grid[RATE[2]])).all()


def test_a_rare_cell_has_no_rate():
    rows = crossed(0.1)
    rows = rows[~((rows["segment"] == "SMB") & (rows["source"] == "event")) | (rows.index < 40)]
    grid = drivers.interaction_grid(rows, ("segment", "source")).set_index(["level", "other_level"])
    assert grid.loc[("SMB", "event"), "n"] < 20 and np.isnan(grid.loc[("SMB", "event"), "adjusted_win_rate"])
    assert grid["adjusted_win_rate"].notna().sum() == 3
    test = drivers.interaction_tests(rows, [("segment", "source")]).iloc[0]
    assert np.isnan(test["p_value"]) and test["handling"] == "one value only"


def test_the_dose_response_is_each_bucket_s_rate_where_nothing_else_is_held_equal(frame):
    table = drivers.dose_response(frame, "meeting_count")
    assert table["level"].tolist() == ["0", "1", "2", "3–4", "5+"]
    bucket = frame["meeting_count"].map({0: "0", 1: "1", 2: "2", 3: "3–4", 4: "3–4"}).fillna("5+")
    plain = frame.groupby(bucket)["is_won"].agg(["size", "mean"]).loc[table["level"]]
    assert table["n"].tolist() == plain["size"].tolist()
    assert table["adjusted_win_rate"].tolist() == pytest.approx(plain["mean"].tolist(), abs=1e-6)
    missing = frame.assign(meeting_count=frame["meeting_count"].where(frame.index % 10 > 0))
    assert drivers.dose_response(missing, "meeting_count", FACTORS)["level"].tolist()[-1] == "(none)"


def test_a_trend_is_seen_where_there_is_one(frame):
    rng = np.random.default_rng(8)
    rising = frame.assign(is_won=rng.random(800) < 0.15 + 0.06 * frame["meeting_count"])
    [seen], [none] = (drivers.trend_tests(rows, ["meeting_count"], FACTORS)["p_value"] for rows in (rising, frame))
    assert seen < 1e-4 and none > 0.01
    rates = drivers.dose_response(rising, "meeting_count", FACTORS)["adjusted_win_rate"]
    assert rates.iloc[-1] - rates.iloc[0] == pytest.approx(0.33, abs=0.1)


def test_the_planted_effect_is_recovered():
    truth, found = [], []
    for seed in range(8):
        rows = company(1000, seed=100 + seed)
        base = -1.2 + 0.8 * (rows["segment"] == "Enterprise")
        truth.append((expit(base + 0.9) - expit(base)).mean())
        found.append(drivers.effects(rows, ["x_sponsor"], controls=["segment", "region"])["win_rate_effect"].iloc[0])
    assert np.mean(found) == pytest.approx(np.mean(truth), abs=4 * np.std(found) / np.sqrt(8))


# What the findings say.

TESTS = pd.DataFrame(
    {
        "factor": ["x_sponsor", "segment", "region"],
        "kind": "category",
        "n": 2000,
        "n_levels": [2, 3, 4],
        "p_value": [0.0001, 0.001, 0.5],
        "handling": "",
        "is_named": [True, True, False],
        "n_compared": 3,
    }
)
CONTRASTS = pd.DataFrame(
    {
        "factor": ["x_sponsor", "segment", "segment", "region"],
        "level": ["No", "Mid", "(none)", "West"],
        "reference": ["Yes", "SMB", "SMB", "East"],
        "n_level": [600, 300, 100, 500],
        "win_rate_with": [0.22, 0.20, 0.38, 0.25],
        "win_rate_without": [0.31, 0.25, 0.25, 0.25],
        "win_rate_effect": [-0.09, -0.05, 0.13, 0.0],
        "win_rate_effect_low": [-0.14, -0.10, 0.004, -0.04],
        "win_rate_effect_high": [-0.04, 0.01, 0.26, 0.04],
        "n_in_period": [132, 40, 1, 20],
        "won_amount_effect": [-1.2e6, -5e4, 9e3, 10.0],
        "won_amount_effect_low": [-1.9e6, -9e4, -1e3, -500.0],
        "won_amount_effect_high": [-5e5, 1e4, 2e4, 500.0],
        "p_value": [0.0001, 0.2, 0.01, 0.9],
    }
)


def test_each_driver_has_a_sentence_the_largest_first():
    said = driver_findings.headlines(TESTS, CONTRASTS, period=Q3, currency="USD")
    assert said == [
        "Deals without segment are won more often than those with SMB: 38 % against 25 % with all else alike, a difference "
        "of 13 points (likely between 0.4 and 26). Over the one such deal decided in 2026Q3 it comes to no clear amount.",
        "Deals without sponsor are won less often than those with: 22 % against 31 % with all else alike, a difference of "
        "9 points (likely between 4 and 14). Over the 132 such deals decided in 2026Q3 it goes with $1.2M less won "
        "(likely between $500K and $1.9M). These are associations: they show no cause.",
    ]
    first, rest = driver_findings.headlines(TESTS, CONTRASTS, period=Q3, most=1)
    assert first.endswith("An association: it does not show a cause.") and rest == "Beyond chance as well: sponsor."
    other = CONTRASTS.assign(level=["Maybe", *CONTRASTS["level"].iloc[1:]])
    assert driver_findings.headlines(TESTS, other)[-1].startswith("Deals with sponsor Maybe are won less")
    lower = CONTRASTS.assign(win_rate_effect=[-0.19, -0.05, 0.13, 0.0])
    assert driver_findings.headlines(TESTS, lower)[0].startswith("Deals without sponsor are")
    without = driver_findings.headlines(TESTS, CONTRASTS)
    assert all("decided" not in sentence for sentence in without) and len(without) == 2


@pytest.mark.parametrize("change", [{"p_value": 0.06}, {"n_level": 19}, {"level": "(other)"}])
def test_a_level_that_is_not_clear_is_not_named(change):
    tests, contrasts = TESTS.iloc[[0]], CONTRASTS.iloc[[0]].assign(**change)
    assert driver_findings.headlines(tests, contrasts) == [
        "Win rates differ by sponsor more than chance would give, but none stands clear of Yes."
    ]


def test_none_named_and_none_looked_at():
    none = TESTS.assign(is_named=False)
    assert driver_findings.headlines(none, CONTRASTS) == [
        "Of the 3 factors looked at, none goes with winning more or less often by more than chance would give."
    ]
    assert driver_findings.headlines(none.head(1), CONTRASTS) == [
        "The one factor looked at does not go with winning more or less often by more than chance would give."
    ]
    assert driver_findings.headlines(none.head(0), CONTRASTS) == ["No factor was looked at."]


def more_contrasts() -> pd.DataFrame:
    """The contrast of region first, small levels taken together, and a level without an effect or its money."""
    sponsor, middle, none, west = (CONTRASTS.iloc[[place]] for place in range(4))
    unknown = middle.assign(level="Micro", win_rate_effect=np.nan, won_amount_effect=np.nan)
    others = [each.assign(level="(other)") for each in (west, middle)]
    return pd.concat([west, sponsor, middle, none, *others, unknown], ignore_index=True)


def test_every_level_of_a_named_factor_is_shown_and_of_the_others_a_single_one():
    contrasts = more_contrasts()
    table = driver_findings.shown(TESTS, contrasts)
    assert table["level"].tolist() == ["No", "Mid", "(none)", "West"] and table.index.tolist() == [0, 1, 2, 3]
    assert table["is_named"].tolist() == [True, True, True, False]
    assert not {"n_in_period", "won_amount_effect", "won_amount_effect_low", "won_amount_effect_high"} & set(table)
    assert driver_findings.shown(TESTS, contrasts, most=2)["level"].tolist() == ["No", "Mid"]
    # Two levels of a factor that may not be named: neither is picked out.
    two = pd.concat([contrasts, CONTRASTS.iloc[[3]].assign(level="North")])
    assert driver_findings.shown(TESTS, two)["factor"].unique().tolist() == ["x_sponsor", "segment"]


def test_only_what_may_be_named_is_worth_money():
    table = driver_findings.worth(TESTS, more_contrasts())
    assert table[["level", "n"]].values.tolist() == [["No", 132], ["Mid", 40], ["(none)", 1]]
    assert table.index.tolist() == [0, 1, 2] and table["won_amount_effect"].tolist() == [-1.2e6, -5e4, 9e3]
    none = driver_findings.worth(TESTS.assign(is_named=False), more_contrasts())
    assert none.empty and none.columns.tolist() == table.columns.tolist()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "Sponsor and segment go with winning; 1 other factor shows no clear difference."),
        ({"is_named": [False, True, False]}, "Segment goes with winning; 2 other factors show no clear difference."),
        ({"is_named": True}, "Sponsor, segment and region go with winning."),
        ({"p_value": [0.001, 0.0001, np.nan]}, "Segment and sponsor go with winning."),
        ({"is_named": False, "p_value": [0.3, 0.5, np.nan]}, "None of 2 factors goes with winning beyond chance."),
        ({"p_value": np.nan}, "Too few decided deals to tell what goes with winning."),
    ],
)
def test_the_title_names_the_clearest_first_and_counts_the_tested(change, said):
    assert driver_findings.title(TESTS.assign(**change).iloc[::-1]) == said


def test_noise_is_never_a_sentence_of_its_own():
    said = " ".join(driver_findings.headlines(TESTS, CONTRASTS))
    assert "region" not in said and "because" not in said


def test_the_smallest_effect_seen_is_what_four_of_five_studies_find():
    """One degree of freedom: the normal quantiles of the strictest threshold and of the power."""
    missed = driver_findings.not_found(TESTS.assign(is_named=[False, True, False]), CONTRASTS).set_index("factor")
    error = 0.10 / (2 * 1.959964)
    assert missed.loc["x_sponsor", "detectable_effect"] == pytest.approx(error * (2.128 + 0.8416), abs=0.0005)
    assert missed.loc["region", "detectable_effect"] > 1.1 * 0.08 / 3.92 * (
        2.128 + 0.8416
    )  # more levels to look through
    assert missed.index.tolist() == ["region", "x_sponsor"] and "segment" not in missed.index


def test_what_was_not_found_is_listed_shortly():
    missed = pd.DataFrame({"factor": list("abcdefg"), "n": 9, "detectable_effect": np.arange(1, 8) / 50})
    assert driver_findings.not_found_sentence(missed) == (
        "No clear difference by a, b, c, d or 3 others, all else alike: a difference of 2 points (a) to 14 points (g) "
        "would most likely have shown."
    )
    assert driver_findings.not_found_sentence(missed.head(1).assign(detectable_effect=np.nan)) == (
        "No clear difference by a, all else alike."
    )
