"""The rank test of `make bench`, which says whether two kinds of sign-in can be told apart; it times nothing here."""

import pytest

from benchmarks.timing import rank_test

# Ages at the diagnosis of diabetes, of men and of women: the example in SciPy's documentation of mannwhitneyu.
MEN = (19.0, 22.0, 16.0, 29.0, 24.0)
WOMEN = (20.0, 11.0, 17.0, 12.0)


def test_the_rank_test_gives_the_p_of_a_published_example() -> None:
    assert rank_test(MEN, WOMEN) == pytest.approx(0.11134688653314041)


def test_ties_narrow_the_spread() -> None:
    # As SciPy has it; without the correction it would be 0.0547.
    assert rank_test((1, 2, 2, 3, 3, 3), (2, 3, 4, 4, 5, 5)) == pytest.approx(0.047967873742731204)


def test_which_of_the_two_is_named_first_changes_nothing() -> None:
    assert rank_test(WOMEN, MEN) == pytest.approx(rank_test(MEN, WOMEN))


def test_a_shift_of_every_rank_is_told_apart() -> None:
    assert rank_test(range(1, 101), range(31, 131)) == pytest.approx(4.676768383107447e-10)


def test_samples_that_are_all_alike_cannot_be_told_apart() -> None:
    assert rank_test((1, 1, 1), (1, 1, 1)) == 1
