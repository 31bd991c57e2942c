"""Small named companies, and where the shared data sets are."""

import os
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import report_toys
from hypothesis import settings
from rep_toys import people

from salesops import metrics
from salesops.crm import model
from salesops.periods import quarter
from salesops.report import drawing

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"

os.environ["SALESOPS_NOTES"] = os.devnull  # what people wrote about the sample is no part of it
os.environ["SALESOPS_CACHE"] = "off"  # but in the tests of the cache itself
settings.register_profile("house", deadline=None)  # the machine may be busy
settings.load_profile("house")


def deals(rows: list[dict]) -> pd.DataFrame:
    """Opportunities from a few columns: won unless told, closed on 2026-08-01, qualified, 100 each."""
    usual = {
        "outcome": "won",
        "close_date": "2026-08-01",
        "created_date": "2026-05-01",
        "qualified_date": "2026-06-01",
        "amount": 100.0,
        "account_id": "acme",
        "segment": "SMB",
        "owner_id": "r1",
        "stage": "Closed",
    }
    frame = pd.DataFrame(
        [usual | {"opportunity_id": f"d{number}"} | row for number, row in enumerate(rows)],
        columns=[*usual, "opportunity_id", *{key for row in rows for key in row} - {*usual, "opportunity_id"}],
    )
    for name in ("close_date", "created_date", "qualified_date", "closed_at"):
        frame[name] = pd.to_datetime(frame[name] if name in frame else None)
    frame["is_won"], frame["is_closed"] = frame["outcome"] == "won", frame["outcome"] != "open"
    return model.conform(frame, "opportunities")


@pytest.fixture
def q3():
    return quarter(date(2026, 9, 30))


@pytest.fixture
def no_deals():
    return deals([])


@pytest.fixture
def one_won():
    return deals([{}])


@pytest.fixture
def all_open():
    return deals([{"outcome": "open"}] * 3)


@pytest.fixture
def missing_segment():
    return deals([{"segment": None}, {"segment": None, "outcome": "lost"}, {"segment": "SMB"}])


@pytest.fixture
def reps():
    return people(
        [
            {"owner_id": "r1", "name": "Zoe"},
            {"owner_id": "r2", "name": "Ann", "team": "West"},
            {"owner_id": "m1", "name": "Max", "role": "manager", "team": "East"},
        ]
    )


@pytest.fixture(scope="module")
def vocabulary():
    """The metrics of the page's toys in the place of the package's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "registry", lambda: report_toys.REGISTRY)
        yield


@pytest.fixture
def canvas():
    with drawing.canvas(200) as axes:
        yield axes


def shared(name: str) -> Path:
    """The folder of a shared data set; the test is skipped, saying so, where it is absent."""
    folder = SHARED / name
    if not folder.exists():
        pytest.skip(f"shared data set {name} is not beside this checkout")
    return folder
