"""Archives that are broken, were changed, or are made to do harm."""

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.archive import MANIFEST, MAX_ARCHIVED_EXPENSES, MAX_ARCHIVED_ROWS, read_archive
from ledger.transfer.readers.entries import TooManyEntries, UnreadableFile
from tests.support.archives import KINDS, Rows, pack, repack, write_lines

EXPENSE: Final[Mapping[str, Any]] = {
    "id": 1,
    "amount": "12.50",
    "currency": "EUR",
    "date": "2026-03-01",
    "category": None,
    "payee": "Lidl",
    "description": None,
    "tags": [],
    "external_id": None,
    "import_id": None,
    "edited": False,
    "created_at": "2026-03-01T10:00:00Z",
    "updated_at": "2026-03-01T10:00:00Z",
}


def rows(**kinds: list[Any]) -> Rows:
    """Return the rows of an archive with one expense, and of other kinds these."""
    return {kind: [] for kind in KINDS} | {"expenses": [dict(EXPENSE)]} | kinds


def members(**content: bytes) -> dict[str, bytes]:
    """Return the files of an archive with one expense, of which some have another content."""
    with zipfile.ZipFile(BytesIO(repack(rows()))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return files | {f"{name}.ndjson" if name in KINDS else f"{name}.json": it for name, it in content.items()}


def refuse(archive: bytes) -> str:
    """Read an archive, which is refused, and return why."""
    with pytest.raises(UnreadableFile) as refused:
        [*read_archive(archive)]
    return str(refused.value)


def test_the_lines_come_kind_by_kind() -> None:
    tag = {"id": 1, "name": "a"}
    lines = [*read_archive(repack(rows(tags=[tag])))]

    assert [(kind, line, row) for kind, line, row, _ in lines] == [("tags", 1, tag), ("expenses", 1, EXPENSE)]
    assert [fingerprint is not None for *_, fingerprint in lines] == [False, True]


# --- the zip ----------------------------------------------------------------------------------------------------------


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    assert "100,000 expenses" in refuse(pack(members(trash=b" " * (129 * 1024 * 1024))))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "expenses.ndjson/x", "other.ndjson"])
def test_files_that_no_archive_has_are_refused(name: str) -> None:
    assert "has others" in refuse(pack(members() | {name: b""}))


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_without_one_of_its_files_is_refused(kind: str) -> None:
    files = members()
    del files[f"{kind}.ndjson"]

    assert "lacks files" in refuse(pack(files))


def test_a_file_that_is_there_twice_is_refused() -> None:
    archive = pack(members() | {"manifesto.txt": b"{}"}).replace(b"manifesto.txt", MANIFEST.encode())

    assert "broken" in refuse(archive)


def test_a_changed_byte_is_noticed() -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        for name, content in members().items():
            opened.writestr(name, content)

    assert "broken" in refuse(archive.getvalue().replace(b"Lidl", b"Aldi"))


@given(cut=st.integers(min_value=0, max_value=1_000), flipped=st.integers(min_value=0, max_value=1_000))
def test_whatever_is_changed_is_read_or_refused(cut: int, flipped: int) -> None:
    archive = bytearray(repack(rows()))
    archive[flipped % len(archive)] ^= 1 + cut % 255

    try:
        lines = [*read_archive(bytes(archive[: len(archive) - cut % 2 * cut]))]
    except UnreadableFile:
        return
    assert len(lines) == 1


# --- the manifest -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2, 10**6])
def test_an_archive_of_another_version_is_refused_with_what_to_do(version: int) -> None:
    assert "update the service" in refuse(repack(rows(), version=version))


@pytest.mark.parametrize("version", [None, "1", 1.0, True, [], {}, -1])
def test_a_manifest_without_a_version_is_none(version: object) -> None:
    assert "no archive of this service" in refuse(repack(rows(), version=version))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"version": NaN}'])
def test_a_manifest_that_is_no_object_is_none(content: bytes) -> None:
    assert "no archive of this service" in refuse(pack(members(manifest=content)))


@pytest.mark.parametrize("number", [0, 2, -1, "1", None, 1.0, True, 10**30])
def test_another_number_of_rows_than_the_manifest_says_is_refused(number: object) -> None:
    counts = dict.fromkeys(KINDS, 0) | {"expenses": number}

    assert "broken" in refuse(repack(rows(), counts=counts))


@pytest.mark.parametrize(
    "totals",
    [
        [],
        [{"currency": "EUR", "total": "12.51", "count": 1}],
        [{"currency": "EUR", "total": "12.50", "count": 2}],
        [{"currency": "USD", "total": "12.50", "count": 1}],
        [{"currency": "EUR", "total": "NaN", "count": 1}],
        [{"currency": "EUR", "total": 12.5, "count": 1}],
        [{"currency": "EUR", "total": "1e99999999", "count": 1}],
        [{"currency": [], "total": "12.50", "count": 1}],
        {},
        None,
    ],
)
def test_other_sums_than_the_manifest_says_are_refused(totals: object) -> None:
    assert "broken" in refuse(repack(rows(), totals=totals))


@pytest.mark.parametrize(
    "more", [{"expenses": MAX_ARCHIVED_EXPENSES, "trash": 1}, {"imported_rows": MAX_ARCHIVED_ROWS + 1}]
)
def test_more_than_can_be_written_in_time_is_refused_with_what_to_do(more: dict[str, int]) -> None:
    counts = dict.fromkeys(KINDS, 0) | more
    with pytest.raises(TooManyEntries, match="commands backup"):
        [*read_archive(repack(rows(), counts=counts))]


# --- the lines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"1", b"\xff", b'"' + b"x" * 200_000 + b'"', b"[" * 100_000, b'{"a": 1e999}', b'{"a": NaN}']
)
@pytest.mark.parametrize("kind", ["tags", "expenses", "imported_rows"])
def test_a_line_that_is_no_plain_object_is_refused(kind: str, line: bytes) -> None:
    assert "broken" in refuse(pack(members(**{kind: line + b"\n"})))


def test_a_last_line_that_was_cut_is_refused() -> None:
    assert "broken" in refuse(pack(members(expenses=write_lines([EXPENSE])[:-1])))


def make_deep(depth: int) -> Any:  # noqa: ANN401  # JSON
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize("value", [make_deep(20), 10**20, "\ud800"])
def test_values_that_other_programs_cannot_hold_are_refused(value: object) -> None:
    assert "broken" in refuse(repack(rows(profiles=[{"name": "x", "options": value}])))


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 12.5},
        {"amount": "1e2"},
        {"amount": "1٢"},
        {"date": "2026-13-01"},
        {"date": None},
        {"id": "1"},
        {"id": True},
        {"id": [[]]},
        {"tags": "a"},
        {"tags": [1]},
        {"tags": [["a"]]},
        {"edited": 0},
        {"payee": 1},
        {"payee": {"a": []}},
        {"revision": 7},
        {"owner_id": 1},
        {"deleted_at": None},
    ],
)
def test_an_expense_of_other_fields_or_types_is_refused(change: dict[str, object]) -> None:
    lines = write_lines([dict(EXPENSE) | change])

    assert "Line 1 of expenses.ndjson" in refuse(pack(members(expenses=lines)))
