"""Stage visits against hand-worked histories, a naive loop and their own invariants."""

from datetime import date
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from conftest import deals, shared
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks, journey
from salesops.crm import model

AS_OF = date(2026, 9, 30)
STAGES = model.conform(
    pd.DataFrame(
        {
            "pipeline": "new",
            "stage": ["One", "Two", "Three", "Won", "Lost"],
            "position": [10, 20, 30, 40, 50],
            "is_closed": [False] * 3 + [True] * 2,
            "is_won": [False] * 3 + [True, False],
        }
    ),
    "stages",
)
FEW = settings(max_examples=40, deadline=None)
MOVES = st.lists(st.sampled_from(["One", "Two", "Three", "Won", "Lost", None, "Unheard"]), min_size=1, max_size=8)
HISTORIES = st.dictionaries(st.sampled_from(["A", "B", "C"]), MOVES, min_size=1)


def history(moves: dict[str, list[str | None]], *, days: int = 10) -> pd.DataFrame:
    """A change every ten days from 1 July on."""
    rows = [
        (deal, pd.Timestamp("2026-07-01") + pd.Timedelta(days=days * step), step, stage)
        for deal, stages in moves.items()
        for step, stage in enumerate(stages)
    ]
    frame = pd.DataFrame(rows, columns=["opportunity_id", "changed_at", "seq", "stage"])
    return model.conform(frame.assign(pipeline="new"), "stage_history")


def population(moves: dict[str, list[str | None]]) -> pd.DataFrame:
    """The deals of a history, as their last known stage leaves them."""
    ended = {deal: [stage for stage in stages if stage in set(STAGES["stage"])][-1:] for deal, stages in moves.items()}
    outcome = {"Won": "won", "Lost": "lost"}
    rows = [
        {"opportunity_id": deal, "pipeline": "new", "outcome": outcome.get(last[0] if last else "", "open")}
        for deal, last in ended.items()
    ]
    return deals(rows)


def visits_of(moves: dict[str, list[str | None]], **options) -> pd.DataFrame:
    return journey.stage_visits(history(moves), stages=STAGES, opportunities=population(moves), as_of=AS_OF, **options)


def test_forward_skip_back_reentry_and_win():
    visits = visits_of({"A": ["One", "Three", "Two", "Three", "Won"]})
    assert visits["stage"].tolist() == ["One", "Three", "Two", "Three"]
    assert visits["exit"].tolist() == ["skip", "back", "forward", "won"]
    assert visits["position"].tolist() == [1, 3, 2, 3]
    assert visits["is_reentry"].tolist() == [False, False, False, True]
    assert visits["visit"].tolist() == [1, 2, 3, 4]
    assert visits["days"].tolist() == [10.0] * 4


def test_a_visit_still_going_on_is_as_old_as_the_end_of_the_last_day():
    row = visits_of({"A": ["One"]}).iloc[0]
    assert row["exit"] == "still_there" and pd.isna(row["exited_at"])
    assert row["days"] == 92  # 1 July to the end of 30 September


def test_a_change_of_amount_is_no_move():
    visits = visits_of({"A": ["One", "One", "One", "Two"]})
    assert visits["stage"].tolist() == ["One", "Two"] and visits["days"].tolist()[0] == 30


def test_a_missing_or_unknown_stage_is_no_move():
    visits = visits_of({"A": ["One", None, "Unheard", "Two"]})
    assert visits["stage"].tolist() == ["One", "Two"] and visits["exit"].tolist() == ["forward", "still_there"]


def test_moves_of_one_moment_follow_their_sequence():
    frame = history({"A": ["One", "Two", "Three"]}, days=0).iloc[::-1]
    visits = journey.stage_visits(frame, stages=STAGES, opportunities=population({"A": ["Three"]}), as_of=AS_OF)
    assert visits["stage"].tolist() == ["One", "Two", "Three"] and visits["days"].tolist()[:2] == [0, 0]


def test_a_closed_deal_without_a_closing_row_left_on_the_day_it_closed():
    lost = deals([{"opportunity_id": "A", "pipeline": "new", "outcome": "lost", "closed_at": "2026-07-06"}])
    row = journey.stage_visits(history({"A": ["One"]}), stages=STAGES, opportunities=lost, as_of=AS_OF).iloc[0]
    assert (row["exit"], row["days"]) == ("lost", 5)
    early = lost.assign(closed_at=pd.to_datetime("2026-06-01"))
    row = journey.stage_visits(history({"A": ["One"]}), stages=STAGES, opportunities=early, as_of=AS_OF).iloc[0]
    assert row["days"] == 0  # never less than nothing


