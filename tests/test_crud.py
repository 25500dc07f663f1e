"""Expenses through the API: record, read, replace, change and delete."""

import json
from datetime import timedelta

import httpx
import pytest
import time_machine
from sqlalchemy import Connection, update

import models
from tests.support.expenses import change, read, sendable, spend
from tests.support.people import Person, SignUp
from tests.support.problems import JSON, blamed
from tests.support.settings import NOON

# Recording


@pytest.mark.usefixtures("noon")
async def test_an_expense_is_recorded_as_it_was_sent(person: Person) -> None:
    expense = await spend(
        person,
        amount="4.20",
        currency="GBP",
        date="2026-11-20",
        category="Groceries",
        payee="Market hall",
        description="Apples",
        tags=["shared", "Élan"],
        external_id="bank-1",
    )

    assert expense == {
        "id": expense["id"],
        "amount": "4.20",
        "currency": "GBP",
        "date": "2026-11-20",
        "category": "Groceries",
        "payee": "Market hall",
        "description": "Apples",
        "tags": ["Élan", "shared"],
        "external_id": "bank-1",
        "import_id": None,
        "revision": 1,
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:00Z",
        "deleted_at": None,
    }


@pytest.mark.usefixtures("noon")
async def test_an_amount_is_all_that_an_expense_needs(person: Person) -> None:
    expense = await spend(person, amount="12.50")

    assert sendable(expense) == {
        "amount": "12.50",
        "currency": "EUR",
        "date": "2026-11-22",
        "category": None,
        "description": None,
        "external_id": None,
    }


async def test_an_expense_is_read_as_it_was_answered(person: Person) -> None:
    expense = await spend(person, category="Groceries", description="Apples", external_id="bank-1")

    assert await read(person, expense) == expense


async def test_an_expense_is_listed_as_it_is_read(person: Person) -> None:
    expense = await spend(person, category="Groceries", description="Apples", external_id="bank-1")

    assert (await person.get("/expenses")).json() == {"items": [expense], "next_cursor": None}


async def test_a_new_expense_says_where_it_is(somebody: Person) -> None:
    answer = await somebody.post("/expenses", json={"amount": "12.50"})

    assert answer.headers["Location"] == f"/expenses/{answer.json()['id']}"


async def test_an_expense_without_a_currency_is_in_the_users(sign_up: SignUp) -> None:
    person = await sign_up(currency="jpy")

    assert (await spend(person, amount=1250))["currency"] == "JPY"


@pytest.mark.parametrize(
    ("timezone", "today"), [("UTC", "2026-11-22"), ("Asia/Tokyo", "2026-11-23"), ("Pacific/Pago_Pago", "2026-11-22")]
)
async def test_an_expense_without_a_date_is_todays_where_the_user_is(
    noon: time_machine.Traveller, sign_up: SignUp, timezone: str, today: str
) -> None:
    noon.move_to(NOON + timedelta(hours=5))
    person = await sign_up(timezone=timezone)

    assert (await spend(person))["date"] == today


async def test_every_expense_has_an_id_of_its_own(somebody: Person) -> None:
    first = await spend(somebody)
    await somebody.delete(f"/expenses/{first['id']}")

    assert (await spend(somebody))["id"] > first["id"]


async def test_every_change_takes_the_next_revision(person: Person) -> None:
    first = await spend(person)
    second = await spend(person, category="New")
    changed = await change(person, first, amount="1")

    assert [it["revision"] for it in (first, second, changed)] == [1, 2, 3]


async def test_what_is_refused_takes_no_revision(person: Person) -> None:
    await spend(person)
    await person.post("/expenses", json={"amount": "12.505", "category": "New"})

    assert (await spend(person))["revision"] == 2


async def test_an_expense_that_is_refused_makes_no_category(person: Person) -> None:
    await person.post("/expenses", json={"amount": "12.505", "category": "New"})

    assert (await person.get("/categories")).json()["items"] == []


# Money


