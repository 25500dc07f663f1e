"""Files that are no statements, and files that are made to do harm: each is a clear problem, and nothing is written."""

import io
import zipfile
from http import HTTPStatus
from typing import Final

import pytest

from tests.support.files import get_pointers, send
from tests.support.people import Person

pytestmark = pytest.mark.wire

STATEMENT: Final = b"Date;Text;Amount\n13.01.2026;Coffee;-2,50\n"
MIB: Final = 1024 * 1024


def pack(members: dict[str, bytes]) -> bytes:
    """Return a zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ENTITIES: Final = (
    b'<?xml version="1.0"?><!DOCTYPE D [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><Document><BkToCstmrStmt>&b;'
)
EXTERNAL: Final = (
    b'<?xml version="1.0"?><!DOCTYPE D SYSTEM "file:///etc/passwd"><Document><BkToCstmrStmt></BkToCstmrStmt></Document>'
)
# Descending, so that sorting them takes quadratic time.
MARKS: Final = "e" + "\u0315\u0301" * 20_000
NUMBERS: Final = b"2026-01-13" + b"".join(b",%d.50" % number for number in range(1, 300)) + b"\n"
WORKBOOK: Final = {"[Content_Types].xml": b"", "xl/workbook.xml": b"<workbook/>"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(100), id="a picture"),
        pytest.param(pack({"../../etc/passwd": b"root"}), id="a path in a zip"),
        pytest.param(pack({"inner.zip": pack({"a.csv": STATEMENT})}), id="a zip in a zip"),
        pytest.param(pack(WORKBOOK | {"xl/vbaProject.bin": b"x"}), id="macros"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), id="an old or encrypted workbook"),
        pytest.param(b"%PDF-1.7\n", id="a PDF"),
        pytest.param(b"\x1f\x8b\x08" + bytes(50), id="gzip"),
        pytest.param(b"Date,Amount\n2026-01-13,\x00-2.50\n", id="NULs"),
        pytest.param(b"<html><body>Sign in again</body></html>", id="a web page"),
    ],
)
async def test_what_is_no_statement_is_refused_with_what_to_send_instead(person: Person, content: bytes) -> None:
    answer = await send(person, content)

    assert (answer.status_code, get_pointers(answer)) == (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, ["/file"])
    assert any(verb in answer.json()["detail"].lower() for verb in ("send", "save", "download"))


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(ENTITIES, {415, 422}, id="entities"),
        pytest.param(EXTERNAL, {415, 422}, id="an external document"),
        pytest.param(pack(WORKBOOK | {"xl/worksheets/sheet1.xml": bytes(150 * MIB)}), {422}, id="a zip bomb"),
        pytest.param(b"x" * (19 * MIB), {422}, id="one long line"),
        pytest.param(b'Date,Amount\n"' + b"x" * (10 * MIB) + b'",1\n', {422}, id="a cell of 10 MiB"),
        pytest.param(b",".join([b"x"] * 10_000), {422}, id="10,000 columns"),
        pytest.param(b"Date,Amount\n" + b"2026-01-13,-1.00\n" * 50_001, {422}, id="50,001 rows"),
        pytest.param(b'"' * MIB, {422}, id="quotes alone"),
        pytest.param(f"Date,Payee,Amount\n2026-01-13,{MARKS},-1.00\n".encode(), {422}, id="marks in a row"),
        pytest.param(f"!Type:Bank\nD2026-01-13\nT-1.00\nP{MARKS}\n^\n".encode(), {422}, id="marks in QIF"),
        pytest.param(b"Date" + b",Amount" * 299 + b"\n" + NUMBERS * 3_000, {200}, id="299 columns of amounts"),
        pytest.param(pack(WORKBOOK | {"xl/workbook.xml": b"<sheet/>" * 100_000}), {422}, id="100,000 sheets"),
        pytest.param(b"x" * (21 * MIB), {413}, id="more than 20 MiB"),
    ],
)
async def test_a_hostile_file_is_a_clear_problem(person: Person, content: bytes, status: set[int]) -> None:
    answer = await send(person, content, dry_run=True)

    assert answer.status_code in status
    assert "detail" in answer.json() or answer.json()["questions"]
    assert (await person.get("/changes")).json()["revision"] == 0


async def test_a_formula_is_a_text(person: Person) -> None:
    row = b'2026-01-13,"=HYPERLINK(""http://example.com"")",-2.50\n'

    answer = await send(person, b"Date,Text,Amount\n" + row)

    assert answer.json()["rows"][0]["expense"]["description"] == '=HYPERLINK("http://example.com")'
