"""How often the win/loss report names something in a company in which nothing differs: 1,000 companies.

Run with ``make bench NAME=win_loss``. The report's own cells are run, so that the family is the report's.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest import mock

import nbformat
import numpy as np
import pandas as pd

from salesops import cohorts, driver_findings, drivers, win_model, win_rates
from salesops.crm import sample

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "win_loss.ipynb"
DRAWS, PROCESSES = 1_000, 2
# Two thirds of the time, and none of it decides what is named.
NAMES_NOTHING = {
    win_model: ("later_deals", "score_card", "importance"),
    drivers: ("effects", "model_facts"),
    driver_findings: ("dose_responses",),
    cohorts: ("cohort_win_rate",),
    win_rates: ("win_rates_by_dimension", "win_rate_trend"),
}


def main(draws: int = DRAWS) -> None:
    with ProcessPoolExecutor(PROCESSES) as workers:
        named = pd.concat(workers.map(null_company, range(1, draws + 1), chunksize=10), axis=1).T
    any_named = named.any(axis=1)
    print(f"{'named in a null company':<44}{'share':>8}{'± 2 se':>9}{'reports':>9}")
    for table, column in named.items():
        show(table, column)
    show("any of them", any_named)


def show(name: str, hits: pd.Series) -> None:
    share = hits.mean()
    print(f"{name:<44}{share:>8.3f}{2 * np.sqrt(share * (1 - share) / len(hits)):>9.3f}{len(hits):>9,}")


def null_company(seed: int) -> pd.Series:
    """Which of the report's naming tables names anything, in one company."""
    return pd.Series({name: bool(table["is_named"].any()) for name, table in naming(report(seed, null=True)).items()})


def report(seed: int, **switches: object) -> dict[str, object]:
    """Everything the report's cells compute, up to its first word, for a sample company; what names nothing apart."""
    found: dict[str, object] = {}
    with ExitStack() as stack:
        replaced = [mock.patch.object(sample, "tables", partial(sample.tables, seed=seed, **switches))]
        replaced += [mock.patch.object(module, name) for module, names in NAMES_NOTHING.items() for name in names]
        for each in replaced:
            stack.enter_context(each)
        exec(compile(computing_cells(), NOTEBOOK.name, "exec"), found)
    return found


def computing_cells() -> str:
    """The code of the notebook before its headline."""
    code = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    first_said = next(place for place, source in enumerate(code) if source.startswith("page.headline("))
    return "\n".join(code[:first_said])


def naming(found: dict[str, object]) -> dict[str, pd.DataFrame]:
    """The tables of the report's one family; a change of the mix is no driver."""
    return {name: value for name, value in found.items() if isinstance(value, pd.DataFrame) and "n_compared" in value}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
