"""The id in a path: a plain number, or the answer is that of an unknown row."""

import pytest
from pydantic import TypeAdapter

from api.dependencies import RowId
from problems import NotFound


@pytest.mark.parametrize(("text", "row_id"), [("1", 1), ("42", 42), ("9223372036854775807", 2**63 - 1)])
def test_an_id_is_a_plain_number(text: str, row_id: int) -> None:
    assert TypeAdapter(RowId).validate_python(text) == row_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00",
        "01",
        "-1",
        "-0",
        "+1",
        "1_0",
        "1.0",
        "1e3",
        "0x1",
        " 1",
        "1 ",
        "1\n",
        "1\x00",
        "1,2",
        "1;2",
        "1'--",
        "abc",
        "null",
        "true",
        "٣",
        "１",
        "1٣",
        "1１",
        "1²",
        "²",
        "9223372036854775808",
        "9999999999999999999",
        "10000000000000000000",
        pytest.param("1" * 5_000, id="5,000 digits"),
    ],
)
def test_what_is_no_id_is_no_row(text: str) -> None:
    with pytest.raises(NotFound):
        TypeAdapter(RowId).validate_python(text)
