"""What an annotation accepts: text from a file or a command line becomes the value it names."""

import ast
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, NamedTuple

from salesops import plain_yaml

_SIMPLE = ("str", "int", "float", "bool", "date", "datetime", "time")
_COLLECTIONS = ("list", "tuple", "dict")
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Kind(NamedTuple):
    """A parsed annotation: ``name`` is a simple type, a collection, ``literal``, ``union`` or ``none``."""

    name: str
    arguments: tuple = ()

    @property
    def is_optional(self) -> bool:
        """Whether an empty value is allowed."""
        return self.name == "none" or (self.name == "union" and any(kind.is_optional for kind in self.arguments))

    def __str__(self) -> str:
        return _described(self)


def parse(node: ast.expr) -> Kind:
    """The kind an annotation stands for.

    Raises
    ------
    ValueError
        The annotation is none of str, int, float, bool, date, datetime, time, list, tuple, dict, Literal,
        Optional, Union or ``X | None``.

    Examples
    --------
    >>> kind = parse(ast.parse("list[int] | None", mode="eval").body)
    >>> str(kind), kind.is_optional
    ('list[int] | None', True)
    """
    if isinstance(node, ast.Constant):
        return Kind("none") if node.value is None else parse(ast.parse(str(node.value), mode="eval").body)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Kind("union", (parse(node.left), parse(node.right)))
    if isinstance(node, ast.Subscript):
        return _subscripted(_name(node.value), node.slice)
    name = _name(node)
    if name in _SIMPLE + _COLLECTIONS:
        return Kind(name)
    known = ", ".join(_SIMPLE + _COLLECTIONS)
    raise ValueError(f"type '{ast.unparse(node)}' is not one of {known}, Literal or X | None")


def coerce(kind: Kind, raw: Any) -> Any:
    """The value a text (or a list or mapping of texts, or nothing) has under an annotation.

    Nothing is guessed: ``0012`` is text where text is expected and twelve where a number is.

    Raises
    ------
    ValueError
        Says what was expected.

    Examples
    --------
    >>> coerce(Kind("str"), "0012"), coerce(Kind("int"), "0012"), coerce(Kind("bool"), "yes")
    ('0012', 12, True)
    >>> coerce(Kind("list", (Kind("date"),)), "2026-01-31, 2026-02-28")[1]
    datetime.date(2026, 2, 28)
    >>> coerce(Kind("float"), "many")
    Traceback (most recent call last):
        ...
    ValueError: 'many' is not a number
    """
    if kind.name == "union":
        return _union(kind, raw)
    if kind.name == "literal":
        return _literal(kind, raw)
    if kind.name in _COLLECTIONS:
        return _collection(kind, raw)
    return _none(raw) if kind.name == "none" else _SCALARS[kind.name](_scalar(raw, kind))


def from_command_line(kind: Kind, text: str) -> Any:
    """The value of a ``NAME=VALUE`` text: as `coerce`, with ``null`` or nothing for "no value".

    Examples
    --------
    >>> optional = Kind("union", (Kind("str"), Kind("none")))
    >>> from_command_line(optional, "null") is None, from_command_line(Kind("str"), "null")
    (True, 'null')
    """
    return coerce(kind, None if kind.is_optional and text.strip() in _NULLS else text)


