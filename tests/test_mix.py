"""Mix against rate: hand-worked cases, a naive loop, its identities and every form of the sentence."""

import runpy
from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, deals
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from salesops import checks, mix, pipeline
from salesops.crm import sample
from salesops.periods import Period
from salesops.report import agreement, figures

CLOSED = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["won", "lost", "open"]),
            "segment": st.sampled_from(["SMB", "Enterprise", None]),
            "opportunity_type": st.sampled_from(["new", "expansion"]),
            "account_id": st.sampled_from(["acme", "bolt", "core", None]),
        }
    ),
    max_size=20,
)


def groups(**counts):
    """Closed deals: won and lost by segment."""
    return deals(
        [
            {"segment": segment, "outcome": outcome, "account_id": f"{segment}{outcome}{number}"}
            for segment, (won, lost) in counts.items()
            for outcome, count in (("won", won), ("lost", lost))
            for number in range(count)
        ]
    )


def test_a_pure_change_of_mix():
    """SMB 60 to 80 % at 10 %, Large 40 to 20 % at 40 %: 22 to 16 %, all of it mix."""
    now, before = groups(SMB=(8, 72), Large=(8, 12)), groups(SMB=(6, 54), Large=(16, 24))
    table = mix.win_rate_change(now, before, "segment").set_index("component")
    assert table["win_rate_change"].tolist() == pytest.approx([-0.06, -0.06, 0.0], abs=1e-12)
    assert table.loc["mix", "dimension"] == "segment" and table["dimension"].isna().tolist() == [True, False, True]
    assert table["n"].tolist() == [100] * 3 and table["n_won_before"].tolist() == [22] * 3
    parts = mix.group_contributions(now, before, "segment").set_index("segment")
    assert parts.loc["SMB", "deal_share_change"] == pytest.approx(0.2)
    assert parts["mix_contribution"].tolist() == pytest.approx([0.2 * (0.1 - 0.19), -0.2 * (0.4 - 0.19)])
    assert parts["within_contribution"].tolist() == pytest.approx([0, 0], abs=1e-12)


def test_a_pure_change_of_rate():
    now, before = groups(SMB=(20, 40), Large=(10, 30)), groups(SMB=(10, 50), Large=(10, 30))
    table = mix.win_rate_change(now, before, "segment")
    assert table["win_rate_change"].tolist() == pytest.approx([0.1, 0.0, 0.1], abs=1e-12)


def test_both_at_once_by_hand():
    """SMB 40 to 60 % of the deals at 20, then 30 %; Large the rest at 50, then 40 %: overall 38, then 34 %."""
    parts = mix.group_contributions(
        groups(SMB=(18, 42), Large=(16, 24)), groups(SMB=(8, 32), Large=(30, 30)), "segment"
    ).set_index("segment")
    assert parts.loc["SMB", "within_contribution"] == pytest.approx(0.5 * 0.1)
    assert parts.loc["Large", "within_contribution"] == pytest.approx(0.5 * -0.1)
    assert parts.loc["SMB", "mix_contribution"] == pytest.approx(0.2 * (0.25 - 0.36))
    assert parts.loc["Large", "mix_contribution"] == pytest.approx(-0.2 * (0.45 - 0.36))


def test_the_sentence_names_the_group_that_did_most_first():
    now, before = (
        groups(SMB=(90, 510), Mid=(40, 60), Large=(60, 240)),
        groups(SMB=(30, 170), Mid=(160, 240), Large=(80, 320)),
    )
    change, parts = mix.win_rate_change(now, before, "segment"), mix.group_contributions(now, before, "segment")
    said = mix.sentence(change, parts, now="B", before="A")
    assert "a change of mix (fewer Mid, more SMB deals) took 8 points off it" in said
    title = mix.sentence(change, parts, now="B", before="A", brief=True)
    assert title == "The win rate fell 8 points, from 27 % to 19 %"
    flat = mix.sentence(change.assign(is_named=False), parts, now="B", before="A", rate="share won", brief=True)
    assert flat == "The share won: no clear change, 27 % to 19 %"


