"""Totals of a list: what all expenses that match add up to, in each currency."""

from typing import Any

import httpx
import pytest

from tests.support.conditions import get
from tests.support.databases import on_sqlite, try_cases
from tests.support.expenses import discard, spend
from tests.support.people import Person, SignUp
from tests.support.problems import blamed
from tests.support.rows import filling
from tests.support.statements import Statements

Page = dict[str, Any]


async def page(person: Person, **query: object) -> Page:
    """Return a page of expenses with totals."""
    answer = await person.get("/expenses", params={"with_totals": "true"} | query)  # type: ignore[arg-type]
    assert answer.status_code == httpx.codes.OK, answer.text
    found: Page = answer.json()
    return found


async def totals(person: Person, **query: object) -> list[tuple[str, str, int]]:
    """Return the totals of a list as currency, sum and number, the same on a short page as on one that has all."""
    found, short = [(await page(person, **query | limit))["totals"] for limit in ({}, {"limit": 1})]
    assert found == short
    return [(it["currency"], it["total"], it["count"]) for it in found]


@pytest.fixture
async def traveller(person: Person) -> Person:
    """A user with expenses in four currencies."""
    async with filling(person) as rows:
        await rows.spend(1, 12_500, "Food", payee="Baker", tags=["trip"])
        await rows.spend(1, 3_200, "Food", description="apples")
        await rows.spend(1, -2_000, "Gifts", payee="Baker")
        await rows.spend(1, 1_250_000, "Food", currency="JPY", tags=["trip"])
        await rows.spend(1, 1_255, currency="KWD")
        await rows.spend(1, 8_000, currency="CHF", payee="Baker")
    return person


async def test_a_list_is_added_up_by_currency_the_own_one_first(traveller: Person) -> None:
    assert await totals(traveller) == [
        ("EUR", "13.70", 3),
        ("CHF", "8.00", 1),
        ("JPY", "1250", 1),
        ("KWD", "1.255", 1),
    ]


