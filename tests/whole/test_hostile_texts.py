"""Hostile texts in every field and parameter: refused or kept as the rules say (ASVS 5.0 2.2.x).

The fields and parameters are those of the OpenAPI document; a new one joins by itself.
"""

import secrets
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI

from tests.support.generated import HUNT
from tests.support.matrix import (
    FORM,
    OPERATIONS,
    QUERIES,
    UPLOAD,
    Field,
    Operation,
    OwnedRows,
    call,
    fields,
    lacking,
    ledger_of,
    media_type,
    parameters,
    put,
    sign_in,
)
from tests.support.people import signed_up

# It stands in most of the texts, and so in no answer that refuses one of them.
SECRET: Final = "Zanzibar"
TEXTS: Final = {
    "nothing": "",
    "blank": " \t\n ",
    "NUL": f"{SECRET}\x00",
    "C0 controls": f"\x01{SECRET}\x1b[31m\x1f",
    "C1 controls": f"{SECRET}\x80\x9b31m",
    "high surrogate": f"{SECRET}\ud800",
    "low surrogate": f"\udfff{SECRET}",
    "no character": f"{SECRET}\uffff\U0010ffff",
    "byte order mark": f"\ufeff{SECRET}",
    "right to left": f"{SECRET}\u202egnp.exe\u2066",
    "line separators": f"{SECRET}\u2028\u2029{SECRET}",
    "emoji": f"{SECRET} 👩‍👩‍👧‍👦🏳️‍🌈🇺🇳",
    "not composed": f"  {SECRET} cafe\u0301 a\u0328\u0301 \uac00\u11a8  ",
    "combining marks": "a" + "\u0301" * 1_000,
    "forty combining marks": f"{SECRET}" + "\u0315\u0300\u05ae" * 13,
    "what grows when it is folded": "\u0390" * 50,
    "what grows when it is normalized": "\ufdfa" * 50,
    "compatible letters": f"{SECRET} ﬁ² Ⅷ ＡＢＣ",
    "SQL, a quote": f"{SECRET}'; DROP TABLE users; --",
    "SQL, always true": "' OR '1'='1' -- Zanzibar",
    "SQL, a union": f'{SECRET}" UNION ALL SELECT NULL, NULL #',
    "SQL, a backslash": f"{SECRET}\\' OR 1=1 /*",
    "SQL, a pattern": f"%{SECRET}_[a-z]%",
    "format": f"%s%n%d{{0}}{{self.__class__}}{SECRET}",
    "template": f"{{{{7*7}}}}${{7*7}}<%= 7*7 %>#{{7*7}}{SECRET}",
    "look-up": f"${{jndi:ldap://{SECRET}/a}}",
    "header": f"{SECRET}\r\nSet-Cookie: admin=1\r\n\r\n<html>",
    "newline": f"{SECRET}\nX-Admin: 1",
    "carriage return": f"{SECRET}\rX-Admin: 1",
    "next line": f"{SECRET}\x85X-Admin: 1",
    "DEL": f"{SECRET}\x7f",
    "script": f"<script>alert('{SECRET}')</script>",
    "spreadsheet": f'=HYPERLINK("http://{SECRET}")',
    "path": f"../../../../etc/{SECRET}",
    "null": "null",
    "true": "true",
    "a list": f'["{SECRET}"]',
    "an object": f'{{"$gt": "{SECRET}"}}',
    "percent": "100%",
    "half an escape": f"%u0000%zz%{SECRET}",
    "NUL, escaped": f"{SECRET}%00",
    "9,600 letters": "й" * 9_600,
    "100,000 letters": SECRET * 12_500,
    "5,000 digits": "1" * 5_000,
    "20 digits": "18446744073709551616",
    "exponent": "1e999999999",
    "letters of other digits": "１２३",
}
# What every run tries: one of each kind that a rule, a database or a log could take for another.
ONE_OF_A_KIND: Final = (
    *("blank", "NUL", "C0 controls", "high surrogate", "no character", "right to left", "emoji", "not composed"),
    *("combining marks", "what grows when it is folded", "what grows when it is normalized", "SQL, a quote"),
    *("SQL, a pattern", "format", "header", "null", "half an escape", "9,600 letters", "100,000 letters"),
    *("20 digits", "letters of other digits"),
)
TRIED: Final = TEXTS if HUNT else {name: TEXTS[name] for name in ONE_OF_A_KIND}
# What is tried of a field that another operation on the same rows takes too: a text for each rule.
TRIED_AGAIN: Final = (
    *("blank", "NUL", "high surrogate", "not composed", "what grows when it is normalized", "SQL, a quote", "header"),
    "combining marks",
)
# From here on a text is so much its own that an answer has it from nowhere else.
TELLING: Final = 12
# What a service does not show again, whoever asks for it.
NEVER_SHOWN: Final = {"password", "current_password", "new_password", "refresh_token", "invite"}
# No server takes a longer address: uvicorn ends at 64 KiB, and the client of these tests itself.
LONGEST_QUERY: Final = 60_000
WITH_TEXTS: Final = [it for it in sorted(OPERATIONS) if media_type(it)]
WITH_QUERIES: Final = [it for it in sorted(OPERATIONS) if parameters(it, "query")]


