"""What an executed notebook said: its headlines and figures, read from the metadata of its outputs."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nbformat import NotebookNode

from salesops import checks
from salesops.checks import SalesopsError
from salesops.report import deal_lists, figure_key

KEYS = (
    "metric", "statistic", "by", "value", "low", "high", "level", "n", "numerator", "denominator", "unit", "clock",
    "where", "period", "compared_with",
)  # fmt: skip
_NUMBERS = ("value", "low", "high", "level", "n", "numerator", "denominator")


class Said(NamedTuple):
    """Everything the blocks of a notebook carry, in the order of its cells."""

    page: dict[str, Any]
    headlines: list[str]
    figures: list[dict[str, Any]]
    deals: deal_lists.Lists
    left_out: list[dict[str, str]]
    tiles: Mapping[str, str] = MappingProxyType({})
    findings: tuple[dict[str, Any], ...] = ()


def collect(notebook: NotebookNode, aside: Path | None = None) -> Said:
    """The blocks of an executed notebook as one.

    Parameters
    ----------
    notebook
        As executed.
    aside
        Where its blocks left their lists of deals; one that left none has them in itself.

    Raises
    ------
    SalesopsError
        A figure has not the keys of the figures file, or is there twice with different values.
    """
    blocks = list(_blocks(notebook))
    deals: deal_lists.Lists = {}
    for block in blocks:
        for key, ids in _lists(block, aside).items():
            deals[key] = deal_lists.merged(deals[key], ids) if key in deals else ids
    left_out = [block["left_out"] for block in blocks if block.get("left_out")]
    return Said(
        page=next((block["page"] for block in blocks if block.get("page")), {}),
        headlines=[text for block in blocks for text in block.get("headlines", [])],
        figures=distinct([figure for block in blocks for figure in block.get("figures", [])]),
        deals=deals,
        left_out=[entry for number, entry in enumerate(left_out) if entry not in left_out[:number]],
        tiles=dict(_tiles(blocks)),
        findings=tuple(_findings(blocks)),
    )


def distinct(figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each figure once, in the order of first mention; what one mention lacks another fills in.

    Raises
    ------
    SalesopsError
        Two mentions disagree, or a figure's keys are not those of the figures file.
    """
    found: dict[str, dict[str, Any]] = {}
    for figure in map(_checked, figures):
        key = json.dumps(_identity(figure), sort_keys=True)
        found[key] = _merged(found[key], figure) if key in found else figure
    return list(found.values())


def withheld(figures: list[dict[str, Any]], fields: dict[str, str], registry: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures that are missing because a field they need is withheld."""
    faulty = {name for name, metric in registry.items() if set(metric.fields) & set(fields)}
    return [figure for figure in figures if figure["value"] is None and figure["metric"] in faulty]


def dumps(document: dict[str, Any]) -> str:
    """JSON with sorted keys and null for what is missing: the same document is the same text."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _lists(block: dict[str, Any], aside: Path | None) -> deal_lists.Lists:
    told = block.get("deals", {})
    if aside is not None and "deals_file" in block:
        left = deal_lists.found(aside, block["deals_file"])
        return {key: left[key] for key in told}
    return {key: deal_lists.listed(ids) for key, ids in told.items() if isinstance(ids, list)}


def _blocks(notebook: NotebookNode) -> Iterator[dict[str, Any]]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "salesops" in output.get("metadata", {}):
                yield output.metadata["salesops"]


def _tiles(blocks: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Key and title of each figure with a tile; what it is compared with has none of its own."""
    for block in blocks:
        shown = block.get("figures", []) if block.get("kind") == "tiles" else []
        keys = [figure_key(figure) for figure in map(_checked, shown) if figure["compared_with"] is None]
        yield from ((key, block.get("titles", {}).get(key, "")) for key in keys)


def _findings(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What each picture draws, and the keys of its figures."""
    for block in blocks:
        if block.get("finding"):
            found = block["finding"]
            series = [{name: _drawn(item) for name, item in each.items()} for each in found["series"]]
            keys = [figure_key(figure) for figure in map(_checked, block.get("figures", []))]
            yield {**found, "series": series, "figures": keys}


def _drawn(item: Any) -> Any:
    return [_number(number) for number in item] if isinstance(item, list) else item


def _checked(figure: dict[str, Any]) -> dict[str, Any]:
    if set(figure) != set(KEYS):
        wrong = checks.examples(sorted(set(figure) ^ set(KEYS)))
        raise SalesopsError(f"figure '{figure.get('metric')}': its keys are not those of the figures file ({wrong}).")
    numbers = {name: _number(figure[name]) for name in _NUMBERS}
    by = {name: None if value != value else value for name, value in figure["by"].items()}
    return {**figure, **numbers, "by": by}


def _identity(figure: dict[str, Any]) -> list[Any]:
    return [figure["metric"], figure["statistic"], figure["by"], figure["period"]["label"], figure["compared_with"]]


def _number(value: Any) -> float | int | None:
    return None if _is_nan(value) else value


def _is_nan(value: Any) -> bool:
    # Jupyter's messages carry a NaN as the text "nan".
    return value in ("nan", "inf", "-inf") or (isinstance(value, float) and not math.isfinite(value))


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    for name in ("value", "low", "high"):
        if None not in (first[name], second[name]) and not math.isclose(first[name], second[name], rel_tol=1e-9):
            by = ", ".join(f"{key} {value}" for key, value in first["by"].items()) or "overall"
            raise SalesopsError(
                f"figure '{first['metric']}' ({first['statistic']}, {by}): {name} is {first[name]} in one place and "
                f"{second[name]} in another. Compute it once and show it twice."
            )
    return {name: second[name] if first[name] is None else first[name] for name in KEYS}
