"""The floor: the service's most frequent operations, written by hand with Starlette and the driver of DATABASE_URL.

It does only the necessary work, with the same parts: the token is verified by the same library, the caller is loaded by
the same query, the same statements run under the same lock, and the answers are the same. There is no cache, no
validation beyond what the statements need, no OpenAPI document, no retries. Dates stay the text that the driver
received, because parsing them would only cost time. aiomysql and asyncmy are used alike, without prepared statements.
"""

import base64
import importlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from jose import jwk, jwt
from jose.exceptions import JOSEError
from pymysql.constants import FIELD_TYPE
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from infra.mysql_drivers import load_converters
from values import money
from values.texts import make_name_key, make_text_key

Row = Sequence[Any]
Cursor = Any
"""A cursor of either driver."""
Pool = Any
"""A pool of either driver."""

URL: Final = urlsplit(os.environ["DATABASE_URL"])
DRIVER: Final = URL.scheme.partition("+")[2]
KEY: Final = jwk.construct(os.environ["SECRET_KEY"], "HS256")
CLAIMS: Final = {f"require_{claim}": True for claim in ("aud", "iat", "exp", "iss", "sub", "jti")}
TEXT_DATES: Final = {
    kind: convert
    for kind, convert in load_converters(DRIVER).items()
    if kind not in {FIELD_TYPE.DATE, FIELD_TYPE.DATETIME}
}

