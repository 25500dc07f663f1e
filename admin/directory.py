"""The directory of all accounts, for the operator's commands: users see no account but their own."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row, column, func, select, text

from crud import UserRow
from database import UnitOfWork
from infra.column_types import UtcDateTime
from models import Budget, Category, Expense, LedgerState, Owned, TrashedExpense, User
from values.shapes import ResponseModel
from values.terminal import compute_width, make_visible, pad

ROWS_AT_ONCE: Final = 500

# As text, because the ownership check refuses statements on the rows of several owners, and this one reads those of
# all. Answered by primary keys and by the index on sessions.owner_id.
_SELECT_ACCOUNTS: Final = text(
    "SELECT users.id, users.username, users.email, users.created_at, ledgers.expense_count,"
    " (SELECT max(created_at) FROM sessions WHERE sessions.owner_id = users.id) AS session_at,"
    " (SELECT max(seen_at) FROM familiar_networks WHERE familiar_networks.owner_id = users.id) AS seen_at"
    " FROM users JOIN ledgers ON ledgers.owner_id = users.id WHERE users.id > :after ORDER BY users.id LIMIT :most"
).columns(
    *(User.id, User.username, User.email, User.created_at, LedgerState.expense_count),
    *(column("session_at", UtcDateTime), column("seen_at", UtcDateTime)),
)
_COUNTED: Final[Mapping[str, type[Owned]]] = {
    "expenses": Expense,
    "expenses in the trash": TrashedExpense,
    "categories": Category,
    "budgets": Budget,
}
_HEADINGS: Final = ("since", "last sign-in", "expenses", "name", "e-mail")


class Account(ResponseModel):
    """An account, as the operator sees it."""

    id: int
    username: str
    email: str
    created_at: datetime
    expense_count: int
    last_sign_in_on: date | None
    """The day (UTC) of the last sign-in; if its session has ended, it may be the day before."""


async def list_accounts(unit: UnitOfWork) -> AsyncIterator[list[Account]]:
    """Yield all accounts in the order of their ids, at most 500 at once."""
    after = 0
    while rows := await _load_page(unit, after):
        yield [_build_account(row) for row in rows]
        after = rows[-1].id


async def _load_page(unit: UnitOfWork, after: int) -> list[Row[*tuple[Any, ...]]]:
    connection = await unit.connection()
    return [*await connection.execute(_SELECT_ACCOUNTS, {"after": after, "most": ROWS_AT_ONCE})]


def _build_account(row: Row[*tuple[Any, ...]]) -> Account:
    fields = row._asdict()
    # A network's `seen_at` is written at most once a day, and a session's row is there only until the session ends.
    last = max(filter(None, (fields.pop("session_at"), fields.pop("seen_at"))), default=None)
    return Account(**fields, last_sign_in_on=last and last.date())


# --- As lines ---------------------------------------------------------------------------------------------------------


async def write_table(unit: UnitOfWork) -> AsyncIterator[str]:
    """Yield the lines of a table of all accounts, in which no name can do anything to a terminal.

    The lines of a page have the widths of its longest name, or of a longer one before it.
    """
    width = 0
    async for accounts in list_accounts(unit):
        rows = [*([] if width else [_HEADINGS]), *map(_list_cells, accounts)]
        width = max(width, *(compute_width(name) for *_, name, _ in rows))
        for since, last, expenses, name, email in rows:
            yield f"{since:10}  {last:12}  {expenses:>8}  {pad(name, width)}  {email}"
    if not width:
        yield "There are no accounts yet."


def _list_cells(account: Account) -> tuple[str, ...]:
    last = f"{account.last_sign_in_on or '-'}"
    names = (make_visible(account.username), make_visible(account.email))
    return (f"{account.created_at:%Y-%m-%d}", last, str(account.expense_count), *names)


async def describe_removal(unit: UnitOfWork, user: UserRow) -> str:
    """Return what the removal of an account would delete, and the request to type its user name."""
    connection, counts = await unit.connection(), []
    for kind, rows in _COUNTED.items():
        count = select(func.count()).select_from(rows).where(rows.mine())
        counts.append(f"{kind}: {(await connection.execute(count, {'owner': user.id})).scalar_one()}")
    name, email = make_visible(user.username), make_visible(user.email)
    deleted = f"This deletes for good the account {name} ({email}) and everything in it ({', '.join(counts)})."
    return f"{deleted}\nType its user name to go on:"


async def write_json(unit: UnitOfWork) -> AsyncIterator[str]:
    """Yield the lines of a JSON object like the API's lists, in ASCII."""
    yield '{"items": ['
    separator = ""
    async for accounts in list_accounts(unit):
        for account in accounts:
            yield separator + account.model_dump_json(ensure_ascii=True)
            separator = ","
    yield '], "next_cursor": null}'
