"""The expenses of the ledger that rows of a file may be: by what they are now, and by what a file said of them.

    what is now      of the amounts of rows, at most three days away
    what files said  likewise, of the same source, if that was imported in another way too, as most are not; or of none

A statement is for 250 rows.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import Row, UnaryExpression, bindparam, func, select

from infra.ownership import UNARY_PLUS
from infra.slices import batched, iterate_in_slices
from ledger.core import ROWS_PER_STATEMENT, Ledger
from ledger.expenses.rows import BY_PRIMARY_KEY
from ledger.transfer.matching import MATCH_DAYS, Candidate, Origin
from ledger.transfer.readers.drafts import Reading
from ledger.transfer.rows import FileRow
from ledger.transfer.sources import OWN_EXPORT, UNNAMED
from models import Expense, Import, ImportedRow

# The plus keeps SQLite from the index of amounts, which would find a popular amount of all years.
_AMOUNT: Final = UnaryExpression[int](Expense.amount.expression, operator=UNARY_PLUS)
_SELECT_NEAR: Final = (
    select(Expense.id, Expense.spent_on, Expense.amount, Expense.currency)
    .with_hint(Expense, "FORCE INDEX (ix_expenses_for_reports)", "mysql")
    .where(
        Expense.mine(),
        Expense.spent_on.between(bindparam("first"), bindparam("last")),
        _AMOUNT.in_(bindparam("amounts", expanding=True)),
    )
)
_LETTER: Final = func.substr(ImportedRow.row_key, 1, 1).label("letter")
_SELECT_ORIGINS: Final = (
    select(ImportedRow.expense_id, ImportedRow.source, ImportedRow.import_id, _LETTER, Import.format)
    .outerjoin(Import, (Import.owner_id == ImportedRow.owner_id) & (Import.id == ImportedRow.import_id))
    .with_hint(ImportedRow, "FORCE INDEX (ix_imported_rows_owner_id_expense_id)", "mysql")
    .where(ImportedRow.mine())
)
_SELECT_OPTIONS: Final = select(Import.id, Import.options).where(Import.mine())
# Answered by the index on (owner_id, source, spent_on, row_key), and so is the next one.
_SELECT_WAYS: Final = (
    select(ImportedRow.source, _LETTER, Import.format)
    .outerjoin(Import, (Import.owner_id == ImportedRow.owner_id) & (Import.id == ImportedRow.import_id))
    .where(
        ImportedRow.mine(),
        ImportedRow.source.in_(bindparam("sources", expanding=True)),
        ImportedRow.spent_on.between(bindparam("first"), bindparam("last")),
    )
    .distinct()
)
_SELECT_IMPORTED_NEAR: Final = (
    select(
        ImportedRow.id,
        ImportedRow.source,
        ImportedRow.expense_id,
        Expense.id.is_not(None).label("is_live"),
        ImportedRow.spent_on,
        ImportedRow.amount,
        ImportedRow.currency,
        _LETTER,
        Import.format,
    )
    .outerjoin(Expense, (Expense.owner_id == ImportedRow.owner_id) & (Expense.id == ImportedRow.expense_id))
    .outerjoin(Import, (Import.owner_id == ImportedRow.owner_id) & (Import.id == ImportedRow.import_id))
    .with_hint(Expense, BY_PRIMARY_KEY, "mysql")
    .where(
        ImportedRow.mine(),
        ImportedRow.source == bindparam("source"),
        ImportedRow.spent_on.between(bindparam("first"), bindparam("last")),
        ImportedRow.amount.in_(bindparam("amounts", expanding=True)),
    )
    .order_by(ImportedRow.id)
)
_LAYOUT: Final = ("columns", "date_order")
"""The options that tell how a bank writes its files; as a row says more or otherwise then, it is not known again."""
_MARGIN: Final = timedelta(days=MATCH_DAYS)
_DAYS: Final = [timedelta(days=number) for number in range(-MATCH_DAYS, MATCH_DAYS + 1)]


async def load_candidates(
    ledger: Ledger, rows: Sequence[FileRow], claimed: AbstractSet[int], reading: Reading, *, with_deleted: bool
) -> list[Candidate]:
    """Return what these rows may be, without the expenses that are `claimed` by other rows of the file.

    With `with_deleted` also what was imported for the account of a row and deleted since.
    """
    days = [(row.expense.day, number) async for number, row in iterate_in_slices(enumerate(rows))]
    file_format = reading.format
    in_order = [rows[number] for _, number in sorted(days)]
    near = {row.id: row async for row in iterate_in_slices([it async for it in _find_near(ledger, in_order)])}
    imported = await _load_imported(ledger, in_order, file_format)
    imported = [it for it in imported if it.expense_id not in claimed and (it.is_live or with_deleted)]
    wanted = {*near, *(it.expense_id for it in imported if it.expense_id is not None)} - claimed
    origins: dict[int | None, set[Origin]] = defaultdict(set)
    found = await ledger.fetch_in(_SELECT_ORIGINS, ImportedRow.expense_id, wanted)
    others = await _find_other_layouts(ledger, {it.import_id for it in found}, reading.options)
    async for it in iterate_in_slices(found):
        origin = _describe_origin(it, file_format)
        origins[it.expense_id].add(origin._replace(has_other_layout=it.import_id in others))
    candidates = [
        Candidate(it.id, it.spent_on, it.amount, it.currency, frozenset(origins.get(it.id, ())))
        async for it in iterate_in_slices(near[expense_id] for expense_id in sorted(near.keys() - claimed))
    ]
    return candidates + [_build_imported(it, origins, file_format) for it in _take_last(imported)]


async def _find_other_layouts(
    ledger: Ledger, import_ids: AbstractSet[int | None], options: Mapping[str, Any]
) -> set[int]:
    """Return which imports were of files with other columns, or days written in another way."""
    rows = await ledger.fetch_in(_SELECT_OPTIONS, Import.id, import_ids - {None})
    told = ((row.id, json.loads(row.options)) for row in rows)
    return {import_id for import_id, it in told if any(it.get(name) != options.get(name) for name in _LAYOUT)}


def _describe_origin(row: Row[Any], file_format: str) -> Origin:
    # Of an import that was undone nothing is known any more, and it is no other way.
    return Origin(row.source, row.letter, row.format in {None, file_format})


def _build_imported(row: Row[Any], origins: Mapping[int | None, set[Origin]], file_format: str) -> Candidate:
    own = {_describe_origin(row, file_format)}
    found = frozenset(own if row.expense_id is None else origins[row.expense_id] | own)
    candidate_id = row.expense_id if row.is_live else -row.id
    return Candidate(candidate_id, row.spent_on, row.amount, row.currency, found, row.source)


def _take_last(imported: Iterable[Row[Any]]) -> Iterable[Row[Any]]:
    """Return of the rows that an expense was in one source the last one."""
    return {(it.source, it.expense_id or -it.id): it for it in imported}.values()


async def _find_near(ledger: Ledger, in_order: Sequence[FileRow]) -> AsyncIterator[Row[Any]]:
    """Yield the expenses of these amounts at most three days away; rows of neighbouring days ask together."""
    wanted = {row.movement async for row in iterate_in_slices(in_order)}
    for some in batched(in_order, ROWS_PER_STATEMENT):
        async with ledger.stream(_SELECT_NEAR, **_ask_for(some)) as slices:
            async for found in slices:
                for it in found:
                    if _is_near(it, wanted):
                        yield it


def _ask_for(in_order: Sequence[FileRow]) -> dict[str, Any]:
    amounts = sorted({row.expense.amount for row in in_order})
    return {"amounts": amounts, "first": in_order[0].expense.day - _MARGIN, "last": in_order[-1].expense.day + _MARGIN}


def _is_near(row: Row[Any], wanted: Collection[tuple[str, int, date]]) -> bool:
    return any((row.currency, row.amount, row.spent_on + away) in wanted for away in _DAYS)


async def _load_imported(ledger: Ledger, in_order: Sequence[FileRow], file_format: str) -> list[Row[Any]]:
    """Return the rows near these that the same sources know in another way, and those that came without a source."""
    ways = await _load_ways(ledger, in_order, file_format)
    by_source: dict[str, list[FileRow]] = {source: [] for source in ways}
    async for row in iterate_in_slices(in_order if ways else ()):
        # What came without a source may be of any.
        for source in {row.source, UNNAMED} if row.source != OWN_EXPORT else {row.source}:
            if source in by_source:
                by_source[source].append(row)
    found: list[Row[Any]] = []
    for source, rows in by_source.items():
        if not rows or not _are_mixed(source, ways[source], rows):
            continue
        wanted = {row.movement async for row in iterate_in_slices(rows)}
        for some in batched(rows, ROWS_PER_STATEMENT):
            near = await ledger.fetch_in_slices(_SELECT_IMPORTED_NEAR, source=source, **_ask_for(some))
            found += [it for it in near if _is_near(it, wanted)]
    return found


async def _load_ways(ledger: Ledger, in_order: Sequence[FileRow], file_format: str) -> dict[str, set[Origin]]:
    """Return by source in which ways the rows of these days were imported."""
    span = {"first": in_order[0].expense.day - _MARGIN, "last": in_order[-1].expense.day + _MARGIN}
    ways: dict[str, set[Origin]] = defaultdict(set)
    for some in batched(sorted({UNNAMED, *(row.source for row in in_order)}), ROWS_PER_STATEMENT):
        for it in await ledger.fetch_all(_SELECT_WAYS, sources=some, **span):
            ways[it.source].add(_describe_origin(it, file_format))
    return ways


def _are_mixed(source: str, known: Collection[Origin], rows: Sequence[FileRow]) -> bool:
    """Whether a source knows rows in another way than all of the file's, or is not theirs."""
    if any(row.source != source for row in rows):
        return True
    letters = {it.letter for it in known} | {row.key[:1] for row in rows}
    return len(letters) > 1 or not all(it.is_same_format for it in known)
