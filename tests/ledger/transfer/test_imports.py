"""Imports of files into a ledger, on both databases."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import FastAPI

from ledger.quotas import Quotas
from ledger.transfer.readers.entries import Question, RowError
from problems import ImportRefused, TooMany, ValidationFailed
from tests.support.expenses import change, discard, fetch, read, spend
from tests.support.imports import coffee, draft, list_amounts, load, reading, statuses, undo
from tests.support.ledgers import state_of
from tests.support.people import Person
from tests.support.statements import Statements


def blame(problem: ImportRefused | ValidationFailed | TooMany) -> list[str]:
    return [error.location["pointer"] for error in problem.errors]


# --- what a row becomes -----------------------------------------------------------------------------------------------


async def test_a_row_becomes_an_expense(person: Person) -> None:
    texts = {"payee": "Café", "description": "two of them", "external_id": "bank-1"}
    answer = await load(person, reading(draft("2026-11-02", "7.00", category="Food", tags=("b", "A"), **texts)))

    (expense,) = await fetch(person)
    assert statuses(answer) == ["new"]
    assert answer.rows[0].expense_id == expense["id"]
    assert {name: expense[name] for name in texts} == texts
    assert [expense[name] for name in ("amount", "date", "category", "tags", "import_id")] == [
        *("7.00", "2026-11-02", "Food", ["A", "b"], answer.id),
    ]


async def test_the_order_of_the_rows_is_that_of_the_ids(person: Person) -> None:
    answer = await load(
        person, reading(*(draft(amount=f"{number}.00") for number in range(1, 301)), source=None), rows=400
    )

    ids = [row.expense_id for row in answer.rows]
    amounts = {row["id"]: row["amount"] for row in await fetch(person, "&sort=date")}
    assert [amounts[it] for it in ids[:3] if it is not None] == ["1.00", "2.00", "3.00"]
    assert ids == sorted(ids, key=lambda it: it or 0)


async def test_an_import_takes_one_revision(app: FastAPI, person: Person) -> None:
    answer = await load(person, reading(draft(category="Bread", parent="Food", tags=("a",)), coffee()))

    assert (answer.revision, await state_of(app, person)) == (1, (1, 2))


async def test_the_answer_counts_and_sums_up(person: Person) -> None:
    rows = [coffee(), draft(currency="JPY", amount="900"), draft(status="skipped", reason="incoming")]

    answer = await load(person, reading(*rows))

    assert [(it.currency, it.total, it.count) for it in answer.totals] == [("EUR", "3.50", 1), ("JPY", "900", 1)]
    assert answer.counts.model_dump() == {
        "rows": 3,
        "new": 2,
        "existing": 0,
        "linked": 0,
        "skipped": 1,
        "refused": 0,
        "open": 0,
    }


async def test_a_row_that_is_no_expense_shows_what_was_read(person: Person) -> None:
    balance = draft(status="skipped", reason="balance", currency=None)

    answer = await load(person, reading(coffee(status="skipped", reason="transfer"), balance))

    assert [row.expense and row.expense.amount for row in answer.rows] == ["3.50", None]


async def test_only_the_first_rows_are_shown_and_those_that_are_refused(person: Person) -> None:
    error = RowError("Date", "malformed", "This is no day.")
    rows = [coffee("01"), coffee("02"), draft(status="refused", errors=[error]), coffee("03")]

    answer = await load(person, reading(*rows), rows=1, skip_refused=True)

    assert [(row.number, row.status) for row in answer.rows] == [(1, "new"), (3, "refused")]
    assert [it.column for it in answer.rows[1].errors] == ["Date"]


async def test_what_has_changed_is_in_the_feed(person: Person) -> None:
    await load(person, reading(draft(category="Food", tags=("a",))))

    feed = (await person.get("/changes?since=0")).json()

    assert [len(feed[kind]) for kind in ("expenses", "categories", "tags", "deleted")] == [1, 1, 1, 0]


# --- categories -------------------------------------------------------------------------------------------------------


async def list_tree(person: Person) -> list[tuple[str, str | None]]:
    return [(it["name"], it["parent"]) for it in (await person.get("/categories")).json()["items"]]


async def test_a_subcategory_is_made_below_its_parent(person: Person) -> None:
    await load(person, reading(draft(category="Bread", parent="Food"), coffee(category="Drinks", parent="food")))

    assert await list_tree(person) == [("Bread", "Food"), ("Drinks", "Food"), ("Food", None)]


async def test_a_subcategory_that_is_there_is_used(person: Person) -> None:
    await person.post("/categories", json={"name": "Bread", "parent": "Food"})

    answer = await load(person, reading(draft(category="bread", parent="FOOD")))

    assert answer.rows[0].expense is not None
    assert answer.rows[0].expense.category == "Bread"


async def test_a_subcategory_whose_name_stands_elsewhere_gets_its_parents_name(person: Person) -> None:
    rows = [draft(category="Other", parent="Food"), coffee(category="Other", parent="Travel")]

    answer = await load(person, reading(*rows))

    assert [row.expense and row.expense.category for row in answer.rows] == ["Other", "Travel: Other"]
    assert await list_tree(person) == [
        *(("Food", None), ("Other", "Food"), ("Travel", None), ("Travel: Other", "Travel")),
    ]


async def test_there_is_one_level_of_categories(person: Person) -> None:
    await person.post("/categories", json={"name": "Food", "parent": "Home"})

    await load(person, reading(draft(category="Bread", parent="Food")))

    assert ("Food: Bread", None) in await list_tree(person)


async def test_a_name_that_becomes_too_long_refuses_the_row(person: Person) -> None:
    long = "x" * 40
    rows = [draft(category=long, parent="Food"), coffee(category=long, parent="y" * 40)]

    answer = await load(person, reading(*rows), dry_run=True)

    assert statuses(answer) == ["new", "refused"]


# --- a file again -----------------------------------------------------------------------------------------------------


async def test_the_same_file_again_adds_nothing(app: FastAPI, person: Person) -> None:
    file = reading(coffee(), coffee(), draft())
    await load(person, file)

    again = await load(person, file)

    assert (again.id, again.revision, statuses(again)) == (None, None, ["existing"] * 3)
    assert await state_of(app, person) == (1, 3)


async def test_a_longer_file_adds_what_is_new(person: Person) -> None:
    await load(person, reading(coffee(), draft()))

    longer = await load(person, reading(coffee("01"), coffee(), coffee(), draft()))

    assert statuses(longer) == ["new", "existing", "new", "existing"]


async def test_the_source_is_told_by_its_letters_alone(person: Person) -> None:
    await load(person, reading(coffee(), source="NL01 INGB 0001"))

    assert statuses(await load(person, reading(coffee(), source="nl01ingb0001"))) == ["existing"]


async def test_the_caller_knows_the_source_better_than_the_file(person: Person) -> None:
    await load(person, reading(coffee(), source="NL01"), source="mine")

    assert statuses(await load(person, reading(coffee(), source="NL01"))) == ["new"]
    assert statuses(await load(person, reading(coffee(), source=None), source="mine")) == ["existing"]


async def test_each_row_of_a_file_of_several_accounts_has_its_own_source(person: Person) -> None:
    file = reading(coffee(account="a"), coffee(account="b"), source=None, accounts=("a", "b"))

    first, again = await load(person, file), await load(person, file)

    assert (first.source, [row.source for row in first.rows]) == (None, ["a", "b"])
    assert statuses(again) == ["existing", "existing"]
    assert statuses(await load(person, reading(coffee(account="a"), source="A"))) == ["existing"]


async def test_a_source_for_a_file_of_several_accounts_is_refused(person: Person) -> None:
    with pytest.raises(ValidationFailed) as refused:
        await load(person, reading(coffee(account="a"), source=None, accounts=("a",)), source="mine")

    assert blame(refused.value) == ["/source"]


async def test_what_was_edited_moved_and_renamed_is_known(person: Person) -> None:
    file = reading(coffee(), coffee(bank_id="17"))
    await load(person, file)
    first, second = await fetch(person)
    await change(person, first, amount="9.00", date="2026-01-01", payee="Bar", category="Food")
    await change(person, second, amount="8.00", description="again")

    assert statuses(await load(person, file)) == ["existing", "existing"]


async def test_the_banks_id_with_another_amount_is_changed_and_not_applied(person: Person) -> None:
    await load(person, reading(coffee(bank_id="17")))

    answer = await load(person, reading(draft("2026-11-02", "4.00", bank_id="17")))

    assert (answer.id, statuses(answer)) == (None, ["existing changed"])
    assert await list_amounts(person) == ["3.50"]


# --- what was deleted -------------------------------------------------------------------------------------------------


async def empty_trash(person: Person) -> None:
    await person.delete("/expenses/trash")


async def test_what_was_deleted_stays_deleted(person: Person) -> None:
    await load(person, reading(coffee()))
    await discard(person, *await fetch(person))

    assert statuses(await load(person, reading(coffee()))) == ["existing deleted"]


async def test_what_was_deleted_in_bulk_stays_deleted_when_the_trash_is_emptied(person: Person) -> None:
    await load(person, reading(coffee(), coffee()))
    await person.delete("/expenses?currency=EUR")
    await empty_trash(person)

    assert statuses(await load(person, reading(coffee(), coffee(), coffee()))) == [
        *("existing deleted", "existing deleted", "new"),
    ]


async def test_what_was_deleted_and_restored_is_there(person: Person) -> None:
    await load(person, reading(coffee()))
    (expense,) = await fetch(person)
    await discard(person, expense)
    await person.post(f"/expenses/{expense['id']}/restore")

    assert (await read(person, expense))["import_id"] == expense["import_id"]
    assert statuses(await load(person, reading(coffee()))) == ["existing"]


async def test_what_was_deleted_comes_again_if_it_is_asked_for(person: Person) -> None:
    await load(person, reading(coffee()))
    await discard(person, *await fetch(person))

    again = await load(person, reading(coffee()), deleted="import")

    assert statuses(again) == ["new"]
    assert statuses(await load(person, reading(coffee()), deleted="import")) == ["existing"]
    await undo(person, again)
    assert statuses(await load(person, reading(coffee()))) == ["existing deleted"]


async def test_an_external_id_in_the_trash_goes_to_the_new_expense(person: Person) -> None:
    await discard(person, await spend(person, external_id="bank-1"))
    row = draft(external_id="bank-1")

    assert statuses(await load(person, reading(row))) == ["existing deleted"]
    assert statuses(await load(person, reading(row), deleted="import")) == ["new"]
    await discard(person, *await fetch(person))
    assert [it["external_id"] for it in (await person.get("/expenses/trash")).json()["items"]] == ["bank-1"]


@pytest.mark.parametrize(("day", "told"), [("2026-11-02", "existing"), ("2026-11-03", "existing changed")])
async def test_an_external_id_that_is_there_makes_a_row_existing(person: Person, day: str, told: str) -> None:
    expense = await spend(person, external_id="bank-1", amount="12.50", date="2026-11-02")

    answer = await load(person, reading(draft(day, external_id="bank-1")))

    assert (statuses(answer), answer.rows[0].expense_id) == ([told], expense["id"])


async def test_a_file_of_our_own_is_known_by_the_ids_of_its_expenses(person: Person) -> None:
    typed = await spend(person, amount="3.50", date="2026-11-02", payee="Café", category="Food")

    file = reading(coffee(own_id=typed["id"]), coffee("03", own_id=typed["id"]), source=None, kind="own")

    assert statuses(await load(person, file, on_match="report")) == ["existing", "new"]
    assert statuses(await load(person, file)) == ["existing", "existing"]


# --- questions and refusals -------------------------------------------------------------------------------------------

WHICH: Any = Question("date_order", ["DMY", "MDY"], "Which?")


async def test_a_question_of_the_reader_stops_an_import(app: FastAPI, person: Person) -> None:
    file = reading(draft(status="open"), coffee(), questions=[WHICH])

    with pytest.raises(ImportRefused) as refused:
        await load(person, file)

    assert (blame(refused.value), await state_of(app, person)) == (["/options/date_order"], (0, 0))


async def test_a_preview_shows_the_questions_and_writes_nothing(app: FastAPI, person: Person) -> None:
    answer = await load(person, reading(draft(status="open"), coffee(), questions=[WHICH]), dry_run=True)

    assert (answer.id, statuses(answer), answer.rows[0].expense) == (None, ["open", "new"], None)
    assert [it.option for it in answer.questions] == ["date_order"]
    assert await state_of(app, person) == (0, 0)


async def test_a_refused_row_stops_an_import(person: Person) -> None:
    error = RowError("Date", "malformed", "This is no day.")

    with pytest.raises(ImportRefused) as refused:
        await load(person, reading(coffee(), draft(status="refused", errors=[error])))

    assert [it.to_json() for it in refused.value.errors] == [
        {"pointer": "/rows/2", "code": "malformed", "detail": "Date: This is no day."}
    ]


@pytest.mark.parametrize("choices", [{"skip_refused": True}, {"lines": {2: "skip"}}])
async def test_a_refused_row_may_be_left_out(person: Person, choices: dict[str, Any]) -> None:
    answer = await load(person, reading(coffee(), draft(status="refused")), **choices)

    assert answer.counts.new == 1
    assert await list_amounts(person) == ["3.50"]


async def test_a_file_that_lacks_rows_of_an_unnamed_account_may_be_another_ones(person: Person) -> None:
    await load(person, reading(coffee("01"), coffee("02"), coffee("03"), source=None))

    answer = await load(person, reading(coffee("01"), coffee("03"), source=None), dry_run=True)

    assert (statuses(answer), [it.option for it in answer.questions]) == (["open", "open"], ["source"])


async def test_an_open_source_stops_an_import(person: Person) -> None:
    await load(person, reading(coffee("01"), coffee("02"), source=None))

    with pytest.raises(ImportRefused) as refused:
        await load(person, reading(coffee("01"), draft("2026-11-02"), source=None))

    assert blame(refused.value) == ["/source"]


async def test_the_account_without_a_name_can_be_stated(person: Person) -> None:
    await load(person, reading(coffee("01"), coffee("02"), coffee("03"), source=None))

    answer = await load(person, reading(coffee("01"), coffee("03"), source=None), source="Unnamed")

    assert statuses(answer) == ["existing", "existing"]


async def test_rows_of_other_days_are_no_question(person: Person) -> None:
    await load(person, reading(coffee("01"), source=None))

    assert statuses(await load(person, reading(coffee("02"), source=None))) == ["new"]


async def test_a_file_without_a_source_of_which_another_source_knows_a_row_is_a_question(person: Person) -> None:
    await load(person, reading(coffee(), source=None), source="checking")

    answer = await load(person, reading(coffee(), source=None), dry_run=True)

    assert [(it.option, it.choices) for it in answer.questions] == [("source", ["unnamed", "checking"])]


async def test_a_file_that_came_without_a_source_and_now_has_one_is_a_question(person: Person) -> None:
    await load(person, reading(coffee(), source=None))

    answer = await load(person, reading(coffee()), dry_run=True)

    assert (statuses(answer), [it.option for it in answer.questions]) == (["open"], ["on_match"])


@pytest.mark.parametrize(("on_match", "status"), [("link", "linked"), ("skip", "skipped matched")])
async def test_each_row_of_such_a_file_is_the_one_that_came_without_a_source(
    person: Person, on_match: str, status: str
) -> None:
    rows = [coffee(), coffee(), coffee("03"), coffee("04")]
    await load(person, reading(*rows, source=None))

    assert statuses(await load(person, reading(*rows), on_match=on_match)) == [status] * 4


# --- matches ----------------------------------------------------------------------------------------------------------


async def test_a_typed_expense_is_reported(person: Person) -> None:
    typed = await spend(person, amount="3.50", date="2026-11-04")

    answer = await load(person, reading(coffee()))

    assert (statuses(answer), answer.rows[0].matches) == (["new"], [typed["id"]])


async def test_a_typed_expense_becomes_the_row(person: Person) -> None:
    typed = await spend(person, amount="3.50", date="2026-11-04", payee="coffee with Bo")

    answer = await load(person, reading(coffee()), on_match="link")

    assert (statuses(answer), answer.rows[0].expense_id) == (["linked"], typed["id"])
    assert await read(person, typed) == typed
    assert statuses(await load(person, reading(coffee()))) == ["existing"]


async def test_an_import_that_only_links_takes_a_revision(app: FastAPI, person: Person) -> None:
    await spend(person, amount="3.50", date="2026-11-02")

    answer = await load(person, reading(coffee()), on_match="link")

    assert (answer.revision, await state_of(app, person)) == (2, (2, 1))


async def test_a_row_is_skipped_for_its_match(person: Person) -> None:
    await spend(person, amount="3.50", date="2026-11-02")

    answer = await load(person, reading(coffee()), on_match="skip")

    assert (answer.id, statuses(answer)) == (None, ["skipped matched"])


async def test_the_row_of_another_line_is_no_match(person: Person) -> None:
    await load(person, reading(coffee(), source="savings"))

    answer = await load(person, reading(coffee(), coffee("03"), source="savings"))

    assert (statuses(answer), answer.rows[1].matches) == (["existing", "new"], [])


async def test_the_same_account_in_another_format_is_a_question(person: Person) -> None:
    await load(person, reading(coffee()))
    ofx = reading(coffee(bank_id="17", payee="CAFE"), kind="ofx")

    asked = await load(person, ofx, dry_run=True)
    linked = await load(person, ofx, on_match="link")

    assert (statuses(asked), [it.option for it in asked.questions]) == (["open"], ["on_match"])
    assert statuses(linked) == ["linked"]
    assert await list_amounts(person) == ["3.50"]
    assert statuses(await load(person, reading(coffee()))) == ["existing"]
    assert statuses(await load(person, ofx)) == ["existing"]


async def test_the_next_statement_of_an_account_in_two_formats_is_no_question(person: Person) -> None:
    await load(person, reading(coffee()))
    await load(person, reading(coffee(bank_id="17"), kind="ofx"), on_match="link")

    assert statuses(await load(person, reading(coffee("03"), source="checking"))) == ["new"]
    assert statuses(await load(person, reading(coffee("05", bank_id="18"), kind="ofx"), dry_run=True)) == ["open"]


@pytest.mark.parametrize("choice", ["skip", "new"])
async def test_what_the_caller_says_of_a_row_beats_everything(person: Person, choice: str) -> None:
    await spend(person, amount="3.50", date="2026-11-02")

    answer = await load(person, reading(coffee()), on_match="link", lines={1: choice})

    assert statuses(answer) == [{"skip": "skipped chosen", "new": "new"}[choice]]


async def test_the_caller_says_which_expense_a_row_is(person: Person) -> None:
    typed = await spend(person, amount="99.00")

    answer = await load(person, reading(coffee(), coffee()), lines={2: typed["id"]})

    assert statuses(answer) == ["new", "linked"]
    assert statuses(await load(person, reading(coffee(), coffee()), lines={2: typed["id"]})) == ["existing"] * 2


@pytest.mark.parametrize("lines", [{1: 2**62}, {1: "mine", 2: "mine"}])
async def test_a_row_is_an_expense_that_is_there_and_no_other_rows(person: Person, lines: dict[int, Any]) -> None:
    typed = await spend(person)
    chosen = {number: typed["id"] if choice == "mine" else choice for number, choice in lines.items()}

    with pytest.raises(ValidationFailed) as refused:
        await load(person, reading(coffee(), coffee("03")), lines=chosen)

    assert blame(refused.value) == [f"/options/lines/{len(lines)}"]


async def test_a_strangers_expense_is_no_match(person: Person, stranger: Person) -> None:
    theirs = await spend(stranger, amount="3.50", date="2026-11-02")
    await load(stranger, reading(coffee("03")))

    answer = await load(person, reading(coffee(), coffee("03")))

    assert (statuses(answer), [row.matches for row in answer.rows]) == (["new", "new"], [[], []])
    with pytest.raises(ValidationFailed):
        await load(person, reading(coffee("05")), lines={1: theirs["id"]})


# --- limits -----------------------------------------------------------------------------------------------------------


async def make_categories(person: Person, number: int) -> None:
    rows: Sequence[Any] = [draft(amount=f"{it}.00", category=f"c{it}") for it in range(1, number + 1)]
    await load(person, reading(*rows, source="many"), rows=0)


async def test_too_many_categories_are_blamed_on_the_row(app: FastAPI, person: Person) -> None:
    await make_categories(person, 999)

    with pytest.raises(TooMany) as refused:
        await load(person, reading(coffee(category="c1"), coffee("03", category="new"), coffee("04", category="more")))

    assert (blame(refused.value), await state_of(app, person)) == (["/rows/3/category"], (1, 999))


async def test_texts_beyond_the_quota_are_refused(app: FastAPI, person: Person) -> None:
    with pytest.raises(TooMany) as refused:
        await load(person, reading(draft(description="x" * 400)), quotas=Quotas(text_bytes=300))

    assert (blame(refused.value), await state_of(app, person)) == (["/file"], (0, 0))


async def test_two_imports_at_once_have_one_effect(person: Person) -> None:
    file = reading(coffee(), coffee(), draft())

    answers = await asyncio.gather(*(load(person, file) for _ in range(3)))

    assert sorted(it.counts.new for it in answers) == [0, 0, 3]
    assert len(await fetch(person)) == 3


async def test_a_large_file_takes_few_statements(person: Person, statements: Statements) -> None:
    rows = [draft(amount=f"{number}.00", payee=f"p{number % 40}", tags=("a",)) for number in range(1, 1_001)]

    with statements() as sent:
        await load(person, reading(*rows))
    first = len(sent)
    with statements() as sent:
        await load(person, reading(*rows))

    # For every 250 rows: what is known, what is near, the expenses, and the rows that become known.
    assert first <= 4 * 4 + 25
    assert len(sent) <= 4 + 3
