"""Numbers in place of names: each against a look at every row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops.stats import codes

NAMES = st.one_of(st.none(), st.sampled_from("abcd"))


@settings(deadline=None)  # the machine may be busy
@given(st.lists(NAMES), st.permutations("abc"))
def test_places_are_those_of_a_list(column, among):
    found = codes.places(pd.Series(column, dtype="str"), pd.Series(among, dtype="str"))
    assert found.tolist() == [among.index(name) if name in among else -1 for name in column]


def test_places_of_numbers_and_of_a_missing_name_among_missing_ones():
    assert codes.places(pd.Series([3, 1]), pd.Series([1, 2])).tolist() == [-1, 0]
    assert codes.places(pd.Series([None, "a"], dtype="str"), pd.Series([None, "a"], dtype="str")).tolist() == [-1, 1]
    assert codes.places(pd.Series([], dtype="str"), pd.Series(["a"])).tolist() == []


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES), unique=True), st.lists(st.tuples(NAMES, NAMES)))
def test_groups_are_found_by_all_their_keys_and_missing_is_a_key(groups, rows):
    frames = (pd.DataFrame(cells, columns=["one", "two"]).astype("str") for cells in (groups, rows))
    assert codes.groups_of(*frames).tolist() == [groups.index(row) if row in groups else -1 for row in rows]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3)))))
def test_the_order_is_stable_and_missing_comes_last(rows):
    first, second = [row[0] for row in rows], pd.Series([row[1] for row in rows], dtype="Int64")
    found = codes.order(first, second)
    wanted = sorted(range(len(rows)), key=lambda at: (rows[at][0], 9 if rows[at][1] is None else rows[at][1]))
    assert (list(range(len(rows))) if found is None else found.tolist()) == wanted
    assert (found is None) == (wanted == list(range(len(rows))))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3))))
def test_rows_without_a_number_are_left_out_of_the_order(rows):
    number, key = (np.array([row[place] for row in rows], dtype=int) for place in (0, 1))
    wanted = sorted((row for row in range(len(rows)) if number[row] >= 0), key=lambda row: rows[row])
    assert codes.ordered(number, key).tolist() == wanted


def test_moments_are_ordered_and_a_missing_one_is_last():
    moments = pd.to_datetime(pd.Series(["2026-07-02", None, "2026-07-01"])).astype("datetime64[us]")
    assert codes.order([1, 1, 1], moments).tolist() == [2, 0, 1]


@settings(deadline=None)
@given(st.lists(st.booleans()))
def test_the_following_known_row_is_the_first_from_there_on(known):
    found = codes.following(np.array(known, dtype=bool))
    assert found.tolist() == [next((at for at in range(here, len(known)) if known[at]), len(known))
                              for here in range(len(known))]  # fmt: skip


@pytest.mark.parametrize("dtype", ["str", "object"])
def test_names_of_either_kind_are_matched(dtype):
    assert codes.places(pd.Series(["b"], dtype=dtype), pd.Series(["a", "b"], dtype="str")).tolist() == [1]
