"""Create, read, change and delete users and expenses; the route class commits."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from database import Base, UnitOfWork, get_inserted_id, now
from infra.prepared import Prepared
from infra.row_counts import execute_exactly
from ledger.core import Ledger
from ledger.editing import Precondition, refuse_changed_row
from ledger.expenses import trash
from ledger.expenses.filter_ids import FilterIds
from ledger.expenses.filters import read_filtered
from ledger.expenses.pages import PageRequest, load_page, sum_up
from ledger.expenses.plan import load_plan
from ledger.expenses.references import find_or_create_references
from ledger.expenses.rows import (
    build_expense,
    build_expense_from_columns,
    build_new_columns,
    count_texts,
    get_column,
    select_expenses,
)
from ledger.quotas import EXPENSE_TEXTS
from ledger.unused import refuse_outgrown_quota
from models import Category, Expense, LedgerState, TrashedExpense, User
from problems import AlreadyExists, InvalidToken, NotFound
from schemas import Expense as ExpenseAnswer
from schemas import ExpenseCreate, ExpenseList, ExpenseReplace, ExpenseUpdate, UserCreate
from schemas import User as UserAnswer
from values.field_errors import field_error
from values.sizes import measure
from values.text_fields import normalize_email
from values.texts import make_name_key

UserRow = Row[*tuple[Any, ...]]
SIGN_IN_FIELDS: Final = {"username": "user name", "email": "e-mail"}
"""The fields with which a user can sign in, and their names in sentences."""

# --- Users ------------------------------------------------------------------------------------------------------------

_PROFILE_COLUMNS: Final = (
    User.id,
    User.username,
    User.email,
    User.currency,
    User.timezone,
    User.month_start_day,
    User.created_at,
    User.updated_at,
)
_PROFILE: Final = select(*_PROFILE_COLUMNS).where(User.id == bindparam("user_id"))
_PROFILE_AND_HASH: Final = select(*_PROFILE_COLUMNS, User.password_hash).where(User.id == bindparam("user_id"))
# Answered by the unique indexes on username_key and email_key.
_BY_NAME: Final = select(User.id, User.password_hash, User.username, User.email).where(
    or_(User.username_key == bindparam("key"), User.email_key == bindparam("key"))
)
_BY_NAME_OR_EMAIL: Final = select(User.id, User.username_key, User.email_key).where(
    or_(User.username_key == bindparam("username_key"), User.email_key == bindparam("email_key"))
)
_LOCK_LEDGER: Final = select(LedgerState.revision).where(LedgerState.mine()).with_for_update()
_DETACH_CHILDREN: Final = update(Category).where(Category.mine()).values(parent_id=None)
# Foreign keys do not cascade, so referring tables come first.
_OWNED_TABLES: Final = [table for table in reversed(Base.metadata.sorted_tables) if "owner_id" in table.columns]


async def create_user(connection: AsyncConnection, data: UserCreate, password_hash: str) -> UserAnswer:
    """Create a user and their ledger; raise AlreadyExists if the user name or the e-mail is taken."""
    await refuse_taken_names(connection, data.username, data.email)
    profile = data.model_dump(exclude={"password", "invite"})
    keys = {"username_key": make_name_key(data.username), "email_key": make_name_key(data.email)}
    inserted = await connection.execute(insert(User), profile | keys | {"password_hash": password_hash})
    user_id = get_inserted_id(inserted)
    ledger = {"owner_id": user_id, "revision": 0, "expense_count": 0, "swept_on": now().date()}
    await connection.execute(insert(LedgerState), ledger)
    return await read_profile(connection, user_id)


async def read_profile(connection: AsyncConnection, user_id: int) -> UserAnswer:
    """Return a user's profile; raise InvalidToken if the account was deleted."""
    row = (await connection.execute(_PROFILE, {"user_id": user_id})).one_or_none()
    if row is None:
        raise InvalidToken
    return UserAnswer.model_validate(row._asdict())


async def read_user(connection: AsyncConnection, user_id: int) -> UserRow:
    """Return a user's row with the password hash; raise InvalidToken if the account was deleted."""
    user = (await connection.execute(_PROFILE_AND_HASH, {"user_id": user_id})).one_or_none()
    if user is None:
        raise InvalidToken
    return user


