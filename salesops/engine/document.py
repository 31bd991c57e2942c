"""The files of one report, written from its executed notebook into the staging folder."""

import re
from html import escape, unescape
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import NotebookNode

from salesops import checks, crm, kept, metrics, report, words
from salesops.engine import (
    changed,
    deals,
    execute,
    figures,
    fingerprints,
    index,
    kinds,
    pages,
    plan,
    record,
    scrub,
    shelf,
    unchanged,
)
from salesops.periods import Period
from salesops.report import behind
from salesops.report.block import Block


def write(each: plan.Loaded, notebook: NotebookNode, staged: Path, out: Path, *, run: record.Run, aside: Path) -> str:
    """Write every file of a report and return its status: ok, partial or empty.

    Parameters
    ----------
    each
        The job and its company.
    notebook
        As executed; it is cleaned here.
    staged
        Folder to write to.
    out
        Where earlier reports are, for the link to the previous one.
    run
        What the engine knows of the run, for the run record.
    aside
        Where the notebook left its lists of deals, what it read of other reports and what it took from the cache.
    """
    said, values = figures.collect(notebook, aside), _values(each)
    content = figures_file(each, said, values)
    ran = {"cell_seconds": execute.cell_seconds(notebook), "messages": _messages(each, notebook)}
    ran |= {"cache": kept.use(aside)}
    execute.cleaned(notebook, values)
    before = changed.earlier(out, each.job.name, each.as_of)
    page = report.render(changed.beside(notebook, content, before, each.company), _meta(each, said, content, out))
    texts = {
        ".ipynb": nbformat.writes(execute.without_facts(notebook)),
        ".json": figures.dumps(content),
        ".deals.html": _deals_page(each, said, content),
        ".html": page,
    }
    _require_unnamed(each, [*texts.values(), *said.deals])
    _require_fit(each, page, content, said)
    pages.require_fit(f"{each.job.name}, its lists of deals", report.faults(texts[".deals.html"], largest=pages.LISTS))
    for ending, text in texts.items():
        (staged / f"{each.job.name}{ending}").write_text(text, encoding="utf-8")
    deals.write_table(said.deals, staged / f"{each.job.name}.deals.parquet")
    told = _run_record(each, content, out, run, unchanged.read_by(aside))
    told |= ran | {"title": _title(each, said), "files": unchanged.hashes(staged, each.job.name)}
    text = figures.dumps(told | {"finished": (end := record.now()), "seconds": record.seconds(run.started, end)})
    _require_unnamed(each, [text])
    (staged / f"{each.job.name}.run.json").write_text(text, encoding="utf-8")
    return content["status"]


def _require_unnamed(each: plan.Loaded, texts: list[str]) -> None:
    """Refuse to publish a person who may not be shown, or a secret, whatever a notebook did to show one."""
    secret = scrub.shown_secret(texts)
    if secret:
        raise checks.SalesopsError(
            f"{each.job.name}: shows the value of the environment variable {secret}. Take it out of the notebook."
        )
    if any(each.company.hides(text) for text in texts):
        raise checks.SalesopsError(
            f"{each.job.name}: shows a person who may not be shown to its readers. Show such tables through page.table."
        )


def _called(company: crm.Company, sentences: list[str]) -> list[str]:
    """The deals and people that sentences name: their digits are no figures."""
    ids = pd.Series(re.findall(r"[\w-]+", " ".join(sentences)), dtype="str")
    known = company.opportunities.set_index(company.opportunities["opportunity_id"].astype("str"))["name"]
    deals = ids[ids.isin(known.index)]
    named = [*known[known.index.isin(deals)].dropna(), *company.reps["name"].dropna()]
    return [*deals, *map(str, named)]


def _require_fit(each: plan.Loaded, page: str, content: dict[str, Any], said: figures.Said) -> None:
    """Refuse to publish a page that falls short of what a page is."""
    company = each.company
    known = {"data_through": company.data_through.isoformat()}
    titles = [unescape(title) for title in re.findall(r'<p class="so-chart-title">(.*?)</p>', page)]
    names = {"names": _called(company, [*said.headlines, *titles])}
    pages.require_fit(each.job.name, report.faults(page, content | known | names))


