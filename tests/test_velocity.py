"""Sales velocity: hand-worked companies, Little's law, a naive loop, its identities and every form of the sentence."""

import runpy
from datetime import date

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, deals
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from salesops import checks, crm, evenings, velocity, win_loss
from salesops.crm import model
from salesops.periods import Period, quarter, trailing_quarters

Q2, Q3 = Period("2026Q2", date(2026, 4, 1), date(2026, 6, 30)), Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))
AS_OF = date(2026, 9, 30)
STAGES = model.conform(
    pd.DataFrame(
        {
            "pipeline": "new",
            "stage": ["Talk", "Won", "Lost"],
            "position": [1, 2, 3],
            "is_closed": [False, True, True],
            "is_won": [False, True, False],
        }
    ),
    "stages",
)
NOTHING = model.conform(
    pd.DataFrame(columns=["opportunity_id", "changed_at", "seq", "stage", "amount", "close_date"]), "stage_history"
)
MANY = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(["won", "lost", "open"]),
            "segment": st.sampled_from(["SMB", "Large", None]),
            "account_id": st.sampled_from(["acme", "bolt", "core", None]),
            "qualified_date": st.sampled_from(["2026-02-01", "2026-05-15", "2026-07-20", None]),
            "close_date": st.sampled_from(["2026-04-03", "2026-06-30", "2026-07-01", "2026-09-30"]),
            "amount": st.sampled_from([0.0, 10.0, 250.5, None]),
        }
    ),
    max_size=25,
)


def tallied(rows, history=NOTHING, *, periods=(Q2, Q3), as_of=AS_OF, **options):
    frame = rows if isinstance(rows, pd.DataFrame) else deals(rows)
    return velocity.tallies(frame, history, periods=list(periods), as_of=as_of, **options)


def one(qualified, closed, outcome="won", amount=100.0, **more):
    """A deal by its days; an open one is due at the end of the year."""
    return {
        "qualified_date": qualified,
        "created_date": qualified,
        "close_date": closed or "2026-12-31",
        "outcome": outcome,
        "amount": amount,
    } | more


COMPANY = [
    one("2026-03-01", "2026-04-10", amount=1000.0, account_id="a"),  # 40 days
    one("2026-03-01", "2026-05-20", "lost", account_id="a"),  # 80 days
    one("2026-06-01", "2026-07-31", amount=3000.0, account_id="b"),  # 60 days, open at the end of Q2
    one("2026-06-01", "2026-08-30", amount=1000.0, account_id="c"),  # 90 days, open at the end of Q2
    one("2026-06-20", "2026-07-10", "lost", account_id="c"),  # 20 days, open at the end of Q2
    one("2026-07-01", "2026-07-31", "lost", account_id=None),  # 30 days
    one("2026-09-30", None, "open", account_id="d"),
    one("2026-09-01", None, "open", account_id="d"),
    one("2026-10-01", None, "open", account_id="d", created_date="2026-01-01"),  # qualified after the last evening
]


def test_two_quarters_by_hand():
    """Q2: 3 open * 1/2 * 1000 / 60 = 25 a day; Q3: 2 open * 2/4 * 2000 / 50 = 40 a day."""
    table = velocity.velocity(tallied(COMPANY)).set_index("period")
    assert table[["n_open", "n", "n_won", "n_timed"]].to_numpy().tolist() == [[3, 2, 1, 2], [2, 4, 2, 4]]
    assert table["win_rate"].tolist() == [0.5, 0.5]
    assert table["won_size_amount"].tolist() == pytest.approx([1000, 2000])
    assert table["exit_days"].tolist() == pytest.approx([60, 50])
    assert table["won_exit_days"].tolist() == pytest.approx([40, 75])
    assert table["sales_velocity_amount"].tolist() == pytest.approx([25, 40])
    assert table["won_cycle_velocity_amount"].tolist() == pytest.approx([3 * 0.5 * 1000 / 40, 2 * 0.5 * 2000 / 75])
    assert table["booked_per_day_amount"].tolist() == pytest.approx([1000 / 91, 4000 / 92])


