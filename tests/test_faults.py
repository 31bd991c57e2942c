"""Reduced from benchmarks/faults.py: runs killed in real processes, a full disk, a read-only folder, eight at once."""

import os
import runpy
import shutil
import signal
import sys
from types import SimpleNamespace

import fault_runs
import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills and small disks are made with Linux's means")


@pytest.fixture(scope="module")
def bench():
    return SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "faults.py")))


@pytest.fixture(scope="module")
def runs():
    with fault_runs.runs() as found:
        yield found


def test_whenever_a_run_is_killed_what_is_published_is_whole_and_the_next_run_works(bench, runs, tmp_path):
    found = bench.kills(runs, tmp_path, n=12, seed=3)
    assert len(found) == 12 and {kill.kind for kill, _ in found} == {"group", "parent", "kernel"}
    assert len({kill.moment for kill, _ in found}) >= 5
    assert any(any(ended.is_new) for _, ended in found) and not all(any(ended.is_new) for _, ended in found)


def test_a_kernel_that_has_just_started_does_not_outlive_its_run(runs, tmp_path):
    world = fault_runs.world(tmp_path, "alpha")
    run = runs.start(world, "-p", fault_runs.level(1))
    assert fault_runs.when(run, lambda: bool(fault_runs.kernels(world)))
    os.kill(run.pid, signal.SIGKILL)
    assert runs.wait(run) == -signal.SIGKILL
    assert fault_runs.seconds_to_die(world) < fault_runs.DEATH and not fault_runs.published(world.out)
    assert fault_runs.left(world), "the next run has something to remove"


def test_a_full_disk_touches_nothing(bench, runs, tmp_path):
    told = bench.full_disk(runs, tmp_path, rooms=(0, 16))
    if told.startswith("SKIPPED"):
        pytest.skip(told)
    assert told.startswith("4 runs, ") and " 0 of them" not in told


def test_a_folder_that_may_not_be_written_is_told_once(bench, runs, tmp_path):
    assert bench.read_only(runs, tmp_path) == "2 runs told so, nothing was touched"


def test_eight_at_once_lose_and_mix_nothing(bench, runs, tmp_path):
    assert "every report there" in bench.at_once(runs, tmp_path, rounds=1, by_hand=True)


@pytest.fixture(scope="module")
def good(runs, tmp_path_factory):
    """What two runs published, each into a folder of its own."""
    place = tmp_path_factory.mktemp("good")
    world = fault_runs.world(place, "alpha", "beta")
    for number in (1, 2):
        run = runs.start(world._replace(out=place / str(number)), "-p", fault_runs.level(number), by_hand=True)
        assert runs.wait(run) == 0, run.log.read_text()
        assert fault_runs.faults(place / str(number)) == []
    return place


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("alpha.html", "<html>", "alpha.html: is not of run"),
        ("alpha.html", None, "of its files only"),
        ("alpha.json", "other", "alpha.run.json: is not of run"),
        ("alpha.json", "{", "alpha: cannot be read"),
        ("alpha.run.json", "other", "alpha.run.json: is not of run"),
        ("alpha.deals.html", "other", "alpha.deals.html: is not of run"),
        ("alpha.ipynb", "other", "alpha.ipynb: is of another run"),
        ("alpha.deals.parquet", "other", "alpha.deals.parquet: is of another run"),
        ("index.html", "other", "its list is not of what it holds"),
        ("index.html", None, "has no list of its reports"),
        ("gamma.html", "page", "of its files only"),
        ("../index.html", "<html lang='en'>", "index.html: is cut off"),
        ("../latest/alpha.html", None, ""),
        ("../latest/alpha.json", "../2026-01-01/alpha.json", "latest/alpha.json: leads nowhere"),
    ],
)
def test_what_is_looked_for_would_be_found(good, tmp_path, file, content, said):
    shutil.copytree(good / "1", tmp_path / "out", symlinks=True)
    path = tmp_path / "out" / fault_runs.DAY / file
    other = good / "2" / fault_runs.DAY / file
    made = other.read_bytes() if content == "other" else (content or "").encode()
    path.unlink(missing_ok=True)
    if content and content.startswith("../"):
        path.symlink_to(content)
    elif content:
        path.write_bytes(made)
    found = fault_runs.faults(tmp_path / "out")
    assert any(said in each for each in found), found
