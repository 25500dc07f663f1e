"""Exports: what is in the file, page by page, also while the ledger changes."""

import csv
import io
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any, TypeVar

import httpx
import pytest
import time_machine
from fastapi import FastAPI

from auth import Caller
from ledger.core import Ledger
from ledger.expenses.rows import get_column
from ledger.transfer import exports
from ledger.transfer.exports import Export, ExportQuery
from tests.support.databases import on_sqlite
from tests.support.expenses import change, creating, discard, send_batch, several, spend
from tests.support.people import Person, SignUp
from tests.support.problems import blamed
from tests.support.statements import Statements
from values.csv_cells import split_tags, unguard_cell

T = TypeVar("T")
Act = Callable[[], Awaitable[object]]

HEAD = "date,amount,currency,category,payee,description,tags,external_id,id\r\n"


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two expenses, so that a few are several pages."""
    monkeypatch.setattr(exports, "PAGE_ROWS", 2)


async def export(person: httpx.AsyncClient, **query: Any) -> httpx.Response:
    """Return the answer of an export that succeeds."""
    answer = await person.get("/expenses/export", params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer


async def read_csv(person: httpx.AsyncClient, **query: Any) -> list[dict[str, str]]:
    """Return the rows of an export as any reader of CSV has them."""
    text = (await export(person, **query)).content.decode()
    return [*csv.DictReader(io.StringIO(text, newline=""), strict=True)]


async def list_amounts(person: httpx.AsyncClient, **query: Any) -> list[str]:
    return [row["amount"] for row in await read_csv(person, **query)]


# --- the file ---------------------------------------------------------------------------------------------------------


async def test_the_file_is_an_attachment(person: Person) -> None:
    answer = await export(person)

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="expenses.csv"'


async def test_nothing_is_a_file_with_its_head(person: Person) -> None:
    assert (await export(person)).content == HEAD.encode()
    assert (await export(person, format="ndjson")).content == b""


async def test_expenses_come_with_the_oldest_first_and_on_a_day_as_they_were_recorded(person: Person) -> None:
    await several(person, 2, date="2026-11-22", amount="3")
    await spend(person, date="2199-12-31", amount="4")
    await spend(person, date="1900-01-01", amount="1")
    await spend(person, date="2026-11-22", amount="5")

    assert await list_amounts(person) == ["1.00", "3.00", "3.00", "5.00", "4.00"]


async def test_a_line_is_as_a_spreadsheet_and_a_program_both_read_it(person: Person) -> None:
    whole = await spend(
        person,
        date="2026-11-22",
        category="Food, drinks",
        payee='The "Anchor"',
        description="Tea\nand cake",
        tags=["trip", "bed, breakfast"],
        external_id="receipt-1",
    )

    assert (await export(person)).content.decode() == (
        f'{HEAD}2026-11-22,12.50,EUR,"Food, drinks","The ""Anchor""","Tea\nand cake",'
        f'"""bed, breakfast"", trip",receipt-1,{whole["id"]}\r\n'
    )


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [("-3.5", "EUR", "-3.50"), ("1250", "JPY", "1250"), ("-1.5", "KWD", "-1.500"), ("999999999999", "JPY", "9" * 12)],
)
@on_sqlite
async def test_a_number_stays_a_bare_number(person: Person, amount: str, currency: str, written: str) -> None:
    await spend(person, amount=amount, currency=currency)

    assert [(row["amount"], row["currency"]) for row in await read_csv(person)] == [(written, currency)]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", '"=1', "＝1", "'quoted", "🍵 tea", "a;b", "1e5"])
@on_sqlite
async def test_every_text_is_guarded_and_comes_back(person: Person, text: str) -> None:
    """ASVS 5.0 1.2.10."""
    fields = {"category": text, "payee": text, "description": text, "external_id": text}
    await spend(person, tags=[text], **fields)
    (row,) = await read_csv(person)

    assert {name: unguard_cell(row[name]) for name in fields} == fields
    assert split_tags(unguard_cell(row["tags"])) == [text]
    assert not {row[name][:1] for name in (*fields, "tags")} & {*'=+-@"＝'}


async def test_a_line_of_json_is_the_expense_as_a_list_answers_it(person: Person) -> None:
    await spend(person, amount="-3", currency="JPY", description="茶 🍵\n2", tags=["b", "a"], date="2026-01-02")
    await spend(person, category="Food", payee="Lidl", external_id="x", date="2026-01-01")
    text = (await export(person, format="ndjson")).content.decode()
    listed = (await person.get("/expenses", params={"sort": "date"})).json()["items"]

    assert [json.loads(line) for line in text.removesuffix("\n").split("\n")] == listed


