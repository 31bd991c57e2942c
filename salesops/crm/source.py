"""What a source.yaml says: which files hold which tables, in whose words, and whose calendar."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from salesops import checks, words
from salesops.crm import model, policy
from salesops.crm.policy import Policy

FILE = "source.yaml"
DATABASES = (".duckdb", ".db", ".sqlite", ".sqlite3")
DEEPEST = 20
KINDS = ("generic", "salesforce", "hubspot")
ORDERS = ("dmy", "mdy", "ymd")


@dataclass(frozen=True)
class Stages:
    """Open stages in order (by pipeline; "" holds for any), and what the other stages mean."""

    order: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    won: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    no_decision: tuple[str, ...] = ()
    qualified: tuple[str, ...] = ()

    def outcomes(self) -> dict[str, str]:
        """Outcome of each stage that is named here."""
        ordered = {stage: "open" for stages in self.order.values() for stage in stages}
        closed = {stage: name for name in ("won", "lost", "no_decision") for stage in getattr(self, name)}
        return ordered | closed


@dataclass(frozen=True)
class Part:
    """One file of a table in a CRM's shape: its form, which columns are ours, what it leaves unsaid."""

    file: str
    columns: Mapping[str, str]
    form: str = "rows"
    constants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """One source.yaml, checked; the defaults are those of a folder that has none.

    ``kind`` is empty until a CRM's shape is recognised; ``parts`` holds the tables that do not
    come from one file as it is, and a table named in ``tables`` is never among them.
    """

    label: str
    folder: Path = Path()
    database: str | None = None
    kind: str = ""
    is_row_id: bool = False
    tables: Mapping[str, str | None] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    lookups: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    time_zone: str = "UTC"
    currency: str | None = None
    locale: str = "en"
    fiscal_start_month: int = 1
    fiscal_named_by: str = "end"
    stages: Stages = Stages()
    people_policy: Policy = field(default_factory=Policy)
    text: str = ""


def read(path: Path) -> Source:
    """The source at ``path``: a folder, with or without a source.yaml, or a source.yaml.

    Raises
    ------
    DataError
        There is nothing at the path, or the file says something unknown.
    """
    if not path.exists():
        raise checks.DataError(f"{path}: no such folder or file. A source is a folder, a source.yaml or 'sample'.")
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        return Source(label=path.resolve().name, folder=path)
    if file.suffix in DATABASES and file.is_file():
        return Source(label=file.name, folder=file.parent, database=file.name)
    if file.suffix not in (".yaml", ".yml"):
        raise checks.DataError(f"{path}: not a folder or a source.yaml. Name the folder that holds the file.")
    text = _text(file)
    given = from_mapping(parse(text, where=file.name), label="", where=file.name)
    folder = file.parent / given.folder
    if not folder.is_dir():
        raise checks.DataError(f"{file.name}: folder '{given.folder}' is not there, seen from {file.name}.")
    return replace(given, folder=folder, label=folder.resolve().name, text=text)


def parse(text: str, *, where: str = FILE) -> dict[str, Any]:
    """YAML in which every scalar is text, a repeated key is an error and tags are refused.

    Read as YAML 1.1, ``{No: lost}`` would map ``False`` and ``0012`` would be ten.

    Examples
    --------
    >>> parse("values: {outcome: {Yes: won, No: lost}}")
    {'values': {'outcome': {'Yes': 'won', 'No': 'lost'}}}
    >>> parse("currency: EUR\\ncurrency: USD")
    Traceback (most recent call last):
        ...
    salesops.checks.DataError: source.yaml, line 2: 'currency' is written twice. Keep one.
    """
    try:
        _refuse_tags(text, where)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise checks.DataError(f"{where}, line {line}: {error.problem}. Correct the YAML.") from error
    except yaml.YAMLError as error:
        raise checks.DataError(f"{where}: cannot be read as YAML ({' '.join(str(error).split())}).") from error
    content = {} if node is None else _plain(node, where)
    if not isinstance(content, dict):
        raise checks.DataError(f"{where}: holds no keys. Write for example 'currency: EUR'.")
    return content


