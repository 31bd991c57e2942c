"""Files to raw frames: encodings, delimiters, formats, SELECTs, and what cannot be read."""

import hashlib
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crm_folder import DEALS, HEADER, write

from salesops import crm
from salesops.checks import DataError
from salesops.crm import intake
from salesops.engine import plan


def refused(folder) -> str:
    with pytest.raises(DataError) as error:
        crm.load(folder)
    return str(error.value)


def amounts(folder) -> list[float]:
    return crm.load(folder).opportunities["amount"].tolist()


def test_a_folder_with_canonical_names_needs_no_mapping(tmp_path):
    company = crm.load(write(tmp_path))
    assert company.opportunities["amount"].tolist() == [100, 200, 300] and company.source == tmp_path.name
    sha256 = hashlib.sha256(DEALS.encode()).hexdigest()
    assert company.inputs.values.tolist() == [["opportunities", 3, sha256]]


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (DEALS.encode("utf-8-sig"), None),
        (DEALS.replace("\n", "\r\n").encode(), None),
        (DEALS.replace(",", ";").encode(), "columns are taken to be separated by semicolons."),
        (DEALS.replace(",", "\t").encode(), "columns are taken to be separated by tabs."),
        (DEALS.replace("d1", "dé").encode("latin-1"), "read as latin-1, because it is not UTF-8."),
        (DEALS.encode("utf-16"), "read as UTF-16, because it is not UTF-8."),
    ],
)
def test_encodings_and_delimiters(tmp_path, content, note):
    company = crm.load(write(tmp_path, opportunities=content))
    assert company.opportunities["amount"].tolist() == [100, 200, 300]
    assert [text for text in company.notes if "opportunities.csv" in text] == (
        [f"opportunities.csv: {note}"] if note else []
    )


def test_latin_1_letters_survive(tmp_path):
    folder = write(tmp_path, opportunities=DEALS.replace("d1", "Zoë").encode("latin-1"))
    assert crm.load(folder).opportunities["opportunity_id"][0] == "Zoë"


def test_quoted_cells_may_hold_anything(tmp_path):
    rows = 'opportunity_id,name,outcome,created_date\n"d,1","two\nlines, ""quoted""",won,2026-01-01\n'
    deals = crm.load(write(tmp_path, opportunities=rows)).opportunities
    assert deals[["opportunity_id", "name"]].values.tolist() == [["d,1", 'two\nlines, "quoted"']]


def test_only_empty_cells_are_missing(tmp_path):
    rows = "opportunity_id,region,segment,outcome,created_date\nd1,NA,null,won,2026-01-01\nd2,,  ,won,2026-01-01\n"
    deals = crm.load(write(tmp_path, opportunities=rows)).opportunities
    assert deals["region"][0] == "NA" and deals["segment"][0] == "null"
    assert deals[["region", "segment"]].iloc[1].isna().all()


def test_parquet_and_tsv_read_as_csv_does(tmp_path):
    from_csv = crm.load(write(tmp_path / "csv")).opportunities
    frame = pd.read_csv(tmp_path / "csv" / "opportunities.csv", parse_dates=["created_date", "close_date"])
    for suffix in ("parquet", "tsv"):
        (tmp_path / suffix).mkdir()
    frame.to_parquet(tmp_path / "parquet" / "opportunities.parquet")
    frame.to_csv(tmp_path / "tsv" / "opportunities.tsv", sep="\t", index=False)
    for suffix in ("parquet", "tsv"):
        pd.testing.assert_frame_equal(crm.load(tmp_path / suffix).opportunities, from_csv)


def test_several_files_are_one_table(tmp_path):
    folder = write(
        tmp_path, yaml="tables: {opportunities: 'deals_*.csv'}", deals_1=DEALS, deals_2=f"{HEADER}\nd4,5,,,won\n"
    )
    assert amounts(folder) == [100, 200, 300, 5]
    (folder / "deals_3.csv").write_text("opportunity_id\nd5\n")
    assert "and deals_3.csv have different columns. Join them with a SELECT." in refused(folder)


SELECT = """
tables:
  opportunities: >
    SELECT deals.id AS opportunity_id, sum(CAST(qty AS DOUBLE) * 2) AS amount, 'won' AS outcome,
           '2026-01-02' AS close_date
    FROM deals JOIN "my lines" AS lines ON lines.id = deals.id GROUP BY deals.id ORDER BY deals.id
"""


