"""What every metric means: the registry read from the docstrings that define them.

A public function that computes metrics lists them in a ``Metrics`` section::

    Metrics
    -------
    win_rate : rate, closed, higher, won / n, is_closed is_won
        Won over won and lost, by count, among deals closed in the period.

that is: unit, clock, good direction, numerator / denominator columns (``-`` for none), and
the fields whose faults can withhold it; then the definition. There is no second list.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pandas as pd

import salesops

UNITS = ("rate", "points", "amount", "days", "hours", "count", "ratio", "amount_per_day")
STATISTICS = ("value", "mean", "median", "p10", "p25", "p50", "p75", "p90")
_DIRECTIONS = ("higher", "lower", "none")
_ENTRY = re.compile(r"^(\w+) : (.+)\n((?:    .*\n?)+)", re.MULTILINE)


class Metric(NamedTuple):
    """One metric as its docstring defines it."""

    name: str
    unit: str
    clock: str
    good: str
    numerator: str | None
    denominator: str | None
    fields: tuple[str, ...]
    definition: str
    function: str
    module: str


_SHOWN = ("name", "unit", "good", "clock", "definition", "function")
_LOOK = (
    ".so-metrics {max-height: 36rem; overflow: auto}"
    ".so-metrics table :is(td, th):nth-child(n) {text-align: left; vertical-align: top; white-space: normal}"
    ".so-metrics td:nth-child(5) {min-width: 14rem}"
    ".so-metrics thead th {position: sticky; top: 0; background: var(--jp-layout-color0, #fff)}"
)


class Listing(pd.DataFrame):
    """A frame of metrics that a notebook shows whole, no definition cut; a frame in all else."""

    @property
    def _constructor(self) -> type:
        return Listing

    def _repr_html_(self) -> str | None:
        if tuple(self.columns) != _SHOWN:
            return super()._repr_html_()
        with pd.option_context("display.max_colwidth", None):
            rows = self.to_html(index=False, border=0)
        return f'<style>{_LOOK}</style><div class="so so-metrics mathjax_ignore">{rows}</div>'


def table(*words: str) -> Listing:
    """Every metric, or those in which the words occur, to look up and to filter.

    Parameters
    ----------
    words
        Text looked for in names, definitions and functions, capitals or not, ``_`` or a space; all have to occur.

    Returns
    -------
    Listing
        A frame with one row per metric, by name: ``name``, ``unit``, ``good`` (which way), ``clock``, ``definition``,
        ``function`` (where it is computed: type a ``?`` after it).

    Examples
    --------
    >>> table("working hours")[["name", "unit", "good", "function"]]
                              name   unit   good             function
    0  lead_response_working_hours  hours  lower  leads.lead_response
    >>> table().query("unit == 'hours'")["name"].head(2).tolist()
    ['lead_response_hours', 'lead_response_working_hours']
    """
    rows = [
        {name: getattr(metric, name) for name in _SHOWN}
        | {"function": f"{metric.module.rpartition('.')[2]}.{metric.function}"}
        for metric in sorted(registry().values())
    ]
    found = Listing(rows, columns=list(_SHOWN))
    texts = (_plain(" ".join(row)) for row in found[["name", "definition", "function"]].to_numpy())
    return found[[all(_plain(word) in text for word in words) for text in texts]].reset_index(drop=True)


@cache
def registry() -> dict[str, Metric]:
    """Every metric by name, in the order of modules and functions.

    Raises
    ------
    ValueError
        Two functions define the same metric, or an entry is malformed.

    Examples
    --------
    >>> registry()["win_rate"].unit
    'rate'
    """
    found: dict[str, Metric] = {}
    for function in functions():
        for metric in of(function):
            if metric.name in found:
                first = found[metric.name]
                raise ValueError(
                    f"{metric.name} is defined in {first.module}.{first.function} and in "
                    f"{metric.module}.{metric.function}. Keep one."
                )
            found[metric.name] = metric
    return found


def modules() -> list[str]:
    """The modules that may define metrics.

    Examples
    --------
    >>> "salesops.win_loss" in modules(), "salesops.crm" in modules()
    (True, False)
    """
    found = [info for info in pkgutil.iter_modules(salesops.__path__) if not info.ispkg]
    return [f"salesops.{info.name}" for info in found if not info.name.startswith("__")]


def functions() -> list[Callable]:
    """The public functions of the question modules: those that may define metrics."""
    return [
        member
        for module in map(importlib.import_module, modules())
        for name, member in vars(module).items()
        if inspect.isfunction(inspect.unwrap(member))
        and member.__module__ == module.__name__
        and not name.startswith("_")
    ]


def of(function: Callable) -> list[Metric]:
    """The metrics one function's docstring defines.

    Examples
    --------
    >>> def bookings(deals):
    ...     '''Money won.
    ...
    ...     Metrics
    ...     -------
    ...     bookings_amount : amount, closed, higher, -, amount
    ...         Amount of the deals won.
    ...     '''
    >>> [metric] = of(bookings)
    >>> metric.name, metric.unit, metric.fields, metric.definition
    ('bookings_amount', 'amount', ('amount',), 'Amount of the deals won.')
    """
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Metrics\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = _ENTRY.findall(section[1].rstrip() + "\n") if section else []
    return [_metric(function, name, spec, definition) for name, spec, definition in entries]


def split(column: str) -> tuple[str, str] | None:
    """A column's metric and statistic, or nothing where it is not a metric.

    Examples
    --------
    >>> split("win_rate")
    ('win_rate', 'value')
    >>> split("sales_cycle_days_median")
    ('sales_cycle_days', 'median')
    >>> split("segment") is None
    True
    """
    if column in registry():
        return column, "value"
    name, _, statistic = column.rpartition("_")
    return (name, statistic) if statistic in STATISTICS[1:] and name in registry() else None


def _plain(text: str) -> str:
    return text.replace("_", " ").lower()


def _metric(function: Callable, name: str, spec: str, definition: str) -> Metric:
    parts = [part.strip() for part in spec.split(",")]
    if len(parts) != 5 or parts[0] not in UNITS or parts[2] not in _DIRECTIONS:
        raise ValueError(
            f"{function.__module__}.{function.__name__}: metric '{name}' reads '{spec}'. "
            f"Write unit ({', '.join(UNITS)}), clock, good direction ({', '.join(_DIRECTIONS)}), "
            "numerator / denominator, fields."
        )
    unit, clock, good, ratio, fields = parts
    numerator, _, denominator = ratio.partition(" / ")
    return Metric(
        name,
        unit,
        clock,
        good,
        numerator if numerator != "-" else None,
        denominator or None,
        tuple(fields.split()),
        " ".join(definition.split()),
        function.__name__,
        function.__module__,
    )
