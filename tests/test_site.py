"""The site over all dates: the newest of each report, its trends, and addresses that stay."""

import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from salesops import report
from salesops.checks import ParameterError
from salesops.engine import exchange, figures, index, links, publish
from salesops.engine.parameters import File
from salesops.report import tiles

DAYS = ("2026-03-31", "2026-06-30", "2026-09-30")
QUARTERS = dict(zip(DAYS, ("2026Q1", "2026Q2", "2026Q3"), strict=True))


def figure(value: float | None, period: str, **changes) -> dict:
    plain = dict.fromkeys(figures.KEYS) | {"metric": "win_rate", "statistic": "value", "by": {}, "unit": "rate"}
    return plain | {"value": value, "where": "", "period": {"label": period, "start": None, "end": None}} | changes


def publish_report(out: Path, day: str, name: str = "alpha", *, shown: list[dict] | None = None, **changes) -> Path:
    """Every file of a report, with a win rate of 20 % in the quarter that ends that day."""
    period = changes.pop("period", QUARTERS.get(day))
    shown = [figure(0.2, period)] if shown is None else shown
    title = changes.pop("title", index.title(name))
    document = {
        "schema": 1, "report": name, "run_id": "0" * 16, "as_of": day, "status": "ok",
        "period": {"label": period, "start": None, "end": None}, "parameters": {"source": "sample"},
        "headlines": [f"{name} on {day}.", "Second."], "figures": shown,
        "tiles": [report.figure_key(each) for each in shown], "currency": "USD",
    } | changes  # fmt: skip
    folder = out / day
    folder.mkdir(parents=True, exist_ok=True)
    for ending in publish.ORDER:
        (folder / f"{name}{ending}").write_text(f"{name} {day} {ending}")
    (folder / f"{name}.json").write_text(json.dumps(document))
    (folder / f"{name}.run.json").write_text(json.dumps({"title": title}))
    return folder


def fail_report(out: Path, day: str, name: str = "alpha") -> None:
    (out / day).mkdir(parents=True, exist_ok=True)
    (out / day / f"{name}.failed.html").write_text("what happened")


def write(out: Path, pack: File | None = None) -> BeautifulSoup:
    """The page over all dates, written anew."""
    with publish.staging(out) as staged:
        index.write(out, staged, pack=pack)
    return BeautifulSoup((out / "index.html").read_text(encoding="utf-8"), "html.parser")


def site(out: Path, **changes) -> BeautifulSoup:
    for day in DAYS:
        publish_report(out, day, **changes)
    return write(out)


def newest(page: BeautifulSoup) -> dict[str, BeautifulSoup]:
    """The articles of the newest reports by their heading."""
    return {article.h3.text: article for article in page.select("article")}


def page_of_all(out: Path) -> str:
    return BeautifulSoup((out / "index.html").read_text(encoding="utf-8"), "html.parser").text


def aims(out: Path) -> dict[str, str]:
    """Every page under a stable address, and where it leads."""
    found = [path for top in (links.LATEST, links.BY_PERIOD) for path in (out / top).rglob("*.html")]
    pages = [path for path in found if not path.name.endswith(".deals.html")]
    return {path.relative_to(out).as_posix(): path.resolve().relative_to(out.resolve()).as_posix() for path in pages}


def test_the_latest_address_leads_to_every_file_of_the_newest(tmp_path):
    page = site(tmp_path)
    for ending in publish.ORDER:
        link = tmp_path / "latest" / f"alpha{ending}"
        assert os.readlink(link) == f"../2026-09-30/alpha{ending}"
        assert link.read_bytes() == (tmp_path / "2026-09-30" / f"alpha{ending}").read_bytes()
    assert newest(page)["Alpha"].h3.a["href"] == "latest/alpha.html"
    assert not list(tmp_path.glob(".staging-*"))


def test_a_later_run_of_an_older_date_does_not_move_it_back(tmp_path):
    publish_report(tmp_path, "2026-09-30")
    write(tmp_path)
    publish_report(tmp_path, "2026-06-30")
    page = write(tmp_path)
    assert os.readlink(tmp_path / "latest" / "alpha.html") == "../2026-09-30/alpha.html"
    assert "alpha on 2026-09-30." in page.article.text


