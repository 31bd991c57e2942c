"""Schema faults raise with their words; row faults are counted; totals tie."""

import pandas as pd
import pytest
from crm_folder import DEALS, HEADER, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesops import crm
from salesops.checks import DataError

DAY = "2026-06-30"


def refused(folder, **options) -> str:
    with pytest.raises(DataError) as error:
        crm.load(folder, **options)
    return str(error.value)


def deals(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def many(*rows: str, n: int = 40) -> str:
    """Enough good deals that a faulty one is a row fault, not a faulty column."""
    return deals(*(f"g{i},10,2026-01-10,2026-03-31,won" for i in range(n)), *rows)


def found(company, action: str | None = None) -> dict[tuple[str, str], int]:
    rows = company.exclusions if action is None else company.exclusions.query("action == @action")
    return {(row.rule, row.field): row.n for row in rows.itertuples() if row.rule != "taken_as_new"}


# Schema faults


def test_a_missing_id_column_is_refused(tmp_path):
    message = refused(write(tmp_path, opportunities=DEALS.replace("opportunity_id", "Opportunity ID")))
    assert message == (
        "opportunities.csv: missing column ['opportunity_id']; found ['Opportunity ID', 'amount', 'created_date', "
        "'close_date', 'outcome']. Did you mean 'Opportunity ID'? Map it in source.yaml under columns. "
        "Where each row is a deal and has no id, write 'id: row'."
    )


def test_a_mapped_column_that_is_not_there_is_refused(tmp_path):
    folder = write(tmp_path, yaml="columns: {opportunities: {amount: Amount USD}}")
    assert "opportunities.csv: missing column ['Amount USD']; found [" in refused(folder)
    assert "source.yaml maps it under columns.opportunities." in refused(folder)


def test_nothing_that_tells_the_outcome_is_refused(tmp_path):
    message = refused(write(tmp_path, opportunities="opportunity_id,stage\nd1,Closed Won\n"))
    assert message == (
        "opportunities.csv: nothing tells open, won and lost. Map outcome, or is_closed and is_won, in source.yaml "
        "under columns; or map stage and name its closed stages: stages: {won: [Closed Won], lost: [Closed Lost]}."
    )


def test_one_id_with_different_contents_is_refused(tmp_path):
    rows = many("d1,10,2026-01-10,2026-03-31,won", "d1,11,2026-01-10,2026-03-31,won")
    assert refused(write(tmp_path, opportunities=rows)) == (
        "opportunities.csv: 1 opportunity_id stands for rows with different contents (d1). Keep one row each in the "
        "export, or combine them with a SELECT in source.yaml under tables."
    )


def test_the_same_amount_written_twice_is_a_repeat(tmp_path):
    rows = many("d1,10,2026-01-10,2026-03-31,won", "d1,10.00,2026-01-10,2026-03-31,Won")
    company = crm.load(write(tmp_path, opportunities=rows))
    assert found(company, "repaired") == {("repeated_row", "opportunity_id"): 1}
    assert len(company.opportunities) == 41


def test_a_date_column_that_cannot_be_read_is_refused(tmp_path):
    rows = deals(
        *(f"d{i},1,2026-01-10,{text},won" for i, text in enumerate(["soon", "later", "June", "Q3", "2026-01-11"]))
    )
    folder = write(
        tmp_path,
        yaml="columns: {opportunities: {close_date: Close}}",
        opportunities=rows.replace("close_date", "Close"),
    )
    assert refused(folder) == (
        "opportunities.csv, column 'Close' (close_date): 4 of 5 dates cannot be read (soon, later, June, …). "
        "Say how they are written, e.g. dates: {close_date: '%d.%m.%Y'}, in source.yaml (values, missing), "
        "or correct the export."
    )


def test_a_few_unreadable_cells_bar_their_rows(tmp_path):
    rows = many("d1,ten,2026-01-10,soon,won", "d2,10,2026-01-10,2026-02-01,won")
    company = crm.load(write(tmp_path, opportunities=rows))
    assert found(company, "barred") == {("unreadable", "amount"): 1, ("unreadable", "close_date"): 1}
    assert company.opportunities["amount"].sum() == 410 and len(company.opportunities) == 42


def test_a_day_and_month_that_cannot_be_told_are_refused_until_said(tmp_path):
    rows = deals("d1,1,01/02/2026,03/04/2026,won", "d2,1,05/06/2026,31/08/2026,won")
    message = refused(write(tmp_path, opportunities=rows))
    assert message == (
        "opportunities.csv, column 'created_date': day and month cannot be told apart in 2 rows "
        "(01/02/2026, 05/06/2026). Add to source.yaml dates: {created_date: dmy} or dates: {created_date: mdy}."
    )
    said = crm.load(write(tmp_path, yaml="dates: {created_date: mdy}", opportunities=rows)).opportunities
    assert said["created_date"].dt.month.tolist() == [1, 5] and said["close_date"].dt.month.tolist() == [4, 8]


def test_numbers_that_read_two_ways_are_refused_until_said(tmp_path):
    rows = deals("d1,1.200,2026-01-01,2026-02-01,won")
    message = refused(write(tmp_path, opportunities=rows))
    assert "column 'amount': a number such as 1.200 reads two ways in 1 rows" in message
    assert message.endswith("Add to source.yaml decimal: ',' or decimal: '.'.")
    assert crm.load(write(tmp_path, yaml="decimal: ','", opportunities=rows)).opportunities["amount"][0] == 1200


def test_currencies_without_rates_are_refused(tmp_path):
    rows = deals("d1,1,,2026-03-31,won,USD", "d2,1,,2026-03-31,won,EUR", header=f"{HEADER},currency")
    assert refused(write(tmp_path, opportunities=rows)) == (
        "opportunities: amounts in 2 currencies (EUR, USD) and no reporting currency. "
        "Write for example currency: EUR in source.yaml, and give fx_rates."
    )
    assert refused(write(tmp_path, yaml="currency: USD", opportunities=rows)) == (
        "opportunities: 1 deals are in EUR and the reporting currency is USD, but fx_rates has no rate for it. "
        "Add fx_rates.csv (date, currency, rate: USD for one unit)."
    )


def test_too_many_rows_without_an_outcome_are_refused(tmp_path):
    rows = deals("d1,1,,2026-03-31,won", "d2,1,,2026-03-31,Engaging", "d3,1,,2026-03-31,")
    assert refused(write(tmp_path, opportunities=rows)) == (
        "opportunities.csv: 2 of 3 rows cannot be used, more than 5 %: 2 has no usable outcome (d2, d3). Map what they "
        "say to open, won, lost or no_decision in source.yaml under values.outcome, or correct the export."
    )
    assert len(crm.load(tmp_path, max_barred=0.7).opportunities) == 1


# Row faults


@pytest.mark.parametrize(
    ("row", "rule", "field"),
    [
        ("d1,10,2026-03-10,2026-03-09,won", "closed_before_created", "created_date"),
        ("d1,10,1899-12-30,2026-03-09,won", "date_out_of_range", "created_date"),
        ("d1,10,2026-01-01,2201-03-09,won", "date_out_of_range", "close_date"),
        ("d1,-10,2026-01-01,2026-03-09,won", "negative_amount", "amount"),
    ],
)
def test_a_faulty_field_is_barred_and_its_deal_still_counts(tmp_path, row, rule, field):
    company = crm.load(write(tmp_path, opportunities=many(row)), as_of=DAY)
    assert found(company, "barred") == {(rule, field): 1}
    deal = company.opportunities.set_index("opportunity_id").loc["d1"]
    assert deal["is_won"] and pd.isna(deal[field]) and deal.drop([field, *deal.index[deal.isna()]]).notna().all()
    assert company.withheld == {}


def test_closed_on_the_day_of_creation_is_no_fault(tmp_path):
    rows = many("d1,10,2026-03-09 17:00,2026-03-09,won")
    assert found(crm.load(write(tmp_path, opportunities=rows))) == {}


def test_a_field_with_many_barred_rows_is_withheld(tmp_path):
    rows = many("d1,-10,2026-01-01,2026-03-09,won", "d2,-10,2026-01-01,2026-03-09,lost", n=18)
    company = crm.load(write(tmp_path, opportunities=rows))
    assert company.withheld == {"amount": "2 of 20 values of amount are barred (negative_amount), more than 5 %"}
    assert crm.load(tmp_path, max_barred=0.1).withheld == {}


def test_an_unknown_stage_is_barred_where_stages_are_known(tmp_path):
    rows = (
        "opportunity_id,stage,created_date\n"
        + "".join(f"d{i},Won,2026-01-01\n" for i in range(30))
        + "d30,Wonn,2026-01-01\n"
    )
    yaml = "stages: {order: [Lead], won: [Won], lost: [Lost]}\nvalues: {outcome: {Wonn: won}}"
    folder = write(
        tmp_path, yaml=yaml + "\ncolumns: {opportunities: {outcome: stage, stage: stage}}", opportunities=rows
    )
    company = crm.load(folder)
    assert found(company, "barred") == {("unknown_stage", "stage"): 1} and company.opportunities["is_won"].all()


def test_an_owner_who_is_no_rep_is_counted_only_where_there_are_reps(tmp_path):
    rows = deals("d1,1,2026-01-01,2026-03-31,won,u1", "d2,1,2026-01-01,2026-03-31,won,u9", header=f"{HEADER},owner_id")
    assert found(crm.load(write(tmp_path, opportunities=rows))) == {}
    company = crm.load(write(tmp_path, opportunities=rows, reps="owner_id,name\nu1,Ada\n"))
    assert found(company) == {("unknown_owner", "owner_id"): 1} and len(company.opportunities) == 2


def test_what_is_only_counted_changes_nothing(tmp_path):
    rows = many(
        "d1,,2026-01-10,2026-03-31,open",
        "d2,0,2026-01-10,2026-03-31,lost",
        "d3,5,,,won",
        "d4,1,2026-01-10,2026-03-31,open",
    )
    company = crm.load(write(tmp_path, opportunities=rows), as_of=DAY)
    assert found(company, "counted") == {
        ("open_without_amount", "amount"): 1,
        ("open_past_close_date", "close_date"): 2,
        ("lost_amount_zero", "amount"): 1,
        ("missing_date", "created_date"): 1,
        ("missing_date", "close_date"): 1,
    }
    assert company.withheld == {"lost_amount": "1 lost deals, all with amount 0"}
    assert company.opportunities["amount"].sum() == 406


def test_spellings_that_differ_in_blanks_are_suggested_not_applied(tmp_path):
    rows = deals(
        "d1,1,2026-01-10,2026-03-31,won,GTX Pro", "d2,1,2026-01-10,2026-03-31,won,GTX Pro",
        "d3,1,2026-01-10,2026-03-31,won,GTXPro", "d4,1,2026-01-10,2026-03-31,won,Zed", header=f"{HEADER},product",
    )  # fmt: skip
    company = crm.load(write(tmp_path, opportunities=rows))
    assert found(company, "counted") == {("product_spelling", "product"): 1}
    assert company.opportunities["product"].tolist() == ["GTX Pro", "GTX Pro", "GTXPro", "Zed"]
    folder = write(tmp_path, yaml="lookups: {product: prices.csv:name}", opportunities=rows, prices="name\ngtx pro\n")
    company = crm.load(folder)
    assert found(company, "counted") == {("product_spelling", "product"): 3, ("unknown_product", "product"): 1}
    assert (
        "likely gtx pro for GTX Pro, gtx pro for GTXPro: name them under product"
        in company.exclusions["reason"].str.cat()
    )
    assert company.inputs["table"].tolist() == ["opportunities", "source.yaml", "product lookup"]


def test_history_of_deals_that_are_not_there_is_counted(tmp_path):
    history = "opportunity_id,changed_at,stage\nd1,2026-01-10,Lead\nzz,2026-01-11,Lead\n"
    assert found(crm.load(write(tmp_path, stage_history=history))) == {("unknown_opportunity", "opportunity_id"): 1}


def test_several_currencies_convert_at_the_rate_of_the_close_date(tmp_path):
    rows = deals(
        "d1,100,2026-01-01,2026-03-31,won,EUR", "d2,100,2026-01-01,2026-02-10,won,eur",
        "d3,100,2026-01-01,2026-01-05,won,EUR",
        "d4,100,2026-01-01,,open,EUR", "d5,100,2026-01-01,2026-03-31,won,USD", "d6,100,2026-01-01,2026-03-31,won,",
        header=f"{HEADER},currency",
    )  # fmt: skip
    rates = "date,currency,rate\n2026-03-01,EUR,1.5\n2026-02-01,EUR,1.25\n"
    company = crm.load(write(tmp_path, yaml="currency: USD", opportunities=rows, fx_rates=rates))
    # on the day, the latest before, the earliest where all are later, the latest where there is no date, and none
    assert company.opportunities["amount"].tolist() == [150, 125, 125, 150, 100, 100]
    assert found(company)["converted_currency", "amount"] == 4 and company.currency == "USD"


# Totals tie

CELLS = st.tuples(
    st.sampled_from(["", *(f"d{i}" for i in range(60))]),
    st.sampled_from(["won", "lost", "open", "no_decision", "?", ""]),
    st.integers(-5, 1000),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(CELLS, min_size=1, max_size=60, unique_by=lambda cell: cell[0] or str(cell)), st.integers(0, 3))
def test_every_row_read_is_used_set_aside_or_a_repeat(tmp_path, cells, repeats):
    cells = [("sure", "won", 1), *cells]
    rows = [f"{name},{amount},2026-01-01,2026-03-31,{outcome}" for name, outcome, amount in cells]
    rows += rows[:repeats]
    company = crm.load(write(tmp_path, opportunities=deals(*rows)), as_of=DAY, max_barred=1, where=None)
    n = company.exclusions.groupby("action")["n"].sum()
    repeated = company.exclusions.query("rule == 'repeated_row'")["n"].sum()
    assert company.inputs["rows"][0] == len(rows) == len(company.opportunities) + n.get("set_aside", 0) + repeated
    kept = {name: (outcome, amount) for name, outcome, amount in cells if name and outcome not in ("", "?")}
    won = sum(amount for outcome, amount in kept.values() if outcome == "won" and amount >= 0)
    assert company.opportunities.query("is_won")["amount"].sum() == won
    assert set(company.opportunities["opportunity_id"]) == set(kept)
