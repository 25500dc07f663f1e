"""Imports and profiles as resources."""

from typing import Any

import httpx
import pytest

from tests.support.conditions import blame
from tests.support.imports import coffee, draft, load, reading
from tests.support.people import Person


async def test_an_import_is_listed_and_read(person: Person) -> None:
    answer = await load(person, reading(coffee(), draft(), source="NL01", profile="bank"))

    listed = (await person.get("/imports?with_count=true")).json()
    one = await person.get(f"/imports/{answer.id}")

    assert listed == {"items": [one.json()], "next_cursor": None, "count": 1}
    assert one.headers["ETag"] == f'"{answer.revision}"'
    assert one.json() == {
        "id": answer.id,
        "revision": 1,
        "format": "csv",
        "profile": "bank",
        "source": "NL01",
        "options": {},
        "counts": {"rows": 2, "new": 2, "existing": 0, "linked": 0, "skipped": 0, "refused": 0, "open": 0},
        "totals": [{"currency": "EUR", "total": "16.00", "count": 2}],
        "created_at": one.json()["created_at"],
    }


async def test_imports_are_paged_the_newest_first(person: Person) -> None:
    made = [(await load(person, reading(coffee(f"0{day}")))).id for day in (1, 2, 3)]

    first = await person.get("/imports?limit=2")
    second = await person.get(f"/imports?limit=2&cursor={first.json()['next_cursor']}")

    assert [it["id"] for it in first.json()["items"] + second.json()["items"]] == made[::-1]
    assert (second.json()["next_cursor"], "Link" in first.headers) == (None, True)


async def test_the_expenses_of_an_import_are_found(person: Person) -> None:
    answer = await load(person, reading(coffee(), draft()))
    await person.post("/expenses", json={"amount": "1.00"})

    found = (await person.get(f"/expenses?import_id={answer.id}&with_count=true&limit=1")).json()

    assert found["count"] == 2


@pytest.mark.parametrize("wrong", ["0", "x", "01", "9223372036854775808"])
async def test_the_id_of_no_import_is_refused(person: Person, wrong: str) -> None:
    answer = await person.get(f"/expenses?import_id={wrong}")

    assert (answer.status_code, blame(answer)[0]["parameter"]) == (422, "import_id")


async def test_import_id_is_read_only(person: Person) -> None:
    await load(person, reading(coffee()))
    (expense,) = (await person.get("/expenses")).json()["items"]

    changed = await person.patch(f"/expenses/{expense['id']}", json={"import_id": None, "description": "x"})

    assert changed.json()["import_id"] == expense["import_id"]


async def test_an_import_that_is_undone_on_a_condition(person: Person) -> None:
    answer = await load(person, reading(coffee()))

    refused = await person.delete(f"/imports/{answer.id}", headers={"If-Match": '"99"'})

    assert refused.status_code == httpx.codes.PRECONDITION_FAILED


# --- profiles ---------------------------------------------------------------------------------------------------------

OPTIONS: dict[str, Any] = {"decimal": ",", "columns": {"date": "Datum", "fee": None, "description": ["Text", 7]}}


async def own_profiles(person: Person) -> list[dict[str, Any]]:
    items = (await person.get("/imports/profiles")).json()["items"]
    return [it for it in items if it["kind"] == "own"]


async def test_a_profile_is_kept_as_it_was_sent(person: Person) -> None:
    kept = await person.put("/imports/profiles/my bank", json=OPTIONS)

    assert (kept.status_code, kept.json()["options"]) == (200, OPTIONS)
    assert await own_profiles(person) == [kept.json()]


async def test_a_profile_is_replaced_under_its_name_in_any_case(person: Person) -> None:
    await person.put("/imports/profiles/my bank", json=OPTIONS)
    await person.put("/imports/profiles/My Bank", json={"decimal": "."})

    assert [(it["name"], it["options"]) for it in await own_profiles(person)] == [("My Bank", {"decimal": "."})]


async def test_a_list_of_profiles_that_has_changed_has_another_tag(person: Person) -> None:
    tag = (await person.get("/imports/profiles")).headers["ETag"]
    await person.put("/imports/profiles/bank", json=OPTIONS)
    after = (await person.get("/imports/profiles")).headers["ETag"]
    await person.put("/imports/profiles/bank", json=OPTIONS)

    assert tag != after
    assert (await person.get("/imports/profiles")).headers["ETag"] == after


async def test_a_profile_is_deleted(person: Person) -> None:
    await person.put("/imports/profiles/bank", json=OPTIONS)

    answers = [await person.delete("/imports/profiles/BANK") for _ in range(2)]

    assert [it.status_code for it in answers] == [204, 404]
    assert await own_profiles(person) == []


async def test_an_account_has_at_most_100_profiles(person: Person) -> None:
    for number in range(100):
        await person.put(f"/imports/profiles/{number}", json={})

    one_more = await person.put("/imports/profiles/another", json={})
    replaced = await person.put("/imports/profiles/99", json={"decimal": ","})

    assert (one_more.status_code, one_more.json()["code"], replaced.status_code) == (422, "too_many", 200)


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"decimals": ","}, "/decimals"),
        ({"decimal": ";"}, "/decimal"),
        ({"columns": {"date": 0}}, "/columns/date"),
        ({"columns": {"day": 1}}, "/columns/day"),
        ({"lines": {"0": "skip"}}, "/lines/0"),
        ({"lines": {"1": "keep"}}, "/lines/1"),
        ({"currency": "XXX"}, "/currency"),
        ({"year": "2026"}, "/year"),
        ({"meanings": {"Af": "gone"}}, "/meanings/Af"),
    ],
)
async def test_options_are_strict(person: Person, options: dict[str, Any], pointer: str) -> None:
    answer = await person.put("/imports/profiles/bank", json=options)

    assert answer.status_code == 422
    assert str(blame(answer)[0]["pointer"]).startswith(pointer)


async def test_a_strangers_profile_is_not_there(person: Person, stranger: Person) -> None:
    await person.put("/imports/profiles/bank", json=OPTIONS)

    assert (await stranger.delete("/imports/profiles/bank")).status_code == 404
    assert await own_profiles(stranger) == []
    assert len(await own_profiles(person)) == 1


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "POST"])
async def test_the_list_of_profiles_can_only_be_read(person: Person, method: str) -> None:
    answer = await person.request(method, "/imports/profiles")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
