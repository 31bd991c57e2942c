"""Published forecasts: which files are read, what became of them, and how that is said."""

import json
import os
from datetime import date

import pandas as pd
import pytest

from salesops import figures_files, published
from salesops.engine import execute

OWN = {"source": "sample", "where": "opportunity_type != 'renewal'", "measure": "amount", "currency": "USD"}


def figure(value, *, metric="landing_amount", day="2026-04-28", currency="USD", label="2026Q2", **other):
    ends = {"2026Q2": ("2026-04-01", "2026-06-30"), "2026Q3": ("2026-07-01", "2026-09-30")}[label]
    by = {"cutoff_date": day, "week": 5, "model": "pipeline", "currency": currency}
    return {
        "metric": metric, "statistic": "value", "by": by, "value": value, "low": value - 20, "high": value + 20,
        "level": 0.8, "n": 40, "compared_with": None,
        "period": {"label": label, "start": ends[0], "end": ends[1]},
    } | other  # fmt: skip


def publish(folder, day, figures, *, report="forecast", **parameters):
    place = folder / day
    place.mkdir(exist_ok=True)
    told = {name: OWN[name] for name in ("source", "where", "measure")} | parameters
    document = {"schema": 1, "report": report, "as_of": day, "parameters": told, "figures": figures}
    (place / f"{report}.json").write_text(json.dumps(document), encoding="utf-8")


def read(folder, day=date(2026, 9, 30), **other):
    return published.published_forecasts(folder, as_of=day, **(OWN | other))


@pytest.fixture
def reports(tmp_path):
    publish(tmp_path, "2026-04-28", [figure(100.0), figure(7.0, metric="won_so_far_amount")])
    publish(tmp_path, "2026-07-28", [figure(150.0, day="2026-07-28", label="2026Q3")])
    return tmp_path


def deals(*rows):
    return pd.DataFrame(
        [{"is_won": won, "close_date": pd.Timestamp(day), "amount": amount} for won, day, amount in rows]
    )


def test_earlier_forecasts_are_found_in_order(reports):
    table = read(reports)
    assert table["published_amount"].tolist() == [100.0, 150.0] and table["period"].tolist() == ["2026Q2", "2026Q3"]
    assert table["as_of_date"].tolist() == [pd.Timestamp("2026-04-28"), pd.Timestamp("2026-07-28")]
    assert table.iloc[0][["published_amount_low", "published_amount_high", "week", "n", "level"]].tolist() == [
        80,
        120,
        5,
        40,
        0.8,
    ]


def test_a_report_made_again_reads_the_same_as_the_first_time(reports):
    first = read(reports, date(2026, 7, 28))
    publish(reports, "2026-07-28", [figure(999.0, day="2026-07-28", label="2026Q3")])
    publish(reports, "2026-08-04", [figure(999.0, day="2026-08-04", label="2026Q3")])
    pd.testing.assert_frame_equal(read(reports, date(2026, 7, 28)), first)
    assert first["published_amount"].tolist() == [100.0]


@pytest.mark.parametrize(
    "other", [{"source": "acme"}, {"where": "segment == 'SMB'"}, {"measure": "arr"}, {"currency": "EUR"}]
)
def test_a_forecast_of_something_else_is_not_scored(reports, other):
    assert read(reports, **other).empty


def test_the_variant_of_a_report_counts_where_it_forecasts_the_same(reports):
    publish(reports, "2026-05-05", [figure(110.0, day="2026-05-05")], report="forecast.again")
    publish(reports, "2026-05-05", [figure(50.0, day="2026-05-05")], report="forecast.emea", where="region == 'EMEA'")
    publish(reports, "2026-05-05", [figure(60.0, day="2026-05-05")], report="forecasting")
    assert read(reports)["published_amount"].tolist() == [100.0, 110.0, 150.0]


