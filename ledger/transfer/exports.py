"""Exports: all expenses that match the filters, oldest first, page by page.

    page             the expenses after (day, id) of the last one, each page read in a unit of work of its own
    …
    what changed     after the last page, and only if the ledger has another revision than at the start

The ledger may change between two pages, and a changed day moves an expense. So the ids of all that was exported are
kept, 8 bytes for each. An expense whose revision is later than that of the start is looked up among them, and is not
exported again; those that moved from the pages to come to earlier ones come at the end. An expense that is there from
the beginning to the end, and matches, is exported once, as it was at some moment in between.
"""

import asyncio
from array import array
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any, Final, Literal, Self

from pydantic import Field
from sqlalchemy import Select

from infra.prepared import TupleRow
from infra.slices import pause
from ledger.core import Ledger
from ledger.expenses.filter_ids import FilterIds
from ledger.expenses.filters import ExpenseFilter, ExpenseQuery, find_filter_ids
from ledger.expenses.pages import PageRequest, load_page
from ledger.expenses.rows import make_column_getter
from ledger.pages import Cursor
from ledger.sync.feed import EXPENSES, FEED_STATEMENTS
from ledger.transfer.reads import ReadLedger
from values.fields import LARGEST_ID
from values.spans import Span

PAGE_ROWS: Final = 500
"""Expenses that one statement reads; the slower driver decodes them in five milliseconds, in which it serves nobody."""
SEARCHED_AT_ONCE: Final = 50_000
"""Exported ids that are searched without a pause, in a millisecond."""

_get_id: Final = make_column_getter("id")
_get_revision: Final = make_column_getter("revision")
_get_place: Final = make_column_getter("spent_on", "id")

FormatName = Literal["csv", "ndjson", "xlsx"]
Page = Sequence[TupleRow]
"""Rows of `select_expenses`."""
Pages = AsyncGenerator[Page]


class ExportQuery(ExpenseFilter):
    """What is exported, and as what."""

    format: FormatName = Field(
        default="csv",
        description="`csv` for programs, `ndjson` with every field of an expense, `xlsx` for spreadsheets.",
    )


class Export:
    """One export: what it is of, and what of that was exported already."""

    def __init__(self, query: ExpenseQuery, span: Span | None, revision: int, *, is_brief: bool) -> None:
        self._query = query
        self._span = span
        self._revision = revision
        """The ledger's revision when it began."""
        self._is_brief = is_brief
        self._exported = array("q")

    @classmethod
    def begin(cls, ledger: Ledger, filters: ExpenseFilter, *, is_brief: bool = False) -> Self:
        """Begin an export; raise ValidationFailed if the period is invalid.

        If it `is_brief`, its rows are without `created_at` and what is selected after it.
        """
        span = filters.resolve_span(ledger.today, ledger.owner.month_start_day)
        fields = {name: getattr(filters, name) for name in ExpenseFilter.model_fields}
        asked = ExpenseQuery.model_construct(**fields, sort="date", limit=PAGE_ROWS)
        return cls(asked, span, ledger.revision, is_brief=is_brief)

    def list_pages(self, read: ReadLedger) -> Pages:
        """Yield the expenses page by page; no connection waits for the one who uses them."""
        return _read_ahead(self._read_pages(read))

    async def _read_pages(self, read: ReadLedger) -> Pages:
        ids = await read(self._find_ids)
        asked: PageRequest | None = PageRequest(self._query, None, self._span, self._is_brief)
        while asked is not None:
            rows = await read(partial(self._load_page, asked=asked, ids=ids))
            page, asked = rows[: self._query.limit], self._follow(rows)
            yield await self._take(page)
        if await read(Ledger.read_revision) != self._revision:
            async for page in self._list_changed(read):
                yield page

    async def _find_ids(self, ledger: Ledger) -> FilterIds:
        return await find_filter_ids(ledger, self._query)

    async def _load_page(self, ledger: Ledger, asked: PageRequest, ids: FilterIds) -> Page:
        return await load_page(ledger, asked, ids, list(self._query.clauses(self._span, ids)))

    def _follow(self, rows: Page) -> PageRequest | None:
        """Return the page after these rows, of which the last one tells that there is another page."""
        if len(rows) <= self._query.limit:
            return None
        day, row_id = _get_place(rows[self._query.limit - 1])
        return PageRequest(self._query, Cursor("", day, row_id, self._span), self._span, self._is_brief)

    async def _list_changed(self, read: ReadLedger) -> Pages:
        """Yield the expenses that have changed since the start, and were not exported."""
        # By now the filter may mean other tag sets: a change of tags gives an expense another one.
        ids = await read(self._find_ids)
        statement = FEED_STATEMENTS[EXPENSES].where(*self._query.clauses(self._span, ids))
        after = {"value": self._revision, "row_id": LARGEST_ID}
        while True:
            rows = await read(partial(self._load_changed, statement=statement, after=after))
            yield sorted(await self._take(rows), key=_get_place)
            if len(rows) < self._query.limit:
                return
            after = {"value": _get_revision(rows[-1]), "row_id": _get_id(rows[-1])}

    async def _load_changed(self, ledger: Ledger, statement: Select[*tuple[Any, ...]], after: dict[str, int]) -> Page:
        found = await ledger.fetch_all(statement, **after, until=LARGEST_ID, limit=self._query.limit)
        return [tuple(row) for row in found]

    async def _take(self, rows: Page) -> Page:
        """Return the rows that were not exported yet, and note their ids."""
        changed = {_get_id(row) for row in rows if _get_revision(row) > self._revision}
        repeated = await self._find_exported(changed)
        fresh = [row for row in rows if _get_id(row) not in repeated] if repeated else rows
        self._exported.extend(map(_get_id, fresh))
        return fresh

    async def _find_exported(self, changed: set[int]) -> set[int]:
        found = set[int]()
        for start in range(0, len(self._exported) if changed else 0, SEARCHED_AT_ONCE):
            found |= changed.intersection(self._exported[start : start + SEARCHED_AT_ONCE])
            await pause()
        return found


async def _read_ahead(pages: Pages) -> Pages:
    """Yield pages; while one is used the next is read, so that the database and this process work at once."""
    upcoming = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await upcoming) is not None:
            upcoming = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        # A statement that was cancelled would cost its connection.
        await asyncio.gather(upcoming, return_exceptions=True)
        await pages.aclose()
