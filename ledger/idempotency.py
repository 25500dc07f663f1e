"""Idempotency-Key: the answer of a request is stored in the transaction of its effect, and returned to a repetition."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from infra.prepared import Prepared
from ledger.core import Ledger
from ledger.quotas import measure_answer
from models import IDEMPOTENCY_KEY_LENGTH, RememberedAnswer
from problems import IdempotencyKeyReused, ValidationFailed
from values.field_errors import header_error

KEY_HEADER: Final = "Idempotency-Key"
KEY_LIFETIME: Final = timedelta(hours=24)
REPLAYED_HEADER: Final = "Idempotency-Replayed"
_KEY_PATTERN: Final = re.compile(rf"[\x21-\x7e]{{1,{IDEMPOTENCY_KEY_LENGTH}}}")
KEY_SCHEMA: Final = {
    "type": "string",
    "pattern": r"^[\x21-\x7e]+$",
    "minLength": 1,
    "maxLength": IDEMPOTENCY_KEY_LENGTH,
}

_THIS: Final = RememberedAnswer.key == bindparam("key")
# Answered by the primary key.
_RECALL: Final = Prepared(
    select(
        RememberedAnswer.request,
        RememberedAnswer.status,
        RememberedAnswer.location,
        RememberedAnswer.etag,
        RememberedAnswer.body,
        RememberedAnswer.created_at,
    ).where(RememberedAnswer.mine(), _THIS)
)
_REMEMBER: Final = Prepared(insert(RememberedAnswer).inline(), RememberedAnswer.__table__.columns.keys())


_FORGET: Final = delete(RememberedAnswer).where(RememberedAnswer.mine(), _THIS)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The parts of an answer that are stored."""

    status: int
    location: str | None
    etag: str | None
    body: str


def parse_key(lines: Sequence[str]) -> str:
    """Return the key; raise ValidationFailed unless there is one, of 1 to 255 visible ASCII characters."""
    if len(lines) > 1 or not _KEY_PATTERN.fullmatch(lines[0]):
        detail = (
            f"Send one key of 1 to {IDEMPOTENCY_KEY_LENGTH} visible ASCII characters without spaces, such as a UUID."
        )
        raise ValidationFailed(errors=[header_error(KEY_HEADER, "malformed", detail)])
    return lines[0]


async def recall(ledger: Ledger, key: str, request: str) -> StoredAnswer | None:
    """Return the answer stored under this key in the last 24 hours; raise IdempotencyKeyReused for another request."""
    row = await ledger.fetch_one_prepared(_RECALL, key=key)
    if row is None:
        return None
    stored_request, *answer, created_at = row
    if created_at < ledger.instant - KEY_LIFETIME:
        await ledger.execute_exactly(1, _FORGET, key=key)
        ledger.count(answer_bytes=-measure_answer(key, StoredAnswer(*answer).body))
        return None
    if stored_request != request:
        raise IdempotencyKeyReused
    return StoredAnswer(*answer)


async def remember(ledger: Ledger, key: str, request: str, answer: StoredAnswer) -> None:
    """Store an answer, in the same transaction as its effect."""
    await ledger.write_prepared(
        _REMEMBER,
        key=key,
        request=request,
        status=answer.status,
        location=answer.location,
        etag=answer.etag,
        body=answer.body,
        created_at=ledger.instant,
    )
    ledger.count(answer_bytes=measure_answer(key, answer.body))
