"""What always holds in the database, as statements that find where it does not.

They read the rows of all owners, and so they name none: they run on a connection of their own, never on the engines
that serve requests (infra.ownership). Each is one pass over its tables, whatever the number of owners.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    UniqueConstraint,
    and_,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from database import Base
from ledger.editing import KINDS
from ledger.quotas import ANSWER_BYTES, measure_column, measure_texts
from ledger.tags.sets import has_tag
from models import (
    Budget,
    Category,
    Expense,
    Import,
    ImportedRow,
    ImportProfile,
    LedgerState,
    Payee,
    RefreshToken,
    RememberedAnswer,
    Session,
    Tag,
    TagSet,
    Tombstone,
    TrashedExpense,
    User,
)
from values.money import DECIMALS, MAX_DECIMALS, MAX_WHOLE_DIGITS, SCALE

_AMOUNT_LIMIT: Final = SCALE * 10**MAX_WHOLE_DIGITS
_OWNER: Final = "owner"


@dataclass(frozen=True)
class Invariant:
    """What always holds: `violations` selects the owner, and the numbers that fill `sentence`."""

    code: str
    sentence: str
    violations: Select[*tuple[Any, ...]]


def _count_rows(table: Table, *conditions: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Select each owner who has rows that meet the conditions, and how many."""
    owner = table.c.id if table.name == "users" else table.c.get("owner_id", null())
    statement = select(owner.label(_OWNER), func.count()).select_from(table)
    return statement.where(*conditions).group_by(literal_column(_OWNER))


def _count(counter: InstrumentedAttribute[int], what: str, *held: tuple[Any, ColumnElement[int]]) -> Invariant:
    """Return that a counter of the ledger is what the rows of some tables sum to; each is a table and what to sum."""
    number: ColumnElement[int] = literal(0)
    joined: FromClause = LedgerState.__table__
    for table, summed in held:
        sums = select(table.owner_id, summed.label("number")).group_by(table.owner_id).subquery()
        number += func.coalesce(sums.c.number, 0)
        joined = joined.outerjoin(sums, sums.c.owner_id == LedgerState.owner_id)
    violations = select(LedgerState.owner_id, counter, number).select_from(joined).where(counter != number)
    return Invariant(counter.key, f"The ledger counts {{}} {what}, and has {{}}.", violations)


def _bound_revisions(table: Any) -> Invariant:  # noqa: ANN401  # a mapped class with a revision
    newest = select(table.owner_id, func.max(table.revision).label("number")).group_by(table.owner_id).subquery()
    violations = (
        select(LedgerState.owner_id, LedgerState.revision, newest.c.number)
        .join(newest, newest.c.owner_id == LedgerState.owner_id)
        .where(newest.c.number > LedgerState.revision)
    )
    sentence = f"The ledger is at revision {{}}, and its {table.__tablename__} at {{}}."
    return Invariant("revision_behind", sentence, violations)


def _keep_live_and_trash_apart() -> Invariant:
    violations = (
        select(TrashedExpense.owner_id, func.count())
        .join(Expense, Expense.id == TrashedExpense.id)
        .group_by(TrashedExpense.owner_id)
    )
    return Invariant("live_and_trashed", "{} expenses are in the ledger and in the trash as well.", violations)


def _keep_live_and_deleted_apart(kind: str, table: Any) -> Invariant:  # noqa: ANN401  # a mapped class with an id
    violations = (
        select(Tombstone.owner_id, func.count())
        .join(table, table.id == Tombstone.row_id)
        .where(Tombstone.kind == kind)
        .group_by(Tombstone.owner_id)
    )
    return Invariant(
        "live_and_deleted", f"{{}} {table.__tablename__} are there and noted as deleted as well.", violations
    )


def _note_deletions() -> Invariant:
    same = (Tombstone.owner_id == TrashedExpense.owner_id, Tombstone.row_id == TrashedExpense.id)
    violations = (
        select(TrashedExpense.owner_id, func.count())
        .outerjoin(Tombstone, and_(Tombstone.kind == "expense", *same))
        .where(or_(Tombstone.revision.is_(None), Tombstone.revision != TrashedExpense.revision))
        .group_by(TrashedExpense.owner_id)
    )
    sentence = "The deletion of {} expenses in the trash is not noted at its revision."
    return Invariant("deletion_not_noted", sentence, violations)


def _have_ledgers() -> Invariant:
    violations = (
        select(User.id).outerjoin(LedgerState, LedgerState.owner_id == User.id).where(LedgerState.owner_id.is_(None))
    )
    return Invariant("no_ledger", "The account has no ledger.", violations)


def _own_sessions() -> Invariant:
    violations = (
        select(RefreshToken.owner_id, func.count())
        .join(Session, Session.id == RefreshToken.session_id)
        .where(Session.owner_id != RefreshToken.owner_id)
        .group_by(RefreshToken.owner_id)
    )
    return Invariant("another_owners", "{} refresh tokens belong to the session of another account.", violations)


def _have_one_budget_for_all_spending() -> Invariant:
    # The database's own unique key takes nulls for different.
    violations = (
        select(Budget.owner_id, func.count())
        .where(Budget.category_id.is_(None))
        .group_by(Budget.owner_id, Budget.currency, Budget.period)
        .having(func.count() > 1)
    )
    return Invariant("not_unique", "{} budgets for all spending have one currency and period.", violations)


def _have_one_level() -> Invariant:
    parent = aliased(Category)
    violations = (
        select(Category.owner_id, func.count())
        .join(parent, parent.id == Category.parent_id)
        .where(parent.parent_id.is_not(None))
        .group_by(Category.owner_id)
    )
    return Invariant("second_level", "{} categories have a parent that has a parent.", violations)


