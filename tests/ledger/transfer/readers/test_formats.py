"""Formats: told by content, and what is no statement is refused with what to send instead."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.entries import UnreadableFile, UnsupportedFormat
from ledger.transfer.readers.formats import detect_format
from tests.support.bank_files import broken, camt, camt_entry, camt_statement, mt940, ofx, ofx_account, ofx_row

CSV = b"Date;Amount\n2026-03-01;-12,50\n"
OFX = ofx(ofx_account(ofx_row()))
CAMT = camt(camt_statement(camt_entry()))
MT940 = mt940(":61:2603010301D12,50NTRFNONREF//B1")
QIF = b"!Type:Bank\nD6/ 1/10\nT-12.50\nPShop\n^\n"
OWN_LINE = {"date": "2026-03-01", "amount": "12.50", "currency": "EUR", "payee": "Shop"}


def pack(**members: str) -> bytes:
    """Return a zip file; in the names of its members, `__` is a slash and `_` a dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return buffer.getvalue()


def pack_tar() -> bytes:
    """Return a tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("statement.csv"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        *[(CSV, "csv"), (b"\xef\xbb\xbf" + CSV, "csv"), (CSV.decode().encode("utf-16"), "csv"), (b"-\n=1;2\n", "csv")],
        *[(CSV.decode().encode("utf-16-le"), "csv"), ("Käse;1\n".encode("cp1252"), "csv"), (b"a\tb\rc\td", "csv")],
        *[(OFX, "ofx"), (b"\n\n<OFX>\n<SIGNONMSGSRSV1>", "ofx"), (OFX.replace(b"\n", b""), "ofx")],
        *[(b'<?xml version="1.0"?>\n<?OFX OFXHEADER="200"?>\n<OFX>', "ofx"), (OFX.decode().encode("utf-16"), "ofx")],
        *[(CAMT, "camt"), (CAMT.replace(b"BkToCstmrStmt", b"n:BkToCstmrAcctRpt"), "camt"), (b"\n " + CAMT, "camt")],
        *[(CAMT.decode().encode("utf-16"), "camt"), (CAMT.replace(b"BkToCstmrStmt", b"BkToCstmrStmtV01"), "camt")],
        *[
            (MT940, "mt940"),
            (b"\x01{1:F01}{2:I940}{4:\r\n" + MT940 + b"\x03", "mt940"),
            (b"ABNANL2A\n940\n" + MT940, "mt940"),
        ],
        *[(QIF, "qif"), (b"### exported\n" + QIF, "qif"), (QIF.partition(b"\n")[2], "qif")],
        *[(QIF.replace(b"\n", b"\r"), "qif"), (json.dumps(OWN_LINE).encode() + b"\n", "ndjson")],
        *[(pack(manifest_json="{}"), "archive"), (pack(xl__workbook_xml="<workbook/>"), "xlsx")],
    ],
)
def test_a_format_is_told_by_its_content(data: bytes, told: str) -> None:
    assert detect_format(data) == told


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        *[(gzip.compress(CSV, mtime=0), "unpack"), (bz2.compress(CSV), "unpack"), (lzma.compress(CSV), "unpack")],
        *[(b"\x28\xb5\x2f\xfd\x00", "unpack"), (b"7z\xbc\xaf\x27\x1c", "unpack"), (b"Rar!\x1a\x07\x00", "unpack")],
        *[(pack_tar(), "unpack"), (pack(statement_csv="a;b"), "unpack"), (pack(), "unpack")],
        *[(pack(docs__manifest_json="{}"), "unpack"), (b"PK\x03\x04 broken", "broken")],
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLSX without a password"),
        (pack(xl__workbook_xml="", xl__vbaProject_bin=""), "macros"),
        *[
            (pack(mimetype="application/vnd.oasis.opendocument.spreadsheet"), "XLSX"),
            (pack(xl__workbook_bin=""), "XLSX"),
        ],
        *[(b"%PDF-1.7", "CSV, OFX or CAMT"), (b"\n%PDF-1.7", "CSV, OFX or CAMT"), (b"{\\rtf1 }", "text document")],
        *[(b"\x89PNG\r\n\x1a\n", "picture"), (b"\xff\xd8\xff\xe0", "picture"), (b"GIF89a", "picture")],
        *[(b"MZ\x90\x00\x03", "program"), (b"\x7fELF\x02", "program"), (b"#!/bin/sh\n", "program")],
        *[(b"-----BEGIN PGP MESSAGE-----", "decrypt"), (b"SQLite format 3\x00", "database")],
        *[(b"<!DOCTYPE html><html></html>", "web page"), (b"<html><table>", "web page")],
        *[(b"<?xml version='1.0'?><note/>", "no statement"), (b"<Document><CstmrCdtTrfInitn>", "no statement")],
        *[(b'{"transactions": []}', "JSON"), (b'[{"amount": 1}]', "JSON"), (b'{"a": ' * 50_000, "JSON")],
        *[(b"", "empty"), (b" \r\n\t", "empty"), (b"\xef\xbb\xbf\n", "empty"), (b"\xff\xfe", "empty")],
        *[(b"a;b\x00c\n", "no text"), (bytes(range(1, 32)) * 9, "no text"), (b"\x00" * 9, "no text")],
    ],
)
def test_what_is_no_statement_is_refused_with_what_to_send(data: bytes, advice: str) -> None:
    with pytest.raises(UnsupportedFormat, match=advice):
        detect_format(data)


@pytest.mark.parametrize(
    "data", [b"BZh;MZ;GIF\n1;2;3\n", b"MZ 12;text\n", b"RIFF;1\n", b"{balance};5\n", b"D;T\n1;2\n"]
)
def test_a_table_that_begins_like_something_else_is_a_table(data: bytes) -> None:
    assert detect_format(data) == "csv"


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_refused(data: bytes) -> None:
    with suppress(UnsupportedFormat):
        detect_format(data)


@given(broken(OFX, CAMT, MT940, QIF, pack(manifest_json="{}", xl__workbook_xml="")))
def test_no_broken_file_does_worse_than_being_refused(data: bytes) -> None:
    with suppress(UnsupportedFormat):
        detect_format(data)


def test_a_refusal_of_the_format_is_told_from_a_broken_file() -> None:
    assert issubclass(UnsupportedFormat, UnreadableFile)