@on_sqlite
async def test_the_trash_is_not_exported(person: Person) -> None:
    await spend(person, amount="1")
    await discard(person, await spend(person, amount="2"))

    assert await list_amounts(person) == ["1.00"]


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.fixture
async def spender(person: Person) -> Person:
    """A user with five expenses that filters tell apart."""
    created = [
        creating(amount="1", category="Bread", payee="Bakery", date="2026-01-01", tags=["a", "b"]),
        creating(amount="2", category="Food", description="Zoë's cake", date="2026-02-01", external_id="x"),
        creating(amount="3", payee="Bakery", date="2026-02-02", tags=["a"]),
        creating(amount="400", currency="JPY", date="2026-03-01"),
        creating(amount="-5", date="2026-11-22"),
    ]
    await send_batch(person, *created)
    await person.patch(f"/categories/{await find_category(person, 'Bread')}", json={"parent": "Food"})
    return person


async def find_category(person: Person, name: str) -> int:
    return next(int(it["id"]) for it in (await person.get("/categories")).json()["items"] if it["name"] == name)


@pytest.mark.parametrize(
    ("query", "amounts"),
    [
        ({}, ["1.00", "2.00", "3.00", "400", "-5.00"]),
        ({"from": "2026-02-01", "to": "2026-03-01"}, ["2.00", "3.00", "400"]),
        ({"period": "2026-02"}, ["2.00", "3.00"]),
        ({"category": "food"}, ["1.00", "2.00"]),
        ({"category": "food", "children": "false"}, ["2.00"]),
        ({"category": ["bread", "nothing"], "uncategorized": "true"}, ["1.00", "3.00", "400", "-5.00"]),
        ({"payee": "BAKERY"}, ["1.00", "3.00"]),
        ({"tag": "a"}, ["1.00", "3.00"]),
        ({"tag": ["a", "b"]}, ["1.00"]),
        ({"untagged": "true", "max_amount": "10"}, ["2.00", "-5.00"]),
        ({"currency": "jpy"}, ["400"]),
        ({"min_amount": "2", "max_amount": "3"}, ["2.00", "3.00"]),
        ({"external_id": "x"}, ["2.00"]),
        ({"q": "zoe cake"}, ["2.00"]),
        ({"category": "nothing"}, []),
    ],
)
@pytest.mark.usefixtures("small_pages")
async def test_the_filters_are_those_of_lists(spender: Person, query: Mapping[str, Any], amounts: list[str]) -> None:
    assert await list_amounts(spender, **query) == amounts


@pytest.mark.wire
@pytest.mark.parametrize(
    ("query", "entries"),
    [
        ("format=pdf", {"format": "not_allowed"}),
        ("format=csv&format=csv", {"format": "not_allowed"}),
        ("limit=10", {"limit": "unknown"}),
        ("sort=date", {"sort": "unknown"}),
        ("catgory=Food", {"catgory": "unknown"}),
        ("period=1899", {"period": "out_of_range"}),
        ("from=2026-02-30", {"from": "malformed"}),
    ],
)
async def test_a_mistake_is_a_problem_and_no_file(somebody: Person, query: str, entries: dict[str, str]) -> None:
    answer = await somebody.get(f"/expenses/export?{query}")

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert {it["parameter"]: it["code"] for it in answer.json()["errors"]} == entries
    assert "Content-Disposition" not in answer.headers


# --- whose it is ------------------------------------------------------------------------------------------------------


async def test_a_strangers_expenses_are_not_in_it(person: Person, stranger: Person) -> None:
    await spend(stranger, amount="2", category="Food")
    await spend(person, amount="1", category="Food")

    assert await list_amounts(person) == ["1.00"]
    assert await list_amounts(person, category="Food") == ["1.00"]


@pytest.mark.wire
@pytest.mark.parametrize("scope", ["read", "write"])
async def test_a_script_may_export(person: Person, client: httpx.AsyncClient, scope: str) -> None:
    await spend(person, amount="1")
    token = (await person.post("/users/me/tokens", json={"name": scope, "scope": scope})).json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"

    assert await list_amounts(client) == ["1.00"]


@pytest.mark.wire
async def test_without_a_token_there_is_no_file(client: httpx.AsyncClient) -> None:
    answer = await client.get("/expenses/export")

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.wire
async def test_an_export_is_no_expense_with_an_odd_id(somebody: Person) -> None:
    answers = [await somebody.request(method, "/expenses/export") for method in ("PUT", "PATCH", "DELETE", "POST")]

    assert {(it.status_code, it.headers["Allow"]) for it in answers} == {(405, "GET, HEAD")}


