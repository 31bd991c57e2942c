"""The people policy and people's own pages: who is shown to whom, in every byte."""

import html
import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import engine_toys
import pandas as pd
import pytest
from crm_folder import write
from hypothesis import given, settings
from hypothesis import strategies as st

from salesops import crm, pipeline, rep_performance, report
from salesops.checks import DataError, ParameterError
from salesops.crm import groups, model, own_page, people, policy, source
from salesops.crm.scrubbing import Scrubber
from salesops.engine import plan, run
from salesops.periods import quarter

KEY = "a secret of some length"
REPS = """owner_id,name,email,manager_id,team,role,region,hire_date,left_date
U-001,Ada Byron,ada@x.org,U-009,East,rep,EMEA,2020-01-01,
U-002,Al Boyd,al@x.org,U-009,East,rep,EMEA,2020-01-01,
U-003,Cy Dee,cy@x.org,U-009,West,rep,EMEA,2020-01-01,
U-004,Eve Fox,eve@x.org,U-009,South,rep,APAC,2020-01-01,
U-005,Gus Hay,gus@x.org,U-009,South,rep,APAC,2020-01-01,2022-05-01
U-009,Mo Boss,mo@x.org,,East,manager,EMEA,2019-01-01,
"""
DEALS = """opportunity_id,name,amount,created_date,close_date,closed_at,outcome,owner_id,territory,next_step,x_helper
d1,"Ada Byron's big one",100,2026-01-10,2026-03-31,2026-03-31,won,U-002,T1,"Ask Byron, Ada (U-001)",ada@x.org
d2,Alpha,200,2026-02-01,2026-04-15,2026-04-15,lost,U-002,T1,Al calls,U-003
d3,Fox hunt,300,2026-03-01,2026-12-31,,open,U-003,T2,Cy Dee writes,
d4,Old,50,2022-01-01,2022-02-01,2022-02-01,won,U-005,T2,,gus@x.org
"""
HISTORY = """opportunity_id,changed_at,seq,stage,owner_id
d1,2026-01-10,1,Offer,U-001
d1,2026-03-31,2,Won,U-001
d1,2026-05-01,3,Won,U-002
d2,2026-02-01,1,Offer,U-002
d3,2026-03-01,1,Offer,U-003
"""
TARGETS = """metric,scope_kind,scope_id,period_start,period_end,version,value
bookings_amount,rep,U-001,2026-01-01,2026-03-31,1,100
bookings_amount,rep,U-002,2026-01-01,2026-03-31,1,110
bookings_amount,team,East,2026-01-01,2026-03-31,1,300
bookings_amount,team,West,2026-01-01,2026-03-31,1,100
bookings_amount,team,South,2026-01-01,2026-03-31,1,50
bookings_amount,company,company,2026-01-01,2026-03-31,1,500
"""
ACTIVITIES = """activity_id,owner_id,opportunity_id,kind,occurred_at
a1,U-001,d1,call,2026-02-01
a2,U-002,d1,call,2026-04-20
a3,U-003,d3,call,2026-04-01
a4,U-005,d4,call,2022-01-15
"""
SPLITS = """opportunity_id,owner_id,kind,share
d1,U-001,revenue,0.6
d1,U-003,revenue,0.3
d1,U-004,overlay,0.5
"""
TABLES = {
    "opportunities": DEALS, "reps": REPS, "stage_history": HISTORY, "targets": TARGETS, "activities": ACTIVITIES,
    "opportunity_splits": SPLITS,
}  # fmt: skip
PEOPLE = {
    f"U-00{number}": (f"U-00{number}", name, address)
    for number, name, address in [
        (1, "Ada Byron", "ada@x.org"), (2, "Al Boyd", "al@x.org"), (3, "Cy Dee", "cy@x.org"),
        (4, "Eve Fox", "eve@x.org"), (5, "Gus Hay", "gus@x.org"), (9, "Mo Boss", "mo@x.org"),
    ]
}  # fmt: skip


@pytest.fixture
def with_policy(tmp_path, monkeypatch):
    """A loader of the small company under a people policy."""
    monkeypatch.setenv("PEOPLE_KEY", KEY)

    def load(said: str | None = None, **options: object) -> crm.Company:
        yaml = f"people_policy: {said}\n" if said else None
        return crm.load(write(tmp_path / "acme", yaml=yaml, **TABLES), where="", as_of="2026-09-30", **options)

    return load


