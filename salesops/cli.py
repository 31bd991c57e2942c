"""The command line: run reports, list them, say what each takes."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_EXAMPLES = """\
examples:
  salesops run                                   the quarterly pack, from the built-in sample
  salesops run -p source=exports/crm             the pack from a folder of CRM exports
  salesops run win_loss funnel -p period=2026Q3  two reports, one quarter
  salesops run -p win_loss.by=region             a parameter of one report alone
  salesops run win_loss --for-each region        one win/loss report a region
  salesops params win_loss                       what win_loss takes

exit codes: 0 published, or nothing to report; 1 a report failed; 2 bad parameters; 3 bad data
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _stop)
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
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="salesops",
        description="From a CRM export to a dated pack of reports.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "make reports and publish them")
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
    run.add_argument("--for-each", metavar="COLUMN", help="one report for each value of a column of the opportunities")
    _command(commands, "list", _list, "name every report")
    params = _command(commands, "params", _params, "show what a report takes: name, type, default, help")
    params.add_argument("report", metavar="REPORT", help="a name as `salesops list` shows it")
    return parser


def _command(commands: argparse._SubParsersAction, name: str, function: object, told: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=told, description=told[:1].upper() + told[1:] + ".")
    parser.set_defaults(command=function)
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the repository; default: here")
    parser.add_argument("--traceback", action="store_true", help="show where an unexpected error came from")
    return parser


def _run(options: argparse.Namespace) -> int:
    from salesops.engine import plan, run

    request = plan.Request(
        root=options.root,
        out=options.out or options.root / "reports",
        reports=tuple(options.reports),
        parameters=options.parameters,
        assignments=tuple(options.assignments),
        for_each=options.for_each,
    )
    return run.run(request, _say, progress=sys.stderr.isatty())


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


def _explained(fault: Exception, with_traceback: bool) -> int:
    from salesops.checks import DataError, ParameterError

    if with_traceback:
        import traceback

        traceback.print_exception(fault)
    if isinstance(fault, (ParameterError, DataError)):
        _say(str(fault))
        return 2 if isinstance(fault, ParameterError) else 3
    _say(f"salesops: unexpected {type(fault).__name__}: {fault}. Run again with --traceback to see where.")
    return 1


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt
