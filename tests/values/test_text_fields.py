"""Text fields: names, e-mails, colours, ids."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import CategoryCreate, ExpenseCreate, UserCreate
from tests.support.bodies import EXPENSE, USER, blamed, taken
from values.texts import DESCRIPTION_LENGTH, EMAIL_LENGTH, KEY_GROWTH, NAME_LENGTH, make_name_key, make_text_key


@given(st.text(max_size=NAME_LENGTH))
def test_a_name_that_is_taken_has_a_key_that_fits_its_column(name: str) -> None:
    with suppress(ValidationError):
        assert len(make_name_key(taken(CategoryCreate, name=name)["name"])) <= NAME_LENGTH * KEY_GROWTH


@given(st.text(max_size=DESCRIPTION_LENGTH))
def test_a_description_that_is_taken_has_a_key_that_fits_its_column(text: str) -> None:
    with suppress(ValidationError):
        kept = taken(ExpenseCreate, **EXPENSE, description=text)["description"] or ""
        assert len(make_text_key(kept)) <= DESCRIPTION_LENGTH * KEY_GROWTH


@pytest.mark.parametrize(("field", "longest"), [("category", NAME_LENGTH), ("description", DESCRIPTION_LENGTH)])
@given(text=st.text(st.characters(codec="utf-8", max_codepoint=0x2100), max_size=8))
def test_a_text_is_taken_if_the_document_says_so(field: str, longest: int, text: str) -> None:
    schema = ExpenseCreate.model_json_schema()["properties"][field]["anyOf"][0]
    documented = re.fullmatch(schema["pattern"].removesuffix("$"), text) is not None

    assert schema["maxLength"] == longest
    # What is nothing but spaces and line ends is null, which no pattern needs to tell.
    assert documented == (not blamed(ExpenseCreate, **EXPENSE, **{field: text})) or not text.strip()


@pytest.mark.parametrize("letter", ["ß", "\ufdfa", "\u0390", "\ufb03"])
def test_an_address_that_is_taken_has_a_key_that_fits_its_column(letter: str) -> None:
    with suppress(ValidationError):
        kept = taken(UserCreate, **USER | {"email": f"{letter * 60}@example.com"})["email"]
        assert len(make_name_key(kept)) <= EMAIL_LENGTH * KEY_GROWTH


@pytest.mark.parametrize("name", ["ada", "Ada.Lovelace", "a_b-c.d", "...", "007", "x" * 50])
def test_a_user_name_is_of_plain_letters(name: str) -> None:
    assert taken(UserCreate, **USER | {"username": name})["username"] == name


@pytest.mark.parametrize("sent", [" ada", "ada ", "\tada\u3000", " " * 60 + "ada"])
def test_spaces_around_a_user_name_are_not_part_of_it(sent: str) -> None:
    assert taken(UserCreate, **USER | {"username": sent})["username"] == "ada"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "too_short"),
        ("ab", "too_short"),
        ("x" * 51, "too_long"),
        ("ada lovelace", "malformed"),
        ("   a ", "too_short"),
        ("a da", "malformed"),
        ("ada\n", "malformed"),
        ("ada\x85", "malformed"),
        ("ada\u2028", "malformed"),
        ("ada\u212a", "malformed"),  # the sign of the unit, which NFC makes a K
        ("ada\x00", "malformed"),
        ("ada@example", "malformed"),
        ("adä", "malformed"),
        ("аda", "malformed"),  # a Cyrillic a
        ("ada\u200b", "malformed"),
        ("１２３", "malformed"),
        ("ada'--", "malformed"),
        ("ada%", "malformed"),
        (123, "wrong_type"),
        (None, "wrong_type"),
        (True, "wrong_type"),
        (["ada"], "wrong_type"),
    ],
)
def test_another_user_name_is_refused(name: object, code: str) -> None:
    assert blamed(UserCreate, **USER | {"username": name}) == {"username": code}


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@-example.com",
        "ada@example..com",
        "ada@.example.com",
        "a b@example.com",
        "ada@exam ple.com",
        "ada@example.com\n",
        "ada@example.com\u2028",
        "ada@example.com\x85",
        "ada@example.com\nBcc: all@example.com",
        "ada\x00@example.com",
        "ada@example.com\x00",
        "Ada <ada@example.com>",
        "ada@[127.0.0.1",
        "ada@[127.0.0.256]",
        "ada@[nas.local]",
        "ada@[fe80::1]",
        "ada@[IPv6:fe80::1%eth0]",
        "ada@nas_.local",
        "ada@" + "x" * 64 + ".com",
        "ada@" + "x." * 130 + "com",
        pytest.param("a" * 60_000, id="60,000 letters"),
        pytest.param("a" * 250 + "@example.com", id="262 letters"),
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    assert blamed(UserCreate, **USER | {"email": address}) == {"email": "malformed"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("ada@nas.local", "ada@nas.local"),
        ("ada@x.test", "ada@x.test"),
        ("ada@[192.168.1.5]", "ada@[192.168.1.5]"),
        ("ada@[ipv6:FE80:0::1]", "ada@[IPv6:fe80::1]"),
        ("ada@localhost", "ada@localhost"),
        ("ada@NAS", "ada@nas"),
        ("ada@mail.invalid", "ada@mail.invalid"),
        ("ada@shop.onion", "ada@shop.onion"),
        ("Ada@EXÄMPLE.com", "Ada@exämple.com"),
        ("ada@xn--exmple-cua.com", "ada@exämple.com"),
        ("  ada@example.com\t", "ada@example.com"),
    ],
)
def test_an_address_is_looked_at_for_its_syntax_and_kept_in_one_spelling(sent: str, kept: str) -> None:
    assert taken(UserCreate, **USER | {"email": sent})["email"] == kept
    assert taken(UserCreate, **USER | {"email": kept})["email"] == kept


@pytest.mark.parametrize(("sent", "kept"), [("#2a9d8f", "#2a9d8f"), ("#2A9D8F", "#2a9d8f"), (None, None)])
def test_a_colour_is_six_digits_or_none(sent: str | None, kept: str | None) -> None:
    assert taken(CategoryCreate, name="Food", color=sent)["color"] == kept


@pytest.mark.parametrize(
    "color",
    ["red", "2a9d8f", "#2a9", "#2a9d8", "#2a9d8f0", "#2a9d8g", "#2a9d8f\n", " #2a9d8f", "#２a9d8f", "rgb(0,0,0)", "#"],
)
def test_another_colour_is_refused(color: str) -> None:
    assert blamed(CategoryCreate, name="Food", color=color) == {"color": "malformed"}


@pytest.mark.parametrize("day", [1, 28])
def test_a_users_month_begins_on_a_day_that_each_month_has(day: int) -> None:
    assert taken(UserCreate, **USER, month_start_day=day)["month_start_day"] == day


@pytest.mark.parametrize("field", ["username", "email", "password"])
def test_a_text_far_too_long_is_refused_before_it_is_normalized(field: str) -> None:
    # Marks in the wrong order take the square of their number to sort.
    assert set(blamed(UserCreate, **USER | {field: "\u0315\u0300" * 1_000_000})) == {field}


MANY_MARKS = "a" + "\u0315\u0300" * 16


@pytest.mark.parametrize("field", ["description", "category", "external_id"])
def test_an_expenses_text_of_many_marks_in_a_row_is_refused(field: str) -> None:
    assert blamed(ExpenseCreate, **EXPENSE, **{field: MANY_MARKS}) == {field: "malformed"}


@pytest.mark.parametrize("field", ["username", "email", "password", "invite"])
def test_a_text_of_an_account_of_many_marks_in_a_row_is_refused(field: str) -> None:
    assert blamed(UserCreate, **USER | {field: MANY_MARKS}) == {field: "malformed"}


def test_a_name_of_many_marks_in_a_row_is_refused() -> None:
    assert blamed(CategoryCreate, name=MANY_MARKS) == {"name": "malformed"}


@pytest.mark.parametrize("field", ["description", "category", "external_id"])
def test_an_expenses_text_far_too_long_is_refused_before_it_is_normalized(field: str) -> None:
    assert blamed(ExpenseCreate, **EXPENSE, **{field: "\u0315\u0300" * 1_000_000}) == {field: "too_long"}
