"""The ledger of decisions: read strictly, scored as before and after would, said truly in every state."""

from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import deals

from salesops import before_after, checks, decisions

START, CHANGE, AS_OF = date(2024, 1, 1), date(2025, 1, 1), date(2025, 12, 31)
ENTRY = """
- decision: Ask for a sponsor
  owner: Ann Lee
  metric: won_in_time_rate
  change_date: 2025-01-01
  group: segment == 'SMB'
  days: 30
  baseline: 20 %
  expected_effect: 10 points
  review_date: 2025-12-01
  sign_off: {by: Max Stone, on: 2024-12-20}
"""


def ledger(place, text=ENTRY):
    (place / "decisions.yaml").write_text(text, encoding="utf-8")
    return decisions.read(place, source="sample")


def company(*, after=0.4, other=0.2, each=6, seed=1, until=AS_OF):
    """Deals of two segments opened every day, won 10 days later with a share that steps for SMB at the change."""
    days = pd.date_range(START, until, freq="D").repeat(each)
    draw = np.random.default_rng(seed).random(len(days))
    is_smb = np.arange(len(days)) % 2 == 0
    share = np.where(is_smb & (days >= pd.Timestamp(CHANGE)), after, np.where(is_smb, 0.2, other))
    rows = pd.DataFrame({"created_date": days, "segment": np.where(is_smb, "SMB", "Public")})
    rows["close_date"] = days + pd.Timedelta(days=10)
    rows["outcome"] = np.where(draw < share, "won", "lost")
    rows["account_id"] = [f"a{number}" for number in range(len(rows))]
    return deals(rows.to_dict("records"))


def is_in(frame):
    return lambda group: frame["segment"].eq("SMB") if group else None


def scored(decided, frame, as_of=AS_OF):
    return decisions.scored(decided, frame, as_of=as_of, is_in=is_in(frame))


def double_difference(frame, as_of):
    """After less before in the group, less the same in the others: by a plain loop over the deals."""
    counts = {(smb, after): [0, 0] for smb in (True, False) for after in (True, False)}
    for row in frame.itertuples():
        start, end = row.created_date.date(), row.close_date.date()
        if start + timedelta(days=30) > as_of or CHANGE - timedelta(days=30) <= start < CHANGE:
            continue
        cell = counts[row.segment == "SMB", start >= CHANGE]
        cell[0] += bool(row.is_won and (end - start).days <= 30)
        cell[1] += 1
    share = {key: won / n for key, (won, n) in counts.items()}
    return (share[True, True] - share[True, False]) - (share[False, True] - share[False, False])


def test_a_decision_is_read_whole(tmp_path):
    row = ledger(tmp_path).iloc[0]
    assert (row["baseline_rate"], row["expected_effect"], row["days"]) == (0.2, 0.1, 30)
    assert (row["change_date"], row["signed_by"], row["signed_date"]) == (CHANGE, "Max Stone", date(2024, 12, 20))
    usual = ledger(tmp_path, ENTRY.replace("  days: 30\n", "").split("  sign_off")[0]).iloc[0]
    assert usual["days"] == decisions.DAYS and pd.isna(usual["signed_by"])
    assert ledger(tmp_path, ENTRY + "  source: other\n").empty and decisions.read(tmp_path / "none").empty


@pytest.mark.parametrize(("old", "new", "said"), [
    ("  owner: Ann Lee\n", "", "owner is missing in 1 of 1 decision (decision 1). Write who answers for it."),
    ("won_in_time_rate", "won_in_time", "metric is no metric. Did you mean 'won_in_time_rate'? in 1 of 1"),
    ("won_in_time_rate", "slippage_rate", "metric cannot be scored by before and after in 1 of 1 decision (decision 1: "
     "'slippage_rate'). Write one that can: won_in_time_rate, win_rate, decided_win_rate, all_closed_win_rate."),
    ("20 %", "20", "baseline is no share in 1 of 1 decision (decision 1: '20.0'). Write it as 24 % or as 0.24."),
    ("10 points", "0", "expected_effect is nothing or more than 100 points in 1 of 1 decision (decision 1: '0.0')."),
    ("2025-12-01", "2024-12-01", "review_date is not after change_date in 1 of 1 decision (decision 1: '2024-12-01')."),
    ("days: 30", "days: soon", "days is no number of days in 1 of 1 decision (decision 1: 'soon')."),
    ("by: Max Stone, ", "", "sign_off does not say by and on in 1 of 1 decision"),
])  # fmt: skip
def test_each_fault_says_where_what_how_many_and_what_to_do(tmp_path, old, new, said):
    with pytest.raises(checks.DataError) as caught:
        ledger(tmp_path, ENTRY.replace(old, new))
    assert f"/decisions.yaml: {said}" in str(caught.value)


