"""The cover: what matters most over all reports of a day."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from salesops import words

OWN = "executive_summary"
MOST = 6
ORDER = ("forecast", "rep_performance", "win_loss", "waterfall", "funnel", "bookings_ahead", "leads", "activity")
KINDS = ("the reports disagree", "the target", "a change beyond noise", "money at stake", "a level", "no clear finding")

_NAMES = {"win_loss": "Win/loss"}
_TARGET = re.compile(r"\btarget\b|\bquota\b|\bwill land\b")
_CHANGE = re.compile(r"\b(?:rose|fell|grew|gained|lost|up|down) [\d.,]+ (?:points?|%)|\busual range\b|\bits usual\b")
_NOTHING = re.compile(r"[Nn]o clear|[Nn]either|no more than chance|[Tt]oo few|[Tt]oo early|[Nn]othing to report")

Document = Mapping[str, Any]


def pack(documents: Iterable[Document], *, source: str, where: str, measure: str) -> list[Document]:
    """The reports that a cover is of: of each name the one about the same deals, else the one without a variant.

    Parameters
    ----------
    documents
        Figures files of one day, as of `figures_files.read`.
    source, where, measure
        The cover's own. A report of another source belongs to another pack.

    Returns
    -------
    list
        In the order in which a leader reads them; covers are not among them.

    Examples
    --------
    >>> own = {"source": "sample", "where": "", "measure": "amount"}
    >>> files = [{"report": "win_loss", "parameters": own}, {"report": "forecast", "parameters": own},
    ...     {"report": "win_loss.emea", "parameters": own | {"where": "region == 'EMEA'"}}]
    >>> [each["report"] for each in pack(files, **own)]
    ['forecast', 'win_loss']
    >>> [each["report"] for each in pack(files, **own | {"where": "region == 'EMEA'"})]
    ['forecast', 'win_loss.emea']
    """
    found: dict[str, Document] = {}
    for each in documents:
        name, _, variant = each["report"].partition(".")
        if name == OWN or each["parameters"].get("source") != source:
            continue
        is_same = _is_same(each, where=where, measure=measure)
        known = name in found and _is_same(found[name], where=where, measure=measure)
        if (is_same and not (known and variant)) or (not variant and not known):
            found[name] = each
    return sorted(found.values(), key=place)


def figure(figures: pd.DataFrame, metric: str, *, report: str) -> pd.DataFrame:
    """One tile figure of a report, as a row that a tile takes; no row where the report has none.

    Parameters
    ----------
    figures
        Of `figures_files.figures`.
    metric
        Its name.
    report
        Whose, or a variant's.

    Returns
    -------
    DataFrame
        ``period``, ``period_start``, ``period_end``, ``n``, ``level``, the metric and its limits.

    Examples
    --------
    >>> known = pd.DataFrame({"report": ["forecast"], "metric": ["landing_amount"], "statistic": ["value"],
    ...     "by": ["{}"], "compared_with": [None], "period": ["2026Q4"],
    ...     "period_start": [pd.NaT], "period_end": [pd.NaT], "n": [9],
    ...     "level": [0.8], "value": [2.5], "low": [1.8], "high": [3.3]})
    >>> figure(known, "landing_amount", report="forecast")[["period", "landing_amount", "landing_amount_low"]]
       period  landing_amount  landing_amount_low
    0  2026Q4             2.5                 1.8
    >>> figure(known, "target_probability", report="forecast").empty
    True
    """
    is_one = figures["metric"].eq(metric) & figures["report"].astype("str").str.split(".").str[0].eq(report)
    is_one &= figures["statistic"].eq("value") & figures["by"].eq("{}") & figures["compared_with"].isna()
    limits = {"value": metric, "low": f"{metric}_low", "high": f"{metric}_high"}
    kept = figures.loc[is_one, ["period", "period_start", "period_end", "n", "level", *limits]].rename(columns=limits)
    bare = [name for name in (f"{metric}_low", f"{metric}_high", "level") if kept[name].isna().all()]
    return kept.drop(columns=bare).head(1).reset_index(drop=True)


def ranked(
    documents: Sequence[Document], *, where: str, measure: str, own: Sequence[str] = (), faults: Sequence[str] = (),
    currency: str = "", most: int = MOST,
) -> pd.DataFrame:  # fmt: skip
    """Every sentence of the reports in the order in which they matter, and which of them the cover shows.

    Kinds come in this order: reports that disagree without a reason, the target and where the quarter lands, changes
    beyond noise, other findings that name money, levels, and what says that nothing is clear. Within a kind comes
    first what names more money (its first amount; of the target the forecast comes first), then the order of the pack
    and of the report. The cover shows the best sentence of each report, and a second one only where there is
    room. A report about other deals, or in other money, has no sentence on the cover.

    Parameters
    ----------
    documents
        Of `pack`.
    where, measure
        The cover's own.
    own, faults
        Sentences of the cover itself: what moved beyond its usual range, and where reports disagree.
    currency
        ISO code of amounts.
    most
        Sentences shown.

    Returns
    -------
    DataFrame
        ``rank``, ``report``, ``kind``, ``at_stake`` (missing: no money named), ``sentence``, ``is_shown``.

    Examples
    --------
    >>> told = {"where": "", "measure": "amount"}
    >>> files = [
    ...     {"report": "funnel", "parameters": told, "headlines": ["3 deals are stuck.", "$2.0M stands too long."]},
    ...     {"report": "forecast", "parameters": told, "headlines": ["2026Q4 will land at $2.5M."]}]
    >>> ranked(files, currency="USD", most=2, **told)[["rank", "report", "kind", "is_shown"]]
       rank    report            kind  is_shown
    0     1  forecast      the target      True
    1     2    funnel  money at stake      True
    2     3    funnel         a level     False
    """
    mine = [each for each in documents if _is_same(each, where=where, measure=measure)]
    said = [(each["report"], sentence) for each in mine for sentence in each.get("headlines", [])]
    said = [*((f"{OWN} ", sentence) for sentence in faults), *((OWN, sentence) for sentence in own), *said]
    rows = [
        {"report": report.strip(), "kind": KINDS[0] if report.endswith(" ") else kind(sentence), "sentence": sentence,
         "at_stake": _first_amount(sentence, currency), "place": place, "family": report}
        for place, (report, sentence) in enumerate(said)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["report", "kind", "sentence", "at_stake", "place", "family"])
    table["order"] = table["kind"].map(KINDS.index)
    table["money"] = table["at_stake"].fillna(0.0).where(table["order"] > 1, 0.0)
    table = table.sort_values(["order", "money", "place"], ascending=[True, False, True], ignore_index=True)
    table["turn"] = table.groupby("family").cumcount()
    shown = table.sort_values(["turn", "order", "money", "place"], ascending=[True, True, False, True]).index[:most]
    table["rank"], table["is_shown"] = range(1, len(table) + 1), table.index.isin(shown)
    return table[["rank", "report", "kind", "at_stake", "sentence", "is_shown"]]


def titles(documents: Iterable[Document]) -> dict[str, str]:
    """What each report is called on the cover.

    Examples
    --------
    >>> titles([{"report": "win_loss"}, {"report": "leads.emea"}])
    {'executive_summary': 'this page', 'win_loss': 'Win/loss', 'leads.emea': 'Leads – emea'}
    """
    parts = {each["report"]: each["report"].partition(".") for each in documents}
    named = {name: _NAMES.get(base) or words.label(base) for name, (base, _, _) in parts.items()}
    return {OWN: "this page"} | {name: " – ".join(filter(None, [named[name], parts[name][2]])) for name in parts}


def contents(documents: Sequence[Document], *, where: str, measure: str) -> pd.DataFrame:
    """The reports of the pack with what each says first, for the links of the cover.

    Returns
    -------
    DataFrame
        ``report``, ``title``, ``href``, ``about`` (what is particular to it, else empty), ``sentence``.

    Examples
    --------
    >>> files = [{"report": "leads", "status": "partial", "headlines": ["40 leads arrived."],
    ...     "parameters": {"where": "", "measure": "amount"}}]
    >>> contents(files, where="", measure="amount").iloc[0].tolist()
    ['leads', 'Leads', 'leads.html', 'a section is left out', '40 leads arrived.']
    """
    named = titles(documents)
    rows = [
        {"report": each["report"], "title": named[each["report"]], "href": f"{each['report']}.html",
         "about": _about(each, where, measure), "sentence": next(iter(each.get("headlines", [])), "")}
        for each in documents
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["report", "title", "href", "about", "sentence"])


def _about(document: Document, where: str, measure: str) -> str:
    asked, said = document["parameters"], []
    if asked.get("where") != where:
        said.append(f"other deals: {asked.get('where') or 'all'}")
    if asked.get("measure") != measure:
        said.append(f"other money: {asked.get('measure')}")
    told = {"partial": "a section is left out", "empty": "nothing to report"}.get(document.get("status", ""))
    return "; ".join([*said, *([told] if told else [])])


def kind(sentence: str) -> str:
    """Of which kind a sentence is; what it says first counts.

    Examples
    --------
    >>> kind("The win rate fell 8 points (33 % to 24 %); at an unchanged mix there is no clear change.")
    'a change beyond noise'
    >>> kind("We won 22 %: no clear change from 25 % in 2026Q2."), kind("Deals worth 9 stand still.")
    ('no clear finding', 'a level')
    """
    if _TARGET.search(sentence):
        return KINDS[1]
    change, nothing = _CHANGE.search(sentence), _NOTHING.search(sentence)
    if change and (not nothing or change.start() < nothing.start()):
        return KINDS[2]
    if nothing:
        return KINDS[5]
    return KINDS[3] if re.search(r"[$€£¥₹]|\b[A-Z]{3} \d|\d[KMB]? [A-Z]{3}\b", sentence) else KINDS[4]


def ranking(table: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """The ranked sentences as a table shows them.

    Examples
    --------
    >>> table = pd.DataFrame({"rank": [1], "report": [OWN], "kind": "a level", "sentence": "S.", "is_shown": [True]})
    >>> ranking(table, {OWN: "this page"}).iloc[0].tolist()
    ['1', 'this page', 'a level', 'S.', 'yes']
    """
    shown = table["is_shown"].map({True: "yes", False: "no"}).astype("str")
    named = table["report"].map(lambda name: titles.get(name, name)).astype("str")
    told = table.assign(rank=table["rank"].astype("str"), report=named, shown=shown)
    return told[["rank", "report", "kind", "sentence", "shown"]]


def decided_sentence(said: Sequence[str]) -> str:
    """What became of the decisions, a paragraph each; that none is on record where there is none.

    Examples
    --------
    >>> decided_sentence([]), decided_sentence(["A.", "B."]).split()
    ('No decision is on record. Each one that is signed, with its first day, is judged here.', ['A.', 'B.'])
    """
    return "\n\n".join(said) or "No decision is on record. Each one that is signed, with its first day, is judged here."


def chance_note(chance: pd.DataFrame) -> str:
    """The chance of the target in words, for the tile of the forecast; empty where the forecast gives none.

    Examples
    --------
    >>> known = pd.DataFrame({"target_probability": [0.017]})
    >>> chance_note(known), chance_note(known[:0])
    ('chance of the target 2 %', '')
    """
    known = chance["target_probability"].dropna()
    return f"chance of the target {words.chance(known.iloc[0])}" if len(known) else ""


_SHARES = {
    "win_rate": "of the qualified deals closed in {}",
    "value_win_rate": "of the money of the qualified deals closed in {}",
    "expected_win_rate": "of the deals created in {}, expected in the end",
    "overall_conversion_rate": "of the deals that entered the first stage in {}, expected in the end",
}  # fmt: skip


def shares_sentence(documents: Iterable[Document]) -> str:
    """Which deals each share of deals won is of, over the tiles of the reports; empty where at most one says one.

    Examples
    --------
    >>> one = lambda metric, value, period: {"metric": metric, "value": value, "by": {}, "statistic": "value",
    ...     "compared_with": None, "period": {"label": period}}
    >>> told = [
    ...     {"report": "win_loss", "tiles": ["win_rate.2026Q3"], "figures": [one("win_rate", 0.22, "2026Q3")]},
    ...     {"report": "rep_performance", "tiles": ["win_rate.2025"], "figures": [one("win_rate", 0.28, "2025")]}]
    >>> print(shares_sentence(told))
    Shares of deals won differ by the deals they are of: 22 % of the qualified deals closed in 2026Q3 (Win/loss); \
