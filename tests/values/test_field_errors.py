"""Field errors: all at once, each with its place, a code and a sentence of ours, and without the value."""

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas import ExpenseCreate
from tests.support.bodies import ENTRY_CODES, refused
from tests.support.generated import SHAPES, any_body, any_json
from tests.support.people import Person
from tests.support.problems import JSON, advice, blamed
from values.field_errors import MAX_FIELD_ERRORS, translate_errors

pytestmark = pytest.mark.wire


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


# Whatever comes


@given(shape=st.sampled_from(SHAPES), body=any_body | any_json)
def test_whatever_a_shape_refuses_is_said_in_the_words_of_the_contract(shape: type[BaseModel], body: object) -> None:
    assert {entry.code for entry in translate_errors(refused(shape, body).errors())} <= ENTRY_CODES


@given(shape=st.sampled_from(SHAPES), body=any_body | any_json)
def test_whatever_a_shape_refuses_is_explained_in_sentences_of_ours(shape: type[BaseModel], body: object) -> None:
    said = [entry.detail for entry in translate_errors(refused(shape, body).errors())]

    assert [it for it in said if "nput" in it or "{" in it or not it.endswith(".")] == []


@given(shape=st.sampled_from(SHAPES), body=any_body | any_json)
def test_whatever_a_shape_refuses_can_be_written_as_json(shape: type[BaseModel], body: object) -> None:
    said = [entry.to_json() for entry in translate_errors(refused(shape, body).errors())]

    assert json.loads(json.dumps(said, ensure_ascii=False).encode()) == said


def test_of_many_errors_one_more_is_translated_than_is_told() -> None:
    body = dict.fromkeys(map(str, range(1_000)), 1)

    assert len(translate_errors(refused(ExpenseCreate, body).errors())) == MAX_FIELD_ERRORS + 1
