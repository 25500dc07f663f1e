"""What a process that reads a file writes, and what is read of it."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from ledger.transfer.readers.entries import BadOption, TooManyEntries, UnreadableFile, UnsupportedFormat
from ledger.transfer.readers.wire import read_head, read_reading, write_failure, write_reading
from tests.support.readings import read


async def _pass(lines: Iterable[str]) -> AsyncIterator[Any]:
    for line in lines:
        yield json.loads(line)


@pytest.mark.parametrize(
    "text",
    [
        "Date,Text,Amount\n2026-03-01,Coffee ☕,-2.50\n2026-03-02,Bread,-3..10\n",
        "Account,Date,Tags,Amount\nA,02/03/2026,x;y,-2.50\nB,03/03/2026,,-1.00\n",
    ],
)
async def test_a_reading_is_read_as_it_was_written(text: str) -> None:
    lines = [*write_reading(read(text))]
    values = _pass(lines)

    assert [*write_reading(await read_reading(await read_head(values), values))] == lines


@pytest.mark.parametrize(
    "error",
    [UnsupportedFormat("A picture."), UnreadableFile("Broken."), BadOption("sheet", "No sheet."), TooManyEntries()],
)
async def test_a_failure_is_raised_again(error: UnreadableFile | BadOption) -> None:
    with pytest.raises(type(error)) as raised:
        await read_head(_pass([write_failure(error)]))

    assert str(raised.value) == str(error)