def everything(company: crm.Company) -> str:
    tables = "".join(getattr(company, table).to_csv() for table in (*model.TABLES, "all_opportunities"))
    return f"{tables}{company.exclusions.to_csv()}{company.notes}{company.withheld}"


def mentioned(text: str, persons: dict[str, tuple[str, ...]] = PEOPLE) -> set[str]:
    """Whose id, name or address stands in a text as whole words, however it is quoted."""
    readable = html.unescape(unquote(text))
    return {
        person
        for person, texts in persons.items()
        if any(re.search(rf"(?<!\w){re.escape(each)}(?!\w)", readable, re.IGNORECASE) for each in texts)
    }


# What a policy says


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("initials", "people_policy must hold 'name: value' lines, such as level: team; found 'initials'."),
        ("{levl: team}", "people_policy: unknown key 'levl'. It takes level, smallest_group, activity, names, key,"),
        ("{levl: team}", "Did you mean 'level'?"),
        ("{level: person}", "people_policy.level must be one of team, rep; found 'person'."),
        ("{names: none}", "people_policy.names must be one of full, initials, codes; found 'none'."),
        ("{names: codes}", "people_policy: codes need a key. Write key: env: and the name of the environment variable"),
        ("{names: codes, key: hunter2}", "people_policy.key must be env: and the name of the environment variable"),
        ("{activity: no}", "people_policy.activity must be one of on, off; found 'no'."),
        ("{smallest_group: 1}", "people_policy.smallest_group must be at least 2: a group of one is a person."),
        ("{retention: forever}", "people_policy.retention must be a whole number from 1 on; found 'forever'."),
        ("{contact: [a]}", "people_policy.contact must be a text; found '['a']'."),
    ],
)
def test_what_a_policy_may_not_say(text, words):
    with pytest.raises(DataError) as error:
        source.from_mapping(source.parse(f"people_policy: {text}"), label="ours")
    assert words in str(error.value) and "hunter2" not in str(error.value)


def test_a_policy_comes_back_from_its_own_description():
    text = "{names: codes, key: env:K, activity: off, retention: 730, purpose: To coach., contact: a@b, level: rep}"
    said = source.from_mapping(source.parse(f"people_policy: {text}"), label="ours").people_policy
    assert policy.read(said.described(), "again") == said
    assert said == policy.Policy("rep", 5, False, "codes", "K", 730, "To coach.", "a@b", True)
    assert policy.Policy().described() == {} and policy.Policy().told("full") == []
    assert said.told("codes") == [
        "People are shown by a code.", "What each person logged is not used.",
        "Activities, forecasts and people who left are kept for 730 days.", "Purpose: To coach.",
        "Questions about it: a@b.",
    ]  # fmt: skip


@pytest.mark.parametrize(("held", "words"), [(None, "is not set"), ("short", "is shorter than 16 characters")])
def test_codes_need_their_secret(with_policy, monkeypatch, held, words):
    monkeypatch.delenv("PEOPLE_KEY")
    if held:
        monkeypatch.setenv("PEOPLE_KEY", held)
    with pytest.raises(ParameterError) as error:
        with_policy("{level: rep, names: codes, key: env:PEOPLE_KEY}")
    assert str(error.value).startswith(f"people_policy: the environment variable PEOPLE_KEY {words}, so people have no")
    assert "short" not in str(error.value).replace("shorter", "")


# Names


def test_codes_are_stable_keyed_and_no_id(with_policy, monkeypatch):
    said = "{level: rep, names: codes, key: env:PEOPLE_KEY}"
    company = with_policy(said)
    codes = company.reps["owner_id"].tolist()
    assert all(re.fullmatch(r"P-[A-Z2-7]{6}", code) for code in codes) and len(set(codes)) == 6
    assert company.reps["name"].tolist() == codes == company.reps["email"].tolist()
    assert company.opportunities["owner_id"].tolist() == [codes[1], codes[1], codes[2], codes[4]]
    assert company.opportunities["name"].tolist() == [f"{codes[0]}'s big one", "Alpha", "Fox hunt", "Old"]
    assert company.opportunities["next_step"][0] == f"Ask {codes[0]} ({codes[0]})"
    assert company.targets["scope_id"].tolist()[:3] == [codes[0], codes[1], "East"]
    assert not mentioned(everything(company))
    assert with_policy(said).reps["owner_id"].tolist() == codes
    monkeypatch.setenv("PEOPLE_KEY", KEY + "!")
    assert not set(with_policy(said).reps["owner_id"]) & set(codes)


