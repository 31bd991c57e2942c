"""The scorecard: which key figures moved beyond what they usually do from quarter to quarter."""

from collections.abc import Mapping

import pandas as pd

from salesops import words
from salesops.stats import control

ABOVE, BELOW, USUAL, UNKNOWN = "above its usual range", "below its usual range", "as usual", "too few quarters"
LONG_ABOVE, LONG_BELOW = "eight quarters above its usual", "eight quarters below its usual"
SIGNALS = (BELOW, ABOVE, LONG_BELOW, LONG_ABOVE)

_PERIOD = ["period", "period_start", "period_end"]
_TITLES = {
    "bookings_amount": "Bookings",
    "won_count": "Deals won",
    "value_win_rate": "Win rate by money",
    "won_size_amount": "Mean won deal",
    "won_exit_days": "Days to win",
    "sales_velocity_amount": "Won a day at this pace",
    "slippage_rate": "Share of deals that slipped",
    "quota_attainment_rate": "Attainment",
    "lead_sla_rate": "Share of leads answered in time",
    "pipeline_coverage_ratio": "Coverage of the target",
}
_PLURAL = ("Bookings", "Deals won", "Days to win")
_UNITS = {"sales_velocity_amount": "amount_per_day"}
_COLUMN = {"amount_per_day": "usual_daily_amount"}  # of a unit that is not its own name


