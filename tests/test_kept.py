"""What is kept between runs: exact, private, bounded, made again where it is damaged; and never seen in a figure."""

import json
import logging
import multiprocessing
import os
import stat
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesops import (
    checks,
    cli,
    kept,
)
from salesops.crm import delimited, excel, footers, formats, raw
from salesops.kept import codec, content, entries
from salesops.periods import quarter

ODD = {
    "text": pd.Series(["a", None, "", "ü"], dtype="str"),
    "python": pd.Series(["a", pd.NA, "b", "c"], dtype="string"),
    "whole": pd.Series([1, None, 3, 2**60], dtype="Int64"),
    "flag": pd.Series([True, None, False, True], dtype="boolean"),
    "real": pd.Series([0.1, -0.0, np.nan, np.inf]),
    "small": pd.Series([1, 2, 3, 4], dtype="int8"),
    "kind": pd.Series(pd.Categorical(["b", None, "a", "b"], ["b", "a", "never"], ordered=True)),
    "at": pd.Series(pd.to_datetime(["2026-01-01 00:00:00.123456", None, "1700-01-01", "2026-01-02"], format="ISO8601")),
    "zoned": pd.Series(pd.to_datetime(["2026-01-01", None, "2026-10-25", "2026-01-02"])).dt.tz_localize(
        "Europe/Berlin"
    ),
    "for": pd.Series(pd.to_timedelta(["1 day", None, "2 s", "0 s"])),
    "day": pd.Series([date(2026, 9, 30), None, date(2026, 10, 1), date(2026, 1, 1)], dtype=object),
}


class Folder(NamedTuple):
    root: Path
    made: list[int]

    def value(self, told: object, kind: str = "toys") -> object:
        """What comes of asking; `made` counts how often it was made."""

        def make() -> object:
            self.made.append(1)
            return told

        return kept.found_or_made(kind, {"asked": repr(told)[:200]}, make)

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file() and path.name != "README")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Folder:
    monkeypatch.setenv(kept.FOLDER, str(tmp_path / "cache"))
    return Folder(tmp_path / "cache", [])


def same(one: object, other: object) -> bool:
    alike = content.digest(one) == content.digest(other)
    assert alike == (content.fingerprint(one) == content.fingerprint(other))
    return alike


def frame() -> pd.DataFrame:
    return pd.DataFrame(ODD)


@pytest.mark.parametrize("name", list(ODD))
def test_every_kind_of_column_comes_back_to_the_bit(cache, name):
    asked = frame()[[name]]
    first, second = cache.value(asked), cache.value(asked)
    assert len(cache.made) == 1 and second is not first
    pd.testing.assert_frame_equal(first, second, check_exact=True, check_freq=True)
    assert same(first, second)


def test_indexes_names_attributes_and_empty_frames_come_back(cache):
    indexed = frame().set_index(["text", "day"])[["real"]]
    named = pd.DataFrame({"n": [1.0]}, index=pd.Index([7], name="seven"), columns=pd.Index(["n"], name="of"))
    named.attrs = {"told": "by hand"}
    made = [indexed, named, frame().iloc[:0].drop(columns="kind"), pd.Series([1, 2], name="n", index=["a", "b"])]
    for each in made:
        cache.value(each)
        assert same(cache.value(each), each), each
    assert len(cache.made) == len(made)


def test_records_arrays_and_numbers_come_back_and_one_frame_stays_one(cache):
    shared = frame()
    asked = (quarter(date(2026, 8, 1)), [shared, shared], np.arange(3), 0.1, float("nan"), {"a": None, 2: True})
    cache.value(asked)
    found = cache.value(asked)
    assert len(cache.made) == 1 and same(found, asked)
    assert found[1][0] is found[1][1] and type(found[0]) is type(asked[0])


@pytest.mark.parametrize(
    "odd",
    [frame().iloc[:0], pd.DataFrame(), pd.Series([1, "a"], dtype=object), pd.Series([None, np.nan, "a"], dtype=object), Decimal(1), np.ones((2, 2)),
     pd.DataFrame([[1, 2]], columns=["n", "n"]), lambda: 1],
    ids=["kinds of none", "nothing", "mixed", "none and nan", "decimal", "matrix", "twice", "function"],
)  # fmt: skip
def test_what_would_not_come_back_the_same_is_not_kept(cache, odd):
    assert cache.value(odd) is odd and cache.value(odd) is odd
    assert len(cache.made) == 2 and cache.files == []


def test_nothing_is_kept_of_what_fails(cache):
    with pytest.raises(checks.DataError):
        kept.found_or_made("toys", {}, partial(checks.require_columns, frame(), ["none"]))
    assert cache.files == []