@pytest.mark.parametrize(
    ("said", "names", "shown"),
    [
        ("{level: rep, names: initials}", "full", "AB"),  # nothing loosens it
        ("{level: rep, names: full}", "initials", "AB"),  # a parameter may be stricter
        ("{level: rep, names: full}", "full", "Ada Byron"),
        ("{level: rep, names: initials}", "codes", "P01"),
    ],
)
def test_the_stricter_of_policy_and_parameter_counts(with_policy, said, names, shown):
    company = with_policy(said, names=names)
    assert company.reps["name"][0] == shown
    assert bool(mentioned(everything(company))) == (shown == "Ada Byron")
    assert (company.reps["owner_id"][0] == shown) == (shown != "Ada Byron")


@given(st.lists(st.text("abU-12", min_size=1, max_size=6), unique=True, min_size=1))
def test_no_code_is_an_id_and_no_two_are_one(ids):
    codes = people.masked({each: each for each in ids}, "codes", key=KEY.encode())
    assert len(set(codes.values())) == len(ids) and not set(codes.values()) & set(ids)


@pytest.mark.parametrize(
    "where", ["owner_id == 'U-001'", "name == 'Ada Byron'", "segment != 'x' and owner_id in ['U-002']"]
)
def test_a_filter_may_not_name_whom_the_pages_do_not(with_policy, tmp_path, where):
    with_policy("{level: rep, names: initials}")
    with pytest.raises(ParameterError, match=r"where: names a person who is not shown so here\. Write the person as"):
        crm.load(tmp_path / "acme", where=where, as_of="2026-09-30")
    assert len(crm.load(tmp_path / "acme", where="owner_id == 'CD'", as_of="2026-09-30").opportunities) == 1


def test_words_that_only_look_like_people_stay():
    scrub = Scrubber({"Al": "A", "Ada Byron": "AB", "Fox": "F", "2": "two", "u2": "you", "2026": "year"})
    same = "Alpha, Ada and Byron, foxes, 2 of u2 in 2026, adabyron"
    assert scrub.scrubbed(same) == same and not scrub.is_in(same)
    assert scrub.scrubbed("Al, ADA-BYRON; Fox asks Alpha") == "A, AB; F asks Alpha" and not scrub.is_in("Al, Fox")
    assert scrub.is_in("x=%22Byron%2C%20Ada%22") and scrub.is_in("Ada&#32;Byron")


# Groups


def test_a_small_team_is_not_shown_apart(with_policy):
    company = with_policy("{level: team, smallest_group: 2}")
    assert company.reps["team"].tolist() == ["East", "East", "Other teams", "Other teams", "Other teams", "East"]
    plan_ = company.targets[company.targets["scope_kind"] == "team"]
    assert dict(zip(plan_["scope_id"], plan_["value"], strict=True)) == {"East": 300.0, "Other teams": 150.0}
    assert not mentioned(everything(company))
    assert company.territory_assignments.empty
    # all together are four reps: no group is shown
    assert with_policy("{level: team}").reps["team"].isna().all()


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(2, 8))
def test_merged_groups_are_never_too_small(sizes, smallest):
    series = pd.Series(sizes, index=[f"g{number}" for number in range(len(sizes))])
    names = groups.merged(series, smallest, "Others")
    called = pd.Series([names.get(name, name) for name in series.index], index=series.index, dtype="str")
    assert (series.groupby(called).sum() >= smallest).all()
    assert sum(name is None for name in names.values()) in (0, len(sizes))


def test_a_team_page_shows_no_person(with_policy, q3):
    company = with_policy("{level: team, smallest_group: 2, contact: dpo@x.org}")
    page = report.Page("Toys", company, period=q3)
    someone = company.reps["name"][0]
    by_rep = pd.DataFrame({"owner_id": company.reps["owner_id"], "n": 50, "won_count": 5.0})
    withheld = page.table(by_rep, caption="By rep", units={"won_count": "count"})
    assert "<strong>By rep</strong> is withheld: it is about single people" in withheld.html
    assert someone not in withheld.html and withheld.facts == {}
    deals = company.opportunities[["opportunity_id", "owner_id", "amount"]]
    listed = page.table(deals, caption="Deals", shown=["opportunity_id", "owner_id"], units={"amount": "amount"})
    assert "d1" in listed.html and "Owner" not in listed.html
    said = page.headline([f"{someone} wins more often.", "East wins more often."])
    assert said.facts["headlines"] == ["East wins more often."]
    assert "Questions about it: dpo@x.org." in page.block.html


