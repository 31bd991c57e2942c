"""Schedules: read strictly, due when cron says, and written as entries that run the same command."""

import argparse
import ast
import re
import shlex
import shutil
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path

import engine_toys
import pytest
import yaml
from conftest import ROOT

from salesops import cli, crm
from salesops.checks import ParameterError
from salesops.engine import execute, scheduled, schedules, timers

WEEKLY = "weekly:\n  reports: [funnel]\n  cron: 0 6 * * 1\n  timezone: Europe/Berlin\n"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    for name in ("win_loss", "funnel"):
        engine_toys.notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "pack.yaml").write_text("reports: [win_loss, funnel]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(crm, "load", engine_toys.company)
    monkeypatch.setattr(execute, "execute", engine_toys.without_kernel)
    return tmp_path


def written(root: Path, text: str) -> Path:
    (root / schedules.FILE).write_text(text, encoding="utf-8")
    return root


def one(**more) -> schedules.Schedule:
    return schedules.Schedule("weekly", **{"cron": "0 6 * * 1", "timezone": "Europe/Berlin"} | more)


def parsed(words: list[str]) -> argparse.Namespace:
    return cli._parser().parse_args(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("weekly: {reports: [funnel], crn: 0 6 * * 1}", "weekly: unknown key 'crn'. It takes cron, parameters, reports,"),
        ("weekly: {reports: [funnel], crn: 0 6 * * 1}", "Did you mean 'cron'?"),
        ("weekly: {reports: [funnel]}", "weekly: cron is missing. Write five fields: minute hour day month weekday, e.g."),
        ("weekly: {reports: [funnel], cron: 0 25 * * 1}", "cron '0 25 * * 1' is not read (bad hour). Write five fields"),
        ("weekly: {reports: [funnel], cron: 0 6 * * MON}", "cron '0 6 * * MON' is not read. Write five fields"),
        ("weekly: {reports: [funnel], cron: '@weekly'}", "cron '@weekly' is not read."),
        ("weekly: {reports: [funnel], cron: 0 0 6 * * 1}", "cron '0 0 6 * * 1' is not read."),
        ("weekly: {reports: [funnel], cron: 0 6 30 2 *}", "cron '0 6 30 2 *' is not read (bad day-of-month)."),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, timezone: Europe/Berlim}", "'Europe/Berlim' is no time zone. Write one"),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, timezone: Europe/Berlim}", "Did you mean 'Europe/Berlin'?"),
        ("weekly: {reports: [funel], cron: 0 6 * * 1}", "weekly: there is no report 'funel'. There are funnel, win_loss. Did you"),
        ("weekly: {parameters: parameters/no.yaml, cron: 0 6 * * 1}", "weekly: parameters: no.yaml: cannot be read"),
        ("weekly: {cron: 0 6 * * 1}", "weekly: takes either reports or parameters."),
        ("weekly: {reports: [funnel], parameters: parameters/pack.yaml, cron: 0 6 * * 1}", "takes either reports or"),
        ("weekly: {reports: {a: b}, cron: 0 6 * * 1}", "weekly: reports is no list. Write [a, b]."),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, as_of: friday}", "as_of 'friday' is not read. Write yesterday, or"),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, owner: nobody}", "weekly: owner: 'nobody' is no mail address."),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, readers: [a@x.org, b]}", "weekly: readers: 'b' is no mail address."),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, args: [--due, now]}", "weekly: args may not hold --due. Leave it out."),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, period: [a]}", "weekly: period is no text on one line. Write one."),
        ("weekly: {reports: [funnel], cron: 0 6 * * 1, snapshots: kept}", "snapshots needs a source to keep copies of."),
        ("we/ekly: {reports: [funnel], cron: 0 6 * * 1}", "'we/ekly' cannot name a schedule. Use letters, digits,"),
        ("weekly: 0 6 * * 1", "weekly: holds no lines. It takes cron,"),
        ("- weekly", "parameters/schedules.yaml: is no mapping. Write a name, a colon, and its lines below it."),
        ("weekly: {}\nweekly: {}", "parameters/schedules.yaml: line 2: 'weekly' is there twice."),
        ("weekly: !!python/object/apply:os.system [ls]", "the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not read."),
    ],
)  # fmt: skip
def test_every_fault_is_told_where_it_is(root, text, words):
    with pytest.raises(ParameterError) as caught:
        schedules.read(written(root, text))
    assert words in str(caught.value)
    assert all(line.startswith("parameters/schedules.yaml") for line in str(caught.value).splitlines())


