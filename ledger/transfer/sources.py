"""Sources: which account a row is of. Within a source a row is known again; two sources may have equal rows.

    said by           source                       key
    the file          NL01 INGB 0001 2345 67       nl01ingb0001234567
    the caller        NL01INGB0001234567           nl01ingb0001234567
    nobody            null                         UNNAMED, one for all such files
    the caller        unnamed                      UNNAMED
    our own export    null                         OWN_EXPORT

The caller knows better than the file, but in a file of several accounts each row says its own.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from ledger.transfer.readers.drafts import Reading
from values.texts import KEY_GROWTH, SOURCE_LENGTH, make_name_key

UNNAMED: Final = ""
UNNAMED_WORD: Final = "unnamed"
"""What a caller sends for the unnamed source; in a form an empty text is none."""
OWN_EXPORT: Final = "\nown"
"""No caller can name a source so: a name has one line."""
ARCHIVE: Final = "archive"
"""The format of an import that an archive of this service was; what it brought is known as an own export's."""
_LONGEST: Final = SOURCE_LENGTH * KEY_GROWTH


def make_source_key(source: str | None) -> str:
    """Return the key of a source, by which spaces and case do not count; of None that of the unnamed one."""
    key = "".join(make_name_key(source or "").split())
    if key == UNNAMED_WORD:
        return UNNAMED
    if len(key) <= _LONGEST:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return key[: _LONGEST - len(digest)] + digest


def choose_keys(reading: Reading, stated: str | None) -> list[str]:
    """Return the key of each row's source: its own in a file of several, else what the caller or the file says."""
    if reading.accounts:
        keys = {account: make_source_key(account) for account in {draft.account for draft in reading.drafts}}
        return [keys[draft.account] for draft in reading.drafts]
    named = stated if stated is not None else reading.source
    if named is None and is_own_export(reading):
        return [OWN_EXPORT] * len(reading.drafts)
    return [make_source_key(named)] * len(reading.drafts)


def is_own_export(reading: Reading) -> bool:
    """Whether this service has exported the file, which is no statement of an account then."""
    return any(draft.own_id is not None for draft in reading.drafts)


def is_unstated(reading: Reading, stated: str | None) -> bool:
    """Whether neither the caller nor the file says which account a statement is of."""
    return stated is None and reading.source is None and not reading.accounts and not is_own_export(reading)


def cut_source(source: str | None) -> str | None:
    """Return a source as it is shown: the unnamed one as null, a long one cut."""
    if source is None or make_source_key(source) == UNNAMED:
        return None
    if len(source) <= SOURCE_LENGTH:
        return source
    return source[: SOURCE_LENGTH - 1] + "…"


def list_sources(names: Sequence[str]) -> list[str]:
    """Return the answers that a question about the source offers: the unnamed one, and those that are known."""
    return [UNNAMED_WORD, *names]
