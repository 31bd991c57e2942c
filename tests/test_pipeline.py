"""Ages of deals against hand-worked ones."""

from datetime import date

from conftest import deals

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
