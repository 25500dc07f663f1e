"""Text field types of the API: how names, descriptions, ids and e-mail addresses are parsed, checked and described."""

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from values.combining_marks import MAX_MARKS_IN_A_ROW, has_too_many_marks
from values.field_errors import invalid_element, invalid_value
from values.texts import (
    DESCRIPTION_LENGTH,
    EMAIL_LENGTH,
    EXTERNAL_ID_LENGTH,
    INVITE_LENGTH,
    KEY_GROWTH,
    MAX_TAGS_OF_EXPENSE,
    MIN_USERNAME_LENGTH,
    NAME_LENGTH,
    PAYEE_LENGTH,
    make_name_key,
    make_payee_key,
    make_text_key,
)

T = TypeVar("T")

# No e-mail is ever sent, so addresses in a home network (`ada@nas.local`) and of tests (`ada@x.test`) are accepted too.
# The library has no argument for `.local`; its documentation says to change this list.
SPECIAL_USE_DOMAIN_NAMES.clear()

# C0 control characters except tab, newline and carriage return, then DEL and C1: invisible, and harmful in logs, CSV
# files and terminals.
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_CARRIAGE_RETURN: Final = re.compile(r"\r\n?")
# The other line ends of Unicode, VT, FF and NEL, are control characters.
_LINE_END: Final = re.compile(r"[\n\r\u2028\u2029]")
_TEXT_LETTER: Final = r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
_LINE_LETTER: Final = r"[^\x00-\x08\n-\x1f\x7f-\x9f\u2028\u2029]"
_VISIBLE_LETTER: Final = r"[^\s\x00-\x1f\x7f-\x9f]"
_TEXT_PATTERN: Final = f"^{_TEXT_LETTER}*$"
_LINE_PATTERN: Final = f"^{_LINE_LETTER}*$"
NON_BLANK_TEXT_PATTERN: Final = f"^{_TEXT_LETTER}*{_VISIBLE_LETTER}{_TEXT_LETTER}*$"
"""A text of several lines with at least one visible character, for the OpenAPI document."""
NON_BLANK_LINE_PATTERN: Final = f"^{_LINE_LETTER}*{_VISIBLE_LETTER}{_LINE_LETTER}*$"
"""A text of one line with at least one visible character, for the OpenAPI document."""
# JSON can contain half of a surrogate pair; UTF-8 cannot, and so neither can the database.
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
# NFC composes at most four code points into one, so a text of more than four times the limit is too long in any case.
# It is refused before it is looked at any further.
MAX_CODE_POINTS_COMPOSED: Final = 4
_USERNAME: Final = re.compile(r"[A-Za-z0-9._-]*")
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")


def check_characters(value: str) -> str:
    """Return the text; raise a validation error if it has half of a surrogate pair, or over 30 marks in a row.

    Every text that is normalized is checked by this first.
    """
    if _SURROGATES.search(value):
        raise invalid_value("malformed", "This is not valid Unicode text.")
    if has_too_many_marks(value):
        raise invalid_value("malformed", f"Send at most {MAX_MARKS_IN_A_ROW} combining marks in a row.")
    return value


def make_text_validator(shortest: int, longest: int, *keys: Callable[[str], str]) -> Callable[[str], str]:
    """Make the validator of a text of several lines: it trims, applies NFC, and checks the length.

    CRLF and CR become a newline. `keys` make the keys of the text, whose lengths are checked too.
    """

    def validate(value: str) -> str:
        text = _CARRIAGE_RETURN.sub("\n", value) if "\r" in value else value
        if len(text.strip()) > longest * MAX_CODE_POINTS_COMPOSED:
            raise invalid_value("too_long", f"Send at most {longest} characters.")
        trimmed = unicodedata.normalize("NFC", check_characters(text).strip()).strip()
        if _CONTROLS.search(text):
            raise invalid_value("malformed", "Leave out control characters.")
        _check_length(trimmed, shortest, longest)
        # A few characters become up to 18 in the key; the key of a text of them would not fit its column.
        if not trimmed.isascii() and any(len(make_key(trimmed)) > longest * KEY_GROWTH for make_key in keys):
            raise invalid_value("too_long", "Send fewer characters: some of these stand for many letters each.")
        return trimmed

    return validate


def make_line_validator(shortest: int, longest: int, *keys: Callable[[str], str]) -> Callable[[str], str]:
    """Make the validator of a text of one line: it refuses line ends too, also before and after the text."""
    validate_text = make_text_validator(shortest, longest, *keys)

    def validate(value: str) -> str:
        _refuse_line_ends(value)
        return validate_text(value)

    return validate


def make_line_schema(longest: int) -> dict[str, JsonValue]:
    """Return the JSON Schema of a text of one line that is not empty and has at most `longest` characters."""
    return {"pattern": NON_BLANK_LINE_PATTERN, "minLength": 1, "maxLength": longest}


def _check_length(text: str, shortest: int, longest: int) -> None:
    if len(text) < shortest:
        raise invalid_value("too_short", f"Send at least {shortest} character{'s' * (shortest > 1)}.")
    if len(text) > longest:
        raise invalid_value("too_long", f"Send at most {longest} characters.")


def _refuse_line_ends(value: str) -> None:
    if _LINE_END.search(value):
        raise invalid_value("malformed", "Write it on one line.")


def _trim_line(value: str) -> str:
    """Return a user name or e-mail without spaces around it; refuse line ends and control characters."""
    if _CONTROLS.search(value):
        raise invalid_value("malformed", "Leave out control characters.")
    _refuse_line_ends(value)
    return check_characters(value).strip()


