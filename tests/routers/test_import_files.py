"""Files through `POST /imports`: what a client sends, and what it gets."""

import asyncio
import itertools
from http import HTTPStatus
from typing import Any, Final

import pytest

from tests.support.files import get_pointers, send
from tests.support.people import Person, SignUp

STATEMENT: Final = b"Date;Text;Amount\n13.01.2026;Coffee;-2,50\n14.01.2026;Bread;-3,10\n15.01.2026;Pay;900,00\n"
AMBIGUOUS: Final = b"Date,Text,Amount\n02/12/2026,Coffee,-2.50\n03/12/2026,Bread,-3.10\n"
TWO_AMOUNTS: Final = b"2026-01-13,Hotel,-100.00,-92.50\n2026-01-14,Bread,-3.10,-1.00\n"
BROKEN: Final = b"Date,Text,Amount\n2026-01-13,Coffee,-2..50\n2026-01-14,Bread,-3.10\n2026-01-15,Tea,-1.00\n"


async def list_amounts(person: Person) -> list[str]:
    """Return the amounts of all expenses, the oldest first."""
    answer = await person.get("/expenses?sort=date&limit=200")
    return [row["amount"] for row in answer.json()["items"]]


# --- imports and previews ---------------------------------------------------------------------------------------------


async def test_a_file_becomes_expenses(person: Person) -> None:
    answer = await send(person, STATEMENT)

    assert answer.status_code == HTTPStatus.CREATED
    assert answer.headers["Location"] == f"/imports/{answer.json()['id']}"
    assert answer.json()["counts"] == {
        "rows": 3,
        "new": 2,
        "existing": 0,
        "linked": 0,
        "skipped": 1,
        "refused": 0,
        "open": 0,
    }
    assert await list_amounts(person) == ["2.50", "3.10"]


async def test_the_same_file_again_changes_nothing(person: Person) -> None:
    await send(person, STATEMENT)
    before = (await person.get("/changes")).json()["revision"]

    again = await send(person, STATEMENT)

    assert (again.status_code, again.json()["id"]) == (HTTPStatus.OK, None)
    assert again.json()["counts"]["existing"] == 2
    assert (await person.get("/changes")).json()["revision"] == before


async def test_a_preview_writes_nothing(person: Person) -> None:
    answer = await send(person, STATEMENT, dry_run=True)

    assert (answer.status_code, answer.json()["id"]) == (HTTPStatus.OK, None)
    assert [row["status"] for row in answer.json()["rows"]] == ["new", "new", "skipped"]
    assert (await person.get("/changes")).json()["revision"] == 0


async def test_money_that_came_in_is_shown_with_its_expense(person: Person) -> None:
    pay = (await send(person, STATEMENT, dry_run=True)).json()["rows"][2]

    assert (pay["status"], pay["reason"], pay["expense"]["amount"]) == ("skipped", "incoming", "-900.00")


async def test_only_as_many_rows_are_shown_as_are_wanted(person: Person) -> None:
    answer = await send(person, STATEMENT, rows=1)

    assert [row["number"] for row in answer.json()["rows"]] == [1]


async def test_refused_rows_are_shown_in_any_case(person: Person) -> None:
    answer = await send(person, BROKEN, rows=0, dry_run=True)

    assert [(row["number"], row["line"], row["status"]) for row in answer.json()["rows"]] == [(1, 2, "refused")]


async def test_all_of_an_import_has_one_revision_and_nothing_else_changes(person: Person) -> None:
    await person.post("/expenses", json={"amount": "1.00", "category": "Food"})

    answer = await send(person, STATEMENT)

    changes = (await person.get("/changes?since=1")).json()
    assert changes["revision"] == answer.json()["revision"] == 2
    assert len(changes["expenses"]) == 2
    assert [changes[kind] for kind in ("categories", "tags", "budgets", "deleted")] == [[], [], [], []]


# --- questions and refusals -------------------------------------------------------------------------------------------


async def test_an_open_question_stops_an_import(person: Person) -> None:
    answer = await send(person, AMBIGUOUS)

    assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "import_refused")
    assert get_pointers(answer) == ["/options/date_order"]
    assert await list_amounts(person) == []


async def test_an_answered_question_lets_it_through(person: Person) -> None:
    preview = await send(person, AMBIGUOUS, dry_run=True)
    order = preview.json()["questions"][0]["choices"][0]

    answer = await send(person, AMBIGUOUS, options={"date_order": order})

    assert (order, answer.status_code) == ("DMY", HTTPStatus.CREATED)


async def test_an_answer_can_be_sent_under_the_name_that_the_question_gives(person: Person) -> None:
    (question,) = (await send(person, TWO_AMOUNTS, dry_run=True)).json()["questions"]

    answer = await send(person, TWO_AMOUNTS, options={question["option"]: question["choices"][1]})

    assert (question["option"], answer.status_code) == ("columns.amount", HTTPStatus.CREATED)
    assert answer.json()["options"]["columns"]["amount"] == 4
    assert await list_amounts(person) == ["92.50", "1.00"]


async def test_a_question_about_a_column_points_into_the_columns(person: Person) -> None:
    assert get_pointers(await send(person, TWO_AMOUNTS)) == ["/options/columns/amount"]


async def test_the_options_of_an_answer_can_be_sent_back(person: Person) -> None:
    preview = (await send(person, STATEMENT, dry_run=True)).json()

    again = (await send(person, STATEMENT, dry_run=True, options=preview["options"])).json()

    assert again == preview


