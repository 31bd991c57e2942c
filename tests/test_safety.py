"""Nothing from the data is ever more than text, nothing secret is ever shown, nothing is written outside its folder."""

import ast
import csv
import io
import json
import re
import shutil
import zlib
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import engine_toys
import nbformat
import openpyxl
import pytest
import yaml
from bs4 import BeautifulSoup
from hostile import EVIL, downloads, inert
from hypothesis import given
from hypothesis import strategies as st

from salesops import cli, crm, handwritten, plain_yaml
from salesops.checks import DataError, ParameterError
from salesops.crm import shapes
from salesops.crm import source as sources
from salesops.engine import (
    catalog,
    execute,
    exports,
    failures,
    links,
    parameters,
    plan,
    run,
    schedules,
    schema,
    scrub,
)
from salesops.engine.parameters import read_file

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
TEXTS = (
    "name",
    "segment",
    "region",
    "stage",
    "owner_id",
    "loss_reason",
    "next_step",
    "competitor",
    "lead_source",
    "record_url",
)
PARAMETERS = """from datetime import date
source: str = "sample"  # where from
as_of: date | None = None  # last day
period: str = "last_quarter"  # which
where: str = ""  # which deals
title: str = "Toy"  # words of a person
"""
CELLS = (
    """from salesops import crm, pipeline, report, win_loss
company = crm.load(source, as_of=as_of, where=where)
window, deals = company.period(period), company.opportunities
closed = pipeline.closed_in(deals, window)
rates, whole = win_loss.win_rate(closed, by="segment"), win_loss.win_rate(closed)
page = report.Page(title, company, period=window, report="toy")
page""",
    "page.headline([title], of=[whole])",
    'page.tiles([report.tile(title, whole, "win_rate", deals=closed)])',
    'page.chart.rate_dots(rates, rate="win_rate", by="segment", title=title)',
    'page.chart.bars(rates, value="n", by="segment", title=str(rates["segment"].iloc[0]))',
    "## Appendix: every text",
    'page.table(rates, caption=title, deals=closed, limit=40)',
    f'page.table(deals[["opportunity_id", {", ".join(repr(name) for name in TEXTS)}, "amount"]].head(30), caption="Deals", limit=40)',
    "page.definitions(win_loss.win_rate)",
    "page.exclusions()",
    'page.method("Words.")',
)  # fmt: skip
TITLE = '<script>window.hacked=1</script> & "quoted" =1+1 ../.. 🦊 \u202eabc'


def exported(folder: Path) -> Path:
    """A source with a hostile text in every column of text, twice: won and lost."""
    folder.mkdir(parents=True)
    rows = [
        [
            f"{text[:200]}{number}{outcome}",
            *[text] * len(TEXTS),
            100 + number,
            "2026-07-02",
            f"2026-09-{1 + number:02d}",
            outcome,
        ]
        for outcome in ("won", "lost")
        for number, text in enumerate(EVIL)
    ]
    header = ["opportunity_id", *TEXTS, "amount", "created_date", "close_date", "outcome"]
    with (folder / "opportunities.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    with (folder / "reps.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["owner_id", "name", "team", "region"], *[[text] * 4 for text in EVIL]])
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """The folder of a published report of the hostile source, with a workbook, slides and mails."""
    root = tmp_path_factory.mktemp("hostile")
    source = exported(root / "exports")
    engine_toys.notebook(root / "notebooks" / "toy.ipynb", PARAMETERS, CELLS, heading="What happened.")
    wanted = exports.Wanted(xlsx=True, pptx=True, email=True, owner="o@example.com", readers=("r@example.com",))
    told: list[str] = []
    assignments = (f"source={source}", "as_of=2026-09-30", f"title={TITLE}")
    request = plan.Request(root=root, out=root / "out", assignments=assignments, wanted=wanted)
    assert run.run(request, told.append) == 0, told
    return root / "out" / "2026-09-30"


def shown(text: str) -> str:
    """A text as a page shows it: blanks are one blank, a long one is cut."""
    return " ".join(text[:400].split())


def test_every_page_shows_hostile_texts_as_texts(hostile):
    page = inert((hostile / "toy.html").read_text(encoding="utf-8"))
    text = " ".join(page.get_text().split())
    assert [evil for evil in EVIL if shown(evil) not in text] == []
    assert shown(TITLE) in text and "window.hacked" not in page.title.get_text().replace(TITLE, "")
    for path in [hostile / "toy.deals.html", hostile / "index.html", hostile.parent / "index.html"]:
        inert(path.read_text(encoding="utf-8"))
    listed = " ".join(
        BeautifulSoup((hostile / "toy.deals.html").read_text(encoding="utf-8"), "html.parser").get_text().split()
    )
    assert [evil for evil in EVIL if shown(evil) not in listed] == []


