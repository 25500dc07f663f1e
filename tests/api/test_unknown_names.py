"""An unknown query parameter or field is refused with a suggestion, and what was sent is not repeated."""

from typing import Any

import pytest

from api.unknown_names import MAX_SUGGESTIONS, describe_unknown_parameter
from tests.support.people import Person

pytestmark = pytest.mark.wire

ALL_FILTERS = (
    "from, to, period, category, children, uncategorized, payee, without_payee, tag, untagged, currency, min_amount, "
    "max_amount, external_id, import_id, q, limit, cursor, with_count, sort, with_totals"
)


async def refuse(person: Person, address: str, method: str = "GET") -> list[dict[str, Any]]:
    answer = await person.request(method, address)
    assert answer.status_code == 422, answer.text
    errors: list[dict[str, Any]] = answer.json()["errors"]
    return errors


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("category[]=Rent", "Write category=a&category=b."),
        ("category%5B0%5D=Rent", "Write category=a&category=b."),
        ("limit[]=5", "Write limit without brackets, once."),
        ("categroy=Rent", "There is no such parameter here; did you mean category?"),
        ("minAmount=5", "There is no such parameter here; did you mean min_amount?"),
        ("Category=Rent", "There is no such parameter here; did you mean category?"),
        ("page=2", f"There is no such parameter here; there are: {ALL_FILTERS}."),
        ("[]=2", f"There is no such parameter here; there are: {ALL_FILTERS}."),
    ],
)
async def test_an_unknown_parameter_is_told_what_to_write(somebody: Person, query: str, detail: str) -> None:
    (entry,) = await refuse(somebody, f"/expenses?{query}")

    assert (entry["code"], entry["detail"]) == ("unknown", detail)


@pytest.mark.parametrize("address", ["/budgets?tpyo=1", "/currencies?tpyo=1", "/expenses/7?fields=amount"])
async def test_an_address_without_parameters_says_so(somebody: Person, address: str) -> None:
    (entry,) = await refuse(somebody, address)

    assert entry["detail"] == "There is no such parameter here; this address takes none."


async def test_a_delete_is_told_its_own_parameters(somebody: Person) -> None:
    (entry,) = await refuse(somebody, "/categories/3?moveto=Rent", "DELETE")

    assert entry["detail"] == "There is no such parameter here; did you mean move_to?"


async def test_a_head_is_refused_as_its_get_is(somebody: Person) -> None:
    answer = await somebody.head("/expenses?categroy=Rent")

    assert answer.status_code == 422


async def test_no_value_is_repeated(somebody: Person) -> None:
    entries = await refuse(somebody, "/expenses?category[hunter2]=hunter3&tpyo=hunter4")

    assert [entry["detail"] for entry in entries if "hunter" in entry["detail"]] == []


async def test_of_many_unknown_parameters_the_first_are_told_what_to_write(somebody: Person) -> None:
    entries = await refuse(somebody, "/expenses?" + "&".join(f"categroy{number}=1" for number in range(100)))

    assert sum("did you mean" in entry["detail"] for entry in entries) == MAX_SUGGESTIONS


def test_a_name_that_is_like_none_is_told_all_of_them() -> None:
    assert describe_unknown_parameter("x" * 64, {"limit": False, "sort": False}).endswith("there are: limit, sort.")


SENT = "currency, external_id, amount, category, payee, description, tags, date"


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/expenses", {"categry": "Food"}, "did you mean category?"),
        ("POST", "/expenses", {"Amount": "1"}, "did you mean amount?"),
        ("POST", "/expenses", {"shop_name": "Shop"}, f"there are: {SENT}."),
        (
            "PATCH",
            "/expenses/7",
            {"expense_number": 7},
            "there are: currency, external_id, amount, category, payee, description, tags, revision, date.",
        ),
        ("POST", "/expenses/batch", {"operation": []}, "did you mean operations?"),
        ("POST", "/users/register", {"user_name": "ada"}, "did you mean username?"),
    ],
)
async def test_an_unknown_field_is_told_what_to_write(
    somebody: Person, method: str, path: str, body: dict[str, object], detail: str
) -> None:
    answer = await somebody.request(method, path, json=body)

    details = [entry["detail"] for entry in answer.json()["errors"] if entry["code"] == "unknown"]
    assert details == [f"There is no such field; {detail}"]


async def test_where_no_field_is_known_none_is_suggested(somebody: Person) -> None:
    answer = await somebody.request("DELETE", "/users/me/tokens", json={"id": 7})

    assert [entry["detail"] for entry in answer.json()["errors"]] == ["There is no such field."]


async def test_of_many_unknown_fields_the_first_are_told_what_to_write(somebody: Person) -> None:
    answer = await somebody.post("/expenses", json=dict.fromkeys((f"categry{number}" for number in range(100)), 1))

    assert sum("did you mean" in entry["detail"] for entry in answer.json()["errors"]) == MAX_SUGGESTIONS
