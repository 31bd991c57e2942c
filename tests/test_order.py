"""The longest report starts first; what is said stays in the order asked."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from salesops.engine import order, plan, run


def job(root: Path, name: str, cells: int, folder: str = "", *, last: bool = False) -> SimpleNamespace:
    """A report whose notebook has so many code cells, and one of text."""
    notebook = root / f"{name.partition('.')[0]}.ipynb"
    kinds = ["markdown", *["code"] * cells]
    notebook.write_text(json.dumps({"cells": [{"cell_type": kind} for kind in kinds]}), encoding="utf-8")
    return SimpleNamespace(job=SimpleNamespace(name=name, notebook=notebook, reads_reports=last), folder=Path(folder))


def published(out: Path, day: str, name: str, seconds: list) -> None:
    (out / day).mkdir(parents=True, exist_ok=True)
    (out / day / f"{name}.run.json").write_text(json.dumps({"cell_seconds": seconds}), encoding="utf-8")


def test_without_records_the_most_cells_first_and_equal_ones_as_asked(tmp_path):
    jobs = [job(tmp_path, "a", 2), job(tmp_path, "b", 5), job(tmp_path, "c", 2), job(tmp_path, "d", 3)]
    assert order.longest_first(jobs, range(4), tmp_path / "out") == [1, 3, 0, 2]
    assert order.longest_first(jobs, [2, 0], tmp_path / "out") == [2, 0]


def test_the_newest_record_tells_and_others_are_judged_by_its_pace(tmp_path):
    out = tmp_path / "out"
    jobs = [job(tmp_path, "a", 2), job(tmp_path, "b", 5), job(tmp_path, "c", 4)]
    published(out, "2026-06-30", "a", [0.1])
    published(out, "2026-09-30", "a", [1.0, None, 2.0])  # 1.5 s a cell, so b may take 7.5 s and c 6 s
    published(out, "2026-09-30", "b", [0.5])  # 3.5 s over 7 cells: c may take 2 s
    assert order.longest_first(jobs, range(3), out) == [0, 2, 1]


def test_a_part_of_its_own_folder_has_the_records_of_that_folder(tmp_path):
    out = tmp_path / "out"
    jobs = [job(tmp_path, "a.x", 2, "owner_id/x"), job(tmp_path, "a.y", 2, "owner_id/y")]
    published(out / "owner_id" / "x", "2026-09-30", "a.x", [1.0])
    published(out / "owner_id" / "y", "2026-09-30", "a.y", [2.0])
    published(out, "2026-09-30", "a.x", [50.0])
    assert order.longest_first(jobs, range(2), out) == [1, 0]


def test_a_record_or_notebook_that_cannot_be_read_tells_nothing(tmp_path):
    out = tmp_path / "out"
    jobs = [job(tmp_path, "a", 1), job(tmp_path, "b", 2)]
    published(out, "2026-09-30", "a", "long")
    (tmp_path / "a.ipynb").write_text("{", encoding="utf-8")
    assert order.longest_first(jobs, range(2), out) == [1, 0]


@pytest.mark.parametrize(("jobs", "first"), [(1, ["a"]), (2, ["b", "c"])])
def test_reports_start_longest_first_and_end_in_the_order_asked(tmp_path, monkeypatch, jobs, first):
    """One at a time they start as asked: who waits is told of the first one first."""
    started = []
    monkeypatch.setattr(
        run, "make", lambda each, *_, **__: started.append(each.job.name) or run.Made(each.job.name, "ok")
    )
    loaded = [job(tmp_path, name, n, last=name == "d") for name, n in (("a", 1), ("b", 9), ("c", 5), ("d", 20))]
    request = plan.Request(out=tmp_path / "out", jobs=jobs)
    ends = list(run._each_made(loaded, request, tmp_path, tmp_path, run.Terms(), progress=False))
    assert [made.report for made in ends] == ["a", "b", "c", "d"]
    assert sorted(started[: len(first)]) == first and started[-1] == "d"
