"""The textbook: the same operations as tutorials write them, with FastAPI and SQLAlchemy's AsyncSession.

A session per request from a dependency with yield, the user loaded through the ORM, crud functions that add, commit and
refresh, answers validated from attributes of entities, pages by offset. Where tutorials differ, the faster way is
taken: one query for user and session, one for expenses with their categories, no ping before each request.
"""

import datetime as dt
import os
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Annotated, Final

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, ForeignKey, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship

SECRET_KEY: Final = os.environ["SECRET_KEY"]

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10)
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")
app = FastAPI()


# --- models.py --------------------------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    """The base of all tables."""


class User(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    username: Mapped[str] = mapped_column(String(50))
    email: Mapped[str] = mapped_column(String(254))
    password_hash: Mapped[str] = mapped_column(String(255))
    currency: Mapped[str] = mapped_column(String(3))
    timezone: Mapped[str] = mapped_column(String(64))
    month_start_day: Mapped[int]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class UserSession(Base):
    """One sign-in."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    sid: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    user: Mapped[User] = relationship()


class Category(Base):
    """A name for expenses."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(50))
    name_key: Mapped[str] = mapped_column(String(150))
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class Payee(Base):
    """Who was paid."""

    __tablename__ = "payees"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name_key: Mapped[str] = mapped_column(String(300))
    search_key: Mapped[str] = mapped_column(String(300))


class TagSet(Base):
    """The tags that some expenses have together."""

    __tablename__ = "tag_sets"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    names: Mapped[str] = mapped_column(String(1020))


class Expense(Base):
    """An expense."""

    __tablename__ = "expenses"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    category_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"))
    payee_id: Mapped[int | None] = mapped_column(ForeignKey("payees.id"))
    tag_set_id: Mapped[int | None] = mapped_column(ForeignKey("tag_sets.id"))
    thousandths: Mapped[int] = mapped_column("amount", BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    spent_on: Mapped[dt.date]
    payee: Mapped[str | None] = mapped_column(String(100))
    payee_key: Mapped[str | None] = mapped_column(String(300))
    description: Mapped[str | None] = mapped_column(String(500))
    description_key: Mapped[str | None] = mapped_column(String(1500))
    external_id: Mapped[str | None] = mapped_column(String(64))
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    category: Mapped[Category | None] = relationship(lazy="joined")
    tag_set: Mapped[TagSet | None] = relationship(lazy="joined")

    @property
    def amount(self) -> Decimal:
        """The amount in its currency."""
        return Decimal(self.thousandths).scaleb(-3).quantize(Decimal("0.01"))

    @property
    def category_name(self) -> str | None:
        """The category's name."""
        return self.category.name if self.category else None

    @property
    def tags(self) -> list[str]:
        """The names of the tags."""
        return self.tag_set.names.split("\n") if self.tag_set else []


# --- schemas.py -------------------------------------------------------------------------------------------------------


class ExpenseCreate(BaseModel):
    """What a client sends."""

    amount: Decimal
    currency: str
    date: dt.date
    category: str | None = None
    payee: str | None = None
    description: str | None = None
    external_id: str | None = None


class ExpenseRead(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    amount: Decimal
    currency: str
    date: dt.date = Field(validation_alias="spent_on")
    category: str | None = Field(validation_alias="category_name")
    payee: str | None
    description: str | None
    tags: list[str]
    external_id: str | None
    revision: int
    created_at: dt.datetime
    updated_at: dt.datetime


# --- dependencies.py --------------------------------------------------------------------------------------------------


async def get_db() -> AsyncIterator[AsyncSession]:
    """Open a session for the request."""
    async with SessionLocal() as session:
        yield session


DB = Annotated[AsyncSession, Depends(get_db)]


async def get_current_user(db: DB, token: Annotated[str, Depends(oauth2_scheme)]) -> User:
    """Return the user of the token."""
    try:
        payload = jwt.decode(
            token, SECRET_KEY, algorithms=["HS256"], audience="expense-tracker-api", issuer="expense-tracker"
        )
    except JWTError:
        raise HTTPException(401, "Could not validate credentials") from None
    query = select(UserSession).options(joinedload(UserSession.user)).where(UserSession.sid == payload["sid"])
    session = (await db.execute(query)).scalar_one_or_none()
    if session is None or session.owner_id != int(payload["sub"]):
        raise HTTPException(401, "Could not validate credentials")
    return session.user


CurrentUser = Annotated[User, Depends(get_current_user)]


# --- crud.py ----------------------------------------------------------------------------------------------------------


async def get_expenses(db: AsyncSession, owner_id: int, skip: int, limit: int) -> Sequence[Expense]:
    """Return a page of expenses, the newest first."""
    query = (
        select(Expense)
        .where(Expense.owner_id == owner_id)
        .order_by(Expense.spent_on.desc(), Expense.id.desc())
        .offset(skip)
        .limit(limit)
    )
    return (await db.execute(query)).scalars().all()


async def get_expense(db: AsyncSession, owner_id: int, expense_id: int) -> Expense | None:
    """Return one expense."""
    query = select(Expense).where(Expense.id == expense_id, Expense.owner_id == owner_id)
    return (await db.execute(query)).scalar_one_or_none()


async def get_or_create_category(db: AsyncSession, owner_id: int, name: str) -> Category:
    """Return the category of this name."""
    query = select(Category).where(Category.owner_id == owner_id, Category.name_key == name.casefold())
    category = (await db.execute(query)).scalar_one_or_none()
    if category is None:
        instant = _utcnow()
        category = Category(
            owner_id=owner_id, name=name, name_key=name.casefold(), created_at=instant, updated_at=instant
        )
        db.add(category)
        await db.flush()
    return category


async def get_or_create_payee(db: AsyncSession, owner_id: int, name: str) -> Payee:
    """Return the payee of this name."""
    query = select(Payee).where(Payee.owner_id == owner_id, Payee.name_key == name.casefold())
    payee = (await db.execute(query)).scalar_one_or_none()
    if payee is None:
        payee = Payee(owner_id=owner_id, name_key=name.casefold(), search_key=name.casefold())
        db.add(payee)
        await db.flush()
    return payee


async def add_expense(db: AsyncSession, owner_id: int, data: ExpenseCreate) -> Expense:
    """Record an expense."""
    instant = _utcnow()
    expense = Expense(
        owner_id=owner_id,
        category=await get_or_create_category(db, owner_id, data.category) if data.category else None,
        thousandths=int(data.amount.scaleb(3)),
        currency=data.currency,
        spent_on=data.date,
        payee=data.payee,
        payee_key=data.payee and data.payee.casefold(),
        payee_id=(await get_or_create_payee(db, owner_id, data.payee)).id if data.payee else None,
        description=data.description,
        description_key=data.description and data.description.casefold(),
        external_id=data.external_id,
        created_at=instant,
        updated_at=instant,
    )
    db.add(expense)
    await db.commit()
    await db.refresh(expense)
    return expense


def _utcnow() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)


# --- main.py ----------------------------------------------------------------------------------------------------------


@app.get("/expenses", response_model=list[ExpenseRead])
async def list_expenses(db: DB, user: CurrentUser, skip: int = 0, limit: int = 50) -> Sequence[Expense]:
    """Return a page of your expenses."""
    return await get_expenses(db, user.id, skip, limit)


@app.get("/expenses/{expense_id}", response_model=ExpenseRead)
async def read_expense(db: DB, user: CurrentUser, expense_id: int) -> Expense:
    """Return one expense."""
    expense = await get_expense(db, user.id, expense_id)
    if expense is None:
        raise HTTPException(404, "Expense not found")
    return expense


@app.post("/expenses", response_model=ExpenseRead, status_code=201)
async def create_expense(db: DB, user: CurrentUser, data: ExpenseCreate) -> Expense:
    """Record an expense."""
    return await add_expense(db, user.id, data)
