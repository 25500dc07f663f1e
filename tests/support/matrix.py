"""Lists all operations, fields and parameters from the OpenAPI document, so that tests cover new ones by themselves.

    resolved, choices, objects, fields      the objects and fields of a request body, by its schema
    ledger_of, OwnedRows                    a user with a row of each kind; fills in a path or an example body
    call                                    sends an operation, comparable byte by byte
    dump, comparable, status_and_code       what the tests look at afterwards: rows, answers, headers

Rows, ids and secrets in the document's examples are replaced by those of the user who sends the request.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx
from sqlalchemy import Connection, Table, bindparam, insert, select

from auth import hash_token
from database import Base, get_inserted_id, now
from models import PersonalToken, RefreshToken
from tests.support.document import DOCUMENT, Node
from tests.support.people import Person
from tests.support.rows import filling
from users.client_address import build_client
from users.personal_tokens import generate_token
from values.fields import LARGEST_ID

Path = tuple[str | int, ...]
Operation = tuple[str, str]

METHODS: Final = ("GET", "PUT", "POST", "PATCH", "DELETE")
OPERATIONS: Final[dict[Operation, Node]] = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if method.upper() in METHODS
}
# Deny by default: all operations that are not listed here must authenticate the caller. Nobody has a token before
# registering and signing in; a refresh token identifies its session itself; the rest is about the service.
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
# Whoever puts a profile under a name has it then.
OF_ONE_ROW: Final = sorted(
    operation for operation in OPERATIONS if "{" in operation[1] and operation != ("PUT", "/imports/profiles/{name}")
)
FORM: Final = "application/x-www-form-urlencoded"
UPLOAD: Final = "multipart/form-data"
BOUNDARY: Final = "part"
STATEMENT: Final = "Date,Payee,Amount,Currency\n2026-11-02,Market,-12.50,EUR\n2026-11-23,Cafe,-3.50,EUR\n"
# Answers repeat the request id; with the same id, two answers can be compared byte by byte.
SAME_REQUEST: Final = {"X-Request-ID": "the-same"}
# Without these queries the operations are refused: a category in use needs them, and a bulk change needs a filter.
QUERIES: Final[Mapping[Operation, str]] = {
    ("DELETE", "/categories/{category_id}"): "?uncategorized=true",
    ("PATCH", "/expenses"): "?from=1900-01-01",
    ("DELETE", "/expenses"): "?from=1900-01-01",
}

OTHER_SESSION: Final = select(RefreshToken.session_id).where(
    RefreshToken.owner_id == bindparam("owner"), RefreshToken.token_hash == bindparam("hash")
)

newcomers: Final = count(1)


# --- the document -----------------------------------------------------------------------------------------------------


def resolved(schema: Node) -> Node:
    """Return a schema, or the one that its `$ref` names."""
    return DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def choices(schema: Node) -> list[Node]:
    """Return the alternatives of a schema: those of `oneOf` or `anyOf`, or itself."""
    return [resolved(choice) for choice in schema.get("oneOf") or schema.get("anyOf") or [schema]]


def media_type(operation: Operation) -> str | None:
    """Return the media type of an operation's body, or None if it has none."""
    return next(iter(OPERATIONS[operation].get("requestBody", {}).get("content", {})), None)


def body_schema(operation: Operation) -> Node:
    """Return the schema of an operation's body."""
    (media,) = OPERATIONS[operation]["requestBody"]["content"].values()
    return resolved(media["schema"])


def parameters(operation: Operation, where: str) -> list[str]:
    """Return the names of an operation's parameters in the path, the query or the headers."""
    listed = OPERATIONS[operation].get("parameters", ())
    return [parameter["name"] for parameter in listed if parameter["in"] == where]


@dataclass(frozen=True, slots=True)
class Place:
    """An object in a body: its path, its schema, and a whole body that contains it."""

    path: Path
    schema: Node
    body: Any

    def within(self, step: str | int, whole: Any) -> Self:  # noqa: ANN401
        """Return the same object with a path that begins one level higher, in the body `whole`."""
        return type(self)((step, *self.path), self.schema, whole)