def test_a_report_that_the_newest_date_lacks_keeps_its_own_newest(tmp_path):
    site(tmp_path)
    publish_report(tmp_path, "2026-06-30", "beta")
    page = write(tmp_path)
    assert (tmp_path / "latest" / "beta.html").resolve().parent.name == "2026-06-30"
    assert "as of 30 June 2026" in newest(page)["Beta"].text


def test_all_addresses_of_a_folder_move_in_one_step(tmp_path, monkeypatch):
    publish_report(tmp_path, "2026-06-30", period="all")
    write(tmp_path)
    publish_report(tmp_path, "2026-09-30", period="all")
    moved = []

    def days(folder: Path) -> set[str]:
        return {path.resolve().parent.name for path in folder.iterdir()}

    def swap(one, other, swapped=exchange._exchange):
        before = days(other)
        swapped(one, other)
        moved.append((other.relative_to(tmp_path).as_posix(), before, days(other)))

    monkeypatch.setattr(exchange, "_exchange", swap)
    write(tmp_path)
    assert moved == [(each, {"2026-06-30"}, {"2026-09-30"}) for each in ("by-period/all", "latest")]
    assert len(list((tmp_path / "latest").iterdir())) == len(publish.ORDER)


def test_each_period_has_an_address_of_its_newest(tmp_path):
    site(tmp_path)
    publish_report(tmp_path, "2026-10-15", period="2026Q3")
    publish_report(tmp_path, "2026-10-15", "beta", period="2026-07-01/2026-09-30")
    publish_report(tmp_path, "2026-10-15", "gamma", period=None, shown=[])
    page = write(tmp_path)
    assert aims(tmp_path) == {
        "latest/alpha.html": "2026-10-15/alpha.html",
        "latest/beta.html": "2026-10-15/beta.html",
        "latest/gamma.html": "2026-10-15/gamma.html",
        "by-period/2026Q1/alpha.html": "2026-03-31/alpha.html",
        "by-period/2026Q2/alpha.html": "2026-06-30/alpha.html",
        "by-period/2026Q3/alpha.html": "2026-10-15/alpha.html",
        "by-period/2026-07-01-2026-09-30/beta.html": "2026-10-15/beta.html",
    }
    assert newest(page)["Alpha"].select_one(".so-note a")["href"] == "by-period/2026Q3/alpha.html"
    for link in page.select("a[href]:not([href^='#'])"):
        assert (tmp_path / link["href"]).exists(), link


@pytest.mark.parametrize("label", ["../../etc", "a b", "..", "", "2026-09-30", "x" * 300, "é", "con."])
def test_a_label_cannot_leave_its_folder_nor_take_a_dates_place(label):
    name = links.folder_name(label)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}", name)
    assert name not in {label, links.folder_name(f"{label}!")}


@pytest.mark.parametrize("can_link", [True, False])
def test_the_link_to_the_report_before_works_from_every_address(tmp_path, monkeypatch, can_link):
    if not can_link:
        monkeypatch.setattr(links.os, "symlink", no_links)
    site(tmp_path)
    page = '<a href="../2026-06-30/alpha.html">before</a> <a href="alpha.deals.html#x">deals</a>'
    (tmp_path / "2026-09-30" / "alpha.html").write_text(page)
    write(tmp_path)
    for address in ("2026-09-30", "latest", "by-period/2026Q3"):
        text = (tmp_path / address / "alpha.html").read_text()
        before, deals = re.findall('href="([^"#]+)', text)
        # as a browser reads it: by the names, whatever they are links to
        aim = Path(os.path.normpath(tmp_path / address / before))
        assert aim.read_text() == "alpha 2026-06-30 .html", address
        assert (tmp_path / address / deals).exists()


