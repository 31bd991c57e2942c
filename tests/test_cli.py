"""The command line: what it prints where, and what it exits with."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import engine_toys
import pytest

from salesops import checks, cli, crm

TAKEN = """\
source	str	sample	a folder, or "sample"
as_of	date | None	null	last day of data used
period	str	last_quarter	which period
where	str	opportunity_type != 'renewal'	which deals count
by	list[str]	[segment]	columns that split
mode	Literal['good', 'crash', 'data', 'parameter', 'twice', 'die']	good	what happens
level	float	0.5	
"""


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    for name in ("win_loss", "funnel"):
        engine_toys.notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "win_loss.emea.yaml").write_text("parameters: {level: 3}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crm, "load", engine_toys.company)
    return tmp_path


@pytest.mark.usefixtures("root")
def test_list_names_one_report_a_line(capsys):
    assert cli.main(["list"]) == 0
    assert capsys.readouterr() == ("funnel\nwin_loss\nwin_loss.emea\n", "")


@pytest.mark.usefixtures("root")
def test_params_are_separated_by_tabs(capsys):
    assert cli.main(["params", "win_loss"]) == 0
    assert capsys.readouterr() == (TAKEN, "")
    assert cli.main(["params", "win_loss.emea"]) == 0
    assert "level\tfloat\t3.0\t" in capsys.readouterr().out


def test_root_may_be_elsewhere_and_paths_are_the_callers(root, capsys, monkeypatch):
    (root / "elsewhere").mkdir()
    monkeypatch.chdir(root / "elsewhere")
    Path("mine.yaml").write_text("parameters: {where: amount > 1e9}\n")
    assert cli.main(["list", "--root", ".."]) == 0
    arguments = ["run", "funnel", "--root", "..", "--parameters", "mine.yaml"]
    assert cli.main([*arguments, "--out", "here"]) == 0
    assert Path("here/2026-09-30/funnel.html").exists()
    assert cli.main(arguments) == 0
    assert (root / "reports" / "2026-09-30" / "funnel.html").exists()
    assert capsys.readouterr().err.splitlines()[0] == f"funnel: empty, {Path('here/2026-09-30/funnel.html')}"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "-p", "as_off=1"], 2, "funnel: unknown parameter 'as_off'. It takes source, as_of,"),
        (
            ["run", "win_los"],
            2,
            "there is no report 'win_los'. There are funnel, win_loss, win_loss.emea. Did you mean",
        ),
        (["run", "-p", "source=broken"], 3, "opportunities.csv: missing column ['close_date']."),
        (["run", "--parameters", "none.yaml"], 2, "none.yaml: cannot be read (No such file or directory)."),
        (
            ["run", "--for-each", "segmnt"],
            2,
            "--for-each: opportunities have no column 'segmnt'. Did you mean 'segment'?",
        ),
        (["params", "win_los"], 2, "there is no report 'win_los'."),
        (["list", "--root", "nowhere"], 2, "there is no notebooks/*.ipynb here. Run from the repository root"),
    ],
)
def test_faults_are_one_line_on_standard_error(root, capsys, arguments, code, words):
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(words)
    assert captured.err.count("\n") == 1
    assert not list((root / "reports").glob("2*"))
    assert (root / "reports" / "failed" / "quarterly.html").exists() == (code == 3)  # of data there is a page


@pytest.mark.usefixtures("root")
def test_a_report_that_fails_exits_with_one(capsys):
    assert cli.main(["run", "funnel", "-p", "mode=crash"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "funnel failed: funnel.ipynb", "  cell 4 (Where do we win?)", "  ValueError: no <b>deals</b> here",
    ]  # fmt: skip


@pytest.mark.usefixtures("root")
def test_a_fault_of_ours_is_short_unless_asked(capsys, monkeypatch):
    def fault(*_, **__):
        raise KeyError("oops")

    monkeypatch.setattr(crm, "load", fault)
    assert cli.main(["run"]) == 1
    assert (
        capsys.readouterr().err == "salesops: unexpected KeyError: 'oops'. Run again with --traceback to see where.\n"
    )
    assert cli.main(["run", "--traceback"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.usefixtures("root")
def test_a_refusal_says_its_own_words(capsys, monkeypatch):
    def refused(*_, **__):
        raise checks.SalesopsError("index: not fit to be published: two screens. Shorten it.")

    monkeypatch.setattr(crm, "load", refused)
    assert cli.main(["run"]) == 1
    assert capsys.readouterr().err == "index: not fit to be published: two screens. Shorten it.\n"


@pytest.mark.usefixtures("root")
def test_being_stopped_is_no_fault(capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(crm, "load", stopped)
    assert cli.main(["run"]) == 130
    assert capsys.readouterr().err.startswith("salesops: stopped;")


def test_an_unknown_option_exits_with_two(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["run", "--nonsense"])
    assert "--nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["run"], ["list"], ["params"]])
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        cli.main([*command, "--help"])
    assert "usage: salesops" in capsys.readouterr().out


def test_help_needs_no_library():
    code = "import sys, salesops.cli as c; c._parser().format_help(); print({'pandas', 'yaml'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.usefixtures("root")
def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "salesops", "list"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["funnel", "win_loss", "win_loss.emea"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_who_is_told_to_stop_or_loses_its_terminal_ends_in_order(monkeypatch, capsys, name):
    number = getattr(signal, name, None) or pytest.skip("no such signal here")
    before = signal.getsignal(number)
    monkeypatch.setattr(cli, "_list", lambda _: os.kill(os.getpid(), number) or time.sleep(5) or 0)
    assert cli.main(["list"]) == 130 and "salesops: stopped;" in capsys.readouterr().err
    assert signal.getsignal(number) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal is closed so here")
def test_under_nohup_a_closed_terminal_is_not_minded(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        monkeypatch.setattr(cli, "_list", lambda _: os.kill(os.getpid(), signal.SIGHUP) or 0)
        assert cli.main(["list"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