def test_by_person_is_refused_where_groups_are_shown(with_policy, tmp_path):
    with_policy("{level: team}")
    with pytest.raises(ParameterError, match=r"where: owner_id splits by person, and the people_policy .* Use team"):
        crm.load(tmp_path / "acme", where="owner_id == 'x'", as_of="2026-09-30")


# Activity and retention


def test_activity_off_counts_for_the_deal_and_for_nobody(with_policy, q3):
    company = with_policy("{level: rep, activity: off}")
    assert company.activities["owner_id"].isna().all() and company.tool_usage.empty
    assert company.activities["opportunity_id"].tolist() == ["d1", "d1", "d3", "d4"]
    block = report.Page("Toys", company, period=q3).needs("What was put in?", "activities.owner_id")
    assert "What each person logged is not used, by the people policy" in block.html.replace("what each", "What each")


def test_what_is_too_old_is_gone(with_policy):
    company = with_policy("{level: rep, retention: 730}")
    assert company.activities["activity_id"].tolist() == ["a1", "a2", "a3"]
    assert "U-005" not in set(company.reps["owner_id"]) and len(company.reps) == 5
    assert company.opportunities["owner_id"].isna().tolist() == [False, False, False, True]
    assert mentioned(everything(company)) == {"U-001", "U-002", "U-003", "U-004", "U-009"}


# One's own page


@pytest.mark.parametrize(("credit", "mine"), [("event", {"d1"}), ("current", set()), ("split", {"d1"})])
def test_ones_own_page_is_about_nobody_else(with_policy, tmp_path, credit, mine):
    with_policy()
    company = crm.load(tmp_path / "acme", where="owner_id == 'U-001'", as_of="2026-09-30", credit=credit)
    assert set(company.opportunities["opportunity_id"]) == mine
    assert company.about == ("owner_id", "U-001", "Ada Byron") and company.about.scope == "rep"
    assert mentioned(everything(company)) == {"U-001"}
    assert company.targets["value"].tolist() == [100.0] and company.reps["manager_id"].isna().all()
    assert not company.hides("Ada Byron, U-001, ada@x.org") and company.hides("Boyd, Al") and company.hides("u-002")


def test_a_share_is_shown_without_the_others(with_policy, tmp_path):
    with_policy()
    company = crm.load(tmp_path / "acme", where="owner_id == 'U-003'", as_of="2026-09-30", credit="split")
    assert set(company.opportunities["opportunity_id"]) == {"d1", "d3"}
    assert mentioned(everything(company)) == {"U-003"}
    deals = rep_performance.credited(
        company.opportunities, stage_history=company.stage_history, reps=company.reps, credit="split",
        splits=company.opportunity_splits,
    )  # fmt: skip
    assert deals["amount"].sum() == 400 and company.own(deals)["amount"].tolist() == [30.0, 300.0]


def test_a_teams_page_is_about_its_people(with_policy, tmp_path):
    with_policy()
    company = crm.load(tmp_path / "acme", where="team == 'East'", as_of="2026-09-30")
    assert set(company.opportunities["opportunity_id"]) == {"d1", "d2"}
    assert company.opportunities["owner_id"].tolist() == ["U-001", "U-002"]  # at the close
    assert mentioned(everything(company)) == {"U-001", "U-002", "U-009"}
    assert company.targets["value"].tolist() == [100.0, 110.0, 300.0]
    assert own_page.asked("team == 'Nowhere'", {"reps": company.reps}) is None


def test_ones_own_page_bears_the_code(with_policy, tmp_path):
    code = with_policy("{level: rep, names: codes, key: env:PEOPLE_KEY}").reps["owner_id"]
    company = crm.load(tmp_path / "acme", where=f"owner_id == '{code[0]}'", as_of="2026-09-30")
    assert company.about.name == code[0] and set(company.opportunities["opportunity_id"]) == {"d1"}
    text = everything(company)
    assert code[0] in text and not mentioned(text) and not any(other in text for other in code[1:])


# Credit


