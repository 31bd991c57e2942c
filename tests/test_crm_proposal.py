"""What `salesops init` writes loads to the same tables, and gives its reasons."""

import pandas as pd
import pytest
from test_crm_shapes import DEALS, REPORT, SALESFORCE, STAGES, folder

from salesops import crm
from salesops.checks import ParameterError
from salesops.crm import model, proposal
from salesops.crm.sample import export


def same(path, *, to=None):
    """Write the proposal of a folder; every table is the same with it."""
    before = crm.load(path, where="")
    proposal.write(path, to)
    after = crm.load(to or path, where="")
    for table in model.TABLES:
        pd.testing.assert_frame_equal(getattr(before, table), getattr(after, table), obj=table)
    assert before.calendar == after.calendar
    assert before.currency == after.currency
    return (to or path / "source.yaml").read_text(encoding="utf-8")


def test_a_report_gets_its_stages_and_renewals_proposed(tmp_path):
    text = same(folder(tmp_path, report=REPORT.replace('"Renewal"', '"Contract renewal"')))
    assert 'order:   # open stages, told by the probability of their deals\n    "": [Proposal]' in text
    assert "# closed stages, told by their usual names\n  won: [Closed Won]\n  lost: [Closed Lost]" in text
    assert (
        "# values: {opportunity_type: {Contract renewal: renewal}}   # by their names; renewals are no new business"
        in text
    )
    assert 'probability: "Probability (%)"' in text
    assert "# currency: EUR   # no column names one" in text


def test_stages_of_flags_and_a_qualified_stage_are_proposed(tmp_path):
    deals = SALESFORCE.replace("0061G00000HhvicQAB,Core", "0061G00000HhvicQAB,Core #: 'x'").replace(
        "Closed Lost", "Dead: gone"
    )
    qualified = (
        deals
        + "0061G00000HhvieQAB,New,001,005A,Qualified,1,20,Pipeline,2026-12-01,2026-01-02T08:00:00.000+0000,false,false,false,New Business\n"
    )
    text = same(folder(tmp_path, Opportunity=qualified))
    assert "told by the deals' closed and won flags" in text
    assert 'lost: ["Dead: gone"]' in text
    assert "# qualified: [Qualified]   # by its name" in text


@pytest.mark.parametrize("shape", ["salesforce", "hubspot", "canonical"])
def test_the_sample_in_each_shape_loads_the_same_with_its_proposal(tmp_path, shape):
    export.write(tmp_path / "made", shape=shape, size=60)
    text = same(tmp_path / "made")
    assert "currency: USD   # the only one of the deals" in text
    assert "told by their position in the CRM" in text
    assert ("New business: [Discovery, Qualified, Solution, Proposal, Negotiation]" in text) or shape == "salesforce"


def test_it_may_be_written_beside_the_folder(tmp_path):
    path = folder(tmp_path / "exports", deals=DEALS, deal_pipeline_stages=STAGES)
    text = same(path, to=tmp_path / "ours.yaml")
    assert "folder: exports" in text


def test_nothing_is_overwritten(tmp_path):
    path = folder(tmp_path, report=REPORT)
    (path / "source.yaml").write_text("kind: salesforce\n")
    for to in (None, tmp_path / "other.yaml"):
        with pytest.raises(ParameterError, match=r"source\.yaml is there already and is not overwritten\. Edit it"):
            proposal.write(path, to)
    assert (path / "source.yaml").read_text() == "kind: salesforce\n"
    with pytest.raises(ParameterError, match="is not a folder of exports"):
        proposal.write(path / "report.csv")


@pytest.mark.parametrize(("start", "named_by"), [(1, "end"), (2, "end"), (4, "start"), (7, "end"), (10, "start")])
def test_the_fiscal_year_is_told_by_the_crm(start, named_by):
    days = pd.Series(pd.date_range("2024-01-15", periods=24, freq="MS"))
    began = days.dt.year - (days.dt.month < start)
    year = began + (start > 1 and named_by == "end")
    quarter = (days.dt.month - start) % 12 // 3 + 1
    deals = pd.DataFrame(
        {"close_date": days, "x_fiscal_period": [f"Q{q}-{y}" for q, y in zip(quarter, year, strict=True)]}
    )
    assert proposal.fiscal_year(deals) == (start, named_by, 1.0)
    assert proposal.fiscal_year(deals.assign(x_fiscal_period="?")) is None
