"""Numbers as the source's locale writes them: on the page, in its charts, in the gate, in the index; never in a CSV."""

import ast
import html
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import crm_folder
import nbformat
import pandas as pd
import pytest
import report_toys as toys
from conftest import ROOT

from salesops import checks, crm, report, words
from salesops.crm import handed, snapshots, source
from salesops.engine import document, execute, run
from salesops.report import agreement, markup


@pytest.fixture(autouse=True)
def english_again():
    with words.written_in("en"):
        yield


@pytest.fixture
def german():
    with words.written_in("de"):
        yield


def money() -> pd.DataFrame:
    return pd.DataFrame({
        "segment": ["SMB", "Public"], "n": [1234, 1200], "won_amount": [1234567.0, 999.5], "win_rate": [0.004, 0.5],
        "win_rate_low": [0.001, 0.48], "win_rate_high": [0.009, 0.52],
    })  # fmt: skip


def shown(text: str) -> str:
    return html.unescape(text).replace("\u00a0", " ")


def test_a_source_says_its_locale_and_every_load_sets_it(tmp_path):
    ours = crm_folder.write(tmp_path / "ours", yaml="{currency: EUR, locale: de}")
    assert crm.load(ours).locale == "de" and words.amount(1234.0, "EUR") == "1.234 €"
    assert crm.load(crm_folder.write(tmp_path / "theirs", yaml="currency: EUR")).locale == "en"
    assert words.amount(1234.0, "EUR") == "€1,234"


def test_a_company_handed_over_sets_its_locale_too(monkeypatch):
    monkeypatch.setattr(handed, "found", lambda _: SimpleNamespace(locale="de"))
    crm.load("ours")
    assert words.decimal_marks() == (",", ".")


def test_a_locale_that_is_not_known_is_refused_by_name():
    with pytest.raises(checks.DataError, match=re.escape("ours.yaml: locale must be one of en, de; found 'fr'.")):
        source.from_mapping({"locale": "fr"}, label="ours", where="ours.yaml")


@pytest.mark.usefixtures("german", "vocabulary")
def test_a_table_follows_the_locale_and_its_csv_does_not():
    rows = pd.concat([money()] * 7, ignore_index=True).assign(row=[f"r{number}" for number in range(14)])
    block = toys.page(currency="EUR").table(rows, caption="t")
    said = shown(block.text)
    assert "1.234.567 €" in said and "1.234" in said and "0,4 % [0,1–0,9]" in said
    assert not re.search(r"\d,\d{3}|\d\.\d(?!\d\d)", said)
    csv = unquote(re.search(r'href="data:text/csv;charset=utf-8,([^"]*)"', block.html)[1])
    assert "1234567.0" in csv and "0.004" in csv and not re.search(r"\d,\d\d\d\b|€", csv.replace(",", ", "))


@pytest.mark.usefixtures("german", "vocabulary")
def test_a_chart_s_axis_labels_words_and_data_follow_the_locale():
    block = toys.page(currency="EUR").chart.bars(money(), value="won_amount", by="segment", title="t")
    labels = toys.texts(block)
    assert {"1,2M €", "1,0K €", "500K €", "n 1.234"} <= set(labels)
    assert "SMB 1,2M €" in toys.alt(block) and "1.234.567 €" in shown(block.text)
    assert "n 2.434" in shown(block.text)


@pytest.mark.usefixtures("german", "vocabulary")
def test_a_tile_follows_the_locale_and_money_does_not_break_from_its_currency():
    first = money().head(1).assign(won_amount_low=1e6, won_amount_high=1.5e6)
    block = toys.page(currency="EUR").tiles([
        report.tile("Won", first, "won_amount", trend=pd.Series([1.5e6, 1.1e6, 1.2e6])),
    ])  # fmt: skip
    assert "1,2M&nbsp;€" in block.html and "likely between 1,0M € and 1,5M €, n 1.234" in shown(block.text)
    assert "3 periods, from 1,5M € to 1,2M €" in shown(block.html)
    assert markup.text("950 CHF or 3 €uros") == "950 CHF or 3 €uros"


