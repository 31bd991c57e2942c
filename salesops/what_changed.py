"""What changed since the last report: movements beyond noise, restated figures, and breaks.

Two figures files of one report are compared figure by figure. A *movement* is a figure of the later report's own period
beside the same figure of the earlier report's. A *restatement* is a figure of one past period that the two files give
differently. Where the mapping, the parameters or a definition changed between them there is a *break*: what lies before
it is not compared with what comes after.
"""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri  # the normal distribution, without all others

from salesops import checks, figures_files, words
from salesops.report import changes
from salesops.stats import multiplicity

# A past period's figures by these clocks stay as they are unless somebody edits a deal. By any other clock they go on
# while its deals are decided, which is no restatement.
SETTLED = ("closed", "close_date", "occurred", "changed_at")
ROLLING = ("as_of", "period")  # parameters that say which report it is, not how it is made
MAPPING, PARAMETERS, DEFINITION = "mapping", "parameters", "definition"  # a break
CODE, NOTEBOOK, PACKAGES = "code", "notebook", "packages"  # told, and no break while the definitions are the same
INPUT, UNKNOWN = "input", "unknown"

_BREAKS = (MAPPING, PARAMETERS, DEFINITION, UNKNOWN)
_MADE_BY = (MAPPING, PARAMETERS, CODE, NOTEBOOK, PACKAGES)
# What people look at and act on: the figures of the cover's scorecard, and the others a quarterly pack compares.
KEY_FIGURES = (
    "bookings_amount", "won_count", "win_rate", "value_win_rate", "won_size_amount", "won_exit_days",
    "sales_velocity_amount", "slippage_rate", "quota_attainment_rate", "lead_sla_rate", "pipeline_coverage_ratio",
)  # fmt: skip
OTHERS = 500
KEY_SHARE = 0.8  # of the errors a reader is allowed

_FIGURE = ["metric", "statistic", "where", "currency", "value", "was_value", "low", "high"]
_SAME = ["report", "metric", "statistic", "by", "where", "currency", "unit", "clock"]
# No Poisson counts: what is there on a day are mostly the same deals as before; activities come several to a deal.
_NO_EVENTS = ("as_of", "snapshot", "period_end", "occurred")
_DAYS_APART = 3  # in the length of two like periods: months and quarters are not equally long
_LEVEL = 0.95
_NUMBERS = ("value", "low", "high", "level", "n")
_TREND = ("as_of_date", "period", "value", "low", "high", "n", "unit", "clock")

Document = Mapping[str, Any]


def changed(before: Document, after: Document) -> pd.DataFrame:
    """What of the making of a report changed between two of its figures files.

    Parameters
    ----------
    before, after
        Figures files of one report.

    Returns
    -------
    DataFrame
        One row per change: ``what`` (mapping, parameters, definition, code, notebook, packages, input; unknown where
        a file has no hashes), ``name`` (of the parameter or metric, else empty), ``was``, ``became``, ``is_break``.

    Examples
    --------
    >>> before = {"parameters": {"where": "", "as_of": "2026-06-30"}, "hashes": {"mapping": "a", "parameters": "c"}}
    >>> after = {"parameters": {"where": "segment == 'SMB'", "as_of": "2026-09-30"},
    ...          "hashes": {"mapping": "b", "parameters": "d"}}
    >>> changed(before, after)
             what   name was            became  is_break
    0     mapping                                   True
    1  parameters  where      segment == 'SMB'      True
    """
    old, new = before.get("hashes"), after.get("hashes")
    rows: list[tuple[str, str, str, str]] = []
    if not old or not new:
        rows.append((UNKNOWN, "", "", ""))
    else:
        parts = [part for part in (*_MADE_BY, INPUT) if old.get(part) != new.get(part)]
        rows += [(part, "", "", "") for part in parts if part != PARAMETERS]
    values = before["parameters"], after["parameters"]
    rows += [(PARAMETERS, *each) for each in _differing(*values) if each[0] not in ROLLING]
    rows += [(DEFINITION, *each) for each in _redefined(before, after)]
    table = pd.DataFrame(rows, columns=["what", "name", "was", "became"], dtype="str")
    return table.assign(is_break=table["what"].isin(_BREAKS))