def rows_of(operation: Operation) -> str:
    """Return what an operation is about: each operation on accounts has rules of its own."""
    return operation[1] if operation[1].startswith("/users") else operation[1].split("/")[1]


def texts_of(operation: Operation) -> list[Field]:
    """Return the fields that take a text; nobody looks at those that are ignored."""
    return [field for field in fields(operation) if field.may_be("string") and not field.is_ignored]


# The operation at which each field is tried with all texts: that which makes the row, if there is one.
FIRST_WITH_FIELD: Final = {
    (rows_of(it), field.name): it
    for it in sorted(WITH_TEXTS, key=lambda it: (it[0] != "POST", it), reverse=True)
    for field in texts_of(it)
}
# Likewise for parameters: most are the filters of expenses. Each list has cursors of its own.
FIRST_WITH_PARAMETER: Final = {
    name: it
    for it in sorted(WITH_QUERIES, key=lambda it: (it[0] != "GET", it), reverse=True)
    for name in parameters(it, "query")
    if name != "cursor"
}


def names_of_texts(*, is_first: bool) -> Iterable[str]:
    return TRIED if is_first or HUNT else TRIED_AGAIN


@pytest.fixture
async def ledger(app: FastAPI) -> AsyncIterator[OwnedRows]:
    """The ledger of somebody new, whose password opens no account that another of these tests made."""
    async with signed_up(app, password=secrets.token_hex(16)) as person:
        yield await ledger_of(person)


