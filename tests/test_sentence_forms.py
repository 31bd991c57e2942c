"""Sentences that compare: each form they can take, and that they say what their figures say.

Forms: up, down, flat (inside the noise), missing, zero (nothing to compare with), few, and the same move where less
is better. A form is known by its words, not by its whole wording, so that a sentence may be mended.
"""

import re
from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from salesops import (
    accountability,
    acquisition,
    activity,
    activity_effect,
    activity_logging,
    attainment_findings,
    before_after,
    bookings_ahead,
    bottlenecks,
    changes_told,
    competition,
    conversion_trend,
    data_quality,
    deal_rules,
    deals_to_come,
    deciding_deals,
    driver_findings,
    executive_summary,
    flow,
    forecast,
    forecast_choice,
    funnel,
    hygiene,
    lead_funnel,
    lead_routing,
    lead_speed,
    leads,
    mix,
    outside_factors,
    pipeline_forecast,
    rep_performance,
    rushed,
    skill,
    slippage,
    stage_times,
    tenure,
    top_bottom,
    velocity,
    waterfall_findings,
    what_changed,
    win_loss,
    win_rates,
    words,
)
from salesops.periods import Period
from salesops.report import agreement, figures, tiles
from salesops.stats import proportions

Q2, Q3 = Period("2026Q2", date(2026, 4, 1), date(2026, 6, 30)), Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
Q4 = Period("2026Q4", date(2026, 10, 1), date(2026, 12, 31))
SCOPE = figures.Scope(period=Q3, currency="USD", as_of=date(2026, 9, 30))

_UP = r"\b(?:up|rose|more often|higher than|above|added|adds?|more (?:won|than in|of every))\b"
_DOWN = r"\b(?:down|fell|less often|lower than|below|took|fewer often|less than|less, beyond)\b"
_NO_SIDE = (  # said so that no direction is meant
    r"(?:no more and no less|neither more nor less|neither clearly more nor clearly less|(?:clearly )?more or less|"
    r"above or below|clearly above or below)(?: often)?|no clear gain: between \d+ (?:fewer|more) and \d+ more of every|to \d+ more|"
    r"\(likely[^)]*\)|those who won more|had more activity|with twice the activity|usually do (?:more|twice as much)|"
    r"answered (?:in more|sooner)|(?:one|a difference|an effect|under|changes?) (?:below|under)? ?[\d.]+ points"
)
WANTED = {
    "up": (_UP, _DOWN),
    "down": (_DOWN, _UP),
    "flat": (r"\b(?:[Nn]o|[Nn]one|neither|nor|not|unchanged|equal|on target|inside|as much)\b", f"{_UP}|{_DOWN}"),
    "few": (r"[Tt]oo few|[Ff]ewer than|[Nn]one|\bno\b|only", f"{_UP}|{_DOWN}"),
    "missing": (r"cannot|not |\b[Nn]o\b|[Tt]oo few|withheld", f"{_UP}|{_DOWN}"),
    "zero": (r"zero|[Nn]othing|\b[Nn]o\b|[Nn]one|cannot|\b0\b|above target|below target", r"\binf\b|\bnan\b"),
    "judged better": (r"\(better\)", r"worse|\bup\b"),
    "judged worse": (r"\(worse\)", r"better|\bdown\b"),
    "better": (r"better|less|lower|down|falls", r"worse"),
    "worse": (r"worse|more|higher|up", r"better"),
}


def said(form: str, sentence: object) -> str:
    """What is wrong with a sentence of a form, or nothing."""
    text = " ".join(sentence) if isinstance(sentence, list) else str(sentence)
    if re.search(r"\b(?:nan|NaN|None|inf|NaT)\b(?! of)", text) or "  " in text:
        return f"not words: {text}"
    if text.endswith(".."):
        return f"no sentence: {text}"
    wanted, barred = WANTED[form]
    bare = re.sub(_NO_SIDE, "", text)
    if not re.search(wanted, bare if form in ("up", "down") else text):
        return f"not {form}: {text}"
    return f"{form}, yet: {text}" if re.search(barred, bare) else ""


def frame(**columns: object) -> pd.DataFrame:
    rows = max((len(each) for each in columns.values() if isinstance(each, list)), default=1)
    return pd.DataFrame({name: each if isinstance(each, list) else [each] * rows for name, each in columns.items()})


def limits(name: str, value: float | None, half: float = 0.0, **more: object) -> dict[str, object]:
    """A value and its interval."""
    ends = (None, None) if value is None else (value - half, value + half)
    return {name: value, f"{name}_low": ends[0], f"{name}_high": ends[1]} | more


def row(**cells: object) -> pd.Series:
    return pd.Series(cells)


def win_rate(won, n, won_before, n_before):
    now, before = row(won_count=won, n=n), row(won_count=won_before, n=n_before)
    return win_loss.rate_sentence(now, before, period=Q3, prior=Q2)


def segment(gap, is_named=True):
    rows = frame(segment=["SMB"], n=200, is_named=is_named, **limits("win_rate_difference", gap, 0.1))
    return win_loss.groups_sentence(rows if gap is not None else rows[:0], "segment")


def mixed(total, share=0.0, rate=0.0, n=1000, n_before=1000, named=(True, True, True)):
    change = pd.DataFrame([
        {"component": name, "dimension": "segment" if name == "mix" else None, "n": n, "n_before": n_before,
         "n_won": n * (0.3 + total), "n_won_before": n_before * 0.3, "is_named": is_named,
         **limits("win_rate_change", value, abs(value) / 2)}
        for (name, value), is_named in zip({"total": total, "mix": share, "rate": rate}.items(), named, strict=True)
    ])  # fmt: skip
    groups = frame(segment=["SMB"], deal_share_change=0.2, **limits("mix_contribution", share, abs(share) / 2))
    return mix.sentence(change, groups, now="2026", before="2025")


def driver(effect, is_named=True, p_value=0.0001):
    tests = frame(
        factor=["x_sponsor", "region"],
        n=2000,
        p_value=[p_value, p_value and 0.5],
        is_named=[is_named, False],
        handling="too few deals",
    )
    contrasts = frame(
        factor="x_sponsor", level="Yes", reference="No", n_level=600, win_rate_with=0.3 + effect, win_rate_without=0.3,
        n_in_period=132, p_value=0.0001, **limits("win_rate_effect", effect, 0.04), **limits("won_amount_effect", effect * 1e7, 1e5),
    )  # fmt: skip
    return driver_findings.headlines(tests, contrasts, period=Q3, currency="USD")


