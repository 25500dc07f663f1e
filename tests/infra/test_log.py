"""Log lines: JSON, one for each event (ASVS 5.0 16.2.1), and nothing that was sent."""

import asyncio
import copy
import io
import json
import logging
import re
import secrets
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from starlette.types import Message, Scope

import migrations
from config import Settings
from infra.log import JsonFormatter, log_lifespan, shorten_path
from main import create_app
from migrations.errors import SchemaError
from tests.support.asgi import exchange
from tests.support.document import OPERATIONS_BY_ID, SCHEMAS
from tests.support.people import Person, registered, signed_up
from tests.support.servers import MAIN, ROOT, MySQL, Service, inherited, make_plain_engine
from tests.support.statements import Statements

pytestmark = pytest.mark.wire

CANARY = "c4narybird"
AMOUNT = "83746519.28"
PASSWORD = f"{CANARY} walks along the sea"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FIELDS = {"time", "level", "logger", "message", "request_id", "user_id", "method", "route", "status", "milliseconds"}


class Log(io.StringIO):
    """What would stand in the log."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    @property
    def chains(self) -> list[list[str]]:
        """The types of each error that was logged."""
        return [[error["type"] for error in line["error"]] for line in self.lines if "error" in line]


@contextmanager
def logging_to(log: Log) -> Iterator[None]:
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    """What is logged from here on, at the level of a service."""
    caplog.set_level(logging.INFO, "expense_tracker")
    log = Log()
    with logging_to(log):
        yield log


def written(**record: object) -> str:
    """Return the line of a record of ours."""
    return JsonFormatter().format(logging.makeLogRecord({"name": "expense_tracker", "levelname": "INFO"} | record))


def parsed(**record: object) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(written(**record))
    return line


def complaint(answer: httpx.Response) -> str:
    """Return the body of an answer that is an error, which is to say nothing of what was sent (ASVS 5.0 16.5.1)."""
    return answer.text if answer.is_error else ""


# A line


def test_a_line_says_when_in_utc() -> None:
    # ASVS 5.0 16.2.2
    assert parsed(created=1_795_348_800.25, msecs=250.0)["time"] == "2026-11-22T12:00:00.250Z"


@pytest.mark.parametrize("milliseconds", [0.0, 7.9, 999.0])
def test_a_line_says_when_to_the_millisecond(milliseconds: float) -> None:
    time = parsed(created=1_795_348_800, msecs=milliseconds)["time"]

    assert time == f"2026-11-22T12:00:00.{int(milliseconds):03}Z"


HOSTILE = [
    "two\nlines",
    'a\r\n{"level":"INFO"}',
    "\x1b[31mred\x1b[0m",
    "\x00\x07\x08\x7f",
    "\x85\u2028\u2029",
    "caf\xe9 \u202egnirts",
    "half \ud83d",
    '"}, {"',
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_a_field_cannot_break_out_of_its_line(hostile: str) -> None:
    # ASVS 5.0 16.4.1
    line = written(route=hostile)

    assert (re.fullmatch("[ -~]+", line) is not None, json.loads(line)["route"]) == (True, hostile)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_a_message_cannot_break_out_of_its_line(hostile: str) -> None:
    # ASVS 5.0 16.4.1
    assert re.fullmatch("[ -~]+", written(msg="%s", args=(hostile,)))


def test_a_message_is_its_first_line() -> None:
    # What libraries append are traces and what they had in hand.
    assert parsed(msg=f"Task exception was never retrieved\nfuture: {CANARY}")["message"] == (
        "Task exception was never retrieved"
    )


def test_a_message_whose_arguments_do_not_fit_is_written_without_them() -> None:
    line = written(msg="%d expenses of %s", args=(CANARY,))

    assert (json.loads(line)["message"], CANARY in line) == ("%d expenses of %s", False)


def test_a_field_of_ours_is_written() -> None:
    assert parsed(user_id=7)["user_id"] == 7


def test_a_field_that_somebody_else_adds_is_not() -> None:
    assert set(parsed(name="uvicorn.error", color_message=CANARY)) == {"time", "level", "logger", "message"}


def test_a_field_that_is_no_json_is_written_as_its_type() -> None:
    assert parsed(user_id=SecretStr(CANARY))["user_id"] == "SecretStr"


def test_a_warning_is_its_kind_and_its_place() -> None:
    quoted = f"{ROOT}/crud.py:12: SAWarning: Data truncated: '{CANARY}'\n  insert('{CANARY}')"

    assert parsed(name="py.warnings", msg="%s", args=(quoted,))["message"] == "SAWarning at crud.py:12"


# An error


def fail(value: str) -> None:
    raise ValueError(f"it was {value}")


def fail_again(value: str) -> None:
    try:
        fail(value)
    except ValueError as cause:
        raise RuntimeError(value) from cause


def failed() -> RuntimeError:
    """Return an error as it was caught, with its frames and what it came from."""
    with pytest.raises(RuntimeError) as caught:
        fail_again(CANARY)
    return caught.value


def described(error: BaseException) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = parsed(exc_info=(type(error), error, error.__traceback__))["error"]
    return described


def test_an_error_is_the_types_of_its_chain() -> None:
    chain = [error["type"] for error in described(failed())]

    assert chain == ["RuntimeError", "ValueError"]


def test_an_error_of_a_module_bears_its_name() -> None:
    assert described(SchemaError())[0]["type"] == "migrations.errors.SchemaError"


def test_an_error_shows_where_it_was() -> None:
    frames = [re.sub("[0-9]+", "N", frame) for frame in described(failed())[1]["frames"]]

    assert frames[-2:] == ["tests/infra/test_log.py:N fail_again", "tests/infra/test_log.py:N fail"]


def test_an_error_says_nothing_of_the_machine() -> None:
    frames = [frame for error in described(failed()) for frame in error["frames"]]

    assert [frame for frame in frames if frame.startswith("/") or str(ROOT) in frame] == []


def test_a_frame_is_named_from_the_innermost_folder_of_the_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/srv", "/srv/app", "/srv/app/lib", "/srv/app"])

    assert shorten_path("/srv/app/lib/money.py") == "money.py"


def test_an_error_is_written_without_its_message() -> None:
    # ASVS 5.0 16.2.5
    error = failed()

    assert CANARY not in written(exc_info=(type(error), error, error.__traceback__))


def test_an_error_in_whose_place_another_was_raised_is_not_told() -> None:
    error = RuntimeError()
    error.__context__, error.__suppress_context__ = ValueError(), True

    assert [it["type"] for it in described(error)] == ["RuntimeError"]


def test_the_errors_of_a_group_are_told() -> None:
    group = ExceptionGroup(CANARY, [ValueError(CANARY), KeyError(CANARY)])

    assert {it["type"] for it in described(group)} == {"ExceptionGroup", "ValueError", "KeyError"}


def test_errors_that_come_from_each_other_are_told_once() -> None:
    error, other = ValueError(), KeyError()
    error.__context__, other.__context__ = other, error

    assert [it["type"] for it in described(error)] == ["ValueError", "KeyError"]


def deeper(depth: int) -> None:
    deeper(depth + 1)


def test_an_error_without_an_end_is_one_line_of_a_bounded_length() -> None:
    with pytest.raises(RecursionError) as caught:
        deeper(0)

    assert len(described(caught.value)[0]["frames"]) == 50


# A request


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/expenses", "/expenses", 200),
        ("GET", "/expenses/", "/expenses", 200),
        ("HEAD", "/expenses", "/expenses", 200),
        ("GET", "/expenses?x=1", "/expenses", 422),
        ("GET", "/expenses/1", "/expenses/{expense_id}", 404),
        ("GET", "/expenses/no-id", "/expenses/{expense_id}", 404),
        ("PUT", "/expenses", "/expenses", 405),
        ("DELETE", "/budgets/status", "/budgets/{budget_id}", 405),
        ("POST", "/expenses", "/expenses", 422),
        ("GET", "/users/me/", "/users/me", 200),
        ("GET", "/", "/", 200),
        ("GET", "/currencies", "/currencies", 200),
        ("GET", "/docs", "/docs", 200),
        ("HEAD", "/redoc/", "/redoc", 200),
        ("POST", "/docs", "/docs", 405),
        ("GET", "/openapi.json", "/openapi.json", 200),
        ("GET", "/assets/swagger-ui.css", "/assets/{path}", 200),
        ("GET", "/assets/redoc.standalone.js", "/assets/redoc.standalone.js", 200),
        ("GET", "/assets/no-file", "/assets/{path}", 404),
        ("GET", "/nowhere", None, 404),
        ("GET", "/expenses//", None, 404),
        ("OPTIONS", "/expenses", "/expenses", 405),
    ],
)
async def test_a_request_is_logged_by_the_template_of_its_route(
    somebody: Person, log: Log, method: str, path: str, route: str | None, status: int
) -> None:
    await somebody.request(method, path, json={} if method == "POST" else None)

    assert [(it["method"], it["route"], it["status"]) for it in log.lines] == [(method, route, status)]


WITH_ROUTES = [it for it in OPERATIONS_BY_ID.values() if it["path"] not in {"/health", "/ready"}]


@pytest.mark.parametrize("operation", WITH_ROUTES, ids=lambda it: it["operationId"])
async def test_every_route_is_logged_as_the_document_has_it(
    client: httpx.AsyncClient, log: Log, operation: dict[str, Any]
) -> None:
    await client.request(operation["method"], re.sub("{.*}", "1", operation["path"]))

    assert [(it["method"], it["route"]) for it in log.lines] == [(operation["method"], operation["path"])]


async def test_a_refused_body_has_a_route_too(somebody: Person, log: Log) -> None:
    await somebody.patch("/expenses/1", content=b"{", headers=JSON)

    assert [(it["route"], it["status"]) for it in log.lines] == [("/expenses/{expense_id}", 400)]


async def test_a_request_is_logged_with_these_fields_and_no_others(somebody: Person, log: Log) -> None:
    # ASVS 5.0 16.2.1
    await somebody.get("/expenses", headers={"X-Request-ID": "nightly-7"})

    assert [(set(it), it["request_id"], it["user_id"]) for it in log.lines] == [
        (FIELDS, "nightly-7", somebody.user["id"])
    ]


async def test_a_request_takes_its_time(somebody: Person, log: Log) -> None:
    await somebody.get("/expenses")

    assert 0 < log.lines[0]["milliseconds"] < 60_000


@pytest.mark.parametrize("path", ["/users/me", "/expenses", "/budgets/status"])
async def test_who_signed_in_is_logged(somebody: Person, log: Log, path: str) -> None:
    await somebody.get(path)

    assert [it["user_id"] for it in log.lines] == [somebody.user["id"]]


async def test_a_writer_is_logged_whose_body_is_refused(somebody: Person, log: Log) -> None:
    await somebody.post("/expenses", json={"amount": "much"})

    assert [(it["user_id"], it["status"]) for it in log.lines] == [(somebody.user["id"], 422)]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}])
async def test_who_did_not_sign_in_is_nobody(client: httpx.AsyncClient, log: Log, headers: dict[str, str]) -> None:
    # Refusals are logged like all else (ASVS 5.0 16.3.2).
    await client.get("/expenses", headers=headers)

    assert [(it["user_id"], it["status"]) for it in log.lines] == [(None, 401)]


@pytest.mark.parametrize("path", ["/health", "/health/", "/ready"])
async def test_what_is_polled_is_not_logged(client: httpx.AsyncClient, log: Log, path: str) -> None:
    await client.get(path)

    assert log.lines == []


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_what_is_polled_is_logged_to_who_looks_closely(
    client: httpx.AsyncClient, log: Log, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    caplog.set_level(logging.DEBUG, "expense_tracker")

    await client.get(path)

    assert [(it["level"], it["route"], it["status"]) for it in log.lines] == [("DEBUG", path, 200)]


async def test_a_request_asks_the_database_nothing_for_its_line(
    somebody: Person, log: Log, statements: Statements
) -> None:
    with statements() as sent:
        await somebody.get("/currencies")

    assert (sent, len(log.lines)) == ([], 1)


async def test_a_method_that_nobody_has_is_not_told(app: FastAPI, log: Log) -> None:
    await exchange(app, CANARY, "/expenses")

    assert [(it["method"], it["status"]) for it in log.lines] == [(None, 405)]


async def test_a_client_that_goes_away_in_the_middle_is_logged(app: FastAPI, log: Log) -> None:
    half: Message = {"type": "http.request", "body": b'{"amount": "12.', "more_body": True}

    await exchange(app, "POST", "/expenses", half, {"type": "http.disconnect"})

    assert [(it["message"], it["route"], it["status"]) for it in log.lines] == [("answered", "/expenses", 400)]


async def test_a_request_that_is_cancelled_is_logged_as_unavailable(app: FastAPI, log: Log) -> None:
    asked, sent = asyncio.Event(), []

    async def receive() -> Message:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message["type"])

    scope: Scope = {"type": "http", "method": "POST", "path": "/expenses", "query_string": b"", "headers": []}
    request = asyncio.create_task(app(scope, receive, send))
    await asked.wait()
    request.cancel()
    await request

    assert sent == ["http.response.start", "http.response.body"]
    assert [(it["message"], it["route"], it["status"]) for it in log.lines] == [("answered", "/expenses", 503)]


# Canaries: nothing that was sent stands in the log or in an error (ASVS 5.0 16.2.5, 16.5.1)


def _planted(node: Any) -> Iterator[Any]:  # noqa: ANN401
    """Yield a JSON value once for each of the values in it, that one being a canary."""
    if isinstance(node, dict | list):
        for place in node if isinstance(node, dict) else range(len(node)):
            for inner in _planted(node[place]):
                planted = copy.copy(node)
                planted[place] = inner
                yield planted
    else:
        yield CANARY


def _bodies() -> Iterator[Any]:
    more = {
        "operations": [{"op": "update", "id": 1, "revision": 1, "data": {"description": "x", "date": "2026-11-22"}}]
    }
    for name, operation in OPERATIONS_BY_ID.items():
        for media_type, content in operation.get("requestBody", {"content": {}})["content"].items():
            schema = SCHEMAS[content["schema"]["$ref"].rsplit("/", 1)[-1]]
            absent = schema["properties"].keys() - schema["example"].keys()
            bodies = [*_planted(schema["example"]), *(schema["example"] | {field: CANARY} for field in sorted(absent))]
            for body in bodies + [*_planted(more)] * (name == "run_batch"):
                yield pytest.param(operation, media_type, body, id=f"{name} {json.dumps(body)}")


def sent(media_type: str, body: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"json": body} if media_type == "application/json" else {"data": body}


@pytest.mark.parametrize(("operation", "media_type", "body"), [*_bodies()])
async def test_no_field_of_a_body_is_told(
    somebody: Person, log: Log, operation: dict[str, Any], media_type: str, body: object
) -> None:
    path = re.sub("{.*}", "1", operation["path"])

    answer = await somebody.request(operation["method"], path, **sent(media_type, body))

    assert (log.lines[-1]["status"], CANARY in log.getvalue() + complaint(answer)) == (answer.status_code, False)


def test_every_operation_with_a_body_is_tried() -> None:
    tried = {param.values[0]["operationId"] for param in _bodies()}

    assert tried == {name for name, operation in OPERATIONS_BY_ID.items() if "requestBody" in operation}


@pytest.mark.parametrize("operation", WITH_ROUTES, ids=lambda it: it["operationId"])
async def test_no_id_of_a_path_is_told(somebody: Person, log: Log, operation: dict[str, Any]) -> None:
    answer = await somebody.request(operation["method"], re.sub("{.*}", CANARY, operation["path"]))

    assert (len(log.lines), CANARY in log.getvalue() + complaint(answer)) == (1, False)


@pytest.mark.parametrize("path", [f"/{CANARY}", f"/expenses/1/{CANARY}", f"/assets/{CANARY}", f"/docs/{CANARY}"])
async def test_no_path_is_told(somebody: Person, log: Log, path: str) -> None:
    answer = await somebody.get(path)

    assert (len(log.lines), CANARY in log.getvalue() + complaint(answer)) == (1, False)


def _parameters() -> Iterator[Any]:
    for name, operation in OPERATIONS_BY_ID.items():
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query":
                yield pytest.param(operation, parameter["name"], id=f"{name} {parameter['name']}")


@pytest.mark.parametrize(("operation", "parameter"), [*_parameters()])
async def test_no_parameter_is_told(somebody: Person, log: Log, operation: dict[str, Any], parameter: str) -> None:
    path = re.sub("{.*}", "1", operation["path"])

    answer = await somebody.request(operation["method"], path, params={parameter: CANARY})

    assert (len(log.lines), CANARY in log.getvalue() + complaint(answer)) == (1, False)


async def test_no_name_of_a_parameter_is_logged(somebody: Person, log: Log) -> None:
    await somebody.get("/expenses", params={CANARY: "1"})

    assert CANARY not in log.getvalue()


async def test_no_name_of_a_field_is_logged(somebody: Person, log: Log) -> None:
    await somebody.post("/expenses", json={CANARY: "1"})

    assert CANARY not in log.getvalue()


HEADERS = {
    "Accept": CANARY,
    "Authorization": f"Bearer {CANARY}",
    "Content-Type": CANARY,
    "Cookie": f"session={CANARY}",
    "Forwarded": f"for={CANARY}",
    "Host": f"{CANARY}.example",
    "Idempotency-Key": CANARY,
    "If-Match": f'"{CANARY}"',
    "If-None-Match": f'"{CANARY}"',
    "Origin": f"https://{CANARY}.example",
    "Range": f"bytes={CANARY}",
    "Referer": f"https://{CANARY}.example",
    "User-Agent": CANARY,
    "X-Custom": CANARY,
    "X-Forwarded-For": CANARY,
    "X-Forwarded-Proto": CANARY,
    "X-Request-ID": f"no sane {CANARY}",
}


@pytest.mark.parametrize("operation", [*OPERATIONS_BY_ID.values()], ids=OPERATIONS_BY_ID)
async def test_no_header_of_a_stranger_is_told(client: httpx.AsyncClient, log: Log, operation: dict[str, Any]) -> None:
    path = re.sub("{.*}", "1", operation["path"])

    answer = await client.request(operation["method"], path, headers=HEADERS)

    assert CANARY not in log.getvalue() + complaint(answer)


@pytest.mark.parametrize(("name", "value"), [*HEADERS.items()], ids=HEADERS)
@pytest.mark.parametrize("operation", ["create_expense", "change_expense", "list_expenses", "read_me", "sign_in"])
async def test_no_header_is_told(somebody: Person, log: Log, operation: str, name: str, value: str) -> None:
    path = re.sub("{.*}", "1", OPERATIONS_BY_ID[operation]["path"])

    answer = await somebody.request(
        OPERATIONS_BY_ID[operation]["method"], path, content=b"{}", headers=JSON | {name: value}
    )

    assert (len(log.lines), CANARY in log.getvalue() + complaint(answer)) == (1, False)


async def test_a_malformed_header_is_not_told(somebody: Person, log: Log) -> None:
    answer = await somebody.patch("/expenses/1", json={}, headers={"If-Match": CANARY, "Idempotency-Key": f'"{CANARY}'})

    assert (answer.is_error, CANARY in log.getvalue() + answer.text) == (True, False)


@pytest.mark.parametrize(
    "form",
    [
        {"username": CANARY, "password": PASSWORD},
        {"username": CANARY, "password": PASSWORD, "client_secret": CANARY},
        {"username": CANARY, "password": ""},
        {"grant_type": CANARY, "username": "ada", "password": PASSWORD},
    ],
)
async def test_no_sign_in_is_told(client: httpx.AsyncClient, log: Log, form: dict[str, str]) -> None:
    answer = await client.post("/users/token", data=form)

    assert (answer.is_error, CANARY in log.getvalue() + answer.text) == (True, False)


async def test_no_preflight_is_told(client: httpx.AsyncClient, log: Log) -> None:
    wanted = {"Origin": f"https://{CANARY}.example", "Access-Control-Request-Method": CANARY}

    answer = await client.options("/expenses", headers=wanted | {"Access-Control-Request-Headers": CANARY})

    assert (answer.is_error, CANARY in log.getvalue() + answer.text) == (True, False)


async def test_nothing_is_told_of_what_succeeds(app: FastAPI, log: Log) -> None:
    name = f"{CANARY}-{secrets.token_hex(4)}"
    async with registered(app, username=name, email=f"{name}@example.com", password=PASSWORD) as person:
        expense = {"amount": AMOUNT, "category": CANARY, "description": CANARY, "external_id": CANARY}
        made = await person.post("/expenses", json=expense, headers={"Idempotency-Key": CANARY})
        await person.get("/expenses", params={"q": CANARY, "category": CANARY, "min_amount": AMOUNT})
        await person.patch(f"/expenses/{made.json()['id']}", json={"description": CANARY * 2})

    told = [secret for secret in (CANARY, AMOUNT, person.token) if secret in log.getvalue()]
    assert ([it["status"] for it in log.lines], told) == ([201, 200, 201, 200, 200], [])


# What goes wrong inside


@pytest.fixture
async def broken(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service with an address that breaks while it holds what was sent."""
    app = create_app(Settings(secret_key=SecretStr("a secret of at least 32 characters"), _env_file=None))

    async def breaks(request: Request) -> None:
        await asyncio.gather(asyncio.to_thread(fail, request.query_params["q"]))

    app.add_api_route("/broken", breaks, status_code=204)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        yield client


