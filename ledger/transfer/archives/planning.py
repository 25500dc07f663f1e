"""Plans the import of an archive: finds what the ledger does not have of it.

by name      categories, tags, profiles; budgets by category, currency and period
imports      by their instant and facts
expenses     those that `deciding` has called new, in the trash too
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, select

from infra.slices import iterate_in_slices
from ledger.budgets.budgets import SELECT_BUDGETS
from ledger.categories.names import too_many_categories_problem
from ledger.core import Ledger
from ledger.tags import names as tag_names
from ledger.transfer.archives.contents import ArchivedExpense, Contents
from ledger.transfer.archives.schemas import (
    ArchivedBudget,
    ArchivedCategory,
    ArchivedImport,
    ArchivedProfile,
    ArchivedTag,
)
from ledger.transfer.categories import SELECT_CATEGORY_KEYS
from ledger.transfer.imports import SELECT_IMPORTS
from ledger.transfer.storing import FILE
from models import MAX_BUDGETS, MAX_CATEGORIES, MAX_IMPORT_PROFILES, MAX_TAGS, ImportProfile, Tag
from problems import TooMany
from values.texts import make_name_key

SELECT_TAG_KEYS: Final = select(Tag.id, Tag.name, Tag.name_key).where(Tag.mine())
_PROFILES: Final = select(ImportProfile.name_key).where(ImportProfile.mine())


@dataclass(slots=True)
class Plan:
    """What the ledger does not have of an archive."""

    categories: list[ArchivedCategory]
    tags: list[ArchivedTag]
    budgets: list[ArchivedBudget]
    profiles: list[ArchivedProfile]
    imports: list[ArchivedImport]
    expenses: list[ArchivedExpense]
    trash: list[ArchivedExpense]
    import_ids: dict[int, int]
    """The ids of the imports that the ledger has, by those of the archive."""

    @property
    def is_empty(self) -> bool:
        """Whether the ledger has everything."""
        return not any(
            (self.categories, self.tags, self.budgets, self.profiles, self.imports, self.expenses, self.trash)
        )


async def plan(ledger: Ledger, contents: Contents) -> Plan:
    """Return what the ledger lacks, once each expense has its status; raise TooMany beyond a cap."""
    there = {
        "categories": {row.name_key for row in await ledger.fetch_all(SELECT_CATEGORY_KEYS)},
        "tags": {row.name_key for row in await ledger.fetch_all(SELECT_TAG_KEYS)},
        "profiles": {row.name_key for row in await ledger.fetch_all(_PROFILES)},
        "budgets": {_get_budget_key(row) for row in await ledger.fetch_all(SELECT_BUDGETS)},
    }
    import_ids = await _find_imports(ledger, contents.imports)
    planned = Plan(
        categories=[it for it in contents.categories if make_name_key(it.name) not in there["categories"]],
        tags=[it for it in contents.tags if make_name_key(it.name) not in there["tags"]],
        budgets=[it for it in contents.budgets if _get_budget_key(it) not in there["budgets"]],
        profiles=[it for it in contents.profiles if make_name_key(it.name) not in there["profiles"]],
        imports=[it for it in contents.imports if it.id not in import_ids],
        expenses=[it async for it in iterate_in_slices(contents.expenses) if it.status == "new"],
        trash=[it async for it in iterate_in_slices(contents.trash) if it.status == "new"],
        import_ids=import_ids,
    )
    _refuse_too_many({kind: len(keys) + len(getattr(planned, kind)) for kind, keys in there.items()})
    return planned


def _get_budget_key(it: Row[Any] | ArchivedBudget) -> tuple[str | None, str, str]:
    return it.category and make_name_key(it.category), it.currency, it.period


def _refuse_too_many(numbers: Mapping[str, int]) -> None:
    """Raise TooMany if the account would have more of a kind than it holds."""
    if numbers["categories"] > MAX_CATEGORIES:
        raise too_many_categories_problem(FILE)
    if numbers["tags"] > MAX_TAGS:
        raise tag_names.too_many_tags_problem(FILE)
    for kind, most in (("budgets", MAX_BUDGETS), ("profiles", MAX_IMPORT_PROFILES)):
        if numbers[kind] > most:
            raise TooMany(f"An account holds at most {most:,} {kind}.")


async def _find_imports(ledger: Ledger, imports: Sequence[ArchivedImport]) -> dict[int, int]:
    """Return the ids of those imports that the ledger has: of the same instant, with the same facts."""
    if not imports:
        return {}
    found = {
        (row.created_at, row.format, row.source, _dump(json.loads(row.counts))): row.id
        for row in await ledger.fetch_in_slices(SELECT_IMPORTS)
    }
    told = {it.id: (it.created_at, it.format, it.source, _dump(it.counts.model_dump())) for it in imports}
    return {archived: found[facts] for archived, facts in told.items() if facts in found}


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
