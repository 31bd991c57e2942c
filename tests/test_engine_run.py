"""Runs of small notebooks in real kernels: what is published, what a failure leaves, what is refused."""

import json
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import engine_toys
import nbformat
import pandas as pd
import pytest

from salesops import crm
from salesops.checks import DataError, ParameterError
from salesops.engine import deals, document, execute, plan, run, shelf
from salesops.report import deal_lists

DAY = "2026-09-30"


@pytest.fixture(scope="module", autouse=True)
def _small_company():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crm, "load", engine_toys.company)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root {braces}")
    for name in ("alpha", "beta", "gamma"):
        engine_toys.notebook(folder / "notebooks" / f"{name}.ipynb")
    return folder


def made(
    root: Path, out: Path, *reports: str, set_: tuple[str, ...] = (), for_each: str | None = None
) -> tuple[int, str]:
    told: list[str] = []
    request = plan.Request(root=root, out=out, reports=reports, assignments=set_, for_each=for_each)
    return run.run(request, told.append), "\n".join(told)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def published(root) -> Path:
    """The folder of one good report."""
    code, told = made(root, root / "out", "alpha")
    assert (code, told) == (0, f"alpha: ok, {root / 'out' / DAY / 'alpha'}.html")
    return root / "out" / DAY


@pytest.fixture(scope="module")
def after_failures(root, published) -> SimpleNamespace:
    """The same folder after a run in which one report crashed, one was fine and one met bad data."""
    before = contents(published)
    code, told = made(root, published.parent, set_=("alpha.mode=crash", "gamma.mode=data"))
    return SimpleNamespace(before=before, after=contents(published), code=code, told=told, folder=published)


def test_a_report_is_its_files_under_one_run_id(published):
    names = {path.name for path in published.iterdir()}
    endings = ("html", "ipynb", "json", "run.json", "deals.html", "deals.parquet")
    assert {f"alpha.{ending}" for ending in endings} | {"index.html"} <= names
    run_id = json.loads((published / "alpha.json").read_text())["run_id"]
    assert re.fullmatch(r"[0-9a-f]{16}", run_id)
    for ending in ("html", "run.json", "deals.html"):
        assert run_id in (published / f"alpha.{ending}").read_text(), ending
    assert not list(published.parent.glob(".staging-*"))


def test_two_runs_are_the_same_bytes(root, published, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert made(root, tmp_path / "again", "alpha")[0] == 0
    one, other = contents(published), contents(tmp_path / "again" / DAY)
    for ending in ("html", "ipynb", "json", "deals.html", "deals.parquet"):
        assert one[f"alpha.{ending}"] == other[f"alpha.{ending}"], ending


def test_the_figures_file_has_the_agreed_shape(published):
    found = json.loads((published / "alpha.json").read_text(), parse_constant=pytest.fail)
    assert set(found) == {
        "schema", "report", "run_id", "as_of", "period", "parameters", "status", "inputs", "exclusions", "headlines",
        "figures", "findings", "tiles", "tile_titles", "currency", "locale", "sections_left_out",
        "code", "hashes", "definitions",
    }  # fmt: skip
    assert set(found["hashes"]) == {"input", "mapping", "parameters", "code", "notebook", "packages", "notes"}
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in found["hashes"].values())
    assert (found["schema"], found["currency"], found["locale"]) == (1, "USD", "en")
    assert json.loads((published / "alpha.run.json").read_text())["locale"] == "en"
    assert (found["report"], found["as_of"], found["status"]) == ("alpha", DAY, "ok")
    assert found["period"] == {"label": "2026Q3", "start": "2026-07-01", "end": DAY}
    assert found["parameters"]["as_of"] == DAY
    assert found["parameters"]["by"] == ["segment"]
    assert found["inputs"] == [{"table": "opportunities", "rows": 3, "sha256": "ab" * 32}]
    assert found["exclusions"] == [{"table": "opportunities", "rule": "negative amount", "field": "amount", "n": 1}]
    assert [(each["by"], each["value"]) for each in found["figures"]] == [({}, 0.5), ({"segment": None}, None)]


def test_dates_arrive_as_dates(published):
    assert json.loads((published / "alpha.json").read_text())["headlines"] == [
        "Half of <all> deals were won as of 2026-09-30."
    ]
    assert "As of datetime.date(2026, 9, 30)" in (published / "alpha.html").read_text()