def test_a_decision_survives_ten_runs_over_changing_data_and_is_scored_as_before_and_after_would(tmp_path):
    states = []
    for step in range(10):
        as_of = date(2025, 2, 1) + timedelta(days=36 * step)
        frame = company(seed=step, until=as_of)
        decided = ledger(tmp_path) if not step else decisions.read(tmp_path, source="sample")
        row = scored(decided, frame, as_of).iloc[0]
        states.append(row["state"])
        assert (row["decision"], row["owner"], row["baseline_rate"]) == ("Ask for a sponsor", "Ann Lee", 0.2)
        if row["state"] == decisions.TOO_EARLY:
            assert as_of < date(2025, 7, 3) and pd.isna(row["decision_effect"])
            continue
        assert as_of >= date(2025, 7, 3), "five months to the sixth cohort's first day, and thirty days for its deals"
        assert row["decision_effect"] == pytest.approx(double_difference(frame, as_of), abs=1e-12)
        cases = before_after.cases(frame, change_date=CHANGE, as_of=as_of, days=30, group=frame["segment"].eq("SMB"))
        main = before_after.effect(cases).iloc[1]
        assert main["is_main"] and (row["n_before"], row["n_after"]) == (main["n_before"], main["n_after"])
        ends = [row[f"decision_effect_{end}"] for end in ("low", "high")]
        assert ends == pytest.approx([main["change_effect_low"], main["change_effect_high"]])
    assert states[0] == decisions.TOO_EARLY and states.count(decisions.BETTER) >= 4


def test_a_decision_for_all_deals_is_scored_by_the_series(tmp_path):
    frame = company(other=0.2, after=0.6)
    row = scored(ledger(tmp_path, ENTRY.replace("  group: segment == 'SMB'\n", "")), frame).iloc[0]
    cases = before_after.cases(frame, change_date=CHANGE, as_of=AS_OF, days=30)
    main = before_after.effect(cases).iloc[0]
    assert main["is_main"] and row["decision_effect"] == main["change_effect"]


@pytest.mark.parametrize(("after", "points", "state", "expected"), [
    (0.5, 10, decisions.BETTER, decisions.REACHED),
    (0.3, 10, decisions.BETTER, decisions.POSSIBLE),
    (0.3, 40, decisions.BETTER, decisions.EXCLUDED),
    (0.05, 10, decisions.WORSE, decisions.EXCLUDED),
    (0.05, -5, decisions.WORSE, decisions.REACHED),
    (0.2, 30, decisions.UNCLEAR, decisions.EXCLUDED),
    (0.2, 1, decisions.UNCLEAR, decisions.POSSIBLE),
])  # fmt: skip
def test_every_outcome_against_what_was_expected(tmp_path, after, points, state, expected):
    decided = ledger(tmp_path, ENTRY.replace("10 points", f"{points} points"))
    row = scored(decided, company(after=after, seed=3)).iloc[0]
    assert (row["state"], row["expected"]) == (state, expected)
    low, high, aim = row["decision_effect_low"], row["decision_effect_high"], points / 100
    assert (state == decisions.UNCLEAR) == (low <= 0 <= high) and (expected == decisions.POSSIBLE) == (
        low < aim <= high
    )


def row_of(**changes):
    usual = {
        "decision": "Ask for a sponsor.", "metric": "won_in_time_rate", "change_date": CHANGE, "days": 30,
        "expected_effect": 0.05, "state": decisions.BETTER, "expected": decisions.REACHED, "reason": None,
        "decision_effect": 0.08, "decision_effect_low": 0.05, "decision_effect_high": 0.12, "n_before": 1500,
        "n_after": 400, "judged_from_date": date(2025, 7, 3),
    }  # fmt: skip
    return pd.DataFrame([usual | changes])


HEAD = '"Ask for a sponsor" (since 1 January 2025): '


@pytest.mark.parametrize(("changes", "said"), [
    ({}, "deals are won within 30 days more often, by 8 points (likely between 5 and 12); that is at least the expected 5 points."),
    ({"state": "worse", "decision_effect": -0.08, "decision_effect_low": -0.12, "decision_effect_high": -0.05,
      "expected": "excluded"}, "deals are won within 30 days less often, by 8 points (likely between 5 and 12); the expected 5 points can be ruled out."),
    ({"state": "worse", "decision_effect": -0.08, "decision_effect_low": -0.12, "decision_effect_high": -0.05,
      "expected_effect": -0.05}, "deals are won within 30 days less often, by 8 points (likely between 5 and 12); that is at least the expected fall of 5 points."),
    ({"state": "no clear change", "expected": "possible"}, "no clear change of how often deals are won within 30 days (1,500 deals before, 400 after); the expected 5 points are still possible."),
    ({"state": "no clear change", "expected": "excluded"}, "no clear change of how often deals are won within 30 days (1,500 deals before, 400 after); the expected 5 points can be ruled out."),
    ({"state": "too early", "reason": "none of the deals started since has had its 30 days"}, "too early to tell, none of the deals started since has had its 30 days; from 3 July 2025 on."),
    ({"state": "too early", "reason": "only 3 of the deals started since have had 30 days", "judged_from_date": None}, "too early to tell, only 3 of the deals started since have had 30 days."),
    ({"state": "not scored", "reason": "all deals ended alike"}, "not scored, all deals ended alike."),
])  # fmt: skip
def test_the_sentence_is_true_in_every_state(changes, said):
    assert decisions.sentences(row_of(**changes)) == [HEAD + said]