def figures_file(each: plan.Loaded, said: figures.Said, values: dict[str, Any]) -> dict[str, Any]:
    """The content of ``<report>.json``: every number of the report and what it was made from."""
    job, company = each.job, each.company
    inputs = [{"table": row.table, "rows": int(row.rows), "sha256": row.sha256} for row in company.inputs.itertuples()]
    resolved = {name: _json_value(value) for name, value in values.items()}
    source = str(job.values["source"].value) if "source" in job.values else ""
    written = fingerprints.written(job.name, job.notebook, source=company.source)
    return {
        "schema": 1,
        "report": job.name,
        "run_id": record.run_id(
            report=job.name, inputs=inputs, parameters=resolved, notebook=job.notebook, notes=written
        ),
        "as_of": each.as_of,
        "period": _period(each.period),
        "parameters": resolved,
        "status": status(each, said),
        "inputs": inputs,
        "exclusions": [
            {"table": row.table, "rule": row.rule, "field": _text(row.field), "n": int(row.n)}
            for row in company.exclusions.itertuples()
        ],
        "headlines": said.headlines,
        "figures": said.figures,
        "findings": list(said.findings),
        "tiles": list(said.tiles),
        "tile_titles": {key: title for key, title in said.tiles.items() if title},
        "currency": company.currency,
        "locale": company.locale,
        "sections_left_out": said.left_out,
        "code": record.code(),
        "hashes": fingerprints.of(company, inputs, resolved, source=source, notebook=job.notebook, written=written),
        "definitions": fingerprints.definitions(figure["metric"] for figure in said.figures),
    }


def status(each: plan.Loaded, said: figures.Said) -> str:
    """``empty`` without a population, ``partial`` where a section or a figure is missing, else ``ok``."""
    if each.company.opportunities.empty or said.page.get("population") == 0:
        return "empty"
    is_partial = said.left_out or figures.withheld(said.figures, each.company.withheld, metrics.registry())
    return "partial" if is_partial else "ok"


def nothing_to_report(each: plan.Loaded) -> NotebookNode:
    """What is published when no deal is in the population: the notebook's heading and one sentence.

    The cells are not run: a quiet quarter is no fault of theirs.
    """
    company = each.company
    counted = f" where {company.where}" if company.where else ""
    sentence = f"Nothing to report: no deals{counted}, as of {words.day(company.as_of)}."
    notebook = nbformat.read(each.job.notebook, as_version=4)
    title = _heading(notebook) or index.title(each.job.name)
    facts = {"headlines": [sentence], "page": {"title": title, "population": 0}}
    data, metadata = Block("headline", f'<p class="so">{escape(sentence)}</p>', facts)._repr_mimebundle_()
    notebook.cells = [
        nbformat.v4.new_markdown_cell(f"# {title}"),
        nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("display_data", data=data, metadata=metadata)]),
    ]
    return notebook


def _values(each: plan.Loaded) -> dict[str, Any]:
    """The values to publish: a source by its label, because a path says where a machine keeps it."""
    values = {name: value.value for name, value in each.job.values.items()}
    return values | ({"source": each.company.source} if "source" in values else {})


def _period(period: Period | None) -> dict[str, str | None]:
    if period is None:
        return {"label": None, "start": None, "end": None}
    return {"label": period.label, "start": period.start.isoformat(), "end": period.end.isoformat()}


def _meta(each: plan.Loaded, said: figures.Said, content: dict[str, Any], out: Path) -> dict[str, Any]:
    job, company = each.job, each.company
    found = company.exclusions.groupby("action")["n"].sum()
    facts = {name: content[name] for name in ("report", "run_id", "as_of", "period", "status", "inputs", "code")}
    return facts | {
        "title": _title(each, said),
        "period_complete": each.period is not None and each.period.is_complete(company.as_of),
        "data_through": company.data_through.isoformat(),
        "rows_read": sum(entry["rows"] for entry in content["inputs"] if entry["table"] == "opportunities"),
        "rows_set_aside": int(found.get("set_aside", 0)),
        "rows_barred": int(found.get("barred", 0)),
        "rows_repaired": int(found.get("repaired", 0)),
        "ties": each.ties,
        "where": company.where if company.where != crm.POPULATION else None,
        "source": company.source,
        "policy": list(company.policy),
        "currency": company.currency,
        "locale": company.locale,
        "parameters": [
            {"name": name, "value": kinds.shown(value), "origin": job.values[name].origin}
            for name, value in _values(each).items()
        ],
        "packages": record.versions(),
        "previous": _previous(out, each),
        "deals_href": f"{job.name}.deals.html",
        "headline_deals": behind.headline_deals(
            said.headlines, content["figures"], said.deals, currency=company.currency
        ),
    }