def test_only_the_population_is_followed_up_to_the_last_day():
    frame, one = history({"A": ["One", "Two"], "B": ["One"]}), population({"A": ["Two"]})
    visits = journey.stage_visits(frame, stages=STAGES, opportunities=one, as_of=date(2026, 7, 5))
    assert visits["opportunity_id"].tolist() == ["A"] and visits["exit"].tolist() == ["still_there"]
    assert visits["days"].tolist() == [5]


def test_a_missing_pipeline_is_the_deals_own():
    frame = history({"A": ["One", "Two"]}).assign(pipeline=pd.Series([None, None], dtype="str"))
    both = pd.concat([STAGES, STAGES.assign(pipeline="old", position=[2, 1, 3, 4, 5])])
    visits = journey.stage_visits(frame, stages=both, opportunities=population({"A": ["Two"]}), as_of=AS_OF)
    assert visits["pipeline"].tolist() == ["new", "new"] and visits["position"].tolist() == [1, 2]


def test_with_one_pipeline_the_stage_alone_tells():
    unnamed = STAGES.assign(pipeline=pd.Series([None] * 5, dtype="str"))
    visits = journey.stage_visits(
        history({"A": ["One"]}), stages=unnamed, opportunities=population({"A": ["One"]}), as_of=AS_OF
    )
    assert visits["stage"].tolist() == ["One"]


def test_the_last_definition_of_a_stage_counts():
    moved = STAGES.iloc[[0]].assign(position=25, valid_from=pd.Timestamp("2026-01-01"))
    both, one = pd.concat([moved, STAGES]), population({"A": ["One"]})
    visits = journey.stage_visits(history({"A": ["One"]}), stages=both, opportunities=one, as_of=AS_OF)
    assert visits["position"].tolist() == [2]


def test_columns_are_carried():
    assert visits_of({"A": ["One", "Two"]}, carry=["segment"])["segment"].tolist() == ["SMB", "SMB"]


def test_no_history_gives_no_visits():
    none = journey.stage_visits(history({}), stages=STAGES, opportunities=population({"A": ["One"]}), as_of=AS_OF)
    assert none.empty and "exit" in none.columns
    assert journey.progress(none).empty and journey.ends(none).empty


def test_a_missing_column_is_named():
    frame, one = history({"A": ["One"]}).drop(columns="seq"), population({"A": ["One"]})
    with pytest.raises(checks.DataError, match=r"stage_history: missing column \['seq'\]"):
        journey.stage_visits(frame, stages=STAGES, opportunities=one, as_of=AS_OF)


def test_progress_counts_what_ever_happened():
    rows = journey.progress(
        visits_of(
            {
                "A": ["One", "Two", "Lost", "Two", "Three", "Won"],  # lost, opened again, won
                "B": ["One", "Two", "One", "Lost"],
                "C": ["One"],
            }
        )
    )
    rows = rows.fillna({"cause": "open"})
    found = {(row.opportunity_id, row.visit): (row.cause, row.days) for row in rows.itertuples()}
    assert found["A", 1] == ("advanced", 10) and found["A", 2] == ("advanced", 30)
    assert found["B", 1] == ("advanced", 10) and found["B", 2] == ("lost", 20) and found["B", 3] == ("lost", 10)
    assert found["C", 1] == ("open", 92)
    assert rows.set_index(["opportunity_id", "visit"])["is_reentered"].loc["B"].tolist() == [True, False, True]


def test_skipped_is_passing_without_ever_entering():
    rows = journey.progress(visits_of({"A": ["One", "Three"], "B": ["One", "Won"], "C": ["One", "Two"], "D": ["One"]}))
    passed = journey.skipped(rows, 2)
    assert passed.dropna().dt.strftime("%m-%d").tolist() == ["07-11", "07-11"]


def created(moves: dict[str, list[str | None]], days: list[str]) -> pd.DataFrame:
    return population(moves).assign(created_date=[pd.Timestamp(day) for day in days])


def test_a_deal_created_before_the_history_began_enters_late():
    moves = {"A": ["One", "Two"], "B": ["Two", "Three"], "C": ["One"]}
    rows = created(moves, ["2026-06-16", "2026-06-20", "2026-07-01 09:00"])
    visits = journey.stage_visits(history(moves), stages=STAGES, opportunities=rows, as_of=AS_OF)
    assert visits["is_late_entry"].tolist() == [True, False, True, False, False]
    # In the first stage it was since it was created; when it came to a later one nobody knows.
    assert visits["entry_days"].fillna(-1).tolist() == [15, 0, -1, 0, 0]
    assert visits["days"].tolist()[0] == 10  # from when it was first seen


def test_the_history_begins_with_its_first_row_whoever_s_that_is():
    """A deal of the population that came to its first stage days after it was created is not late."""
    moves = {"A": ["One", "Two"], "B": ["One"]}
    frame = history(moves)
    frame.loc[frame["opportunity_id"] == "B", "changed_at"] = pd.Timestamp("2026-08-01")
    rows = created(moves, ["2026-07-01", "2026-07-20"]).iloc[[1]]
    visits = journey.stage_visits(frame, stages=STAGES, opportunities=rows, as_of=AS_OF)
    assert visits["is_late_entry"].tolist() == [False] and visits["entry_days"].tolist() == [0]