def test_what_no_report_stands_behind_is_removed_and_nothing_else(tmp_path):
    site(tmp_path)
    publish_report(tmp_path, "2026-09-30", "beta")
    write(tmp_path)
    (tmp_path / "latest" / "notes.html").write_text("mine")
    (tmp_path / "latest" / "mine").symlink_to(tmp_path)
    shutil.rmtree(tmp_path / "2026-09-30")
    kept = {path: path.read_bytes() for day in DAYS[:2] for path in (tmp_path / day).iterdir()}
    page = write(tmp_path)
    assert aims(tmp_path) == {
        "latest/notes.html": "latest/notes.html",
        "latest/alpha.html": "2026-06-30/alpha.html",
        "by-period/2026Q1/alpha.html": "2026-03-31/alpha.html",
        "by-period/2026Q2/alpha.html": "2026-06-30/alpha.html",
    }
    assert sorted(path.name for path in (tmp_path / "by-period").iterdir()) == ["2026-03-31", "2026Q1", "2026Q2"]
    assert os.path.lexists(tmp_path / "latest" / "mine")
    assert list(newest(page)) == ["Alpha"]
    assert {path: path.read_bytes() for path in kept if path.name != "index.html"} == {
        path: content for path, content in kept.items() if path.name != "index.html"
    }


def no_links(*_, **__):
    raise OSError(1, "Operation not permitted")


def test_without_symbolic_links_there_are_copies(tmp_path, monkeypatch):
    monkeypatch.setattr(links.os, "symlink", no_links)
    site(tmp_path)
    publish_report(tmp_path, "2026-09-30", "beta")
    write(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]
    assert (tmp_path / "latest" / "alpha.html").read_text() == "alpha 2026-09-30 .html"
    assert (tmp_path / "by-period" / "2026Q1" / "alpha.ipynb").read_text() == "alpha 2026-03-31 .ipynb"
    (tmp_path / "latest" / "notes.html").write_text("mine")
    written = (tmp_path / "by-period" / "2026Q1" / "alpha.html").stat().st_ino
    shutil.rmtree(tmp_path / "2026-09-30")
    write(tmp_path)
    assert (tmp_path / "latest" / "alpha.html").read_text() == "alpha 2026-06-30 .html"
    assert {path.name for path in (tmp_path / "latest").iterdir()} == {
        "notes.html", *(f"alpha{ending}" for ending in publish.ORDER)
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "by-period").iterdir()} == {"2026Q1", "2026Q2"}
    assert (tmp_path / "by-period" / "2026Q1" / "alpha.html").stat().st_ino == written