def restated(before: Document, after: Document) -> pd.DataFrame:
    """Figures of a past period that two reports give differently, and what moved them.

    A figure by another clock than `SETTLED` is looked at only where both reports are as of the same day: a cohort's
    rate goes on as its deals are decided.

    Parameters
    ----------
    before, after
        Figures files of one report.

    Returns
    -------
    DataFrame
        One row per figure that differs, the whole first: the columns of `figures_files.figures` as they are now,
        ``was_value``, and ``cause``: what of the report's making changed (see `changed`), joined by commas. ``input``
        alone is a late edit: the data of that period were changed after it was reported. Empty: the files say the
        same of how both were made.
    """
    on = [*_SAME, "period_start", "period_end"]
    now = pd.concat([_stated(after), _beside(before, after)], ignore_index=True).drop_duplicates(on)
    pair = _pair(_stated(before), now, on)
    is_settled = pair["clock"].isin(SETTLED) | (before["as_of"] == after["as_of"])
    is_past = pair["period_end"].notna() & (pair["period_end"] <= pd.Timestamp(before["as_of"]))
    is_known = pair["value"].notna() & pair["was_value"].notna()
    pair = pair[is_settled & is_past & is_known & ~_equal(pair["value"], pair["was_value"])]
    made = changed(before, after)
    shared = [what for what in dict.fromkeys(made["what"]) if what not in (DEFINITION, INPUT)]
    redefined = set(made.loc[made["what"].eq(DEFINITION), "name"])
    data = [INPUT] if made["what"].eq(INPUT).any() or before["as_of"] != after["as_of"] else []
    causes = [", ".join([*shared, *[DEFINITION] * (name in redefined), *data]) for name in pair["metric"]]
    pair = pair.assign(cause=pd.Series(causes, index=pair.index, dtype="str"))
    return pair.sort_values("by", key=lambda by: ~by.eq("{}"), kind="stable", ignore_index=True)


