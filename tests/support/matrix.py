"""What the OpenAPI document says there is to try; a new operation, field or parameter joins by itself."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx
from sqlalchemy import Connection, Table, select

from config import Settings
from database import Base
from main import create_app
from models import PersonalToken
from tests.support.people import Person
from values.fields import LARGEST_ID

Node = dict[str, Any]
Path = tuple[str | int, ...]
Operation = tuple[str, str]

METHODS: Final = ("GET", "PUT", "POST", "PATCH", "DELETE")
DOCUMENT: Final[Node] = create_app(Settings(database_url="sqlite:///never-opened.db", _env_file=None)).openapi()
OPERATIONS: Final[dict[Operation, Node]] = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method.upper() in METHODS
}
# Deny by default: what is missing here must ask who is calling. The service itself is nobody's; one registers and signs
# in before there is a token; and a refresh token says itself whose it is, also when the access token has expired.
PUBLIC: Final = {
    ("POST", "/users/register"),
    ("POST", "/users/token"),
    ("POST", "/users/token/refresh"),
    ("POST", "/users/logout"),
    ("GET", "/currencies"),
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/ready"),
}
CLOSED: Final = sorted(OPERATIONS.keys() - PUBLIC)
OF_ONE_ROW: Final = sorted(operation for operation in OPERATIONS if "{" in operation[1])
FORM: Final = "application/x-www-form-urlencoded"
# Only the one that asks knows this id; with the same one two answers can be equal to the last byte.
SAME_REQUEST: Final = {"X-Request-ID": "the-same"}
# Without them, some do nothing: a category in use stays, and nobody changes all expenses by leaving out the filter.
QUERIES: Final[Mapping[Operation, str]] = {
    ("DELETE", "/categories/{category_id}"): "?uncategorized=true",
    ("PATCH", "/expenses"): "?from=1900-01-01",
    ("DELETE", "/expenses"): "?from=1900-01-01",
}

newcomers: Final = count(1)


# --- the document -----------------------------------------------------------------------------------------------------


def resolved(schema: Node) -> Node:
    """Follow a reference."""
    return DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def choices(schema: Node) -> list[Node]:
    """Return what a value may be by a schema."""
    return [resolved(it) for it in schema.get("oneOf") or schema.get("anyOf") or [schema]]


def media_type(operation: Operation) -> str | None:
    """Return the type of the body that an operation takes, or None."""
    return next(iter(OPERATIONS[operation].get("requestBody", {}).get("content", {})), None)


def body_schema(operation: Operation) -> Node:
    """Return what the document says of an operation's body."""
    (media,) = OPERATIONS[operation]["requestBody"]["content"].values()
    return resolved(media["schema"])


def parameters(operation: Operation, where: str) -> list[str]:
    """Return the names of an operation's parameters in the path, the query or the headers."""
    return [it["name"] for it in OPERATIONS[operation].get("parameters", ()) if it["in"] == where]


@dataclass(frozen=True, slots=True)
class Place:
    """An object in a body: where it is, by which schema, and a whole body that it is in."""

    path: Path
    schema: Node
    body: Any

    def within(self, step: str | int, whole: Any) -> Self:  # noqa: ANN401
        """Return the same place, seen from one level higher."""
        return type(self)((step, *self.path), self.schema, whole)


def objects(schema: Node) -> Iterator[Place]:
    """Yield every object that a value of this schema can hold, each choice of them, in an example of the whole."""
    for choice in choices(schema):
        if choice.get("type") == "array":
            for place in objects(choice["items"]):
                yield place.within(0, [place.body])
        elif "properties" in choice:
            yield Place((), choice, choice["example"])
            for name, inner in choice["properties"].items():
                for place in objects(inner):
                    yield place.within(name, choice["example"] | {name: place.body})


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object in a body, or one that is not there by its schema."""

    place: Place
    name: str

    @property
    def pointer(self) -> str:
        """Where it is, as a JSON Pointer."""
        return "".join(f"/{step}" for step in (*self.place.path, self.name))

    @property
    def schema(self) -> Node:
        """What the document says of it."""
        return resolved(self.place.schema["properties"][self.name])

    @property
    def is_ignored(self) -> bool:
        """Whether it is there because it was read, and may be anything."""
        return self.schema.get("description") == "Ignored."

    def may_be(self, kind: str) -> bool:
        """Tell whether it takes values of this type."""
        return any(it.get("type", kind) == kind for it in choices(self.schema))


def fields(operation: Operation) -> list[Field]:
    """Return every field of every object of an operation's body."""
    return [Field(place, name) for place in objects(body_schema(operation)) for name in place.schema["properties"]]


def put(whole: Any, path: Path, name: str, value: object) -> Any:  # noqa: ANN401
    """Return a copy of a body with one field of one object in it set to a value."""
    made = copy.deepcopy(whole)
    inner = made
    for step in path:
        inner = inner[step]
    inner[name] = value
    return made


