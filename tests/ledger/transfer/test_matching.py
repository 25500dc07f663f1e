"""Which expenses a new row looks like, and what becomes of it then: one rule a test, without a database."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from ledger.transfer.choices import Choices
from ledger.transfer.matching import MAX_MATCHES, Candidate, Doubts, Matcher, Origin, settle_match, write_numbers
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.rows import FileRow, read_rows
from tests.support.imports import coffee, reading

IN_CSV = Origin("checking", "f", is_same_format=True)
IN_OFX = Origin("checking", "f", is_same_format=False)
BY_ID = Origin("checking", "b", is_same_format=True)
ELSEWHERE = Origin("savings", "f", is_same_format=True)


def typed(expense_id: int = 881, day: int = 2, *origins: Origin, **fields: Any) -> Candidate:
    """Return an expense of 3.50 on a day of November; with origins it was imported."""
    expense = Candidate(expense_id, date(2026, 11, day), 3_500, "EUR", frozenset(origins))
    return expense._replace(**fields)


def imported(expense_id: int, day: int, *origins: Origin) -> Candidate:
    """Return such an expense as a file of the account had it."""
    return typed(expense_id, day, *origins, imported_for="checking")


async def matched(
    *drafts: Draft,
    expenses: Sequence[Candidate],
    on_match: Any = None,  # noqa: ANN401
    twin: int | None = None,
) -> tuple[list[FileRow], Doubts]:
    rows = await read_rows(reading(*drafts), Choices())
    matcher, doubts = Matcher({rows[0].key: [twin]} if twin else {}), Doubts()
    for row in rows:
        matcher.add_row(row)
    for it in expenses:
        matcher.add_expense(it)
    for row in rows:
        settle_match(row, matcher, on_match, doubts)
    return rows, doubts


async def find(*expenses: Candidate) -> list[int]:
    """Return the matches of a coffee on 2 November."""
    (row,), _ = await matched(coffee(), expenses=expenses, on_match="report")
    return [*row.matches]


async def test_a_typed_expense_of_the_same_day_and_amount_matches() -> None:
    assert await find(typed()) == [881]


@pytest.mark.parametrize(("day", "ids"), [(date(2026, 10, 30), [881]), (date(2026, 11, 5), [881])])
async def test_an_expense_three_days_away_matches(day: date, ids: list[int]) -> None:
    assert await find(typed(day=day.day)._replace(day=day)) == ids


@pytest.mark.parametrize("day", [date(2026, 10, 29), date(2026, 11, 6)])
async def test_an_expense_four_days_away_is_another(day: date) -> None:
    assert await find(typed()._replace(day=day)) == []


@pytest.mark.parametrize("other", [{"amount": 3_510}, {"currency": "SEK"}, {"amount": -3_500}])
async def test_another_amount_is_another_expense(other: dict[str, Any]) -> None:
    assert await find(typed(**other)) == []


async def test_the_nearest_matches_come_first() -> None:
    assert await find(typed(1, 5), typed(2, 2), typed(3, 1)) == [2, 3, 1]


async def test_at_most_twenty_matches_are_listed() -> None:
    assert len(await find(*(typed(number) for number in range(1, 31)))) == MAX_MATCHES


async def test_an_expense_of_another_source_matches() -> None:
    assert await find(typed(881, 2, ELSEWHERE)) == [881]


async def test_an_expense_of_the_same_source_and_format_is_another_movement() -> None:
    assert await find(imported(881, 3, IN_CSV)) == []


async def test_what_the_account_knows_is_compared_as_its_file_had_it() -> None:
    assert await find(typed(881, 3, IN_OFX)) == []


async def test_what_one_account_knows_says_nothing_of_another() -> None:
    assert await find(imported(881, 3, IN_OFX)._replace(imported_for="savings")) == []


async def test_an_expense_that_was_linked_to_a_row_of_this_format_is_another_movement() -> None:
    assert await find(imported(881, 3, IN_CSV, IN_OFX, ELSEWHERE)) == []


@pytest.mark.parametrize("origin", [IN_OFX, BY_ID])
async def test_an_expense_of_the_same_account_in_another_way_is_a_question(origin: Origin) -> None:
    (row,), doubts = await matched(coffee(), expenses=[imported(881, 3, origin)])

    assert (row.status, row.matches, doubts.on_match) == ("open", [881], [1])


async def test_an_expense_that_was_this_row_without_a_source_is_a_question() -> None:
    (row,), doubts = await matched(coffee(), expenses=[typed(881, 20)], twin=881)

    assert (row.status, row.matches, doubts.on_match) == ("open", [881], [1])


async def test_an_expense_that_was_this_row_counts_once() -> None:
    (row,), _ = await matched(coffee(), expenses=[typed()], twin=881, on_match="link")

    assert (row.status, row.expense_id) == ("linked", 881)


async def test_an_answered_question_is_none() -> None:
    (row,), doubts = await matched(coffee(), expenses=[imported(881, 3, IN_OFX)], on_match="report")

    assert (row.status, row.matches, doubts.on_match) == (None, [881], [])


async def test_a_match_is_reported_and_the_row_is_new_all_the_same() -> None:
    (row,), _ = await matched(coffee(), expenses=[typed()])

    assert (row.status, row.matches) == (None, [881])


async def test_the_one_match_becomes_the_row() -> None:
    (row,), _ = await matched(coffee(), expenses=[typed()], on_match="link")

    assert (row.status, row.expense_id) == ("linked", 881)


async def test_a_row_with_a_match_is_skipped() -> None:
    (row,), _ = await matched(coffee(), expenses=[typed()], on_match="skip")

    assert (row.status, row.reason) == ("skipped", "matched")


@pytest.mark.parametrize("on_match", ["link", "skip"])
async def test_a_row_without_a_match_stays_new(on_match: str) -> None:
    (row,), _ = await matched(coffee(), expenses=[], on_match=on_match)

    assert row.is_undecided


@pytest.mark.parametrize("on_match", ["link", "skip"])
async def test_several_matches_of_a_row_are_a_question(on_match: str) -> None:
    (row,), doubts = await matched(coffee(), expenses=[typed(1), typed(2)], on_match=on_match)

    assert (row.status, row.matches, doubts.lines) == ("open", [1, 2], [1])


@pytest.mark.parametrize(
    ("on_match", "status"), [(None, "open"), ("report", None), ("link", "linked"), ("skip", "skipped")]
)
async def test_a_row_that_was_deleted_in_another_format_stays_deleted_if_it_is_linked(
    on_match: str | None, status: str | None
) -> None:
    (row,), _ = await matched(coffee(), expenses=[imported(-7, 2, IN_OFX)], on_match=on_match)

    assert (row.status, row.expense_id, row.matches) == (status, None, [])


@pytest.mark.parametrize("on_match", ["link", "skip"])
async def test_several_rows_of_a_match_are_a_question(on_match: str) -> None:
    rows, doubts = await matched(coffee("01"), coffee("04"), expenses=[typed()], on_match=on_match)

    assert ([row.status for row in rows], doubts.lines) == (["open", "open"], [1, 2])


async def test_a_row_that_no_match_can_be_does_not_count_for_it() -> None:
    rows, _ = await matched(coffee(), coffee(bank_id="17"), expenses=[imported(881, 2, BY_ID)], on_match="link")

    assert [row.status for row in rows] == ["linked", None]


async def test_equal_rows_in_a_ledger_of_equal_expenses_are_matched_in_one_pass() -> None:
    many = [coffee() for _ in range(2_000)]

    rows, _ = await matched(*many, expenses=[typed(number) for number in range(1, 5_001)])

    assert {len(row.matches) for row in rows} == {MAX_MATCHES}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([13], "13"), ([13, 14], "13, 14"), ([*range(12)], "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more")],
)
def test_numbers_of_rows_are_written_for_a_sentence(numbers: list[int], text: str) -> None:
    assert write_numbers(numbers) == text
