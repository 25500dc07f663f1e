"""Payees of expenses: written as they are sent, filtered and grouped whatever the case, and deleted when unused."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine
from fastapi import FastAPI
from sqlalchemy import bindparam, select

from ledger import unused
from models import LedgerState, Payee
from tests.support.databases import on_sqlite
from tests.support.expenses import change, discard, read, restore, sendable, spend
from tests.support.people import Person
from tests.support.problems import blamed
from tests.support.rows import filling
from tests.support.settings import NOON

DAY = timedelta(days=1)
EXPIRED = NOON + 31 * DAY


async def found(person: Person, **query: object) -> list[str | None]:
    """Return the payees of the expenses that a query finds, oldest first."""
    answer = await person.get("/expenses", params={"sort": "date"} | query)  # type: ignore[arg-type]
    assert answer.status_code == httpx.codes.OK, answer.text
    return [it["payee"] for it in answer.json()["items"]]


async def grouped(person: Person, *dimensions: str, **query: str) -> list[dict[str, Any]]:
    """Return the groups of a report on November."""
    asked: dict[str, Any] = {"group_by": dimensions, "period": "2026-11", **query}
    answer = await person.get("/reports/spending", params=asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    groups: list[dict[str, Any]] = answer.json()["groups"]
    return groups


async def keys(app: FastAPI, person: Person) -> list[str]:
    """Return the keys of all payees that are stored for somebody."""
    mine = select(Payee.name_key).where(Payee.owner_id == bindparam("owner")).order_by(Payee.name_key)
    async with app.state.services.database.new_unit() as unit:
        rows = await (await unit.connection()).execute(mine, {"owner": person.user["id"]})
        return list(rows.scalars())


# Written


async def test_a_payee_is_kept_as_it_was_sent(person: Person) -> None:
    expense = await spend(person, payee=" Café & Söhne 🍎 ")

    assert (expense["payee"], await read(person, expense)) == ("Café & Söhne 🍎", expense)


@pytest.mark.parametrize("payee", ["", "  ", None])
async def test_no_text_is_no_payee(person: Person, payee: str | None) -> None:
    assert (await spend(person, payee=payee))["payee"] is None


async def test_an_expense_has_no_payee_unless_one_is_sent(person: Person) -> None:
    assert (await spend(person))["payee"] is None


async def test_a_payee_is_kept_in_composed_form(person: Person) -> None:
    assert (await spend(person, payee="Cafe\u0301"))["payee"] == "Caf\u00e9"


async def test_a_payee_of_100_characters_is_kept(person: Person) -> None:
    assert (await spend(person, payee="🍎" * 100))["payee"] == "🍎" * 100


async def test_words_find_a_payee_of_wide_letters(person: Person) -> None:
    expense = await spend(person, payee="Ｌｉｄｌ")

    assert [it["id"] for it in (await person.get("/expenses", params={"q": "lidl"})).json()["items"]] == [expense["id"]]


@pytest.mark.wire
@pytest.mark.parametrize(
    ("payee", "code"),
    [
        ("p" * 101, "too_long"),
        # Its key for searching would not fit its column: ﷺ stands for 18 letters, and æ for two.
        ("ﷺ" * 16 + "æ" * 12, "too_long"),
        ("two\nlines", "malformed"),
        ("two\rlines", "malformed"),
        ("two\u2028lines", "malformed"),
        ("two\u2029lines", "malformed"),
        ("two\x85lines", "malformed"),
        ("two\x0blines", "malformed"),
        ("a\x00b", "malformed"),
        (1, "wrong_type"),
        (["Baker"], "wrong_type"),
    ],
)
async def test_another_payee_is_refused(somebody: Person, payee: object, code: str) -> None:
    answer = await somebody.post("/expenses", json={"amount": "1.00", "payee": payee})

    assert (answer.status_code, blamed(answer)) == (422, {"/payee": code})


async def test_a_put_without_a_payee_takes_it_off(person: Person) -> None:
    expense = await spend(person, payee="Baker")

    answer = await person.put(f"/expenses/{expense['id']}", json=sendable(expense))

    assert (answer.status_code, answer.json()["payee"]) == (200, None)


async def test_a_put_with_a_payee_sets_it(person: Person) -> None:
    expense = await spend(person)

    answer = await person.put(f"/expenses/{expense['id']}", json=sendable(expense, payee="Baker"))

    assert (answer.json()["payee"], await found(person, payee="baker")) == ("Baker", ["Baker"])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({"payee": None}, None), ({"payee": ""}, None), ({"amount": "1.00"}, "Baker"), ({"payee": "BAKER"}, "BAKER")],
)
async def test_a_patch_changes_the_payee_only_where_it_is_sent(
    person: Person, sent: dict[str, object], kept: str | None
) -> None:
    expense = await change(person, await spend(person, payee="Baker"), **sent)

    assert (expense["payee"], await read(person, expense)) == (kept, expense)


async def test_a_patch_with_the_same_payee_takes_no_revision(person: Person) -> None:
    expense = await spend(person, payee="Baker")

    assert await change(person, expense, payee=" Baker ") == expense


async def test_the_payee_comes_back_with_a_restored_expense(person: Person) -> None:
    expense = await spend(person, payee="Baker")
    await discard(person, expense)
    [trashed] = (await person.get("/expenses/trash")).json()["items"]
    await restore(person, expense)

    assert (trashed["payee"], await found(person, payee="baker")) == ("Baker", ["Baker"])


# Filtered


@pytest.fixture
async def customer(person: Person) -> Person:
    """A user with an expense with each of some payees, and one with none, on a day each."""
    async with filling(person) as rows:
        for age, payee in enumerate(("Baker", "BAKER", "Café", "Cafe", None, "100%")):
            day = NOON.date().replace(day=1 + age)
            await rows.spend(1, payee=payee, spent_on=day, description=payee and "tea")
    return person


@pytest.mark.parametrize(
    ("query", "payees"),
    [
        ({"payee": "baker"}, ["Baker", "BAKER"]),
        ({"payee": "CAFÉ"}, ["Café"]),
        ({"payee": "cafe"}, ["Cafe"]),
        ({"payee": "Bake"}, []),
        ({"payee": "%"}, []),
        ({"payee": ["baker", "cafe", "Nobody"]}, ["Baker", "BAKER", "Cafe"]),
        ({"payee": ["baker", "BAKER"]}, ["Baker", "BAKER"]),
        ({"payee": "Nobody"}, []),
        ({"without_payee": "true"}, [None]),
        ({"without_payee": "false"}, ["Baker", "BAKER", "Café", "Cafe", None, "100%"]),
        ({"without_payee": "true", "payee": "cafe"}, ["Cafe", None]),
        ({"without_payee": "true", "payee": ["cafe", "100%"]}, ["Cafe", None, "100%"]),
        ({"without_payee": "true", "payee": "Nobody"}, [None]),
        ({"payee": "baker", "to": "2026-11-01"}, ["Baker"]),
    ],
)
async def test_a_filter_by_payee_finds_it_whatever_the_case(
    customer: Person, query: dict[str, object], payees: list[str | None]
) -> None:
    assert await found(customer, **query) == payees


@pytest.mark.parametrize(
    ("q", "payees"),
    [
        ("cafe", ["Café", "Cafe"]),
        ("ake", ["Baker", "BAKER"]),
        ("tea baker", ["Baker", "BAKER"]),
        ("tea cafe", ["Café", "Cafe"]),
        ("baker cafe", []),
        ("%", ["100%"]),
        ("_", []),
    ],
)
async def test_q_finds_words_in_the_payee_and_the_description_together(
    customer: Person, q: str, payees: list[str]
) -> None:
    assert await found(customer, q=q) == payees


async def test_a_payee_that_was_taken_off_is_no_longer_found(person: Person) -> None:
    await change(person, await spend(person, payee="Baker"), payee=None)

    assert (await found(person, q="baker"), await found(person, payee="baker")) == ([], [])


async def test_nobody_finds_a_strangers_payees(person: Person, stranger: Person) -> None:
    await spend(stranger, payee="Baker")

    assert await found(person, payee="Baker") == []


@pytest.mark.wire
@pytest.mark.parametrize(
    ("query", "blame"),
    [
        ({"payee": ""}, {"payee": "too_short"}),
        ({"payee": "p" * 101}, {"payee": "too_long"}),
        ({"without_payee": "yes"}, {"without_payee": "wrong_type"}),
        ({"payees": "Baker"}, {"payees": "unknown"}),
    ],
)
async def test_another_filter_is_refused_by_name(
    somebody: Person, query: dict[str, str], blame: dict[str, str]
) -> None:
    answer = await somebody.get("/expenses", params=query)

    assert (answer.status_code, blamed(answer)) == (422, blame)


# Changed in bulk


async def test_a_bulk_edit_sets_the_payee_of_what_matches(customer: Person) -> None:
    answer = await customer.patch("/expenses?without_payee=true", json={"payee": "Butcher"})

    assert answer.json() == {"matched": 1, "revision": 2}
    assert await found(customer, q="butcher") == await found(customer, payee="butcher") == ["Butcher"]


async def test_a_bulk_edit_takes_the_payee_off(customer: Person) -> None:
    await customer.patch("/expenses?payee=baker&payee=cafe", json={"payee": None})

    assert await found(customer) == [None, None, "Café", None, None, "100%"]
    assert await found(customer, without_payee="true") == [None] * 4


async def test_a_bulk_edit_of_the_spelling_touches_what_is_spelt_otherwise(customer: Person) -> None:
    answer = await customer.patch("/expenses?payee=baker", json={"payee": "BAKER"})

    expenses = (await customer.get("/expenses?payee=baker&sort=date")).json()["items"]
    assert answer.json() == {"matched": 2, "revision": 2}
    assert [(it["payee"], it["revision"]) for it in expenses] == [("BAKER", 2), ("BAKER", 1)]


async def test_a_bulk_edit_to_the_same_spelling_takes_no_revision(customer: Person) -> None:
    answer = await customer.patch("/expenses?payee=cafe", json={"payee": "Cafe"})

    assert answer.json() == {"matched": 1, "revision": None}


async def test_a_dry_run_makes_no_payee(app: FastAPI, customer: Person) -> None:
    await customer.patch("/expenses?payee=cafe&dry_run=true", json={"payee": "Butcher"})

    assert await keys(app, customer) == ["100%", "baker", "cafe", "café"]


async def test_a_bulk_edit_of_another_field_keeps_the_payees(customer: Person) -> None:
    await customer.patch("/expenses?payee=baker", json={"category": "Food"})

    assert await found(customer, category="food") == ["Baker", "BAKER"]


# Grouped


async def test_a_report_has_one_group_for_a_payee_spelt_as_it_was_last(person: Person) -> None:
    await spend(person, payee="baker", amount="1.00", date="2026-11-01")
    await spend(person, payee="Baker", amount="2.00", date="2026-11-20")
    await spend(person, payee="BAKER", amount="4.00", date="2026-11-02")

    assert [(it["payee"], it["total"], it["count"]) for it in await grouped(person, "payee")] == [("Baker", "7.00", 3)]


async def test_a_group_is_spelt_as_in_the_last_expense_of_the_whole_ledger(person: Person) -> None:
    await spend(person, payee="baker", date="2026-11-01")
    await spend(person, payee="Baker's", date="2026-12-01")
    await spend(person, payee="BAKER", date="2026-12-01")

    assert [it["payee"] for it in await grouped(person, "payee")] == ["BAKER"]


async def test_payees_are_grouped_by_name_and_none_is_last(person: Person) -> None:
    async with filling(person) as rows:
        for payee in ("Elf", None, "Émile", "eleve", "Élève", "zebra", "Enfants"):
            await rows.spend(1, payee=payee, spent_on=NOON.date())

    groups = [it["payee"] for it in await grouped(person, "payee")]
    assert groups == ["eleve", "Élève", "Elf", "Émile", "Enfants", "zebra", None]


async def test_a_payee_has_a_bucket_of_time_only_where_it_occurs(person: Person) -> None:
    await spend(person, payee="Baker", date="2026-11-20")
    await spend(person, payee="Butcher", date="2026-11-03")
    await spend(person, payee="Baker", date="2026-11-03")

    groups = [(it["day"], it["payee"]) for it in await grouped(person, "day", "payee")]
    assert groups == [("2026-11-03", "Baker"), ("2026-11-03", "Butcher"), ("2026-11-20", "Baker")]


async def test_a_payee_of_the_compared_span_alone_has_a_bucket_too(person: Person) -> None:
    await spend(person, payee="Baker", date="2026-10-01", amount="3.00")

    [group] = await grouped(person, "payee", compare="previous")

    assert (group["payee"], group["total"], group["previous_total"]) == ("Baker", "0.00", "3.00")


async def test_payees_are_grouped_by_category_too(person: Person) -> None:
    await spend(person, payee="Baker", category="Food", amount="1.00", date="2026-11-01")
    await spend(person, payee="baker", amount="2.00", date="2026-11-02")
    await spend(person, category="Food", amount="4.00", date="2026-11-03")

    groups = [(it["payee"], it["category"], it["total"]) for it in await grouped(person, "payee", "category")]
    assert groups == [("baker", "Food", "1.00"), ("baker", None, "2.00"), (None, "Food", "4.00")]


async def test_a_report_is_filtered_by_payee(person: Person) -> None:
    await spend(person, payee="Baker", amount="1.00", date="2026-11-01")
    await spend(person, payee="Butcher", amount="2.00", date="2026-11-01")

    assert [(it["payee"], it["total"]) for it in await grouped(person, "payee", payee="BAKER")] == [("Baker", "1.00")]


# Swept


async def go_to(noon: time_machine.Traveller, instant: datetime, person: Person) -> None:
    """Let it be another time, and somebody have a new session."""
    noon.move_to(instant)
    person.bear(await person.open_session())


async def test_payees_differing_in_case_are_stored_once(app: FastAPI, person: Person) -> None:
    await spend(person, payee="Baker")
    await spend(person, payee="BAKER")

    assert await keys(app, person) == ["baker"]


async def test_the_first_write_of_a_day_deletes_payees_that_no_expense_has(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    await change(person, await spend(person, payee="Baker"), payee="Butcher")
    before = await keys(app, person)
    await go_to(noon, NOON + DAY, person)
    await spend(person)

    assert (before, await keys(app, person)) == (["baker", "butcher"], ["butcher"])


async def test_a_payee_in_the_trash_is_kept_until_the_trash_expires(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    await discard(person, await spend(person, payee="Baker"))
    await go_to(noon, NOON + DAY, person)
    await spend(person)
    in_the_trash = await keys(app, person)
    await go_to(noon, EXPIRED, person)
    await spend(person)

    assert (in_the_trash, await keys(app, person)) == (["baker"], [])


@on_sqlite
async def test_a_sweep_deletes_nobody_elses_payees(
    app: FastAPI, noon: time_machine.Traveller, person: Person, stranger: Person
) -> None:
    await change(stranger, await spend(stranger, payee="Baker"), payee=None)
    await go_to(noon, NOON + DAY, person)
    await spend(person)

    assert await keys(app, stranger) == ["baker"]


async def test_a_payee_that_was_swept_can_be_used_again(noon: time_machine.Traveller, person: Person) -> None:
    await change(person, await spend(person, payee="Baker"), payee=None)
    await go_to(noon, NOON + DAY, person)
    await spend(person)
    await spend(person, payee="BAKER")

    assert await found(person, payee="baker") == ["BAKER"]


async def test_the_payee_of_the_write_that_sweeps_stays(
    app: FastAPI, noon: time_machine.Traveller, person: Person
) -> None:
    await change(person, await spend(person, payee="Baker"), payee=None)
    await go_to(noon, NOON + DAY, person)
    await spend(person, payee="baker")

    assert (await keys(app, person), await found(person, payee="Baker")) == (["baker"], ["baker"])


async def test_many_payees_are_swept_by_several_writes(
    app: FastAPI, noon: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch, person: Person
) -> None:
    monkeypatch.setattr(unused, "MAX_NAMES", 2)
    async with filling(person) as rows:
        made = [await rows.pay(name) for name in ("a", "b", "c")]
    await go_to(noon, NOON + DAY, person)
    await spend(person)
    first = await keys(app, person)
    await spend(person)

    assert (len(made), len(first), await keys(app, person)) == (3, 1, [])


# Counted


async def text_bytes(app: FastAPI, person: Person) -> int:
    """Return the bytes of texts for which a ledger is counted."""
    mine = select(LedgerState.text_bytes).where(LedgerState.owner_id == bindparam("owner"))
    async with app.state.services.database.new_unit() as unit:
        return int((await (await unit.connection()).execute(mine, {"owner": person.user["id"]})).scalar_one())


async def test_a_payee_counts_with_every_expense_and_once_more_for_itself(app: FastAPI, person: Person) -> None:
    await spend(person, payee="Baker")
    one = await text_bytes(app, person)
    await spend(person, payee="BAKER")

    assert (one, await text_bytes(app, person)) == (2 * len("Baker"), 3 * len("Baker"))


@pytest.mark.parametrize("path", ["/expenses/{id}", "/expenses?payee=baker"])
async def test_a_payee_that_is_swept_counts_no_longer(
    app: FastAPI, noon: time_machine.Traveller, person: Person, path: str
) -> None:
    expense = await spend(person, payee="Butcher")
    once = await text_bytes(app, person)
    await change(person, expense, payee="Baker")
    await person.patch(path.format(id=expense["id"]), json={"payee": "Butcher"})
    await go_to(noon, NOON + DAY, person)
    await spend(person)

    assert (await keys(app, person), await text_bytes(app, person)) == (["butcher"], once)
