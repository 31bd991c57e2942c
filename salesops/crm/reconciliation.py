"""Why the CRM's own totals differ from ours: a bridge, one definition at a time.

The file of expected totals says what the CRM's report showed and how it counted::

    as_of: 2026-09-30            # our day; the latest recorded event if absent
    period: 2026Q3               # of the won and lost totals; all if absent
    counted:                     # how the CRM's report counted; each may be absent
      extracted: 2026-10-02      # the day it was run
      time_zone: America/New_York
      clock: closed_at           # close_date, or closed_at: when the deal was moved
      conversion: constant       # or plan, close_date
      credit: current            # the owner now, or event: the owner when the deal closed
      where: ""                  # its filter, e.g. segment == 'SMB'; no filter if absent
      barred: included           # whether amounts we bar are in its sums
    totals:
      - {metric: won_amount, value: 1834220.00}
      - {metric: won_count, by: {owner_id: U-008}, value: 4}

Every total is computed as the CRM counts, and then again with our definitions put in one after
the other. What the first computation does not reach is the unexplained remainder.
"""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from salesops import checks, crm, periods, pipeline
from salesops.crm import replay

METRICS = ("won_amount", "won_count", "lost_amount", "lost_count", "open_amount", "open_count")
SAID = {
    "extracted": "extract lag",
    "time_zone": "time zone",
    "clock": "clock",
    "conversion": "currency",
    "credit": "credit",
    "barred": "exclusions",
    "where": "population",
}
_CHOICES = {"clock": ("close_date", "closed_at"), "credit": ("event", "current"), "barred": ("included", "excluded")}
_CENT = 0.005


class Counting(NamedTuple):
    """How a total is counted; the fields are the steps of the bridge, in their order."""

    extracted: date | None
    time_zone: str
    clock: str
    conversion: str
    credit: str
    barred: str
    where: str


class Bridge(NamedTuple):
    """One row a total and step, and whether every remainder is nil."""

    rows: pd.DataFrame
    ties: bool

    @property
    def text(self) -> str:
        """The bridge as lines of a terminal."""
        lines = []
        for name, rows in self.rows.groupby("total", sort=False):
            lines += [name, *(f"  {row.step:<24}{row.amount:>20,.2f}" for row in rows.itertuples()), ""]
        verdict = "The totals tie." if self.ties else "The totals do not tie: see the unexplained remainders."
        return "\n".join([*lines, verdict])


def of_source(source: str | Path, expected: Path) -> Bridge:
    """The bridge of a source's totals to ours.

    Parameters
    ----------
    source
        As for `crm.load`.
    expected
        YAML file of the CRM's totals; see the module's first lines.

    Returns
    -------
    Bridge
        Rows ``total, step, amount``: the CRM's figure, the unexplained remainder, each step
        that is not nil, and ours.

    Raises
    ------
    ParameterError
        The file is not what it should be.
    """
    wanted = _read(expected)
    company = crm.load(source, as_of=wanted.get("as_of"))
    period = company.period(str(wanted.get("period", "all")))
    ours = Counting(company.as_of, company.time_zone, "close_date", "close_date", "event", "excluded", crm.POPULATION)
    theirs = _counting(wanted.get("counted") or {}, ours._replace(credit="current", barred="included", where=""))

    @cache
    def counted(counting: Counting) -> pd.DataFrame:
        return _deals(source, counting)

    rows = [row for line in wanted["totals"] for row in _steps(line, ours, theirs, period, counted)]
    table = pd.DataFrame(rows, columns=["total", "step", "amount"])
    return Bridge(table, bool((table.loc[table["step"] == "unexplained", "amount"].abs() < _CENT).all()))


def beside(source: str | Path) -> Bridge | None:
    """The bridge of a source that keeps its CRM's totals in ``expected.yaml``; nothing without that file."""
    path = Path(source)
    expected = (path if path.is_dir() else path.parent) / "expected.yaml"
    return of_source(source, expected) if str(source) != "sample" and expected.is_file() else None


