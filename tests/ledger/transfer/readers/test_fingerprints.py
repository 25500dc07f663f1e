"""By what a row is known again: what it says itself, whatever the rest of the file and the options say."""

import json
from typing import Any

import pytest

from ledger.transfer.readers.dates import identify_day
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.readers.formats import detect_format
from ledger.transfer.readers.numbers import identify_number
from ledger.transfer.readers.reading import Request, read_file
from tests.support.bank_files import camt, camt_details, camt_entry, camt_statement
from values.csv_cells import join_tags

TWO_DAYS = "Transaction date;Booking date;Payee;Amount\n2026-11-01;2026-11-02;Cafe;-3.50\n"
OPEN_DAY = "Date;Payee;Amount\n02/12/2026;Cafe;-3.50\n"


def read(text: str, **options: Any) -> list[Draft]:
    data = text.encode()
    return [*read_file(data, detect_format(data), Request(currency="EUR", options=options)).drafts]


def fingerprint(text: str, **options: Any) -> str:
    """Return by what the first row of a file is known."""
    return read(text, **options)[0].fingerprint


def test_another_row_without_a_day_changes_which_day_counts_and_not_the_rows() -> None:
    more = TWO_DAYS + ";2026-11-05;Fee;-1.00\n"

    assert [read(text)[0].date for text in (TWO_DAYS, more)] == ["2026-11-01", "2026-11-02"]
    assert fingerprint(TWO_DAYS) == fingerprint(more)


@pytest.mark.parametrize(
    ("text", "one", "other"),
    [
        (OPEN_DAY, {"date_order": "DMY"}, {"date_order": "MDY"}),
        (TWO_DAYS, {}, {"columns": {"date": "Booking date"}}),
        ("Date;Payee;Amount\n2026-12-02;Cafe;-1.234\n", {"decimal": ",", "currency": "KWD"}, {"decimal": "."}),
        ("Date;Payee;Amount\n2026-12-02;Cafe;3.50\n", {"sign": "plus_is_spent"}, {"sign": "minus_is_spent"}),
        ("!Type:Bank\nD02/12/26\nT-3.50\n^\n", {"date_order": "DMY"}, {"date_order": "MDY"}),
        ("!Type:Bank\nD2026-12-02\nT-1,234\n^\n", {"decimal": ",", "currency": "KWD"}, {"decimal": "."}),
    ],
    ids=["order of dates", "column of days", "decimal sign", "sign", "QIF, order of dates", "QIF, decimal sign"],
)
def test_a_corrected_answer_makes_no_other_row(text: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assert fingerprint(text, incoming="refund", **one) == fingerprint(text, incoming="refund", **{**one, **other})


@pytest.mark.parametrize("day", ["02.04.", "04/02", "5 Nov", "Thursday, 5 November"])
def test_days_without_a_year_are_of_the_year_that_was_read(day: str) -> None:
    text = f"Date;Payee;Amount\n{day};Cafe;-3.50\n"
    read_in = {year: fingerprint(text, year=year, date_order="MDY") for year in (2025, 2026)}

    assert read_in[2025] != read_in[2026]


@pytest.mark.parametrize(
    "day", ["20261123", "2026/11/23", "23.11.2026", "11/23/2026", "23 Nov 2026", "2026-11-23 08:12"]
)
def test_a_day_that_its_cell_proves_is_the_same_in_every_form(day: str) -> None:
    assert identify_day(day, None) == "2026-11-23"


@pytest.mark.parametrize(
    ("day", "told"), [("02/12/2026", "2/12/2026"), ("02.12.26", "2/12/26"), ("pending", "pending")]
)
def test_a_day_that_its_cell_does_not_prove_is_known_as_it_stands(day: str, told: str) -> None:
    assert identify_day(day, 2025) == told


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("12.50", "12.5"),
        ("1.234", "1.234"),
        ("-1,234", "-1,234"),
        ("1.000,50", "1000.5"),
        ("5.00 CR", "5 in"),
        ("-", "-"),
    ],
)
def test_a_number_is_known_by_its_value_if_that_is_clear(cell: str, told: str) -> None:
    assert identify_number(cell) == told