def kept(text: str) -> str | None:
    """Return how a text is kept: trimmed, in NFC, and null where that is nothing.

    Its lines end in newlines, where it may have several.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", lines.strip()).strip() or None


def nodes(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def is_echoed(answer: httpx.Response, text: str) -> bool:
    told = answer.text + str(answer.headers.multi_items())
    return SECRET in told or (len(text) >= TELLING and text[:TELLING] in told)


def broken(answer: httpx.Response, operation: Operation, text: str) -> list[str]:
    """Return what is wrong with an answer whatever was sent."""
    status = answer.status_code
    wrong = [f"answers {status}"] * (status >= 500 or str(status) not in OPERATIONS[operation]["responses"])
    wrong += ["repeats what it refuses"] * (status >= 400 and is_echoed(answer, text))
    return wrong + lacking(answer)


async def read_again(ledger: OwnedRows, operation: Operation, answer: httpx.Response) -> Any:  # noqa: ANN401
    """Read what was written where it lies, or in the nearest list above."""
    address = answer.headers.get("Location") or ledger.address(operation)
    while not (again := await ledger.person.get(address)).is_success:
        address = address.rpartition("/")[0]
    return again.json()


async def lost(ledger: OwnedRows, operation: Operation, field: Field, text: str, answer: httpx.Response) -> list[str]:
    """Return what is wrong with how a text that was taken is kept."""
    if media_type(operation) == UPLOAD:
        # The example is a preview, which keeps nothing.
        return []
    registers = operation == ("POST", "/users/register")
    if field.name in NEVER_SHOWN:
        return await does_not_sign_in(ledger, field, text, answer.json() if registers else None)
    shown = nodes([answer.json() if registers else await read_again(ledger, operation, answer)])
    return [] if kept(text) in [it[field.name] for it in shown if field.name in it] else ["is not read back"]


async def does_not_sign_in(ledger: OwnedRows, field: Field, text: str, newcomer: Any) -> list[str]:  # noqa: ANN401
    """Return what is wrong with a password that was taken, if it was one and is new."""
    if field.name == "new_password":
        ledger.person.password = ledger.own_values["current_password"] = text
    elif newcomer is None or field.name != "password":
        return []
    form = {"username": (newcomer or ledger.person.user)["username"], "password": text}
    signed_in = await call(ledger.person, ("POST", "/users/token"), "/users/token", form)
    return [] if signed_in.is_success else ["is a password that does not sign in"]


async def tried(ledger: OwnedRows, operation: Operation, field: Field, name: str) -> list[str]:
    text, whole = TEXTS[name], ledger.made_out(operation, field.place.body)
    if "current_password" in field.place.schema["properties"]:
        whole = put(whole, field.place.path, "current_password", ledger.own_values["current_password"])
    body = put(whole, field.place.path, field.name, text)
    answer = await call(ledger.person, operation, ledger.address(operation) + QUERIES.get(operation, ""), body)
    wrong = broken(answer, operation, text)
    if answer.is_success:
        wrong += await lost(ledger, operation, field, text, answer)
    return [f"{field.pointer} of {field.place.schema['title']}, {name}: {it}" for it in wrong]


async def wrong_with_bodies(ledger: OwnedRows, operation: Operation) -> list[str]:
    """Try texts in every field of an operation, and return all that is wrong."""
    found = []
    for field in texts_of(operation):
        is_first = FIRST_WITH_FIELD[rows_of(operation), field.name] == operation
        for name in names_of_texts(is_first=is_first):
            found += await tried(ledger, operation, field, name)
    return found + await after(ledger)


async def after(ledger: OwnedRows) -> list[str]:
    """See that a normal request works."""
    normal = await ledger.person.post("/expenses", json={"amount": "12.50", "category": "Groceries"})
    return [] if normal.status_code == 201 else [f"afterwards a normal request is answered {normal.status_code}"]


async def wrong_with_queries(ledger: OwnedRows, operation: Operation) -> list[str]:
    """Try texts in every parameter of an operation, and return all that is wrong."""
    found = []
    for parameter in parameters(operation, "query"):
        is_first = FIRST_WITH_PARAMETER.get(parameter, operation) == operation
        for name in names_of_texts(is_first=is_first):
            text = TEXTS[name]
            query = urlencode({parameter: text}, errors="surrogatepass")
            if len(query) > LONGEST_QUERY:
                continue
            address = f"{ledger.address(operation)}?{query}"
            answer = await call(ledger.person, operation, address, ledger.example(operation))
            found += [f"{parameter}, {name}: {it}" for it in broken(answer, operation, text)]
    return found + await after(ledger)


def test_the_matrix_is_not_empty() -> None:
    texts = {
        (operation, field.pointer) for operation in WITH_TEXTS for field in fields(operation) if field.may_be("string")
    }
    assert {
        (("POST", "/expenses"), "/description"),
        (("POST", "/expenses/batch"), "/operations/0/data/category"),
        (("POST", "/users/token"), "/username"),
        (("POST", "/users/token/refresh"), "/refresh_token"),
        (("POST", "/users/me/tokens"), "/expires_at"),
        (("PUT", "/users/me/password"), "/new_password"),
    } <= texts
    assert {("GET", "/expenses"), ("DELETE", "/categories/{category_id}"), ("GET", "/changes")} <= set(WITH_QUERIES)
    assert media_type(("POST", "/users/token")) == FORM
    assert FIRST_WITH_FIELD["expenses", "description"] == ("POST", "/expenses")
    assert FIRST_WITH_FIELD["/users/me", "username"] == ("PATCH", "/users/me")
    assert FIRST_WITH_PARAMETER["q"] == ("GET", "/expenses")
    assert set(TRIED_AGAIN) <= TRIED.keys()


# On MySQL, where one text of each kind of column is written; on SQLite everywhere.
WRITTEN: Final = [("POST", "/expenses"), ("POST", "/categories"), ("POST", "/users/register"), ("PATCH", "/users/me")]
BY_KIND: Final = [("sqlite", it) for it in WITH_TEXTS] + [("mysql", it) for it in (WITH_TEXTS if HUNT else WRITTEN)]


@pytest.mark.hunt
@pytest.mark.parametrize(
    ("database_url", "operation"),
    BY_KIND,
    indirect=["database_url"],
    scope="session",
    ids=lambda it: it if isinstance(it, str) else " ".join(it),
)
async def test_a_text_in_a_body_is_refused_or_kept_as_the_rules_say(ledger: OwnedRows, operation: Operation) -> None:
    assert await wrong_with_bodies(ledger, operation) == []


@pytest.mark.hunt
@pytest.mark.wire
@pytest.mark.parametrize("operation", WITH_QUERIES, ids=" ".join)
async def test_a_text_in_a_query_is_refused_or_understood(ledger: OwnedRows, operation: Operation) -> None:
    assert await wrong_with_queries(ledger, operation) == []


async def test_the_matrix_would_see_a_password_that_signs_nobody_in(ledger: OwnedRows) -> None:
    ledger.person.password = "not the password"

    with pytest.raises(httpx.HTTPStatusError, match="401"):
        await sign_in(ledger.person)
