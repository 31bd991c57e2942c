"""Values known beforehand: what they foretell of errors, tried origin by origin, and what chance does."""

from itertools import permutations

import numpy as np
import pytest

from salesops.stats import leading

ERRORS = np.array([0.3, -0.2, 0.1, -0.4, 0.25, 0.05, -0.3])
KNOWN = np.array([1.0, -1.0, 0.5, -2.0, 1.5, 0.0, -1.0])


def slow_moves(errors, known):
    """The definition, one error at a time."""
    found = []
    for at in range(3, len(errors)):
        before, spread = known[:at], np.std(known[:at])
        z = [min(max((each - np.mean(before)) / spread, -2.5), 2.5) for each in [*before, known[at]]]
        slope = sum(a * b for a, b in zip(z, errors[:at], strict=False)) / (sum(a * a for a in z[:-1]) + 2)
        found.append(slope * z[-1])
    return np.array(found)


def test_moves_are_those_of_the_definition():
    moves, _ = leading.trial(ERRORS, KNOWN, draws=19)
    assert np.isnan(moves[:3]).all()
    np.testing.assert_allclose(moves[3:], slow_moves(ERRORS, KNOWN), rtol=1e-12)
    np.testing.assert_allclose(leading.move(ERRORS[:6], KNOWN[:6], KNOWN[6:]), moves[6:], rtol=1e-12)


def test_the_p_value_is_near_that_of_all_orders():
    def gain(errors):
        return (errors[3:] ** 2 - (errors[3:] - slow_moves(errors, KNOWN)) ** 2).sum()

    errors = np.r_[ERRORS[:-1], 0.9]
    share = np.mean([gain(np.array(each)) >= gain(errors) - 1e-12 for each in permutations(errors)])
    _, p_value = leading.trial(errors, KNOWN, draws=9999)
    assert p_value == pytest.approx(share, abs=0.015)  # three standard errors of a share


def test_no_move_hangs_on_what_came_later():
    moves, _ = leading.trial(ERRORS, KNOWN)
    later, _ = leading.trial(np.r_[ERRORS[:5], 9.0, -9.0], np.r_[KNOWN[:5], 7.0, -7.0])
    assert moves[:5].tobytes() == later[:5].tobytes()


def test_far_values_count_no_further():
    moves = leading.move(ERRORS, KNOWN, [50.0, 1e6])
    assert moves[0] == moves[1] > 0


@pytest.mark.parametrize("known", [np.full(9, 4.0), np.zeros(9)])
def test_a_value_that_never_differs_foretells_nothing(known):
    moves, p_value = leading.trial(np.arange(9.0), known, draws=99)
    assert moves[3:].tolist() == [0.0] * 6 and p_value == 1.0
    assert leading.move([], [], [1.0]).tolist() == [0.0]


def test_too_few_errors_say_nothing():
    moves, p_value = leading.trial(ERRORS[:6], KNOWN[:6])
    assert np.isnan(moves).all() and np.isnan(p_value)


def test_chance_is_named_as_often_as_said():
    """1,600 draws, a drifting value and errors in no order: within two standard errors of 5 %."""
    random = np.random.default_rng(7)
    named = [leading.trial(random.normal(size=14), np.cumsum(random.normal(0.2, 1, 14)), draws=199, seed=draw)[1] <= 0.05
             for draw in range(1600)]  # fmt: skip
    assert np.mean(named) == pytest.approx(0.05, abs=0.011)


def test_what_tells_is_found():
    random = np.random.default_rng(3)
    known = random.normal(size=24)
    assert leading.trial(known + random.normal(0, 0.5, 24), known)[1] < 0.01
    assert leading.trial(-known + random.normal(0, 0.5, 24), known)[1] < 0.01