async def test_an_unexpected_error_is_logged_with_its_request(broken: httpx.AsyncClient, log: Log) -> None:
    # ASVS 5.0 16.3.4, 16.5.4
    await broken.get("/broken", params={"q": CANARY}, headers={"X-Request-ID": "nightly-7"})

    assert [(it["level"], it["request_id"], it["route"]) for it in log.lines] == [
        ("ERROR", "nightly-7", "/broken"),
        ("INFO", "nightly-7", "/broken"),
    ]


async def test_an_unexpected_error_is_logged_without_what_it_quotes(broken: httpx.AsyncClient, log: Log) -> None:
    # ASVS 5.0 16.2.5, 16.5.1
    answer = await broken.get("/broken", params={"q": CANARY})

    assert (log.chains, CANARY in log.getvalue() + answer.text) == ([["ValueError"]], False)


async def test_an_unexpected_error_of_the_database_is_logged_with_its_number(
    app: FastAPI, somebody: Person, log: Log
) -> None:
    engine = app.state.services.database.pools[1].engine.sync_engine

    def refer_to_no_column(
        _connection: object, _cursor: object, statement: str, parameters: object, *_: object
    ) -> tuple[str, object]:
        return statement.replace("SELECT", f"SELECT no_{CANARY},", 1), parameters

    event.listen(engine, "before_cursor_execute", refer_to_no_column, retval=True)
    try:
        assert (await somebody.get("/categories")).status_code == 500
    finally:
        event.remove(engine, "before_cursor_execute", refer_to_no_column)
    messages = [it["message"] for it in log.lines if it["level"] == "ERROR"]
    number = "SQLITE_ERROR" if app.state.services.database.is_embedded else "1054 BAD_FIELD_ERROR"
    assert (messages, CANARY in log.getvalue()) == (
        [f"unexpected error of the database: OperationalError {number}"],
        False,
    )


