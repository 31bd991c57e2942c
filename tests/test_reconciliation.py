"""The bridge from the CRM's own totals to ours: each step by hand, the remainder nil or exit 3."""

import re

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from salesops import checks, cli
from salesops.crm import reconciliation, sample

# Six deals: one plain win, one in euro, one renewal, one booked late, one of a negative amount, one moved by night.
DEALS = """opportunity_id,opportunity_type,amount,currency,outcome,close_date,closed_at,owner_id,created_date
plain,new,100,USD,won,2026-08-01,2026-08-01T12:00:00Z,ann,2026-05-01
euro,new,100,EUR,won,2026-08-01,2026-08-01T12:00:00Z,ann,2026-05-01
renewal,renewal,40,USD,won,2026-08-01,2026-08-01T12:00:00Z,ann,2026-05-01
late,new,30,USD,won,2026-06-30,2026-07-02T12:00:00Z,ann,2026-05-01
minus,new,-7,USD,won,2026-08-01,2026-08-01T12:00:00Z,ann,2026-05-01
night,new,9,USD,lost,2026-06-30,2026-07-01T02:00:00Z,ann,2026-05-01
after,new,500,USD,won,2026-10-05,2026-10-05T12:00:00Z,ann,2026-05-01
"""
HISTORY = """opportunity_id,changed_at,seq,stage,owner_id,amount,close_date
plain,2026-05-01T00:00:00Z,1,Open,bob,100,2026-08-01
plain,2026-08-01T11:00:00Z,2,Won,bob,100,2026-08-01
plain,2026-09-01T00:00:00Z,3,Won,ann,100,2026-08-01
"""
RATES = "date,currency,rate\n2026-01-01,EUR,1.0\n2026-08-01,EUR,1.1\n2026-09-30,EUR,1.2\n"
SOURCE = {"currency": "USD", "stages": {"order": ["Open"], "won": ["Won"], "lost": ["Lost"]}}


@pytest.fixture
def folder(tmp_path):
    files = {
        "opportunities.csv": DEALS,
        "stage_history.csv": HISTORY,
        "fx_rates.csv": RATES,
        "source.yaml": yaml.safe_dump(SOURCE),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def bridge(folder, metric: str, value: float, counted: dict | None = None, by: dict | None = None) -> dict[str, float]:
    """The steps of one total, as of 30 September 2026, over 2026Q3."""
    line = {"metric": metric, "value": value} | ({"by": by} if by else {})
    wanted = {"as_of": "2026-09-30", "period": "2026Q3", "counted": counted or {}, "totals": [line]}
    path = folder / "expected.yaml"
    path.write_text(yaml.safe_dump(wanted), encoding="utf-8")
    rows = reconciliation.of_source(folder, path).rows
    assert rows["amount"].iloc[:-1].sum() == pytest.approx(rows["amount"].iloc[-1])  # the bridge closes
    return dict(zip(rows["step"], rows["amount"], strict=True))


def test_population_and_exclusions_are_steps(folder):
    steps = bridge(folder, "won_amount", 100 + 110 + 40 - 7)
    assert steps == pytest.approx(
        {"CRM's report": 243, "unexplained": 0, "exclusions": 7, "population": -40, "salesops": 210}
    )


def test_the_clock_is_a_step(folder):
    steps = bridge(folder, "won_count", 5, {"clock": "closed_at"})
    assert steps["unexplained"] == 0 and steps["clock"] == -1  # the win booked late counts on its close date


def test_the_exchange_rate_is_a_step(folder):
    steps = bridge(folder, "won_amount", 100 + 120 + 40 - 7, {"conversion": "constant"})
    assert steps["unexplained"] == 0 and steps["currency"] == pytest.approx(-10)
    assert bridge(folder, "won_amount", 100 + 100 + 40 - 7, {"conversion": "plan"})["currency"] == pytest.approx(10)


def test_the_time_zone_is_a_step(folder):
    steps = bridge(folder, "lost_count", 0, {"time_zone": "America/New_York"})
    assert steps["unexplained"] == 0 and steps["time zone"] == 1


def test_credit_is_a_step(folder):
    steps = bridge(folder, "won_count", 4, by={"owner_id": "ann"})
    assert steps["unexplained"] == 0 and steps["credit"] == -1  # bob closed the plain one


def test_extract_lag_is_a_step(folder):
    steps = bridge(folder, "open_count", 0, {"extracted": "2026-10-06"})
    assert steps["unexplained"] == 0 and steps["extract lag"] == 1  # won on 5 October, open in September


def test_what_no_step_explains_is_said_and_exits_with_3(folder, capsys):
    bridge(folder, "won_amount", 300)
    assert cli.main(["reconcile", str(folder), str(folder / "expected.yaml")]) == 3
    out = capsys.readouterr().out
    assert re.search(r"unexplained +-57.00\n", out) and "do not tie" in out


def test_the_banner_says_whether_totals_tie(folder):
    assert reconciliation.beside("sample") is None and reconciliation.beside(folder) is None
    bridge(folder, "won_amount", 243)
    assert reconciliation.beside(folder).ties and reconciliation.beside(folder / "source.yaml").ties
    bridge(folder, "won_amount", 244)
    assert not reconciliation.beside(folder).ties


def test_totals_that_tie_exit_with_0(folder, capsys):
    bridge(folder, "won_amount", 243)
    assert cli.main(["reconcile", str(folder), str(folder / "expected.yaml")]) == 0
    assert "The totals tie." in capsys.readouterr().out


def test_the_samples_raw_totals_tie_by_owner(tmp_path):
    deals = sample.tables()["opportunities"].dropna(subset=["opportunity_id", "outcome"]).drop_duplicates()
    won = deals[(deals["outcome"] == "won") & deals["close_date"].between("2026-07-01", "2026-09-30")]
    totals = [
        {"metric": "won_amount", "by": {"owner_id": str(owner)}, "value": float(rows["amount"].sum())}
        for owner, rows in won.groupby("owner_id")
    ][:8]
    (tmp_path / "e.yaml").write_text(yaml.safe_dump({"period": "2026Q3", "totals": totals}), encoding="utf-8")
    found = reconciliation.of_source("sample", tmp_path / "e.yaml")
    assert found.ties and len(pd.unique(found.rows["total"])) == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("totals: [{metric: won_amout, value: 1}]", "Give a metric of won_amount"),
        ("totals: [{metric: won_amount, value: much}]", "Give a metric of .* and its value"),
        ("total: []", "no totals. List them"),
        ("totals: []\ncounted: {clok: closed_at}", "unknown key 'clok'.*Did you mean 'clock'"),
        ("totals: []\ncounted: {clock: noon}", "clock 'noon'. Use close_date or closed_at"),
        ("totals: []\ncounted: {conversion: spot}\n", "conversion: 'spot'"),
        ("totals: [", "is no YAML"),
    ],
)
def test_a_file_that_says_something_else_is_refused(folder, text, words):
    path = folder / "expected.yaml"
    path.write_text(
        text if "spot" not in text else text.replace("[]", "[{metric: won_amount, value: 1}]"), encoding="utf-8"
    )
    with pytest.raises(checks.ParameterError, match=words):
        reconciliation.of_source(folder, path)


def test_no_file_is_said(folder):
    with pytest.raises(checks.ParameterError, match="no such file"):
        reconciliation.of_source(folder, ROOT / "nothing.yaml")
