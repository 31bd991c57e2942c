"""Reading large files: what is done piece by piece gives what is done at once."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from crm_folder import DEALS, write
from hypothesis import example, given, settings
from hypothesis import strategies as st

from salesops import checks
from salesops.crm import coercion, delimited, footers, intake, long_texts, model, raw, rules


@pytest.mark.parametrize("at", range(6))
def test_text_is_told_to_be_utf8_across_the_edges_of_pieces(at, monkeypatch):
    monkeypatch.setattr(delimited, "_PIECE", 4)
    text = b"a" * at + "é€".encode() + b"b" * 5
    assert delimited._is_utf8(text)
    assert not delimited._is_utf8(text + b"\xe9")
    assert not delimited._is_utf8(b"a" * at + b"\xe2\x82" + b"b")


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.sampled_from(["", "a,b", "Grand Totals", "Copyright (c) Us", '"x"', "1,2", "\r"]), max_size=9),
       st.integers(1, 4))  # fmt: skip
def test_the_last_lines_are_those_of_the_split_text(lines, most):
    text = "\n".join(["head,er", *lines]).encode()
    whole = text.rstrip(b"\r\n").split(b"\n")
    before = footers._LAST_LINES
    footers._LAST_LINES = most
    try:
        assert footers._last_lines(text) == whole[max(1, len(whole) - most) :]
    finally:
        footers._LAST_LINES = before


def test_a_footer_far_down_is_named_by_its_line():
    rows = "".join(f"d{n},{n}\n" for n in range(500))
    text, [note] = footers.of_text(f"id,amount\n{rows}\nGrand Totals (500 records)\n".encode(), file="r.csv")
    assert text == f"id,amount\n{rows}".encode()
    assert note == 'r.csv: the report footer from line 503 ("Grand Totals (500 records)"), 1 line, is cut.'


MOMENTS = st.one_of(
    st.none(),
    st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2150-01-01")).map(lambda at: f"{at:%Y-%m-%d}"),
    st.datetimes(pd.Timestamp("1950-01-01"), pd.Timestamp("2150-01-01")).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
    st.sampled_from(["2026-07-01T10:00", "2026-07-01 10:00:00.5", "2026-07-01T10:00:00.123456", "2026-02-30",
                     "2026-07-01T10", "2026-07-01T1000", "2026-07-01T100000", "2026-07-01 24:00", "20260701",
                     "2026-07-01 10:00:00.123456789", "2026-07-01T10:00:00Z", "1.7.2026", "1/7/2026 "]),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=4), st.booleans(), st.sampled_from(["UTC", "America/New_York"]))
def test_plain_dates_are_read_as_all_others_are(cells, as_date, zone):
    column = pd.Series(cells, dtype="str")
    found = coercion.moments(column, as_date=as_date, zone=zone)
    before, coercion._ISO_LENGTHS = coercion._ISO_LENGTHS, set()
    try:
        slow = coercion.moments(column, as_date=as_date, zone=zone)
    finally:
        coercion._ISO_LENGTHS = before
    pd.testing.assert_series_equal(found.values, slow.values)
    pd.testing.assert_series_equal(found.bad, slow.bad)
    assert found[2:] == slow[2:]


def test_ids_are_decimals_only_where_all_are():
    assert coercion.texts(pd.Series(["84.0", "A7"]), is_id=True).values.tolist() == ["84.0", "A7"]
    assert coercion.texts(pd.Series([None, "84.0"], dtype="str"), is_id=True).note
    assert coercion.texts(pd.Series([None, None], dtype="str"), is_id=True).note is None


NAMES = st.lists(st.one_of(st.none(), st.sampled_from("abc")))


@settings(deadline=None)
@given(NAMES, NAMES)
def test_names_are_among_others_as_isin_tells(column, known):
    column, known = pd.Series(column, dtype="str"), pd.Series(known, dtype="str")
    wanted = column.isin(known) & column.notna()
    assert rules.is_among(column, known).tolist() == wanted.tolist()


@pytest.mark.parametrize("text", ["a,b\n1,2", "a,b\n1,2\n", "a,b\r\n1,2\r\n", 'a,b\n"1",2\n', "a,b\n\n1,2\n\n"])
def test_rows_are_the_same_with_and_without_quotes_and_a_last_line_end(text):
    frame, _ = delimited.read(text.encode(), file="x.csv")
    assert frame.to_dict("list") == {"a": ["1"], "b": ["2"]}


def test_a_line_end_in_a_quoted_cell_is_kept_and_a_stray_quote_is_refused():
    frame, _ = delimited.read(b'a,b\n"1\n1",2\n3,4\n', file="x.csv")
    assert frame["a"].tolist() == ["1\n1", "3"]
    with pytest.raises(checks.DataError, match="a quote opens a cell"):
        delimited.read(b'a,b\n"1"x,2\n"3\n",4\n', file="x.csv")


def test_cells_are_trimmed_and_empty_ones_missing_in_every_piece():
    column = pa.chunked_array([[" a ", ""], ["  ", None, "b"]])
    frame = raw.of_arrow(pa.table({"x": column}), file="x.csv")
    assert frame["x"].fillna("-").tolist() == ["a", "-", "-", "-", "b"]
    assert frame["x"].dtype == "str"


def test_a_table_is_let_go_when_it_is_mapped_but_its_rows_are_counted(tmp_path):
    taken = intake.of_folder(write(tmp_path / "ours", opportunities=DEALS), max_barred=0.05)
    assert taken.inputs[["table", "rows"]].values.tolist() == [["opportunities", 3]]


TEXTS = st.one_of(st.none(), st.text(st.sampled_from("aé~\x7f \t\n\x1f\x85\u3000\xa0"), max_size=4))


@settings(deadline=None)
@given(st.lists(st.lists(TEXTS, max_size=4), max_size=3), st.integers(0, 3))
def test_text_is_trimmed_as_arrow_trims_it_wherever_a_piece_begins(pieces, start):
    column = pa.chunked_array([pa.array(piece, type=pa.large_string())[start:] for piece in pieces], pa.large_string())
    wanted = [None if cell is None else pc.utf8_trim_whitespace(cell).as_py() or None for cell in column.to_pylist()]
    found = raw.of_arrow(pa.table({"x": column}), file="x.csv")["x"]
    assert found.dtype == "str" and found.astype(object).where(found.notna(), None).tolist() == wanted
    assert not wanted or isinstance(pa.array(found), pa.Array)  # in one piece


ROWS = st.lists(st.tuples(st.sampled_from(["d1", "d2", None]), st.sampled_from(["2026-01-01", "2026-01-02", None]),
                          st.sampled_from([1, 2, None])), max_size=5)  # fmt: skip


@settings(deadline=None)
@given(ROWS, st.booleans())
@example([("d1", "2026-01-01", 2), ("d1", "2026-01-02", 1), ("d1", "2026-01-02", 2), ("d2", "2026-01-01", 1)], False)
@example([("d1", "2026-01-01", 1), ("d1", "2026-01-01", 1)], False)
def test_rows_in_order_hold_no_repeats_and_others_are_looked_up(rows, is_sorted):
    rows = sorted(rows, key=str) if is_sorted else rows
    names = ["opportunity_id", "changed_at", "seq"]
    history = model.conform(pd.DataFrame(rows, columns=names), "stage_history")
    is_in_order = rules._is_in_order(history[names])
    assert len(set(rows)) == len(rows) or not is_in_order
    assert is_in_order or any(None in row for row in rows) or rows != sorted(set(rows))
    kept, findings = rules.without_repeats(history, "stage_history", file="x.csv")
    assert list(kept.index) == sorted({row: at for at, row in reversed(list(enumerate(rows)))}.values())
    assert sum(finding.n for finding in findings) == len(rows) - len(set(rows))


def test_what_has_more_bytes_than_a_long_text_may_have_fewer_characters():
    deals = pd.DataFrame({"name": pd.Series(["é" * 4, "é" * 5, None], dtype="str")})
    cut, notes = long_texts.cut({"opportunities": deals}, longest=4)
    assert cut["opportunities"]["name"].str[:4].tolist()[:2] == ["éééé", "éééé"] and len(notes) == 1
    assert cut["opportunities"]["name"].str.len().tolist()[0] == 4
    assert long_texts.cut({"opportunities": deals}, longest=5)[1] == []
