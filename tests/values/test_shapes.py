"""The bases of all shapes: strict on the way in, complete on the way out."""

import pytest
from pydantic import ValidationError

from api.schemas import Problem, ProblemEntry
from values.shapes import RequestModel, ResponseModel, with_example


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