def movements(before: Document, after: Document, *, min_n: int = checks.MIN_N) -> pd.DataFrame:
    """Each figure of the later report's own period beside the same of the earlier report's.

    Only what can be compared is: the same metric, definition, group, filter and currency; periods that are equally
    long and equally far on; an interval on at least one side (a record without one is exact, a count of deals or leads
    in the period has that of a Poisson count; activities come several to a deal and have none); `min_n` deals on both.
    A difference is not compared with a difference. The earlier value is as the later report gives it, where it does (a
    restated figure moves nothing), else as it was published. Nothing is compared across a break.

    Parameters
    ----------
    before, after
        Figures files of one report.
    min_n
        Deals below which a figure is not compared.

    Returns
    -------
    DataFrame
        One row per comparison: the columns of `figures_files.figures`, ``was_period``, ``was_value``, ``gap``,
        ``gap_least``, ``gap_most`` (the 95 % interval of the difference), ``p_value`` and ``is_key`` (the
        whole of one of `KEY_FIGURES`). Hand it to `named`.

    References
    ----------
    The interval: `salesops.report.changes.difference`.
    """
    pair = _pair(_own(before), _own(after), _SAME)
    made = changed(before, after)
    redefined = made.loc[made["what"].eq(DEFINITION), "name"]
    if not alike(before, after) or (made["is_break"] & made["what"].ne(DEFINITION)).any():
        pair = pair.iloc[:0]
    pair = _as_known_now(pair[~pair["metric"].isin(redefined)], before, after)
    pair = pair[~pair["n"].lt(min_n) & ~pair["was_n"].lt(min_n) & pair["unit"].ne("points")]
    found = [_difference(row) for row in pair.to_dict("records")]
    table = pd.DataFrame(found, columns=["gap", "gap_least", "gap_most", "p_value"], index=pair.index, dtype=float)
    is_key = pair["metric"].isin(KEY_FIGURES) & pair["statistic"].eq("value") & pair["by"].eq("{}")
    pair = pd.concat([pair, table, is_key.rename("is_key").astype(bool)], axis=1)
    return pair[pair["p_value"].notna()].reset_index(drop=True)


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Movements with what may be named: more than noise would move, all comparisons taken together.

    A reader sees the whole pack, so one report is judged as part of one: there is never less than the key figures and
    `OTHERS` others to be compared. The key figures have four fifths of the weight; among hundreds of groups a change of
    the win rate would be lost. A figure that stands in several reports counts once and is named in all or in none.

    Parameters
    ----------
    table
        Of `movements`; of several reports, concatenated.

    Returns
    -------
    DataFrame
        The table with ``is_named``, ``n_compared`` and ``is_told``: named, and no part of a whole that is named and
        moved the same way. The surest first.

    References
    ----------
    Genovese, Roeder & Wasserman (2006), Biometrika 93:509-524; `salesops.stats.multiplicity.named_together`.
    """
    table = _judged(table)
    wholes = table[table["is_named"] & table["by"].eq("{}")]
    ways = set(zip(wholes["report"], wholes["metric"], wholes["statistic"], np.sign(wholes["gap"]), strict=True))
    own = zip(table["report"], table["metric"], table["statistic"], np.sign(table["gap"]), strict=True)
    is_part = pd.Series([each in ways for each in own], index=table.index, dtype=bool) & table["by"].ne("{}")
    table = table.assign(is_told=table["is_named"] & ~is_part)
    return table.sort_values("p_value", kind="stable", ignore_index=True)


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Each figure once, by its weight in a pack; the verdict goes to wherever it stands."""
    by = table["by"].map(
        lambda text: figures_files.groups({k: v for k, v in json.loads(text).items() if v is not None})
    )
    thing = pd.Series(table.assign(by=by).groupby(["by", *_FIGURE], dropna=False).ngroup(), index=table.index)
    once = pd.DataFrame({"p_value": table["p_value"], "is_key": table["is_key"], "thing": thing})
    once = once.sort_values("is_key", ascending=False, kind="stable").drop_duplicates("thing")
    n_key = max(int(once["is_key"].sum()), len(KEY_FIGURES))
    n = n_key + max(int((~once["is_key"]).sum()), OTHERS)
    weight = np.where(once["is_key"], KEY_SHARE * n / n_key, (1 - KEY_SHARE) * n / (n - n_key))
    weighted = once.assign(p_value=(once["p_value"] / weight).clip(upper=1.0))
    unseen = pd.DataFrame({"p_value": np.ones(n - len(once))})
    judged = multiplicity.named_together(weighted, unseen)[0].set_index("thing")["is_named"]
    return table.assign(is_named=thing.map(judged).astype(bool), n_compared=len(once))


def alike(before: Document, after: Document) -> bool:
    """Whether two reports are of different periods that are equally long and equally far on.

    Examples
    --------
    >>> second = {"as_of": "2026-06-30", "period": {"label": "2026Q2", "start": "2026-04-01", "end": "2026-06-30"}}
    >>> third = {"as_of": "2026-09-30", "period": {"label": "2026Q3", "start": "2026-07-01", "end": "2026-09-30"}}
    >>> alike(second, third), alike(third, third), alike(second, third | {"as_of": "2026-07-31"})
    (True, False, False)
    """
    first, second = _span(before), _span(after)
    if first is None or second is None or first[0] >= second[0]:
        return False
    lengths = [(end - start).days for start, end, _ in (first, second)]
    is_whole = all(end <= day for _, end, day in (first, second))
    passed = [(min(end, day) - start).days for start, end, day in (first, second)]
    return abs(lengths[0] - lengths[1]) <= _DAYS_APART and (is_whole or passed[0] == passed[1])