def test_without_a_creation_date_nobody_is_known_to_be_late():
    one = population({"A": ["One"]})
    for rows in (one.drop(columns="created_date"), one.assign(created_date=pd.Series([pd.NaT]))):
        visits = journey.stage_visits(history({"A": ["One"]}), stages=STAGES, opportunities=rows, as_of=AS_OF)
        assert visits["is_late_entry"].tolist() == [False] and visits["entry_days"].tolist() == [0]


def paths(*moves: tuple[str, int]) -> pd.DataFrame:
    """So many deals of each path through One to Three, as visits."""
    found = {f"{path}{number}": path.split() for path, n in moves for number in range(n)}
    return visits_of(found)


def test_the_moves_offer_an_order_where_they_contradict_the_stated_one():
    order = journey.stage_order(paths(("Two One Three", 40), ("One Two Three", 5)))
    assert order["stage"].tolist() == ["Two", "One", "Three"] and order["offered_position"].tolist() == [1, 2, 3]
    assert order["position"].tolist() == [2, 1, 3]
    assert order["n_moves"].tolist() == [45, 45, 0] and order["n_against"].tolist() == [40, 40, 0]
    assert order["is_contradicted"].tolist() == [True, True, False]
    assert "at Two and One: their own order is Two, One, Three." in journey.order_sentence(order)


@pytest.mark.parametrize(
    "moves",
    [
        (("One Two Three", 40), ("Two One", 10)),  # some go back
        (("Two One", 19),),  # too few moves
        (("Two One", 28), ("One Two", 22)),  # no more than chance
        (("One Two Three One", 40),),  # from the last stage all start again: no order is better
    ],
)
def test_an_order_that_is_not_clearly_contradicted_stays(moves):
    order = journey.stage_order(paths(*moves))
    assert order["position"].tolist() == order["offered_position"].tolist() and not order["is_contradicted"].any()
    assert journey.order_sentence(order) == "The moves of the deals do not contradict the stated order of the stages."


def test_no_visits_give_no_order():
    order = journey.stage_order(visits_of({"A": ["Won"]}))
    assert order.empty and "cannot be checked" in journey.order_sentence(order)


def naive_most_forward(flow: np.ndarray) -> float:
    return max(sum(flow[a, b] for a, b in combinations(order, 2)) for order in permutations(range(len(flow))))


@FEW
@given(st.lists(st.integers(0, 9), min_size=16, max_size=16))
def test_the_order_takes_nearly_as_many_moves_forward_as_any(cells):
    flow = np.array(cells, dtype=float).reshape(4, 4)
    np.fill_diagonal(flow, 0)
    order = journey._most_forward(flow)
    assert sorted(order) == [0, 1, 2, 3]
    forward = sum(flow[a, b] for a, b in combinations(order, 2))
    assert forward >= 0.9 * naive_most_forward(flow)


def many(n: int = 4000) -> pd.DataFrame:
    """Deals created over 200 days, won or lost after up to 60."""
    rng = np.random.default_rng(0)
    made = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 200, n), unit="D")
    frame = pd.DataFrame({"created_date": made, "is_closed": True, "is_won": rng.random(n) < 0.4, "closed_at": pd.NaT})
    return frame.assign(close_date=made + pd.to_timedelta(rng.integers(0, 60, n), unit="D"))


def test_wins_recorded_only_from_some_day_on_are_noticed():
    frame = many()
    late = frame[~frame["is_won"] | (frame["close_date"] >= "2026-04-01")]
    table = journey.recording(late).set_index("outcome")
    assert table["is_late"].to_dict() == {"won": True, "lost": False}
    assert table.loc["won", "first_date"] == pd.Timestamp("2026-04-01")
    [warning] = journey.recording_warnings(table.reset_index())
    assert warning.startswith("Wins seem to be recorded only from 1 April 2026 on: none is dated earlier")


def test_as_many_are_expected_before_as_the_same_ages_bring_later():
    """Ten deals a day, each won after ten days: on the days before the first win all of that age would have been won."""
    made = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.repeat(np.arange(100), 10), unit="D")
    frame = pd.DataFrame({"created_date": made, "closed_at": pd.NaT, "is_closed": True, "is_won": True})
    frame["close_date"] = frame["created_date"] + pd.Timedelta(days=10)
    late = frame["close_date"] < "2026-02-20"
    frame["close_date"] = frame["close_date"].mask(late, pd.Timestamp("2026-02-20") + pd.Timedelta(days=5))
    table = journey.recording(frame).set_index("outcome")
    # Those created until 9 February were more than ten days old by the 20th: forty days of ten.
    assert table.loc["won", "n_expected"] == pytest.approx(400)


