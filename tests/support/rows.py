"""Inserts rows of a ledger directly, where they are not what is tested: a request for each would take most of the time.

async with filling(person) as rows:
    apples = await rows.spend(1, 12_500, category="Food")    # the rows of revision 1
    await rows.discard(2, apples)                            # what a deletion leaves, of revision 2
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database import Base, get_inserted_id, now
from ledger.tags.sets import write_ids, write_names
from models import (
    Budget,
    Category,
    Expense,
    Import,
    ImportProfile,
    LedgerState,
    Payee,
    Tag,
    TagSet,
    Tombstone,
    TrashedExpense,
)
from tests.support.people import At, Person
from tests.support.settings import NOON
from values.sizes import measure
from values.texts import make_name_key, make_payee_key, make_text_key

_DELETE: Final = delete(Expense).where(Expense.owner_id == bindparam("owner"), Expense.id == bindparam("row_id"))
_COUNTS: Final = {"rows": 1, "new": 1, "existing": 0, "linked": 0, "skipped": 0, "refused": 0, "open": 0}
_ADVANCE: Final = (
    update(LedgerState)
    .where(LedgerState.owner_id == bindparam("owner"))
    .values({name: bindparam(f"new_{name}") for name in ("revision", "expense_count", "text_bytes", "trash_count")})
)


class Rows:
    """Inserts rows into an empty ledger in one transaction; each gets the revision that it is told."""

    def __init__(self, connection: AsyncConnection, person: Person) -> None:
        self.connection = connection
        self.owner = int(person.user["id"])
        self._currency = str(person.user["currency"])
        self._instant = now()
        self._revision = 0
        self._expenses: dict[int, dict[str, Any]] = {}
        self._text_bytes = 0
        self._trash_count = 0
        self.categories: dict[str, int] = {}
        self.tags: dict[str, int] = {}
        self._payees: dict[str, int] = {}
        self._tag_sets: dict[str, int] = {}

    async def categorize(self, revision: int, name: str, parent_id: int | None = None) -> int:
        """Return the id of a category, which is made if there is none of this name."""
        if name not in self.categories:
            sent = {"name": name, "name_key": make_name_key(name), "archived": False, "parent_id": parent_id}
            self.categories[name] = await self._insert(Category, revision, **sent)
        return self.categories[name]

    async def pay(self, name: str) -> int:
        """Return the id of a payee, which is made if there is none of this name."""
        key = make_name_key(name)
        if key not in self._payees:
            payee = {"owner_id": self.owner, "name_key": key, "search_key": make_text_key(key)}
            self._payees[key] = get_inserted_id(await self.connection.execute(insert(Payee), payee))
            self._text_bytes += measure(key)
        return self._payees[key]

    async def tag(self, revision: int, names: Sequence[str]) -> int | None:
        """Return the id of the set of these tags, None for none; tags and the set are made if there are none."""
        for name in names:
            if name not in self.tags:
                self.tags[name] = await self._insert(Tag, revision, name=name, name_key=make_name_key(name))
        tag_ids = write_ids(self.tags[name] for name in names)
        if names and tag_ids not in self._tag_sets:
            row = {"owner_id": self.owner, "tag_ids": tag_ids, "names": write_names(names)}
            self._tag_sets[tag_ids] = get_inserted_id(await self.connection.execute(insert(TagSet), row))
            self._text_bytes += measure(write_names(names))
        return self._tag_sets.get(tag_ids)

    async def spend(
        self,
        revision: int,
        amount: int = 12_500,
        category: str | None = None,
        payee: str | None = None,
        tags: Sequence[str] = (),
        **columns: object,
    ) -> int:
        """Insert an expense of so many thousandths, by default of today; return its id."""
        description = columns.get("description")
        sent = {"currency": self._currency, "spent_on": self._instant.date(), "external_id": None} | columns
        sent |= {"description": description, "description_key": description and make_text_key(str(description))}
        sent |= {"amount": amount, "category_id": category and await self.categorize(revision, category)}
        sent |= {
            "payee": payee,
            "payee_key": payee and make_payee_key(payee),
            "payee_id": payee and await self.pay(payee),
        }
        sent |= {"tag_set_id": await self.tag(revision, tags)}
        expense_id = await self._insert(Expense, revision, **sent)
        self._expenses[expense_id] = sent
        self._text_bytes += measure(*(str(sent[name] or "") for name in ("payee", "description", "external_id")))
        return expense_id

    async def discard(self, revision: int, *expense_ids: int) -> None:
        """Move expenses to the trash."""
        for expense_id in expense_ids:
            moved = self._expenses.pop(expense_id) | {"id": expense_id, "deleted_at": self._instant}
            await self._insert(TrashedExpense, revision, **moved)
            self._trash_count += 1
            tombstone = {"owner_id": self.owner, "kind": "expense", "row_id": expense_id, "revision": revision}
            await self.connection.execute(insert(Tombstone), tombstone)
            await self.connection.execute(_DELETE, {"owner": self.owner, "row_id": expense_id})

    async def budget(
        self, revision: int, amount: int, period: str, category: str | None = None, currency: str = ""
    ) -> int:
        """Insert a budget of so many thousandths; return its id."""
        category_id = category and await self.categorize(revision, category)
        sent = {"amount": amount, "period": period, "category_id": category_id, "currency": currency or self._currency}
        return await self._insert(Budget, revision, **sent)

    async def take_in(self, revision: int, source: str) -> int:
        """Insert an import of a file, and a profile with the name of its source; return the id of the import."""
        shown = {"source": source, "format": "csv", "profile": source, "counts": json.dumps(_COUNTS), "totals": "[]"}
        import_row = {"owner_id": self.owner, "revision": revision, "created_at": self._instant, "options": "{}"}
        profile = {"owner_id": self.owner, "name": source, "name_key": make_name_key(source), "options": "{}"}
        stamps = {"created_at": self._instant, "updated_at": self._instant}
        await self.connection.execute(insert(ImportProfile), profile | stamps)
        self._text_bytes += 2 * len("{}")
        self._revision = max(self._revision, revision)
        return get_inserted_id(await self.connection.execute(insert(Import), import_row | shown))

    async def finish(self) -> None:
        """Store the ledger's revision, and what the ledger holds."""
        state = {"new_revision": self._revision, "new_expense_count": len(self._expenses)}
        state |= {"new_text_bytes": self._text_bytes, "new_trash_count": self._trash_count}
        await self.connection.execute(_ADVANCE, {"owner": self.owner} | state)

    async def _insert(self, table: type[Base], revision: int, **columns: object) -> int:
        self._revision = max(self._revision, revision)
        row = {"owner_id": self.owner, "revision": revision, "created_at": self._instant, "updated_at": self._instant}
        return get_inserted_id(await self.connection.execute(insert(table), row | columns))


@asynccontextmanager
async def filling(person: Person) -> AsyncIterator[Rows]:
    """Insert rows into a new user's ledger, and commit at the end."""
    async with person.app.state.services.database.new_unit() as unit:
        rows = Rows(await unit.begin(person.user["id"]), person)
        yield rows
        await rows.finish()
        await unit.commit()


async def fill_ledger(person: Person) -> At:
    """Insert one row of each kind, each at another revision, and return a function that puts their ids into a path."""
    async with filling(person) as rows:
        category_id = await rows.categorize(1, "Groceries")
        named: dict[str, Any] = {"category": "Groceries", "payee": "Market hall", "tags": ["shared"]}
        expense_id = await rows.spend(2, **named, external_id="bank-1", spent_on=NOON.date())
        budget_id = await rows.budget(3, 200_000, "month", "Groceries")
        await rows.discard(5, await rows.spend(4, spent_on=NOON.date()))
        import_id = await rows.take_in(5, "checking")
    ids: dict[str, object] = {
        "expense_id": expense_id,
        "category_id": category_id,
        "budget_id": budget_id,
        "tag_id": rows.tags["shared"],
    }
    ids |= {"import_id": import_id, "name": "checking"}
    return lambda path: path.format(**ids)
