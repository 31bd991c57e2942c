"""source.yaml: what it takes, and the words of what it refuses."""

import pytest

from salesops.checks import DataError
from salesops.crm import source


def refused(text: str) -> str:
    with pytest.raises(DataError) as error:
        source.from_mapping(source.parse(text), label="ours")
    return str(error.value)


def test_what_a_full_source_says():
    text = """
    kind: generic
    id: row
    tables: {opportunities: deals.csv, accounts: null}
    columns: {opportunities: {amount: Betrag, x_rank: Rang}}
    values: {outcome: {Yes: won, No: lost}, stages.is_closed: {0: no}}
    missing: [Select, None]
    dates: {close_date: dmy, created_date: '%Y%m%d'}
    decimal: ','
    time_zone: Europe/Ljubljana
    currency: eur
    fiscal: {start_month: 07, named_by: start}
    stages: {order: {New: [Lead, Offer]}, won: Signed, lost: [Gone], qualified: {New: Offer}}
    people_policy: {level: rep, names: initials}
    lookups: {product: prices.csv:name}
    """
    said = source.from_mapping(source.parse(text.replace("07", "7")), label="ours")
    assert said.is_row_id and said.currency == "EUR" and (said.fiscal_start_month, said.fiscal_named_by) == (7, "start")
    assert said.tables == {"opportunities": "deals.csv", "accounts": None}
    # YAML 1.1 would make these True, False and 0
    assert said.values == {"outcome": {"Yes": "won", "No": "lost"}, "stages.is_closed": {"0": "no"}}
    assert said.stages.outcomes() == {"Lead": "open", "Offer": "open", "Signed": "won", "Gone": "lost"}
    assert said.stages.qualified == ("Offer",) and said.lookups == {"product": ("prices.csv", "name")}
    assert (said.people_policy.level, said.people_policy.names) == ("rep", "initials")
    assert said.missing == {"": ("Select", "None")} and said.dates["close_date"] == "dmy"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("curency: EUR", "source.yaml: unknown key 'curency'. It takes folder, kind,"),
        ("curency: EUR", "Did you mean 'currency'?"),
        ("tables: {opportunity: a.csv}", "source.yaml: tables: unknown table 'opportunity'."),
        ("columns: {opportunities: {closing_date: D}}", "unknown column 'closing_date'."),
        ("columns: {opportunities: {closing_date: D}}", "Did you mean 'close_date'?"),
        ("columns: [a]", "source.yaml: columns must hold 'name: value' lines; found '['a']'."),
        ("values: {outcom: {a: won}}", "values: unknown column 'outcom'. Did you mean 'outcome'?"),
        ("dates: german", "dates must be dmy, mdy, ymd or a format such as '%d.%m.%Y'; found 'german'."),
        ("dates: {close_date: german}", "dates.close_date must be dmy"),
        ("time_zone: Ljubljana", "time_zone: 'Ljubljana' is no time zone. Write e.g. Europe/Ljubljana or UTC."),
        ("currency: euros", "currency must be a three-letter code such as EUR; found 'euros'."),
        ("fiscal: {start_month: 13}", "fiscal.start_month must be one of 1, 2, 3"),
        ("fiscal: {start: 2}", "fiscal: unknown key 'start'. It takes start_month, named_by."),
        ("stages: {wins: [A]}", "stages: unknown key 'wins'."),
        ("stages: {won: {a: [b]}}", "stages.won must be a list such as [a, b]"),
        ("id: column", "id must be one of row; found 'column'."),
        ("decimal: comma", "decimal must be one of ,, .; found 'comma'."),
        ("lookups: {product: prices.csv}", "lookups.product must be like products.csv:product; found 'prices.csv'."),
        ("people_policy: none", "people_policy must hold 'name: value' lines, such as level: team; found 'none'."),
        ("currency: EUR\ncurrency: USD", "source.yaml, line 2: 'currency' is written twice. Keep one."),
        ("stages:\n  won: [a]\n  won: [b]", "source.yaml, line 3: 'won' is written twice. Keep one."),
        (
            "currency: !!python/object/apply:os.getcwd []",
            "line 1: tag 'tag:yaml.org,2002:python/object/apply:os.getcwd'",
        ),
        ("currency: [EUR", "source.yaml, line 1: expected ',' or ']'"),
        ("- a", "source.yaml: holds no keys. Write for example 'currency: EUR'."),
        ("a: \x01", "source.yaml: cannot be read as YAML"),
    ],
)
def test_what_it_refuses(text, words):
    assert words in refused(text)


def test_a_path_without_anything_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no such folder or file\. A source is a folder, a source\.yaml or 'sample'"):
        source.read(tmp_path / "nowhere")


def test_a_path_of_another_file_is_refused(tmp_path):
    (tmp_path / "deals.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"not a folder or a source\.yaml\. Name the folder"):
        source.read(tmp_path / "deals.csv")


def test_a_mapping_may_live_apart_from_its_data(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "ours.yaml").write_text("folder: ../data\ncurrency: EUR\n")
    said = source.read(tmp_path / "maps" / "ours.yaml")
    assert said.label == "data" and said.folder.resolve() == (tmp_path / "data").resolve()


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "source.yaml").write_text("folder: ../elsewhere\n")
    with pytest.raises(DataError, match=r"source\.yaml: folder '\.\./elsewhere' is not there, seen from source\.yaml"):
        source.read(tmp_path)


def test_an_empty_source_yaml_says_nothing():
    assert source.from_mapping(source.parse("# nothing yet\n"), label="x") == source.Source(label="x")
