"""The sample company: one history however it is asked for, and an answer key that is right."""

import itertools
from functools import partial

import numpy as np
import pandas as pd
import pytest

from salesops import checks
from salesops.crm import model, sample
from salesops.crm.sample import answers, law, people, settings, world

END = pd.Timestamp("2026-09-30")
CLOSED = {"Closed Lost": 0, "No Decision": 0, "Closed Won": 99}
DAYS = ("2023-02-01", "2024-09-30", "2025-11-15", "2026-09-29")


@pytest.fixture(scope="module")
def default() -> dict[str, pd.DataFrame]:
    return sample.tables()


@pytest.fixture(scope="module")
def large() -> dict[str, pd.DataFrame]:
    return sample.tables(size=20_000, clean=True)


@pytest.fixture(scope="module")
def key() -> sample.Truth:
    return sample.truth(size=20_000, clean=True)


def qualified(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Closed deals that were qualified and are no renewals, with their quarter."""
    deals = tables["opportunities"]
    deals = deals[deals["is_closed"] & deals["qualified_date"].notna() & (deals["opportunity_type"] != "renewal")]
    return deals.assign(quarter=deals["closed_at"].dt.to_period("Q"))


def standard_errors(observed: pd.Series, expected: pd.Series) -> float:
    """Distance of a sum of ones and zeros from its expectation, in standard errors."""
    return (observed.sum() - expected.sum()) / np.sqrt((expected * (1 - expected)).sum())


# One history, however it is asked for


def test_equal_switches_give_equal_tables(default):
    world.build.cache_clear()
    again = sample.tables()
    assert default.keys() == again.keys()
    for table in default:
        pd.testing.assert_frame_equal(default[table], again[table])


def test_another_seed_gives_another_history(default):
    other = sample.tables(seed=1)["opportunities"]
    assert not other["amount"].head(50).equals(default["opportunities"]["amount"].head(50))


def test_tables_are_canonical(default):
    for table, frame in default.items():
        pd.testing.assert_frame_equal(frame, model.conform(frame, table))
        assert len(frame), table
    assert default.keys() == model.TABLES.keys() - {"fx_rates"}


def test_keys_are_unique(large):
    for table, frame in large.items():
        assert not frame.duplicated(model.keys(table)).any(), table


def test_sizes_are_those_asked_for(default, large):
    assert len(large["opportunities"]) == 20_000
    assert default["opportunities"]["opportunity_id"].dropna().str.startswith("D-").sum() == 6_000 + 3
    reps = default["reps"]
    assert (reps["role"] == "rep").sum() == 40
    assert reps.loc[reps["role"] == "rep", "team"].nunique() == 6
    closed = default["opportunities"]["closed_at"].dropna().dt.to_period("Q").value_counts().sort_index()
    assert closed.iloc[2:].between(310, 440).all()


@pytest.mark.parametrize("end", ["2026-09-30", "2026-08-02", "2025-12-25"])
def test_the_last_event_is_on_the_last_day(end):
    tables = sample.tables(size=500, end=end)
    assert tables["activities"]["occurred_at"].max().normalize() == pd.Timestamp(end)
    assert tables["stage_history"]["changed_at"].max() < pd.Timestamp(end) + pd.Timedelta(days=1)


@pytest.mark.parametrize(("switches", "words"), [
    ({"seed": -1}, "sample: seed is -1. Give a whole number, 0 or more."),
    ({"size": 3}, "sample: size is 3. Give a number from 50 to 5,000,000."),
    ({"years": 0}, "sample: years is 0. Give a number from 0.5 to 30."),
    ({"shock": -1}, "sample: shock is -1. Give a standard deviation, 0 or more."),
    ({"defects": {"no_ids": 3}}, "Did you mean 'no_id'?"),
    ({"planted": ["sponsors"]}, "Did you mean 'sponsor'?"),
    ({"until": "2027-01-01"}, "sample: until is 2027-01-01, after the last day 2026-09-30. Give a later end."),
    ({"until": "2020-01-01"}, "sample: until is 2020-01-01, before the first day 2022-10-01. Give a later day."),
])  # fmt: skip
def test_switches_that_make_no_sense_are_refused(switches, words):
    with pytest.raises(checks.ParameterError) as error:
        sample.tables(**switches)
    assert words in str(error.value)


# Point in time: an independent replay of the full tables, rule by rule


def deals_on(full: dict[str, pd.DataFrame], day: pd.Timestamp) -> pd.DataFrame:
    """Opportunities as they stood on the evening of a day, by the rules alone."""
    after = day + pd.Timedelta(days=1)
    deals = full["opportunities"]
    deals = deals[deals["opportunity_id"].str.startswith("D-") & (deals["created_date"] < after)].drop_duplicates()
    history = full["stage_history"]
    history = history[history["changed_at"] < after].sort_values(["opportunity_id", "seq"])
    last = history.groupby("opportunity_id").tail(1).set_index("opportunity_id").loc[deals["opportunity_id"]]
    for field in ("stage", "amount", "close_date", "probability", "forecast_category", "owner_id", "next_step"):
        deals = deals.assign(**{field: last[field].array})
    outcome = {"Closed Won": "won", "Closed Lost": "lost", "No Decision": "no_decision"}
    deals["outcome"] = deals["stage"].map(outcome).fillna("open").astype("str")
    deals["is_closed"], deals["is_won"] = deals["outcome"] != "open", deals["outcome"] == "won"
    reopened = deals["is_closed"] & ~(deals["closed_at"] < after)
    closed_then = pd.Series(last["changed_at"].to_numpy(), deals.index)
    deals["closed_at"] = deals["closed_at"].mask(reopened, closed_then).where(deals["is_closed"])
    for field in (
        "loss_reason competitor list_amount arr_amount one_off_amount term_months contract_start contract_end"
    ).split():
        deals[field] = deals[field].where(deals["is_closed"] & ~reopened)
    deals["qualified_date"] = deals["qualified_date"].where(deals["qualified_date"] < after)
    touches = full["activities"][full["activities"]["occurred_at"] < after]
    touched = touches.groupby("opportunity_id")["occurred_at"].max().dt.normalize()
    deals["last_activity_date"] = deals["opportunity_id"].map(touched)
    return deals.reset_index(drop=True)


def others_on(full: dict[str, pd.DataFrame], day: pd.Timestamp, won: pd.Series) -> dict[str, pd.DataFrame]:
    """Every other table as it stood on the evening of a day."""
    after = day + pd.Timedelta(days=1)
    dated_by = {
        "stage_history": "changed_at", "activities": "occurred_at", "forecast_submissions": "submitted_at",
        "leads": "created_at", "tool_usage": "date", "costs": "month", "actuals": "period_start", "reps": "hire_date",
        "territory_assignments": "valid_from",
    }  # fmt: skip
    stood = {table: full[table][full[table][column] < after] for table, column in dated_by.items()}
    stood["market"] = full["market"][(full["market"]["month"] < after) | full["market"]["is_planned"].astype(bool)]
    stood["targets"] = full["targets"][full["targets"]["period_start"].dt.year <= day.year]
    stood |= {t: full[t][full[t]["opportunity_id"].isin(won)] for t in ("opportunity_splits", "line_items")}
    later = {
        "reps": ["left_date"], "territory_assignments": ["valid_to"], "accounts": ["customer_since"],
        "leads": ["first_response_at", "replied_at", "qualified_at", "converted_at", "disqualified_at"],
    }  # fmt: skip
    for table, columns in later.items():
        frame = stood.get(table, full[table])
        stood[table] = frame.assign(**{column: frame[column].where(frame[column] < after) for column in columns})
    leads = stood["leads"]
    converted, dropped = leads["converted_at"].notna(), leads["disqualified_at"].notna()
    stood["leads"] = leads.assign(
        opportunity_id=leads["opportunity_id"].where(converted), reason=leads["reason"].where(dropped)
    )
    return stood


@pytest.mark.parametrize("day", DAYS)
def test_until_is_the_replay_of_the_full_history(default, day):
    until = sample.tables(until=day)
    deals = until["opportunities"]
    deals = deals[deals["opportunity_id"].str.startswith("D-", na=False)].drop_duplicates().reset_index(drop=True)
    expected = deals_on(default, pd.Timestamp(day))
    pd.testing.assert_frame_equal(deals, expected)
    won = expected.loc[expected["is_won"], "opportunity_id"]
    for table, frame in others_on(default, pd.Timestamp(day), won).items():
        pd.testing.assert_frame_equal(until[table], frame.reset_index(drop=True), obj=table)


def test_history_holds_the_present_values(large):
    deals, history = large["opportunities"], large["stage_history"]
    last = history.drop_duplicates("opportunity_id", keep="last").reset_index(drop=True)
    for field in ("stage", "amount", "close_date", "probability", "forecast_category", "owner_id", "next_step"):
        pd.testing.assert_series_equal(deals[field], last[field])
    first = history[history["seq"] == 1].reset_index(drop=True)
    assert (first["changed_at"] == deals["created_date"]).all()
    later = history["opportunity_id"].eq(history["opportunity_id"].shift())
    assert (history["changed_at"].diff()[later] > pd.Timedelta(0)).all()
    assert (history["seq"].diff()[later] == 1).all()


def test_a_clean_company_has_no_open_deal_past_its_date(large):
    deals, activities = large["opportunities"], large["activities"]
    assert not (~deals["is_closed"] & (deals["close_date"] < END)).any()
    assert (deals["close_date"] == deals["closed_at"].dt.normalize())[deals["is_closed"]].all()
    created = activities["opportunity_id"].map(deals.set_index("opportunity_id")["created_date"])
    assert (activities["occurred_at"] > created).all()


def test_money_adds_up(large):
    won = large["opportunities"].query("is_won").set_index("opportunity_id")["amount"]
    lines = large["line_items"].groupby("opportunity_id")["amount"].sum()
    pd.testing.assert_series_equal(lines.sort_index(), won.sort_index(), check_names=False, atol=0.005)
    splits = large["opportunity_splits"].query("kind == 'revenue'").groupby("opportunity_id")["share"].sum()
    assert splits.index.sort_values().equals(won.index.sort_values())
    assert np.allclose(splits, 1)


# The shape of the data


def test_paths_skip_return_and_reopen(large):
    history = large["stage_history"]
    moves = history[history["stage"].ne(history.groupby("opportunity_id")["stage"].shift())]
    moves = moves.merge(large["stages"], on=["pipeline", "stage"])
    before = moves.groupby("opportunity_id")["position"].shift()
    was_closed = moves["is_closed"].astype("boolean").groupby(moves["opportunity_id"]).shift(fill_value=False)
    is_open = ~moves["is_closed"].astype(bool)
    assert (is_open & ~was_closed & (moves["position"] - before >= 2)).sum() > 500
    assert (is_open & ~was_closed & (moves["position"] < before)).sum() > 500
    assert (is_open & was_closed).sum() > 100


def test_amounts_are_spread_as_in_life(large):
    amount = large["opportunities"]["amount"]
    assert 4.5 < (amount**2).mean() / amount.mean() ** 2 < 7


def test_cycles_have_two_humps(large):
    won = large["opportunities"].query("is_won")
    days = np.log((won["closed_at"] - won["created_date"]).dt.total_seconds() / 86_400)
    count, edges = np.histogram(days, bins=np.log([20, 30, 45, 67, 100, 150]))
    assert count[0] > count[1] * 1.05 or count[0] > count[2] * 1.05
    assert count[4] > count[2]


def test_wins_bunch_at_the_end_of_the_quarter(large):
    won = large["opportunities"].query("is_won")["closed_at"].dt.normalize()
    left = (won + pd.offsets.QuarterEnd(0) - won).dt.days
    assert (left < law.QUARTER_END_DAYS).mean() > 0.25 > 2 * law.QUARTER_END_DAYS / 91.3 - 0.02


def test_the_crm_is_too_hopeful(key):
    deals = sample.tables(size=20_000, clean=True, until="2025-06-30")["opportunities"].query("not is_closed")
    chance = key.win_probability(deals["opportunity_id"], "2025-06-30")
    assert deals["probability"].mean() > chance.mean() + 0.05


# The answer key


@pytest.mark.parametrize(("day", "by"), [
    ("2023-12-10", "2023-12-31"), ("2024-08-15", "2024-12-31"), ("2025-02-03", "2025-03-31"),
    ("2025-06-30", "2026-09-30"), ("2025-10-04", "2025-11-20"),
])  # fmt: skip
def test_chances_of_winning_are_calibrated(large, key, day, by):
    now = sample.tables(size=20_000, clean=True, until=day)["opportunities"].query("not is_closed").reset_index()
    final = large["opportunities"].set_index("opportunity_id").loc[now["opportunity_id"]]
    won = (final["is_won"] & (final["close_date"] <= by)).reset_index(drop=True)
    chance = key.win_probability(now["opportunity_id"], day, by).reset_index(drop=True)
    assert abs(standard_errors(won, chance)) < 4
    for column in ("segment", "stage", "x_executive_sponsor", "lead_source", "x_trial"):
        for _, rows in now.groupby(column):
            assert abs(standard_errors(won[rows.index], chance[rows.index])) < 4


def test_chances_of_the_next_stage_are_calibrated(large, key):
    day = "2024-11-20"
    now = sample.tables(size=20_000, clean=True, until=day)["opportunities"].query("not is_closed")
    position = {(row.pipeline, row.stage): row.position for row in large["stages"].itertuples()}
    history = large["stage_history"]
    position |= {(pipeline, stage): place for pipeline, _ in position for stage, place in CLOSED.items()}
    place = pd.Series([position[row] for row in zip(history["pipeline"], history["stage"], strict=True)], history.index)
    later = history["changed_at"] >= pd.Timestamp(day) + pd.Timedelta(days=1)
    reached = place[later].groupby(history["opportunity_id"][later]).max()
    here = pd.Series([position[row] for row in zip(now["pipeline"], now["stage"], strict=True)], now["opportunity_id"])
    chance = key.next_stage_probability(now["opportunity_id"], day)
    happened = reached.reindex(here.index).fillna(0) > here
    for _, group in chance.groupby(here):
        assert abs(standard_errors(happened[group.index], group)) < 4


@pytest.mark.parametrize("shock", [0.0, 0.4])
def test_the_recursion_equals_a_naive_walk(shock):
    """One class, walked day by day and deal by deal, each quarter's shock drawn anew for every deal."""
    chosen = settings.switches(shock=shock)
    random, n, first, last = np.random.default_rng(3), 6000, chosen.day("2025-05-28"), chosen.day("2025-08-19")
    deal_class = np.array([law.class_of(type=0, segment=1, sponsor=1, partner=0, product=1, rep=0)])
    days = pd.date_range("2025-05-29", "2025-08-19")
    pulls = law.pull(chosen, np.arange(first + 1, last + 1)).tolist()
    calendar = list(zip(days.quarter.tolist(), days.day_of_week.tolist(), pulls, strict=True))
    hazards = law.hazards(chosen, deal_class)
    base, win, pace = hazards.base[:, 0].T.tolist(), hazards.win[0].tolist(), hazards.pace[0].tolist()
    wins = 0
    for _ in range(n):
        stage, age, now = law.MIDDLE, 5, None
        for quarter, weekday, pull in calendar:
            if now != quarter:
                now, luck = quarter, _shock(random, shock)
            moves = [*base[stage], win[stage] * pull * luck] if weekday < 5 else [0.0]
            total = sum(moves) * 1.4 * pace[stage][min(age, law.CAP)]
            age += 1
            if total and random.random() < 1 - np.exp(-total):
                stage, age = int(law.TARGETS[_drawn(random, moves), stage]), 0
            if stage > law.LOST:
                wins += stage == law.WON
                break
    state = deal_class, np.array([law.MIDDLE]), np.array([5])
    chance = answers.chance_on(chosen, *state, day=first, by=last)[0]
    assert abs(wins / n - chance) < 4 * np.sqrt(chance * (1 - chance) / n)


def _pull_with(usual, quarter_end, first, second, chosen, days) -> np.ndarray:
    return usual(chosen, days) * np.where(np.asarray(days) <= quarter_end, first, second)


def _drawn(random: np.random.Generator, weights: list[float]) -> int:
    mark = random.random() * sum(weights)
    for move, weight in enumerate(weights):
        mark -= weight
        if mark < 0:
            return move
    return len(weights) - 1


def _shock(random: np.random.Generator, size: float) -> float:
    spread = np.sqrt(np.log(1 + size**2))
    return np.exp(spread * random.standard_normal() - spread**2 / 2)


def test_each_quarter_has_a_shock_of_its_own(monkeypatch):
    """Across a quarter's end: the mean over all pairs of shocks, each pair walked as a calendar without any."""
    shocked, calm = settings.switches(shock=0.8), settings.switches()
    deal_class = law.class_of(type=0, segment=1, sponsor=0, partner=0, product=1, rep=0)
    state = np.array([deal_class]), np.array([law.LATE]), np.array([9])
    days = {"day": calm.day("2025-06-05"), "by": calm.day("2025-07-29")}
    quarter_end, usual, expected = calm.day("2025-06-30"), law.pull, 0.0
    law_of_shocks = list(zip(*answers.shock_law(shocked), strict=True))
    for (first, weight), (second, other) in itertools.product(law_of_shocks, repeat=2):
        luck = partial(_pull_with, usual, quarter_end, first, second)
        monkeypatch.setattr(law, "pull", luck)
        expected += weight * other * answers.chance_on(calm, *state, **days)[0]
    monkeypatch.setattr(law, "pull", usual)
    assert answers.chance_on(shocked, *state, **days)[0] == pytest.approx(expected, abs=1e-12)


def test_a_horizon_of_no_days_is_today(key):
    ids = ["D-0000001", "D-0019999"]
    assert key.win_probability(ids, "2024-01-31", "2024-01-31").fillna(-1).isin([0.0, 1.0, -1.0]).all()
    assert np.isnan(key.win_probability(ids, "2022-11-01")["D-0019999"])
    with pytest.raises(checks.ParameterError, match="by is 2024-01-30, before 2024-01-31"):
        key.win_probability(ids, "2024-01-31", "2024-01-30")
    with pytest.raises(checks.ParameterError, match=r"truth: 1 unknown opportunities \(D-0020001\)"):
        key.win_probability(["D-0020001"], "2024-01-31")


def test_shocks_have_mean_one_and_move_quarters_together():
    companies = [settings.switches(seed=seed, shock=0.5, years=30) for seed in range(60)]
    drawn = np.concatenate([np.unique(law.shocks(company, np.arange(10_000))) for company in companies])
    assert drawn.mean() == pytest.approx(1, abs=0.03)
    assert drawn.std() == pytest.approx(0.5, abs=0.03)
    assert (law.shocks(settings.switches(), np.arange(500)) == 1).all()


# What is planted shows, and a null company shows nothing


def test_the_best_segment_wins_more(large, key):
    rate = qualified(large).groupby("segment")["is_won"].mean()
    assert rate.idxmax() == key.best_segment == "Mid-Market"
    assert rate.max() > rate.drop(key.best_segment).max() + 0.05


def test_the_sponsor_is_worth_about_eight_points(key):
    effects = key.effects.set_index("level")["points"]
    assert 7 < effects["Yes"] < 9
    assert abs(effects["partner"]) < 1.5 and abs(effects["quick products"]) < 1.5


def test_the_sponsor_effect_is_found_in_the_data(large, key):
    deals = qualified(large).query("created_date < '2025-06-30'")
    rate = deals.groupby("x_executive_sponsor")["is_won"].agg(["mean", "size"])
    error = 100 * np.sqrt((rate["mean"] * (1 - rate["mean"]) / rate["size"]).sum())
    expected = key.effects.set_index("level").loc["Yes", "points"]
    assert abs(100 * (rate["mean"]["Yes"] - rate["mean"]["No"]) - expected) < 4 * error
    assert rate["size"]["Yes"] / rate["size"].sum() == pytest.approx(0.30, abs=0.02)


def test_the_hurting_competitor_has_its_odds_ratio(large, key):
    deals = large["opportunities"].query("is_closed")
    named = deals.dropna(subset=["competitor"])
    table = pd.crosstab(named["competitor"] == key.hurting_competitor, named["is_won"]).to_numpy()
    log_ratio = np.log(table[1, 1] * table[0, 0] / (table[1, 0] * table[0, 1]))
    error = np.sqrt((1 / table).sum())
    assert abs(log_ratio - np.log(key.competitor_odds_ratio)) < 4 * error
    assert log_ratio < -4 * error
    filled = deals["competitor"].notna().groupby(deals["is_won"]).mean()
    assert abs(filled[True] - filled[False]) < 0.03


def test_one_rep_differs_and_only_one(default):
    key = sample.truth()
    deals = qualified(default).query("closed_at >= '2024-10-01'")
    rate, n = deals["is_won"].mean(), deals.groupby("owner_id").size()
    distance = (deals.groupby("owner_id")["is_won"].mean() - rate) / np.sqrt(rate * (1 - rate) / n)
    assert distance.idxmax() == key.outlier_rep
    assert distance.max() > 3.5 > distance.drop(key.outlier_rep)[n >= 20].abs().max()
    assert n[key.outlier_rep] == pytest.approx(n[n >= 20].mean(), rel=0.5)
    assert (key.skill["win_hazard_factor"] != 1).sum() == 1


def test_new_reps_ramp_as_told(large, key):
    deals, reps = large["opportunities"], large["reps"].query("role == 'rep'").set_index("owner_id")
    hired = reps["hire_date"][reps["hire_date"] > "2022-10-01"]
    first = large["stage_history"].query("seq == 1").set_index("opportunity_id")["owner_id"]
    months = (deals["created_date"] - deals["opportunity_id"].map(first).map(hired)).dt.days // people.MONTH_DAYS
    count = months.value_counts()
    usual = count.reindex(range(6, 9)).mean()
    assert count.get(0, 0) / usual == pytest.approx(key.ramp["load"][0], abs=0.15)
    assert count[2] / usual == pytest.approx(key.ramp["load"][2], abs=0.25)


def test_the_trend_breaks_once(large, key):
    rate = qualified(large).groupby("quarter")["is_won"].mean()
    at = pd.Period(key.break_date, "Q")
    assert 0.08 < rate[at] - rate[at - 1] < 0.14
    assert rate.diff().loc["2023Q2":].drop(at).abs().max() < 0.06
    assert key.break_date <= (pd.Timestamp(key.mix_shift[0]) - pd.DateOffset(years=1)).date()


def test_the_mix_shift_fakes_a_decline(large, key):
    deals = qualified(large).query("closed_at >= @key.break_date")
    late = deals["created_date"] >= pd.Timestamp(key.mix_shift[0])
    overall = deals.groupby(late)["is_won"].mean()
    assert overall[True] < overall[False] - 0.04
    mine = large["opportunities"].query("qualified_date >= @key.break_date and opportunity_type != 'renewal'")
    chance = pd.Series({
        deal: value for day, ids in mine.groupby(mine["qualified_date"].dt.normalize())["opportunity_id"]
        if day.day == 14 for deal, value in key.win_probability(ids, day).items()
    })  # fmt: skip
    by_segment = mine.set_index("opportunity_id").loc[chance.index]
    shifted = by_segment["created_date"] >= pd.Timestamp(key.mix_shift[0])
    steady = chance.groupby([by_segment["segment"], shifted]).mean().unstack()
    assert ((steady[True] - steady[False]).abs() < 0.06).all()


def test_in_a_null_company_nothing_differs():
    key = sample.truth(size=20_000, null=True)
    assert (key.best_segment, key.hurting_competitor, key.outlier_rep, key.break_date, key.mix_shift) == (None,) * 5
    assert (key.effects["points"].abs() < 1e-9).all()
    assert (key.skill["win_hazard_factor"] == 1).all() and (key.ramp["load"] == 1).all()
    deals = qualified(sample.tables(size=20_000, null=True))
    for column in ("segment", "opportunity_type", "x_executive_sponsor", "competitor", "product", "region", "owner_id"):
        table = pd.crosstab(deals[column], deals["is_won"])
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.to_numpy().sum()
        free = len(table) - 1
        assert ((table - expected) ** 2 / expected).to_numpy().sum() < free + 4 * np.sqrt(2 * free), column


def test_each_truth_can_be_planted_alone():
    key = sample.truth(size=500, planted=["sponsor"])
    assert key.best_segment is None and key.break_date is None
    points = key.effects.set_index("level")["points"]
    assert points["Yes"] > 5 and points.drop("Yes").abs().max() < 1e-9


# Faults


def found(tables: dict[str, pd.DataFrame]) -> dict[tuple[str, str], int]:
    """Faults counted by filters of their own: (rule, table) -> rows."""
    rows, history = tables["opportunities"], tables["stage_history"]
    usable = rows[rows["opportunity_id"].notna() & rows["outcome"].notna()]
    deals = usable.drop_duplicates()
    is_open, lost = ~deals["is_closed"], deals["outcome"].isin(["lost", "no_decision"])
    stages, century = set(tables["stages"]["stage"]), pd.Timestamp("2100-12-31")
    return {
        ("closed_before_created", "opportunities"): (deals["close_date"] < deals["created_date"].dt.normalize()).sum(),
        ("date_out_of_range", "opportunities"): (deals["close_date"] > century).sum(),
        ("date_out_of_range", "stage_history"): (history["close_date"] > century).sum(),
        ("negative_amount", "opportunities"): (deals["amount"] < 0).sum(),
        ("negative_amount", "stage_history"): (history["amount"] < 0).sum(),
        ("unknown_stage", "opportunities"): (~deals["stage"].isin(stages)).sum(),
        ("unknown_stage", "stage_history"): (~history["stage"].isin(stages)).sum(),
        ("unknown_owner", "opportunities"): (~deals["owner_id"].isin(tables["reps"]["owner_id"])).sum(),
        ("no_id", "opportunities"): rows["opportunity_id"].isna().sum(),
        ("no_outcome", "opportunities"): (rows["opportunity_id"].notna() & rows["outcome"].isna()).sum(),
        ("open_past_close_date", "opportunities"): (is_open & (deals["close_date"] < END)).sum(),
        ("open_without_amount", "opportunities"): (is_open & deals["amount"].isna()).sum(),
        ("repeated_row", "opportunities"): usable.duplicated().sum(),
        ("missing_date", "opportunities"): (deals["is_closed"] & deals["close_date"].isna()).sum(),
        ("product_spelling", "opportunities"): (deals["product"] == "DataHub").sum(),
        ("lost_amount_zero", "opportunities"): lost.sum() if (deals["amount"][lost] == 0).all() else 0,
    }


@pytest.mark.parametrize("defects", [
    None,
    {"closed_before_created": 12, "unknown_stage": 7},
    {"lost_amount_zero": 1, "no_outcome": 30, "repeated_row": 11},
    dict.fromkeys((*sample.truth(size=500).defects["defect"],), 25),
])  # fmt: skip
def test_the_faults_are_those_of_the_answer_key(defects):
    counts = sample.truth(defects=defects).defects
    expected = {(row.rule, row.table): row.n for row in counts.itertuples()}
    seen = found(sample.tables(defects=defects))
    assert {place: n for place, n in seen.items() if n} == expected
    assert all((counts.loc[counts["defect"] == name, "n"] == n).all() for name, n in (defects or {}).items() if n > 1)


def test_a_clean_company_has_no_fault(large):
    assert not any(found(large).values())
    assert sample.truth(clean=True).defects.empty


def test_faults_touch_no_other_deal(default):
    clean = sample.tables(clean=True)
    planted = sample.truth().world.planted
    touched = "D-" + (planted["deal"] + 1).astype(str).str.zfill(7)
    deals = default["opportunities"].drop_duplicates().set_index("opportunity_id")
    same = clean["opportunities"].set_index("opportunity_id").drop(index=touched)
    pd.testing.assert_frame_equal(deals.loc[same.index], same)
    assert planted["deal"].is_unique
