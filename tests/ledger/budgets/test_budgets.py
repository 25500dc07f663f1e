"""Budgets: one for each category, currency and period, and how far each is used on any day."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from models import MAX_BUDGETS, Budget
from tests.support.budgets import budget, tombstones
from tests.support.categories import create as create_category
from tests.support.databases import on_sqlite
from tests.support.expected_reports import UNITS_OF, Pencil, Recorded, record
from tests.support.expenses import spend
from tests.support.generated import hunts
from tests.support.people import Person, SignUp
from tests.support.problems import advice, blamed
from tests.support.statements import Statements

IGNORED = {"id", "revision", "created_at", "updated_at"}


async def listed(person: Person) -> list[dict[str, Any]]:
    """Return all budgets of a user."""
    items: list[dict[str, Any]] = (await person.get("/budgets")).json()["items"]
    return items


async def status(person: Person, **query: str) -> dict[str, Any]:
    """Return how the budgets stand."""
    answer = await person.get("/budgets/status", params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def only(person: Person, **query: str) -> dict[str, Any]:
    """Return how the only budget stands."""
    (item,) = (await status(person, **query))["items"]
    return dict(item)


async def category_id(person: Person, name: str) -> int:
    categories = (await person.get("/categories")).json()["items"]
    return next(int(it["id"]) for it in categories if it["name"] == name)


# --- Set, read, changed, deleted --------------------------------------------------------------------------------------


async def test_a_budget_is_set_as_it_was_sent(person: Person) -> None:
    answer = await person.post(
        "/budgets", json={"amount": "200", "category": "Groceries", "currency": "eur", "period": "month"}
    )
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/budgets/{made['id']}")
    assert {name: value for name, value in made.items() if name not in IGNORED} == {
        "category": "Groceries",
        "amount": "200.00",
        "currency": "EUR",
        "period": "month",
    }
    assert (await person.get(f"/budgets/{made['id']}")).json() == made
    assert (await person.get("/budgets")).json() == {"items": [made], "next_cursor": None}


async def test_a_budget_without_a_currency_is_in_the_users(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY")
    made = await budget(person, amount=30_000)
    assert (made["amount"], made["currency"]) == ("30000", "JPY")


@pytest.mark.parametrize("category", [None, "", "  "])
async def test_a_budget_without_a_category_is_for_all_spending(person: Person, category: str | None) -> None:
    assert (await budget(person, category=category))["category"] is None


async def test_a_new_category_is_made_and_a_known_one_keeps_its_spelling(person: Person) -> None:
    await create_category(person, "Groceries")
    assert (await budget(person, category="GROCERIES"))["category"] == "Groceries"
    assert (await budget(person, category="Travel"))["category"] == "Travel"
    assert await category_id(person, "Travel")


async def test_a_budget_that_makes_its_category_takes_one_revision(person: Person) -> None:
    made = await budget(person, category="New")
    (category,) = (await person.get("/categories")).json()["items"]
    assert made["revision"] == category["revision"] == 1


@pytest.mark.wire
@pytest.mark.parametrize(
    ("fields", "blame"),
    [
        ({"amount": "0"}, {"/amount": "out_of_range"}),
        ({"amount": "-5.00"}, {"/amount": "out_of_range"}),
        ({"amount": "5.001"}, {"/amount": "out_of_range"}),
        ({"amount": "5.5", "currency": "JPY"}, {"/amount": "out_of_range"}),
        ({"amount": "1000000000000"}, {"/amount": "out_of_range"}),
        ({"amount": "1e3"}, {"/amount": "malformed"}),
        ({"amount": None}, {"/amount": "wrong_type"}),
        ({"currency": "XAU"}, {"/currency": "not_allowed"}),
        ({"currency": None}, {"/currency": "wrong_type"}),
        ({"period": "day"}, {"/period": "not_allowed"}),
        ({"period": "Month"}, {"/period": "not_allowed"}),
        ({"period": None}, {"/period": "wrong_type"}),
        ({"period": 3}, {"/period": "wrong_type"}),
        ({"category": "x" * 51}, {"/category": "too_long"}),
        ({"category": 7}, {"/category": "wrong_type"}),
        ({"name": "Food"}, {"/name": "unknown"}),
    ],
)
async def test_what_cannot_be_a_budget_is_refused_by_name(
    person: Person, fields: dict[str, object], blame: dict[str, str]
) -> None:
    sent = {"amount": "200.00", "category": "Groceries", "period": "month"} | fields
    answer = await person.post("/budgets", json=sent)
    assert (answer.status_code, blamed(answer)) == (422, blame)
    assert (await person.get("/categories")).json()["items"] == []


@pytest.mark.wire
async def test_all_that_is_missing_is_named(person: Person) -> None:
    answer = await person.post("/budgets", json={})
    assert blamed(answer) == {"/amount": "required", "/period": "required"}


@pytest.mark.parametrize(
    ("kind", "blame"),
    [
        ({"category": "groceries"}, "/category"),
        ({"category": None}, "/category"),
        ({"currency": "EUR"}, "/currency"),
        ({}, "/period"),
    ],
)
async def test_a_second_one_of_a_kind_is_refused_and_names_the_first(
    person: Person, kind: dict[str, str | None], blame: str
) -> None:
    first = await budget(person, category=kind.get("category"))
    answer = await person.post("/budgets", json={"amount": "1.00", "period": "month"} | kind)
    assert (answer.status_code, answer.json()["code"], blamed(answer)) == (
        409,
        "already_exists",
        {blame: "already_exists"},
    )
    assert answer.json()["existing_id"] == first["id"]


@pytest.mark.parametrize("category", ["Groceries", None])
async def test_of_many_at_once_one_is_set(person: Person, category: str | None) -> None:
    sent = {"amount": "1.00", "category": category, "period": "month"}
    answers = await asyncio.gather(*(person.post("/budgets", json=sent) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 9]
    assert len(await listed(person)) == 1


async def test_another_category_currency_or_period_is_another_budget(person: Person) -> None:
    await budget(person)
    await budget(person, category="Rent")
    await budget(person, category=None)
    await budget(person, currency="USD")
    await budget(person, period="week")
    assert [(it["category"], it["currency"], it["period"]) for it in await listed(person)] == [
        (None, "EUR", "month"),
        ("Groceries", "EUR", "month"),
        ("Groceries", "EUR", "week"),
        ("Groceries", "USD", "month"),
        ("Rent", "EUR", "month"),
    ]


@pytest.mark.parametrize(
    "change", [{"amount": "220.00"}, {"currency": "USD"}, {"period": "year"}, {"category": "Rent"}, {"category": None}]
)
async def test_a_change_changes_what_was_sent_and_nothing_else(
    noon: time_machine.Traveller, person: Person, change: dict[str, object]
) -> None:
    made = await budget(person)
    noon.shift(60)
    answer = await person.patch(f"/budgets/{made['id']}", json=change)
    changed = answer.json()
    assert answer.status_code == 200, answer.text
    assert changed == made | change | {"revision": 2, "updated_at": "2026-11-22T12:01:00Z"}
    assert (await person.get(f"/budgets/{made['id']}")).json() == changed


async def test_what_was_read_can_be_sent_back_and_changes_nothing(person: Person) -> None:
    made = await budget(person)
    answer = await person.patch(f"/budgets/{made['id']}", json=made)
    assert (answer.status_code, answer.json()) == (200, made)


async def test_a_budget_that_has_moved_on_is_not_overwritten(person: Person) -> None:
    made = await budget(person)
    await person.patch(f"/budgets/{made['id']}", json={"amount": "220.00"})
    answer = await person.patch(f"/budgets/{made['id']}", json=made)
    assert (answer.status_code, blamed(answer)) == (412, {"/revision": "precondition_failed"})
    assert [it["amount"] for it in await listed(person)] == ["220.00"]


@pytest.mark.parametrize(
    ("other", "change", "blame"),
    [
        ({"category": None}, {"category": None}, "/category"),
        ({"period": "week"}, {"period": "week"}, "/period"),
        ({"period": "week"}, {"category": "Groceries", "period": "week"}, "/period"),
        ({"currency": "USD"}, {"currency": "USD"}, "/currency"),
    ],
)
async def test_a_change_onto_another_budget_is_refused_for_what_it_changes(
    person: Person, other: dict[str, str], change: dict[str, str], blame: str
) -> None:
    made, standing = await budget(person), await budget(person, **other)
    answer = await person.patch(f"/budgets/{made['id']}", json=change)
    assert (answer.status_code, blamed(answer)) == (409, {blame: "already_exists"})
    assert answer.json()["existing_id"] == standing["id"]


@on_sqlite
async def test_a_kept_amount_must_fit_a_new_currency(person: Person) -> None:
    made = await budget(person, amount="200.50")
    answer = await person.patch(f"/budgets/{made['id']}", json={"currency": "JPY"})
    assert (answer.status_code, blamed(answer)) == (422, {"/currency": "out_of_range"})
    assert advice(answer, "/currency") == "JPY has no decimals. Send an amount too."


async def test_a_deleted_budget_is_gone_and_leaves_a_tombstone(app: FastAPI, person: Person) -> None:
    made = await budget(person)
    assert (await person.delete(f"/budgets/{made['id']}")).status_code == 204
    assert (await person.get(f"/budgets/{made['id']}")).status_code == 404
    assert (await person.delete(f"/budgets/{made['id']}")).status_code == 404
    assert await listed(person) == []
    assert await tombstones(app, person) == [("budget", made["id"], 2)]


async def test_an_account_holds_a_thousand_budgets(app: FastAPI, person: Person) -> None:
    await fill(app, person, MAX_BUDGETS)
    answer = await person.post("/budgets", json={"amount": "1.00", "period": "year"})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many")
    assert len(await listed(person)) == MAX_BUDGETS


async def fill(app: FastAPI, person: Person, number: int) -> None:
    """Give somebody so many budgets for all spending, which the API would not."""
    values = {"owner_id": person.user["id"], "amount": 1000, "currency": "EUR", "period": "month", "revision": 1}
    async with app.state.services.database.new_unit() as unit:
        connection = await unit.begin(person.user["id"])
        await connection.execute(insert(Budget), [values for _ in range(number)])
        await unit.commit()


# --- With its category ------------------------------------------------------------------------------------------------


async def test_a_renamed_category_renames_its_budgets(person: Person) -> None:
    made = await budget(person)
    await budget(person, category="Rent")
    answer = await person.patch(f"/categories/{await category_id(person, 'Groceries')}", json={"name": "Food"})
    renamed = (await person.get(f"/budgets/{made['id']}")).json()
    assert (renamed["category"], renamed["revision"]) == ("Food", answer.json()["revision"])
    assert [(it["category"], it["revision"]) for it in await listed(person)] == [("Food", 3), ("Rent", 2)]


async def test_a_category_with_a_budget_is_in_use(person: Person) -> None:
    await budget(person)
    answer = await person.delete(f"/categories/{await category_id(person, 'Groceries')}")
    assert (answer.status_code, answer.json()["code"]) == (409, "category_in_use")
    assert len(await listed(person)) == 1


async def test_a_merge_moves_budgets_where_none_stands_and_ends_the_others(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    moved = await budget(person, period="week")
    ended = await budget(person, period="month")
    stands = await budget(person, category="Food", period="month", amount="1.00")
    category = await category_id(person, "Groceries")
    noon.shift(60)

    answer = await person.delete(f"/categories/{category}", params={"move_to": "food"})

    assert answer.status_code == 204
    went_along = {"category": "Food", "revision": 4, "updated_at": "2026-11-22T12:01:00Z"}
    assert await listed(person) == [moved | went_along, stands]
    assert await tombstones(app, person) == [("budget", ended["id"], 4), ("category", category, 4)]


async def test_without_a_category_to_go_to_budgets_end(app: FastAPI, person: Person) -> None:
    made = await budget(person)
    category = await category_id(person, "Groceries")
    answer = await person.delete(f"/categories/{category}", params={"uncategorized": "true"})
    assert (answer.status_code, await listed(person)) == (204, [])
    assert await tombstones(app, person) == [("budget", made["id"], 2), ("category", category, 2)]


# --- How they stand ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("noon")
async def test_a_budget_half_way_through_its_month(person: Person) -> None:
    made = await budget(person)
    await spend(person, amount="120.00", category="Groceries", date="2026-11-03")
    await spend(person, amount="55.10", date="2026-11-05")
    await spend(person, amount="99.00", category="Groceries", date="2026-10-31")

    assert await status(person) == {
        "on": "2026-11-22",
        "items": [
            {
                "budget": made,
                "window": {"from": "2026-11-01", "to": "2026-11-30"},
                "spent": "120.00",
                "remaining": "80.00",
                "percent_used": 60.0,
                "days_left": 9,
                "per_day_left": "8.88",
                "projected": "163.64",
                "state": "ok",
            }
        ],
        "unbudgeted": [{"currency": "EUR", "total": "55.10"}],
    }


@on_sqlite
@pytest.mark.parametrize(
    ("amount", "state"),
    [
        ("136.36", "ok"),
        ("136.35", "at_risk"),
        ("125.01", "at_risk"),
        ("125.00", "near"),
        ("100.00", "near"),
        ("99.99", "over"),
    ],
)
async def test_a_state_is_decided_to_the_last_cent(person: Person, amount: str, state: str) -> None:
    await budget(person, amount=amount)
    await spend(person, amount="100.00", category="Groceries", date="2026-11-03")
    item = await only(person, on="2026-11-22")
    assert (item["projected"], item["state"]) == ("136.36", state)


@on_sqlite
async def test_what_is_used_is_rounded_half_to_even(person: Person) -> None:
    await budget(person)
    await spend(person, amount="12.70", category="Groceries", date="2026-11-03")
    assert (await only(person, on="2026-11-22"))["percent_used"] == 6.4


@on_sqlite
@pytest.mark.usefixtures("noon")
async def test_an_overspent_budget_leaves_nothing_a_day(person: Person) -> None:
    await budget(person)
    await spend(person, amount="250.00", category="Groceries", date="2026-11-03")
    item = await only(person)
    assert (item["remaining"], item["per_day_left"], item["percent_used"]) == ("-50.00", "0.00", 125.0)


async def test_a_bill_dated_later_is_spent_but_sets_no_pace(person: Person) -> None:
    await budget(person, amount="400.00")
    await spend(person, amount="300.00", category="Groceries", date="2026-11-30")
    fields = ("spent", "projected", "state")
    first, last = await only(person, on="2026-11-01"), await only(person, on="2026-11-30")
    assert tuple(first[name] for name in fields) == ("300.00", "300.00", "ok")
    assert tuple(last[name] for name in fields) == ("300.00", "300.00", "ok")


@on_sqlite
@pytest.mark.usefixtures("noon")
async def test_the_days_to_come_go_on_as_those_elapsed_beside_what_is_dated_later(person: Person) -> None:
    await budget(person, amount="160.00")
    await spend(person, amount="110.00", category="Groceries", date="2026-11-03")
    await spend(person, amount="10.00", category="Groceries", date="2026-11-29")
    item = await only(person)
    assert (item["spent"], item["projected"], item["state"]) == ("120.00", "160.00", "ok")


@pytest.mark.usefixtures("noon")
async def test_refunds_alone_leave_more_than_there_was(person: Person) -> None:
    await budget(person, amount="9.00")
    await spend(person, amount="-9.00", category="Groceries", date="2026-11-03")
    item = await only(person)
    fields = ("spent", "remaining", "percent_used", "per_day_left", "projected", "state")
    assert tuple(item[name] for name in fields) == ("-9.00", "18.00", -100.0, "2.00", "-12.27", "ok")


async def test_a_budget_without_expenses_is_untouched(person: Person) -> None:
    await budget(person)
    found = await status(person, on="2026-11-30")
    fields = ("spent", "remaining", "percent_used", "days_left", "per_day_left", "projected", "state")
    assert tuple(found["items"][0][name] for name in fields) == ("0.00", "200.00", 0.0, 1, "200.00", "0.00", "ok")
    assert found["unbudgeted"] == []


@on_sqlite
@pytest.mark.parametrize(
    ("period", "window", "spent"),
    [
        ("week", ("2026-11-16", "2026-11-22"), "1.00"),
        ("month", ("2026-10-25", "2026-11-24"), "11.00"),
        ("quarter", ("2026-10-01", "2026-12-31"), "111.00"),
        ("year", ("2026-01-01", "2026-12-31"), "1111.00"),
    ],
)
async def test_each_period_has_its_window(sign_up: SignUp, period: str, window: tuple[str, str], spent: str) -> None:
    person = await sign_up(month_start_day=25)
    await budget(person, period=period)
    await spend(person, amount="1.00", category="Groceries", date="2026-11-16")
    await spend(person, amount="10.00", category="Groceries", date="2026-10-25")
    await spend(person, amount="100.00", category="Groceries", date="2026-10-24")
    await spend(person, amount="1000.00", category="Groceries", date="2026-09-30")
    item = await only(person, on="2026-11-20")
    assert (tuple(item["window"].values()), item["spent"]) == (window, spent)


async def test_a_budget_for_all_spending_counts_its_currency_alone(person: Person) -> None:
    await budget(person, category=None)
    await spend(person, amount="1.00", category="Groceries", date="2026-11-16")
    await spend(person, amount="2.00", date="2026-11-16")
    await spend(person, amount="400", currency="JPY", date="2026-11-16")
    found = await status(person, on="2026-11-20")
    assert found["items"][0]["spent"] == "3.00"
    assert found["unbudgeted"] == [{"currency": "EUR", "total": "3.00"}, {"currency": "JPY", "total": "400"}]


async def test_the_own_currency_leads_what_is_unbudgeted(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY")
    await spend(person, amount="1.00", currency="EUR", date="2026-11-16")
    await spend(person, amount="400", date="2026-11-16")
    unbudgeted = (await status(person, on="2026-11-20"))["unbudgeted"]
    assert [it["currency"] for it in unbudgeted] == ["JPY", "EUR"]


async def test_what_is_watched_in_one_currency_is_unbudgeted_in_another(person: Person) -> None:
    await budget(person, period="year")
    await spend(person, amount="1.00", category="Groceries", date="2026-11-16")
    await spend(person, amount="0.125", currency="KWD", category="Groceries", date="2026-11-16")
    assert (await status(person, on="2026-11-20"))["unbudgeted"] == [{"currency": "KWD", "total": "0.125"}]


@on_sqlite
async def test_the_decimals_are_the_currencys(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY")
    await budget(person, amount="1000")
    await spend(person, amount="100", category="Groceries", date="2026-11-16")
    item = await only(person, on="2026-11-17")
    assert (item["per_day_left"], item["projected"]) == ("64", "176")


async def test_the_last_day_of_a_users_month_of_31_days(sign_up: SignUp) -> None:
    person = await sign_up(month_start_day=25)
    await budget(person)
    await spend(person, amount="31.00", category="Groceries", date="2027-01-24")
    item = await only(person, on="2027-01-24")
    assert tuple(item["window"].values()) == ("2026-12-25", "2027-01-24")
    assert (item["days_left"], item["per_day_left"], item["projected"]) == (1, "169.00", "31.00")


async def test_two_users_at_one_instant_stand_in_two_months(noon: time_machine.Traveller, sign_up: SignUp) -> None:
    noon.move_to(datetime(2026, 11, 30, 10, 30, tzinfo=UTC))
    ahead, behind = await sign_up(timezone="Pacific/Kiritimati"), await sign_up(timezone="Pacific/Pago_Pago")
    await budget(ahead)
    await budget(behind)
    first, second = await only(ahead), await only(behind)
    assert [(it["window"]["from"], it["days_left"]) for it in (first, second)] == [
        ("2026-12-01", 31),
        ("2026-11-01", 2),
    ]


@on_sqlite
@pytest.mark.parametrize(
    ("on", "period", "window"),
    [
        ("1900-01-01", "week", ("1900-01-01", "1900-01-07")),
        ("1900-01-01", "month", ("1899-12-25", "1900-01-24")),
        ("1900-01-01", "quarter", ("1900-01-01", "1900-03-31")),
        ("1900-01-01", "year", ("1900-01-01", "1900-12-31")),
        ("2199-12-31", "week", ("2199-12-30", "2200-01-05")),
        ("2199-12-31", "month", ("2199-12-25", "2200-01-24")),
        ("2199-12-31", "quarter", ("2199-10-01", "2199-12-31")),
        ("2199-12-31", "year", ("2199-01-01", "2199-12-31")),
    ],
)
async def test_the_edges_of_time_have_whole_windows(
    sign_up: SignUp, on: str, period: str, window: tuple[str, str]
) -> None:
    person = await sign_up(month_start_day=25)
    await budget(person, period=period)
    item = await only(person, on=on)
    assert (tuple(item["window"].values()), item["state"]) == (window, "ok")


@pytest.mark.wire
@pytest.mark.parametrize(
    ("query", "blame"),
    [
        ({"on": "yesterday"}, {"on": "malformed"}),
        ({"on": "2026-11-22T10:00:00Z"}, {"on": "malformed"}),
        ({"on": "2200-01-01"}, {"on": "out_of_range"}),
        ({"on": ""}, {"on": "malformed"}),
        ({"date": "2026-11-22"}, {"date": "unknown"}),
    ],
)
async def test_a_day_that_is_none_is_refused(person: Person, query: dict[str, str], blame: dict[str, str]) -> None:
    answer = await person.get("/budgets/status", params=query)
    assert (answer.status_code, blamed(answer)) == (422, blame)


async def test_any_number_of_budgets_costs_three_statements(person: Person, statements: Statements) -> None:
    with statements() as none:
        await status(person)
    kinds = product(("Food", "Rent", None), ("week", "month", "quarter", "year"))
    await asyncio.gather(*(budget(person, category=category, period=period) for category, period in kinds))
    with statements() as twelve:
        await status(person)
    assert (len(none), len(twelve)) == (3, 3)


@dataclass(frozen=True)
class Limit:
    """A budget, with its amount in thousandths."""

    category: str | None
    currency: str
    period: str
    amount: int

    def window(self, on: date) -> tuple[date, date]:
        """The days around a day that share its name."""
        days = [date(2025, 12, 1) + timedelta(days=at) for at in range(450)]
        same = [day for day in days if Pencil([], [self.period], START_DAY).name(day) == self.name(on)]
        return same[0], same[-1]

    def name(self, day: date) -> str | int | None:
        return Pencil([], [self.period], START_DAY).name(day)

    def status(self, ledger: Sequence[Recorded], on: date) -> dict[str, Any]:
        """How it stands, computed by hand."""
        first, last = self.window(on)
        watched = [it for it in ledger if it.currency == self.currency and self.category in {None, *own_and_parent(it)}]
        so_far = sum(it.amount for it in watched if first <= it.day <= on)
        later = sum(it.amount for it in watched if on < it.day <= last)
        spent = so_far + later
        elapsed, left = (on - first).days + 1, (last - on).days + 1
        unit = UNITS_OF[self.currency]
        projected = Pencil.money(spent * elapsed + so_far * (last - on).days, elapsed, self.currency)
        states = [
            ("over", spent > self.amount),
            ("near", spent * 10 >= self.amount * 8),
            ("at_risk", Decimal(projected) * 1000 > self.amount),
            ("ok", True),
        ]
        return {
            "window": {"from": str(first), "to": str(last)},
            "spent": Pencil.money(spent, 1, self.currency),
            "remaining": Pencil.money(self.amount - spent, 1, self.currency),
            "percent_used": Pencil.percent(spent, self.amount),
            "days_left": left,
            "per_day_left": Pencil.money(max(self.amount - spent, 0) // unit // left * unit, 1, self.currency),
            "projected": projected,
            "state": next(name for name, holds in states if holds),
        }


START_DAY = 10
PARENTS = {"Bread": "Food", "Cake": "Food"}


def own_and_parent(expense: Recorded) -> set[str]:
    """Return the categories for which an expense counts."""
    own = expense.category
    return {own, PARENTS.get(own, own)} if own else set()


codes = st.sampled_from(sorted(UNITS_OF))
names = st.sampled_from(["Food", "Bread", "Cake", "Rent", None])
days = st.dates(date(2026, 1, 1), date(2026, 12, 31))
recorded = st.builds(
    lambda day, number, currency, category: Recorded(day, number * UNITS_OF[currency], currency, category),
    days,
    st.integers(-50, 300).filter(bool),
    codes,
    names,
)
limits = st.lists(
    st.builds(
        lambda category, currency, period, number: Limit(category, currency, period, number * UNITS_OF[currency]),
        names,
        codes,
        st.sampled_from(["week", "month", "quarter", "year"]),
        st.integers(1, 2_000),
    ),
    max_size=6,
    unique_by=lambda it: (it.category, it.currency, it.period),
)


@hunts(16)
@given(ledger=st.lists(recorded, max_size=25), limits=limits, on=days)
async def test_every_status_is_what_a_pencil_finds(
    sign_up: SignUp, ledger: list[Recorded], limits: list[Limit], on: date
) -> None:
    person = await sign_up(month_start_day=START_DAY)
    await record(person, ledger, PARENTS)
    made = [
        await budget(
            person,
            category=it.category,
            currency=it.currency,
            period=it.period,
            amount=Pencil.money(it.amount, 1, it.currency),
        )
        for it in limits
    ]

    found = await status(person, on=str(on))

    by_id = {item["budget"]["id"]: item for item in found["items"]}
    assert by_id == {
        row["id"]: {"budget": row} | limit.status(ledger, on) for row, limit in zip(made, limits, strict=True)
    }
    first, last = Limit(None, "EUR", "month", 0).window(on)
    watched = {(it.category, it.currency) for it in limits if it.category}
    month = [it for it in ledger if first <= it.day <= last]
    left = [it for it in month if watched.isdisjoint((name, it.currency) for name in own_and_parent(it))]
    assert {row["currency"]: row["total"] for row in found["unbudgeted"]} == {
        code: Pencil.money(sum(it.amount for it in left if it.currency == code), 1, code)
        for code in {it.currency for it in left}
    }
