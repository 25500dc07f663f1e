"""Makes an archive: a zip in a file without a name, all of whose rows are of one moment.

    read page by page      each page in a unit of work of its own, and after it the ledger's revision: as long as that
                             is the one of the start, nothing was committed in between, so all pages are of one moment
    the ledger has moved   once more from the beginning, in one snapshot of the database, which no writer waits for

Nothing is sent before the zip is complete. So an archive is never torn between two moments, its client can be as slow
as it likes, and a ledger that changes all the time can be archived too.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from tempfile import TemporaryFile
from typing import IO, Any, Final, TypeVar
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from infra.slices import batched, pause
from ledger.core import Ledger
from ledger.transfer.archives.sections import SECTIONS, Moment, Row
from ledger.transfer.readers.archive import MANIFEST, VERSION, name_member
from ledger.transfer.reads import ReadLedger

T = TypeVar("T")

FILE_NAME: Final = "expense-tracker.zip"
MEDIA_TYPE: Final = "application/zip"
PIECE_BYTES: Final = 64 * 1024
ROWS_AT_ONCE: Final = 50
"""Rows that are written without a pause, in a third of a millisecond."""


class LedgerMoved(Exception):
    """The ledger was changed while it was read page by page."""


async def stream_archive(read: ReadLedger, read_at_one_moment: ReadLedger) -> AsyncGenerator[bytes]:
    """Yield the archive of a ledger in pieces, once it is complete; raise OSError if the disk is full.

    `read` is for one page; all statements of `read_at_one_moment` see the same moment.
    """
    try:
        file = await _make(read)
    except LedgerMoved:
        file = await read_at_one_moment(_make_at_one_moment)
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


async def _make_at_one_moment(ledger: Ledger) -> IO[bytes]:
    async def read(read: Callable[[Ledger], Awaitable[T]]) -> T:
        return await read(ledger)

    return await _make(read)


async def _make(read: ReadLedger) -> IO[bytes]:
    """Return the zip, at its beginning; raise LedgerMoved if its rows are not of one moment."""
    file = TemporaryFile()  # noqa: SIM115  # the caller closes it
    try:
        await _write(file, read)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _write(file: IO[bytes], read: ReadLedger) -> None:
    moment = await read(Moment.begin)
    steady, summary = partial(_read_steadily, read, moment), _Summary()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for kind, list_pages in SECTIONS.items():
            with archive.open(_describe_member(name_member(kind)), "w") as member:
                async for page in list_pages(steady, moment):
                    summary.add(kind, page)
                    await asyncio.to_thread(member.write, await _write_lines(page))
        archive.writestr(_describe_member(MANIFEST), _dump(summary.describe(moment)))


async def _read_steadily(read: ReadLedger, moment: Moment, page: Callable[[Ledger], Awaitable[T]]) -> T:
    """Return a page; raise LedgerMoved if it may be of another moment."""

    async def read_both(ledger: Ledger) -> T:
        found = await page(ledger)
        if await ledger.read_revision() != moment.revision or ledger.trash_start != moment.trash_start:
            raise LedgerMoved
        return found

    return await read(read_both)


def _describe_member(name: str) -> ZipInfo:
    # Without a time of its own: archives of the same rows have the same files.
    member = ZipInfo(name)
    member.compress_type = ZIP_DEFLATED
    return member


async def _write_lines(page: Iterable[Row]) -> bytes:
    lines: list[str] = []
    for some in batched(page, ROWS_AT_ONCE):
        lines += [f"{_dump(row)}\n" for row in some]
        await pause()
    return "".join(lines).encode()


def _write_value(value: date | datetime) -> str:
    # As `strftime` writes an instant, in a fifth of its time.
    return f"{value.isoformat()[:19]}Z" if isinstance(value, datetime) else value.isoformat()


# Made once: `json.dumps` would make one for each row.
_dump: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_write_value).encode


class _Summary:
    """How many rows of each kind an archive has, and what its expenses add up to."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(SECTIONS, 0)
        self._totals: dict[str, tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))

    def add(self, kind: str, page: Sequence[Row]) -> None:
        """Count the rows of a page."""
        self._counts[kind] += len(page)
        for row in page if kind == "expenses" else ():
            total, number = self._totals[row["currency"]]
            self._totals[row["currency"]] = total + Decimal(row["amount"]), number + 1

    def describe(self, moment: Moment) -> dict[str, Any]:
        """Return the manifest."""
        totals = [
            {"currency": currency, "total": f"{total:f}", "count": number}
            for currency, (total, number) in sorted(self._totals.items())
        ]
        return {"version": VERSION, "created_at": moment.instant, "counts": self._counts, "totals": totals}
