"""`salesops new`: what it writes passes the tests of the repository and is published as it is."""

import shutil
import subprocess
from pathlib import Path

import lab
import pytest
from conftest import ROOT

from salesops.checks import ParameterError
from salesops.engine import scaffold

TESTS = ("salesops/{name}.py", "tests/test_{name}.py", "tests/test_notebooks.py", "tests/test_repo.py")
NAME = "accounts"  # sorts before what it is imported beside


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    folder = lab.copied(tmp_path_factory.mktemp("new") / "checkout", also=("tests", "docs"))
    for name in ("README.md", "pyproject.toml", "Makefile", "environment.yml", "requirements.lock"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.mark.full
def test_a_new_report_passes_every_test_of_the_repository_and_runs(checkout, tmp_path):
    said = lab.ran(checkout, "-m", "salesops", "new", NAME)
    assert said.count("written.") == 3 and f"salesops run {NAME}" in said
    subprocess.run(["git", "init", "--quiet", "."], cwd=checkout, check=True)
    subprocess.run(["git", "add", "--all"], cwd=checkout, check=True)
    files = [place.format(name=NAME) for place in TESTS]
    lab.ran(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules", *files)
    lab.ran(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", f"notebooks/{NAME}.ipynb")
    lab.ran(checkout, "-m", "ruff", "check", "salesops", "tests")
    lab.ran(checkout, "-m", "ruff", "format", "--check", *files[:2])
    lab.ran(checkout, "-m", "salesops", "run", NAME, "--out", str(tmp_path / "out"))
    page = (tmp_path / "out" / "latest" / f"{NAME}.html").read_text(encoding="utf-8")
    assert "are decided by now" in page and "Deals won or lost by now over all deals created in the period." in page


def test_what_is_written_is_whole(checkout, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    shutil.copytree(checkout, folder)
    monkeypatch.setattr(scaffold, "_STEPS", scaffold._STEPS[:2])  # what needs no kernel
    told = list(scaffold.write(folder, "renewals"))
    assert told[:3] == [
        "salesops/renewals.py: written.",
        "tests/test_renewals.py: written.",
        "notebooks/renewals.ipynb: written.",
    ]
    lab.ran(
        folder,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--doctest-modules",
        "salesops/renewals.py",
        "tests/test_renewals.py",
    )
    lab.ran(folder, "-m", "ruff", "check", "salesops/renewals.py", "tests/test_renewals.py")
    pack = (folder / "parameters" / "quarterly.yaml").read_text(encoding="utf-8")
    assert "data_quality, renewals, executive_summary," in pack
    with pytest.raises(ParameterError, match=r"salesops/renewals.py is there already"):
        list(scaffold.write(folder, "renewals"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Renewals", "'Renewals' cannot name a report. Use up to 24 small letters"),
        ("../renewals", "cannot name a report"),
        ("class", "cannot name a report"),
        ("failed", "cannot name a report"),
        ("win_loss", "salesops/win_loss.py is there already"),
        ("words", "'words' stands for something else"),
        ("window", "'window' stands for something else"),
        ("win", "there is a metric 'win_rate' already"),
        ("crm", "'crm' stands for something else"),
        ("stats", "'stats' stands for something else"),
    ],
)
def test_a_name_that_is_taken_or_is_none_writes_nothing(tmp_path, name, words):
    before = sorted(path.name for path in (ROOT / "salesops").iterdir())
    with pytest.raises(ParameterError, match=r"[Cc]hoose another name|Use up to") as caught:
        list(scaffold.write(ROOT, name))
    assert words in str(caught.value)
    assert sorted(path.name for path in (ROOT / "salesops").iterdir()) == before and not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        ("reports: [a, b]\n", "reports: [a, b, new, ]\n"),
        ("reports: []\n", "reports: [new, ]\n"),
        ("reports: [\n  a, executive_summary,\n]\n", "reports: [\n  a, new, executive_summary,\n]\n"),
    ],
)
def test_a_report_goes_before_the_cover(tmp_path, pack, expected):
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "quarterly.yaml").write_text(pack, encoding="utf-8")
    assert scaffold._in_pack(tmp_path, "new") == expected


def test_a_folder_that_is_no_checkout_says_so(tmp_path):
    with pytest.raises(ParameterError, match=r"quarterly.yaml: cannot be read"):
        list(scaffold.write(tmp_path, "renewals"))