def test_shares_add_up_to_the_bookings(with_policy):
    company = with_policy()
    parts = SimpleNamespace(
        deals=company.opportunities, history=company.stage_history, splits=company.opportunity_splits
    )

    def by_owner(credit: str) -> dict[str, float]:
        deals = rep_performance.credited(
            parts.deals, stage_history=parts.history, reps=company.reps, credit=credit, splits=parts.splits
        )
        return deals[deals["is_won"]].groupby("owner_id")["amount"].sum().round(9).to_dict()

    assert by_owner("event") == {"U-001": 100.0, "U-005": 50.0}
    assert by_owner("current") == {"U-002": 100.0, "U-005": 50.0}
    # a tenth of d1 has nobody's name and stays with the owner at the close; the overlay's half adds nothing
    assert by_owner("split") == {"U-001": 70.0, "U-003": 30.0, "U-005": 50.0}
    with pytest.raises(ParameterError, match=r"credit: 'splits' is unknown\. It takes event, current, split\. Did you"):
        by_owner("splits")
    with pytest.raises(ParameterError, match=r"credit: 'splits' is unknown"):
        own_page.owners({}, "splits")


def test_splits_of_the_sample_tie_to_its_bookings():
    company = crm.load(where="")
    arguments = {"stage_history": company.stage_history, "reps": company.reps}
    whole = rep_performance.credited(company.opportunities, **arguments)
    split = rep_performance.credited(
        company.opportunities, **arguments, credit="split", splits=company.opportunity_splits
    )
    year = quarter(company.as_of)
    for frame in (whole, split):
        frame["known"] = frame["owner_id"].fillna("unknown owner")
    won, shared = (pipeline.won_in(frame, year) for frame in (whole, split))
    assert shared["amount"].sum() == pytest.approx(won["amount"].sum(), rel=1e-12)
    assert shared.groupby("known")["amount"].sum().sum() == pytest.approx(won["amount"].sum(), rel=1e-12)
    overlays = set(company.reps.loc[company.reps["role"] == "overlay", "owner_id"])
    assert not overlays & set(shared["owner_id"]) and len(shared) > len(won)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["revenue", "overlay"]), st.floats(0, 1.5)), max_size=5)
)
def test_whatever_the_shares_say_nothing_is_won_twice(shares):
    deals = pd.DataFrame({
        "opportunity_id": ["d"], "owner_id": ["a"], "is_closed": [True], "is_won": [True], "amount": [80.0],
        "close_date": pd.to_datetime(["2026-03-31"]), "closed_at": pd.to_datetime(["2026-03-31"]),
    })  # fmt: skip
    frame = pd.DataFrame(shares, columns=["owner_id", "kind", "share"]).astype({"share": float})
    split = rep_performance.credited(
        deals, stage_history=model.conform(pd.DataFrame(), "stage_history"), credit="split",
        reps=pd.DataFrame({"owner_id": list("abc"), "team": "t"}),
        splits=model.conform(frame.assign(opportunity_id="d"), "opportunity_splits"),
    )  # fmt: skip
    assert split["amount"].sum() == pytest.approx(80) and split["owner_id"].is_unique


# Every published byte