def test_a_select_joins_the_files(tmp_path):
    folder = write(tmp_path, yaml=SELECT, deals="id\na\nb\n", **{"my lines": "id,qty\na,1\na,2\nb,4\n"})
    assert amounts(folder) == [6, 8]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FROM '/etc/passwd'", "fails: Catalog Error"),
        ("SELECT content FROM read_text('/etc/passwd')", "file system operations are disabled by configuration"),
        ("SELECT nothing FROM deals", "Referenced column"),
        ("SELECT * FROM", "fails: Parser Error"),
        (
            "SELECT * FROM deels",
            "It takes tables by name, ['deals', 'opportunities']; columns of text files are text.",
        ),
    ],
)
def test_a_select_that_fails_or_reaches_out_is_refused(tmp_path, query, words):
    message = refused(write(tmp_path, yaml=f'tables: {{opportunities: "{query}"}}', deals="id\na\n"))
    assert message.startswith("source.yaml: the SELECT") and words in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "opportunities.csv: is empty, without even a header. Export it again."),
        ("  \n\n", "opportunities.csv: is empty"),
        (
            f"{HEADER}\nd1,1,2026-01-01\n",
            "opportunities.csv: 1 row does not fit the header's 5 columns, counting the header as row 1 (row 2 has 3: d1,1,2026",
        ),
        ("a,b,a\n1,2,3\n", "opportunities.csv: column 'a' is there 2 times. Keep one."),
        (b"opportunity_id,outcome\nd1,w\0n\n", "opportunities.csv, line 2: holds a NUL byte, so it is no text file."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content, words):
    assert words in refused(write(tmp_path, opportunities=content))


@pytest.mark.parametrize("digits", [0, 2])
def test_ids_that_are_decimals_keep_their_digits_or_it_is_said(tmp_path, digits):
    ids = [2**53, 2**53 + 1, 12 * 10**23]
    kinds = {"created_date": ["2026-01-10"] * 3, "close_date": ["2026-03-31"] * 3, "outcome": ["won", "lost", "won"]}
    held = pa.array([Decimal(each) for each in ids], pa.decimal128(38, digits))
    pq.write_table(pa.table({"opportunity_id": held, "amount": held} | kinds), tmp_path / "opportunities.parquet")
    if digits:  # decimals with digits behind the point are amounts, and as such the first two are one
        assert "1 opportunity_id stands for rows with different contents" in refused(tmp_path)
        return
    deals = crm.load(tmp_path).opportunities
    assert sorted(deals["opportunity_id"], key=int) == [str(each) for each in ids]
    assert sorted(deals["amount"]) == [float(each) for each in ids]


def test_broken_parquet_is_refused(tmp_path):
    (tmp_path / "opportunities.parquet").write_bytes(b"PAR1 not really")
    assert "opportunities.parquet: cannot be read as Parquet" in refused(tmp_path)


def test_a_folder_without_deals_is_refused(tmp_path):
    (tmp_path / "opportunity.csv").write_text(DEALS)
    message = refused(tmp_path)
    assert message.startswith(f"{tmp_path.name}: no opportunities.csv; found ['opportunity.csv'].")
    assert "Did you mean 'opportunity.csv'? Name the file that holds the deals in source.yaml under tables." in message


def test_two_files_for_one_table_are_refused(tmp_path):
    folder = write(tmp_path)
    (folder / "opportunities.tsv").write_text(DEALS)
    assert "opportunities.csv and opportunities.tsv both hold opportunities. Name one" in refused(folder)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("deal.csv", "deal.csv: no such file; found ['deals.csv', 'opportunities.csv']. Did you mean 'deals.csv'?"),
        ("../x.csv", "../x.csv: leaves the source's folder. Name a file inside it."),
        ("/etc/passwd", "/etc/passwd: leaves the source's folder."),
        ("notes.txt", "notes.txt: cannot read a '.txt' file. Export it as CSV, TSV, Excel (.xlsx) or Parquet."),
    ],
)
def test_a_pattern_that_finds_nothing_of_use_is_refused(tmp_path, pattern, words):
    folder = write(tmp_path, yaml=f"tables: {{opportunities: {pattern}}}", deals=DEALS)
    (folder / "notes.txt").write_text("x")
    assert words in refused(folder)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "secret.csv").write_text(DEALS)
    folder = write(tmp_path / "in", yaml="tables: {opportunities: link.csv}")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert "link.csv: links out of the source's folder. Copy the file into it." in refused(folder)


def test_a_header_alone_is_an_empty_company(tmp_path):
    folder = write(tmp_path, opportunities=HEADER)
    company = crm.load(folder, as_of="2026-06-30")
    assert company.opportunities.empty and company.exclusions.empty
    assert company.opportunities["is_won"].dtype == bool


def test_parts_of_a_source_are_loaded_from_one_reading(monkeypatch, tmp_path):
    read = []
    real = intake.of_folder
    monkeypatch.setattr(intake, "of_folder", lambda source, **rest: read.append(str(source)) or real(source, **rest))
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = write(tmp_path / "one"), write(tmp_path / "other")
    shared = crm.sharing(crm.load)
    parts = [shared(source=one, where=f"opportunity_id == '{name}'") for name in ("d1", "d2")]
    whole = shared(source=one)
    assert read == [str(one)] and [part.opportunities["opportunity_id"].tolist() for part in parts] == [["d1"], ["d2"]]
    pd.testing.assert_frame_equal(whole.all_opportunities, crm.load(one).all_opportunities)
    assert len(read) == 2  # who loads without sharing reads anew
    shared(source=one, max_barred=0.1), shared(source=other), shared(source=one)
    assert read[2:] == [str(one), str(other), str(one)]  # checked otherwise, another source, and that was let go


def test_the_parts_of_a_fan_out_share_one_reading(monkeypatch):
    asked = []
    monkeypatch.setattr(crm, "sharing", lambda read: asked.append(read) or read)
    assert plan.load([], None, print) == [] and asked == [crm.load]
