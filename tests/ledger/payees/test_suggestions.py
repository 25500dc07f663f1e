"""Suggestions of payees: in which order they come, what is told of each, and which ones a query finds."""

from datetime import date, timedelta
from typing import Any

import httpx
import pytest
import time_machine
from sqlalchemy import insert

from database import now
from ledger.payees import suggestions
from ledger.payees.schemas import COUNTED_EXPENSES
from models import Expense
from tests.support.conditions import get
from tests.support.databases import on_sqlite
from tests.support.expenses import change, discard, restore, spend
from tests.support.people import Person
from tests.support.problems import blamed
from tests.support.rows import filling
from tests.support.settings import NOON
from tests.support.statements import Statements

TODAY = NOON.date()

pytestmark = pytest.mark.usefixtures("noon")


async def suggested(person: Person, **query: object) -> list[dict[str, Any]]:
    """Return the payees that are suggested."""
    answer = await person.get("/payees", params=query)  # type: ignore[arg-type]
    assert answer.status_code == httpx.codes.OK, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def names(person: Person, **query: object) -> list[str]:
    """Return the names of the payees that are suggested."""
    return [it["name"] for it in await suggested(person, **query)]


async def pay(person: Person, *payees: str, on: str = "2026-11-20") -> None:
    """Insert an expense with each of these payees into a new ledger, all of one day."""
    async with filling(person) as rows:
        for payee in payees:
            await rows.spend(1, payee=payee, spent_on=date.fromisoformat(on))


# What is told of a payee


async def test_a_payee_says_how_often_when_last_and_for_what_it_was_paid(person: Person) -> None:
    await spend(person, payee="Market hall", date="2026-11-22", category="Groceries")
    await spend(person, payee="Market hall", date="2026-11-01", category="Gifts")

    answer = await person.get("/payees")

    shown = {"name": "Market hall", "count": 2, "last_used": "2026-11-22", "last_category": "Groceries"}
    assert answer.json() == {"items": [shown], "next_cursor": None}


async def test_nobody_has_payees_to_begin_with(person: Person) -> None:
    await spend(person)

    assert await suggested(person) == []


async def test_of_two_expenses_of_a_day_the_one_recorded_last_is_the_last(person: Person) -> None:
    await spend(person, payee="Market hall", date="2026-11-20", category="Groceries")
    await spend(person, payee="Market hall", date="2026-11-20", category="Gifts")

    assert [it["last_category"] for it in await suggested(person)] == ["Gifts"]


async def test_the_category_is_that_of_the_last_expense_also_where_this_has_none(person: Person) -> None:
    await spend(person, payee="Market hall", date="2026-11-01", category="Groceries")
    await spend(person, payee="Market hall", date="2026-11-02")

    assert [it["last_category"] for it in await suggested(person)] == [None]


async def test_a_renamed_category_is_told_by_its_new_name(person: Person) -> None:
    await spend(person, payee="Market hall", category="Groceries")
    [category] = (await person.get("/categories")).json()["items"]
    await person.patch(f"/categories/{category['id']}", json={"name": "Provisions"})

    assert [it["last_category"] for it in await suggested(person)] == ["Provisions"]


async def test_a_payee_that_was_last_used_in_the_future_says_so(person: Person) -> None:
    await spend(person, payee="Landlord", date="2027-01-01")

    assert [it["last_used"] for it in await suggested(person)] == ["2027-01-01"]


# One payee


async def test_payees_that_differ_in_case_are_one_spelt_as_in_the_last_expense_by_date(person: Person) -> None:
    await spend(person, payee="market hall", date="2026-11-01")
    await spend(person, payee="Market Hall", date="2026-11-22")
    await spend(person, payee="MARKET HALL", date="2026-11-02")

    assert [(it["name"], it["count"]) for it in await suggested(person)] == [("Market Hall", 3)]


async def test_payees_that_differ_in_accents_are_two(person: Person) -> None:
    await pay(person, "Café", "Cafe", "CAFÉ")

    assert {it["name"]: it["count"] for it in await suggested(person)} == {"CAFÉ": 2, "Cafe": 1}


async def test_each_expense_keeps_the_spelling_that_it_was_given(person: Person) -> None:
    first = await spend(person, payee="market hall")
    second = await spend(person, payee="Market Hall")

    assert [it["payee"] for it in (first, second)] == ["market hall", "Market Hall"]


