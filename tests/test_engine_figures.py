"""The figures file: what is collected from a notebook, and what may stand in it."""

import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesops.checks import SalesopsError
from salesops.engine import figures
from salesops.report import deal_lists


def figure(value: float | None = 0.5, **changes) -> dict:
    period = {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}
    plain = dict.fromkeys(figures.KEYS) | {"metric": "win_rate", "statistic": "value", "by": {}, "period": period}
    return plain | {"value": value} | changes


def notebook(*facts: dict) -> nbformat.NotebookNode:
    outputs = [nbformat.v4.new_output("display_data", data={}, metadata={"salesops": each}) for each in facts]
    silent = nbformat.v4.new_output("stream", name="stdout", text="no facts")
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[*outputs, silent])])


def test_blocks_are_read_in_order():
    said = figures.collect(
        notebook(
            {"kind": "page", "page": {"title": "Win/loss", "population": 3}},
            {"kind": "headline", "headlines": ["First.", "Second."]},
            {"kind": "tiles", "figures": [figure()], "deals": {"win_rate": ["D2", "D1"]}},
            {
                "kind": "table",
                "figures": [figure(), figure(0.2, by={"segment": None})],
                "deals": {"win_rate": ["D1", "D3"]},
            },
            {"kind": "left_out", "left_out": {"section": "Attainment", "reason": "no targets"}},
        )
    )
    assert said.page["population"] == 3
    assert said.headlines == ["First.", "Second."]
    assert [(each["by"], each["value"]) for each in said.figures] == [({}, 0.5), ({"segment": None}, 0.2)]
    assert {key: ids.to_pylist() for key, ids in said.deals.items()} == {"win_rate": ["D2", "D1", "D3"]}
    assert said.left_out == [{"section": "Attainment", "reason": "no targets"}]


def test_lists_of_deals_are_read_from_the_file_beside_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv(deal_lists.FOLDER, str(tmp_path))
    blocks = [{"zeta": ["D2"], "won": ["D1", "D2"]}, {"won": ["D3", "D1"]}]
    lists = [{key: deal_lists.listed(ids) for key, ids in block.items()} for block in blocks]
    said = figures.collect(notebook(*({"kind": "table"} | deal_lists.left(each) for each in lists)), tmp_path)
    assert [(key, ids.to_pylist()) for key, ids in said.deals.items()] == [
        ("zeta", ["D2"]),
        ("won", ["D1", "D2", "D3"]),
    ]


def test_a_figure_twice_is_one_and_the_fuller_mention_counts():
    [merged] = figures.distinct([figure(low=None), figure(low=0.4, high=0.6, level=0.95, n=9)])
    assert (merged["low"], merged["high"], merged["n"]) == (0.4, 0.6, 9)


def test_figures_that_differ_in_what_identifies_them_stay_apart():
    changes = [
        {},
        {"statistic": "mean"},
        {"by": {"segment": "SMB"}},
        {"compared_with": "target"},
        {"metric": "won_count"},
    ]
    assert len(figures.distinct([figure(**change) for change in changes])) == len(changes)


@pytest.mark.parametrize("name", ["value", "low", "high"])
def test_a_figure_with_two_values_fails_the_report(name):
    with pytest.raises(SalesopsError) as fault:
        figures.distinct([figure(by={"segment": "SMB"}) | {name: 0.25}, figure(by={"segment": "SMB"}) | {name: 0.26}])
    assert str(fault.value) == (
        f"figure 'win_rate' (value, segment SMB): {name} is 0.25 in one place and 0.26 in another. "
        "Compute it once and show it twice."
    )


def test_a_figure_of_another_shape_fails_the_report():
    with pytest.raises(SalesopsError, match=r"figure 'win_rate': its keys are not those of the figures file \(valeu\)"):
        figures.distinct([figure() | {"valeu": 1}])


@pytest.mark.parametrize("missing", [float("nan"), float("inf"), "nan", None])
def test_what_is_missing_is_null(missing):
    [found] = figures.distinct([figure(missing, low=missing, by={"segment": None})])
    text = figures.dumps({"figures": [found]})
    assert json.loads(text, parse_constant=pytest.fail)["figures"][0]["value"] is None
    assert json.loads(text)["figures"][0]["low"] is None


def test_a_group_called_nan_stays_a_group():
    [found] = figures.distinct([figure(by={"segment": "nan"})])
    assert found["by"] == {"segment": "nan"}


@given(st.permutations([figure(0.5, n=3), figure(0.5), figure(0.2, metric="won_count"), figure(None, low=0.1)]))
def test_order_of_mention_changes_no_figure(mentions):
    found = sorted(figures.distinct(mentions), key=lambda each: each["metric"])
    assert [(each["metric"], each["value"], each["low"], each["n"]) for each in found] == [
        ("win_rate", 0.5, 0.1, 3),
        ("won_count", 0.2, None, None),
    ]


def test_a_document_is_the_same_text_however_it_was_built():
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert figures.dumps(one) == figures.dumps(other)
    with pytest.raises(ValueError, match="JSON"):
        figures.dumps({"a": float("nan")})
