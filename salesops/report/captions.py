"""What a chart measures, and what it shows to somebody who cannot see it."""

import re
from collections.abc import Collection, Mapping

import pandas as pd

from salesops import metrics, words
from salesops.report.figures import Scope

DEFAULT_WHERE = "opportunity_type != 'renewal'"
MOST_WORDS = 15  # of a chart's title
_FEWEST = 7  # words of what is left of a long one; less would be its opening words alone


def title(sentence: str) -> str:
    """A sentence as a chart's title: where it is long, without what stands in brackets and without its last part.

    The interval in brackets is drawn in the chart, and the whole sentence is said elsewhere on the page.

    Examples
    --------
    >>> title("We win 24 % (likely between 20 % and 28 %).")
    'We win 24 % (likely between 20 % and 28 %).'
    >>> title("SMB deals are won more often than others, by 9 points (likely between 2 and 16); few are large")
    'SMB deals are won more often than others, by 9 points; few are large'
    >>> title("Three leads that arrived in 2026Q3 are due: too few to say how many are answered within 4 hours.")
    'Three leads that arrived in 2026Q3 are due'
    """
    if length(sentence) > MOST_WORDS:
        sentence = re.sub(r" \([^()]*\)", "", sentence)
    for mark in ("; ", ": ", ", "):
        head = sentence.rpartition(mark)[0]
        while length(head) > MOST_WORDS:
            head = head.rpartition(mark)[0]
        if length(sentence) > MOST_WORDS and length(head) >= _FEWEST:
            return head
    return sentence


def length(sentence: str, names: Collection[str] = ()) -> int:
    """How many words a title has; a name from the data is one, and so is a number with its unit.

    Examples
    --------
    >>> length("North America wins 24 % of 40 deals"), length("North America wins 24 % of 40", {"North America"})
    (7, 5)
    """
    for name in sorted(names, key=len, reverse=True):
        sentence = sentence.replace(name, "it")
    return len(re.sub(r"(?<=\d)[ \u00a0](?=[%$€£¥₹])", "", sentence).split())


def subtitle(frame: pd.DataFrame, column: str, by: str | None, scope: Scope) -> str:
    """Measure, population, period and n.

    Examples
    --------
    >>> subtitle(pd.DataFrame({"n": [3, 4]}), "win_rate", "segment", Scope(where="amount > 10"))
    'Win rate by segment; deals closed in the period, where amount > 10; n 7'
    """
    measure = words.label(column) + (f" by {words.label(by).lower()}" if by else "")
    n = f"n {words.count(total(frame['n']))}" if "n" in frame.columns and by else ""
    return "; ".join(part for part in (measure, _population(frame, column, scope), n) if part)


def total(n: pd.Series) -> float:
    """All deals behind a table: the sum over its groups, or the whole that all are shares of.

    Examples
    --------
    >>> total(pd.Series([3, 4])), total(pd.Series([264, 264, 264]))
    (7.0, 264.0)
    """
    return float(n.iloc[0] if is_shared(n) else n.sum())


def is_shared(n: pd.Series) -> bool:
    """Whether several rows have one n: shares of a whole."""
    return len(n) > 2 and n.nunique() == 1


def ranked(rows: pd.DataFrame, value: str, by: str, unit: str, overall: float | None, scope: Scope) -> str:
    """Groups from high to low, with the intervals of the two ends."""
    known = rows.dropna(subset=["value"]).sort_values("value", ascending=False, kind="stable")
    head = f"{words.label(value)} for {len(rows)} groups by {words.label(by).lower()}"
    if known.empty:
        return f"{head}: no group has a value."
    listed = ", ".join(_one(row, unit, scope) for row in known.itertuples())
    mean = "" if overall is None else f" All together: {_value(overall, unit, scope)}."
    return f"{head}, highest first: {listed}.{mean}"


def bridged(rows: pd.DataFrame, value: str, unit: str, scope: Scope) -> str:
    """From one level to the other, with every change between."""
    said = [f"{words.group(row.group)} {_value(row.value, unit, scope)}" for row in rows.itertuples()]
    return f"Bridge of {words.label(value).lower()} from {said[0]} to {said[-1]}, between them {', '.join(said[1:-1])}."