async def stored(person: Person, literal: str, currency: str) -> str:
    """Record an expense of this amount, and return the amount as it is read again."""
    body = f'{{"amount": {literal}, "currency": "{currency}"}}'
    expense = (await person.post("/expenses", content=body, headers=JSON)).json()
    return str((await read(person, expense))["amount"])


@pytest.mark.wire
@pytest.mark.parametrize(
    ("literal", "currency", "written"),
    [
        ('"12.50"', "EUR", "12.50"),
        ('"12.5"', "EUR", "12.50"),
        ('"12"', "EUR", "12.00"),
        ('"007"', "EUR", "7.00"),
        ('"-12.50"', "EUR", "-12.50"),
        ('"1250"', "JPY", "1250"),
        ('"-1"', "JPY", "-1"),
        ('"1.250"', "KWD", "1.250"),
        ('"1.25"', "KWD", "1.250"),
        ("12", "EUR", "12.00"),
        ("12.5", "EUR", "12.50"),
        ("12.50", "EUR", "12.50"),
        ("-3", "EUR", "-3.00"),
        ("0.1", "EUR", "0.10"),
        ("1e2", "EUR", "100.00"),
        ("1.5E+1", "EUR", "15.00"),
        ("8.4299999999999997", "EUR", "8.43"),
        ("0.30000000000000000001", "EUR", "0.30"),
        ("1250.0", "JPY", "1250"),
        ("1.25", "KWD", "1.250"),
        ("999999999999.99", "EUR", "999999999999.99"),
    ],
)
async def test_an_amount_is_read_exactly(somebody: Person, literal: str, currency: str, written: str) -> None:
    assert await stored(somebody, literal, currency) == written


@pytest.mark.parametrize(
    ("literal", "currency", "written"),
    [
        ('"0.01"', "EUR", "0.01"),
        ('"-0.01"', "EUR", "-0.01"),
        ('"0.001"', "KWD", "0.001"),
        ("8.43", "EUR", "8.43"),
        ('"999999999999.99"', "EUR", "999999999999.99"),
        ('"-999999999999.99"', "EUR", "-999999999999.99"),
        ('"999999999999.999"', "KWD", "999999999999.999"),
        ('"999999999999"', "JPY", "999999999999"),
    ],
)
async def test_the_smallest_and_the_largest_amounts_are_stored_exactly(
    somebody: Person, literal: str, currency: str, written: str
) -> None:
    assert await stored(somebody, literal, currency) == written


@pytest.mark.wire
@pytest.mark.parametrize(
    ("literal", "currency", "code"),
    [
        ('"12.345"', "EUR", "out_of_range"),
        ('"12.500"', "EUR", "out_of_range"),
        ('"12.5"', "JPY", "out_of_range"),
        ('"12.0"', "JPY", "out_of_range"),
        ('"1.2345"', "KWD", "out_of_range"),
        ("12.345", "EUR", "out_of_range"),
        ("0.30000000000000004", "EUR", "out_of_range"),
        ("12.5", "JPY", "out_of_range"),
        ("0", "EUR", "out_of_range"),
        ("-0", "EUR", "out_of_range"),
        ("0.0", "EUR", "out_of_range"),
        ('"0"', "EUR", "out_of_range"),
        ('"-0.00"', "EUR", "out_of_range"),
        ("1e-400", "EUR", "out_of_range"),
        ("5e-324", "EUR", "out_of_range"),
        ('"1000000000000"', "EUR", "out_of_range"),
        ('"0000000000001"', "EUR", "out_of_range"),
        ("1000000000000", "EUR", "out_of_range"),
        ("1e12", "EUR", "out_of_range"),
        ("-1e12", "JPY", "out_of_range"),
        ("1e400", "EUR", "out_of_range"),
        ("-1e400", "EUR", "out_of_range"),
        ('"1e2"', "EUR", "malformed"),
        ('"+12"', "EUR", "malformed"),
        ('"1_000"', "EUR", "malformed"),
        ('"1 000"', "EUR", "malformed"),
        ('" 12"', "EUR", "malformed"),
        ('"12 "', "EUR", "malformed"),
        ('"12\\n"', "EUR", "malformed"),
        ('"12\\u0000"', "EUR", "malformed"),
        ('"12,50"', "EUR", "malformed"),
        ('"1,000.00"', "EUR", "malformed"),
        ('"12."', "EUR", "malformed"),
        ('".5"', "EUR", "malformed"),
        ('"--1"', "EUR", "malformed"),
        ('"-"', "EUR", "malformed"),
        ('""', "EUR", "malformed"),
        ('"0x10"', "EUR", "malformed"),
        ('"NaN"', "EUR", "malformed"),
        ('"Infinity"', "EUR", "malformed"),
        ('"12 EUR"', "EUR", "malformed"),
        ('"€12"', "EUR", "malformed"),
        ('"١٢"', "EUR", "malformed"),
        ('"１２"', "EUR", "malformed"),
        ('"\u221212"', "EUR", "malformed"),
        ('"\\ud800"', "EUR", "malformed"),
        ("true", "EUR", "wrong_type"),
        ("false", "EUR", "wrong_type"),
        ("null", "EUR", "wrong_type"),
        ("[]", "EUR", "wrong_type"),
        ("[12]", "EUR", "wrong_type"),
        ("{}", "EUR", "wrong_type"),
    ],
)
async def test_another_amount_is_refused_and_never_rounded(
    somebody: Person, literal: str, currency: str, code: str
) -> None:
    body = f'{{"amount": {literal}, "currency": "{currency}"}}'.encode()

    assert blamed(await somebody.post("/expenses", content=body, headers=JSON)) == {"/amount": code}