def test_what_is_no_figures_file_is_passed_over(reports):
    (reports / "2026-05-05").mkdir()
    for number, text in enumerate(["", "[1]", "{}", '{"report": "forecast", "figures": 3}', "{broken"]):
        (reports / "2026-05-05" / f"forecast.{number}.json").write_text(text)
    (reports / "latest").mkdir()
    (reports / "latest" / "forecast.json").write_text((reports / "2026-04-28" / "forecast.json").read_text())
    publish(reports, "2026-05-06", [
        figure(9.0, day="2026-05-01"), figure(9.0, day="2026-05-06", compared_with="prior_period"),
        {**figure(9.0, day="2026-05-06"), "value": None},
    ])  # fmt: skip
    assert read(reports)["published_amount"].tolist() == [100.0, 150.0]


def test_each_forecast_is_set_beside_what_came(reports):
    booked = deals((True, "2026-04-01", 50.0), (True, "2026-06-30", 75.0), (True, "2026-03-31", 1e3), (False, "2026-05-05", 1e3),
                   (True, "2026-07-05", 60.0))  # fmt: skip
    record = published.published_record(read(reports), booked, as_of=date(2026, 9, 29))
    assert record["state"].tolist() == ["ended", "still running"]
    assert record["became_amount"].iloc[0] == 125.0 and record["became_amount"].isna().iloc[1]
    assert record["published_error_rate"].iloc[0] == pytest.approx(-0.2)
    assert record["is_inside"].iloc[0] == False and pd.isna(record["is_inside"].iloc[1])  # noqa: E712
    later = published.published_record(read(reports), booked, as_of=date(2026, 9, 30))
    assert later["became_amount"].tolist() == [125.0, 60.0]


def test_a_win_on_the_last_day_counts_at_any_hour(reports):
    record = published.published_record(
        read(reports), deals((True, "2026-06-30 23:59", 100.0)), as_of=date(2026, 9, 30)
    )
    assert record["became_amount"].iloc[0] == 100.0 and bool(record["is_inside"].iloc[0])


def record_of(*inside, running=0, error=0.1):
    ended = pd.DataFrame({"state": "ended", "is_inside": list(inside), "published_error_rate": error, "level": 0.8})
    open_ = pd.DataFrame({"state": ["still running"] * running, "is_inside": pd.NA, "published_error_rate": None})
    return pd.concat([ended, open_.assign(level=0.8)] if running else [ended], ignore_index=True)


@pytest.mark.parametrize(("record", "said"), [
    (record_of(True, True, False), "Of 3 published forecasts whose quarter has ended, bookings lay inside the 80 % range of 2; 3 were too high and 0 too low."),
    (record_of(True), "The one published forecast whose quarter has ended had bookings inside its 80 % range; it was too high."),
    (record_of(False, error=-0.5, running=2), "The one published forecast whose quarter has ended had bookings outside its 80 % range; it was too low. 2 are still running."),
    (record_of(True, pd.NA), "Of 2 published forecasts whose quarter has ended, bookings lay inside the 80 % range of 1 of 1 with one; 2 were too high and 0 too low."),
    (record_of(running=3).iloc[0:], "All 3 forecasts published so far are of quarters that are still running."),
])  # fmt: skip
def test_the_sentence_is_true_in_every_case(record, said):
    assert published.published_sentence(record) == said


def test_no_folder_means_none_published(tmp_path):
    table = published.published_record(
        read(tmp_path / "none"), deals((True, "2026-06-30", 1.0)), as_of=date(2026, 9, 30)
    )
    assert table.empty and "none can be scored" in published.published_sentence(table)


def test_a_run_tells_the_notebook_where_reports_are(monkeypatch, tmp_path):
    given = {}
    monkeypatch.setattr(
        execute, "execute_notebook", lambda *_, keep, environment, **__: (keep("made"), given.update(environment))
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    execute.execute(tmp_path / "a.ipynb", {}, reports=(tmp_path / "out").relative_to(tmp_path))
    monkeypatch.setenv(figures_files.FOLDER, given["SALESOPS_REPORTS"])
    assert figures_files.folder() == tmp_path / "out" and list(given) == [figures_files.FOLDER]
    monkeypatch.delenv(figures_files.FOLDER)
    assert str(figures_files.folder()) == "reports" and os.environ.get(figures_files.FOLDER) is None
