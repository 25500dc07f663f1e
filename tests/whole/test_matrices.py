"""Every operation of the document, called in ways that are forbidden; new operations and fields are included.

OWASP API Security 2023: API1 (objects of others), API2 and ASVS 7.4.1 (tokens that are over), API3 (fields that nobody
may set), API5 (functions that a token does not open); ASVS 5.0 8.2.x (access) and 2.2.x (input); RFC 6750 section 3.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, update

from database import Base, now
from models import PersonalToken
from tests.support.jwt import decoded
from tests.support.matrix import (
    CLOSED,
    OF_ONE_ROW,
    OPERATIONS,
    PUBLIC,
    QUERIES,
    UNKNOWN,
    Field,
    Operation,
    OwnedRows,
    Place,
    bearer,
    body_schema,
    call,
    comparable,
    dump,
    fields,
    ledger_of,
    made,
    media_type,
    objects,
    parameters,
    put,
    sign_in,
    status_and_code,
)
from tests.support.people import Person, signed_up
from tests.support.servers import make_plain_engine


@pytest.fixture(scope="module")
def rows(database_url: str) -> Iterator[Connection]:
    """A look at the rows past the app, that sees each commit."""
    engine = make_plain_engine(database_url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


# --- tokens that open nothing -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LedgerWithTokens:
    """A ledger, a script of each scope, and tokens that do not open it: each with the code that it is refused with."""

    ledger: OwnedRows
    tokens: dict[str, tuple[str | None, str]]
    scripts: dict[str, str]


async def logged_out(person: Person) -> str:
    session = await sign_in(person)
    await person.post("/users/logout", json={"refresh_token": session["refresh_token"]})
    return str(session["access_token"])


async def of_a_deleted_session(person: Person) -> str:
    token = str((await sign_in(person))["access_token"])
    sessions = (await person.get("/users/me/sessions", headers=bearer(token))).json()["items"]
    (current,) = [it["id"] for it in sessions if it["current"]]
    await person.delete(f"/users/me/sessions/{current}")
    return token


async def of_before_another_password(person: Person) -> str:
    token = str((await sign_in(person))["access_token"])
    words = {"current_password": person.password, "new_password": "another walk along the sea"}
    await person.put("/users/me/password", json=words)
    person.password = words["new_password"]
    return token


async def of_a_deleted_account(app: FastAPI) -> tuple[str, str]:
    async with signed_up(app) as leaver:
        script = await made(leaver, "/users/me/tokens", name="left behind", scope="write")
        await leaver.request("DELETE", "/users/me", json={"current_password": leaver.password})
        return leaver.token, str(script["token"])


def expired(app: FastAPI, person: Person) -> str:
    """Sign what the service would have signed for the person's session earlier."""
    sid = decoded(person.token.split(".")[1])["sid"]
    return str(app.state.services.access_tokens.issue(person.user["id"], sid, -1))


async def expired_script(person: Person, rows: Connection) -> str:
    script = await made(person, "/users/me/tokens", name="over", scope="write")
    over = {"expires_at": now() - timedelta(hours=1)}
    rows.execute(update(PersonalToken).where(PersonalToken.id == script["id"]).values(over))
    return str(script["token"])


async def deleted_script(person: Person) -> str:
    script = await made(person, "/users/me/tokens", name="gone", scope="write")
    await person.delete(f"/users/me/tokens/{script['id']}")
    return str(script["token"])


@pytest.fixture(scope="module")
async def house(app: FastAPI, rows: Connection) -> AsyncIterator[LedgerWithTokens]:
    async with signed_up(app) as person:
        left, left_script = await of_a_deleted_account(app)
        tokens: dict[str, tuple[str | None, str]] = {
            "none": (None, "not_authenticated"),
            "garbage": ("x", "invalid_token"),
            "garbage of a script": ("etk_x", "invalid_token"),
            "garbage of three parts": ("e30.e30.e30", "invalid_token"),
            "logged out": (await logged_out(person), "invalid_token"),
            "session deleted": (await of_a_deleted_session(person), "invalid_token"),
            "password changed": (await of_before_another_password(person), "invalid_token"),
            "account deleted": (left, "invalid_token"),
            "account deleted, script": (left_script, "invalid_token"),
            "expired": (expired(app, person), "token_expired"),
            "refresh token": ((await sign_in(person))["refresh_token"], "invalid_token"),
            "script deleted": (await deleted_script(person), "invalid_token"),
        }
        scripts = {
            scope: str((await made(person, "/users/me/tokens", name=scope, scope=scope))["token"])
            for scope in ("read", "write")
        }
        ledger = await ledger_of(person)
        # The last one, since whoever makes another sweeps those that are over.
        tokens["script expired"] = (await expired_script(person, rows), "token_expired")
        yield LedgerWithTokens(ledger, tokens, scripts)


