"""Which rows of a file are known: one rule a test, without a database."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from ledger.transfer.choices import Choices
from ledger.transfer.identities import (
    KnownRows,
    NamedExpenses,
    OwnExpense,
    identify,
    knows_ids_otherwise,
    lacks_rows,
    list_possible_keys,
    settle_repeated,
)
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.rows import FileRow, KnownRow, make_key, make_text_key, read_rows
from problems import ValidationFailed
from tests.support.imports import coffee, draft, reading

NO_CHOICES = Choices()


def knowing(row: Draft, occurrence: int = 1, **fields: Any) -> KnownRow:
    """Return what a source knows of a row that an earlier file had."""
    known = KnownRow(
        id=occurrence,
        source="checking",
        key=make_key(row),
        occurrence=occurrence,
        expense_id=100 + occurrence,
        is_live=True,
        day=date.fromisoformat(str(row.date)),
        amount=int(str(row.amount).replace(".", "")) * 10,
        currency=str(row.currency),
    )
    return known._replace(**fields)


async def identified(*drafts: Draft, known: tuple[KnownRow, ...] = (), choices: Choices = NO_CHOICES) -> list[FileRow]:
    """Return the rows of a file of the source after it was compared with what the source knows."""
    rows, place = await read_rows(reading(*drafts), choices), KnownRows()
    for it in known:
        place.add(it)
    for is_same in (True, False):
        for row in rows:
            identify(row, place, choices, is_same=is_same)
    return rows


def told(rows: list[FileRow]) -> list[tuple[str | None, str | None]]:
    return [(row.status, row.reason) for row in rows]


UNDECIDED = (None, None)
EXISTING = ("existing", None)


async def test_a_row_that_no_file_had_is_not_known() -> None:
    assert told(await identified(coffee(), known=(knowing(draft()),))) == [UNDECIDED]


async def test_a_row_that_a_file_had_is_existing() -> None:
    (row,) = await identified(coffee(), known=(knowing(coffee()),))

    assert (row.status, row.expense_id) == ("existing", 101)


async def test_equal_rows_of_one_file_are_several() -> None:
    assert told(await identified(coffee(), coffee())) == [UNDECIDED, UNDECIDED]


async def test_of_equal_rows_those_beyond_the_known_ones_are_new() -> None:
    rows = await identified(coffee(), coffee(), coffee(), known=(knowing(coffee(), 1), knowing(coffee(), 2)))

    assert told(rows) == [EXISTING, EXISTING, UNDECIDED]


async def test_a_file_with_fewer_equal_rows_than_are_known_adds_none() -> None:
    assert told(await identified(coffee(), known=(knowing(coffee(), 1), knowing(coffee(), 2)))) == [EXISTING]


async def test_a_row_of_another_source_is_not_known() -> None:
    assert told(await identified(coffee(), known=(knowing(coffee(), source="savings"),))) == [UNDECIDED]


async def test_the_banks_id_is_known_whatever_the_texts() -> None:
    rows = await identified(coffee(bank_id="17", payee="CAFE"), known=(knowing(coffee(bank_id="17")),))

    assert told(rows) == [EXISTING]


@pytest.mark.parametrize("changed", [{"amount": 4_000}, {"day": date(2026, 11, 3)}, {"currency": "SEK"}])
async def test_a_known_banks_id_with_another_day_or_amount_is_changed(changed: dict[str, Any]) -> None:
    rows = await identified(coffee(bank_id="17"), known=(knowing(coffee(bank_id="17"), **changed),))

    assert told(rows) == [("existing", "changed")]


async def test_the_texts_of_a_row_that_has_a_banks_id_are_no_identity() -> None:
    assert told(await identified(coffee(bank_id="17"), known=(knowing(coffee()),))) == [UNDECIDED]


async def test_a_changed_row_is_new_if_the_caller_says_so() -> None:
    known = knowing(coffee(bank_id="17"), amount=4_000)

    (row,) = await identified(coffee(bank_id="17"), known=(known,), choices=Choices(lines={1: "new"}))

    assert (row.status, row.key) == (None, make_text_key(row.draft.fingerprint))


async def test_what_was_deleted_stays_deleted() -> None:
    assert told(await identified(coffee(), known=(knowing(coffee(), is_live=False),))) == [("existing", "deleted")]


async def test_what_was_deleted_comes_again_if_it_is_asked_for() -> None:
    dead = knowing(coffee(), is_live=False)

    (row,) = await identified(coffee(), known=(dead,), choices=Choices(deleted="import"))

    assert (row.status, row.known) == (None, dead)


async def test_of_equal_rows_the_live_ones_are_found_first() -> None:
    known = (knowing(coffee(), 1, is_live=False), knowing(coffee(), 2))

    assert told(await identified(coffee(), known=known)) == [EXISTING]


async def test_of_rows_with_one_key_each_is_the_known_one_of_its_amount() -> None:
    one, other = coffee(), coffee(amount="0.50", fingerprint=coffee().fingerprint)
    known = (knowing(one, 1, is_live=False), knowing(other, 2))

    assert told(await identified(one, other, known=known)) == [("existing", "deleted"), EXISTING]


# --- the same entry with other options --------------------------------------------------------------------------------

WHOLE = draft(amount="8.00", parts=["milk", "soap"])
HEAD = replace(WHOLE, status="skipped", reason="split_parent")
MILK, SOAP = draft(amount="3.00", fingerprint="milk", head=1), draft(amount="5.00", fingerprint="soap", head=1)
IN_PARTS = HEAD, MILK, SOAP
PARENT = ("skipped", "split_parent")


async def test_the_parts_of_an_entry_that_is_known_whole_are_existing() -> None:
    assert told(await identified(*IN_PARTS, known=(knowing(WHOLE),))) == [PARENT, EXISTING, EXISTING]


@pytest.mark.parametrize("known", [(MILK, SOAP), (SOAP,)], ids=len)
async def test_an_entry_of_which_a_part_is_known_is_existing(known: tuple[Draft, ...]) -> None:
    assert told(await identified(WHOLE, known=tuple(map(knowing, known)))) == [EXISTING]


async def test_whole_entries_and_those_in_parts_count_together() -> None:
    known = knowing(WHOLE), knowing(MILK), knowing(SOAP)

    assert told(await identified(WHOLE, WHOLE, WHOLE, known=known)) == [EXISTING, EXISTING, UNDECIDED]
    more = [replace(it, head=4) for it in (MILK, SOAP)], [replace(it, head=7) for it in (MILK, SOAP)]
    rows = await identified(*IN_PARTS, HEAD, *more[0], HEAD, *more[1], known=known)
    assert told(rows) == [PARENT, EXISTING, EXISTING] * 2 + [PARENT, UNDECIDED, UNDECIDED]


async def test_a_live_part_counts_before_a_deleted_one() -> None:
    known = knowing(MILK, 1, is_live=False), knowing(MILK, 3, is_live=False), knowing(SOAP, 2)

    assert told(await identified(WHOLE, known=known, choices=Choices(deleted="import"))) == [EXISTING]


async def test_a_deleted_whole_that_came_again_in_parts_hides_no_other_entry() -> None:
    second = [replace(it, head=4) for it in (MILK, SOAP)]
    known = knowing(WHOLE, is_live=False), knowing(MILK, 2), knowing(SOAP, 3)

    rows = await identified(*IN_PARTS, HEAD, *second, known=known)

    assert told(rows) == [PARENT, EXISTING, EXISTING, PARENT, UNDECIDED, UNDECIDED]


async def test_what_comes_again_comes_instead_of_the_deleted_whole_and_its_parts() -> None:
    imported = Choices(deleted="import")
    parts = knowing(MILK, 1, is_live=False), knowing(SOAP, 2, is_live=False)

    (whole,) = await identified(WHOLE, known=parts, choices=imported)
    rows = await identified(*IN_PARTS, known=(knowing(WHOLE, is_live=False),), choices=imported)

    assert sorted(whole.replaced) == [101, 102]
    assert [[*row.replaced] for row in rows] == [[], [101], [101]]


async def test_a_deleted_whole_comes_again_in_parts_if_it_is_asked_for() -> None:
    dead = knowing(WHOLE, is_live=False)

    rows = await identified(*IN_PARTS, known=(dead,), choices=Choices(deleted="import"))

    assert told(rows) == [PARENT, UNDECIDED, UNDECIDED]
    assert [row.known for row in rows] == [None] * 3
    rows = await identified(*IN_PARTS, known=(dead, knowing(MILK)))
    assert told(rows) == [PARENT, EXISTING, ("existing", "deleted")]


TRIP = draft(amount="100.00", bank_id="17")
FEE = draft(amount="1.50", fingerprint="fee", head=1)


async def test_the_fee_of_an_entry_that_was_imported_with_it_is_existing() -> None:
    assert told(await identified(TRIP, FEE, known=(knowing(TRIP),))) == [EXISTING, EXISTING]


async def test_a_fee_that_has_a_row_is_not_looked_for_in_the_entry() -> None:
    file = TRIP, FEE, replace(TRIP, bank_id="18"), replace(FEE, head=3)

    assert told(await identified(*file, known=(knowing(TRIP), knowing(FEE, key=make_key(FEE, TRIP))))) == [
        *[EXISTING, EXISTING],
        *[UNDECIDED, UNDECIDED],
    ]


def test_a_file_has_its_parts_and_its_fee_also_if_they_are_no_rows() -> None:
    assert list_possible_keys(replace(WHOLE, fee="fee"))[1:] == ["fmilk", "fsoap", "ffee"]


async def test_a_fee_that_was_left_out_comes_if_the_caller_says_so() -> None:
    assert told(await identified(TRIP, FEE, known=(knowing(TRIP),), choices=Choices(lines={2: "new"}))) == [
        EXISTING,
        UNDECIDED,
    ]


async def test_a_fee_and_the_parts_are_known_in_the_way_of_their_entry() -> None:
    rows = await read_rows(reading(TRIP, FEE, WHOLE, replace(FEE, head=3)), NO_CHOICES)

    assert [row.key[0] for row in rows] == ["b", "b", "f", "f"]


async def test_a_new_row_gets_the_first_number_that_is_free() -> None:
    place = KnownRows()
    place.add(knowing(coffee(), 2))
    rows = await read_rows(reading(coffee(), coffee()), NO_CHOICES)

    assert [place.number(row) for row in rows] == [1, 3]


async def test_a_row_that_the_caller_skips_takes_no_place() -> None:
    rows = await identified(coffee(), coffee(), known=(knowing(coffee()),), choices=Choices(lines={1: "skip"}))

    assert told(rows) == [("skipped", "chosen"), EXISTING]


@pytest.mark.parametrize(
    ("known", "is_lacking"), [("", False), ("a", False), ("aa", True), ("ab", True), ("b", True)], ids=repr
)
@pytest.mark.parametrize("expenses", [[1, 2], [None, None]])
def test_a_file_lacks_what_its_source_has_more_often(known: str, is_lacking: bool, expenses: list[int | None]) -> None:
    assert lacks_rows({"a": 1}, list(zip(known, expenses, strict=False))) == is_lacking


@pytest.mark.parametrize(("known", "is_lacking"), [([("b", 1), ("a", 1)], False), ([("b", 1), ("c", 1)], True)])
def test_a_file_has_an_expense_that_it_brought_in_one_of_two_formats(
    known: list[tuple[str, int | None]], is_lacking: bool
) -> None:
    assert lacks_rows({"a": 1}, known) == is_lacking


def test_a_row_with_a_banks_id_may_be_known_by_its_texts_too() -> None:
    assert len(list_possible_keys(coffee(bank_id="17"))) == 2


@pytest.mark.parametrize(
    ("known", "is_other"), [({}, False), ({"amount": 4_000}, True), ({"amount": 4_000, "source": "checking"}, False)]
)
async def test_a_banks_id_with_another_amount_may_be_another_accounts(known: dict[str, Any], is_other: bool) -> None:
    rows = await read_rows(reading(coffee(bank_id="17"), source=None), NO_CHOICES)

    assert knows_ids_otherwise(rows, [knowing(coffee(bank_id="17"), **{"source": "", **known})]) is is_other


# --- expenses that a row names ----------------------------------------------------------------------------------------

SAME = OwnExpense(
    881, is_live=True, day=date(2026, 11, 2), amount=3_500, currency="EUR", payee="Café", description=None
)


async def named(*drafts: Draft, expense: OwnExpense = SAME, **choices: Any) -> list[FileRow]:
    chosen = Choices(**choices)
    rows, expenses = await read_rows(reading(*drafts), chosen), NamedExpenses({881: expense}, {"bank-1": expense})
    for row in rows:
        expenses.settle(row, chosen)
    settle_repeated(rows)
    return rows


async def test_an_external_id_that_is_known_makes_a_row_existing() -> None:
    (row,) = await named(draft(external_id="bank-1"))

    assert (row.status, row.expense_id) == ("existing", 881)


async def test_an_own_id_makes_a_row_existing_if_it_says_the_same() -> None:
    assert told(await named(coffee(own_id=881))) == [EXISTING]


@pytest.mark.parametrize(
    "other",
    [{"amount": 3_000}, {"day": date(2026, 11, 3)}, {"currency": "SEK"}, {"payee": "Bar"}, {"description": "two"}],
)
async def test_an_own_id_of_an_expense_with_another_content_says_nothing(other: dict[str, Any]) -> None:
    assert told(await named(coffee(own_id=881), expense=SAME._replace(**other))) == [UNDECIDED]


async def test_a_row_that_names_a_deleted_expense_stays_deleted() -> None:
    rows = await named(coffee(own_id=881), draft(external_id="bank-1"), expense=SAME._replace(is_live=False))

    assert told(rows) == [("existing", "deleted")] * 2


async def test_a_row_that_names_a_deleted_expense_comes_again_if_it_is_asked_for() -> None:
    (row,) = await named(coffee(own_id=881), expense=SAME._replace(is_live=False), deleted="import")

    assert (row.status, row.replaced) == (None, [881])


async def test_the_second_row_of_an_external_id_is_the_first_one() -> None:
    assert told(await named(coffee(external_id="new"), coffee(external_id="new"))) == [UNDECIDED, EXISTING]


async def test_the_second_row_of_an_external_id_is_refused_if_it_says_something_else() -> None:
    rows = await named(coffee(external_id="new"), draft(external_id="new"))

    assert [row.status for row in rows] == [None, "refused"]
    assert [(it.column, it.code) for it in rows[1].errors] == [("external_id", "already_exists")]


async def test_a_second_row_stays_refused_when_the_first_is_known() -> None:
    rows = await named(coffee(external_id="bank-1"), draft(external_id="bank-1"))

    assert [row.status for row in rows] == ["existing", "refused"]


async def test_a_row_that_is_left_out_has_no_second_one() -> None:
    rows = await read_rows(reading(coffee(external_id="new"), draft(external_id="new")), NO_CHOICES)
    rows[0].settle("skipped", "matched")

    settle_repeated(rows)

    assert told(rows) == [("skipped", "matched"), UNDECIDED]


# --- rows as they are read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "column"),
    [
        ({"amount": "1.234"}, "amount"),
        ({"amount": "0.00"}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"day": "1899-12-31"}, "date"),
        ({"payee": "x" * 101}, "payee"),
        ({"category": "a\nb"}, "category"),
        ({"parent": "x" * 51}, "parent"),
        ({"tags": ["a", "A"]}, "tags"),
        ({"external_id": "x" * 65}, "external_id"),
        ({"description": "\x00"}, "description"),
    ],
)
async def test_what_no_expense_may_have_refuses_the_row(wrong: dict[str, Any], column: str) -> None:
    (row,) = await read_rows(reading(draft(**wrong)), NO_CHOICES)

    assert row.status == "refused"
    assert [it.column for it in row.errors] == [column]


async def test_a_skipped_row_that_was_read_may_be_chosen() -> None:
    (row,) = await read_rows(reading(draft(status="skipped", reason="incoming")), Choices(lines={1: "new"}))

    assert row.is_undecided


@pytest.mark.parametrize(
    ("lines", "code"), [({2: "skip"}, "not_found"), ({1: "new"}, "not_allowed"), ({1: 881}, "not_allowed")]
)
async def test_a_choice_for_no_expense_is_refused(lines: dict[int, Any], code: str) -> None:
    file = reading(draft(status="skipped", reason="balance", amount="1", currency=None))

    with pytest.raises(ValidationFailed) as refused:
        await read_rows(file, Choices(lines=lines))

    assert [it.code for it in refused.value.errors] == [code]
