"""Ages of deals and who owned them, against hand-worked ones."""

from datetime import date

import pandas as pd
from conftest import deals
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import pipeline

AS_OF = date(2026, 9, 30)


def test_ages_are_whole_days_and_impossible_ones_are_left_out():
    frame = deals(
        [
            {"created_date": "2026-07-01 15:00", "close_date": "2026-07-01"},
            {"created_date": "2026-07-02 15:00", "close_date": "2026-07-01"},
            {"created_date": None},
            {
                "outcome": "lost",
                "created_date": "2026-07-01 15:00",
                "close_date": "2026-08-01",
                "closed_at": "2026-07-11",
            },
            {"outcome": "open", "created_date": "2026-09-20 15:00"},
        ]
    )
    aged = pipeline.ages(frame, start="created_date", as_of=AS_OF)
    assert aged["days"].tolist() == [0, 10, 10] and aged["cause"].fillna("open").tolist() == ["won", "lost", "open"]


DAYS = pd.to_datetime([None, "2026-07-01", "2026-07-02", "2026-07-03"]).tolist()
CHANGES = st.lists(st.tuples(st.sampled_from("ABZ"), st.sampled_from(DAYS[1:]), st.sampled_from([1, 2, None]),
                             st.sampled_from(["U1", "U2", None])), max_size=6)  # fmt: skip
CLOSES = st.tuples(st.booleans(), st.sampled_from(DAYS), st.sampled_from(DAYS))


@settings(deadline=None)
@given(st.lists(CLOSES, max_size=2), CHANGES)
def test_the_owner_at_close_is_that_of_the_last_change_until_then(closes, changes):
    ids = list("AB"[: len(closes)])
    frame = pd.DataFrame(
        closes, columns=["is_closed", "close_date", "closed_at"], index=[9 - n for n in range(len(ids))]
    )
    dates = dict.fromkeys(["close_date", "closed_at"], "datetime64[us]")
    frame = frame.assign(opportunity_id=pd.array(ids, dtype="str"), owner_id="now").astype(dates)
    history = pd.DataFrame(changes, columns=["opportunity_id", "changed_at", "seq", "owner_id"])
    history = history.astype(
        {"changed_at": "datetime64[us]", "seq": "Int64", "opportunity_id": "str", "owner_id": "str"}
    )
    wanted = []
    for deal, (is_closed, close_date, closed_at) in zip(ids, closes, strict=True):
        until = (close_date + pd.Timedelta(days=1) if pd.isna(closed_at) else closed_at) if is_closed else pd.NaT
        seen = [(at, number or 3, place, owner) for place, (of, at, number, owner) in enumerate(changes)
                if of == deal and owner and at <= until]  # fmt: skip
        wanted.append(max(seen)[-1] if seen else "now")
    found = pipeline.owner_at_close(frame.astype({"is_closed": bool}), history)
    assert found.tolist() == wanted and found.index.equals(frame.index)