async def with_token(
    client: httpx.AsyncClient, house: LedgerWithTokens, operation: Operation, token: str | None
) -> Any:  # noqa: ANN401
    """Call an operation with the owner's own ids and secrets, so that nothing but the token is in the way."""
    address = house.ledger.address(operation) + QUERIES.get(operation, "")
    return await call(client, operation, address, house.ledger.example(operation), **(bearer(token) if token else {}))


async def challenges(
    client: httpx.AsyncClient, house: LedgerWithTokens, operation: Operation
) -> dict[str, tuple[Any, ...]]:
    """Return for each token the status, the code and the challenge that it meets."""
    answers = {name: await with_token(client, house, operation, token) for name, (token, _) in house.tokens.items()}
    return {
        name: (*status_and_code(it), it.headers.get("WWW-Authenticate", "").split(",")[0])
        for name, it in answers.items()
    }


def challenge(code: str) -> tuple[int, str, str]:
    # RFC 6750 section 3.1: who sent no token is told no error.
    return 401, code, "Bearer" if code == "not_authenticated" else 'Bearer error="invalid_token"'


def test_the_matrix_of_tokens_is_not_empty() -> None:
    assert len(CLOSED) >= 36
    assert {("GET", "/expenses"), ("POST", "/expenses/batch"), ("DELETE", "/users/me/tokens/{token_id}")} <= set(CLOSED)


@pytest.mark.wire
@pytest.mark.parametrize("operation", CLOSED, ids=" ".join)
async def test_a_token_that_is_over_opens_and_changes_nothing(
    client: httpx.AsyncClient, house: LedgerWithTokens, rows: Connection, operation: Operation
) -> None:
    before = dump(rows, house.ledger.owner_id)

    met = await challenges(client, house, operation)

    assert met == {name: challenge(code) for name, (_, code) in house.tokens.items()}
    assert dump(rows, house.ledger.owner_id) == before


@pytest.mark.wire
@pytest.mark.parametrize("operation", CLOSED, ids=" ".join)
async def test_a_token_anywhere_but_in_its_header_opens_nothing(
    client: httpx.AsyncClient, house: LedgerWithTokens, operation: Operation
) -> None:
    # RFC 6750 section 2.3, and RFC 9700 section 4.3.2: an address ends in logs.
    token = house.ledger.person.token

    answer = await call(
        client, operation, f"{house.ledger.address(operation)}?access_token={token}", Cookie=f"access_token={token}"
    )

    assert status_and_code(answer) == (401, "not_authenticated")


@pytest.mark.wire
@pytest.mark.parametrize("operation", CLOSED, ids=" ".join)
async def test_the_same_request_is_taken_with_a_token_that_is_good(app: FastAPI, operation: Operation) -> None:
    async with signed_up(app) as person:
        ledger = await ledger_of(person)
        address = ledger.address(operation) + QUERIES.get(operation, "")
        answer = await call(person, operation, address, ledger.example(operation))

    assert answer.status_code in {200, 201, 204}


# --- scripts ----------------------------------------------------------------------------------------------------------

# A token to read opens every operation that reads, and below /users only the profile.
TO_READ: Final = [
    it
    for it in CLOSED
    if it[0] == "GET" and (not it[1].startswith("/users") or it[1] in {"/users/me", "/users/me/archive"})
]
NOT_TO_READ: Final = sorted(set(CLOSED) - set(TO_READ))
OF_THE_ACCOUNT: Final = [it for it in NOT_TO_READ if it[1].startswith("/users")]
OF_THE_LEDGER: Final = [it for it in NOT_TO_READ if it not in OF_THE_ACCOUNT]


