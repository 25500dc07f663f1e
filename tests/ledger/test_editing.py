"""Changing a row: the revision that is expected, and an amount that fits its currency."""

from decimal import Decimal

import pytest

from ledger.editing import NO_ETAG_FOR_MANY, Precondition, build_money_columns, convert_amount, refuse_changed_row
from problems import PreconditionFailed, ValidationFailed

LUNCH = {"amount": 12_500, "currency": "EUR"}


@pytest.mark.parametrize("sent", [None, 7])
def test_a_row_that_stands_as_it_was_read_may_change(sent: int | None) -> None:
    refuse_changed_row(7, Precondition(), sent)


@pytest.mark.parametrize("sent", [0, 6, 8, -7])
def test_a_row_that_has_moved_on_may_not(sent: int) -> None:
    with pytest.raises(PreconditionFailed) as refused:
        refuse_changed_row(7, Precondition(), sent)
    assert [entry.location for entry in refused.value.errors] == [{"pointer": "/revision"}]


def test_a_refusal_says_whether_one_row_has_changed_or_several_have_no_tag() -> None:
    condition = Precondition(if_match=frozenset({'"6"'}))
    with pytest.raises(PreconditionFailed) as of_one:
        refuse_changed_row(7, condition)
    with pytest.raises(PreconditionFailed) as of_several:
        refuse_changed_row(None, condition)

    assert of_one.value.detail == "The row has changed since you read it: read it again, then repeat."
    assert of_several.value.detail == NO_ETAG_FOR_MANY


def test_an_amount_is_kept_in_thousandths() -> None:
    assert convert_amount(Decimal("12.5"), "EUR") == 12_500


def test_an_amount_finer_than_its_currency_is_refused() -> None:
    with pytest.raises(ValidationFailed) as refused:
        convert_amount(Decimal("12.5"), "JPY")
    assert [(entry.location, entry.code) for entry in refused.value.errors] == [
        ({"pointer": "/amount"}, "out_of_range")
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, LUNCH),
        ({"amount": Decimal(3)}, LUNCH | {"amount": 3_000}),
        ({"currency": "KWD"}, LUNCH | {"currency": "KWD"}),
        ({"amount": Decimal(3), "currency": "JPY"}, {"amount": 3_000, "currency": "JPY"}),
    ],
)
def test_what_was_not_sent_is_kept(fields: dict[str, object], expected: dict[str, object]) -> None:
    assert build_money_columns(LUNCH, fields) == expected


def test_an_amount_that_a_new_currency_cannot_hold_is_the_currencys_fault() -> None:
    with pytest.raises(ValidationFailed) as refused:
        build_money_columns(LUNCH, {"currency": "JPY"})
    assert [entry.location for entry in refused.value.errors] == [{"pointer": "/currency"}]
