"""One account that comes in several ways, and is changed meanwhile: nothing is booked twice without a question."""

from dataclasses import replace
from typing import Any

import pytest

from ledger.transfer.readers.drafts import Reading
from ledger.transfer.readers.formats import detect_format
from ledger.transfer.readers.reading import Request, read_file
from tests.support.bank_files import camt, camt_details, camt_entry, camt_statement
from tests.support.expenses import change, discard, restore, spend
from tests.support.imports import coffee, draft, list_amounts, load, reading, statuses, undo
from tests.support.people import Person
from tests.support.statements import Statements

IN_OFX = reading(coffee(bank_id="17", payee="CAFE"), kind="ofx")


def read(text: str, **options: Any) -> Reading:
    """Return what is read from a file of the account."""
    data = text.encode()
    return read_file(data, detect_format(data), Request(currency="EUR", options=options))


async def fetch(person: Person) -> list[dict[str, Any]]:
    """Return the expenses, the first recorded one first."""
    items: list[dict[str, Any]] = (await person.get("/expenses?limit=200")).json()["items"]
    return sorted(items, key=lambda row: int(row["id"]))


# --- in another way ---------------------------------------------------------------------------------------------------


async def test_what_was_edited_is_a_question_in_another_format(person: Person) -> None:
    await load(person, reading(coffee()))
    (expense,) = await fetch(person)
    await change(person, expense, amount="1.75", date="2026-11-20")

    asked = await load(person, IN_OFX, dry_run=True)
    linked = await load(person, IN_OFX, on_match="link")

    assert ([it.option for it in asked.questions], asked.rows[0].matches) == (["on_match"], [expense["id"]])
    assert (statuses(linked), linked.rows[0].expense_id) == (["linked"], expense["id"])
    assert statuses(await load(person, IN_OFX)) == ["existing"]


@pytest.mark.parametrize("sources", [(None, "NL91"), ("NL91", None)], ids=str)
async def test_what_came_from_an_unnamed_account_may_be_of_any(person: Person, sources: tuple[str | None, ...]) -> None:
    csv, ofx = (replace(file, source=source) for file, source in zip((reading(coffee()), IN_OFX), sources, strict=True))
    await load(person, csv)

    assert statuses(await load(person, ofx, dry_run=True)) == ["open"]
    assert statuses(await load(person, ofx, on_match="link")) == ["linked"]


async def test_what_was_deleted_is_asked_about_once(person: Person) -> None:
    await load(person, reading(coffee()))
    await discard(person, *await fetch(person))
    linked = await load(person, IN_OFX, on_match="link")

    assert (statuses(linked), linked.counts.linked) == (["linked deleted"], 1)
    assert statuses(await load(person, IN_OFX)) == ["existing deleted"]
    assert (await undo(person, linked))["unlinked"] == 0
    assert statuses(await load(person, IN_OFX)) == ["existing deleted"]


async def test_what_an_unnamed_account_brought_is_found_as_its_file_had_it(person: Person) -> None:
    await load(person, reading(coffee(), coffee("09"), source=None))
    edited, deleted = await fetch(person)
    await change(person, edited, amount="9.00", date="2026-11-20")
    await discard(person, deleted)
    ofx = reading(
        coffee(bank_id="17", payee="CAFE"), coffee("09", bank_id="18", payee="CAFE"), kind="ofx", source="NL91"
    )

    assert statuses(await load(person, ofx, dry_run=True)) == ["open", "open"]
    assert statuses(await load(person, ofx, on_match="link")) == ["linked", "linked deleted"]
    assert await list_amounts(person) == ["9.00"]


async def test_a_statement_whose_days_are_written_in_another_way_is_a_question(person: Person) -> None:
    rows = "Date;Text;Amount\n{};Coffee;-3,50\n{};Bread;-2,00\n"
    await load(person, replace(read(rows.format("02-11-2026", "13-11-2026")), source="checking"))

    again = replace(read(rows.format("2026-11-02", "2026-11-13")), source="checking")

    assert statuses(await load(person, again, dry_run=True)) == ["open", "existing"]


NARROW = "Date,Text,Amount\n2026-11-02,Coffee,-3.50\n2026-11-03,Bread,-2.00\n"
WIDE = "Date,Text,Category,Amount\n2026-11-02,Coffee,Food,-3.50\n2026-11-04,Bread,Food,-2.00\n"


async def test_a_statement_to_which_the_bank_has_added_a_column_is_a_question(person: Person) -> None:
    narrow, wide = (replace(read(text), source="checking") for text in (NARROW, WIDE))
    await load(person, narrow)

    asked, linked = await load(person, wide, dry_run=True), await load(person, wide, on_match="link")

    assert ([it.option for it in asked.questions], statuses(asked)) == (["on_match"], ["open", "new"])
    assert (statuses(linked), statuses(await load(person, wide))) == (["linked", "new"], ["existing", "existing"])


