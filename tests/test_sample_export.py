"""The sample company as each CRM exports it reads back as the sample company."""

import pandas as pd
import pytest

from salesops import checks, crm
from salesops.crm import model, sample
from salesops.crm.sample import export, hubspot, salesforce

SIZE = 800


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder in each shape, written once."""
    root = tmp_path_factory.mktemp("exports")
    for shape in export.SHAPES:
        export.write(root / shape, shape=shape, size=SIZE)
    return root


@pytest.fixture
def small(monkeypatch):
    """The built-in sample at the size of the exports."""
    tables = sample.tables
    monkeypatch.setattr(sample, "tables", lambda: tables(size=SIZE))


def tables_of(company: crm.Company) -> dict[str, pd.DataFrame]:
    return {name: getattr(company, name) for name in (*model.TABLES, "all_opportunities")}


def short_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame under Salesforce's ids as they are read: the 15 characters that every kind of export has."""
    long = salesforce.with_ids(frame)
    return long.assign(**{name: long[name].str[:15] for name in long.columns if name.endswith("_id")})


# Read into other columns, and kept beside them as every column is.
SPENT = ["x_label", "x_firstname", "x_lastname", "x_calldurationinseconds"]
IDS = {"canonical": lambda frame: frame, "salesforce": short_ids, "hubspot": hubspot.with_ids}


def assert_same(read: dict[str, pd.DataFrame], ours: dict[str, pd.DataFrame]) -> None:
    """Every table equal, whichever order its rows and its columns of drivers came in."""
    for table, frame in ours.items():
        keys = model.keys("opportunities" if table == "all_opportunities" else table)
        theirs = read[table].drop(columns=SPENT, errors="ignore")
        pair = [each.sort_values(keys, ignore_index=True).sort_index(axis=1) for each in (theirs, frame)]
        pd.testing.assert_frame_equal(*pair, obj=table)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("as_of", [None, "2025-04-11"])
@pytest.mark.parametrize("shape", export.SHAPES)
def test_an_export_reads_back_as_the_sample(folders, shape, as_of):
    ours = crm.load("sample", as_of=as_of)
    read = crm.load(folders / shape, as_of=as_of)
    assert (read.as_of, read.data_through, read.currency) == (ours.as_of, ours.data_through, ours.currency)
    assert_same(tables_of(read), {table: IDS[shape](frame) for table, frame in tables_of(ours).items()})
    assert (read.replay, read.withheld) == (ours.replay, ours.withheld)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("shape", export.SHAPES)
def test_the_faults_of_an_export_are_those_of_the_sample(folders, shape):
    found = [
        company.exclusions.set_index(["table", "rule", "field", "action"])["n"].sort_index()
        for company in (crm.load(folders / shape), crm.load("sample"))
    ]
    pd.testing.assert_series_equal(*found)


@pytest.mark.parametrize("shape", export.SHAPES)
def test_an_export_is_the_same_every_time(tmp_path, folders, shape):
    said = export.write(tmp_path / "again", shape=shape, size=SIZE)
    first, again = (
        {file.name: file.read_bytes() for file in folder.iterdir()} for folder in (folders / shape, tmp_path / "again")
    )
    assert first == again
    rows = sum(len(pd.read_csv(file, dtype=str)) for file in (folders / shape).iterdir())
    assert said == f"{tmp_path / 'again'}: the sample company as {shape}, {len(again)} files, {rows:,} rows."


def test_the_switches_of_the_sample_are_those_of_an_export(tmp_path):
    export.write(tmp_path, shape="canonical", size=100, until="2024-03-31", clean=True)
    created = pd.read_csv(tmp_path / "opportunities.csv")["created_date"]
    assert len(created) == len(sample.tables(size=100, until="2024-03-31", clean=True)["opportunities"])
    assert created.max() < "2024-04-01"


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(checks.ParameterError, match=r"is not an empty folder\. Name a new one; nothing is overwritten"):
        export.write(tmp_path, shape="salesforce", size=100)
    with pytest.raises(checks.ParameterError, match="is not an empty folder"):
        export.write(tmp_path / "mine.txt", shape="salesforce", size=100)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_is_written_where_a_switch_is_wrong(tmp_path):
    with pytest.raises(checks.ParameterError, match="size is 1"):
        export.write(tmp_path / "new", shape="hubspot", size=1)
    assert not (tmp_path / "new").exists()


def test_salesforce_ids_end_in_the_check_of_their_capitals():
    # an id with its check that Salesforce gave out, and one of ours
    stem, check = "0015500000Xyy06", "AAB"
    assert "".join(salesforce.check(stem[at : at + 5]) for at in (0, 5, 10)) == check
    assert salesforce.record_ids(pd.Series(["D-0000042"]), "006").tolist() == ["006Dy0000000042IAA"]


def test_salesforce_keeps_owner_and_next_step_as_changes(folders):
    deals = pd.read_csv(folders / "salesforce" / "Opportunity.csv", dtype=str)
    changes = pd.read_csv(folders / "salesforce" / "OpportunityFieldHistory.csv", dtype=str)
    assert set(changes["Field"]) == {"Owner", "NextStep"}
    assert (changes["OldValue"].fillna("") != changes["NewValue"].fillna("")).all()
    last = changes[changes["Field"] == "Owner"].drop_duplicates("OpportunityId", keep="last")
    owner = deals.drop_duplicates("Id").set_index("Id")["OwnerId"]
    assert (last["NewValue"].to_numpy() == owner[last["OpportunityId"]].to_numpy()).all()


def test_hubspot_stages_of_one_label_have_an_id_in_each_pipeline(folders):
    stages = pd.read_csv(folders / "hubspot" / "pipeline_stages.csv", dtype=str)
    won = stages[stages["label"] == "Closed Won"]
    assert won["pipelineId"].tolist() == ["default", "7000001"] and won["id"].nunique() == 2
    deals = pd.read_csv(folders / "hubspot" / "deals.csv", dtype=str)
    known = deals.merge(stages, left_on=["pipeline", "dealstage"], right_on=["pipelineId", "id"])
    assert len(known) > 0.99 * len(deals)


def test_hubspot_keeps_changes_and_no_repetitions(folders):
    changes = pd.read_csv(folders / "hubspot" / "deal_property_history.csv", dtype=str, keep_default_na=False)
    before = changes.groupby(["deal_id", "name"])["value"].shift()
    assert (changes["value"] != before).all()
    assert set(changes["name"]) == {
        "dealstage", "amount", "closedate", "hs_deal_stage_probability", "hs_manual_forecast_category",
        "hubspot_owner_id", "hs_next_step",
    }  # fmt: skip
