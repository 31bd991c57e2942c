"""Warm kernels: the same as cold ones but for the time they take; nothing passes from one to the next, none is left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import engine_toys
import nbformat
import pytest
from conftest import ROOT
from crm_folder import write

from salesops import cli, crm
from salesops.engine import execute, plan, retries, run, warm

pytestmark = pytest.mark.skipif(not warm.is_possible(), reason="kernels can be forked on Linux only")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIGHT = ("pipeline_review", "waterfall")
# What a notebook may depend on without asking for it.
SEEN = """
import gc, json, locale, os, signal, sys
import matplotlib, matplotlib.pyplot as plt, matplotlib.units, numpy as np, pandas as pd
from salesops import metrics, report, words
own = dict(os.environ)
files = {os.readlink(f"/proc/self/fd/{number}").split(":")[0].replace(str(os.getpid()), "own") for number in (0, 1, 2)}
print(json.dumps({
    "environment": {name: own[name] for name in sorted(own) if name != "JPY_PARENT_PID"},
    "is leashed": int(own["JPY_PARENT_PID"]) == os.getppid(),
    "path": sys.path, "words": [sys.argv[0], *sys.argv[3:]], "folder": os.getcwd(), "flags": str(sys.flags),
    "main": sys.modules["__main__"] is not None and "get_ipython" in vars(sys.modules["__main__"]),
    "group": os.getpgid(0) == os.getsid(0) == os.getpid(),
    "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
    "matplotlib": [repr(dict(matplotlib.rcParams)), sorted(map(str, matplotlib.units.registry)), plt.get_backend()],
    "pandas": repr(pd._config.config._global_config),
    "numpy": [np.get_printoptions(), np.geterr()],
    "garbage": [gc.isenabled(), gc.get_threshold()],
    "words of": [words.day(pd.Timestamp("2026-09-30")), words.rate(0.5), locale.setlocale(locale.LC_ALL)],
    "hash": hash("a"), "decimal": str(__import__("decimal").getcontext()),
    "kept": [metrics.__dict__[name].cache_info().currsize for name in vars(metrics)
             if hasattr(vars(metrics)[name], "cache_info")],
}, default=str))
"""
PARENT = "from pathlib import Path; import os; print(Path(f'/proc/{os.getppid()}/cmdline').read_text().split('\\0')[2])"
WARM = "salesops.engine.zygote"


@pytest.fixture(scope="module")
def zygote():
    """One for all tests."""
    light = [path for path in NOTEBOOKS if path.stem in LIGHT]
    with warm.zygote(light, execute.kernel_environment()) as found:
        yield found


def book(path: Path, *cells: str) -> Path:
    """A notebook of an empty cell of parameters and these."""
    tagged = nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[tagged, *map(nbformat.v4.new_code_cell, cells)]), path)
    return path


def made(path: Path, zygote: warm.Zygote | None, **more: object) -> execute.Execution:
    with execute.own_loop():
        return execute.execute(path, {}, zygote=zygote, **more)


def said(path: Path, zygote: warm.Zygote | None, **more: object) -> str:
    """What its last cell printed; the whole of it has to go well."""
    done = made(path, zygote, **more)
    assert done.failure is None, done.failure
    return "".join(each.text for each in done.notebook.cells[-1].outputs).strip()


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(holds, seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.02)
    return bool(found)


# --- the same as a cold one ---


def test_a_warm_kernel_finds_what_a_cold_one_finds(zygote, tmp_path):
    path = book(tmp_path / "seen.ipynb", SEEN)
    found = {how: json.loads(said(path, how, told={"SALESOPS_X": "1"})) for how in (zygote, None)}
    for name, cold in found[None].items():
        assert found[zygote][name] == cold, name
    assert found[None]["environment"]["SALESOPS_X"] == "1" and found[None]["is leashed"]
    assert said(book(tmp_path / "parent.ipynb", PARENT), zygote) == WARM
    assert said(tmp_path / "parent.ipynb", None) != WARM


def outputs(path: Path, zygote: warm.Zygote | None) -> list[dict]:
    """All that a notebook of the repository shows: pages, pictures, and the facts that figures files are made of."""
    done = made(path, zygote, told={"SALESOPS_REPORTS": os.devnull, "SALESOPS_NOTES": os.devnull})
    assert done.failure is None, done.failure
    return [cell.get("outputs", []) for cell in execute.cleaned(done.notebook, {}).cells]


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[] if path.stem in LIGHT else pytest.mark.full) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)  # fmt: skip
def test_a_report_has_the_same_figures_and_the_same_bytes_of_every_picture(zygote, path):
    found = outputs(path, zygote)
    assert zygote.process.poll() is None
    cold = outputs(path, None)
    assert "<svg" in json.dumps(cold) and '"figures"' in json.dumps(cold)
    assert len(found) == len(cold)
    for number, (one, other) in enumerate(zip(found, cold, strict=True), start=1):
        assert one == other, f"cell {number}"


def test_each_kernel_draws_numbers_of_its_own(zygote, tmp_path):
    draws = "import random, uuid, numpy; print(random.random(), uuid.uuid4(), numpy.random.rand(), "
    path = book(tmp_path / "draws.ipynb", draws + "numpy.random.default_rng().random())")
    first, second, third = (said(path, zygote).split() for _ in range(3))
    assert all(len(set(drawn)) == 3 for drawn in zip(first, second, third, strict=True))


def test_what_a_notebook_leaves_for_its_end_is_done(zygote, tmp_path):
    late = "import atexit, tempfile; from pathlib import Path; kept = tempfile.TemporaryDirectory(); print(kept.name)\n"
    path = book(tmp_path / "late.ipynb", late + f"atexit.register(Path({str(tmp_path / 'end')!r}).touch)\n0 and 1;")
    folder = said(path, zygote)
    assert (tmp_path / "end").exists() and not Path(folder).exists()


# --- nothing passes from one to the next ---


def test_what_one_kernel_is_told_or_does_no_other_knows(zygote, tmp_path):
    does = "import os, pandas; os.environ['SALESOPS_DONE'] = '1'; pandas.options.display.max_rows = 7; os.chdir('/')\n"
    path = book(
        tmp_path / "tells.ipynb", does + "print(*(name for name in os.environ if name.startswith('SALESOPS_')))"
    )
    assert said(path, zygote, told={"SALESOPS_TOLD": "secret"}).split()[-2:] == ["SALESOPS_TOLD", "SALESOPS_DONE"]
    asks = "import os, pandas; from salesops import report\n"
    asks += "print(pandas.options.display.max_rows, os.getcwd(), 'SALESOPS_TOLD' in os.environ, 'SALESOPS_DONE' in os.environ)"
    assert said(book(tmp_path / "asks.ipynb", asks), zygote) == f"60 {os.getcwd()} False False"
    assert b"secret" not in Path(f"/proc/{zygote.process.pid}/environ").read_bytes()


def test_what_forks_has_one_thread_and_keeps_nothing_open(zygote, tmp_path):
    path = book(tmp_path / "works.ipynb", SEEN)
    said(path, zygote)
    place = Path(f"/proc/{zygote.process.pid}")
    assert until(lambda: len(list((place / "fd").iterdir())) == 5, 10)  # standard ones, the socket, the selector
    assert len(list((place / "task").iterdir())) == 1
    assert (place / "task" / place.name / "children").read_text() == ""


def test_a_kernel_in_another_environment_or_folder_starts_by_itself(zygote, tmp_path, monkeypatch):
    path = book(tmp_path / "parent.ipynb", PARENT)
    monkeypatch.setenv("READ_ON_IMPORT", "1")
    assert said(path, zygote) != WARM
    monkeypatch.delenv("READ_ON_IMPORT")
    assert said(path, zygote) == WARM
    monkeypatch.chdir(tmp_path)
    assert said(path, zygote) != WARM


# --- ends ---


def test_when_the_forking_process_dies_kernels_start_by_themselves(tmp_path):
    path = book(tmp_path / "parent.ipynb", PARENT)
    with warm.zygote([], execute.kernel_environment()) as zygote:
        assert said(path, zygote) == WARM
        zygote.process.kill()
        zygote.process.wait()
        assert said(path, zygote) != WARM


KILLS = "import os, signal, time; print(os.getpid()); os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"


def test_a_report_whose_kernel_went_with_what_forked_it_is_made_by_a_kernel_of_its_own(tmp_path, monkeypatch):
    root = tmp_path / "root"
    once = f"import pathlib\nif not (mark := pathlib.Path({str(tmp_path / 'mark')!r})).exists():\n    mark.touch()\n    {KILLS}"
    engine_toys.notebook(root / "notebooks" / "torn.ipynb", cells=(once, engine_toys.WORK, engine_toys.SAY))
    write(root / "crm")
    monkeypatch.chdir(root)
    monkeypatch.setattr(retries, "pause", lambda _: 0.0)
    told = []
    asked = plan.Request(out=Path("out"), reports=("torn",), assignments=("source=crm",), retries=1)
    assert run.run(asked, told.append) == 0, told
    assert (tmp_path / "mark").exists() and not list(Path("out").rglob("*failed*"))
    assert json.loads(next(Path("out").glob("2*/torn.run.json")).read_text())["attempts"] == 2


def test_a_kernel_dies_with_what_forked_it_and_that_is_told_as_killed(tmp_path):
    path = book(tmp_path / "kills.ipynb", KILLS)
    with warm.zygote([], execute.kernel_environment()) as zygote:
        begun = time.monotonic()
        done = made(path, zygote)
    assert (done.failure.cause, done.failure.error) == ("kernel killed", "DeadKernelError")
    assert done.failure.is_passing
    assert "SIGKILL" in done.failure.message and time.monotonic() - begun < 30


def test_a_kernel_that_listens_to_nobody_dies_with_what_forked_it(tmp_path):
    """What ipykernel has for this is a thread, and no thread runs while a call keeps Python's lock."""
    kills = "import os, pathlib, re, signal; pathlib.Path({!r}, str(os.getpid())).touch(); os.kill(os.getppid(), 9)"
    (pids := tmp_path / "pids").mkdir()
    path = book(tmp_path / "deaf.ipynb", kills.format(str(pids)) + "; re.match('(a+)+$', 'a' * 60 + 'b')")
    with warm.zygote([], execute.kernel_environment()) as zygote:
        assert made(path, zygote).failure is not None
    pid = int(next(pids.iterdir()).name)
    try:
        assert until(lambda: not is_there(pid), 3)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_what_starts_a_thread_when_imported_is_not_forked(tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    )
    path = book(tmp_path / "parent.ipynb", PARENT)
    monkeypatch.chdir(tmp_path)
    for modules, is_warm in (([], True), (["threaded"], False)):
        with closing(warm.Zygote(modules, execute.kernel_environment())) as zygote:
            assert (said(path, zygote) == WARM) is is_warm


