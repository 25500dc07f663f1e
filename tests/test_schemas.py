"""Request schemas: texts, names, ids and days are accepted exactly or refused, and types are strict."""

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from ledger.budgets.schemas import BudgetCreate, BudgetUpdate
from ledger.expenses.schemas import ExpenseChange
from schemas import (
    CategoryCreate,
    CategoryUpdate,
    ExpenseCreate,
    ExpenseReplace,
    ExpenseUpdate,
    PasswordChange,
    UserCreate,
    UserUpdate,
)
from tests.support.bodies import EXPENSE, USER, blamed, taken
from tests.support.generated import SHAPES, any_body, any_json

WHOLE: dict[str, Any] = {"amount": "12.50", "currency": "EUR", "date": "2026-11-22"}

LINE_ENDS = ["\n", "\r", "\r\n", "\u2028", "\u2029"]
# Tabs and line ends are told apart from these.
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"]
LONE_SURROGATES = ["\ud800", "\udfff", "caf\udce9", "\udc00\ud800"]

EXPENSES = pytest.mark.parametrize(
    ("shape", "base"), [(ExpenseCreate, EXPENSE), (ExpenseReplace, WHOLE), (ExpenseUpdate, {})]
)
OPTIONAL_TEXTS = pytest.mark.parametrize("field", ["description", "category", "external_id"])

any_text = st.text(st.characters(exclude_categories=()))


# Text


@pytest.mark.parametrize(
    "text",
    [
        "Äpfel & Brot",
        "日本語のレシート",
        "مقهى",
        "🍎",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈 1️⃣",
        "x\u200by",
        "\u202eright to left",
        "a\tb",
        "a\xa0b\xadc",
        "\ufeffbyte order mark",
        "\ufffd\ufffe\uffff",
        "\U0001fffe \U0010ffff",
        "'; DROP TABLE expenses; --",
        "<script>alert(1)</script>",
        "%s %(owner)s {0} ${jndi:ldap://x}",
        "\\ \" ' ` \\0 \\x00",
        "=cmd|' /C calc'!A0",
        "null",
    ],
)
@OPTIONAL_TEXTS
def test_a_text_is_kept_to_the_last_character(field: str, text: str) -> None:
    assert taken(ExpenseCreate, **EXPENSE, **{field: text})[field] == text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  milk", "milk"),
        ("milk \t", "milk"),
        ("\u00a0milk\u3000", "milk"),
        ("\u2002milk\u2003", "milk"),
        (" bread  and\tbutter ", "bread  and\tbutter"),
    ],
)
@OPTIONAL_TEXTS
def test_a_text_is_trimmed_at_its_ends(field: str, sent: str, kept: str) -> None:
    assert taken(ExpenseCreate, **EXPENSE, **{field: sent})[field] == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("A\u030a", "\u00c5"),
        ("\u212b", "\u00c5"),  # the sign of the unit is the letter
        ("\u1100\u1161\u11a8", "\uac01"),
        ("\ufb2c", "\u05e9\u05bc\u05c1"),  # composed in Unicode, but not in NFC
        ("\ufb01n", "\ufb01n"),  # a ligature is a letter of its own in NFC
        ("q\u0307\u0323", "q\u0323\u0307"),
    ],
)
@OPTIONAL_TEXTS
def test_a_text_is_kept_in_nfc(field: str, sent: str, kept: str) -> None:
    assert taken(ExpenseCreate, **EXPENSE, **{field: sent})[field] == kept


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize("text", ["{}milk", "mi{}lk", "milk{}", "{}", " {} "])
@EXPENSES
@pytest.mark.parametrize("field", ["category", "external_id"])
def test_a_field_of_one_line_takes_no_line_end(
    shape: type[BaseModel], base: dict[str, Any], field: str, text: str, end: str
) -> None:
    assert blamed(shape, **base, **{field: text.format(end)}) == {field: "malformed"}


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize(
    ("shape", "base"), [(BudgetCreate, {"amount": "9", "period": "month"}), (BudgetUpdate, {}), (ExpenseChange, {})]
)
def test_a_line_end_is_no_way_to_name_no_category(shape: type[BaseModel], base: dict[str, Any], end: str) -> None:
    assert blamed(shape, **base, category=end) == {"category": "malformed"}


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize("text", ["{}milk", "mi{}lk", "milk{}", "{}"])
def test_a_categorys_own_name_takes_no_line_end(text: str, end: str) -> None:
    assert blamed(CategoryCreate, name=text.format(end)) == {"name": "malformed"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("apples\r\nbread", "apples\nbread"),
        ("apples\rbread", "apples\nbread"),
        ("apples\nbread", "apples\nbread"),
        ("apples\r\n\r\nbread\r\r", "apples\n\nbread"),
        ("apples\n\rbread", "apples\n\nbread"),
        ("\r\n\tapples\r\n", "apples"),
        ("apples\u2028bread", "apples\u2028bread"),
        pytest.param("d\r\n" * 250, "d\n" * 249 + "d", id="500 on 250 lines"),
    ],
)
@EXPENSES
def test_a_description_has_lines_that_end_in_a_newline(
    shape: type[BaseModel], base: dict[str, Any], sent: str, kept: str
) -> None:
    assert taken(shape, **base, description=sent)["description"] == kept


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("field", ["description", "category", "external_id"])
def test_a_control_character_is_refused_wherever_it_stands(field: str, control: str) -> None:
    sent = [control, f"{control}milk", f"mi{control}lk", f"milk{control}"]

    assert [blamed(ExpenseCreate, **EXPENSE, **{field: text}) for text in sent] == [{field: "malformed"}] * 4


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_character_is_refused_in_a_categorys_own_name(control: str) -> None:
    assert blamed(CategoryCreate, name=f"Fo{control}od") == {"name": "malformed"}


