"""How people are shown, the same in every table: by name, by initials, by code, or only in groups."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import pandas as pd

from salesops import checks
from salesops.crm import groups
from salesops.crm.policy import Policy
from salesops.crm.rules import Tables
from salesops.crm.scrubbing import Scrubber

WITHHELD = "hidden-person-"  # what a person is called in the tables where no person may be shown
FORMER = "a former colleague"

_PEOPLE = {"reps": ("owner_id", "name", "email", "manager_id")}
_KEYS = {"opportunity_id", "account_id", "lead_id", "activity_id", "currency", "outcome"}
_DATED = {"activities": "occurred_at", "tool_usage": "date", "forecast_submissions": "submitted_at"}


class Shown(NamedTuple):
    """The tables as people may be shown in them, and what must not be on the page."""

    tables: Tables
    hidden: tuple[Scrubber, ...] = ()


def kept(tables: Tables, policy: Policy, day: date) -> Tables:
    """The tables without what the policy no longer keeps, and without individual activity where it is off.

    A person who left before the retention is nobody in every table: the unknown owner.
    """
    if policy.retention_days is not None:
        first = pd.Timestamp(day) - pd.Timedelta(days=policy.retention_days)
        dated = {table: tables[table][~(tables[table][column] < first)] for table, column in _DATED.items()}
        reps = tables["reps"]
        gone = set(reps.loc[reps["left_date"] < first, "owner_id"].dropna())
        tables = tables | dated
        if gone:
            people = persons(tables)
            marks = {text: None if person in gone else text for text, person in people.items()}
            scrub = Scrubber({text: FORMER for text, person in people.items() if person in gone})
            tables = replaced(_without(tables, gone), marks, scrub)
    if not policy.has_activity:
        log = tables["activities"]
        nobody = log.assign(owner_id=pd.Series(None, index=log.index, dtype="str"))
        tables = tables | {"activities": nobody, "tool_usage": tables["tool_usage"][:0]}
    return tables


def shown(tables: Tables, policy: Policy, names: str, day: date) -> Shown:
    """Tables in which people's names, addresses and ids are replaced wherever they stand.

    Without a policy an ``owner_id`` is replaced only where it is itself a name or an address: where
    it equals the rep's name, holds a blank or an @, or there is no reps table to tell.
    """
    names = policy.named(names)
    if policy.level == "team":
        tables = groups.grouped(tables, policy.smallest_group, day)
    elif names == "full":
        return Shown(tables)
    people, labels = persons(tables), labels_of(tables["reps"])
    if not policy.is_set:
        people = {text: labels.get(person, person) for text, person in people.items() if _is_name(text, tables)}
        marks = masked(people, names)
    elif policy.level == "team":
        numbers = {person: number for number, person in enumerate(sorted(set(people.values())), start=1)}
        marks = {text: f"{WITHHELD}{numbers[person]:04d}" for text, person in people.items()}
    else:
        marks = masked(people, names, labels=_initialled(people, tables), key=policy.secret())
    scrub = Scrubber(marks)
    return Shown(replaced(tables, marks, scrub), (scrub,))


def masked(
    people: Mapping[str, str], names: str, *, labels: Mapping[str, str] | None = None, key: bytes | None = None
) -> dict[str, str]:
    """What each text is replaced by; ``people`` gives the person each text stands for.

    Parameters
    ----------
    people
        Text to person.
    names
        ``initials`` or ``codes``.
    labels
        The name of each person; the person itself if empty.
    key
        The secret of codes that stay the same from run to run; without it they are numbers
        in the order of names.

    Examples
    --------
    >>> masked({"Ada Byron": "Ada Byron", "ada@x.org": "Ada Byron", "Al Boyd": "Al Boyd"}, "initials")
    {'Ada Byron': 'AB', 'ada@x.org': 'AB', 'Al Boyd': 'AB2'}
    >>> masked({"Ada Byron": "Ada Byron", "Al Boyd": "Al Boyd"}, "codes")
    {'Ada Byron': 'P01', 'Al Boyd': 'P02'}
    >>> masked({"Ada Byron": "U1", "U1": "U1"}, "codes", key=b"sixteen letters!")
    {'Ada Byron': 'P-T3SXNY', 'U1': 'P-T3SXNY'}
    """
    label = {person: (labels or {}).get(person, person) for person in set(people.values())}
    ordered = sorted(label, key=lambda person: (label[person], person))
    if names == "codes" and key is not None:
        marks = _codes(ordered, key)
    elif names == "codes":
        width = max(2, len(str(len(ordered))))
        marks = {person: f"P{number:0{width}d}" for number, person in enumerate(ordered, start=1)}
    else:
        initials = pd.Series([_initials(label[person]) for person in ordered], index=ordered, dtype="str")
        nth = initials.groupby(initials).cumcount() + 1
        marks = {person: initials[person] + (str(nth[person]) if nth[person] > 1 else "") for person in ordered}
    return {text: marks[person] for text, person in people.items()}


def persons(tables: Tables) -> dict[str, str]:
    """Every text that stands for a person (id, name, address), with the person's id."""
    reps = tables["reps"]
    people: dict[str, str] = {}
    for column in ("owner_id", "name", "email"):
        for text, person in zip(reps[column], reps["owner_id"], strict=True):
            if isinstance(text, str):
                people.setdefault(text, person)
    cells = [frame["owner_id"] for frame in tables.values() if "owner_id" in frame] + [reps["manager_id"]]
    cells += [plan.loc[plan["scope_kind"] == "rep", "scope_id"] for plan in (tables["targets"], tables["actuals"])]
    others = {text for column in cells for text in column.dropna().unique()}
    return people | {text: text for text in sorted(others - people.keys())}