@pytest.fixture(scope="module")
def own_url(mysql_server: MySQL) -> Iterator[str]:
    """A database of their own for the tests that alter its tables."""
    with mysql_server.fresh_database() as url:
        migrations.upgrade(url)
        yield url


@pytest.fixture(scope="module")
async def on_mysql(own_url: str) -> AsyncIterator[FastAPI]:
    """A service on it."""
    app = create_app(
        Settings(
            database_url=own_url,
            secret_key=SecretStr("a secret of at least 32 characters"),
            bcrypt_rounds=4,
            _env_file=None,
        )
    )
    async with app.router.lifespan_context(app):
        yield app


def alter(url: str, statement: str, **values: object) -> None:
    """Do what only an operator could do to a database."""
    with make_plain_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(statement), values)


@pytest.fixture(scope="module")
async def duplicate(on_mysql: FastAPI, own_url: str) -> AsyncIterator[Callable[[], Awaitable[httpx.Response]]]:
    """What makes the database refuse a new expense as a duplicate of another, named in its error."""
    alter(own_url, "CREATE UNIQUE INDEX once ON expenses (description)")
    async with signed_up(on_mysql) as person:
        await person.post("/expenses", json={"amount": "1", "description": CANARY})
        await person.post("/expenses", json={"amount": "1", "description": "another"})
        body, headers = {"amount": "1", "description": CANARY}, {"X-Request-ID": "nightly-7"}
        yield lambda: person.post("/expenses", json=body, headers=headers)


