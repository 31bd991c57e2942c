"""Transitions, outlook and what-if against hand-worked stays, exact chains, simulation and their invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, flow, stays, what_if
from salesops.periods import Period

YEAR = Period("2026", date(2026, 1, 1), date(2026, 12, 31))
FEW = settings(max_examples=30, deadline=None)
STAGES = {"One": 1, "Two": 2, "Three": 3}
PATHS = st.lists(
    st.tuples(st.lists(st.sampled_from(list(STAGES)), min_size=1, max_size=5), st.sampled_from(["won", "lost", None])),
    min_size=1,
    max_size=12,
)


def visits(paths: list[tuple[list[str], str | None]], *, days: int = 10, **columns) -> pd.DataFrame:
    """Deals from the start of the year on, ten days a stage; the end, or none: still there after ten days more."""
    rows = []
    for number, (path, end) in enumerate(paths):
        for step, stage in enumerate(path):
            came = pd.Timestamp("2026-01-01") + pd.Timedelta(days=days * step)
            last = step == len(path) - 1
            moved = None if last else STAGES[path[step + 1]] - STAGES[stage]
            how = (end or "still_there") if last else {1: "forward", 2: "skip"}.get(moved, "back")
            left = pd.NaT if last and end is None else came + pd.Timedelta(days=days)
            rows.append((f"d{number}", step + 1, "new", stage, STAGES[stage], came, left, how, float(days)))
    names = ["opportunity_id", "visit", "pipeline", "stage", "position", "entered_at", "exited_at", "exit", "days"]
    frame = pd.DataFrame(rows, columns=names)
    frame = frame.assign(**{name: pd.to_datetime(frame[name]) for name in ("entered_at", "exited_at")})
    return frame.assign(**columns)


def rates(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    return table.set_index(["stage", "next"])["transition_rate"].to_dict()


def test_a_stage_that_is_entered_again_counts_again():
    table = flow.transitions(visits([(["One", "Two", "One", "Two"], "won"), (["One"], "lost")]), period=YEAR)
    assert rates(table) == pytest.approx({
        ("One", "Two"): 2 / 3, ("One", "won"): 0, ("One", "lost"): 1 / 3,
        ("Two", "One"): 0.5, ("Two", "won"): 0.5, ("Two", "lost"): 0,
    })  # fmt: skip
    assert table["n"].tolist() == [3, 3, 3, 2, 2, 2] and table["n_still_there"].eq(0).all()


def test_a_loss_that_was_taken_back_is_a_move_to_the_next_stage():
    frame = visits([(["One", "Two"], "won")])
    frame.loc[0, "exit"] = "lost"
    assert rates(flow.transitions(frame, period=YEAR))["One", "Two"] == 1


def test_stays_that_go_on_are_censored():
    # Day 4: of five one leaves, for Two; two were watched for eight days; on day 10 both left are lost.
    frame = visits([(["One", "Two"], None), (["One"], None), (["One"], None), (["One"], "lost"), (["One"], "lost")])
    frame.loc[0, "exited_at"] = pd.Timestamp("2026-01-05")
    frame.loc[[2, 3], "days"] = 8.0
    table = flow.transitions(frame, period=YEAR)
    assert rates(table)["One", "Two"] == pytest.approx(1 / 5)
    assert rates(table)["One", "lost"] == pytest.approx(4 / 5)
    assert table.loc[table["stage"] == "Two", "transition_rate"].isna().all()


def test_a_late_entry_counts_from_its_age_on_and_not_at_all_where_that_is_unknown():
    # On day 10 one of two that were watched from the start is won; a third, first seen on day 15, is lost on 25.
    frame = visits([(["One"], "won"), (["One"], None), (["One"], "lost"), (["One"], "lost")])
    frame = frame.assign(days=[10, 30, 10, 10], entry_days=[0, 0, 15, np.nan])
    table = flow.transitions(frame, period=YEAR)
    assert table["n"].tolist()[0] == 3
    assert rates(table)["One", "won"] == pytest.approx(1 / 2)
    assert rates(table)["One", "lost"] == pytest.approx(1 / 2 * 1 / 2)


def test_a_stage_of_another_pipeline_goes_by_its_name():
    frame = visits([(["One", "Two"], "won")]).assign(pipeline=["new", "old"])
    assert flow.transitions(frame, period=YEAR)["next"].tolist() == ["Two (old)", "won", "lost", "won", "lost"]
    unnamed = visits([(["One", "Two"], "won")]).assign(pipeline=pd.Series([None, None], dtype="str"))
    assert rates(flow.transitions(unnamed, period=YEAR))["One", "Two"] == 1


def test_groups_are_told_apart_and_a_missing_one_is_a_group():
    segment = pd.Series(["SMB", "SMB", None], dtype="str")
    frame = visits([(["One"], "won"), (["One"], "lost"), (["One"], "won")], segment=segment)
    table = flow.transitions(frame, period=YEAR, by="segment").query("next == 'won'")
    assert table["transition_rate"].tolist() == [0.5, 1] and table["segment"].isna().tolist() == [False, True]


def test_only_stays_begun_in_the_period_count():
    week = Period("week", date(2026, 1, 8), date(2026, 1, 14))
    table = flow.transitions(visits([(["One", "Two"], "won")]), period=week)
    assert table.loc[table["n"] > 0, "stage"].unique().tolist() == ["Two"]


@pytest.mark.parametrize("frame", [visits([]), visits([(["One"], None)])], ids=["none", "one still there"])
def test_nothing_known_is_missing_not_zero(frame):
    assert flow.transitions(frame, period=YEAR)["transition_rate"].isna().all()
    row = flow.outlook(frame, period=YEAR, by=None).iloc[0]
    assert row["n"] == len(frame) and np.isnan(row["outlook_won_rate"]) and np.isnan(row["outlook_won_rate_low"])
    table = what_if.gains(frame, period=YEAR)
    assert len(table) == len(frame) and table["gained_win_count"].isna().all() and not table["is_named"].any()
    assert len(flow.outlook(frame, period=YEAR)) == len(frame)


@FEW
@given(PATHS)
def test_transitions_of_ended_stays_are_plain_shares(paths):
    frame = visits([(path, end or "lost") for path, end in paths])
    following = frame.groupby("opportunity_id")["stage"].shift(-1).fillna(frame["exit"])
    shares = pd.crosstab(frame["stage"], following, normalize="index")
    table = flow.transitions(frame, period=YEAR)
    for row in table.itertuples():
        expected = shares.loc[row.stage].get(row.next, 0.0)
        assert row.transition_rate == pytest.approx(expected)
        assert not row.transition_rate_low > row.transition_rate + 1e-9
        assert not row.transition_rate_high < row.transition_rate - 1e-9
    assert table.groupby("stage")["transition_rate"].sum().to_numpy() == pytest.approx(1)
    assert (table.groupby("stage")["n_moves"].sum() == frame["stage"].value_counts().sort_index()).all()


@settings(max_examples=12, deadline=None)
@given(PATHS, st.integers(0, 5))
def test_row_order_is_irrelevant(paths, seed):
    frame = visits(paths)
    account = frame["opportunity_id"].str[-1]
    frame = frame.assign(account_id=account, amount=100.0)
    mixed = frame.sample(frac=1, random_state=seed)
    tables = (
        lambda rows: flow.transitions(rows, period=YEAR),
        lambda rows: flow.outlook(rows, period=YEAR, days=20),
        lambda rows: what_if.gains(rows, period=YEAR, draws=20),
    )
    for table in tables:
        pd.testing.assert_frame_equal(table(frame), table(mixed))


def test_a_period_before_every_stay_gains_nothing():
    early = Period("2020", date(2020, 1, 1), date(2020, 12, 31))
    table = what_if.gains(visits([(["One", "Two"], "won"), (["One"], "lost")]), period=early)
    assert table["n"].tolist() == [0, 0] and table["gained_win_count"].isna().all()


def test_companies_that_stick_together_widen_the_interval():
    paths = [(["One"], "won" if number // 8 % 2 else "lost") for number in range(400)]
    frame = visits(paths)
    together = frame.assign(account_id=(np.arange(400) // 8).astype(str))
    alone, joint = (flow.transitions(each, period=YEAR).iloc[0] for each in (frame, together))
    width = [row["transition_rate_high"] - row["transition_rate_low"] for row in (alone, joint)]
    # Fifty companies of one mind each count as fifty deals: as wide as the root of eight.
    assert width[1] / width[0] == pytest.approx(np.sqrt(8), rel=0.2)


def markov(rng: np.random.Generator, deals: int, *, horizon: int = 200) -> pd.DataFrame:
    """Two stages left at 5 and 10 % a day, new deals each day, watched until the horizon: exact chances are known."""
    next_ = np.array([[0.0, 0.6, 0.1, 0.3], [0.2, 0.0, 0.4, 0.4]])
    day, state, visit, alive = rng.integers(0, horizon, deals), np.zeros(deals, dtype=int), 1, np.arange(deals)
    day, pieces = day.astype(float), []
    while len(alive):
        here, came = state[alive], day[alive]
        left = came + rng.geometric(np.array([0.05, 0.1])[here]) - 1
        to = (rng.random(len(alive))[:, None] > next_[here].cumsum(axis=1)).sum(axis=1)
        is_open = left >= horizon
        pieces.append(np.column_stack([alive, np.full(len(alive), visit), here, came, left, np.where(is_open, 9, to)]))
        state[alive], day[alive] = to, left
        alive, visit = alive[~is_open & (to < 2)], visit + 1
    rows = pd.DataFrame(np.concatenate(pieces), columns=["deal", "visit", "from", "came", "left", "to"])
    rows, start = rows.sort_values(["deal", "visit"], ignore_index=True), pd.Timestamp("2026-01-01")
    how = np.select([rows["to"] == code for code in (9, 2, 3)], ["still_there", "won", "lost"], "forward")
    left = rows["left"].where(rows["to"] != 9)
    return pd.DataFrame({
        "opportunity_id": rows["deal"].astype(int).astype("str"), "visit": rows["visit"].astype(int), "pipeline": "new",
        "stage": np.array(["One", "Two"])[rows["from"].astype(int)], "position": rows["from"] + 1, "exit": how,
        "entered_at": start + pd.to_timedelta(rows["came"], unit="D"),
        "exited_at": start + pd.to_timedelta(left, unit="D"), "days": left.fillna(horizon) - rows["came"],
    })  # fmt: skip


def test_transitions_and_outlook_recover_what_was_simulated():
    """Open stays are censored, so the chances are those of the chain although a tenth of the deals have not ended."""
    frame = markov(np.random.default_rng(2), 40_000)
    found = rates(flow.transitions(frame, period=YEAR))
    assert found["One", "Two"] == pytest.approx(0.6, abs=0.01) and found["Two", "One"] == pytest.approx(0.2, abs=0.01)
    table = flow.outlook(frame, period=YEAR, days=30).set_index("stage")
    # In the end x = 0.1 + 0.6 y and y = 0.4 + 0.2 x of those in One and Two.
    assert table["outlook_final_win_rate"].tolist() == pytest.approx([0.34 / 0.88, 0.42 / 0.88], abs=0.015)
    # Within 30 days, day by day: leave at 5 and 10 %; a move may be followed by another on the same day.
    won = np.zeros(2)
    for _ in range(30):
        matrix = np.array([[1, -0.05 * 0.6], [-0.1 * 0.2, 1]])
        won = np.linalg.solve(matrix, np.array([0.05 * 0.1 + 0.95 * won[0], 0.1 * 0.4 + 0.9 * won[1]]))
    assert table["outlook_won_rate"].tolist() == pytest.approx(won.tolist(), abs=0.015)


def test_outlook_of_all_is_the_mean_of_the_stages_and_adds_up():
    frame = markov(np.random.default_rng(3), 5_000)
    stages, whole = flow.outlook(frame, period=YEAR), flow.outlook(frame, period=YEAR, by=None).iloc[0]
    assert whole["n"] == stages["n"].sum() == (frame["exit"] == "still_there").sum()
    for name in ("won", "lost", "open", "final_win"):
        column = f"outlook_{name}_rate"
        assert whole[column] == pytest.approx(np.average(stages[column], weights=stages["n"]))
        assert (stages[f"{column}_low"] <= stages[column]).all() and (stages[column] <= stages[f"{column}_high"]).all()
    parts = stages[[f"outlook_{name}_rate" for name in ("won", "lost", "open")]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(1)


def test_the_pace_is_that_of_the_period():
    """Deals were won after ten days until June and are lost after ten days since: those open now will be lost."""
    frame = visits([(["One"], "won")] * 50 + [(["One"], "lost")] * 50 + [(["One"], None)] * 30)
    later = frame.index >= 50
    for name in ("entered_at", "exited_at"):
        frame[name] = frame[name].mask(later, frame[name] + pd.Timedelta(days=200))
    frame.loc[100:, "days"] = 5.0
    first, second = (
        Period("H1", date(2026, 1, 1), date(2026, 6, 30)),
        Period("H2", date(2026, 7, 1), date(2026, 12, 31)),
    )
    won = [flow.outlook(frame, period=each, days=20, by=None)["outlook_won_rate"].iloc[0] for each in (first, second)]
    assert won == pytest.approx([1, 0])


def test_fewer_than_twenty_moves_tell_no_pace():
    some = [(["One"], "won")] * 19 + [(["One"], None)] * 25
    assert flow.outlook(visits(some), period=YEAR)["outlook_won_rate"].isna().all()
    assert flow.outlook(visits([*some, (["One"], "won")]), period=YEAR)["outlook_won_rate"].notna().all()


def test_what_if_by_hand():
    # Of 100 in One 60 go on to Two and 40 are lost; of those 30 are won. Five more of 100 go on: half of them win.
    paths = [(["One"], "lost")] * 40 + [(["One", "Two"], "won")] * 30 + [(["One", "Two"], "lost")] * 30
    table = what_if.gains(visits(paths, amount=200.0), period=YEAR).set_index("stage")
    quarters = 365 / (365.25 / 4)
    assert table["gained_win_count"].tolist() == pytest.approx([5 * 0.5 / quarters, 60 * 0.05 / quarters])
    assert table["gained_win_amount"].tolist() == pytest.approx([500 / quarters, 600 / quarters])
    assert table["n"].tolist() == [100, 60] and table["n_lost"].tolist() == [40, 30]


def test_what_if_counts_every_return():
    # Nine of ten of Two go back to One, from where all come again: a point at Two is had ten times over.
    paths = [(["One"] + ["Two", "One"] * 9 + ["Two"], "lost")] * 30 + [(["One", "Two"], "won")] * 0
    frame = visits(paths, days=1)
    assert what_if.gains(frame, period=YEAR)["gained_win_count"].isna().all()  # nobody goes on from Two
    won = visits(paths[:15] + [(["One"] + ["Two", "One"] * 9 + ["Two"], "won")] * 15, days=1)
    table = what_if.gains(won, period=YEAR, points=0.01).set_index("stage")
    # Wins 1/2 of all; then p = 0.06 against 0.04 lost.
    assert table.loc["Two", "gained_win_count"] == pytest.approx(30 * (0.6 - 0.5) / (365 / (365.25 / 4)))


def test_more_points_than_are_lost_cannot_be_gained():
    paths = [(["One"], "lost")] + [(["One"], "won")] * 39
    assert what_if.gains(visits(paths), period=YEAR, points=0.05)["gained_win_count"].isna().all()
    assert what_if.gains(visits(paths), period=YEAR, points=0.02)["gained_win_count"].notna().all()


@pytest.mark.parametrize("points", [0, 1, -0.05, 5])
def test_points_out_of_range_are_refused(points):
    with pytest.raises(
        checks.ParameterError, match=r"gains: points must lie between 0 and 1, not .* Five points are 0\.05"
    ):
        what_if.gains(visits([(["One"], "won")]), period=YEAR, points=points)


def test_a_missing_column_is_named():
    with pytest.raises(checks.DataError, match=r"visits: missing column \['exit'\]"):
        flow.transitions(visits([(["One"], "won")]).drop(columns="exit"), period=YEAR)
    with pytest.raises(checks.DataError, match=r"visits: missing column \['segment'\]"):
        flow.outlook(visits([(["One"], "won")]), period=YEAR, by="segment")


def test_a_stage_is_named_only_where_it_stands_clear():
    clear = [(["One"], "lost")] * 300 + [(["One", "Two"], "won")] * 60 + [(["One", "Two"], "lost")] * 20
    table = what_if.gains(visits(clear), period=YEAR)
    assert table.set_index("stage")["is_named"].to_dict() == {"One": True, "Two": False}
    assert "stays in One" in what_if.sentence(table) and "more than at any other stage" in what_if.sentence(table)
    even = [(["One"], "lost")] * 40 + [(["One", "Two"], "won")] * 36 + [(["One", "Two"], "lost")] * 24
    table = what_if.gains(visits(even), period=YEAR)
    assert not table["is_named"].any() and "no stage stands clear" in what_if.sentence(table)


def test_what_if_in_words():
    one = what_if.gains(visits([(["One"], "won"), (["One"], "lost")] * 20), period=YEAR)
    assert "any other stage" not in what_if.sentence(one) and "stays in One" in what_if.sentence(one)
    none = what_if.gains(visits([(["One"], "won")]), period=YEAR)
    expected = "Too few deals have left the stages to say what it would be worth if more went on."
    assert what_if.sentence(none) == what_if.sentence(none.iloc[:0]) == expected


def test_outlook_in_words():
    row = flow.outlook(visits([(["One"], "won")] * 30), period=YEAR, by=None)
    assert flow.outlook_sentence(row) == "No deal is open."
    row = flow.outlook(visits([(["One"], None)]), period=YEAR, by=None)
    assert flow.outlook_sentence(row) == "1 deal is open: too few to say how it will end."
    row = flow.outlook(visits([(["One"], None)] * 30), period=YEAR, by=None)
    assert (
        flow.outlook_sentence(row) == "Too few deals have left their stages to say how the 30 deals open now will end."
    )
    row = flow.outlook(visits([(["One"], "won")] * 30 + [(["One"], None)] * 30), period=YEAR, by=None)
    assert "100 % can be expected to be won within 90 days" in flow.outlook_sentence(row)


def test_the_input_is_left_as_it_was():
    frame = visits([(["One", "Two"], "won"), (["One"], None)] * 20, amount=100.0)
    before = frame.copy()
    flow.transitions(frame, period=YEAR)
    flow.outlook(frame, period=YEAR)
    what_if.gains(frame, period=YEAR)
    stays.counted(frame)
    pd.testing.assert_frame_equal(frame, before)
