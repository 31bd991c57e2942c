"""Entries that people write by hand: a YAML file of a list, read strictly, every fault of it told at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from salesops import checks, plain_yaml

LONGEST = 600  # characters of a text: what stands beside a figure has to be read at a glance
_NEEDED = object()


class Field(NamedTuple):
    """One line of an entry: how its text becomes a value, what to write, and what it is where it is not there."""

    read: Callable[[Any], Any]
    todo: str
    default: Any = _NEEDED


class Fault(NamedTuple):
    """What is wrong with one entry; equal ones are told together."""

    what: str
    todo: str
    entry: int
    found: object = None


Check = Callable[[Mapping[str, Any]], Iterable[tuple[str, str, object]]]


def read(path: Path, fields: Mapping[str, Field], *, noun: str, check: Check | None = None) -> list[dict[str, Any]]:
    """The entries of a file, each with every field; an empty file holds none.

    Parameters
    ----------
    path
        A YAML file: a list of mappings.
    fields
        What an entry may hold.
    noun
        What messages call an entry, e.g. ``"note"``.
    check
        Faults of an entry whose lines can all be read: what, what to do, what was found.

    Raises
    ------
    DataError
        One line for each fault of the file: where, what, how many, examples, what to do.
    """
    where = f"{path.parent.name}/{path.name}"
    listed = _listed(path, where, noun)
    made, faults = [], []
    for number, entry in enumerate(listed, start=1):
        values, wrong = _entry(entry, fields, number, noun)
        own = [] if wrong or not check else [Fault(what, todo, number, found) for what, todo, found in check(values)]
        faults += wrong + own
        made.append(values)
    if faults:
        raise checks.DataError("\n".join(_told(faults, where, len(listed), noun)))
    return made


def text(item: Any) -> str:
    """A text on one line.

    Examples
    --------
    >>> text("Two\\n  lines")
    'Two lines'
    """
    if not isinstance(item, str) or not item.strip():
        raise ValueError("is no text")
    said = " ".join(item.split())
    if len(said) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    return said


def day(item: Any) -> date:
    """A day as ``2026-10-05``.

    Examples
    --------
    >>> day("2026-10-05")
    datetime.date(2026, 10, 5)
    """
    try:
        return date.fromisoformat(item)
    except (TypeError, ValueError):
        raise ValueError("is no day") from None


def number(item: Any) -> float:
    """A number; one with a percent sign or in points is divided by a hundred.

    Examples
    --------
    >>> number("24 %"), number("+5 points"), number("0.2432"), number("1250000")
    (0.24, 0.05, 0.2432, 1250000.0)
    """
    said = str(item).strip().replace("−", "-")
    bare = said.removesuffix("%").removesuffix("points").removesuffix("point").strip()
    try:
        found = float(bare)
    except ValueError:
        raise ValueError("is no number") from None
    if not abs(found) < float("inf") or "_" in bare:
        raise ValueError("is no number")
    return found if bare == said else round(found / 100, 12)


def groups(item: Any) -> dict[str, str | None]:
    """Names of groups by their column, such as ``{segment: SMB}``.

    Examples
    --------
    >>> groups({"segment": "SMB"})
    {'segment': 'SMB'}
    """
    if not isinstance(item, dict) or not all(each is None or isinstance(each, str) for each in item.values()):
        raise ValueError("is no mapping of a column to a group")
    return item


def _listed(path: Path, where: str, noun: str) -> list[Any]:
    try:
        found = plain_yaml.read(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise checks.DataError(f"{where}: is not UTF-8. Save it as UTF-8.") from None
    except OSError as fault:
        raise checks.DataError(f"{where}: cannot be read ({fault.strerror}). Check the file.") from fault
    except ValueError as fault:
        raise checks.DataError(f"{where}: {fault}. Mend that line; notes/README.md has an example.") from fault
    if found is not None and not isinstance(found, list):
        raise checks.DataError(f"{where}: is no list of {noun}s. Begin each {noun} with '- ' at the start of a line.")
    return found or []


def _entry(entry: Any, fields: Mapping[str, Field], number: int, noun: str) -> tuple[dict[str, Any], list[Fault]]:
    """The values of an entry, and what is wrong with it."""
    if not isinstance(entry, dict):
        return {}, [Fault(f"the {noun} holds no 'name: value' lines", f"It takes {', '.join(fields)}.", number, entry)]
    faults = [_unknown(name, fields, number) for name in entry if name not in fields]
    values = {}
    for name, field in fields.items():
        is_told = entry.get(name) is not None
        if not is_told and field.default is _NEEDED:
            faults.append(Fault(f"{name} is missing", field.todo, number))
            continue
        try:
            values[name] = field.read(entry[name]) if is_told else field.default
        except ValueError as fault:
            faults.append(Fault(f"{name} {fault}", field.todo, number, entry[name]))
    return values, faults


def _unknown(name: str, fields: Mapping[str, Field], number: int) -> Fault:
    hint = checks.did_you_mean(name, fields)
    return Fault(f"unknown line '{name}'", f"It takes {', '.join(fields)}.{hint}", number)


def _told(faults: list[Fault], where: str, total: int, noun: str) -> Iterator[str]:
    """One message for each kind of fault."""
    for what, todo in dict.fromkeys((fault.what, fault.todo) for fault in faults):
        alike = [fault for fault in faults if (fault.what, fault.todo) == (what, todo)]
        shown = [
            f"{noun} {fault.entry}" + ("" if fault.found is None else f": '{str(fault.found)[:60]}'") for fault in alike
        ]
        count = len({fault.entry for fault in alike})
        of = f"{total} {noun}s" if total != 1 else f"1 {noun}"
        yield f"{where}: {what} in {count} of {of} ({checks.examples(shown)}). {todo}"
