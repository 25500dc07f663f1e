"""The contents of an archive, checked: every row by the rules of the API, and that rows refer to rows of the archive.

An archive is imported as a whole or not at all: a row that the API would refuse is an error of the whole file.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import chain
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from infra.slices import iterate_in_slices
from ledger.transfer.archives.schemas import (
    ArchivedBudget,
    ArchivedCategory,
    ArchivedImport,
    ArchivedKnownRow,
    ArchivedProfile,
    ArchivedTag,
)
from ledger.transfer.checking import Checker, ImportedExpense, RowRefused
from ledger.transfer.readers.archive import Line, name_member
from ledger.transfer.readers.drafts import Draft
from ledger.transfer.rows import TEXT
from models import MAX_BUDGETS, MAX_CATEGORIES, MAX_IMPORT_PROFILES, MAX_TAGS
from problems import ImportRefused
from values import days, money
from values.field_errors import FieldError, field_error, translate_errors
from values.fields import LARGEST_ID
from values.parse_errors import ParseError
from values.texts import make_name_key

MAX_ERRORS: Final = 20
"""Errors that are told."""
MAX_IMPORTS: Final = 100_000
_MOST: Final = {
    "categories": MAX_CATEGORIES,
    "tags": MAX_TAGS,
    "budgets": MAX_BUDGETS,
    "profiles": MAX_IMPORT_PROFILES,
    "imports": MAX_IMPORTS,
}


class ArchivedRow(NamedTuple):
    """A row of a file that is known, as the archive tells it; the ids are those of the archive."""

    source: str
    key: str
    occurrence: int
    expense_id: int | None
    import_id: int | None
    linked: bool
    revived: bool
    day: date
    amount: int
    currency: str


@dataclass(slots=True)
class ArchivedExpense:
    """An expense of the archive, and what becomes of it."""

    line: int
    id: int
    """In the archive, as is `import_id`."""
    import_id: int | None
    body: ImportedExpense
    edited: bool
    created_at: datetime
    key: str
    """The key by which it is known again if nothing else tells."""
    status: Literal["new", "existing"] = "new"
    reason: Literal["deleted"] | None = None
    expense_id: int | None = None
    """In the ledger."""

    def settle_existing(self, expense_id: int | None, *, is_live: bool) -> None:
        """Note that the ledger has it already."""
        self.status, self.reason, self.expense_id = "existing", None if is_live else "deleted", expense_id


@dataclass(slots=True)
class Contents:
    """What an archive holds."""

    categories: list[ArchivedCategory] = field(default_factory=list)
    tags: list[ArchivedTag] = field(default_factory=list)
    budgets: list[ArchivedBudget] = field(default_factory=list)
    profiles: list[ArchivedProfile] = field(default_factory=list)
    imports: list[ArchivedImport] = field(default_factory=list)
    expenses: list[ArchivedExpense] = field(default_factory=list)
    trash: list[ArchivedExpense] = field(default_factory=list)
    imported_rows: list[ArchivedRow] = field(default_factory=list)

    async def begin(self) -> None:
        """Forget what became of the expenses: a transaction that lost a race is tried again."""
        async for it in iterate_in_slices(chain(self.expenses, self.trash)):
            it.status, it.reason, it.expense_id = "new", None, None


class _Reader:
    """Reads the lines of an archive, and notes what is wrong with them."""

    def __init__(self) -> None:
        self.contents = Contents()
        self.errors: list[FieldError] = []
        self._checker = Checker()
        self._names: dict[str, set[object]] = {}
        """What must not come twice, or is referred to, by what it is."""
        self._parents: list[tuple[int, str]] = []

    def read(self, kind: str, line: int, row: Mapping[str, Any], fingerprint: str | None) -> None:
        """Add a row to the contents, or to the errors what is wrong with it."""
        if line > _MOST.get(kind, line):
            self._add(kind, line, [("", "out_of_range", f"An account holds at most {_MOST[kind]:,} of these.")])
            return
        try:
            getattr(self, f"_read_{kind}")(line, row, fingerprint)
        except RowRefused as refused:
            self._add(kind, line, ((it.column or "", it.code, it.detail) for it in refused.errors))
        except ValidationError as error:
            told = [{**it, "loc": ("body", *it["loc"])} for it in error.errors()]
            found = translate_errors(told)
            self._add(kind, line, ((it.location["pointer"].strip("/"), it.code, it.detail) for it in found))
        except _Wrong as wrong:
            self._add(kind, line, [wrong.told])

    def _add(self, kind: str, line: int, errors: Iterable[tuple[str, str, str]]) -> None:
        for name, code, detail in errors:
            of_field = f" {name}:" if name else ""
            self.errors.append(field_error("/file", code, f"{name_member(kind)}, line {line}:{of_field} {detail}"))

    # --- the kinds ----------------------------------------------------------------------------------------------------

    def _read_categories(self, line: int, row: Mapping[str, Any], _: str | None) -> None:
        category = ArchivedCategory.model_validate(row)
        self._claim("category", make_name_key(category.name), "name")
        if category.parent is None:
            self._names.setdefault("parent", set()).add(make_name_key(category.name))
        else:
            self._parents.append((line, make_name_key(category.parent)))
        self.contents.categories.append(category)

    def check_parents(self) -> None:
        """Note the parents that are no categories, or have a parent themselves."""
        for line, key in self._parents:
            if key not in self._names.get("parent", ()):
                detail = "This is none of the archive's categories without a parent."
                self._add("categories", line, [("parent", "not_found", detail)])

    def _read_tags(self, _: int, row: Mapping[str, Any], __: str | None) -> None:
        tag = ArchivedTag.model_validate(row)
        self._claim("tag", make_name_key(tag.name), "name")
        self.contents.tags.append(tag)

    def _read_budgets(self, _: int, row: Mapping[str, Any], __: str | None) -> None:
        budget = ArchivedBudget.model_validate(row)
        key = budget.category and make_name_key(budget.category)
        self._refer("category", key, "category")
        self._claim("budget", (key, budget.currency, budget.period), "category")
        self.contents.budgets.append(budget)

    def _read_profiles(self, _: int, row: Mapping[str, Any], __: str | None) -> None:
        profile = ArchivedProfile.model_validate(row)
        self._claim("profile", make_name_key(profile.name), "name")
        self.contents.profiles.append(profile)

    def _read_imports(self, _: int, row: Mapping[str, Any], __: str | None) -> None:
        found = ArchivedImport.model_validate(row)
        self._claim("import", found.id, "id")
        self.contents.imports.append(found)

    def _read_expenses(self, line: int, row: Mapping[str, Any], fingerprint: str | None) -> None:
        self.contents.expenses.append(self._read_expense(line, row, fingerprint))

    def _read_trash(self, line: int, row: Mapping[str, Any], fingerprint: str | None) -> None:
        self.contents.trash.append(self._read_expense(line, row, fingerprint))

    def _read_expense(self, line: int, row: Mapping[str, Any], fingerprint: str | None) -> ArchivedExpense:
        names = ("amount", "currency", "date", "category", "payee", "description", "tags", "external_id")
        body = self._checker.check(Draft(number=line, line=line, status="read", **{name: row[name] for name in names}))
        expense = ArchivedExpense(
            line=line,
            id=_check_id(row["id"], "id"),
            import_id=None if row["import_id"] is None else _check_id(row["import_id"], "import_id"),
            body=body,
            edited=_check_flag(row["edited"], "edited"),
            created_at=_check_instant(row["created_at"], "created_at"),
            key=f"{TEXT}{fingerprint}",
        )
        self._claim("expense", expense.id, "id")
        if body.external_id is not None:
            self._claim("external_id", body.external_id, "external_id")
        self._refer("import", expense.import_id, "import_id")
        self._refer("category", body.category and make_name_key(body.category), "category")
        for tag in body.tags:
            self._refer("tag", make_name_key(tag), "tags")
        return expense

    def _read_imported_rows(self, _: int, row: Mapping[str, Any], __: str | None) -> None:
        it = ArchivedKnownRow.model_validate(row)
        try:
            amount = money.to_thousandths(it.amount, it.currency)
        except money.AmountError as error:
            raise _Wrong("amount", error.code, str(error)) from None
        self._claim("row", (it.key, it.source, it.occurrence), "key")
        self._refer("import", it.import_id, "import_id")
        ids = it.expense_id, it.import_id
        known = ArchivedRow(it.source, it.key, it.occurrence, *ids, it.linked, it.revived, it.date, amount, it.currency)
        self.contents.imported_rows.append(known)

    def _claim(self, what: str, key: object, name: str) -> None:
        claimed = self._names.setdefault(what, set())
        if key in claimed:
            raise _Wrong(name, "already_exists", "An earlier line of the archive has this too.")
        claimed.add(key)

    def _refer(self, what: str, key: object, name: str) -> None:
        if key is not None and key not in self._names.get(what, ()):
            raise _Wrong(name, "not_found", "The archive has no row of this.")


class _Wrong(Exception):
    """What is wrong with a field of a row."""

    def __init__(self, name: str, code: str, detail: str) -> None:
        super().__init__()
        self.told = name, code, detail


def _check_id(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_ID:
        raise _Wrong(name, "wrong_type", "This is no id.")
    return value


def _check_flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise _Wrong(name, "wrong_type", "Write true or false.")
    return value


def _check_instant(value: object, name: str) -> datetime:
    try:
        return days.parse_instant(value)
    except ParseError as error:
        raise _Wrong(name, error.code, str(error)) from None


async def read_contents(lines: AsyncIterator[Line]) -> Contents:
    """Return what an archive holds; raise ImportRefused with the first errors if a row is not as the API takes it."""
    reader = _Reader()
    async for line in lines:
        reader.read(*line)
        if len(reader.errors) >= MAX_ERRORS:
            break
    reader.check_parents()
    if reader.errors:
        raise ImportRefused(
            "The archive was changed, or is of another service: nothing was imported.",
            errors=reader.errors[:MAX_ERRORS],
        )
    return reader.contents
