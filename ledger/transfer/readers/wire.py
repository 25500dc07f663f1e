"""What a process that reads a file writes: lines of JSON.

a file        the reading, then each draft as a list of fields
an archive    {"archive": true}, then each of its lines as a list
neither       the failure; of an archive it may also come after lines
"""

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from ledger.transfer.readers.archive import Line
from ledger.transfer.readers.drafts import Draft, Reading
from ledger.transfer.readers.entries import (
    BadOption,
    Question,
    RowError,
    TooManyEntries,
    UnreadableFile,
    UnsupportedFormat,
)

_DRAFT_FIELDS: Final = tuple(it.name for it in fields(Draft))
_ERRORS: Final = _DRAFT_FIELDS.index("errors")
"""All other fields are written as they are."""
_FAILURES: Final[Mapping[str, type[UnreadableFile]]] = {
    "unsupported": UnsupportedFormat,
    "unreadable": UnreadableFile,
    "too_many": TooManyEntries,
}


def write_reading(reading: Reading) -> Iterator[str]:
    """Yield the lines of a reading."""
    head = {it.name: getattr(reading, it.name) for it in fields(Reading) if it.name not in {"drafts", "questions"}}
    yield _dump(head | {"questions": [asdict(question) for question in reading.questions]})
    for draft in reading.drafts:
        values = [getattr(draft, name) for name in _DRAFT_FIELDS]
        values[_ERRORS] = [[it.column, it.code, it.detail] for it in draft.errors]
        yield _dump(values)


def write_archive(lines: Iterable[Line]) -> Iterator[str]:
    """Yield the lines of an archive."""
    yield _dump({"archive": True})
    for line in lines:
        yield _dump(line)


def write_failure(error: UnreadableFile | BadOption) -> str:
    """Return the line that says why a file was not read."""
    if isinstance(error, BadOption):
        return _dump({"failure": "option", "option": error.option, "detail": error.detail})
    name = next(name for name, kind in _FAILURES.items() if type(error) is kind)
    return _dump({"failure": name, "detail": str(error)})


# Made once: `json.dumps` would make one for each line.
_dump: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


async def read_head(values: AsyncIterator[Any]) -> dict[str, Any]:
    """Return the value of the first line; raise the failure that it tells."""
    head: dict[str, Any] = await anext(values)
    _raise_failure(head)
    return head


async def read_reading(head: Mapping[str, Any], values: AsyncIterator[Any]) -> Reading:
    """Return the reading that begins with this head."""
    told = {**head, "questions": [Question(**question) for question in head["questions"]]}
    return Reading(**told, drafts=[_build_draft(value) async for value in values])


async def read_lines(values: AsyncIterator[Any]) -> AsyncIterator[Line]:
    """Yield the lines of an archive; raise the failure that is told after some of them."""
    async for value in values:
        if isinstance(value, dict):
            _raise_failure(value)
        kind, line, row, fingerprint = value
        yield kind, line, row, fingerprint


def _raise_failure(told: Mapping[str, str]) -> None:
    if failure := told.get("failure"):
        raise _build_failure(failure, told)


def _build_failure(failure: str, head: Mapping[str, str]) -> UnreadableFile | BadOption:
    if failure == "option":
        return BadOption(head["option"], head["detail"])
    return _FAILURES[failure](head["detail"])


def _build_draft(values: Sequence[Any]) -> Draft:
    draft = Draft(*values)
    # One empty tuple instead of 150,000 empty lists, which the garbage collector would go through.
    draft.tags, draft.parts, draft.errors = draft.tags or (), draft.parts or (), draft.errors or ()
    if draft.errors:
        draft.errors = [RowError(*error) for error in values[_ERRORS]]
    return draft