def course(series: pd.DataFrame, value: str, unit: str, scope: Scope) -> str:
    """Where a line starts and ends, and its highest and lowest points."""
    known = series.dropna(subset=["value"])
    if known.empty:
        return f"{words.label(value)} over {len(series)} periods: no value is known."
    first, last = known.iloc[0], known.iloc[-1]
    top, low = known.loc[known["value"].idxmax()], known.loc[known["value"].idxmin()]
    ends = [f"{_value(row['value'], unit, scope)} in {words.group(row['group'])}" for row in (first, last, top, low)]
    expected = int(known["is_forecast"].sum())
    tail = f" The last {expected} are expected, not recorded." if expected else ""
    return (
        f"Line of {words.label(value).lower()} over {len(known)} periods, from {ends[0]} to {ends[1]}; "
        f"highest {ends[2]}, lowest {ends[3]}.{tail}"
    )


def built_up(curves: Mapping[str, pd.DataFrame], y: str, x: str, unit: str) -> str:
    """Where each step curve ends."""
    ends = []
    for name, curve in curves.items():
        last = curve.dropna(subset=["value"]).tail(1)
        shown = words.value(last["value"].iloc[0], unit) if len(last) else words.MISSING
        at = words.count(last["place"].iloc[0]) if len(last) else words.MISSING
        ends.append(f"{name or 'all'} {shown} after {at}")
    return f"{words.label(y)} building up over {x.lower()}: {'; '.join(ends)}."


def fan(frame: pd.DataFrame, predicted: str) -> str:
    """What the lines and bands of a fan are.

    Examples
    --------
    >>> fan(pd.DataFrame(columns=["predicted", "predicted_low_80"]), "predicted")
    'Recorded (solid) and expected (dashed), with a band that holds in 80 % of cases'
    """
    levels = [level for level, end in (("80", "_low_80"), ("95", "_low")) if f"{predicted}{end}" in frame.columns]
    kind = "a band that holds" if len(levels) == 1 else "bands that hold"
    bands = f", with {kind} in {' and '.join(levels)} % of cases" if levels else ""
    return f"Recorded (solid) and expected (dashed){bands}"


def expected(series: pd.DataFrame, unit: str, scope: Scope) -> str:
    """The last record and what each following period is expected to bring."""
    recorded = series[~series["is_forecast"]].dropna(subset=["value"]).tail(1)
    head = [
        f"last record {_value(row.value, unit, scope)} in {words.group(row.group)}" for row in recorded.itertuples()
    ]
    series = series.assign(low=series["low"].fillna(series["low_80"]), high=series["high"].fillna(series["high_80"]))
    coming = [f"{words.group(row.group)} {_value(row.value, unit, scope)}" + _limits(row, unit, scope)
              for row in series[series["is_forecast"]].itertuples()]  # fmt: skip
    return f"History and forecast: {'; '.join([*head, *coming])}."


def funnel(frame: pd.DataFrame, rate: str, scope: Scope) -> str:
    """What a bar and its coloured part are.

    Examples
    --------
    >>> funnel(pd.DataFrame({"n": [40, 30]}), "stage_conversion_rate", Scope())
    'Deals that entered each stage (grey), those that go further (colour), with their likely range'
    """
    what = "Deals that entered each stage (grey), those that go further (colour), with their likely range"
    return "; ".join(part for part in (what, _population(frame, rate, scope)) if part)


def gone_further(rows: pd.DataFrame, rate: str, scope: Scope) -> str:
    """How many entered each stage and which share went further."""
    listed = "; ".join(
        f"{words.group(row.group)} {words.count(row.n)}, {_value(row.value, 'rate', scope)}"
        f"{_limits(row, 'rate', scope)} further" for row in rows.itertuples()
    )  # fmt: skip
    return f"{words.label(rate)} of {len(rows)} stages, deals that entered and share that went further: {listed}."