@pytest.mark.parametrize(
    ("sentence", "lost"),
    [
        ("Won: 1,2M € of 1.234 deals, 0,4 % (likely between 0,1 % and 0,9 %).", []),
        ("Won: 1.234.567 € by 30 September 2026 in 2026Q3.", []),
        ("One of 36 is outside the 99,8 % limits.", ["36"]),
        ("Won: 1,3M € of 1.235 deals.", ["1,3M €", "1.235"]),
        ("Won: 1.2M € of 1,234 deals.", ["1", "1,234"]),  # written in English
    ],
)
@pytest.mark.usefixtures("german")
def test_the_gate_reads_the_numbers_of_the_locale(sentence, lost):
    figures = [
        {"value": 1234567.0, "unit": "amount", "n": 1234},
        {"value": 0.004, "low": 0.001, "high": 0.009, "unit": "rate"},
    ]
    assert agreement.untraced(sentence, figures, currency="EUR") == lost


@pytest.mark.usefixtures("german")
def test_money_after_which_a_code_stands_is_one_number_and_other_words_are_not():
    figures = [{"value": 950.0, "unit": "amount", "n": 34}]
    assert agreement.untraced("950 CHF in 34 CRM exports.", figures, currency="CHF") == []
    assert agreement.untraced("951 CHF in 34 CRM exports.", figures, currency="CHF") == ["951 CHF"]


@pytest.mark.usefixtures("german")
def test_a_wrong_direction_is_found_in_the_locale():
    assert agreement.contradictions("The rate rose 0,5 points (1,0 % to 0,5 %).")
    assert not agreement.contradictions("The rate fell 0,5 points (1,0 % to 0,5 %).")


def test_a_report_is_made_in_its_company_s_locale(tmp_path, monkeypatch):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "toy.ipynb")
    job = SimpleNamespace(name="toy", notebook=tmp_path / "toy.ipynb")
    each = SimpleNamespace(job=job, as_of="2026-09-30", company=SimpleNamespace(locale="de"), folder=Path())
    seen = []
    monkeypatch.setattr(run.unchanged, "ingredients", lambda *_: {})
    monkeypatch.setattr(run, "_executed", lambda *_: execute.Execution(nbformat.v4.new_notebook()))
    monkeypatch.setattr(document, "write", lambda *_, **__: seen.append(words.count(1234)) or "ok")
    monkeypatch.setattr(run.publish, "into_place", lambda *_, **__: None)
    assert run.make(each, tmp_path, tmp_path, place=tmp_path).status == "ok"
    assert seen == ["1.234"] and words.count(1234) == "1,234"


@pytest.mark.usefixtures("german")
def test_days_are_written_alike_everywhere():
    assert (
        words.day(date(2026, 9, 30)) == "30 September 2026" and words.group(pd.Timestamp("2026-07-01")) == "2026-07-01"
    )


PACKAGE = ROOT / "salesops"
NOT_READ = {"words.py", "gate.py", "contrast.py", "tiles.py"}  # the one place; messages; coordinates of a line


def formats(tree: ast.AST) -> list[str]:
    """Format specifications with a mark of decimals or thousands, but for those of errors."""
    if isinstance(tree, ast.Raise):
        return []
    own = [ast.unparse(tree.format_spec)] if isinstance(tree, ast.FormattedValue) and tree.format_spec else []
    found = [spec for spec in own if re.search(r",|\.[1-9]f|\d%", spec)]
    return [*found, *(spec for child in ast.iter_child_nodes(tree) for spec in formats(child))]


@pytest.mark.parametrize(
    "path",
    [path for path in [*PACKAGE.glob("*.py"), *(PACKAGE / "report").glob("*.py")] if path.name not in NOT_READ],
    ids=lambda path: path.name,
)
def test_a_number_with_marks_becomes_text_in_one_place(path):
    assert not formats(ast.parse(path.read_text(encoding="utf-8")))


def test_a_mark_anywhere_else_is_found():
    assert formats(ast.parse("f'{n:,} deals, {x:.1f}'")) and not formats(ast.parse("f'{n:.0f} {n}'"))
    assert not formats(ast.parse("raise ValueError(f'{n:,} rows')"))


def test_a_dated_copy_keeps_the_locale_of_its_source():
    assert "locale: de\n" in snapshots._described(source.Source(label="ours", locale="de"))
    assert "locale" not in snapshots._described(source.Source(label="ours"))
