"""Imports: what was read from a file becomes expenses, or a preview; and imports as a resource."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, get_args

from sqlalchemy import Row, bindparam, func, select

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.pages import CURSOR_ROW_ID, PAGE_SIZE, Cursor, fingerprint_query, parse_cursor
from ledger.transfer.answers import build_answer, build_rows, describe_import, note_written, sum_up
from ledger.transfer.choices import Choices
from ledger.transfer.deciding import decide
from ledger.transfer.readers.drafts import Reading
from ledger.transfer.readers.entries import Question
from ledger.transfer.rows import FileRow, RowStatus, read_rows
from ledger.transfer.schemas import Import as ImportShown
from ledger.transfer.schemas import ImportAnswer, ImportCounts, ImportList
from ledger.transfer.sources import cut_source
from models import Import
from problems import ImportRefused, NotFound, ValidationFailed
from values.field_errors import FieldError, field_error
from values.shapes import PageQuery

_FINGERPRINT: Final = fingerprint_query("imports")
_COLUMNS: Final = (
    *(Import.id, Import.revision, Import.format, Import.profile, Import.source),
    *(Import.options, Import.counts, Import.totals, Import.created_at),
)
SELECT_IMPORTS: Final = select(*_COLUMNS).where(Import.mine())
_ONE: Final = SELECT_IMPORTS.where(Import.id == bindparam("row_id"))
# The newest first: the unique index on (owner_id, id), read backwards.
_PAGE: Final = SELECT_IMPORTS.order_by(Import.id.desc()).limit(PAGE_SIZE)
_NEXT_PAGE: Final = _PAGE.where(Import.id < CURSOR_ROW_ID)
_COUNT: Final = select(func.count()).select_from(Import).where(Import.mine())


async def run(ledger: Ledger, reading: Reading, choices: Choices) -> ImportAnswer:
    """Import what was read from a file, or preview it; a ledger that is not locked is locked before it is written.

    Raises ImportRefused if a question is open or, without `skip_refused`, a row is refused; ValidationFailed if
    `source` is sent with a file of several accounts, or `lines` says what cannot be; TooMany beyond a cap.
    """
    if reading.accounts and choices.source is not None:
        detail = "The file is of several accounts, and each of its rows has its own: leave this out."
        raise ValidationFailed(errors=[field_error("/source", "not_allowed", detail)])
    rows = await read_rows(reading, choices)
    if not (choices.dry_run or ledger.is_locked):
        await ledger.lock()
    writer, questions = await decide(ledger, reading, rows, choices)
    questions = [*reading.questions, *questions]
    answer = build_answer(
        reading.format,
        await _count(rows),
        await sum_up((row.expense for row in rows if row.status == "new"), ledger.owner.currency),
        profile=reading.profile,
        source=None if reading.accounts else cut_source(reading.source if choices.source is None else choices.source),
        options=dict(reading.options) | choices.list_options(),
        questions=questions,
    )
    if not choices.dry_run:
        _refuse_doubtful(rows, questions, choices)
        if answer.counts.new or answer.counts.linked:
            note_written(answer, await writer.write(rows, describe_import(answer)), ledger)
    answer.rows = await build_rows(rows, choices.rows, has_accounts=bool(reading.accounts))
    return answer


async def _count(rows: Sequence[FileRow]) -> ImportCounts:
    statuses = Counter([row.status async for row in iterate_in_slices(rows)])
    return ImportCounts(rows=len(rows), **{status: statuses[status] for status in get_args(RowStatus)})


def _refuse_doubtful(rows: Sequence[FileRow], questions: Sequence[Question], choices: Choices) -> None:
    """Raise ImportRefused, which names each open question and each refused row."""
    errors = [_question_error(question) for question in questions]
    if not choices.skip_refused:
        errors += [_describe_refusal(row) for row in rows if row.status == "refused"]
    if errors:
        raise ImportRefused(errors=errors)


def _question_error(question: Question) -> FieldError:
    pointer = "/source" if question.option == "source" else f"/options/{question.option.replace('.', '/')}"
    return field_error(pointer, "required", question.detail)


def _describe_refusal(row: FileRow) -> FieldError:
    code, detail = (row.errors[0].code, row.errors[0].detail) if row.errors else ("malformed", "It cannot be read.")
    column = f"{row.errors[0].column}: " if row.errors and row.errors[0].column else ""
    return field_error(f"/rows/{row.draft.number}", code, f"{column}{detail}")


async def read_import(ledger: Ledger, import_id: int) -> ImportShown:
    """Return one import."""
    row = await ledger.fetch_one(_ONE, row_id=import_id)
    if row is None:
        raise NotFound
    return _build_import(row)


def parse_import_cursor(query: PageQuery) -> Cursor | None:
    """Parse the cursor of a page of imports; raise ValidationFailed if it is another one."""
    return None if query.cursor is None else parse_cursor(query.cursor, _FINGERPRINT, int)


async def list_imports(ledger: Ledger, query: PageQuery, cursor: Cursor | None) -> ImportList:
    """Return one page of imports, the newest first, with the cursor of the next."""
    parameters: dict[str, Any] = {"limit": query.limit + 1} | ({"row_id": cursor.row_id} if cursor else {})
    rows = await ledger.fetch_all(_NEXT_PAGE if cursor else _PAGE, **parameters)
    page = ImportList(items=[_build_import(row) for row in rows[: query.limit]], next_cursor=None)
    if len(rows) > query.limit:
        last = rows[query.limit - 1].id
        page.next_cursor = Cursor(_FINGERPRINT, last, last, None).encode()
    if query.with_count:
        page.count = (await ledger.execute(_COUNT)).scalar_one()
    return page


def _build_import(row: Row[Any]) -> ImportShown:
    stored = {name: json.loads(getattr(row, name)) for name in ("options", "counts", "totals")}
    return ImportShown.model_validate(row._asdict() | stored)
