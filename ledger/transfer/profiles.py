"""Profiles: options of imports that a user keeps under a name, beside those that the service brings."""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, select, update

from ledger.core import Ledger
from ledger.transfer.option_schemas import ImportOptions
from ledger.transfer.schemas import ImportProfile as ProfileShown
from ledger.transfer.schemas import ImportProfileList
from models import MAX_IMPORT_PROFILES, ImportProfile
from problems import NotFound, TooMany
from values.sizes import measure
from values.text_fields import MAX_CODE_POINTS_COMPOSED
from values.texts import NAME_LENGTH, make_name_key, make_sort_key

_SELECT: Final = select(
    ImportProfile.id, ImportProfile.name, ImportProfile.options, ImportProfile.created_at, ImportProfile.updated_at
).where(ImportProfile.mine())
# Answered by the unique index on (owner_id, name_key).
_THIS: Final = ImportProfile.name_key == bindparam("key")
_ONE: Final = _SELECT.where(_THIS)
_COUNT: Final = select(func.count()).select_from(ImportProfile).where(ImportProfile.mine())


def describe_built_in(name: str, options: dict[str, Any]) -> ProfileShown:
    """Return a profile that the service brings, as the list shows it."""
    return ProfileShown(name=name, kind="built_in", options=options, created_at=None, updated_at=None)


async def list_profiles(ledger: Ledger, built_in: Sequence[ProfileShown]) -> ImportProfileList:
    """Return the user's own profiles and those of the service, each sorted by name."""
    own = [_build_profile(row) for row in await ledger.fetch_all(_SELECT)]
    items = [it for some in (own, built_in) for it in sorted(some, key=lambda it: make_sort_key(it.name))]
    return ImportProfileList(items=items)


async def find_profile(ledger: Ledger, name: str) -> ProfileShown | None:
    """Return the user's own profile of this name, in any case, or None."""
    row = await ledger.fetch_one(_ONE, key=make_name_key(name))
    return None if row is None else _build_profile(row)


async def keep_profile(ledger: Ledger, name: str, options: ImportOptions) -> ProfileShown:
    """Keep options under a name, instead of those that it had; raise TooMany beyond 100 profiles.

    A new revision tells clients that what they have of the list is old.
    """
    key, text = make_name_key(name), json.dumps(options.dump_options(), ensure_ascii=False)
    row = await ledger.fetch_one(_ONE, key=key)
    if row is not None and (row.name, row.options) == (name, text):
        return _build_profile(row)
    values = {"name": name, "options": text}
    ledger.add_text(measure(text) - measure(row.options if row else None), "/columns")
    ledger.take_revision()
    if row is None:
        await _refuse_too_many(ledger)
        await ledger.insert(ImportProfile, **values, name_key=key, **ledger.new_row_instants)
    else:
        changed = update(ImportProfile).where(ImportProfile.mine(), _THIS)
        await ledger.execute_exactly(1, changed.values(**values, updated_at=ledger.instant), key=key)
    return _build_profile((await ledger.execute(_ONE, key=key)).one())


async def delete_profile(ledger: Ledger, name: str) -> None:
    """Delete one of the user's own profiles; raise NotFound if there is none of this name, which may be any text."""
    if len(name) > NAME_LENGTH * MAX_CODE_POINTS_COMPOSED:
        raise NotFound
    key = make_name_key(name.strip())
    row = await ledger.fetch_one(_ONE, key=key)
    if row is None:
        raise NotFound
    await ledger.execute_exactly(1, delete(ImportProfile).where(ImportProfile.mine(), _THIS), key=key)
    ledger.count(text_bytes=-measure(row.options))
    ledger.take_revision()


async def _refuse_too_many(ledger: Ledger) -> None:
    if (await ledger.execute(_COUNT)).scalar_one() >= MAX_IMPORT_PROFILES:
        raise TooMany(f"An account holds at most {MAX_IMPORT_PROFILES} profiles of its own.")


def _build_profile(row: Row[Any]) -> ProfileShown:
    return ProfileShown(
        name=row.name,
        kind="own",
        options=json.loads(row.options),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