async def test_other_texts_of_one_day_in_the_same_columns_are_other_movements(person: Person) -> None:
    morning, evening = (replace(read(NARROW.replace("Coffee", it)), source="checking") for it in ("Coffee", "Tea"))
    await load(person, morning)

    assert statuses(await load(person, evening)) == ["new", "existing"]


async def test_what_came_from_another_account_is_another_movement(person: Person) -> None:
    await load(person, reading(coffee()))

    answer = await load(person, replace(IN_OFX, source="savings"))

    assert (statuses(answer), len(answer.rows[0].matches)) == (["new"], 1)


@pytest.mark.parametrize(
    ("on_match", "told"), [(None, "open"), ("link", "linked deleted"), ("skip", "skipped matched"), ("report", "new")]
)
async def test_what_was_deleted_is_a_question_in_another_format(
    person: Person, on_match: str | None, told: str
) -> None:
    await load(person, reading(coffee()))
    await discard(person, *await fetch(person))

    answer = await load(person, IN_OFX, on_match=on_match, dry_run=True)

    assert (statuses(answer), answer.rows[0].matches) == ([told], [])


async def test_what_was_deleted_is_no_question_if_it_shall_come_again(person: Person) -> None:
    await load(person, reading(coffee()))
    await discard(person, *await fetch(person))

    assert statuses(await load(person, IN_OFX, deleted="import")) == ["new"]


async def test_what_was_deleted_in_both_formats_is_known_in_both(person: Person) -> None:
    await load(person, reading(coffee()))
    await load(person, IN_OFX, on_match="link")
    await discard(person, *await fetch(person))
    other = reading(coffee(bank_id="17"), coffee("03", bank_id="18"), kind="ofx")

    assert statuses(await load(person, other)) == ["existing deleted", "new"]


async def test_a_deleted_row_of_the_same_format_is_another_movement(person: Person) -> None:
    await load(person, reading(coffee("01")))
    await discard(person, *await fetch(person))

    assert statuses(await load(person, reading(coffee("03")))) == ["new"]


async def test_an_id_that_the_file_has_twice_leaves_a_question(person: Person) -> None:
    await load(person, reading(coffee(bank_id="17")))
    await change(person, (await fetch(person))[0], amount="1.75")

    assert statuses(await load(person, reading(coffee()), dry_run=True)) == ["open"]


async def test_an_expense_in_three_formats_is_one_match(person: Person) -> None:
    await load(person, reading(coffee()))
    await load(person, reading(coffee(), kind="xlsx"), on_match="link")

    assert statuses(await load(person, IN_OFX, on_match="link")) == ["linked"]


async def test_a_profile_of_ones_own_is_no_other_format(person: Person) -> None:
    await load(person, reading(coffee("01")))

    assert statuses(await load(person, reading(coffee("03"), profile="my bank"))) == ["new"]


async def test_what_an_undone_import_kept_is_of_no_other_format(person: Person) -> None:
    first = await load(person, reading(coffee("01")))
    await change(person, (await fetch(person))[0], description="changed")
    await undo(person, first, "?keep_changed=true")

    assert statuses(await load(person, reading(coffee("03")))) == ["new"]


async def test_a_large_file_of_another_format_takes_few_statements(person: Person, statements: Statements) -> None:
    rows = [draft(amount=f"{number}.00", payee=f"p{number % 40}") for number in range(1, 1_001)]
    await load(person, reading(*rows))

    with statements() as sent:
        await load(person, reading(*rows, kind="ofx"), on_match="report", dry_run=True)
    same = len(sent)
    with statements() as sent:
        await load(
            person,
            reading(*(draft(amount=it.amount or "", bank_id=it.amount) for it in rows), kind="ofx"),
            on_match="link",
            dry_run=True,
        )

    # For every 250 rows: what is known, what is near, what the account's files had there, and as what.
    assert same <= 4 + 3
    assert len(sent) <= 4 * 4 + 10


# --- without a source -------------------------------------------------------------------------------------------------


async def test_what_came_without_a_source_and_was_deleted_stays_deleted(person: Person) -> None:
    await load(person, reading(coffee(), coffee(), coffee("05"), source=None))
    await discard(person, (await fetch(person))[0])

    answer = await load(person, reading(coffee(), coffee(), coffee("05")), on_match="link")

    assert sorted(statuses(answer)) == ["existing deleted", "linked", "linked"]


async def test_what_came_without_a_source_comes_again_instead_of_what_was_deleted(person: Person) -> None:
    await load(person, reading(coffee(), source=None))
    (expense,) = await fetch(person)
    await discard(person, expense)

    assert statuses(await load(person, reading(coffee()), deleted="import")) == ["new"]
    assert not (await restore(person, expense)).is_success


async def test_an_id_with_another_amount_may_be_another_accounts(person: Person) -> None:
    await load(person, reading(coffee("01", bank_id="1"), source=None))
    other = reading(draft("2026-11-20", "9.00", bank_id="1"), source=None)

    assert [it.option for it in (await load(person, other, dry_run=True)).questions] == ["source"]
    assert statuses(await load(person, other, source="unnamed")) == ["existing changed"]


