"""Near-duplicate names: a seeded labelled set, hand-worked pairs, and what must never be one."""

import runpy

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from salesops.crm import sample
from salesops.stats import likeness


def test_a_labelled_set_is_found_with_few_false_alarms():
    """600 names of the benchmark's kind; the floors lie three standard errors below its results."""
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "near_duplicates.py"))
    names, twice = benchmark["labelled"](np.random.default_rng(7), 600)
    found = likeness.pairs(names)
    right = benchmark["scored"](found, twice)
    assert right.mean() >= 0.95
    assert right.sum() / len(found) >= 0.94


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Alder Analytics", "ALDER ANALYTICS, INC."),
        ("Alder Analytics", "Analytics Alder"),
        ("Alder Manufacturing", "Alder Mfg"),
        ("Alder International Foods", "Alder Intl Foods"),
        ("Müller Motors GmbH", "Muller Motors"),
        ("Aldermont Systems", "Aldremont Systems"),
        ("Aldermont Wenridge", "Wenrige Aldrmont"),
        ("Smith & Jones", "Smith and Jones Ltd."),
        ("O'Hara Partners", "OHara Partners"),
    ],
)
def test_one_company_written_twice_is_alike(left, right):
    assert likeness.score(left, right) >= likeness.THRESHOLD


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Alder Analytics", "Amber Analytics"),
        ("Alder Analytics", "Alder Logistics"),
        ("Alder Analytics", "Alder Analytics West"),
        ("Alder Rail", "Alder Retail"),
        ("Area 51", "Area 52"),
        ("Alder", "Elder"),
        ("Data Hub", "Database Hub 2"),
    ],
)
def test_similar_names_of_different_companies_are_not(left, right):
    assert likeness.score(left, right) < likeness.THRESHOLD


def test_words_that_many_names_use_are_never_a_misspelling_of_each_other():
    names = [
        f"{stem} {kind}" for stem in ("Nora", "Bela", "Cato", "Dira", "Elmo", "Fero") for kind in ("Trade", "Trace")
    ]
    assert likeness.pairs(pd.Series(names)).empty


def test_the_sample_has_no_account_twice():
    accounts = sample.tables(size=2000, clean=True)["accounts"]
    assert likeness.pairs(accounts["name"]).empty


def test_nothing_missing_or_empty_is_compared():
    assert likeness.pairs(pd.Series(["", " ", None, "Alder", None, "..."], dtype="str")).empty
    assert likeness.pairs(pd.Series([], dtype="str")).columns.tolist() == ["left", "right", "score"]


@given(st.lists(st.text(max_size=12), max_size=12))
def test_any_text_can_be_compared_and_order_does_not_matter(texts):
    names = pd.Series(texts, dtype="str")
    found = likeness.pairs(names)
    assert found["score"].between(likeness.THRESHOLD, 1).all() and (found["left"] < found["right"]).all()
    turned = likeness.pairs(names[::-1])
    as_sets = [{frozenset(pair) for pair in table[["left", "right"]].values.tolist()} for table in (found, turned)]
    assert as_sets[0] == as_sets[1]


@given(st.text(max_size=15), st.text(max_size=15))
def test_the_score_is_symmetric_and_a_name_is_itself(left, right):
    assert likeness.score(left, right) == pytest.approx(likeness.score(right, left))
    assert likeness.score(left, left) == 1


def test_what_is_linked_by_way_of_others_is_one_group():
    found = pd.DataFrame({"left": ["a", "b", "x"], "right": ["b", "c", "y"]})
    groups = likeness.clusters(found)
    assert groups["a"] == groups["b"] == groups["c"] != groups["x"] == groups["y"]
    assert likeness.clusters(found[:0]).empty