def scorecard(series: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The latest quarter of each key figure beside its usual range.

    The usual range is that of an individuals chart over the quarters before: their mean, and
    three times their mean move from quarter to quarter over 1.128 to each side, never below nothing.
    A latest quarter outside it, or the eighth in a row on one side of the mean, is a signal;
    anything else is noise. With fewer than eight earlier quarters nothing is said.

    Known bias: a strong season widens the range; of a dozen figures that only vary by chance,
    about one in ten to twenty quarters shows one signal.

    Parameters
    ----------
    series
        By column of the figure: rows of quarters, oldest first, as of `key_figures.kpis`.

    Returns
    -------
    DataFrame
        One row per figure: ``kpi``, ``unit``, ``period``, ``period_start``, ``period_end``, ``n``, ``latest``,
        ``quarter_before``, ``year_before``, ``n_quarters`` (earlier ones), ``centre``, ``limit_low``, ``limit_high``,
        ``state`` and ``is_signal``.

    Metrics
    -------
    usual_rate : rate, quarter, none, -, -
        Mean of a rate over the quarters before the latest, with the range within which a quarter lies by chance.
    usual_amount : amount, quarter, none, -, -
        The same of an amount of money.
    usual_daily_amount : amount_per_day, quarter, none, -, -
        The same of an amount of money a day.
    usual_days : days, quarter, none, -, -
        The same of a number of days.
    usual_count : count, quarter, none, -, -
        The same of a number of deals.
    usual_ratio : ratio, quarter, none, -, -
        The same of a ratio.

    References
    ----------
    NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2; Wheeler (2000), Understanding Variation.

    Examples
    --------
    >>> quarters = pd.DataFrame({"period": list("abcdefghi"), "period_start": pd.NaT, "period_end": pd.NaT, "n": 9,
    ...                          "bookings_amount": [50.0, 48, 50, 51, 48, 51, 52, 52, 20]})
    >>> scorecard({"bookings_amount": quarters})[["kpi", "latest", "centre", "limit_low", "state"]].round(1)
                   kpi  latest  centre  limit_low                  state
    0  bookings_amount    20.0    50.2       45.7  below its usual range
    """
    rows = [_judged(name, frame) for name, frame in series.items() if len(frame)]
    columns = ["kpi", "unit", *_PERIOD, "n", "latest", "quarter_before", "year_before", "n_quarters", "centre",
               "limit_low", "limit_high", "state", "is_signal"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def usual(card: pd.DataFrame) -> list[pd.DataFrame]:
    """The usual ranges as figures: one frame per unit, its metric named by it.

    Examples
    --------
    >>> card = pd.DataFrame({"kpi": ["win_rate"], "unit": ["rate"], "period": ["2026Q3"], "period_start": [pd.NaT],
    ...     "period_end": [pd.NaT], "n_quarters": [12], "centre": [0.3], "limit_low": [0.2], "limit_high": [0.4]})
    >>> usual(card)[0][["kpi", "n", "usual_rate", "usual_rate_low", "usual_rate_high"]]
            kpi   n  usual_rate  usual_rate_low  usual_rate_high
    0  win_rate  12         0.3             0.2              0.4
    """
    known, found = card[card["centre"].notna()], []
    for unit, rows in known.groupby("unit", sort=False):
        name = _COLUMN.get(unit, f"usual_{unit}")
        limits = {"centre": name, "limit_low": f"{name}_low", "limit_high": f"{name}_high", "n_quarters": "n"}
        kept = rows[["kpi", *_PERIOD, *limits]].rename(columns=limits)
        found.append(kept.assign(level=0.997).reset_index(drop=True))
    return found


def title(kpi: str) -> str:
    """What a key figure is called on the cover.

    Examples
    --------
    >>> title("bookings_amount"), title("win_rate")
    ('Bookings', 'Win rate')
    """
    return _TITLES.get(kpi) or words.label(kpi)


def titles(card: pd.DataFrame) -> dict[str, str]:
    """What each key figure of a card is called.

    Examples
    --------
    >>> titles(pd.DataFrame({"kpi": ["win_rate"]}))
    {'win_rate': 'Win rate'}
    """
    return {name: title(name) for name in card["kpi"]}


def charted(series: Mapping[str, pd.DataFrame], card: pd.DataFrame, name: str = "bookings_amount") -> pd.DataFrame:
    """The quarters of a key figure with its usual range beside each, and which of them is a signal.

    Examples
    --------
    >>> quarters = pd.DataFrame({"period": ["a", "b"], "n": 4, "bookings_amount": [2.0, 3.0]})
    >>> card = pd.DataFrame({"kpi": ["bookings_amount"], "centre": [2.5], "limit_low": [1.0], "limit_high": [4.0],
    ...     "is_signal": [False]})
    >>> charted({"bookings_amount": quarters}, card)[["period", "centre", "is_signal"]].to_numpy().tolist()
    [['a', 2.5, False], ['b', 2.5, False]]
    """
    row = card[card["kpi"].eq(name)]
    frame = series.get(name, pd.DataFrame(columns=[*_PERIOD, "n", name]))
    if row.empty or frame.empty:
        return frame.head(0).assign(centre=[], limit_low=[], limit_high=[], is_signal=[])
    limits = {end: float(row[end].iloc[0]) for end in ("centre", "limit_low", "limit_high")}
    is_signal = [*[False] * (len(frame) - 1), bool(row["is_signal"].iloc[0])]
    return frame.assign(**limits, is_signal=is_signal)


def signal_sentences(card: pd.DataFrame, *, currency: str = "", most: int = 2) -> list[str]:
    """The key figures that moved beyond noise, a sentence each; nothing where none did.

    Examples
    --------
    >>> card = pd.DataFrame({"kpi": ["win_rate", "won_count"], "unit": ["rate", "count"], "period": "2026Q3",
    ...     "latest": [0.1, 40], "limit_low": [0.2, 30], "limit_high": [0.4, 50], "n_quarters": 12, "centre": [0.3, 40],
    ...     "state": [BELOW, USUAL], "is_signal": [True, False]})
    >>> signal_sentences(card)
    ['Win rate was below its usual range in 2026Q3: 10 %, where the 12 quarters before suggest 20 % to 40 %.']
    >>> signal_sentences(card[1:])
    []
    """
    return [_signal(row, currency) for row in card[card["is_signal"]].head(most).to_dict("records")]


def card_sentence(card: pd.DataFrame) -> str:
    """How many key figures moved beyond noise, as a title.

    Examples
    --------
    >>> card = pd.DataFrame({"kpi": ["win_rate", "won_count"], "state": [BELOW, USUAL], "is_signal": [True, False]})
    >>> card_sentence(card), card_sentence(card[1:])
    ('Win rate moved beyond its usual range; the others are noise', 'The key figure is within its usual range')
    >>> card_sentence(card.assign(state=UNKNOWN, is_signal=False))
    'There are too few quarters to tell what is usual'
    """
    judged = card[card["state"] != UNKNOWN]
    names = [title(name) for name in judged.loc[judged["is_signal"], "kpi"]]
    if judged.empty:
        return "There are too few quarters to tell what is usual"
    if not names:
        one = len(judged) == 1
        return f"{'The key figure is' if one else 'All key figures are'} within {'its' if one else 'their'} usual range"
    rest = "; the others are noise" if len(names) < len(judged) else ""
    listed = (
        names[0] if len(names) == 1 else f"{', '.join([names[0], *map(_lower, names[1:-1])])} and {_lower(names[-1])}"
    )
    return (
        f"{listed} moved beyond {'its' if names[0] not in _PLURAL and len(names) == 1 else 'their'} usual range{rest}"
    )


def chart_sentence(card: pd.DataFrame, name: str = "bookings_amount") -> str:
    """What the chart of a key figure shows, as its title.

    Examples
    --------
    >>> card = pd.DataFrame({"kpi": ["bookings_amount"], "period": ["2026Q3"], "state": [BELOW]})
    >>> chart_sentence(card), chart_sentence(card.assign(state=USUAL))
    ('Bookings were below their usual range in 2026Q3', 'Bookings were as usual in 2026Q3')
    """
    row = card[card["kpi"].eq(name)]
    if row.empty or row["state"].iloc[0] == UNKNOWN:
        return f"{title(name)}: too few quarters to tell what is usual"
    return _were(row.iloc[0])


def _lower(name: str) -> str:
    return name if name[:2].isupper() else name[0].lower() + name[1:]


def _signal(row: dict, currency: str) -> str:
    said, low, high, centre = (
        words.value(row[name], row["unit"], currency=currency, compact=True)
        for name in ("latest", "limit_low", "limit_high", "centre")
    )
    name, before = title(row["kpi"]), f"the {row['n_quarters']} quarters before"
    if row["state"] in (LONG_ABOVE, LONG_BELOW):
        side = "above" if row["state"] == LONG_ABOVE else "below"
        has = "have" if name in _PLURAL else "has"
        their = "their" if name in _PLURAL else "its"
        return (
            f"{name} {has} now been {side} {their} usual {centre} for eight quarters or more: "
            f"{said} in {row['period']}."
        )
    return f"{_were(row)}: {said}, where {before} suggest {low} to {high}."


def _were(row: Mapping[str, object]) -> str:
    """What a key figure was in its latest quarter."""
    name = title(row["kpi"])
    said = f"{name} {'were' if name in _PLURAL else 'was'} {row['state']} in {row['period']}"
    return said.replace("its usual", "their usual") if name in _PLURAL else said


def _judged(name: str, frame: pd.DataFrame) -> dict[str, object]:
    values = frame[name].astype(float)
    latest, earlier = values.iloc[-1], values.iloc[:-1]
    known = int(earlier.notna().sum())
    chart = control.xmr_chart(values, n_before=len(values) - 1).iloc[-1]
    is_judged = known >= control.MIN_POINTS and pd.notna(latest)
    limits = {end: chart[end] if is_judged else float("nan") for end in ("centre", "limit_low", "limit_high")}
    state = _state(latest, chart) if is_judged else UNKNOWN
    return {
        "kpi": name, "unit": _UNITS.get(name) or words.unit_of(name) or "ratio",
        **{column: frame[column].iloc[-1] for column in [*_PERIOD, "n"]},
        "latest": latest, "quarter_before": earlier.iloc[-1] if len(earlier) else float("nan"),
        "year_before": earlier.iloc[-4] if len(earlier) > 3 else float("nan"), "n_quarters": known,
        **limits, "limit_low": max(limits["limit_low"], 0.0) if is_judged else float("nan"),
        "state": state, "is_signal": state in SIGNALS,
    }  # fmt: skip


def _state(latest: float, chart: pd.Series) -> str:
    is_high = latest > chart["centre"]
    if latest < chart["limit_low"] or latest > chart["limit_high"]:
        return ABOVE if is_high else BELOW
    if chart["rule"] == "run":
        return LONG_ABOVE if is_high else LONG_BELOW
    return USUAL