def test_a_company_that_records_all_is_not_warned():
    assert journey.recording_warnings(journey.recording(many())) == []
    assert not journey.recording(many().iloc[:0])["is_late"].any()
    undated = many(50).assign(close_date=pd.NaT)
    assert journey.recording(undated)["n"].tolist() == [0, 0]


def test_maven_records_no_end_before_march_2017():
    folder = shared("maven-crm-sales-opportunities")
    raw = pd.read_csv(folder / "sales_pipeline.csv", parse_dates=["engage_date", "close_date"])
    rows = raw.rename(columns={"engage_date": "created_date"}).assign(
        is_closed=raw["deal_stage"].isin(["Won", "Lost"]), is_won=raw["deal_stage"] == "Won", closed_at=pd.NaT
    )
    table = journey.recording(rows)
    assert table["is_late"].all() and (table["first_date"] == "2017-03-01").all()


@FEW
@given(HISTORIES)
def test_entries_are_advanced_lost_moved_back_and_still_there(moves):
    visits = visits_of(moves)
    kinds = visits["exit"].replace({"skip": "advanced", "forward": "advanced", "won": "advanced"})
    assert set(kinds) <= {"advanced", "lost", "back", "still_there"}
    for stage, rows in visits[~visits["is_reentry"]].groupby("stage"):
        assert len(rows) == kinds[rows.index].value_counts().sum()
        # Nobody enters twice for the first time, and everyone who ever was there did.
        entered = {deal for deal, path in moves.items() if stage in path}
        assert set(rows["opportunity_id"]) == entered and len(rows) == len(entered)


@FEW
@given(HISTORIES)
def test_visits_are_those_of_a_naive_loop(moves):
    place = {"One": 1, "Two": 2, "Three": 3}
    expected = []
    for deal, stages in moves.items():
        known = [(step, stage) for step, stage in enumerate(stages) if stage in set(STAGES["stage"])]
        path = [move for last, move in zip([(0, ""), *known], known, strict=False) if move[1] != last[1]]
        for number, (step, stage) in enumerate(path):
            if stage in place:
                following = path[number + 1] if number + 1 < len(path) else None
                expected.append(
                    (
                        deal,
                        stage,
                        naive_exit(stage, following, place),
                        float("nan") if following is None else 10.0 * (following[0] - step),
                    )
                )
    visits = visits_of(moves)
    found = visits.assign(days=visits["days"].where(visits["exit"] != "still_there"))
    wanted = pd.DataFrame(expected, columns=["opportunity_id", "stage", "exit", "days"])
    pd.testing.assert_frame_equal(found[list(wanted.columns)], wanted.astype(found[list(wanted.columns)].dtypes))


def naive_exit(stage: str, following: tuple[int, str] | None, place: dict[str, int]) -> str:
    if following is None:
        return "still_there"
    if following[1] not in place:
        return following[1].lower()
    step = place[following[1]] - place[stage]
    return {1: "forward", 2: "skip"}.get(step, "back")


@FEW
@given(HISTORIES, st.integers(0, 5))
def test_row_order_is_irrelevant(moves, seed):
    mixed = history(moves).sample(frac=1, random_state=seed)
    visits = journey.stage_visits(mixed, stages=STAGES, opportunities=population(moves), as_of=AS_OF)
    pd.testing.assert_frame_equal(visits, visits_of(moves))


@FEW
@given(HISTORIES)
def test_every_visit_ends_once_and_no_time_is_lost(moves):
    visits = visits_of(moves)
    assert visits["exited_at"].isna().equals(visits["exit"] == "still_there")
    assert (visits["days"] >= 0).all()
    last = visits.groupby("opportunity_id").tail(1)
    assert not visits.drop(last.index)["exit"].eq("still_there").any()
    inside = visits[visits["exit"].isin(["forward", "skip", "back"])]
    following = visits.loc[inside.index + 1, "entered_at"].to_numpy()
    assert np.array_equal(inside["exited_at"].to_numpy(), following)


def test_what_another_deal_went_on_to_is_not_ones_own():
    visits = pd.DataFrame({
        "opportunity_id": ["A", "B", "B"], "visit": [1, 1, 2], "pipeline": "new", "position": [1, 1, 2],
        "stage": ["Qualify", "Qualify", "Propose"], "is_reentry": False, "days": [4.0, 3.0, 1.0],
        "entered_at": pd.to_datetime(["2026-07-01", "2026-07-01", "2026-07-04"]),
        "exited_at": pd.to_datetime([None, "2026-07-04", None]), "exit": ["still_there", "forward", "still_there"],
    })  # fmt: skip
    assert journey.progress(visits)["cause"].fillna("open").tolist() == ["open", "advanced", "open"]
