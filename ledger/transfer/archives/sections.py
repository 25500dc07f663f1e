"""The rows of an archive, kind by kind and page by page, as JSON has them.

Their order depends on neither ids nor instants, or only on the order in which rows were made, so that the archive of an
account into which an archive was imported has the same lines in the same order. What an archive brought is not told
from what was recorded by hand: an account that moves twice is the same account.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import BindParameter, Executable, Select, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute

from infra.prepared import Prepared, TupleRow
from ledger.budgets.budgets import SELECT_BUDGETS
from ledger.categories.categories import SELECT_CATEGORIES
from ledger.core import Ledger
from ledger.expenses.rows import BY_PRIMARY_KEY, build_expense, get_column, select_expenses
from ledger.pages import CURSOR_ROW_ID, PAGE_SIZE, build_after_condition
from ledger.tags.tags import SELECT_TAGS
from ledger.transfer.imports import SELECT_IMPORTS
from ledger.transfer.profiles import list_profiles
from ledger.transfer.reads import ReadLedger
from ledger.transfer.sources import ARCHIVE, OWN_EXPORT
from models import Expense, Import, ImportedRow, TrashedExpense
from values import money
from values.days import EARLIEST
from values.texts import make_sort_key

Row = dict[str, Any]
PAGE_ROWS: Final = 1_000

_ARCHIVE_IDS: Final = select(Import.id).where(Import.mine(), Import.format == ARCHIVE)
_IMPORTS: Final = SELECT_IMPORTS.where(Import.id > CURSOR_ROW_ID).order_by(Import.id).limit(PAGE_SIZE)


def _select_page(
    table: type[Expense | TrashedExpense],
    first: InstrumentedAttribute[Any],
    index: str,
    *more: InstrumentedAttribute[Any],
) -> Select[*tuple[Any, ...]]:
    # MySQL is told the index, because deep in a ledger its optimizer prefers to read and sort all rows.
    return (
        select_expenses(table, *more, table.edited)
        .with_hint(table, f"FORCE INDEX ({index})", "mysql")
        .where(build_after_condition(first, table.id))
        .order_by(first, table.id)
        .limit(PAGE_SIZE)
    )


_EXPENSES: Final = Prepared(_select_page(Expense, Expense.spent_on, "ix_expenses_owner_id_spent_on_id"))
_TRASH: Final = Prepared(
    _select_page(
        TrashedExpense, TrashedExpense.revision, "ix_trash_owner_id_revision_id", TrashedExpense.deleted_at
    ).where(TrashedExpense.deleted_at >= bindparam("trash_start"))
)
_KEY: Final[BindParameter[str]] = bindparam("row_key")
_SOURCE: Final[BindParameter[str]] = bindparam("source")
_OCCURRENCE: Final[BindParameter[int]] = bindparam("occurrence")
_KNOWN_COLUMNS: Final = (
    *(ImportedRow.row_key, ImportedRow.source, ImportedRow.occurrence),
    # Null if it was deleted for good.
    func.coalesce(Expense.id, TrashedExpense.id).label("expense_id"),
    ImportedRow.import_id,
    *(ImportedRow.linked, ImportedRow.revived, ImportedRow.spent_on, ImportedRow.amount, ImportedRow.currency),
)
_KNOWN_NAMES: Final = tuple(column.key for column in _KNOWN_COLUMNS)
_KNOWN: Final = Prepared(
    select(*_KNOWN_COLUMNS)
    .outerjoin(Expense, (Expense.owner_id == ImportedRow.owner_id) & (Expense.id == ImportedRow.expense_id))
    .outerjoin(
        TrashedExpense,
        (TrashedExpense.owner_id == ImportedRow.owner_id)
        & (TrashedExpense.id == ImportedRow.expense_id)
        & (TrashedExpense.deleted_at >= bindparam("trash_start")),
    )
    .with_hint(Expense, BY_PRIMARY_KEY, "mysql")
    .with_hint(TrashedExpense, BY_PRIMARY_KEY, "mysql")
    .with_hint(ImportedRow, "FORCE INDEX (uq_imported_rows_owner_id_row_key_source_occurrence)", "mysql")
    .where(
        ImportedRow.mine(),
        ImportedRow.row_key >= _KEY,
        (ImportedRow.row_key > _KEY)
        | (ImportedRow.source > _SOURCE)
        | ((ImportedRow.source == _SOURCE) & (ImportedRow.occurrence > _OCCURRENCE)),
    )
    .order_by(ImportedRow.row_key, ImportedRow.source, ImportedRow.occurrence)
    .limit(PAGE_SIZE)
)


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment that an archive shows."""

    revision: int
    instant: datetime
    trash_start: datetime
    archives: frozenset[int]
    """The ids of the imports that were archives."""

    @classmethod
    async def begin(cls, ledger: Ledger) -> "Moment":
        """Return the moment of the ledger now; the revision is read first, so that it can only be too old."""
        revision = await ledger.read_revision()
        ids = [row.id for row in await ledger.fetch_all(_ARCHIVE_IDS)]
        return cls(revision, ledger.instant, ledger.trash_start, frozenset(ids))

    def name_import(self, import_id: int | None) -> int | None:
        """Return the import that a row is of; None if that was an archive."""
        return None if import_id in self.archives else import_id


Pages = AsyncIterator[Sequence[Row]]