def test_the_notebook_holds_texts_alone(hostile):
    book = nbformat.read(hostile / "toy.ipynb", as_version=4)
    for cell in book.cells:
        for output in cell.get("outputs", []):
            inert(output.get("data", {}).get("text/html", ""))
            assert "application/javascript" not in output.get("data", {})
    (given,) = [cell.source for cell in book.cells if "injected-parameters" in cell.metadata.get("tags", [])]
    values = {node.targets[0].id: node.value for node in ast.parse(given).body if isinstance(node, ast.Assign)}
    assert ast.literal_eval(values["title"]) == TITLE  # one text, whatever stands in it


def test_csv_files_hold_no_formula(hostile):
    page = BeautifulSoup((hostile / "toy.html").read_text(encoding="utf-8"), "html.parser")
    files = downloads(page)
    cells = [cell for text in files for row in csv.reader(io.StringIO(text)) for cell in row]
    assert len(files) >= 2 and sum("HYPERLINK" in cell for cell in cells) >= 2
    risky = [cell for cell in cells if cell[:1] in ("=", "+", "@", "\t", "\r") or re.match(r"-[^\d.]|-\d+[+*/-]", cell)]
    assert risky == []


def test_a_workbook_holds_no_formula(hostile):
    book = openpyxl.load_workbook(hostile / "toy.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert [cell.value for cell in cells if cell.data_type == "f"] == []
    assert any("HYPERLINK" in str(cell.value) for cell in cells)
    assert [
        cell.hyperlink.target for cell in cells if cell.hyperlink and "javascript" in (cell.hyperlink.target or "")
    ] == []


def test_mails_hold_texts_alone_and_no_header_of_the_data(hostile):
    for name in ("toy.eml", "toy.owner.eml"):
        message = message_from_bytes((hostile / name).read_bytes(), policy=default)
        assert set(message.keys()) <= {"Subject", "To", "X-Unsent", "MIME-Version", "Content-Type"}
        html = message.get_body(("html",)).get_content()
        inert(html)
        assert "🦊" in message["Subject"] or "🦊" in html


def test_files_have_plain_names(hostile):
    names = [path.name for path in hostile.parent.rglob("*")]
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9._-]+", name)] == []


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: no page was opened")
def test_a_browser_shows_texts_and_runs_none(hostile):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        dialogs, asked = [], []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        for name in ("toy.html", "toy.deals.html", "index.html"):
            page.goto((hostile / name).as_uri())
            page.wait_for_timeout(200)
            assert page.evaluate("window.hacked") is None
            assert (
                page.evaluate("document.querySelectorAll('[onerror],[onload],[onclick],svg[onload],img[src=x]').length")
                == 0
            )
            text = " ".join(page.evaluate("document.body.textContent").split())
            assert EVIL[0] in text, name
        assert dialogs == [] and [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        browser.close()


# ---- nothing outside the folder


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A repository in a folder of its own, whose runs need no kernel."""
    folder = tmp_path / "repo"
    engine_toys.notebook(folder / "notebooks" / "toy.ipynb")
    (folder / "parameters").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(execute, "execute", engine_toys.without_kernel)
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_no_value_of_the_data_leads_out_of_the_folder(root, tmp_path, monkeypatch):
    def evil(source="sample", *, as_of=None, where="", **_):
        company = engine_toys.company(source, as_of=as_of)
        deals = company.opportunities.iloc[[0] * len(EVIL)].assign(segment=[text[:300] for text in EVIL])
        company.opportunities = deals.iloc[:1] if "segment ==" in where else deals
        company.source = "../../outside"
        return company

    monkeypatch.setattr(crm, "load", evil)
    before = files(tmp_path)
    request = plan.Request(root=root, out=root / "out", for_each="segment")
    run.run(request, lambda _: None)
    new = files(tmp_path) - before
    assert len([name for name in new if name.endswith(".html")]) > len(EVIL)
    assert {name for name in new if not name.startswith("repo/out")} == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "period=../../x"], ["-p", "as_of=../../x"], ["-p", "toy/../../x.level=1"], ["../../toy"], ["/etc/passwd"],
        ["--for-each", "../../x"], ["--for-each", "segment=../../x"], ["--schedule", "../../x"],
    ],
)  # fmt: skip
@pytest.mark.usefixtures("root")
def test_no_parameter_leads_out_of_the_folder(tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(crm, "load", engine_toys.company)
    before = files(tmp_path)
    assert cli.main(["run", "--out", "out", *arguments]) in (1, 2)
    assert {name for name in files(tmp_path) - before if not name.startswith("repo/out")} == set()


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "..", "a/b", "a\\b", "", "toy.failed", "a\0b", "-rf", ".hidden"]
)
def test_no_name_in_a_file_leads_out_of_the_folder(root, name):
    (root / "parameters" / "pack.yaml").write_text(f"reports: [{json.dumps(name)}]\n", encoding="utf-8")
    with pytest.raises(ParameterError):
        plan.jobs(plan.Request(root=root, parameters=root / "parameters" / "pack.yaml"))
    with pytest.raises(ParameterError):
        catalog.checked(name)


@given(st.text(max_size=60))
def test_names_made_of_data_are_plain_names(text):
    [part] = plan.part_names("win_loss", [text])
    assert re.fullmatch(r"win_loss\.[A-Za-z0-9_-]+", part) and catalog.checked(part) == part
    folder = links.folder_name(text)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", folder)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", failures.name(plan.Request(schedule=text, reports=(text,))))


@given(st.lists(st.text(max_size=8), min_size=2, max_size=6, unique=True))
def test_names_made_of_data_are_distinct_on_any_file_system(texts):
    names = [name.casefold() for name in plan.part_names("win_loss", texts)]
    assert len(set(names)) == len(texts)


def test_every_link_a_run_makes_stays_in_the_folder(root, monkeypatch):
    monkeypatch.setattr(crm, "load", engine_toys.company)
    assert cli.main(["run", "--out", "out", "--for-each", "segment"]) == 0
    made = [path for path in (root / "out").rglob("*") if path.is_symlink()]
    assert made and all(path.resolve().is_relative_to((root / "out").resolve()) for path in made)


# ---- YAML

OBJECT = "!!python/object/apply:os.system ['touch loaded']"


def test_no_yaml_file_loads_an_object(root, monkeypatch):
    monkeypatch.setattr(crm, "load", engine_toys.company)
    for name, read in {
        "parameters/x.yaml": read_file,
        "notes/toy.yaml": lambda path: handwritten.read(path, {}, noun="note"),
        "source.yaml": sources.read,
        "parameters/schedules.yaml": lambda _: schedules.read(root),
    }.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"a: {OBJECT}\n", encoding="utf-8")
        with pytest.raises((ParameterError, DataError), match=r"tag|python"):
            read(path)
        path.unlink()
    with pytest.raises(ValueError, match="tag"):
        plain_yaml.read(OBJECT)
    with pytest.raises(ParameterError):
        cli_params = parameters.read_assignments([f"by={OBJECT}"], ["toy"])[0]
        parameters.resolve(
            "toy", schema.read(root / "notebooks" / "toy.ipynb"), [parameters.Layer("-p", {"mode": cli_params["by"]})]
        )
    assert not (root / "loaded").exists()


def test_the_package_loads_yaml_by_these_doors_alone():
    package = Path(plain_yaml.__file__).parent
    unsafe = re.compile(
        r"yaml\.(unsafe_load|full_load|load_all|load\((?!.*Loader=_Texts\)))|pickle\.load|marshal\.load|shelve\."
    )
    found = {path.name for path in package.rglob("*.py") if unsafe.search(path.read_text(encoding="utf-8"))}
    assert found == {"handed.py"}  # what a run wrote itself, in a folder that nobody else may open
    assert issubclass(shapes._Texts, (yaml.BaseLoader, yaml.SafeLoader))


# ---- secrets


@pytest.mark.parametrize(
    "name", ["password", "db_password", "token", "apiToken", "api_key", "APIKEY", "client_secret", "credentials", "passphrase", "access_key", "db_pwd"]
)  # fmt: skip
def test_a_parameter_that_looks_secret_is_refused_and_its_value_not_repeated(root, name):
    with pytest.raises(ParameterError, match="looks like a secret"):
        schema.from_cell(f'{name}: str = ""', "toy.ipynb")
    for text in (f"{name}=hunter2-value", f"toy.{name}=hunter2-value"):
        with pytest.raises(ParameterError) as caught:
            parameters.read_assignments([text], ["toy"])
        assert "looks like a secret" in str(caught.value) and "hunter2" not in str(caught.value)
    (root / "parameters" / "quarterly.yaml").write_text(f"parameters: {{{name}: hunter2-value}}\n", encoding="utf-8")
    with pytest.raises(ParameterError) as caught:
        plan.jobs(plan.Request(root=root))
    assert "looks like a secret" in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["by", "period", "names", "keyword", "landmark_at", "passed", "key_account"])
def test_other_names_are_no_secrets(name):
    assert [*schema.from_cell(f'{name}: str = ""', "toy.ipynb")] == [name]


PLANTED = {
    "SALESOPS_PEOPLE_KEY": "planted-key-of-codes-0001",
    "SALES_DB": "sqlite:///planted.db?password=planted-in-address-0002",
    "OTHER_DB": "postgresql://ann:planted-pass-0003@db.example/sales",
    "SALESOPS_TOKEN": 'planted "token" <0004> \\ é',
}
LEAK = f"""import os
mine = [os.environ[name] for name in {list(PLANTED)!r}]
if mode == "crash":
    raise ValueError("cannot reach " + " ".join(mine))
"""
SECRETS = ["planted-key-of-codes-0001", "planted-in-address-0002", "planted-pass-0003", "<0004>", "&lt;0004&gt;"]


def bytes_with_secrets(folder: Path) -> list[str]:
    """Files in which a planted secret stands, packed ones unpacked."""
    found = []
    for path in [each for each in folder.rglob("*") if each.is_file()]:
        raw = path.read_bytes()
        packed = [zlib.decompressobj(31).decompress(raw)] if raw[:2] == b"\x1f\x8b" else []
        if any(secret.encode() in part for part in [raw, *packed] for secret in SECRETS):
            found.append(path.name)
    return found


@pytest.fixture
def planted(tmp_path, monkeypatch):
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(crm, "load", engine_toys.company)
    folder = tmp_path / "repo"
    engine_toys.notebook(folder / "notebooks" / "toy.ipynb", cells=(LEAK, engine_toys.SAY))
    monkeypatch.chdir(folder)
    return folder


def test_a_secret_in_the_environment_is_in_no_byte_of_what_a_run_leaves(planted, capfd):
    assert cli.main(["run", "--email", "--xlsx"]) == 0
    assert cli.main(["run", "--email", "--traceback", "-p", "mode=crash"]) == 1
    said = "".join(capfd.readouterr())
    assert "ValueError: cannot reach ***" in said
    assert [secret for secret in SECRETS if secret in said] == []
    assert (planted / "reports" / "2026-09-30" / "toy.failed.owner.eml").is_file()
    assert bytes_with_secrets(planted / "reports") == []
    mail = message_from_bytes(
        (planted / "reports" / "2026-09-30" / "toy.failed.owner.eml").read_bytes(), policy=default
    )
    bodies = [part.get_content() for part in mail.walk() if part.get_content_maintype() == "text"]
    assert [secret for secret in SECRETS for body in bodies if secret in body] == []
    assert [body for body in bodies if "cannot reach ***" not in body] == []
    assert [body for body in bodies if "Technical details" in body] == []


def test_a_secret_in_a_fault_before_any_report_is_shown_nowhere(planted, monkeypatch, capfd):
    def fault(**_):
        raise RuntimeError(f"connection to {PLANTED['OTHER_DB']} failed with key {PLANTED['SALESOPS_PEOPLE_KEY']}")

    monkeypatch.setattr(crm, "load", fault)
    assert cli.main(["run", "--email", "--retries", "0"]) == 1
    assert cli.main(["run", "--email", "--retries", "0", "--traceback"]) == 1
    said = "".join(capfd.readouterr())
    assert "postgresql://***@db.example/sales" in said and [secret for secret in SECRETS if secret in said] == []
    assert (planted / "reports" / "failed").is_dir() and bytes_with_secrets(planted / "reports") == []


@pytest.mark.parametrize("name", list(PLANTED)[:1] + ["OTHER_DB", "SALESOPS_TOKEN"])
@pytest.mark.parametrize("form", ["{}", "<b>{}</b>"])
def test_a_page_that_shows_a_secret_is_not_published(planted, monkeypatch, name, form):
    value = PLANTED[name] if name != "OTHER_DB" else "planted-pass-0003"

    def leaking(notebook, values, **_):
        made = engine_toys.without_kernel(notebook, values)
        cell = made.notebook.cells[-1]
        cell.outputs.append(nbformat.v4.new_output("display_data", data={"text/plain": form.format(value)}))
        return made

    monkeypatch.setattr(execute, "execute", leaking)
    told: list[str] = []
    assert run.run(plan.Request(root=planted, out=planted / "out"), told.append) == 1
    assert f"shows the value of the environment variable {name}" in " ".join(told)
    assert not (planted / "out" / "2026-09-30" / "toy.html").exists() and bytes_with_secrets(planted / "out") == []


def test_what_is_no_secret_is_not_looked_for(monkeypatch):
    for name, value in {
        "API_TOKEN_KIND": "standard",
        "MY_SECRET": "short",
        "HOME_PAGE": "https://example.com/a",
    }.items():
        monkeypatch.setenv(name, value)
    assert scrub.shown_secret(["a standard short page of https://example.com/a"]) is None


def test_a_secret_stays_out_of_the_log(planted):
    cli.main(["run", "-p", "mode=crash"])
    lines = [
        json.loads(line)
        for path in (planted / "reports" / "log").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert (
        lines
        and [secret for secret in SECRETS for line in lines if secret in json.dumps(line, ensure_ascii=False)] == []
    )
