"""Two packs of consecutive quarters, made whole as people make them, and what "what changed" says between them."""

import json
import shutil
from datetime import date

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from test_what_changed import lost_after_all

from salesops import changes_told, cli, crm, what_changed
from salesops.crm.sample import export
from salesops.engine import plan, run

BEFORE, AFTER = "2024-09-30", "2024-12-31"  # either side of the planted break of 1 October 2024
REPORTS = ("win_loss", "forecast", "funnel", "executive_summary")
WINS = {"win_rate", "won_count", "all_closed_win_rate", "decided_win_rate", "period_win_rate", "value_win_rate"}


def source(folder, size):
    """The sample as exported, with its stage map in a source.yaml to edit."""
    export.write(folder, shape="canonical", size=size)
    (folder / "stages.csv").unlink()
    (folder / "source.yaml").write_text(yaml.safe_dump(crm.sample.SOURCE), encoding="utf-8")
    return folder


def made(crm_folder, day, out, reports):
    said = []
    assignments = (f"source={crm_folder}", f"as_of={day}")
    request = plan.Request(root=ROOT, out=out, reports=reports, assignments=assignments)
    assert run.run(request, said.append) == 0, said


def told(out):
    before, after = (
        [json.loads(path.read_text("utf-8")) for path in sorted((out / day).glob("*.json")) if ".run" not in path.name]
        for day in (BEFORE, AFTER)
    )
    return {each.report: each for each in changes_told.between(before, after)}, before, after


def copied(first, to):
    shutil.copytree(first / BEFORE, to / BEFORE)
    return to


def block(out, report):
    """What the page says changed, as text."""
    page = (out / AFTER / f"{report}.html").read_text("utf-8").replace("&nbsp;", " ").replace("\u00a0", " ")
    return page[page.index("What changed since the last report") :][:20_000]


def remapped(folder):
    """The same CRM, whose proposals now count as the first qualified stage."""
    file = folder / "source.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count("New business: Qualified") == 1
    file.write_text(text.replace("New business: Qualified", "New business: Proposal"), encoding="utf-8")


def edited_is_restated(out, report):
    found, _, _ = told(out)
    rows = found[report].restatements
    own = rows[rows["metric"].eq("win_rate") & rows["by"].eq("{}") & rows["period"].eq("2024Q3")]
    assert len(own) >= 1 and own["value"].lt(own["was_value"]).all() and set(rows["cause"]) == {"input"}
    assert found[report].breaks == []
    assert "Restated, because deals were changed after the report of 30 September 2024" in block(out, report)


def test_a_late_edit_is_called_a_restatement_on_the_cover(tmp_path):
    """The reduced form: a small company and the cover alone; `make bench` has the whole."""
    folder = source(tmp_path / "crm", 600)
    out = tmp_path / "reports"
    made(folder, BEFORE, out, ("executive_summary",))
    with lost_after_all(folder, "2024-07-01", BEFORE):
        made(folder, AFTER, out, ("executive_summary",))
    edited_is_restated(out, "executive_summary")


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """Both quarters; the second again after a late edit, and again with another stage map."""
    tmp = tmp_path_factory.mktemp("packs")
    folder, plain = source(tmp / "crm", 6000), tmp / "plain"
    made(folder, BEFORE, plain, REPORTS)
    edited, mapped = copied(plain, tmp / "edited"), copied(plain, tmp / "mapped")
    made(folder, AFTER, plain, REPORTS)
    with lost_after_all(folder, "2024-07-01", BEFORE):
        made(folder, AFTER, edited, REPORTS)
    remapped(folder)
    made(folder, AFTER, mapped, REPORTS)
    return {"plain": plain, "edited": edited, "mapped": mapped}


@pytest.mark.full
def test_the_planted_break_is_named_and_nothing_else(packs, capsys):
    assert crm.sample.truth().break_date == date(2024, 10, 1)
    found, _, _ = told(packs["plain"])
    assert set(found) == set(REPORTS) and all(each.breaks == [] for each in found.values())
    named = pd.concat([each.movements[each.movements["is_named"]] for each in found.values()])
    assert set(named["metric"]) <= WINS and named["gap"].gt(0).all(), named[["report", "metric", "by", "p_value"]]
    assert {"win_loss", "executive_summary"} <= set(named["report"])
    assert "Win rate rose from 22 % in 2024Q3 to 33 % in 2024Q4" in block(packs["plain"], "win_loss")
    assert cli.main(["diff", str(packs["plain"] / BEFORE), str(packs["plain"] / AFTER)]) == 0
    assert capsys.readouterr().out.count("Win rate rose from 22 %") == 2


@pytest.mark.full
@pytest.mark.parametrize("report", ["win_loss", "executive_summary"])
def test_a_late_edit_is_called_a_restatement(packs, report):
    edited_is_restated(packs["edited"], report)


@pytest.mark.full
@pytest.mark.parametrize("report", REPORTS)
def test_a_changed_stage_map_breaks_the_trend_and_nothing_is_compared(packs, report):
    found, before, after = told(packs["mapped"])
    assert found[report].movements.empty and found[report].moved == []
    [said] = found[report].breaks
    assert said.startswith("Break: since the report of 30 September 2024 the mapping of the source, its stage map")
    assert said.endswith("nothing is compared across it.") and said in block(packs["mapped"], report)


@pytest.mark.full
def test_a_trend_draws_the_break_and_does_not_compare_across_it(packs):
    _, before, after = told(packs["mapped"])
    both = [next(each for each in side if each["report"] == "win_loss") for side in (before, after)]
    trend = what_changed.trend(both, metric="win_rate")
    assert trend["is_break"].tolist() == [False, True] and trend["change"].isna().all()
    said = block(packs["mapped"], "win_loss")
    assert "then a break" in said and ">break<" in said and "beyond a break it is not compared" in said
