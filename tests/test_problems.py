"""Whatever is refused is a problem (RFC 9457) that says what is wrong, where, and what to do, and repeats no value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from conftest import Person
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from filters import ExpenseQuery
from problems import (
    AlreadyExists,
    BodyTooLarge,
    CategoryInUse,
    InternalError,
    InvalidCredentials,
    InvalidToken,
    MalformedBody,
    MethodNotAllowed,
    NotAuthenticated,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Problem,
    TokenExpired,
    TooMany,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    WrongPassword,
    entries,
    problem_of,
)
from schemas import (
    CategoryCreate,
    CategoryUpdate,
    ExpenseCreate,
    ExpenseReplace,
    ExpenseUpdate,
    PasswordChange,
    SignIn,
    UserCreate,
    UserUpdate,
)

JSON = {"Content-Type": "application/json"}

# RFC 9110, section 15, whose words are not those of every Python.
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
}

# The words of the contract: a client may switch on these and no others.
ENTRY_CODES = {
    "required",
    "unknown",
    "wrong_type",
    "malformed",
    "too_short",
    "too_long",
    "out_of_range",
    "not_allowed",
    "already_exists",
    "not_found",
    "precondition_failed",
}
SHAPES: list[type[BaseModel]] = [
    CategoryCreate,
    CategoryUpdate,
    ExpenseCreate,
    ExpenseQuery,
    ExpenseReplace,
    ExpenseUpdate,
    PasswordChange,
    SignIn,
    UserCreate,
    UserUpdate,
]
FIELDS = sorted({name for shape in SHAPES for name in shape.model_fields})

any_text = st.text(st.characters(exclude_categories=()))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=5,
)
any_body = st.dictionaries(st.sampled_from(FIELDS) | any_text, any_json, max_size=8)


@dataclass(frozen=True)
class Refusal:
    """A request that is refused before anybody has signed in, and what it is refused as."""

    status: int
    code: str
    method: str
    path: str
    sent: Mapping[str, Any] = field(default_factory=dict)

    async def meet(self, client: httpx.AsyncClient) -> httpx.Response:
        return await client.request(self.method, self.path, **self.sent)


WRONG_SIGN_IN = {"data": {"username": "nobody", "password": "a walk along the sea"}}
OVERSIZED = {"content": b" " * 65_537, "headers": JSON}
REFUSALS = [
    Refusal(400, "malformed_body", "POST", "/users/register", {"content": b"{", "headers": JSON}),
    Refusal(401, "not_authenticated", "GET", "/expenses"),
    Refusal(401, "invalid_token", "GET", "/expenses", {"headers": {"Authorization": "Bearer x"}}),
    Refusal(401, "invalid_credentials", "POST", "/users/token", WRONG_SIGN_IN),
    Refusal(404, "not_found", "GET", "/nowhere"),
    Refusal(404, "not_found", "GET", "/assets/nothing.js"),
    Refusal(405, "method_not_allowed", "DELETE", "/expenses"),
    Refusal(405, "method_not_allowed", "POST", "/assets/swagger-ui.css"),
    Refusal(413, "body_too_large", "POST", "/users/register", OVERSIZED),
    Refusal(415, "unsupported_media_type", "POST", "/users/register", {"content": b"{}"}),
    Refusal(422, "validation_failed", "POST", "/users/register", {"json": {}}),
]
AS_REFUSED = pytest.mark.parametrize("refusal", REFUSALS, ids=lambda it: f"{it.status}-{it.method}-{it.path}-{it.code}")


def blamed(answer: httpx.Response) -> dict[str, str]:
    """Return who is to blame for a problem, and for what: {"/amount": "out_of_range", "limit": "wrong_type"}."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return {entry.get("pointer", entry.get("parameter")): entry["code"] for entry in answer.json()["errors"]}


