"""How numbers read, and how figures are named, over everything that can be asked."""

import json
import math
import re
from datetime import date

import pandas as pd
import pytest
from hypothesis import given as given_any
from hypothesis import settings
from hypothesis import strategies as st

from salesops import words
from salesops.report import figure_key
from salesops.report.figures import plain
from salesops.report.markup import text


def given(*values):
    """Examples without a deadline: a busy machine is no fault of a formatter."""
    return lambda test: settings(deadline=None)(given_any(*values)(test))


NUMBERS = st.floats(-1e12, 1e12, allow_nan=False)
UNITS = st.sampled_from(["rate", "points", "amount", "days", "hours", "count", "ratio", "amount_per_day", "date", None])


@given(st.floats(0, 1))
def test_a_rate_reads_as_its_percentage(share):
    said = words.rate(share)
    number = float(re.fullmatch(r"[<>]?([\d.]+) %", said)[1])
    assert abs(number - share * 100) <= (0.5 if 1 <= number < 99.5 else 0.11)
    assert (said == "0 %") == (share == 0) and (said == "100 %") == (share == 1)


@given(NUMBERS, UNITS.filter(lambda unit: unit != "date"), st.booleans())
def test_every_number_has_words_and_zero_has_no_sign(number, unit, compact):
    said = words.value(number, unit, currency="EUR", compact=compact)
    assert said and "nan" not in said and (unit is None or "-" not in said)
    assert unit is None or not re.fullmatch(r"−\D*0(\.0+)?\D*", said)


@given(UNITS)
def test_missing_is_a_dash_in_every_unit(unit):
    assert {words.value(missing, unit) for missing in (None, math.nan, pd.NaT, pd.NA, math.inf)} == {"—"}


@given(st.floats(1, 1e11))
def test_short_amounts_keep_two_figures(size):
    scale = {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}
    number, letter = re.fullmatch(r"\$([\d.,]+)([KMB]?)", words.amount(size, "USD", compact=True)).groups()
    assert abs(float(number.replace(",", "")) * scale[letter] - size) <= max(0.051 * size, 0.5)


RATES = st.floats(0.01, 0.99)


@given(RATES, RATES, st.floats(0, 0.5))
def test_no_direction_inside_the_noise(now, before, half):
    gap = now - before
    said = words.change(now, before, "rate", low=gap - half, high=gap + half)
    if abs(gap) <= half:
        assert said == "no clear change"
    else:
        assert said.startswith("up" if gap > 0 else "down")


@given(st.floats(1, 1e9), st.floats(1, 1e9), st.sampled_from(["higher", "lower", "none"]))
def test_the_direction_of_a_change_is_its_sign(now, before, good):
    said = words.change(now, before, "amount", good=good)
    assert said.split()[0] == ("unchanged" if now == before else "up" if now > before else "down")
    assert ("better" in said) == (good == "lower" and now < before)


GROUPS = st.one_of(st.none(), st.booleans(), st.integers(0, 99), st.text(max_size=50), st.dates().map(plain))
LABELS = ["2026Q3", "2026-07-01/2026-09-30", "2026-07-01-2026-09-30", None]
FIGURES = st.fixed_dictionaries({
    "metric": st.sampled_from(["win_rate", "won_amount"]),
    "statistic": st.sampled_from(["value", "median"]),
    "by": st.dictionaries(st.sampled_from(["segment", "owner_id"]), GROUPS, max_size=2),
    "period": st.sampled_from(LABELS).map(lambda label: {"label": label}),
    "compared_with": st.sampled_from([None, "prior_period"]),
})  # fmt: skip


@given(FIGURES, FIGURES)
def test_two_figures_have_one_key_only_if_they_are_one(first, second):
    keys = figure_key(first), figure_key(second)
    assert all(re.fullmatch(r"[A-Za-z][\w.-]*", key, re.ASCII) for key in keys)
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (keys[0] == keys[1]) == same


@given(st.text())
def test_text_from_data_never_becomes_markup(item):
    shown = text(item)
    assert "<" not in shown and ">" not in shown and '"' not in shown


def test_dates_and_days_read_as_people_write_them():
    assert words.value(date(2026, 9, 3), "date") == "3 September 2026"
    assert [words.duration(days) for days in (0.96, 1, 9.96, 10.4, 1234)] == [
        "1 day",
        "1 day",
        "10 days",
        "10 days",
        "1,234 days",
    ]


@pytest.fixture
def german():
    with words.written_in("de"):
        yield


@pytest.mark.usefixtures("german")
def test_a_locale_changes_marks_and_the_place_of_the_currency():
    assert words.amount(1234567.4, "EUR") == "1.234.567 €" and words.amount(-950, "CHF") == "−950 CHF"
    assert words.amount(1.25e6, "EUR", compact=True) == "1,2M €" and words.amount(3, "") == "3"
    assert [words.rate(share) for share in (0.125, 0.004, 0.0001, 0.9999, 12.34)] == [
        "12 %", "0,4 %", "<0,1 %", ">99,9 %", "1.234 %",
    ]  # fmt: skip
    assert words.points(0.004) == "0,4 points" and words.duration(2.55, "hours") == "2,5 hours"
    assert words.count(1234) == "1.234" and words.count(2.5) == "2,5" and words.ratio(2.414) == "2,41"
    assert words.interval(1.1e6, 2e6, "amount", currency="EUR") == "likely between 1,1M € and 2,0M €"
    assert words.bracket(0.002, 0.2, "rate") == "[0,2–20]" and words.day("2026-07-01") == "1 July 2026"
    assert words.value(1200.5, "amount_per_day", currency="EUR") == "1.200 € a day"


@given(st.sampled_from(["rate", "points", "amount", "days", "count", "ratio"]), st.floats(-1e7, 1e7), st.booleans())
def test_a_locale_only_swaps_marks(unit, number, compact):
    english = words.value(number, unit, compact=compact)
    with words.written_in("de"):
        german = words.value(number, unit, compact=compact)
    assert german == english.translate(str.maketrans(".,", ",."))


def test_a_locale_ends_with_its_block_even_where_it_fails():
    with pytest.raises(ZeroDivisionError), words.written_in("de"):
        assert words.count(1234) == "1.234"
        raise ZeroDivisionError
    assert words.count(1234) == "1,234"


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        (0.3271, 0.2434, ("32.7 %", "24.3 %", "8.4 points")),  # 33, 24 and 8 would not agree
        (0.33, 0.24, ("33 %", "24 %", "9 points")),
        (0.0, 0.004, ("0 %", "0.4 %", "0.4 points")),
        (0.004, 0.024, ("0.4 %", "2.4 %", "2.0 points")),
        (0.354, 0.486, ("35.4 %", "48.6 %", "13.2 points")),
        (0.5, 0.5, ("50 %", "50 %", "0 points")),
        (None, 0.5, ("—", "50 %", "0 points")),
    ],
)
def test_two_rates_and_the_points_between_them_agree(before, now, shown):
    assert words.ends(before, now) == shown


@given_any(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_the_points_are_those_between_the_printed_rates(before, now):
    first, last, gap = (float(text.split()[0]) for text in words.ends(before, now))
    assert abs(abs(last - first) - gap) < 0.051
    assert abs(last - 100 * now) <= 0.51 and abs(gap - 100 * abs(now - before)) < 0.6


def test_limits_of_a_share_reach_what_is_none_or_all():
    assert words.bracket(-1e-17, 0.5, "rate") == "[0–50]" and words.bracket(0.99, 0.99999, "rate") == "[99–100]"
    assert words.bracket(-0.12, 0.05, "rate") == "[−12 to 5]"
