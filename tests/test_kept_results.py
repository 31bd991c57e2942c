"""Figures made of what was kept are those made without: of the functions that keep, and of whole pages."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from test_fan_out import files
from test_kept import same

from salesops import (
    bookings_ahead,
    crm,
    forecast,
    forecast_backtest,
    forecast_cases,
    forecast_weeks,
    kept,
    pipeline_forecast,
    reference_forecasts,
    reliability,
)
from salesops.crm import formats
from salesops.crm.sample import export
from salesops.engine import plan, run
from salesops.kept import content, entries


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(kept.FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A folder of exports, of which the larger ones are kept."""
    folder = tmp_path_factory.mktemp("exported") / "crm"
    export.write(folder, shape="canonical", size=3000)
    return folder


def computed(folder: Path) -> list[object]:
    """What the kept functions give, from files on."""
    company = crm.load(folder, as_of=date(2026, 6, 30))
    deals, changes, calendar = company.opportunities, company.stage_history, company.calendar
    history = forecast.bookings_history(deals, company.as_of, calendar).set_index("period")["bookings_amount"]
    known = {"stages": company.stages, "calendar": calendar}
    cases = forecast_cases.cases(deals, changes, as_of=company.as_of, weeks=[5], **known)[-2:]
    methods = {"pipeline": pipeline_forecast.pipeline} | reference_forecasts.methods(company.forecast_submissions)
    groups = bookings_ahead.bookings_by_group(deals, by=["region"], calendar=calendar, as_of=company.as_of)
    return [
        company.opportunities, company.stage_history, company.notes, company.exclusions,
        forecast_backtest.backtest(cases, methods, history, seed=0),
        forecast_weeks.week_by_week(cases, methods["pipeline"], target=1e6),
        bookings_ahead.group_forecasts(groups, by=["region"], calendar=calendar),
        reliability.deal_calls(cases[:1], cases[1]),
    ]  # fmt: skip


def test_cold_warm_and_without_a_cache_all_is_the_same_to_the_bit(cache, exported, monkeypatch):
    monkeypatch.setattr(formats, "SMALLEST_KEPT", 1 << 16)
    runs = []
    for where in ("off", str(cache), str(cache)):
        monkeypatch.setenv(kept.FOLDER, where)
        runs.append(content.digest(computed(exported)))
        entry = {each.kind: 0 for each in entries.each(cache)}
    assert runs[0] == runs[1] == runs[2]
    assert set(entry) == {"exports", "snapshots", "backtests", "forecasts"}


def test_a_kept_answer_follows_the_data_and_the_method(cache, monkeypatch, exported):
    monkeypatch.setattr(formats, "SMALLEST_KEPT", 1 << 16)
    one = computed(exported)
    n = len(list(entries.each(cache)))
    monkeypatch.setattr(reference_forecasts, "run_rate", reference_forecasts.seasonal_naive)
    monkeypatch.setattr(
        reference_forecasts, "METHODS", reference_forecasts.METHODS | {"run_rate": reference_forecasts.seasonal_naive}
    )
    other = computed(exported)
    assert len(list(entries.each(cache))) == n + 1 and not same(one[4], other[4]) and same(one[5], other[5])


def test_a_workbook_is_kept_and_text_of_its_size_is_not(cache, tmp_path):
    texts = np.random.default_rng(0).integers(10**15, 10**16, 110_000).astype(str)
    frame = pd.DataFrame({"opportunity_id": texts})
    frame.to_csv(tmp_path / "deals.csv", index=False)
    frame.to_excel(tmp_path / "deals.xlsx", index=False)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("deals.*"))]
    assert formats.SMALLEST_WORKBOOK_KEPT < min(sizes) and max(sizes) < formats.SMALLEST_KEPT
    found = []
    for name in ("deals.csv", "deals.xlsx"):
        formats.read_file(tmp_path / name, name=name)
        found.append(len(list(entries.each(cache))))
    assert found == [0, 1]


@pytest.mark.full
@pytest.mark.parametrize("name", ["bookings_ahead", "pipeline_review", "forecast"])
def test_the_pages_of_a_notebook_are_the_same_bytes(cache, exported, tmp_path, monkeypatch, name):
    monkeypatch.setattr(formats, "SMALLEST_KEPT", 1 << 16)
    made = {}
    for at, where in (("without", "off"), ("cold", str(cache)), ("warm", str(cache))):
        monkeypatch.setenv(kept.FOLDER, where)
        asked = (f"source={exported}", "as_of=2026-06-30")
        request = plan.Request(root=ROOT, out=tmp_path / at, reports=(name,), assignments=asked)
        assert run.run(request, print) == 0
        made[at] = files(tmp_path / at)
    assert made["without"] == made["cold"] == made["warm"]
    assert {each.kind for each in entries.each(cache)} >= {"exports", "snapshots"}