def test_copies_become_links_where_links_are_possible_again(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(links.os, "symlink", no_links)
        site(tmp_path)
    write(tmp_path)
    assert (tmp_path / "latest" / "alpha.html").is_symlink()
    assert (tmp_path / "by-period" / "2026Q1" / "alpha.html").is_symlink()


def test_something_in_the_way_is_said(tmp_path):
    publish_report(tmp_path, "2026-09-30")
    (tmp_path / "latest").write_text("mine")
    with pytest.raises(ParameterError, match=r"latest: cannot be written \(.+\)\. .* move what is in the way"):
        write(tmp_path)


def test_a_line_takes_three_dates(tmp_path):
    for day, value, count in zip(DAYS, (0.2, 0.4, 0.3), (2, 3, 4), strict=True):
        publish_report(tmp_path, day, shown=[figure(value, QUARTERS[day])])
        assert len(write(tmp_path).select("article svg")) == (count == 4)
    tile = write(tmp_path).select_one(".so-tile")
    assert [part.text for part in tile.find_all("p")] == ["Win rate", "30\N{NO-BREAK SPACE}%"]
    assert tile.svg.polyline["points"] == "4.0,24.0 60.0,4.0 116.0,14.0"
    assert tile.svg["aria-label"] == "3 dates, from 20 % to 30 %"


@pytest.mark.parametrize(
    "other",
    [
        {"where": "segment == 'SMB'"},
        {"by": {"segment": "SMB"}},
        {"metric": "won_count"},
        {"statistic": "mean"},
        {"unit": "points"},
        {"period": {"label": "2026", "start": None, "end": None}},
    ],
)
def test_a_line_joins_only_what_is_the_same_figure(tmp_path, other):
    publish_report(tmp_path, DAYS[0], shown=[figure(0.2, "2026Q1") | other])
    for day in DAYS[1:]:
        publish_report(tmp_path, day)
    assert not write(tmp_path).select("svg")


def test_a_line_joins_neither_currencies_nor_dates_without_the_value(tmp_path):
    for day, value in zip(DAYS, (1e6, None, 3e6), strict=True):
        publish_report(tmp_path, day, shown=[figure(value, QUARTERS[day], metric="won_amount", unit="amount")])
    assert not write(tmp_path).select("svg")
    publish_report(tmp_path, DAYS[1], shown=[figure(2e6, "2026Q2", metric="won_amount", unit="amount")])
    assert write(tmp_path).svg["aria-label"] == "3 dates, from $1.0M to $3.0M"
    other = [figure(2e6, "2026Q2", metric="won_amount", unit="amount")]
    publish_report(tmp_path, DAYS[1], shown=other, currency="EUR")
    assert not write(tmp_path).select("svg")


def test_a_tile_is_written_in_its_report_s_locale(tmp_path):
    for number, day in enumerate(DAYS, start=1):
        shown = [figure(1e5 * number, QUARTERS[day], metric="won_amount", unit="amount")]
        publish_report(tmp_path, day, shown=shown, currency="EUR", locale="de")
    page = write(tmp_path)
    assert page.svg["aria-label"] == "3 dates, from 100K € to 300K €"
    assert page.select_one(".so-tile-value").text.replace("\u00a0", " ") == "300K €"


def test_figures_alike_but_for_the_period_keep_their_own_lines(tmp_path):
    for number, day in enumerate(DAYS):
        pair = [figure(0.1 * number, QUARTERS[day]), figure(0.5, f"202{number}Q4")]
        publish_report(tmp_path, day, shown=pair)
    page = write(tmp_path)
    assert [svg["aria-label"] for svg in page.select("svg")] == [
        "3 dates, from 0 % to 20 %",
        "3 dates, from 50 % to 50 %",
    ]
    assert [title.text for title in page.select(".so-tile-title")] == ["Win rate", "Win rate, 2022Q4"]


def test_at_most_four_tiles_with_their_own_titles(tmp_path):
    shown = [figure(0.1 * number, "2026Q3", by={"segment": f"S{number}"}) for number in range(5)]
    titles = {report.figure_key(shown[1]): "Won of <all>"}
    page = write(publish_report(tmp_path, DAYS[2], shown=shown, tile_titles=titles).parent)
    assert [title.text for title in page.select(".so-tile-title")] == [
        "Win rate, Segment S0", "Won of <all>", "Win rate, Segment S2", "Win rate, Segment S3"
    ]  # fmt: skip


def test_a_figures_file_that_names_no_tiles_has_none(tmp_path):
    folder = publish_report(tmp_path, DAYS[2])
    document = json.loads((folder / "alpha.json").read_text())
    del document["tiles"], document["currency"]
    (folder / "alpha.json").write_text(json.dumps(document))
    page = write(tmp_path)
    assert page.article and not page.select(".so-tile")


def test_a_failure_after_the_newest_is_its_status(tmp_path):
    site(tmp_path)
    fail_report(tmp_path, "2026-10-15")
    shown = newest(write(tmp_path))["Alpha"]
    assert "as of 30 September 2026 · last run failed" in shown.text
    assert "(last run failed)" not in page_of_all(tmp_path)
    fail_report(tmp_path, "2026-09-30")
    write(tmp_path)
    assert page_of_all(tmp_path).count("Alpha (last run failed)") == 1
    assert [link["href"] for link in shown.select("a")] == [
        "latest/alpha.html",
        "by-period/2026Q3/alpha.html",
        "2026-10-15/alpha.failed.html",
    ]
    assert "The report linked here is the last good one." in shown.text


def test_a_failure_of_the_same_date_is_shown_and_an_older_one_is_not(tmp_path):
    site(tmp_path)
    fail_report(tmp_path, "2026-09-30")
    assert "last run failed" in newest(write(tmp_path))["Alpha"].text
    (tmp_path / "2026-09-30" / "alpha.failed.html").unlink()
    fail_report(tmp_path, "2026-06-30")
    assert "complete" in newest(write(tmp_path))["Alpha"].text
    assert "failed" not in newest(write(tmp_path))["Alpha"].text


def test_a_report_that_only_ever_failed_has_no_address(tmp_path):
    fail_report(tmp_path, "2026-09-30", "beta")
    shown = newest(write(tmp_path))["Beta"]
    assert shown.h3.a is None
    assert "as of 30 September 2026 · last run failed" in shown.text
    assert "last good one" not in shown.text
    assert aims(tmp_path) == {}


@pytest.mark.parametrize(
    ("status", "said"), [("ok", "complete"), ("partial", "partial: a section"), ("empty", "nothing to report")]
)
def test_the_status_is_said(tmp_path, status, said):
    publish_report(tmp_path, "2026-09-30", status=status)
    assert said in newest(write(tmp_path))["Alpha"].select_one(".so-note").text


def test_variants_stand_under_their_report(tmp_path):
    for name in ("alpha", "alpha.emea", "beta.apac"):
        publish_report(tmp_path, "2026-09-30", name)
    fail_report(tmp_path, "2026-09-30", "alpha.amer")
    page = write(tmp_path)
    assert list(newest(page)) == ["Alpha", "Beta – apac"]
    [amer, emea] = newest(page)["Alpha"].find_all("li", class_=lambda name: name is None)
    assert emea.a["href"] == "latest/alpha.emea.html"
    assert amer.a["href"] == "2026-09-30/alpha.amer.failed.html"
    of_day = BeautifulSoup((tmp_path / "2026-09-30" / "index.html").read_text(), "html.parser")
    assert [(head.name, head.text) for head in of_day.select("h2, h3")] == [
        ("h2", "Alpha"), ("h3", "Alpha – amer"), ("h3", "Alpha – emea"), ("h2", "Beta – apac")
    ]  # fmt: skip


def test_sources_are_kept_apart_and_the_newest_has_the_addresses(tmp_path):
    for day in DAYS[:2]:
        publish_report(tmp_path, day, parameters={"source": "old <crm>"})
    publish_report(tmp_path, DAYS[2])
    publish_report(tmp_path, DAYS[1], "beta", parameters={"source": "old <crm>"})
    page = write(tmp_path)
    assert [head.text for head in page.select("h2")] == ["Latest from sample", "Latest from old <crm>", "All dates"]
    assert "lead to its reports alone" in page.text
    assert not page.select("svg")
    assert aims(tmp_path) == {
        "latest/alpha.html": "2026-09-30/alpha.html",
        "by-period/2026Q3/alpha.html": "2026-09-30/alpha.html",
    }
    assert [article.h3.a["href"] for article in page.select("article")] == [
        "latest/alpha.html",
        "2026-06-30/alpha.html",
        "2026-06-30/beta.html",
    ]


def test_two_runs_are_the_same_bytes_and_move_nothing(tmp_path):
    def all_of() -> dict:
        return {
            path: (os.readlink(path), path.lstat().st_mtime_ns) if path.is_symlink() else path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_symlink() or path.is_file()
        }

    site(tmp_path)
    before = all_of()
    write(tmp_path)
    assert all_of() == before
    again = tmp_path / "again"
    for day in reversed(DAYS):
        publish_report(again, day)
        write(again)
    assert (again / "index.html").read_bytes() == (tmp_path / "index.html").read_bytes()
    links_of = [{path: aim for path, aim in aims(out).items()} for out in (tmp_path, again)]
    assert links_of[0] == links_of[1]


def test_both_pages_meet_the_standard_of_a_page(tmp_path):
    site(tmp_path, title="<script>alert(1)</script>", headlines=["<b>One</b> & two, 24 % of them."])
    publish_report(tmp_path, DAYS[2], "alpha.emea")
    fail_report(tmp_path, DAYS[2], "beta")
    write(tmp_path)
    for path in (tmp_path / "index.html", tmp_path / DAYS[2] / "index.html"):
        text = path.read_text(encoding="utf-8")
        assert report.faults(text) == []
        assert "<script" not in text and "&lt;b&gt;One&lt;/b&gt; &amp; two, 24&nbsp;% of them." in text


NAMES = [
    "activity",
    "bookings_ahead",
    "data_quality",
    "forecast",
    "funnel",
    "leads",
    "rep_performance",
    "waterfall",
    "win_loss",
]


def weeks(n: int) -> list[str]:
    """So many Wednesdays, the newest first."""
    return [f"{day:%Y-%m-%d}" for day in pd.date_range(end="2026-09-30", periods=n, freq="7D")[::-1]]


def test_a_hundred_dates_of_nine_reports_stay_small_and_in_reach(tmp_path):
    days = weeks(100)
    for number, day in enumerate(days):
        shown = [figure(0.01 * (number % 40), "2026Q3", by={"segment": f"S{each}"}) for each in range(4)]
        for name in NAMES:
            publish_report(
                tmp_path, day, name, period="2026Q3", shown=shown, headlines=["A sentence of a usual length. " * 4]
            )
    page = write(tmp_path)
    assert (tmp_path / "index.html").stat().st_size < 120_000
    assert (tmp_path / days[0] / "index.html").stat().st_size < 40_000
    assert len(newest(page)) == 9 and len(page.select("article svg")) == 36
    assert {svg["aria-label"].split(",")[0] for svg in page.select("svg")} == {"24 dates"}
    assert [fold.summary.text for fold in page.select("details")] == [
        "2026: 38 dates, 342 reports", "2025: 53 dates, 477 reports", "2024: 8 dates, 72 reports"
    ]  # fmt: skip
    assert not page.select("details[open]")
    newest_date = page.find("h2", string="All dates").find_next("h3")
    assert newest_date.find_next("p").a["href"] == f"{days[0]}/activity.html"
    linked = {link["href"] for link in page.select("a[href]")}
    assert {f"{day}/{name}.html" for day in days for name in NAMES} <= linked


def test_older_dates_than_that_lead_to_their_own_page(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "_LINKS", 20)
    days = weeks(12)
    for day in days:
        for name in NAMES:
            publish_report(tmp_path, day, name, period="2026Q3")
    linked = {link["href"] for link in write(tmp_path).select("a[href]")}
    assert {f"{day}/index.html" for day in days} <= linked
    assert {f"{day}/leads.html" for day in days} & linked == {f"{day}/leads.html" for day in days[:3]}
    assert "9 reports" in page_of_all(tmp_path)


def test_few_earlier_dates_lie_open(tmp_path):
    assert len(site(tmp_path).select("details[open]")) == 1


def test_nothing_published_is_said(tmp_path):
    assert "Nothing is published yet." in write(tmp_path).text
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_tiles_are_known_by_key_and_title_in_their_order():
    row = {"n": [9], "won_count": [3], "win_rate": [1 / 3]}
    before = pd.DataFrame({"n": [8], "won_count": [2], "win_rate": [0.25]})
    block = tiles.tiles(
        [
            tiles.tile("Won of closed", pd.DataFrame(row), "win_rate", prior=before),
            tiles.tile("Deals won", pd.DataFrame(row), "won_count"),
        ]
    )
    data, metadata = block._repr_mimebundle_()
    outputs = [
        nbformat.v4.new_output("display_data", data=data, metadata=json.loads(json.dumps(metadata))),
        nbformat.v4.new_output(
            "display_data", data={}, metadata={"salesops": {"kind": "table", "figures": [figure(0.3, "2026Q1")]}}
        ),
    ]
    said = figures.collect(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)]))
    assert list(said.tiles.items()) == [("win_rate", "Won of closed"), ("won_count", "Deals won")]
    assert len(said.figures) == 4