def from_mapping(content: Mapping[str, Any], *, label: str, where: str = FILE) -> Source:
    """A checked `Source` from the content of a source.yaml.

    Examples
    --------
    >>> from_mapping({"currency": "eur", "dates": "dmy"}, label="ours").currency
    'EUR'
    >>> from_mapping({"curency": "EUR"}, label="ours")
    Traceback (most recent call last):
        ...
    salesops.checks.DataError: source.yaml: unknown key 'curency'. It takes folder, kind, id, database, tables, \
columns, values, missing, dates, decimal, lookups, time_zone, currency, locale, fiscal, stages, \
people_policy. Did you mean 'currency'?
    """
    _known(content, _READERS, "key", where)
    fields: dict[str, Any] = {}
    for key, value in content.items():
        fields |= _READERS[key](value, f"{where}: {key}")
    return Source(label=label, **fields)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise checks.DataError(f"{file.name}: is not UTF-8 text. Save it as UTF-8.") from error
    except OSError as error:
        raise checks.DataError(f"{file.name}: cannot be opened ({error.strerror}).") from error


def _refuse_tags(text: str, where: str) -> None:
    """Raise on tags, which make objects, and on references and nesting, of which a few bytes make much work."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        line = event.start_mark.line + 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise checks.DataError(f"{where}, line {line}: is nested more than {DEEPEST} deep. Correct the YAML.")
        if getattr(event, "tag", None):
            raise checks.DataError(f"{where}, line {line}: tag '{event.tag}' is not allowed. Write plain text.")
        if isinstance(event, yaml.AliasEvent):
            raise checks.DataError(f"{where}, line {line}: '*{event.anchor}' is not allowed. Write the text out.")


def _plain(node: yaml.Node, where: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, where) for item in node.value]
    content: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise checks.DataError(f"{where}, line {key.start_mark.line + 1}: a name must be text. Correct the YAML.")
        if key.value in content:
            line = key.start_mark.line + 1
            raise checks.DataError(f"{where}, line {line}: '{key.value}' is written twice. Keep one.")
        content[key.value] = _plain(value, where)
    return content


def _known(names: Mapping[str, Any], allowed: Any, noun: str, where: str) -> None:
    for name in names:
        if name not in allowed:
            hint = checks.did_you_mean(name, allowed)
            raise checks.DataError(f"{where}: unknown {noun} '{name}'. It takes {', '.join(allowed)}.{hint}")


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise checks.DataError(f"{where} must hold 'name: value' lines; found '{value}'.")
    return dict(value)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise checks.DataError(f"{where} must be a list such as [a, b]; found '{value}'.")
    return tuple(items)


def _tables(value: Any, where: str) -> dict[str, Any]:
    tables = _mapping(value, where)
    _known(tables, model.TABLES, "table", where)
    return {"tables": {name: None if text in (None, "", "null") else str(text) for name, text in tables.items()}}


def _columns(value: Any, where: str) -> dict[str, Any]:
    maps = {table: _mapping(columns, f"{where}.{table}") for table, columns in _mapping(value, where).items()}
    _known(maps, model.TABLES, "table", where)
    for table, columns in maps.items():
        named = {name: theirs for name, theirs in columns.items() if not name.startswith("x_")}
        _known(named, model.columns(table), "column", f"{where}.{table}")
    return {"columns": maps}


def _by_column(value: Any, where: str) -> dict[str, Any]:
    """A mapping whose keys are canonical columns, ``table.column``, or ``x_`` columns."""
    mapping = _mapping(value, where)
    known = {column for table in model.TABLES for column in model.columns(table)}
    full = {f"{table}.{column}" for table in model.TABLES for column in model.columns(table)}
    for name in mapping:
        if name not in known | full and not name.rpartition(".")[2].startswith("x_"):
            raise checks.DataError(f"{where}: unknown column '{name}'.{checks.did_you_mean(name, known)}")
    return mapping


def _values(value: Any, where: str) -> dict[str, Any]:
    maps = {name: _mapping(texts, f"{where}.{name}") for name, texts in _by_column(value, where).items()}
    return {"values": {name: {str(k): str(v) for k, v in texts.items()} for name, texts in maps.items()}}


def _missing(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {"missing": {"": _texts(value, where)}}
    return {"missing": {name: _texts(texts, f"{where}.{name}") for name, texts in _by_column(value, where).items()}}


def _dates(value: Any, where: str) -> dict[str, Any]:
    orders = {"": value} if isinstance(value, str) else _by_column(value, where)
    for name, order in orders.items():
        if order not in ORDERS and "%" not in order:
            at = f"{where}.{name}" if name else where
            raise checks.DataError(f"{at} must be dmy, mdy, ymd or a format such as '%d.%m.%Y'; found '{order}'.")
    return {"dates": orders}


def _lookups(value: Any, where: str) -> dict[str, Any]:
    lookups = _mapping(value, where)
    _known(lookups, model.columns("opportunities"), "column", where)
    parts = {name: tuple(str(text).rsplit(":", 1)) for name, text in lookups.items()}
    for name, part in parts.items():
        if len(part) != 2:
            raise checks.DataError(f"{where}.{name} must be like products.csv:product; found '{part[0]}'.")
    return {"lookups": parts}


def _database(value: Any, where: str) -> dict[str, Any]:
    """A file in the folder, or the environment variable that holds an address; the value may hold a password."""
    named = value if isinstance(value, str) else ""
    is_file = Path(named).suffix in DATABASES and not Path(named).is_absolute() and ".." not in Path(named).parts
    if "://" in named or not (is_file or re.fullmatch(rf"{policy.ENVIRONMENT}[A-Za-z_]\w*", named)):
        raise checks.DataError(
            f"{where} must be env: and the name of the environment variable that holds the address, such as "
            "env:SALES_DB_URL, or a DuckDB or SQLite file in the folder, such as sales.duckdb."
        )
    return {"database": named}


def _time_zone(value: Any, where: str) -> dict[str, Any]:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise checks.DataError(f"{where}: '{value}' is no time zone. Write e.g. Europe/Ljubljana or UTC.") from error
    return {"time_zone": value}


def _currency(value: Any, where: str) -> dict[str, Any]:
    if not re.fullmatch(r"[A-Za-z]{3}", str(value)):
        raise checks.DataError(f"{where} must be a three-letter code such as EUR; found '{value}'.")
    return {"currency": value.upper()}


def _decimal(value: Any, where: str) -> dict[str, Any]:
    return {"decimal": policy.one_of(",", ".")(value, where)}


def _fiscal(value: Any, where: str) -> dict[str, Any]:
    fiscal = _mapping(value, where)
    _known(fiscal, ("start_month", "named_by"), "key", where)
    months = tuple(str(month) for month in range(1, 13))
    start = policy.one_of(*months)(str(fiscal.get("start_month", 1)), f"{where}.start_month")
    named_by = policy.one_of("end", "start")(fiscal.get("named_by", "end"), f"{where}.named_by")
    return {"fiscal_start_month": int(start), "fiscal_named_by": named_by}


def _stages(value: Any, where: str) -> dict[str, Any]:
    stages = _mapping(value, where)
    _known(stages, ("order", "won", "lost", "no_decision", "qualified"), "key", where)
    order = stages.pop("order", {})
    by_pipeline = order if isinstance(order, Mapping) else {"": order}
    by_name = {name: list(texts.values()) if isinstance(texts, Mapping) else texts for name, texts in stages.items()}
    lists = {name: _texts(texts, f"{where}.{name}") for name, texts in by_name.items()}
    ordered = {pipeline: _texts(texts, f"{where}.order") for pipeline, texts in by_pipeline.items()}
    return {"stages": Stages(order=ordered, **lists)}


_READERS: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    "folder": lambda value, _: {"folder": Path(value)},
    "kind": lambda value, where: {"kind": policy.one_of(*KINDS)(value, where)},
    "id": lambda value, where: {"is_row_id": policy.one_of("row")(value, where) == "row"},
    "database": _database,
    "tables": _tables,
    "columns": _columns,
    "values": _values,
    "missing": _missing,
    "dates": _dates,
    "decimal": _decimal,
    "lookups": _lookups,
    "time_zone": _time_zone,
    "currency": _currency,
    "locale": lambda value, where: {"locale": policy.one_of(*words.LOCALES)(value, where)},
    "fiscal": _fiscal,
    "stages": _stages,
    "people_policy": lambda value, where: {"people_policy": policy.read(value, where)},
}