def multiples(frame: pd.DataFrame, value: str, by: str, scope: Scope) -> str:
    """What each small picture shows.

    Examples
    --------
    >>> multiples(pd.DataFrame({"period": ["2026Q3"]}), "win_rate", "segment", Scope())
    'Win rate by segment; deals closed in the period; shaded: likely range; grey lines: the others'
    """
    measure = f"{words.label(value)} by {words.label(by).lower()}"
    said = (measure, _population(frame, value, scope), "shaded: likely range; grey lines: the others")
    return "; ".join(part for part in said if part)


def several(series: Mapping[str, pd.DataFrame], value: str, unit: str, scope: Scope) -> str:
    """Where each group's line starts and ends."""
    ends = []
    for name, each in series.items():
        known = each.dropna(subset=["value"])
        first, last = (_value(known["value"].iloc[at], unit, scope) if len(known) else words.MISSING for at in (0, -1))
        ends.append(f"{name} from {first} to {last}")
    return f"{words.label(value)} over time in {len(series)} small pictures on one scale: {'; '.join(ends)}."


def effects(frame: pd.DataFrame, value: str, level: str | None, scope: Scope) -> str:
    """What is compared, and what the full dots are.

    Examples
    --------
    >>> effects(pd.DataFrame({"is_named": [True, False]}), "win_rate_effect", "level", Scope())
    'Win rate effect, each level against the one named under it; full dots: beyond chance (1 of 2)'
    """
    named = frame["is_named"] if "is_named" in frame.columns else pd.Series(dtype=bool)
    which = f"full dots: beyond chance ({int(named.sum())} of {len(frame)})" if len(named) else ""
    how = f"{words.label(value)}{', each level against the one named under it' if level else ''}"
    return "; ".join(part for part in (how, _population(frame, value, scope), which) if part)


def against_zero(rows: pd.DataFrame, value: str, unit: str, scope: Scope) -> str:
    """Each effect with its interval, those named first."""
    known = rows.dropna(subset=["value"]).sort_values("is_named", ascending=False, kind="stable")
    listed = "; ".join(
        f"{row.factor}{'' if row.factor == words.group(row.group) else f' {words.group(row.group)}'}"
        f"{f' {row.against}' if row.against else ''} {_value(row.value, unit, scope)}{_limits(row, unit, scope)}"
        for row in known.itertuples()
    )
    count = f"{int(known['is_named'].sum())} of them beyond chance"
    return f"{words.label(value)}, {len(known)} comparisons around zero, {count}: {listed}."


def grid(frame: pd.DataFrame, value: str, by: str, across: str, scope: Scope) -> str:
    """What a cell holds.

    Examples
    --------
    >>> grid(pd.DataFrame({"n": [3, 4]}), "win_rate", "competitor", "segment", Scope())
    'Win rate by competitor and segment, likely range in brackets; deals closed in the period; n 7'
    """
    measure = f"{words.label(value)} by {words.label(by).lower()} and {words.label(across).lower()}"
    n = f"n {words.count(total(frame['n']))}" if "n" in frame.columns else ""
    said = (f"{measure}, likely range in brackets", _population(frame, value, scope), n)
    return "; ".join(part for part in said if part)


def crossed(cells: pd.DataFrame, value: str, unit: str, scope: Scope) -> str:
    """Every cell of a grid, from high to low."""
    known = cells.dropna(subset=["value"]).sort_values("value", ascending=False, kind="stable")
    listed = "; ".join(f"{row.group}, {row.across}: {_value(row.value, unit, scope)}" for row in known.itertuples())
    return f"{words.label(value)} in {len(known)} cells, highest first: {listed}."


def calibration(frame: pd.DataFrame) -> str:
    """What the dots and the line are, and how many each dot stands for.

    Examples
    --------
    >>> calibration(pd.DataFrame({"n": [120, 131]}))
    'Share that came true against the chance predicted, in groups of like chance; dashed: both agree; n 120 to 131 each'
    """
    what = "Share that came true against the chance predicted, in groups of like chance; dashed: both agree"
    if "n" not in frame.columns or frame.empty:
        return what
    few, most = (words.count(number) for number in (frame["n"].min(), frame["n"].max()))
    return f"{what}; n {few if few == most else f'{few} to {most}'} each"


