"""The cover and the Monday report of the sample as workbook, slides and mail: their figures are the figures file's."""

import json
from itertools import chain

import pptx
import pytest
from conftest import ROOT
from test_exports import OFFICE, mail_of, pages, table

from salesops.engine import exports, plan, printed, run
from salesops.report import figure_key

NUMBERS = ("Value", "Low", "High", "Level", "n", "Numerator", "Denominator")
WEEKLY = ROOT / "parameters" / "weekly.yaml"
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Where each report's files lie."""
    out, wanted = tmp_path_factory.mktemp("pack"), exports.Wanted(xlsx=True, pptx=True, email=True)
    asked = {
        "executive_summary": plan.Request(root=ROOT, out=out, reports=("executive_summary",), wanted=wanted),
        "pipeline_review": plan.Request(root=ROOT, out=out / "weekly", parameters=WEEKLY, wanted=wanted),
    }
    said: list[str] = []
    for request in asked.values():
        assert run.run(request, said.append) == 0, said
    return {name: next(request.out.glob("[0-9]*")) / name for name, request in asked.items()}


@pytest.fixture(params=["executive_summary", "pipeline_review"])
def files(request, made):
    """A report's file by its ending."""
    return lambda ending: made[request.param].with_name(f"{request.param}{ending}")


@pytest.fixture
def document(files):
    return json.loads(files(".json").read_text(encoding="utf-8"))


def test_every_figure_of_the_workbook_is_the_figures_files(files, document):
    rows = {row["Key"].value: row for row in table(files(".xlsx"), "Figures")}
    known = {figure_key(figure): figure for figure in document["figures"]}
    assert set(rows) == set(known) and len(rows) > 30
    for key, figure in known.items():
        assert {head: rows[key][head].value for head in NUMBERS} == {head: figure[head.lower()] for head in NUMBERS}


def test_what_a_slide_draws_is_what_the_page_draws(files, document):
    slides = list(pptx.Presentation(files(".pptx")).slides)
    charts = [shape.chart for slide in slides for shape in slide.shapes if shape.has_chart]
    drawn = [list(series.values) for chart in charts for series in chart.plots[0].series]
    titles = {slide.shapes.title.text for slide in slides}
    findings = [each for each in document["findings"] if " ".join(each["title"].split()) in titles]
    assert drawn == [each["values"] for finding in findings for each in finding["series"]] and drawn
    known = {figure_key(figure): figure["value"] for figure in document["figures"]}
    for finding in findings:
        told = {known[key] for key in finding["figures"] if known.get(key) is not None}
        values = set(chain.from_iterable(each["values"] for each in finding["series"])) - {None}
        assert told and (told <= values or values <= told), finding["title"]


def test_the_mail_says_what_the_page_says(files, document):
    plain, html = (mail_of(files(".eml")).get_body((kind,)).get_content() for kind in ("plain", "html"))
    said = [*document["headlines"]]
    for tile in printed.tiles(files(".html").read_text(encoding="utf-8")):
        said += [tile.title, tile.value, *tile.notes]
    assert len(said) >= 3
    for text in said:
        assert text in plain and text in html.replace("\u00a0", " ").replace("&#39;", "'").replace("&amp;", "&")


@pytest.mark.skipif(
    OFFICE is None, reason="LibreOffice is not installed. Debian: libreoffice-calc, libreoffice-impress"
)
@pytest.mark.parametrize("ending", [".xlsx", ".pptx"])
def test_libreoffice_opens_it_and_prints_it(files, tmp_path, ending):
    assert pages(files(ending), tmp_path) >= 2