# The order


async def test_the_payee_that_is_used_most_comes_first(person: Person) -> None:
    await pay(person, "once", "thrice", "twice", "thrice", "twice", "thrice")

    assert await names(person) == ["thrice", "twice", "once"]


async def test_one_use_in_the_last_year_comes_before_many_older_ones(person: Person) -> None:
    async with filling(person) as rows:
        await rows.spend(1, payee="recent", spent_on=TODAY)
        await rows.spend(1, payee="former", spent_on=TODAY - timedelta(days=366))
        await rows.spend(1, payee="former", spent_on=TODAY - timedelta(days=367))

    assert [(it["name"], it["count"]) for it in await suggested(person)] == [("recent", 1), ("former", 2)]


async def test_the_last_year_is_365_days_with_today(person: Person) -> None:
    async with filling(person) as rows:
        await rows.spend(1, payee="just former", spent_on=TODAY - timedelta(days=365))
        await rows.spend(1, payee="just former", spent_on=TODAY - timedelta(days=365))
        await rows.spend(1, payee="just recent", spent_on=TODAY - timedelta(days=364))

    assert await names(person) == ["just recent", "just former"]


async def test_a_payee_is_placed_by_its_uses_in_the_last_year_and_counted_by_all(person: Person) -> None:
    async with filling(person) as rows:
        await rows.spend(1, payee="twice of late", spent_on=TODAY)
        await rows.spend(1, payee="twice of late", spent_on=TODAY)
        await rows.spend(1, payee="once of late", spent_on=TODAY)
        await rows.spend(1, payee="once of late", spent_on=date(2020, 1, 1))
        await rows.spend(1, payee="once of late", spent_on=date(2020, 1, 2))

    assert [(it["name"], it["count"]) for it in await suggested(person)] == [("twice of late", 2), ("once of late", 3)]


async def test_former_payees_come_by_their_uses_too(person: Person) -> None:
    await pay(person, "once", "twice", "twice", on="2020-01-01")

    assert await names(person) == ["twice", "once"]


async def test_of_payees_that_are_used_as_often_the_one_used_last_comes_first(person: Person) -> None:
    await spend(person, payee="newer", date="2026-11-20")
    await spend(person, payee="older", date="2026-11-01")

    assert await names(person) == ["newer", "older"]


async def test_the_order_moves_on_with_the_days(noon: time_machine.Traveller, person: Person) -> None:
    async with filling(person) as rows:
        await rows.spend(1, payee="twice", spent_on=date(2026, 11, 1))
        await rows.spend(1, payee="twice", spent_on=date(2026, 11, 1))
        await rows.spend(1, payee="once", spent_on=date(2026, 11, 22))
    before = await names(person)
    noon.shift(timedelta(days=350))
    person.bear(await person.open_session())

    assert (before, await names(person)) == (["twice", "once"], ["once", "twice"])


# What a query finds


@pytest.fixture
async def customer(person: Person) -> Person:
    """A user with payees of many spellings, each used once on a day before the next."""
    payees = ("Café Łódź", "CAFFÈ NERO", "Rent & Co", "100% Organic", "100_percent", "Ｆｏｏｄ hall")
    async with filling(person) as rows:
        for age, payee in enumerate(payees):
            await rows.spend(1, payee=payee, spent_on=TODAY - timedelta(days=age))
    return person


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("cafe", ["Café Łódź"]),
        ("CAFÉ", ["Café Łódź"]),
        ("caf", ["Café Łódź", "CAFFÈ NERO"]),
        ("lodz", ["Café Łódź"]),
        ("łódź", ["Café Łódź"]),
        ("odz", ["Café Łódź"]),
        ("nero caffe", ["CAFFÈ NERO"]),
        ("nero lodz", []),
        ("&", ["Rent & Co"]),
        ("100", ["100% Organic", "100_percent"]),
        ("%", ["100% Organic"]),
        ("_", ["100_percent"]),
        ("0%", ["100% Organic"]),
        ("food", ["Ｆｏｏｄ hall"]),
        ("Ｆｏｏｄ", ["Ｆｏｏｄ hall"]),
        ("nothing", []),
    ],
)
async def test_a_query_finds_words_anywhere_without_regard_to_case_and_accents(
    customer: Person, q: str, found: list[str]
) -> None:
    assert await names(customer, q=q) == found