@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=8), st.integers(0, 7))
def test_a_hash_tells_every_bit(values, place):
    at = place % len(values)
    other = np.array(values)
    other[at] = np.nextafter(other[at], 0.0) if other[at] else 1.0
    one = pd.DataFrame({"n": values})
    assert same(one, one.copy()) and (same(one, pd.DataFrame({"n": other})) == bool(np.isnan(values[at])))


def test_a_hash_tells_dtype_index_names_order_and_where_a_text_ends():
    base = pd.DataFrame({"a": pd.Series(["ab", "c", None]), "n": [1, 2, 3]})
    others = [
        base.astype({"n": "int32"}), base.astype({"a": "string"}), base.astype({"a": "category"}), base[["n", "a"]],
        base.rename(columns={"n": "m"}), base.set_axis([2, 1, 0]), base.rename_axis("row"), base.iloc[::-1],
        base.assign(a=pd.Series(["a", "bc", None])), base.assign(a=pd.Series(["ab", "c", ""])),
        base.assign(a=pd.Categorical(["ab", "c", None], ["c", "ab"])),
    ]  # fmt: skip
    marked = base.copy()
    marked.attrs = {"of": "someone"}
    for told in (content.digest, content.fingerprint):
        assert len({told(each) for each in [base, marked, *others]}) == len(others) + 2


def test_a_text_column_has_one_hash_however_it_lies_in_memory():
    long = pd.DataFrame({"a": pd.Series(["x", None, "yz"] * 5, dtype="str")})
    pieces = pd.concat([long.iloc[:4], long.iloc[4:]])
    assert same(long, pieces) and same(long.iloc[3:9].reset_index(drop=True), long.iloc[:6])


def bound(limit: float):
    def method(n: float) -> float:
        return min(n, limit)

    return method


def test_a_function_is_its_name_and_what_it_holds():
    ours = checks.require_columns
    assert same(partial(ours, 1), partial(ours, 1)) and not same(partial(ours, 1), partial(ours, 2))
    bound.__module__ = "salesops.toys"
    for unknown in (bound(1.0), lambda n: n, len, object()):
        with pytest.raises(content.UnknownError):
            content.digest(unknown)
    one, two, again = bound(1.0), bound(2.0), bound(1.0)
    for each in (one, two, again):
        each.__module__ = "salesops.toys"
    assert same(one, again) and not same(one, two)


def spoil(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": whole[: len(whole) // 2], "bit": whole[:-1] + bytes([whole[-1] ^ 1]), "empty": b""}[how]
        )


@pytest.mark.parametrize("which", ["0.parquet", entries.MANIFEST])
@pytest.mark.parametrize("how", ["cut", "bit", "empty", "gone"])
def test_a_damaged_entry_is_made_again_and_said_once(cache, caplog, which, how):
    asked = frame()
    cache.value(asked)
    spoil(next(path for path in cache.files if path.name == which), how)
    with caplog.at_level(logging.WARNING):
        assert same(cache.value(asked), asked) and same(cache.value(asked), asked)
    assert len(cache.made) == 2 and len(caplog.records) == 1 and "damaged" in caplog.text


def test_an_entry_of_another_key_or_another_person_is_not_taken(cache, caplog):
    one, other = frame()[["real"]], frame()[["small"]]
    cache.value(one), cache.value(other)
    first, second = sorted(entries.each(cache.root), key=lambda entry: entry.size)
    for path in first.folder.iterdir():
        (second.folder / path.name).write_bytes(path.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert same(cache.value(one), one) and same(cache.value(other), other)
    assert len(cache.made) == 3 and "foreign" in caplog.text
    first.folder.chmod(0o755)
    cache.value(one), cache.value(other)
    assert len(cache.made) == 4


def test_a_manifest_names_no_code(cache):
    with pytest.raises(content.UnknownError):
        codec.together({"record": ["os", "stat_result", {}]}, [])
    with pytest.raises(content.UnknownError):
        codec.together({"record": ["salesops.checks", "require_columns", {}]}, [])
    cache.value(frame())
    assert b"pickle" not in b"".join(path.read_bytes() for path in cache.files)


def test_only_its_owner_may_read_it(cache):
    before = os.umask(0)
    try:
        cache.value(frame())
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in cache.root.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in [cache.root, *cache.root.rglob("*")] if path.is_dir()}
    assert modes == {0o600} and folders == {0o700}


def test_a_folder_with_something_else_in_it_is_left_alone(cache, caplog):
    kept._say_once.cache_clear()
    cache.root.mkdir()
    (cache.root / "letter.txt").write_text("dear")
    with caplog.at_level(logging.WARNING):
        assert cache.value(1.5) == 1.5
        cache.value(1.5)
    assert len(caplog.records) == 1 and [path.name for path in cache.root.iterdir()] == ["letter.txt"]
    kept.cleared(cache.root)
    assert (cache.root / "letter.txt").exists()


