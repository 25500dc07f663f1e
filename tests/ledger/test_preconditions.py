"""Preconditions: a row that has changed since it was read is not overwritten."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal

import httpx
import pytest

from tests.support.conditions import REWRITTEN, Headers, blame, get, places, tag_of
from tests.support.databases import on_sqlite
from tests.support.expenses import read, spend
from tests.support.generated import HUNT
from tests.support.ledgers import statuses
from tests.support.matrix import OPERATIONS
from tests.support.people import At, Person
from values.fields import LARGEST_ID

pytestmark = pytest.mark.usefixtures("noon")


@dataclass(frozen=True)
class Change:
    """A request that changes a row, or many."""

    method: str
    path: str
    body: dict[str, object] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    async def made(self, person: Person, at: At, headers: Headers, **fields: object) -> httpx.Response:
        body = None if self.body is None else self.body | fields
        return await person.request(self.method, at(self.path), json=body, headers=headers)


WHOLE: dict[str, object] = {"amount": "13.00", "currency": "EUR", "date": "2026-11-22"}
UPDATES = [
    Change("PUT", "/expenses/{expense_id}", WHOLE),
    Change("PATCH", "/expenses/{expense_id}", {"amount": "13.00"}),
    Change("PATCH", "/categories/{category_id}", {"name": "Food"}),
    Change("PATCH", "/tags/{tag_id}", {"name": "with others"}),
    Change("PATCH", "/budgets/{budget_id}", {"amount": "220.00"}),
]
DELETIONS = [
    Change("DELETE", "/expenses/{expense_id}"),
    Change("DELETE", "/categories/{category_id}?uncategorized=true"),
    Change("DELETE", "/tags/{tag_id}"),
    Change("DELETE", "/budgets/{budget_id}"),
    Change("DELETE", "/imports/{import_id}"),
]
OF_MANY = [
    Change("PATCH", "/expenses?currency=EUR", {"description": "Apples"}),
    Change("DELETE", "/expenses?currency=EUR"),
    Change("DELETE", "/expenses/trash"),
]
EVERY_UPDATE = pytest.mark.parametrize("change", UPDATES, ids=str)
EVERY_CHANGE = pytest.mark.parametrize("change", [*UPDATES, *DELETIONS], ids=str)
CHANGES_OF_MANY = pytest.mark.parametrize("change", OF_MANY, ids=str)
MOVED_ON = {"header": "If-Match", "code": "precondition_failed"}
THERE_IS_ONE = {"header": "If-None-Match", "code": "precondition_failed"}
ANOTHER_REVISION = {"pointer": "/revision", "code": "precondition_failed"}


async def all_of(person: Person) -> object:
    """Return all that a ledger holds, at which revision, and what is in its trash."""
    return [(await person.get(path)).json() for path in ("/changes", "/expenses/trash")]


def test_every_change_is_tried_here() -> None:
    tried = {(it.method, it.path.partition("?")[0]) for it in (*UPDATES, *DELETIONS, *OF_MANY)}
    # A profile has no revision of its own.
    without = ("/users", "/imports/profiles")
    there = {it for it in OPERATIONS if it[0] in {"PUT", "PATCH", "DELETE"} and not it[1].startswith(without)}
    assert tried == there


@EVERY_CHANGE
async def test_a_row_that_stands_as_it_was_read_is_changed(person: Person, at: At, change: Change) -> None:
    tag, before = await tag_of(person, at(change.path)), await all_of(person)
    answer = await change.made(person, at, {"If-Match": tag})
    assert (answer.is_success, await all_of(person) == before) == (True, False)


@on_sqlite
@pytest.mark.parametrize("lines", [['"another", {}'], ['W/"another"', "{}"], ["*"]], ids=str)
async def test_a_row_that_stands_as_one_of_several_tags_says_is_changed(
    person: Person, at: At, lines: list[str]
) -> None:
    change = UPDATES[1]
    tag, before = await tag_of(person, at(change.path)), await all_of(person)
    answer = await change.made(person, at, [("If-Match", it.format(tag)) for it in lines])
    assert (answer.is_success, await all_of(person) == before) == (True, False)


@on_sqlite
@EVERY_CHANGE
async def test_a_row_that_was_read_through_a_compressing_proxy_is_changed(
    person: Person, at: At, change: Change
) -> None:
    tag = await tag_of(person, at(change.path))
    answer = await change.made(person, at, {"If-Match": 'W/"{}-gzip"'.format(tag.strip('"'))})
    assert answer.is_success


@on_sqlite
@pytest.mark.parametrize("spelling", REWRITTEN)
async def test_an_expense_is_changed_however_a_proxy_has_rewritten_its_tag(
    person: Person, at: At, spelling: str
) -> None:
    path = at("/expenses/{expense_id}")
    sent = spelling.format((await tag_of(person, path)).strip('"'))
    assert (await person.patch(path, json={"amount": "13.00"}, headers={"If-Match": sent})).status_code == 200


@on_sqlite
@EVERY_CHANGE
async def test_the_tag_of_a_list_changes_no_row(person: Person, at: At, change: Change) -> None:
    tag = await tag_of(person, at(change.path).rpartition("/")[0])
    sent = [tag, *(it.format(tag.removeprefix("W/").strip('"')) for it in REWRITTEN)]
    answers = [await change.made(person, at, {"If-Match": it}) for it in sent]
    assert [(it.status_code, blame(it)) for it in answers] == [(412, [MOVED_ON])] * len(sent)


@on_sqlite
@EVERY_CHANGE
async def test_a_row_with_another_tag_is_left_alone(person: Person, at: At, change: Change) -> None:
    tag, before = await tag_of(person, at(change.path)), await all_of(person)
    others = ['"another"', 'W/"another"', f'"{tag[1:-1]}0", "0{tag[1:-1]}"', '"*"', '""']
    answers = [await change.made(person, at, {"If-Match": it}) for it in others]
    assert [(it.status_code, it.json()["code"]) for it in answers] == [(412, "precondition_failed")] * len(others)
    assert [blame(it) for it in answers] == [[MOVED_ON]] * len(others)
    assert await all_of(person) == before


@EVERY_UPDATE
async def test_the_answer_to_a_change_bears_the_tag_for_the_next_one(person: Person, at: At, change: Change) -> None:
    before = await tag_of(person, at(change.path))
    answer = await change.made(person, at, {"If-Match": before})
    assert answer.headers["ETag"] == await tag_of(person, at(change.path)) != before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/expenses", {"amount": "12.50"}),
        ("/expenses", {"amount": "12.50", "external_id": "bank-1"}),
        ("/categories", {"name": "Rent"}),
        ("/budgets", {"amount": "900.00", "period": "year"}),
    ],
)
@pytest.mark.usefixtures("at")
async def test_the_answer_to_a_row_that_is_sent_bears_its_tag(
    person: Person, path: str, body: dict[str, object]
) -> None:
    made = await person.post(path, json=body)
    assert made.headers["ETag"] == await tag_of(person, made.headers["Location"])


async def test_the_answer_to_a_restored_row_bears_its_tag(person: Person, at: At) -> None:
    await person.delete(at("/expenses/{expense_id}"))
    restored = await person.post(at("/expenses/{expense_id}/restore"))
    assert restored.headers["ETag"] == await tag_of(person, at("/expenses/{expense_id}"))


@on_sqlite
@EVERY_UPDATE
async def test_a_change_that_changes_nothing_keeps_the_tag(person: Person, at: At, change: Change) -> None:
    changed = await change.made(person, at, {})
    again = await change.made(person, at, {"If-Match": changed.headers["ETag"]})
    stands = await tag_of(person, at(change.path))
    assert [again.status_code, again.headers["ETag"], stands] == [200, *[changed.headers["ETag"]] * 2]


@pytest.mark.parametrize("path", ["/expenses/{expense_id}", "/budgets/{budget_id}"])
async def test_a_renamed_category_moves_the_rows_on_that_are_read_under_it(person: Person, at: At, path: str) -> None:
    tag = await tag_of(person, at(path))
    await person.patch(at("/categories/{category_id}"), json={"name": "Food"})
    seen = await get(person, at(path), tag)
    changed = await person.patch(at(path), json={"amount": "220.00"}, headers={"If-Match": tag})
    assert (seen.status_code, seen.json()["category"], changed.status_code) == (200, "Food", 412)


@on_sqlite
@EVERY_CHANGE
async def test_no_condition_finds_a_row_that_is_not_there_or_a_strangers(
    person: Person, stranger: Person, at: At, change: Change
) -> None:
    tag, before = await tag_of(person, at(change.path)), await all_of(person)
    conditions: list[Headers] = [{"If-Match": tag}, {"If-Match": "*"}, {"If-Match": '"another"'}]

    def nowhere(path: str) -> str:
        kinds = ("expense", "category", "tag", "budget", "import")
        return path.format_map({f"{kind}_id": LARGEST_ID for kind in kinds})

    answers = [
        await change.made(who, where, it) for who, where in ((person, nowhere), (stranger, at)) for it in conditions
    ]
    assert [(it.status_code, it.json()["code"]) for it in answers] == [(404, "not_found")] * 6
    assert await all_of(person) == before


@on_sqlite
@CHANGES_OF_MANY
async def test_many_rows_have_no_tag(person: Person, at: At, change: Change) -> None:
    before = await all_of(person)
    tags = [await tag_of(person, at(it)) for it in ("/expenses/{expense_id}", "/expenses", "/expenses/trash")]
    tried = [*tags, *(it.removeprefix("W/") for it in tags), '"", "0", "1", "2", "3", "4", "5"']
    answers = [await change.made(person, at, {"If-Match": it}) for it in tried]
    assert [(it.status_code, blame(it)) for it in answers] == [(412, [MOVED_ON])] * len(tried)
    assert await all_of(person) == before


@CHANGES_OF_MANY
async def test_many_rows_are_changed_whatever_they_are(person: Person, at: At, change: Change) -> None:
    before = await all_of(person)
    answer = await change.made(person, at, {"If-Match": "*"})
    assert (answer.is_success, await all_of(person) == before) == (True, False)


@on_sqlite
@pytest.mark.parametrize("change", [*UPDATES, *DELETIONS, *OF_MANY], ids=str)
async def test_a_change_for_where_there_is_no_row_is_refused(person: Person, at: At, change: Change) -> None:
    before = await all_of(person)
    answer = await change.made(person, at, {"If-None-Match": "*"})
    assert (answer.status_code, blame(answer)) == (412, [THERE_IS_ONE])
    assert await all_of(person) == before


@on_sqlite
@pytest.mark.parametrize(
    ("spelling", "status"),
    [("{}", 412), ("W/{}", 412), ('"another", {}', 412), ('"another"', 200), ('"another-gzip"', 200)],
)
async def test_a_change_for_any_other_version_is_refused_for_this_one(
    person: Person, at: At, spelling: str, status: int
) -> None:
    path = at("/expenses/{expense_id}")
    headers = {"If-None-Match": spelling.format(await tag_of(person, path))}
    assert (await person.put(path, json=WHOLE, headers=headers)).status_code == status


# --- All that is wrong, at once ---------------------------------------------------------------------------------------


@pytest.mark.wire
@pytest.mark.parametrize(
    ("change", "others"),
    [
        (Change("PUT", "/expenses/{expense_id}", {"amount": "x"}), ["/amount", "/currency", "/date"]),
        (Change("PATCH", "/expenses/{expense_id}", {"amount": "x", "revision": "1"}), ["/amount", "/revision"]),
        (Change("DELETE", "/expenses/{expense_id}"), []),
        (Change("PATCH", "/categories/{category_id}", {"name": ""}), ["/name"]),
        (Change("DELETE", "/categories/{category_id}?move_to="), ["move_to"]),
        (Change("PATCH", "/budgets/{budget_id}", {"amount": "0"}), ["/amount"]),
        (Change("DELETE", "/budgets/{budget_id}?tpyo=1"), ["tpyo"]),
        (Change("PATCH", "/expenses?tpyo=1", {"amount": "1"}), ["/amount", "tpyo"]),
        (Change("DELETE", "/expenses?from=today"), ["from"]),
        (Change("DELETE", "/expenses/trash?tpyo=1"), ["tpyo"]),
    ],
    ids=str,
)
async def test_broken_conditions_are_told_with_all_else_that_is_wrong(
    person: Person, at: At, change: Change, others: list[str]
) -> None:
    answer = await change.made(person, at, {"If-Match": "31", "If-None-Match": '"31'})
    assert (answer.status_code, places(answer)) == (422, sorted(["If-Match", "If-None-Match", *others]))
    assert {"header": "If-Match", "code": "malformed"} in blame(answer)


@on_sqlite
@EVERY_UPDATE
async def test_another_tag_and_another_revision_are_told_together(person: Person, at: At, change: Change) -> None:
    tag, before = await tag_of(person, at(change.path)), await all_of(person)
    now = int(tag.strip('"'))
    tried = [('"another"', now), (tag, now + 1), ("*", now - 1), ('"another"', now + 1)]
    answers = [await change.made(person, at, {"If-Match": it}, revision=revision) for it, revision in tried]
    expected = [[MOVED_ON], [ANOTHER_REVISION], [ANOTHER_REVISION], [MOVED_ON, ANOTHER_REVISION]]
    assert [(it.status_code, blame(it)) for it in answers] == [(412, entries) for entries in expected]
    assert await all_of(person) == before


@on_sqlite
@EVERY_UPDATE
async def test_what_cannot_be_sent_is_told_before_the_row_is_looked_at(person: Person, at: At, change: Change) -> None:
    answer = await change.made(person, at, {"If-Match": '"another"'}, tpyo=1)
    assert (answer.status_code, blame(answer)) == (422, [{"pointer": "/tpyo", "code": "unknown"}])


# --- Many at once -----------------------------------------------------------------------------------------------------


async def add_one(person: Person, path: str) -> None:
    """Read an amount and write one more, again and again until nobody has come between."""
    status = None
    while status != httpx.codes.OK:
        seen = await person.get(path)
        more = {"amount": str(Decimal(seen.json()["amount"]) + 1)}
        answer = await person.patch(path, json=more, headers={"If-Match": seen.headers["ETag"]})
        status = answer.status_code
        assert status in {httpx.codes.OK, httpx.codes.PRECONDITION_FAILED}, answer.text


async def add_one_by_one(person: Person, path: str, times: int) -> None:
    for _ in range(times):
        await add_one(person, path)


async def test_no_update_of_four_writers_is_lost(person: Person) -> None:
    each = 15 if HUNT else 5
    counter = await spend(person, amount="1.00")
    await asyncio.gather(*(add_one_by_one(person, f"/expenses/{counter['id']}", each) for _ in range(4)))
    counted = await read(person, counter)
    assert (counted["amount"], counted["revision"]) == (f"{1 + 4 * each}.00", 1 + 4 * each)


async def test_of_many_changes_of_one_version_one_is_made(person: Person, at: At) -> None:
    path = at("/expenses/{expense_id}")
    headers = {"If-Match": await tag_of(person, path)}
    changes = [person.patch(path, json={"amount": f"{it}.00"}, headers=headers) for it in range(20, 28)]
    assert statuses(await asyncio.gather(*changes)) == {200: 1, 412: 7}
