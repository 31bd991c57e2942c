"""Decompositions against published numbers, hand-worked cases and their own identities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from salesops.stats import decompose

# All examples: Das Gupta (1993), Standardization and Decomposition of Rates; inputs also in the R package DasGuptR.
# Example 5.1: household headship by age, USA.
SHARE_1970 = [12.9, 10.9, 9.5, 8.0, 7.8, 8.4, 8.6, 7.8, 7.0, 5.9, 4.7, 3.6, 4.9]
SHARE_1985 = [10.1, 11.2, 11.6, 10.9, 9.4, 7.7, 6.3, 6.0, 6.3, 5.9, 5.1, 4.0, 5.5]
RATE_1970 = [1.9, 25.8, 45.7, 49.6, 51.2, 51.6, 51.8, 54.9, 58.7, 60.4, 62.8, 66.6, 66.8]
RATE_1985 = [2.2, 24.3, 45.8, 52.5, 56.1, 55.6, 56.0, 57.4, 57.2, 61.2, 63.9, 68.6, 72.2]

# Example 5.3: population (thousands) and rates by race (rows) and age (columns), 1970 and 1985.
PEOPLE_1970 = [
    [2968, 11484, 34614, 30992, 21983, 20314, 20928, 16897, 11339, 5720, 1315],
    [535, 2162, 6120, 4781, 3096, 2718, 2363, 1767, 1149, 448, 117],
]
PEOPLE_1985 = [
    [3041, 11577, 27450, 32711, 35480, 27411, 19555, 19795, 15254, 8022, 2472],
    [707, 2692, 6473, 6841, 6547, 4352, 3034, 2540, 1749, 804, 236],
]
RATES_1970 = [
    [18.469, 0.751, 0.391, 1.146, 1.287, 2.672, 6.636, 15.691, 34.723, 79.763, 176.837],
    [36.993, 1.352, 0.541, 2.040, 3.523, 6.746, 12.967, 24.471, 45.091, 74.902, 123.205],
]
RATES_1985 = [
    [9.163, 0.462, 0.248, 0.929, 1.084, 1.810, 4.715, 12.187, 27.728, 64.068, 157.570],
    [17.208, 0.738, 0.328, 1.103, 2.045, 3.724, 8.052, 17.812, 34.128, 68.276, 125.161],
]

COUNTS = arrays.arrays(np.int64, (2, 2, 3), elements=st.integers(0, 30))
RATES = arrays.arrays(np.float64, (2, 2, 3), elements=st.floats(0, 1))


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        # Example 2.1: mean earnings of those who earn, and the share who do, of two groups.
        ((10930, 0.717892), (16591, 0.825974), (4369.913, 1487.262)),
        # Example 2.5 (2.3 of methods.md): four factors, 1971 and 1979.
        ((25.3, 0.214, 0.279, 0.949), (32.7, 0.290, 0.473, 0.986), (0.6889411, 0.8125381, 1.3829055, 0.1047547)),
        # Example 2.7 (2.4 of methods.md): five factors, 1970 and 1980.
        (
            (0.58, 0.76, 0.84, 0.66, 16.573),
            (0.72, 0.97, 0.97, 0.56, 16.158),
            (1.0909785, 1.2298438, 0.7278399, -0.8398707, -0.1290187),
        ),
    ],
)
def test_products_of_two_four_and_five_factors_as_published(before, after, parts):
    found = decompose.product_effects(before, after)
    assert found == pytest.approx(parts, abs=5e-4 if before[0] > 1000 else 6e-8)
    assert found.sum() == pytest.approx(np.prod(after) - np.prod(before), rel=1e-13)


def test_kitagawa_us_headship_as_published():
    """Crude 44.7268 to 47.6940: mix 1.2269 (41.35 %), rate 1.7403 (58.65 %)."""
    mix, rate = decompose.mix_and_rate(SHARE_1970, RATE_1970, SHARE_1985, RATE_1985)
    assert (mix, rate) == pytest.approx((1.2269, 1.7403), abs=5e-5)
    crude = [np.average(rates, weights=n) for rates, n in ((RATE_1970, SHARE_1970), (RATE_1985, SHARE_1985))]
    assert crude == pytest.approx([44.7268, 47.6940], abs=5e-5)
    assert mix + rate == pytest.approx(crude[1] - crude[0], abs=1e-12)


def test_two_dimensions_as_published():
    """Race 0.01999804, age 1.52195237, rate -2.22816617."""
    parts = decompose.mix_and_rate(PEOPLE_1970, RATES_1970, PEOPLE_1985, RATES_1985, 2)
    assert parts == pytest.approx([0.01999804, 1.52195237, -2.22816617], abs=5e-9)
    as_one = [np.ravel(each) for each in (PEOPLE_1970, RATES_1970, PEOPLE_1985, RATES_1985)]
    assert decompose.mix_and_rate(*as_one) == pytest.approx([1.5415096, -2.2277254], abs=5e-8)


def test_structure_is_the_published_split():
    """R package DasGuptR 2.0, split_popstr on example 5.3, 1985: first ages 0.01534415 and 0.05841572."""
    race, age = decompose.structure(np.array(PEOPLE_1985, dtype=float), 2)
    assert age[0, :2] == pytest.approx([0.01534415, 0.05841572], abs=5e-9)
    assert race[0, :2] == pytest.approx([0.8301237, 0.8301100], abs=5e-8)


def test_a_difference_as_published():
    """Das Gupta (1993), example 3.1: natural increase as births less deaths, 1940 and 1960: 4.3 and 1.3."""
    parts = decompose.effects(lambda births, deaths: births - deaths, (19.4, 10.8), (23.7, 9.5))
    assert parts == pytest.approx([4.3, 1.3], abs=1e-12)


def test_two_factors_stand_at_the_mean_of_the_other():
    assert decompose.product_effects([2, 3], [4, 5]).tolist() == [(4 - 2) * 4, (5 - 3) * 3]


def test_a_group_that_comes_is_mix():
    mix, rate = decompose.mix_and_rate([10, 0], [0.5, np.nan], [10, 10], [0.5, 0.1])
    assert (mix, rate) == pytest.approx((-0.2, 0.0))


def test_nothing_on_a_side_is_unknown():
    assert np.isnan(decompose.mix_and_rate([0, 0], [0, 0], [5, 5], [0.2, 0.4])).all()
    assert np.isnan(decompose.mix_and_rate([5, 5], [0.2, 0.4], [0, 0], [0, 0])).all()


def test_no_cell_in_common_still_sums():
    parts = decompose.mix_and_rate([[4, 0], [0, 0]], [[0.5, 0], [0, 0]], [[0, 0], [0, 8]], [[0, 0], [0, 0.1]], 2)
    assert parts.sum() == pytest.approx(-0.4) and parts[2] == pytest.approx(0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=5))
def test_parts_sum_to_the_change_and_know_no_order(pairs):
    before, after = np.array(pairs).T
    parts = decompose.product_effects(before, after)
    size = max(np.prod(before), np.prod(after))
    assert parts.sum() == pytest.approx(np.prod(after) - np.prod(before), abs=1e-12 * size)
    assert decompose.product_effects(before[::-1], after[::-1]) == pytest.approx(parts[::-1], abs=1e-12 * size)
    assert decompose.product_effects(after, before) == pytest.approx(-parts, abs=1e-12 * size)


@settings(deadline=None)
@given(COUNTS, RATES)
def test_mix_and_rate_sum_to_the_change(counts, rates):
    if not counts.sum(axis=(1, 2)).all():
        return
    parts = decompose.mix_and_rate(counts[0], rates[0], counts[1], rates[1], 2)
    crude = (counts * rates).sum(axis=(1, 2)) / counts.sum(axis=(1, 2))
    assert parts.sum() == pytest.approx(crude[1] - crude[0], abs=1e-12)


@settings(deadline=None)
@given(COUNTS)
def test_structure_multiplies_to_the_shares(counts):
    first, second = decompose.structure(counts[0], 2)
    if counts[0].sum():
        assert first * second == pytest.approx(counts[0] / counts[0].sum(), abs=1e-12)


def test_draws_along_the_first_axis_are_apart():
    counts = np.array([[[10, 5], [5, 10]], [[20, 1], [1, 20]]], dtype=float)
    rates = np.array([[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.2], [0.3, 0.1]]])
    together = decompose.mix_and_rate(counts, rates, counts[:, ::-1], rates + 0.1, 2)
    for draw in range(2):
        alone = decompose.mix_and_rate(counts[draw], rates[draw], counts[draw][::-1], rates[draw] + 0.1, 2)
        assert together[:, draw] == pytest.approx(alone)