async def test_a_query_keeps_the_order(person: Person) -> None:
    await pay(person, "Tea once", "Coffee", "Coffee", "Coffee", "Tea twice", "Tea twice")

    assert await names(person, q="tea") == ["Tea twice", "Tea once"]


@pytest.mark.wire
@pytest.mark.parametrize(
    ("query", "blame"),
    [
        ({"limit": 0}, {"limit": "out_of_range"}),
        ({"limit": 201}, {"limit": "out_of_range"}),
        ({"limit": "many"}, {"limit": "wrong_type"}),
        ({"limit": [1, 2]}, {"limit": "not_allowed"}),
        ({"q": ""}, {"q": "too_short"}),
        ({"q": "\u0301"}, {"q": "malformed"}),
        ({"q": "a b c d e f g h i j k"}, {"q": "too_long"}),
        ({"q": "q" * 501}, {"q": "too_long"}),
        ({"name": "tea"}, {"name": "unknown"}),
        ({"cursor": "x"}, {"cursor": "unknown"}),
    ],
)
async def test_another_query_is_refused_by_name(person: Person, query: dict[str, Any], blame: dict[str, str]) -> None:
    answer = await person.get("/payees", params=query)

    assert (answer.status_code, blamed(answer)) == (422, blame)


# How many


async def test_a_limit_takes_the_first_ones(person: Person) -> None:
    await pay(person, "once", "thrice", "twice", "thrice", "twice", "thrice")

    assert await names(person, limit=2) == ["thrice", "twice"]


async def test_fifty_are_suggested_unless_another_number_is_asked_for(person: Person) -> None:
    await pay(person, *(f"payee {number}" for number in range(201)))

    assert [len(await names(person)), len(await names(person, limit=200))] == [50, 200]


# Whose


async def test_nobody_is_suggested_a_strangers_payees(person: Person, stranger: Person) -> None:
    await pay(stranger, "Theirs", "Theirs")
    await pay(person, "theirs")

    assert [(it["name"], it["count"]) for it in await suggested(person)] == [("theirs", 1)]
    assert [(it["name"], it["count"]) for it in await suggested(stranger, q="theirs")] == [("Theirs", 2)]


# Changed and deleted


async def test_deleted_expenses_do_not_count(person: Person) -> None:
    await spend(person, payee="Market hall", date="2026-11-01", category="Groceries")
    await discard(person, await spend(person, payee="MARKET HALL", date="2026-11-02", category="Gifts"))

    shown = {"name": "Market hall", "count": 1, "last_used": "2026-11-01", "last_category": "Groceries"}
    assert await suggested(person) == [shown]


@pytest.mark.parametrize("query", [{}, {"q": "market"}])
async def test_a_payee_of_deleted_expenses_alone_is_not_suggested(person: Person, query: dict[str, str]) -> None:
    await discard(person, await spend(person, payee="Market hall"))

    assert await suggested(person, **query) == []


async def test_a_payee_of_a_restored_expense_is_suggested_again(person: Person) -> None:
    expense = await spend(person, payee="Market hall")
    await discard(person, expense)
    await restore(person, expense)

    assert await names(person) == ["Market hall"]


async def test_a_payee_that_every_expense_has_lost_is_not_suggested(person: Person) -> None:
    await change(person, await spend(person, payee="Market hall"), payee="Baker")

    assert (await names(person), await names(person, q="market")) == (["Baker"], [])


async def test_a_bulk_edit_renames_a_payee(person: Person) -> None:
    await pay(person, "AMZN MKTP", "amzn mktp", "Baker")

    answer = await person.patch("/expenses?payee=amzn%20mktp", json={"payee": "Amazon"})

    assert answer.json() == {"matched": 2, "revision": 2}
    assert [(it["name"], it["count"]) for it in await suggested(person)] == [("Amazon", 2), ("Baker", 1)]


async def test_a_bulk_edit_merges_a_payee_into_another(person: Person) -> None:
    await pay(person, "AMZN MKTP", "Amazon")
    await person.patch("/expenses?payee=amzn%20mktp", json={"payee": "amazon"})

    assert [it["count"] for it in await suggested(person)] == [2]


