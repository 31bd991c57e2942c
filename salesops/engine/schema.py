"""What a report takes: its notebook's parameters cell, read without running it."""

import ast
import io
import json
import tokenize
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from salesops.checks import ParameterError
from salesops.engine import kinds, scrub

_EXPECTED = "Write imports and lines such as  name: type = default  # help."
_CLOCKS = {"date": date, "datetime": datetime, "time": time}


class Parameter(NamedTuple):
    """One line of a parameters cell."""

    name: str
    kind: kinds.Kind
    default: Any
    help: str


def read(notebook: Path) -> dict[str, Parameter]:
    """The parameters a notebook takes, by name, in the order of its parameters cell.

    Raises
    ------
    ParameterError
        The notebook is not one, has no or several parameters cells, or a line of the cell is not a typed
        assignment with a constant default; notebook and line are named.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ParameterError(f"{notebook.name}: is not a Jupyter notebook ({fault}).") from fault
    if len(tagged) != 1:
        found = "no cell" if not tagged else f"{len(tagged)} cells"
        raise ParameterError(f"{notebook.name}: {found} tagged 'parameters'. Tag the one that holds them.")
    return from_cell("".join(tagged[0]["source"]), notebook.name)


def from_cell(text: str, notebook: str) -> dict[str, Parameter]:
    """The parameters of a cell's text.

    Examples
    --------
    >>> [by] = from_cell('by: str = "segment"   # column that splits the rate', "win_loss.ipynb").values()
    >>> by.name, str(by.kind), by.default, by.help
    ('by', 'str', 'segment', 'column that splits the rate')
    >>> from_cell("by = 3", "win_loss.ipynb")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: win_loss.ipynb: parameters cell, line 1: 'by' has no type. \
Write imports and lines such as  name: type = default  # help.
    """
    try:
        statements = ast.parse(text).body
        comments = _comments(text)
    except (SyntaxError, tokenize.TokenError) as fault:
        line = getattr(fault, "lineno", None) or 1
        raise ParameterError(f"{notebook}: parameters cell, line {line}: {fault.args[0]}. {_EXPECTED}") from fault
    found: dict[str, Parameter] = {}
    for statement in statements:
        if not isinstance(statement, (ast.Import, ast.ImportFrom)):
            try:
                parameter = _parameter(statement, comments, found)
            except ValueError as fault:
                where = f"{notebook}: parameters cell, line {statement.lineno}"
                raise ParameterError(f"{where}: {fault}. {_EXPECTED}") from fault
            require_open(parameter.name, f"{notebook}: parameters cell, line {statement.lineno}")
            found[parameter.name] = parameter
    return found


def require_open(name: str, where: str) -> None:
    """Refuse a parameter whose name says that it holds a secret: every page shows its parameters.

    Examples
    --------
    >>> require_open("segment", "-p")
    >>> require_open("api_key", "-p")
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: -p: 'api_key' looks like a secret, and every page shows its parameters. \
Put the value into an environment variable and name that in source.yaml.
    """
    if scrub.IS_SECRET.search(name):
        raise ParameterError(
            f"{where}: '{name[:60]}' looks like a secret, and every page shows its parameters. "
            "Put the value into an environment variable and name that in source.yaml."
        )


def _comments(text: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.start[0]: token.string.lstrip("#").strip() for token in tokens if token.type == tokenize.COMMENT}


def _parameter(statement: ast.stmt, comments: dict[int, str], found: dict[str, Parameter]) -> Parameter:
    if isinstance(statement, ast.Assign):
        raise ValueError(f"'{ast.unparse(statement.targets[0])}' has no type")
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
        raise ValueError(f"'{ast.unparse(statement).splitlines()[0][:60]}' is not a parameter")
    name = statement.target.id
    if name in found:
        raise ValueError(f"'{name}' is there twice")
    if statement.value is None:
        raise ValueError(f"'{name}' has no default")
    kind = kinds.parse(statement.annotation)
    default = _default(name, kind, statement.value)
    return Parameter(name, kind, default, comments.get(statement.end_lineno or 0, ""))


def _default(name: str, kind: kinds.Kind, node: ast.expr) -> Any:
    try:
        constant = _constant(node)
        value = kinds.coerce(kind, _as_text(constant))
    except ValueError as fault:
        raise ValueError(f"the default of '{name}' is not {kind}: {fault}") from fault
    # JupyterLab and nbval use the constant as it is written, so it must already be of its type.
    plain = list(value) if isinstance(value, tuple) else value
    if plain != constant or isinstance(value, (str, bool)) != isinstance(constant, (str, bool)):
        raise ValueError(f"the default of '{name}' is not {kind}: write {value!r}")
    return value


def _constant(node: ast.expr) -> Any:
    """A literal, or a date, datetime or time built from literals."""
    if isinstance(node, ast.Call):
        function = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if function not in _CLOCKS or node.keywords:
            raise ValueError(f"'{ast.unparse(node)}' is not a constant")
        return _CLOCKS[function](*(ast.literal_eval(each) for each in node.args))
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_constant(each) for each in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as fault:
        raise ValueError(f"'{ast.unparse(node)}' is not a constant") from fault


def _as_text(value: Any) -> Any:
    """Constants in the form files give them, so one coercion serves both."""
    if isinstance(value, (list, tuple)):
        return [_as_text(item) for item in value]
    if isinstance(value, dict):
        return {_as_text(key): _as_text(item) for key, item in value.items()}
    return value if value is None else kinds.shown(value)