async def find_user(unit: UnitOfWork, name: str) -> UserRow | None:
    """Return the user with this user name or e-mail, with the password hash, or None."""
    connection = await unit.connection()
    return (await connection.execute(_BY_NAME, {"key": make_sign_in_key(name)})).one_or_none()


def make_sign_in_key(name: str) -> str:
    """Return the normalized key of a user name or e-mail as it was typed."""
    return make_name_key(normalize_email(name.strip()))


async def lock_user(
    connection: AsyncConnection, user_id: int, verified: str | None, otherwise: Exception, *, shared: bool = False
) -> UserRow:
    """Lock and return a user's row; raise `otherwise` if the password hash is no longer the `verified` one.

    None as `verified` accepts any hash. Raises InvalidToken if the account was deleted. A sign-in takes a shared lock,
    as foreign keys to the row do, so that it does not wait for the user's own import.
    """
    locked = _PROFILE_AND_HASH.with_for_update(read=shared)
    user = (await connection.execute(locked, {"user_id": user_id})).one_or_none()
    if user is None:
        raise InvalidToken
    if verified is not None and user.password_hash != verified:
        raise otherwise
    return user


async def change_user(connection: AsyncConnection, user: UserRow, sent: Mapping[str, Any]) -> UserAnswer:
    """Set the sent fields of a locked user that have other values; raise AlreadyExists as `create_user` does."""
    values = {name: value for name, value in sent.items() if value != getattr(user, name)}
    if renamed := SIGN_IN_FIELDS.keys() & values.keys():
        await refuse_taken_names(connection, values.get("username"), values.get("email"), but=user.id)
        values |= {f"{name}_key": make_name_key(values[name]) for name in renamed}
    if values:
        await execute_exactly(connection, 1, update(User).where(User.id == user.id).values(**values, updated_at=now()))
    return await read_profile(connection, user.id)


async def set_password_hash(connection: AsyncConnection, user_id: int, password_hash: str) -> None:
    """Store a new password hash."""
    await execute_exactly(connection, 1, update(User).where(User.id == user_id).values(password_hash=password_hash))


async def delete_user(connection: AsyncConnection, user_id: int, verified: str | None, otherwise: Exception) -> None:
    """Delete a user and all rows that they own, in all tables; raise what `lock_user` raises.

    If the database ends one of the statements early, the foreign keys of the rows that are left refuse a later one.
    """
    # In the order of a writer, who locks the ledger, and by the foreign key of a new row the user.
    await connection.execute(_LOCK_LEDGER, {"owner": user_id})
    await lock_user(connection, user_id, verified, otherwise)
    # MySQL checks each row as it is deleted: a parent could not be deleted before its children.
    await connection.execute(_DETACH_CHILDREN, {"owner": user_id})
    for table in _OWNED_TABLES:
        await connection.execute(delete(table).where(table.c.owner_id == bindparam("owner")), {"owner": user_id})
    await execute_exactly(connection, 1, delete(User).where(User.id == user_id))


async def refuse_taken_names(
    connection: AsyncConnection, username: str | None, email: str | None, *, but: int | None = None
) -> None:
    """Raise AlreadyExists if an account other than `but` has this user name or e-mail; each gives a field error."""
    keys = {"username_key": make_name_key(username or ""), "email_key": make_name_key(email or "")}
    users = [user for user in await connection.execute(_BY_NAME_OR_EMAIL, keys) if user.id != but]
    taken = [
        name for name in SIGN_IN_FIELDS if any(getattr(user, f"{name}_key") == keys[f"{name}_key"] for user in users)
    ]
    if taken:
        raise names_taken_problem(*taken)


def names_taken_problem(*fields: str) -> AlreadyExists:
    """Return the problem of a user name or an e-mail, or both, that another account has."""
    return AlreadyExists(
        "The user name or the e-mail is taken.",
        errors=[
            field_error(f"/{field}", "already_exists", f"This {SIGN_IN_FIELDS[field]} belongs to another account.")
            for field in fields
        ],
    )


# --- Expenses ---------------------------------------------------------------------------------------------------------