@pytest.mark.parametrize("half", LONE_SURROGATES)
@pytest.mark.parametrize(
    ("shape", "base", "field"),
    [
        (ExpenseCreate, EXPENSE, "description"),
        (ExpenseCreate, EXPENSE, "category"),
        (ExpenseCreate, EXPENSE, "external_id"),
        (ExpenseUpdate, {}, "description"),
        (ExpenseReplace, WHOLE, "category"),
        (CategoryCreate, {}, "name"),
        (CategoryUpdate, {}, "name"),
        (CategoryUpdate, {}, "color"),
        (UserCreate, USER, "username"),
        (UserCreate, USER, "email"),
        (UserCreate, USER, "password"),
        (UserUpdate, {}, "current_password"),
        (PasswordChange, {"current_password": "x"}, "new_password"),
    ],
)
def test_half_a_character_is_refused(shape: type[BaseModel], base: dict[str, Any], field: str, half: str) -> None:
    assert blamed(shape, **base | {field: half}) == {field: "malformed"}


@pytest.mark.parametrize("empty", ["", " ", "\t", "\u00a0", "\u3000\u2003"])
@EXPENSES
@OPTIONAL_TEXTS
def test_an_empty_text_is_null(shape: type[BaseModel], base: dict[str, Any], field: str, empty: str) -> None:
    assert taken(shape, **base, **{field: empty})[field] is None


@pytest.mark.parametrize("empty", ["\t\n", "\r\n"])
@EXPENSES
def test_a_description_of_line_ends_is_null(shape: type[BaseModel], base: dict[str, Any], empty: str) -> None:
    assert taken(shape, **base, description=empty)["description"] is None


def test_an_empty_colour_is_null() -> None:
    assert taken(CategoryCreate, name="Food", color="")["color"] is None


@pytest.mark.parametrize("empty", ["", " ", "\t", "\u3000"])
def test_a_name_of_nothing_is_too_short(empty: str) -> None:
    assert blamed(CategoryCreate, name=empty) == {"name": "too_short"}