# --- from the trash ---------------------------------------------------------------------------------------------------


async def test_what_came_again_is_not_restored_beside_it(person: Person) -> None:
    await load(person, reading(coffee()))
    (expense,) = await fetch(person)
    await discard(person, expense)

    await load(person, reading(coffee()), deleted="import")

    assert not (await restore(person, expense)).is_success
    assert await list_amounts(person) == ["3.50"]


async def test_a_row_that_is_refused_leaves_the_trash_alone(person: Person) -> None:
    await load(person, reading(coffee()))
    (expense,) = await fetch(person)
    await discard(person, expense)

    await load(person, reading(coffee()), deleted="import", dry_run=True)

    assert (await restore(person, expense)).is_success


# --- whole and in parts -----------------------------------------------------------------------------------------------

SPLIT = "!Type:Bank\nD2026-11-02\nT-8.00\nPMarket\nLFood\nSMilk\n$-3.00\nSSoap\n$-5.00\n^\n"
SECOND = SPLIT.removeprefix("!Type:Bank\n")


async def test_the_whole_does_not_come_beside_a_part_that_is_left(person: Person) -> None:
    await load(person, read(SPLIT, splits="parts"), source="bank")
    await discard(person, (await fetch(person))[0])

    assert statuses(await load(person, read(SPLIT), source="bank", deleted="import")) == ["existing"]


async def test_two_entries_with_an_equal_part_are_known_in_parts(person: Person) -> None:
    other = SECOND.replace("-8.00", "-4.00").replace("-5.00", "-1.00")
    await load(person, read(SPLIT + other), source="bank")

    assert (await load(person, read(SPLIT + other, splits="parts"), source="bank")).counts.new == 0


async def test_a_whole_that_came_again_in_parts_is_not_restored_and_hides_nothing(person: Person) -> None:
    await load(person, read(SPLIT), source="bank")
    (whole,) = await fetch(person)
    await discard(person, whole)
    await load(person, read(SPLIT, splits="parts"), source="bank", deleted="import")

    answer = await load(person, read(SPLIT + SECOND, splits="parts"), source="bank")

    assert statuses(answer)[1:3] == ["existing", "existing"]
    assert statuses(answer)[4:] == ["new", "new"]
    assert not (await restore(person, whole)).is_success


async def test_a_batch_that_came_as_one_is_known_with_its_movements(person: Person) -> None:
    amount = '<Amt Ccy="EUR">{}</Amt>'.format
    batch = camt_entry(rest="<AcctSvcrRef>R1</AcctSvcrRef>" + camt_details(amount("10.00"), amount("2.50")))
    alone = camt_entry(rest="<AcctSvcrRef>R1</AcctSvcrRef>")
    await load(person, read(camt(camt_statement(alone)).decode()))

    answer = await load(person, read(camt(camt_statement(batch)).decode()))

    assert statuses(answer) == ["skipped split_parent", "existing", "existing"]


FEES = "Date;Payee;Amount;Fee;Transaction ID\n2026-11-01;Metro;-2.50;0.30;17\n"


async def test_a_fee_that_was_left_out_comes_if_the_caller_says_so(person: Person) -> None:
    await load(person, read(FEES, fees="separate"), source="bank", lines={2: "skip"})

    assert statuses(await load(person, read(FEES, fees="separate"), source="bank", lines={2: "new"})) == [
        *("existing", "new")
    ]


async def test_the_fees_of_a_file_without_a_source_are_in_it_when_it_comes_again(person: Person) -> None:
    await load(person, read(FEES, fees="separate"))
    new = "2026-11-01;Kiosk;-4.00;;18\n"

    assert statuses(await load(person, read(FEES + new, fees="separate"))) == ["existing", "existing", "new"]


async def test_an_amount_that_equals_a_fee_is_no_question(person: Person) -> None:
    await load(person, read(FEES, fees="separate"), source="bank")
    later = FEES.splitlines()[0] + "\n2026-11-02;Kiosk;-0.30;;19\n"

    assert statuses(await load(person, read(later, fees="separate"), source="bank")) == ["new"]


# --- external ids -----------------------------------------------------------------------------------------------------


async def test_a_second_row_of_an_external_id_stays_refused(person: Person) -> None:
    file = reading(coffee(external_id="x1"), draft(external_id="x1"))
    await load(person, file, skip_refused=True)

    assert statuses(await load(person, file, dry_run=True)) == ["existing", "refused"]


async def test_a_second_row_of_an_external_id_is_no_part_of_a_row_that_is_left_out(person: Person) -> None:
    await spend(person, amount="12.50", date="2026-11-02")
    file = reading(draft(external_id="x1"), coffee(external_id="x1"))

    assert statuses(await load(person, file, on_match="skip")) == ["skipped matched", "new"]