def shown(value: Any) -> str:
    """A value as it would be typed on the command line.

    Examples
    --------
    >>> shown(None), shown(True), shown(["SMB", 3]), shown({"a": 1})
    ('null', 'true', '[SMB, 3]', '{a: 1}')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(shown(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _name(node: ast.expr) -> str:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return {"List": "list", "Tuple": "tuple", "Dict": "dict"}.get(name, name)


def _subscripted(name: str, inner: ast.expr) -> Kind:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Literal":
        return Kind("literal", tuple(ast.literal_eval(part) for part in parts))
    if name == "tuple" and isinstance(parts[-1], ast.Constant) and parts[-1].value is Ellipsis:
        return Kind("tuple", (parse(parts[0]), ...))
    if name == "Optional":
        return Kind("union", (parse(inner), Kind("none")))
    if name in ("Union", *_COLLECTIONS):
        return Kind("union" if name == "Union" else name, tuple(parse(part) for part in parts))
    raise ValueError(f"type '{name}[…]' is not one of {', '.join(_COLLECTIONS)}, Literal, Optional or Union")


def _described(kind: Kind) -> str:
    if kind.name == "union":
        return " | ".join(_described(each) for each in kind.arguments)
    if kind.name == "literal":
        return f"Literal[{', '.join(repr(value) for value in kind.arguments)}]"
    if kind.name == "none":
        return "None"
    inner = ", ".join("..." if each is ... else _described(each) for each in kind.arguments)
    return f"{kind.name}[{inner}]" if inner else kind.name


def _union(kind: Kind, raw: Any) -> Any:
    if raw is None and kind.is_optional:
        return None
    # Text accepts everything, so it is tried last.
    members = sorted(kind.arguments, key=lambda each: each.name == "str")
    faults = []
    for member in members:
        try:
            return coerce(member, raw)
        except ValueError as fault:
            faults += [str(fault)] if member.name != "none" else []
    raise ValueError(faults[0])


def _literal(kind: Kind, raw: Any) -> Any:
    for value in kind.arguments:
        if (raw == value and isinstance(raw, type(value))) or (isinstance(raw, str) and raw.strip() == shown(value)):
            return value
    raise ValueError(f"{_quoted(raw)} is not one of {', '.join(shown(value) for value in kind.arguments)}")


def _collection(kind: Kind, raw: Any) -> Any:
    found = _parsed(kind, raw) if isinstance(raw, str) else raw
    if kind.name == "dict":
        if not isinstance(found, dict):
            raise ValueError(f"{_quoted(raw)} is not a mapping such as {{a: 1, b: 2}}")
        key, value = kind.arguments or (Kind("str"), Kind("str"))
        return {coerce(key, name): coerce(value, item) for name, item in found.items()}
    if not isinstance(found, (list, tuple)):
        raise ValueError(f"{_quoted(raw)} is not a list such as [a, b]")
    return _items(kind, list(found))


def _items(kind: Kind, found: list) -> Any:
    if kind.name == "list" or not kind.arguments or kind.arguments[-1] is ...:
        inner = kind.arguments[0] if kind.arguments else Kind("str")
        values = [coerce(inner, item) for item in found]
        return values if kind.name == "list" else tuple(values)
    if len(found) != len(kind.arguments):
        raise ValueError(f"{_quoted(shown(found))} has {len(found)} items, not {len(kind.arguments)}")
    return tuple(coerce(each, item) for each, item in zip(kind.arguments, found, strict=True))


def _parsed(kind: Kind, text: str) -> Any:
    text = text.strip()
    if text[:1] in ("[", "{"):
        return plain_yaml.read(text)
    if kind.name == "dict":
        return plain_yaml.read(f"{{{text}}}")
    return [item.strip() for item in text.split(",")] if text else []


def _none(raw: Any) -> None:
    if raw is not None:
        raise ValueError(f"{_quoted(raw)} is not null")


def _scalar(raw: Any, kind: Kind) -> str:
    if isinstance(raw, str):
        return raw
    if raw is None:
        raise ValueError(f"it is empty, and {kind} cannot be")
    raise ValueError(f"{_quoted(shown(raw))} is not a single value")


def _int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
        raise ValueError(f"{_quoted(text)} is not a whole number")
    return int(text)


def _float(text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text.strip()):
        raise ValueError(f"{_quoted(text)} is not a number")
    if not math.isfinite(float(text)):
        raise ValueError(f"{_quoted(text)} is too large a number")
    return float(text)


def _bool(text: str) -> bool:
    if text.strip().lower() not in _BOOLS:
        raise ValueError(f"{_quoted(text)} is not true or false")
    return _BOOLS[text.strip().lower()]


def _calendar(read: Callable, pattern: str, expected: str) -> Callable[[str], Any]:
    def parsed(text: str) -> Any:
        # The pattern keeps out week dates and undashed forms that fromisoformat also takes.
        if re.fullmatch(pattern, text.strip(), re.ASCII):
            try:
                return read(text.strip())
            except ValueError:
                pass  # such as 2026-02-30: the same words say it
        raise ValueError(f"{_quoted(text)} is not {expected}")

    return parsed


def _quoted(raw: Any) -> str:
    text = raw if isinstance(raw, str) else shown(raw)
    return f"'{text[:80]}…'" if len(text) > 80 else f"'{text}'"


_DAY, _CLOCK = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "date": _calendar(date.fromisoformat, _DAY, "a date such as 2026-09-30"),
    "datetime": _calendar(
        datetime.fromisoformat, rf"{_DAY}([T ]{_CLOCK}(Z|[+-]\d\d:?\d\d)?)?", "a time such as 2026-09-30T12:30"
    ),
    "time": _calendar(time.fromisoformat, _CLOCK, "a time of day such as 12:30"),
}
