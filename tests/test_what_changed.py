"""What changed between two reports: the sample's break, a late edit, a changed stage map; and every sentence's branches."""

from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace

import nbformat
import pandas as pd
import pytest
import yaml

from salesops import (
    changes_told,
    checks,
    cli,
    crm,
    figures_files,
    periods,
    pipeline,
    report,
    scorecard,
    what_changed,
    win_loss,
    win_rates,
)
from salesops.crm.sample import export
from salesops.engine import changed, document, figures
from salesops.engine.plan import Value

BEFORE, AFTER = (date(2024, 9, 30), "2024Q3"), (date(2024, 12, 31), "2024Q4")
SAME = dict.fromkeys(("input", "mapping", "parameters", "code", "notebook", "packages"), "0" * 64)


def figure(
    value, half=0.05, *, metric="win_rate", by=None, label="2026Q2", unit="rate", clock="closed", n=200, **other
):
    quarter = periods.resolve(label, as_of=date(2026, 12, 31))
    return {
        "metric": metric, "statistic": "value", "by": by or {}, "value": value,
        "low": None if half is None else value - half, "high": None if half is None else value + half,
        "level": 0.95, "n": n, "numerator": None, "denominator": None, "unit": unit, "clock": clock, "where": "",
        "period": {"label": label, "start": quarter.start.isoformat(), "end": quarter.end.isoformat()},
        "compared_with": None,
    } | other  # fmt: skip


def file(label, found, *, report="win_loss", as_of=None, hashes=None, definitions=None, **parameters):
    quarter = periods.resolve(label, as_of=date(2026, 12, 31))
    return {
        "schema": 1, "report": report, "run_id": "0", "as_of": as_of or quarter.end.isoformat(), "currency": "USD",
        "period": {"label": label, "start": quarter.start.isoformat(), "end": quarter.end.isoformat()},
        "parameters": {"where": ""} | parameters, "figures": found, "tiles": [], "status": "ok",
        "hashes": SAME | (hashes or {}), "definitions": {"win_rate": "a"} | (definitions or {}),
    }  # fmt: skip


def pair(was=0.2, now=0.4, *, after=(), **other):
    second = file("2026Q2", [figure(was)])
    return second, file("2026Q3", [figure(now, label="2026Q3"), *after], **other)


def said(before, after):
    [found] = changes_told.between([before], [after])
    return found


# -- the sample ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source") / "crm"
    export.write(folder, shape="canonical", size=6000)
    (folder / "stages.csv").unlink()
    (folder / "source.yaml").write_text(yaml.safe_dump(crm.sample.SOURCE), encoding="utf-8")
    return folder


def pack(source, day, label, tmp):
    """A figures file of the sample: outcomes and win rates of the period and of the quarters before it."""
    company = crm.load(source, as_of=day, where="opportunity_type != 'renewal'")
    window = company.period(label)
    deals = win_rates.with_dimensions(company.opportunities, reps=company.reps, currency=company.currency)
    closed = pipeline.closed_in(deals, window)
    page = report.Page("Rates", company, period=window)
    then = win_loss.win_rate(pipeline.closed_in(deals, periods.previous(window, company.calendar)))
    rate, counts = win_loss.win_rate(closed), win_loss.outcome_counts(deals, window)
    tiles = page.tiles([report.tile("Win rate", rate, "win_rate", prior=then), report.tile("Won", counts, "won_count")])
    trend = win_rates.win_rate_trend(deals, periods.trailing_quarters(window, 8, company.calendar))
    tables = [
        page.table(win_loss.win_rate(closed, by=by), caption=by)
        for by in ("segment", "region", "lead_source", "product")
    ]
    trended = page.table(trend, caption="trend")
    said = figures.Said(
        {},
        [],
        [one for block in (tiles, *tables, trended) for one in block.facts["figures"]],
        {},
        [],
        tiles.facts["titles"],
    )
    notebook = tmp / "rates.ipynb"
    notebook.write_text("{}", encoding="utf-8")
    values = {"source": Value(str(source), "test"), "as_of": Value(day, "test"), "where": Value(company.where, "test")}
    job = SimpleNamespace(name="rates", notebook=notebook, values=values)
    each = SimpleNamespace(job=job, company=company, period=window, as_of=day.isoformat(), ties=None)
    return document.figures_file(each, said, {name: value.value for name, value in values.items()}) | {
        "report": "rates"
    }