def trend(documents: Sequence[Document], *, metric: str, statistic: str = "value", by: str = "{}") -> pd.DataFrame:
    """A figure of each report's own period as it was published, with the breaks between the reports.

    Parameters
    ----------
    documents
        Figures files of one report, oldest first; of two on one period the later counts.
    metric, statistic, by
        Which figure; ``by`` as `figures_files.groups` writes it.

    Returns
    -------
    DataFrame
        One row per period: ``as_of_date``, ``period``, ``value``, ``low``, ``high``, ``n``, ``unit``, ``is_break``
        (before this row: it is not compared with the one above), ``run`` (0, 1 …: rows of one run may be compared) and
        ``change`` from the row above, missing across a break.

    Examples
    --------
    >>> trend([], metric="win_rate").empty
    True
    """
    latest = {_period(document)["start"]: document for document in documents if _period(document)["start"]}
    chosen = [latest[start] for start in sorted(latest)]
    rows, breaks, last = [], [], None
    for document in chosen:
        own = _own(document)
        found = own[own["metric"].eq(metric) & own["statistic"].eq(statistic) & own["by"].eq(by)]
        if not found.empty:
            rows.append(found.iloc[0])
            breaks.append(last is not None and _is_break(last, document, metric))
            last = document
    table = pd.DataFrame(rows, columns=[*_TREND]).reset_index(drop=True)
    table = table.assign(is_break=pd.Series(breaks, dtype=bool))
    return table.assign(
        run=table["is_break"].cumsum(),
        change=(table["value"].astype(float) - table["value"].astype(float).shift()).mask(table["is_break"]),
    )


def scored(before: Document, after: Document) -> pd.DataFrame:
    """What the earlier report forecast of quarters that have ended, beside what the later one says they became.

    Parameters
    ----------
    before, after
        Figures files of the forecast report; of another one nothing is scored.

    Returns
    -------
    DataFrame
        One row per quarter: ``period``, ``said_amount`` with ``said_least`` and ``said_most``, ``level``, ``became``,
        ``is_inside`` (missing where no range was said), ``currency``.
    """
    was, now = _stated(before), _stated(after)
    said = was[was["metric"].eq("landing_amount") & was["statistic"].eq("value") & was["value"].notna()]
    came = now[now["metric"].eq("became_amount") & now["statistic"].eq("value") & now["value"].notna()]
    came = came[came["by"].str.contains(str(before["as_of"]), regex=False)]
    said = said[said["by"].str.contains(str(before["as_of"]), regex=False)].drop_duplicates("period")
    pair = said.merge(
        came.drop_duplicates("period")[["period", "currency", "value"]],
        on=["period", "currency"],
        suffixes=("", "_became"),
    )
    is_known = pair["low"].notna() & pair["high"].notna()
    return pd.DataFrame(
        {
            "period": pair["period"], "said_amount": pair["value"], "said_least": pair["low"],
            "said_most": pair["high"], "level": pair["level"], "became": pair["value_became"],
            "is_inside": pair["value_became"].between(pair["low"], pair["high"]).astype("boolean").where(is_known),
            "currency": pair["currency"],
        }
    )  # fmt: skip


def _stated(document: Document) -> pd.DataFrame:
    """The figures of one file, without its comparisons."""
    found = figures_files.figures([document])
    return found[found["compared_with"].isna()]


def _own(document: Document) -> pd.DataFrame:
    """Those of its own period."""
    found, period = _stated(document), _period(document)
    is_own = found["period_start"].eq(pd.Timestamp(period["start"])) & found["period_end"].eq(
        pd.Timestamp(period["end"])
    )
    return found[is_own]