def test_the_matrix_of_scopes_is_not_empty() -> None:
    assert {("GET", "/users/me"), ("GET", "/changes"), ("GET", "/expenses/{expense_id}")} <= set(TO_READ)
    assert {("DELETE", "/expenses"), ("GET", "/users/me/sessions")} <= set(NOT_TO_READ)
    assert {("POST", "/users/me/tokens"), ("DELETE", "/users/me")} <= set(OF_THE_ACCOUNT)


@pytest.mark.parametrize("operation", CLOSED, ids=" ".join)
def test_the_document_says_what_a_script_may(operation: Operation) -> None:
    needed = [] if operation in OF_THE_ACCOUNT else [{"PersonalToken": ["read" if operation in TO_READ else "write"]}]

    assert OPERATIONS[operation]["security"] == [{"SignIn": []}, *needed]


@pytest.mark.parametrize("operation", NOT_TO_READ, ids=" ".join)
def test_the_document_says_where_a_scope_can_be_missing(operation: Operation) -> None:
    examples = OPERATIONS[operation]["responses"]["403"]["content"]["application/problem+json"]["examples"]

    assert examples.keys() == {"insufficient_scope"}


@pytest.mark.parametrize("operation", [*TO_READ, *sorted(PUBLIC)], ids=" ".join)
def test_the_document_says_where_no_scope_can_be_missing(operation: Operation) -> None:
    assert "insufficient_scope" not in str(OPERATIONS[operation]["responses"].get("403"))


@pytest.mark.wire
@pytest.mark.parametrize("operation", TO_READ, ids=" ".join)
@pytest.mark.parametrize("scope", ["read", "write"])
async def test_either_scope_reads(
    client: httpx.AsyncClient, house: LedgerWithTokens, operation: Operation, scope: str
) -> None:
    assert (await with_token(client, house, operation, house.scripts[scope])).status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize("operation", OF_THE_LEDGER, ids=" ".join)
async def test_a_script_that_may_write_writes(app: FastAPI, operation: Operation) -> None:
    async with signed_up(app) as person:
        ledger = await ledger_of(person)
        script = await made(person, "/users/me/tokens", name="nightly", scope="write")
        address = ledger.address(operation) + QUERIES.get(operation, "")
        answer = await call(person, operation, address, ledger.example(operation), **bearer(script["token"]))

    assert answer.status_code in {200, 201, 204}


async def refused_for_its_scope(
    client: httpx.AsyncClient, house: LedgerWithTokens, rows: Connection, operation: Operation, scope: str
) -> str:
    """See that a script is refused for its scope, and without an effect; return the challenge."""
    before = dump(rows, house.ledger.owner_id)

    answer = await with_token(client, house, operation, house.scripts[scope])

    assert status_and_code(answer) == (403, "insufficient_scope")
    assert dump(rows, house.ledger.owner_id) == before
    return str(answer.headers["WWW-Authenticate"])


@pytest.mark.wire
@pytest.mark.parametrize("operation", OF_THE_LEDGER, ids=" ".join)
async def test_a_script_that_may_read_changes_nothing(
    client: httpx.AsyncClient, house: LedgerWithTokens, rows: Connection, operation: Operation
) -> None:
    # RFC 6750 section 3.1: the scope that is wanted is named. OWASP API5:2023.
    challenge = await refused_for_its_scope(client, house, rows, operation, "read")

    assert challenge == 'Bearer error="insufficient_scope", scope="write"'


@pytest.mark.wire
@pytest.mark.parametrize("operation", OF_THE_ACCOUNT, ids=" ".join)
@pytest.mark.parametrize("scope", ["read", "write"])
async def test_no_script_touches_the_account(
    client: httpx.AsyncClient, house: LedgerWithTokens, rows: Connection, operation: Operation, scope: str
) -> None:
    # RFC 6750 section 3.1: no scope is named, since none would do.
    challenge = await refused_for_its_scope(client, house, rows, operation, scope)

    assert challenge == 'Bearer error="insufficient_scope"'


