"""Parameter files and ``-p``: what each report's parameters are, and where each value comes from.

A later layer wins: the notebook's default, a file's ``parameters``, its ``per_report`` (for a
variant: its own file before that), ``-p NAME=VALUE``, ``-p REPORT.NAME=VALUE``. A name in a file's
``parameters`` or in ``-p NAME=`` must be a parameter of every selected report.
"""

from pathlib import Path
from typing import Any, NamedTuple

from salesops import plain_yaml
from salesops.checks import ParameterError, did_you_mean
from salesops.engine import catalog, kinds
from salesops.engine.schema import Parameter, require_open

_TOP = ("reports", "parameters", "per_report", "cover")


class File(NamedTuple):
    """A parameter file as written: every scalar is text."""

    name: str
    reports: list[str] | None
    parameters: dict[str, Any]
    per_report: dict[str, dict[str, Any]]
    cover: str = ""

    @property
    def order(self) -> list[str]:
        """The reports as they are listed: the cover first."""
        return list(dict.fromkeys([*([self.cover] if self.cover else []), *(self.reports or [])]))


class Value(NamedTuple):
    """A parameter's value and the layer it comes from."""

    value: Any
    origin: str


class Layer(NamedTuple):
    """Values from one place; ``read`` turns a raw one into the value its annotation names."""

    origin: str
    values: dict[str, Any]
    read: Any = kinds.coerce


def read_file(path: Path, *, keys: tuple[str, ...] = _TOP) -> File:
    """A parameter file: ``{reports: […], parameters: {…}, per_report: {NAME: {…}}, cover: NAME}``.

    Raises
    ------
    ParameterError
        It cannot be read, or holds a key it should not.
    """
    try:
        content = plain_yaml.read(path.read_text(encoding="utf-8-sig")) or {}
    except OSError as fault:
        raise ParameterError(f"{path.name}: cannot be read ({fault.strerror}). Check the path.") from fault
    except ValueError as fault:
        raise ParameterError(f"{path.name}: {fault}.") from fault
    _require(isinstance(content, dict), f"{path.name}: is not a mapping. It takes {', '.join(keys)}.")
    for key in content:
        hint = did_you_mean(key, keys)
        _require(key in keys, f"{path.name}: unknown key '{key}'. It takes {', '.join(keys)}.{hint}")
    reports = content.get("reports")
    is_list = isinstance(reports, list) and all(isinstance(name, str) for name in reports)
    _require(reports is None or is_list, f"{path.name}: reports is not a list of names such as [win_loss, forecast].")
    per_report = _mapping(content, "per_report", path.name)
    cover = content.get("cover") or ""
    _require(isinstance(cover, str), f"{path.name}: cover is not the name of a report such as executive_summary.")
    return File(
        path.name,
        reports,
        _mapping(content, "parameters", path.name),
        {name: _mapping(per_report, name, path.name) for name in per_report},
        cover,
    )


def read_assignments(texts: list[str], reports: list[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """``NAME=VALUE`` and ``REPORT.NAME=VALUE`` texts: those for every report, and those for one.

    Examples
    --------
    >>> read_assignments(["by=region", "win_loss.emea.by=team"], ["win_loss.emea"])
    ({'by': 'region'}, {'win_loss.emea': {'by': 'team'}})
    >>> read_assignments(["by"], ["win_loss"])
    Traceback (most recent call last):
        ...
    salesops.checks.ParameterError: -p 'by' is not NAME=VALUE or REPORT.NAME=VALUE.
    """
    common: dict[str, str] = {}
    addressed: dict[str, dict[str, str]] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        report, _, name = target.strip().rpartition(".")
        require_open(name or text, "-p")
        _require(bool(equals and name), f"-p '{text}' is not NAME=VALUE or REPORT.NAME=VALUE.")
        if report and report not in reports:
            hint = did_you_mean(report, reports)
            raise ParameterError(f"-p '{text}': '{report}' is not a report of this run ({', '.join(reports)}).{hint}")
        (addressed.setdefault(report, {}) if report else common)[name] = value
    return common, addressed


def layers(
    report: catalog.Report, file: File | None, common: dict[str, str], addressed: dict[str, dict[str, str]]
) -> list[Layer]:
    """What is set for one report outside its notebook, weakest first."""
    found = [Layer(file.name, file.parameters)] if file else []
    if report.variant:
        found.append(Layer(report.variant.name, read_file(report.variant, keys=("parameters",)).parameters))
    if file:
        found.append(Layer(f"{file.name}, per_report", file.per_report.get(report.name, {})))
    return [
        *found,
        Layer("-p", common, kinds.from_command_line),
        Layer("-p", addressed.get(report.name, {}), kinds.from_command_line),
    ]


def resolve(report: str, schema: dict[str, Parameter], found: list[Layer]) -> dict[str, Value]:
    """Every parameter's value and origin.

    Raises
    ------
    ParameterError
        A layer names a parameter the report does not take, or a value is not of its type.
    """
    values = {parameter.name: Value(parameter.default, "notebook") for parameter in schema.values()}
    for layer in found:
        for name, raw in layer.values.items():
            require_open(name, layer.origin)
            if name not in schema:
                raise ParameterError(_unknown(report, name, layer.origin, list(schema)))
            try:
                values[name] = Value(layer.read(schema[name].kind, raw), layer.origin)
            except ValueError as fault:
                raise ParameterError(
                    f"{report}: parameter '{name}' ({layer.origin}): {fault}. It takes {schema[name].kind}."
                ) from fault
    return values


def _unknown(report: str, name: str, origin: str, known: list[str]) -> str:
    where = "" if origin == "-p" else f"{origin}: "
    takes = ", ".join(known) or "none"
    return f"{where}{report}: unknown parameter '{name}'. It takes {takes}.{did_you_mean(name, known)}"


def _mapping(content: dict[str, Any], key: str, file: str) -> dict[str, Any]:
    found = content.get(key)
    _require(found is None or isinstance(found, dict), f"{file}: {key} is not a mapping of names to values.")
    return found or {}


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ParameterError(message)
