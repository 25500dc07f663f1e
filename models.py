"""The tables. Every row belongs to exactly one user, its owner, except in `users`, `invites` and `attempts`.

    users --- ledgers              the lock row: revision, and how much the ledger holds
          |-- sessions ---- refresh_tokens
          |-- personal_tokens, familiar_networks
          |-- categories -- categories                    a parent, by (owner_id, parent_id)
          |              `- expenses, trash, budgets      by (owner_id, category_id)
          |-- payees ------ expenses, trash               by (owner_id, payee_id)
          |-- tag_sets ---- expenses, trash               by (owner_id, tag_set_id)
          |-- imports ----- expenses, trash, imported_rows    by (owner_id, import_id)
          |-- import_profiles      options of imports that a user keeps
          |-- tags                 whose ids and names a tag set has
          |-- tombstones           deletions, for clients with a copy
          `-- remembered_answers   for an Idempotency-Key
    invites                        codes for registering
    attempts                       counters of the throttle

Foreign keys do not cascade.
"""

from datetime import date, datetime
from typing import Annotated

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UnaryExpression,
    UniqueConstraint,
    and_,
    bindparam,
    text,
)
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from database import Base, now
from infra.column_types import BigId, UtcDateTime
from infra.ownership import UNARY_PLUS
from values.texts import (
    DESCRIPTION_LENGTH,
    EMAIL_LENGTH,
    EXTERNAL_ID_LENGTH,
    KEY_GROWTH,
    MAX_TAGS_OF_EXPENSE,
    NAME_LENGTH,
    PAYEE_LENGTH,
    SOURCE_LENGTH,
)

# Binary collation everywhere; for case-insensitive search and uniqueness there is a normalized key column.
TABLE_ARGS = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}
# Without this, SQLite uses the highest id again after its row was deleted.
NUMBERED_TABLE_ARGS = TABLE_ARGS | {"sqlite_autoincrement": True}

MAX_CATEGORIES = 1_000
MAX_TAGS = 1_000
MAX_TAG_SETS = 10_000
MAX_BUDGETS = 1_000
MAX_IMPORT_PROFILES = 100
MAX_IMPORTED_ROWS = 2_000_000
FORMAT_LENGTH = 16
# A letter that says by what a row is known, and a SHA-256 in hexadecimal.
ROW_KEY_LENGTH = 1 + 64
IDEMPOTENCY_KEY_LENGTH = 255
SHA256_HEX_LENGTH = 64
# The digits of the largest id.
ID_LENGTH = 19
USER_AGENT_LENGTH = 255
# The longest form of an address: IPv6 with an IPv4 address at its end.
ADDRESS_LENGTH = 45

Id = Annotated[int, mapped_column(BigId, primary_key=True, sort_order=-2)]
CurrencyCode = Annotated[str, mapped_column(String(3))]
Revision = Annotated[int, mapped_column(BigInteger)]
"""The number of the transaction that last touched the row, counted per owner."""
Thousandths = Annotated[int, mapped_column(BigInteger)]
"""An amount in thousandths of its currency's unit, whatever the currency."""
Name = Annotated[str, mapped_column(String(NAME_LENGTH))]
NameKey = Annotated[str, mapped_column(String(NAME_LENGTH * KEY_GROWTH))]
PayeeKey = Annotated[str, mapped_column(String(PAYEE_LENGTH * KEY_GROWTH))]


class Identified:
    """A row with an id, which is never used again."""

    id: Mapped[Id]


class Owned:
    """A row that belongs to one user; statements must name the owner (infra.ownership)."""

    @declared_attr
    def owner_id(cls) -> Mapped[int]:  # noqa: N805
        """The id of the user to whom the row belongs."""
        return mapped_column(BigId, ForeignKey("users.id"), sort_order=-1)

    @classmethod
    def mine(cls) -> ColumnElement[bool]:
        """Return the condition that the row belongs to `:owner`, who is given when the statement is executed."""
        return cls.owner_id == bindparam("owner")


