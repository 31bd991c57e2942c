"""Stage visits against hand-worked histories, a naive loop and their own invariants."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import deals
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