async def test_a_duplicate_is_logged_without_the_values_that_the_database_quotes(
    duplicate: Callable[[], Awaitable[httpx.Response]], own_url: str, log: Log
) -> None:
    with pytest.raises(IntegrityError, match=f"Duplicate entry '{CANARY}'"):
        alter(own_url, "UPDATE expenses SET description = :same", same=CANARY)

    answer = await duplicate()

    assert (answer.status_code, CANARY in log.getvalue() + answer.text) == (503, False)


async def test_giving_up_is_logged_with_the_request_and_who_sent_it(
    duplicate: Callable[[], Awaitable[httpx.Response]], log: Log
) -> None:
    # ASVS 5.0 16.3.4, 16.5.2
    await duplicate()

    assert [(it["level"], it["message"], it["request_id"], it["user_id"], it["route"]) for it in log.lines] == [
        ("WARNING", "failed after 4 tries: IntegrityError 1062 DUP_ENTRY", "nightly-7", 1, "/expenses"),
        ("INFO", "answered", "nightly-7", 1, "/expenses"),
    ]


async def test_an_error_of_the_driver_is_logged_without_the_values_that_it_quotes(
    on_mysql: FastAPI, own_url: str, log: Log
) -> None:
    alter(own_url, "ALTER TABLE categories MODIFY name INT")

    async with signed_up(on_mysql) as person:
        answer = await person.post("/categories", json={"name": CANARY})

    assert (answer.status_code, CANARY in log.getvalue() + answer.text) == (500, False)
    assert "DataError" in str(log.chains)


