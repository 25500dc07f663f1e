"""Reading requests: malformed, too large and misspelt ones are refused."""

import gzip
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from api import requests
from api.requests import StrictRequest
from tests.support.asgi import exchange
from tests.support.document import DOCUMENT
from tests.support.expenses import spend
from tests.support.generated import in_pieces, padded
from tests.support.people import Person, SignUp
from tests.support.problems import JSON, advice, blamed

MOST_BYTES = 64 * 1024
WITHOUT_STRICT_QUERIES = {"/", "/health", "/ready"}

OPERATIONS = [
    (method.upper(), re.sub(r"{\w+}", "1", path), described)
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
    if path not in WITHOUT_STRICT_QUERIES
]
DELETED = [
    path
    for method, path, described in OPERATIONS
    if method == "DELETE" and "requestBody" not in described and path[-2:] != "/1"
]
OPERATION_NAMES = [described["operationId"] for _, _, described in OPERATIONS]


async def endless() -> AsyncIterator[bytes]:
    """Send and never stop."""
    while True:
        yield b" " * 1_000


@pytest.mark.wire
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"amount": 1, "amount": 2}',
        b'{"amount": NaN}',
        b"\xff",
        '{"amount": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"amount": 1}',
        b"[" * 33 + b"]" * 33,
        pytest.param(b"[" * MOST_BYTES, id="64 Ki brackets"),
    ],
)
@pytest.mark.parametrize("path", ["/users/register", "/expenses", "/categories"])
async def test_what_cannot_be_parsed_is_a_malformed_body(somebody: Person, path: str, body: bytes) -> None:
    answer = await somebody.post(path, content=body, headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


# How much


async def test_a_body_of_64_kib_is_read(somebody: Person) -> None:
    body = padded(b'{"amount": "12.50"}', MOST_BYTES)

    assert (await somebody.post("/expenses", content=body, headers=JSON)).status_code == 201


async def test_a_chunked_body_of_64_kib_is_read(somebody: Person) -> None:
    body = padded(b'{"amount": "12.50"}', MOST_BYTES)

    assert (await somebody.post("/expenses", content=in_pieces(body), headers=JSON)).status_code == 201


async def test_a_byte_more_is_too_large(somebody: Person) -> None:
    body = padded(b'{"amount": "12.50"}', MOST_BYTES + 1)

    assert (await somebody.post("/expenses", content=body, headers=JSON)).status_code == 413


async def test_a_chunked_byte_more_is_too_large(somebody: Person) -> None:
    body = padded(b'{"amount": "12.50"}', MOST_BYTES + 1)

    assert (await somebody.post("/expenses", content=in_pieces(body), headers=JSON)).status_code == 413


async def test_a_body_without_an_end_is_refused_before_it_ends(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users/register", content=endless(), headers=JSON)

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.wire
@pytest.mark.parametrize("length", ["65537", "99999999999999999999", "9" * 5_000])
async def test_a_length_that_is_too_large_is_refused_before_the_body_comes(
    client: httpx.AsyncClient, length: str
) -> None:
    answer = await client.post("/users/register", content=b"", headers=JSON | {"Content-Length": length})

    assert answer.status_code == 413


@pytest.mark.wire
@pytest.mark.parametrize("length", ["1", "0", "-1", "+5", "x", "", "1e9", "²", "0000000000000000019"])
async def test_a_length_that_lies_lets_nothing_larger_in(somebody: Person, length: str) -> None:
    body = padded(b'{"amount": "12.50"}', MOST_BYTES + 1)

    answer = await somebody.post("/expenses", content=body, headers=JSON | {"Content-Length": length.encode()})  # type: ignore[arg-type]

    assert answer.status_code == 413


async def test_a_form_has_the_same_bound(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users/token", data={"username": "ada", "password": "p" * MOST_BYTES})

    assert answer.status_code == 413


async def test_a_client_that_goes_away_in_the_middle_is_no_error_of_ours(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    half: Message = {"type": "http.request", "body": b'{"amount": "12.', "more_body": True}

    sent = await exchange(app, "POST", "/expenses", half, {"type": "http.disconnect"})

    noticed = [record for record in caplog.records if record.levelno > logging.INFO]
    assert ([it["status"] for it in sent if it.get("status", 0) >= 500], noticed) == ([], [])


async def test_a_body_that_ends_too_early_is_not_read_even_if_what_came_is_valid(app: FastAPI) -> None:
    some: Message = {"type": "http.request", "body": b'{"amount": "12.50"}', "more_body": True}

    sent = await exchange(app, "POST", "/expenses", some, {"type": "http.disconnect"})

    assert json.loads(sent[1]["body"])["detail"] == "The body ended too early."


async def test_too_large_a_body_leaves_nothing_behind(person: Person) -> None:
    await person.post("/expenses", content=padded(b'{"amount": "12.50"}', MOST_BYTES + 1), headers=JSON)

    assert (await person.get("/expenses")).json()["items"] == []


# Of what type


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json ; charset=utf8",
        "application/json;",
        "application/json; charset=utf-8;",
    ],
)
async def test_json_is_taken_under_each_of_its_names(somebody: Person, media_type: str) -> None:
    answer = await somebody.post("/expenses", content=b'{"amount": "12.50"}', headers={"Content-Type": media_type})

    assert answer.status_code == 201


@pytest.mark.wire
@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "json",
        "text/json",
        "text/plain",
        "text/plain;application/json",
        "application/jsonp",
        "application/x-json",
        "application/merge-patch+json",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/xml",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "*/*",
    ],
)
async def test_a_body_of_another_type_is_refused(somebody: Person, media_type: str) -> None:
    answer = await somebody.post("/expenses", content=b'{"amount": "12.50"}', headers={"Content-Type": media_type})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_body_of_no_type_is_refused(somebody: Person) -> None:
    answer = await somebody.post("/expenses", content=b'{"amount": "12.50"}')

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.wire
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "identity", "utf-8", ""])
async def test_a_body_in_any_encoding_is_refused(somebody: Person, encoding: str) -> None:
    headers = JSON | {"Content-Encoding": encoding}

    answer = await somebody.post("/expenses", content=gzip.compress(b'{"amount": "12.50"}'), headers=headers)

    assert answer.status_code == 415


@pytest.mark.wire
@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
async def test_a_sign_in_is_a_form_and_nothing_else(client: httpx.AsyncClient, media_type: str) -> None:
    form = b"username=ada&password=a+walk+along+the+sea"

    answer = await client.post("/users/token", content=form, headers={"Content-Type": media_type})

    assert answer.status_code == 415


@pytest.mark.parametrize(
    "form",
    [
        b"username=%00&password=%00",
        b"username=%&password=%zz",
        b"username=%F0%9F%8D%8E&password=%F0%9F%94%91",
        b"username=" + b"%EF%B7%BA" * 254 + b"&password=x",
    ],
    ids=lambda it: str(it)[:24],
)
async def test_a_hostile_sign_in_is_just_wrong(client: httpx.AsyncClient, form: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/users/token", content=form, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")


async def test_a_form_that_is_no_utf_8_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/users/token", content=b"username=\xff\xfe&password=x", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize("name", ["%ff%fe", "%ed%a0%80"])
async def test_a_field_of_a_form_that_is_no_utf_8_is_refused(client: httpx.AsyncClient, name: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/users/token", content=f"username={name}&password=x", headers=headers)

    assert (answer.status_code, blamed(answer)) == (422, {"/username": "malformed"})


async def test_a_form_need_not_be_escaped_as_curl_does_not(sign_up: SignUp) -> None:
    person = await sign_up(password="größenwahn über alles")
    form = f"username={person.user['username']}&password=größenwahn über alles".encode()

    answer = await person.post(
        "/users/token", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert answer.status_code == 200


def test_every_deletion_of_many_is_tried() -> None:
    assert {"/expenses", "/expenses/trash", "/users/me/sessions", "/users/me/tokens"} <= set(DELETED)


async def tokens_left(person: Person, path: str, body: bytes) -> tuple[httpx.Response, int]:
    """Make a token, delete with a body, and return the answer and how many tokens there are then."""
    await person.post("/users/me/tokens", json={"name": "nightly", "scope": "read"})
    answer = await person.request("DELETE", path, content=body, headers=JSON)
    return answer, len((await person.get("/users/me/tokens")).json()["items"])


@pytest.mark.wire
@pytest.mark.parametrize("path", DELETED)
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b'{"id": 7}', {"/id": "unknown"}),
        (b'{"id": 7, "a/b": 1}', {"/id": "unknown", "/a~1b": "unknown"}),
        (b"[7]", {"": "wrong_type"}),
        (b"7", {"": "wrong_type"}),
    ],
)
async def test_a_deletion_that_a_body_would_narrow_is_refused(
    person: Person, path: str, body: bytes, wrong: dict[str, str]
) -> None:
    # A misspelt parameter must never widen a DELETE.
    answer, left = await tokens_left(person, path, body)
    assert (answer.status_code, blamed(answer), left) == (422, wrong, 1)


@pytest.mark.wire
@pytest.mark.parametrize("path", DELETED)
@pytest.mark.parametrize("body", [b"{{{", b"id=7", b"\xff", b"x" * MOST_BYTES], ids=["JSON", "form", "UTF-8", "long"])
async def test_a_deletion_with_what_is_no_json_is_refused(person: Person, path: str, body: bytes) -> None:
    answer, left = await tokens_left(person, path, body)
    assert (answer.status_code, answer.json()["code"], left) == (400, "malformed_body", 1)


@pytest.mark.wire
@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"{ \n} ", b"null"])
@pytest.mark.parametrize("sent", [bytes, in_pieces])
async def test_a_deletion_takes_a_body_that_says_nothing(
    person: Person, body: bytes, sent: Callable[[bytes], bytes | AsyncIterator[bytes]]
) -> None:
    # As libraries send it that have one body for every method.
    assert (await person.request("DELETE", "/users/me/tokens", content=sent(body), headers=JSON)).status_code == 204


async def test_a_deletion_is_the_same_with_nothing_said_in_another_way(person: Person) -> None:
    await spend(person)
    once, path = JSON | {"Idempotency-Key": "once"}, "/expenses?from=1900-01-01"
    answers = [await person.request("DELETE", path, content=body, headers=once) for body in (b"", b"{}", b"null")]
    assert [(it.status_code, it.json()["matched"]) for it in answers] == [(200, 1)] * 3


async def test_a_deletion_of_one_row_looks_at_no_body(person: Person) -> None:
    expense = await spend(person)
    assert (await person.request("DELETE", f"/expenses/{expense['id']}", json={"id": 7})).status_code == 204


async def test_a_body_of_a_deletion_is_bounded_too(somebody: Person) -> None:
    answer = await somebody.request("DELETE", "/users/me/sessions", content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("request_line", ["POST /expenses", "POST /users/register", "DELETE /expenses"])
@pytest.mark.parametrize("part", ["{},", "[],", "0,", '{"a":0}'])
async def test_a_body_of_thousands_of_parts_is_refused_before_it_is_parsed(
    somebody: Person, request_line: str, part: str
) -> None:
    """OWASP API4 (2023): 60 KB of empty objects would take 40 ms, in which nobody else is answered."""
    body = f'{{"a":[{part * (60_000 // len(part))}1]}}'
    answer = await somebody.request(*request_line.split(), content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")
    assert answer.json()["detail"] == (
        "The body has more than 2,000 braces, brackets, colons and commas; only a batch may have so many."
    )


async def test_a_text_may_be_all_brackets_and_commas(person: Person) -> None:
    text = "{[:," * 125
    assert (await spend(person, description=text))["description"] == text


async def test_a_byte_order_mark_is_named(somebody: Person) -> None:
    answer = await somebody.post("/expenses", content=b'\xef\xbb\xbf{"amount": "1"}', headers=JSON)

    assert (answer.status_code, "byte order mark" in answer.json()["detail"]) == (400, True)


async def test_a_body_that_does_not_come_is_not_waited_for(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.05)
    beginning: Message = {"type": "http.request", "body": b'{"amount": ', "more_body": True}

    sent = await exchange(app, "POST", "/expenses", beginning)

    assert next(it["status"] for it in sent if "status" in it) == 400


async def test_a_field_of_the_form_that_is_given_twice_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await client.post("/users/token", content=b"username=a&username=b&password=x", headers=headers)

    assert set(blamed(answer)) == {"/username"}


# A large one


BATCH = "/expenses/batch"
JSON_TYPE = {"Content-Type": "application/json"}


async def test_a_large_body_is_not_read_of_whoever_has_not_signed_in(client: httpx.AsyncClient) -> None:
    answer = await client.post(BATCH, content=b"{" * 2**21, headers=JSON_TYPE)

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.wire
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" + b"[]," * 40_000 + b"[]]", id="lists"),
        pytest.param(b"{" + b",".join(b'"%d":1' % it for it in range(40_001)) + b"}", id="members"),
        pytest.param(b'{"operations":[' + b",".join([b'{"a":1,"b":2}'] * 13_400) + b"]}", id="in objects"),
    ],
)
async def test_a_body_of_too_many_values_is_refused_as_a_whole(somebody: Person, body: bytes) -> None:
    answer = await somebody.post(BATCH, content=body, headers=JSON_TYPE)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


async def test_as_many_values_as_a_body_may_hold_are_looked_at(somebody: Person) -> None:
    answer = await somebody.post(BATCH, content=b'{"operations":[' + b"1," * 39_998 + b"1]}", headers=JSON_TYPE)

    assert blamed(answer) == {"/operations": "too_long"}


# The query


@pytest.mark.wire
@pytest.mark.parametrize(("method", "path", "_described"), OPERATIONS, ids=OPERATION_NAMES)
async def test_no_operation_takes_a_parameter_that_is_not_there(
    somebody: Person, method: str, path: str, _described: dict[str, Any]
) -> None:
    answer = await somebody.request(method, path, params={"surprise": "1"})

    assert blamed(answer)["surprise"] == "unknown"


PARAMETERS = [
    (method, path, parameter["name"])
    for method, path, described in OPERATIONS
    for parameter in described.get("parameters", [])
    if parameter["in"] == "query" and parameter["schema"].get("type") != "array"
]
VALID = {
    "from": "2026-11-22",
    "to": "2026-11-22",
    "period": "2026",
    "children": "false",
    "uncategorized": "true",
    "without_payee": "true",
    "untagged": "true",
    "currency": "EUR",
    "min_amount": "1",
    "max_amount": "1",
    "external_id": "1",
    "import_id": "1",
    "keep_changed": "true",
    "q": "milk",
    "sort": "date",
    "limit": "1",
    "cursor": "x",
    "with_count": "true",
    "with_totals": "true",
    "with_usage": "true",
    "move_to": "Food",
    "compare": "previous",
    "on": "2026-11-22",
    "since": "0",
    "dry_run": "true",
    "format": "csv",
}


@pytest.mark.wire
@pytest.mark.parametrize(("method", "path", "name"), PARAMETERS)
async def test_a_parameter_given_twice_is_told_to_come_once(
    somebody: Person, method: str, path: str, name: str
) -> None:
    body: dict[str, object] | None = {} if method == "PATCH" else None
    answer = await somebody.request(method, path, params={name: [VALID[name], VALID[name]]}, json=body)

    assert (blamed(answer), advice(answer, name)) == ({name: "not_allowed"}, "Send this only once.")


@pytest.mark.parametrize("limit", ["1", "200"])
async def test_a_limit_is_from_1_to_200(somebody: Person, limit: str) -> None:
    assert (await somebody.get(f"/expenses?limit={limit}")).status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ("0", "out_of_range"),
        ("-1", "out_of_range"),
        ("201", "out_of_range"),
        ("999999999999999", "out_of_range"),
        ("9" * 5_000, "wrong_type"),
        ("", "wrong_type"),
        ("abc", "wrong_type"),
        ("%2B5", "wrong_type"),
        ("+5", "wrong_type"),
        ("5+", "wrong_type"),
        ("05", "wrong_type"),
        ("-0", "wrong_type"),
        ("1_0", "wrong_type"),
        ("1,0", "wrong_type"),
        ("5.0", "wrong_type"),
        ("1e1", "wrong_type"),
        ("0x5", "wrong_type"),
        ("5%0a", "wrong_type"),
        ("5%00", "wrong_type"),
        ("%d9%a5", "wrong_type"),  # an Arabic 5
        ("%ef%bc%95", "wrong_type"),  # a full-width 5
        ("true", "wrong_type"),
        ("null", "wrong_type"),
        ("[5]", "wrong_type"),
    ],
    ids=lambda it: it[:20],
)
async def test_another_limit_is_refused(somebody: Person, limit: str, code: str) -> None:
    assert blamed(await somebody.get(f"/expenses?limit={limit}")) == {"limit": code}


@pytest.mark.wire
@pytest.mark.parametrize(
    "truth", ["", "1", "0", "yes", "no", "on", "off", "t", "True", "TRUE", "False", "%20true", "true%00", "null"]
)
@pytest.mark.parametrize(
    ("path", "name"), [("/expenses", "with_count"), ("/expenses", "uncategorized"), ("/categories", "with_usage")]
)
async def test_true_and_false_are_spelt_so(somebody: Person, path: str, name: str, truth: str) -> None:
    assert blamed(await somebody.get(f"{path}?{name}={truth}")) == {name: "wrong_type"}


@pytest.mark.parametrize("truth", ["true", "false"])
async def test_true_and_false_are_taken(somebody: Person, truth: str) -> None:
    answer = await somebody.get(f"/expenses?with_count={truth}&uncategorized={truth}")

    assert answer.status_code == 200


@pytest.mark.wire
@pytest.mark.parametrize(
    "query",
    ["limit", "limit=", "Limit=5", "LIMIT=5", "limit%00=5", "%20limit=5", "limit[]=5", "from_=2026-11-22"],
)
async def test_a_parameter_is_spelt_as_it_is_named(somebody: Person, query: str) -> None:
    assert (await somebody.get(f"/expenses?{query}")).status_code == 422


@pytest.mark.wire
@pytest.mark.parametrize("text", ["%ff", "caf%e9", "%c0%af", "%ed%a0%80", "tea%f0%9f"])
@pytest.mark.parametrize("name", ["q", "category", "external_id"])
async def test_a_text_that_is_no_utf_8_is_refused_and_not_mended(somebody: Person, name: str, text: str) -> None:
    assert list(blamed(await somebody.get(f"/expenses?{name}={text}")).values()) == ["malformed"]


@pytest.mark.parametrize(
    ("query", "text"), [("q=café 🍎".encode(), "café 🍎"), (b"q=caf%C3%A9", "café"), (b"q=caf\xe9", "caf\udce9")]
)
def test_a_text_need_not_be_escaped(query: bytes, text: str) -> None:
    assert StrictRequest({"type": "http", "query_string": query}).query_params["q"] == text


async def test_a_semicolon_separates_nothing(somebody: Person) -> None:
    assert blamed(await somebody.get("/expenses?limit=5;with_count=true")) == {"limit": "wrong_type"}


async def test_a_typo_beside_a_deletion_deletes_nothing(person: Person) -> None:
    there = await spend(person)

    await person.delete(f"/expenses/{there['id']}?dry_rum=true")

    assert (await person.get(f"/expenses/{there['id']}")).status_code == 200


async def test_a_typo_beside_a_merge_keeps_the_category(person: Person) -> None:
    category = (await person.post("/categories", json={"name": "Food"})).json()

    await person.delete(f"/categories/{category['id']}?moveto=Groceries&uncategorized=true")

    assert (await person.get(f"/categories/{category['id']}")).status_code == 200


async def test_a_parameter_beside_a_new_expense_records_nothing(person: Person) -> None:
    await person.post("/expenses?currency=JPY", json={"amount": "12.50"})

    assert (await person.get("/expenses")).json()["items"] == []


async def test_a_query_may_name_every_category_beside_its_other_filters(somebody: Person) -> None:
    categories = "&".join(f"category=c{number}" for number in range(1_000))

    assert (await somebody.get(f"/expenses?{categories}&limit=1&q=milk")).status_code == 200


TOO_MANY_PARAMETERS = {
    "11,000 names": "&".join(f"{number:x}" for number in range(11_000)),
    "101 names": "&".join(f"{number}=1" for number in range(101)),
    "1,101 of one name": "&".join(["category=x"] * 1_101),
    "ampersands": "&" * 1_100,
}


@pytest.mark.parametrize("query", TOO_MANY_PARAMETERS.values(), ids=TOO_MANY_PARAMETERS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/currencies"), ("GET", "/expenses"), ("DELETE", "/expenses")])
async def test_a_query_of_too_many_parameters_is_refused_as_a_whole(
    somebody: Person, method: str, path: str, query: str
) -> None:
    answer = await somebody.request(method, f"{path}?{query}")

    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [
            {
                "parameter": "",
                "code": "too_long",
                "detail": "Send at most 1,100 parameters, and at most 100 different ones.",
            }
        ],
    )


@pytest.mark.parametrize("path", ["/", "/docs", "/health", "/ready"])
async def test_where_no_query_is_looked_at_none_is_too_long(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"{path}?{TOO_MANY_PARAMETERS['11,000 names']}")).status_code == 200


async def test_a_body_of_6500_unknown_keys_is_refused_as_a_whole(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users/register", json=dict.fromkeys((f"k{number}" for number in range(6_500)), 1))

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_body")


@pytest.mark.parametrize(("fields", "status"), [(100, 401), (101, 400), (11_000, 400)])
async def test_a_form_has_at_most_100_fields(client: httpx.AsyncClient, fields: int, status: int) -> None:
    form = "username=nobody&password=wrong" + "".join(f"&{number:x}" for number in range(fields - 2))

    answer = await client.post(
        "/users/token", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert answer.status_code == status


HALF_A_CHARACTER = r'{"\ud800": 1, "amount": "x"}'
CREATE_IN_A_BATCH = f'{{"operations": [{{"op": "create", "data": {HALF_A_CHARACTER}}}]}}'


@pytest.mark.wire
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/expenses", HALF_A_CHARACTER),
        ("PUT", "/expenses/1", HALF_A_CHARACTER),
        ("PATCH", "/expenses/1", HALF_A_CHARACTER),
        ("POST", "/budgets", HALF_A_CHARACTER),
        ("PATCH", "/budgets/1", HALF_A_CHARACTER),
        ("POST", "/expenses/batch", CREATE_IN_A_BATCH),
    ],
)
async def test_a_name_that_is_no_unicode_beside_a_wrong_amount_is_refused_with_it(
    somebody: Person, method: str, path: str, body: str
) -> None:
    answer = await somebody.request(method, path, content=body, headers=JSON)

    assert answer.status_code == 422
    assert [pointer for pointer in blamed(answer) if pointer.endswith("/amount")] != []