def test_all_faults_are_told_at_once(root):
    text = "one: {crn: 0, reports: [funnel], timezone: Mars}\ntwo: {cron: 1, reports: [funnel]}\n"
    with pytest.raises(ParameterError) as caught:
        schedules.read(written(root, text))
    assert len(str(caught.value).splitlines()) == 4


def test_an_argument_that_no_run_takes_is_told_with_its_schedule(root, capsys):
    written(root, WEEKLY + "  args: [--emial]\n")
    assert cli.main(["schedule"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "parameters/schedules.yaml, weekly: args: unrecognized arguments: --emial. See salesops run --help.\n"
    )


def test_without_a_file_there_are_none(root, capsys):
    assert schedules.read(root) == {}
    assert cli.main(["schedule"]) == 2
    assert capsys.readouterr().err == ("parameters/schedules.yaml: holds no schedule. README.md has an example.\n")
    assert cli.main(["run", "--schedule", "weekly"]) == 2
    assert "has no 'weekly'. There are none." in capsys.readouterr().err


def test_our_own_schedules_are_read_and_parse():
    found = schedules.read(ROOT)
    assert list(found) == ["weekly", "quarterly"]
    for each in found.values():
        options = parsed(["run", *schedules.arguments(each, ROOT)])
        assert options.parameters.is_file()


def moments(schedule: schedules.Schedule, after: str, n: int = 3) -> list[str]:
    return [str(due) for due in schedules.next_due(schedule, datetime.fromisoformat(after), n)]


def test_six_o_clock_stays_six_o_clock_where_the_clocks_change():
    assert moments(one(), "2026-03-20T00:00+00:00", 2) == ["2026-03-23 06:00:00+01:00", "2026-03-30 06:00:00+02:00"]
    assert moments(one(), "2026-10-20T00:00+00:00", 2) == ["2026-10-26 06:00:00+01:00", "2026-11-02 06:00:00+01:00"]


def test_an_hour_that_is_skipped_or_repeated_is_due_once():
    nightly = one(cron="30 2 * * *")
    assert moments(nightly, "2026-03-28T12:00+01:00", 2) == ["2026-03-29 03:00:00+02:00", "2026-03-30 02:30:00+02:00"]
    assert moments(nightly, "2026-10-24T12:00+02:00", 2) == ["2026-10-25 02:30:00+02:00", "2026-10-26 02:30:00+01:00"]
    spring = [
        schedules.last_due(nightly, datetime.fromisoformat(text))
        for text in ("2026-03-29T02:59+01:00", "2026-03-29T12:00+02:00")
    ]
    assert [str(due) for due in spring] == ["2026-03-29 03:00:00+02:00"] * 2
    for year_of_days in (schedules.between(nightly, date(2026, 1, 1), date(2026, 12, 31)),):
        assert [due.date() for due in year_of_days] == [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]


def test_the_day_of_the_data_is_the_day_before_in_the_zone_of_the_schedule():
    far = one(timezone="Pacific/Auckland")  # Monday at six there is Sunday in UTC
    due = schedules.last_due(far, datetime.fromisoformat("2026-09-30T00:00+00:00"))
    assert str(due) == "2026-09-28 06:00:00+13:00" and far.data_day(due) == date(2026, 9, 27)
    assert one(as_of="today").data_day(due) == date(2026, 9, 27)  # the same moment is Sunday evening in Berlin
    assert far._replace(as_of="today").data_day(due) == date(2026, 9, 28)


def test_both_kinds_of_day_are_either_or_as_cron_has_it():
    both = one(cron="0 6 1 * 1", timezone="UTC")
    assert [day[:10] for day in moments(both, "2026-08-30T00:00+00:00", 3)] == [
        "2026-08-31",
        "2026-09-01",
        "2026-09-07",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-28T06:00", "2026-09-28T06:00:00+02:00"),
        ("2026-09-28", "2026-09-28T00:00:00+02:00"),
        ("2026-09-28T00:00:00-04:00", "2026-09-28T06:00:00+02:00"),
        ("now", "2026-09-28T14:00:00+02:00"),
    ],
)
def test_a_moment_is_read_in_the_zone_of_the_schedule(text, expected):
    noon = datetime.fromisoformat("2026-09-28T12:00+00:00")
    assert schedules.moment(text, one(), now=lambda: noon).isoformat() == expected


