"""BPI Challenge 2012, an event log as a funnel: what is read and published equals a plain count of the log's lines."""

from datetime import date

import pandas as pd
import pytest
from conftest import shared
from test_real_data import SOURCES, figure, figures, published

from salesops import crm, journey
from salesops import funnel as funnel_module
from salesops.periods import Period

DATA = "bpic2012-loan-applications"
STAGES = ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED"]
ENDINGS = {
    "A_APPROVED": "won",
    "A_REGISTERED": "won",
    "A_ACTIVATED": "won",
    "A_DECLINED": "lost",
    "A_CANCELLED": "no_decision",
}


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """The lines of applications: case, step, local time, amount asked for."""
    events = pd.read_csv(shared(DATA) / "events.csv.gz")
    events = events[events["concept:name"].str.startswith("A_")]
    moment = pd.to_datetime(events["time:timestamp"], utc=True, format="ISO8601")
    return pd.DataFrame(
        {
            "case": events["case:concept:name"].astype(str),
            "step": events["concept:name"],
            "time": moment.dt.tz_convert("Europe/Amsterdam").dt.tz_localize(None).astype("datetime64[us]"),
            "amount": events["case:AMOUNT_REQ"],
            "ending": events["concept:name"].map(ENDINGS),
        }
    )


@pytest.fixture(scope="module")
def company() -> crm.Company:
    shared(DATA)
    return crm.load(SOURCES / "bpic2012" / "source.yaml")


@pytest.fixture(scope="module")
def funnel(tmp_path_factory) -> dict:
    shared(DATA)
    return published(tmp_path_factory.mktemp("bpic"), ["funnel"], "bpic2012")["funnel"]


def outcomes(log: pd.DataFrame) -> pd.Series:
    """What became of each case of some lines; no case has two endings."""
    return log.groupby("case")["ending"].first().fillna("open")


def test_every_case_is_one_deal_with_its_outcome(company, log):
    deals = company.opportunities.set_index("opportunity_id").sort_index()
    assert len(deals) == 13_087 and (deals["outcome"] == "open").sum() == 399
    assert deals["outcome"].to_dict() == outcomes(log).to_dict()
    assert deals["amount"].to_dict() == log.groupby("case")["amount"].first().to_dict()
    ended = log[log["ending"].notna()].groupby("case")["time"].min().reindex(deals.index)
    assert deals["closed_at"].equals(ended.rename("closed_at").rename_axis("opportunity_id"))
    assert deals["close_date"].equals(ended.dt.normalize().rename("close_date").rename_axis("opportunity_id"))


def test_every_line_is_one_row_of_history_at_its_moment(company, log):
    read = company.stage_history.sort_values(["opportunity_id", "seq"], ignore_index=True)
    lines = log.sort_values(["case", "time"], kind="stable", ignore_index=True)
    assert read["stage"].tolist() == lines["step"].tolist()
    assert read["changed_at"].tolist() == lines["time"].tolist()
    entered = company.stage_history.groupby("stage")["opportunity_id"].nunique()
    assert entered.to_dict() == log.groupby("step")["case"].nunique().to_dict()
    assert entered[STAGES].tolist() == [13_087, 13_087, 7_367, 5_113, 5_015]


@pytest.mark.parametrize("day", ["2011-10-30", "2011-12-31", "2012-02-29"])
def test_the_log_replays(log, day):
    then = crm.load(SOURCES / "bpic2012" / "source.yaml", as_of=day).opportunities
    lines = log[log["time"] < pd.Timestamp(day) + pd.Timedelta(days=1)]
    assert then.set_index("opportunity_id")["outcome"].to_dict() == outcomes(lines).to_dict()
    last = lines.sort_values("time", kind="stable").groupby("case")["step"].last()
    assert then.set_index("opportunity_id")["stage"].to_dict() == last.to_dict()


def test_the_funnel_counts_who_entered_each_stage(funnel, log):
    entered = log.groupby("step")["case"].nunique()
    found = {each["by"]["stage"]: each["n"] for each in figures(funnel, "stage_conversion_rate")}
    assert found == entered[STAGES].to_dict()
    is_open = outcomes(log).eq("open")
    at = log[log["case"].isin(is_open.index[is_open])].sort_values("time", kind="stable").groupby("case")["step"].last()
    waiting = {each["by"]["stage"]: each["numerator"] for each in figures(funnel, "still_open_rate")}
    assert waiting == at.value_counts().reindex(STAGES, fill_value=0).to_dict()


def test_the_funnel_converts_within_what_the_open_cases_can_still_become(funnel, log):
    reached = log.groupby("step")["case"].nunique()
    won = (outcomes(log) == "won").sum()
    for each in figures(funnel, "stage_conversion_rate"):
        stage = each["by"]["stage"]
        later = [*STAGES[STAGES.index(stage) + 1 :], "won"]
        advanced = won if later == ["won"] else reached[later[0]]
        (waiting,) = [one["numerator"] for one in figures(funnel, "still_open_rate", stage=stage)]
        low, high = advanced / each["n"], (advanced + waiting) / each["n"]
        assert low - 1e-9 <= each["value"] <= high + 1e-9, stage


def test_the_last_month_s_open_cases_are_open(company, log):
    """Entries of the last month, stage by stage: those open are neither gone on nor lost, and hold the rate between."""
    month = Period("last month", date(2012, 2, 15), date(2012, 3, 14))
    deals = company.opportunities
    visits = journey.stage_visits(
        company.stage_history, stages=company.stages, opportunities=deals, as_of=company.as_of, carry=["account_id"]
    )
    table = funnel_module.stage_conversion(visits, period=month).set_index("stage")
    final, reached = outcomes(log), log.groupby("case")["step"].agg(set)
    n_open = []
    for place, stage in enumerate(STAGES):
        first = log[log["step"] == stage].groupby("case")["time"].min()
        cases = first.index[first >= "2012-02-15"]
        goes_on = reached[cases].map(lambda steps, at=place: bool(steps & {*STAGES[at + 1 :]})) | (
            final[cases] == "won"
        )
        waits = (final[cases] == "open") & ~goes_on
        row = table.loc[stage]
        counts = row[["n", "n_advanced", "n_still_there", "n_still_open", "n_lost"]].tolist()
        lost = len(cases) - goes_on.sum() - waits.sum()
        assert counts == [len(cases), goes_on.sum(), waits.sum(), waits.sum(), lost], stage
        assert goes_on.mean() - 1e-9 <= row["stage_conversion_rate"] <= goes_on.mean() + waits.mean() + 1e-9, stage
        n_open.append(waits.sum())
    assert sum(n_open) > 100, n_open


def test_what_is_open_is_published(funnel, log):
    is_open = outcomes(log).eq("open")
    asked = log.groupby("case")["amount"].first()
    assert figure(funnel, "open_count")["value"] == is_open.sum() == 399
    assert figure(funnel, "open_amount")["value"] == asked[is_open].sum()
    assert funnel["period"] == {"label": "all", "start": "2011-10-01", "end": "2012-03-14"}
    assert funnel["status"] == "ok" and not funnel["sections_left_out"]