# --- a ledger that can be tried ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ledger:
    """A person with a row of each kind that a path can name, and what a body must say to be about these rows."""

    person: Person
    ids: dict[str, int]
    said: dict[str, Any]

    @property
    def owner_id(self) -> int:
        """The person's id."""
        return int(self.person.user["id"])

    def address(self, operation: Operation, row_id: object = None) -> str:
        """Return where the operation is, of the person's own row or of this one."""
        return operation[1].format(
            **{it: self.ids[it] if row_id is None else row_id for it in parameters(operation, "path")}
        )

    def body(self, whole: Any, **otherwise: object) -> Any:  # noqa: ANN401
        """Return a body in which the person's own ids and secrets stand instead of an example's."""
        if isinstance(whole, list):
            return [self.body(it, **otherwise) for it in whole]
        said = self.said | otherwise
        return (
            {name: said.get(name, self.body(it, **otherwise)) for name, it in whole.items()}
            if isinstance(whole, dict)
            else whole
        )

    def example(self, operation: Operation, **otherwise: object) -> Any:  # noqa: ANN401
        """Return the body that the document gives as an example, made the person's own, or None."""
        return (
            self.made_out(operation, body_schema(operation)["example"], **otherwise) if media_type(operation) else None
        )

    def made_out(self, operation: Operation, whole: Any, **otherwise: object) -> Any:  # noqa: ANN401
        """Return a body made the person's own, under a name that nobody has where it opens an account."""
        made = self.body(whole, **otherwise)
        return made | newcomer() if operation == ("POST", "/users/register") else made


def newcomer() -> dict[str, str]:
    """Return a name and an e-mail that nobody has."""
    name = f"newcomer-{next(newcomers)}"
    return {"username": name, "email": f"{name}@example.com"}


def encoded(operation: Operation, body: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the body and its header as an operation takes them, with whatever half characters there are."""
    kind = media_type(operation)
    if kind is None or body is None:
        return {}
    text = urlencode(body, errors="surrogatepass") if kind == FORM else json.dumps(body)
    return {"content": text.encode(), "headers": {"Content-Type": kind}}


async def call(
    client: httpx.AsyncClient, operation: Operation, address: str, body: object = None, **headers: str
) -> httpx.Response:
    """Call an operation at an address, so that two answers can be compared."""
    sent = encoded(operation, body)
    sent["headers"] = SAME_REQUEST | sent.get("headers", {}) | headers
    return await client.request(operation[0], address, **sent)


async def sign_in(person: Person) -> dict[str, Any]:
    """Open one more session of a person, and return its tokens."""
    form = {"username": person.user["username"], "password": person.password}
    tokens: dict[str, Any] = (await person.post("/users/token", data=form)).raise_for_status().json()
    return tokens


async def made(person: Person, path: str, **fields: object) -> dict[str, Any]:
    """Make a row, and return it."""
    row: dict[str, Any] = (await person.post(path, json=fields)).raise_for_status().json()
    return row


async def ledger_of(person: Person) -> Ledger:
    """Give a person one row of each kind, under names that nobody else has."""
    own = f"of {person.user['username']}"
    kept = await made(person, "/expenses", amount="12.50", category=own, external_id=own)
    category = (await person.get("/categories")).json()["items"][0]
    budget = await made(person, "/budgets", amount="200.00", category=own, period="week")
    trashed = await made(person, "/expenses", amount="3.00")
    # One change for both, so that the revision of the expense is also that of a deletion.
    operations = [
        {"op": "update", "id": kept["id"], "data": {"description": own}},
        {"op": "delete", "id": trashed["id"]},
    ]
    together = await made(person, "/expenses/batch", operations=operations)
    session = await sign_in(person)
    sessions = (await person.get("/users/me/sessions")).json()["items"]
    token = await made(person, "/users/me/tokens", name=own, scope="write")
    ids = {
        "expense_id": kept["id"],
        "category_id": category["id"],
        "budget_id": budget["id"],
        "session_id": next(it["id"] for it in sessions if not it["current"]),
        "token_id": token["id"],
    }
    said = {
        "id": kept["id"],
        "revision": together["revision"],
        "username": person.user["username"],
        "password": person.password,
        "current_password": person.password,
        "refresh_token": session["refresh_token"],
    }
    return Ledger(person, ids, said)


# --- what is looked at ------------------------------------------------------------------------------------------------


def dump(connection: Connection, owner_id: int) -> dict[str, list[str]]:
    """Return every row of a person, table by table; only when a script was used is noted of one that is refused too."""
    return {
        table.name: sorted(map(repr, connection.execute(select(*columns).where(_owner(table) == owner_id))))
        for table in Base.metadata.sorted_tables
        if _owner(table) is not None
        for columns in [[it for it in table.c if it is not PersonalToken.__table__.c.last_used_at]]
    }


def _owner(table: Table) -> Any:  # noqa: ANN401
    return table.c.id if table.name == "users" else table.c.get("owner_id")


def comparable(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return everything about an answer."""
    return answer.status_code, answer.content, answer.headers.multi_items()


def said(answer: httpx.Response) -> tuple[int, str]:
    """Return what an answer says went wrong, if anything."""
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else ""


def bearer(token: str, **headers: str) -> dict[str, str]:
    """Return the header that bears a token, and others."""
    return {"Authorization": f"Bearer {token}", **headers}


def lacking(answer: httpx.Response) -> list[str]:
    """Return which headers of every answer an answer lacks, has twice, or should not have."""
    sent, headers = answer.request, answer.headers
    wanted = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }
    if sent.url.path.startswith("/users"):
        wanted["cache-control"] = "no-store"
    elif "authorization" in sent.headers:
        wanted["cache-control"] = "private, no-cache"
    if "authorization" in sent.headers:
        wanted["vary"] = "Authorization, Origin"
    names = [name for name, _ in headers.multi_items()]
    wrong = [name for name, value in wanted.items() if headers.get(name) != value]
    wrong += [] if headers.get("x-request-id") else ["x-request-id"]
    wrong += sorted({"server", "x-powered-by"} & set(names))
    wrong += sorted({f"{name} twice" for name in names if names.count(name) > 1})
    return [f"{sent.method} {sent.url.path[:60]} {answer.status_code}: {name}" for name in wrong]


UNKNOWN: Final = LARGEST_ID
"""An id, and a revision, that nothing has."""
