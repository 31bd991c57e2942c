"""What `salesops check` says: files, columns, what is missing and what that switches off."""

from test_crm_shapes import DEALS, FOOTER, REPORT, SALESFORCE, STAGES, folder

from salesops.crm import model, recognition, sample
from salesops.crm.sample import export


def line(text: str, start: str) -> list[str]:
    """The words of the first line that begins so."""
    return next(one for one in text.splitlines() if one.strip().startswith(start)).split()


def test_files_columns_and_rows_of_a_dump(tmp_path):
    text = recognition.table(folder(tmp_path / "acme", Opportunity=SALESFORCE, Account="Id,Name\n001A,Acme\n"))
    assert text.splitlines()[0] == "acme: Salesforce, told by its files"
    assert line(text, "Opportunity.csv")[:3] == ["Opportunity.csv", "opportunities", "3"]
    assert line(text, "stage ") == ["stage", "StageName"]
    assert line(text, "account_id") == ["account_id", "AccountId"]
    assert "opportunities  deleted_record  set_aside  1  was deleted in the CRM; left out" in text


def test_what_is_missing_names_what_it_switches_off(tmp_path):
    text = recognition.table(folder(tmp_path, report=REPORT + FOOTER))
    for name in ("stage_history", "targets", "leads"):
        assert model.SWITCHES_ON[name] in text
    assert "why deals are lost" in text
    assert "everything in money" not in text, "amounts are there"
    assert "is cut." in text and "told by their usual names" in text


def test_unmapped_columns_and_unread_files_are_named(tmp_path):
    deals = (
        SALESFORCE.replace("Type\n", "Type,Trial__c\n")
        .replace("Business\n", "Business,yes\n")
        .replace("Renewal\n", "Renewal,no\n")
    )
    text = recognition.table(folder(tmp_path, Opportunity=deals, Quote="Id\nq1\n"))
    assert "kept, mapped to nothing: x_trial" in text
    assert "Not read as a table: Quote.csv" in text


def test_files_beside_the_tables_are_read(tmp_path):
    files = {"deals": DEALS, "deal_pipeline_stages": STAGES, "merged_deal": "deal_id,merged_deal_id\n2,3\n"}
    text = recognition.table(folder(tmp_path, **files))
    assert "Not read as a table" not in text
    assert "merged_record" in text


def test_why_loading_stops_is_said(tmp_path):
    deals = "hs_object_id,dealname,dealstage\n1,Acme,\n"
    text = recognition.table(folder(tmp_path, deals=deals))
    assert "Loading stops: deals.csv: nothing tells open, won and lost." in text


def test_the_sample_and_its_exports_are_recognised(tmp_path):
    assert recognition.table("sample").splitlines()[0] == "sample: the built-in sample, generic"
    export.write(tmp_path / "sf", shape="salesforce", size=60)
    text = recognition.table(tmp_path / "sf")
    for name in sample.tables(size=60):
        assert f" {name} " in text


def test_of_hundreds_of_unmapped_columns_the_first_are_named(tmp_path):
    names = [f"extra_{number:03d}" for number in range(40)]
    header = ",".join(["opportunity_id", "outcome", *names])
    (tmp_path / "opportunities.csv").write_text(f"{header}\nd1,won{',1' * 40}\n", encoding="utf-8")
    text = recognition.table(tmp_path)
    assert "x_extra_011 and 28 more" in text and "x_extra_012" not in text