async def test_the_own_currency_comes_first_whatever_it_is_called(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY")
    await spend(person, amount="1.00", currency="EUR")
    await spend(person, amount="100")

    assert [currency for currency, _, _ in await totals(person)] == ["JPY", "EUR"]


async def test_the_own_currency_is_told_only_where_it_occurs(person: Person) -> None:
    await spend(person, amount="100", currency="JPY")

    assert await totals(person) == [("JPY", "100", 1)]


async def test_totals_are_those_of_all_that_match_and_not_of_the_page(traveller: Person) -> None:
    first = await page(traveller, limit=2)
    second = await page(traveller, limit=2, cursor=first["next_cursor"])

    assert (len(first["items"]), len(second["items"])) == (2, 2)
    assert first["totals"] == second["totals"] == (await page(traveller))["totals"]


@try_cases(
    "query, found",
    on_both=[
        ({"category": "food"}, [("EUR", "15.70", 2), ("JPY", "1250", 1)]),
        ({"payee": "BAKER"}, [("EUR", "10.50", 2), ("CHF", "8.00", 1)]),
        ({"tag": "trip"}, [("EUR", "12.50", 1), ("JPY", "1250", 1)]),
        ({"q": "apples"}, [("EUR", "3.20", 1)]),
        ({"min_amount": "8", "sort": "amount"}, [("EUR", "12.50", 1), ("CHF", "8.00", 1), ("JPY", "1250", 1)]),
        ({"period": "1999"}, []),
    ],
    on_sqlite=[
        ({"currency": "kwd"}, [("KWD", "1.255", 1)]),
        ({"uncategorized": "true"}, [("CHF", "8.00", 1), ("KWD", "1.255", 1)]),
        ({"category": "Nothing"}, []),
        ({"max_amount": "-1"}, [("EUR", "-2.00", 1)]),
    ],
)
async def test_totals_are_those_of_the_filter(
    traveller: Person, query: dict[str, str], found: list[tuple[str, str, int]]
) -> None:
    assert await totals(traveller, **query) == found


async def test_a_refund_lowers_the_total_and_counts(person: Person) -> None:
    await spend(person, amount="10.00")
    await spend(person, amount="-15.00")

    assert await totals(person) == [("EUR", "-5.00", 2)]


async def test_what_is_refunded_whole_adds_up_to_zero(person: Person) -> None:
    await spend(person, amount="10.00")
    await spend(person, amount="-10.00")

    assert await totals(person) == [("EUR", "0.00", 2)]


async def test_nothing_adds_up_to_no_totals(person: Person) -> None:
    assert await page(person, with_count="true") == {"items": [], "next_cursor": None, "count": 0, "totals": []}


async def test_sums_beyond_64_bits_of_thousandths_are_exact(person: Person) -> None:
    async with filling(person) as rows:
        for _ in range(11):
            await rows.spend(1, 999_999_999_999_990)

    assert await totals(person) == [("EUR", "10999999999999.89", 11)]


async def test_what_was_deleted_is_not_added_up(person: Person) -> None:
    await spend(person, amount="1.00")
    await discard(person, await spend(person, amount="2.00"))

    assert await totals(person) == [("EUR", "1.00", 1)]


async def test_nobody_adds_up_a_strangers_expenses(person: Person, stranger: Person) -> None:
    await spend(stranger)
    await spend(person, amount="1.00")

    assert await totals(person) == [("EUR", "1.00", 1)]


@pytest.mark.parametrize("query", [{}, {"with_totals": "false"}])
async def test_totals_are_told_only_if_asked(person: Person, query: dict[str, str]) -> None:
    await spend(person)

    assert "totals" not in (await person.get("/expenses", params=query)).json()


async def test_a_cursor_goes_on_with_and_without_totals(traveller: Person) -> None:
    first = await page(traveller, limit=5)
    second = (await traveller.get("/expenses", params={"limit": "5", "cursor": first["next_cursor"]})).json()

    assert (len(second["items"]), "totals" in second) == (1, False)


async def test_the_count_is_the_sum_of_the_totals(traveller: Person) -> None:
    found = await page(traveller, with_count="true", limit=1)

    assert (found["count"], sum(it["count"] for it in found["totals"])) == (6, 6)


@pytest.mark.wire
async def test_another_word_is_refused(somebody: Person) -> None:
    answer = await somebody.get("/expenses?with_totals=yes")

    assert (answer.status_code, blamed(answer)) == (422, {"with_totals": "wrong_type"})


@on_sqlite
async def test_a_list_with_totals_is_another_answer_after_every_change(person: Person) -> None:
    await spend(person)
    tag = (await person.get("/expenses?with_totals=true")).headers["ETag"]
    unchanged = await get(person, "/expenses?with_totals=true", tag)
    await spend(person)

    assert unchanged.status_code == 304
    assert (await get(person, "/expenses?with_totals=true", tag)).status_code == 200


# What it costs


async def cost(person: Person, statements: Statements, **query: str) -> int:
    """Return the number of statements of a list."""
    with statements() as sent:
        answer = await person.get("/expenses", params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    return len(sent)


@pytest.mark.parametrize("query", [{}, {"category": "Food"}, {"q": "baker"}])
async def test_totals_cost_one_statement_and_the_count_beside_them_none(
    traveller: Person, statements: Statements, query: dict[str, str]
) -> None:
    plain = await cost(traveller, statements, limit="1", **query)
    counted = await cost(traveller, statements, limit="1", with_count="true", **query)
    added_up = await cost(traveller, statements, limit="1", with_totals="true", **query)
    both = await cost(traveller, statements, limit="1", with_totals="true", with_count="true", **query)

    assert (counted, added_up, both) == (plain + 1, plain + 1, plain + 1)


@pytest.mark.parametrize("query", [{}, {"category": "Food"}, {"q": "apples"}, {"q": "nothing"}])
async def test_a_page_that_has_all_is_added_up_itself(
    traveller: Person, statements: Statements, query: dict[str, str]
) -> None:
    """Another statement might see expenses that this page has not."""
    asked = query | {"with_totals": "true", "with_count": "true"}
    whole = (await traveller.get("/expenses", params=asked)).json()
    first = (await traveller.get("/expenses", params=asked | {"limit": "1"})).json()

    assert await cost(traveller, statements, **asked) == await cost(traveller, statements, **query)
    assert (whole["totals"], whole["count"]) == (first["totals"], first["count"])
    assert whole["count"] == len(whole["items"])