class Timestamped:
    """A row with the instants of its creation and last change."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, sort_order=1)


class User(Identified, Timestamped, Base):
    """An account."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("username_key"), UniqueConstraint("email_key"), NUMBERED_TABLE_ARGS)

    username: Mapped[Name]
    username_key: Mapped[NameKey]
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    email_key: Mapped[str] = mapped_column(String(EMAIL_LENGTH * KEY_GROWTH))
    password_hash: Mapped[str] = mapped_column(String(255))
    currency: Mapped[CurrencyCode]
    timezone: Mapped[str] = mapped_column(String(64))
    month_start_day: Mapped[int] = mapped_column(Integer)


class LedgerState(Owned, Base):
    """The ledger's lock row: its revision, and how much the ledger holds, counted by each write."""

    __tablename__ = "ledgers"
    __table_args__ = TABLE_ARGS

    owner_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    revision: Mapped[Revision] = mapped_column(server_default=text("0"))
    expense_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """The number of expenses that are not deleted; counting up to 1,000,000 before each insert would be slow."""
    text_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The bytes (UTF-8) of the texts of expenses, those in the trash included, and of payees and tag sets.

    The options of imports and of their profiles count too.
    """
    trash_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """The number of rows in the trash, the expired ones included."""
    answer_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """What the stored answers take, the expired ones included; `ledger.quotas` measures it."""
    imported_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """The number of rows of files that are known."""
    swept_on: Mapped[date] = mapped_column(Date, server_default=text("'1970-01-01'"))
    """The day (UTC) on which expired rows were last deleted."""


class Session(Identified, Owned, Base):
    """A sign-in; its access tokens are valid only while this row exists."""

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("sid"), Index(None, "owner_id", "expires_at"), NUMBERED_TABLE_ARGS)

    sid: Mapped[str] = mapped_column(String(32))
    """128 random bits in hexadecimal; access tokens contain it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime, server_default=text("'1970-01-01 00:00:00'"))
    """When it was opened or last refreshed."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    user_agent: Mapped[str | None] = mapped_column(String(USER_AGENT_LENGTH))
    """The client's User-Agent at `last_used_at`."""
    ip: Mapped[str | None] = mapped_column(String(ADDRESS_LENGTH))
    """The client's IP address at `last_used_at`."""
    generation: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """The number of its newest refresh token."""


class RefreshToken(Owned, Base):
    """A refresh token of a session, kept until the session ends, so that its reuse is noticed."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "owner_id", "session_id"), TABLE_ARGS)

    token_hash: Mapped[str] = mapped_column(String(SHA256_HEX_LENGTH), primary_key=True)
    session_id: Mapped[int] = mapped_column(BigId, ForeignKey("sessions.id"))
    generation: Mapped[int] = mapped_column(Integer)
    """Its number among the session's refresh tokens, from 0."""