def objects(schema: Node) -> Iterator[Place]:
    """Yield each object that a value of this schema can contain, for each alternative, within an example body."""
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
    """A field of an object in a body; its schema may not have it, for tests of unknown fields."""

    place: Place
    name: str

    @property
    def pointer(self) -> str:
        """The JSON Pointer of the field."""
        return "".join(f"/{step}" for step in (*self.place.path, self.name))

    @property
    def schema(self) -> Node:
        """The schema of the field."""
        return resolved(self.place.schema["properties"][self.name])

    @property
    def is_ignored(self) -> bool:
        """Whether the service ignores the field, so that a row can be sent back as it was read."""
        return self.schema.get("description") == "Ignored."

    def may_be(self, kind: str) -> bool:
        """Whether the field accepts values of this JSON type."""
        return any(choice.get("type", kind) == kind for choice in choices(self.schema))


def fields(operation: Operation) -> list[Field]:
    """Return every field of every object of an operation's body."""
    return [Field(place, name) for place in objects(body_schema(operation)) for name in place.schema["properties"]]


def put(whole: Any, path: Path, name: str, value: object) -> Any:  # noqa: ANN401
    """Return a copy of a body with one field of one object in it set to a value."""
    body = copy.deepcopy(whole)
    inner = body
    for step in path:
        inner = inner[step]
    inner[name] = value
    return body


# --- a ledger that can be tried ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class OwnedRows:
    """A user with a row of each kind that a path can name; `own_values` has what bodies need for these rows."""

    person: Person
    ids: dict[str, Any]
    own_values: dict[str, Any]

    @property
    def owner_id(self) -> int:
        """The person's id."""
        return int(self.person.user["id"])

    def address(self, operation: Operation, row_id: object = None) -> str:
        """Return the path of an operation, with `row_id` or else the id of the user's own row."""
        return operation[1].format(
            **{name: self.ids[name] if row_id is None else row_id for name in parameters(operation, "path")}
        )

    def body(self, whole: Any, **otherwise: object) -> Any:  # noqa: ANN401
        """Return an example body with the user's own ids and secrets in it; `otherwise` replaces further values."""
        if isinstance(whole, list):
            return [self.body(element, **otherwise) for element in whole]
        values = self.own_values | otherwise
        return (
            {name: values.get(name, self.body(value, **otherwise)) for name, value in whole.items()}
            if isinstance(whole, dict)
            else whole
        )

    def example(self, operation: Operation, **otherwise: object) -> Any:  # noqa: ANN401
        """Return the document's example body with the user's own values, or None if there is no body."""
        return (
            self.made_out(operation, body_schema(operation)["example"], **otherwise) if media_type(operation) else None
        )

    def made_out(self, operation: Operation, whole: Any, **otherwise: object) -> Any:  # noqa: ANN401
        """Return a body with the user's own values; for a registration, with an unused name and e-mail."""
        body = self.body(whole, **otherwise)
        return body | newcomer() if operation == ("POST", "/users/register") else body


def newcomer() -> dict[str, str]:
    """Return a user name and an e-mail that are not in use."""
    name = f"newcomer-{next(newcomers)}"
    return {"username": name, "email": f"{name}@example.com"}