@pytest.mark.wire
@pytest.mark.parametrize(
    ("currency", "amount"), [("EUR", "12.345"), ("USD", 12.345), ("JPY", "12.5"), ("KRW", 12.5), ("TND", "1.2345")]
)
async def test_an_amount_must_fit_the_users_own_currency(sign_up: SignUp, currency: str, amount: object) -> None:
    person = await sign_up(currency=currency)

    assert blamed(await person.post("/expenses", json={"amount": amount})) == {"/amount": "out_of_range"}


@pytest.mark.parametrize("currency", ["eur", "EUR", "Eur", "eUR"])
async def test_a_currency_is_read_in_any_case(somebody: Person, currency: str) -> None:
    assert (await spend(somebody, currency=currency))["currency"] == "EUR"


@pytest.mark.wire
@pytest.mark.parametrize(
    "currency", ["", "EU", "EURO", "EUR ", "XXX", "XAU", "XEU", "€", "İNR", "ＥＵＲ", "ЕUR", "978"]
)
async def test_another_currency_is_refused(somebody: Person, currency: str) -> None:
    assert blamed(await somebody.post("/expenses", json={"amount": "1", "currency": currency})) == {
        "/currency": "not_allowed"
    }


async def test_the_currencies_are_listed_for_everybody_with_their_decimals(client: httpx.AsyncClient) -> None:
    listed = {it["code"]: it["decimals"] for it in (await client.get("/currencies")).json()["items"]}

    assert [listed[code] for code in ("JPY", "EUR", "KWD")] == [0, 2, 3]


# An id of the client's own


async def test_a_known_external_id_answers_with_the_row_as_it_stands(person: Person) -> None:
    there = await spend(person, external_id="bank-1", description="Apples")

    again = await person.post("/expenses", json={"amount": "99", "external_id": "bank-1", "description": "Pears"})

    assert (again.status_code, again.json()) == (200, there)


async def test_a_known_external_id_changes_nothing(person: Person) -> None:
    there = await spend(person, external_id="bank-1", description="Apples")

    await person.post("/expenses", json={"amount": "99", "external_id": "bank-1", "category": "New"})

    assert (await person.get("/expenses?with_count=true")).json() == {
        "items": [there],
        "next_cursor": None,
        "count": 1,
    }


async def test_a_known_external_id_makes_no_category_and_takes_no_revision(person: Person) -> None:
    await spend(person, external_id="bank-1")

    await person.post("/expenses", json={"amount": "99", "external_id": "bank-1", "category": "New"})

    assert ((await person.get("/categories")).json()["items"], (await spend(person))["revision"]) == ([], 2)