def _check_username(value: str) -> str:
    name = _trim_line(value)
    _check_length(name, MIN_USERNAME_LENGTH, NAME_LENGTH)
    if not _USERNAME.fullmatch(name):
        raise invalid_value("malformed", "Use ASCII letters, digits, dots, underscores and hyphens.")
    return name


def _check_color(value: str) -> str:
    if not _COLOR.fullmatch(value):
        raise invalid_value("malformed", "Write a colour like #2a9d8f.")
    return value.lower()


def _parse_email(text: str) -> str:
    """Return the normal form of an e-mail address (RFC 5891); raise EmailNotValidError if the text is not one.

    Only the syntax is checked. By RFC 5321 a domain may have no dot, or be an IP address in brackets.
    """
    parsed = validate_email(text, check_deliverability=False, globally_deliverable=False, allow_domain_literal=True)
    return str(parsed.normalized)


def normalize_email(text: str) -> str:
    """Return the normal form of an e-mail address (RFC 5891), and any other text unchanged."""
    try:
        return _parse_email(text)
    except EmailNotValidError:
        return text


def _check_email(value: str) -> str:
    if len(value) > EMAIL_LENGTH * MAX_CODE_POINTS_COMPOSED:
        raise invalid_value("malformed", "This is not an e-mail address.")
    try:
        email = _parse_email(_trim_line(value))
    except EmailNotValidError:
        # The library's own messages contain the address.
        raise invalid_value("malformed", "This is not an e-mail address.") from None
    if len(make_name_key(email)) > EMAIL_LENGTH * KEY_GROWTH:
        raise invalid_value("too_long", f"Send at most {EMAIL_LENGTH} characters.")
    return email


def _refuse_repeated_names(names: list[str]) -> list[str]:
    keys = [make_name_key(name) for name in names]
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise invalid_element(index, "not_allowed", "This name is there already, perhaps in another case.")
    return names


def _empty_to_null(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() and not _CONTROLS.search(value) else value


def _empty_line_to_null(value: object) -> object:
    # A line end is refused even if nothing else is there: null would clear the field, or be a budget for all spending.
    return value if isinstance(value, str) and _LINE_END.search(value) else _empty_to_null(value)


class NullableTextSchema:
    """For a nullable text: its JSON Schema also allows the empty text, which means null."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Replace the pattern that requires a visible character, and remove `minLength`."""
        json_schema = handler(schema)
        for choice in json_schema.get("anyOf", []):
            if choice.get("pattern") == NON_BLANK_LINE_PATTERN:
                choice["pattern"] = _LINE_PATTERN
                del choice["minLength"]
        return json_schema


Email = Annotated[
    str, AfterValidator(_check_email), WithJsonSchema({"type": "string", "format": "email", "maxLength": EMAIL_LENGTH})
]
_NAME = AfterValidator(make_line_validator(1, NAME_LENGTH, make_name_key))
CategoryName = Annotated[str, _NAME, Field(json_schema_extra=make_line_schema(NAME_LENGTH))]
TagName = CategoryName
Tags = Annotated[
    list[TagName],
    Field(max_length=MAX_TAGS_OF_EXPENSE, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_refuse_repeated_names),
]
"""The tags of an expense."""
TokenName = Annotated[
    str,
    AfterValidator(make_line_validator(1, NAME_LENGTH)),
    Field(
        description="What the token is for.",
        json_schema_extra=make_line_schema(NAME_LENGTH),
    ),
]
UniqueName = Annotated[
    str,
    _NAME,
    Field(
        description="Unique in your account. Names that differ only in case or in the form of letters are equal "
        "(Unicode NFKC: ² is 2); names that differ in accents are not.",
        json_schema_extra=make_line_schema(NAME_LENGTH),
    ),
]
PayeeName = Annotated[
    str,
    AfterValidator(make_line_validator(1, PAYEE_LENGTH, make_name_key, make_payee_key)),
    Field(json_schema_extra=make_line_schema(PAYEE_LENGTH)),
]
Description = Annotated[
    str,
    AfterValidator(make_text_validator(0, DESCRIPTION_LENGTH, make_text_key)),
    Field(json_schema_extra={"pattern": _TEXT_PATTERN, "maxLength": DESCRIPTION_LENGTH}),
]
ExternalId = Annotated[
    str,
    AfterValidator(make_line_validator(0, EXTERNAL_ID_LENGTH)),
    Field(json_schema_extra={"pattern": _LINE_PATTERN, "maxLength": EXTERNAL_ID_LENGTH}),
]
InviteCode = Annotated[
    str,
    AfterValidator(make_line_validator(0, INVITE_LENGTH)),
    Field(json_schema_extra={"pattern": _LINE_PATTERN, "maxLength": INVITE_LENGTH}),
]
NullableText = Annotated[T | None, BeforeValidator(_empty_to_null), NullableTextSchema]
"""A text of several lines that may be null; an empty text becomes null."""
NullableLine = Annotated[T | None, BeforeValidator(_empty_line_to_null), NullableTextSchema]
"""A text of one line that may be null; an empty text becomes null."""
Color = Annotated[
    str,
    AfterValidator(_check_color),
    WithJsonSchema(
        {"type": "string", "pattern": "^(#[0-9A-Fa-f]{6})?$", "description": "Like #2a9d8f; empty means null."}
    ),
]
Username = Annotated[
    str,
    AfterValidator(_check_username),
    Field(
        json_schema_extra={
            "pattern": "^[A-Za-z0-9._-]+$",
            "minLength": MIN_USERNAME_LENGTH,
            "maxLength": NAME_LENGTH,
        }
    ),
]