def encode_body(operation: Operation, body: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return httpx's arguments for a body, in the operation's media type; surrogates are kept."""
    kind = media_type(operation)
    if kind is None or body is None:
        return {}
    if kind == UPLOAD and isinstance(body, dict):
        return {"content": _write_parts(body), "headers": {"Content-Type": f"{UPLOAD}; boundary={BOUNDARY}"}}
    text = urlencode(body, errors="surrogatepass") if kind == FORM else json.dumps(body)
    return {"content": text.encode(), "headers": {"Content-Type": kind}}


def _write_parts(body: dict[str, Any]) -> bytes:
    """Return a form with a file, whose content is a statement; all that is no text is sent as JSON."""
    lines = []
    for name, value in body.items():
        is_file = name == "file"
        about = f'Content-Disposition: form-data; name="{name}"' + '; filename="statement.csv"' * is_file
        content = STATEMENT if is_file else value if isinstance(value, str) else json.dumps(value)
        lines += [f"--{BOUNDARY}", about, "", content]
    return "\r\n".join([*lines, f"--{BOUNDARY}--", ""]).encode("utf-8", "surrogatepass")


async def call(
    client: httpx.AsyncClient, operation: Operation, address: str, body: object = None, **headers: str
) -> httpx.Response:
    """Send a request of an operation, always with the same request id, so that two answers can be compared."""
    sent = encode_body(operation, body)
    sent["headers"] = SAME_REQUEST | sent.get("headers", {}) | headers
    return await client.request(operation[0], address, **sent)


async def sign_in(person: Person) -> dict[str, Any]:
    """Sign the user in once more, and return the tokens of the new session."""
    form = {"username": person.user["username"], "password": person.password}
    tokens: dict[str, Any] = (await person.post("/users/token", data=form)).raise_for_status().json()
    return tokens


async def made(person: Person, path: str, **fields: object) -> dict[str, Any]:
    """Create a row, and return it."""
    row: dict[str, Any] = (await person.post(path, json=fields)).raise_for_status().json()
    return row


async def ledger_of(person: Person, after: int = 0) -> OwnedRows:
    """Insert one row of each kind for a user, with names that contain the user name and the next revisions `after`."""
    own, owner_id, sessions = f"of {person.user['username']}", person.user["id"], person.app.state.services.sessions
    async with filling(person) as rows:
        budget_id = await rows.budget(after + 1, 200_000, "week", own)
        trashed_id = await rows.spend(after + 2, 3_000)
        # One change for both, so that the revision of the expense is also that of a deletion.
        texts: dict[str, Any] = {"category": own, "payee": own, "tags": [own], "external_id": own, "description": own}
        expense_id = await rows.spend(after + 3, **texts)
        await rows.discard(after + 3, trashed_id)
        import_id = await rows.take_in(after + 4, own)
        session = await sessions.open(rows.connection, owner_id, build_client("127.0.0.1", None))
        this = {"owner": owner_id, "hash": hash_token(session.refresh_token)}
        session_id = (await rows.connection.execute(OTHER_SESSION, this)).scalar_one()
        script = {"name": own, "scope": "write", "token_hash": hash_token(generate_token()), "created_at": now()}
        token = await rows.connection.execute(insert(PersonalToken), {"owner_id": owner_id} | script)
    ids = {
        "expense_id": expense_id,
        "category_id": rows.categories[own],
        "tag_id": rows.tags[own],
        "budget_id": budget_id,
        "import_id": import_id,
        "name": own,
        "session_id": session_id,
        "token_id": get_inserted_id(token),
    }
    own_values = {
        "id": expense_id,
        "revision": after + 3,
        "username": person.user["username"],
        "password": person.password,
        "current_password": person.password,
        "refresh_token": session.refresh_token,
    }
    return OwnedRows(person, ids, own_values)


# --- what is looked at ------------------------------------------------------------------------------------------------


def dump(connection: Connection, owner_id: int) -> dict[str, list[str]]:
    """Return all rows of a user by table, without `last_used_at` of tokens: a refused request updates it too."""
    return {
        table.name: sorted(map(repr, connection.execute(select(*columns).where(_owner(table) == owner_id))))
        for table in Base.metadata.sorted_tables
        if _owner(table) is not None
        for columns in [[column for column in table.c if column is not PersonalToken.__table__.c.last_used_at]]
    }


def _owner(table: Table) -> Any:  # noqa: ANN401
    return table.c.id if table.name == "users" else table.c.get("owner_id")


def comparable(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Return status, body and headers of an answer."""
    return answer.status_code, answer.content, answer.headers.multi_items()


def status_and_code(answer: httpx.Response) -> tuple[int, str]:
    """Return the status of an answer, and the code of its problem or an empty string."""
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else ""


def bearer(token: str, **headers: str) -> dict[str, str]:
    """Return an Authorization header with a token, and other headers."""
    return {"Authorization": f"Bearer {token}", **headers}


def lacking(answer: httpx.Response) -> list[str]:
    """Return a sentence for each common header that an answer lacks, has twice, or should not have."""
    sent, headers = answer.request, answer.headers
    expected = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    }
    if sent.url.path.startswith("/users"):
        expected["cache-control"] = "no-store"
    elif "authorization" in sent.headers:
        expected["cache-control"] = "private, no-cache"
    if "authorization" in sent.headers:
        expected["vary"] = "Authorization, Origin"
    names = [name for name, _ in headers.multi_items()]
    wrong = [name for name, value in expected.items() if headers.get(name) != value]
    wrong += [] if headers.get("x-request-id") else ["x-request-id"]
    wrong += sorted({"server", "x-powered-by"} & set(names))
    wrong += sorted({f"{name} twice" for name in names if names.count(name) > 1})
    return [f"{sent.method} {sent.url.path[:60]} {answer.status_code}: {name}" for name in wrong]


UNKNOWN: Final = LARGEST_ID
"""An id, and a revision, that does not exist."""