def test_the_change_by_hand():
    """25 to 40 a day: open 3 to 2, win rate as it was, size doubled, days 60 to 50."""
    table = velocity.velocity_change(tallied(COMPANY), now=Q3, before=Q2).set_index("component")
    parts = table["velocity_change_amount"]
    assert parts["total"] == pytest.approx(15) and parts["win rate"] == pytest.approx(0, abs=1e-12)
    # Each factor's part by the order-free rule of three: weights 1/3, 1/6, 1/6, 1/3 over the orders of the others.
    a, b = (3 * 0.5, 2 * 0.5), (1000, 2000)
    c = (1 / 60, 1 / 50)
    by_hand = (a[1] - a[0]) * ((b[0] * c[0] + b[1] * c[1]) / 3 + (b[0] * c[1] + b[1] * c[0]) / 6)
    assert parts["open deals"] == pytest.approx(by_hand)
    assert parts["deal size"] > 0 > parts["open deals"] and parts["days to an end"] > 0
    assert table[["n", "n_before", "n_won", "n_won_before"]].iloc[0].tolist() == [4, 2, 2, 1]


def stream(days=50, won=lambda number: number % 4 == 0, amount=100.0):
    """A deal a day, each open for as many days: a steady world."""
    first = pd.Timestamp("2025-10-01")
    rows = []
    for number in range(365):
        start = first + pd.Timedelta(days=number)
        end = start + pd.Timedelta(days=days)
        is_open = end > pd.Timestamp(AS_OF)
        outcome = "open" if is_open else "won" if won(number) else "lost"
        rows.append(one(start, end, outcome, amount, account_id=f"a{number}"))
    return rows


def test_littles_law_in_a_steady_world():
    """92 deals end in Q3 after 50 days each, 50 are open, 23 are won: velocity is what is booked."""
    row = velocity.velocity(tallied(stream(), periods=[Q3])).iloc[0]
    assert row[["n_open", "n", "n_won"]].tolist() == [50, 92, 23]
    assert row["sales_velocity_amount"] == pytest.approx(row["booked_per_day_amount"]) == pytest.approx(25.0)


def test_open_deals_are_those_of_the_evening_by_replay():
    """Lost in June and opened again in August: open at neither evening's eve but on the day between; by record, lost."""
    moves = pd.DataFrame(
        {
            "opportunity_id": "d0",
            "changed_at": pd.to_datetime(["2026-03-01", "2026-06-10", "2026-08-01", "2026-09-20"]),
            "seq": range(4),
            "stage": ["Talk", "Lost", "Talk", "Lost"],
            "amount": 100.0,
            "close_date": pd.Timestamp("2026-09-20"),
        }
    )
    frame = deals([one("2026-03-01", "2026-09-20", "lost", closed_at="2026-09-20", pipeline="new", stage="Lost")])
    months = [Period(f"2026-{m:02}", date(2026, m, 1), date(2026, m, 28)) for m in (5, 6, 8, 9)]
    table = velocity.velocity(
        tallied(frame, model.conform(moves.assign(pipeline="new"), "stage_history"), periods=months, stages=STAGES)
    )
    assert table["n_open"].tolist() == [1, 0, 1, 0] and table["n"].tolist() == [0, 0, 0, 1]
    plain = velocity.velocity(tallied(frame, periods=months))
    assert plain["n_open"].tolist() == [1, 1, 1, 0]


def test_without_any_qualified_date_the_clock_starts_at_creation():
    rows = [row | {"qualified_date": None, "created_date": row["qualified_date"]} for row in COMPANY]
    usual, created = (velocity.velocity(tallied(each)) for each in (COMPANY, rows))
    pd.testing.assert_frame_equal(usual, created)
    mixed = [*COMPANY, one(None, "2026-08-01", amount=9e9) | {"created_date": "2026-01-01"}]
    pd.testing.assert_frame_equal(usual, velocity.velocity(tallied(mixed)))


def test_what_is_not_known_is_left_out_of_its_own_factor_only():
    more = [
        one("2026-07-01", "2026-08-01", amount=None),  # no amount: in the win rate and the days
        one("2026-08-15", "2026-08-01", "lost"),  # ended before it was qualified: in the win rate
    ]
    row = velocity.velocity(tallied([*COMPANY, *more], periods=[Q3])).iloc[0]
    assert row[["n", "n_won", "n_timed"]].tolist() == [6, 3, 5]
    assert row["won_size_amount"] == pytest.approx(2000) and row["win_rate"] == 0.5
    assert row["exit_days"] == pytest.approx((200 + 31) / 5)