def test_a_group_of_one_time_only_is_mix():
    now, before = groups(SMB=(5, 5), Public=(1, 9)), groups(SMB=(5, 5))
    table = mix.win_rate_change(now, before, "segment")
    assert table["win_rate_change"].tolist() == pytest.approx([-0.2, -0.2, 0.0])
    parts = mix.group_contributions(now, before, "segment").set_index("segment")
    assert parts.loc["Public", ["n", "n_before", "deal_share_before"]].tolist() == [10, 0, 0]
    assert np.isnan(parts.loc["Public", "win_rate_before"]) and parts.loc["Public", "win_rate"] == 0.1


def test_a_missing_group_is_a_row(missing_segment):
    parts = mix.group_contributions(missing_segment, missing_segment, "segment")
    assert parts["segment"].isna().tolist() == [True, False] and parts["n"].tolist() == [2, 1]


def test_open_and_never_qualified_deals_are_left_out():
    frame = deals([{}, {"outcome": "lost"}, {"outcome": "open"}, {"outcome": "lost", "qualified_date": None}])
    assert mix.win_rate_change(frame, frame, "segment")["n"].tolist() == [2] * 3


def test_no_deals_is_unknown(no_deals, one_won):
    for now, before in ((no_deals, one_won), (one_won, no_deals), (no_deals, no_deals)):
        table = mix.win_rate_change(now, before, "segment")
        assert table["win_rate_change"].isna().all() and not table["is_named"].any()
        parts = mix.group_contributions(now, before, "segment")
        assert parts["mix_contribution"].isna().all()


def test_two_dimensions_have_a_mix_part_each():
    now = deals([{"segment": "SMB", "opportunity_type": "new"}, {"segment": "Large", "opportunity_type": "new"}] * 3)
    before = deals([{"segment": "SMB", "opportunity_type": kind, "outcome": "lost"} for kind in ("new", "renewal")] * 3)
    table = mix.win_rate_change(now, before, ["segment", "opportunity_type"])
    assert table["dimension"].tolist()[1:3] == ["segment", "opportunity_type"]
    assert table["win_rate_change"].iloc[1:].sum() == pytest.approx(1.0, abs=1e-12)


@given(CLOSED, CLOSED)
@settings(max_examples=40, deadline=None)
def test_parts_sum_and_turn_round(now, before):
    now, before = deals(now), deals(before)
    for by in ("segment", ["segment", "opportunity_type"]):
        table = mix.win_rate_change(now, before, by)["win_rate_change"]
        if now["is_closed"].any() and before["is_closed"].any():
            rates = [frame.loc[frame["is_closed"], "is_won"].mean() for frame in (now, before)]
            assert table[0] == pytest.approx(rates[0] - rates[1], abs=1e-12)
            assert table[1:].sum() == pytest.approx(table[0], abs=1e-12)
            back = mix.win_rate_change(before, now, by)["win_rate_change"]
            assert back.to_numpy() == pytest.approx(-table.to_numpy(), abs=1e-12)
    parts, whole = mix.group_contributions(now, before, "segment"), mix.win_rate_change(now, before, "segment")
    assert parts["mix_contribution"].sum(skipna=False) == pytest.approx(
        whole["win_rate_change"][1] if len(parts) else 0, abs=1e-12, nan_ok=True
    )
    assert parts["n"].sum() == now["is_closed"].sum()


def test_the_order_of_rows_and_open_deals_do_not_matter():
    now, before = groups(SMB=(8, 32), Large=(8, 12)), groups(SMB=(16, 24), Large=(6, 14))
    table = mix.win_rate_change(now, before, "segment")
    shuffled = pd.concat([now.sample(frac=1, random_state=1), deals([{"outcome": "open"}] * 5)])
    pd.testing.assert_frame_equal(table, mix.win_rate_change(shuffled, before, "segment"))