28 % of the qualified deals closed in 2025 (Rep performance).
    >>> shares_sentence(told[:1]), shares_sentence([told[0], told[1] | {"tiles": []}])
    ('', '')
    """
    documents, said = list(documents), {}
    named = titles(documents)
    for each in documents:
        shown = {tuple(key.split(".")[:2]) for key in each.get("tiles", [])}
        for found in each["figures"]:
            metric, span = found["metric"], found["period"]["label"]
            is_whole = not found["by"] and found["statistic"] == "value" and not found["compared_with"]
            is_tile = any(key[0] == metric and key[-1].startswith(_slug(span)) for key in shown)
            if metric in _SHARES and is_whole and is_tile and not words.is_missing(found["value"]):
                share = f"{words.rate(found['value'])} {_SHARES[metric].format(span)}"
                said.setdefault(share, []).append(named[each["report"]])
    if len(said) < 2:
        return ""
    listed = "; ".join(f"{share} ({', '.join(dict.fromkeys(where))})" for share, where in said.items())
    return f"Shares of deals won differ by the deals they are of: {listed}."


def _slug(span: object) -> str:
    return str(span).replace("–", "-")  # as the keys of tiles write a span


def sentences(table: pd.DataFrame) -> list[str]:
    """What the cover says, most important first; that there is nothing to say where no report was made.

    Examples
    --------
    >>> alone = pd.DataFrame({"report": [OWN], "sentence": ["It fell."], "is_shown": [True]})
    >>> sentences(alone)
    ['It fell.', 'No other report of the same day is published here: this page has only its own figures.']
    """
    shown = table.loc[table["is_shown"], "sentence"].tolist()
    if table["report"].ne(OWN).any():
        return shown
    alone = "No other report of the same day is published here: this page has only its own figures."
    return [*shown[: MOST - 1], alone]


def _is_same(document: Document, *, where: str, measure: str) -> bool:
    asked = document["parameters"]
    return asked.get("where") == where and asked.get("measure") == measure


def place(row: Mapping[str, Any]) -> tuple[int, str]:
    """Where a report, or a row that names one, stands in the pack; to sort by.

    Examples
    --------
    >>> sorted([{"report": "funnel"}, {"report": "forecast"}], key=place)
    [{'report': 'forecast'}, {'report': 'funnel'}]
    """
    name = row["report"].partition(".")[0]
    return (-1 if name == OWN else ORDER.index(name) if name in ORDER else len(ORDER), row["report"])


def _first_amount(sentence: str, currency: str) -> float:
    """The first amount of money a sentence names, as its locale writes it; missing where it names none."""
    symbol = re.escape(re.sub(r"[\d\s]", "", words.amount(1, currency)))
    point, comma = words.decimal_marks()
    if not symbol:
        return math.nan
    number = r"(\d[\d.,]*)([KMB]?)"
    found = re.search(rf"{symbol}\s?{number}|{number}\s?{symbol}", sentence.replace("\u00a0", " "))
    if not found:
        return math.nan
    digits, scale = (found[1], found[2]) if found[1] else (found[3], found[4])
    size = float(digits.rstrip(".,").replace(comma, "").replace(point, "."))
    return size * {"K": 1e3, "M": 1e6, "B": 1e9}.get(scale, 1)
