"""Reading large files: what is done piece by piece gives what is done at once."""

import pandas as pd
import pyarrow as pa
import pytest
from crm_folder import DEALS, write
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks
from salesops.crm import coercion, delimited, footers, intake, raw, rules


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