# The start and the end


async def start(error: Exception) -> None:
    """Start a service that cannot."""

    def refused(_: object) -> AbstractAsyncContextManager[None]:
        raise error

    async with log_lifespan(refused, SchemaError)(None):
        pass


async def test_a_start_that_fails_says_what_to_do(log: Log) -> None:
    with pytest.raises(SchemaError):
        await start(SchemaError("Run `make migrate`."))

    assert [(it["level"], it["message"]) for it in log.lines] == [("CRITICAL", "Run `make migrate`.")]


async def test_a_start_that_fails_unexpectedly_tells_no_value(log: Log) -> None:
    # ASVS 5.0 16.5.3
    with pytest.raises(OSError, match=CANARY):
        await start(OSError(f"mysql://ada:{CANARY}@db"))

    assert (log.chains, CANARY in log.getvalue()) == ([["OSError"]], False)


def run(code: str) -> list[str]:
    """Return what a process of its own writes, which warns always."""
    command = [sys.executable, "-W", "always", "-c", f"import logging, warnings\nfrom infra import log\n{code}"]
    ran = subprocess.run(command, cwd=ROOT, env=inherited(), capture_output=True, text=True, check=True)
    return (ran.stdout + ran.stderr).splitlines()


def test_importing_the_module_sets_nothing_up() -> None:
    assert run("print(logging.getLogger().handlers, logging.getLogger('expense_tracker').level)") == ["[] 0"]