def test_the_interval_is_the_naive_jackknife_over_accounts():
    rng = np.random.default_rng(3)
    rows = [
        {
            "segment": rng.choice(["SMB", "Large"]),
            "outcome": rng.choice(["won", "lost"]),
            "account_id": rng.choice(["a", "b", "c", "d", "e", "f", None]),
        }
        for _ in range(60)
    ]
    now, before = deals(rows[:30]), deals(rows[30:])
    both = [
        frame.assign(unit=frame["account_id"].fillna(pd.Series(frame.index.astype(str) + f"alone{k}")))
        for k, frame in enumerate((now, before))
    ]
    units = pd.unique(pd.concat(both)["unit"])
    left_out = [
        mix.win_rate_change(*(frame[frame["unit"] != unit] for frame in both), "segment")["win_rate_change"]
        for unit in units
    ]
    m = len(units)
    error = np.sqrt((m - 1) / m * ((np.array(left_out) - np.mean(left_out, axis=0)) ** 2).sum(axis=0))
    table = mix.win_rate_change(now, before, "segment")
    half = (table["win_rate_change_high"] - table["win_rate_change_low"]) / 2
    assert half.to_numpy() == pytest.approx(t.ppf(0.975, m - 1) * error)


def test_deals_of_one_account_widen_the_interval():
    now, before = groups(SMB=(20, 20), Large=(20, 20)), groups(SMB=(10, 30), Large=(20, 20))
    alone = mix.win_rate_change(now, before, "segment")
    paired = [frame.assign(account_id=frame["account_id"].str[:-1]) for frame in (now, before)]
    related = mix.win_rate_change(*paired, "segment")
    for table in (alone, related):
        table["length"] = table["win_rate_change_high"] - table["win_rate_change_low"]
    assert related["length"][0] > 1.2 * alone["length"][0]


@pytest.mark.parametrize("missing", ["segment", "is_won", "account_id", "qualified_date"])
def test_a_missing_column_says_where(missing, one_won):
    with pytest.raises(checks.DataError, match=f"closed_before: missing column .'{missing}'"):
        mix.win_rate_change(one_won, one_won.drop(columns=missing), "segment")


def said(total, mixed, rate, n=1000, clear=(True, True, True), share=0.2, n_before=1000):
    values = np.array([total, mixed, rate])
    change = pd.DataFrame(
        {
            "component": ["total", "mix", "rate"],
            "dimension": [None, "segment", None],
            "n": n,
            "n_before": n_before,
            "n_won": max(round((0.24 + total) * n), 0),
            "n_won_before": round(0.24 * n_before),
            "win_rate_change": values,
            "win_rate_change_low": values - 0.01,
            "win_rate_change_high": values + 0.01,
            "is_named": clear,
        }
    )
    parts = pd.DataFrame(
        {
            "segment": ["SMB", "Large", "Mid"],
            "mix_contribution": [mixed, -mixed, mixed / 2],
            "mix_contribution_low": [mixed - 0.001, -mixed - 0.001, -1],
            "mix_contribution_high": [mixed + 0.001, -mixed + 0.001, 1],
            "deal_share_change": [share, -share, share],
        }
    )
    return mix.sentence(change, parts, now="2026Q3", before="2025Q3")