def test_the_notebook_is_published_clean(published, root):
    text = (published / "alpha.ipynb").read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert all(word not in text for word in ("papermill", str(root), "0x", '"execution"'))
    assert not re.search(r"noise \d", text)
    assert all(not output.get("metadata") for cell in notebook.cells for output in cell.get("outputs", []))
    [injected] = [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert "as_of = _datetime.date(2026, 9, 30)" in injected.source


def test_times_are_in_the_run_record_alone(published):
    record = json.loads((published / "alpha.run.json").read_text())
    assert record["started"] <= record["finished"]
    assert len(record["cell_seconds"]) == 4
    assert record["parameters"]["as_of"] == {"value": DAY, "origin": "the latest recorded event"}
    assert record["packages"]["pandas"] == pd.__version__
    assert re.fullmatch(r"noise \d+\n", record["messages"][0])


def test_a_figure_leads_to_its_deals_and_they_to_the_crm(published):
    assert 'href="alpha.deals.html#win_rate.2026Q3"' in (published / "alpha.html").read_text()
    page = (published / "alpha.deals.html").read_text()
    assert '<section id="win_rate.2026Q3">' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</a>" in page
    assert '<a href="https://crm.example/D1"' in page
    assert "Ann &amp; Co" in page
    assert "<script" not in page
    assert "javascript:" not in page
    assert page.index("2,500") < page.index(">100<")
    table = pd.read_parquet(published / "alpha.deals.parquet")
    assert table.to_dict("list") == {"figure": ["win_rate.2026Q3"] * 2, "opportunity_id": ["D1", "D2"]}


def test_a_long_list_is_cut_and_says_so():
    company = engine_toys.company()
    many = pd.concat(
        [company.opportunities.head(1).assign(opportunity_id=f"D{n}", amount=float(n)) for n in range(250)]
    )
    company.all_opportunities = company.opportunities = many
    ids = {"won_count": deal_lists.listed(many["opportunity_id"].tolist())}
    page = deals.page(ids, {"won_count": "Won: 250"}, company, report="alpha", title="Alpha", run_id="0")
    assert page.count('<th scope="row">') == 200
    assert "250 deals; the 200 largest are listed here" in page
    assert ">249<" in page
    assert ">49<" not in page


def test_lists_hold_the_largest_deals_and_of_equal_ones_the_first_ids(monkeypatch):
    monkeypatch.setattr(deals, "MOST", 2)
    company = engine_toys.company()
    known = company.all_opportunities
    ids, amounts = ["D5", "D1", "D4", "D2", "D3"], [9.0, None, 7.0, 9.0, 9.0]
    known = pd.concat([known.head(1)] * 5, ignore_index=True).assign(opportunity_id=ids, amount=amounts, name=None)
    company.all_opportunities, company.opportunities = known, known[known["opportunity_id"] == "D4"].assign(amount=11.0)
    shared = deal_lists.listed(["D1", "D2", "D4", "D5"])
    lists = {"b": shared, "a": deal_lists.listed(["D1", "D9"]), "c": shared, "d": deal_lists.listed(["D3", "D4", "D5"])}
    monkeypatch.setattr(deals, "ALL_ROWS", 0)
    page = deals.page(lists, {}, company, report="alpha", title="Alpha", run_id="0")
    found = {part.split('"')[0]: re.findall(r">(D\d)<", part) for part in page.split('<section id="')[1:]}
    assert found == {"a": ["D1"], "b": ["D4", "D2", "D5", "D1"], "c": ["D4", "D2", "D5", "D1"], "d": ["D4", "D3", "D5"]}


def test_the_table_of_lists_is_whole_in_any_number_of_pieces(tmp_path, monkeypatch):
    lists = {key: deal_lists.listed([f"D{n}" for n in range(size)]) for key, size in [("a", 3), ("b", 1), ("c", 2)]}
    rows = [(key, deal) for key, ids in lists.items() for deal in ids.to_pylist()]
    for piece in (1, 4, 100):
        monkeypatch.setattr(deals, "PIECE", piece)
        deals.write_table(lists, tmp_path / "deals.parquet")
        table = pd.read_parquet(tmp_path / "deals.parquet")
        assert list(table.itertuples(index=False, name=None)) == rows
        assert (table.dtypes == "str").all()


def test_a_failing_notebook_leaves_the_last_good_report(after_failures):
    assert after_failures.code == 3
    for ending in ("html", "ipynb", "json", "deals.html", "run.json"):
        assert after_failures.after[f"alpha.{ending}"] == after_failures.before[f"alpha.{ending}"], ending
    assert "beta.html" in after_failures.after
    assert not {"gamma.html", "gamma.json", "beta.failed.html"} & set(after_failures.after)


def test_a_failure_is_three_lines_and_the_others_go_on(after_failures):
    assert after_failures.told.splitlines() == [
        "alpha failed: alpha.ipynb",
        "  cell 4 (Where do we win?)",
        "  ValueError: no <b>deals</b> here",
        f"beta: ok, {after_failures.folder / 'beta'}.html",
        "gamma failed: gamma.ipynb",
        "  cell 4 (Where do we win?)",
        "  deals.csv: nothing in it.",
    ]


def test_a_failure_has_a_page_and_a_partial_notebook(after_failures):
    page = after_failures.after["alpha.failed.html"].decode()
    assert "ValueError: no &lt;b&gt;deals&lt;/b&gt; here" in page
    assert '<a href="alpha.html">' in page
    assert "There is no earlier one" in after_failures.after["gamma.failed.html"].decode()
    partial = nbformat.reads(after_failures.after["alpha.failed.ipynb"].decode(), as_version=4)
    assert [output.ename for cell in partial.cells for output in cell.get("outputs", []) if "ename" in output] == [
        "ValueError"
    ]


def test_the_index_names_good_and_failed_reports(after_failures):
    page = after_failures.after["index.html"].decode()
    assert 'href="alpha.html"' in page
    assert 'href="alpha.failed.html"' in page
    assert "The report linked here is the last good one." in page
    assert 'href="gamma.failed.html"' in page
    assert "Half of &lt;all&gt; deals" in page
    over_all = (after_failures.folder.parent / "index.html").read_text()
    assert f'href="{DAY}/index.html"' in over_all
    assert f'href="{DAY}/gamma.failed.html"' in over_all
    for text in (page, over_all):
        assert not re.search(r"""(src|href)=["']?(https?:|//)|@import|url\(""", text)


def test_a_later_success_removes_the_failure(after_failures, root):
    code, _ = made(root, after_failures.folder.parent, "alpha", set_=("mode=good",))
    assert code == 0
    names = {path.name for path in after_failures.folder.iterdir()}
    assert not {"alpha.failed.html", "alpha.failed.ipynb"} & names
    assert "gamma.failed.html" in names


def test_faults_raised_in_a_kernel_have_their_exit_codes(root, tmp_path):
    faults = ("alpha.mode=parameter", "beta.mode=twice", "gamma.mode=die")
    code, told = made(root, tmp_path, set_=faults)
    lines = told.splitlines()
    assert code == 2
    assert lines[2] == "  level is wrong."
    assert lines[5].startswith("  figure 'win_rate' (value, overall): value is 0.5 in one place and 0.25 in another.")
    assert lines[7] == "  cell 4 (Where do we win?)"
    assert lines[8].startswith("  DeadKernelError: Kernel died")
    assert [
        run.Made("x", "failed", execute.Failure(error, "")).code
        for error in ("ParameterError", "DataError", "KeyError")
    ] == [2, 3, 1]


def test_for_each_makes_one_report_a_value(root, tmp_path):
    code, told = made(root, tmp_path, "alpha", for_each="segment", set_=("where=amount > 1", f"source={tmp_path}/acme"))
    assert code == 0
    assert {path.name for path in (tmp_path / DAY).glob("*.ipynb")} == {"alpha.SMB.ipynb", "alpha.Public-State.ipynb"}
    document = json.loads((tmp_path / DAY / "alpha.Public-State.json").read_text())
    assert document["parameters"]["where"] == "(amount > 1) and segment == 'Public/State'"
    assert document["parameters"]["source"] == "acme"
    assert str(tmp_path) not in (tmp_path / DAY / "alpha.Public-State.ipynb").read_text()
    assert "Toy report – Public-State" in (tmp_path / DAY / "alpha.Public-State.html").read_text()
    assert "have no segment" not in told  # the deal without one has no amount


def test_for_each_says_what_no_report_holds(root):
    told = []
    request = plan.Request(root=root, reports=("alpha",), for_each="segment", assignments=("where=",))
    jobs = [each.job.name for each in plan.load(plan.jobs(request), "segment", told.append)]
    assert jobs == ["alpha.Public-State", "alpha.SMB"]
    assert told == ["alpha: 1 of 3 deals have no segment and are in no report."]
    with pytest.raises(ParameterError, match=r"opportunities have no column 'segmnt'\. Did you mean 'segment'"):
        plan.load(plan.jobs(request), "segmnt", told.append)


def test_a_column_to_split_by_that_does_not_exist_runs_nothing(root, tmp_path):
    with pytest.raises(ParameterError, match=r"no column \['segmnt'\] \(-p\)\. Did you mean 'segment'\? Columns of up"):
        made(root, tmp_path / "out", "alpha", set_=("by=segmnt",))
    assert not [*tmp_path.rglob("*.html")]


def test_a_column_a_notebook_makes_is_named_in_the_help_of_by(tmp_path):
    said = 'by: str = "segment"  # column; also size_band, team\n'
    engine_toys.notebook(tmp_path / "notebooks" / "toy.ipynb", said + 'source: str = "sample"  # where from')
    for column in ("size_band", "team", "segment"):
        plan.load(plan.jobs(plan.Request(root=tmp_path, assignments=(f"by={column}",))), None, print)
    with pytest.raises(ParameterError, match=r"\['column'\]"):
        plan.load(plan.jobs(plan.Request(root=tmp_path, assignments=("by=column",))), None, print)


def test_an_empty_population_is_nothing_to_report(root, tmp_path):
    code, told = made(root, tmp_path, "alpha", set_=("where=amount > 1e9", "mode=crash"))
    assert (code, told) == (0, f"alpha: empty, {tmp_path / DAY / 'alpha'}.html")
    found = json.loads((tmp_path / DAY / "alpha.json").read_text())
    sentence = "Nothing to report: no deals where amount > 1e9, as of 30 September 2026."
    assert (found["status"], found["headlines"]) == ("empty", [sentence])
    page = (tmp_path / DAY / "alpha.html").read_text()
    assert "no deals where amount &gt; 1e9" in page
    assert "Toy: what happened?" in page


def test_a_folder_of_another_source_is_refused(root, published):
    with pytest.raises(ParameterError) as fault:
        made(root, published.parent, "beta", set_=("source=exports/acme",))
    words = f"{published}: holds reports of source 'sample' (alpha), not of 'acme'. Choose another --out."
    assert str(fault.value) == words


def test_two_sources_for_one_folder_are_refused(root, tmp_path):
    with pytest.raises(ParameterError, match=r"sources 'sample' and 'acme' \(beta\) would share it"):
        made(root, tmp_path, "alpha", "beta", set_=("beta.source=exports/acme",))


def test_bad_data_stop_before_any_kernel(root, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "execute", lambda *_, **__: pytest.fail("a kernel started"))
    with pytest.raises(DataError, match=r"opportunities\.csv: missing column"):
        made(root, tmp_path, "alpha", "beta", set_=("beta.source=broken",))
    with pytest.raises(ParameterError, match="period: cannot read 'lats_quarter'"):
        made(root, tmp_path, "alpha", set_=("period=lats_quarter",))
    # What a person mistyped is told to that person; of data there is a page, and a line in the log.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["failed", "log"]
    assert [path.name for path in (tmp_path / "failed").iterdir()] == ["reports.html"]


def test_each_source_is_read_once(root, monkeypatch):
    asked = []

    def counted(source="sample", *, as_of=None, where=""):
        asked.append((source, as_of, where))
        return engine_toys.company(source, as_of=as_of, where=where)

    monkeypatch.setattr(crm, "load", counted)
    request = plan.Request(root=root, assignments=("gamma.where=amount > 1",))
    loaded = plan.load(plan.jobs(request), None, asked.append)
    assert len(asked) == 2
    assert loaded[0].company is loaded[1].company
    assert loaded[0].job.values["as_of"].value == date(2026, 9, 30)


def test_the_previous_report_is_the_latest_earlier_one(tmp_path):
    for day in ("2026-03-31", "2026-06-30", "2026-12-31"):
        (tmp_path / day).mkdir()
        (tmp_path / day / "alpha.html").write_text("")
        (tmp_path / day / "alpha.ipynb").write_text("")
    (tmp_path / "2026-09-29").mkdir()
    (tmp_path / "2026-09-29" / "alpha.html").write_text("")  # of a pruned one a small page stays
    assert shelf.previous(tmp_path, DAY, "alpha") == "2026-06-30"
    assert shelf.previous(tmp_path, "2026-03-31", "alpha") is None


def test_status_is_partial_where_something_is_missing(root):
    [each] = plan.load(plan.jobs(plan.Request(root=root, reports=("alpha",))), None, print)
    said = document.figures.Said({}, [], [], {}, [])
    assert document.status(each, said) == "ok"
    assert (
        document.status(each, said._replace(left_out=[{"section": "Attainment", "reason": "no targets"}])) == "partial"
    )
    assert document.status(each, said._replace(page={"population": 0})) == "empty"
