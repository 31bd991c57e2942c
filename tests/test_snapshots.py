"""Dated copies: kept whole, once a day, and loaded as one source whose history is what changed."""

from datetime import date

import pandas as pd
import pytest
from crm_folder import write

from salesops import cli, crm
from salesops.checks import DataError, ParameterError
from salesops.crm import copies, model, sample, snapshots

YAML = """
time_zone: America/New_York
currency: eur
fiscal: {start_month: 4, named_by: start}
stages: {order: [Lead, Offer], won: [Won], lost: [Lost], qualified: [Offer]}
"""
HEADER = "opportunity_id,stage,amount,created_date,close_date,owner_id,Comp size"
FIRST = ("d1,Lead,100,2026-01-10 10:00,2026-03-31,r1,7", "d2,Won,50,2026-01-02 09:00,2026-01-05,r1,8")
SECOND = ("d1,Offer,120,2026-01-10 10:00,2026-04-30,r1,7", FIRST[1], "d3,Lead,,2026-02-01 08:00,,r2,9")
THIRD = ("d1,Won,120,2026-01-10 10:00,2026-02-27,r1,7", FIRST[1], "d3,Lead,,2026-02-01 08:00,,r1,9")


def source(folder, rows):
    return write(folder, yaml=YAML, opportunities="\n".join([HEADER, *rows]) + "\n")


@pytest.fixture
def kept(tmp_path):
    """Three copies: d1 moves twice and is won, d2 was won before the first, d3 comes and changes its owner."""
    for day, rows in (("2026-01-15", FIRST), ("2026-02-05", SECOND), ("2026-03-01", THIRD)):
        snapshots.append(source(tmp_path / "crm", rows), tmp_path / "kept", as_of=day)
    return tmp_path / "kept"


def test_a_copy_is_one_folder_of_whole_tables(kept):
    assert copies.days(kept) == [date(2026, 1, 15), date(2026, 2, 5), date(2026, 3, 1)]
    names = ["opportunities.parquet", "source.yaml", "stages.parquet"]
    assert [sorted(path.name for path in copy.iterdir()) for copy in sorted(kept.iterdir())] == [names] * 3


def test_what_is_said(tmp_path):
    folder = source(tmp_path / "crm", FIRST)
    said = snapshots.append(folder, tmp_path / "kept")
    assert said == "crm: 6 rows of 2 tables kept as the copy of 2026-01-10, number 1 in kept."
    again = snapshots.append(folder, tmp_path / "kept")
    assert again == "crm: the copy of 2026-01-10 holds the same 6 rows of 2 tables; nothing is changed."


def test_the_same_again_changes_nothing(tmp_path):
    folder = source(tmp_path / "crm", FIRST)
    snapshots.append(folder, tmp_path / "kept")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "kept").rglob("*.*")}
    snapshots.append(folder, tmp_path / "kept", as_of=date(2026, 1, 10))
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "kept").rglob("*.*")} == before


@pytest.mark.parametrize("change", [("stage", "Lead,100", "Lead,101"), ("currency", "eur", "usd")])
def test_another_copy_of_a_day_is_refused(tmp_path, change):
    _, old, new = change
    folder = source(tmp_path / "crm", FIRST)
    snapshots.append(folder, tmp_path / "kept")
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ParameterError) as error:
        snapshots.append(folder, tmp_path / "kept")
    assert str(error.value).startswith("as_of: there is another copy of 2026-01-10 in kept. Give the day of this one")


def test_a_day_before_the_latest_event_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"as_of: 2026-01-09 is before the latest recorded event. Give 2026-01-10"):
        snapshots.append(source(tmp_path / "crm", FIRST), tmp_path / "kept", as_of="2026-01-09")
    assert not (tmp_path / "kept").exists()


