"""A page about one person, team or region: whose deals are theirs, and nobody else in any table."""

import ast
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from salesops import checks, pipeline
from salesops.crm import people, population
from salesops.crm.people import Shown
from salesops.crm.policy import Policy
from salesops.crm.rules import Tables
from salesops.crm.scrubbing import Scrubber

CREDITS = ("event", "current", "split")
COLUMNS = ("owner_id", "team", "region")
COLLEAGUE = "a colleague"


class About(NamedTuple):
    """Whom a page is about: a person, a team or a region, as the page shows it."""

    column: str
    value: str
    name: str

    @property
    def scope(self) -> str:
        """What targets call it: rep, team or region."""
        return "rep" if self.column == "owner_id" else self.column


class Chosen(NamedTuple):
    """The tables with the deals that count, whom they are about, what must not be on a page of them, and `peers`."""

    tables: Tables
    about: About | None
    hidden: tuple[Scrubber, ...]
    peers: pd.DataFrame


def chosen(seen: Shown, where: str, *, policy: Policy, credit: str) -> Chosen:
    """The deals a filter holds for, as ``opportunities``; the page is somebody's own where it names one.

    ``all_opportunities`` are those before the filter: on somebody's own page theirs alone.
    """
    refuse_hidden(where, policy, seen.hidden)
    told, tables, hidden, about = asked(where, seen.tables), seen.tables, seen.hidden, None
    others_deals = pd.DataFrame({"closed_at": pd.Series(dtype="datetime64[us]")})
    if told:
        (tables, others), about = own(tables, told, credit)
        hidden += others
        refuse_hidden(where, policy, others)
        others_deals = peers(seen.tables, about, where, credit) if about.column == "owner_id" else others_deals
    everything = tables["opportunities"]
    view = everything
    if about and about.column != "region":
        view = view.assign(**{about.column: about.value})
    elif "team" in where and tables["reps"]["team"].notna().any():
        view = view.assign(team=teams(tables, credit))
    counted = everything[population.holds(view, where)]
    return Chosen(tables | {"all_opportunities": everything, "opportunities": counted}, about, hidden, others_deals)


def asked(where: str, tables: Tables | None = None) -> tuple[str, str] | None:
    """The one person, team or region that a filter is about: ``owner_id == '…'`` joined by and.

    A region is only where the reps have it: a deal's region may be in other words.

    Examples
    --------
    >>> asked("(opportunity_type != 'renewal') and owner_id == 'U-001'")
    ('owner_id', 'U-001')
    >>> asked("owner_id == 'U-001' or amount > 5"), asked("segment == 'SMB'")
    (None, None)
    """
    try:
        parts = [ast.parse(" ".join(where.split()), mode="eval").body]
    except (SyntaxError, ValueError, RecursionError):  # told in full where the filter is used
        return None
    found = {}
    while parts:
        part = parts.pop()
        if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.And):
            parts += part.values
        elif isinstance(part, ast.Compare) and len(part.ops) == 1 and isinstance(part.ops[0], ast.Eq):
            name, value = part.left, part.comparators[0]
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[name.id] = value.value
    if tables is not None:
        reps = tables["reps"]
        is_there = {
            name: name == "owner_id" or bool((reps[name] == found[name]).any()) for name in found if name in COLUMNS
        }
        found = {name: found[name] for name in is_there if is_there[name]}
    return next(((column, found[column]) for column in COLUMNS if column in found), None)


def refuse_hidden(where: str, policy: Policy, hidden: Iterable[Scrubber]) -> None:
    """Refuse a filter that names a person whom the pages do not name: it is printed on them.

    Raises
    ------
    ParameterError
        It does, or it splits by person where the policy shows none.
    """
    try:
        nodes = list(ast.walk(ast.parse(" ".join(where.split()), mode="eval")))
    except (SyntaxError, ValueError, RecursionError):
        return
    if policy.level == "team" and any(isinstance(node, ast.Name) and node.id == "owner_id" for node in nodes):
        raise checks.ParameterError(
            "where: owner_id splits by person, and the people_policy of the source shows groups only. Use team."
        )
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    if any(scrub.mentions(text) for scrub in hidden for text in texts):
        raise checks.ParameterError(
            "where: names a person who is not shown so here. Write the person as the pages do, by initials or code."
        )


def owners(tables: Tables, credit: str) -> pd.Series:
    """Whose each deal is: the owner when it closed (``event``, ``split``) or the present one (``current``)."""
    if credit not in CREDITS:
        hint = checks.did_you_mean(credit, CREDITS)
        raise checks.ParameterError(f"credit: '{credit}' is unknown. It takes {', '.join(CREDITS)}.{hint}")
    deals = tables["opportunities"]
    return deals["owner_id"] if credit == "current" else pipeline.owner_at_close(deals, tables["stage_history"])