def of_closed(metric, frame, as_of):
    """After less before among the deals that closed, in the group and in the others, by a plain loop."""
    counts = {(smb, after): [0, 0] for smb in (True, False) for after in (True, False)}
    for row in frame.itertuples():
        is_out = metric != "all_closed_win_rate" and pd.isna(row.qualified_date)
        if is_out or row.close_date.date() > as_of or (metric == "decided_win_rate" and row.outcome == "no_decision"):
            continue
        cell = counts[row.segment == "SMB", row.close_date.date() >= CHANGE]
        cell[0] += bool(row.is_won)
        cell[1] += 1
    share = {key: won / n for key, (won, n) in counts.items()}
    return (share[True, True] - share[True, False]) - (share[False, True] - share[False, False]), counts


@pytest.mark.parametrize("metric", list(decisions.SCORED)[1:])
def test_a_share_of_closed_deals_is_scored_by_the_day_they_closed(tmp_path, metric):
    frame = company(after=0.5)
    lost = frame.index[frame["outcome"].eq("lost")]
    frame.loc[lost[::4], "outcome"] = "no_decision"
    frame["qualified_date"] = frame["created_date"].where(frame.index % 5 > 0)
    row = scored(ledger(tmp_path, ENTRY.replace("won_in_time_rate", metric)), frame, date(2025, 12, 15)).iloc[0]
    effect, counts = of_closed(metric, frame[frame["close_date"] <= "2025-12-15"], date(2025, 12, 15))
    assert row["state"] == decisions.BETTER and row["decision_effect"] == pytest.approx(effect, abs=1e-12)
    assert (row["n_before"], row["n_after"]) == (counts[True, False][1], counts[True, True][1])
    (said,) = decisions.sentences(pd.DataFrame([row]))
    assert said.startswith(f"{HEAD}{decisions.SCORED[metric]} more often, by ") and "within" not in said
    early = scored(ledger(tmp_path, ENTRY.replace("won_in_time_rate", metric)), frame.iloc[:0], CHANGE).iloc[0]
    assert early["reason"] == "no deal has closed since" and early["judged_from_date"] == date(2025, 6, 3)


def test_before_its_day_or_without_its_group_a_decision_is_kept_and_says_why(tmp_path):
    def refuse(_):
        raise checks.ParameterError("group: there is no column 'regoin'.")

    frame = company(until=date(2024, 6, 1))
    [late] = scored(ledger(tmp_path), frame, date(2024, 6, 1)).to_dict("records")
    assert (late["state"], late["reason"]) == (decisions.TOO_EARLY, "it begins later") and not late["is_due"]
    lost = decisions.scored(decisions.read(tmp_path)[:1], company(), as_of=AS_OF, is_in=refuse)
    assert decisions.sentences(lost) == [HEAD + "not scored, group: there is no column 'regoin'."]


def test_a_fall_that_dates_without_a_change_show_too_is_no_change(monkeypatch, tmp_path):
    tried = pd.DataFrame({"is_as_large": [True] * 2 + [False] * 19})
    monkeypatch.setattr(before_after, "placebos", lambda *_, **__: tried)
    assert scored(ledger(tmp_path), company(after=0.5))["state"].tolist() == [decisions.UNCLEAR]
    monkeypatch.setattr(before_after, "placebos", lambda *_, **__: tried[1:])
    assert scored(ledger(tmp_path), company(after=0.5))["state"].tolist() == [decisions.BETTER]


def test_the_ledger_puts_due_reviews_first_and_shows_people_as_the_policy_has_it(tmp_path):
    text = ENTRY.replace("2025-12-01", "2027-01-01").split("  sign_off")[0] + ENTRY.replace("Ask", "Max Stone asks")
    masked = SimpleNamespace(hidden=("a scrubber",), unnamed=lambda text: text.replace("Max Stone", "M. S."))
    open_ = SimpleNamespace(hidden=(), unnamed=str)
    scores = scored(ledger(tmp_path, text), company(until=date(2025, 3, 1)), date(2025, 12, 31))
    table = decisions.ledger(decisions.shown(scores, masked))
    assert table["decision"].tolist() == ["M. S. asks for a sponsor", "Ask for a sponsor"]
    assert table["signed"].tolist() == ["M. S., 20 December 2024", "not signed"]
    assert table["owner"].tolist() == ["a colleague"] * 2
    assert decisions.ledger(decisions.shown(scores, open_))["owner"].tolist() == ["Ann Lee"] * 2


def test_no_decision_gives_no_row_and_no_sentence(tmp_path):
    none = scored(decisions.read(tmp_path), company(until=date(2024, 2, 1)), AS_OF)
    assert (
        none.empty
        and decisions.sentences(none) == []
        and decisions.ledger(decisions.shown(none, SimpleNamespace(hidden=(), unnamed=str))).empty
    )