def test_nothing_gives_missing_and_never_zero(no_deals, one_won, all_open):
    figures = ["sales_velocity_amount", "won_cycle_velocity_amount", "win_rate", "won_size_amount", "exit_days"]
    for frame in (no_deals, all_open):
        row = velocity.velocity(tallied(frame, periods=[Q3])).iloc[0]
        assert row["n"] == 0 and row[figures].isna().all() and row["booked_per_day_amount"] == 0
    change = velocity.velocity_change(tallied(all_open), now=Q3, before=Q2)
    assert change["velocity_change_amount"].isna().all() and not change["is_named"].any()
    assert change["p_value"].isna().all()
    row = velocity.velocity(tallied(one_won, periods=[Q3])).iloc[0]
    assert row["sales_velocity_amount"] == 0 and row["n_open"] == 0 and np.isnan(row["sales_velocity_amount_low"])
    unpriced = velocity.velocity(tallied([one("2026-07-01", "2026-08-01", amount=None)], periods=[Q3])).iloc[0]
    assert np.isnan(unpriced["booked_per_day_amount"]) and np.isnan(unpriced["sales_velocity_amount"])


def test_the_win_rate_is_that_of_every_other_page():
    more = [
        one(None, "2026-07-05", "lost"),
        one("2026-07-01", "2026-09-30", "no_decision"),
        one("2026-03-01", "2026-04-01"),
    ]
    frame = deals([*COMPANY, *more])
    usual = win_loss.win_rate_by_period(frame, [Q2, Q3], confidence=0.9)
    table = velocity.velocity(tallied(frame), confidence=0.9)
    limits = ["win_rate", "win_rate_low", "win_rate_high"]
    assert (
        table[["n", "n_won"]].to_numpy().tolist() == usual[["n", "won_count"]].to_numpy().tolist() == [[3, 2], [5, 2]]
    )
    assert table[limits].to_numpy() == pytest.approx(usual[limits].to_numpy(), rel=1e-12)


def test_groups_have_rows_of_their_own_and_sum_to_all():
    rows = [row | {"segment": "SMB" if place % 2 else None} for place, row in enumerate(COMPANY)]
    rows.append(one("2026-04-02", "2026-05-02", segment="Large"))
    table = velocity.velocity(tallied(rows, by="segment"), by="segment")
    whole = velocity.velocity(tallied(rows))
    assert len(table) == 6 and table["segment"].isna().sum() == 2
    for name in ("n_open", "n", "n_won"):
        assert table.groupby("period")[name].sum().tolist() == whole[name].tolist()
    large = table[table["segment"] == "Large"].set_index("period")
    assert large["n"].tolist() == [1, 0] and np.isnan(large.loc["2026Q3", "win_rate"])


def test_a_period_under_way_ends_on_the_last_day():
    row = velocity.velocity(tallied(COMPANY, periods=[Q3], as_of=date(2026, 7, 31))).iloc[0]
    assert row[["n", "n_won"]].tolist() == [3, 1]
    assert row["booked_per_day_amount"] == pytest.approx(3000 / 31) and row["period_end"] == Q3.end