def _steps(line: dict, ours: Counting, theirs: Counting, period: periods.Period, counted) -> list[tuple]:
    metric, by, value = line["metric"], line.get("by") or {}, float(line["value"])
    name = " ".join([metric, *(f"{column} {group}" for column, group in by.items())])
    now = theirs
    reached = _total(counted(now), metric, by, period, now)
    rows = [(name, "CRM's report", value), (name, "unexplained", reached - value)]
    for field, said in SAID.items():
        now = now._replace(**{field: getattr(ours, field)})
        total = _total(counted(now), metric, by, period, now)
        if abs(total - reached) >= _CENT:
            rows.append((name, said, total - reached))
        reached = total
    return [*rows, (name, "salesops", reached)]


def _total(deals: pd.DataFrame, metric: str, by: dict, period: periods.Period, counting: Counting) -> float:
    state, _, kind = metric.partition("_")
    if state == "open":
        rows = deals[~deals["is_closed"]]
    else:
        rows = deals[deals["is_closed"] & (deals["is_won"] == (state == "won"))]
        rows = rows if period.label == "all" else rows[period.contains(_clock(rows, counting))]
    for column, group in by.items():
        checks.require_columns(rows, [column], where="by")
        rows = rows[rows[column].astype("str") == str(group)]
    return float(len(rows)) if kind == "count" else float(rows["amount"].sum())


def _clock(deals: pd.DataFrame, counting: Counting) -> pd.Series:
    """The day a deal counts on; a moment is shifted from our time zone to that of the counting."""
    moved = deals["closed_at"].dt.tz_localize(deals.attrs["time_zone"], ambiguous=True, nonexistent="shift_forward")
    moved = moved.dt.tz_convert(counting.time_zone).dt.tz_localize(None).dt.normalize()
    shifted = deals.assign(closed_at=moved)
    return moved.fillna(deals["close_date"]) if counting.clock == "closed_at" else pipeline.ended_on(shifted)


def _deals(source: str | Path, counting: Counting) -> pd.DataFrame:
    company = crm.load(
        source, as_of=counting.extracted, where=counting.where, conversion=counting.conversion,
        is_barring=counting.barred == "excluded",
    )  # fmt: skip
    deals = company.opportunities
    if counting.credit == "event":
        deals = deals.assign(owner_id=pipeline.owner_at_close(deals, company.stage_history))
    deals.attrs = {"time_zone": company.time_zone}
    return deals


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise checks.ParameterError(f"{path}: no such file. Give the YAML file of the CRM's totals.")
    try:
        wanted = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as fault:
        raise checks.ParameterError(
            f"{path.name}: is no YAML: {' '.join(str(fault).split())}. Mend that line."
        ) from None
    if not isinstance(wanted, dict) or not isinstance(wanted.get("totals"), list):
        raise checks.ParameterError(
            f"{path.name}: no totals. List them, e.g. totals: [{{metric: won_amount, value: 1.0}}]."
        )
    _require_known(wanted, ("as_of", "period", "counted", "totals"), path.name)
    for line in wanted["totals"]:
        _require_known(line, ("metric", "by", "value"), f"{path.name}: totals")
        if line.get("metric") not in METRICS or not isinstance(line.get("value"), int | float):
            raise checks.ParameterError(f"{path.name}: {line}. Give a metric of {', '.join(METRICS)} and its value.")
    return wanted


def _counting(said: dict[str, Any], usual: Counting) -> Counting:
    _require_known(said, Counting._fields, "counted")
    for field, choices in _CHOICES.items():
        if field in said and said[field] not in choices:
            raise checks.ParameterError(f"counted: {field} '{said[field]}'. Use {' or '.join(choices)}.")
    if "extracted" in said:
        said = said | {"extracted": replay.chosen_day(said["extracted"], None, label="counted")}
    return usual._replace(**said)


def _require_known(found: dict, known: tuple[str, ...], where: str) -> None:
    unknown = [str(name) for name in found if name not in known]
    if unknown:
        hint = checks.did_you_mean(unknown[0], known)
        raise checks.ParameterError(f"{where}: unknown key '{unknown[0]}'. It takes {', '.join(known)}.{hint}")