def test_the_clock_is_read_for_now_alone():
    def clock():
        raise AssertionError("read")

    assert schedules.moment("2026-09-28", one(), now=clock).hour == 0
    with pytest.raises(ParameterError, match="'tomorrow' is no moment"):
        schedules.moment("tomorrow", one(), now=clock)


def test_a_schedule_says_what_a_person_would_type():
    full = one(
        parameters="parameters/pack.yaml", period="last_week", source="exports", out="out", readers=("a@x.org", "b@x.org"),
        owner="o@x.org", args=("--pdf", "--for-each", "region"),
    )  # fmt: skip
    said = schedules.arguments(full, Path("repo"), due=datetime.fromisoformat("2026-09-28T06:00+02:00"))
    assert shlex.join(said) == (
        "--parameters repo/parameters/pack.yaml -p period=last_week -p source=repo/exports -p as_of=2026-09-27 --out repo/out "
        "--email --owner o@x.org --readers a@x.org,b@x.org --pdf --for-each region"
    )
    options = parsed(["run", *said])
    assert options.email and options.pdf and options.for_each == "region" and options.readers == "a@x.org,b@x.org"
    assert "-p" not in schedules.arguments(one(reports=("funnel",)), Path())
    assert "source=sample" in schedules.arguments(one(source="sample"), Path("repo"))
    assert "source=repo/kept" in schedules.arguments(one(source="exports", snapshots="kept"), Path("repo"))


def test_the_command_line_wins_over_the_schedule_and_assignments_add_up(root):
    written(root, WEEKLY + "  period: last_week\n  out: ours\n  owner: o@x.org\n")
    given = parsed(["run", "--schedule", "weekly", "--due", "2026-09-30", "--out", "mine", "-p", "level=1", "win_loss"])
    said: list[str] = []
    found = scheduled.options(given, cli._parser(), said.append)
    assert found.assignments == ["period=last_week", "as_of=2026-09-27", "level=1"]
    assert (str(found.out), found.reports, found.owner, found.email) == ("mine", ["win_loss"], "o@x.org", True)
    assert said == ["weekly: due Monday 2026-09-28 06:00 CEST, data through 2026-09-27."]
    plain = scheduled.options(parsed(["run", "--schedule", "weekly"]), cli._parser(), said.append)
    assert plain.reports == ["funnel"] and plain.assignments == ["period=last_week"] and str(plain.out) == "ours"


@pytest.mark.usefixtures("root")
def test_due_without_a_schedule_is_refused(capsys):
    assert cli.main(["run", "--due", "now"]) == 2
    assert capsys.readouterr().err.startswith("--due: goes with --schedule.")


def test_a_schedule_runs(root):
    written(root, WEEKLY)
    assert cli.main(["run", "--schedule", "weekly", "--due", "2026-09-30"]) == 0
    assert (root / "reports" / "2026-09-27" / "funnel.html").is_file()
    assert not (root / "reports" / "2026-09-27" / "win_loss.html").exists()


def test_snapshots_are_kept_before_the_run_and_are_what_it_reads(root, capsys):
    (root / "exports").mkdir()
    lines = "opportunity_id,outcome,created_date,close_date\nd1,won,2026-09-01,2026-09-20\n"
    (root / "exports" / "opportunities.csv").write_text(lines, encoding="utf-8")
    written(root, WEEKLY + "  source: exports\n  snapshots: kept\n")
    assert cli.main(["run", "--schedule", "weekly", "--due", "2026-09-30"]) == 0
    assert "kept as the copy of 2026-09-28, number 1 in kept." in capsys.readouterr().err
    assert (root / "kept" / "2026-09-28" / "opportunities.parquet").is_file()
    figures = (root / "reports" / "2026-09-27" / "funnel.json").read_text(encoding="utf-8")
    assert '"source": "kept"' in figures


