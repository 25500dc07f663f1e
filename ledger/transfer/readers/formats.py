"""Formats, told by the content of a file and never by its name; what is no statement is refused with what to send.

Exact marks come first (magic bytes, the members of a zip), then the words by which texts begin; any other text is a
table. Every refusal here is an `UnsupportedFormat`.
"""

import json
import re
from typing import Final, Literal

from ledger.transfer.readers.charsets import guess_utf16
from ledger.transfer.readers.entries import UnreadableFile, UnsupportedFormat
from ledger.transfer.readers.zip_members import list_members

Format = Literal["csv", "xlsx", "ofx", "qif", "camt", "mt940", "archive", "ndjson"]

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_UNPACK: Final = "This file is compressed; unpack it and send the statement in it."
_IMAGE: Final = "This is a picture; send a file with the transactions, such as CSV."
_PROGRAM: Final = "This is a program; send the statement of a bank."
_NO_TEXT: Final = "This file is no text; send CSV, XLSX, OFX, QIF, CAMT or MT940."
_MAGIC: Final = {
    rb"\x1f\x8b": _UNPACK,
    rb"BZh[1-9]1AY&SY": _UNPACK,
    rb"\xfd7zXZ\x00": _UNPACK,
    rb"\x28\xb5\x2f\xfd": _UNPACK,
    rb"7z\xbc\xaf\x27\x1c": _UNPACK,
    rb"Rar!\x1a\x07": _UNPACK,
    rb"(?s:.{257})ustar": _UNPACK,
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (
        "This is an old Excel file (XLS), or an encrypted one; save it as XLSX without a password, or as CSV."
    ),
    rb"-----BEGIN PGP": "This file is encrypted; decrypt it and send the statement in it.",
    rb"\s*%PDF": "This is a PDF; download the statement in another format, such as CSV, OFX or CAMT.",
    rb"\{\\rtf": "This is a text document; send a file with the transactions, such as CSV.",
    rb"SQLite format 3\x00": "This is a database; export its transactions as CSV.",
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|II\*\x00|MM\x00\*": _IMAGE,
    rb"MZ[^\r\n]{0,60}\x00|\x7fELF|#!/": _PROGRAM,
}
"""Patterns of the first bytes, each with what to send instead."""
_SIGNS: Final = [(re.compile(magic), advice) for magic, advice in _MAGIC.items()]
_HEAD_BYTES: Final = 65_536

_OFX: Final = re.compile(r"[^\n]{0,200}?(?:OFXHEADER[:=]|<OFX>|<\?OFX)", re.IGNORECASE)
_CAMT: Final = re.compile(r"<(?:[A-Za-z0-9_.-]{1,40}:)?BkToCstmr(?:Stmt|AcctRpt|DbtCdtNtfctn)[A-Z0-9]{0,5}[\s>]")
_MARKUP: Final = re.compile(r"<[?!A-Za-z]")
_HTML: Final = re.compile(r"<(?:!doctype html|html|head|body|table|div|meta)[\s>]", re.IGNORECASE)
_MT940: Final = re.compile(r"^(?:\{1:[^\n]{0,200}\{4:)?:(20|25P?|28C?|60[FM]|61):", re.MULTILINE)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_QIF: Final = re.compile(r"^!(?:Type|Account|Option|Clear)\b", re.MULTILINE | re.IGNORECASE)
_OWN_COLUMNS: Final = {"date", "amount", "currency"}


def detect_format(data: bytes) -> Format:
    """Tell the format of a file; raise UnsupportedFormat, with what to send instead, if it is none that is read."""
    if data.startswith(_ZIP):
        return _tell_zip(data)
    for sign, advice in _SIGNS:
        if sign.match(data):
            raise UnsupportedFormat(advice)
    head = _decode_head(data).lstrip("\ufeff \t\r\n")
    if not head:
        raise UnsupportedFormat("The file is empty.")
    return _tell_text(head.replace("\r\n", "\n").replace("\r", "\n"))


def _tell_zip(data: bytes) -> Format:
    try:
        names = {it.filename for it in list_members(data)}
    except UnreadableFile as error:
        raise UnsupportedFormat(str(error)) from None
    if any(name.endswith("vbaProject.bin") for name in names):
        raise UnsupportedFormat("This Excel file holds macros; save it as XLSX, or as CSV.")
    if "manifest.json" in names:
        return "archive"
    if "xl/workbook.xml" in names:
        return "xlsx"
    if names & {"xl/workbook.bin", "word/document.xml", "mimetype"}:
        raise UnsupportedFormat("This document of an office program is not read; save it as XLSX, or as CSV.")
    raise UnsupportedFormat(_UNPACK)


def _decode_head(data: bytes) -> str:
    """Return the beginning of a text, whatever its encoding: only its ASCII characters are looked at."""
    head = data[:_HEAD_BYTES]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace")
    if utf16 := guess_utf16(head):
        return head.decode(utf16, errors="replace")
    if b"\x00" in data:
        raise UnsupportedFormat(_NO_TEXT)
    return head.decode("utf-8", errors="replace")


def _tell_text(head: str) -> Format:
    if _is_ofx(head):
        return "ofx"
    if _MARKUP.match(head):
        return _tell_markup(head)
    plain = _CONTROL.sub("", head)
    if len({match[1][:2] for match in _MT940.finditer(plain)}) > 1:
        return "mt940"
    # The control characters that banks put between messages of MT940 are few.
    if len(head) - len(plain) > max(2, len(head) // 20):
        raise UnsupportedFormat(_NO_TEXT)
    if _QIF.search(head) or _has_qif_record(head):
        return "qif"
    return _tell_json(head) if head.startswith(("{", "[{")) else "csv"


def _is_ofx(head: str) -> bool:
    """Return whether one of the first lines has a mark of OFX; anything may stand before it."""
    return any(_OFX.match(line) for line in head[:4096].split("\n")[:30])


def _tell_markup(head: str) -> Format:
    if _CAMT.search(head):
        return "camt"
    if _HTML.search(head[:2048]):
        raise UnsupportedFormat("This is a web page, whatever its name says; download the statement as CSV or OFX.")
    raise UnsupportedFormat("This XML is no statement; send CAMT (camt.053) or OFX.")


def _has_qif_record(head: str) -> bool:
    """Return whether the first record of a QIF without its header line stands here."""
    record, caret, _ = head.partition("\n^")
    letters = [line[:1] for line in record.split("\n") if line.strip()]
    return bool(caret) and {"D", "T"} <= set(letters) and all(it.isupper() or it == "$" for it in letters)


def _tell_json(head: str) -> Format:
    try:
        first = json.loads(head.partition("\n")[0])
    except (ValueError, RecursionError):
        first = None
    if isinstance(first, dict) and first.keys() >= _OWN_COLUMNS:
        return "ndjson"
    if '"' in head[:100]:
        raise UnsupportedFormat("This JSON is no export of this service; send CSV or another statement.")
    return "csv"
