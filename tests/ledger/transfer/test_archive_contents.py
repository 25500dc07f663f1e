"""Hand-made archives: what the API would refuse is not written, whichever way it comes."""

from typing import Any, Final

import pytest

from tests.support.archives import Rows, download, fill, repack, send, unpack
from tests.support.databases import on_sqlite
from tests.support.people import Person

KEY: Final = "f" + "0" * 64
INSTANTS: Final = {"created_at": "2026-03-01T10:00:00Z", "updated_at": "2026-03-01T10:00:00Z"}


async def change(person: Person, kind: str, fields: dict[str, Any], line: int = 0) -> Rows:
    """Return the rows of a full account, of which one has other fields."""
    rows = unpack(await download(person))
    rows[kind][line] = rows[kind][line] | fields
    return rows


async def refuse(person: Person, rows: Rows) -> list[tuple[str, str]]:
    """Import an archive, which is refused as a whole, and return the codes and the details of its errors."""
    answer = await send(person, repack(rows))
    assert (answer.status_code, answer.json()["code"]) == (422, "import_refused"), answer.text
    changes = (await person.get("/changes?since=0")).json()
    assert changes["revision"] == 0
    return [(error["code"], error["detail"]) for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("kind", "fields", "code", "detail"),
    [
        ("categories", {"name": "x" * 51}, "too_long", "categories.ndjson, line 1: name:"),
        ("categories", {"name": ""}, "too_short", "categories.ndjson, line 1: name:"),
        ("categories", {"parent": "Nowhere"}, "not_found", "categories.ndjson, line 1: parent:"),
        ("categories", {"parent": "bread"}, "not_found", "categories.ndjson, line 1: parent:"),
        ("categories", {"color": "red"}, "malformed", "categories.ndjson, line 1: color:"),
        ("categories", {"archived": 1}, "wrong_type", "categories.ndjson, line 1: archived:"),
        ("categories", {"owner_id": 1}, "unknown", "categories.ndjson, line 1: owner_id:"),
        ("categories", {"name": "FOOD"}, "already_exists", "categories.ndjson, line 2: name:"),
        ("tags", {"name": "a\nb"}, "malformed", "tags.ndjson, line 1: name:"),
        ("tags", {"name": "B"}, "already_exists", "tags.ndjson, line 2: name:"),
        ("budgets", {"amount": "-1"}, "out_of_range", "budgets.ndjson, line 1: amount:"),
        ("budgets", {"amount": "1.5"}, "out_of_range", "budgets.ndjson, line 1: amount:"),
        ("budgets", {"category": "Nowhere"}, "not_found", "budgets.ndjson, line 1: category:"),
        ("budgets", {"period": "day"}, "not_allowed", "budgets.ndjson, line 1: period:"),
        ("profiles", {"options": {"decimal": ";"}}, "not_allowed", "profiles.ndjson, line 1: options/decimal:"),
        ("imports", {"format": "archive"}, "not_allowed", "imports.ndjson, line 1: format:"),
        ("imports", {"source": "x" * 65}, "too_long", "imports.ndjson, line 1: source:"),
        ("imports", {"counts": {}}, "required", "imports.ndjson, line 1: counts/rows:"),
        ("imports", {"totals": [{"currency": "XXX", "total": "1", "count": 1}]}, "not_allowed", "currency:"),
        ("imports", {"created_at": "yesterday"}, "malformed", "imports.ndjson, line 1: created_at:"),
        ("expenses", {"amount": "0.00"}, "out_of_range", "expenses.ndjson, line 1: amount:"),
        ("expenses", {"amount": "1.50", "currency": "JPY"}, "out_of_range", "expenses.ndjson, line 1: amount:"),
        ("expenses", {"date": "1899-12-31"}, "out_of_range", "expenses.ndjson, line 1: date:"),
        ("expenses", {"payee": "x" * 101}, "too_long", "expenses.ndjson, line 1: payee:"),
        ("expenses", {"description": "x" * 501}, "too_long", "expenses.ndjson, line 1: description:"),
        ("expenses", {"description": "\x00"}, "malformed", "expenses.ndjson, line 1: description:"),
        ("expenses", {"category": "Nowhere"}, "not_found", "expenses.ndjson, line 1: category:"),
        ("expenses", {"tags": ["nowhere"]}, "not_found", "expenses.ndjson, line 1: tags:"),
        ("expenses", {"tags": [str(it) for it in range(21)]}, "too_long", "expenses.ndjson, line 1: tags:"),
        ("expenses", {"tags": ["A", "a"]}, "not_allowed", "expenses.ndjson, line 1: tags:"),
        ("expenses", {"external_id": "thrown away"}, "already_exists", "trash.ndjson, line"),
        ("expenses", {"import_id": 10**9}, "not_found", "expenses.ndjson, line 1: import_id:"),
        ("expenses", {"id": 0}, "wrong_type", "expenses.ndjson, line 1: id:"),
        ("expenses", {"id": 2**63 - 1, "created_at": "?"}, "malformed", "expenses.ndjson, line 1: created_at:"),
        ("trash", {"amount": "0.00"}, "out_of_range", "trash.ndjson, line 1: amount:"),
        ("imported_rows", {"source": "Not A Key"}, "malformed", "imported_rows.ndjson, line 1: source:"),
        ("imported_rows", {"source": "\nelse"}, "malformed", "imported_rows.ndjson, line 1: source:"),
        ("imported_rows", {"source": "x" * 200}, "malformed", "imported_rows.ndjson, line 1: source:"),
        ("imported_rows", {"key": "x"}, "wrong_type", "imported_rows.ndjson, line 1: key:"),
        ("imported_rows", {"occurrence": 0}, "out_of_range", "imported_rows.ndjson, line 1: occurrence:"),
        ("imported_rows", {"amount": "1.005"}, "out_of_range", "imported_rows.ndjson, line 1: amount:"),
        ("imported_rows", {"import_id": 10**9}, "not_found", "imported_rows.ndjson, line 1: import_id:"),
    ],
)
@on_sqlite
async def test_what_the_api_would_refuse_is_refused(
    person: Person, stranger: Person, kind: str, fields: dict[str, Any], code: str, detail: str
) -> None:
    await fill(person)
    told = await refuse(stranger, await change(person, kind, fields))

    assert [(said, detail) for said, text in told if detail in text and said == code] == [(code, detail)]


