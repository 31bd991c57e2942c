"""Notes by people: read strictly, found by their figure, shown as text, marked once the figure has moved."""

import json
import math
import re
from datetime import date

import engine_toys
import pandas as pd
import pytest
import report_toys
from conftest import ROOT

from salesops import checks, decisions, notes, report
from salesops.engine import plan, run
from salesops.periods import quarter
from salesops.report import figures, remarks

NOTE = """
- report: win_loss
  metric: win_rate
  period: 2026Q3
  author: Ann Lee
  date: 2026-10-05
  value: 24 %
  low: 0.20
  high: 28 %
  text: Two <b>large</b> tenders & no more.
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "notes"
    place.mkdir()
    monkeypatch.setenv(notes.FOLDER, str(place))
    monkeypatch.delenv(notes.REPORT, raising=False)
    return place


def written(place, text=NOTE, name="win_loss.yaml"):
    (place / name).write_text(text, encoding="utf-8")
    return place


def page(**changes):
    return report_toys.page(**({"hidden": (), "unnamed": str} | changes))


def one(**changes) -> notes.Note:
    usual = {
        "report": "win_loss", "metric": "win_rate", "period": "2026Q3", "author": "Ann", "date": date(2026, 10, 5),
        "value": 0.24, "text": "Hm.", "group": {},
    }  # fmt: skip
    return notes.Note(**(usual | changes))


def figure(value, low=None, high=None, unit="rate", **changes):
    usual = {
        "metric": "win_rate", "statistic": "value", "by": {}, "period": {"label": "2026Q3"}, "compared_with": None,
        "value": value, "low": low, "high": high, "unit": unit,
    }  # fmt: skip
    return usual | changes


def tile(rate, low=None, high=None, n=400):
    return report.tile("Win rate", report_toys.one(n, rate, low, high), "win_rate")


def test_every_field_of_a_note_is_read(folder):
    [note] = notes.read(written(folder, NOTE + "  group: {segment: SMB, team: }\n  source: sample\n"))
    assert (note.value, note.low, note.high, note.date) == (0.24, 0.2, 0.28, date(2026, 10, 5))
    assert note.group == {"segment": "SMB", "team": None} and note.source == "sample"
    assert notes.read(folder / "none") == [] and notes.read(written(folder, "", "empty.yaml")) == [note]


def test_the_examples_of_the_readme_are_read(folder):
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "notes" / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    written(folder, blocks[0])
    written(folder, blocks[1], notes.LEDGER)
    assert [note.high for note in notes.read(folder)] == [0.31] and decisions.read(folder)["days"].tolist() == [120]


def test_the_notes_of_the_repository_are_read():
    assert isinstance(notes.read(ROOT / "notes"), list) and isinstance(decisions.read(ROOT / "notes"), pd.DataFrame)


@pytest.mark.parametrize(("old", "new", "said"), [
    ("  author: Ann Lee\n", "", "author is missing in 1 of 1 note (note 1). Write who says it."),
    ("win_rate", "win_rat", "metric is no metric. Did you mean 'win_rate'? in 1 of 1 note (note 1: 'win_rat'). "),
    ("24 %", "about 24", "value is no number in 1 of 1 note (note 1: 'about 24'). Write it as the page shows it, "),
    ("24 %", "nan", "value is no number in 1 of 1 note (note 1: 'nan'). "),
    ("24 %", "24", "value is a share above 1,000 % in 1 of 1 note (note 1: '24.0'). Write it as 24 % or as 0.24."),
    ("24 %", "34 %", "value lies outside low to high in 1 of 1 note (note 1: '0.2 0.34 0.28'). Copy the three "),
    ("  low: 0.20\n", "", "low and high are not both there in 1 of 1 note (note 1). Write both, "),
    ("2026-10-05", "5 October", "date is no day in 1 of 1 note (note 1: '5 October'). Write the day as 2026-10-05."),
    ("author", "autor", "unknown line 'autor' in 1 of 1 note (note 1). It takes report, metric, "),
    ("Two", "x" * 600, "text is longer than 600 characters in 1 of 1 note (note 1: 'xxx"),
    ("  text:", "  group: SMB\n  text:", "group is no mapping of a column to a group in 1 of 1 note (note 1: 'SMB'). "),
])  # fmt: skip
def test_each_fault_says_where_what_how_many_and_what_to_do(folder, old, new, said):
    with pytest.raises(checks.DataError) as caught:
        notes.read(written(folder, NOTE.replace(old, new)))
    assert f"notes/win_loss.yaml: {said}" in str(caught.value)


@pytest.mark.parametrize(("text", "said"), [
    ("a: 1\n", "notes/win_loss.yaml: is no list of notes. Begin each note with '- ' at the start of a line."),
    ("- a: 1\n  a: 2\n", "notes/win_loss.yaml: line 2: 'a' is there twice. Mend that line; notes/README.md has an "),
    ("- !!python/object:os.system x\n", "notes/win_loss.yaml: line 1: the tag 'tag:yaml.org,2002:python/object:os.sys"),
    ("- &a b\n- *a\n", "notes/win_loss.yaml: line 2: the alias '*a' is not read."),
    ("- just words\n", "the note holds no 'name: value' lines in 1 of 1 note (note 1: 'just words'). It takes report"),
])  # fmt: skip
def test_a_file_that_is_no_list_of_notes_says_so(folder, text, said):
    with pytest.raises(checks.DataError) as caught:
        notes.read(written(folder, text))
    assert said in str(caught.value)


def test_faults_of_several_files_are_told_at_once_and_equal_ones_together(folder):
    written(folder, NOTE.replace("  author: Ann Lee\n", "") * 5)
    written(folder, NOTE.replace("24 %", "?"), "other.yaml")
    written(folder, NOTE, "lost.yml")
    (folder / "latin.yaml").write_bytes("- text: Müller\n".encode("latin-1"))
    with pytest.raises(checks.DataError) as caught:
        notes.read(folder)
    said = str(caught.value).splitlines()
    assert len(said) == 4 and "notes/latin.yaml: is not UTF-8. Save it as UTF-8." in said
    assert "notes/lost.yml: is not read. Notes are files that end in .yaml; rename it or move it away." in said
    assert "author is missing in 5 of 5 notes (note 1, note 2, note 3, …)." in caught.value.args[0]


def test_a_note_is_found_by_metric_statistic_group_and_period_alone():
    def found(note, **other):
        return len(notes.by_figure([note], figure(0.24, **other), latest="2026Q3"))

    assert found(one()) == found(one(period="latest")) == 1
    assert found(one(period="2026Q2")) == found(one(), compared_with="prior_period") == 0
    assert found(one(group={"segment": "SMB"})) == found(one(), by={"segment": "SMB"}) == 0
    assert found(one(group={"segment": None}), by={"segment": None}) == 1
    assert found(one(group={"tier": "1"}), by={"tier": 1}) == 1, "a number is written as it is shown"
    assert found(one(metric="sales_cycle_days_median"), metric="sales_cycle_days", statistic="median") == 1
    assert found(one(metric="sales_cycle_days_median"), metric="sales_cycle_days") == 0


def newcombe(now, before):
    """The interval of a difference, written out."""
    (p, low, high), (q, other_low, other_high) = now, before
    gap = p - q
    return gap - math.hypot(p - low, other_high - q), gap + math.hypot(high - p, q - other_low)


def test_a_figure_has_moved_where_the_interval_of_the_difference_leaves_out_zero():
    for now in [(0.24, 0.20, 0.28), (0.29, 0.25, 0.33), (0.30, 0.26, 0.34), (0.18, 0.14, 0.22), (0.20, 0.16, 0.24)]:
        low, high = newcombe(now, (0.24, 0.20, 0.28))
        note = one(low=0.2, high=0.28)
        assert remarks.has_moved(note, figure(*now), figures.UNSCOPED) == (low > 0 or high < 0), now
        assert remarks.has_moved(one(), figure(*now), figures.UNSCOPED) == (low > 0 or high < 0), "as wide as now"
    assert remarks.has_moved(one(low=0.2, high=0.28), figure(0.30, 0.26, 0.34), figures.UNSCOPED)
    assert not remarks.has_moved(one(low=0.2, high=0.28), figure(0.29, 0.25, 0.33), figures.UNSCOPED)


def test_a_record_has_moved_where_the_page_would_show_it_and_a_count_beyond_chance():
    def moved(then, now, unit):
        return remarks.has_moved(one(value=then), figure(now, unit=unit), figures.UNSCOPED)

    assert not moved(1_200_000, 1_210_000, "amount") and moved(1_200_000, 1_300_000, "amount")
    assert not moved(100, 120, "count") and moved(100, 160, "count")
    assert not remarks.has_moved(one(), figure(None), figures.UNSCOPED)


def test_a_note_stands_in_its_tile_as_text(folder):
    written(folder)
    block = page().tiles(
        [tile(0.25, 0.21, 0.29), report.tile("Won", pd.DataFrame({"won_amount": [1.0]}), "won_amount")]
    )
    first, second = block.html.split('<li class="so-tile">')[1:]
    assert "Two &lt;b&gt;large&lt;/b&gt; tenders &amp; no more." in first and "<b>" not in first
    assert "Ann Lee, 5 October 2026<" in first and "so-remarks" not in second
    [told] = block.facts["notes"]
    assert told["key"] == "win_rate.2026Q3" and told["by"] == "Ann Lee, 5 October 2026"
    moved = page().tiles([tile(0.40, 0.36, 0.44)]).html
    assert "Ann Lee, 5 October 2026, written at 24\u00a0%<" in moved.replace("&nbsp;", "\u00a0")


def test_a_note_stands_under_its_table_with_a_mark_at_the_figure(folder):
    written(folder, NOTE + "  group: {segment: Public}\n" + NOTE + "  group: {segment: SMB}\n")
    block = page().table(report_toys.rates(), caption="x")
    rows = re.findall(r"<tr.*?</tr>", block.html)
    assert [remarks.MARK in row for row in rows] == [False, True, False, False], "a figure without a value has no note"
    assert "<strong>Win rate, SMB, 2026Q3, 25&nbsp;%</strong>: Two &lt;b&gt;large" in block.html
    assert block.html.index("</table>") < block.html.index("so-remarks") and "Public, 2026Q3" not in block.html


def test_a_note_that_a_tile_tells_is_not_told_again_and_one_told_nowhere_stands_at_the_end(folder):
    written(folder, NOTE + NOTE.replace("2026Q3", "2024Q1") + NOTE.replace("win_loss", "forecast"))
    frame = report_toys.one(400, 0.25, 0.21, 0.29)
    alone, after = page(), page()
    assert "so-remarks" in alone.table(frame, caption="x").html
    after.tiles([tile(0.25, 0.21, 0.29)])
    assert "so-remarks" not in after.table(frame, caption="x").html
    for each in (alone, after):
        end = each.exclusions().html
        assert "Notes about figures that this page does not show" in end
        assert "Win rate, 2024Q1" in end and end.count("<li>") - page().exclusions().html.count("<li>") == -1
    assert page().exclusions().html.count("Ann Lee") == 2, "neither of this report's is shown, nor the forecast's"


def test_a_tile_of_another_period_has_the_latest_note_of_its_own(folder):
    written(folder, NOTE.replace("period: 2026Q3", "period: latest"))
    made = page()
    own = report.tile("Win rate", report_toys.one(9, 0.25), "win_rate", period=quarter(date(2026, 12, 1)))
    block = made.tiles([own])
    assert "so-remarks" in block.html and [each["key"] for each in block.facts["notes"]] == ["win_rate.2026Q4"]
    assert "so-remarks" not in made.exclusions().html


def test_rows_and_columns_that_are_not_shown_leave_the_note_to_the_end(folder):
    written(folder, NOTE + "  group: {segment: SMB}\n")
    made = page()
    assert "so-remarks" not in made.table(report_toys.rates(), caption="x", shown=["segment", "n"]).html
    assert "Win rate, SMB, 2026Q3" in made.exclusions().html


def test_without_notes_a_page_is_as_it_was(folder, monkeypatch):
    def made():
        each = page()
        return [each.tiles([tile(0.25)]), each.table(report_toys.rates(), caption="x"), each.exclusions()]

    empty = made()
    monkeypatch.setenv(notes.FOLDER, str(folder / "none"))
    assert made() == empty and not any("remarks" in each.html or "notes" in each.facts for each in empty)


def test_people_in_notes_are_shown_as_the_policy_has_it(folder):
    written(folder, NOTE.replace("Two", "Zoe Park says two") + NOTE.replace("Ann Lee", "Zoe Park"))
    html = page(hidden=("a scrubber",), unnamed=lambda text: text.replace("Zoe Park", "Z. P.")).tiles([tile(0.25)]).html
    assert "Zoe" not in html and "Ann Lee" not in html
    assert "Z. P. says two" in html and ">a colleague, 5 October 2026" in html and ">Z. P., 5 October 2026" in html


def test_a_note_of_one_source_or_of_another_report_is_not_shown(folder, monkeypatch):
    written(folder, NOTE + "  source: sample\n")
    assert "so-remarks" not in page().tiles([tile(0.25)]).html
    assert "so-remarks" in page(source="sample").tiles([tile(0.25)]).html
    monkeypatch.setenv(notes.REPORT, "win_loss.emea")
    assert "so-remarks" not in page(source="sample").tiles([tile(0.25)]).html, "a variant goes by its own name"


def test_a_note_survives_ten_runs_over_changing_data(folder):
    """Shown at each of them; marked at those, and only those, whose figure has moved beyond noise."""
    before = written(folder).joinpath("win_loss.yaml").read_bytes()
    marked = []
    for step in range(10):
        rate = 0.24 + 0.012 * step
        html = page().tiles([tile(rate, rate - 0.04, rate + 0.04, n=400 + step)]).html.replace("&nbsp;", " ")
        assert "Two &lt;b&gt;large&lt;/b&gt; tenders" in html and "Ann Lee, 5 October 2026" in html
        marked.append("written at 24 %" in html)
    assert marked == [0.012 * step > math.hypot(0.04, 0.04) for step in range(10)] and any(marked)
    assert (folder / "win_loss.yaml").read_bytes() == before


CELL = """import sys
sys.path.insert(0, {tests!r})
import report_toys
from salesops import report
page = report_toys.page(hidden=(), unnamed=str)
display(page, page.headline(["Nothing to say."]))
display(page.tiles([report.tile("Win rate", report_toys.one(4000, {rate}, {rate} - 0.01, {rate} + 0.01), "win_rate")]))
"""


def test_a_run_tells_the_notebook_where_notes_are(tmp_path, monkeypatch):
    monkeypatch.setattr(plan.crm, "load", engine_toys.company)
    monkeypatch.setenv(notes.FOLDER, str(tmp_path / "elsewhere"))
    (tmp_path / "notes").mkdir()
    written(tmp_path / "notes", NOTE.replace("win_loss", "toy"))
    cell = CELL.format(tests=str(ROOT / "tests"), rate=0.4)
    engine_toys.notebook(tmp_path / "notebooks" / "toy.ipynb", cells=(cell,), heading="What happened.")
    assert run.run(plan.Request(root=tmp_path, out=tmp_path / "out", reports=("toy",)), print) == 0
    html = (tmp_path / "out" / "2026-09-30" / "toy.html").read_text(encoding="utf-8").replace("&nbsp;", "\u00a0")
    assert "Ann Lee, 5 October 2026, written at 24\u00a0%<" in html and "Two &lt;b&gt;large" in html


def test_a_changed_note_makes_another_run_and_anothers_note_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(plan.crm, "load", engine_toys.company)
    (tmp_path / "notes").mkdir()
    engine_toys.notebook(tmp_path / "notebooks" / "toy.ipynb")

    def made(text, other=NOTE, ledger=""):
        written(tmp_path / "notes", text.replace("win_loss", "toy"), "toy.yaml")
        written(tmp_path / "notes", other, "win_loss.yaml")
        (tmp_path / "notes" / "decisions.yaml").write_text(ledger, encoding="utf-8")
        assert run.run(plan.Request(root=tmp_path, out=tmp_path / "out", reports=("toy",)), print) == 0
        found = json.loads((tmp_path / "out" / "2026-09-30" / "toy.json").read_text(encoding="utf-8"))
        return found["run_id"], found["hashes"]["notes"]

    first = made(NOTE)
    assert made(NOTE) == first == made(NOTE, other=NOTE.replace("tenders", "deals"), ledger="# of the cover alone")
    again = made(NOTE.replace("tenders", "deals"))
    assert again[0] != first[0] and again[1] != first[1]


def test_a_fault_of_a_note_stops_a_run_before_it_begins(tmp_path):
    engine_toys.notebook(tmp_path / "notebooks" / "toy.ipynb")
    (tmp_path / "notes").mkdir()
    written(tmp_path / "notes", NOTE.replace("24 %", "about"))
    with pytest.raises(checks.DataError, match=r"notes/win_loss\.yaml: value is no number"):
        run.run(plan.Request(root=tmp_path, out=tmp_path / "out", reports=("toy",)), print)
    assert not list((tmp_path / "out").glob("2*"))  # but the page that says why