async def test_a_known_external_id_says_where_its_row_is(person: Person) -> None:
    there = await spend(person, external_id="bank-1")

    again = await person.post("/expenses", json={"amount": "12.50", "external_id": "bank-1"})

    assert again.headers["Location"] == f"/expenses/{there['id']}"


async def test_a_known_external_id_is_known_after_the_user_has_changed_currency(person: Person) -> None:
    there = await spend(person, amount="12.50", external_id="bank-1")
    await person.patch("/users/me", json={"currency": "JPY"})

    again = await person.post("/expenses", json={"amount": "12.50", "external_id": "bank-1"})

    assert (again.status_code, again.json()) == (200, there)


async def test_what_was_deleted_stays_deleted_however_often_it_is_sent(person: Person) -> None:
    there = await spend(person, external_id="bank-1")
    await person.delete(f"/expenses/{there['id']}")

    again = await person.post("/expenses", json={"amount": "12.50", "external_id": "bank-1"})

    assert (again.status_code, again.json()["id"], again.json()["deleted_at"] is None) == (200, there["id"], False)
    assert "Location" not in again.headers


async def test_what_was_sent_again_from_the_trash_is_not_listed(person: Person) -> None:
    there = await spend(person, external_id="bank-1")
    await person.delete(f"/expenses/{there['id']}")
    await person.post("/expenses", json={"amount": "12.50", "external_id": "bank-1"})

    assert (await person.get("/expenses")).json()["items"] == []


@pytest.mark.parametrize("other", ["BANK-1", "bank-1x", "bank‐1", "bank\u200b-1"])
async def test_an_external_id_is_compared_to_the_letter(person: Person, other: str) -> None:
    there = await spend(person, external_id="bank-1")

    assert (await spend(person, external_id=other))["id"] != there["id"]


async def test_two_users_may_use_the_same_external_id(person: Person, stranger: Person) -> None:
    there = await spend(stranger, external_id="bank-1")

    assert (await spend(person, external_id="bank-1"))["id"] != there["id"]