def test_what_was_used_longest_ago_goes_first(cache, monkeypatch):
    sizes = {}
    for number in range(3):
        asked = pd.DataFrame({"n": np.random.default_rng(number).random(60_000)})
        sizes[number] = asked
        cache.value(asked)
        for at, entry in enumerate(sorted(entries.each(cache.root), key=lambda each: each.used)):
            os.utime(entry.folder / entries.MANIFEST, (1_000 + at, 1_000 + at))
    cache.value(sizes[0])  # is used again
    monkeypatch.setenv(kept.LIMIT, "1")  # two of half a megabyte
    cache.value(1.5)
    left = sum(entry.size for entry in entries.each(cache.root))
    assert left <= 1_000_000 and len(cache.made) == 4
    cache.value(sizes[0])
    assert len(cache.made) == 4
    cache.value(sizes[1])
    assert len(cache.made) == 5


def test_a_limit_that_is_no_number_is_said(cache, monkeypatch):
    monkeypatch.setenv(kept.LIMIT, "much")
    with pytest.raises(checks.ParameterError, match="SALESOPS_CACHE_MB: 'much' is no number"):
        kept.table(cache.root)


@pytest.mark.parametrize("limit", ["much", "²", "-1", "1.5"])
def test_with_a_limit_that_is_no_number_nothing_is_kept_without_one(cache, monkeypatch, limit):
    monkeypatch.setenv(kept.LIMIT, limit)
    with pytest.raises(checks.ParameterError, match=f"SALESOPS_CACHE_MB: '{limit}' is no number of megabytes."):
        cache.value(1.5)
    assert not cache.made and not cache.root.exists()


@pytest.mark.parametrize("is_file", [False, True])
def test_the_command_says_what_is_no_cache_and_leaves_it(tmp_path, monkeypatch, capsys, is_file):
    place = tmp_path / "mine"
    place.write_text("dear") if is_file else (place / "toys").mkdir(parents=True)
    monkeypatch.setenv(kept.FOLDER, str(place))
    for words in (["cache"], ["cache", "--clear"], ["cache", "--clear", "toys"]):
        assert cli.main(words) == 0
        said = "".join(capsys.readouterr())
        assert said == (
            f"{place}: is no cache of salesops and is left alone; nothing is kept. Name a new or empty folder in "
            "SALESOPS_CACHE, or say off.\n"
        )
    assert place.is_file() if is_file else (place / "toys").is_dir()


def asked_at_once(_: int) -> str:
    return content.digest(kept.found_or_made("toys", {"asked": 1}, frame))


def test_several_processes_may_write_one_entry(cache):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = set(pool.map(asked_at_once, range(9), chunksize=1))
    assert found == {content.digest(frame())}
    assert len(list(entries.each(cache.root))) == 1 and not list(cache.root.rglob(".half-*"))


def test_a_full_disk_stops_nothing(cache, monkeypatch, caplog):
    kept._say_once.cache_clear()

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(entries, "_written", full)
    with caplog.at_level(logging.WARNING):
        assert same(cache.value(frame()), frame())
    assert "No space left" in caplog.text and not list(cache.root.rglob(".half-*"))


def test_other_code_packages_or_threads_are_another_key(cache, monkeypatch):
    for change in (
        lambda: monkeypatch.setattr(kept, "_code", lambda _: "other"),
        lambda: monkeypatch.setattr(kept, "_versions", lambda: ["pandas 99"]),
        lambda: monkeypatch.setenv("OMP_NUM_THREADS", "7"),
    ):
        before = len(cache.made)
        cache.value(frame()), change(), cache.value(frame())
        assert len(cache.made) == before + 1 + (before == 0)