@pytest.mark.parametrize(
    ("field", "longest"),
    [
        pytest.param("description", "d" * 500, id="500 letters"),
        pytest.param("description", "🍎" * 500, id="500 apples"),
        pytest.param("description", "e\u0301" * 500, id="500 composed"),
        pytest.param("description", " " * 600 + "d" * 500 + " " * 600, id="500 trimmed"),
        pytest.param("description", "ΐ" * 500, id="500 that fold to three"),
        pytest.param("category", "c" * 50, id="name of 50"),
        pytest.param("category", "🍎" * 50, id="name of 50 apples"),
        pytest.param("category", "ß" * 50, id="name of 50 sharp s"),
        pytest.param("category", "\ufdfa" * 8, id="name of 8 ligatures"),
        pytest.param("external_id", "x" * 64, id="id of 64"),
        pytest.param("external_id", "🍎" * 64, id="id of 64 apples"),
    ],
)
def test_the_longest_text_is_taken(field: str, longest: str) -> None:
    assert blamed(ExpenseCreate, **EXPENSE, **{field: longest}) == {}


@pytest.mark.parametrize(
    ("field", "longer"),
    [
        pytest.param("description", "d" * 501, id="501 letters"),
        pytest.param("description", "🍎" * 501, id="501 apples"),
        pytest.param("description", "\ufb2c" * 167, id="501 in NFC"),  # three characters each in NFC
        pytest.param("category", "c" * 51, id="name of 51"),
        pytest.param("category", "🍎" * 51, id="name of 51 apples"),
        pytest.param("category", "\ufdfa" * 50, id="name of 50 ligatures"),  # eighteen letters each, once folded
        pytest.param("external_id", "x" * 65, id="id of 65"),
    ],
)
def test_a_longer_text_is_refused(field: str, longer: str) -> None:
    assert blamed(ExpenseCreate, **EXPENSE, **{field: longer}) == {field: "too_long"}


@given(any_text)
def test_a_text_that_was_read_can_be_sent_back(text: str) -> None:
    with suppress(ValidationError):
        kept = taken(ExpenseCreate, **EXPENSE, description=text)["description"]
        assert taken(ExpenseCreate, **EXPENSE, description=kept)["description"] == kept


# What is stored beside a text to find it by


# Names, addresses, passwords, colours


# Types are strict


@pytest.mark.parametrize(
    ("day", "code"),
    [
        (0, "out_of_range"),
        (-1, "out_of_range"),
        (29, "out_of_range"),
        (10**30, "out_of_range"),
        (True, "wrong_type"),
        (1.0, "wrong_type"),
        (1e300, "wrong_type"),
        (float("inf"), "wrong_type"),
        ("1", "wrong_type"),
        ("", "wrong_type"),
        ([1], "wrong_type"),
        ({}, "wrong_type"),
        (None, "wrong_type"),
    ],
)
def test_a_whole_number_is_nothing_else(day: object, code: str) -> None:
    assert blamed(UserCreate, **USER, month_start_day=day) == {"month_start_day": code}


@pytest.mark.parametrize("archived", [0, 1, 1.0, "true", "false", "", "yes", [], {}, None])
def test_true_and_false_are_nothing_else(archived: object) -> None:
    assert set(blamed(CategoryUpdate, archived=archived)) == {"archived"}


@pytest.mark.parametrize("field", ["description", "category", "external_id"])
@pytest.mark.parametrize("value", [0, 1, 12.5, True, False, [], ["milk"], {}, {"name": "milk"}])
def test_a_text_is_nothing_else(field: str, value: object) -> None:
    assert blamed(ExpenseCreate, **EXPENSE, **{field: value}) == {field: "wrong_type"}


@pytest.mark.parametrize("revision", [True, 1.0, "1", "", [], {}, None, float("nan")])
def test_a_revision_is_a_whole_number(revision: object) -> None:
    assert set(blamed(ExpenseUpdate, revision=revision)) == {"revision"}


@pytest.mark.parametrize("value", [20261122, 0, 1.5, True, [], {}, ["2026-11-22"], [2026, 11, 22]])
def test_a_date_is_a_text(value: object) -> None:
    assert blamed(ExpenseCreate, **EXPENSE, date=value) == {"date": "wrong_type"}


