"""Everything that reads: a folder of CRM exports, or the sample, as one `Company`."""

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from salesops import checks
from salesops.crm import currency, exclusions, intake, people, population, replay, rules, sample
from salesops.crm import source as sources
from salesops.crm.company import Company
from salesops.periods import Calendar

__all__ = ["POPULATION", "Company", "load"]

POPULATION = "opportunity_type != 'renewal'"


def load(
    source: str | Path = "sample",
    *,
    as_of: date | str | None = None,
    where: str | None = POPULATION,
    measure: str = "amount",
    names: str = "full",
    conversion: str = "close_date",
    max_barred: float = 0.05,
    is_barring: bool = True,
    fiscal_start_month: int | None = None,
    fiscal_year_named_by: str | None = None,
) -> Company:
    """A company's tables as they stood on a day.

    Parameters
    ----------
    source
        A folder of exports (with or without a source.yaml), the path of a source.yaml, or
        ``"sample"``.
    as_of
        Last day whose information may be used; the day of the latest recorded event if empty.
    where
        Which deals count: comparisons of opportunity columns, e.g. ``"segment == 'SMB'"``.
    measure
        Which money is ``amount``: ``amount``, ``arr`` or ``acv``.
    names
        How people are shown: ``full``, ``initials`` or ``codes``.
    conversion
        Which exchange rate: of the ``close_date``, of the ``plan`` or ``constant``; see `currency.converted`.
    max_barred
        Share of rows that may be barred before a field is withheld, or set aside before
        loading stops.
    is_barring
        Whether faulty fields are made missing; without it they stay as the CRM has them, for
        totals to be compared with its own.
    fiscal_start_month, fiscal_year_named_by
        The fiscal calendar, where it is not the source's.

    Returns
    -------
    Company
        The tables, and what was set aside, barred, repaired, guessed and withheld.

    Raises
    ------
    DataError
        The data cannot be trusted as they are (a schema fault).
    ParameterError
        A parameter cannot be read, or names a column that is not there.

    Examples
    --------
    >>> company = load("sample", where="segment == 'SMB'")
    >>> set(company.opportunities["segment"])
    {'SMB'}
    """
    if not 0 <= max_barred <= 1:
        raise checks.ParameterError(f"max_barred: {max_barred} is no share. Use 0 to 1, e.g. 0.05.")
    taken = _taken(source, max_barred=max_barred, faults=rules.FAULTS if is_barring else ())
    described = taken.source
    calendar = Calendar(
        fiscal_start_month or described.fiscal_start_month, fiscal_year_named_by or described.fiscal_named_by
    )
    latest = replay.latest_event(taken.tables, described.time_zone)
    day = replay.chosen_day(as_of, latest, label=described.label)
    stood = _on(day, latest, taken, calendar)
    money, money_notes = currency.reporting(stood.tables, described.currency)
    tables, converted = currency.converted(stood.tables, money, conversion=conversion, as_of=day, calendar=calendar)
    tables, found = rules.held_to(rules.ON_THE_DAY, rules.Case(tables, described.stages, described.time_zone, day))
    findings = [*taken.findings, *converted, *found]
    everything = tables["opportunities"]
    deals = population.measured(population.chosen(everything, where or ""), measure)
    tables = people.shown(tables | {"all_opportunities": everything, "opportunities": deals}, names)
    return Company(
        **replay.in_local_time(tables, described.time_zone),
        as_of=day,
        data_through=replay.latest_event(tables, described.time_zone) or day,
        time_zone=described.time_zone,
        calendar=calendar,
        currency=money,
        source=described.label,
        where=where or "",
        measure=measure,
        exclusions=exclusions.table(findings),
        withheld=_withheld(findings, measure, max_barred),
        inputs=taken.inputs,
        notes=[*taken.notes, *money_notes, *stood.notes],
        replay="partial" if stood.is_partial else "full",
    )


def _taken(source: str | Path, *, max_barred: float, faults: Sequence[rules.Rule]) -> intake.Intake:
    if str(source) != "sample":
        return intake.of_folder(source, max_barred=max_barred, faults=faults)
    code = b"".join(path.read_bytes() for path in sorted(Path(sample.__file__).parent.glob("*.py")))
    described = sources.from_mapping(sample.SOURCE, label="sample", where="sample.SOURCE")
    digest = hashlib.sha256(code).hexdigest()
    return intake.of_frames(sample.tables(), described, sha256=digest, max_barred=max_barred, faults=faults)


def _on(day: date, latest: date | None, taken: intake.Intake, calendar: Calendar) -> replay.Stood:
    """The tables at the end of a day; no deal is replayed where nothing happened after it."""
    if latest is None or day >= latest:
        end = replay.day_end(day, taken.source.time_zone)
        return replay.Stood(replay.cut(taken.tables, end, day), [], is_partial=False)
    return replay.as_they_stood(taken.tables, day, taken.source, calendar)


def _withheld(findings: list[exclusions.Finding], measure: str, max_barred: float) -> dict[str, str]:
    withheld = exclusions.withheld(findings, max_barred=max_barred)
    if measure == "arr" and "arr_amount" in withheld:
        withheld["amount"] = withheld["arr_amount"]
    for finding in findings:
        if finding.rule == "lost_amount_zero":
            withheld["lost_amount"] = f"{finding.n:,} lost deals, all with amount 0"
    return withheld