@given(MANY)
@settings(max_examples=25, deadline=None)
def test_identities(rows):
    frame = deals(rows)
    kept = frame.copy()
    counted = tallied(frame)
    pd.testing.assert_frame_equal(frame, kept)
    table = velocity.velocity(counted)
    factors = table["n_open"] * table["win_rate"] * table["won_size_amount"] / table["exit_days"]
    both = table["sales_velocity_amount"].notna()
    assert table.loc[both, "sales_velocity_amount"].to_numpy() == pytest.approx(factors[both].to_numpy(), rel=1e-12)
    for name in ("sales_velocity_amount", "win_rate", "won_size_amount", "exit_days"):
        known = table[[name, f"{name}_low", f"{name}_high"]].dropna()
        assert (known[f"{name}_low"] <= known[name] + 1e-12).all() and (
            known[name] <= known[f"{name}_high"] + 1e-12
        ).all()
    change = velocity.velocity_change(counted, now=Q3, before=Q2)["velocity_change_amount"]
    expected = table["sales_velocity_amount"].diff().iloc[-1]
    assert change[0] == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
    assert change[1:].sum(skipna=False) == pytest.approx(change[0], rel=1e-12, abs=1e-12, nan_ok=True)
    back = velocity.velocity_change(counted, now=Q2, before=Q3)["velocity_change_amount"]
    assert back.to_numpy() == pytest.approx(-change.to_numpy(), rel=1e-9, abs=1e-9, nan_ok=True)
    shuffled = velocity.velocity(tallied(frame.sample(frac=1, random_state=2)))
    pd.testing.assert_frame_equal(table, shuffled)


def test_the_change_leaves_nothing_over():
    rng = np.random.default_rng(5)
    for _ in range(60):
        rows = [dict(zip(velocity._SUMS, rng.integers(1, 10**6, 9).astype(float), strict=True)) for _ in range(8)]
        frame = pd.DataFrame(rows).assign(company=[0, 1, 2, 3] * 2, period=["2026Q2"] * 4 + ["2026Q3"] * 4)
        parts = velocity.velocity_change(frame, now=Q3, before=Q2)["velocity_change_amount"]
        assert parts[1:].sum() == pytest.approx(parts[0], rel=1e-12, abs=1e-12 * parts.abs().max())


def test_the_interval_is_that_of_the_companies_sums():
    """A naive loop over companies: what each adds to the logarithm, squared and summed."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: rng.integers(1, 20, 12).astype(float) for name in velocity._SUMS})
    frame = frame.assign(
        company=[*range(10), 0, 1], period="2026Q3", period_start=Q3.start, period_end=Q3.end, n_days=92
    )
    row = velocity.velocity(frame).iloc[0]
    total = frame[velocity._SUMS].sum()
    added = {}
    for _, each in frame.iterrows():
        share = each[velocity._SUMS] / total
        up = share["n_open"] + share["n_won"] + share["won_amount"] + share["n_timed"]
        added[each["company"]] = (
            added.get(each["company"], 0) + up - share["n"] - share["n_priced"] - share["exit_days"]
        )
    squares = np.array([value**2 for value in added.values()])
    half = t.ppf(0.975, max(squares.sum() ** 2 / (squares**2).sum(), 5)) * np.sqrt(squares.sum() * 10 / 9)
    assert row["sales_velocity_amount_high"] == pytest.approx(row["sales_velocity_amount"] * np.exp(half))
    assert row["sales_velocity_amount_low"] == pytest.approx(row["sales_velocity_amount"] * np.exp(-half))


def test_deals_of_one_company_widen_the_interval():
    apart = stream()
    together = [row | {"account_id": f"a{place // 10}"} for place, row in enumerate(apart)]
    tables = [velocity.velocity(tallied(rows, periods=[Q3])).iloc[0] for rows in (apart, together)]
    narrow, wide = (row["exit_days_high"] - row["exit_days_low"] for row in tables)
    assert narrow == pytest.approx(0, abs=1e-9) == pytest.approx(wide, abs=1e-9)  # all take 50 days
    narrow, wide = (row["sales_velocity_amount_high"] / row["sales_velocity_amount_low"] for row in tables)
    assert wide > 1.2 * narrow


def test_deals_of_no_account_stand_alone():
    counted = tallied(
        [one("2026-06-01", "2026-08-01", account_id=name) for name in ("a", None, None, "a")], periods=[Q3]
    )
    assert counted["company"].tolist() == [0, 1, 2] and counted["n"].tolist() == [2, 1, 1]


def test_both_periods_of_a_company_are_related():
    """The same companies with the same deals twice: the change is nothing, and so is its interval."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({name: rng.integers(1, 20, 30).astype(float) for name in velocity._SUMS})
    twice = pd.concat([frame.assign(company=range(30), period=label) for label in ("2026Q2", "2026Q3")])
    table = velocity.velocity_change(twice, now=Q3, before=Q2)
    assert table["velocity_change_amount_high"].to_numpy() == pytest.approx(0, abs=1e-6)
    apart = pd.concat(
        [frame.assign(company=range(30), period="2026Q2"), frame.assign(company=range(30, 60), period="2026Q3")]
    )
    assert (velocity.velocity_change(apart, now=Q3, before=Q2)["velocity_change_amount_high"] > 1).all()


