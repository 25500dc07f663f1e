"""XLSX: days are days and amounts are numbers, for two programs that read workbooks; every text stays a text."""

import asyncio
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from ledger.transfer import exports
from ledger.transfer.expense_files import COLUMNS
from ledger.transfer.workbooks import Cells, ExpenseWorkbook
from tests.support.databases import on_sqlite
from tests.support.expenses import creating, send_batch
from tests.support.office import Office
from tests.support.people import Person
from tests.support.servers import open_or_skip

DAY: Final = date(2026, 11, 22)
DECEITS: Final = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "{=1}",
    "https://example.com",
    "0012",
    "1e5",
    "_x0041_",
    "'x",
    "a\nb",
    "🍵",
]


def make_row(**cells: Any) -> Cells:
    """Return the cells of an expense; only these differ from those of any other."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS) | {"date": DAY, "amount": 12_500, "currency": "EUR", "id": 7}
    return tuple((row | cells).values())


async def make_workbook(*rows: Cells) -> bytes:
    with ExpenseWorkbook(COLUMNS) as workbook:
        await workbook.add(rows)
        return (await workbook.finish()).read()


def read(workbook: bytes) -> list[list[Any]]:
    """Return the values of the first sheet below its head."""
    return CalamineWorkbook.from_filelike(BytesIO(workbook)).get_sheet_by_index(0).to_python()[1:]


# --- values -----------------------------------------------------------------------------------------------------------


async def test_the_first_row_names_the_columns() -> None:
    sheet = CalamineWorkbook.from_filelike(BytesIO(await make_workbook())).get_sheet_by_index(0)

    assert (sheet.name, sheet.to_python()) == ("Expenses", [[*COLUMNS]])


@pytest.mark.parametrize("day", [date(1900, 3, 1), date(2024, 2, 29), DAY, date(2199, 12, 31)])
async def test_a_day_is_a_day(day: date) -> None:
    assert read(await make_workbook(make_row(date=day)))[0][0] == day


async def test_a_day_on_which_programs_disagree_is_a_text() -> None:
    assert read(await make_workbook(make_row(date=date(1900, 2, 28))))[0][0] == "1900-02-28"


@settings(max_examples=20)
@given(st.lists(st.integers(-(10**15) + 1, 10**15 - 1), min_size=1, max_size=50))
def test_an_amount_is_a_number_without_a_digit_lost(amounts: list[int]) -> None:
    workbook = asyncio.run(make_workbook(*(make_row(amount=it, currency="KWD") for it in amounts)))

    assert [round(row[1] * 1000) for row in read(workbook)] == amounts
    assert [Decimal(repr(row[1])) * 1000 for row in read(workbook)] == amounts


@pytest.mark.parametrize("text", DECEITS)
async def test_a_text_stays_a_text(text: str) -> None:
    texts = dict.fromkeys(("category", "payee", "description", "external_id"), text)

    assert read(await make_workbook(make_row(**texts)))[0][3:6] == [text] * 3


async def test_tags_are_one_cell() -> None:
    assert read(await make_workbook(make_row(tags="trip\nbed, breakfast")))[0][6] == 'trip, "bed, breakfast"'


async def test_rows_that_come_in_parts_are_one_sheet() -> None:
    with ExpenseWorkbook(COLUMNS) as workbook:
        await workbook.add([make_row(id=1), make_row(id=2)])
        await workbook.add([])
        await workbook.add([make_row(id=3)])
        rows = read((await workbook.finish()).read())

    assert [row[-1] for row in rows] == [1, 2, 3]


# --- files ------------------------------------------------------------------------------------------------------------


def count_files(folder: Path) -> int:
    return len([*folder.iterdir()])


@pytest.mark.parametrize("times", [0, 1], ids=["given up", "finished"])
async def test_nothing_is_left_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with ExpenseWorkbook(COLUMNS) as workbook:
        await workbook.add([make_row()])
        held = count_files(tmp_path)
        await asyncio.gather(*(workbook.finish() for _ in range(times)))

    assert (held, count_files(tmp_path)) == (1, 0)


# --- as an application opens it ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    """LibreOffice, if there is one on this machine."""
    with open_or_skip(Office, "OFFICE") as office:
        yield office


@pytest.fixture
async def workbook(person: Person, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The export of expenses of all kinds, on several pages."""
    monkeypatch.setattr(exports, "PAGE_ROWS", 2)
    created = [
        creating(amount="12.5", date="2026-11-22", payee="=1+1", description="Tea\nand cake", tags=["a", "b, c"]),
        creating(amount="-3.5", date="2026-11-21", category="Food", external_id="0012"),
        creating(amount="1250", currency="JPY", date="2024-02-29", description="お茶 🍵"),
        creating(amount="1.5", currency="KWD", date="1999-12-31", payee="+1", description="'quoted"),
        creating(amount="999999999999.99", date="2199-12-31", payee="-1"),
    ]
    await send_batch(person, *created)
    return (await person.get("/expenses/export?format=xlsx")).content


@on_sqlite
async def test_libreoffice_shows_days_amounts_and_texts(office: Office, workbook: bytes) -> None:
    head, *rows = office.read(workbook)

    assert head == [*COLUMNS]
    assert [row[:-1] for row in rows] == [
        ["1999-12-31", "1.500", "KWD", "", "+1", "'quoted", "", ""],
        ["2024-02-29", "1250", "JPY", "", "", "お茶 🍵", "", ""],
        ["2026-11-21", "-3.50", "EUR", "Food", "", "", "", "0012"],
        ["2026-11-22", "12.50", "EUR", "", "=1+1", "Tea\nand cake", 'a, "b, c"', ""],
        ["2199-12-31", "999999999999.99", "EUR", "", "-1", "", "", ""],
    ]


@on_sqlite
async def test_its_sums_are_those_of_the_service(office: Office, person: Person, workbook: bytes) -> None:
    totals = (await person.get("/expenses?with_totals=true")).json()["totals"]
    _, *rows = office.read(workbook)
    sums = {code: sum(Decimal(row[1]) for row in rows if row[2] == code) for code in ("EUR", "JPY", "KWD")}

    assert sums == {it["currency"]: Decimal(it["total"]) for it in totals}