def test_a_folder_of_all_kernels_outlives_each(tmp_path, monkeypatch):
    """Matplotlib makes one where it may not write, and removes it at the end of the process that it was made by."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "file"))
    path = book(
        tmp_path / "folder.ipynb", "import matplotlib, os; print(os.path.isdir(matplotlib.get_configdir()))", PARENT
    )
    with closing(warm.Zygote(["matplotlib"], execute.kernel_environment())) as zygote:
        for _ in range(2):
            done = made(path, zygote)
            assert ["".join(out.text for out in cell.outputs).strip() for cell in done.notebook.cells[-2:]] == [
                "True",
                WARM,
            ]


def test_a_run_that_is_killed_leaves_no_process(tmp_path):
    starts = "import os, pathlib, subprocess, time\nchild = subprocess.Popen(['sleep', '300']).pid\n"
    marks = (
        f"pathlib.Path({str(tmp_path)!r}, f'{{os.getppid()}}.{{os.getpid()}}.{{child}}.pid').touch(); time.sleep(300)"
    )
    path = book(tmp_path / "sleeps.ipynb", starts + marks)
    code = f"""
from pathlib import Path
from salesops.engine import execute, warm
with warm.zygote([], execute.kernel_environment()) as zygote:
    execute.execute(Path({str(path)!r}), {{}}, zygote=zygote)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as runner:
        assert until(lambda: list(tmp_path.glob("*.pid")))
        pids = [int(text) for text in next(tmp_path.glob("*.pid")).stem.split(".")]
        assert all(map(is_there, pids))
        runner.kill()
    assert until(lambda: not any(map(is_there, pids)), 10)