def rival(gap, is_named=True, p_value=0.001, filled=300, brief=False):
    rows = frame(
        competitor="Cobalt", n=210, n_others_win_rate=640, competitive_win_rate=0.3 + (gap or 0), others_win_rate=0.3,
        p_value=p_value, is_named=is_named, **limits("competitive_win_rate_difference", gap, 0.05),
    )  # fmt: skip
    fill = frame(outcome=["won", "lost"], n=[500, 900], named_count=[filled, 540])
    return competition.competitor_sentence(rows.astype({"p_value": float}), fill, brief=brief)


def overdue(*counts, n=200):
    course = frame(rule=data_quality.PAST_DUE, period=["2025Q3", "2026Q3"][: len(counts)], n=n, faulty_count=list(counts),
                   quarter_fault_rate=[count / n for count in counts])  # fmt: skip
    return data_quality.trend_sentence(course)


def pace(gap, is_named=True, n=60, n_before=60, value=45e3):
    parts = ["total", "open deals", "win rate", "deal size", "days to an end"]
    table = frame(period=["2026Q2", "2026Q3"], n_won=[n_before, n], booked_per_day_amount=44e3,
                  **{name: [each, each] for name, each in limits("sales_velocity_amount", value, 4e3).items()})  # fmt: skip
    change = frame(component=parts, n_won=n, n_won_before=n_before, is_named=[is_named, is_named, False, False, False],
                   velocity_change_amount=[gap, gap, 0.0, 0.0, 0.0], velocity_change_amount_low=[gap - 1e3] * 2 + [-4e3] * 3,
                   velocity_change_amount_high=[gap + 1e3] * 2 + [4e3] * 3)  # fmt: skip
    return velocity.sentence(table, change, now=Q3, before=Q2, currency="USD")


def account(before, now, n=400, n_before=400):
    name = "customer_acquisition_cost"
    ends = {
        end: [None if each is None else each * by for each in (before, now)]
        for end, by in (("_low", 0.9), ("_high", 1.1))
    }
    table = frame(
        period=["2026Q2", "2026Q3"],
        n=[n_before, n],
        **{name: [before, now]},
        **{f"{name}{end}": each for end, each in ends.items()},
    )
    return acquisition.cost_sentence(
        table.astype(dict.fromkeys([name, f"{name}_low", f"{name}_high"], float)), currency="USD"
    )


def scored(low, high, n=200):
    return lead_funnel.score_sentence(frame(score_band=["1-40", "41-100"], n=n, n_reached=[low, high]))


def answered(gap, is_named=True):
    name = "response_band_effect"
    table = frame(
        response_band=["within 4 hours", "more than 4 hours"], n=100, standardised_rate=[0.4, 0.2], is_named=[False, is_named],
        **{key: [None, each] for key, each in limits(name, gap, 0.1).items()},
    )  # fmt: skip
    return lead_speed.effect_sentence(table.astype({name: float, f"{name}_low": float, f"{name}_high": float}))


def routed(gain, half=0.01, is_named=True):
    table = frame(n=2000, n_reps=4, n_classes=3, is_named=is_named, **limits("rerouting_gain", gain, half))
    return lead_routing.gain_sentence(table.astype({"rerouting_gain": float}))


def grown(now, before):
    one = lambda amount: frame(n=3, bookings_amount=float("nan") if amount is None else amount)  # noqa: E731
    return forecast.growth_sentence(one(now), one(before), Q3, Q2)


def ahead(told, half=0.5e6):
    history = frame(period=[f"202{n}Q{k}" for n in range(2, 5) for k in range(1, 5)], n=9, bookings_amount=3e6)
    later = frame(period="2026Q4", **limits("series_forecast_amount", 3e6, 1e6))
    landing = frame(period="2026Q4", **limits("landing_amount", told, half))
    return forecast.series_sentence(history, later, landing, currency="USD").partition("; ")[2]


def grouped(now, before=5.0, is_named=True):
    table = frame(grouping=["total", "segment"], segment=[None, "SMB"], period="2026Q4", period_start=date(2026, 10, 1),
                  year_before_amount=before, group_forecast_amount=[5.0, now], is_named=[False, is_named])  # fmt: skip
    return bookings_ahead.groups_sentence(table.astype({"year_before_amount": float}), by=["segment"])


def factor(error, is_named=True, p_value=0.01, reason=None, n=12):
    tested = frame(
        factor="fx",
        lag_quarters=1,
        n=n,
        own_past_wape=0.24,
        factor_wape=error,
        is_named=is_named,
        p_value=p_value,
        reason=reason,
    )
    return outside_factors.factors_sentence(tested)


def chosen(**cells):
    usual = {"model": "pipeline", "other": "run_rate", "n": 11, "error_rate": 0.19, "other_error_rate": 0.2}
    return forecast_choice.choice_sentence(pd.DataFrame([usual | {"is_default": True, "is_clear": False} | cells]))


def related(effect, p_value=0.01, n=900):
    rows = [{"activity": "activity", "comparison": name, "n": n, "n_reps": 30, "p_value": p_value, **limits("doubling_effect", effect, 0.02)}
            for name in ("within a rep", "between reps")]  # fmt: skip
    return activity_effect.relation_sentence(pd.DataFrame(rows))


def tried(effect, is_named=True, large=0, is_main=True):
    effects = frame(design="interrupted series", is_main=is_main, reason="too few deals before it", n=900, n_before=500, n_after=400,
                    smallest_effect=0.06, is_named=is_named, **limits("change_effect", effect, 0.03))  # fmt: skip
    placebos = frame(is_as_large=[True] * large + [False] * (20 - large))
    return before_after.sentence(effects, placebos, change_date=date(2024, 10, 1))


def sloped(slope, is_named=True, n=300):
    slopes = frame(stage="Talk", pipeline="new", within_days=10.0, n=n, first_cohort="2024Q4", last_cohort="2026Q3", is_named=is_named,
                   **limits("conversion_slope", slope, 0.01))  # fmt: skip
    return conversion_trend.sentence(slopes.astype({"conversion_slope": float}))


def placed(gap, half=0.05, n=90, n_before=90):
    table = frame(period=["2026Q3", "2026Q2"], first_date=date(2026, 7, 1), last_date=date(2026, 8, 14), is_complete=False, n=[n, n_before],
                  won_count=[round(0.3 * n), round((0.3 - gap) * n_before)], win_rate=[0.3, 0.3 - gap],
                  **{key: [None, each] for key, each in limits("position_win_rate_change", gap, half).items()})  # fmt: skip
    return win_rates.position_sentence(table)