async def test_expenses_without_an_external_id_do_not_meet(somebody: Person) -> None:
    first, second = await spend(somebody, external_id=""), await spend(somebody, external_id=None)

    assert first["id"] != second["id"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_to_a_taken_external_id_names_who_has_it(person: Person, method: str) -> None:
    there = await spend(person, external_id="bank-1")
    other = await spend(person, external_id="bank-2")

    answer = await person.request(method, f"/expenses/{other['id']}", json=sendable(other, external_id="bank-1"))

    assert (answer.status_code, answer.json()["code"], answer.json()["existing_id"], blamed(answer)) == (
        409,
        "already_exists",
        there["id"],
        {"/external_id": "already_exists"},
    )


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_change_to_an_external_id_in_the_trash_is_refused_too(person: Person, method: str) -> None:
    there = await spend(person, external_id="bank-1")
    await person.delete(f"/expenses/{there['id']}")
    other = await spend(person)

    answer = await person.request(method, f"/expenses/{other['id']}", json=sendable(other, external_id="bank-1"))

    assert (answer.status_code, answer.json()["existing_id"]) == (409, there["id"])


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_a_refused_change_changes_nothing(person: Person, method: str) -> None:
    await spend(person, external_id="bank-1")
    other = await spend(person)

    fields = sendable(other, external_id="bank-1", amount="99", category="New")
    await person.request(method, f"/expenses/{other['id']}", json=fields)

    assert (await read(person, other), (await person.get("/categories")).json()["items"]) == (other, [])


async def test_an_expense_keeps_its_own_external_id(person: Person) -> None:
    there = await spend(person, external_id="bank-1")

    assert (await change(person, there, external_id="bank-1", amount="99"))["amount"] == "99.00"


async def test_an_external_id_that_was_given_up_is_free_again(person: Person) -> None:
    there = await spend(person, external_id="bank-1")
    await change(person, there, external_id=None)

    assert (await spend(person, external_id="bank-1"))["id"] != there["id"]


# Replacing


async def test_what_was_read_can_be_put_back(person: Person) -> None:
    expense = await spend(person, category="Groceries", description="Apples", external_id="bank-1")

    answer = await person.put(f"/expenses/{expense['id']}", json=expense)

    assert (answer.status_code, answer.json()) == (200, expense)


async def test_a_replacement_replaces_the_whole(person: Person) -> None:
    expense = await spend(person, category="Groceries", description="Apples", external_id="bank-1")

    whole = {"amount": "3", "currency": "GBP", "date": "2026-01-31"}
    replaced = (await person.put(f"/expenses/{expense['id']}", json=whole)).json()

    assert sendable(replaced) == {
        "amount": "3.00",
        "currency": "GBP",
        "date": "2026-01-31",
        "category": None,
        "description": None,
        "external_id": None,
    }


async def test_a_replacement_is_read_as_it_was_answered(somebody: Person) -> None:
    expense = await spend(somebody)

    whole = {"amount": "3", "currency": "GBP", "date": "2026-01-31", "category": "Gifts", "description": "A book"}
    replaced = (await somebody.put(f"/expenses/{expense['id']}", json=whole)).json()

    assert await read(somebody, expense) == replaced


async def test_a_replacement_needs_amount_currency_and_date(somebody: Person) -> None:
    expense = await spend(somebody)

    answer = await somebody.put(f"/expenses/{expense['id']}", json={"description": "Apples"})

    assert blamed(answer) == {"/amount": "required", "/currency": "required", "/date": "required"}


async def test_a_replacements_amount_must_fit_its_currency(somebody: Person) -> None:
    expense = await spend(somebody)

    answer = await somebody.put(f"/expenses/{expense['id']}", json=sendable(expense, currency="JPY"))

    assert blamed(answer) == {"/amount": "out_of_range"}


async def test_the_same_whole_again_takes_no_revision(person: Person) -> None:
    expense = await spend(person, category="Groceries")
    await person.put(f"/expenses/{expense['id']}", json=sendable(expense))

    assert (await spend(person))["revision"] == 2


# Changing


async def test_what_was_read_can_be_patched_back(person: Person) -> None:
    expense = await spend(person, category="Groceries", description="Apples", external_id="bank-1")

    assert await change(person, expense, **expense) == expense


async def test_what_the_service_sets_cannot_be_set(somebody: Person) -> None:
    expense = await spend(somebody)

    forged = {"id": 1, "created_at": "1999-01-01T00:00:00Z", "updated_at": None, "deleted_at": "1999-01-01T00:00:00Z"}

    assert await change(somebody, expense, **forged) == expense


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("amount", "99.99", "99.99"),
        ("amount", -3, "-3.00"),
        ("currency", "usd", "USD"),
        ("date", "2024-02-29", "2024-02-29"),
        ("category", "Gifts", "Gifts"),
        ("description", " Pears ", "Pears"),
        ("external_id", "bank-2", "bank-2"),
        ("category", None, None),
        ("description", None, None),
        ("external_id", None, None),
        ("category", "", None),
        ("description", " ", None),
        ("external_id", "", None),
    ],
)
async def test_a_change_changes_its_field_and_no_other(
    somebody: Person, field: str, value: object, kept: object
) -> None:
    expense = await spend(somebody, category="Groceries", description="Apples", external_id=f"{field} {value}")

    await change(somebody, expense, **{field: value})

    assert sendable(await read(somebody, expense)) == sendable(expense) | {field: kept}


@pytest.mark.parametrize("field", ["amount", "currency", "date"])
async def test_what_an_expense_needs_cannot_be_cleared(somebody: Person, field: str) -> None:
    expense = await spend(somebody)

    answer = await somebody.patch(f"/expenses/{expense['id']}", json={field: None})

    assert blamed(answer) == {f"/{field}": "wrong_type"}


