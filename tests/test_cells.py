"""Rows or cells: the same figures, whoever counted."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from salesops import cells, checks, first_entries, forecast, funnel, journey, pipeline, stage_times, win_loss
from salesops.crm import counted
from salesops.periods import Period, month, trailing_months
from salesops.stats import survival

AS_OF = date(2026, 9, 30)
Q2, Q3 = Period("2026Q2", date(2026, 4, 1), date(2026, 6, 30)), Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
FIRST = pd.Timestamp("2026-03-15")
FEW = settings(
    max_examples=15, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
DAYS = st.integers(0, 190)
DEALS = st.lists(
    st.tuples(
        st.sampled_from(["SMB", "Public sector", "x'y", None]),
        st.sampled_from(["open", "won", "lost"]),
        DAYS,
        st.none() | DAYS,
        DAYS,
        st.none() | DAYS,
        st.none() | st.integers(1, 10**8).map(lambda cents: cents / 100),
        st.none() | st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


def deals_of(drawn: list[tuple]) -> pd.DataFrame:
    names = ["segment", "outcome", "created", "qualified", "due", "moved", "amount", "is_partner"]
    frame = pd.DataFrame(drawn, columns=names)
    dates = {
        target: pd.Series(FIRST + pd.to_timedelta(frame[name].astype(float), unit="D"), dtype="datetime64[us]")
        for target, name in {"created_date": "created", "qualified_date": "qualified", "close_date": "due"}.items()
    }
    moved = FIRST + pd.to_timedelta(frame["moved"].astype(float) + 0.6, unit="D")
    return pd.DataFrame(
        {
            "segment": frame["segment"].astype("str"),
            "is_partner": frame["is_partner"].astype("boolean"),
            "amount": frame["amount"].astype(float),
            **dates,
            "closed_at": moved.astype("datetime64[us]").where(frame["outcome"] != "open"),
            "is_closed": frame["outcome"] != "open",
            "is_won": frame["outcome"] == "won",
        }
    )


RATES = cells.Counted(
    {name: name for name in ("segment", "is_partner", "is_closed", "is_won")}
    | {name: cells.month(name) for name in ("qualified_date", "close_date", "closed_at")},
    {"amount": "amount"},
)
EVERY_TERM = cells.Counted(
    {
        "segment": "segment",
        "ended": pipeline.ENDED_ON,
        "cause": pipeline.CAUSE,
        "in": cells.within("qualified_date", [Q2, Q3]),
        "days": cells.days("created_date", cells.first("closed_at", "close_date")),
        "paid": cells.both(cells.known("amount"), "is_won"),
        "text": cells.when("is_won", cells.stated("it's won"), "segment"),
    },
    {"amount": "amount"},
    where=cells.at_most(cells.day("created_date"), cells.stated(AS_OF)),
)


def test_cells_say_how_many_rows_are_alike_a_missing_key_being_one():
    rows = pd.DataFrame({"segment": ["b", None, "a", None], "amount": [1.0, np.nan, 2.0, np.nan]})
    found = cells.count(rows, cells.Counted({"segment": "segment"}, {"amount": "amount"}))
    assert found["segment"].isna().tolist() == [False, False, True] and found["n"].tolist() == [1, 1, 2]
    assert found["amount"].tolist()[:2] == [2.0, 1.0] and np.isnan(found["amount"][2])  # unknown, not nothing


def test_cells_of_cells_are_the_cells_of_the_rows():
    rows = pd.DataFrame({"a": list("xxyy"), "b": [1.0, 2.0, 2.0, 2.0], "n": [1, 2, 3, 4]})
    fine = cells.count(rows, cells.Counted({"a": "a", "b": "b"}))
    assert fine["n"].tolist() == [1, 2, 7]
    assert cells.count(fine, cells.Counted({"a": "a"}))["n"].tolist() == [3, 7]


@settings(FEW, max_examples=8)
@given(DEALS)
@pytest.mark.parametrize("statement", [RATES, EVERY_TERM], ids=["rates", "every term"])
def test_a_frame_and_a_file_are_counted_to_the_same_cells(tmp_path_factory, statement, drawn):
    deals, path = deals_of(drawn), tmp_path_factory.mktemp("cells") / "deals.parquet"
    deals.to_parquet(path)
    by_frame, by_file = counted.count(deals, statement), counted.count(path, statement)
    pd.testing.assert_frame_equal(by_frame, by_file, rtol=1e-12)
    assert by_frame["n"].sum() <= len(deals)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("statement", [RATES, EVERY_TERM], ids=["rates", "every term"])
def test_a_table_of_a_warehouse_is_counted_to_the_same_cells(tmp_path, statement):
    ibis = pytest.importorskip("ibis")
    rng = np.random.default_rng(3)

    def one():
        number = [int(each) for each in rng.integers(0, 190, 4)]
        missing = rng.random(4) < 0.3
        return (
            [None, "SMB", "x'y"][rng.integers(3)],
            ["open", "won", "lost"][rng.integers(3)],
            number[0],
            None if missing[0] else number[1],
            number[2],
            None if missing[1] else number[3],
            None if missing[2] else round(float(rng.lognormal(9, 1)), 2),
            None if missing[3] else bool(rng.integers(2)),
        )

    deals = deals_of([one() for _ in range(400)])
    deals.to_parquet(tmp_path / "deals.parquet")
    table = ibis.duckdb.connect().read_parquet(tmp_path / "deals.parquet")
    found = counted.count(table, statement)
    pd.testing.assert_frame_equal(found, counted.count(tmp_path / "deals.parquet", statement), rtol=1e-12)
    pd.testing.assert_frame_equal(found, counted.count(deals, statement), rtol=1e-12)
    with pytest.raises(checks.DataError, match="the table: missing column \\['nobody'\\]"):
        counted.count(table, cells.Counted({"nobody": "nobody"}))


def test_a_csv_is_counted_too_and_moments_with_a_zone_are_those_of_utc(tmp_path):
    rows = pd.DataFrame({"at": pd.to_datetime(["2026-07-31 23:30", "2026-08-01 00:30"])})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.assign(at=rows["at"].dt.tz_localize("UTC")).to_parquet(tmp_path / "rows.parquet")
    statement = cells.Counted({"day": cells.day("at"), "at": "at"})
    found = counted.count(tmp_path / "rows.csv", statement)
    pd.testing.assert_frame_equal(found, counted.count(rows, statement))
    pd.testing.assert_frame_equal(found, counted.count(tmp_path / "rows.parquet", statement))


def test_what_cannot_be_counted_says_so(tmp_path):
    with pytest.raises(checks.ParameterError, match=r"deals.xlsx: can be counted in a .parquet or a .csv file only"):
        counted.count(tmp_path / "deals.xlsx", RATES)
    pd.DataFrame({"Segment": ["a"]}).to_parquet(tmp_path / "deals.parquet")
    with pytest.raises(checks.DataError, match=r"deals.parquet: missing column \['segment'\].*Did you mean 'Segment'"):
        counted.count(tmp_path / "deals.parquet", cells.Counted({"segment": "segment"}))
    with pytest.raises(checks.DataError, match="the rows to count: missing column"):
        cells.count(pd.DataFrame(), cells.Counted({"segment": "segment"}))


@settings(FEW, max_examples=8)
@given(DEALS)
def test_rates_and_bookings_are_the_same_of_rows_and_cells(drawn):
    deals = deals_of(drawn + drawn[::2] * 2)  # some alike
    counts = cells.count(deals, RATES)
    for by in ("segment", "is_partner", None):
        same(win_loss.win_rate(deals, by=by), win_loss.win_rate(counts, by=by), by)
        same(win_loss.all_closed_win_rate(deals, by=by), win_loss.all_closed_win_rate(counts, by=by), by)
    months = trailing_months(month(AS_OF), 7)
    same(win_loss.win_rate_by_period(deals, [Q2, Q3]), win_loss.win_rate_by_period(counts, [Q2, Q3]))
    same(forecast.bookings(deals, months), forecast.bookings(counts, months))


@FEW
@given(DEALS, st.sampled_from(["won", "lost"]), st.sampled_from(["segment", None]))
def test_cycles_are_the_same_of_rows_and_cells(drawn, outcome, by):
    deals = deals_of(drawn + drawn[::2] * 2)  # some alike
    rows = pipeline.ages(deals, start="created_date", as_of=AS_OF)
    statement = pipeline.counted_ages("created_date", periods=[Q2], as_of=AS_OF, by=[by] if by else [])
    asked = {"metric": "days", "period": Q2, "by": by}
    same(
        stage_times.times_to(outcome, rows, **asked),
        stage_times.times_to(outcome, cells.count(deals, statement), **asked),
    )


STAGES = pd.DataFrame(
    {
        "pipeline": ["new"] * 5 + ["renewal"] * 3,
        "stage": ["One", "Two {x'}", "Three", "Won", "Lost", "One", "Won", "Lost"],
        "valid_from": pd.NaT,
        "position": [1, 2, 3, 4, 5, 1, 2, 3],
        "is_closed": [False, False, False, True, True, False, True, True],
        "is_won": [False, False, False, True, False, False, True, False],
    }
)
STEP = st.tuples(st.sampled_from([*STAGES["stage"].unique(), "Unknown", None]), st.integers(0, 40))
JOURNEYS = st.lists(
    st.tuples(
        st.sampled_from(["new", "new", "renewal"]),
        st.sampled_from(["SMB", "Mid", None]),
        st.lists(STEP, max_size=6),
        st.sampled_from(["open", "won", "lost"]),
        st.integers(0, 60),
        st.integers(0, 120),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def history_of(drawn: list[tuple]) -> tuple[pd.DataFrame, pd.DataFrame]:
    deals, changes = [], []
    for number, (line, segment, steps, outcome, start, late, names_line) in enumerate(drawn):
        at = FIRST + pd.Timedelta(days=start)
        for seq, (stage, days) in enumerate(steps):
            at = at + pd.Timedelta(days=days)
            changes.append((f"d{number:02}", at, seq, line if names_line else None, stage))
        closed = at + pd.Timedelta(days=late) if outcome != "open" else pd.NaT
        created = FIRST + pd.Timedelta(days=start - late // 4)
        deals.append((f"d{number:02}", line, segment, outcome != "open", outcome == "won", closed, closed, created))
    names = ["opportunity_id", "pipeline", "segment", "is_closed", "is_won", "close_date", "closed_at", "created_date"]
    day = "datetime64[us]"
    kinds = {"opportunity_id": "str", "pipeline": "str", "segment": "str", "close_date": day, "closed_at": day,
             "created_date": day}  # fmt: skip
    history = pd.DataFrame(changes, columns=["opportunity_id", "changed_at", "seq", "pipeline", "stage"])
    typed = {"opportunity_id": "str", "changed_at": day, "seq": "int64", "pipeline": "str", "stage": "str"}
    return pd.DataFrame(deals, columns=names).astype(kinds), history.astype(typed)


@settings(FEW, max_examples=6)
@given(JOURNEYS, st.sampled_from([None, "segment", "pipeline"]), st.booleans(), st.booleans())
def test_conversion_and_time_in_stage_are_the_same_of_rows_and_cells(tmp_path_factory, drawn, by, is_one, shuffled):
    deals, history = history_of(drawn)
    stages = STAGES[STAGES["pipeline"] == "new"] if is_one else STAGES
    folder = tmp_path_factory.mktemp("history")
    for name, frame in {"deals": deals, "history": history}.items():
        frame = frame.sample(frac=1, random_state=1) if shuffled else frame
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    asked = {"stages": stages, "as_of": AS_OF, "periods": [Q2, Q3], "by": by}
    carry = [by] if by == "segment" else []
    visits = journey.stage_visits(history, stages=stages, opportunities=deals, as_of=AS_OF, carry=carry)
    alone = visits.assign(opportunity_id=np.arange(len(visits)))  # as cells are: each visit by itself
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counted, "_PART", 12), patch.setattr(counted, "_SAMPLED", 1)
        by_file = counted.stage_cells(folder / "deals.parquet", folder / "history.parquet", **asked)
    for found in (counted.stage_cells(deals, history, **asked), by_file):
        for period in (Q2, Q3):
            rows = funnel.stage_conversion(visits, period=period, by=by)
            same(rows, funnel.stage_conversion(found.entries, period=period, by=by))
            rows = stage_times.stage_duration(alone, period=period, by=by)
            same(rows, stage_times.stage_duration(found.stays, period=period, by=by))


def test_entries_of_rows_serve_as_the_visits_do():
    deals, history = history_of([("new", "SMB", [("One", 0), ("Three", 5)], "won", 20, 9, True)] * 3)
    visits = journey.stage_visits(history, stages=STAGES, opportunities=deals, as_of=AS_OF)
    same(funnel.stage_conversion(visits, period=Q2), funnel.stage_conversion(first_entries.entries(visits), period=Q2))


@FEW
@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["a", "b", None]), st.integers(1, 5)), min_size=1))
def test_a_weight_without_a_cluster_is_as_many_rows_each_alone(drawn):
    time, cause, weight = (np.array(each) for each in zip(*drawn, strict=True))
    of_cells = {"weight": weight, "cluster": np.full(len(time), np.nan)}
    rows = np.repeat(np.arange(len(time)), weight)
    of_rows = {"cluster": np.arange(len(rows))}
    for function in (survival.cumulative_incidence, survival.plateau, survival.incidence_quantiles):
        same(function(time[rows], cause[rows], **of_rows), function(time, cause, **of_cells))
    over = pd.Series(cause).notna().to_numpy()
    same(
        survival.duration_quantiles(time[rows], over[rows], **of_rows),
        survival.duration_quantiles(time, over, **of_cells),
    )


def same(rows: pd.DataFrame, of_cells: pd.DataFrame, by: str | None = None) -> None:
    """Equal to the twelfth digit; groups of equal size in any order."""
    if by:
        rows, of_cells = (each.sort_values(["n", by], ignore_index=True) for each in (rows, of_cells))
        of_cells = of_cells.astype({by: rows[by].dtype})  # a truth that is never missing is counted to a plain one
    pd.testing.assert_frame_equal(rows, of_cells, rtol=1e-9, atol=1e-12)
