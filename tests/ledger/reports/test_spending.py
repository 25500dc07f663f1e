"""Spending reports, compared with a second, simple computation."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from ledger.reports import spending
from ledger.reports.totals import CATEGORY_ID, PAYEE, TAGS, Grouping, select_spending
from models import Expense
from tests.support.categories import create
from tests.support.databases import on_sqlite, try_cases
from tests.support.expected_reports import UNITS_OF, Pencil, Recorded, record
from tests.support.expenses import spend
from tests.support.generated import hunts
from tests.support.people import Person, SignUp, signed_up
from tests.support.problems import advice, blamed
from tests.support.servers import make_plain_engine
from tests.support.statements import Statements


async def report(person: Person, **query: object) -> dict[str, Any]:
    """Return a report; `from_` stands for `from`."""
    answer = await person.get("/reports/spending", params=named(query))
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(person: Person, **query: object) -> httpx.Response:
    """Return the problem that a report is answered with."""
    answer = await person.get("/reports/spending", params=named(query))
    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text
    return answer


def named(query: dict[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in query.items()}


def shown(rows: Sequence[dict[str, Any]], *fields: str) -> list[tuple[Any, ...]]:
    """Return some fields of each row."""
    return [tuple(row[name] for name in fields) for row in rows]


# --- What it says -----------------------------------------------------------------------------------------------------


async def test_a_row_begins_with_its_bucket(person: Person) -> None:
    await spend(person, amount="3.00", date="2026-11-01")
    [row] = (await report(person, group_by=["month", "category"], period="2026-11"))["groups"]
    assert " ".join(row) == "month category currency total count average min max share_percent"


@pytest.mark.usefixtures("noon")
async def test_without_anything_it_is_the_current_month_as_a_whole(person: Person) -> None:
    await spend(person, amount="12.50", date="2026-11-01")
    await spend(person, amount="7.51", date="2026-11-30")
    await spend(person, amount="100.00", date="2026-10-31")

    assert await report(person) == {
        "period": {"from": "2026-11-01", "to": "2026-11-30"},
        "group_by": [],
        "totals": [
            {
                "currency": "EUR",
                "total": "20.01",
                "count": 2,
                "average": "10.00",
                "min": "7.51",
                "max": "12.50",
                "per_day": "0.67",
            }
        ],
        "groups": [],
    }


async def test_the_groups_are_rows_ready_for_a_chart(person: Person) -> None:
    await spend(person, amount="30.00", date="2026-11-02", category="Rent")
    await spend(person, amount="10.00", date="2026-11-03")
    await spend(person, amount="20.00", date="2026-12-24", category="Gifts")

    found = await report(person, from_="2026-11-01", to="2026-12-31", group_by=["month", "category"])

    assert found["group_by"] == ["month", "category"]
    assert shown(found["groups"], "month", "category", "total", "share_percent") == [
        ("2026-11", "Gifts", "0.00", 0.0),
        ("2026-11", "Rent", "30.00", 50.0),
        ("2026-11", None, "10.00", 16.7),
        ("2026-12", "Gifts", "20.00", 33.3),
        ("2026-12", "Rent", "0.00", 0.0),
        ("2026-12", None, "0.00", 0.0),
    ]


@on_sqlite
async def test_the_rows_come_in_the_order_of_group_by(person: Person) -> None:
    await spend(person, date="2026-11-02", category="Rent")
    await spend(person, date="2026-12-24", category="Gifts")

    found = await report(person, from_="2026-11-01", to="2026-12-31", group_by=["category", "month"])

    assert shown(found["groups"], "category", "month") == [
        ("Gifts", "2026-11"),
        ("Gifts", "2026-12"),
        ("Rent", "2026-11"),
        ("Rent", "2026-12"),
    ]


@on_sqlite
async def test_a_key_is_there_when_grouped_by(person: Person) -> None:
    await spend(person, date="2026-11-22", category="Rent")

    by_weekday = (await report(person, period="2026-11-22", group_by="weekday"))["groups"]
    by_category = (await report(person, period="2026-11-22", group_by="category"))["groups"]

    assert [by_weekday[0]["weekday"], by_category[0]["category"]] == [7, "Rent"]
    assert by_weekday[0].keys() - by_category[0].keys() == {"weekday"}
    assert by_category[0].keys() - by_weekday[0].keys() == {"category"}


@on_sqlite
@pytest.mark.parametrize(
    ("unit", "names"),
    [
        ("day", ["2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02", "2027-01-03", "2027-01-04"]),
        ("week", ["2026-W53", "2027-W01"]),
        ("month", ["2026-12", "2027-01"]),
        ("quarter", ["2026-Q4", "2027-Q1"]),
        ("year", ["2026", "2027"]),
        ("weekday", [1, 3, 4, 5, 6, 7]),
    ],
)
async def test_a_span_across_a_year_is_whole_in_every_unit(person: Person, unit: str, names: list[object]) -> None:
    await spend(person, amount="5.00", date="2026-12-31")

    found = await report(person, from_="2026-12-30", to="2027-01-04", group_by=unit)

    assert [row[unit] for row in found["groups"]] == names
    assert [row["total"] for row in found["groups"] if row["count"]] == ["5.00"]


@on_sqlite
async def test_the_name_of_a_bucket_lists_what_is_in_it(person: Person) -> None:
    await spend(person, amount="5.00", date="2026-11-18")
    await spend(person, amount="6.00", date="2026-11-24")

    found = await report(person, period="2026-11", group_by="week")
    name = next(row["week"] for row in found["groups"] if row["total"] == "5.00")
    listed = (await person.get("/expenses", params={"period": name})).json()["items"]

    assert [row["amount"] for row in listed] == ["5.00"]


async def test_it_is_compared_bucket_by_bucket(person: Person) -> None:
    await spend(person, amount="30.00", date="2026-10-02", category="Rent")
    await spend(person, amount="33.00", date="2026-11-02", category="Rent")
    await spend(person, amount="8.00", date="2026-10-09", category="Books")

    found = await report(person, period="2026-11", group_by="category", compare="previous")

    assert found["compared_to"] == {"from": "2026-10-01", "to": "2026-10-31"}
    fields = ("total", "previous_total", "change", "change_percent")
    assert shown(found["totals"], *fields) == [("33.00", "38.00", "-5.00", -13.2)]
    assert shown(found["groups"], "category", *fields) == [
        ("Books", "0.00", "8.00", "-8.00", -100.0),
        ("Rent", "33.00", "30.00", "3.00", 10.0),
    ]


@on_sqlite
async def test_a_bucket_is_compared_with_the_one_at_its_place(person: Person) -> None:
    await spend(person, amount="1.00", date="2026-02-28")
    await spend(person, amount="2.00", date="2026-03-28")
    await spend(person, amount="4.00", date="2026-03-29")

    found = await report(person, period="2026-03", group_by="day", compare="previous")

    rows = shown(found["groups"], "day", "total", "previous_total")
    assert rows[27:29] == [("2026-03-28", "2.00", "1.00"), ("2026-03-29", "4.00", "0.00")]
    assert len(rows) == 31


@on_sqlite
async def test_a_weekday_is_compared_with_its_like(person: Person) -> None:
    await spend(person, amount="1.00", date="2026-10-05")
    await spend(person, amount="3.00", date="2026-11-30")

    found = await report(person, period="2026-11", group_by="weekday", compare="previous")

    assert shown(found["groups"], "weekday", "total", "previous_total")[0] == (1, "3.00", "1.00")


BEFORE = {"compare": "previous"}
A_YEAR_BEFORE = {"compare": "last-year"}


@on_sqlite
@pytest.mark.parametrize(
    ("today", "query", "span"),
    [
        ("2026-11-22", {"period": "2026-11"} | A_YEAR_BEFORE, ("2025-11-01", "2025-11-30")),
        ("2026-11-22", {"period": "2025-02"} | A_YEAR_BEFORE, ("2024-02-01", "2024-02-29")),
        ("2026-11-22", {"period": "2026-W47"} | A_YEAR_BEFORE, ("2025-11-17", "2025-11-23")),
        ("2026-11-22", A_YEAR_BEFORE, ("2025-11-01", "2025-11-30")),
        ("2026-11-22", {"period": "month-to-date"} | BEFORE, ("2026-10-01", "2026-10-22")),
        ("2026-11-22", {"period": "year-to-date"} | BEFORE, ("2025-01-01", "2025-11-22")),
        ("2026-11-30", {"period": "last-30-days"} | BEFORE, ("2026-10-02", "2026-10-31")),
        ("2026-11-22", {"period": "last-3-months"} | BEFORE, ("2026-06-01", "2026-08-31")),
        ("2026-11-22", {"period": "2026"} | BEFORE, ("2025-01-01", "2025-12-31")),
        ("2026-11-22", {"period": "2026-Q4"} | BEFORE, ("2026-07-01", "2026-09-30")),
        ("2026-11-22", {"period": "2026-W47"} | BEFORE, ("2026-11-09", "2026-11-15")),
        ("2026-11-22", {"from_": "2026-11-03", "to": "2026-11-09"} | BEFORE, ("2026-10-27", "2026-11-02")),
    ],
)
async def test_it_is_compared_with_the_span_that_was_asked_for(
    noon: time_machine.Traveller, sign_up: SignUp, today: str, query: dict[str, str], span: tuple[str, str]
) -> None:
    noon.move_to(datetime.fromisoformat(f"{today}T12:00:00Z"))
    person = await sign_up()
    first, last = (date.fromisoformat(day) for day in span)
    await spend(person, amount="1.00", date=str(first))
    await spend(person, amount="2.00", date=str(last))
    await spend(person, amount="400.00", date=str(first - timedelta(days=1)))

    found = await report(person, **query)

    assert found["compared_to"] == {"from": span[0], "to": span[1]}
    assert found["totals"][0]["previous_total"] == "3.00"


async def test_a_currency_that_only_the_other_span_has_is_a_row_too(person: Person) -> None:
    await spend(person, amount="900", currency="JPY", date="2026-10-02")

    found = await report(person, period="2026-11", group_by="month", compare="previous")

    assert shown(found["totals"], "currency", "total", "previous_total") == [
        ("EUR", "0.00", "0.00"),
        ("JPY", "0", "900"),
    ]
    assert shown(found["groups"], "month", "currency", "total", "change_percent") == [("2026-11", "JPY", "0", -100.0)]


@pytest.fixture(scope="module")
async def shopper(app: FastAPI) -> AsyncIterator[Person]:
    """A user with four expenses, for the tests that change nothing."""
    async with signed_up(app) as shopper:
        await spend(shopper, amount="10.00", date="2026-11-02", category="Food", description="One loaf")
        await spend(shopper, amount="2.00", date="2026-11-03", category="Food", description="Two rolls")
        await spend(shopper, amount="400.00", date="2026-11-01", category="Rent")
        await spend(shopper, amount="3.00", date="2026-11-05", external_id="mine")
        yield shopper


@try_cases(
    "query, total",
    on_both=[
        ({"uncategorized": "true", "category": "Food"}, "15.00"),
        ({"min_amount": "10"}, "410.00"),
        ({"q": "two"}, "2.00"),
    ],
    on_sqlite=[
        ({"category": "food"}, "12.00"),
        ({"category": ["FOOD", "Rent"]}, "412.00"),
        ({"uncategorized": "true"}, "3.00"),
        ({"category": "Nothing"}, "0.00"),
        ({"max_amount": "9.99"}, "5.00"),
        ({"external_id": "mine"}, "3.00"),
        ({"currency": "eur"}, "415.00"),
    ],
)
async def test_all_filters_of_the_list_apply(shopper: Person, query: dict[str, Any], total: str) -> None:
    assert (await report(shopper, period="2026-11", **query))["totals"][0]["total"] == total


# --- Edges ------------------------------------------------------------------------------------------------------------

NOTHING = {"total": "0.00", "count": 0, "average": None, "min": None, "max": None}


async def test_without_expenses_the_own_currency_is_there_with_zeros(person: Person) -> None:
    found = await report(person, period="2026-11", group_by=["month", "category"], compare="last-year")

    [total] = found["totals"]
    assert total | NOTHING == total
    assert (total["per_day"], total["previous_total"], total["change_percent"]) == ("0.00", "0.00", None)
    assert found["groups"] == []


async def test_refunds_alone_are_a_total_below_zero(person: Person) -> None:
    await spend(person, amount="-5.00", date="2026-11-02", category="Food")
    await spend(person, amount="-0.01", date="2026-11-03")

    found = await report(person, period="2026-11", group_by="category")

    assert shown(found["totals"], "total", "average", "min", "max", "per_day") == [
        ("-5.01", "-2.50", "-5.00", "-0.01", "-0.17")
    ]
    assert shown(found["groups"], "total", "share_percent") == [("-5.00", None), ("-0.01", None)]


async def test_a_total_of_zero_has_no_shares_and_no_change_in_percent(person: Person) -> None:
    await spend(person, amount="5.00", date="2026-11-02", category="Food")
    await spend(person, amount="-5.00", date="2026-11-03", category="Rent")
    await spend(person, amount="5.00", date="2026-12-03", category="Rent")

    november = await report(person, period="2026-11", group_by="category")
    december = await report(person, period="2026-12", group_by="category", compare="previous")

    assert shown(november["groups"], "total", "share_percent") == [("5.00", None), ("-5.00", None)]
    assert shown(december["totals"], "total", "previous_total", "change", "change_percent") == [
        ("5.00", "0.00", "5.00", None)
    ]
    assert shown(december["groups"], "category", "change", "change_percent") == [
        ("Food", "-5.00", -100.0),
        ("Rent", "10.00", None),
    ]


async def test_a_share_can_be_above_all_or_below_nothing(person: Person) -> None:
    await spend(person, amount="15.00", date="2026-11-02", category="Food")
    await spend(person, amount="-5.00", date="2026-11-03", category="Rent")

    found = await report(person, period="2026-11", group_by="category")

    assert shown(found["groups"], "share_percent") == [(150.0,), (-50.0,)]


async def test_every_currency_has_its_own_decimals_and_none_is_added_to_another(sign_up: SignUp) -> None:
    person = await sign_up(currency="JPY")
    await spend(person, amount="1000", currency="JPY", date="2026-11-02")
    await spend(person, amount="1001", currency="JPY", date="2026-11-03")
    await spend(person, amount="0.001", currency="KWD", date="2026-11-02")
    await spend(person, amount="0.002", currency="KWD", date="2026-11-02")
    await spend(person, amount="2.55", currency="EUR", date="2026-11-02")

    found = await report(person, period="2026-11", group_by="month")

    fields = ("currency", "total", "average", "per_day")
    assert shown(found["totals"], *fields) == [
        ("JPY", "2001", "1000", "67"),
        ("EUR", "2.55", "2.55", "0.08"),
        ("KWD", "0.003", "0.002", "0.000"),
    ]
    assert shown(found["groups"], "currency", "share_percent") == [("JPY", 100.0), ("EUR", 100.0), ("KWD", 100.0)]


async def test_categories_that_differ_in_case_alone_are_one(person: Person) -> None:
    await spend(person, amount="1.00", date="2026-11-02", category="Food")
    await spend(person, amount="2.00", date="2026-11-02", category="FOOD")
    await create(person, "Fööd")
    await spend(person, amount="4.00", date="2026-11-02", category="fööd")

    found = await report(person, period="2026-11", group_by="category")

    assert shown(found["groups"], "category", "total") == [("Food", "3.00"), ("Fööd", "4.00")]


@pytest.mark.usefixtures("noon")
async def test_two_users_at_one_instant_have_their_own_today(noon: time_machine.Traveller, sign_up: SignUp) -> None:
    noon.move_to(datetime(2026, 11, 30, 10, 30, tzinfo=UTC))
    ahead = await sign_up(timezone="Pacific/Kiritimati")
    behind = await sign_up(timezone="Pacific/Pago_Pago")
    await spend(ahead, amount="1.00")
    await spend(behind, amount="2.00")

    first, second = await report(ahead, group_by="day"), await report(behind, group_by="day")

    assert [first["period"]["from"], second["period"]["from"]] == ["2026-12-01", "2026-11-01"]
    assert shown([row for row in first["groups"] if row["count"]], "day", "total") == [("2026-12-01", "1.00")]
    assert shown([row for row in second["groups"] if row["count"]], "day", "total") == [("2026-11-29", "2.00")]


async def test_the_last_day_of_a_month_of_31_days_that_begins_on_salary_day(
    noon: time_machine.Traveller, sign_up: SignUp
) -> None:
    noon.move_to(datetime(2027, 1, 24, 23, 59, tzinfo=UTC))
    person = await sign_up(month_start_day=25)
    await spend(person, amount="31.00")
    await spend(person, amount="5.00", date="2027-01-25")

    found = await report(person, group_by="month", compare="previous")

    assert found["period"] == {"from": "2026-12-25", "to": "2027-01-24"}
    assert found["compared_to"] == {"from": "2026-11-25", "to": "2026-12-24"}
    assert shown(found["groups"], "month", "total") == [("2026-12", "31.00")]
    assert found["totals"][0]["per_day"] == "1.00"


@pytest.mark.usefixtures("noon")
async def test_an_open_end_reaches_to_today_or_to_the_last_that_matches(person: Person) -> None:
    await spend(person, amount="1.00", date="2026-11-03", category="Food")
    await spend(person, amount="2.00", date="2027-02-01", category="Rent")

    assert (await report(person, from_="2026-11-01"))["period"]["to"] == "2027-02-01"
    assert (await report(person, from_="2026-11-01", category="Food"))["period"]["to"] == "2026-11-22"
    assert (await report(person, from_="2028-01-01"))["period"] == {"from": "2028-01-01", "to": "2028-01-01"}


async def test_an_open_beginning_reaches_back_to_the_first_that_matches(person: Person) -> None:
    await spend(person, amount="1.00", date="2025-11-03", category="Food")
    await spend(person, amount="2.00", date="2026-02-01", category="Rent")

    assert (await report(person, to="2026-11-30"))["period"]["from"] == "2025-11-03"
    assert (await report(person, to="2026-11-30", category="Rent"))["period"]["from"] == "2026-02-01"
    assert (await report(person, to="1999-12-31"))["period"] == {"from": "1999-12-31", "to": "1999-12-31"}


# Some of the spans to compare with begin before 1900, or end after 2199.
@try_cases(
    "period, compare",
    on_both=[("1900", "previous"), ("2199", "last-year"), ("last-36600-days", "previous")],
    on_sqlite=[
        *((period, "previous") for period in ("2199", "1900-W01", "2199-W52", "2199-12")),
        *((period, "last-year") for period in ("1900", "1900-W01", "2199-W52", "2199-12", "last-36600-days")),
    ],
)
async def test_the_edges_of_time_are_reported_too(person: Person, period: str, compare: str) -> None:
    found = await report(person, period=period, compare=compare, group_by="month")
    assert found["totals"][0]["previous_total"] == "0.00"


async def test_all_of_time_is_compared_with_what_nobody_recorded(person: Person) -> None:
    found = await report(person, from_="1900-01-01", to="2199-12-31", compare="previous")
    assert found["compared_to"] == {"from": "1600-01-01", "to": "1899-12-31"}


@pytest.mark.wire
@pytest.mark.parametrize(
    ("query", "blame"),
    [
        ({"group_by": ["category", "category"]}, {"group_by": "not_allowed"}),
        ({"group_by": ["month", "month"]}, {"group_by": "not_allowed"}),
        ({"group_by": ["day", "weekday"]}, {"group_by": "not_allowed"}),
        ({"group_by": ["category", "month", "day"]}, {"group_by": "too_long"}),
        ({"group_by": "hour"}, {"group_by": "not_allowed"}),
        ({"group_by": ""}, {"group_by": "not_allowed"}),
        ({"compare": "next"}, {"compare": "not_allowed"}),
        ({"from_": "2026-11-02", "to": "2026-11-01"}, {"to": "out_of_range"}),
        ({"from_": "2026-11-02", "period": "2026"}, {"period": "not_allowed"}),
        ({"limit": "10"}, {"limit": "unknown"}),
        ({"sort": "date"}, {"sort": "unknown"}),
    ],
)
async def test_what_cannot_be_reported_is_refused_by_name(
    somebody: Person, query: dict[str, Any], blame: dict[str, str]
) -> None:
    assert blamed(await refused(somebody, **query)) == blame


@pytest.mark.wire
async def test_a_comma_is_answered_with_what_to_do(somebody: Person) -> None:
    answer = await refused(somebody, group_by="month,category")
    assert advice(answer, "group_by") == "Send one parameter for each: group_by=month&group_by=category."


@pytest.mark.wire
async def test_two_times_are_named_in_the_refusal(somebody: Person) -> None:
    answer = await refused(somebody, group_by=["week", "month"])
    assert advice(answer, "group_by") == "Group by only one unit of time: month or week."


async def test_ten_thousand_rows_are_answered_and_one_more_is_too_many(person: Person) -> None:
    first = date(2000, 1, 1)
    await spend(person, date="2000-01-01")

    whole = await report(person, from_=first, to=first + timedelta(days=9_999), group_by="day")
    too_many = await refused(person, from_=first, to=first + timedelta(days=10_000), group_by="day")

    assert len(whole["groups"]) == 10_000
    assert (too_many.json()["code"], blamed(too_many)) == ("too_many", {"group_by": "out_of_range"})


@on_sqlite
async def test_the_rows_of_every_currency_and_category_count(person: Person) -> None:
    kinds = (("Food", "EUR"), ("Food", "JPY"), ("Rent", "EUR"))
    series = [{"category": category, "currency": currency} for category, currency in kinds]
    await asyncio.gather(*(spend(person, amount="5", date="2000-01-01", **fields) for fields in series))

    query = {"from_": "2000-01-01", "to": "2009-02-15", "group_by": ["day", "category"]}
    answer = await refused(person, **query)

    assert answer.json()["code"] == "too_many"
    assert len((await report(person, **query | {"to": "2009-02-14"}))["groups"]) == 9_999


async def test_what_takes_too_long_to_add_up_is_too_many(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spending, "MAX_SUMS", 2)
    await asyncio.gather(*(spend(person, amount="5", date=f"2026-11-{day}") for day in (10, 11, 12)))

    answer = await refused(person, period="2026-11", group_by="month")

    assert answer.json()["code"] == "too_many"
    assert advice(answer, "group_by").startswith("This needs more than")
    assert (await report(person, period="2026-11"))["totals"][0]["total"] == "15.00"
    assert len((await report(person, from_="2026-11-11", to="2026-11-30", group_by="month"))["groups"]) == 1


async def test_too_many_payees_are_refused_before_their_names_are_read(
    person: Person, monkeypatch: pytest.MonkeyPatch, statements: Statements
) -> None:
    monkeypatch.setattr(spending, "MAX_ROWS", 1)
    for payee in ("Baker", "Market"):
        await spend(person, payee=payee, date="2026-11-10")
    with statements() as sent:
        answer = await refused(person, period="2026-11", group_by="payee")

    assert answer.json()["code"] == "too_many"
    assert not any("FROM payees" in it for it in sent)


async def test_sums_beyond_64_bits_are_exact(person: Person) -> None:
    largest = 999_999_999_999_990
    await record(person, [Recorded(date(2026, 11, 2), largest, "EUR", None)] * 10_000)
    await record(person, [Recorded(date(2026, 11, 3), -largest, "EUR", None)] * 5)

    found = await report(person, period="2026-11")

    assert shown(found["totals"], "total", "min") == [("9994999999999900.05", "-999999999999.99")]


# --- What it asks of the database -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"period": "2026-11"}, 2),
        ({"period": "2026-11", "group_by": ["month", "category"]}, 2),
        ({"period": "2026-11", "group_by": ["month", "category"], "compare": "last-year"}, 2),
        ({"from_": "2026-11-01", "group_by": "month", "compare": "previous"}, 3),
    ],
    ids=["totals", "groups", "compared", "to an open end"],
)
async def test_a_report_is_one_aggregate(
    person: Person, statements: Statements, query: dict[str, Any], number: int
) -> None:
    await asyncio.gather(*(spend(person, category=category) for category in ("Food", "Rent", "Books")))

    with statements() as sent:
        await report(person, **query)

    assert len(sent) == number
    [aggregate] = [statement for statement in sent if "GROUP BY" in statement]
    assert "LIMIT" in aggregate


@pytest.mark.parametrize("by", [{"category_id": CATEGORY_ID}, {}, {"payee": PAYEE}, {"tag": TAGS}])
def test_on_sqlite_a_report_walks_the_index_that_covers_it(sqlite_url: str, by: Mapping[str, Grouping]) -> None:
    november = [Expense.spent_on.between(date(2026, 11, 1), date(2026, 11, 30))]
    asked = select_spending([november], by, by_day=True)
    engine = make_plain_engine(sqlite_url)
    with engine.connect() as connection:
        sql = asked.params(owner=1).compile(connection, compile_kwargs={"literal_binds": True})
        steps = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]

    index = "ix_expenses_for_reports (owner_id=? AND spent_on>? AND spent_on<?)"
    assert steps[0] == f"SEARCH expenses USING COVERING INDEX {index}"
    assert ("USE TEMP B-TREE FOR GROUP BY" in steps) == ("category_id" not in by)


# --- An oracle --------------------------------------------------------------------------------------------------------


# Of five categories (none is one) in three currencies, so many days are less than 10,000 rows.
days = st.dates(date(2023, 12, 1), date(2025, 9, 1))
expenses = st.builds(
    lambda day, number, currency, *names: Recorded(day, number * UNITS_OF[currency], currency, *names),
    days,
    st.integers(-50, 300).filter(bool) | st.integers(10**9, 10**11),
    st.sampled_from(sorted(UNITS_OF)),
    st.none() | st.sampled_from(["Food", "Rent", "apples", "Zoë"]),
    st.none() | st.sampled_from(["Lidl", "LIDL", "Café", "Cafe"]),
    st.lists(st.sampled_from(["shared", "Été", "ete"]), unique=True).map(tuple),
)
PARENTS: Final = {"apples": "Food", "Zoë": "Food"}
times = st.sampled_from(["day", "week", "month", "quarter", "year", "weekday"])
names = st.sampled_from(["category", "parent", "payee", "tag"])
groupings: st.SearchStrategy[list[str]] = st.one_of(
    st.just([]),
    names.map(lambda it: [it]),
    times.map(lambda it: [it]),
    st.tuples(times, names).map(list),
    st.tuples(names, times).map(list),
    st.lists(names, min_size=2, max_size=2, unique=True),
)


@hunts(30)
@given(
    ledger=st.lists(expenses, max_size=30),
    span=st.tuples(days, days).map(sorted),
    group_by=groupings,
    compare=st.sampled_from([None, "previous", "last-year"]),
    start_day=st.integers(1, 28),
    own=st.sampled_from(["EUR", "USD"]),
)
async def test_every_field_is_what_a_pencil_finds(
    sign_up: SignUp,
    ledger: list[Recorded],
    span: list[date],
    group_by: list[str],
    compare: str | None,
    start_day: int,
    own: str,
) -> None:
    first, last = span
    person = await sign_up(currency=own, month_start_day=start_day)
    await record(person, ledger, PARENTS)

    query = {"from_": first, "to": last, "group_by": group_by} | ({"compare": compare} if compare else {})
    found = await report(person, **query)

    assert found.pop("period") == {"from": str(first), "to": str(last)}
    before = found.pop("compared_to", None)
    assert (before is not None) == (compare is not None)
    other = (date.fromisoformat(before["from"]), date.fromisoformat(before["to"])) if before else None
    assert found == Pencil(ledger, group_by, start_day, PARENTS).report(own, (first, last), other)
