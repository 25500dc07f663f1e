"""This service's own export as NDJSON."""

import json

import pytest

from tests.support.readings import list_all_rows, read

ROW = {
    "id": 7,
    "amount": "12.50",
    "currency": "EUR",
    "date": "2026-03-01",
    "category": "Food",
    "payee": "Market",
    "description": "Apples",
    "tags": ["shared"],
    "external_id": "bank-1",
}


def test_a_line_is_a_row() -> None:
    (made,) = read(json.dumps(ROW) + "\n").drafts

    assert (made.status, made.amount, made.currency, made.date, made.own_id) == (
        "read",
        "12.50",
        "EUR",
        "2026-03-01",
        7,
    )
    assert (made.category, made.payee, made.description) == ("Food", "Market", "Apples")
    assert (made.tags, made.external_id) == (["shared"], "bank-1")


def test_a_refund_is_one_without_an_option() -> None:
    assert list_all_rows(read(json.dumps(ROW | {"amount": "-12.50"}))) == ["read 2026-03-01 -12.50 EUR"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "12..5"},
        {"amount": None},
        {"date": "01/02/2026"},
        {"payee": 5},
        {"tags": "shared"},
        {"currency": "ABC"},
    ],
)
def test_a_wrong_line_is_refused(wrong: dict[str, object]) -> None:
    rows = "\n".join(json.dumps(row) for row in (ROW, ROW | wrong))

    assert [draft.status for draft in read(rows).drafts] == ["read", "refused"]


def test_a_broken_line_is_refused_alone() -> None:
    assert [draft.status for draft in read(json.dumps(ROW) + '\n{"amount":\n[]\n').drafts] == [
        "read",
        "refused",
        "refused",
    ]