def test_the_forking_process_ends_while_it_imports():
    with warm.zygote(NOTEBOOKS, execute.kernel_environment()) as zygote:
        zygote.begin()
    assert zygote.process.poll() is not None
    assert zygote.ask(["ipykernel_launcher"], execute.kernel_environment(), [1, 2]) is None


def test_how_a_forked_process_ended(zygote, tmp_path):
    path = book(
        tmp_path / "ends.ipynb", "import os", "os._exit(x_code) if x_code >= 0 else os.kill(os.getpid(), -x_code)"
    )
    for code, told in ((3, "code 3"), (-signal.SIGKILL, "SIGKILL"), (-signal.SIGSEGV, "SIGSEGV")):
        text = path.read_text(encoding="utf-8").replace("x_code", str(code))
        (tmp_path / "ends_so.ipynb").write_text(text, encoding="utf-8")
        failure = made(tmp_path / "ends_so.ipynb", zygote).failure
        assert failure.cause == "kernel killed" and told in failure.message


# --- a whole run ---


@pytest.mark.parametrize("is_cold", [False, True])
def test_a_run_is_warm_unless_it_shall_be_cold(tmp_path, monkeypatch, is_cold):
    monkeypatch.setattr(crm, "load", engine_toys.company)
    mark = f"\nPath({str(tmp_path / 'parent')!r}).write_text(Path(f'/proc/{{os.getppid()}}/cmdline').read_text())"
    work = engine_toys.WORK + "from pathlib import Path" + mark
    engine_toys.notebook(tmp_path / "notebooks" / "alpha.ipynb", cells=(work, engine_toys.SAY))
    words = ["run", "alpha", "--root", str(tmp_path), "--out", str(tmp_path / "out"), *["--cold"] * is_cold]
    assert cli.main(words) == 0
    assert (WARM in (tmp_path / "parent").read_text()) is not is_cold


def test_nbval_has_its_kernels_forked_unless_each_shall_start_cold(tmp_path):
    """The stored output is of a kernel forked in the notebook's folder: one that starts by itself is seen to differ."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
    cell = nbformat.v4.new_code_cell(f"{PARENT}; print(os.getcwd() == {str(folder)!r})", execution_count=1)
    cell.outputs = [nbformat.v4.new_output("stream", text=f"{WARM}\nTrue\n")]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / "parent.ipynb")
    asked = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", "--nbval", "notebooks"]
    for more, told in (([], "1 passed"), (["--cold"], "1 failed")):
        done = subprocess.run([*asked, *more], cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert told in done.stdout, done.stdout + done.stderr


def test_the_words_of_schedules_and_past_dates_have_it_too():
    for words in (["run", "--cold"], ["backfill", "--from", "2026-07-01", "--to", "2026-07-02", "--cold"]):
        assert cli._parser().parse_args(words).cold
    assert not plan.Request().cold
    assert run.Terms().zygote is None


def test_on_other_systems_nothing_is_forked(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with warm.zygote(NOTEBOOKS, {}) as zygote:
        assert zygote is None