@pytest.mark.parametrize(
    "row", ["2026-11-01;Cafe;5.00 {}\n", "2026-11-01;Cafe;5.00;{}\n"], ids=["behind the number", "in a column"]
)
@pytest.mark.parametrize(("out", "into"), [("DR", "CR"), ("-", "+")])
def test_a_refund_is_not_its_purchase(row: str, out: str, into: str) -> None:
    head, options = "Date;Payee;Amount;Side\n", {"sign": "plus_is_spent", "incoming": "refund"}

    assert fingerprint(head + row.format(out), **options) != fingerprint(head + row.format(into), **options)


def test_a_debit_is_not_the_credit_of_its_amount() -> None:
    head = "Date;Payee;Debit;Credit\n"

    assert fingerprint(head + "2026-11-01;Cafe;5.00;\n") != fingerprint(head + "2026-11-01;Cafe;;5.00\n")


def test_the_minus_of_debits_is_the_rows_own() -> None:
    text = "Date;Payee;Debit;Credit\n2026-11-01;Cafe;-5.00;\n"

    assert fingerprint(text) == fingerprint(text + "2026-11-02;Bar;6.00;\n")


def test_the_fees_of_two_equal_entries_are_two() -> None:
    head = "Date;Payee;Amount;Fee;Transaction ID\n"
    rows = "2026-11-01;Metro;-2.50;0.30;TX26000017\n2026-11-01;Metro;-2.50;0.30;TX26000018\n"

    drafts = read(head + rows, fees="separate")

    assert drafts[1].fingerprint != drafts[3].fingerprint
    assert [it.fee for it in read(head + rows, fees="included")] == [drafts[1].fingerprint, drafts[3].fingerprint]


def test_an_equal_part_of_two_entries_is_two() -> None:
    split = "D2026-11-02\nT{}\nPMarket\nLFood\nSMilk\n$-3.00\nS{}\n^\n".format
    text = "!Type:Bank\n" + split("-8.00", "Soap\n$-5.00") + split("-4.00", "Gum\n$-1.00")

    drafts = read(text, splits="parts")

    assert drafts[1].amount == drafts[4].amount
    assert drafts[1].fingerprint != drafts[4].fingerprint


def test_a_batch_has_a_row_of_its_own_as_if_it_had_come_alone() -> None:
    part = '<Amt Ccy="EUR">{}</Amt>'.format
    batch, alone = camt_entry(rest=camt_details(part("10.00"), part("2.50"))), camt_entry()

    drafts = read(camt(camt_statement(batch)).decode())

    assert [(it.status, it.reason, it.head) for it in drafts] == [
        ("skipped", "split_parent", None),
        *[("read", None, 1)] * 2,
    ]
    assert drafts[0].fingerprint == fingerprint(camt(camt_statement(alone)).decode())


@pytest.mark.parametrize(
    "texts",
    [{}, {"payee": "Café", "tags": ["a; b", "c"]}, {"tags": ["a; b"]}, {"category": "Food", "external_id": "x1"}],
)
def test_an_expense_of_our_own_is_known_in_csv_as_in_ndjson(texts: dict[str, Any]) -> None:
    expense = {"amount": "3.50", "currency": "EUR", "date": "2026-11-02", "id": 7, "tags": [], **texts}
    header = ["date", "amount", "currency", "category", "payee", "description", "tags", "external_id", "id"]
    cells = [str(({**expense, "tags": join_tags(expense["tags"])}).get(name, "")) for name in header]

    assert fingerprint(",".join(header) + "\n" + ",".join(f'"{it}"' for it in cells)) == fingerprint(
        json.dumps(expense)
    )
