"""The rows of a table as entries, once it is known what its columns mean and how days and amounts are read."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from ledger.transfer.readers.amounts import MONEY_ROLES, Amounts
from ledger.transfer.readers.bank_fields import name_account, read_bank_id
from ledger.transfer.readers.dates import read_shape
from ledger.transfer.readers.days import DayReader
from ledger.transfer.readers.delimited import GridRow
from ledger.transfer.readers.entries import Entry, RowError
from ledger.transfer.readers.kinds import Kinds
from ledger.transfer.readers.layout import Layout
from ledger.transfer.readers.roles import Roles
from ledger.transfer.readers.row_identity import RowIdentity, tell_expense
from ledger.transfer.readers.shares import Shares
from values.csv_cells import split_tags

ID_DIGITS: Final = 18
JOINER: Final = "; "
"""What stands between the texts of several columns in a description."""
MAX_DESCRIPTION: Final = 2_000
"""Characters after which a description does not go on: an expense has at most 500."""


@dataclass
class RowReader:
    """What reads the rows of one table."""

    layout: Layout
    roles: Roles
    kinds: Kinds
    days: DayReader
    amounts: Amounts
    shares: Shares | None
    is_own: bool
    """Whether the file is an export of this service."""
    waits: Collection[str]
    """The options that decide what every row says, and are asked for."""
    accounts: dict[str, None] = field(default_factory=dict)
    """Those that the rows name, in their order."""

    def iterate_entries(self) -> Iterator[Entry]:
        """Yield the entries; a row that goes on with the text of the one before is a part of that one."""
        last: Entry | None = None
        for row in self.layout.body:
            if last is not None and self._goes_on(row):
                _add_text(last, row)
            elif any(row.cells):
                if last is not None:
                    yield last
                last = self._read_row(row)
        if last is not None:
            yield last

    def _goes_on(self, row: GridRow) -> bool:
        """Whether a row has nothing but text for the payee or the description."""
        return all(index in self._text_columns for index, cell in enumerate(row.cells) if cell)

    @cached_property
    def _text_columns(self) -> frozenset[int]:
        return frozenset([*self.roles.descriptions, self.roles.found.get("payee", -1)])

    def _read_row(self, row: GridRow) -> Entry | None:
        """Return the entry of a row; None if it is no row of the statement, but a text below it."""
        if self.layout.is_header(row):
            return Entry(line=row.line, skip="repeated_header")
        if row.is_broken:
            error = RowError(None, "malformed", "A quote of this row is not closed, so that its cells are not known.")
            return Entry(line=row.line, errors=[error])
        has_amount = any(self.roles.get(row, it) for it in MONEY_ROLES)
        skip = self.kinds.find_skip(row) or (None if has_amount or not self.kinds.is_balance(row) else "balance")
        has_day = read_shape(self.roles.get(row, "date")) is not None
        if not has_day and (not has_amount or (skip is None and self.kinds.is_total(row))):
            return None
        entry = self._build_entry(row)
        self.amounts.read(entry, row)
        if self.shares:
            self.shares.apply(entry, row)
        entry.day = self.days.read(self.roles.get(row, "date"))
        if self.is_own:
            tell_expense(entry)
        else:
            self._identity.tell(entry, row)
        entry.may_be_transfer = skip is None and self.kinds.may_be_transfer(row)
        entry.skip = skip or ("zero" if entry.said_amount == 0 and not entry.errors and not self.waits else None)
        if entry.skip is None and not self.waits:
            self._check(entry, row, has_amount=has_amount)
        else:
            entry.errors = []
        self._leave_open(entry, row)
        return entry

    def _leave_open(self, entry: Entry, row: GridRow) -> None:
        """Take off an entry what the answer to a question decides."""
        if "columns.date" in self.waits:
            entry.day = None
        if "columns.amount" in self.waits or ("meanings" in self.waits and self.roles.get(row, "status")):
            entry.amount = None

    def _check(self, entry: Entry, row: GridRow, *, has_amount: bool) -> None:
        cell = self.roles.get(row, "date")
        if entry.day is None and not (self.days.is_open and read_shape(cell)):
            detail = "This is no day that exists." if cell else "The row has no day."
            code = "malformed" if cell else "required"
            entry.errors.append(RowError(self.roles.describe_column("date"), code, detail))
        if not has_amount and self.roles.found.keys() & {*MONEY_ROLES}:
            named = next(it for it in MONEY_ROLES if it in self.roles.found)
            entry.errors.append(RowError(self.roles.describe_column(named), "required", "The row has no amount."))

    def _build_entry(self, row: GridRow) -> Entry:
        described = dict.fromkeys(
            row.cells[it] for it in self.roles.descriptions if it < len(row.cells) and row.cells[it]
        )
        payee, tags = self.roles.get(row, "payee"), self.roles.get(row, "tags")
        return Entry(
            line=row.line,
            payee=payee or None,
            category=self.roles.get(row, "category") or None,
            subcategory=self.roles.get(row, "subcategory") or None,
            description=JOINER.join(described) or (self.roles.get(row, "type") if not payee else "") or None,
            tags=split_tags(tags) if self.is_own else _split_tags(tags),
            account=self._read_account(row),
            bank_id=read_bank_id(self.roles.get(row, "bank_id")),
            external_id=self.roles.get(row, "external_id") or None,
            own_id=self._read_own_id(row),
        )

    def _read_account(self, row: GridRow) -> str | None:
        account = name_account(self.roles.get(row, "account"))
        if account:
            self.accounts.setdefault(account)
        return account

    def _read_own_id(self, row: GridRow) -> int | None:
        if not self.is_own:
            return None
        cell = row.cells[-1]
        return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= ID_DIGITS else None

    @cached_property
    def _identity(self) -> RowIdentity:
        return RowIdentity(self.roles, self.layout.headers)


def _add_text(entry: Entry, row: GridRow) -> None:
    texts = [cell for cell in row.cells if cell]
    if len(entry.description or "") > MAX_DESCRIPTION:
        return
    entry.description = JOINER.join([*([entry.description] if entry.description else []), *texts])
    entry.texts = [*entry.texts, *texts]


def _split_tags(cell: str) -> list[str]:
    """Return the tags of a cell: between commas or semicolons, quoted as in CSV where they hold one."""
    if ";" in cell and "," not in cell and '"' not in cell:
        return [tag.strip() for tag in cell.split(";") if tag.strip()]
    return split_tags(cell)
