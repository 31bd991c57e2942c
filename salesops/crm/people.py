"""How people are shown: by name, by initials, or by code, the same in every table."""

import pandas as pd

from salesops import checks
from salesops.crm.rules import Tables

NAMES = ("full", "initials", "codes")


def shown(tables: Tables, names: str) -> Tables:
    """Tables in which people's names and e-mail addresses are replaced wherever they stand.

    An ``owner_id`` is replaced where it is itself a name or an address: where it equals
    the rep's name, holds a blank or an @, or there is no reps table to tell.

    Raises
    ------
    ParameterError
        ``names`` is not full, initials or codes.
    """
    if names not in NAMES:
        hint = checks.did_you_mean(names, NAMES)
        raise checks.ParameterError(f"names: '{names}' is unknown. It takes {', '.join(NAMES)}.{hint}")
    if names == "full":
        return tables
    masks = masked(_people(tables), names)
    return {table: _replaced(frame, masks) for table, frame in tables.items()}


def masked(people: dict[str, str], names: str) -> dict[str, str]:
    """What each text is replaced by; ``people`` gives the person each text stands for.

    Examples
    --------
    >>> masked({"Ada Byron": "Ada Byron", "ada@x.org": "Ada Byron", "Al Boyd": "Al Boyd"}, "initials")
    {'Ada Byron': 'AB', 'ada@x.org': 'AB', 'Al Boyd': 'AB2'}
    >>> masked({"Ada Byron": "Ada Byron", "Al Boyd": "Al Boyd"}, "codes")
    {'Ada Byron': 'P01', 'Al Boyd': 'P02'}
    """
    persons = sorted(set(people.values()))
    if names == "codes":
        width = max(2, len(str(len(persons))))
        marks = {person: f"P{number:0{width}d}" for number, person in enumerate(persons, start=1)}
    else:
        initials = pd.Series([_initials(person) for person in persons], index=persons, dtype="str")
        nth = initials.groupby(initials).cumcount() + 1
        marks = {person: initials[person] + (str(nth[person]) if nth[person] > 1 else "") for person in persons}
    return {text: marks[person] for text, person in people.items()}


def _initials(person: str) -> str:
    words = person.partition("@")[0].replace(".", " ").replace("-", " ").split()
    return "".join(word[0].upper() for word in words) or "?"


def _people(tables: Tables) -> dict[str, str]:
    """Every text that gives a person away, with the name of the person."""
    reps = tables["reps"]
    named = reps.dropna(subset=["name"])
    people = {name: name for name in named["name"]}
    people |= {email: name for email, name in zip(named["email"], named["name"], strict=True) if isinstance(email, str)}
    ids = {owner for frame in tables.values() if "owner_id" in frame for owner in frame["owner_id"].dropna().unique()}
    ids |= set(reps["manager_id"].dropna()) | set(reps["email"].dropna())
    name_of = dict(zip(named["owner_id"], named["name"], strict=True))
    for text in sorted(ids - set(people)):
        if reps.empty or " " in text or "@" in text:
            people[text] = name_of.get(text, text)
    return people


def _replaced(frame: pd.DataFrame, masks: dict[str, str]) -> pd.DataFrame:
    changed = {}
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_string_dtype(column) and name not in ("opportunity_id", "account_id"):
            distinct = set(column.dropna().unique())
            if distinct & masks.keys():
                changed[name] = column.map(lambda cell: masks.get(cell, cell), na_action="ignore").astype("str")
    return frame.assign(**changed)