def test_the_list_says_when_next(root, capsys):
    written(root, WEEKLY + "nightly: {parameters: parameters/pack.yaml, cron: 30 4 * * *}\n")
    assert cli.main(["schedule", "--after", "2026-10-24T12:00"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "weekly\t0 6 * * 1\tEurope/Berlin\tfunnel\tMon 2026-10-26 06:00 CET, Mon 2026-11-02 06:00 CET, Mon 2026-11-09 06:00 CET",
        "nightly\t30 4 * * *\tUTC\tparameters/pack.yaml\tSun 2026-10-25 04:30 UTC, Mon 2026-10-26 04:30 UTC, Tue 2026-10-27 04:30 UTC",
    ]
    assert cli.main(["schedule"]) == 0 and cli.main(["schedule", "--name", "weekly"]) == 0
    assert cli.main(["schedule", "--name", "wekly"]) == 2
    assert "Did you mean 'weekly'?" in capsys.readouterr().err


def salesops_words(line: str) -> list[str]:
    """What follows the program in a command line."""
    words = shlex.split(line)
    return words[words.index("salesops") + 1 :]


def test_a_crontab_has_zone_owner_and_the_command(root, capsys):
    written(root, WEEKLY + "  owner: o@x.org\nother: {reports: [funnel], cron: 5 4 * * *}\n")
    assert cli.main(["schedule", "--emit", "cron"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    assert [lines[0], *lines[2:4]] == ["CRON_TZ=UTC", "CRON_TZ=Europe/Berlin", 'MAILTO="o@x.org"']
    assert lines[1].startswith("5 4 * * * ") and lines[4].startswith("0 6 * * 1 ")
    options = parsed(salesops_words(lines[4]))
    assert (options.schedule, options.due, options.root) == ("weekly", "now", root.resolve())


def test_a_percent_sign_does_not_end_a_cron_line(tmp_path):
    folder = tmp_path / "100 % ours"
    (line,) = [line for line in timers.crontab([one()], folder).splitlines() if line.startswith("0 6")]
    assert r"\%" in line and parsed(salesops_words(line.replace(r"\%", "%"))).root == folder
    with pytest.raises(ParameterError, match="has a line break"):
        timers.crontab([one()], tmp_path / "a\nb")


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 6 * * 1", ["Mon *-*-* 06:00:00 Europe/Berlin"]),
        ("*/20 6-7 1 1,4 *", ["*-01,04-01 06,07:00,20,40:00 Europe/Berlin"]),
        ("0 6 1 * 1-5", ["*-*-01 06:00:00 Europe/Berlin", "Mon,Tue,Wed,Thu,Fri *-*-* 06:00:00 Europe/Berlin"]),
        ("0 6 */2 * 0,7", ["Sun *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 06:00:00 Europe/Berlin"]),
    ],
)
def test_systemd_writes_the_same_moments(cron, expected):
    assert timers.calendar(one(cron=cron)) == expected


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


@needs_systemd
@pytest.mark.parametrize("cron", ["0 6 * * 1", "0 6 */2 * 0,7", "*/20 6-7 1 1,4 *", "15 5 29 2 *"])
def test_systemd_reads_the_moments_as_cron_does(cron):
    schedule = one(cron=cron)
    (when,) = timers.calendar(schedule)
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=5", "--base-time=2026-03-01 00:00:00 UTC", when],
        capture_output=True, text=True, check=True, timeout=30, env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )  # fmt: skip
    found = [line.rpartition(": ")[2] for line in done.stdout.splitlines() if "elapse:" in line or "Iter. #" in line]
    utc = [
        due.astimezone(schedules.ZoneInfo("UTC"))
        for due in schedules.next_due(schedule, datetime.fromisoformat("2026-03-01T00:00+00:00"), 5)
    ]
    assert found == [f"{due:%a %Y-%m-%d %H:%M:%S} UTC" for due in utc]


