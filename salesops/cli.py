"""The command line: run reports, list them, say what each takes."""

import argparse
import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from salesops.engine import plan

_EXAMPLES = """\
examples:
  salesops run                                   the quarterly pack, from the built-in sample
  salesops run -p source=exports/crm             the pack from a folder of CRM exports
  salesops run win_loss funnel -p period=2026Q3  two reports, one quarter
  salesops run -p win_loss.by=region             a parameter of one report alone
  salesops run win_loss --for-each region        one win/loss report a region
  salesops run --schedule weekly                 what parameters/schedules.yaml says under weekly
  salesops backfill --schedule weekly --from 2026-07-01 --to 2026-09-30     its past dates
  salesops params win_loss                       what win_loss takes
  salesops diff reports/2026-06-30 reports/2026-09-30    what changed between two packs
  salesops status                                how the last runs ended, and what is overdue
  salesops reproduce reports/2026-09-30/win_loss.run.json    the same figures again, or which differ
  salesops prune --keep 12                       what may go; with --yes it goes
  salesops cache --clear                         forget what was kept to be faster

exit codes: 0 published, or nothing to report; 1 a report failed; 2 bad parameters; 3 bad data
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    before = {number: signal.signal(number, _stop) for number in _stopping()}
    try:
        return options.command(options)
    except KeyboardInterrupt:
        # The cell that was cut off would otherwise be reported by asyncio on the way out.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        _say("salesops: stopped; what was published before stays, nothing half made does.")
        return 130
    except BrokenPipeError:  # the reader of the output has gone, e.g. `salesops list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as fault:
        return _explained(fault, options.traceback)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="salesops",
        description="From a CRM export to a dated pack of reports.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_schedules(commands)
    _add_records(commands)
    _command(commands, "list", _list, "name every report")
    params = _command(commands, "params", _params, "show what a report takes: name, type, default, help")
    params.add_argument("report", metavar="REPORT", help="a name as `salesops list` shows it")
    check = _command(commands, "check", _check, "show what of a source is recognised, mapped and missing")
    check.add_argument("source", metavar="SOURCE", help="a folder of exports, a source.yaml, or sample")
    init = _command(commands, "init", _init, "write the source.yaml to edit, proposed from the data, with reasons")
    init.add_argument("source", metavar="SOURCE", help="a folder of exports")
    init.add_argument("--to", type=Path, metavar="FILE", help="where to write it; default: SOURCE/source.yaml")
    _add_sample(commands)
    diff = _command(commands, "diff", _diff, "say what changed between two published packs or reports")
    diff.add_argument("earlier", type=Path, metavar="A", help="a dated folder of reports, or a figures file")
    diff.add_argument("later", type=Path, metavar="B", help="the later one")
    snapshot = _command(commands, "snapshot", _snapshot, "keep a dated copy of a source, so that it has a history")
    snapshot.add_argument("source", metavar="SOURCE", help="a folder of exports or a source.yaml")
    snapshot.add_argument("--to", type=Path, required=True, metavar="DIR", help="folder of dated copies")
    snapshot.add_argument("--as-of", metavar="DAY", help="day of the copy; default: the latest recorded event")
    reconcile = _command(commands, "reconcile", _reconcile, "explain how the CRM's own totals differ from ours")
    reconcile.add_argument("source", metavar="SOURCE", help="a folder of exports, a source.yaml, or sample")
    reconcile.add_argument("expected", type=Path, metavar="EXPECTED", help="a YAML file of the CRM's totals")
    return parser


def _add_run(commands: argparse._SubParsersAction) -> None:
    run = _command(commands, "run", _run, "make reports and publish them")
    _add_what(run)
    run.add_argument(
        "--due", metavar="TIME", help="with --schedule: as of the moment due at TIME or just before it, e.g. "
        "2026-09-28T06:00; or now",
    )  # fmt: skip
    run.add_argument("--force", action="store_true", help="also run a report of which nothing has changed")
    run.add_argument(
        "--no-cache", action="store_true", help="neither read nor keep what `salesops cache` shows; "
        "the figures are the same",
    )  # fmt: skip
    run.add_argument("--json", action="store_true", help="also one line of JSON a report, on the standard output")
    run.add_argument("--for-schedule", default="", help=argparse.SUPPRESS)  # what a worker is told of the run it is of


def _add_records(commands: argparse._SubParsersAction) -> None:
    """What the runs left: how they stand, one of them again, and what of them may go."""
    status = _command(commands, "status", _status, "show the last run of each report, and what is overdue")
    status.add_argument("report", nargs="?", metavar="REPORT", help="this one and its variants alone; default: all")
    status.add_argument("--runs", type=int, default=1, metavar="N", help="so many last runs of each; default: 1")
    again = _command(commands, "reproduce", _reproduce, "make a published report again and compare every figure")
    again.add_argument("record", type=Path, metavar="RUN.json", help="its run record, e.g. win_loss.run.json")
    again.add_argument(
        "-p", dest="assignments", action="append", default=[], metavar="source=DIR",
        help="where the source lies, which the record names by its label alone",
    )  # fmt: skip
    prune = _command(commands, "prune", _prune, "remove old reports to save room; without --yes only say which")
    prune.add_argument("--keep", type=int, metavar="N", help="keep the newest N dates of each report")
    prune.add_argument("--keep-days", type=int, metavar="N", help="keep N days before the newest date published")
    prune.add_argument("--all-files", action="store_true", help="also figures files, which later reports compare with")
    prune.add_argument("--yes", action="store_true", help="remove them")
    cache = _command(commands, "cache", _cache, "show what is kept on this machine to be faster next time")
    cache.add_argument(
        "--clear", nargs="?", const="", metavar="KIND", help="remove it, or what is kept of one kind, e.g. exports"
    )
    for command in (status, prune):
        command.add_argument("--out", type=Path, metavar="DIR", help="folder of dated folders; default: reports")


def _add_schedules(commands: argparse._SubParsersAction) -> None:
    schedule = _command(commands, "schedule", _schedule, "list the schedules, or write their entries")
    schedule.add_argument("--name", metavar="NAME", help="this schedule alone")
    schedule.add_argument("--after", default="now", metavar="TIME", help="when next after TIME; default: now")
    schedule.add_argument("--emit", choices=("cron", "systemd"), help="print the entries for it")
    schedule.add_argument("--to", type=Path, metavar="DIR", help="with --emit systemd: write the units into a folder")
    backfill = _command(commands, "backfill", _backfill, "make the past dates of a schedule as they would have been")
    _add_what(backfill)
    backfill.add_argument("--from", dest="first", required=True, metavar="DAY", help="first day, e.g. 2026-07-01")
    backfill.add_argument("--to", dest="last", required=True, metavar="DAY", help="last day")
    backfill.add_argument("--force", action="store_true", help="also make again what is published")
    new = _command(commands, "new", _new, "write the files of a new report: notebook, module, test")
    new.add_argument("name", metavar="NAME", help="one name for all of them, e.g. renewals")


def _add_what(run: argparse.ArgumentParser) -> None:
    """What to make, from what, where to, and what goes with it."""
    run.add_argument("--schedule", metavar="NAME", help="what parameters/schedules.yaml says under NAME")
    run.add_argument(
        "reports", nargs="*", metavar="REPORT", help="names as `salesops list` shows them; default: the pack's"
    )
    run.add_argument(
        "--parameters", type=Path, metavar="FILE", help="parameter file; default: parameters/quarterly.yaml"
    )
    run.add_argument(
        "-p", dest="assignments", action="append", default=[], metavar="NAME=VALUE",
        help="set a parameter of every report, or of one as REPORT.NAME=VALUE; lists as a,b or [a, b]; may be repeated",
    )  # fmt: skip
    run.add_argument("--out", type=Path, metavar="DIR", help="folder of dated folders; default: reports")
    run.add_argument(
        "--for-each", metavar="COLUMN",
        help="one report for each value of a column of the opportunities, or team; COLUMN=A,B for some values; "
        "for owner_id and team each in a folder that names nobody else",
    )  # fmt: skip
    run.add_argument(
        "--part", default="", metavar="INDEX/OF", help="with --for-each: only the parts whose number, from 0 and "
        "modulo OF, is INDEX",
    )  # fmt: skip
    run.add_argument(
        "--executor", default="local", metavar="WHERE", help="make the reports here (local; the default), or on the "
        "workers of a Dask cluster: dask://HOST:PORT",
    )  # fmt: skip
    _add_limits(run)
    _add_exports(run)


def _add_limits(run: argparse.ArgumentParser) -> None:
    """How much at a time, how often, how long and with how much memory."""
    run.add_argument("--jobs", type=int, metavar="N", help="reports at a time; default: as many as processors")
    run.add_argument(
        "--retries", type=int, default=2, metavar="N", help="tries after the first where reading was disturbed; "
        "default: 2",
    )  # fmt: skip
    run.add_argument("--timeout", type=float, metavar="S", help="seconds that the whole run may take")
    run.add_argument("--cell-timeout", type=int, metavar="S", help="seconds that a cell of a notebook may take")
    run.add_argument("--memory", type=int, metavar="MB", help="megabytes that a report may hold (Linux)")
    run.add_argument("--cold", action="store_true", help="start each report's kernel by itself, not from a warm one")
    run.add_argument(
        "--max-age", type=int, metavar="DAYS", help="days that the newest record may be before as_of; older data fail"
    )


def _add_exports(run: argparse.ArgumentParser) -> None:
    run.add_argument("--pdf", action="store_true", help="also print each page; Chromium or Chrome must be installed")
    run.add_argument("--xlsx", action="store_true", help="also a workbook of figures, deals and definitions")
    run.add_argument("--pptx", action="store_true", help="also slides: a finding each, its chart editable")
    run.add_argument(
        "--email", action="store_true", help="also a mail to its readers and one to its owner, ready to be sent"
    )
    run.add_argument("--base-url", default="", metavar="URL", help="where --out is on the web, for links in files")
    run.add_argument("--readers", default="", metavar="A,B", help="mail addresses of the readers")
    run.add_argument("--owner", default="", metavar="A", help="mail address of who makes the reports")


def _add_sample(commands: argparse._SubParsersAction) -> None:
    sample = _command(commands, "sample", _sample, "write the sample company as a CRM would export it")
    sample.add_argument("folder", type=Path, metavar="DIR", help="folder to write to; it must be empty or new")
    sample.add_argument(
        "--as", dest="shape", choices=("canonical", "salesforce", "hubspot"), default="canonical",
        help="whose export it looks like; default: canonical",
    )  # fmt: skip
    sample.add_argument("--size", type=int, default=6000, metavar="N", help="opportunities; default: 6000")


def _command(commands: argparse._SubParsersAction, name: str, function: object, told: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=told, description=told[:1].upper() + told[1:] + ".")
    parser.set_defaults(command=function)
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the repository; default: here")
    parser.add_argument("--traceback", action="store_true", help="show where an unexpected error came from")
    return parser


def _run(options: argparse.Namespace) -> int:
    from salesops.engine import run

    if options.no_cache:
        os.environ["SALESOPS_CACHE"] = "off"  # for the kernels too
    if options.schedule or options.due:
        from salesops.engine import scheduled

        options = scheduled.options(options, _parser(), _say)
    return run.run(_request(options), _say, progress=sys.stderr.isatty(), tell=_tell if options.json else None)


def _tell(told: dict[str, object]) -> None:
    """One line of JSON, for the program that started us."""
    import json

    from salesops.engine import scrub

    print(scrub.without_secrets(json.dumps(told, ensure_ascii=False)), flush=True)


def _schedule(options: argparse.Namespace) -> int:
    from salesops.engine import scheduled

    print(scheduled.told(options, _parser()), flush=True)
    return 0


def _backfill(options: argparse.Namespace) -> int:
    from salesops.engine import scheduled

    return scheduled.backfill(options, _parser(), _request, _say)


def _new(options: argparse.Namespace) -> int:
    from salesops.engine import scaffold

    for line in scaffold.write(options.root, options.name):
        _say(line)
    return 0


def _request(options: argparse.Namespace) -> "plan.Request":
    from salesops.engine import exports, plan
    from salesops.engine.limits import Limits

    wanted = exports.Wanted(
        **{name: getattr(options, name) for name in ("pdf", "xlsx", "pptx", "email", "base_url", "owner")},
        readers=tuple(text.strip() for text in options.readers.split(",") if text.strip()),
    )
    return plan.Request(
        root=options.root,
        out=options.out or options.root / "reports",
        reports=tuple(options.reports),
        parameters=options.parameters,
        assignments=tuple(options.assignments),
        for_each=options.for_each,
        wanted=wanted,
        force=options.force,
        cold=options.cold,
        jobs=options.jobs,
        retries=options.retries,
        limits=Limits(options.timeout, options.cell_timeout, options.memory),
        max_age=options.max_age,
        schedule=options.schedule or getattr(options, "for_schedule", ""),
        executor=options.executor,
        part=options.part,
    )


def _status(options: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from salesops.engine import status

    out = options.out or options.root / "reports"
    print(status.status(out, options.root, datetime.now(UTC), runs=options.runs, report=options.report), flush=True)
    return 0


def _reproduce(options: argparse.Namespace) -> int:
    from salesops.engine import reproduce

    given = tuple(options.assignments)
    return reproduce.reproduce(options.record, root=options.root, assignments=given, say=_say)


def _prune(options: argparse.Namespace) -> int:
    from salesops.engine import plan, prune

    keep = prune.Keep(options.keep, options.keep_days, options.all_files)
    out, pack = options.out or options.root / "reports", plan.pack(options.root)
    return prune.prune(out, keep, _say, is_sure=options.yes, pack=pack)


def _cache(options: argparse.Namespace) -> int:
    from salesops import kept

    root = kept.folder()
    if root is None:
        print(f"Nothing is kept: {kept.FOLDER}={kept.OFF}.", flush=True)
    elif options.clear is None:
        print(kept.table(root), flush=True)
    else:
        _say(kept.cleared(root, options.clear or None))
    return 0


def _list(options: argparse.Namespace) -> int:
    from salesops.engine import catalog

    print("\n".join(catalog.find(options.root)), flush=True)
    return 0


def _params(options: argparse.Namespace) -> int:
    from salesops.engine import catalog, kinds, parameters, schema

    [report] = catalog.select(catalog.find(options.root), [options.report])
    taken = schema.read(report.notebook)
    values = parameters.resolve(report.name, taken, parameters.layers(report, None, {}, {}))
    for name, parameter in taken.items():
        cells = [name, str(parameter.kind), kinds.shown(values[name].value), parameter.help]
        print("\t".join(" ".join(cell.split()) for cell in cells), flush=True)
    return 0


def _check(options: argparse.Namespace) -> int:
    from salesops.crm import recognition

    print(recognition.table(options.source), flush=True)
    return 0


def _init(options: argparse.Namespace) -> int:
    from salesops.crm import proposal

    _say(proposal.write(options.source, options.to))
    return 0


def _sample(options: argparse.Namespace) -> int:
    from salesops.crm.sample import export

    _say(export.write(options.folder, shape=options.shape, size=options.size))
    return 0


def _diff(options: argparse.Namespace) -> int:
    from salesops import changes_told

    print(changes_told.diff(options.earlier, options.later), flush=True)
    return 0


def _snapshot(options: argparse.Namespace) -> int:
    from salesops.crm import snapshots

    _say(snapshots.append(options.source, options.to, as_of=options.as_of))
    return 0


def _reconcile(options: argparse.Namespace) -> int:
    from salesops.crm import reconciliation

    bridge = reconciliation.of_source(options.source, options.expected)
    print(bridge.text, flush=True)
    return 0 if bridge.ties else 3


def _explained(fault: Exception, with_traceback: bool) -> int:
    from salesops.checks import DataError, ParameterError, SalesopsError

    if with_traceback:
        import traceback

        from salesops.engine import scrub

        print(scrub.without_secrets("".join(traceback.format_exception(fault))), file=sys.stderr, flush=True)
    if isinstance(fault, SalesopsError):  # its words are for the person, and say what to do
        _say(str(fault))
        return 2 if isinstance(fault, ParameterError) else 3 if isinstance(fault, DataError) else 1
    if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT):
        _say(f"salesops: the disk is full ({fault.filename}). What is published stays; make room and run again.")
        return 1
    _say(f"salesops: unexpected {type(fault).__name__}: {fault}. Run again with --traceback to see where.")
    return 1


def _say(message: str) -> None:
    from salesops.engine import scrub

    print(scrub.without_secrets(message), file=sys.stderr, flush=True)


def _stopping() -> list[int]:
    """Signals that ask to stop beside Ctrl-C: also a terminal that is closed, unless `nohup` told not to mind."""
    closed = getattr(signal, "SIGHUP", None)  # not on Windows
    is_minded = closed is not None and signal.getsignal(closed) != signal.SIG_IGN
    return [signal.SIGTERM, closed] if is_minded else [signal.SIGTERM]


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt
