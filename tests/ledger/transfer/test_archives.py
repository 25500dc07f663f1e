"""Archives: what they hold, that another account becomes the same by them, and that nothing comes twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import pytest

import main
from auth import Caller
from config import Settings
from ledger.core import Ledger
from ledger.transfer.archives import sections
from ledger.transfer.archives.making import stream_archive
from ledger.transfer.reads import ReadLedger
from tests.support.archives import download, fill, repack, take, tell, unpack
from tests.support.budgets import budget
from tests.support.categories import create, listed
from tests.support.databases import on_sqlite
from tests.support.expenses import change, creating, discard, send_batch, several, spend
from tests.support.imports import coffee, draft, load, reading, statuses
from tests.support.people import Person, SignUp, signed_up

T = TypeVar("T")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two rows, so that a few are several pages."""
    monkeypatch.setattr(sections, "PAGE_ROWS", 2)


@pytest.fixture
async def emigrant(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Person]:
    """A user of another service, whose database is of the other kind."""
    kind = "mysql_url" if settings.is_embedded else "sqlite_url"
    app = main.create_app(settings.model_copy(update={"database_url": request.getfixturevalue(kind)}))
    app.openapi_schema = main.app.openapi()
    async with app.router.lifespan_context(app), signed_up(app) as person:
        yield person


# --- the file ---------------------------------------------------------------------------------------------------------


async def test_an_archive_is_an_attachment_that_nobody_stores(person: Person) -> None:
    answer = await person.get("/users/me/archive")

    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="expense-tracker.zip"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


async def test_the_manifest_counts_and_adds_up(person: Person) -> None:
    await spend(person, amount="12.50")
    await spend(person, amount="-2.25")
    await spend(person, amount="350", currency="JPY")
    await discard(person, await spend(person, amount="1"))
    (manifest,) = unpack(await download(person))["manifest"]

    assert manifest["version"] == 1
    assert {kind: number for kind, number in manifest["counts"].items() if number} == {"expenses": 3, "trash": 1}
    assert manifest["totals"] == [
        {"currency": "EUR", "total": "10.25", "count": 2},
        {"currency": "JPY", "total": "350", "count": 1},
    ]


async def test_rows_are_as_lists_answer_them(person: Person) -> None:
    await spend(person, category="Food", tags=["b", "A"], payee="Lidl", description="x\ny", external_id="1")
    (expense,) = (await person.get("/expenses")).json()["items"]
    rows = unpack(await download(person))

    assert rows["expenses"] == [
        {name: value for name, value in expense.items() if name not in {"revision", "deleted_at"}} | {"edited": False}
    ]
    assert [row["name"] for row in rows["tags"]] == ["A", "b"]


async def test_a_stranger_s_rows_are_not_in_it(person: Person, stranger: Person) -> None:
    await fill(stranger)

    assert not any(rows for kind, rows in unpack(await download(person)).items() if kind != "manifest")


@pytest.mark.parametrize("scope", ["read", "write"])
@on_sqlite
async def test_a_script_downloads_it_with_a_token(person: Person, scope: str) -> None:
    made = await person.post("/users/me/tokens", json={"name": "backup", "scope": scope})
    answer = await person.get("/users/me/archive", headers={"Authorization": f"Bearer {made.json()['token']}"})

    assert (answer.status_code, answer.content[:2]) == (200, b"PK")


@on_sqlite
async def test_nobody_else_downloads_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/users/me/archive")

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@on_sqlite
async def test_head_tells_of_the_file_and_sends_none(person: Person) -> None:
    answer = await person.head("/users/me/archive")

    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, "application/zip", b"")


# --- one moment -------------------------------------------------------------------------------------------------------


def make_reads(person: Person, before_read: Callable[[int], Awaitable[object]]) -> tuple[ReadLedger, ReadLedger]:
    """Return what reads the person's ledger by pages, and at one moment; something happens before each page."""
    user, database, reads = person.user, person.app.state.services.database, iter(range(1_000_000))
    caller = Caller(user["id"], None, user["currency"], user["timezone"], user["month_start_day"], 0)

    async def read(read: Callable[[Ledger], Awaitable[T]]) -> T:
        await before_read(next(reads))
        async with database.new_unit() as unit:
            return await read(Ledger(caller, unit, trash_days=30))

    async def read_at_one_moment(read: Callable[[Ledger], Awaitable[T]]) -> T:
        async with database.new_unit() as unit:
            await unit.begin_snapshot()
            ledger = Ledger(caller, unit, trash_days=30)
            await ledger.read_revision()
            await spend(person, amount="8")
            return await read(ledger)

    return read, read_at_one_moment


async def gather(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.usefixtures("small_pages")
async def test_pages_are_read_as_one_moment_has_them(person: Person) -> None:
    await several(person, 5, amount="1")

    async def wait(_: int) -> None:
        await asyncio.sleep(0)

    rows = unpack(await gather(stream_archive(*make_reads(person, wait))))

    assert [row["amount"] for row in rows["expenses"]] == ["1.00"] * 5


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("page", [1, 4, 7, 9])
async def test_a_ledger_that_moves_is_archived_as_it_is_at_one_later_moment(person: Person, page: int) -> None:
    await several(person, 5, amount="1")

    async def move(number: int) -> None:
        if number == page:
            await spend(person, amount="2")

    rows = unpack(await gather(stream_archive(*make_reads(person, move))))

    # The expense of 8.00 was recorded after the snapshot had begun.
    assert sorted(row["amount"] for row in rows["expenses"]) == ["1.00"] * 5 + ["2.00"]
    assert rows["manifest"][0]["totals"] == [{"currency": "EUR", "total": "7.00", "count": 6}]


@pytest.mark.usefixtures("small_pages")
async def test_a_ledger_that_changes_all_the_time_is_archived_whole(person: Person) -> None:
    await several(person, 10, amount="1")
    done = asyncio.Event()

    async def keep_writing() -> int:
        number = 0
        while not done.is_set():
            await send_batch(person, creating(amount="5"), creating(amount="-5"))
            number += 1
        return number

    writing = asyncio.create_task(keep_writing())
    archives = [await download(person) for _ in range(3)]
    done.set()

    assert await writing > 0
    assert {sum(Decimal(row["amount"]) for row in unpack(it)["expenses"]) for it in archives} == {Decimal(10)}


async def test_after_a_snapshot_the_connection_reads_what_is_there_now(person: Person) -> None:
    database = person.app.state.services.database
    async with database.new_unit() as unit:
        await unit.begin_snapshot()
        await (await unit.connection()).exec_driver_sql("SELECT 1")
    await spend(person)

    assert len((await person.get("/expenses")).json()["items"]) == 1


# --- another account --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
async def test_export_and_import_twice_and_the_files_are_equal(person: Person, sign_up: SignUp) -> None:
    await fill(person)
    archive = await download(person)
    second, third = await sign_up(currency="JPY"), await sign_up(timezone="Asia/Tokyo")
    await take(second, archive)
    again = await download(second)
    await take(third, again)

    assert tell(again) == tell(archive)
    assert tell(await download(third)) == tell(archive)


async def test_an_account_moves_to_the_other_kind_of_database(person: Person, emigrant: Person) -> None:
    await fill(person)
    archive = await download(person)
    await take(emigrant, archive)

    assert tell(await download(emigrant)) == tell(archive)


async def test_a_preview_tells_what_an_import_does_and_writes_nothing(person: Person, stranger: Person) -> None:
    await fill(person)
    archive = await download(person)
    preview = await take(stranger, archive, dry_run="true")
    nothing = await stranger.get("/changes?since=0")
    answer = await take(stranger, archive)

    assert (preview["id"], preview["revision"], nothing.json()["revision"]) == (None, None, 0)
    assert answer | {"id": None, "revision": None, "created_at": None, "rows": []} == preview | {"rows": []}
    assert answer["counts"]["new"] == answer["counts"]["rows"] == 9
    assert answer["archive"]["trash"] == {"rows": 2, "new": 2}
    assert [row["expense"] for row in answer["rows"]] == [row["expense"] for row in preview["rows"]]


async def test_an_import_is_one_revision_that_a_client_with_a_copy_learns_of(person: Person, stranger: Person) -> None:
    await fill(person)
    answer = await take(stranger, await download(person))
    changes = (await stranger.get("/changes?since=0&limit=1000")).json()

    assert answer["revision"] == changes["revision"] == 1
    assert [len(changes[kind]) for kind in ("expenses", "categories", "tags", "budgets")] == [9, 3, 4, 2]
    assert {row["kind"] for row in changes["deleted"]} == {"expense"}


async def test_the_second_import_makes_nothing_new(person: Person, stranger: Person) -> None:
    await fill(person)
    archive = await download(person)
    await take(stranger, archive)
    again = await take(stranger, archive)

    assert (again["id"], again["counts"]["existing"], again["counts"]["new"]) == (None, 9, 0)
    assert {count["new"] for count in again["archive"].values()} == {0}


async def test_an_account_has_all_of_its_own_archive(person: Person) -> None:
    await fill(person)
    archive = await download(person)
    (expense, *_) = (await person.get("/expenses?external_id=refund")).json()["items"]
    await change(person, expense, amount="-400", external_id=None)
    answer = await take(person, archive)

    assert (answer["id"], answer["counts"]["existing"]) == (None, 9)


async def test_what_is_there_stays_as_it_is(person: Person, stranger: Person) -> None:
    await create(person, "Bread", parent="Food", color="#112233")
    await spend(person, amount="1", category="Bread", tags=["Fun"], external_id="x")
    await budget(person, category="Food", amount="100.00")
    await create(stranger, "food", parent="Home")
    await spend(stranger, amount="2", category="BREAD", tags=["fun"], external_id="x", payee="Baker")
    await budget(stranger, category="food", amount="50.00")
    answer = await take(stranger, await download(person))

    assert answer["id"] is None
    assert [(it["name"], it["parent"]) for it in await listed(stranger)] == [
        *(("BREAD", None), ("food", "Home"), ("Home", None))
    ]
    assert [it["amount"] for it in (await stranger.get("/budgets")).json()["items"]] == ["50.00"]
    assert [it["payee"] for it in (await stranger.get("/expenses")).json()["items"]] == ["Baker"]


async def test_a_new_child_of_what_is_a_child_here_stands_on_its_own(person: Person, stranger: Person) -> None:
    await create(person, "Bread", parent="Food")
    await create(stranger, "Food", parent="Home")
    await take(stranger, await download(person))

    assert {it["name"]: it["parent"] for it in await listed(stranger)} == {"Bread": None, "Food": "Home", "Home": None}


async def test_the_file_of_a_bank_is_known_where_the_account_has_moved_to(person: Person, stranger: Person) -> None:
    november = reading(coffee(), coffee(), draft(bank_id="17"))
    await load(person, november)
    gone, *_ = (await person.get("/expenses?payee=Market")).json()["items"]
    await discard(person, gone)
    await person.delete("/expenses/trash")
    await take(stranger, await download(person))

    assert statuses(await load(stranger, november)) == ["existing", "existing", "existing deleted"]


async def test_what_was_thrown_away_can_be_restored_in_the_other_account(person: Person, stranger: Person) -> None:
    await discard(person, await spend(person, amount="7", tags=["A"]))
    await take(stranger, await download(person))
    (trashed,) = (await stranger.get("/expenses/trash")).json()["items"]
    restored = await stranger.post(f"/expenses/{trashed['id']}/restore")

    assert (restored.json()["amount"], restored.json()["tags"]) == ("7.00", ["A"])
    assert (await stranger.get("/expenses")).json()["items"] == [restored.json()]


async def test_an_expense_that_was_deleted_here_stays_deleted(person: Person, stranger: Person) -> None:
    await spend(person, amount="1")
    archive = await download(person)
    await take(stranger, archive)
    (expense,) = (await stranger.get("/expenses")).json()["items"]
    await discard(stranger, expense)
    await stranger.delete("/expenses/trash")
    answer = await take(stranger, archive)

    assert [(row["status"], row["reason"], row["expense_id"]) for row in answer["rows"]] == [
        ("existing", "deleted", None)
    ]


async def test_equal_expenses_are_as_many_as_the_archive_has(person: Person, stranger: Person) -> None:
    await several(person, 3, amount="3.50", date="2026-03-01")
    archive = await download(person)
    await take(stranger, archive)
    await several(person, 2, amount="3.50", date="2026-03-01")
    answer = await take(stranger, await download(person))

    assert (answer["counts"]["existing"], answer["counts"]["new"]) == (3, 2)


# --- undone -----------------------------------------------------------------------------------------------------------


async def test_an_archive_is_undone_with_the_imports_that_it_brought(person: Person, stranger: Person) -> None:
    await fill(person)
    archive = await download(person)
    own = await spend(stranger, amount="1")
    answer = await take(stranger, archive)
    undone = await stranger.delete(f"/imports/{answer['id']}")

    assert undone.json() == {"deleted": 9, "kept": 0, "unlinked": 0, "revision": 3}
    assert (await stranger.get("/imports")).json()["items"] == []
    assert [it["id"] for it in (await stranger.get("/expenses")).json()["items"]] == [own["id"]]
    assert len((await stranger.get("/expenses/trash")).json()["items"]) == 2
    assert (await take(stranger, archive))["counts"]["new"] == 9


async def test_an_import_that_an_archive_brought_is_undone_alone(person: Person, stranger: Person) -> None:
    await load(person, reading(coffee()))
    await spend(person, amount="1")
    await take(stranger, await download(person))
    (coffee_,) = (await stranger.get("/expenses?payee=Café")).json()["items"]
    await stranger.delete(f"/imports/{coffee_['import_id']}")

    assert [it["amount"] for it in (await stranger.get("/expenses")).json()["items"]] == ["1.00"]
    assert statuses(await load(stranger, reading(coffee()))) == ["new"]


async def test_what_was_changed_before_the_move_is_kept_when_its_import_is_undone(
    person: Person, stranger: Person
) -> None:
    await load(person, reading(coffee(), coffee("03")))
    changed, _ = (await person.get("/expenses?sort=date")).json()["items"]
    await change(person, changed, payee="Another café")
    answer = await take(stranger, await download(person))
    undone = await stranger.delete(f"/imports/{answer['id']}?keep_changed=true")

    assert (undone.json()["deleted"], undone.json()["kept"]) == (1, 1)


# --- caps -------------------------------------------------------------------------------------------------------------


@on_sqlite
async def test_more_categories_than_an_account_holds_are_refused(
    person: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(person, "One")
    await create(person, "Two")
    await create(stranger, "Three")
    archive = await download(person)
    monkeypatch.setattr("ledger.transfer.archives.planning.MAX_CATEGORIES", 2)
    answer = await stranger.post("/imports", files={"file": ("a.zip", archive)})

    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert [it["name"] for it in await listed(stranger)] == ["Three"]


@pytest.mark.parametrize("name", ["options", "source", "profile"])
async def test_an_archive_takes_no_choices(person: Person, name: str) -> None:
    sent = {"options": "{}", "source": "bank", "profile": "bank"}
    await person.put("/imports/profiles/bank", json={})
    answer = await person.post("/imports", files={"file": ("a.zip", await download(person))}, data={name: sent[name]})

    assert (answer.status_code, [it["pointer"] for it in answer.json()["errors"]]) == (422, [f"/{name}"])


async def test_an_archive_is_imported_once_for_a_key(person: Person, stranger: Person) -> None:
    await spend(person)
    files = {"file": ("a.zip", await download(person))}
    first = await stranger.post("/imports", files=files, headers={"Idempotency-Key": "move"})
    again = await stranger.post("/imports", files=files, headers={"Idempotency-Key": "move"})

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json() == first.json() | {"rows": []}


async def test_an_empty_archive_is_nothing_new(person: Person, stranger: Person) -> None:
    answer = await take(stranger, await download(person))

    assert (answer["id"], answer["counts"]["rows"]) == (None, 0)


async def test_rows_come_as_they_were_told(person: Person) -> None:
    await spend(person, amount="1")
    rows: dict[str, Any] = unpack(await download(person))
    changed = [row | {"id": 7, "amount": "2.00"} for row in rows["expenses"]]
    answer = await take(person, repack(rows | {"expenses": changed}))

    assert [row["expense"]["amount"] for row in answer["rows"]] == ["2.00"]