@pytest.mark.parametrize("kind", ["categories", "tags", "budgets", "profiles", "imports", "expenses", "imported_rows"])
@on_sqlite
async def test_a_row_that_is_there_twice_is_refused(person: Person, stranger: Person, kind: str) -> None:
    await fill(person)
    rows = unpack(await download(person))
    told = await refuse(stranger, rows | {kind: [*rows[kind], rows[kind][0]]})

    assert [code for code, _ in told] == ["already_exists"]


@pytest.mark.parametrize(("kind", "most"), [("categories", 1_000), ("tags", 1_000), ("profiles", 100)])
@on_sqlite
async def test_more_rows_than_an_account_holds_are_refused(
    person: Person, stranger: Person, kind: str, most: int
) -> None:
    fields: dict[str, dict[str, Any]] = {
        "categories": {"parent": None, "color": None, "archived": False},
        "profiles": {"options": {}},
    }
    row = fields.get(kind, {})
    rows = unpack(await download(person))
    numbered = [INSTANTS | row | {"name": f"n{it}"} for it in range(most + 1)]
    told = await refuse(
        stranger, rows | {kind: [it | ({} if kind == "profiles" else {"id": n}) for n, it in enumerate(numbered, 1)]}
    )

    assert [code for code, _ in told] == ["out_of_range"]


@on_sqlite
async def test_only_the_first_errors_are_told(person: Person, stranger: Person) -> None:
    rows = unpack(await download(person))
    tags = [INSTANTS | {"id": number, "name": ""} for number in range(1, 100)]

    assert len(await refuse(stranger, rows | {"tags": tags})) == 20


@on_sqlite
async def test_no_error_repeats_what_was_sent(person: Person, stranger: Person) -> None:
    await fill(person)
    rows = await change(person, "expenses", {"payee": "secret" * 20})

    assert "secret" not in repr(await refuse(stranger, rows))


@on_sqlite
async def test_ids_of_another_ledger_change_nothing_there(person: Person, stranger: Person) -> None:
    await fill(person)
    before = await download(person)
    answer = await send(stranger, before)
    after = await download(person)

    assert answer.status_code == 201
    assert unpack(after) | {"manifest": []} == unpack(before) | {"manifest": []}


@on_sqlite
async def test_a_lone_row_of_a_file_names_no_expense_here(person: Person, stranger: Person) -> None:
    own = (await stranger.post("/expenses", json={"amount": "1"})).json()
    rows = unpack(await download(person))
    row = {"source": "", "key": KEY, "occurrence": 1, "expense_id": own["id"], "import_id": None, "linked": True}
    facts = {"revived": False, "date": "2026-03-01", "amount": "1.00", "currency": "EUR"}
    tag = INSTANTS | {"id": 1, "name": "new"}
    await send(stranger, repack(rows | {"imported_rows": [row | facts], "tags": [tag]}))
    (known,) = unpack(await download(stranger))["imported_rows"]

    assert known["expense_id"] is None
