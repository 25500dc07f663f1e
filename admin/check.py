"""The check of all ledgers, as an operator runs it: what they hold, and where something is wrong.

All statements see one moment, so that a check is right beside a working service. The connection is one of its own: the
engines that serve requests refuse statements that name no owner.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import DatabaseError

from admin.invariants import INVARIANTS, Invariant
from database import Base
from infra.backup_files import Tell
from infra.column_types import exact_sum
from models import Expense, LedgerState, TrashedExpense
from values.money import SCALE, write_amount

# Beyond this size SQLite compares no index with its table: with a million expenses that takes 20 s instead of 1.
MAX_COMPARED: Final = 64 * 2**20
# A damaged disk may break the same rule in every ledger.
MAX_NAMED: Final = 100
FILE_DAMAGED: Final = "file_damaged"
"""The code of a damage of the SQLite file itself, and not of what is stored in it."""

_TOTALS: Final = (
    select(Expense.currency, func.count(), exact_sum(Expense.amount))
    .group_by(Expense.currency)
    .order_by(Expense.currency)
)


@dataclass(frozen=True)
class Total:
    """The live expenses of all ledgers in one currency."""

    currency: str
    count: int
    total: str


@dataclass(frozen=True)
class Damage:
    """What is wrong, in a sentence that repeats nothing of what users have written.

    `owner_id` is None if the damage is in the database itself.
    """

    owner_id: int | None
    code: str
    detail: str


@dataclass
class Report:
    """What a check has counted and found; nothing is wrong if `problems` is empty.

    The numbers are None if nothing was counted: the schema is an older one, or the database cannot be read.
    """

    revision: str | None
    ledgers: int | None = None
    expenses: int | None = None
    trashed: int | None = None
    revisions: int | None = None
    """The sum of the ledgers' revisions, which grows with every write."""
    totals: list[Total] = field(default_factory=list)
    problems: list[Damage] = field(default_factory=list)


@contextmanager
def hold_snapshot(connection: Connection) -> Iterator[None]:
    """Let all statements on a new connection see one moment, and let none of them write."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    yield
    connection.rollback()


def check_ledgers(connection: Connection, revision: str | None, tell: Tell) -> Report:
    """Check all ledgers of a database with the newest schema; `revision` names that schema in the report.

    Raises DatabaseError if the database cannot be read.
    """
    report = Report(revision, problems=_check_structure(connection))
    try:
        report.problems.extend(_find_missing_tables(connection))
        report = replace(count_ledgers(connection, revision), problems=report.problems)
        for done, invariant in enumerate(INVARIANTS, start=1):
            report.problems.extend(_find_damages(connection, invariant))
            tell(done, len(INVARIANTS))
    except DatabaseError:
        # A statement ends at a damaged page or a missing table, which is reported already.
        if not report.problems:
            raise
    return report


def _find_missing_tables(connection: Connection) -> list[Damage]:
    missing = Base.metadata.tables.keys() - set(inspect(connection).get_table_names())
    return [Damage(None, "missing_table", f"The table {name} is not there.") for name in sorted(missing)]


def check_file(connection: Connection) -> list[Damage]:
    """Check the structure and the references of an SQLite file, whatever its schema."""
    damages = _check_structure(connection)
    if damages or connection.dialect.name != "sqlite":
        return damages
    orphans = len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())
    sentence = f"{orphans} rows of the file refer to rows that are not there."
    return [Damage(None, "orphans", sentence)] if orphans else []


def _check_structure(connection: Connection) -> list[Damage]:
    """Check that an SQLite file can be read and that its indexes fit; what it refers to, the invariants check."""
    if connection.dialect.name != "sqlite":
        return []
    size = connection.exec_driver_sql("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").scalar()
    check = "integrity_check" if size is None or size <= MAX_COMPARED else "quick_check"
    try:
        lines: Sequence[str] = connection.exec_driver_sql(f"PRAGMA {check}").scalars().all()
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_CORRUPT:
            raise
        lines = ["a page cannot be read"]
    return [Damage(None, FILE_DAMAGED, f"The file is damaged: {line}.") for line in lines if line != "ok"]


def count_ledgers(connection: Connection, revision: str | None) -> Report:
    """Count what all ledgers hold, without checking it."""
    tables = (LedgerState, Expense, TrashedExpense)
    numbers = [select(func.count()).select_from(table).scalar_subquery() for table in tables]
    ledgers, expenses, trashed = connection.execute(select(*numbers)).one()
    revisions = connection.execute(select(exact_sum(LedgerState.revision))).scalar_one() or 0
    rows = connection.execute(_TOTALS)
    totals = [Total(currency, count, _write_total(total, currency)) for currency, count, total in rows]
    return Report(revision, ledgers, expenses, trashed, revisions, totals)


def _write_total(thousandths: int, currency: str) -> str:
    try:
        return write_amount(thousandths, currency)
    except KeyError:
        # There is no such currency, or an amount is finer than it: the invariants report that.
        return str(Decimal(thousandths) / SCALE)


def _find_damages(connection: Connection, invariant: Invariant) -> list[Damage]:
    rows = connection.execute(invariant.violations.limit(MAX_NAMED + 1)).all()
    damages = [
        Damage(owner_id, invariant.code, invariant.sentence.format(*numbers)) for owner_id, *numbers in rows[:MAX_NAMED]
    ]
    if len(rows) > MAX_NAMED:
        damages.append(Damage(None, invariant.code, f"More than these {MAX_NAMED} ledgers have this problem."))
    return damages
