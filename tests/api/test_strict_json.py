"""Strict JSON: what parsers read differently is refused."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.strict_json import parse_strict_json
from problems import MalformedBody

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**38), 10**38) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a": [1, 2]} \n', {"a": [1, 2]}),
        ('{"café": "🍎"}'.encode(), {"café": "🍎"}),
        (b'"\\ud83c\\udf4e"', "🍎"),
        (b'"\\u0000"', "\x00"),
        (b"-0", 0),
        (b"12.50", 12.5),
        (b"8.4299999999999997", 8.43),
        (b"1E400", float("inf")),
        (b"9" * 40, 10**40 - 1),
        (b"9" * 5_000, float("inf")),
        (b"[" * 32 + b"]" * 32, json.loads("[" * 32 + "]" * 32)),
    ],
    ids=lambda it: str(it)[:20],
)
def test_json_is_read(body: bytes, value: object) -> None:
    assert parse_strict_json(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"}",
        b'{"amount": "12.50"',
        b'{"amount": "12.50"}}',
        b'{"amount": "12.50"} {"amount": "12.50"}',
        b'{"amount": "12.50"};',
        b'{"amount": "12.50",}',
        b"{'amount': '12.50'}",
        b'{amount: "12.50"}',
        b'{1: "12.50"}',
        b'{"amount" "12.50"}',
        b'{"amount": }',
        b'{"amount": 012.50}',
        b'{"amount": +12.50}',
        b'{"amount": .50}',
        b'{"amount": 12.}',
        b'{"amount": 1e}',
        b'{"amount": 0x10}',
        b'{"amount": 1_000}',
        b'{"amount": 1,000}',
        b'{"amount": True}',
        b'{"amount": None}',
        b'{"amount": undefined}',
        b'{"amount": "12.50" // a comment\n}',
        b'{"amount": "12.50" /* a comment */}',
        b'{"description": "a raw\nnewline"}',
        b'{"description": "a raw\ttab"}',
        b'{"description": "a raw \x00"}',
        b'{"description": "a raw \x1f"}',
        b'{"description": "\\x41"}',
        b'{"description": "\\u12"}',
        b'{"description": "no end}',
        b"amount=12.50",
        b"<amount>12.50</amount>",
        b"\x00",
        b"\x80\x04N.",
        b"[1,]",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b'{"amount": NaN}',
        b'{"amount": [{"deep": -Infinity}]}',
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_strict_json(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param('{"a": 1}'.encode("utf-16-le"), id="UTF-16 LE"),
        pytest.param('{"a": 1}'.encode("utf-16-be"), id="UTF-16 BE"),
        pytest.param('{"a": 1}'.encode("utf-32"), id="UTF-32"),
        pytest.param('{"a": 1}'.encode("utf-32-le"), id="UTF-32 LE"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', id="byte order mark"),
        pytest.param('{"a": "café"}'.encode("latin-1"), id="Latin-1"),
        pytest.param(b'{"a": "\xff"}', id="FF"),
        pytest.param(b'{"a": "\xc0\xaf"}', id="overlong slash"),
        pytest.param(b'{"a": "\xc0\x80"}', id="overlong NUL"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="half a character"),
        pytest.param(b'{"a": "\xed\xa0\xbc\xed\xbd\x8e"}', id="CESU-8"),
        pytest.param(b'{"a": "\xf4\x90\x80\x80"}', id="beyond U+10FFFF"),
        pytest.param(b'{"a": "\xe2\x82"}', id="cut off"),
        pytest.param(b'{"\xff": 1}', id="in a key"),
        pytest.param(b'{"a": 1}\xff', id="after the end"),
    ],
)
def test_what_is_not_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_strict_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"a": 1, "b": 2, "a": null}',
        b'{"": 1, "": 2}',
        b'[{"in": {"the": {"a": 1, "a": 2}}}]',
    ],
)
def test_a_key_given_twice_is_refused_and_said(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="a key twice"):
        parse_strict_json(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 33 + b"]" * 33, id="33 lists"),
        pytest.param(b'{"a":' * 33 + b"1" + b"}" * 33, id="33 objects"),
        pytest.param(b'[{"a":' * 17 + b"1" + b"}]" * 17, id="34 of both"),
        pytest.param(b'{"flat": 1, "deep": ' + b"[" * 32 + b"]" * 32 + b"}", id="a list of 32 in an object"),
        pytest.param(b"[" * 2_000 + b"]" * 2_000, id="2,000 lists"),
        pytest.param(b"[" * 64 * 1024, id="64 Ki brackets"),
        pytest.param(b'{"":' * (64 * 1024 // 4), id="64 KiB of objects"),
        pytest.param(b"[" * 32_768 + b"]" * 32_768, id="32 Ki brackets, closed"),
    ],
)
def test_what_is_nested_deeper_than_32_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_strict_json(body)


OBJECT_OF_100 = b"{" + b",".join(b'"k%d":1' % it for it in range(100)) + b"}"


@pytest.mark.parametrize("body", [OBJECT_OF_100, b"[" + OBJECT_OF_100 + b"," + OBJECT_OF_100 + b"]"])
def test_an_object_may_have_100_members(body: bytes) -> None:
    assert parse_strict_json(body)


OBJECT_OF_101 = OBJECT_OF_100[:-1] + b',"k100":1}'


@pytest.mark.parametrize("body", [OBJECT_OF_101, b'{"operations":[{"data":' + OBJECT_OF_101 + b"}]}"])
def test_an_object_of_more_members_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="too many members: at most 100"):
        parse_strict_json(body)


@given(json_values)
def test_whatever_is_written_as_json_is_read_as_it_was(value: object) -> None:
    with suppress(MalformedBody):  # nested too deeply, or infinite
        assert parse_strict_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=60) | st.text('{}[]",:0123456789eE+-.\\ untrefalsNI', max_size=60).map(str.encode))
def test_no_bytes_whatever_do_more_than_be_refused(body: bytes) -> None:
    with suppress(MalformedBody):
        parse_strict_json(body)