def _previous(out: Path, each: plan.Loaded) -> dict[str, str] | None:
    day = shelf.previous(out, each.as_of, each.job.name)
    return {"href": f"../{day}/{each.job.name}.html", "label": words.day(day)} if day else None


def _deals_page(each: plan.Loaded, said: figures.Said, content: dict[str, Any]) -> str:
    currency = each.company.currency
    keyed = ((report.figure_key(figure), figure) for figure in content["figures"])
    titles = {key: _figure_title(figure, currency) for key, figure in keyed if key in said.deals}
    names = {"report": each.job.name, "title": _title(each, said), "run_id": content["run_id"]}
    return each.company.unnamed(deals.page(said.deals, titles, each.company, **names))


def _run_record(
    each: plan.Loaded, content: dict[str, Any], out: Path, run: record.Run, read: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the figures file does not say of how a report came about; no secret, and no path of the machine."""
    name, as_of = content["report"], content["as_of"]
    kept = {key: content[key] for key in ("report", "run_id", "as_of", "period", "locale", "inputs")}
    values = _values(each)
    parameters = {key: {"value": _json_value(values[key]), "origin": each.job.values[key].origin} for key in values}
    reports = unchanged.reports_digest([answer["found"] for answer in read], name, as_of)
    return kept | {
        "schema": record.SCHEMA,
        "source": each.company.source,
        "notebook": each.job.notebook.name,
        "outcome": content["status"],
        "cause": None,
        "attempts": run.attempts,
        "schedule": run.schedule,
        "started": run.started,
        "peak_memory_bytes": run.peak_memory_bytes,
        "parameters": parameters,
        "packages": record.versions(),
        "code": record.checkout(),
        "depends": {**run.depends, "reports": reports} if run.depends else {},
        "read": read,
        "exports": dict(run.exports),
        "replaces": shelf.run_record(out / as_of, name).get("run_id"),
        "previous": _run_before(out, as_of, name),
    }


def _run_before(out: Path, as_of: str, name: str) -> dict[str, str] | None:
    """Day and run id of the report published before this one."""
    day = shelf.previous(out, as_of, name)
    return {"as_of": day, "run_id": shelf.run_record(out / day, name).get("run_id")} if day else None


def _messages(each: plan.Loaded, notebook: NotebookNode) -> list[str]:
    """What cells said on standard error, which people see who run the notebook."""
    root = each.job.notebook.parents[1]
    return [scrub.text(each.company.unnamed(said), root) for said in execute.messages(notebook)]


def _title(each: plan.Loaded, said: figures.Said) -> str:
    base, _, part = each.job.name.partition(".")
    title = said.page.get("title") or index.title(base)
    whose = each.company.about.name if part and each.company.about else part
    return f"{title} – {whose}" if whose else title


def _heading(notebook: NotebookNode) -> str:
    lines = [line for cell in notebook.cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    return next((line[2:].strip() for line in lines if line.startswith("# ")), "")


def _figure_title(figure: dict[str, Any], currency: str) -> str:
    name = figure["metric"] if figure["statistic"] == "value" else f"{figure['metric']}_{figure['statistic']}"
    groups = [f"{words.label(column)} {words.group(value, column)}" for column, value in figure["by"].items()]
    told = ", ".join(filter(None, [words.label(name), *groups, figure["period"]["label"]]))
    compared = f" ({figure['compared_with'].replace('_', ' ')})" if figure["compared_with"] else ""
    return f"{told}{compared}: {words.value(figure['value'], figure['unit'], currency=currency)}"


def _json_value(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, dict):
        return {kinds.shown(key): _json_value(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else kinds.shown(value)


def _text(value: Any) -> str | None:
    return None if words.is_missing(value) else str(value)