def test_a_line_is_written_once_where_nothing_else_would_write_it() -> None:
    written = run("log.configure_logging(); log.configure_logging(); logging.getLogger('expense_tracker').info('once')")

    assert [json.loads(line)["message"] for line in written] == ["once"]


def test_what_somebody_else_set_up_stays() -> None:
    own = "logging.basicConfig(format='own %(message)s'); log.configure_logging()"

    assert run(f"{own}; logging.getLogger('expense_tracker').info('once')") == ["own once"]


def test_a_warning_is_written_without_the_values_that_it_quotes() -> None:
    # ASVS 5.0 16.2.5: drivers pass on the server's warnings.
    written = run(f"log.configure_logging(); warnings.warn('Incorrect value: {CANARY}')")

    assert [json.loads(line)["message"] for line in written] == ["UserWarning at <string>:3"]


def test_under_uvicorns_own_command_all_is_in_lines_once_it_has_started() -> None:
    with Service({}) as service:
        httpx.get(f"{service.url}/{CANARY}?q={CANARY}", headers={"X-Request-ID": "nightly-7"}, trust_env=False)
        service.stop()
        after = service.log.partition("Waiting for application startup.\n")[2].splitlines()

    assert [json.loads(line)["message"] for line in after if "nightly-7" in line] == ["answered"]
    assert [line for line in after if not line.startswith("{") or CANARY in line] == []