@pytest.mark.parametrize(
    "same",
    [
        {},
        {"amount": "12.50"},
        {"amount": "12.5"},
        {"amount": 12.5},
        {"currency": "eur"},
        {"category": "groceries"},
        {"description": "  Apples "},
        {"date": "2026-11-20", "external_id": "bank-1"},
    ],
)
async def test_a_change_to_the_same_values_takes_no_revision(person: Person, same: dict[str, object]) -> None:
    fields = {"date": "2026-11-20", "category": "Groceries", "description": "Apples", "external_id": "bank-1"}
    expense = await spend(person, **fields)
    await change(person, expense, **same)

    assert (await spend(person))["revision"] == expense["revision"] + 1


async def test_a_change_to_the_same_values_keeps_its_time(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person)
    noon.shift(60)

    assert await change(person, expense, amount="12.50") == expense


async def test_a_change_says_when_it_was(noon: time_machine.Traveller, person: Person) -> None:
    expense = await spend(person)
    noon.shift(60)
    changed = await change(person, expense, amount="1")

    assert (changed["created_at"], changed["updated_at"]) == ("2026-11-22T12:00:00Z", "2026-11-22T12:01:00Z")


async def test_a_change_is_read_as_it_was_answered(somebody: Person) -> None:
    expense = await spend(somebody, category="Groceries")

    changed = await change(somebody, expense, amount="1", category="Gifts", description="A book")

    assert await read(somebody, expense) == changed


@pytest.mark.parametrize(
    ("amount", "before", "after", "kept"),
    [
        ("12.50", "EUR", "USD", "12.50"),
        ("12.50", "EUR", "KWD", "12.500"),
        ("12.00", "EUR", "JPY", "12"),
        ("1250", "JPY", "EUR", "1250.00"),
        ("100000000000", "JPY", "EUR", "100000000000.00"),
        ("1.500", "KWD", "EUR", "1.50"),
        ("-2.000", "KWD", "JPY", "-2"),
    ],
)
async def test_a_new_currency_keeps_the_amount(
    somebody: Person, amount: str, before: str, after: str, kept: str
) -> None:
    expense = await spend(somebody, amount=amount, currency=before)

    assert (await change(somebody, expense, currency=after))["amount"] == kept


@pytest.mark.parametrize(
    ("amount", "before", "after"),
    [("12.50", "EUR", "JPY"), ("-0.01", "EUR", "JPY"), ("1.255", "KWD", "EUR"), ("0.001", "KWD", "JPY")],
)
async def test_a_new_currency_that_the_amount_does_not_fit_is_refused(
    somebody: Person, amount: str, before: str, after: str
) -> None:
    expense = await spend(somebody, amount=amount, currency=before)

    answer = await somebody.patch(f"/expenses/{expense['id']}", json={"currency": after})

    assert (blamed(answer), await read(somebody, expense)) == ({"/currency": "out_of_range"}, expense)


async def test_a_new_amount_must_fit_the_currency_that_stays(somebody: Person) -> None:
    expense = await spend(somebody, amount="1250", currency="JPY")

    answer = await somebody.patch(f"/expenses/{expense['id']}", json={"amount": "12.50"})

    assert blamed(answer) == {"/amount": "out_of_range"}


async def test_an_amount_and_its_currency_change_together(somebody: Person) -> None:
    expense = await spend(somebody, amount="12.50", currency="EUR")

    changed = await change(somebody, expense, amount="1250", currency="JPY")

    assert (changed["amount"], changed["currency"]) == ("1250", "JPY")


async def test_a_new_category_is_made_on_the_way(person: Person) -> None:
    expense = await spend(person)

    changed = await change(person, expense, category="Gifts")
    [category] = (await person.get("/categories")).json()["items"]

    assert (category["name"], category["revision"]) == ("Gifts", changed["revision"])


# The revision as a condition


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_the_revision_that_is_there_lets_a_change_in(somebody: Person, method: str) -> None:
    expense = await spend(somebody)

    fields = sendable(expense, amount="99", revision=expense["revision"])
    answer = await somebody.request(method, f"/expenses/{expense['id']}", json=fields)

    assert (answer.status_code, answer.json()["amount"]) == (200, "99.00")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("stale", [0, -1, 2**63, 10**30])