@needs_systemd
def test_systemd_verifies_the_units(root, capsys):
    strange = root / "a $b % 'c'"
    written(root, WEEKLY)
    assert cli.main(["schedule", "--emit", "systemd", "--to", "units"]) == 0
    folder = root / "units"
    assert {path.name for path in folder.iterdir()} == {"salesops-weekly.service", "salesops-weekly.timer"}
    strange.mkdir()
    for name, text in timers.units(one(), strange).items():
        (folder / name.replace("weekly", "strange")).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(folder.iterdir()))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    mine = [line for line in done.stderr.splitlines() if "salesops-" in line]
    assert done.returncode == 0 and mine == []
    service = (folder / "salesops-strange.service").read_text(encoding="utf-8")
    assert "a $$b %% 'c'\" --schedule weekly" in service and "a $b %% 'c'\n" in service
    printed = cli.main(["schedule", "--emit", "systemd"]), capsys.readouterr().out
    assert printed[0] == 0 and "# salesops-weekly.timer\n[Unit]" in printed[1]


def test_a_timer_says_when_the_clocks_skip_its_moment():
    assert "systemd leaves it out" in timers.units(one(cron="30 2 * * *"), Path())["salesops-weekly.timer"]
    assert "#" not in timers.units(one(), Path())["salesops-weekly.timer"]


def test_a_folder_for_units_goes_with_systemd(root, capsys):
    written(root, WEEKLY)
    assert cli.main(["schedule", "--emit", "cron", "--to", "units"]) == 2
    assert capsys.readouterr().err.startswith("--to: goes with --emit systemd.")


SECTION = README.partition("\n## By itself\n")[2].partition("\n## ")[0]


def readme_blocks() -> dict[str, tuple[str, str]]:
    """The README's blocks on schedules: language and text, by the first line."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    return {text.splitlines()[0]: (kind, text) for kind, text in blocks}


def strings(found: object) -> list[str]:
    """Every text of a document; a list of words is one command line."""
    if isinstance(found, dict):
        return [text for value in found.values() for text in strings(value)]
    if isinstance(found, list) and all(isinstance(word, str) for word in found):
        return [shlex.join(found)]
    return [text for value in found for text in strings(value)] if isinstance(found, list) else [str(found)]


def commands(texts: list[str]) -> list[list[str]]:
    """The words after salesops of every command line."""
    lines = [
        found
        for text in texts
        for found in re.findall(r"(?:^|[\s/])salesops ((?:run|schedule|backfill)\b[^\n|&]*)", text)
    ]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize(
    ("first", "due"),
    [
        ("# .github/workflows/weekly.yaml", "now"),
        ("# salesops-weekly.yaml, for Kubernetes", "now"),
        ("# dags/salesops_weekly.py, for Airflow 3", "{{ logical_date.isoformat() }}"),
    ],
)
def test_the_jobs_of_the_readme_run_what_salesops_takes(first, due):
    (kind, text) = next(block for line, block in readme_blocks().items() if line.startswith(first))
    if kind == "yaml":
        texts = strings(yaml.safe_load(text))
    else:
        texts = [
            node.value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    [words] = commands(texts)
    options = parsed(words)
    assert options.schedule in schedules.read(ROOT) and options.due == due


def test_the_schedule_of_the_readme_is_read(root):
    kind, text = readme_blocks()["weekly:"]
    written(root, text.replace("parameters/weekly.yaml", "parameters/pack.yaml"))
    (found,) = schedules.read(root).values()
    assert kind == "yaml" and found.readers == ("sales@example.com",)
    assert parsed(["run", *schedules.arguments(found, root)]).for_each == "region"


def test_the_commands_of_the_readme_parse():
    found = commands([text for kind, text in readme_blocks().values() if not kind])
    assert len(found) >= 7 and all(parsed(words) for words in found)


def test_a_logical_date_is_a_moment():
    assert schedules.last_due(one(), schedules.moment("2026-09-28 04:00:00+00:00", one(), now=datetime.now)).hour == 6