async def test_a_refused_row_stops_an_import_unless_it_is_left_out(person: Person) -> None:
    refused = await send(person, BROKEN)
    accepted = await send(person, BROKEN, options={"skip_refused": True})

    assert (refused.status_code, get_pointers(refused)) == (HTTPStatus.UNPROCESSABLE_ENTITY, ["/rows/1"])
    assert accepted.status_code == HTTPStatus.CREATED
    assert await list_amounts(person) == ["3.10", "1.00"]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"columns": {"date": "Day"}}, "/options/columns/date"),
        ({"columns": {"date": 9}}, "/options/columns/date"),
        ({"encoding": "rot13"}, "/options/encoding"),
        ({"date_order": "XYZ"}, "/options/date_order"),
        ({"colums": {}}, "/options/colums"),
        ({"columns.amout": 2}, "/options/columns/amout"),
        ({"lines": {"99": "skip"}}, "/options/lines/99"),
    ],
)
async def test_an_option_that_does_not_fit_is_named(person: Person, options: dict[str, Any], pointer: str) -> None:
    answer = await send(person, STATEMENT, options=options)

    assert (answer.status_code, get_pointers(answer)) == (HTTPStatus.UNPROCESSABLE_ENTITY, [pointer])


async def test_an_unknown_profile_is_named(person: Person) -> None:
    answer = await send(person, STATEMENT, profile="nobody")

    assert (answer.status_code, get_pointers(answer)) == (HTTPStatus.UNPROCESSABLE_ENTITY, ["/profile"])


async def test_a_profile_of_ones_own_answers_questions(person: Person) -> None:
    await person.put("/imports/profiles/My bank", json={"date_order": "DMY"})

    answer = await send(person, AMBIGUOUS, profile="my BANK")

    assert (answer.status_code, answer.json()["profile"]) == (HTTPStatus.CREATED, "My bank")


async def test_sent_options_beat_those_of_the_profile(person: Person) -> None:
    await person.put("/imports/profiles/mine", json={"date_order": "DMY", "incoming": "refund"})

    answer = await send(person, AMBIGUOUS, profile="mine", options={"date_order": "MDY"}, dry_run=True)

    assert answer.json()["rows"][0]["expense"]["date"] == "2026-02-12"


async def test_a_known_export_needs_no_options(person: Person) -> None:
    row = b"02/12/2026,02/13/2026,CORNER SHOP,Food,Sale,-2.50,\n"

    answer = await send(person, b"Transaction Date,Post Date,Description,Category,Type,Amount,Memo\n" + row)

    assert (answer.status_code, answer.json()["profile"]) == (HTTPStatus.CREATED, "chase-card")
    assert answer.json()["rows"][0]["expense"]["date"] == "2026-02-12"


# --- safe retries -----------------------------------------------------------------------------------------------------


async def test_two_imports_of_one_file_at_once_have_one_effect(person: Person) -> None:
    answers = await asyncio.gather(*(send(person, STATEMENT) for _ in range(3)))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert await list_amounts(person) == ["2.50", "3.10"]


TRAVEL: Final = b"Date,Text,Amount,Fee\n2026-01-13,Taxi,-20.00,0.50\n2026-01-14,Hotel,-80.00,2.00\n"
SHOPPING: Final = b"!Type:Bank\nD2026-01-13\nT-8.00\nPShop\nSFood\n$-3.00\nSHome\n$-5.00\n^\n"


@pytest.mark.parametrize(
    ("file", "option", "ways"),
    [(TRAVEL, "fees", ("included", "separate", "add")), (SHOPPING, "splits", ("whole", "parts"))],
    ids=["fees", "splits"],
)
async def test_a_row_is_known_again_whole_and_in_parts(
    sign_up: SignUp, file: bytes, option: str, ways: tuple[str, ...]
) -> None:
    for first, second in itertools.permutations(ways, 2):
        person = await sign_up()
        new = (await send(person, file, options={option: first})).json()["counts"]["new"]
        again = (await send(person, file, options={option: second})).json()

        assert (new > 0, again.get("id"), again["counts"]["new"]) == (True, None, 0), (first, second)


async def test_a_repeated_key_gets_the_first_answer_without_its_rows(person: Person) -> None:
    key = {"Idempotency-Key": "january"}
    first = await send(person, STATEMENT, headers=key)

    again = await send(person, STATEMENT, headers=key)

    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (HTTPStatus.CREATED, "true")
    assert again.json() == first.json() | {"rows": []}


@pytest.mark.parametrize(("content", "fields"), [(BROKEN, {}), (STATEMENT, {"rows": 5})])
async def test_a_key_belongs_to_one_file_and_its_fields(person: Person, content: bytes, fields: dict[str, int]) -> None:
    key = {"Idempotency-Key": "january"}
    await send(person, STATEMENT, headers=key)

    answer = await send(person, content, headers=key, **fields)

    assert answer.json()["code"] == "idempotency_key_reused"


async def test_a_preview_ignores_the_key(person: Person) -> None:
    key = {"Idempotency-Key": "january"}
    await send(person, STATEMENT, headers=key, dry_run=True)

    answer = await send(person, STATEMENT, headers=key)

    assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (HTTPStatus.CREATED, False)


async def test_a_token_that_may_only_read_may_not_import(person: Person) -> None:
    token = (await person.post("/users/me/tokens", json={"name": "backup", "scope": "read"})).json()["token"]

    answer = await send(person, STATEMENT, headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.FORBIDDEN, "insufficient_scope")