@pytest.mark.parametrize(
    ("total", "mixed", "rate", "clear", "share", "end"),
    [
        (-0.03, -0.03, 0, (1, 1, 0), 0.2, "The win rate fell 3 points from 2025Q3 (24 %) to 2026Q3 (21 %): a change of mix (more SMB deals) took 3 points off it (likely between 2 and 4), and at an unchanged mix by segment there is no clear change."),
        (0.03, 0.03, 0, (1, 1, 0), -0.2, "The win rate rose 3 points from 2025Q3 (24 %) to 2026Q3 (27 %): a change of mix (fewer SMB deals) added 3 points to it (likely between 2 and 4), and at an unchanged mix by segment there is no clear change."),
        (-0.03, 0, -0.03, (1, 0, 1), 0.2, ": a change of mix made no clear difference, and at an unchanged mix by segment it fell 3 points (likely between 2 and 4)."),
        (-0.05, -0.03, -0.02, (1, 1, 1), 0.2, ": a change of mix (more SMB deals) took 3 points off it (likely between 2 and 4), and at an unchanged mix by segment it fell 2 points (likely between 1 and 3)."),
        (0.0, -0.03, 0.03, (0, 1, 1), 0.2, "The win rate shows no clear change from 2025Q3 (24 %) to 2026Q3 (24 %), but a change of mix (more SMB deals) took 3 points off it (likely between 2 and 4), and at an unchanged mix by segment it rose 3 points (likely between 2 and 4)."),
        (0.0, 0.0, 0.0, (0, 0, 0), 0.2, "The win rate shows no clear change from 2025Q3 (24 %) to 2026Q3 (24 %), nor does it at an unchanged mix by segment."),
        (-0.02, -0.01, -0.01, (1, 0, 0), 0.2, "The win rate fell 2 points from 2025Q3 (24 %) to 2026Q3 (22 %): a change of mix made no clear difference, and at an unchanged mix by segment there is no clear change."),
    ],
)  # fmt: skip
def test_every_form_of_the_sentence(total, mixed, rate, clear, share, end):
    assert said(total, mixed, rate, clear=[bool(each) for each in clear], share=share).endswith(end)


def test_too_few_deals_are_not_split():
    assert said(-0.3, -0.3, 0, n=12) == (
        "Too few deals to split a change of the win rate into mix and rate: only 12 in 2026Q3."
    )
    assert said(-0.3, -0.3, 0, n_before=0).endswith("none in 2025Q3.")


def test_the_planted_mix_shift_is_mix_and_no_decline():
    frame = sample.tables(seed=1)["opportunities"].query("opportunity_type != 'renewal'")
    periods = [Period(str(year), date(year - 1, 10, 1), date(year, 9, 30)) for year in (2026, 2025)]
    now, before = (pipeline.closed_in(frame, each) for each in periods)
    table = mix.win_rate_change(now, before, "segment").set_index("component")
    assert table.loc["mix", "win_rate_change_high"] < 0 and not table.loc["rate", "is_named"]
    said = mix.sentence(
        table.reset_index(),
        mix.group_contributions(now, before, "segment"),
        now="the year to 2026Q3",
        before="the year to 2025Q3",
    )
    assert "fewer Mid-Market" in said and said.endswith("at an unchanged mix by segment there is no clear change.")


def test_intervals_cover_with_repeating_accounts():
    bench = runpy.run_path(str(ROOT / "benchmarks" / "mix.py"))
    covered = bench["coverage"](draws=150, cell=bench["CELLS"][1], seed=9)
    for part in ("total", "mix", "rate"):
        assert 0.90 <= covered[part] <= 0.995


def entered(**counts):
    """Deals that entered a stage: converted and not by segment."""
    return groups(**counts).assign(is_converted=lambda frame: frame["is_won"])[
        ["segment", "account_id", "opportunity_type", "is_converted"]
    ]


def test_conversion_by_hand():
    """SMB 40 to 60 % of the entries at 20, then 30 %; Large the rest at 50, then 40 %: overall 38, then 34 %."""
    now, before = entered(SMB=(18, 42), Large=(16, 24)), entered(SMB=(8, 32), Large=(30, 30))
    table = mix.conversion_change(now, before, "segment")
    mixed = 0.2 * 0.25 - 0.2 * 0.45
    assert table["conversion_change"].tolist() == pytest.approx([-0.04, mixed, -0.04 - mixed], abs=1e-12)
    assert table["n_converted"].tolist() == [34] * 3 and table["n_converted_before"].tolist() == [38] * 3
    parts = mix.conversion_contributions(now, before, "segment").set_index("segment")
    assert parts.loc["SMB", "conversion_within_contribution"] == pytest.approx(0.5 * 0.1)
    assert parts.loc["Large", "conversion_mix_contribution"] == pytest.approx(-0.2 * (0.45 - 0.36))
    assert parts["entry_share"].tolist() == [0.6, 0.4] and parts["entry_share_before"].tolist() == [0.4, 0.6]
    assert parts["entry_share_change"].tolist() == pytest.approx([0.2, -0.2])
    assert parts["conversion_in_time_rate"].tolist() == [0.3, 0.4]