def _know_payees(name: str) -> Invariant:
    table = Base.metadata.tables[name]
    violations = _count_rows(table, table.c.payee.is_(None) != table.c.payee_id.is_(None))
    return Invariant("no_payee", f"{{}} rows of {name} have the name of a payee alone, or its id.", violations)


def _name_tags() -> Invariant:
    newline = literal("\n")
    names = func.length(TagSet.names) - func.length(func.replace(TagSet.names, "\n", "")) + 1
    ids = func.length(TagSet.tag_ids) - func.length(func.replace(TagSet.tag_ids, "/", "")) - 1
    has_name = func.instr(newline + TagSet.names + newline, newline + Tag.name + newline) > 0
    tags = select(func.count()).where(Tag.owner_id == TagSet.owner_id, has_tag(Tag.id), has_name)
    known = tags.correlate(TagSet).scalar_subquery()
    violations = select(TagSet.owner_id, func.count()).where(or_(names != ids, known != ids)).group_by(TagSet.owner_id)
    return Invariant(
        "wrong_tags", "{} sets of tags have tags that do not exist, or other names than these.", violations
    )


def _refer(table: Table) -> Iterator[Invariant]:
    """Return for each foreign key that what it refers to is there."""
    for key in table.foreign_key_constraints:
        parent = key.referred_table.alias()
        pairs = [(element.parent, parent.c[element.column.name]) for element in key.elements]
        violations = (
            select(table.c.owner_id, func.count())
            .outerjoin(parent, and_(*(child == column for child, column in pairs)))
            .where(pairs[0][1].is_(None), *(child.is_not(None) for child, _ in pairs))
            .group_by(table.c.owner_id)
        )
        whose = " of the same owner" * (len(pairs) > 1)
        sentence = f"{{}} rows of {table.name} refer to {key.referred_table.name}{whose} that are not there."
        yield Invariant("orphans", sentence, violations)


def _be_unique(table: Table) -> Iterator[Invariant]:
    owner = table.c.id if table.name == "users" else table.c.get("owner_id", null())
    for key in (it for it in table.constraints if isinstance(it, UniqueConstraint)):
        repeated = (
            select(func.min(owner).label(_OWNER))
            .where(*(column.is_not(None) for column in key.columns))
            .group_by(*key.columns)
            .having(func.count() > 1)
            .subquery()
        )
        sentence = f"{{}} keys occur in {table.name} more than once: {', '.join(key.columns.keys())}."
        yield Invariant("not_unique", sentence, select(repeated.c.owner, func.count()).group_by(repeated.c.owner))


def _know_currencies(table: Table) -> Invariant:
    violations = _count_rows(table, table.c.currency.not_in(list(DECIMALS)))
    return Invariant("unknown_currency", f"{{}} rows of {table.name} are in a currency that there is not.", violations)


def _fit_currencies(table: Table) -> Invariant:
    amount, currency = table.c.amount, table.c.currency
    smallest_units = {decimals: 10 ** (MAX_DECIMALS - decimals) for decimals in set(DECIMALS.values())}
    too_fine = [
        and_(currency.in_([code for code in DECIMALS if DECIMALS[code] == decimals]), amount % unit != 0)
        for decimals, unit in smallest_units.items()
        if unit > 1
    ]
    impossible = amount <= 0 if table.name == "budgets" else amount == 0
    wrong = or_(impossible, amount >= _AMOUNT_LIMIT, amount <= -_AMOUNT_LIMIT, *too_fine)
    sentence = f"{{}} amounts of {table.name} are zero, too large, or finer than their currency."
    return Invariant("wrong_amount", sentence, _count_rows(table, wrong))


def _list_invariants() -> Iterator[Invariant]:
    tables = Base.metadata.sorted_tables
    yield _count(LedgerState.expense_count, "expenses", (Expense, func.count()))
    yield _count(LedgerState.trash_count, "expenses in the trash", (TrashedExpense, func.count()))
    texts: list[tuple[Any, ColumnElement[int]]] = [
        *((table, func.sum(measure_texts(table))) for table in (Expense, TrashedExpense)),
        (Payee, func.sum(measure_column(Payee.name_key))),
        (TagSet, func.sum(measure_column(TagSet.names))),
        (Import, func.sum(measure_column(Import.options))),
        (ImportProfile, func.sum(measure_column(ImportProfile.options))),
    ]
    yield _count(LedgerState.text_bytes, "bytes of texts", *texts)
    answers = RememberedAnswer, func.sum(ANSWER_BYTES)
    yield _count(LedgerState.answer_bytes, "bytes of remembered answers", answers)
    yield _count(LedgerState.imported_count, "rows of files", (ImportedRow, func.count()))
    yield from map(_bound_revisions, (Import, Expense, TrashedExpense, Category, Tag, Budget, Tombstone))
    yield _keep_live_and_trash_apart()
    yield from (_keep_live_and_deleted_apart(kind, table) for table, kind in KINDS.items())
    yield _note_deletions()
    yield _have_ledgers()
    yield _own_sessions()
    yield _have_one_budget_for_all_spending()
    yield _have_one_level()
    yield from map(_know_payees, ("expenses", "trash"))
    yield _name_tags()
    for table in tables:
        yield from _refer(table)
        yield from _be_unique(table)
    yield from (_know_currencies(table) for table in tables if "currency" in table.c)
    yield from (_fit_currencies(table) for table in tables if "amount" in table.c)


INVARIANTS: Final = tuple(_list_invariants())