# --- ids of others, beside those in paths -----------------------------------------------------------------------------

# A category is spoken of by its name. A name in a body is no reference to a row that is there: it makes the category.
NAMES_OF_ROWS: Final = {"category", "move_to"}


def is_id(name: str) -> bool:
    return name in {"id", "revision"} or name.endswith("_id")


IDS_IN_BODIES: Final = [
    (operation, field)
    for operation in CLOSED
    if media_type(operation)
    for field in fields(operation)
    # Of a file's columns, one of which may have the bank's own ids.
    if field.place.schema["title"] != "ImportColumns"
    if is_id(field.name) and field.may_be("integer") and not field.is_ignored
]
IDS_IN_QUERIES: Final = [
    (operation, name)
    for operation in CLOSED
    for name in parameters(operation, "query")
    if is_id(name) or name in NAMES_OF_ROWS
]


def place_of(it: object) -> str:
    return (
        " ".join(it)
        if isinstance(it, tuple)
        else f"{it.pointer} of {it.place.schema['title']}"
        if isinstance(it, Field)
        else str(it)
    )


@pytest.fixture(scope="module")
async def strangers(app: FastAPI) -> AsyncIterator[OwnedRows]:
    """Another user's ledger, which has done more: what a revision of the first one's did, none of this one's did."""
    async with signed_up(app) as person:
        yield await ledger_of(person, after=5)


def test_the_matrix_of_ids_is_not_empty() -> None:
    bodies = {(path, field.pointer, field.place.schema["title"]) for (_, path), field in IDS_IN_BODIES}
    assert {
        ("/expenses/batch", "/operations/0/id", "UpdateOperation"),
        ("/expenses/batch", "/operations/0/id", "DeleteOperation"),
        ("/expenses/restore", "/revision", "Deletion"),
    } <= bodies
    assert {
        (("GET", "/expenses"), "external_id"),
        (("DELETE", "/expenses"), "category"),
        (("DELETE", "/categories/{category_id}"), "move_to"),
    } <= set(IDS_IN_QUERIES)


async def with_id(strangers: OwnedRows, operation: Operation, field: Field, value: object) -> httpx.Response:
    body = put(strangers.body(field.place.body), field.place.path, field.name, value)
    return await call(strangers.person, operation, strangers.address(operation), body)


@pytest.mark.parametrize(("operation", "field"), IDS_IN_BODIES, ids=place_of)
async def test_a_strangers_id_in_a_body_is_an_unknown_one(
    house: LedgerWithTokens, strangers: OwnedRows, rows: Connection, operation: Operation, field: Field
) -> None:
    before = [dump(rows, it.owner_id) for it in (house.ledger, strangers)]

    theirs = await with_id(strangers, operation, field, house.ledger.own_values[field.name])

    assert [dump(rows, it.owner_id) for it in (house.ledger, strangers)] == before
    assert comparable(theirs) == comparable(await with_id(strangers, operation, field, UNKNOWN))


def reference(ledger: OwnedRows, name: str) -> object:
    """Return what names a row of theirs: its id, or the name under which they keep all of them."""
    return ledger.ids.get(name, f"of {ledger.person.user['username']}")


async def with_query(strangers: OwnedRows, operation: Operation, name: str, value: object) -> httpx.Response:
    address = f"{strangers.address(operation)}?{httpx.QueryParams({name: value})}"  # type: ignore[dict-item]
    return await call(strangers.person, operation, address, strangers.example(operation))


@pytest.mark.parametrize(("operation", "name"), IDS_IN_QUERIES, ids=place_of)
async def test_a_strangers_row_in_a_query_is_an_unknown_one(
    house: LedgerWithTokens, strangers: OwnedRows, rows: Connection, operation: Operation, name: str
) -> None:
    before = [dump(rows, it.owner_id) for it in (house.ledger, strangers)]

    theirs = await with_query(strangers, operation, name, reference(house.ledger, name))

    assert [dump(rows, it.owner_id) for it in (house.ledger, strangers)] == before
    assert comparable(theirs) == comparable(
        await with_query(strangers, operation, name, UNKNOWN if name in strangers.ids else "of nobody")
    )


