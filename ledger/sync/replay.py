"""The stored answers of batches: a large one is stored by ids and statuses, and built again from the expenses.

    the answer                                                   what is stored
    {"revision": 32, "results": [                                batch:{"revision": 32, "results": [
        {"status": "created", "id": 10, "expense": {…}}, …]}         {"status": "created", "id": 10}, …]}

Only a batch has an answer that is larger than LARGE_BODY: 54 KB of operations may be answered with 2 MB, and anybody
could fill a disk with these. In the answer that is built again the expenses are as they are by then.
"""

from collections.abc import Set as AbstractSet
from typing import Final

from pydantic import BaseModel

from infra.slices import iterate_in_slices
from ledger.core import Ledger
from ledger.expenses import trash
from ledger.expenses.rows import build_expense, get_column, select_expenses
from ledger.sync.schemas import ENDED, BatchResult, OperationResult, OperationStatus
from models import Expense
from schemas import Expense as ExpenseAnswer

LARGE_BODY: Final = 16 * 1024
"""The number of bytes above which an answer is stored in short; that of a single row is at most a fifth of it."""
# The body of any other answer is empty or begins with a brace.
_MARK: Final = "batch:"
_SELECT_BY_ID: Final = select_expenses(Expense, by_id=True)


class _ShortResult(BaseModel):
    status: OperationStatus
    id: int


class _ShortAnswer(BaseModel):
    """What is stored of the answer of a batch; the other members of the answer are ignored."""

    revision: int
    results: list[_ShortResult]


def shorten(body: bytes) -> str:
    """Return what is stored of the body of an answer: all of it, or of a large one the ids and statuses."""
    if len(body) <= LARGE_BODY:
        return body.decode()
    return _MARK + _ShortAnswer.model_validate_json(body).model_dump_json()


async def rebuild(ledger: Ledger, stored: str) -> str:
    """Return the body of the answer of which `shorten` returned this."""
    if not stored.startswith(_MARK):
        return stored
    short = _ShortAnswer.model_validate_json(stored.removeprefix(_MARK))
    expenses = await _load_expenses(ledger, {it.id for it in short.results if it.status not in ENDED})
    results = [
        OperationResult(status=it.status, id=it.id, expense=None if it.status in ENDED else expenses.get(it.id))
        async for it in iterate_in_slices(short.results)
    ]
    return BatchResult(revision=short.revision, results=results).model_dump_json()


async def _load_expenses(ledger: Ledger, ids: AbstractSet[int]) -> dict[int, ExpenseAnswer]:
    """Return the expenses of these ids as they are now, those in the trash too."""
    live = await ledger.fetch_by_id(_SELECT_BY_ID, ids)
    expenses = {get_column(row, "id"): build_expense(tuple(row)) for row in live}
    missing = ids - expenses.keys()
    return expenses | (await trash.load_trashed(ledger, missing) if missing else {})