def watched(last, rule="outside", limit=0.1):
    trend = frame(period=[f"2026-0{month}" for month in range(1, 10)], n=50, won_count=[12] * 8 + [round(50 * last)],
                  win_rate=[0.24] * 8 + [last], centre_rate=0.24, limit_low_rate=limit, limit_high_rate=0.4,
                  is_before=[True] * 8 + [False], rule=[None] * 8 + [rule])  # fmt: skip
    return win_rates.trend_sentence(trend.astype({"limit_low_rate": float}))


def passed(gap, is_named=True, p_value=0.001):
    rows = frame(stage="One", pipeline="new", n=400, fast_pass_days=3.0, p_value=p_value, fast_pass_win_rate=0.3 + gap, other_pass_win_rate=0.3,
                 is_named=is_named, **limits("fast_pass_win_gap", gap, 0.03))  # fmt: skip
    return rushed.sentence(rows.astype({"p_value": float}))


def behaved(gap, is_named=True, p_value=0.01):
    rows = frame(behaviour="meetings_held", n_compared=1, top_behaviour=8.0 + gap, bottom_behaviour=8.0, p_value=p_value, is_named=is_named,
                 **limits("behaviour_gap", gap, 1.0))  # fmt: skip
    return top_bottom.coaching_sentences(rows.astype({"p_value": float}), earlier=Q2, later=Q3)


def gap_of(value, half=0.04, is_named=True):
    table = frame(stage=["One", "Two"], pipeline="new", dimension="segment", comparator="SMB", n=900, current_conversion_rate=0.5,
                  comparator_conversion_rate=0.5 + (value or 0), gain_count=6.0, first_probability=[0.94, 0.06],
                  is_named=[is_named, False], **limits("gain_amount", 120e3, 5e4),
                  **{key: [each, each] for key, each in limits("comparator_gap", value, half).items()})  # fmt: skip
    return bottlenecks.sentence(table.astype({"comparator_gap_low": float}), currency="USD")


def against_last(now, before, unit="rate", half=0.0, n=400, n_before=400, good="win_rate"):
    """A tile's own comparison."""
    column = {"rate": good, "days": "sales_cycle_days", "amount": "won_amount"}[unit]
    rows = [{"n": size, **limits(column, value, half)} for value, size in ((now, n), (before, n_before))]
    tile = tiles.tile("T", pd.DataFrame(rows[:1]), column, prior=pd.DataFrame(rows[1:]))
    own = figures.figure(tile.row, column, SCOPE)
    return tiles.comparison(tile, own, tile.prior, Q2.label, SCOPE)