# --- headers ----------------------------------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("name", ["csv", "ndjson", "xlsx"])
async def test_head_is_answered_without_reading_an_expense(person: Person, statements: Statements, name: str) -> None:
    full = await export(person, format=name)
    with statements() as sent:
        head = await person.head("/expenses/export", params={"format": name})

    assert len(sent) == 1
    assert (head.status_code, head.content) == (200, b"")
    assert {it: head.headers[it] for it in ("Content-Type", "Content-Disposition", "ETag")} == {
        it: full.headers[it] for it in ("Content-Type", "Content-Disposition", "ETag")
    }


async def test_an_unchanged_file_is_not_sent_again(person: Person, statements: Statements) -> None:
    await spend(person)
    tag = (await export(person)).headers["ETag"]
    with statements() as sent:
        unchanged = await person.get("/expenses/export", headers={"If-None-Match": tag})
    await spend(person)
    changed = await person.get("/expenses/export", headers={"If-None-Match": tag})

    assert (unchanged.status_code, len(sent), changed.status_code) == (304, 1, 200)


@on_sqlite
async def test_the_tag_of_a_relative_period_is_of_one_day(noon: time_machine.Traveller, person: Person) -> None:
    before = (await export(person, period="today")).headers["ETag"], (await export(person)).headers["ETag"]
    noon.shift(24 * 3600)
    await person.sign_in()
    after = (await export(person, period="today")).headers["ETag"], (await export(person)).headers["ETag"]

    assert (before[0] == after[0], before[1] == after[1]) == (False, True)


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
async def test_a_page_takes_one_statement(person: Person, statements: Statements, count: int, pages: int) -> None:
    await several(person, count)
    with statements() as sent:
        rows = await read_csv(person)

    # The caller first, and the revision at the end: whether anything has changed meanwhile.
    assert (len(rows), len(sent)) == (count, 1 + pages + 1)


@pytest.mark.usefixtures("small_pages")
async def test_the_names_of_a_filter_are_looked_up_once(person: Person, statements: Statements) -> None:
    await several(person, 5, category="Food", tags=["a"])
    with statements() as sent:
        rows = await read_csv(person, category="Food", tag="a")

    assert (len(rows), len(sent)) == (5, 1 + 1 + 3 + 1)


@pytest.mark.parametrize(("name", "reads_instants"), [("csv", False), ("ndjson", True), ("xlsx", False)])
@pytest.mark.parametrize("query", [{}, {"q": "tea"}, {"category": ["Food", "Bread"]}], ids=["all", "words", "merged"])
async def test_a_page_has_no_column_that_the_file_lacks(
    person: Person, statements: Statements, query: Mapping[str, Any], name: str, *, reads_instants: bool
) -> None:
    await spend(person, category="Food", description="tea")
    await spend(person, category="Bread", description="tea")
    with statements() as sent:
        await export(person, format=name, **query)
    (page,) = [it for it in sent if "ORDER BY expenses.spent_on" in it]

    assert ("created_at" in page, "updated_at" in page) == (reads_instants, reads_instants)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("name", ["csv", "ndjson", "xlsx"])
async def test_many_pages_are_one_file(person: Person, name: str) -> None:
    await send_batch(person, *(creating(amount="1", date=f"2026-01-0{1 + number % 3}") for number in range(9)))
    whole = (await export(person, format=name)).content

    assert whole.startswith(HEAD.encode()) if name == "csv" else whole
    assert name == "xlsx" or whole.count(b"\n") == 9 + (name == "csv")


# --- while the ledger changes -----------------------------------------------------------------------------------------


class Reads:
    """Runs each read of an export in a unit of its own, and before some of them lets somebody do something."""

    def __init__(self, app: FastAPI, person: Person, revision: int, meanwhile: Mapping[int, Act]) -> None:
        self._app = app
        self._meanwhile = meanwhile
        self._count = 0
        self.caller = Caller(
            id=person.user["id"], sid="", currency="EUR", timezone="UTC", month_start_day=1, revision=revision
        )

    async def read(self, read: Callable[[Ledger], Awaitable[T]]) -> T:
        """Run a read."""
        if act := self._meanwhile.get(self._count):
            await act()
        self._count += 1
        async with self._app.state.services.database.new_unit() as unit:
            return await read(Ledger(self.caller, unit, trash_days=30))


async def export_days(app: FastAPI, person: Person, meanwhile: Mapping[int, Act], **query: Any) -> list[date]:
    """Export with pages of two, and return the days; read 0 looks the filter up, read 1 is the first page."""
    revision = max([0, *(it["revision"] for it in (await person.get("/expenses")).json()["items"])])
    reads = Reads(app, person, revision, meanwhile)
    async with app.state.services.database.new_unit() as unit:
        export = Export.begin(Ledger(reads.caller, unit, trash_days=30), ExportQuery.model_validate(query))
    return [get_column(row, "spent_on") async for page in export.list_pages(reads.read) for row in page]