def _pair(old: pd.DataFrame, new: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    """The later figures beside the earlier ones, whose columns get ``was_``."""
    earlier = old.rename(columns={name: f"was_{name}" for name in ("period", *_NUMBERS)})
    kept = [*on, *(f"was_{name}" for name in ("period", *_NUMBERS) if name not in on)]
    return new.merge(earlier[kept].drop_duplicates(on), on=on, how="inner")


def _of_then(before: Document, after: Document) -> pd.DataFrame:
    """What the later file says of the earlier one's own period: in its tables, or in a tile beside its own value."""
    found, period = _stated(after), _period(before)
    is_then = found["period_start"].eq(pd.Timestamp(period["start"])) & found["period_end"].eq(
        pd.Timestamp(period["end"])
    )
    return pd.concat([found[is_then], _beside(before, after)], ignore_index=True).drop_duplicates(_SAME)


def _beside(before: Document, after: Document) -> pd.DataFrame:
    """The earlier values that the tiles of the later file compare with, where they are of the earlier period."""
    own, first, second = _own(after), _span(before), _span(after)
    follows = first and second and first[1] + timedelta(days=1) == second[0] and second[1] <= second[2]
    if not follows:
        return own.iloc[:0]
    key = [name for name in _SAME if name != "unit"]
    found = figures_files.figures([after])
    found = found[found["compared_with"].eq("prior_period") & found["denominator"].notna()]
    both = own.merge(found[[*key, "denominator"]].drop_duplicates(key), on=key, suffixes=("", "_then"))
    then = {"value": both["denominator_then"], "period": before["period"]["label"], "low": math.nan, "high": math.nan}
    days = {"period_start": pd.Timestamp(first[0]), "period_end": pd.Timestamp(first[1])}
    return both.assign(**then, **days)[own.columns]


def _as_known_now(pair: pd.DataFrame, before: Document, after: Document) -> pd.DataFrame:
    """The earlier value of what is settled as the later file gives it: what an edit moved has not moved itself.

    Its limits move with it where the later file gives none.
    """
    now = _of_then(before, after)
    now = now[now["clock"].isin(SETTLED) & now["value"].notna()][[*_SAME, "value", "low", "high"]]
    both = pair.merge(now, on=_SAME, how="left", suffixes=("", "_now"))
    shift = (both["value_now"] - both["was_value"]).fillna(0.0)
    told = {f"was_{name}": both[f"{name}_now"].fillna(both[f"was_{name}"] + shift) for name in ("value", "low", "high")}
    return both.assign(**told).drop(columns=["value_now", "low_now", "high_now"])


def _difference(row: Mapping[str, Any]) -> tuple[float, float, float, float]:
    now, was = (_side(row, start) for start in ("", "was_"))
    is_count = row["unit"] == "count" and row["clock"] not in _NO_EVENTS
    gap, low, high = changes.difference(now, was, "x", is_count=is_count)
    if gap is None or low is None or not math.isfinite(high - low) or high <= low:
        return (math.nan,) * 4
    half = gap - low if gap > 0 else high - gap  # the side towards no change
    z = abs(gap) / (half / ndtri((1 + _LEVEL) / 2)) if half > 0 else 0.0
    return gap, low, high, float(2 * ndtr(-z))


def _side(row: Mapping[str, Any], start: str) -> dict[str, float]:
    """A value and its limits at 95 %, whatever level they were told at."""
    value, low, high, level = (row[f"{start}{name}"] for name in ("value", "low", "high", "level"))
    if math.isnan(low) and math.isnan(high):
        return {"x": value}
    scale = 1.0 if math.isnan(level) else ndtri((1 + _LEVEL) / 2) / ndtri((1 + level) / 2)
    return {"x": value, "x_low": value - scale * (value - low), "x_high": value + scale * (high - value)}


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [(name, _told(old.get(name)), _told(new.get(name))) for name in names]


def _redefined(before: Document, after: Document) -> list[tuple[str, str, str]]:
    old, new = before.get("definitions") or {}, after.get("definitions") or {}
    return [(name, "", "") for name in old if name in new and old[name] != new[name]]


def _is_break(before: Document, after: Document, metric: str) -> bool:
    made = changed(before, after)
    return bool((made["is_break"] & (made["what"].ne(DEFINITION) | made["name"].eq(metric))).any())


def _equal(one: pd.Series, other: pd.Series) -> pd.Series:
    is_close = np.isclose(one.astype(float), other.astype(float), rtol=1e-9, atol=0, equal_nan=True)
    return pd.Series(is_close, index=one.index, dtype=bool)


def _period(document: Document) -> Mapping[str, Any]:
    return document.get("period") or {"label": None, "start": None, "end": None}


def _span(document: Document) -> tuple[date, date, date] | None:
    period = _period(document)
    if not period["start"] or not period["end"]:
        return None
    return tuple(date.fromisoformat(day) for day in (period["start"], period["end"], document["as_of"]))


def _told(value: Any) -> str:
    return "" if value is None else words.group(value) if isinstance(value, str | int | float) else str(value)
