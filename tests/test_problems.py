"""Problems (RFC 9457): each says what is wrong, where, and what to do, and repeats no value."""

import httpx
import pytest
from starlette.exceptions import HTTPException

from api.problem_codes import ADVICE
from api.problem_json import to_problem
from problems import (
    AlreadyExists,
    BodyTooLarge,
    CategoryInUse,
    FilterRequired,
    IdempotencyKeyReused,
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
    ResyncRequired,
    TokenExpired,
    TooMany,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    WrongPassword,
)
from tests.support.people import Person
from tests.support.problems import AS_REFUSED, WRONG_SIGN_IN, Refusal
from values.field_errors import field_error

pytestmark = pytest.mark.wire


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


# The members of a problem


@AS_REFUSED
async def test_every_refusal_is_a_problem_with_its_status_and_code(client: httpx.AsyncClient, refusal: Refusal) -> None:
    answer = await refusal.provoke(client)

    met = (answer.status_code, answer.headers["Content-Type"], answer.json()["code"])
    assert met == (refusal.status, "application/problem+json", refusal.code)


@AS_REFUSED
async def test_a_problem_says_its_type_title_and_status(client: httpx.AsyncClient, refusal: Refusal) -> None:
    problem = (await refusal.provoke(client)).json()

    said = (problem["type"], problem["title"], problem["status"])
    assert said == ("about:blank", TITLES[refusal.status], refusal.status)


@AS_REFUSED
async def test_a_problem_bears_the_id_of_its_request(client: httpx.AsyncClient, refusal: Refusal) -> None:
    answer = await refusal.provoke(client)

    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@AS_REFUSED
async def test_a_problem_says_in_a_sentence_what_to_do(client: httpx.AsyncClient, refusal: Refusal) -> None:
    assert len((await refusal.provoke(client)).json()["detail"].split()) > 3


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
        (FilterRequired, 422, "filter_required"),
        (IdempotencyKeyReused, 422, "idempotency_key_reused"),
        (ResyncRequired, 410, "resync_required"),
        (InternalError, 500, "internal_error"),
        (Unavailable, 503, "unavailable"),
        (OutcomeUnknown, 503, "outcome_unknown"),
    ],
)
def test_a_problem_has_the_status_and_the_code_of_the_contract(problem: type[Problem], status: int, code: str) -> None:
    assert (problem.status, problem.code) == (status, code)


@pytest.mark.parametrize("problem", ADVICE, ids=lambda problem: problem.code)
def test_a_problem_without_a_detail_of_its_own_says_what_its_class_says(problem: type[Problem]) -> None:
    assert problem().detail == " ".join(str(problem.__doc__).split())
    assert problem("Another.").detail == "Another."


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
        ("PUT", "/expenses", "DELETE, GET, HEAD, PATCH, POST"),
        ("PUT", "/expenses/", "DELETE, GET, HEAD, PATCH, POST"),
        ("OPTIONS", "/expenses", "DELETE, GET, HEAD, PATCH, POST"),
        ("BREW", "/expenses", "DELETE, GET, HEAD, PATCH, POST"),
        ("POST", "/expenses/1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("POST", "/expenses/abc", "DELETE, GET, HEAD, PATCH, PUT"),
        ("PUT", "/categories", "GET, HEAD, POST"),
        ("PUT", "/categories/1", "DELETE, GET, HEAD, PATCH"),
        ("POST", "/budgets/status", "GET, HEAD"),
        ("POST", "/budgets/1", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/users/register", "POST"),
        ("HEAD", "/users/register", "POST"),
        ("GET", "/users/token", "POST"),
        ("POST", "/users/me", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/users/me/password", "PUT"),
        ("PUT", "/expenses/batch", "POST"),
        ("GET", "/expenses/restore", "POST"),
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


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
async def test_an_address_that_could_be_a_rows_is_still_no_row(somebody: Person, method: str) -> None:
    answer = await somebody.request(method, "/budgets/status", json={} if method == "PATCH" else None)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_a_path_in_the_words_of_the_document_is_no_row(somebody: Person) -> None:
    answer = await somebody.get("/budgets/{budget_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


# Where advice differs


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


# What the framework says


@pytest.mark.parametrize(("status", "code"), [(400, "malformed_body"), (404, "not_found"), (405, "method_not_allowed")])
def test_what_the_framework_refuses_becomes_a_problem(status: int, code: str) -> None:
    assert to_problem(HTTPException(status)).code == code


def test_what_nobody_expected_becomes_an_internal_error_that_keeps_it_to_itself() -> None:
    assert "hunter2" not in repr(to_problem(ValueError("hunter2")))


def test_what_the_framework_says_in_headers_is_kept() -> None:
    assert to_problem(HTTPException(405, headers={"Allow": "GET"})).headers["Allow"] == "GET"


async def test_an_unknown_path_is_told_apart_from_an_unknown_row(somebody: Person) -> None:
    path, row = [(await somebody.get(address)).json() for address in ("/expense", "/expenses/999999")]

    assert (path["code"], path["detail"]) == (
        "not_found",
        "There is no such path; the documentation of the service lists all paths.",
    )
    assert (row["code"], row["detail"]) == ("not_found", "There is nothing here.")


@pytest.mark.parametrize(
    ("number", "told", "ending"), [(100, 100, "why."), (101, 100, "`errors` has only the first 100; there are more.")]
)
def test_a_problem_lists_a_hundred_errors_and_says_if_there_are_more(number: int, told: int, ending: str) -> None:
    problem = ValidationFailed(
        errors=[field_error(f"/{it}", "unknown", "There is no such field.") for it in range(number)]
    )

    assert (len(problem.errors), problem.detail.endswith(ending)) == (told, True)
