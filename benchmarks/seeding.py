"""Creates the users of the measurements: accounts through the service, expenses by SQL."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from sqlalchemy import Connection, Engine, insert, text

from database import get_inserted_id
from ledger.tags.sets import write_ids, write_names
from models import Owned, Tag, TagSet

PASSWORD: Final = secrets.token_urlsafe(12)
CATEGORIES: Final = ("Groceries", "Rent", "Transport", "Café", "Health", "Clothes", "Books", "Gifts", "Travel", "Fun")
PHRASES: Final = (
    "Apples and bread from the market",
    "Monthly ticket, zones A to C",
    "Coffee with Zoë",
    "Winter boots",
    "Second-hand novels",
    "Train to the sea and back",
    "Dinner for four, to be split",
)
PAYEES: Final = 100
TAGS: Final = ("shared", "travel")
NEWEST: Final = "2026-06-30"
DAYS: Final = 730
_WHEN: Final[dict[str, Any]] = dict.fromkeys(("created_at", "updated_at"), datetime(2026, 6, 30, tzinfo=UTC))
CHUNK: Final = 100_000

# The numbers below CHUNK as a product of digits: MySQL lacks MariaDB's sequences, and the two limit recursion
# differently.
_DIGIT: Final = "(SELECT 0 AS n" + "".join(f" UNION ALL SELECT {n}" for n in range(1, 10)) + ")"
_DIGITS: Final = ", ".join(f"{_DIGIT} AS {name}" for name in "abcde")
NUMBERS: Final = f"SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n FROM {_DIGITS}"  # noqa: S608  # ours
_PAYEE: Final = "(:start + n) * 7 % :payees"
_SPOKEN: Final = "CONCAT(ELT(1 + n % {}, {}), ' ', n)".format(len(PHRASES), ", ".join(map(repr, PHRASES)))
_CATEGORY: Final = text(
    "INSERT INTO categories (owner_id, name, name_key, revision, created_at, updated_at) "
    "VALUES (:owner, :name, :key, 1, UTC_TIMESTAMP(), UTC_TIMESTAMP())"
)
_PAYEES: Final = text(f"""
    INSERT INTO payees (owner_id, name_key, search_key)
    SELECT :owner, CONCAT('payee ', n), CONCAT('payee ', n) FROM ({NUMBERS}) AS numbers WHERE n < :payees ORDER BY n
""")  # noqa: S608  # of our own numbers
# Payees get ids that follow each other; the set of one tag is older than that of two.
_REFERENCES: Final = text(
    "SELECT MIN(payees.id) AS first_payee, COUNT(*) AS payees, "
    "(SELECT MIN(id) FROM tag_sets WHERE owner_id = :owner) AS one_tag, "
    "(SELECT MAX(id) FROM tag_sets WHERE owner_id = :owner) AS two_tags FROM payees WHERE owner_id = :owner"
)
# Days and amounts are spread by factors that have no common divisor with their ranges.
_EXPENSES: Final = text(f"""
    INSERT INTO expenses (owner_id, category_id, payee_id, tag_set_id, amount, currency, spent_on, payee, payee_key,
        description, description_key, revision, created_at, updated_at)
    SELECT :owner, category.id, :first_payee + {_PAYEE}, ELT(1 + n % 4, :one_tag, :two_tags),
        10 * (1 + (:start + n) * 7919 % 49999), 'EUR',
        DATE_SUB(:newest, INTERVAL (:start + n) * 37 % :days DAY), CONCAT('Payee ', {_PAYEE}),
        CONCAT('payee ', {_PAYEE}), {_SPOKEN}, LOWER({_SPOKEN}), 1,
        DATE_ADD('{NEWEST}', INTERVAL n SECOND), DATE_ADD('{NEWEST}', INTERVAL n * 3 SECOND)
    FROM ({NUMBERS}) AS numbers
    JOIN (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS place FROM categories WHERE owner_id = :owner) AS category
        ON category.place = n % {len(CATEGORIES)}
    WHERE n < :rows ORDER BY n