async def _list_categories(read: ReadLedger, _: Moment) -> Pages:
    yield sorted(await read(partial(_load, statement=SELECT_CATEGORIES)), key=_rank_by_name)


async def _list_tags(read: ReadLedger, _: Moment) -> Pages:
    yield sorted(await read(partial(_load, statement=SELECT_TAGS)), key=_rank_by_name)


async def _list_budgets(read: ReadLedger, _: Moment) -> Pages:
    rows = await read(partial(_load, statement=SELECT_BUDGETS))
    ordered = sorted(rows, key=lambda row: (make_sort_key(row["category"] or ""), row["currency"], row["period"]))
    yield [_leave_out(row, "category_id") | _write_money(row) for row in ordered]


async def _list_profiles(read: ReadLedger, _: Moment) -> Pages:
    profiles = await read(partial(list_profiles, built_in=[]))
    yield [it.model_dump(exclude={"kind"}) for it in profiles.items]


async def _list_imports(read: ReadLedger, moment: Moment) -> Pages:
    last: int | None = 0
    while last is not None:
        page = await read(partial(_load, statement=_IMPORTS, row_id=last, limit=PAGE_ROWS))
        yield [_describe_import(row) for row in page if row["id"] not in moment.archives]
        last = page[-1]["id"] if len(page) == PAGE_ROWS else None


async def _list_expenses(read: ReadLedger, moment: Moment) -> Pages:
    place: Row = {"value": EARLIEST, "row_id": 0}
    while place:
        page = await read(partial(_load_page, prepared=_EXPENSES, place=place))
        yield [_describe_expense(row, moment) for row in page]
        place = _follow(page, "spent_on")


async def _list_trash(read: ReadLedger, moment: Moment) -> Pages:
    place: Row = {"value": 0, "row_id": 0}
    while place:
        known = place | {"trash_start": moment.trash_start}
        page = await read(partial(_load_page, prepared=_TRASH, place=known))
        yield [_describe_expense(row, moment) for row in page]
        place = _follow(page, "revision")


def _follow(page: Sequence[TupleRow], column: str) -> dict[str, Any]:
    """Return the place of the last row of a page; nothing if there is no other page."""
    if len(page) < PAGE_ROWS:
        return {}
    return {"value": get_column(page[-1], column), "row_id": get_column(page[-1], "id")}


async def _list_known(read: ReadLedger, moment: Moment) -> Pages:
    place: Row = {"row_key": "", "source": "", "occurrence": 0}
    while place:
        known = place | {"trash_start": moment.trash_start}
        page = await read(partial(_load_page, prepared=_KNOWN, place=known))
        rows = [dict(zip(_KNOWN_NAMES, row, strict=True)) for row in page]
        yield [_describe_known(row, moment) for row in rows if not _is_of_an_archive(row, moment)]
        place = {name: rows[-1][name] for name in place} if len(page) == PAGE_ROWS else {}


SECTIONS: Final[Mapping[str, Callable[[ReadLedger, Moment], Pages]]] = {
    "categories": _list_categories,
    "tags": _list_tags,
    "budgets": _list_budgets,
    "profiles": _list_profiles,
    "imports": _list_imports,
    "expenses": _list_expenses,
    "trash": _list_trash,
    "imported_rows": _list_known,
}


async def _load(ledger: Ledger, statement: Executable, **parameters: object) -> list[Row]:
    return [_leave_out(row._asdict(), "revision") for row in await ledger.fetch_all(statement, **parameters)]


async def _load_page(ledger: Ledger, prepared: Prepared, place: Row) -> list[TupleRow]:
    return await ledger.fetch_all_prepared(prepared, limit=PAGE_ROWS, **place)


def _leave_out(row: Row, *names: str) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def _rank_by_name(row: Row) -> tuple[str, str]:
    return make_sort_key(row["name"])


def _write_money(row: Row) -> Row:
    return {"amount": money.write_amount(row["amount"], row["currency"])}


def _describe_import(row: Row) -> Row:
    return row | {name: json.loads(row[name]) for name in ("options", "counts", "totals")}


def _describe_expense(row: TupleRow, moment: Moment) -> Row:
    """Return an expense, from a row of `select_expenses` with `edited` at its end."""
    it, edited = build_expense(row[:-1]), row[-1]
    described = {
        "id": it.id,
        "amount": it.amount,
        "currency": it.currency,
        "date": it.date,
        "category": it.category,
        "payee": it.payee,
        "description": it.description,
        "tags": it.tags,
        "external_id": it.external_id,
        "import_id": moment.name_import(it.import_id),
        "edited": edited,
        "created_at": it.created_at,
        "updated_at": it.updated_at,
    }
    return described if it.deleted_at is None else described | {"deleted_at": it.deleted_at}


def _is_of_an_archive(row: Row, moment: Moment) -> bool:
    """Whether a row is known only so that an archive that was imported is known again."""
    return row["source"] == OWN_EXPORT and row["import_id"] in moment.archives


def _describe_known(row: Row, moment: Moment) -> Row:
    return {
        "source": row["source"],
        "key": row["row_key"],
        "occurrence": row["occurrence"],
        "expense_id": row["expense_id"],
        "import_id": moment.name_import(row["import_id"]),
        "linked": row["linked"],
        "revived": row["revived"],
        "date": row["spent_on"],
        **_write_money(row),
        "currency": row["currency"],
    }