class PersonalToken(Identified, Owned, Base):
    """A personal access token, which a user created for a script."""

    __tablename__ = "personal_tokens"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "owner_id", "id"), NUMBERED_TABLE_ARGS)

    name: Mapped[Name]
    scope: Mapped[str] = mapped_column(String(5))
    token_hash: Mapped[str] = mapped_column(String(SHA256_HEX_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FamiliarNetwork(Owned, Base):
    """A network from which a user has signed in; failed attempts from elsewhere do not lock the user out there."""

    __tablename__ = "familiar_networks"
    __table_args__ = TABLE_ARGS

    owner_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    network: Mapped[str] = mapped_column(String(ADDRESS_LENGTH), primary_key=True)
    """An IPv4 address, or the first 64 bits of an IPv6 address."""
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Invite(Base):
    """A code with which one account can be registered; the row is deleted when it is used."""

    __tablename__ = "invites"
    __table_args__ = TABLE_ARGS

    code_hash: Mapped[str] = mapped_column(String(SHA256_HEX_LENGTH), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AttemptCounter(Base):
    """The counted attempts of one subject of the throttle, such as a name at a network."""

    __tablename__ = "attempts"
    __table_args__ = (Index(None, "expires_at"), TABLE_ARGS)

    subject: Mapped[str] = mapped_column(String(SHA256_HEX_LENGTH), primary_key=True)
    """HMAC-SHA-256 of the subject in hexadecimal, so that the table reveals neither names nor addresses."""
    instants: Mapped[str] = mapped_column(Text)
    """The instants of the attempts: Unix time in whole seconds, separated by spaces, the oldest first."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Category(Identified, Owned, Timestamped, Base):
    """A category of expenses."""

    __tablename__ = "categories"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "parent_id"], ["categories.owner_id", "categories.id"]),
        UniqueConstraint("owner_id", "name_key"),
        UniqueConstraint("owner_id", "id"),
        Index(None, "owner_id", "parent_id"),
        Index(None, "owner_id", "revision", "id"),
        NUMBERED_TABLE_ARGS,
    )

    name: Mapped[Name]
    name_key: Mapped[NameKey]
    parent_id: Mapped[int | None] = mapped_column(BigId)
    """The category that this one is a part of, which has no parent itself."""
    color: Mapped[str | None] = mapped_column(String(7))
    archived: Mapped[bool] = mapped_column(server_default=text("0"))
    revision: Mapped[Revision]


class Payee(Identified, Owned, Base):
    """Who was paid, whatever the case of the name; each expense has the name as it was written."""

    __tablename__ = "payees"
    __table_args__ = (
        UniqueConstraint("owner_id", "name_key"),
        UniqueConstraint("owner_id", "id"),
        # Has all that a search reads.
        Index(None, "owner_id", "search_key"),
        NUMBERED_TABLE_ARGS,
    )

    name_key: Mapped[PayeeKey]
    search_key: Mapped[PayeeKey]


class Tag(Identified, Owned, Timestamped, Base):
    """A tag of expenses."""

    __tablename__ = "tags"
    __table_args__ = (
        UniqueConstraint("owner_id", "name_key"),
        Index(None, "owner_id", "revision", "id"),
        NUMBERED_TABLE_ARGS,
    )

    name: Mapped[Name]
    name_key: Mapped[NameKey]
    revision: Mapped[Revision]


class TagSet(Identified, Owned, Base):
    """The tags that some expenses have together; `ledger.tags.sets` says how it is written."""

    __tablename__ = "tag_sets"
    __table_args__ = (UniqueConstraint("owner_id", "tag_ids"), UniqueConstraint("owner_id", "id"), NUMBERED_TABLE_ARGS)

    tag_ids: Mapped[str] = mapped_column(String(MAX_TAGS_OF_EXPENSE * (ID_LENGTH + 1) + 1))
    """The ids of the tags in ascending order, each between slashes: /3/17/."""
    names: Mapped[str] = mapped_column(String(MAX_TAGS_OF_EXPENSE * (NAME_LENGTH + 1)))
    """The names of the tags in the order in which they are shown, a line for each."""


LongText = Annotated[str, mapped_column(Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb"))]


class Import(Identified, Owned, Base):
    """A file that was imported; the row is deleted when the import is undone."""

    __tablename__ = "imports"
    __table_args__ = (UniqueConstraint("owner_id", "id"), NUMBERED_TABLE_ARGS)

    source: Mapped[str | None] = mapped_column(String(SOURCE_LENGTH))
    """The account that the file is of; null if nobody says, or if it is of several."""
    format: Mapped[str] = mapped_column(String(FORMAT_LENGTH))
    profile: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    options: Mapped[LongText]
    """JSON, as are `counts` and `totals`."""
    counts: Mapped[LongText]
    totals: Mapped[LongText]
    revision: Mapped[Revision]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ImportedRow(Identified, Owned, Base):
    """A row of a file that is known: it is not imported again, also when its expense is deleted for good."""

    __tablename__ = "imported_rows"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "import_id"], ["imports.owner_id", "imports.id"]),
        UniqueConstraint("owner_id", "row_key", "source", "occurrence"),
        Index(None, "owner_id", "source", "spent_on", "row_key"),
        Index(None, "owner_id", "expense_id"),
        Index(None, "owner_id", "import_id"),
        NUMBERED_TABLE_ARGS,
    )

    source: Mapped[str] = mapped_column(String(SOURCE_LENGTH * KEY_GROWTH))
    """The key of the account, as `ledger.transfer.sources` makes it; empty if nobody says which one it is."""
    row_key: Mapped[str] = mapped_column(String(ROW_KEY_LENGTH))
    """By what the row is known: the bank's own id, or all that the file says of it."""
    occurrence: Mapped[int] = mapped_column(Integer)
    """Its number among the equal rows of the source, from 1."""
    expense_id: Mapped[int | None] = mapped_column(BigId)
    """The expense that the row is, which may be deleted; no foreign key, because the row outlives it."""
    import_id: Mapped[int | None] = mapped_column(BigId)
    """The import that made it known; null if that was undone and the row stays known."""
    linked: Mapped[bool] = mapped_column(server_default=text("0"))
    """Whether the expense was there before the row came."""
    revived: Mapped[bool] = mapped_column(server_default=text("0"))
    """Whether the row was known before as one that was deleted."""
    spent_on: Mapped[date] = mapped_column(Date)
    """As the file has it, and so are `amount` and `currency`; the expense may be changed."""
    amount: Mapped[Thousandths]
    currency: Mapped[CurrencyCode]


class ImportProfile(Identified, Owned, Timestamped, Base):
    """Options of imports that a user keeps under a name."""

    __tablename__ = "import_profiles"
    __table_args__ = (UniqueConstraint("owner_id", "name_key"), NUMBERED_TABLE_ARGS)

    name: Mapped[Name]
    name_key: Mapped[NameKey]
    options: Mapped[LongText]
    """JSON."""


class ExpenseColumns(Identified, Owned, Timestamped):
    """The columns of an expense, live or in the trash."""

    category_id: Mapped[int | None] = mapped_column(BigId)
    payee_id: Mapped[int | None] = mapped_column(BigId)
    tag_set_id: Mapped[int | None] = mapped_column(BigId)
    amount: Mapped[Thousandths]
    currency: Mapped[CurrencyCode]
    spent_on: Mapped[date] = mapped_column(Date)
    payee: Mapped[str | None] = mapped_column(String(PAYEE_LENGTH))
    payee_key: Mapped[PayeeKey | None]
    description: Mapped[str | None] = mapped_column(String(DESCRIPTION_LENGTH))
    description_key: Mapped[str | None] = mapped_column(String(DESCRIPTION_LENGTH * KEY_GROWTH))
    external_id: Mapped[str | None] = mapped_column(String(EXTERNAL_ID_LENGTH))
    import_id: Mapped[int | None] = mapped_column(BigId)
    edited: Mapped[bool] = mapped_column(server_default=text("0"))
    """Whether its own fields were changed since it was made; that its category or a tag was renamed is no change."""
    revision: Mapped[Revision]

    @classmethod
    def mine_by_id(cls) -> ColumnElement[bool]:
        """Return the condition that the row belongs to `:owner` and has one of `:ids`, each of which is looked up.

        The plus keeps SQLite from reading all rows of the owner instead, by an index that begins with the owner:
        https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_.
        """
        owner = UnaryExpression[int](cls.owner_id.expression, operator=UNARY_PLUS)
        return and_(owner == bindparam("owner"), cls.id.in_(bindparam("ids", expanding=True)))


def _refer_to_owned_rows() -> list[ForeignKeyConstraint]:
    # Ownership in the database: an expense cannot refer to another user's category, payee, tags or import.
    return [
        ForeignKeyConstraint(["owner_id", "category_id"], ["categories.owner_id", "categories.id"]),
        ForeignKeyConstraint(["owner_id", "payee_id"], ["payees.owner_id", "payees.id"]),
        ForeignKeyConstraint(["owner_id", "tag_set_id"], ["tag_sets.owner_id", "tag_sets.id"]),
        ForeignKeyConstraint(["owner_id", "import_id"], ["imports.owner_id", "imports.id"]),
    ]


class Expense(ExpenseColumns, Base):
    """An expense that is not deleted; each sort order of lists has an index, owner first and id last."""

    __tablename__ = "expenses"
    __table_args__ = (
        *_refer_to_owned_rows(),
        UniqueConstraint("owner_id", "external_id"),
        Index(None, "owner_id", "spent_on", "id"),
        # Has all columns of a report; the first of them are in the order in which most reports group.
        Index(
            "ix_expenses_for_reports",
            *("owner_id", "spent_on", "category_id", "currency", "amount", "payee_id", "tag_set_id"),
        ),
        Index(None, "owner_id", "amount", "id"),
        Index(None, "owner_id", "category_id", "spent_on", "id"),
        Index(None, "owner_id", "payee_id", "spent_on", "id"),
        Index(None, "owner_id", "tag_set_id", "spent_on", "id"),
        Index(None, "owner_id", "import_id", "spent_on", "id"),
        Index(None, "owner_id", "revision", "id"),
        NUMBERED_TABLE_ARGS,
    )


class TrashedExpense(ExpenseColumns, Base):
    """A deleted expense, which can be restored under its old id for TRASH_DAYS."""

    __tablename__ = "trash"
    __table_args__ = (
        *_refer_to_owned_rows(),
        UniqueConstraint("owner_id", "external_id"),
        Index(None, "owner_id", "category_id"),
        Index(None, "owner_id", "payee_id"),
        Index(None, "owner_id", "tag_set_id"),
        Index(None, "owner_id", "import_id"),
        Index(None, "owner_id", "deleted_at", "id"),
        Index(None, "owner_id", "revision", "id"),
        TABLE_ARGS,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False, sort_order=-2)
    deleted_at: Mapped[datetime] = mapped_column(UtcDateTime, sort_order=2)


class Budget(Identified, Owned, Timestamped, Base):
    """A limit of spending per week, month, quarter or year, for one category or for all spending."""

    __tablename__ = "budgets"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "category_id"], ["categories.owner_id", "categories.id"]),
        # Nulls count as different here; a second budget for all spending is prevented under the ledger's lock.
        UniqueConstraint("owner_id", "category_id", "currency", "period"),
        Index(None, "owner_id", "revision", "id"),
        NUMBERED_TABLE_ARGS,
    )

    category_id: Mapped[int | None] = mapped_column(BigId)
    """The category; null for all spending."""
    amount: Mapped[Thousandths]
    currency: Mapped[CurrencyCode]
    period: Mapped[str] = mapped_column(String(7))
    revision: Mapped[Revision]


class Tombstone(Owned, Base):
    """The deletion of an expense, category, tag or budget, for clients that keep a copy."""

    __tablename__ = "tombstones"
    __table_args__ = (Index(None, "owner_id", "revision", "row_id"), TABLE_ARGS)

    owner_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    row_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    revision: Mapped[Revision]


class RememberedAnswer(Owned, Base):
    """The stored answer of a request with an Idempotency-Key, for its repetitions."""

    __tablename__ = "remembered_answers"
    __table_args__ = (Index(None, "owner_id", "created_at"), TABLE_ARGS)

    owner_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(IDEMPOTENCY_KEY_LENGTH), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    """SHA-256, in hexadecimal, of the request's method, path, query and body."""
    status: Mapped[int] = mapped_column(Integer)
    location: Mapped[str | None] = mapped_column(String(64))
    etag: Mapped[str | None] = mapped_column(String(32))
    body: Mapped[LongText]
    """JSON or empty; text, because the driver cannot send bytes."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
