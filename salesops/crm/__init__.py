"""Everything that reads: a folder of CRM exports, or the sample, as one `Company`."""

import hashlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from salesops import checks, words
from salesops.crm import (
    currency,
    exclusions,
    handed,
    long_texts,
    own_page,
    people,
    population,
    replay,
    rules,
)
from salesops.crm import source as sources
from salesops.crm.company import Company
from salesops.crm.scrubbing import Scrubber
from salesops.periods import Calendar

if TYPE_CHECKING:
    from salesops.crm import intake

__all__ = ["POPULATION", "Company", "load", "sharing"]

POPULATION = "opportunity_type != 'renewal'"
_SHARED: ContextVar[dict[tuple[object, ...], "intake.Intake"] | None] = ContextVar("_SHARED", default=None)


def load(
    source: str | Path = "sample",
    *,
    as_of: date | str | None = None,
    where: str | None = POPULATION,
    measure: str = "amount",
    names: str = "full",
    credit: str = "event",
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
        Which deals count: comparisons of opportunity columns and of ``team``, e.g. ``"segment == 'SMB'"``.
        With ``owner_id == '…'``, ``team == '…'`` or ``region == '…'`` the company is that person's, team's
        or region's own: nobody else's name or id is in any table; see `people.own`.
    measure
        Which money is ``amount``: ``amount``, ``arr`` or ``acv``.
    names
        How people are shown: ``full``, ``initials`` or ``codes``; the source's people policy may be
        stricter and is never loosened.
    credit
        Whose a deal is on a page about a person or a team: its owner when it closed (``event``), the
        present one (``current``), or also whoever has a share of its revenue (``split``).
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
    already = handed.found(locals())
    if already is not None:
        words.set_locale(already.locale)
        return already
    if not 0 <= max_barred <= 1:
        raise checks.ParameterError(f"max_barred: {max_barred} is no share. Use 0 to 1, e.g. 0.05.")
    taken = _taken(source, max_barred=max_barred, faults=rules.FAULTS if is_barring else ())
    described = taken.source
    words.set_locale(described.locale)
    calendar = _calendar(described, fiscal_start_month, fiscal_year_named_by)
    latest = replay.latest_event(taken.tables, described.time_zone)
    day = replay.chosen_day(as_of, latest, label=described.label)
    stood, taken = _on(day, latest, taken, calendar), taken._replace(tables={})  # let go, unless they are shared
    money, money_notes = currency.reporting(stood.tables, described.currency)
    tables, converted = currency.converted(stood.tables, money, conversion=conversion, as_of=day, calendar=calendar)
    tables, found = rules.held_to(rules.ON_THE_DAY, rules.Case(tables, described.stages, described.time_zone, day))
    findings = [*taken.findings, *converted, *found]
    policy = described.people_policy
    seen = people.shown(people.kept(tables, policy, day), policy, names, day)
    shortened, text_notes = long_texts.cut(seen.tables)  # after people's names in them are replaced, whole
    mine = own_page.chosen(seen._replace(tables=shortened), where or "", policy=policy, credit=credit)
    data_through = replay.latest_event(tables, described.time_zone) or day
    tables = mine.tables | {"opportunities": population.measured(mine.tables["opportunities"], measure)}
    return Company(
        **replay.in_local_time(tables, described.time_zone),
        as_of=day,
        data_through=data_through,
        time_zone=described.time_zone,
        calendar=calendar,
        currency=money,
        locale=described.locale,
        source=described.label,
        where=where or "",
        measure=measure,
        exclusions=_without_people(exclusions.table(findings), mine.hidden),
        withheld=_withheld(findings, measure, max_barred) | policy.withheld(),
        inputs=taken.inputs,
        notes=[_unnamed(note, mine.hidden) for note in (*taken.notes, *money_notes, *stood.notes, *text_notes)],
        replay="partial" if stood.is_partial else "full",
        about=mine.about,
        policy=policy.told(policy.named(names)),
        hidden=mine.hidden,
        peers=mine.peers.assign(closed_at=rules.local(mine.peers["closed_at"], described.time_zone)),
        smallest_group=policy.smallest_group,
    )


def sharing(read: Callable[..., Any]) -> Callable[..., Any]:
    """A reader that reads a source once, whatever parts of it are asked for one after the other.

    What was read and checked stays until another source is asked for, or the reader is let go.

    Parameters
    ----------
    read
        `load`, or what calls it.

    Examples
    --------
    >>> read = sharing(load)
    >>> parts = [read(source="sample", where=f"segment == '{segment}'") for segment in ("SMB", "Enterprise")]
    >>> [set(part.opportunities["segment"]) for part in parts]
    [{'SMB'}, {'Enterprise'}]
    """
    kept: dict[tuple[object, ...], intake.Intake] = {}

    @wraps(read)
    def shared(**asked: Any) -> Any:
        before = _SHARED.set(kept)
        try:
            return read(**asked)
        finally:
            _SHARED.reset(before)

    return shared


def _taken(source: str | Path, *, max_barred: float, faults: Sequence[rules.Rule]) -> "intake.Intake":
    kept = _SHARED.get()
    if kept is None:
        return _read(source, max_barred=max_barred, faults=faults)
    asked = (str(source), max_barred, tuple(faults))
    if asked not in kept:
        kept.clear()  # of two large companies there is room for one
        kept[asked] = _read(source, max_barred=max_barred, faults=faults)
    return kept[asked]


def _read(source: str | Path, *, max_barred: float, faults: Sequence[rules.Rule]) -> "intake.Intake":
    from salesops.crm import intake, sample  # a notebook that is handed its company reads nothing

    if str(source) != "sample":
        return intake.of_folder(source, max_barred=max_barred, faults=faults)
    code = b"".join(path.read_bytes() for path in sorted(Path(sample.__file__).parent.glob("*.py")))
    described = sources.from_mapping(sample.SOURCE, label="sample", where="sample.SOURCE")
    digest = hashlib.sha256(code).hexdigest()
    return intake.of_frames(sample.tables(), described, sha256=digest, max_barred=max_barred, faults=faults)


def _calendar(described: sources.Source, start_month: int | None, named_by: str | None) -> Calendar:
    """The source's fiscal calendar, but for what is asked of it otherwise."""
    return Calendar(start_month or described.fiscal_start_month, named_by or described.fiscal_named_by)


def _on(day: date, latest: date | None, taken: "intake.Intake", calendar: Calendar) -> replay.Stood:
    """The tables at the end of a day; no deal is replayed where nothing happened after it."""
    if latest is None or day >= latest:
        end = replay.day_end(day, taken.source.time_zone)
        return replay.Stood(replay.cut(taken.tables, end, day), [], is_partial=False)
    return replay.as_they_stood(taken.tables, day, taken.source, calendar)


def _without_people(found: pd.DataFrame, hidden: Sequence[Scrubber]) -> pd.DataFrame:
    """The exclusions without examples that are people who may not be shown."""
    if not hidden:
        return found
    people_in = found["examples"].map(lambda text: any(scrub.mentions(text) for scrub in hidden))
    return found.assign(examples=found["examples"].mask(people_in, "people, not shown"))


def _unnamed(text: str, hidden: Sequence[Scrubber]) -> str:
    for scrub in hidden:
        text = scrub.scrubbed(text)
    return text


def _withheld(findings: list[exclusions.Finding], measure: str, max_barred: float) -> dict[str, str]:
    withheld = exclusions.withheld(findings, max_barred=max_barred)
    if measure == "arr" and "arr_amount" in withheld:
        withheld["amount"] = withheld["arr_amount"]
    for finding in findings:
        if finding.rule == "lost_amount_zero":
            withheld["lost_amount"] = f"{words.count(finding.n)} lost deals, all with amount 0"
    return withheld
