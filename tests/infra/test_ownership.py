"""The owner check: a statement on owned rows that does not name the owner is refused before it is sent."""

from operator import eq

import pytest
from fastapi import FastAPI
from sqlalchemy import (
    BindParameter,
    Executable,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import aliased

from infra.ownership import UnownedStatement
from models import (
    Category,
    Expense,
    LedgerState,
    PersonalToken,
    RefreshToken,
    Session,
    Tombstone,
    TrashedExpense,
    User,
)

_THIS: BindParameter[int] = bindparam("row_id", 1)
_OTHER = aliased(Expense)
_OWNER: BindParameter[int] = bindparam("owner", 1)
_MINE = Expense.owner_id == _OWNER
_NAMED = select(Category.id).where(Category.name_key == "food")
UNOWNED: dict[str, Executable] = {
    "a row": select(Expense.amount).where(Expense.id == _THIS),
    "an entity": select(Expense),
    "an alias": select(_OTHER.id),
    "a count": select(func.count()).select_from(Category),
    "a trashed row": select(TrashedExpense.id),
    "a tombstone": select(Tombstone.row_id),
    "a session": select(Session.id).where(Session.sid == "0" * 32),
    "a ledger": select(LedgerState.revision),
    "a join": select(User.username).join(Session, Session.owner_id == User.id),
    "an outer join": select(User.username).outerjoin(Expense, Expense.owner_id == User.id),
    "a subquery": select(select(Expense.id).subquery()),
    "a common table": select(select(Expense.id).cte()),
    "a condition": select(User.username).where(User.id.in_(select(Expense.owner_id))),
    "an existence": select(User.username).where(exists().where(Expense.owner_id == User.id)),
    "a column": select(User.username, select(func.count(Expense.id)).scalar_subquery()),
    "a union": union_all(select(Expense.id), select(Category.id)),
    "an update": update(Expense).values(amount=1).where(Expense.id == _THIS),
    "an update by a condition": update(User).values(currency="EUR").where(User.id.in_(select(Expense.owner_id))),
    "a deletion": delete(Expense).where(Expense.category_id.in_(_NAMED)),
    "a copy": insert(TrashedExpense).from_select(["id"], select(Expense.id)),
    "a copy of another's": insert(TrashedExpense).from_select(["owner_id"], select(Expense.owner_id)),
    "a condition on another's": select(Expense.id).where(_MINE, Expense.category_id.in_(_NAMED)),
    "a table beside one's own": select(Expense.id).where(
        Category.owner_id == _OWNER, Category.id == Expense.category_id
    ),
    "a join by the id alone": select(Expense.id).join(Category, Category.id == Expense.category_id).where(_MINE),
    "an id that is called owner": select(Expense.id).where(Expense.id == _OWNER),
    "one's own or another's": select(Expense.id).where(or_(_MINE, Expense.amount > 0)),
    "minus one's own": select(Expense.id).where(-Expense.owner_id == _OWNER),
    "not one's own": select(Expense.id).where(not_(_MINE)),
    "all but one's own": select(Expense.id).where(Expense.owner_id != _OWNER),
    "an alias beside one's own": select(_OTHER.id).where(_MINE, _OTHER.id == Expense.id),
    "an update of another's": update(Category).values(archived=True).where(exists().where(_MINE)),
    "a subquery's own, not the query's": select(
        Category.name,
        select(func.count(Expense.id)).where(Expense.owner_id == Category.owner_id, _MINE).scalar_subquery(),
    ),
    "the missing side of an outer join": select(Category.name).outerjoin(
        Expense, (Expense.owner_id == Category.owner_id) & _MINE
    ),
    "one half of a union": union_all(select(Expense.id).where(_MINE), select(Expense.id)),
    "all but one's own, deleted": delete(Expense).where(Expense.id.not_in(select(Expense.id).where(_MINE))),
    "one's own among everybody's": select(Expense.id).where(_MINE, Expense.id.in_(select(Expense.id))),
    "a table that everybody's are joined to": select(Expense.id)
    .join(select(Expense.id).subquery(), true())
    .where(_MINE),
    "an update by another table": update(Category)
    .values(archived=True)
    .where(Category.owner_id == _OWNER, Category.id == Expense.category_id),
}


@pytest.mark.parametrize("engine", [0, 1], ids=["to write", "to read"])
@pytest.mark.parametrize("statement", UNOWNED.values(), ids=UNOWNED)
async def test_a_statement_that_does_not_say_whose_is_refused(app: FastAPI, statement: Executable, engine: int) -> None:
    async with app.state.services.database.pools[engine].engine.connect() as connection:
        with pytest.raises(UnownedStatement):
            await connection.execute(statement)


async def test_a_refused_statement_stays_refused(app: FastAPI) -> None:
    async with app.state.services.database.pools[1].engine.connect() as connection:
        with pytest.raises(UnownedStatement):
            await connection.execute(select(Expense.id))
        with pytest.raises(UnownedStatement):
            await connection.execute(select(Expense.id))


OWNED: dict[str, Executable] = {
    "one's own": select(Expense.id).where(Expense.owner_id == bindparam("owner", 1)),
    "one's own by their ids": select(Expense.id).where(Expense.mine_by_id()).params(owner=1, ids=[1]),
    "a join by the owner": select(Expense.id).outerjoin(Category, Category.owner_id == Expense.owner_id).where(_MINE),
    "an alias": select(_OTHER.id).where(_OTHER.owner_id == _OWNER),
    "a condition": select(User.id).where(User.id.in_(select(Expense.owner_id).where(_MINE))),
    "a chain": select(Expense.id)
    .join(Category, Category.owner_id == Expense.owner_id)
    .join(Session, Session.owner_id == Category.owner_id)
    .where(Session.owner_id == _OWNER),
    "a count beside each": select(
        Category.name,
        select(func.count(Expense.id)).where(Expense.owner_id == Category.owner_id).scalar_subquery(),
    ).where(Category.owner_id == _OWNER),
    "an outer join by the owner": select(Category.name)
    .outerjoin(Expense, (Expense.owner_id == Category.owner_id) & (Expense.category_id == Category.id))
    .where(Category.owner_id == _OWNER),
    "a union": union_all(select(Expense.id).where(_MINE), select(Category.id).where(Category.owner_id == _OWNER)),
    "a deletion": delete(Expense).where(_MINE, Expense.id == 0),
    "a subquery": select(select(Expense.owner_id, Expense.id).where(_MINE).subquery()),
    "users": select(User.id).where(User.id == 1),
    "nothing": text("SELECT 1"),
}


@pytest.mark.parametrize("statement", OWNED.values(), ids=OWNED)
async def test_a_statement_that_says_whose_is_not(app: FastAPI, statement: Executable) -> None:
    async with app.state.services.database.pools[1].engine.connect() as connection:
        assert await connection.execute(statement)


# --- who knows a token ------------------------------------------------------------------------------------------------

_HASH: BindParameter[str] = bindparam("token_hash", "0" * 64)
_KNOWN = PersonalToken.token_hash == _HASH
_ALIAS = aliased(PersonalToken)
UNKNOWN: dict[str, Executable] = {
    "nothing at all": select(PersonalToken.id),
    "the id": select(PersonalToken.owner_id).where(PersonalToken.id == _THIS),
    "a hash by itself": select(PersonalToken.owner_id).where(PersonalToken.token_hash == "0" * 64),
    "a hash of another name": select(PersonalToken.owner_id).where(PersonalToken.token_hash == bindparam("hash", "0")),
    "a hash that is called owner": select(PersonalToken.id).where(PersonalToken.token_hash == bindparam("owner", "0")),
    "an owner that is called a hash": select(PersonalToken.id).where(
        PersonalToken.owner_id == bindparam("token_hash", 1)
    ),
    "an id that is called a hash": select(PersonalToken.owner_id).where(PersonalToken.id == bindparam("token_hash", 1)),
    "a name that is called a hash": select(PersonalToken.id).where(PersonalToken.name == _HASH),
    "another hash": select(PersonalToken.owner_id).where(PersonalToken.token_hash != _HASH),
    "a hash or more": select(PersonalToken.owner_id).where(PersonalToken.token_hash >= _HASH),
    "a hash like it": select(PersonalToken.owner_id).where(PersonalToken.token_hash.like(_HASH)),
    "one of some hashes": select(PersonalToken.owner_id).where(PersonalToken.token_hash.in_([_HASH, "1"])),
    "not the hash": select(PersonalToken.owner_id).where(not_(_KNOWN)),
    "not the hash, twice": select(PersonalToken.owner_id).where(not_(and_(_KNOWN, _KNOWN))),
    "the hash or any": select(PersonalToken.owner_id).where(or_(_KNOWN, PersonalToken.name == "x")),
    "the hash in a function": select(PersonalToken.id).where(func.lower(PersonalToken.token_hash) == _HASH),
    "the hash of another token": select(PersonalToken.owner_id).where(
        _ALIAS.token_hash == _HASH, _ALIAS.id != PersonalToken.id
    ),
    "the hash of another's alias": select(_ALIAS.owner_id).where(_KNOWN, _ALIAS.id == PersonalToken.id),
    "two hashes that are equal": select(PersonalToken.owner_id).where(
        PersonalToken.token_hash == RefreshToken.token_hash, RefreshToken.token_hash == _HASH
    ),
    "the hash of a subquery's": select(PersonalToken.owner_id).where(
        PersonalToken.id.in_(select(_ALIAS.id).where(_ALIAS.token_hash == _HASH))
    ),
    "a join by the id alone": select(Expense.amount).join(PersonalToken, PersonalToken.id == Expense.id).where(_KNOWN),
    "a table beside it": select(Expense.id, PersonalToken.id).where(_KNOWN, Expense.id == PersonalToken.id),
    "a session by its id": select(Session.sid)
    .join(RefreshToken, RefreshToken.session_id == Session.id)
    .where(RefreshToken.token_hash == _HASH),
    "the missing side of an outer join": select(PersonalToken.id).outerjoin(
        LedgerState, and_(LedgerState.owner_id == PersonalToken.owner_id, _KNOWN)
    ),
    "an update of another's": update(Expense).values(amount=1).where(exists().where(_KNOWN)),
    "an update to the hash": update(PersonalToken).values(token_hash=_HASH).where(PersonalToken.id == _THIS),
    "a deletion of the others": delete(PersonalToken).where(PersonalToken.token_hash != _HASH),
    "one half of a union": union_all(select(PersonalToken.id).where(_KNOWN), select(PersonalToken.id)),
}


@pytest.mark.parametrize("engine", [0, 1], ids=["to write", "to read"])
@pytest.mark.parametrize("statement", UNKNOWN.values(), ids=UNKNOWN)
async def test_a_statement_that_does_not_find_by_the_hash_is_refused(
    app: FastAPI, statement: Executable, engine: int
) -> None:
    async with app.state.services.database.pools[engine].engine.connect() as connection:
        with pytest.raises(UnownedStatement):
            await connection.execute(statement)


KNOWN: dict[str, Executable] = {
    "the hash": select(PersonalToken.owner_id).where(_KNOWN),
    "the hash, the other way round": select(PersonalToken.owner_id).where(eq(_HASH, PersonalToken.token_hash)),
    "the hash and more": select(PersonalToken.owner_id).where(_KNOWN, or_(PersonalToken.name == "x", true())),
    "the hash of a refresh token": select(RefreshToken.owner_id).where(RefreshToken.token_hash == _HASH),
    "an alias": select(_ALIAS.owner_id).where(_ALIAS.token_hash == _HASH),
    "a join by the owner": select(User.currency, LedgerState.revision)
    .join(PersonalToken, PersonalToken.owner_id == User.id)
    .join(LedgerState, LedgerState.owner_id == PersonalToken.owner_id)
    .where(_KNOWN),
    "an outer join that the hash is in": select(User.id).outerjoin(
        PersonalToken, and_(PersonalToken.owner_id == User.id, _KNOWN)
    ),
    "a subquery": select(User.id).where(User.id.in_(select(PersonalToken.owner_id).where(_KNOWN))),
    "a deletion": delete(PersonalToken).where(_KNOWN),
    "an update": update(PersonalToken).values(name="x").where(_KNOWN),
}


@pytest.mark.parametrize("statement", KNOWN.values(), ids=KNOWN)
async def test_a_statement_that_finds_by_the_hash_is_the_owners(app: FastAPI, statement: Executable) -> None:
    async with app.state.services.database.pools[0].engine.connect() as connection:
        assert await connection.execute(statement)
        await connection.rollback()
