"""Two ledgers with rows of every kind, inserted by SQL, in which nothing is wrong."""

from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert

from models import (
    Budget,
    Category,
    Expense,
    Import,
    ImportedRow,
    ImportProfile,
    LedgerState,
    Payee,
    RefreshToken,
    RememberedAnswer,
    Session,
    Tag,
    TagSet,
    Tombstone,
    TrashedExpense,
    User,
)
from tests.support.servers import make_plain_engine

THEN: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
_STAMPS: Final = {"created_at": THEN, "updated_at": THEN}
# Ada has id 1 and two expenses; Bo has id 2 and one, in a currency without decimals.
ADA, BO = 1, 2


def fill(url: str) -> None:
    """Insert the two ledgers into a migrated database, and commit."""
    with make_plain_engine(url).begin() as connection:
        for owner, name, currency in ((ADA, "ada", "EUR"), (BO, "bo", "JPY")):
            _insert_account(connection, owner, name, currency)
        _insert_expense(connection, 1, ADA, 12_500, "EUR")
        _insert_expense(connection, 2, ADA, -2_490, "EUR")
        _insert_expense(connection, 3, BO, 900_000, "JPY")
        trashed = _write_expense(4, ADA, 5_000, "EUR") | {"deleted_at": THEN, "revision": 5}
        connection.execute(insert(TrashedExpense), trashed)
        connection.execute(insert(Tombstone), {"owner_id": ADA, "kind": "expense", "row_id": 4, "revision": 5})
        answer = {
            "owner_id": ADA,
            "key": "once",
            "request": "0" * 64,
            "status": 200,
            "body": "Äpfel",
            "created_at": THEN,
        }
        connection.execute(insert(RememberedAnswer), answer)


def add_accounts(url: str, number: int) -> None:
    """Insert so many accounts more, each with an empty ledger."""
    with make_plain_engine(url).begin() as connection:
        for owner in range(BO + 1, BO + 1 + number):
            _insert_user(connection, owner, f"empty{owner}", "EUR")
            connection.execute(insert(LedgerState), {"owner_id": owner})


def _insert_user(connection: Connection, owner: int, name: str, currency: str) -> None:
    user = {"id": owner, "username": name, "username_key": name, "email": f"{name}@example.com"}
    rest = {"email_key": f"{name}@example.com", "password_hash": "none", "timezone": "UTC", "month_start_day": 1}
    connection.execute(insert(User), user | rest | _STAMPS | {"currency": currency})


def _insert_account(connection: Connection, owner: int, name: str, currency: str) -> None:
    _insert_user(connection, owner, name, currency)
    # Each expense has the texts "Market", "Apples" and "bank-" with a digit; then there are a payee and a tag set.
    texts = len("market" + "shared")
    held = {"expense_count": 2, "trash_count": 1, "text_bytes": 3 * 18 + texts + 2 * len("{}"), "imported_count": 1}
    held |= {"answer_bytes": 200 + len("once" + "Äpfel") + 1}
    if owner == BO:
        held |= {"expense_count": 1, "trash_count": 0, "text_bytes": 18 + texts + 2 * len("{}"), "answer_bytes": 0}
    connection.execute(insert(LedgerState), {"owner_id": owner, "revision": 5} | held)
    category = {"id": owner, "owner_id": owner, "name": "Food", "name_key": "food", "archived": False, "revision": 1}
    connection.execute(insert(Category), category | _STAMPS | {"color": None})
    child = {"id": 10 + owner, "name": "Bread", "name_key": "bread", "parent_id": owner}
    connection.execute(insert(Category), category | child | _STAMPS | {"color": None})
    same = {"id": owner, "owner_id": owner}
    connection.execute(insert(Payee), same | {"name_key": "market", "search_key": "market"})
    connection.execute(insert(Tag), same | _STAMPS | {"name": "shared", "name_key": "shared", "revision": 1})
    connection.execute(insert(TagSet), same | {"tag_ids": f"/{owner}/", "names": "shared"})
    _insert_import(connection, owner, currency)
    budget = {"id": owner, "owner_id": owner, "category_id": None, "amount": 100_000, "currency": currency}
    connection.execute(insert(Budget), budget | _STAMPS | {"period": "month", "revision": 2})
    session = {"id": owner, "owner_id": owner, "sid": f"{owner:032}", "created_at": THEN, "expires_at": THEN}
    connection.execute(insert(Session), session)
    token = {"token_hash": f"{owner:064}", "owner_id": owner, "session_id": owner, "generation": 0}
    connection.execute(insert(RefreshToken), token)


def _insert_import(connection: Connection, owner: int, currency: str) -> None:
    same = {"id": owner, "owner_id": owner, "options": "{}"}
    told = {"source": "NL01BANK", "format": "csv", "profile": None, "counts": "{}", "totals": "[]", "revision": 3}
    connection.execute(insert(Import), same | told | {"created_at": THEN})
    connection.execute(insert(ImportProfile), same | _STAMPS | {"name": "bank", "name_key": "bank"})
    known = {"source": "nl01bank", "row_key": "f" + "0" * 64, "occurrence": 1, "import_id": owner, "expense_id": owner}
    amount = {"spent_on": date(2026, 11, 22), "amount": 12_000, "currency": currency}
    connection.execute(insert(ImportedRow), {"id": owner, "owner_id": owner} | known | amount)


def _insert_expense(connection: Connection, row_id: int, owner: int, amount: int, currency: str) -> None:
    connection.execute(insert(Expense), _write_expense(row_id, owner, amount, currency))


def _write_expense(row_id: int, owner: int, amount: int, currency: str) -> dict[str, Any]:
    texts = {"description": "Apples", "description_key": "apples", "external_id": f"bank-{row_id}"}
    names = {"payee": "Market", "payee_key": "market", "payee_id": owner, "tag_set_id": owner}
    row = {"id": row_id, "owner_id": owner, "category_id": owner, "amount": amount, "currency": currency}
    return row | texts | names | _STAMPS | {"spent_on": date(2026, 11, 22), "revision": 3}