PACK = File("quarterly.yaml", ["gamma", "alpha", "cover"], {}, {}, cover="cover")


def test_reports_stand_in_the_order_of_the_pack_and_its_cover_first_and_apart(tmp_path):
    for name in ("alpha", "beta", "cover", "gamma", "gamma.emea", "alone.emea"):
        publish_report(tmp_path, DAYS[-1], name, headlines=[f"{name} one.", "Two.", "Three.", "Four."])
    page = write(tmp_path, PACK)
    of_day = BeautifulSoup((tmp_path / DAYS[-1] / "index.html").read_text(encoding="utf-8"), "html.parser")
    wanted = ["Cover", "Gamma", "Alpha", "Alone – emea", "Beta"]
    assert [each.text for each in page.select("article h3")] == wanted
    assert [each.text for each in of_day.select("main section h2")] == wanted
    assert [each.h3.text for each in page.select(".so-cover")] == ["Cover"]
    assert [each.h2.text for each in of_day.select(".so-cover")] == ["Cover"]
    first, second = page.select("article")[:2]
    assert "Three." in first.text and "Four." not in first.text and "Two." not in second.text


def test_without_a_pack_reports_stand_by_name_and_none_apart(tmp_path):
    for name in ("beta", "alpha"):
        publish_report(tmp_path, DAYS[-1], name)
    page = write(tmp_path)
    assert [each.text for each in page.select("article h3")] == ["Alpha", "Beta"] and not page.select(".so-cover")
