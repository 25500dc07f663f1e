"""What entries become as the options say."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ledger.transfer.readers.choices import ReadingChoices
from ledger.transfer.readers.drafting import draft
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.readers.entries import Entry, Split, Statement, TooManyEntries, UnreadableFile


def _draft(*entries: Entry, currency: str = "EUR", **options: Any) -> list[Draft]:
    statement = Statement(format="csv", entries=list(entries))
    return [*draft(statement, ReadingChoices.build(options), currency).drafts]


def _entry(amount: str = "-12.50", **fields: Any) -> Entry:
    return Entry(line=2, day=date(2026, 3, 1), amount=Decimal(amount), **fields)


def test_money_out_is_positive() -> None:
    (made,) = _draft(_entry())

    assert (made.status, made.amount, made.currency, made.date) == ("read", "12.50", "EUR", "2026-03-01")


@pytest.mark.parametrize(
    ("fees", "amounts"), [("included", ["12.50"]), ("add", ["13.00"]), ("separate", ["12.50", "0.50"])]
)
def test_a_fee_becomes_what_was_chosen(fees: str, amounts: list[str]) -> None:
    assert [made.amount for made in _draft(_entry(fee=Decimal("0.50")), fees=fees)] == amounts


def test_a_row_with_a_fee_is_open_until_it_was_chosen() -> None:
    assert [made.status for made in _draft(_entry(fee=Decimal("0.50")))] == ["open"]


def test_a_fee_of_its_own_is_another_row_to_know_again() -> None:
    whole, fee = _draft(_entry(fee=Decimal("0.50")), fees="separate")

    assert whole.fingerprint != fee.fingerprint
    assert whole.fingerprint == _draft(_entry(fee=Decimal("0.50")), fees="included")[0].fingerprint


SPLIT = _entry("-8.00", external_id="bank-1", splits=[Split(Decimal("-3.00"), "Food"), Split(Decimal("-5.00"), "Home")])


def test_parts_and_fees_name_the_row_that_they_belong_to() -> None:
    fee = _entry(fee=Decimal("0.50"))

    assert [made.head for made in _draft(_entry(), fee, fees="separate")] == [None, None, 2]
    assert [made.head for made in _draft(_entry(), SPLIT, splits="parts")] == [None, None, 2, 2]


def test_a_row_tells_what_its_parts_and_its_fee_would_be_known_by() -> None:
    (whole,), (_, *parts) = _draft(SPLIT, splits="whole"), _draft(SPLIT, splits="parts")

    assert [*whole.parts] == [made.fingerprint for made in parts]
    (added,), (_, fee) = (_draft(_entry(fee=Decimal("0.50")), fees=way) for way in ("add", "separate"))
    assert added.fee == fee.fingerprint


def test_only_the_whole_entry_has_its_external_id() -> None:
    assert [made.external_id for made in _draft(SPLIT, splits="parts")] == ["bank-1", None, None]


def test_rows_of_parts_and_fees_count_as_rows() -> None:
    with pytest.raises(TooManyEntries):
        _draft(*[_entry(fee=Decimal(1))] * 25_001, fees="separate")


def test_too_many_accounts_are_unreadable() -> None:
    statement = Statement(format="csv", entries=[], accounts=[f"account {number}" for number in range(1_001)])
    with pytest.raises(UnreadableFile, match="1,000 accounts"):
        draft(statement, ReadingChoices.build({}), "EUR")


@pytest.mark.parametrize("field", ["payee", "description", "category"])
def test_a_text_of_too_many_marks_refuses_the_row(field: str) -> None:
    (made,) = _draft(_entry(**{field: "e" + "\u0301" * 31}))

    assert (made.status, made.errors[0].code) == ("refused", "malformed")


def test_a_long_payee_moves_to_the_description() -> None:
    (made,) = _draft(_entry(payee="x" * 101, description="Coffee"))

    assert (made.payee, made.description) == (None, "x" * 101 + "; Coffee")


def test_a_long_description_is_cut() -> None:
    (made,) = _draft(_entry(description="x" * 501))

    assert made.description == "x" * 499 + "…"


@pytest.mark.parametrize(
    "fields", [{"category": "x" * 51}, {"subcategory": "x" * 51}, {"tags": ["x" * 51]}, {"external_id": "x" * 65}]
)
def test_other_names_that_are_too_long_refuse_the_row(fields: dict[str, Any]) -> None:
    (made,) = _draft(_entry(**fields))

    assert (made.status, made.errors[0].code) == ("refused", "too_long")


def test_a_row_with_too_many_tags_is_refused() -> None:
    (made,) = _draft(_entry(tags=[f"tag {number}" for number in range(21)]))

    assert made.status == "refused"


def test_control_characters_become_blanks() -> None:
    (made,) = _draft(_entry(payee="Co\x00ff\x07ee\nbar", description="one\ntwo\x1f"))

    assert (made.payee, made.description) == ("Co ff ee bar", "one\ntwo")


def test_a_category_is_given_to_rows_that_name_none() -> None:
    named, unnamed = _draft(_entry(category="Food"), _entry(), category="Unsorted")

    assert (named.category, unnamed.category) == ("Food", "Unsorted")


@pytest.mark.parametrize("amount", ["-1000000000000", "-999999999999999.99"])
def test_an_amount_that_is_too_large_refuses_the_row(amount: str) -> None:
    (made,) = _draft(_entry(amount))

    assert (made.status, made.errors[0].code) == ("refused", "out_of_range")


@pytest.mark.parametrize(("amount", "currency", "written"), [("-1250", "JPY", "1250"), ("-1.250", "KWD", "1.250")])
def test_an_amount_has_the_decimals_of_its_currency(amount: str, currency: str, written: str) -> None:
    (made,) = _draft(_entry(amount, currency=currency))

    assert made.amount == written


def test_a_withdrawn_currency_is_accepted() -> None:
    (made,) = _draft(_entry(currency="LTL"))

    assert (made.status, made.currency) == ("read", "LTL")


def test_a_row_is_known_by_its_texts_whatever_their_blanks() -> None:
    first, second = _draft(_entry(texts=["Coffee  bar"]), _entry(texts=["Coffee bar "]))

    assert first.fingerprint == second.fingerprint


def test_the_texts_of_a_row_are_kept_apart() -> None:
    first, second = _draft(_entry(texts=["a", "bc"]), _entry(texts=["ab", "c"]))

    assert first.fingerprint != second.fingerprint
