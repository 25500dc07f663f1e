"""This service's own archive: a zip with a manifest, and for each kind of row a file of JSON lines.

    manifest.json             version, number of rows of each kind, sums of the expenses by currency
    categories.ndjson …       a row on each line, in the order of KINDS

Here is checked what needs no rule of the ledger: that the zip is whole and of a sane size, that every line is plain
JSON, and that there is all that the manifest promises. What a row may hold is checked by the rules of the API.
"""

import json
import math
import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from ledger.transfer.readers.entries import TooManyEntries, UnreadableFile
from ledger.transfer.readers.fingerprints import compute_fingerprint, list_expense_texts, write_number
from ledger.transfer.readers.zip_members import check_members, iterate_pieces

VERSION: Final = 1
MANIFEST: Final = "manifest.json"
KINDS: Final = ("categories", "tags", "budgets", "profiles", "imports", "expenses", "trash", "imported_rows")
"""What an archive holds; rows refer to rows of kinds before theirs, and `imported_rows` to expenses."""
MAX_ARCHIVED_EXPENSES: Final = 100_000
"""Expenses of one archive, those in the trash included: as many as are written within the deadline."""
MAX_ARCHIVED_ROWS: Final = 200_000
"""Likewise the rows of files that are known."""
MOVE_ADVICE: Final = (
    "An archive that is imported has at most 100,000 expenses, 200,000 rows of imported files, and 128 MiB unpacked. "
    "Whoever operates the service can move all of its accounts at once, with `python -m commands backup`."
)
_BROKEN: Final = "This archive is broken, or was changed: download it again."
_MANIFEST_BYTES: Final = 64 * 1024
_LINE_BYTES: Final = 192 * 1024
_DEPTH: Final = 8
_LARGEST_INTEGER: Final = 2**63 - 1
_AMOUNT: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,3})?", re.ASCII)
_NUMBER, _TEXT, _FLAG, _LIST = frozenset({int}), frozenset({str}), frozenset({bool}), frozenset({list})
_MAYBE: Final = frozenset({type(None)})
_EXPENSE: Final[Mapping[str, frozenset[type]]] = {
    "id": _NUMBER,
    **dict.fromkeys(("amount", "currency", "date"), _TEXT),
    **dict.fromkeys(("category", "payee", "description", "external_id"), _TEXT | _MAYBE),
    "tags": _LIST,
    "import_id": _NUMBER | _MAYBE,
    "edited": _FLAG,
    **dict.fromkeys(("created_at", "updated_at"), _TEXT),
}
"""The types of the fields of an expense."""
_FIELDS: Final = {"expenses": _EXPENSE, "trash": {**_EXPENSE, "deleted_at": _TEXT}}

Line = tuple[str, int, dict[str, Any], str | None]
"""Kind, number of the line, the row, and of an expense the fingerprint that it has in an export too."""


def name_member(kind: str) -> str:
    """Return the name of the file that has the rows of a kind."""
    return f"{kind}.ndjson"


def read_archive(data: bytes) -> Iterator[Line]:
    """Yield all lines of an archive; raise UnreadableFile, perhaps after the last one, if it is not whole."""
    members = {it.filename: it for it in check_members(data, MOVE_ADVICE)}
    manifest = _read_manifest(data, members.get(MANIFEST))
    if members.keys() != {MANIFEST, *map(name_member, KINDS)}:
        raise UnreadableFile("This zip file is no archive of this service: it lacks files, or has others.")
    expenses = sum(manifest.counts[kind] for kind in _FIELDS)
    if expenses > MAX_ARCHIVED_EXPENSES or manifest.counts["imported_rows"] > MAX_ARCHIVED_ROWS:
        raise TooManyEntries(MOVE_ADVICE)
    totals: dict[str, tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))
    for kind in KINDS:
        count = 0
        for count, text in enumerate(_iterate_lines(data, members[name_member(kind)]), 1):  # it is used after the loop
            row = _parse_row(kind, count, text)
            yield kind, count, row, _fingerprint_expense(row) if kind in _FIELDS else None
            if kind == "expenses":
                total, number = totals[row["currency"]]
                totals[row["currency"]] = total + Decimal(row["amount"]), number + 1
        if count != manifest.counts[kind]:
            raise UnreadableFile(f"{_BROKEN} {name_member(kind)} has {count} lines, {manifest.counts[kind]} expected.")
    if totals != manifest.totals:
        raise UnreadableFile(f"{_BROKEN} The expenses do not add up to what {MANIFEST} says.")