# Conditions


async def test_suggestions_have_a_weak_tag_and_are_answered_304_until_something_changes(person: Person) -> None:
    await spend(person, payee="Market hall")
    tag = (await person.get("/payees")).headers["ETag"]
    unchanged = await get(person, "/payees", tag)
    await spend(person, payee="Baker")
    changed = await get(person, "/payees", tag)

    assert (tag[:3], unchanged.status_code, unchanged.content, changed.status_code) == ('W/"', 304, b"", 200)


async def test_suggestions_that_have_not_changed_are_not_read(person: Person, statements: Statements) -> None:
    await spend(person, payee="Market hall")
    tag = (await person.get("/payees")).headers["ETag"]
    with statements() as asked:
        await get(person, "/payees", tag)

    assert [it for it in asked if "payees" in it or "expenses" in it] == []


async def test_on_another_day_suggestions_are_another_answer(noon: time_machine.Traveller, person: Person) -> None:
    await spend(person, payee="Market hall")
    tag = (await person.get("/payees")).headers["ETag"]
    noon.shift(timedelta(days=1))
    person.bear(await person.open_session())

    assert (await get(person, "/payees", tag)).status_code == 200


async def test_what_is_no_letter_in_a_payee_suggests_nothing(person: Person) -> None:
    await spend(person, payee="Market")

    assert await suggested(person, q="\u00b4") == []


# What it costs


@pytest.mark.parametrize("number", [1, 40])
async def test_suggestions_cost_the_same_for_many_payees(person: Person, statements: Statements, number: int) -> None:
    await pay(person, *(f"payee {it}" for it in range(number)))
    with statements() as few:
        await suggested(person, q="payee")

    assert len(few) == 5, "\n".join(few)


# A large ledger


async def counted(person: Person) -> list[tuple[str, int]]:
    return [(it["name"], it["count"]) for it in await suggested(person)]


async def test_of_many_payees_with_a_word_the_suggestions_are_the_same(
    person: Person, monkeypatch: pytest.MonkeyPatch, statements: Statements
) -> None:
    await pay(person, "Market hall", "Supermarket", "Baker", "Market hall")
    few = await suggested(person, q="mark")
    monkeypatch.setattr(suggestions, "MAX_IDS", 1)
    with statements() as sent:
        many = await suggested(person, q="mark")

    assert few == many
    assert [it["name"] for it in many] == ["Market hall", "Supermarket"]
    assert any("payee_id IN (SELECT" in it for it in sent)


async def record_many(person: Person, number: int) -> None:
    """Insert expenses of today with one payee, two of long ago with others, and a payee that none has."""
    async with filling(person) as rows:
        await rows.pay("Abandoned")
        await rows.spend(1, payee="Old friend", category="Gifts", spent_on=date(2020, 1, 1))
        await rows.spend(1, payee="Aunt", spent_on=date(2010, 1, 1))
        payee_id = await rows.pay("Baker")
        row = {"owner_id": rows.owner, "amount": 1_000, "currency": "EUR", "spent_on": TODAY, "revision": 1}
        row |= {"payee": "Baker", "payee_key": "baker", "payee_id": payee_id, "created_at": now(), "updated_at": now()}
        await rows.connection.execute(insert(Expense), [row] * number)


async def test_a_payee_beyond_the_newest_expenses_is_still_found(person: Person) -> None:
    await record_many(person, COUNTED_EXPENSES)

    shown = {"name": "Old friend", "count": 0, "last_used": "2020-01-01", "last_category": "Gifts"}
    assert await suggested(person, q="friend") == [shown]
    assert await counted(person) == [("Baker", COUNTED_EXPENSES), ("Aunt", 0), ("Old friend", 0)]
    assert [await names(person, limit=limit) for limit in (1, 2)] == [["Baker"], ["Baker", "Aunt"]]


@on_sqlite
async def test_a_payee_among_the_newest_expenses_is_counted(person: Person) -> None:
    await record_many(person, COUNTED_EXPENSES - 1)

    assert await counted(person) == [("Baker", COUNTED_EXPENSES - 1), ("Old friend", 1), ("Aunt", 0)]