CASES = {
    "words.change": [
        ("up", lambda: words.change(0.3, 0.2, "rate")), ("down", lambda: words.change(0.2, 0.3, "rate")),
        ("up", lambda: words.change(3.0, 2.0, "amount")), ("down", lambda: words.change(2.0, 3.0, "count")),
        ("flat", lambda: words.change(0.3, 0.2, "rate", low=-0.1, high=0.3)), ("flat", lambda: words.change(2.0, 2.0, "days")),
        ("flat", lambda: words.change(0.30001, 0.3, "rate")), ("missing", lambda: words.change(None, 0.3, "rate")),
        ("missing", lambda: words.change(0.3, float("nan"), "rate")), ("zero", lambda: words.change(5.0, 0.0, "amount")),
        ("judged better", lambda: words.change(4.0, 5.0, "days", good="lower")), ("judged worse", lambda: words.change(5.0, 4.0, "days", good="lower")),
        ("judged worse", lambda: words.change(5.0, 0.0, "count", good="lower")),
    ],
    "words.against": [
        ("up", lambda: words.against(0.3, 0.2, "rate")), ("down", lambda: words.against(2.0, 3.0, "amount")),
        ("flat", lambda: words.against(0.3, 0.2, "rate", low=-0.1, high=0.3)), ("flat", lambda: words.against(2.0, 2.0, "amount")),
        ("missing", lambda: words.against(None, 2.0, "amount")), ("zero", lambda: words.against(5.0, 0.0, "amount")),
        ("up", lambda: words.against(5.0, 0.0, "amount")),
    ],
    "tiles.comparison": [
        ("up", lambda: against_last(0.3, 0.2, half=0.01)), ("down", lambda: against_last(0.2, 0.3, half=0.01)),
        ("flat", lambda: against_last(0.3, 0.29, half=0.05)), ("missing", lambda: against_last(0.3, None)),
        ("missing", lambda: against_last(None, 0.3)), ("few", lambda: against_last(0.3, 0.2, n=5)), ("few", lambda: against_last(0.3, 0.2, n_before=5)),
        ("zero", lambda: against_last(5.0, 0.0, "amount")), ("judged better", lambda: against_last(40, 50, "days", 1)),
        ("judged worse", lambda: against_last(50, 40, "days", 1)),
    ],
    "win_loss.rate_sentence": [
        ("up", lambda: win_rate(60, 100, 30, 100)), ("down", lambda: win_rate(30, 100, 60, 100)), ("flat", lambda: win_rate(30, 100, 31, 100)),
        ("few", lambda: win_rate(3, 10, 30, 100)), ("few", lambda: win_rate(0, 0, 30, 100)), ("zero", lambda: win_rate(0, 0, 0, 0)),
        ("missing", lambda: win_rate(100, 100, 30, 100)), ("zero", lambda: win_rate(0, 100, 0, 100)),
    ],
    "win_loss.groups_sentence": [
        ("up", lambda: segment(0.3)), ("down", lambda: segment(-0.3)), ("flat", lambda: segment(0.3, is_named=False)), ("few", lambda: segment(None)),
    ],
    "mix.sentence": [
        ("up", lambda: mixed(0.05, 0.03, 0.02)), ("down", lambda: mixed(-0.05, -0.03, -0.02)),
        ("flat", lambda: mixed(0.01, named=(False, False, False))), ("few", lambda: mixed(0.05, n=3)), ("zero", lambda: mixed(0.05, n_before=0)),
    ],
    "driver_findings.headlines": [
        ("up", lambda: driver(0.1)), ("down", lambda: driver(-0.1)), ("flat", lambda: driver(0.1, is_named=False)),
        ("few", lambda: driver(0.1, p_value=None)),
    ],
    "competition.competitor_sentence": [
        ("up", lambda: rival(0.1)), ("up", lambda: rival(0.1, brief=True)), ("down", lambda: rival(-0.1, brief=True)), ("down", lambda: rival(-0.1)), ("flat", lambda: rival(-0.1, is_named=False)),
        ("few", lambda: rival(None, p_value=None)), ("missing", lambda: rival(-0.1, filled=5)),
    ],
    "data_quality.trend_sentence": [
        ("up", lambda: overdue(10, 60)), ("down", lambda: overdue(60, 10)), ("flat", lambda: overdue(10, 11)), ("few", lambda: overdue(10)),
        ("zero", lambda: overdue(0, 0)), ("up", lambda: overdue(0, 60)),
    ],
    "velocity.sentence": [
        ("up", lambda: pace(6e3)), ("down", lambda: pace(-6e3)), ("flat", lambda: pace(6e3, is_named=False)), ("few", lambda: pace(6e3, n=3)),
        ("few", lambda: pace(6e3, n_before=3)), ("missing", lambda: pace(6e3, value=None)), ("zero", lambda: pace(6e3, n=0)),
    ],
    "acquisition.cost_sentence": [
        ("judged worse", lambda: account(1e3, 2e3)), ("judged better", lambda: account(2e3, 1e3)), ("flat", lambda: account(1e3, 1.01e3)),
        ("zero", lambda: account(0.0, 1e3)), ("zero", lambda: account(1e3, 0.0)), ("missing", lambda: account(1e3, None)),
        ("zero", lambda: account(1e3, 1e3, n=0)),
    ],
    "lead_funnel.score_sentence": [
        ("up", lambda: scored(20, 60)), ("down", lambda: scored(60, 20)), ("flat", lambda: scored(20, 20)), ("few", lambda: scored(2, 6, n=10)),
        ("zero", lambda: scored(0, 0)),
    ],
    "lead_speed.effect_sentence": [
        ("up", lambda: answered(0.25)), ("down", lambda: answered(-0.25)), ("flat", lambda: answered(-0.25, is_named=False)), ("few", lambda: answered(None)),
    ],
    "lead_routing.gain_sentence": [
        ("up", lambda: routed(0.02)), ("flat", lambda: routed(0.02, 0.05, is_named=False)), ("few", lambda: routed(None)),
    ],
    "forecast.growth_sentence": [
        ("up", lambda: grown(110.0, 100.0)), ("down", lambda: grown(90.0, 100.0)), ("flat", lambda: grown(100.0, 100.0)),
        ("missing", lambda: grown(None, 100.0)), ("missing", lambda: grown(100.0, None)), ("zero", lambda: grown(100.0, 0.0)),
        ("zero", lambda: grown(0.0, 0.0)),
    ],
    "forecast.series_sentence": [
        ("up", lambda: ahead(4.2e6)), ("down", lambda: ahead(1.8e6)), ("flat", lambda: ahead(3.2e6)), ("up", lambda: ahead(9e6)),
        ("down", lambda: ahead(0.1e6, 0.05e6)),
    ],
    "bookings_ahead.groups_sentence": [
        ("up", lambda: grouped(9.0)), ("down", lambda: grouped(1.0)), ("flat", lambda: grouped(9.0, is_named=False)),
        ("missing", lambda: grouped(9.0, None)), ("up", lambda: grouped(9.0, 0.0)),
    ],
    "outside_factors.factors_sentence": [
        ("better", lambda: factor(0.18)), ("flat", lambda: factor(0.23, is_named=False)), ("few", lambda: factor(0.2, p_value=None, n=4)),
        ("missing", lambda: factor(0.2, reason="too few quarters")),
    ],
    "forecast_choice.choice_sentence": [
        ("better", lambda: chosen(is_clear=True)), ("flat", lambda: chosen()), ("missing", lambda: chosen(n=0, other=None)),
        ("better", lambda: chosen(model="run_rate", other="pipeline", error_rate=0.1, is_default=False)),
    ],
    "activity_effect.relation_sentence": [
        ("up", lambda: related(0.05)), ("down", lambda: related(-0.05)), ("flat", lambda: related(0.05, p_value=0.5)), ("few", lambda: related(0.05, n=3)),
    ],
    "before_after.sentence": [
        ("up", lambda: tried(0.08)), ("down", lambda: tried(-0.08)), ("flat", lambda: tried(0.01, is_named=False)), ("flat", lambda: tried(0.08, large=9)),
        ("missing", lambda: tried(0.08, is_main=False)),
    ],
    "conversion_trend.sentence": [
        ("up", lambda: sloped(0.03)), ("down", lambda: sloped(-0.03)), ("flat", lambda: sloped(0.03, is_named=False)), ("few", lambda: sloped(0.03, n=3)),
        ("few", lambda: sloped(None)),
    ],
    "win_rates.position_sentence": [
        ("up", lambda: placed(0.2)), ("down", lambda: placed(-0.2)), ("flat", lambda: placed(0.02)), ("few", lambda: placed(0.2, n=3)),
        ("few", lambda: placed(0.2, n_before=3)), ("zero", lambda: placed(0.2, n=0)),
    ],
    "win_rates.trend_sentence": [
        ("up", lambda: watched(0.6)), ("down", lambda: watched(0.04)), ("flat", lambda: watched(0.24, rule=None)), ("few", lambda: watched(0.24, limit=None)),
        ("up", lambda: watched(0.6, rule="run")), ("down", lambda: watched(0.04, rule="run")),
    ],
    "rushed.sentence": [
        ("down", lambda: passed(-0.12)), ("few", lambda: passed(-0.12, p_value=None)),
    ],
    "top_bottom.coaching_sentences": [
        ("worse", lambda: behaved(4.0)), ("better", lambda: behaved(-4.0)), ("flat", lambda: behaved(0.1, is_named=False)),
        ("missing", lambda: behaved(4.0, p_value=None)),
    ],
    "bottlenecks.sentence": [
        ("worse", lambda: gap_of(0.1)), ("flat", lambda: gap_of(0.01, is_named=False)), ("few", lambda: gap_of(None, is_named=False)),
    ],
}  # fmt: skip
EACH = [
    pytest.param(form, make, id=f"{name}-{form}-{n}")
    for name, cases in CASES.items()
    for n, (form, make) in enumerate(cases)
]


@pytest.mark.parametrize(("form", "make"), EACH)
def test_each_form_reads_as_it_is(form, make):
    assert said(form, make()) == ""


def test_what_forbids_a_comparison_is_told_apart_from_what_does_not():
    columns = ["what", "name", "was", "became", "is_break"]
    unknown, code = ([(what, "", "", "", what != "code")] for what in (what_changed.UNKNOWN, "code"))
    tables = [pd.DataFrame(rows, columns=columns) for rows in (unknown, code, [])]
    told = [changes_told.break_sentences(table, as_of="2026-06-30") for table in tables]
    assert told == [
        ["The report of 30 June 2026 does not say how it was made; nothing is compared with it, in case its "
         "definitions were others."],
        ["Since the report of 30 June 2026 the code of salesops changed; every definition is the same."],
        [],
    ]  # fmt: skip