def advice(answer: httpx.Response, place: str) -> str:
    """Return the sentence that a problem says about one pointer or parameter."""
    [entry] = [it for it in answer.json()["errors"] if place in (it.get("pointer"), it.get("parameter"))]
    return str(entry["detail"])


def refused(shape: type[BaseModel], sent: object) -> RequestValidationError:
    """Return what FastAPI tells the edge of a body that a shape does not take."""
    try:
        shape.model_validate(sent)
    except ValidationError as error:
        return RequestValidationError([{**it, "loc": ("body", *it["loc"])} for it in error.errors()])
    return RequestValidationError([])


# The members of a problem


@AS_REFUSED
async def test_every_refusal_is_a_problem_with_its_status_and_code(client: httpx.AsyncClient, refusal: Refusal) -> None:
    answer = await refusal.meet(client)

    met = (answer.status_code, answer.headers["Content-Type"], answer.json()["code"])
    assert met == (refusal.status, "application/problem+json", refusal.code)


@AS_REFUSED
async def test_a_problem_says_its_type_title_and_status(client: httpx.AsyncClient, refusal: Refusal) -> None:
    problem = (await refusal.meet(client)).json()

    said = (problem["type"], problem["title"], problem["status"])
    assert said == ("about:blank", TITLES[refusal.status], refusal.status)


@AS_REFUSED
async def test_a_problem_bears_the_id_of_its_request(client: httpx.AsyncClient, refusal: Refusal) -> None:
    answer = await refusal.meet(client)

    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@AS_REFUSED
async def test_a_problem_says_in_a_sentence_what_to_do(client: httpx.AsyncClient, refusal: Refusal) -> None:
    assert len((await refusal.meet(client)).json()["detail"].split()) > 3


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (MalformedBody, 400, "malformed_body"),
        (NotAuthenticated, 401, "not_authenticated"),
        (TokenExpired, 401, "token_expired"),
        (InvalidToken, 401, "invalid_token"),
        (InvalidCredentials, 401, "invalid_credentials"),
        (NotFound, 404, "not_found"),
        (MethodNotAllowed, 405, "method_not_allowed"),
        (AlreadyExists, 409, "already_exists"),
        (CategoryInUse, 409, "category_in_use"),
        (PreconditionFailed, 412, "precondition_failed"),
        (BodyTooLarge, 413, "body_too_large"),
        (UnsupportedMediaType, 415, "unsupported_media_type"),
        (ValidationFailed, 422, "validation_failed"),
        (WrongPassword, 422, "wrong_password"),
        (TooMany, 422, "too_many"),
        (InternalError, 500, "internal_error"),
        (Unavailable, 503, "unavailable"),
        (OutcomeUnknown, 503, "outcome_unknown"),
    ],
)
def test_a_problem_has_the_status_and_the_code_of_the_contract(problem: type[Problem], status: int, code: str) -> None:
    assert (problem.status, problem.code) == (status, code)


# What a status brings along


@pytest.mark.parametrize("problem", [NotAuthenticated, InvalidToken, TokenExpired, InvalidCredentials])
def test_every_401_challenges_for_a_bearer_token(problem: type[Problem]) -> None:
    assert problem().headers["WWW-Authenticate"].split()[0] == "Bearer"


async def test_who_sent_no_credentials_is_told_no_error(client: httpx.AsyncClient) -> None:
    assert (await client.get("/expenses")).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "[" * 1_500, "null"])
async def test_who_sent_a_bad_token_is_told_so(client: httpx.AsyncClient, token: str) -> None:
    answer = await client.get("/expenses", headers={"Authorization": f"Bearer {token}"})

    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("problem", [Unavailable, OutcomeUnknown])