async def test_another_revision_fails_the_condition_and_changes_nothing(
    somebody: Person, method: str, stale: int
) -> None:
    expense = await spend(somebody)
    moved_on = await change(somebody, expense, amount="1")

    answer = await somebody.request(
        method, f"/expenses/{expense['id']}", json=sendable(expense, amount="99", revision=stale)
    )

    assert (answer.status_code, answer.json()["code"], await read(somebody, expense)) == (
        412,
        "precondition_failed",
        moved_on,
    )


async def test_a_stale_revision_is_refused_even_where_nothing_would_change(somebody: Person) -> None:
    expense = await spend(somebody)

    answer = await somebody.patch(f"/expenses/{expense['id']}", json={"amount": "12.50", "revision": 99})

    assert answer.status_code == 412


@pytest.mark.parametrize("revision", ["null", "true", "1.0", "1e0", "[]", '"1"'])
async def test_a_revision_is_a_whole_number_through_the_api(somebody: Person, revision: str) -> None:
    expense = await spend(somebody)

    answer = await somebody.patch(f"/expenses/{expense['id']}", content=f'{{"revision": {revision}}}', headers=JSON)

    assert blamed(answer) == {"/revision": "wrong_type"}


# Deleting


async def test_a_deleted_expense_is_not_found(somebody: Person) -> None:
    expense = await spend(somebody)

    deleted = await somebody.delete(f"/expenses/{expense['id']}")

    assert (deleted.status_code, deleted.content, (await somebody.get(f"/expenses/{expense['id']}")).status_code) == (
        204,
        b"",
        404,
    )