async def spend_daily(person: Person, *, last: int, **fields: object) -> list[dict[str, Any]]:
    """Record an expense on each of the first days of January 2026."""
    return [await spend(person, date=f"2026-01-{day:02}", **fields) for day in range(1, last + 1)]


def january(*days: int) -> list[date]:
    return [date(2026, 1, day) for day in days]


@pytest.mark.usefixtures("small_pages")
async def test_an_expense_that_moves_ahead_of_its_page_is_not_exported_twice(app: FastAPI, person: Person) -> None:
    first, *_ = await spend_daily(person, last=5)

    days = await export_days(app, person, {2: lambda: change(person, first, date="2026-01-09")})

    assert days == january(1, 2, 3, 4, 5)


@pytest.mark.usefixtures("small_pages")
async def test_an_expense_that_moves_behind_comes_at_the_end(app: FastAPI, person: Person) -> None:
    *_, last = await spend_daily(person, last=5)

    days = await export_days(app, person, {2: lambda: change(person, last, date="2026-01-01")})

    assert days == january(1, 2, 3, 4, 1)


@pytest.mark.usefixtures("small_pages")
async def test_an_expense_that_moves_to_and_fro_comes_once(app: FastAPI, person: Person) -> None:
    first, *_, last = await spend_daily(person, last=7)
    swap = {
        2: lambda: change(person, last, date="2026-01-01"),
        3: lambda: change(person, first, date="2026-01-08"),
        4: lambda: change(person, last, date="2026-01-09"),
    }

    assert await export_days(app, person, swap) == january(1, 2, 3, 4, 5, 6, 9)


@pytest.mark.usefixtures("small_pages")
async def test_a_change_of_every_expense_leaves_none_out(app: FastAPI, person: Person) -> None:
    await spend_daily(person, last=7, category="Food", tags=["a"])
    food = await find_category(person, "Food")

    days = await export_days(
        app, person, {2: lambda: person.patch(f"/categories/{food}", json={"name": "Meals"})}, category=["Food"]
    )

    assert days == january(1, 2, 3, 4, 5, 6, 7)


@pytest.mark.usefixtures("small_pages")
async def test_a_change_of_every_tag_set_leaves_none_out(app: FastAPI, person: Person) -> None:
    await spend_daily(person, last=7, tags=["a"])

    days = await export_days(
        app, person, {2: lambda: person.patch("/expenses?tag=a", json={"add_tags": ["b"]})}, tag=["a"]
    )

    assert sorted(days) == january(1, 2, 3, 4, 5, 6, 7)


@pytest.mark.usefixtures("small_pages")
async def test_what_is_deleted_before_its_page_is_not_in_it(app: FastAPI, person: Person) -> None:
    *_, last = await spend_daily(person, last=5)

    assert await export_days(app, person, {2: lambda: discard(person, last)}) == january(1, 2, 3, 4)


@pytest.mark.usefixtures("small_pages")
async def test_what_is_deleted_and_restored_comes_once(app: FastAPI, person: Person) -> None:
    first, *_, last = await spend_daily(person, last=5)

    async def restore_both() -> None:
        await discard(person, first, last)
        await person.post(f"/expenses/{first['id']}/restore")
        await person.post(f"/expenses/{last['id']}/restore")

    assert await export_days(app, person, {2: restore_both}) == january(1, 2, 3, 4, 5)


@pytest.mark.usefixtures("small_pages")
async def test_what_has_changed_meanwhile_is_read_page_by_page_too(
    app: FastAPI, person: Person, statements: Statements
) -> None:
    *_, fourth, fifth, sixth, seventh = await spend_daily(person, last=7)

    async def move_back() -> None:
        for expense in (fourth, fifth, sixth, seventh):
            await change(person, expense, date="2026-01-01")

    with statements() as sent:
        days = await export_days(app, person, {3: move_back})

    assert days == january(1, 2, 3, 4, 1, 1, 1)
    assert max(sent.count(it) for it in sent if "LIMIT" in it and "expenses.revision >" in it) == 3


@on_sqlite
async def test_a_ledger_that_stays_as_it_is_is_not_searched_for_changes(
    person: Person, statements: Statements, sign_up: SignUp
) -> None:
    await several(person, 2)
    await spend(await sign_up())
    with statements() as sent:
        await export(person)

    assert len(sent) == 3


# --- XLSX -------------------------------------------------------------------------------------------------------------


@pytest.mark.wire
async def test_the_filters_of_a_workbook_are_checked_too(somebody: Person) -> None:
    answer = await somebody.get("/expenses/export?format=xlsx&period=x")

    assert blamed(answer) == {"period": "malformed"}
