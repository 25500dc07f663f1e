"""The rows of an archive by the rules of the API, except those of expenses, which are checked as rows of files are."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from ledger.budgets.schemas import BudgetCreate
from ledger.transfer.option_schemas import ImportOptions
from ledger.transfer.schemas import ProfileName, SourceName
from ledger.transfer.sources import OWN_EXPORT, make_source_key
from models import MAX_IMPORTED_ROWS, ROW_KEY_LENGTH
from schemas import CategoryCreate
from values.field_errors import invalid_value
from values.fields import LARGEST_ID, Amount, Currency, Day, Instant
from values.shapes import RequestModel
from values.text_fields import UniqueName

RowId = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Count = Annotated[int, Field(ge=0, le=MAX_IMPORTED_ROWS)]
Total = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,20}(\.[0-9]{1,3})?$")]
_KEY: Final = r"^[bf][0-9a-f]{64}$"


def _check_source_key(value: str) -> str:
    if value != OWN_EXPORT and (make_source_key(value) != value or not value.isprintable()):
        raise invalid_value("malformed", "This is no account that this service knows rows of.")
    return value


class _Dated(RequestModel):
    id: RowId
    created_at: Instant
    updated_at: Instant


class ArchivedCategory(_Dated, CategoryCreate):
    """A category."""

    archived: bool


class ArchivedTag(_Dated):
    """A tag."""

    name: UniqueName


class ArchivedBudget(_Dated, BudgetCreate):
    """A budget."""

    currency: Currency


class ArchivedProfile(RequestModel):
    """Options of imports that are kept."""

    name: ProfileName
    options: ImportOptions
    created_at: Instant
    updated_at: Instant


class _Counts(RequestModel):
    rows: Count
    new: Count
    existing: Count
    linked: Count
    skipped: Count
    refused: Count
    open: Count


class _Total(RequestModel):
    currency: Currency
    total: Total
    count: Count


class ArchivedImport(RequestModel):
    """A file that was imported."""

    id: RowId
    format: Literal["csv", "xlsx", "ofx", "qif", "camt", "mt940", "ndjson"]
    profile: ProfileName | None
    source: SourceName | None
    options: dict[str, JsonValue]
    counts: _Counts
    totals: Annotated[list[_Total], Field(max_length=200)]
    created_at: Instant


class ArchivedKnownRow(RequestModel):
    """A row of a file that is known."""

    source: Annotated[str, AfterValidator(_check_source_key)]
    key: Annotated[str, StringConstraints(pattern=_KEY, max_length=ROW_KEY_LENGTH)]
    occurrence: Annotated[int, Field(ge=1, le=MAX_IMPORTED_ROWS)]
    expense_id: RowId | None
    import_id: RowId | None
    linked: bool
    revived: bool
    date: Day
    amount: Amount
    currency: Currency
