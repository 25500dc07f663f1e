"""Base classes of request and response schemas."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from api.schemas import Problem, ProblemEntry
from values.field_errors import field_error
from values.fields import Amount, Currency
from values.shapes import RequestModel, ResponseModel, WithAmount, with_example


class Sent(RequestModel):
    amount: int = 0
    note: str = ""


class Read(ResponseModel):
    amount: int
    note: str = ""


@pytest.mark.parametrize("value", ["1", 1.0, True, None])
def test_what_is_sent_is_of_its_very_type(value: object) -> None:
    with pytest.raises(ValidationError):
        Sent.model_validate({"amount": value})


def test_what_nobody_offered_is_refused() -> None:
    with pytest.raises(ValidationError):
        Sent.model_validate({"amont": 1})


def test_a_refused_value_is_not_in_the_error() -> None:
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate({"amount": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_given_are_just_the_fields_that_were_sent() -> None:
    assert Sent(note="").dump_sent() == {"note": ""}


def test_an_answer_promises_every_field() -> None:
    assert Read.model_json_schema(mode="serialization")["required"] == ["amount", "note"]


def test_a_problem_promises_no_entries() -> None:
    assert "errors" not in Problem.model_json_schema(mode="serialization")["required"]


def test_an_entry_promises_no_certain_place() -> None:
    assert ProblemEntry.model_json_schema(mode="serialization")["required"] == ["code", "detail"]


def test_an_example_is_shown_in_the_document() -> None:
    assert with_example(amount="12.50")["json_schema_extra"] == {"example": {"amount": "12.50"}}


# --- an amount in the default currency --------------------------------------------------------------------------------


class Spent(WithAmount):
    currency: Currency | None = None
    amount: Amount

    @classmethod
    def takes_default_currency(cls, body: Mapping[str, Any]) -> bool:
        return not body.get("elsewhere")


def unfit(body: object, *refused: str) -> list[tuple[Mapping[str, str], str]]:
    errors = [field_error(pointer, "malformed", "") for pointer in refused]
    return [(error.location, error.code) for error in Spent.list_unfit_amounts(body, "JPY", errors)]


def test_an_amount_must_fit_the_default_currency() -> None:
    assert unfit({"amount": "12.50"}, "/note") == [({"pointer": "/amount"}, "out_of_range")]


@pytest.mark.parametrize("body", [{"amount": "12"}, {"amount": 12}, {}, None, [], "12.50"])
def test_what_fits_or_is_no_amount_is_not_refused_again(body: object) -> None:
    assert unfit(body, "/note") == []


@pytest.mark.parametrize(("amount", "code"), [("12,50", "malformed"), ("0", "out_of_range"), (True, "wrong_type")])
def test_a_malformed_amount_that_was_not_looked_at_is_refused(amount: object, code: str) -> None:
    # Pydantic looks at no field of a body with a key that is not Unicode.
    assert unfit({"amount": amount}, "") == [({"pointer": "/amount"}, code)]


def test_an_amount_that_was_refused_is_not_refused_again() -> None:
    assert unfit({"amount": "12,50"}, "/amount") == []


@pytest.mark.parametrize("body", [{"amount": "12.50", "currency": "EUR"}, {"amount": "12.50", "elsewhere": True}])
def test_an_amount_in_another_currency_need_not_fit_the_default_one(body: dict[str, object]) -> None:
    assert unfit(body, "/note") == []