def test_tallies_say_what_is_wrong(one_won):
    with pytest.raises(checks.DataError, match=r"opportunities: missing column \['amount'\]"):
        tallied(one_won.drop(columns="amount"))
    with pytest.raises(checks.DataError, match=r"opportunities: missing column \['tier'\]"):
        tallied(one_won, by="tier")
    with pytest.raises(checks.ParameterError, match=r"velocity: periods are none. Name each once, and at least one."):
        tallied(one_won, periods=[])
    with pytest.raises(checks.ParameterError, match=r"velocity: periods are \['2026Q2', '2026Q2'\]. Name each once"):
        tallied(one_won, periods=[Q2, Q2])
    with pytest.raises(
        checks.ParameterError, match=r"velocity: 1 period begins after 2026-06-30 \(2026Q3\). Take earlier ones."
    ):
        tallied(one_won, as_of=date(2026, 6, 30))
    with pytest.raises(checks.DataError, match=r"tallied: missing columns \['period', 'company'"):
        velocity.velocity_change(one_won, now=Q3, before=Q2)


COMPONENTS = ["total", "open deals", "win rate", "deal size", "days to an end"]


def said(
    values, clear, *, n_won=(60, 60), pace=(39e3, 45e3), spread=1e3, deals="qualified deals", limits=True, **options
):
    values = np.array(values, dtype=float)
    table = pd.DataFrame(
        {
            "period": ["2026Q2", "2026Q3"],
            "n_won": n_won,
            "sales_velocity_amount": pace,
            "sales_velocity_amount_low": np.array(pace) * 0.9 if limits else np.nan,
            "sales_velocity_amount_high": np.array(pace) * 1.1 if limits else np.nan,
            "booked_per_day_amount": [38e3, 44e3],
        }
    )
    change = pd.DataFrame(
        {
            "component": COMPONENTS,
            "velocity_change_amount": values,
            "velocity_change_amount_low": values - spread,
            "velocity_change_amount_high": values + spread,
            "is_named": [bool(each) for each in clear],
        }
    )
    return velocity.sentence(table, change, now=Q3, before=Q2, currency="USD", deals=deals, **options)


PACE = "At the pace of 2026Q3 the open qualified deals bring $45K a day (likely between $40K and $50K), while $44K a day was booked."


@pytest.mark.parametrize(
    ("values", "clear", "end"),
    [
        ([6e3, 6e3, 0, 0, 0], (1, 1, 0, 0, 0), "That is $6.0K more than in 2026Q2 (likely between $5.0K and $7.0K more): more open deals added $6.0K."),
        ([-6e3, 0, -6e3, 0, 0], (1, 0, 1, 0, 0), "That is $6.0K less than in 2026Q2 (likely between $5.0K and $7.0K less): a lower win rate took off $6.0K."),
        ([6e3, 9e3, 3e3, -2e3, -4e3], (1, 1, 1, 1, 1), "That is $6.0K more than in 2026Q2 (likely between $5.0K and $7.0K more): more open deals added $9.0K, a higher win rate added $3.0K, smaller deals took off $2.0K, and more days to an end took off $4.0K."),
        ([6e3, 2e3, 2e3, 2e3, 0], (1, 0, 0, 0, 0), "That is $6.0K more than in 2026Q2 (likely between $5.0K and $7.0K more); which of its four factors moved it cannot be told."),
        ([0, -5e3, 0, 5e3, 0], (0, 1, 0, 1, 0), "The pace shows no clear change from 2026Q2, but fewer open deals took off $5.0K, and larger deals added $5.0K."),
        ([100, 0, 0, 0, 100], (0, 0, 0, 0, 1), "The pace shows no clear change from 2026Q2, but fewer days to an end added $100."),
        ([500, 0, 0, 0, 0], (0, 0, 0, 0, 0), "The pace shows no clear change from 2026Q2, nor does any of its four factors: open deals, win rate, deal size and days to an end."),
        ([500, 500, 0, 0, 0], (1, 1, 0, 0, 0), "That is $500 more than in 2026Q2: more open deals added $500."),
    ],
)  # fmt: skip
def test_every_form_of_the_sentence(values, clear, end):
    assert said(values, clear) == f"{PACE} {end}"