@pytest.mark.parametrize("value", [978, 0, 1.5, True, [], {}, ["EUR"]])
def test_a_currency_is_a_text(value: object) -> None:
    assert blamed(ExpenseCreate, **EXPENSE, currency=value) == {"currency": "wrong_type"}


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        (ExpenseCreate, "amount"),
        (ExpenseCreate, "currency"),
        (ExpenseCreate, "date"),
        (ExpenseUpdate, "amount"),
        (ExpenseUpdate, "currency"),
        (ExpenseUpdate, "date"),
        (ExpenseReplace, "amount"),
        (ExpenseReplace, "currency"),
        (ExpenseReplace, "date"),
        (CategoryCreate, "name"),
        (CategoryUpdate, "name"),
        (CategoryUpdate, "archived"),
        (UserUpdate, "username"),
        (UserUpdate, "email"),
        (UserUpdate, "currency"),
        (UserUpdate, "timezone"),
        (UserUpdate, "month_start_day"),
    ],
)
def test_what_cannot_be_missing_cannot_be_null(shape: type[BaseModel], field: str) -> None:
    base = {name: WHOLE[name] for name in shape.model_fields if name in WHOLE}

    assert field in blamed(shape, **base | {field: None})


@pytest.mark.parametrize(
    ("shape", "base", "field"),
    [
        (ExpenseCreate, EXPENSE, "amuont"),
        (ExpenseCreate, EXPENSE, "Amount"),
        (ExpenseCreate, EXPENSE, "id"),
        (ExpenseCreate, EXPENSE, "owner_id"),
        (ExpenseCreate, EXPENSE, "revision"),
        (ExpenseCreate, EXPENSE, "deleted_at"),
        (ExpenseReplace, WHOLE, "owner_id"),
        (ExpenseUpdate, {}, "category_id"),
        (ExpenseUpdate, {}, "__class__"),
        (CategoryCreate, {"name": "Food"}, "archived"),
        (CategoryUpdate, {}, "owner_id"),
        (UserCreate, USER, "id"),
        (UserCreate, USER, "is_admin"),
        (UserUpdate, {}, "password"),
        (UserUpdate, {}, "password_hash"),
    ],
)
def test_a_field_that_is_not_there_is_refused(shape: type[BaseModel], base: dict[str, Any], field: str) -> None:
    assert blamed(shape, **base, **{field: "1"}) == {field: "unknown"}


@pytest.mark.parametrize("field", ["id", "created_at", "updated_at", "deleted_at", "import_id"])
@pytest.mark.parametrize("value", [None, 1, "2026-11-22T13:23:00Z", float("inf"), {"any": ["thing"]}])
def test_what_the_service_sets_is_ignored_when_it_is_sent_back(field: str, value: object) -> None:
    assert ExpenseUpdate.model_validate({field: value}).dump_sent() == {}


@given(shape=st.sampled_from(SHAPES), body=any_body | any_json)
def test_no_body_whatever_breaks_a_shape(shape: type[BaseModel], body: object) -> None:
    with suppress(ValidationError):
        shape.model_validate(body)


# Days


@pytest.mark.parametrize("day", ["1900-01-01", "2024-02-29", "2199-12-31"])
def test_a_day_is_taken_as_written(day: str) -> None:
    assert taken(ExpenseCreate, **EXPENSE, date=day)["date"] == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("day", "code"),
    [
        ("1899-12-31", "out_of_range"),
        ("2200-01-01", "out_of_range"),
        ("0000-01-01", "out_of_range"),
        ("9999-12-31", "out_of_range"),
        ("2026-02-29", "malformed"),
        ("2026-04-31", "malformed"),
        ("2026-13-01", "malformed"),
        ("2026-11-22T00:00:00", "malformed"),
        ("2026-11-22T00:00:00Z", "malformed"),
        ("2026-11-22 13:23", "malformed"),
        ("20261122", "malformed"),
        ("22.11.2026", "malformed"),
        ("11/22/2026", "malformed"),
        ("2026-W47-7", "malformed"),
        ("today", "malformed"),
        ("0", "malformed"),
        ("", "malformed"),
        ("２０２６-１１-２２", "malformed"),
    ],
)
@EXPENSES
def test_what_is_no_day_is_refused(shape: type[BaseModel], base: dict[str, Any], day: str, code: str) -> None:
    assert blamed(shape, **base | {"date": day}) == {"date": code}


# Ids in paths