def test_what_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    folder = source(tmp_path / "crm", FIRST)
    monkeypatch.setattr(snapshots, "_described", full)
    with pytest.raises(OSError, match="no space left"):
        snapshots.append(folder, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


# Loading


def test_the_latest_copy_is_the_company(kept, tmp_path):
    company, plain = crm.load(kept), crm.load(tmp_path / "crm", as_of="2026-03-01")
    assert company.all_opportunities["qualified_date"].tolist()[0] == pd.Timestamp("2026-02-05")  # the history tells it
    without = [deals.drop(columns="qualified_date") for deals in (company.all_opportunities, plain.all_opportunities)]
    pd.testing.assert_frame_equal(*without)
    assert (company.source, company.currency, company.calendar) == ("kept", "EUR", plain.calendar)
    assert company.as_of == date(2026, 3, 1) and company.stage_order() == ["Lead", "Offer"]


def test_the_history_is_what_changed(kept):
    history = crm.load(kept).stage_history.copy()
    history["amount"] = history["amount"].fillna(-1)
    found = history[["opportunity_id", "changed_at", "seq", "stage", "amount", "owner_id"]].values.tolist()
    assert found == [
        ["d1", pd.Timestamp("2026-01-10 10:00"), 1, "Lead", 100, "r1"],
        ["d1", pd.Timestamp("2026-02-05"), 2, "Offer", 120, "r1"],
        ["d1", pd.Timestamp("2026-03-01"), 3, "Won", 120, "r1"],
        ["d3", pd.Timestamp("2026-02-01 08:00"), 1, "Lead", -1, "r2"],
        ["d3", pd.Timestamp("2026-03-01"), 2, "Lead", -1, "r1"],
    ]


@pytest.mark.parametrize(
    ("day", "stood"),
    [
        ("2026-01-04", {"d2": (-1, "open", 50)}),
        ("2026-01-09", {"d2": ("Won", "won", 50)}),
        ("2026-02-04", {"d1": ("Lead", "open", 100), "d2": ("Won", "won", 50), "d3": ("Lead", "open", -1)}),
        ("2026-02-05", {"d1": ("Offer", "open", 120), "d2": ("Won", "won", 50), "d3": ("Lead", "open", -1)}),
        ("2026-02-28", {"d1": ("Offer", "open", 120), "d2": ("Won", "won", 50), "d3": ("Lead", "open", -1)}),
        ("2026-03-01", {"d1": ("Won", "won", 120), "d2": ("Won", "won", 50), "d3": ("Lead", "open", -1)}),
    ],
)
def test_as_of_replays_the_copies(kept, day, stood):
    deals = crm.load(kept, as_of=day).opportunities
    cells = (
        deals[["stage", "outcome", "amount"]].astype(object).where(deals[["stage", "outcome", "amount"]].notna(), -1)
    )
    assert dict(zip(deals["opportunity_id"], map(tuple, cells.values.tolist()), strict=True)) == stood


def test_each_copys_day_loads_as_the_export_of_that_day(kept, tmp_path):
    fields = ["opportunity_id", "stage", "amount", "close_date", "owner_id", "outcome"]
    for number, (day, rows) in enumerate((("2026-01-15", FIRST), ("2026-02-05", SECOND), ("2026-03-01", THIRD))):
        then = crm.load(source(tmp_path / f"then{number}", rows), as_of=day).opportunities[fields]
        pd.testing.assert_frame_equal(crm.load(kept, as_of=day).opportunities[fields], then)


def test_the_fineness_is_said(kept):
    assert crm.load(kept).notes[0] == (
        "History is told from 3 dated copies, 2026-01-15 to 2026-03-01, and is as fine as they are frequent: a change "
        "shows on the day of the next copy, and before 2026-01-15 a deal stands as that copy has it."
    )


def test_one_copy_is_a_source_too(tmp_path):
    snapshots.append(source(tmp_path / "crm", FIRST), tmp_path / "kept")
    company = crm.load(tmp_path / "kept")
    assert company.notes[0] == "There is one dated copy, of 2026-01-10: the history begins with it."
    assert company.stage_history["opportunity_id"].tolist() == ["d1"]
    alone = crm.load(tmp_path / "kept" / "2026-01-10").all_opportunities
    pd.testing.assert_frame_equal(alone, company.all_opportunities)


def test_a_history_the_crm_keeps_is_not_replaced(tmp_path):
    history = "opportunity_id,changed_at,stage\nd1,2026-01-11 12:00,Lead\n"
    folder = write(tmp_path / "crm", yaml=YAML, opportunities="\n".join([HEADER, *FIRST]), stage_history=history)
    snapshots.append(folder, tmp_path / "kept")
    company = crm.load(tmp_path / "kept")
    assert company.stage_history["changed_at"].tolist() == [pd.Timestamp("2026-01-11 12:00")]


def test_a_damaged_copy_is_refused(kept):
    (kept / "2026-02-05" / "opportunities.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"2026-02-05/opportunities.parquet: cannot be read as Parquet"):
        crm.load(kept)


def test_a_folder_with_other_things_is_no_folder_of_copies(tmp_path):
    (tmp_path / "2026-13-01").mkdir()
    (tmp_path / "2026-01-01").mkdir()
    assert not copies.is_folder(tmp_path) and not copies.is_folder(tmp_path / "nothing")


# The diff


def deals(**columns: list) -> pd.DataFrame:
    return model.conform(pd.DataFrame(columns), "opportunities")


@pytest.mark.parametrize(
    "field", ["stage", "amount", "close_date", "probability", "forecast_category", "owner_id", "next_step"]
)
def test_every_tracked_field_makes_a_row(field):
    value = {"amount": 1.0, "probability": 0.5, "close_date": pd.Timestamp("2026-05-01")}.get(field, "a")
    before, after = (
        deals(opportunity_id=["d1"], outcome=["open"]),
        deals(opportunity_id=["d1"], outcome=["open"], **{field: [value]}),
    )
    pairs = [(before, after), (after, before), (after, after), (before, before)]
    n_rows = [len(copies.history([(date(2026, 1, 1), one), (date(2026, 1, 2), other)])) for one, other in pairs]
    assert n_rows == [2, 2, 1, 1]


def test_an_untracked_field_makes_no_row():
    before = deals(opportunity_id=["d1"], outcome=["open"], name=["a"])
    assert len(copies.history([(date(2026, 1, 1), before), (date(2026, 1, 2), before.assign(name="b"))])) == 1


def test_a_deal_closed_in_its_first_copy_begins_when_it_closed_once_it_changes():
    first = deals(opportunity_id=["d1"], outcome=["won"], stage=["Won"], close_date=[pd.Timestamp("2025-12-01")])
    reopened = first.assign(outcome="open", stage="Offer")
    days = [date(2026, 1, 1), date(2026, 1, 2)]
    assert copies.history(zip(days, [first, first], strict=True)).empty
    history = copies.history(zip(days, [first, reopened], strict=True))
    assert history[["changed_at", "stage"]].values.tolist() == [
        [pd.Timestamp("2025-12-01"), "Won"], [pd.Timestamp("2026-01-02"), "Offer"],
    ]  # fmt: skip


@pytest.mark.parametrize("created", [None, "2026-01-02", "2027-05-05"])
def test_a_deal_without_a_credible_created_date_begins_with_its_first_copy(created):
    first = deals(opportunity_id=["d1"], outcome=["open"], created_date=pd.to_datetime([created]))
    history = copies.history([(date(2026, 1, 1), first)], "America/New_York")
    assert history["changed_at"].tolist() == [pd.Timestamp("2026-01-01 05:00" if created != "2026-01-02" else created)]


def test_a_deal_that_leaves_and_comes_back_begins_once():
    here, gone = deals(opportunity_id=["d1"], outcome=["open"], stage=["Lead"]), deals(opportunity_id=[], outcome=[])
    days = [date(2026, 1, day) for day in (1, 2, 3)]
    assert len(copies.history(zip(days, [here, gone, here], strict=True))) == 1
    assert len(copies.history(zip(days, [here, gone, here.assign(stage="Offer")], strict=True))) == 2


def test_weekly_copies_of_the_sample_stand_as_the_sample_did(tmp_path):
    days = [date(2024, 1, 5), date(2024, 1, 12), date(2024, 1, 19)]
    fields = ["opportunity_id", *copies.replay.IN_HISTORY, "outcome"]
    for day in days:
        raw = tmp_path / str(day)
        raw.mkdir()
        tables = sample.tables(size=400, until=day, clean=True)
        for name in ("opportunities", "stages"):
            tables[name].to_parquet(raw / f"{name}.parquet")
        snapshots.append(raw, tmp_path / "kept", as_of=day)
    last = crm.load(tmp_path / str(days[-1]), as_of=days[-1]).all_opportunities
    for day in days:
        then = crm.load(tmp_path / str(day), as_of=day).all_opportunities[fields].set_index("opportunity_id")
        now = crm.load(tmp_path / "kept", as_of=day).all_opportunities[fields].set_index("opportunity_id")
        assert len(then) > 50 and set(now.index) == set(then.index) <= set(last["opportunity_id"])
        pd.testing.assert_frame_equal(now.loc[then.index], then)


def test_the_command_line_keeps_copies(tmp_path, capsys):
    folder = source(tmp_path / "crm", FIRST)
    arguments = ["snapshot", str(folder), "--to", str(tmp_path / "kept"), "--as-of", "2026-01-15"]
    assert cli.main(arguments) == 0
    assert "kept as the copy of 2026-01-15" in capsys.readouterr().err
    (folder / "opportunities.csv").write_text(f"{HEADER}\n{FIRST[1]}\n")
    assert cli.main(arguments) == 2
