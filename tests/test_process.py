"""How closely the process is followed: hand-worked cases, equal reps, and what the sentences say."""

import numpy as np
import pandas as pd
import pytest

from salesops import checks, deal_rules, process
from salesops.stats import shrinkage


def stays(paths: dict[str, list[int]], *, ends: str = "lost", pipeline: str = "new") -> pd.DataFrame:
    """Visits of deals by the places they came to, ten days each."""
    rows = []
    for deal, places in paths.items():
        for number, place in enumerate(places):
            following = places[number + 1] if number + 1 < len(places) else None
            step = None if following is None else following - place
            how = ends if step is None else "back" if step < 1 else "forward" if step == 1 else "skip"
            begin = pd.Timestamp("2026-01-01") + pd.Timedelta(days=10 * number)
            rows.append({"opportunity_id": f"{pipeline}-{deal}", "visit": number + 1, "pipeline": pipeline,
                         "stage": f"S{place}", "position": place, "entered_at": begin,
                         "exited_at": begin + pd.Timedelta(days=10), "exit": how, "days": 10.0,
                         "is_reentry": place in places[:number], "owner_id": deal[0], "account_id": deal})  # fmt: skip
    return pd.DataFrame(rows)


def test_skipped_stages_by_hand():
    visits = stays({"a1": [1, 2, 3], "a2": [1, 3], "a3": [1], "b1": [1, 3, 2, 3], "b2": [2, 3], "b3": [2, 4]})
    table = process.skipped_stages(visits).set_index("owner_id")
    # a3 never moved; b1 came to the stage after all; b2 began in the second; b3 passed the third
    assert table["n"].to_dict() == {"a": 2, "b": 3}
    assert table["n_skipped"].to_dict() == {"a": 1, "b": 1}
    assert table.loc["a", "skipped_stage_rate"] == 0.5
    whole = process.skipped_stages(visits, by=None).iloc[0]
    assert whole["n"] == 5 and whole["n_skipped"] == 2


def test_pipelines_have_stages_of_their_own_and_a_win_passes_all():
    other = stays({"a4": [1, 2]}, pipeline="renewal")
    both = pd.concat([stays({"a1": [1, 2, 3, 4, 5]}), other], ignore_index=True)
    assert process.skipped_stages(both, by=None).loc[0, ["n", "n_skipped"]].tolist() == [2, 0]
    gap = pd.concat([both, stays({"a5": [1, 3]}, pipeline="renewal")], ignore_index=True)
    assert process.skipped_stages(gap[gap["position"] != 2], by=None).loc[0, "n_skipped"] == 0  # nobody was ever there
    renewed = pd.concat([stays({"a1": [1, 2, 3]}), stays({"a5": [1, 3]}, pipeline="renewal")], ignore_index=True)
    assert process.skipped_stages(renewed, by=None).loc[0, "n_skipped"] == 0  # the renewals' second is another's
    won = pd.concat([stays({"a1": [1, 2, 3], "a3": [1, 2, 3]}), stays({"a2": [1]}, ends="won")], ignore_index=True)
    assert process.skipped_stages(won, by=None).loc[0, ["n", "n_skipped"]].tolist() == [3, 1]
    assert process.skipped_stages(won[:0], by=None).loc[0, "n"] == 0
    assert process.skipped_stages(won[:0]).empty


def rules_held(faults: dict[str, list[str]], owner: str = "r1") -> pd.DataFrame:
    rows = [(deal, owner, rule, rule in broken) for deal, broken in faults.items()
            for rule in ("no amount", "skipped a stage", "owner has left", deal_rules.PAST_DUE)]  # fmt: skip
    return pd.DataFrame(rows, columns=["opportunity_id", "owner_id", "rule", "is_faulty"])


def test_compliance_counts_deals_and_only_rules_of_the_process():
    found = rules_held(
        {"A": [], "B": ["no amount", "skipped a stage"], "C": ["owner has left"], "D": [deal_rules.PAST_DUE]}
    )
    other = rules_held({"E": ["no amount"]}, owner=None)
    table = process.process_compliance(pd.concat([found, other], ignore_index=True))
    assert table["n"].tolist() == [4, 1] and table["n_compliant"].tolist() == [3, 0]
    assert table["owner_id"].fillna("?").tolist() == ["r1", "?"] and table.loc[0, "process_compliance_rate"] == 0.75
    shrunk = shrinkage.pooled_rates([3, 0], [4, 1])
    assert table["shrunk_compliance_rate"].tolist() == pytest.approx(shrunk["rate"].tolist())
    assert (table["shrunk_compliance_rate_low"] <= table["shrunk_compliance_rate"]).all()
    assert process.process_compliance(found[:0]).empty


def test_every_rule_of_the_process_exists():
    assert set(process.PROCESS) <= {rule.name for rule in deal_rules.RULES}


def test_limits_of_chance_are_the_exact_binomial_ones():
    # 300 of 1,000; of 100 at 0.3, P(X >= 46) = 0.0005 and P(X >= 45) = 0.0011; P(X <= 16) = 0.00097.
    table = pd.DataFrame({"owner_id": list("abcde"), "n": [100, 100, 100, 700, 19], "hit": [46, 45, 16, 193, 0]})
    judged = process.beyond_chance(table[:4], hits="hit")
    assert judged["is_outside"].tolist() == [True, False, True, False]
    assert process.beyond_chance(table, hits="hit")["owner_id"].tolist() == list("abcd")  # 19 deals: not judged
    assert process.beyond_chance(table[:0], hits="hit").empty
    untold = table.assign(hit=pd.array([46, 45, None, None, 0], dtype="Int64"))
    assert process.beyond_chance(untold, hits="hit")["owner_id"].tolist() == ["a", "b"]


def test_equal_reps_are_hardly_ever_marked():
    random, marked = np.random.default_rng(0), 0
    for _ in range(300):
        n = random.integers(20, 120, 30)
        table = pd.DataFrame({"n": n, "hit": random.binomial(n, 0.7)})
        marked += process.beyond_chance(table, hits="hit")["is_outside"].sum()
    assert marked / 9_000 <= 0.002 + 2 * np.sqrt(0.002 / 9_000)


def test_sentences_count_and_name_nobody():
    judged = pd.DataFrame({"owner_id": ["Zoe", "Ann", "Bo"], "n": 50, "is_outside": [True, True, False]})
    said = process.difference_sentence(judged, what="open deals in order", deals="open deals")
    assert said.startswith("2 of 3 reps with at least 20 open deals have shares of open deals in order")
    assert not any(name in said for name in judged["owner_id"])
    none = process.difference_sentence(judged[2:], what="open deals in order", deals="open deals")
    assert none == "Too few reps have 20 open deals to compare their shares of open deals in order."


def test_what_is_missing_is_told():
    with pytest.raises(checks.DataError, match="missing column"):
        process.process_compliance(rules_held({"A": []}).drop(columns="rule"))
    with pytest.raises(checks.DataError, match="owner_id"):
        process.skipped_stages(stays({"a1": [1, 2]}).drop(columns="owner_id"))