_THIS: Final = Expense.id == bindparam("row_id")
_ONE: Final = Prepared(select_expenses(Expense).where(_THIS))
_BY_EXTERNAL_ID: Final = Prepared(select_expenses(Expense).where(Expense.external_id == bindparam("external_id")))
_TRASHED_BY_EXTERNAL_ID: Final = Prepared(
    select_expenses(TrashedExpense, TrashedExpense.deleted_at).where(
        TrashedExpense.external_id == bindparam("external_id")
    )
)
_INSERT: Final = Prepared(
    insert(Expense).inline(), [column.key for column in Expense.__table__.columns if column.key != "id"]
)


async def list_expenses(ledger: Ledger, request: PageRequest) -> ExpenseList:
    """Return one page of the matching expenses, with the cursor of the next page."""
    return await read_filtered(ledger, request.query, partial(_list_expenses, ledger, request))


async def _list_expenses(ledger: Ledger, request: PageRequest, ids: FilterIds) -> ExpenseList:
    limit = request.query.limit
    clauses = list(request.query.clauses(request.span, ids))
    rows = await load_page(ledger, request, ids, clauses)
    page = ExpenseList(items=[build_expense(row) for row in rows[:limit]], next_cursor=None)
    if len(rows) > limit:
        last = rows[limit - 1]
        page.next_cursor = request.write_cursor(get_column(last, request.sort_column), get_column(last, "id"))
    if request.query.with_totals or request.query.with_count:
        await sum_up(ledger, request, page, rows, clauses)
    return page


async def read_expense(ledger: Ledger, expense_id: int) -> ExpenseAnswer:
    """Return one expense."""
    row = await ledger.fetch_one_prepared(_ONE, row_id=expense_id)
    if row is None:
        raise NotFound
    return build_expense(row)


async def create_expense(ledger: Ledger, data: ExpenseCreate) -> tuple[ExpenseAnswer, bool]:
    """Record an expense; return it, and whether it is new: an existing one with this `external_id` is not changed."""
    if data.external_id is not None and (existing := await _find_by_external_id(ledger, data.external_id)):
        return existing, False
    columns = build_new_columns(ledger, data)
    count_texts(ledger, columns)
    columns |= await find_or_create_references(ledger, data.category, data.payee, data.tags or ())
    columns["revision"] = ledger.take_revision(expenses=1)
    columns["id"] = await ledger.write_prepared(_INSERT, **columns)
    await refuse_outgrown_quota(ledger)
    return build_expense_from_columns(columns), True


async def replace_expense(
    ledger: Ledger, expense_id: int, whole: ExpenseReplace, condition: Precondition
) -> ExpenseAnswer:
    """Replace an expense; fields that were not sent become null."""
    return await _change_fields(ledger, expense_id, whole.dump_writable(), whole.revision, condition)


async def change_expense(
    ledger: Ledger, expense_id: int, change: ExpenseUpdate, condition: Precondition
) -> ExpenseAnswer:
    """Change the fields that were sent; if no value differs, nothing is written and no revision taken."""
    return await _change_fields(ledger, expense_id, change.dump_sent(), change.revision, condition)


async def delete_expense(ledger: Ledger, expense_id: int, condition: Precondition) -> None:
    """Move an expense to the trash."""
    expense = await read_expense(ledger, expense_id)
    refuse_changed_row(expense.revision, condition)
    await trash.move_to_trash(ledger, 1, Expense.mine(), _THIS, row_id=expense_id)


async def _find_by_external_id(ledger: Ledger, external_id: str) -> ExpenseAnswer | None:
    if row := await ledger.fetch_one_prepared(_BY_EXTERNAL_ID, external_id=external_id):
        return build_expense(row)
    if row := await ledger.fetch_one_prepared(_TRASHED_BY_EXTERNAL_ID, external_id=external_id):
        trashed = build_expense(row)
        if trashed.deleted_at is None or trashed.deleted_at >= ledger.trash_start:
            return trashed
        await trash.delete_expired(ledger, {trashed.id: measure(*(getattr(trashed, name) for name in EXPENSE_TEXTS))})
    return None


async def _change_fields(
    ledger: Ledger, expense_id: int, sent: Mapping[str, Any], revision: int | None, condition: Precondition
) -> ExpenseAnswer:
    plan = await load_plan(ledger, {expense_id}, [sent])
    row = plan.rows.get(expense_id)
    if row is None:
        raise NotFound
    refuse_changed_row(row["revision"], condition, revision)
    plan.change(row, sent)
    await plan.write()
    return build_expense_from_columns(row)
