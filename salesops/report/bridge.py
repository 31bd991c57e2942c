"""A bridge from one level to another: what came, what went, and what is left."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from salesops import checks
from salesops.report import captions, drawing, marks, tables
from salesops.report.block import Block
from salesops.report.figures import UNSCOPED, Scope
from salesops.report.finding import Finding


def bridge(
    frame: pd.DataFrame,
    *,
    value: str,
    by: str,
    title: str,
    levels: Collection[str] = (),
    unit: str | None = None,
    subtitle: str = "",
    scope: Scope = UNSCOPED,
) -> Block:
    """A bar from zero for the first and the last row, and between them each change from where the one before ended.

    The wrong chart for parts that do not add up to the last row: use `bars`.

    Parameters
    ----------
    frame
        One row per step, in order: ``by``, ``value`` (a level in the first and the last row, a signed change between)
        and ``n``.
    value, by
        Columns to draw.
    title
        The finding.
    levels
        Rows between that are levels too, by their names.
    unit
        Unit of ``value``, where its name does not say it.
    subtitle
        What is measured; put together from the columns if empty.
    """
    checks.require_columns(frame, [value, by])
    unit = unit or tables.unit_of(frame, value) or "count"
    said = subtitle or captions.subtitle(frame.drop(columns="n", errors="ignore"), value, None, scope)
    finding = Finding(frame, title, said, scope, {value: unit})
    if finding.is_undrawn(value):
        return finding.without_picture(value)
    rows = steps(marks.numbers(frame, by, value), levels=levels).assign(n=np.nan)  # the money needs the room
    with drawing.canvas(len(rows) * 30 + 36, **drawing.NAMED, top=8, bottom=28) as axes:
        marks.floating(axes, rows)
        marks.row_labels(axes, rows, unit, scope.currency)
        reach = rows[["begin", "end"]].stack()
        marks.value_axis(axes, unit, scope.currency, min(0, reach.min() * 1.05), max(0, reach.max() * 1.05))
        return finding.drawn(axes, captions.bridged(rows, value, unit, scope))


def steps(rows: pd.DataFrame, *, levels: Collection[str] = ()) -> pd.DataFrame:
    """The rows with where each bar begins and ends; an unknown change moves nothing.

    Examples
    --------
    >>> steps(pd.DataFrame({"value": [10.0, 5.0, -7.0, 8.0]}))
       value  begin   end  is_level
    0   10.0    0.0  10.0      True
    1    5.0   10.0  15.0     False
    2   -7.0   15.0   8.0     False
    3    8.0    0.0   8.0      True
    >>> rows = pd.DataFrame({"group": ["a", "b", "c", "d"], "value": [10.0, 10.0, 2.0, 12.0]})
    >>> steps(rows, levels=["b"])["begin"].tolist()
    [0.0, 0.0, 10.0, 0.0]
    """
    place = np.arange(len(rows))
    is_level = (place == 0) | (place == len(rows) - 1)
    is_level = is_level | rows["group"].isin(list(levels)).to_numpy() if len(levels) else is_level
    reached = rows["value"].fillna(0).mask(is_level & (place > 0), 0).cumsum()
    begin = reached.shift(fill_value=0.0).mask(is_level, 0.0)
    return rows.assign(begin=begin, end=reached.where(~is_level, rows["value"]), is_level=is_level)
