"""The table of the last runs, and what is overdue."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import test_site

from salesops import cli
from salesops.checks import ParameterError
from salesops.engine import log, status

MONDAY = datetime(2026, 9, 28, 6, 0, tzinfo=UTC)
SCHEDULE = """weekly:
  cron: 0 6 * * 1
  reports: [alpha, beta]
"""


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("alpha", "beta"):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4}')
    (tmp_path / "parameters").mkdir()
    (tmp_path / "reports").mkdir()
    return tmp_path


def scheduled(root: Path, text: str = SCHEDULE) -> None:
    (root / "parameters" / "schedules.yaml").write_text(text)


def ended(root: Path, at: datetime, report: str = "alpha", outcome: str = "ok", **changes: object) -> None:
    """A line of the log, of a run that took 21.4 seconds."""
    times = {"started": (at - timedelta(seconds=21.4)).isoformat(), "finished": at.isoformat()}
    plain = {"report": report, "outcome": outcome, "as_of": "2026-09-27"}
    log.append(root / "reports", log.entry(**times, **plain | changes))


def said(root: Path, now: datetime = MONDAY + timedelta(hours=3), **named: object) -> list[str]:
    return status.status(root / "reports", root, now, **named).splitlines()


def test_nothing_yet(root):
    assert said(root) == ["Nothing was run or published here yet."]
    with pytest.raises(ParameterError, match="no such folder"):
        status.status(root / "else", root, MONDAY)
    with pytest.raises(ParameterError, match="no run of 'gamma'"):
        said(root, report="gamma")


def test_a_row_is_the_last_run_and_the_last_good_one(root):
    test_site.publish_report(root / "reports", "2026-09-20", "alpha", period="2026W38")
    ended(root, MONDAY - timedelta(days=7), as_of="2026-09-20")
    ended(root, MONDAY, outcome="failed", cause="data", message="opportunities.csv: nothing in it.")
    assert said(root) == [
        "report  last run              as of       outcome  cause  seconds  last good   next due",
        "alpha   2026-09-28 06:00 UTC  2026-09-27  failed   data        21  2026-09-20  –",
    ]


def test_a_report_without_a_line_is_there_with_its_pages(root):
    test_site.publish_report(root / "reports", "2026-09-20", "alpha", period="2026W38")
    test_site.publish_report(root / "reports", "2026-09-13", "alpha", period="2026W37")
    test_site.publish_report(root / "reports" / "team" / "east", "2026-09-20", "alpha.east", period="2026W38")
    rows = said(root)
    assert rows[1].split() == ["alpha", "–", "–", "–", "–", "–", "2026-09-20", "–"]
    assert rows[2].split() == ["team/east/alpha.east", "–", "–", "–", "–", "–", "2026-09-20", "–"]


def test_a_person_has_a_row_of_their_own(root):
    ended(root, MONDAY, "alpha.r1", folder="owner_id/r1")
    ended(root, MONDAY, "alpha")
    assert [row.split()[0] for row in said(root)[1:]] == ["alpha", "owner_id/r1/alpha.r1"]


def test_a_source_that_could_not_be_read_has_no_day(root):
    ended(root, MONDAY, outcome="failed", cause="input/output", as_of=None)
    assert "2026-09-28 06:00 UTC  –      failed   input/output       21  –" in said(root)[1]


def test_what_was_due_and_did_not_run_is_overdue(root):
    scheduled(root)
    ended(root, MONDAY - timedelta(days=7), "alpha", as_of="2026-09-20")
    ended(root, MONDAY + timedelta(minutes=5), "beta")
    rows = said(root)
    assert rows[1].endswith("2026-10-05 06:00 UTC (overdue)")
    assert rows[2].endswith("2026-10-05 06:00 UTC")
    assert rows[-1] == "Overdue: alpha, since 2026-09-28 06:00 UTC (schedule weekly)."


@pytest.mark.parametrize(
    ("minutes", "outcome", "is_late"),
    [(5, "ok", False), (5, "partial", False), (5, "empty", False), (5, "unchanged", False), (5, "failed", True),
     (-1, "ok", True)],
)  # fmt: skip
def test_only_a_run_since_then_that_ended_well_counts(root, minutes, outcome, is_late):
    scheduled(root, SCHEDULE.replace("[alpha, beta]", "[alpha]"))
    ended(root, MONDAY + timedelta(minutes=minutes), outcome=outcome)
    assert (said(root)[-1] != "Nothing is overdue.") == is_late


def test_an_hour_of_grace(root):
    scheduled(root)
    assert said(root, now=MONDAY + timedelta(minutes=59))[-1] == "Nothing is overdue."
    assert said(root, now=MONDAY + timedelta(minutes=60))[-1].startswith("Overdue: alpha, ")


def test_a_failure_after_a_good_run_is_no_delay(root):
    scheduled(root, SCHEDULE.replace("[alpha, beta]", "[alpha]"))
    ended(root, MONDAY + timedelta(minutes=1))
    ended(root, MONDAY + timedelta(minutes=9), outcome="failed", cause="data")
    assert said(root)[-1] == "Nothing is overdue."


def test_a_past_date_that_is_made_up_for_answers_nothing(root):
    """A backfill of June on Monday morning is not the report of Monday."""
    scheduled(root, SCHEDULE.replace("[alpha, beta]", "[alpha]"))
    ended(root, MONDAY - timedelta(days=7), as_of="2026-09-20")
    ended(root, MONDAY + timedelta(minutes=30), as_of="2026-06-28")
    rows = said(root)
    assert "2026-09-20" in rows[1]
    assert rows[-1].startswith("Overdue: alpha")


def test_a_report_that_is_split_is_known_by_its_parts(root):
    scheduled(root, "weekly:\n  cron: 0 6 * * 1\n  reports: [alpha]\n  args: [--for-each, region]\n")
    assert said(root)[-1].startswith("Overdue: alpha, since")
    ended(root, MONDAY + timedelta(minutes=1), "alpha.EMEA")
    ended(root, MONDAY + timedelta(minutes=1), "alpha.APAC", outcome="failed", cause="data")
    rows = said(root)
    assert [row.split()[0] for row in rows[1:3]] == ["alpha.APAC", "alpha.EMEA"]
    assert rows[-1] == "Overdue: alpha.APAC, since 2026-09-28 06:00 UTC (schedule weekly)."


def test_a_schedule_of_another_folder_is_not_ours(root):
    scheduled(root, SCHEDULE + "  out: elsewhere\n")
    ended(root, MONDAY - timedelta(days=30))
    assert len(said(root)) == 2


def test_a_schedule_of_a_pack_is_of_its_reports(root):
    (root / "parameters" / "monday.yaml").write_text("reports: [beta]\n")
    scheduled(root, "weekly:\n  cron: 0 6 * * 1\n  parameters: parameters/monday.yaml\n")
    assert said(root)[-1] == "Overdue: beta, since 2026-09-28 06:00 UTC (schedule weekly)."


def test_more_than_the_last_run(root):
    for days in (21, 14, 7):
        ended(root, MONDAY - timedelta(days=days), as_of=f"2026-09-{27 - days:02}")
    ended(root, MONDAY, outcome="failed", cause="data", message="nothing in it.")
    rows = said(root, runs=2)
    assert rows[2:4] == ["", "Last runs, the newest first:"]
    assert [row.split()[3] for row in rows[5:]] == ["2026-09-27", "2026-09-20"] or len(rows) == 7
    assert rows[5].endswith("21  nothing in it.")


def test_one_report_and_its_variants(root):
    for name in ("alpha", "alpha.emea", "beta"):
        ended(root, MONDAY, name)
    assert [row.split()[0] for row in said(root, report="alpha")[1:]] == ["alpha", "alpha.emea"]
    assert [row.split()[0] for row in said(root, report="alpha.emea")[1:]] == ["alpha.emea"]


def test_the_command(root, capsys):
    ended(root, MONDAY)
    assert cli.main(["status", "--root", str(root)]) == 0
    assert "alpha   2026-09-28 06:00 UTC  2026-09-27  ok" in capsys.readouterr().out
    assert cli.main(["status", "gamma", "--root", str(root)]) == 2
