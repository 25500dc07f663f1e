"""Tags by their names: find them, and create those that are used for the first time."""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select

from infra.prepared import Prepared
from ledger.core import Ledger
from models import MAX_TAGS, Tag
from problems import TooMany
from values.field_errors import field_error
from values.texts import make_name_key

# Answered by the unique index on (owner_id, name_key).
_BY_NAME: Final = Prepared(select(Tag.id, Tag.name).where(Tag.mine(), Tag.name_key == bindparam("key")))
_SELECT_NAMES: Final = select(Tag.id, Tag.name, Tag.name_key).where(Tag.mine())
_COUNT: Final = select(func.count()).select_from(Tag).where(Tag.mine())


class KnownTag(NamedTuple):
    """A tag that exists."""

    id: int
    name: str


async def find_tag(ledger: Ledger, name: str) -> KnownTag | None:
    """Return the tag of this name, or None."""
    row = await ledger.fetch_one_prepared(_BY_NAME, key=make_name_key(name))
    return KnownTag(*row) if row else None


async def find_tags(ledger: Ledger, keys: Collection[str]) -> dict[str, KnownTag]:
    """Return the tags that exist, by the key of their name."""
    return {
        row.name_key: KnownTag(row.id, row.name) for row in await ledger.fetch_in(_SELECT_NAMES, Tag.name_key, keys)
    }


async def load_tags(ledger: Ledger) -> dict[int, str]:
    """Return the names of all tags by id."""
    return {row.id: row.name for row in await ledger.fetch_all(_SELECT_NAMES)}


async def create_tags(ledger: Ledger, names: Sequence[str]) -> dict[str, KnownTag]:
    """Create tags, whose number the caller has checked, and return them like find_tags."""
    stamps = {"revision": ledger.take_revision(), **ledger.new_row_instants}
    await ledger.insert_all(Tag, [{"name": name, "name_key": make_name_key(name), **stamps} for name in names])
    return await find_tags(ledger, {make_name_key(name) for name in names})


async def count_remaining(ledger: Ledger) -> int:
    """Return how many more tags the account can hold."""
    return MAX_TAGS - int((await ledger.execute(_COUNT)).scalar_one())


def too_many_tags_problem(pointer: str) -> TooMany:
    """Return the problem of too many tags; `pointer` is the field that names the new one."""
    detail = f"An account holds at most {MAX_TAGS:,} tags."
    return TooMany(detail, errors=[field_error(pointer, "not_allowed", detail)])