SHOW = """
from salesops import crm, report
company = crm.load(source, as_of=as_of, where=where)
page = report.Page("Toys", company, period=company.period(period))
"""
TELL = """
page
"""
SAY = """
page.headline(["Deals and people are listed below."])
"""
LIST = """
page.table(company.opportunities[["opportunity_id", "owner_id", "name", "next_step", "amount"]], caption="Deals",
           units={"amount": "amount"}, limit=1)
"""
WHO = """
page.table(company.reps[["owner_id", "name"]].assign(n=30), caption="People")
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root")
    engine_toys.notebook(
        folder / "notebooks" / "toys.ipynb", cells=(SHOW, TELL, SAY, LIST, WHO), heading="What happened."
    )
    engine_toys.notebook(folder / "notebooks" / "loose.ipynb", cells=(SHOW, "print(company.reps['name'].tolist())"))
    return folder


def made(root: Path, out: Path, yaml: str | None, *reports: str, for_each: str | None = None) -> tuple[int, str]:
    told: list[str] = []
    folder = write(out.parent / "acme", yaml=yaml, **TABLES)
    settings = (f"source={folder}", "period=2026Q1", "as_of=2026-09-30", "where=")
    request = plan.Request(root=root, out=out, reports=reports, for_each=for_each, assignments=settings)
    return run.run(request, told.append), "\n".join(told)


def published(folder: Path) -> dict[str, str]:
    """The text of every file of a folder, and its name; those that links lead to once."""
    files = {path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    return {
        str(path.relative_to(folder)): pd.read_parquet(path).to_csv()
        if path.suffix == ".parquet"
        else path.read_text(encoding="utf-8")
        for path in files
    }


def test_a_persons_folder_names_that_person_alone(root, tmp_path):
    code, told = made(root, tmp_path / "out", None, "toys", for_each="owner_id=U-001,U-002")
    assert code == 0 and "toys: 1 of 4 people left before 1 January 2026 and have no report." in told
    folders = {path.name: published(path) for path in (tmp_path / "out" / "owner_id").iterdir()}
    assert set(folders) == {"U-001", "U-002"}
    for person, files in folders.items():
        assert len(files) == 8, sorted(files)  # six of the report and two indexes
        for name, text in files.items():
            assert mentioned(f"{name}\n{text}") <= {person}, name
        assert f"Toys – {PEOPLE[person][1]}" in files[f"2026-09-30/toys.{person}.html"]
    assert not list((tmp_path / "out").glob("2026-*"))
    with pytest.raises(ParameterError, match=r"--for-each: no team 'Eas'\. Did you mean 'East'\?"):
        made(root, tmp_path / "out", None, "toys", for_each="team=Eas")


def test_groups_alone_are_published_where_the_policy_says_so(root, tmp_path):
    yaml = "people_policy: {level: team, smallest_group: 2, purpose: Coaching, contact: dpo@x.org}\n"
    code, told = made(root, tmp_path / "out", yaml)
    assert code == 1
    # a notebook that shows people past the page is not published, and its failure does not show them either
    assert "loose: shows a person who may not be shown to its readers." in told
    files = published(tmp_path / "out")
    assert {"2026-09-30/toys.html", "2026-09-30/loose.failed.html"} <= set(files)
    assert "2026-09-30/loose.html" not in files
    for name, text in files.items():
        assert not mentioned(f"{name}\n{text}") and people.WITHHELD not in text, name
    page = files["2026-09-30/toys.html"]
    assert "<strong>People</strong> is withheld" in page and "Purpose: Coaching. Questions about it: dpo@x.org." in page
    assert "dpo@x.org" in files["2026-09-30/toys.ipynb"]
    with pytest.raises(ParameterError, match=r"--for-each: owner_id splits by person, .* Use team"):
        made(root, tmp_path / "out", yaml, "toys", for_each="owner_id")


def test_codes_go_into_file_names_too(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PEOPLE_KEY", KEY)
    yaml = "people_policy: {level: rep, names: codes, key: env:PEOPLE_KEY}\n"
    [own] = people.masked({"U-001": "U-001"}, "codes", key=KEY.encode()).values()
    code, told = made(root, tmp_path / "out", yaml, "toys", for_each=f"owner_id={own}")
    files = published(tmp_path / "out")
    assert code == 0 and len(files) == 9 and not mentioned(told.replace(str(tmp_path), ""))
    assert f"Toys – {own}" in files[f"owner_id/{own}/2026-09-30/toys.{own}.html"]
    for name, text in files.items():
        assert not mentioned(f"{name}\n{text}") and KEY not in text, name


def test_a_reps_page_of_the_sample_names_no_other(tmp_path):
    request = plan.Request(
        root=Path(__file__).parents[1], out=tmp_path, reports=("rep_performance",), for_each="owner_id=U-008,U-001"
    )
    told: list[str] = []
    assert run.run(request, told.append) == 0, told
    reps = crm.load().reps
    persons = {row.owner_id: (row.owner_id, row.name, row.email) for row in reps.itertuples(index=False)}
    for person in ("U-001", "U-008"):
        files = published(tmp_path / "owner_id" / person)
        assert any(persons[person][1] in text for text in files.values())
        for name, text in files.items():
            assert mentioned(f"{name}\n{text}", persons) <= {person}, name


def test_a_page_cannot_be_asked_for_with_others_in_its_filter(with_policy, tmp_path):
    with_policy()
    with pytest.raises(ParameterError, match="where: names a person who is not shown so here"):
        crm.load(tmp_path / "acme", where="owner_id == 'U-001' and owner_id != 'U-002'", as_of="2026-09-30")