def test_a_forecast_that_was_passed_or_met_is_scored_as_such():
    row = {"period": "2026Q3", "said_amount": 4.2e6, "said_least": 3.6e6, "said_most": 4.9e6, "level": 0.8,
           "became": 5.1e6, "is_inside": False, "currency": "USD"}  # fmt: skip
    passed, met = changes_told.scored_sentences(
        pd.DataFrame([row, row | {"became": 4.2e6, "is_inside": True}]), as_of="2026-07-31"
    )
    assert passed.endswith("it became $5.1M, outside the 80 % range of $3.6M to $4.9M and 21 % more than said.")
    assert met.endswith("it became $4.2M, inside the 80 % range of $3.6M to $4.9M and as said.")


def test_decisions_are_a_paragraph_each_and_none_is_said():
    assert executive_summary.decided_sentence(["A.", "B."]) == "A.\n\nB."
    assert executive_summary.decided_sentence([]).startswith("No decision is on record.")


def test_every_sentence_is_driven_in_more_than_one_form():
    """By this file, by its module's own tests, or by two examples of its docstring."""
    texts = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").glob("test_*.py")))
    untried, n = [], 0
    for path in sorted((ROOT / "salesops").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for name in re.findall(r"^def ((?!_)\w*(?:sentences?|headlines))\(", source, re.MULTILINE):
            n += 1
            examples = len(re.findall(rf">>> .*\b{name}\(", source))
            if examples < 2 and not re.search(rf"\b{path.stem}\.{name}\b", texts):
                untried.append(f"{path.stem}.{name}")
    assert n > 80 and not untried


def test_opposite_moves_are_told_in_opposite_words():
    """The words of "up" do not stand where it goes down; a formatter that lost its sign would say both alike."""
    for name, cases in CASES.items():
        ways = {form: str(make()) for form, make in cases}
        for one, other in (("up", "down"), ("better", "worse")):
            if {one, other} <= set(ways):
                bare = [re.sub(r"[−\d.,$%KM]+", "", ways[form]) for form in (one, other)]
                assert bare[0] != bare[1], name


# What follows draws figures at random: the sentence may say only numbers that are among them, and only their direction.

COUNT = st.integers(20, 3000)
SHARE = st.floats(0.001, 0.999)
MONEY = st.floats(10, 5e7)
NAMED = st.booleans()


def spread(draw, name, value, unit=1.0):
    """A value with an interval around it."""
    low, high = (draw(st.floats(0, 0.5)) * unit for _ in range(2))
    return {name: value, f"{name}_low": value - low, f"{name}_high": value + high}


def share(draw, name, value=None):
    """A share with an interval inside 0-1."""
    value = draw(SHARE) if value is None else value
    low, high = value * draw(st.floats(0.3, 1)), 1 - (1 - value) * draw(st.floats(0.3, 1))
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def clear(draw, name, most=0.6):
    """A difference whose interval leaves out zero, and its sign."""
    sign, size = draw(st.sampled_from([-1, 1])), draw(st.floats(0.02, most))
    ends = sorted([sign * size * draw(st.floats(0.2, 0.99)), sign * size * draw(st.floats(1.01, 1.8))])
    return {name: sign * size, f"{name}_low": ends[0], f"{name}_high": ends[1]}, sign


def counted(draw, part, whole):
    n = draw(COUNT)
    return {whole: n, part: draw(st.integers(0, n))}


def of_rate(draw):
    rows = [counted(draw, "won_count", "n") for _ in range(2)]
    tables = [frame(**each, win_rate=each["won_count"] / each["n"]) for each in rows]
    gap, low, high = proportions.difference_interval(*(each[name] for each in rows for name in ("won_count", "n")))
    sentence = win_loss.rate_sentence(row(**rows[0]), row(**rows[1]), period=Q3, prior=Q2)
    is_told = not words.covers_zero(low, high) and rows[0]["won_count"] < rows[0]["n"]
    return sentence, tables, np.sign(gap) if is_told else None


def of_mix(draw):
    sizes = [draw(st.integers(100, 2000)) for _ in range(2)]
    won = [draw(st.integers(0, n)) for n in sizes]
    gap, is_named = won[0] / sizes[0] - won[1] / sizes[1], draw(NAMED)
    part, sign = clear(draw, "win_rate_change", 0.3)
    change = pd.DataFrame([
        {"component": name, "dimension": "segment" if name == "mix" else None, "n": sizes[0], "n_before": sizes[1], "n_won": won[0],
         "n_won_before": won[1], "is_named": named, **cells}
        for name, named, cells in (("total", is_named, spread(draw, "win_rate_change", gap)), ("mix", draw(NAMED), part),
                                   ("rate", draw(NAMED), clear(draw, "win_rate_change", 0.3)[0]))
    ])  # fmt: skip
    groups = frame(segment=["SMB"], deal_share_change=0.2, **limits("mix_contribution", 0.1 * sign, 0.05))
    rates = frame(win_rate=[won[0] / sizes[0], won[1] / sizes[1]], n=sizes, segment=["now", "before"])
    sentence = mix.sentence(change, groups, now="2026", before="2025")
    return sentence, [change, rates], np.sign(gap) if is_named and abs(gap) > 0.001 else None


def of_driver(draw):
    effect, sign = clear(draw, "win_rate_effect", 0.4)
    worth, _ = clear(draw, "won_amount_effect")
    without = draw(st.floats(0.45, 0.55))
    tests = frame(factor="x_sponsor", n=2000, p_value=0.001, is_named=True, handling="")
    contrasts = frame(
        factor="x_sponsor", level="Yes", reference="No", n_level=600, win_rate_with=without + effect["win_rate_effect"], win_rate_without=without,
        n_in_period=draw(st.integers(2, 500)), p_value=0.001, **effect, **{name: 1e7 * sign * abs(each) for name, each in worth.items()},
    )  # fmt: skip
    worth_of = contrasts.drop(columns="n_level").rename(columns={"n_in_period": "n"})
    return driver_findings.headlines(tests, contrasts, period=Q3, currency="USD"), [contrasts, worth_of], sign


def of_rival(draw):
    gap, sign = clear(draw, "competitive_win_rate_difference", 0.4)
    rows = frame(
        competitor="Cobalt", n=draw(COUNT), n_others_win_rate=draw(COUNT), competitive_win_rate=0.5 + gap["competitive_win_rate_difference"],
        others_win_rate=0.5, p_value=0.001, is_named=True, **gap,
    )  # fmt: skip
    fill = frame(outcome=["won", "lost"], n=[500, 900], named_count=[300, 540])
    return competition.competitor_sentence(rows, fill), [rows], sign


def of_faults(draw):
    rows = [counted(draw, "faulty_count", "n") for _ in range(3)]
    tables = frame(
        rule=[data_quality.PAST_DUE, "no amount", "no next step"],
        **{name: [each[name] for each in rows] for name in ("n", "faulty_count")},
    )
    rates = tables.assign(fault_rate=tables["faulty_count"] / tables["n"])
    whole = draw(MONEY)
    weight = frame(rule=rates["rule"].tolist(), metric="weighted_pipeline_amount", with_value=whole, without_value=whole * draw(SHARE), n_left_out=9,
                   difference=0.0)  # fmt: skip
    return (
        [data_quality.past_due_sentence(rates, weight), data_quality.worst_sentence(rates)],
        [rates, deal_rules.weight_shares(weight)],
        None,
    )


def of_overdue(draw):
    counts = [draw(st.integers(0, 400)) for _ in range(2)]
    course = frame(
        rule=data_quality.PAST_DUE,
        period=["2025Q3", "2026Q3"],
        n=400,
        faulty_count=counts,
        quarter_fault_rate=[each / 400 for each in counts],
    )
    _, low, high = proportions.difference_interval(counts[1], 400, counts[0], 400)
    return (
        data_quality.trend_sentence(course),
        [course],
        None if words.covers_zero(low, high) else np.sign(counts[1] - counts[0]),
    )


def of_pace(draw):
    money, gap, is_named = draw(MONEY), draw(st.floats(-1e6, 1e6)), draw(NAMED)
    assume(abs(gap) > 100)
    ends = sorted([gap * draw(st.floats(0.2, 0.9)), gap * draw(st.floats(1.1, 2))])
    parts = ["total", "open deals", "win rate", "deal size", "days to an end"]
    table = frame(period=["2026Q2", "2026Q3"], n_won=[60, 80], booked_per_day_amount=draw(MONEY), **{
        name: [each] * 2 for name, each in limits("sales_velocity_amount", money, money / 3).items()})  # fmt: skip
    change = frame(component=parts, n_won=80, n_won_before=60, is_named=[is_named, is_named, False, False, False], velocity_change_amount=[gap, gap, 0.0, 0.0, 0.0],
                   velocity_change_amount_low=[ends[0]] * 2 + [-4e3] * 3, velocity_change_amount_high=[ends[1]] * 2 + [4e3] * 3)  # fmt: skip
    said = velocity.sentence(table, change, now=Q3, before=Q2, currency="USD")
    return said, [table, change], np.sign(gap) if is_named else None


def of_cost(draw):
    name, n, costs = "customer_acquisition_cost", draw(COUNT), [draw(MONEY) for _ in range(2)]
    table = frame(
        period=["2026Q2", "2026Q3"],
        n=n,
        **{name: costs, f"{name}_low": [each * 0.8 for each in costs], f"{name}_high": [each * 1.3 for each in costs]},
    )
    told = abs(np.log(costs[1] / costs[0])) > 1.96 * np.sqrt(2 / n)
    change = frame(
        period="2026Q3", win_rate=abs(costs[1] / costs[0] - 1), n=n
    )  # the percentage, as a tile's comparison has it
    return (
        acquisition.cost_sentence(table, currency="USD"),
        [table, change],
        np.sign(costs[1] - costs[0]) if told else None,
    )


def of_leads(draw):
    n = draw(COUNT)
    conversion = frame(goal="opportunity", n=n, n_open=draw(st.integers(0, n)), lead_reached_rate=draw(SHARE), lead_unsettled_rate=draw(st.floats(0, 0.5)),
                       **share(draw, "lead_conversion_rate"))  # fmt: skip
    conversion["lead_open_rate"] = conversion["n_open"] / n
    opened = frame(open_count=conversion["n_open"].tolist(), n=n)
    return lead_funnel.conversion_sentence(conversion, Q3), [conversion, opened], None


def of_sources(draw):
    rows = [share(draw, "lead_conversion_rate") for _ in range(3)]
    table = pd.DataFrame(rows).assign(goal="opportunity", n=draw(COUNT), source=["Web", "Fair 2", "Call"])
    return lead_funnel.groups_sentence(table, "source"), [table], None


def of_response(draw):
    n, hours = draw(COUNT), draw(st.floats(0.1, 300))
    table = frame(n=n, n_answered=n, lead_response_hours_p90=draw(st.one_of(st.none(), st.just(3 * hours))), **{
        f"lead_response_hours_median{end}": hours * by for end, by in (("", 1), ("_low", 0.8), ("_high", 1.3))})  # fmt: skip
    return leads.response_sentence(table, Q3), [table], None


def of_answers(draw):
    effect, sign = clear(draw, "response_band_effect", 0.4)
    table = frame(response_band=["within 4 hours", "more than 4 hours"], n=100, standardised_rate=[0.4, 0.4 + effect["response_band_effect"]],
                  is_named=[False, True], **{name: [np.nan, each] for name, each in effect.items()})  # fmt: skip
    return lead_speed.effect_sentence(table), [table, frame(n=4)], sign


def of_routes(draw):
    gain = draw(st.floats(-0.2, 0.3))
    is_named = draw(NAMED)
    table = frame(n=2000, n_reps=4, n_classes=3, is_named=is_named, **spread(draw, "rerouting_gain", gain, 0.2))
    thousand = [
        frame(open_count=abs(each) * 1000, n=2000)
        for each in table.loc[0, ["rerouting_gain", "rerouting_gain_low", "rerouting_gain_high"]]
    ]
    return lead_routing.gain_sentence(table), [table, *thousand], None


def of_landing(draw):
    money = draw(MONEY)
    low, high = money * draw(st.floats(0.2, 1)), money * draw(st.floats(1, 3))
    table = frame(period="2026Q4", n=260, n_quarters=12, won_so_far_amount=draw(st.sampled_from([0.0, low])), landing_amount=money, landing_amount_low=low,
                  landing_amount_high=high, level=0.8, bookings_target_amount=draw(MONEY), commit_amount=draw(MONEY), target_probability=draw(SHARE),
                  commit_probability=draw(SHARE))  # fmt: skip
    said = [
        pipeline_forecast.landing_sentence(table.iloc[0], currency="USD"),
        pipeline_forecast.plan_sentence(table.iloc[0], currency="USD"),
    ]
    limit = frame(target_probability=[0.01, 0.99], n=1, part=["a", "b"])  # "below 1 %" is a limit of speech
    return said, [table, limit], None


def of_series(draw):
    money, told = draw(MONEY), draw(MONEY)
    history = frame(period=[f"202{n}Q{k}" for n in range(2, 5) for k in range(1, 5)], n=9, bookings_amount=3e6)
    later = frame(
        period="2026Q4",
        series_forecast_amount=money,
        series_forecast_amount_low=money * 0.7,
        series_forecast_amount_high=money * 1.4,
    )
    landing = frame(period="2026Q4", landing_amount=told, landing_amount_low=told * 0.8, landing_amount_high=told * 1.2)
    said = forecast.series_sentence(history, later, landing, currency="USD")
    side = 1 if told > money * 1.4 else -1 if told < money * 0.7 else None
    return said, [later], side


def of_past(draw):
    n = draw(st.integers(1, 12))
    said, came = ([draw(MONEY) for _ in range(n)] for _ in range(2))
    record = frame(week=5, week_forecast_amount=said, week_forecast_amount_low=[each * 0.8 for each in said],
                   week_forecast_amount_high=[each * 1.2 for each in said], quarter_bookings_amount=came, period="Q1")  # fmt: skip
    high, low = (
        sum(one > other for one, other in pairs)
        for pairs in (zip(said, came, strict=True), zip(came, said, strict=True))
    )
    held = sum(each * 0.8 <= real <= each * 1.2 for each, real in zip(said, came, strict=True))
    facts = [record, *(frame(open_count=each, n=n) for each in (high, low, held, 5))]
    return accountability.record_sentence(record, week=5, currency="USD"), facts, None


def of_choice(draw):
    rates = sorted(draw(SHARE) for _ in range(2))
    table = frame(
        model="pipeline",
        other="run_rate",
        n=draw(st.integers(1, 20)),
        error_rate=rates[0],
        other_error_rate=rates[1],
        is_default=True,
        is_clear=draw(NAMED),
    )
    return forecast_choice.choice_sentence(table), [table], None


def of_deals(draw):
    n = draw(st.integers(2, 30))
    deals = frame(opportunity_id=[f"D{k}" for k in range(n)], deal_contribution_amount=[draw(MONEY) for _ in range(n)])
    must = draw(st.integers(0, n))
    deals["is_must_win"] = pd.array([k < must for k in range(n)], dtype="boolean")
    deals = deals.assign(deal_swing_amount=deals["deal_contribution_amount"], quarter_win_probability=draw(SHARE))
    target = draw(MONEY)
    known = [frame(bookings_target_amount=target, n=n), frame(open_count=must, n=n), deals]
    said = re.sub(r"\bD\d+\b", "it", deciding_deals.deal_sentence(deals, target=target, currency="USD"))
    return said, known, None


def of_stages(draw):
    gap, _ = clear(draw, "comparator_gap", 0.3)
    gap = dict(
        zip(gap, sorted(map(abs, gap.values()), key=lambda each: each != abs(gap["comparator_gap"])), strict=True)
    )
    ends = sorted(list(gap.values())[1:])
    gain = draw(MONEY)
    table = frame(stage=["One", "Two"], pipeline="new", dimension="segment", comparator="SMB", n=900, current_conversion_rate=0.4,
                  comparator_conversion_rate=0.4 + gap["comparator_gap"], gain_count=6.0, first_probability=[0.94, 0.06], is_named=[True, False],
                  comparator_gap=gap["comparator_gap"], comparator_gap_low=ends[0], comparator_gap_high=ends[1], gain_amount=gain,
                  gain_amount_low=gain / 2, gain_amount_high=gain * 2)  # fmt: skip
    return bottlenecks.sentence(table, currency="USD"), [table], None


def of_entries(draw):
    rows = [{**counted(draw, "n_still_open", "n"), **share(draw, "overall_conversion_rate")} for _ in range(2)]
    overall = pd.DataFrame(rows).assign(
        pipeline=["New", "Old"], still_open_rate=lambda each: each["n_still_open"] / each["n"]
    )
    days = draw(st.floats(5, 400))
    cycle = frame(n_won=50, **{f"sales_cycle_days_{name}": days * by for name, by in (
        ("median", 1), ("median_low", 0.9), ("median_high", 1.2), ("p25", 0.5), ("p75", 1.8))})  # fmt: skip
    opened = frame(win_rate=overall["still_open_rate"].tolist(), n=9, part=["a", "b"])
    return (
        [*funnel.headlines(overall, cycle, window=Q3), funnel.cycle_sentence(cycle, Q3)],
        [overall, cycle, opened],
        None,
    )


def of_stuck(draw):
    rows = [counted(draw, "n_stuck", "n") for _ in range(2)]
    table = pd.DataFrame(rows).assign(stage=["One", "Two"], stuck_amount=[draw(MONEY) for _ in range(2)])
    table["stuck_rate"] = table["n_stuck"] / table["n"]
    return (
        stage_times.stuck_sentence(table, currency="USD"),
        [table, stage_times.stuck_total(table), *_as_counts(table["n_stuck"], [table["n_stuck"].sum()])],
        None,
    )


def of_outlook(draw):
    table = frame(
        n=draw(COUNT),
        days=draw(st.sampled_from([30, 90])),
        outlook_lost_rate=draw(SHARE),
        outlook_final_win_rate=draw(SHARE),
        **share(draw, "outlook_won_rate"),
    )
    return flow.outlook_sentence(table), [table], None


def of_reps(draw):
    n = draw(st.integers(4, 60))
    spread_row = frame(
        n_reps=n,
        n=1900,
        is_beyond_chance=draw(NAMED),
        n_apart=draw(st.integers(1, n)),
        **share(draw, "win_rate_spread"),
    )
    reps = frame(
        name=["Ann", "Bo"], call=[draw(st.sampled_from(["top quarter", None])), "bottom quarter"], n_compared=n
    )
    head = draw(st.floats(5, 80))
    left = frame(n=draw(st.integers(0, 9)), head_count=head, **share(draw, "rep_turnover_rate"))
    attained = frame(quota_attainment_rate=draw(st.floats(0, 3)), n=9)
    reached = draw(st.integers(0, n))
    achieved = frame(reps=["all", "ramped", "ramping"], n=[n + 2, n, 2], n_achieved=[reached, reached, 0])
    said = [skill.difference_sentence(spread_row, Q3), *skill.call_sentences(reps), tenure.turnover_sentence(left, period=Q3),
            rep_performance.attainment_sentence(attained, Q3, date(2026, 9, 30)), attainment_findings.achievement_sentence(achieved)]  # fmt: skip
    known = _as_counts([n, n + 2, 2, reached, round(head), left["n"].iloc[0], spread_row["n_apart"].iloc[0]])
    return said, [spread_row, left, attained, *known], None


def of_waterfall(draw):
    cells = ["start", "created", "pulled in", "increased", "won", "lost", "pushed out", "end"]
    rows = frame(cell=cells, n=[draw(st.integers(1, 300)) for _ in cells], pipeline_waterfall_amount=[
        draw(MONEY) * (-1 if cell in ("won", "lost", "pushed out") else 1) for cell in cells])  # fmt: skip
    said = waterfall_findings.waterfall_sentence(
        rows, window=Q3, start=date(2026, 6, 30), end=date(2026, 9, 30), currency="USD"
    )
    return said, [rows, waterfall_findings.totals(rows)], None


def of_pushes(draw):
    cells = {
        **counted(draw, "n_pushed", "n"),
        **share(draw, "pushed_rate"),
        "push_count_mean": draw(st.floats(1, 9)),
        "pushed_days_mean": draw(st.floats(1, 200)),
    }
    table = frame(**cells)
    return slippage.push_sentence(table.iloc[0]), [table, *_as_counts([cells["n_pushed"]])], None


def of_activity(draw):
    rate = draw(st.floats(0.1, 40))
    rates = frame(
        kind="meetings held",
        n=900,
        n_days=3600,
        monthly_activities=rate,
        monthly_activities_low=rate * 0.9,
        monthly_activities_high=rate * 1.2,
    )
    deals, weeks = (
        frame(n=draw(COUNT), **share(draw, "activity_logging_rate")),
        frame(n=500, logged_week_rate=draw(SHARE)),
    )
    health = frame(n=200, open_amount=draw(MONEY), **share(draw, "pipeline_health_rate"))
    met = draw(SHARE)
    parts = frame(
        component=["a next step", "an activity lately"], n=[200, 0], met_rate=[met, None], lacking_amount=[4.8e6, None]
    ).astype({"met_rate": float, "lacking_amount": float})
    parts["lacking_rate"] = 1 - parts["met_rate"]
    said = [
        activity.rate_sentence(rates, Q3),
        activity_logging.logging_sentence(deals, weeks, Q3),
        hygiene.health_sentence(health, parts, currency="USD"),
    ]
    month = frame(days=30, monthly_activities=30.0, n=1)
    return said, [rates, deals, weeks, health, parts, month], None


def of_relation(draw):
    effect, sign = clear(draw, "doubling_effect", 0.4)
    rows = [
        {"activity": "activity", "comparison": name, "n": 900, "n_reps": 30, "p_value": 0.001, **effect}
        for name in ("within a rep", "between reps")
    ]
    table = pd.DataFrame(rows)
    return activity_effect.relation_sentence(table), [table, frame(n=30, days=30, win_rate=0.5)], sign


def of_habits(draw):
    gap, _ = clear(draw, "behaviour_gap", 0.3)
    table = frame(
        behaviour="early_meeting_rate",
        n_compared=1,
        n=40,
        top_behaviour=0.5 + gap["behaviour_gap"],
        bottom_behaviour=0.5,
        p_value=0.001,
        is_named=True,
        **gap,
    )
    as_rates = frame(win_rate=[0.5, 0.5 + gap["behaviour_gap"], *map(abs, gap.values())], n=40, part=list("abcde"))
    return (
        top_bottom.coaching_sentences(table, earlier=Q2, later=Q3),
        [table, as_rates, frame(days=30, win_rate=0.5, n=1)],
        None,  # the gap is told inside the likely range alone
    )


def of_groups(draw):
    now, before, is_named = draw(MONEY), draw(MONEY), draw(NAMED)
    assume(now != before)
    return grouped(now, before, is_named), [], np.sign(now - before) if is_named else None


def of_coming(draw):
    counts = [draw(st.floats(1, 500)) for _ in range(3)]
    counts.append(sum(counts))
    table = frame(part=["leads here", "leads to arrive", "without a lead", "all"], n=[draw(st.integers(1, 900)), None, None, None], level=0.8, expected_deal_count=counts,
                  expected_deal_count_low=[each * 0.7 for each in counts], expected_deal_count_high=[each * 1.3 for each in counts],
                  expected_qualified_count=[each * 1.1 for each in counts]).astype({"n": float})  # fmt: skip
    return deals_to_come.expected_sentence(table, Q4), [table], None


def of_factors(draw):
    errors = sorted(draw(SHARE) for _ in range(2))
    tested = frame(
        factor="fx",
        lag_quarters=draw(st.integers(0, 2)),
        n=12,
        own_past_wape=errors[1],
        factor_wape=errors[0],
        is_named=draw(NAMED),
        p_value=0.01,
        reason=None,
    )
    return outside_factors.factors_sentence(tested), [tested, *_as_counts([1, 2])], None


def _as_counts(*lists):
    """Counts as the page has them beside other figures: n, numerators, rows of a table."""
    return [frame(open_count=int(each), n=1) for values in lists for each in values]


TOLD = [of_rate, of_mix, of_driver, of_rival, of_faults, of_overdue, of_pace, of_cost, of_leads, of_sources, of_response, of_answers, of_routes, of_landing,
        of_series, of_past, of_choice, of_deals, of_stages, of_entries, of_stuck, of_outlook, of_reps, of_waterfall, of_pushes, of_activity, of_relation,
        of_habits, of_groups, of_coming, of_factors]  # fmt: skip


@pytest.mark.parametrize("make", TOLD, ids=lambda make: make.__name__)
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])  # what is drawn is small already
@given(data=st.data())
def test_a_headline_says_its_figures_and_their_direction(make, data):
    sentences, tables, sign = make(data.draw)
    known = [one for table in tables for one in figures.of(table, SCOPE)]
    for sentence in [sentences] if isinstance(sentences, str) else sentences:
        assert agreement.untraced(sentence, known, currency="USD", names=["Fair 2"]) == [], sentence
        assert agreement.contradictions(sentence) == [], sentence
        assert not re.search(r"\b(?:nan|None|inf)\b(?! of)", sentence), sentence
    if sign:
        first = sentences if isinstance(sentences, str) else sentences[0]
        assert (
            said("up" if sign > 0 else "down", re.split(r"(?: and at an|: a change of mix| with all else)", first)[0])
            == ""
        )
