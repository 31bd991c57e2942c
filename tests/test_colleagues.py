"""What a person's own page says of the others: together, never few, never by name."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from salesops import checks, colleagues, crm
from salesops.periods import Period

Q3 = Period("2026Q3", date(2026, 7, 1), date(2026, 9, 30))


def deals(wins: dict[int, list[bool]], team: set[int], close: str = "2026-08-01") -> pd.DataFrame:
    """Closed deals by person."""
    rows = [(person, person in team, won) for person, each in wins.items() for won in each]
    table = pd.DataFrame(rows, columns=["person", "is_team", "is_won"])
    return table.assign(
        is_closed=True, qualified_date=pd.Timestamp("2026-05-01"), close_date=pd.Timestamp(close),
        closed_at=pd.Series(pd.NaT, index=table.index, dtype="datetime64[us]"),
    )  # fmt: skip


def of(n_won: int, n: int) -> pd.DataFrame:
    return pd.DataFrame({"is_won": [True] * n_won + [False] * (n - n_won)})


def newcombe(x: int, n: int, y: int, m: int) -> tuple[float, float]:
    """Newcombe's hybrid score interval, written out."""
    z = norm.ppf(0.975)

    def wilson(k: int, size: int) -> tuple[float, float]:
        middle, half = k + z * z / 2, z * np.sqrt(k * (size - k) / size + z * z / 4)
        return (middle - half) / (size + z * z), (middle + half) / (size + z * z)

    (low, high), (other_low, other_high), gap = wilson(x, n), wilson(y, m), x / n - y / m
    return gap - np.hypot(x / n - low, other_high - y / m), gap + np.hypot(high - x / n, y / m - other_low)


def test_the_rates_and_gaps_of_a_hand_worked_case():
    peers = deals({0: [True] * 6 + [False] * 4, 1: [False] * 10, 2: [True] * 5 + [False] * 5}, team={0, 1})
    table = colleagues.beside(of(15, 20), peers, period=Q3, who="Ann", smallest_group=1)
    assert table["group"].tolist() == ["Ann", colleagues.TEAM, colleagues.COMPANY]
    assert table["n_reps"].tolist() == [1, 2, 1] and table["n"].tolist() == [20, 20, 10]
    assert table["colleague_win_rate"].tolist() == pytest.approx([0.75, 0.3, 0.5])
    assert table["colleague_gap"].tolist()[1:] == pytest.approx([0.45, 0.25]) and np.isnan(table["colleague_gap"][0])
    ends = table.loc[1, ["colleague_gap_low", "colleague_gap_high"]].tolist()
    assert ends == pytest.approx(newcombe(15, 20, 6, 20))


@pytest.mark.parametrize(("people", "is_shown"), [(4, False), (5, True)])
def test_a_group_of_few_people_is_left_out_however_many_their_deals(people, is_shown):
    peers = deals({person: [True] * 30 for person in range(people)}, team=set(range(people)))
    groups = colleagues.beside(of(3, 30), peers, period=Q3, who="Ann")["group"].tolist()
    assert (colleagues.TEAM in groups) == is_shown and colleagues.COMPANY not in groups


def test_people_without_a_deal_in_the_period_do_not_make_a_group_larger():
    inside = deals({person: [True] for person in range(4)}, team=set(range(4)))
    before = deals({9: [True]}, team={9}, close="2026-06-30")
    unqualified = deals({8: [False]}, team={8}).assign(qualified_date=pd.NaT)
    peers = pd.concat([inside, before, unqualified])
    assert len(colleagues.beside(of(1, 2), peers, period=Q3, who="Ann")) == 1


def test_nobody_beside_and_no_deals():
    alone = colleagues.beside(of(0, 0), pd.DataFrame(), period=Q3, who="Ann")
    assert len(alone) == 1 and alone["n"].item() == 0 and alone["colleague_win_rate"].isna().item()
    assert colleagues.beside_sentence(alone, period=Q3) == (
        "Ann closed no deals in 2026Q3: too few to set beside those of others."
    )
    with pytest.raises(checks.DataError, match="missing column"):
        colleagues.beside(pd.DataFrame(), pd.DataFrame(), period=Q3, who="Ann")


@pytest.mark.parametrize(
    ("won", "said"),
    [
        (58, "clearly more often"),
        (33, "not clearly more or less often"),
        (27, "not clearly more or less often"),
        (8, "clearly less often"),
    ],
)
def test_a_side_is_taken_only_beyond_chance(won, said):
    peers = deals({person: [True, False] * 30 for person in range(6)}, team=set())
    table = colleagues.beside(of(won, 60), peers, period=Q3, who="Ann")
    assert f": {said} than the reps of other teams (50 %)." in colleagues.beside_sentence(table, period=Q3)


def test_on_the_sample_the_others_are_the_company_less_the_person_and_bear_no_mark():
    whole = crm.load("sample", where="opportunity_type != 'renewal'")
    mine = crm.load("sample", where="(opportunity_type != 'renewal') and owner_id == 'U-008'")
    peers = mine.peers
    assert peers.columns.tolist() == [
        "is_closed", "is_won", "qualified_date", "close_date", "closed_at", "person", "is_team",
    ]  # fmt: skip
    assert whole.peers.empty and crm.load("sample", where="team == 'US West'").peers.empty
    owned = whole.opportunities["owner_id"].notna().sum()
    assert owned * 0.95 < len(peers) + len(mine.opportunities) <= len(whole.opportunities)
    assert len(peers) < owned and not peers["person"].isin(whole.reps["owner_id"]).any()
    team = whole.reps.set_index("owner_id")["team"]
    n_team = (team == team["U-008"]).sum()
    assert 5 <= peers.loc[peers["is_team"], "person"].nunique() < n_team