def test_the_code_that_reads_a_file_is_all_in_its_key():
    """What the readers import of salesops is hashed with them."""
    modules = {Path(each.__file__) for each in (delimited, excel, footers, raw)}
    reached = set()
    for module in (delimited, excel, footers, raw):
        found = [value for value in vars(module).values() if getattr(value, "__name__", "").startswith("salesops.")]
        reached |= {Path(each.__file__) for each in found if hasattr(each, "__file__")}
    assert reached - modules - {Path(checks.__file__)} == set() and set(formats._CODE) >= modules | reached


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_an_export_is_taken_apart_once(cache, tmp_path, monkeypatch, suffix):
    mark = "\t" if suffix == ".tsv" else ";"
    rows = [
        mark.join(("id", "näme", "amount")),
        *(mark.join((f"d{n}", "a  b" if n % 2 else "", f"{n},5")) for n in range(90_000)),
    ]
    path = tmp_path / f"deals{suffix}"
    path.write_bytes("\n".join([*rows, "", "Grand Totals (3 records)", ""]).encode("latin-1"))
    taken = []
    monkeypatch.setattr(formats, "SMALLEST_KEPT", 1 << 20)
    monkeypatch.setattr(formats, "_read", lambda *given, of=formats._read: taken.append(1) or of(*given))
    monkeypatch.setenv(kept.FOLDER, "off")
    plain = formats.read_file(path, name="deals")
    monkeypatch.setenv(kept.FOLDER, str(cache.root))
    first, second = (formats.read_file(path, name="deals") for _ in range(2))
    assert len(taken) == 2 and [entry.kind for entry in entries.each(cache.root)] == [formats.KEPT]
    for found in (first, second):
        assert same(found.frame, plain.frame) and (found.notes, found.sha256, found.file) == (
            plain.notes,
            plain.sha256,
            plain.file,
        )
    formats.read_file(path, name="other")  # whose messages name it
    path.write_bytes(path.read_bytes() + b"\n")
    formats.read_file(path, name="deals")
    assert len(taken) == 4


def test_a_small_export_and_a_faulty_one_are_not_kept(cache, tmp_path):
    small, faulty = tmp_path / "small.csv", tmp_path / "faulty.csv"
    small.write_text("id,n\na,1\n")
    faulty.write_text("id,n\n" + "a,1,2\n" * 300_000)
    formats.read_file(small, name="small.csv")
    with pytest.raises(checks.DataError):
        formats.read_file(faulty, name="faulty.csv")
    assert cache.files == []


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no"])
def test_it_can_be_switched_off(monkeypatch, word):
    monkeypatch.setenv(kept.FOLDER, word)
    assert kept.folder() is None


def test_it_lies_in_the_users_own_folder_for_such(monkeypatch, tmp_path):
    monkeypatch.delenv(kept.FOLDER, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept.folder() == tmp_path / "salesops"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert kept.folder() == Path.home() / ".cache" / "salesops"


def test_the_command_shows_and_clears(cache, capsys):
    assert cli.main(["cache"]) == 0 and "Nothing is kept." in capsys.readouterr().out
    cache.value(frame()), cache.value(1.5, kind="others")
    assert cli.main(["cache"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(str(cache.root)) and [line.split()[0] for line in lines[1:]] == [
        "kind",
        "others",
        "toys",
    ]
    assert lines[2].split()[1] == "1" and lines[2].endswith("UTC")
    assert cli.main(["cache", "--clear", "toy"]) == 2 and "Did you mean 'toys'?" in capsys.readouterr().err
    assert cli.main(["cache", "--clear", "toys"]) == 0 and "1 entry removed" in capsys.readouterr().err
    assert [entry.kind for entry in entries.each(cache.root)] == ["others"]
    assert cli.main(["cache", "--clear"]) == 0 and list(entries.each(cache.root)) == []
    assert [path.name for path in cache.root.iterdir()] == ["README"]


def test_the_command_says_that_it_is_off(monkeypatch, capsys):
    monkeypatch.setenv(kept.FOLDER, "off")
    assert cli.main(["cache"]) == 0 and capsys.readouterr().out == "Nothing is kept: SALESOPS_CACHE=off.\n"


def test_a_manifest_is_plain_text(cache):
    cache.value(frame())
    told = json.loads(
        next(path for path in cache.files if path.name == entries.MANIFEST).read_bytes().partition(b"\n")[2]
    )
    assert told["tree"] == {"frame": 0} and told["kind"] == "toys"


def test_an_entry_that_reads_well_and_says_something_else_is_not_taken(cache, caplog):
    """As a person's edit or a mistaken copy leaves it."""
    one, other = frame()[["real"]], frame()[["real"]] * 2
    cache.value(1.5), cache.value(one)
    manifest = next(path for path in cache.files if not list(path.parent.glob("*.parquet")))
    manifest.write_bytes(manifest.read_bytes().replace((1.5).hex().encode(), (2.5).hex().encode()))
    pa.parquet.write_table(pa.Table.from_pandas(other), next(cache.root.glob("*/*/0.parquet")))
    with caplog.at_level(logging.WARNING):
        assert cache.value(1.5) == 1.5 and same(cache.value(one), one)
    assert len(cache.made) == 4 and len(caplog.records) == 2


def test_no_part_of_what_is_hashed_runs_into_the_next():
    assert content._hash("text", "ab", "c") != content._hash("text", "a", "bc")