@contextmanager
def lost_after_all(source, first, last):
    """Nine wins of a past quarter entered as losses, after the quarter was reported."""
    files = [source / f"{name}.csv" for name in ("opportunities", "stage_history")]
    kept = [path.read_bytes() for path in files]
    deals, history = (pd.read_csv(path, dtype="str") for path in files)
    is_won = deals["close_date"].between(first, last) & deals["stage"].eq("Closed Won")
    ids = deals.loc[is_won & deals["opportunity_type"].ne("renewal"), "opportunity_id"].head(9)
    lost = {"stage": "Closed Lost", "outcome": "lost", "is_won": "False"}
    deals.loc[deals["opportunity_id"].isin(ids), list(lost)] = list(lost.values())
    history.loc[history["opportunity_id"].isin(ids) & history["stage"].eq("Closed Won"), "stage"] = "Closed Lost"
    for path, frame in zip(files, (deals, history), strict=True):
        frame.to_csv(path, index=False)
    yield
    for path, content in zip(files, kept, strict=True):
        path.write_bytes(content)


@pytest.fixture(scope="module")
def packs(source, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("book")
    first, second = pack(source, *BEFORE, tmp), pack(source, *AFTER, tmp)
    text = (source / "source.yaml").read_text(encoding="utf-8")
    with lost_after_all(source, "2024-07-01", "2024-09-30"):
        edited = pack(source, *AFTER, tmp)
    (source / "source.yaml").write_text(
        text.replace("New business: Qualified", "New business: Proposal"), encoding="utf-8"
    )
    mapped = pack(source, *AFTER, tmp)
    (source / "source.yaml").write_text(f"# a remark\n{text}", encoding="utf-8")
    remarked = pack(source, *AFTER, tmp)
    return SimpleNamespace(first=first, second=second, edited=edited, mapped=mapped, remarked=remarked)


def test_the_planted_break_is_named_and_nothing_else(packs):
    found = said(packs.first, packs.second)
    named = found.movements[found.movements["is_told"]]
    assert set(named["metric"]) <= {"win_rate", "won_count", "period_win_rate", "all_closed_win_rate"}
    assert named["by"].eq("{}").all() and named["gap"].gt(0).all() and found.breaks == []
    assert "win_rate" in set(named["metric"]), found.moved


def test_a_late_edit_is_called_a_restatement(packs):
    found = said(packs.first, packs.edited)
    rows = found.restatements[found.restatements["metric"].eq("win_rate") & found.restatements["by"].eq("{}")]
    assert set(found.restatements["cause"]) == {"input"} and set(found.restatements["period"]) == {"2024Q3"}, rows
    assert found.breaks == [] and len(found.restated) == 1
    assert found.restated[0].startswith("Restated, because deals were changed after the report of 30 September 2024: ")
    assert packs.edited["hashes"]["input"] != packs.second["hashes"]["input"]
    assert {part for part in SAME if packs.edited["hashes"][part] != packs.first["hashes"][part]} == {"input"}


def test_a_changed_stage_map_breaks_the_trend_and_nothing_is_compared_across_it(packs):
    found = said(packs.first, packs.mapped)
    assert found.moved == [] and found.movements.empty
    assert found.breaks == [
        "Break: since the report of 30 September 2024 the mapping of the source, its stage map or its calendar changed; "
        "nothing is compared across it."
    ]
    trend = what_changed.trend([packs.first, packs.mapped], metric="win_rate")
    assert trend["is_break"].tolist() == [False, True] and trend["run"].tolist() == [0, 1]
    assert trend["change"].isna().all()
    html = changed.block(packs.mapped, [packs.first], SimpleNamespace(hides=lambda _: False, currency="USD")).html
    assert "then a break" in html and ">break<" in html and "beyond a break it is not compared" in html
    assert "rose" not in html and "fell" not in html


def test_a_remark_in_the_mapping_is_no_break(packs):
    assert packs.remarked["hashes"]["mapping"] == packs.second["hashes"]["mapping"]
    assert packs.remarked["hashes"] == packs.second["hashes"] and packs.remarked["figures"] == packs.second["figures"]


# -- by hand ---------------------------------------------------------------------------------------------------------


def test_the_interval_of_a_movement_is_that_of_the_difference():
    [row] = what_changed.movements(*pair(0.2, 0.4)).to_dict("records")
    assert (row["was_value"], row["value"], row["gap"]) == (0.2, 0.4, pytest.approx(0.2))
    # Two half-widths of 0.05: sqrt(0.05² + 0.05²) = 0.0707; z = 0.2 / (0.0707 / 1.96) = 5.54.
    assert (row["gap_least"], row["gap_most"]) == (pytest.approx(0.1293, abs=1e-4), pytest.approx(0.2707, abs=1e-4))
    assert row["p_value"] == pytest.approx(2.9e-8, rel=0.05)


def test_limits_told_at_another_level_are_brought_to_the_same():
    second, third = file("2026Q2", [figure(0.2, 0.05 * 1.2816 / 1.96, level=0.8)]), pair()[1]
    [row] = what_changed.movements(second, third).to_dict("records")
    assert row["gap_least"] == pytest.approx(0.1293, abs=1e-4)


@pytest.mark.parametrize(
    "other",
    [
        {"by": {"segment": "SMB"}}, {"where": "segment == 'SMB'"}, {"metric": "loss_rate"}, {"clock": "created"},
        {"statistic": "median"}, {"n": 19}, {"unit": "points"}, {"label": "2026Q1"}, {"compared_with": "prior_year"},
        {"value": None}, {"half": None, "unit": "amount"},
    ],
)  # fmt: skip
def test_what_is_not_the_same_figure_is_not_compared(other):
    then = {"value": 0.2, "half": 0.05} | other
    if then["value"] is None:
        then |= {"value": 0.2}
    second = file("2026Q2", [figure(then.pop("value"), then.pop("half"), **then)])
    third = pair()[1]
    if other.get("value", 0) is None:
        second["figures"][0]["value"] = None
    if other.get("unit"):
        third["figures"] = [figure(0.4, other.get("half", 0.05), label="2026Q3", unit=other["unit"])]
    assert what_changed.movements(second, third).empty


def test_a_count_of_events_is_a_poisson_count_and_a_stock_is_not_compared():
    counts = {clock: (file("2026Q2", [figure(50, None, unit="count", clock=clock)]),
                      file("2026Q3", [figure(100, None, unit="count", clock=clock, label="2026Q3")]))
              for clock in ("closed", "as_of")}  # fmt: skip
    assert len(what_changed.movements(*counts["closed"])) == 1 and what_changed.movements(*counts["as_of"]).empty


def test_many_figures_are_judged_together_and_parts_of_a_named_whole_are_not_told():
    one = what_changed.named(what_changed.movements(*pair(0.2, 0.4)))
    assert one["is_named"].all() and one["n_compared"].tolist() == [1]
    # p of a difference of 0.10 with half-widths of 0.05 is 0.0056: a key figure bears it (0.1 * 0.8 / 11 = 0.0073), one
    # of the five hundred others (0.1 * 0.2 / 500) does not, alone on its page or not.
    close = [(by, what_changed.named(what_changed.movements(
        file("2026Q2", [figure(0.2, by=by)]), file("2026Q3", [figure(0.3, by=by, label="2026Q3")]))))
        for by in ({}, {"region": None}, {"region": "EMEA"})]  # fmt: skip
    assert [(by, table["is_named"].tolist(), table["is_key"].tolist()) for by, table in close] == [
        ({}, [True], [True]), ({"region": None}, [False], [False]), ({"region": "EMEA"}, [False], [False]),
    ]  # fmt: skip
    noise = [figure(0.2, metric=metric, by={"region": "EMEA"}) for metric in ("win_rate", "slippage_rate")]
    moved = [
        figure(0.46, metric=metric, by={"region": "EMEA"}, label="2026Q3") for metric in ("win_rate", "slippage_rate")
    ]
    assert what_changed.named(what_changed.movements(file("2026Q2", noise), file("2026Q3", moved)))["is_named"].all()
    wide = [figure(0.2), figure(0.2, by={"segment": "SMB"}), figure(0.4, by={"segment": "Big"})]
    moved = [figure(0.4, label="2026Q3"), figure(0.4, by={"segment": "SMB"}, label="2026Q3"),
             figure(0.2, by={"segment": "Big"}, label="2026Q3")]  # fmt: skip
    table = what_changed.named(what_changed.movements(file("2026Q2", wide), file("2026Q3", moved)))
    assert dict(zip(table["by"], table["is_told"], strict=True)) == {
        "{}": True, '{"segment": "SMB"}': False, '{"segment": "Big"}': True,
    }  # fmt: skip


def test_a_figure_of_two_reports_counts_once_and_is_named_in_both():
    files = [[file(label, [figure(value, label=label)], report=name) for name in ("win_loss", "waterfall")]
             for label, value in (("2026Q2", 0.2), ("2026Q3", 0.3))]  # fmt: skip
    both = changes_told.between(*files)
    assert [each.movements["is_named"].tolist() for each in both] == [[True], [True]]
    assert both[0].movements["n_compared"].tolist() == [1]
    other = [[each | {"figures": [figure(0.2, label=label, half=0.2)] if each["report"] == "waterfall" else each["figures"]}
              for each in side] for label, side in zip(("2026Q2", "2026Q3"), files, strict=True)]  # fmt: skip
    assert [each.movements["is_named"].tolist() for each in changes_told.between(*other)] == [[True], [False]]


def test_activities_are_no_poisson_count():
    """Several belong to a deal: forty more meetings may be two deals more."""
    meetings = [file(label, [figure(value, None, unit="count", clock="occurred", label=label)])
                for label, value in (("2026Q2", 10), ("2026Q3", 50))]  # fmt: skip
    assert what_changed.movements(*meetings).empty


def test_the_key_figures_are_those_of_the_scorecard():
    assert set(what_changed.KEY_FIGURES) == {*scorecard._TITLES, "win_rate"}


def test_a_restated_figure_has_not_moved():
    before, after = pair(0.2, 0.4, after=[figure(0.39)])
    assert what_changed.movements(before, after)["was_value"].tolist() == [0.39]
    assert what_changed.restated(before, after)[["was_value", "value"]].values.tolist() == [[0.2, 0.39]]


def test_a_tile_that_looks_back_tells_a_restatement_too():
    compared = figure(0.01, label="2026Q3", unit="points", compared_with="prior_period", denominator=0.39)
    before, after = pair(0.2, 0.4, after=[compared])
    assert what_changed.restated(before, after)[["period", "was_value", "value"]].values.tolist() == [
        ["2026Q2", 0.2, 0.39]
    ]
    assert what_changed.movements(before, after)["was_value"].tolist() == [pytest.approx(0.39)]
    far = file("2026Q1", [figure(0.2, label="2026Q1")])
    assert what_changed.restated(far, after).empty


def test_what_still_goes_on_is_no_restatement():
    before, after = pair(after=[figure(0.39, clock="created")])
    before["figures"][0]["clock"] = "created"
    assert what_changed.restated(before, after).empty
    again = file("2026Q2", [figure(0.3, clock="created")])
    assert len(what_changed.restated(before, again)) == 1  # of the same day: nothing has gone on


def test_a_quarter_that_was_still_running_is_not_restated():
    before, after = pair(after=[figure(0.39)])
    assert what_changed.restated(before | {"as_of": "2026-06-29"}, after).empty


@pytest.mark.parametrize(
    ("hashes", "definitions", "cause"),
    [
        ({"input": "1"}, {}, "input"),
        ({"mapping": "1"}, {}, "mapping, input"),
        ({"code": "1", "packages": "1"}, {}, "code, packages, input"),
        ({}, {"win_rate": "b"}, "definition, input"),
        ({}, {"loss_rate": "b"}, "input"),
    ],
)
def test_the_cause_is_told_by_the_hashes(hashes, definitions, cause):
    before, after = pair(after=[figure(0.39)], hashes=hashes, definitions=definitions)
    before["definitions"]["loss_rate"] = "a"
    assert what_changed.restated(before, after)["cause"].tolist() == [cause]


def test_the_same_day_and_the_same_hashes_leave_no_cause():
    before = file("2026Q2", [figure(0.2)])
    found = said(before, file("2026Q2", [figure(0.3)]))
    assert found.restatements["cause"].tolist() == [""]
    assert found.restated == [
        "Restated, though both reports say they were made from the same: win rate of 2026Q2, 20 % then and 30 % now."
    ]
    assert found.moved == ["Both reports are about 2026Q2, so no movement is judged."]


@pytest.mark.parametrize("part", ["mapping", "parameters"])
def test_a_break_forbids_every_comparison(part):
    other = {"hashes": {"mapping": "1"}} if part == "mapping" else {"where": "segment == 'SMB'"}
    before, after = pair(**other)
    assert what_changed.movements(before, after).empty and said(before, after).moved == []
    assert what_changed.trend([before, after], metric="win_rate")["is_break"].tolist() == [False, True]


@pytest.mark.parametrize("part", ["code", "notebook", "packages", "input"])
def test_new_code_or_data_alone_are_no_break(part):
    before, after = pair(hashes={part: "1"})
    assert len(what_changed.movements(before, after)) == 1
    trend = what_changed.trend([before, after], metric="win_rate")
    assert not trend["is_break"].any() and trend["change"].tolist()[1] == pytest.approx(0.2)


def test_another_definition_breaks_its_own_metric_alone():
    before, after = pair(definitions={"win_rate": "b"}, after=[figure(0.5, metric="loss_rate", label="2026Q3")])
    before["figures"].append(figure(0.3, metric="loss_rate"))
    assert what_changed.movements(before, after)["metric"].tolist() == ["loss_rate"]
    assert what_changed.trend([before, after], metric="win_rate")["run"].tolist() == [0, 1]
    assert what_changed.trend([before, after], metric="loss_rate")["run"].tolist() == [0, 0]


def test_a_report_without_hashes_is_not_compared():
    before, after = pair()
    del before["hashes"]
    found = said(before, after)
    assert found.moved == [] and found.breaks == [
        "The report of 30 June 2026 does not say how it was made; nothing is compared with it, in case its definitions "
        "were others."
    ]


def test_unlike_periods_are_not_compared():
    before, after = pair()
    running = after | {"as_of": "2026-07-31"}
    assert said(before, running).moved == ["2026Q2 and 2026Q3 are not alike, so no movement is judged."]
    both = before | {"as_of": "2026-05-01"}
    assert len(what_changed.movements(both, running)) == 1  # thirty days into each


def test_the_last_forecast_is_scored():
    by = {"cutoff_date": "2026-06-30", "week": 1}
    said_then = figure(4.2e6, 7e5, metric="landing_amount", by=by, label="2026Q3", unit="amount", level=0.8)
    came = figure(3.1e6, None, metric="became_amount", by={"as_of_date": "2026-06-30"}, label="2026Q3", unit="amount")
    before, after = file("2026Q2", [said_then], report="forecast"), file("2026Q3", [came], report="forecast")
    assert said(before, after).scored == [
        "The forecast of 30 June 2026 said $4.2M for 2026Q3; it became $3.1M, outside the 80 % range of $3.5M to $4.9M "
        "and 26 % less than said."
    ]
    assert said(before, file("2026Q3", [], report="forecast")).scored == []


def movement(number, **other):
    row = {"metric": "win_rate", "statistic": "value", "by": "{}", "unit": "rate", "currency": "USD", "gap": -0.1}
    row |= {"gap_least": -0.18, "gap_most": -0.03, "was_value": 0.32 + number / 100, "value": 0.22}
    return row | {"was_period": "2026Q2", "period": "2026Q3", "is_named": True, "is_told": True} | other


def test_the_surest_movements_are_told_and_the_others_counted():
    before, after = pair()
    told = changes_told.movement_sentences(pd.DataFrame([movement(number) for number in range(6)]), before, after)
    assert (
        told[0]
        == "Win rate fell from 32 % in 2026Q2 to 22 % in 2026Q3, a change likely between −18 points and −3 points."
    )
    assert len(told) == 5 and told[-1] == "2 more figures moved by more than noise."
    one = pd.DataFrame([movement(0, is_told=False, is_named=False)])
    assert changes_told.movement_sentences(one, before, after) == [
        "The one figure that can be compared with the report of 30 June 2026 did not move by more than noise."
    ]
    assert changes_told.movement_sentences(one[:0], before, after) == [
        "No figure can be compared with the report of 30 June 2026."
    ]
    count = movement(0, metric="won_count", unit="count", by='{"segment": "SMB"}', gap=33.0, gap_least=10.4, gap_most=56.3,
                     was_value=50.0, value=83.0)  # fmt: skip
    assert changes_told.movement_sentences(pd.DataFrame([count]), before, after) == [
        "Won (count), segment SMB rose from 50 in 2026Q2 to 83 in 2026Q3, a change likely between +10 and +56."
    ]


# -- the page and the command ----------------------------------------------------------------------------------------

ANYBODY = SimpleNamespace(hides=lambda _: False, currency="USD")


def test_the_block_stands_after_the_tiles():
    def cell(kind):
        output = nbformat.v4.new_output(
            "display_data", data={"text/html": f"<p>{kind}</p>"}, metadata={"salesops": {"kind": kind}}
        )
        return nbformat.v4.new_code_cell("", outputs=[output])

    before, after = pair()
    for kinds, earlier, place in (
        (["page", "headline", "tiles", "table"], [before], 3),
        (["page", "headline", "tiles", "table"], [], None),
        (["page", "headline", "chart"], [before], None),
    ):
        book = nbformat.v4.new_notebook(cells=[cell(kind) for kind in kinds])
        cells = changed.beside(book, after, earlier, ANYBODY).cells
        found = [number for number, each in enumerate(cells) if changed.HEADING in str(each["outputs"])]
        assert found == ([] if place is None else [place]) and len(cells) == len(kinds) + len(found)


def test_a_sentence_about_somebody_hidden_is_left_away():
    before, after = (
        file("2026Q2", [figure(0.2, by={"owner": "Ann Lee"})]),
        file("2026Q3", [figure(0.5, by={"owner": "Ann Lee"}, label="2026Q3")]),
    )
    seen = changed.block(after, [before], ANYBODY).html
    hidden = changed.block(after, [before], SimpleNamespace(hides=lambda text: "Ann" in text, currency="USD")).html
    assert "Ann Lee" in seen and "Ann" not in hidden


def test_earlier_reports_are_those_of_the_same_name(tmp_path):
    def put(day, name, found):
        (tmp_path / day).mkdir(exist_ok=True)
        (tmp_path / day / f"{name}.json").write_text(
            figures.dumps(found | {"report": name, "as_of": day}), encoding="utf-8"
        )

    for day in ("2026-03-31", "2026-06-30", "2026-09-30"):
        for name in ("win_loss", "win_loss.emea"):
            put(day, name, file("2026Q2", [figure(0.2)]))
    found = changed.earlier(tmp_path, "win_loss", "2026-09-30")
    assert [(each["report"], each["as_of"]) for each in found] == [
        ("win_loss", "2026-03-31"),
        ("win_loss", "2026-06-30"),
    ]
    assert [each["as_of"] for each in figures_files.read(tmp_path, report="win_loss", last=2)] == ["2026-09-30"] * 2
    assert len(figures_files.read(tmp_path, as_of=date(2026, 6, 30))) == 2


@pytest.fixture
def folders(tmp_path):
    before, after = pair()
    for name, found in (("a", before), ("b", after)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "win_loss.json").write_text(figures.dumps(found), encoding="utf-8")
    (tmp_path / "b" / "leads.json").write_text(figures.dumps(after | {"report": "leads"}), encoding="utf-8")
    (tmp_path / "b" / "win_loss.run.json").write_text("{}", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_diff_prints_what_changed_of_folders_and_of_files(folders, capsys):
    assert cli.main(["diff", str(folders / "a"), str(folders / "b")]) == 0
    told = "  Win rate rose from 20 % in 2026Q2 to 40 % in 2026Q3, a change likely between +13 points and +27 points.\n"
    assert capsys.readouterr().out == f"win_loss\n{told}In one of the two alone: leads.\n"
    assert cli.main(["diff", str(folders / "a" / "win_loss.json"), str(folders / "b" / "win_loss.json")]) == 0
    assert capsys.readouterr().out == f"win_loss\n{told}"


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("b", "a", "b is later than"), ("a", "nowhere", "nowhere is not there. Give a dated folder"),
        ("empty", "b", "empty holds no figures file"), ("a", "b/win_loss.run.json", "is no figures file"),
        ("a", "b/leads.json", "have no report in common (win_loss; leads)"),
    ],
)  # fmt: skip
def test_diff_says_what_is_wrong_with_what_it_was_given(folders, capsys, one, other, message):
    assert cli.main(["diff", str(folders / one), str(folders / other)]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def test_wrong_ones_are_errors_of_parameters(folders):
    with pytest.raises(checks.ParameterError, match="is not there"):
        changes_told.diff(folders / "x", folders / "b")