def test_the_sentence_with_too_few_or_unknown():
    none = ([np.nan] * 5, [0] * 5)
    assert said(*none, n_won=(60, 12)) == "Too few qualified deals to tell a sales velocity: 12 won in 2026Q3."
    assert said(*none, n_won=(60, 0)) == "Too few qualified deals to tell a sales velocity: none won in 2026Q3."
    assert said(*none, n_won=(0, 60)) == f"{PACE} Too few to compare it with 2026Q2: none won in 2026Q2."
    assert said(*none, pace=(39e3, np.nan)) == (
        "A sales velocity cannot be told for 2026Q3: open deals, amounts or days to an end are not known."
    )
    assert said(*none, pace=(np.nan, 45e3)) == (
        f"{PACE} It cannot be compared with 2026Q2, whose open deals, amounts or days to an end are not known."
    )
    assert said([500, 0, 0, 0, 0], [0] * 5, limits=False).startswith(
        "At the pace of 2026Q3 the open qualified deals bring $45K a day, while"
    )
    assert "the open deals bring" in said([0] * 5, [0] * 5, deals="deals")


def test_the_title_is_the_pace_and_its_change():
    head = "The open qualified deals bring $45K a day"
    assert said([-6e3, 0, -6e3, 0, 0], (1, 0, 1, 0, 0), brief=True) == f"{head}, $6.0K less than in 2026Q2"
    assert said([6e3, 6e3, 0, 0, 0], (0, 1, 0, 0, 0), brief=True) == f"{head}, no clear change from 2026Q2"
    assert said([6e3] * 5, (1,) * 5, n_won=(3, 60), brief=True) == head
    assert said([6e3] * 5, (1,) * 5, limits=False, brief=True) == f"{head}, $6.0K more than in 2026Q2"


def test_the_sample_company_against_a_plain_count():
    company = crm.load("sample", where="opportunity_type != 'renewal'")
    frame, periods = company.opportunities, trailing_quarters(quarter(AS_OF), 4)
    counted = tallied(frame, company.stage_history, periods=periods, stages=company.stages)
    table = velocity.velocity(counted).set_index("period")
    known = frame[frame["qualified_date"].notna()]
    for period in periods:
        closed = known[period.contains(evenings_end(known))]
        days = (evenings_end(closed) - closed["qualified_date"].dt.normalize()).dt.days
        won = closed[closed["is_won"]]
        row = table.loc[period.label]
        assert row[["n", "n_won"]].tolist() == [len(closed), len(won)]
        assert row["exit_days"] == pytest.approx(days[days >= 0].mean())
        assert row["won_size_amount"] == pytest.approx(won["amount"].mean())
        stood = evenings.between(
            known, company.stage_history, start=date(2020, 1, 1), end=period.end, stages=company.stages
        )
        qualified = (known["qualified_date"] < pd.Timestamp(period.end) + pd.Timedelta(days=1)).to_numpy()
        assert row["n_open"] == ((stood["state_after"] == "open").to_numpy() & qualified).sum()


def evenings_end(frame):
    moved = frame["closed_at"].dt.normalize().fillna(frame["close_date"])
    return frame["close_date"].where(frame["is_won"], moved).where(frame["is_closed"])


def test_intervals_cover_with_repeating_accounts():
    bench = runpy.run_path(str(ROOT / "benchmarks" / "velocity.py"))
    covered = bench["coverage"](draws=40, cell=bench["CELLS"][0], seed=9)
    for part in ("velocity", "total", "open deals", "win rate", "deal size", "days to an end"):
        assert covered[part] >= 0.85
    assert 0.8 < covered["mean"] < 1.2 and covered["won only"] < 0.9 * covered["mean"]