CALLER: Final = (
    "SELECT users.currency, users.month_start_day, ledgers.revision FROM users "
    "JOIN sessions ON sessions.owner_id = users.id JOIN ledgers ON ledgers.owner_id = sessions.owner_id "
    "WHERE sessions.sid = %s AND sessions.owner_id = %s"
)
EXPENSES: Final = (
    "SELECT expenses.id, expenses.amount, expenses.currency, expenses.spent_on, categories.name, expenses.payee, "
    "expenses.description, tag_sets.names, expenses.external_id, expenses.revision, expenses.created_at, "
    "expenses.updated_at FROM expenses "
    "LEFT JOIN categories ON categories.owner_id = expenses.owner_id AND categories.id = expenses.category_id "
    "LEFT JOIN tag_sets ON tag_sets.owner_id = expenses.owner_id AND tag_sets.id = expenses.tag_set_id "
    "WHERE expenses.owner_id = %s"
)
PAGE: Final = f"{EXPENSES} ORDER BY expenses.spent_on DESC, expenses.id DESC LIMIT %s"
ONE: Final = f"{EXPENSES} AND expenses.id = %s"
LOCK: Final = (
    "SELECT revision, expense_count, text_bytes, trash_count, answer_bytes, swept_on FROM ledgers WHERE owner_id = %s "
    "FOR UPDATE"
)
CATEGORY_AND_PAYEE: Final = (
    "SELECT id, name FROM categories WHERE owner_id = %s AND name_key = %s "
    "UNION ALL SELECT id, NULL FROM payees WHERE owner_id = %s AND name_key = %s"
)
ADVANCE: Final = (
    "UPDATE ledgers SET revision = %s, expense_count = %s, text_bytes = %s, trash_count = %s, answer_bytes = %s, "
    "swept_on = %s WHERE owner_id = %s"
)
INSERT: Final = (
    "INSERT INTO expenses (owner_id, category_id, payee_id, tag_set_id, amount, currency, spent_on, payee, payee_key, "
    "description, description_key, external_id, revision, created_at, updated_at) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


class SignInFirst(Exception):
    """The token is missing or invalid."""


async def refuse(_: Request, __: Exception) -> JSONResponse:
    """Answer 401 to a request without a valid token."""
    return JSONResponse({"detail": SignInFirst.__doc__}, 401)


def read_bearer(request: Request) -> tuple[str, int]:
    """Return the session and the user that the token names."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise SignInFirst
    try:
        claims = jwt.decode(token, KEY, ["HS256"], CLAIMS, audience="expense-tracker-api", issuer="expense-tracker")
    except JOSEError:
        raise SignInFirst from None
    return claims["sid"], int(claims["sub"])


async def load_caller(request: Request, cursor: Cursor) -> tuple[int, str]:
    """Return the user's id and the entity tag of lists; raise SignInFirst if the session has ended."""
    session, owner = read_bearer(request)
    await cursor.execute(CALLER, (session, owner))
    row = await cursor.fetchone()
    if row is None:
        raise SignInFirst
    currency, start_day, revision = row
    return owner, f'W/"1-{owner}-{revision}-{currency}-{start_day}"'


def build_expense(row: Row) -> dict[str, Any]:
    """Return the JSON of an expense."""
    number, amount, currency, spent_on, category, payee, description, tags, external_id, revision, *instants = row
    created_at, updated_at = instants
    return {
        "id": number,
        "amount": money.write_amount(amount, currency),
        "currency": currency,
        "date": spent_on,
        "category": category,
        "payee": payee,
        "description": description,
        "tags": tags.split("\n") if tags else [],
        "external_id": external_id,
        "revision": revision,
        "created_at": f"{created_at.replace(' ', 'T')}Z",
        "updated_at": f"{updated_at.replace(' ', 'T')}Z",
        "deleted_at": None,
    }


async def list_expenses(request: Request) -> JSONResponse:
    """Answer with the first page and the cursor of the next."""
    limit = int(request.query_params.get("limit", "50"))
    async with request.app.state.reads.acquire() as connection, connection.cursor() as cursor:
        owner, tag = await load_caller(request, cursor)
        await cursor.execute(PAGE, (owner, limit + 1))
        rows = await cursor.fetchall()
    items = [build_expense(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return JSONResponse({"items": items, "next_cursor": None}, headers={"ETag": tag})
    position = json.dumps(["-date", items[-1]["date"], items[-1]["id"]])
    after = base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")
    link = f'</expenses?limit={limit}&cursor={after}>; rel="next"'
    return JSONResponse({"items": items, "next_cursor": after}, headers={"Link": link, "ETag": tag})


async def read_expense(request: Request) -> JSONResponse:
    """Answer with one expense."""
    async with request.app.state.reads.acquire() as connection, connection.cursor() as cursor:
        owner, _ = await load_caller(request, cursor)
        await cursor.execute(ONE, (owner, request.path_params["expense_id"]))
        row = await cursor.fetchone()
    if row is None:
        return JSONResponse({"detail": "There is nothing here."}, 404)
    answer = build_expense(row)
    return JSONResponse(answer, headers={"ETag": f'"{answer["revision"]}"'})


async def create_expense(request: Request) -> JSONResponse:
    """Record an expense under the ledger's lock; answer after the commit."""
    data = json.loads(await request.body())
    currency = data["currency"]
    amount = money.to_thousandths(money.parse_amount(data["amount"]), currency)
    spent_on = date.fromisoformat(data["date"]).isoformat()
    payee, description = data["payee"], data["description"]
    instant = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    async with request.app.state.writes.acquire() as connection, connection.cursor() as cursor:
        owner, _ = await load_caller(request, cursor)
        await cursor.execute(LOCK, (owner,))
        revision, count, text_bytes, *rest = await cursor.fetchone()
        keys = (owner, make_name_key(data["category"]), owner, make_name_key(payee))
        await cursor.execute(CATEGORY_AND_PAYEE, keys)
        (category_id, category), (payee_id, _) = await cursor.fetchall()
        text_bytes += len(payee.encode()) + len(description.encode())
        await cursor.execute(ADVANCE, (revision + 1, count + 1, text_bytes, *rest, owner))
        values = (
            payee_id,
            None,
            amount,
            currency,
            spent_on,
            payee,
            make_text_key(payee),
            description,
            make_text_key(description),
            None,
            revision + 1,
            instant,
            instant,
        )
        await cursor.execute(INSERT, (owner, category_id, *values))
        number = cursor.lastrowid
        await connection.commit()
    texts = (category, payee, description, None)
    row = (number, amount, currency, spent_on, *texts, None, revision + 1, instant, instant)
    return JSONResponse(build_expense(row), 201, {"Location": f"/expenses/{number}", "ETag": f'"{revision + 1}"'})


async def create_pool(*, autocommit: bool) -> Pool:
    """Open a pool with the service's connection settings."""
    return await importlib.import_module(DRIVER).create_pool(
        10,
        10,
        host=URL.hostname,
        port=URL.port,
        user=URL.username,
        password=URL.password,
        db=URL.path[1:],
        charset="utf8mb4",
        conv=TEXT_DATES,
        autocommit=autocommit,
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open two pools: in autocommit for reads, and for transactions."""
    pools = app.state.reads, app.state.writes = [
        await create_pool(autocommit=True),
        await create_pool(autocommit=False),
    ]
    yield
    for each in pools:
        each.close()
        await each.wait_closed()


app = Starlette(
    routes=[
        Route("/expenses", list_expenses),
        Route("/expenses", create_expense, methods=["POST"]),
        Route("/expenses/{expense_id:int}", read_expense),
    ],
    exception_handlers={SignInFirst: refuse},
    lifespan=lifespan,
)
