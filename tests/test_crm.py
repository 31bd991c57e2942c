"""`crm.load` end to end: mapping, population, measure, names, the company, and four public sets."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import shared
from crm_folder import HEADER, write
from hypothesis import given
from hypothesis import strategies as st

from salesops import crm
from salesops.checks import ParameterError
from salesops.crm import model, people, population, sample

SOURCES = Path(__file__).parent / "sources"


def refused(source, **options) -> str:
    with pytest.raises(ParameterError) as error:
        crm.load(source, **options)
    return str(error.value)


# Mapping


def test_their_words_become_ours(tmp_path):
    yaml = """
    columns: {opportunities: {opportunity_id: Nr, amount: Betrag, outcome: Status, x_rank: Rang}}
    values: {outcome: {Gewonnen: won, No: lost}, segment: {KMU: SMB}}
    missing: {segment: [Unknown]}
    dates: dmy
    """
    rows = "Nr;Betrag;Status;Rang;segment;close_date;Comp size;Code\n1;1.234,50;Gewonnen;3;KMU;01.02.2026;Big;007\n"
    rows += "2;0,50;No;4;Unknown;02.02.2026;Unknown;A1\n"
    deals = crm.load(write(tmp_path, yaml=yaml, opportunities=rows)).opportunities
    assert deals["outcome"].tolist() == ["won", "lost"] and deals["amount"].tolist() == [1234.5, 0.5]
    assert deals["segment"][0] == "SMB" and pd.isna(deals["segment"][1])
    assert deals["close_date"].dt.month.tolist() == [2, 2]
    assert deals[["x_rank", "x_comp_size", "x_code"]].values.tolist() == [[3.0, "Big", "007"], [4.0, "Unknown", "A1"]]
    assert deals.columns[: len(model.columns("opportunities"))].tolist() == model.columns("opportunities")


@pytest.mark.parametrize(
    ("header", "rows", "yaml"),
    [
        ("outcome", ["Won", "LOST", "No decision", "open"], ""),
        ("is_closed,is_won,outcome", ["1,1,won", "1,0,lost", "1,0,no-decision", "0,0,open"], ""),
        ("stage", ["S", "G", "D", "L"], "stages: {order: [L], won: [S], lost: [G], no_decision: [D]}"),
    ],
)
def test_the_outcome_is_told_in_three_ways(tmp_path, header, rows, yaml):
    lines = [f"opportunity_id,created_date,{header}", *(f"d{i},2026-01-01,{row}" for i, row in enumerate(rows))]
    deals = crm.load(write(tmp_path, yaml=yaml, opportunities="\n".join(lines))).opportunities
    assert deals["outcome"].tolist() == ["won", "lost", "no_decision", "open"]
    assert deals["is_won"].tolist() == [True, False, False, False]
    assert deals["is_closed"].tolist() == [True, True, True, False] and deals["is_closed"].dtype == bool


def test_closed_and_won_flags_tell_the_outcome_and_a_gap_does_not(tmp_path):
    rows = "opportunity_id,created_date,is_closed,is_won\na,2026-01-01,true,true\nb,2026-01-01,true,false\n"
    rows += "c,2026-01-01,false,\nd,2026-01-01,,true\ne,2026-01-01,false,true\n"
    company = crm.load(write(tmp_path, opportunities=rows), max_barred=0.5)
    assert company.opportunities["outcome"].tolist() == ["won", "lost", "open", "open"]
    assert company.exclusions["rule"].tolist()[0] == "no_outcome"


def test_the_stages_table_tells_the_outcome_and_the_order(tmp_path):
    stages = "stage,position,is_closed,is_won\nOffer,2,no,no\nLead,1,no,no\nWon,3,yes,yes\nLost,4,yes,no\n"
    rows = "opportunity_id,created_date,stage\na,2026-01-01,Won\nb,2026-01-01,Lost\nc,2026-01-01,Offer\n"
    company = crm.load(write(tmp_path, opportunities=rows, stages=stages))
    assert company.opportunities["outcome"].tolist() == ["won", "lost", "open"]
    assert company.stage_order() == ["Lead", "Offer"] and company.has("stages")


def test_stages_in_source_yaml_give_the_order_by_pipeline(tmp_path):
    yaml = "stages: {order: {New: [Lead, Offer], Old: [Call, Offer]}, won: [Won], lost: [Lost], qualified: [Offer]}"
    history = "opportunity_id,changed_at,stage\nd1,2026-01-10,Lead\nd1,2026-01-20,Offer\nd1,2026-02-20,Offer\n"
    company = crm.load(write(tmp_path, yaml=yaml, stage_history=history))
    assert company.stage_order("Old") == ["Call", "Offer"] and company.stage_order() == ["Lead", "Offer", "Call"]
    assert company.opportunities["qualified_date"].tolist()[0] == pd.Timestamp("2026-01-20")


def test_guesses_are_noted(tmp_path):
    rows = f"{HEADER},probability\n7.0,1,2026-01-01,,open,10\n8.0,1,2026-01-01,,open,75\n"
    company = crm.load(write(tmp_path, opportunities=rows))
    assert company.opportunities[["opportunity_id", "probability"]].values.tolist() == [["7", 0.1], ["8", 0.75]]
    assert company.notes == [
        "opportunities.csv: opportunity_id written as decimals (84.0), read as whole numbers (84).",
        "opportunities.csv: probability read as 0-100.",
        "The source names no currency; amounts are shown as USD. Write currency: … in source.yaml.",
    ]


def test_absent_tables_are_empty_frames_with_their_columns(tmp_path):
    company = crm.load(write(tmp_path))
    for table in model.TABLES:
        assert getattr(company, table).columns.tolist()[: len(model.columns(table))] == model.columns(table)
        assert company.has(table) == (table == "opportunities")
    assert company.has_column("opportunities", "amount") and not company.has_column("opportunities", "segment")
    assert not company.has_column("opportunities", "x_nothing")


def test_every_type_is_the_data_models_own(tmp_path):
    dtypes = crm.load(write(tmp_path)).opportunities.dtypes
    wanted = {"str": "str", "date": "datetime64[us]", "ts": "datetime64[us]", "float": "float64", "bool": "bool"}
    assert {c.name: str(dtypes[c.name]) for c in model.TABLES["opportunities"]} == {
        c.name: wanted[c.kind] for c in model.TABLES["opportunities"]
    }


# Population and measure

DEALS = pd.DataFrame(
    {
        "segment": ["SMB", "Enterprise", None],
        "amount": [10.0, 20.0, 30.0],
        "is_won": [True, False, True],
        "close_date": pd.to_datetime(["2026-01-01", "2026-02-01", None]),
        "opportunity_type": ["new", "renewal", None],
    }
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("", [0, 1, 2]), ("segment == 'SMB'", [0]), ("segment in ['SMB', 'Enterprise'] and amount >= 20", [1]),
        ("segment not in ('SMB',)", [1, 2]), ("not (amount > 15)", [0]), ("10 < amount <= 30 or is_won", [0, 1, 2]),
        ("is_won", [0, 2]), ("close_date >= '2026-02-01'", [1]), ("amount > -5", [0, 1, 2]), (crm.POPULATION, [0, 2]),
        ("segment == 'SMB'\n  or amount == 30", [0, 2]),
    ],
)  # fmt: skip
def test_where_keeps_the_rows_for_which_it_holds(where, rows):
    assert population.chosen(DEALS, where).index.tolist() == rows


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("segmnt == 'SMB'", "where: unknown column 'segmnt'. Did you mean 'segment'?"),
        ("segment = 'SMB'", "where: 'segment = 'SMB'' cannot be read. Write e.g. segment in ['SMB', 'Enterprise']"),
        ("segment.str.len() > 2", "where: 'segment.str.len()' is not allowed; only comparisons of columns are."),
        ("__import__('os').system('true') == 0", "is not allowed"),
        ("@crm.load == 1", "cannot be read"),
        ("amount + 1 > 2", "where: 'amount + 1' is not allowed"),
        ("[a for a in [1]] == amount", "is not allowed"),
        ("amount == None", "where: a column cannot be compared with None."),
        ("amount > 'x'", "where: 'amount > 'x'' cannot be compared"),
        ("amount", "where: 'amount' "),
        ("'SMB'", "where: ''SMB'' "),
        ("amount == segment[0]", "is not allowed"),
    ],
)
def test_where_refuses_what_is_no_filter(where, words):
    with pytest.raises(ParameterError) as error:
        population.chosen(DEALS, where)
    assert words in str(error.value)


def test_what_is_neither_true_nor_false_does_not_hold():
    deals = pd.DataFrame({"is_trial": pd.array([True, None, False], dtype="boolean")}, index=[4, 7, 9])
    assert population.holds(deals, "is_trial").to_dict() == {4: True, 7: False, 9: False}
    assert population.holds(deals, "is_trial").dtype == bool and population.chosen(
        deals, "is_trial"
    ).index.tolist() == [4]
    assert population.holds(deals, " ").all()


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 9)), max_size=30), st.integers(0, 9))
def test_where_and_its_contrary_share_the_deals(rows, limit):
    deals = pd.DataFrame(rows, columns=["segment", "amount"]).astype({"segment": "str"})
    kept = population.chosen(deals, f"segment == 'a' and amount < {limit}")
    rest = population.chosen(deals, f"not (segment == 'a' and amount < {limit})")
    assert sorted([*kept.index, *rest.index]) == deals.index.tolist()
    assert all(rows[index][0] == "a" and rows[index][1] < limit for index in kept.index)


def test_the_population_is_chosen_and_measured_and_the_rest_kept(tmp_path):
    header = f"{HEADER},opportunity_type,arr_amount,one_off_amount,term_months"
    rows = f"{header}\nd1,240,2026-01-01,2026-02-01,won,new,110,20,24\nd2,90,2026-01-01,2026-02-01,won,renewal,90,,12\n"
    folder = write(tmp_path, opportunities=rows + "d3,50,2026-01-01,2026-02-01,won,expansion,,,\n")
    company = crm.load(folder, measure="acv")
    assert company.opportunities["amount"].tolist() == [110, 50] and company.where == crm.POPULATION
    assert company.all_opportunities["amount"].tolist() == [240, 90, 50] and company.measure == "acv"
    arr = crm.load(folder, measure="arr", where=None).opportunities["amount"]
    assert arr[:2].tolist() == [110, 90] and pd.isna(arr[2])


def test_parameters_that_cannot_be_met_are_refused(tmp_path):
    folder = write(tmp_path)
    assert refused(folder, measure="ammount") == (
        "measure: 'ammount' is unknown. It takes amount, arr, acv. Did you mean 'amount'?"
    )
    assert refused(folder, measure="arr") == "measure: arr needs arr_amount, which no deal has. Use measure=amount."
    assert refused(folder, names="initial") == (
        "names: 'initial' is unknown. It takes full, initials, codes. Did you mean 'initials'?"
    )
    assert refused(folder, max_barred=5) == "max_barred: 5 is no share. Use 0 to 1, e.g. 0.05."
    assert refused(folder, fiscal_start_month=13).startswith("fiscal_start_month: 13 is not a month")


def test_the_fiscal_calendar_is_the_sources_unless_given(tmp_path):
    folder = write(tmp_path, yaml="fiscal: {start_month: 7, named_by: start}")
    calendar = crm.load(folder).calendar
    assert (calendar.start_month, calendar.named_by) == (7, "start")
    calendar = crm.load(folder, fiscal_start_month=2, fiscal_year_named_by="end").calendar
    assert (calendar.start_month, calendar.named_by) == (2, "end")


# Names


@pytest.fixture
def named(tmp_path):
    reps = "owner_id,name,email,manager_id,team\nAda Byron,Ada Byron,ada@x.org,Cy Dee,Cy Dee\n"
    reps += "u2,Al Boyd,al@x.org,u9,North\n"
    rows = f"{HEADER},owner_id,account_id,x_backup\nd1,1,,2026-02-01,won,Ada Byron,Acme,al@x.org\n"
    rows += "d2,1,,2026-02-01,won,u2,Acme,u2\n"
    targets = (
        "metric,scope_kind,scope_id,period_start,value\nb,rep,Ada Byron,2026-01-01,5\nb,team,Cy Dee,2026-01-01,5\n"
    )
    return write(tmp_path, opportunities=rows, reps=reps, targets=targets)


@pytest.mark.parametrize(
    ("names", "ada", "al", "cy"), [("initials", "AB", "AB2", "CD"), ("codes", "P01", "P02", "P03")]
)
def test_people_are_replaced_alike_in_every_table(named, names, ada, al, cy):
    company = crm.load(named, names=names)
    assert company.reps[["owner_id", "name", "email", "manager_id", "team"]].values.tolist() == [
        [ada, ada, ada, cy, cy], ["u2", al, al, "u9", "North"],
    ]  # fmt: skip
    assert company.opportunities[["owner_id", "x_backup"]].values.tolist() == [[ada, al], ["u2", "u2"]]
    assert company.targets["scope_id"].tolist() == [ada, cy]
    everything = " ".join(getattr(company, table).to_csv() for table in (*model.TABLES, "all_opportunities"))
    assert not any(text in everything for text in ("Ada", "Byron", "Boyd", "Cy Dee", "@x.org"))


def test_without_reps_every_owner_is_taken_for_a_name(tmp_path):
    rows = f"{HEADER},owner_id\nd1,1,,2026-02-01,won,moses\nd2,1,,2026-02-01,won,\n"
    owners = crm.load(write(tmp_path, opportunities=rows), names="codes").opportunities["owner_id"]
    assert owners[0] == "P01" and pd.isna(owners[1])


@given(
    st.dictionaries(st.text("ab c@", min_size=1), st.text("abc d", min_size=1)), st.sampled_from(["initials", "codes"])
)
def test_two_people_are_never_shown_alike(persons, names):
    masks = people.masked(persons, names)
    assert len({masks[text] for text in persons}) == len(set(persons.values()))
    assert all((masks[a] == masks[b]) == (persons[a] == persons[b]) for a in persons for b in persons)


# The sample


def test_the_sample_loads_in_its_time():
    start = time.perf_counter()
    company = crm.load()
    assert time.perf_counter() - start < 3
    assert company.source == "sample" and len(company.all_opportunities) == 6000
    assert set(company.inputs.columns) == {"table", "rows", "sha256"} and company.currency == "USD"
    assert not (company.opportunities["opportunity_type"] == "renewal").any()


def test_a_clean_sample_has_nothing_to_exclude(monkeypatch):
    tables = sample.tables
    monkeypatch.setattr(sample, "tables", lambda: tables(size=1000, clean=True))
    rules = set(crm.load().exclusions["rule"])
    assert rules <= {"open_past_close_date"}


def test_every_planted_fault_is_found_and_nothing_else():
    columns = ["table", "rule", "field", "action", "n"]
    planted = sample.truth().defects[columns].sort_values(columns, ignore_index=True)
    found = crm.load().exclusions[columns].sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(found, planted, check_dtype=False)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_sample_written_to_files_reads_back_the_same(tmp_path, monkeypatch, suffix):
    tables = sample.tables(size=1000)
    monkeypatch.setattr(sample, "tables", lambda: tables)
    for table, frame in tables.items():
        path = tmp_path / f"{table}.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path, index=False)
    (tmp_path / "source.yaml").write_text(yaml.safe_dump(sample.SOURCE), encoding="utf-8")
    from_files, direct = crm.load(tmp_path), crm.load("sample")
    for table in model.TABLES:
        pd.testing.assert_frame_equal(getattr(from_files, table), getattr(direct, table), check_dtype=False, obj=table)
    pd.testing.assert_frame_equal(from_files.exclusions, direct.exclusions)


# Public sets. Each total is computed again from the raw files, without the reader.


def counted(company) -> dict[str, int]:
    return dict(
        zip(company.exclusions["rule"] + " " + company.exclusions["field"], company.exclusions["n"], strict=True)
    )


def test_maven_reads_and_its_known_defects_are_counted():
    raw = pd.read_csv(shared("maven-crm-sales-opportunities") / "sales_pipeline.csv")
    company = crm.load(SOURCES / "maven" / "source.yaml", as_of="2017-12-31")
    deals = company.opportunities
    assert len(deals) == 8800 and deals["is_won"].sum() == 4238 and (deals["outcome"] == "lost").sum() == 2473
    assert deals.loc[deals["is_won"], "amount"].sum() == raw["close_value"].sum() == 10_005_534
    by_agent = deals[deals["is_won"]].groupby("owner_id")["amount"].sum()
    pd.testing.assert_series_equal(by_agent, raw.groupby("sales_agent")["close_value"].sum(), check_names=False)
    assert counted(company) == {
        "taken_as_new opportunity_type": 8800, "lost_amount_zero amount": 2473, "missing_date created_date": 500,
        "open_without_amount amount": 2089, "product_spelling product": 1480,
    }  # fmt: skip
    assert (
        company.exclusions.query("rule == 'product_spelling'")["reason"]
        .item()
        .endswith("likely GTX Pro for GTXPro: name them under product in values")
    )
    assert "lost_amount" in company.withheld and deals.loc[~deals["is_closed"], "account_id"].isna().sum() == 1425
    assert len(company.reps) == 35 and len(set(company.reps["owner_id"]) - set(deals["owner_id"])) == 5
    assert (
        company.data_through.isoformat() == "2017-12-31"
        and crm.load(SOURCES / "maven" / "source.yaml").as_of == company.as_of
    )


def test_maven_halfway_is_a_partial_replay():
    raw = pd.read_csv(shared("maven-crm-sales-opportunities") / "sales_pipeline.csv")
    company = crm.load(SOURCES / "maven" / "source.yaml", as_of="2017-06-30")
    known = raw[~(raw["engage_date"] > "2017-06-30")]
    assert company.replay == "partial" and len(company.opportunities) == len(known)
    assert company.opportunities["is_closed"].sum() == (known["close_date"] <= "2017-06-30").sum()


def test_salvirt_reads_without_ids_dates_or_amounts():
    raw = pd.read_csv(shared("salvirt-b2b-win-loss") / "Salvirt_B2B_ML_dataset.csv", sep=";", keep_default_na=False)
    assert "holds no dates" in refused(SOURCES / "salvirt" / "source.yaml")
    company = crm.load(SOURCES / "salvirt" / "source.yaml", as_of="2016-12-31")
    deals = company.opportunities
    assert raw.duplicated().sum() == 83 and len(deals) == 448 and deals["opportunity_id"].is_unique
    assert (
        deals.groupby("owner_id")["is_won"].sum().to_dict()
        == raw["Status"].eq("Won").groupby(raw["Seller"]).sum().to_dict()
    )
    assert (deals["x_budgt_alloc"] == "Unknown").sum() == 36
    assert counted(company) == {"taken_as_new opportunity_type": 448}
    assert "Salvirt_B2B_ML_dataset.csv: columns are taken to be separated by semicolons." in company.notes


def test_adventureworks_reads_orders_and_targets_of_reps_teams_and_the_company():
    folder = shared("adventureworks-rep-targets")
    sales, targets = pd.read_csv(folder / "Sales.csv"), pd.read_csv(folder / "Targets.csv")
    sellers = pd.read_csv(folder / "Salesperson.csv")
    company = crm.load(SOURCES / "adventureworks" / "source.yaml")
    deals = company.opportunities
    assert len(deals) == sales["SalesOrderNumber"].nunique() == 3796 and company.as_of.isoformat() == "2020-06-30"
    by_seller = sales.groupby(sales["EmployeeKey"].astype(str))["Sales"].sum()
    pd.testing.assert_series_equal(
        deals.groupby("owner_id")["amount"].sum(), by_seller, check_names=False, check_index_type=False
    )
    assert np.isclose(company.line_items["amount"].sum(), 80_977_720.21)
    assert company.reps["role"].value_counts().to_dict() == {"rep": 14, "manager": 4}
    known = targets.merge(sellers, on="EmployeeID")
    is_rep = known["Title"] == "Sales Representative"
    ours = company.targets.groupby("scope_kind")["value"].sum()
    assert ours["rep"] == known.loc[is_rep, "TargetAmount"].sum()
    assert ours["company"] == known.loc[known["Title"] == "Director of Sales", "TargetAmount"].sum()
    assert ours.sum() == targets["TargetAmount"].sum()
    sold = company.targets.query("scope_kind == 'rep' and scope_id == '286' and period_start <= '2020-06-30'")
    assert sold["value"].sum() == 31_850_000
    assert set(company.targets.query("scope_kind == 'team'")["scope_id"]) == {"North America", "Europe", "Pacific"}


def test_powerbi_reads_open_deals_and_sums_the_one_that_is_there_twice():
    fact = pd.read_csv(shared("powerbi-opportunity-tracking") / "Fact.csv")
    company = crm.load(SOURCES / "powerbi" / "source.yaml")
    deals = company.opportunities.set_index("opportunity_id")
    assert len(deals) == 486 and not deals["is_closed"].any() and company.as_of.isoformat() == "2014-12-25"
    assert deals.loc["302", ["amount", "stage"]].tolist() == [1952547 + 4258202, "Solution"]
    assert deals["amount"].sum() == fact["ProductRevenue"].sum()
    assert np.isclose((deals["amount"] * deals["probability"]).sum(), fact["FactoredProductRevenue"].sum(), rtol=1e-12)
    assert deals["close_date"].dt.normalize().equals(deals["close_date"])
    assert company.stage_order() == ["Lead", "Qualify", "Solution", "Proposal", "Finalize"]


def test_powerbi_without_its_mapping_names_the_id_that_is_there_twice(tmp_path):
    folder = shared("powerbi-opportunity-tracking")
    yaml = f"folder: {folder}\ntables: {{opportunities: \"SELECT *, 'open' AS outcome FROM Fact\"}}\n"
    (tmp_path / "raw.yaml").write_text(yaml + "columns: {opportunities: {opportunity_id: Opportunity ID}}\n")
    with pytest.raises(
        crm.checks.DataError, match=r"Fact\.csv: 1 opportunity_id stands for rows with different contents \(302\)"
    ):
        crm.load(tmp_path / "raw.yaml")


@pytest.mark.parametrize(("conversion", "rate"), [("close_date", 1.1), ("plan", 1.0), ("constant", 1.2)])
def test_currencies_convert_at_the_rate_asked_for(tmp_path, conversion, rate):
    deals = "opportunity_id,amount,currency,close_date,outcome\nd1,100,EUR,2026-08-01,won\nd2,100,USD,2026-09-30,won\n"
    rates = "date,currency,rate\n2026-01-01,EUR,1.0\n2026-08-01,EUR,1.1\n2026-09-30,EUR,1.2\n"
    folder = write(tmp_path / "x", opportunities=deals, fx_rates=rates, yaml="currency: USD\n")
    company = crm.load(folder, conversion=conversion)
    assert company.opportunities["amount"].tolist() == pytest.approx([100 * rate, 100])


def test_a_conversion_that_does_not_exist_is_refused():
    with pytest.raises(ParameterError, match=r"conversion: 'plans'.*Did you mean 'plan'"):
        crm.load("sample", conversion="plans")


def test_moments_are_shown_by_the_clocks_of_the_source(tmp_path):
    deals = "opportunity_id,amount,close_date,closed_at,outcome\nd1,100,2026-09-30,2026-10-01T03:00:00Z,lost\n"
    folder = write(tmp_path / "x", opportunities=deals, yaml="time_zone: America/New_York\n")
    company = crm.load(folder, as_of="2026-10-31")
    assert str(company.opportunities["closed_at"].iloc[0]) == "2026-09-30 23:00:00"


def test_a_group_of_deals_is_a_filter_like_where():
    company = crm.load("sample")
    assert company.is_in("") is None and company.is_in("  ") is None
    group = company.is_in("region == 'EMEA'")
    assert group.index.equals(company.opportunities.index)
    assert group.tolist() == (company.opportunities["region"] == "EMEA").tolist()
    with pytest.raises(ParameterError, match=r"^change_group: unknown column 'regin'\. Did you mean 'region'\?$"):
        company.is_in("regin == 'EMEA'", parameter="change_group")