def replaced(tables: Tables, marks: Mapping[str, str | None], scrub: Scrubber) -> Tables:
    """Tables with marks in place of people: in their own columns exactly, in other texts where they are mentioned."""
    return {table: _replaced(table, frame, marks, scrub) for table, frame in tables.items()}


def _replaced(table: str, frame: pd.DataFrame, marks: Mapping[str, str | None], scrub: Scrubber) -> pd.DataFrame:
    changed = {}
    for name in frame.columns:
        column = frame[name]
        if name in _KEYS or not pd.api.types.is_string_dtype(column):
            continue
        if name == "owner_id" or name in _PEOPLE.get(table, ()):
            changed[name] = _marked(column, marks)
            continue
        scrubbed = scrub.column(column)
        if name == "scope_id":
            scrubbed = scrubbed.where(frame["scope_kind"] != "rep", _marked(column, marks))
        if scrubbed is not column:
            changed[name] = scrubbed
    return frame.assign(**changed)


def _marked(column: pd.Series, marks: Mapping[str, str | None]) -> pd.Series:
    return column.map(lambda cell: marks.get(cell, cell), na_action="ignore").astype("str")


def _without(tables: Tables, gone: set[str]) -> Tables:
    """Tables without the rows that are about these people alone."""
    people = ("reps", "tool_usage", "forecast_submissions")
    found = {table: tables[table][~tables[table]["owner_id"].isin(gone)] for table in people}
    for table in ("targets", "actuals"):
        plan = tables[table]
        found[table] = plan[~((plan["scope_kind"] == "rep") & plan["scope_id"].isin(gone))]
    return tables | found


def _codes(people: list[str], key: bytes) -> dict[str, str]:
    """Keyed hashes of ids, as short as keeps them apart, six letters at least."""
    digests = {
        person: base64.b32encode(hmac.new(key, person.encode(), hashlib.sha256).digest()).decode() for person in people
    }
    for length in range(6, 52):
        codes = {person: f"P-{digest[:length]}" for person, digest in digests.items()}
        if len(set(codes.values())) == len(people) and not set(codes.values()) & set(people):
            return codes
    raise checks.DataError("people_policy: two people have one code. Use another key.")


def labels_of(reps: pd.DataFrame) -> dict[str, str]:
    """The name of each rep by id; whoever has none is left out."""
    named = reps.dropna(subset=["owner_id", "name"]).drop_duplicates("owner_id")
    return dict(zip(named["owner_id"], named["name"], strict=True))


def _initialled(people: Mapping[str, str], tables: Tables) -> dict[str, str]:
    """What initials are taken from: a name; nothing of an id, which would be shown in part."""
    labels = labels_of(tables["reps"])
    return {person: labels.get(person, person if _is_name(person, tables) else "") for person in people.values()}


def _is_name(text: str, tables: Tables) -> bool:
    reps = tables["reps"]
    return reps.empty or " " in text or "@" in text or bool(((reps["name"] == text) | (reps["email"] == text)).any())


def _initials(person: str) -> str:
    words = person.partition("@")[0].replace(".", " ").replace("-", " ").split()
    return "".join(word[0].upper() for word in words) or "?"
