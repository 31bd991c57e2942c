"""YAML without guesses: every scalar stays the text that was written, except a plain null."""

import re
from typing import Any

import yaml

_NULL = "tag:yaml.org,2002:null"


class _Loader(yaml.BaseLoader):
    """Tells a plain null from text and resolves nothing else."""


_Loader.add_implicit_resolver(_NULL, re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def read(text: str) -> Any:
    """The lists, mappings, texts and nulls of a YAML document.

    ``no``, ``0012``, ``12:30`` and ``1e-3`` stay text: the annotation of a parameter says what they are.

    Raises
    ------
    ValueError
        It does not parse, repeats a key, or uses a tag or an alias; the line is named.

    Examples
    --------
    >>> read("{region: [NO, 0012], since: 2026-09-30, by: }")
    {'region': ['NO', '0012'], 'since': '2026-09-30', 'by': None}
    >>> read("a: 1\\na: 2")
    Traceback (most recent call last):
        ...
    ValueError: line 2: 'a' is there twice
    """
    try:
        for event in yaml.parse(text, Loader=_Loader):
            _refuse(event)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise ValueError(f"line {mark.line + 1 if mark else 1}: {fault.problem or fault.context}") from fault
    except yaml.YAMLError as fault:
        raise ValueError(str(fault).splitlines()[0]) from fault
    return None if node is None else _value(node)


def _refuse(event: yaml.Event) -> None:
    tag, line = getattr(event, "tag", None), event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent):
        raise ValueError(f"line {line}: the alias '*{event.anchor}' is not read. Write the value out")
    if tag and tag != "!":
        raise ValueError(f"line {line}: the tag '{tag}' is not read. Leave it out")


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    return None if node.tag == _NULL else node.value


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"line {line}: a key must be a single name")
        if key.value in found:
            raise ValueError(f"line {line}: '{key.value}' is there twice")
        found[key.value] = _value(item)
    return found