async def test_a_deleted_expense_is_neither_listed_nor_counted(person: Person) -> None:
    gone, kept = await spend(person), await spend(person)
    await person.delete(f"/expenses/{gone['id']}")

    assert (await person.get("/expenses?with_count=true")).json() == {
        "items": [kept],
        "next_cursor": None,
        "count": 1,
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_a_deleted_expense_can_no_longer_be_touched(somebody: Person, method: str) -> None:
    expense = await spend(somebody)
    await somebody.delete(f"/expenses/{expense['id']}")

    answer = await somebody.request(method, f"/expenses/{expense['id']}", json=sendable(expense))

    assert answer.status_code == 404


async def test_a_deletion_takes_a_revision(person: Person) -> None:
    expense = await spend(person)
    await person.delete(f"/expenses/{expense['id']}")

    assert (await spend(person))["revision"] == expense["revision"] + 2


async def test_a_deletion_of_nothing_takes_no_revision(person: Person) -> None:
    expense = await spend(person)
    await person.delete(f"/expenses/{expense['id'] + 1_000_000}")

    assert (await spend(person))["revision"] == expense["revision"] + 1


async def test_a_deleted_expense_bears_the_revision_and_the_time_of_its_deletion(
    noon: time_machine.Traveller, person: Person
) -> None:
    expense = await spend(person, external_id="bank-1", category="Groceries")
    noon.shift(60)
    await person.delete(f"/expenses/{expense['id']}")

    trashed = (await person.post("/expenses", json={"amount": "12.50", "external_id": "bank-1"})).json()

    assert trashed == expense | {"revision": expense["revision"] + 1, "deleted_at": "2026-11-22T12:01:00Z"}


async def test_a_deleted_expense_is_nobody_elses_business(person: Person, stranger: Person) -> None:
    theirs = await spend(stranger, external_id="bank-1")
    await stranger.delete(f"/expenses/{theirs['id']}")

    assert (await spend(person, external_id="bank-1"))["deleted_at"] is None


# Text and days through both databases


@pytest.mark.parametrize(
    "text",
    [
        "Äpfel & Brot",
        "👩‍👩‍👧‍👦 🏳️‍🌈",
        "日本語のレシート",
        "a\tb\nc",
        "a\u2028b\xadc",
        "\ufffd\ufffe\uffff\U0010ffff",
        "'; DROP TABLE expenses; -- %s %(owner)s :owner \\",
        pytest.param("🍎" * 500, id="500 apples"),
        pytest.param("ΐ" * 500, id="500 that fold to three"),
    ],
)
async def test_a_description_comes_back_as_it_went_in(somebody: Person, text: str) -> None:
    assert (await read(somebody, await spend(somebody, description=text)))["description"] == text


async def test_a_description_comes_back_in_nfc_and_trimmed(somebody: Person) -> None:
    assert (await read(somebody, await spend(somebody, description=" cafe\u0301\n")))["description"] == "caf\u00e9"


@pytest.mark.wire
@pytest.mark.parametrize("control", ["\x00", "\x07", "\x0b", "\x1b", "\x7f", "\x85"])
async def test_a_control_character_is_refused_in_every_text(somebody: Person, control: str) -> None:
    text = f"a{control}b"

    body = {"amount": "1", "description": text, "category": text, "external_id": text}

    assert blamed(await somebody.post("/expenses", json=body)) == {
        "/description": "malformed",
        "/category": "malformed",
        "/external_id": "malformed",
    }


async def test_a_line_end_is_a_newline_in_a_description_and_refused_elsewhere(somebody: Person) -> None:
    assert (await spend(somebody, description="apples\r\nbread\rmilk"))["description"] == "apples\nbread\nmilk"

    body = {"amount": "1", "category": "Food\n", "external_id": "bank\r1"}

    assert blamed(await somebody.post("/expenses", json=body)) == {
        "/category": "malformed",
        "/external_id": "malformed",
    }


@pytest.mark.parametrize("parameter", ["category", "external_id"])
async def test_a_filter_of_one_line_takes_no_line_end(somebody: Person, parameter: str) -> None:
    answer = await somebody.get("/expenses", params={parameter: "Food\n"})

    assert [(it["parameter"], it["code"]) for it in answer.json()["errors"]] == [(parameter, "malformed")]


async def test_a_description_that_held_a_carriage_return_before_is_still_read(
    somebody: Person, outside: Connection
) -> None:
    expense = await spend(somebody, description="apples")
    before = update(models.Expense).where(models.Expense.id == expense["id"]).values(description="apples\rbread\x85")
    outside.execute(before)
    outside.commit()

    assert (await read(somebody, expense))["description"] == "apples\rbread\x85"


@pytest.mark.wire
@pytest.mark.parametrize("escape", ["\\ud800", "\\udfff", "\\udc00\\ud800"])
async def test_half_a_character_is_refused_in_every_text(somebody: Person, escape: str) -> None:
    body = f'{{"amount": "1", "description": "{escape}", "category": "{escape}", "external_id": "{escape}"}}'

    assert blamed(await somebody.post("/expenses", content=body, headers=JSON)) == {
        "/description": "malformed",
        "/category": "malformed",
        "/external_id": "malformed",
    }


@pytest.mark.parametrize("day", ["1900-01-01", "1970-01-01", "2024-02-29", "2199-12-31"])
async def test_a_day_comes_back_as_it_went_in(somebody: Person, day: str) -> None:
    assert (await read(somebody, await spend(somebody, date=day)))["date"] == day


@pytest.mark.wire
@pytest.mark.parametrize(
    ("day", "code"),
    [
        ("1899-12-31", "out_of_range"),
        ("2200-01-01", "out_of_range"),
        ("2026-02-29", "malformed"),
        ("2026-11-22T00:00:00Z", "malformed"),
        ("22.11.2026", "malformed"),
        (1795305600, "wrong_type"),
        (True, "wrong_type"),
        (None, "wrong_type"),
    ],
)
async def test_another_day_is_refused(somebody: Person, day: object, code: str) -> None:
    assert blamed(await somebody.post("/expenses", json={"amount": "1", "date": day})) == {"/date": code}


async def test_numbers_and_strings_are_written_as_the_contract_says(somebody: Person) -> None:
    text = (await somebody.post("/expenses", json={"amount": 12.5})).text

    assert [type(json.loads(text)[name]) for name in ("id", "amount", "revision")] == [int, str, int]