def test_uvicorns_level_is_ours() -> None:
    with Service({}, options=["--log-level", "warning"]) as service:
        httpx.get(f"{service.url}/nowhere", trust_env=False)
        service.stop()

        assert service.log == ""


# The whole of it


def crash(folder: Path) -> None:
    """Take a column away from under a running service."""
    connection = sqlite3.connect(folder / "expense_tracker.db")
    connection.execute("ALTER TABLE budgets RENAME COLUMN period TO gone")
    connection.close()


def knock(port: int, line: bytes) -> bytes:
    """Send what is not HTTP, and return what comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(line)
        return client.makefile("rb").read()


@pytest.fixture(scope="module")
def process_log() -> tuple[str, list[str]]:
    """What `python main.py` writes from its first line to its last, and what it may not have written."""
    secret = secrets.token_hex(32)
    with closing(Service({"SECRET_KEY": secret}, program=MAIN)) as service:
        with httpx.Client(base_url=service.url, trust_env=False, timeout=20) as client:
            account = {"username": CANARY, "email": f"{CANARY}@example.com", "password": PASSWORD}
            client.post("/users/register", json=account).raise_for_status()
            form = {"username": CANARY, "password": PASSWORD, "grant_type": "password"}
            first = client.post("/users/token", data=form).json()
            second = client.post("/users/token/refresh", json={"refresh_token": first["refresh_token"]}).json()
            token = second["access_token"]
            strange = {name: value for name, value in HEADERS.items() if name not in {"Host", "Content-Type"}}
            client.post(f"/expenses/{CANARY}", params={"q": CANARY}, json={"amount": AMOUNT}, headers=strange)
            client.headers["Authorization"] = f"Bearer {token}"
            client.post("/expenses", json={"amount": AMOUNT, "category": CANARY}).raise_for_status()
            made = client.post("/users/me/tokens", json={"name": CANARY, "scope": "read"}).json()["token"]
            client.get("/expenses", headers={"Authorization": f"Bearer {made}"}).raise_for_status()
            client.get("/expenses", headers={"Authorization": f"Bearer {made}x"})
            knock(service.port, f"{CANARY} / HTTP/1.1\r\n\r\n".encode())
            knock(service.port, f"GET /\x1b[31m{CANARY} HTTP/9.9\r\nHost: \x00\r\n\r\n".encode())
            crash(service.folder)
            assert client.get("/budgets", headers={"X-Request-ID": "crash-7"}).status_code == 500
        assert service.process.stop() == 0
        tokens = [it[name] for it in (first, second) for name in ("access_token", "refresh_token")]
        return service.log, [CANARY, AMOUNT, *tokens, made, secret, str(service.folder), str(ROOT)]


def test_every_line_of_a_process_is_json(process_log: tuple[str, list[str]]) -> None:
    # ASVS 5.0 16.2.4
    lines = [json.loads(line) for line in process_log[0].splitlines()]

    assert (lines[0]["message"][:22], lines[-1]["message"][:23]) == (
        "Started server process",
        "Finished server process",
    )
    assert [line for line in lines if not {"time", "level", "logger", "message"} <= line.keys()] == []


def test_a_crash_of_a_process_is_one_of_its_lines(process_log: tuple[str, list[str]]) -> None:
    # ASVS 5.0 16.3.4
    lines = [json.loads(line) for line in process_log[0].splitlines() if "crash-7" in line]

    assert [(line["level"], line["route"], line["user_id"]) for line in lines] == [
        ("ERROR", "/budgets", 1),
        ("INFO", "/budgets", 1),
    ]
    assert [error["type"] for error in lines[0]["error"]] == [
        "sqlalchemy.exc.OperationalError",
        "sqlite3.OperationalError",
    ]


def test_no_line_of_a_process_tells_what_was_sent_or_is_secret(process_log: tuple[str, list[str]]) -> None:
    # ASVS 5.0 16.2.5
    log, secrets = process_log

    assert [secret for secret in secrets if secret in log] == []