def teams(tables: Tables, credit: str = "event") -> pd.Series:
    """The team of each deal: that of the person whose it is; missing where nobody tells."""
    team = tables["reps"].drop_duplicates("owner_id").set_index("owner_id")["team"]
    return owners(tables, credit).map(team).astype("str")


def own(tables: Tables, about: tuple[str, str], credit: str) -> tuple[Shown, About]:
    """The tables of a person's, a team's or a region's own page: nobody else's name or id is in them.

    Deals are those whose credit is theirs; a deal handed over bears the name of the one whose
    page it is on, and no other. With ``split`` credit also those they have a share of the
    revenue in. Activities on their deals by others stay, without saying whose.
    """
    column, value = about
    members = _members(tables["reps"], column, value)
    deals, owner = tables["opportunities"], owners(tables, credit)
    if column == "region":
        is_own = deals["region"] == value
    else:
        is_own = owner.isin(members)
        splits = tables["opportunity_splits"]
        if credit == "split":
            shared = splits.loc[(splits["kind"] != "overlay") & splits["owner_id"].isin(members), "opportunity_id"]
            is_own |= deals["opportunity_id"].isin(shared)
    mine = tables | {"opportunities": deals.assign(owner_id=owner)[is_own]}
    texts = people.persons(tables)
    others = {text for text, person in texts.items() if person not in members}
    name = people.labels_of(tables["reps"]).get(value, value) if column == "owner_id" else value
    others -= {value, name}
    scrub = Scrubber(dict.fromkeys(sorted(others), COLLEAGUE))
    marks = {text: None if text in others else text for text in texts}
    limited = _limited(mine, set(mine["opportunities"]["opportunity_id"]), members, column, value)
    return Shown(people.replaced(limited, marks, scrub), (scrub,)), About(column, value, name)


def peers(tables: Tables, about: About, where: str, credit: str = "event") -> pd.DataFrame:
    """The others' deals that count, for a person's own page: when each ended and how, and nothing that says whose.

    Returns
    -------
    DataFrame
        One row per deal of somebody in the reps table but the person: ``person`` (numbers in the order of first
        deals), ``is_team`` (of the person's team), ``is_closed, is_won, qualified_date, close_date, closed_at``.
    """
    deals, owner, reps = tables["opportunities"], owners(tables, credit), tables["reps"]
    team = reps.drop_duplicates("owner_id").set_index("owner_id")["team"]
    theirs = owner[population.holds(deals.assign(owner_id=about.value), where)]
    theirs = theirs[theirs.isin(reps["owner_id"]) & (theirs != about.value)]
    kept = deals.loc[theirs.index, ["is_closed", "is_won", "qualified_date", "close_date", "closed_at"]]
    is_team = theirs.map(team).eq(team.get(about.value)) & theirs.map(team).notna()
    return kept.assign(person=pd.factorize(theirs)[0], is_team=is_team.astype(bool)).reset_index(drop=True)


def _members(reps: pd.DataFrame, column: str, value: str) -> set[str]:
    return {value} if column == "owner_id" else set(reps.loc[reps[column] == value, "owner_id"].dropna())


def _limited(tables: Tables, deals: set[str], members: set[str], column: str, value: str) -> Tables:
    """Tables by person to those people, tables by deal to those deals, plans to those groups."""
    found = dict(tables)
    for table in ("reps", "leads", "forecast_submissions", "tool_usage", "territory_assignments"):
        found[table] = tables[table][tables[table]["owner_id"].isin(members)]
    for table in ("stage_history", "opportunity_splits", "line_items"):
        found[table] = tables[table][tables[table]["opportunity_id"].isin(deals)]
    log = tables["activities"]
    found["activities"] = log[log["owner_id"].isin(members) | log["opportunity_id"].isin(deals)]
    reps = tables["reps"]
    inside = reps[reps["owner_id"].isin(members)].groupby("team")["owner_id"].nunique()
    whole = inside[inside == reps.groupby("team")["owner_id"].nunique().reindex(inside.index)]
    theirs = {"owner_id": set(), "team": {value}, "region": set(whole.index)}[column]
    for table in ("targets", "actuals"):
        plan = tables[table]
        is_own = (plan["scope_kind"] == "rep") & plan["scope_id"].isin(members)
        is_own |= (plan["scope_kind"] == "team") & plan["scope_id"].isin(theirs)
        is_own |= (plan["scope_kind"] == "region") & (plan["scope_id"] == value) & (column == "region")
        found[table] = plan[is_own]
    return found
