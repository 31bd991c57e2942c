"""Which deals each figure is made of: matched once for all figures, and carried beside the notebook."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import checks
from salesops.report import deal_lists, figures
from salesops.report.block import Block

CELLS = st.sampled_from(["a", "b", None, 1, 1.5, True, float("inf"), pd.Timestamp("2026-07-01")])
ROWS = st.lists(st.tuples(st.sampled_from(["d3", "d1", "d2", None]), CELLS, st.sampled_from(["x", "y", None])))


def listed(lists: deal_lists.Lists) -> dict[str, list[str]]:
    return {key: ids.to_pylist() for key, ids in lists.items()}


def naive(rows: pd.DataFrame, wanted: dict[str, object]) -> list[str]:
    """Row by row, for one figure at a time."""
    ids = {
        row["opportunity_id"]
        for row in rows.to_dict("records")
        if isinstance(row["opportunity_id"], str)
        and all(
            pd.isna(row[name]) if item is None else figures.plain(row[name]) == item for name, item in wanted.items()
        )
    }
    return sorted(ids)


@settings(deadline=None)  # the machine may be busy
@given(ROWS)
def test_every_group_has_the_deals_that_a_look_at_each_row_finds(cells):
    rows = pd.DataFrame(cells, columns=["opportunity_id", "kind", "side"]).astype({"opportunity_id": "str"})
    groups = deal_lists.by_group(rows, ["kind", "side"])
    asked = {(figures.plain(kind), figures.plain(side)) for kind in rows["kind"] for side in rows["side"]}
    for kind, side in asked:
        found = groups.get((kind, side))
        assert ([] if found is None else found.to_pylist()) == naive(rows, {"kind": kind, "side": side})


def test_no_key_means_all_deals_and_none_of_them_means_no_group():
    rows = pd.DataFrame({"opportunity_id": ["d2", None, "d1", "d2"]})
    assert {name: ids.to_pylist() for name, ids in deal_lists.by_group(rows, []).items()} == {(): ["d1", "d2"]}
    assert deal_lists.by_group(rows.iloc[:0].astype("str"), []) == {}


def test_ids_that_are_numbers_are_texts_in_their_order():
    rows = pd.DataFrame({"opportunity_id": [10, 9, 10]})
    assert deal_lists.by_group(rows, [])[()].to_pylist() == ["10", "9"]


def frame() -> pd.DataFrame:
    return pd.DataFrame({"segment": ["SMB", None], "win_rate": [0.5, 0.25], "won_amount": [4.0, 2.0], "n": [8, 8]})


def deals() -> pd.DataFrame:
    return pd.DataFrame({"opportunity_id": ["d2", "d1", "d3"], "segment": ["SMB", "SMB", None]})


def test_figures_of_one_group_share_one_list():
    lists = deal_lists.of(frame(), figures.of(frame(), by=["segment"]), deals())
    assert sorted(listed(lists).values()) == [["d1", "d2"], ["d1", "d2"], ["d3"], ["d3"]]
    assert len({id(ids) for ids in lists.values()}) == 2


def test_a_key_that_no_deal_has_is_refused_and_one_that_names_a_model_is_not_asked_for():
    with pytest.raises(checks.DataError, match=r"deals: missing column \['segment'\]"):
        deal_lists.of(frame(), figures.of(frame(), by=["segment"]), deals()[["opportunity_id"]])
    told = pd.DataFrame({"model": ["ours"], "win_rate": [0.5]})
    [ids] = deal_lists.of(told, figures.of(told), deals()).values()
    assert ids.to_pylist() == ["d1", "d2", "d3"]


def test_a_notebook_holds_keys_and_counts_and_a_file_beside_it_the_ids(tmp_path, monkeypatch):
    monkeypatch.setenv(deal_lists.FOLDER, str(tmp_path))
    lists = deal_lists.of(frame(), figures.of(frame(), by=["segment"]), deals())
    for number in range(2):
        said = Block("table", "<p>x</p>", {"figures": [], "deals": lists})._repr_mimebundle_()[1]["salesops"]
        assert said["deals"] == {key: len(ids) for key, ids in lists.items()}
        assert said["deals_file"] == f"{number:05d}.arrow"
        assert "d1" not in json.dumps(said)
        found = deal_lists.found(tmp_path, said["deals_file"])
        assert listed(found) == listed(lists)
        assert len({id(ids) for ids in found.values()}) == 2


def test_a_person_who_runs_the_notebook_gets_counts_and_no_file(tmp_path, monkeypatch):
    monkeypatch.delenv(deal_lists.FOLDER, raising=False)
    monkeypatch.chdir(tmp_path)
    assert deal_lists.left({"won_count": deal_lists.listed(["d1"])}) == {"deals": {"won_count": 1}}
    assert list(tmp_path.iterdir()) == []


def test_lists_that_are_merged_hold_each_deal_once():
    first, second = deal_lists.listed(["d2", "d1"]), deal_lists.listed(["d1", "d3"])
    assert deal_lists.merged(first, second).to_pylist() == ["d2", "d1", "d3"]
    assert deal_lists.merged(first, first) is first


def test_many_groups_and_many_deals_are_matched_once(monkeypatch):
    rows = pd.DataFrame({"opportunity_id": [f"d{n % 70:02d}" for n in range(500)], "segment": np.arange(500) % 50})
    table = pd.DataFrame({"segment": range(50), "win_rate": 0.5, "won_amount": 1.0, "open_amount": 1.0})
    calls = []
    match = deal_lists.by_group
    monkeypatch.setattr(deal_lists, "by_group", lambda *given: calls.append(1) or match(*given))
    lists = deal_lists.of(table, figures.of(table, by=["segment"]), rows)
    assert (len(calls), len(lists)) == (1, 150)
