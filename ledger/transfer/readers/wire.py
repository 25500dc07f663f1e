"""What a process that reads a file writes: lines of JSON, first the reading, then each draft as a list of fields."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

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
_FAILURES: Final[Mapping[str, type[UnreadableFile]]] = {
    "unsupported": UnsupportedFormat,
    "unreadable": UnreadableFile,
}


def write_reading(reading: Reading) -> Iterator[str]:
    """Yield the lines of a reading."""
    head = {it.name: getattr(reading, it.name) for it in fields(Reading) if it.name not in {"drafts", "questions"}}
    yield _dump(head | {"questions": [asdict(question) for question in reading.questions]})
    for draft in reading.drafts:
        values = [getattr(draft, name) for name in _DRAFT_FIELDS]
        yield _dump([*values[:-1], [[it.column, it.code, it.detail] for it in draft.errors]])


def write_failure(error: UnreadableFile | BadOption) -> str:
    """Return the line that says why a file was not read."""
    if isinstance(error, BadOption):
        return _dump({"failure": "option", "option": error.option, "detail": error.detail})
    if isinstance(error, TooManyEntries):
        return _dump({"failure": "too_many"})
    return _dump({"failure": _name_failure(error), "detail": str(error)})


def _name_failure(error: UnreadableFile) -> str:
    return "unsupported" if isinstance(error, UnsupportedFormat) else "unreadable"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def read_reading(values: AsyncIterator[Any]) -> Reading:
    """Return the reading of the values of these lines; raise the failure that they tell instead."""
    head = await anext(values)
    if failure := head.get("failure"):
        raise _build_failure(failure, head)
    questions = [Question(**question) for question in head.pop("questions")]
    drafts = [_build_draft(value) async for value in values]
    return Reading(**head, questions=questions, drafts=drafts)


def _build_failure(failure: str, head: Mapping[str, str]) -> UnreadableFile | BadOption:
    if failure == "option":
        return BadOption(head["option"], head["detail"])
    return TooManyEntries() if failure == "too_many" else _FAILURES[failure](head["detail"])


def _build_draft(values: Sequence[Any]) -> Draft:
    told = dict(zip(_DRAFT_FIELDS, values, strict=True))
    told["errors"] = [RowError(*error) for error in told["errors"]]
    return Draft(**told)