class _Manifest:
    """What an archive says that it holds."""

    def __init__(self, said: Any) -> None:  # noqa: ANN401  # JSON of a stranger
        """Raise UnreadableFile if it says something else."""
        try:
            counts = {kind: said["counts"][kind] for kind in KINDS}
            totals = {it["currency"]: (_parse_total(it["total"]), it["count"]) for it in said["totals"]}
        except (KeyError, TypeError, ValueError):
            raise UnreadableFile(_BROKEN) from None
        if not all(_is_count(it) for it in (*counts.values(), *(number for _, number in totals.values()))):
            raise UnreadableFile(_BROKEN)
        self.counts: dict[str, int] = counts
        self.totals: dict[str, tuple[Decimal, int]] = totals


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_INTEGER


def _parse_total(text: str) -> Decimal:
    if not re.fullmatch(r"-?[0-9]{1,20}(\.[0-9]{1,3})?", text, re.ASCII):
        raise ValueError
    return Decimal(text)


def _read_manifest(data: bytes, member: zipfile.ZipInfo | None) -> _Manifest:
    content = b""
    for piece in iterate_pieces(data, member) if member else ():
        content += piece
        if len(content) > _MANIFEST_BYTES:
            raise UnreadableFile(_BROKEN)
    said = _parse(content)
    version = said.get("version") if isinstance(said, dict) else None
    if not _is_count(version):
        raise UnreadableFile("This zip file is no archive of this service: its manifest has no version.")
    if version != VERSION:
        raise UnreadableFile("This archive is of another version of this service: update the service, and try again.")
    return _Manifest(said)


def _iterate_lines(data: bytes, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the lines of a member; raise UnreadableFile if they are not those that were packed."""
    checksum, rest = 0, b""
    for piece in iterate_pieces(data, member):
        checksum = zlib.crc32(piece, checksum)
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > _LINE_BYTES:
            raise UnreadableFile(_BROKEN)
    if rest or checksum != member.CRC:
        raise UnreadableFile(_BROKEN)


def _parse_row(kind: str, line: int, text: bytes) -> dict[str, Any]:
    row = _parse(text)
    if not isinstance(row, dict) or not (_is_expense(kind, row) if kind in _FIELDS else _is_plain(row)):
        raise UnreadableFile(f"{_BROKEN} Line {line} of {name_member(kind)} is not what an archive has there.")
    return row


def _parse(text: bytes) -> Any:  # noqa: ANN401
    try:
        value = json.loads(text.decode(), parse_constant=_refuse_constant) if len(text) <= _LINE_BYTES else None
        if b"\\u" in text:
            # A lone surrogate, which only an escape can name, cannot be written as UTF-8.
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _refuse_constant(_: str) -> None:
    raise ValueError


def _is_plain(value: object, left: int = _DEPTH) -> bool:
    """Whether a value is neither deep nor has numbers that other programs cannot hold."""
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return left > 0 and all(_is_plain(it, left - 1) for it in inner)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= _LARGEST_INTEGER


def _is_expense(kind: str, row: Mapping[str, Any]) -> bool:
    """Whether a row has the fields of an expense, of their types; there are many, and so this is quick."""
    kinds = _FIELDS[kind]
    if row.keys() != kinds.keys():
        return False
    for name, value in row.items():
        if type(value) not in kinds[name]:
            return False
    are_names = all(type(tag) is str for tag in row["tags"])
    return are_names and _AMOUNT.fullmatch(row["amount"]) is not None and _is_day(row["date"])


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _fingerprint_expense(row: Mapping[str, Any]) -> str:
    """Return by what an expense is known again: it is the same in an export."""
    number = write_number(-Decimal(row["amount"]))
    return compute_fingerprint(row["date"], number, row["currency"], list_expense_texts(row, row["tags"]))