# --- fields that nobody may set ---------------------------------------------------------------------------------------

# Mass assignment (API3, ASVS 15.3.3): whatever is a column, and what other services call a power.
TEMPTING: Final = frozenset(
    {column.name for table in Base.metadata.sorted_tables for column in table.columns}
    | {
        "tpyo",
        "is_admin",
        "isAdmin",
        "role",
        "owner",
        "user_id",
        "scopes",
        "verified",
        "current",
        "__proto__",
        "constructor",
    }
)
# A form ignores what it does not know (RFC 6749 section 3.2), and so only JSON is strict.
OBJECTS: Final = [
    (operation, place)
    for operation in sorted(OPERATIONS)
    if media_type(operation) == "application/json"
    for place in objects(body_schema(operation))
]
READ_BACK: Final = [
    (operation, field)
    for operation in OF_ONE_ROW
    if media_type(operation)
    for field in fields(operation)
    if field.is_ignored
]


def object_of(it: object) -> str:
    return f"/{'/'.join(map(str, it.path))} of {it.schema['title']}" if isinstance(it, Place) else place_of(it)


def tempting(place: Place) -> list[str]:
    return sorted(TEMPTING - place.schema["properties"].keys())


async def refused_fields(ledger: OwnedRows, operation: Operation, place: Place) -> list[tuple[int, str, str]]:
    """Send fields that an object has not, and return how each was refused."""
    refused: list[tuple[int, str, str]] = []
    names, address = tempting(place), ledger.address(operation) + QUERIES.get(operation, "")
    # A batch tells no more than twenty of each operation.
    for some in (names[first : first + 20] for first in range(0, len(names), 20)):
        whole = ledger.made_out(operation, place.body)
        for name in some:
            whole = put(whole, place.path, name, 1)
        answer = await call(ledger.person, operation, address, whole)
        refused += [(answer.status_code, it["pointer"], it["code"]) for it in answer.json().get("errors", ())]
    return sorted(refused)


def test_the_matrix_of_objects_is_not_empty() -> None:
    assert {"owner_id", "id", "created_at", "scope", "sid", "password_hash", "is_admin"} <= TEMPTING
    assert {
        (("POST", "/expenses/batch"), "/operations/0/data of ExpenseUpdate"),
        (("POST", "/expenses/batch"), "/operations/0 of DeleteOperation"),
        (("POST", "/users/register"), "/ of UserCreate"),
        (("POST", "/users/me/tokens"), "/ of PersonalTokenCreate"),
        (("POST", "/users/logout"), "/ of RefreshTokenShown"),
    } <= {(operation, object_of(place)) for operation, place in OBJECTS}
    assert {"id", "created_at", "deleted_at", "expense_count"} <= {field.name for _, field in READ_BACK}


@pytest.mark.wire
@pytest.mark.parametrize(("operation", "place"), OBJECTS, ids=object_of)
async def test_a_field_that_is_not_there_is_refused_and_changes_nothing(
    house: LedgerWithTokens, rows: Connection, operation: Operation, place: Place
) -> None:
    before = dump(rows, house.ledger.owner_id)

    refused = await refused_fields(house.ledger, operation, place)

    at = "".join(f"/{step}" for step in place.path)
    assert refused == [(422, f"{at}/{name}", "unknown") for name in tempting(place)]
    assert dump(rows, house.ledger.owner_id) == before


@pytest.mark.parametrize(("operation", "field"), READ_BACK, ids=place_of)
async def test_what_is_only_read_cannot_be_set(strangers: OwnedRows, operation: Operation, field: Field) -> None:
    # A time that has passed may move on by itself, but not to where it is wanted.
    wanted = 1 if field.name in {"id", "expense_count"} else "1999-12-31T00:00:00Z"
    body = put(strangers.body(field.place.body), (), field.name, wanted)

    answer = await call(strangers.person, operation, strangers.address(operation), body)

    assert (answer.status_code, answer.json().get(field.name) == wanted) == (200, False)
