"""Deals to come, by leads against by the creation rate alone: bookings and counts of simulated companies.

Half of the companies have a common shock of the quarters. In the second setting inbound leads, and the
deals they became, are thinned in blocks of six weeks, so that leads come in waves. Run: python
benchmarks/deals_to_come.py [companies]
"""

import sys
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from salesops import deals_to_come, forecast, forecast_backtest, forecast_cases, lead_chances, pipeline_forecast
from salesops.crm import sample

SIZE, YEARS, AS_OF, WEEKS = 4000, 4, date(2026, 9, 30), (1, 5, 9)


def company(seed, is_wavy):
    tables = sample.tables(seed=seed, size=SIZE, years=YEARS, clean=True, shock=0.2 * (seed % 2))
    leads, deals = tables["leads"], tables["opportunities"]
    deals = deals[deals["opportunity_type"] != "renewal"]
    if is_wavy:
        random = np.random.default_rng(seed)
        share = np.clip(np.exp(random.normal(-0.8, 0.7, 400)), 0, 1)
        block = (leads["created_at"] - pd.Timestamp("2020-01-01")) // pd.Timedelta(days=42)
        kept = random.random(len(leads)) < share[block.to_numpy()]
        deals = deals[~deals["opportunity_id"].isin(leads.loc[~kept, "opportunity_id"].dropna())]
        leads = leads[kept]
    history = tables["stage_history"]
    return leads, deals, history[history["opportunity_id"].isin(deals["opportunity_id"])], tables["stages"]


def one(seed, is_wavy):
    leads, deals, history, stages = company(seed, is_wavy)
    cases = forecast_cases.cases(deals, history, stages=stages, as_of=AS_OF, weeks=WEEKS, quarters=8)
    flow = lead_chances.flow(leads, deals, stage_history=history)
    follow = deals_to_come.follower(flow)
    methods = {"rate": pipeline_forecast.pipeline, "leads": partial(pipeline_forecast.pipeline, to_come=follow)}
    booked = forecast.bookings_history(deals, AS_OF, cases[0].calendar).set_index("period")["bookings_amount"]
    tested = forecast_backtest.backtest(cases, methods, booked, seed=seed).assign(company=seed)
    return tested, pd.DataFrame([counts(case, flow) for case in cases]).assign(company=seed)


def counts(case, flow):
    row = deals_to_come.expected_deals(case, flow).iloc[-1]
    start, end = (lead_chances.day_number(day) for day in (case.cutoff, case.period.end))
    last = ((flow.made > start) & (flow.made <= end)).sum()
    came = last + ((flow.deal_seen > start) & (flow.deal_seen <= end) & (flow.deal_lead > end)).sum()
    qualified = ((flow.qualified > start) & (flow.qualified <= end)).sum()
    rate = case.n_created / forecast_cases.RECENT * (end - start)
    return {"week": case.week, "deal": came, "qualified": qualified, "rate": rate, **{
        f"{name}{side}": row[f"expected_{name}_count{side_of}"] for name in ("deal", "qualified")
        for side, side_of in (("_said", ""), ("_low", "_low"), ("_high", "_high"))
    }}  # fmt: skip


def difference(rows, column):
    """Leads less rate as a share of bookings, and twice its standard error over companies."""
    wide = rows.pivot(index=["company", "period", "week"], columns="model", values=[column, "actual"])
    gap, booked = wide[column]["leads"] - wide[column]["rate"], wide["actual"]["rate"]
    shares = gap.groupby("company").sum() / booked.groupby("company").sum()
    return gap.sum() / booked.sum(), 2 * shares.std() / np.sqrt(len(shares))


def said(name, rows, count):
    rows = rows.assign(miss=(rows["predicted"] - rows["actual"]).abs())
    wape = rows.groupby("model")["miss"].sum() / rows.groupby("model")["actual"].sum()
    figures = [*difference(rows, "miss"), *difference(rows, "crps")]
    print(f"{name}: WAPE leads {wape['leads']:.4f} rate {wape['rate']:.4f}", end="; ")
    print("difference {:+.4f} ± {:.4f}, CRPS {:+.4f} ± {:.4f}".format(*figures), end="; ")
    miss = [(count[each] - count["deal"]).abs().sum() / count["deal"].sum() for each in ("deal_said", "rate")]
    print("deals to come WAPE {:.3f} by leads, {:.3f} by rate".format(*miss), end="; 80 % ranges hold ")
    for each in ("deal", "qualified"):
        held = (count[each] >= count[f"{each}_low"]) & (count[each] <= count[f"{each}_high"])
        error = 2 * held.groupby(count["company"]).mean().std() / np.sqrt(count["company"].nunique())
        print(f"{held.mean():.3f} ± {error:.3f} of {each}", end=" ")
    print(flush=True)


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    for setting in (False, True):
        tested, counted = (pd.concat(each) for each in zip(*(one(seed, setting) for seed in range(n)), strict=True))
        for week in WEEKS:
            name = f"{'waves' if setting else 'steady'}, week {week}"
            said(name, tested[tested["week"] == week], counted[counted["week"] == week])
        said(f"{'waves' if setting else 'steady'}, all weeks", tested, counted)


if __name__ == "__main__":
    main()