def agreement(rows: pd.DataFrame) -> str:
    """What came of each prediction."""
    listed = "; ".join(
        f"predicted {words.rate(row.place)}, came true {words.rate(row.value)}"
        f"{_limits(row, 'rate', Scope())}" for row in rows.dropna(subset=["value"]).itertuples()
    )  # fmt: skip
    return f"{len(rows)} groups of like predictions: {listed}."


def control(frame: pd.DataFrame, value: str, scope: Scope) -> str:
    """What the band and the diamonds are.

    Examples
    --------
    >>> control(pd.DataFrame({"period": ["2026Q3"]}), "win_rate", Scope())
    'Win rate; deals closed in the period; grey: what chance alone gives; diamonds lie beyond it'
    """
    said = (words.label(value), _population(frame, value, scope), "grey: what chance alone gives")
    return "; ".join([*(part for part in said if part), "diamonds lie beyond it"])


def watched(series: pd.DataFrame, value: str, unit: str, scope: Scope) -> str:
    """Where a watched line ends, its centre, and the periods beyond chance."""
    known = series.dropna(subset=["value"])
    beyond = [
        f"{words.group(row.group)} {_value(row.value, unit, scope)}" for row in known[known["is_signal"]].itertuples()
    ]
    signals = f"beyond chance: {', '.join(beyond)}" if beyond else "none beyond chance"
    last = known.iloc[-1]
    return (
        f"{words.label(value)} over {len(known)} periods around {_value(series['centre'].iloc[-1], unit, scope)}, "
        f"last {_value(last['value'], unit, scope)} in {words.group(last['group'])}; {signals}."
    )


def cohorts(frame: pd.DataFrame, so_far: str, expected: str, by: str, scope: Scope) -> str:
    """What the two dots are.

    Examples
    --------
    >>> cohorts(pd.DataFrame({"n": [3, 4]}), "won_so_far_rate", "expected_win_rate", "cohort", Scope())
    'Won so far rate (hollow) and expected win rate (full) by cohort; n 7'
    """
    what = f"{words.label(so_far)} (hollow) and {words.label(expected).lower()} (full) by {words.label(by).lower()}"
    n = f"n {words.count(total(frame['n']))}" if "n" in frame.columns else ""
    which = _which(scope)
    return "; ".join(part for part in (what, which, n) if part)


def to_the_end(rows: pd.DataFrame, so_far: str, expected: str, unit: str, scope: Scope) -> str:
    """Each cohort's two values."""
    listed = "; ".join(
        f"{words.group(row.group)} {_value(row.so_far, unit, scope)} so far, "
        f"{_value(row.value, unit, scope)} expected{_limits(row, unit, scope)}"
        for row in rows.itertuples()
    )
    return f"{words.label(so_far)} and {words.label(expected).lower()} of {len(rows)} groups: {listed}."


def _population(frame: pd.DataFrame, column: str, scope: Scope) -> str:
    named = metrics.split(column)
    clock = metrics.registry()[named[0]].clock if named else ""
    when = scope.period.label if scope.period and "period" not in frame.columns else "the period"
    whom = f"deals {clock} in {when}" if clock in ("closed", "created") else when if scope.period else ""
    return ", ".join(part for part in (whom, _which(scope)) if part)


def _which(scope: Scope) -> str:
    return {"": "", DEFAULT_WHERE: "renewals apart"}.get(scope.where, f"where {scope.where}")


def _one(row: object, unit: str, scope: Scope) -> str:
    return f"{words.group(row.group)} {_value(row.value, unit, scope)}{_limits(row, unit, scope)}"


def _limits(row: object, unit: str, scope: Scope) -> str:
    said = words.interval(row.low, row.high, unit, currency=scope.currency)
    return f" ({said})" if said else ""


def _value(number: float, unit: str, scope: Scope) -> str:
    return words.value(number, unit, currency=scope.currency, compact=True)