@given(CLOSED, CLOSED)
@settings(max_examples=25, deadline=None)
def test_conversion_is_split_as_the_win_rate_is(now, before):
    """One definition: the same rows give the same figures, whatever the rate is called."""
    frames = [frame[frame["is_closed"]] for frame in (deals(now), deals(before))]
    renamed = [
        frame.assign(is_converted=frame["is_won"])[["segment", "account_id", "is_converted"]] for frame in frames
    ]
    for one, other in (
        (mix.win_rate_change, mix.conversion_change),
        (mix.group_contributions, mix.conversion_contributions),
    ):
        pd.testing.assert_frame_equal(
            one(*frames, "segment"), other(*renamed, "segment").set_axis(one(*frames, "segment").columns, axis=1)
        )


def test_entries_that_never_closed_count():
    now = pd.DataFrame({"segment": "SMB", "account_id": list("abcd"), "is_converted": [True, False, False, False]})
    assert mix.conversion_change(now, now, "segment")["n"].tolist() == [4] * 3


def test_the_sentence_names_the_conversion():
    now, before = entered(SMB=(90, 510), Mid=(40, 60)), entered(SMB=(30, 170), Mid=(160, 240))
    told = mix.sentence(
        mix.conversion_change(now, before, "segment"),
        mix.conversion_contributions(now, before, "segment"),
        now="B",
        before="A",
        rate="share of deals won within 120 days",
    )
    assert told == (
        "The share of deals won within 120 days fell 13 points from A (32 %) to B (19 %): a change of mix "
        "(fewer Mid, more SMB deals) took 13 points off it (likely between 9 and 17), "
        "and at an unchanged mix by segment there is no clear change."
    )
    few = entered(SMB=(2, 2))
    parts = mix.conversion_change(few, few, "segment"), mix.conversion_contributions(few, few, "segment")
    assert mix.sentence(*parts, now="B", before="A") == (
        "Too few deals to split a change of the conversion into mix and rate: only 4 in B."
    )
    same = entered(SMB=(200, 200), Large=(100, 300))
    parts = mix.conversion_change(same, same, "segment"), mix.conversion_contributions(same, same, "segment")
    assert mix.sentence(*parts, now="B", before="A") == (
        "The conversion shows no clear change from A (38 %) to B (38 %), nor does it at an unchanged mix by segment."
    )


@pytest.mark.parametrize("missing", ["segment", "is_converted", "account_id"])
def test_a_missing_column_of_entries_says_where(missing):
    whole = entered(SMB=(1, 1))
    with pytest.raises(checks.DataError, match=f"entries_before: missing column .'{missing}'"):
        mix.conversion_change(whole, whole.drop(columns=missing), "segment")


@pytest.mark.parametrize("made", [mix.win_rate_change, mix.conversion_change])
def test_every_number_of_the_sentence_is_a_figure_of_its_table(made):
    sold = groups(SMB=(17, 46), Large=(11, 29)), groups(SMB=(23, 34), Large=(9, 21))
    entries = entered(SMB=(17, 46), Large=(11, 29)), entered(SMB=(23, 34), Large=(9, 21))
    change = made(*(sold if made is mix.win_rate_change else entries), "segment")
    told = mix.sentence(change, change.iloc[:0], now="the year to 2026Q3", before="the year to 2025Q3")
    assert "(37 %)" in told and "(27 %)" in told
    found = figures.of(change)
    assert agreement.untraced(told, found) == []
    rates = {figure["metric"]: figure for figure in found if figure["by"]["component"] == "total"}
    (before,) = (figure for name, figure in rates.items() if name.endswith("rate_before"))
    assert (before["n"], before["numerator"], before["denominator"]) == (87, 32, 87)
    assert before["low"] < before["value"] == 32 / 87 < before["high"]
