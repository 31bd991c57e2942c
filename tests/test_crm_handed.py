"""A company is read once and handed to every kernel, each with memory of its own to change."""

import io
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pytest
from crm_folder import write

from salesops import crm
from salesops.crm import handed, intake
from salesops.crm import source as sources

ASKED = {"source": "ours", "as_of": None, "measure": "amount"}


@pytest.fixture(scope="module")
def company() -> crm.Company:
    return crm.load("sample", where="segment == 'SMB'")


def same(first: crm.Company, second: crm.Company) -> None:
    for name, value in vars(first).items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(getattr(second, name), value)
        elif name != "hidden":
            assert getattr(second, name) == value, name


def test_it_is_found_as_it_was_left(company, tmp_path, monkeypatch):
    monkeypatch.setenv(handed.FOLDER, str(tmp_path))
    same(company, handed.leave(company, ASKED, tmp_path))
    same(company, handed.found(ASKED))


def test_it_is_not_found_for_other_arguments_or_without_a_folder(company, tmp_path, monkeypatch):
    handed.leave(company, ASKED, tmp_path)
    monkeypatch.delenv(handed.FOLDER, raising=False)
    assert handed.found(ASKED) is None
    monkeypatch.setenv(handed.FOLDER, str(tmp_path))
    assert handed.found(ASKED | {"measure": "arr"}) is None
    assert handed.found(ASKED | {"source": tmp_path / "ours"}) is None


def test_a_day_and_its_text_ask_for_the_same():
    day = pd.Timestamp("2026-09-30").date()
    assert handed.name(ASKED | {"as_of": day}) == handed.name(ASKED | {"as_of": "2026-09-30"})
    assert handed.name(ASKED | {"as_of": None}) != handed.name(ASKED | {"as_of": "None"})


def test_what_one_changes_the_other_does_not_see(company, tmp_path, monkeypatch):
    monkeypatch.setenv(handed.FOLDER, str(tmp_path))
    first, second = handed.leave(company, ASKED, tmp_path), handed.found(ASKED)
    first.opportunities["amount"].array[:] = -1.0
    first.opportunities.loc[:, "created_date"] = pd.NaT
    same(company, second)
    same(company, handed.found(ASKED))


def test_large_columns_lie_beside_the_pickle(company, tmp_path):
    handed.leave(company, ASKED, tmp_path)
    sizes = {path.suffix: path.stat().st_size for path in tmp_path.iterdir()}
    days = 8 * sum(company.activities.dtypes == "datetime64[us]") * len(company.activities)
    assert sizes[".pickle"] < days / 2 < sizes[".tables"]


@pytest.mark.parametrize("pieces", [1, 2])
def test_of_a_part_of_a_text_only_the_part_is_written(pieces, company, tmp_path):
    deals = company.opportunities
    part = pd.concat([deals.iloc[3:7]] * pieces, ignore_index=True)
    few = replace(company, **{name: part for name, each in vars(company).items() if isinstance(each, pd.DataFrame)})
    same(few, handed.leave(few, ASKED, tmp_path))
    small = sum(path.stat().st_size for path in tmp_path.iterdir())
    handed.leave(company, ASKED, tmp_path)
    assert small < sum(path.stat().st_size for path in tmp_path.iterdir()) / 4


def test_text_is_written_from_where_it_lies():
    texts = pa.array(["a", None, "bc"] * 1_000, type=pa.large_string())
    column = pd.Series(pd.arrays.ArrowStringArray(texts, dtype=pd.StringDtype(na_value=float("nan"))))
    written = []
    handed._Pickler(io.BytesIO(), protocol=5, buffer_callback=written.append).dump(column)
    lies = {buffer.address for buffer in texts.buffers()}
    assert lies <= {pa.py_buffer(buffer).address for buffer in written}


def test_loading_finds_it_before_it_reads(company, tmp_path, monkeypatch):
    given = {"source": tmp_path / "nowhere", "where": None}
    with pytest.raises(Exception, match="no such folder"):
        crm.load(**given)
    asked = dict(zip(crm.load.__kwdefaults__, crm.load.__kwdefaults__.values(), strict=True)) | given
    handed.leave(company, asked, tmp_path)
    monkeypatch.setenv(handed.FOLDER, str(tmp_path))
    same(company, crm.load(**given))


def test_tables_read_one_by_one_are_those_read_at_once(tmp_path):
    path = write(tmp_path / "ours", activities="kind,occurred_at\ncall,2026-01-11\n")
    source = sources.read(path)
    kept = intake.of_mapped(*intake.as_mapped(source), max_barred=0.05)
    let_go = intake.of_folder(path, max_barred=0.05)
    assert kept.tables.keys() == let_go.tables.keys()
    for table, frame in kept.tables.items():
        pd.testing.assert_frame_equal(let_go.tables[table], frame)
    assert (kept.findings, kept.notes) == (let_go.findings, let_go.notes)
    pd.testing.assert_frame_equal(kept.inputs, let_go.inputs)