def test_every_503_says_when_to_come_back(problem: type[Problem]) -> None:
    assert int(problem().headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/expenses", "GET, HEAD, POST"),
        ("DELETE", "/expenses/", "GET, HEAD, POST"),
        ("OPTIONS", "/expenses", "GET, HEAD, POST"),
        ("BREW", "/expenses", "GET, HEAD, POST"),
        ("POST", "/expenses/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("POST", "/expenses/abc", "DELETE, GET, HEAD, PATCH, PUT"),
        ("PUT", "/categories", "GET, HEAD, POST"),
        ("PUT", "/categories/1", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/users/register", "POST"),
        ("HEAD", "/users/register", "POST"),
        ("GET", "/users/token", "POST"),
        ("POST", "/users/me", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/users/me/password", "PUT"),
        ("POST", "/currencies", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/ready", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("POST", "/assets/swagger-ui.css", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_there_is_answered_with_those_that_are(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, ", ".join(sorted(answer.headers["Allow"].split(", ")))) == (405, allowed)


# Who is to blame


async def test_everything_wrong_is_said_at_once(person: Person) -> None:
    body = {
        "amount": "1,50",
        "currency": "EURO",
        "date": "2026-02-30",
        "category": "c" * 51,
        "description": "d" * 501,
        "external_id": "\x00",
        "note": "no such field",
    }

    assert blamed(await person.post("/expenses", json=body)) == {
        "/amount": "malformed",
        "/currency": "not_allowed",
        "/date": "malformed",
        "/category": "too_long",
        "/description": "too_long",
        "/external_id": "malformed",
        "/note": "unknown",
    }


async def test_everything_wrong_with_a_query_is_said_at_once(person: Person) -> None:
    answer = await person.get("/expenses?from=yesterday&limit=0&sort=name&uncategorized=yes&nonsense=1&min_amount=1e5")

    assert blamed(answer) == {
        "from": "malformed",
        "limit": "out_of_range",
        "sort": "not_allowed",
        "uncategorized": "wrong_type",
        "nonsense": "unknown",
        "min_amount": "malformed",
    }


async def test_the_query_and_the_body_are_blamed_together(person: Person) -> None:
    answer = await person.post("/expenses?dry_run=true", json={"amount": True})

    assert blamed(answer) == {"dry_run": "unknown", "/amount": "wrong_type"}


async def test_what_does_not_fit_the_users_own_currency_is_said_with_the_rest(person: Person) -> None:
    answer = await person.post("/expenses", json={"amount": "12.505", "date": "2026-02-30"})

    assert blamed(answer) == {"/amount": "out_of_range", "/date": "malformed"}


@pytest.mark.parametrize(
    ("key", "pointer"),
    [
        ("a/b", "/a~1b"),
        ("a~b", "/a~0b"),
        ("~1", "/~01"),
        ("", "/"),
        (" ", "/ "),
        ("€", "/€"),
        ('"', '/"'),
        ("k" * 65, "/" + "k" * 64),
    ],
)
async def test_a_pointer_is_written_as_rfc_6901_wants_it(client: httpx.AsyncClient, key: str, pointer: str) -> None:
    answer = await client.post("/users/register", json={key: 1})

    assert blamed(answer)[pointer] == "unknown"


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b"true", b'"text"', b"1e400", b'[{"amount": "1"}]'])
async def test_a_body_that_is_no_object_is_itself_to_blame(client: httpx.AsyncClient, body: bytes) -> None:
    assert blamed(await client.post("/users/register", content=body, headers=JSON)) == {"": "wrong_type"}


@pytest.mark.parametrize("headers", [{}, JSON])
async def test_a_body_that_is_missing_is_required(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert blamed(await client.post("/users/register", headers=headers)) == {"": "required"}


async def test_a_conflict_points_at_its_field_and_names_the_row(person: Person) -> None:
    there = (await person.post("/categories", json={"name": "Food"})).json()

    answer = await person.post("/categories", json={"name": "food"})

    assert (answer.json()["existing_id"], blamed(answer)) == (there["id"], {"/name": "already_exists"})


async def test_a_stale_revision_points_at_itself(person: Person) -> None:
    there = (await person.post("/expenses", json={"amount": "1"})).json()

    answer = await person.patch(f"/expenses/{there['id']}", json={"revision": there["revision"] - 1})

    assert (answer.status_code, blamed(answer)) == (412, {"/revision": "precondition_failed"})


# What to do about it


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("amount", "12,50", "use a decimal point"),
        ("amount", "1e5", "plain digits"),
        ("amount", True, "Send the amount as a string"),
        ("amount", 0, "zero"),
        ("amount", "1234567890123", "12 digits"),
        ("date", "2026-11-22T13:23:00Z", "a day, not an instant"),
        ("date", 20261122, "as a string"),
        ("currency", "EURO", "GET /currencies"),
    ],
)
async def test_the_advice_says_what_to_write_instead(person: Person, field: str, value: object, sentence: str) -> None:
    answer = await person.post("/expenses", json={"amount": "12.50", field: value})

    assert sentence in advice(answer, f"/{field}")


@pytest.mark.parametrize(
    ("amount", "currency", "decimals"),
    [("12.505", "EUR", "EUR has 2 decimals"), ("12.5", "JPY", "JPY has no decimals"), ("1.2345", "KWD", "3 decimals")],
)
async def test_the_advice_names_the_decimals_of_the_currency(
    person: Person, amount: str, currency: str, decimals: str
) -> None:
    answer = await person.post("/expenses", json={"amount": amount, "currency": currency})

    assert decimals in advice(answer, "/amount")


async def test_who_signs_in_with_json_is_told_to_send_a_form(client: httpx.AsyncClient) -> None:
    answer = await client.post("/users/token", json={"username": "ada", "password": "a walk along the sea"})

    assert (answer.status_code, "username=…&password=…" in answer.json()["detail"]) == (415, True)


async def test_who_signs_in_with_an_endless_form_is_not_told_to_send_json(client: httpx.AsyncClient) -> None:
    form = "&".join(f"field{number}=1" for number in range(2_000))

    answer = await client.post(
        "/users/token", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert (answer.status_code < 500, "JSON" in answer.json()["detail"]) == (True, False)


async def test_a_refused_sign_in_speaks_oauth_too(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/users/token", **WRONG_SIGN_IN)).json()  # type: ignore[arg-type]

    assert (problem["error"], problem["error_description"]) == ("invalid_grant", problem["detail"])


async def test_a_sign_in_that_lacks_a_field_names_it_in_oauths_words(client: httpx.AsyncClient) -> None:
    problem = (await client.post("/users/token", data={"username": "ada"})).json()

    assert (problem["error"], "password: This is required." in problem["error_description"]) == (
        "invalid_request",
        True,
    )


# Whatever comes


@given(shape=st.sampled_from(SHAPES), body=any_body | any_json)
def test_whatever_a_shape_refuses_is_said_in_the_words_of_the_contract(shape: type[BaseModel], body: object) -> None:
    assert {entry.code for entry in entries(refused(shape, body))} <= ENTRY_CODES


@given(shape=st.sampled_from(SHAPES), body=any_body | any_json)
def test_whatever_a_shape_refuses_can_be_written_as_json(shape: type[BaseModel], body: object) -> None:
    said = [entry.as_json() for entry in entries(refused(shape, body))]

    assert json.loads(json.dumps(said, ensure_ascii=False).encode()) == said


@pytest.mark.parametrize(("status", "code"), [(400, "malformed_body"), (404, "not_found"), (405, "method_not_allowed")])
def test_what_the_framework_refuses_becomes_a_problem(status: int, code: str) -> None:
    assert problem_of(HTTPException(status)).code == code


def test_what_nobody_expected_becomes_an_internal_error_that_keeps_it_to_itself() -> None:
    assert "hunter2" not in repr(problem_of(ValueError("hunter2")))


def test_what_the_framework_says_in_headers_is_kept() -> None:
    assert problem_of(HTTPException(405, headers={"Allow": "GET"})).headers["Allow"] == "GET"