""")  # noqa: S608  # of our own numbers and words
_LEDGER: Final = text(
    "UPDATE ledgers SET revision = 1, expense_count = expense_count + :rows, text_bytes = "
    "(SELECT SUM(LENGTH(payee) + LENGTH(description)) FROM expenses WHERE expenses.owner_id = :owner) "
    "+ (SELECT SUM(LENGTH(name_key)) FROM payees WHERE payees.owner_id = :owner) "
    "+ (SELECT SUM(LENGTH(names)) FROM tag_sets WHERE tag_sets.owner_id = :owner) WHERE owner_id = :owner"
)
_USER_ID: Final = text("SELECT id FROM users WHERE username_key = :name")
_NEWEST_ID: Final = text("SELECT id FROM expenses WHERE owner_id = :owner ORDER BY spent_on DESC, id DESC LIMIT 1")


@dataclass(frozen=True)
class Person:
    """A user with an access token."""

    id: int
    name: str
    token: str


def sign_up(url: str, name: str, address: str = "127.0.0.1") -> Person:
    """Register and sign in through the service at `url`, from this address."""
    with _open_client(url, address) as client:
        return Person(register(client, name), name, _fetch_token(client, name))


def sign_in(url: str, engine: Engine, name: str) -> Person:
    """Sign in through the service at `url` with the password that all have."""
    with _open_client(url) as client, engine.begin() as connection:
        user_id = connection.execute(_USER_ID, {"name": name}).scalar_one()
        return Person(int(user_id), name, _fetch_token(client, name))


def write_sign_in(name: str) -> dict[str, str]:
    """Return the form with which a user signs in."""
    return {"username": name, "password": PASSWORD}


def set_budgets(url: str, person: Person) -> None:
    """Set a monthly budget for each category of a user."""
    signed_in = {"Authorization": f"Bearer {person.token}"}
    with _open_client(url) as client:
        for name in CATEGORIES:
            budget = {"category": name, "amount": "4000", "currency": "EUR", "period": "month"}
            client.post("/budgets", json=budget, headers=signed_in).raise_for_status()


def _open_client(url: str, address: str = "127.0.0.1") -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=url, trust_env=False, timeout=30, transport=transport)


def _fetch_token(client: httpx.Client, name: str) -> str:
    return str(client.post("/users/token", data=write_sign_in(name)).raise_for_status().json()["access_token"])


def register(client: httpx.Client, name: str) -> int:
    """Register through the client's service and return the user's id."""
    account = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    return int(client.post("/users/register", json=account).raise_for_status().json()["id"])


def fill(engine: Engine, person: Person, rows: int, days: int = DAYS, payees: int = PAYEES) -> None:
    """Create ten categories, payees, two tags and `rows` expenses of the newest `days`.

    Each expense has a category, a payee and a description, and every other one has one tag or two.
    """
    with engine.begin() as connection:
        for name in CATEGORIES:
            connection.execute(_CATEGORY, {"owner": person.id, "name": name, "key": name.casefold()})
        connection.execute(_PAYEES, {"owner": person.id, "payees": payees})
        tags = [_add(connection, Tag, person, name=name, name_key=name, revision=1, **_WHEN) for name in TAGS]
        for some in (tags[:1], tags):
            names = write_names(TAGS[: len(some)])
            _add(connection, TagSet, person, tag_ids=write_ids(some), names=names)
    spend(engine, person, rows, NEWEST, days)


def _add(connection: Connection, table: type[Owned], person: Person, **columns: object) -> int:
    return get_inserted_id(connection.execute(insert(table), {"owner_id": person.id, **columns}))


def spend(engine: Engine, person: Person, rows: int, newest: str, days: int) -> None:
    """Create `rows` more expenses for a user whose ledger `fill` has filled, in the `days` up to `newest`."""
    with engine.begin() as connection:
        references = connection.execute(_REFERENCES, {"owner": person.id}).mappings().one()
    for start in range(0, rows, CHUNK):
        with engine.begin() as connection:
            chunk = {
                "owner": person.id,
                "start": start,
                "rows": min(CHUNK, rows - start),
                "newest": newest,
                "days": days,
                **references,
            }
            connection.execute(_EXPENSES, chunk)
    with engine.begin() as connection:
        connection.execute(_LEDGER, {"owner": person.id, "rows": rows})
        connection.execute(text("ANALYZE TABLE expenses"))


def find_newest_expense(engine: Engine, person: Person) -> int:
    """Return the id of the first expense of a user's first page."""
    with engine.begin() as connection:
        return int(connection.execute(_NEWEST_ID, {"owner": person.id}).scalar_one())
