"""How a number reads: the one formatter of tiles, tables, charts and sentences.

Text is plain: an ordinary space before ``%`` and a true minus sign. Nothing here
decides whether a change is real; it is told by the interval of the difference.

Sentences are English; numbers follow the locale of the source, which `crm.load` sets: en $1,234.5, de 1.234,5 $.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date

import pandas as pd

MISSING = "—"
NO_GROUP = "(none)"

LOCALES = {"en": (".", ","), "de": (",", ".")}  # mark of decimals, mark of thousands
_LOCALE: ContextVar[str] = ContextVar("locale", default="en")
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_UNIT_OF_SUFFIX = {
    "_per_day": "amount_per_day", "_rate": "rate", "_share": "rate", "_probability": "rate", "_coverage": "rate",
    "_points": "points", "_amount": "amount", "_days": "days", "_hours": "hours", "_ratio": "ratio",
    "_count": "count", "_date": "date",
}  # fmt: skip
_ACRONYMS = {name.lower(): name for name in ("AUC", "CRM", "ARR", "ACV", "ETS", "SLA", "MASE", "WAPE")}
_NAMED = {
    "n": "n", "won_count": "Won", "lost_count": "Lost", "open_count": "Open",
    "own_past_wape": "Miss without the factor", "factor_wape": "Miss with the factor", "landing_amount": "Lands at",
    "bookings_target_amount": "Target", "target_probability": "Chance of the target", "goal_probability": "Chance",
    "quarter_win_probability": "Chance in the quarter", "deal_contribution_amount": "Adds on average",
    "deal_swing_amount": "Swing if won", "is_must_win": "Must win", "series_forecast_amount": "Expected bookings",
    "group_forecast_amount": "Expected bookings", "forecast_wape": "Typical miss",
    "interval_coverage_rate_80": "Within the 80 % range",
}  # fmt: skip
_METHODS = {
    "pipeline": "the deal-by-deal forecast", "stage_table": "the stage-by-stage forecast",
    "category_history": "forecast categories", "length_of_sales_cycle": "length of the sales cycle",
    "run_rate": "run rate", "seasonal_naive": "same quarter last year",
    "crm_probability": "the CRM's probabilities", "stage_history": "past deals in the stage",
    "win_model": "the win model", "base_rate": "the same chance for every deal",
}  # fmt: skip
_OF_COLUMNS = ("factor", "other_factor", "dimension", "behaviour")  # what stands in them is the name of a column
_STATISTICS = {"mean": "mean", "median": "median"} | {f"p{n}": f"{n}th percentile" for n in (10, 25, 50, 75, 90)}


def value(number: object, unit: str | None, *, currency: str = "", compact: bool = False, bare: bool = False) -> str:
    """A value as its unit is written.

    Units are rate, points, amount, days, hours, count, ratio, amount_per_day, date or None (text as it is);
    ``compact`` shortens amounts, as in tiles; ``bare`` leaves out the word of days, hours and points.

    Examples
    --------
    >>> value(0.241, "rate"), value(1234567.0, "amount", currency="USD", compact=True), value(None, "days")
    ('24 %', '$1.2M', '—')
    >>> value(45.2, "days"), value(45.2, "days", bare=True)
    ('45 days', '45')
    """
    if is_missing(number):
        return MISSING
    if unit == "amount":
        return amount(number, currency, compact=compact)
    if unit == "amount_per_day":
        return f"{amount(number, currency, compact=compact)} a day"
    if unit in ("days", "hours"):
        return _plain(number) if bare else duration(number, unit)
    if unit == "points":
        return points(number, signed=True).partition(" ")[0] if bare else points(number, signed=True)
    return _FORMS.get(unit, str)(number)


@contextmanager
def written_in(locale: str) -> Iterator[None]:
    """Numbers as a locale writes them, as long as the block lasts.

    Examples
    --------
    >>> with written_in("de"):
    ...     amount(1234567, "EUR"), amount(-1234567, "USD", compact=True), ratio(2.414), rate(0.004), count(1234)
    ('1.234.567 €', '−1,2M $', '2,41', '0,4 %', '1.234')
    """
    before = _LOCALE.set(locale)
    try:
        yield
    finally:
        _LOCALE.reset(before)


def set_locale(locale: str) -> None:
    """Numbers as a locale writes them from now on."""
    _LOCALE.set(locale)


def decimal_marks() -> tuple[str, str]:
    """Marks of decimals and of thousands.

    Examples
    --------
    >>> decimal_marks()
    ('.', ',')
    """
    return LOCALES[_LOCALE.get()]


def number(size: float, decimals: int = 0) -> str:
    """A plain number with so many decimals.

    Examples
    --------
    >>> number(1234.5, 1), number(12.0), number(-3)
    ('1,234.5', '12', '−3')
    """
    if is_missing(size):
        return MISSING
    return _signed(size, abs(float(size)), decimals)


def rate(number: float) -> str:
    """A share as a percentage; never 0 or 100 % unless it is exactly that.

    Examples
    --------
    >>> [rate(share) for share in (0.241, 0.004, 0.0001, 0.996, 1.0, 0.0, -0.12)]
    ['24 %', '0.4 %', '<0.1 %', '99.6 %', '100 %', '0 %', '−12 %']
    """
    if is_missing(number):
        return MISSING
    size = abs(float(number)) * 100
    if 0 < size < 0.05:
        return f"{_sign(number, size)}<{_text(0.1, 1)} %"
    if 99.95 <= size < 100:
        return f"{_sign(number, size)}>{_text(99.9, 1)} %"
    return f"{_signed(number, size, 1 if (0 < size < 0.95 or 99.5 <= size < 100) else 0)} %"


def chance(number: float) -> str:
    """A forecast chance: at its ends in words, for no forecast is that sure of itself.

    Examples
    --------
    >>> chance(0.241), chance(0.0), chance(0.997)
    ('24 %', 'under one in a hundred', 'over ninety-nine in a hundred')
    """
    if not is_missing(number) and (number < 0.01 or number > 0.99):
        return "under one in a hundred" if number < 0.01 else "over ninety-nine in a hundred"
    return rate(number)


def points(number: float, signed: bool = False) -> str:
    """A difference of two rates in percentage points.

    Examples
    --------
    >>> points(0.031), points(0.004), points(0.01), points(-0.08, signed=True)
    ('3 points', '0.4 points', '1 point', '−8 points')
    """
    if is_missing(number):
        return MISSING
    size = abs(float(number)) * 100
    decimals = 1 if size < 0.95 else 0
    text = _text(size, decimals)
    if round(size, decimals) == 0:
        return "0 points"
    mark = ("−" if number < 0 else "+") if signed else ""
    return f"{mark}{text} {'point' if text == '1' else 'points'}"


def ends(before: float, now: float) -> tuple[str, str, str]:
    """Two rates and the points between them, all three with a decimal where whole numbers would not agree.

    Examples
    --------
    >>> ends(0.325, 0.221), ends(0.3265, 0.2428)
    (('32 %', '22 %', '10 points'), ('32.6 %', '24.3 %', '8.3 points'))
    """
    texts = rate(before), rate(now), points(0 if is_missing(now) or is_missing(before) else abs(now - before))
    if MISSING in texts[:2] or any(mark in "".join(texts) for mark in "<>"):
        return texts
    sizes = [float(each) * 100 for each in (before, now, abs(now - before))]
    first, last, gap = (round(size, "." in text or "," in text) for size, text in zip(sizes, texts, strict=True))
    if abs(abs(last - first) - gap) < 0.05:
        return texts
    first, last = (round(size, 1) for size in sizes[:2])
    shown = (f"{_signed(size, abs(size), 1)} %" for size in (first, last))
    return *shown, f"{_text(abs(last - first), 1)} points"


def amount(number: float, currency: str = "", *, compact: bool = False) -> str:
    """Money, in full or shortened to three figures at most.

    Examples
    --------
    >>> amount(1234567, "USD"), amount(1234567, "USD", compact=True), amount(-950, "CHF")
    ('$1,234,567', '$1.2M', '−CHF 950')
    >>> [amount(size, "EUR", compact=True) for size in (999, 1000, 45600, 999_960, 2.5e9)]
    ['€999', '€1.0K', '€46K', '€1.0M', '€2.5B']
    """
    if is_missing(number):
        return MISSING
    size = abs(float(number))
    text = _short(size) if compact else _text(size)
    sign = "−" if number < 0 and text != "0" else ""
    if _LOCALE.get() != "en":  # elsewhere the currency stands behind
        return f"{sign}{text} {_SYMBOLS.get(currency, currency)}".rstrip()
    return f"{sign}{_SYMBOLS.get(currency, f'{currency} ' if currency else '')}{text}"


def duration(number: float, unit: str = "days") -> str:
    """A time in days or hours.

    Examples
    --------
    >>> duration(45.4), duration(1), duration(2.55, "hours")
    ('45 days', '1 day', '2.5 hours')
    """
    if is_missing(number):
        return MISSING
    text = _plain(number)
    return f"{text} {unit[:-1] if text == '1' else unit}"


def count(number: float) -> str:
    """A count; a fractional one, such as an expected count, keeps one decimal.

    Examples
    --------
    >>> count(1234), count(2.5), count(float("nan"))
    ('1,234', '2.5', '—')
    """
    if is_missing(number):
        return MISSING
    size = abs(float(number))
    return _signed(number, size, 0 if size == round(size) or size >= 100 else 1)


def ratio(number: float) -> str:
    """A ratio, two decimals below ten.

    Examples
    --------
    >>> ratio(2.414), ratio(31.25)
    ('2.41', '31.2')
    """
    if is_missing(number):
        return MISSING
    size = abs(float(number))
    return _signed(number, size, 2 if size < 10 else 1)


def day(moment: object) -> str:
    """A date as people write it.

    Examples
    --------
    >>> day(date(2026, 9, 30)), day("2026-07-01"), day(None)
    ('30 September 2026', '1 July 2026', '—')
    """
    if is_missing(moment):
        return MISSING
    moment = pd.Timestamp(moment)
    return f"{moment.day} {moment:%B %Y}"


def interval(low: float, high: float, unit: str, *, currency: str = "", level: float | None = None) -> str:
    """An interval in plain words, or nothing where it is unknown.

    Examples
    --------
    >>> interval(0.2, 0.29, "rate"), interval(1.1e6, 1.4e6, "amount", currency="USD")
    ('likely between 20 % and 29 %', 'likely between $1.1M and $1.4M')
    >>> interval(310, None, "days"), interval(0.2, 0.3, "rate", level=0.8), interval(None, None, "days")
    ('likely above 310 days', 'in four of five cases between 20 % and 30 %', '')
    """
    low, high = ("" if is_missing(end) else value(end, unit, currency=currency, compact=True) for end in (low, high))
    held = "in four of five cases" if level == 0.8 else "likely"
    if low and high:
        return f"{held} between {low} and {high}"
    return f"{held} above {low}" if low else f"{held} below {high}" if high else ""


def bracket(low: float, high: float, unit: str) -> str:
    """An interval as a table shows it beside its estimate, without the unit.

    Examples
    --------
    >>> bracket(0.2, 0.29, "rate"), bracket(310, None, "days"), bracket(None, None, "rate")
    ('[20–29]', '[310–?]', '')
    >>> bracket(-1e-17, 0.5, "rate"), bracket(0.99, 1 - 1e-16, "rate")  # limits reach what is 0 or 100 % itself
    ('[0–50]', '[99–100]')
    """
    if is_missing(low) and is_missing(high):
        return ""
    if unit == "rate":
        low, high = (end if is_missing(end) or abs(end - round(end)) >= 0.0005 else round(end) for end in (low, high))
    ends = [
        "?" if is_missing(end) else value(end, unit, bare=True).replace(" %", "").removesuffix(" a day")
        for end in (low, high)
    ]
    return "[" + ("–" if "−" not in "".join(ends) and "+" not in "".join(ends) else " to ").join(ends) + "]"


def change(
    now: float,
    before: float,
    unit: str,
    *,
    low: float | None = None,
    high: float | None = None,
    good: str = "none",
) -> str:
    """What happened between two values: up, down, unchanged, or no clear change.

    A rate moves in points, everything else in percent of what it was. A difference
    whose interval covers zero gets no direction. Where less is better the words say
    which way is good.

    ``low`` and ``high`` are the interval of ``now - before``, left out where both are exact records; ``good`` is
    higher, lower or none.

    Examples
    --------
    >>> change(0.27, 0.24, "rate", low=0.01, high=0.05)
    'up 3 points'
    >>> change(0.27, 0.24, "rate", low=-0.01, high=0.07)
    'no clear change'
    >>> change(40, 50, "days", good="lower"), change(5, 0, "count"), change(None, 1.0, "amount")
    ('down 20 % (better)', 'up from zero', 'not comparable')
    """
    if is_missing(now) or is_missing(before):
        return "not comparable"
    if covers_zero(low, high):
        return "no clear change"
    if now == before:
        return "unchanged"
    word = "up" if now > before else "down"
    if unit in ("rate", "points"):
        moved = ends(before, now)[2] if unit == "rate" else points(abs(now - before))
        if moved == points(0):
            return "unchanged"  # "up 0 points" would say two things
    elif before <= 0:
        return f"{word} from {'zero' if before == 0 else value(before, unit, compact=True)}{_judged(word, good)}"
    else:
        moved = rate(abs(now / before - 1))
    return f"{word} {moved}{_judged(word, good)}"


def against(now: float, target: float, unit: str, *, low: float | None = None, high: float | None = None) -> str:
    """Where a value stands against its target; inside the noise it has no side.

    Examples
    --------
    >>> against(0.26, 0.3, "rate"), against(0.26, 0.3, "rate", low=-0.1, high=0.02)
    ('4 points below target', 'no clear gap to target')
    >>> against(1.2e6, 1.0e6, "amount"), against(5.0, 5.0, "count"), against(5.0, 0.0, "amount")
    ('20 % above target', 'on target', 'above target')
    """
    said = change(now, target, unit, low=low, high=high)
    if said == "no clear change":
        return "no clear gap to target"
    if said == "unchanged":
        return "on target"
    side, _, moved = said.partition(" ")
    if side not in ("up", "down"):
        return f"{said} with target"
    beyond = "above target" if side == "up" else "below target"
    return beyond if moved.startswith("from ") else f"{moved} {beyond}"  # of a target of zero there is no percentage


def covers_zero(low: float | None, high: float | None) -> bool:
    """Whether an interval of a difference holds zero; an unknown end covers.

    Examples
    --------
    >>> covers_zero(-0.01, 0.07), covers_zero(0.01, None), covers_zero(None, None), covers_zero(-math.inf, math.inf)
    (True, False, False, True)
    """
    unknown_low, unknown_high = pd.isna(low), pd.isna(high)
    if unknown_low and unknown_high:
        return False
    return bool((unknown_low or low <= 0) and (unknown_high or high >= 0))


def unit_of(column: str) -> str | None:
    """Unit that a column's name says it has.

    Examples
    --------
    >>> unit_of("won_amount"), unit_of("n_won"), unit_of("cycle_days_low"), unit_of("segment")
    ('amount', 'count', 'days', None)
    """
    stem = column
    for tail in ("_low", "_high", "_low_80", "_high_80", *(f"_{name}" for name in _STATISTICS)):
        stem = stem.removesuffix(tail)
    if stem == "n" or stem.startswith("n_"):
        return "count"
    return next((unit for suffix, unit in _UNIT_OF_SUFFIX.items() if f"_{stem}".endswith(suffix)), None)


def label(column: str) -> str:
    """A column's name as a heading.

    Examples
    --------
    >>> label("win_rate"), label("sales_cycle_days_median"), label("n"), label("n_won"), label("x_tier")
    ('Win rate', 'Sales cycle, median (days)', 'n', 'Won', 'Tier')
    >>> label("won_count"), label("owner_id")
    ('Won', 'Owner')
    """
    if column in _NAMED:
        return _NAMED[column]
    stem = column.removeprefix("n_").removeprefix("x_").removesuffix("_id").removesuffix("_date")
    statistic = next((name for name in _STATISTICS if stem.endswith(f"_{name}")), "")
    stem = stem.removesuffix(f"_{statistic}") if statistic else stem
    unit = next((unit for unit in ("days", "hours", "points") if stem.endswith(f"_{unit}")), "")
    words = stem.removesuffix(f"_{unit}").split("_")
    text = " ".join(_ACRONYMS.get(word, word) for word in words)
    tail = (f", {_STATISTICS[statistic]}" if statistic else "") + (f" ({unit})" if unit else "")
    return text[:1].upper() + text[1:] + tail


def group(name: object, column: str = "") -> str:
    """A group's name; a missing one is "(none)", and a method of forecasting goes by what it does.

    Examples
    --------
    >>> group("SMB"), group(float("nan")), group(True), group(pd.Timestamp("2026-07-01"))
    ('SMB', '(none)', 'yes', '2026-07-01')
    >>> group("seasonal_naive", "model"), group("seasonal_naive"), group("x_trial", "factor")
    ('same quarter last year', 'seasonal_naive', 'Trial')
    """
    if is_missing(name):
        return NO_GROUP
    if column in ("model", "other"):
        return _METHODS.get(str(name), str(name))
    if column in _OF_COLUMNS:
        return label(str(name))
    if isinstance(name, bool) or type(name).__name__ == "bool_":
        return "yes" if name else "no"
    return f"{name:%Y-%m-%d}" if isinstance(name, date) else str(name)


def deal(key: object, names: pd.Series | None = None) -> str:
    """A deal by its name, where one is known, and its id.

    Examples
    --------
    >>> deal("D-17", pd.Series({"D-17": "Oak Foods renewal"})), deal("D-17")
    ('Oak Foods renewal (D-17)', 'D-17')
    """
    name = None if names is None else names.get(key)
    return group(key) if is_missing(name) else f"{name} ({key})"


def is_missing(item: object) -> bool:
    """Whether a single item is missing (None, NaN, NaT, infinite).

    Examples
    --------
    >>> is_missing(None), is_missing(float("inf")), is_missing(0), is_missing("")
    (True, True, False, False)
    """
    return bool(pd.isna(item)) or (isinstance(item, float) and math.isinf(item))


_FORMS = {"rate": rate, "points": points, "count": count, "ratio": ratio, "date": day}


def _plain(number: float) -> str:
    size = abs(float(number))
    return _signed(number, size, 1 if size < 9.95 and round(size, 1) != round(size) else 0)


def _short(size: float) -> str:
    for scale, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if size >= 0.9995 * scale:
            scaled = size / scale
            return f"{_text(scaled, 1 if scaled < 9.95 else 0)}{letter}"
    return _text(size)


def _signed(number: float, size: float, decimals: int) -> str:
    return _sign(number, round(size, decimals)) + _text(size, decimals)


def _text(size: float, decimals: int = 0) -> str:
    """The one place where a number becomes text."""
    return f"{size:,.{decimals}f}".translate(str.maketrans(".,", "".join(decimal_marks())))


def _sign(number: float, shown: float) -> str:
    return "−" if number < 0 and shown else ""


def _judged(word: str, good: str) -> str:
    if good != "lower":
        return ""
    return " (better)" if word == "down" else " (worse)"
