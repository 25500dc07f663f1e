"""Schemas of imports and of their profiles."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from infra.uploaded_files import UploadedFile
from ledger.transfer.choices import Choices
from ledger.transfer.option_schemas import ImportOptions
from ledger.transfer.readers.entries import MAX_ENTRIES
from ledger.transfer.rows import RowReason, RowStatus
from schemas import ListTotal
from values.field_errors import invalid_value
from values.fields import AmountText, BooleanParameter, CurrencyCode, Omittable, RevisionNumber, WholeNumber
from values.shapes import OMITS_DEFAULTS, RequestModel, ResponseModel, with_example
from values.text_fields import CategoryName, make_line_validator
from values.texts import NAME_LENGTH, SOURCE_LENGTH, make_name_key

SourceName = Annotated[
    str, AfterValidator(make_line_validator(0, SOURCE_LENGTH, make_name_key)), Field(max_length=SOURCE_LENGTH)
]


def _refuse_paths(name: str) -> str:
    """Return a name that is one segment of a path; raise a validation error for another, such as `a/b`."""
    if "/" in name or name in {".", ".."}:
        raise invalid_value("malformed", "Leave out the slash: the name is a part of the profile's path.")
    return name


ProfileName = Annotated[CategoryName, AfterValidator(_refuse_paths)]
# A field that is left blank is none.
ProfileField = Annotated[ProfileName, WithJsonSchema({"type": "string", "maxLength": NAME_LENGTH})]

_OPTIONS: Final[dict[str, JsonValue]] = {"date_order": "DMY", "decimal": ","}
_COUNTS: Final[dict[str, JsonValue]] = {
    "rows": 120,
    "new": 97,
    "existing": 20,
    "linked": 0,
    "skipped": 3,
    "refused": 0,
    "open": 0,
}
_IMPORT: Final[dict[str, JsonValue]] = {
    "id": 12,
    "revision": 41,
    "format": "csv",
    "profile": "ing-nl",
    "source": "NL01INGB0001234567",
    "options": _OPTIONS,
    "counts": _COUNTS,
    "totals": [{"currency": "EUR", "total": "1234.56", "count": 97}],
    "created_at": "2026-11-22T13:23:00Z",
}


class ImportForm(RequestModel):
    """A file to import, and how."""

    file: UploadedFile = Field(
        description="CSV and its kin, XLSX, OFX or QFX, QIF, CAMT.053, MT940, or an export or archive of this "
        "service; at most 20 MiB and 50,000 rows, of an archive 100,000 expenses."
    )
    dry_run: BooleanParameter = Field(default=False, description="Only preview: nothing is written.")
    profile: Omittable[ProfileField] = Field(default=None, description="The name of a profile, ours or your own.")
    options: Omittable[ImportOptions] = Field(default=None, description="`ImportOptions` as JSON.")
    source: Omittable[SourceName] = Field(
        default=None,
        description="Which account the file is of, in your own words; unless given, what the file says, such as an "
        "IBAN. `unnamed`: the account that you have given no name.",
    )
    rows: WholeNumber = Field(
        default=100, ge=0, le=MAX_ENTRIES, description="How many rows to show; refused and open ones always are."
    )

    model_config = with_example(file="statement.csv", dry_run=True, options=_OPTIONS, source="Checking", rows=100)

    def build_choices(self, options: ImportOptions) -> Choices:
        """Return what to do with the rows; `options` are those of the form with those of the profile."""
        return Choices(
            source=self.source,
            dry_run=self.dry_run,
            rows=self.rows,
            on_match=options.on_match,
            lines={int(number): choice for number, choice in (options.lines or {}).items()},
            deleted=options.deleted or "keep",
            skip_refused=bool(options.skip_refused),
        )


@dataclass(slots=True)
class RowProblem:
    """What is wrong with a row of the file."""

    column: str | None
    code: str
    detail: str


@dataclass(slots=True)
class RowExpense:
    """The expense that a row describes."""

    amount: AmountText
    currency: CurrencyCode
    date: date
    category: str | None
    payee: str | None
    description: str | None
    tags: list[str]
    external_id: str | None


@dataclass(slots=True)
class ImportRow:
    """A row of the file, and what becomes of it."""

    # A dataclass, because an answer may have 50,000 of these.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(json_schema_serialization_defaults_required=True)

    number: Annotated[int, Field(description="Counted from 1; the option `lines` means this.")]
    line: Annotated[int, Field(description="The line of the file at which the row begins.")]
    status: RowStatus
    reason: RowReason | None
    source: Annotated[str | None, Field(description="In a file of several accounts, the one of this row.")]
    expense: RowExpense | None
    expense_id: Annotated[int | None, Field(description="The expense that the row is, if it is there.")]
    matches: Annotated[list[int], Field(description="Ids of expenses that look like the row, at most 20.")]
    errors: list[RowProblem]


class Question(ResponseModel):
    """What the file does not prove; `option` names the option that answers it, or the field `source`."""

    option: str
    choices: list[JsonValue]
    detail: str


class ImportCounts(ResponseModel):
    """How many rows of the file have each status."""

    rows: int
    new: int
    existing: int
    linked: int
    skipped: int
    refused: int
    open: int


class ArchivedCount(ResponseModel):
    """How many rows of a kind an archive has, and how many of them were new here."""

    rows: int
    new: int


class ArchivedCounts(ResponseModel):
    """What an archive holds beside expenses."""

    categories: ArchivedCount
    tags: ArchivedCount
    budgets: ArchivedCount
    profiles: ArchivedCount
    imports: ArchivedCount
    trash: ArchivedCount


class _ImportFacts(ResponseModel):
    id: int | None
    revision: int | None
    format: str
    profile: str | None
    source: str | None = Field(description="The account; null if nobody says, or if the file is of several.")
    options: dict[str, JsonValue] = Field(description="What the reading came to; it can be sent back.")
    counts: ImportCounts
    totals: list[ListTotal] = Field(description="Sums of the new rows, your own currency first.")


class Import(_ImportFacts):
    """A file that was imported."""

    id: int
    revision: RevisionNumber
    created_at: datetime

    model_config = with_example(**_IMPORT)


class ImportAnswer(_ImportFacts):
    """What an import did or, in a preview, would do; `id` is null in a preview, and if nothing was new or linked."""

    created_at: datetime | None
    rows: list[ImportRow]
    questions: list[Question]
    archive: ArchivedCounts | None = Field(description="Of an archive of this service, what else it holds; else null.")

    model_config = with_example(**_IMPORT, rows=[], questions=[], archive=None)


class ImportList(ResponseModel):
    """One page of imports; `next_cursor` is null on the last."""

    items: list[Import]
    next_cursor: str | None
    count: int | SkipJsonSchema[None] = Field(
        default=None, description="Number of all imports; only with `with_count=true`."
    )

    model_config = OMITS_DEFAULTS


class UndoQuery(RequestModel):
    """What becomes of expenses that were changed since their import."""

    keep_changed: BooleanParameter = Field(
        default=False, description="Keep the expenses whose own fields were changed since."
    )


class ImportUndone(ResponseModel):
    """What the undoing of an import did."""

    deleted: int = Field(description="Number of its expenses that are deleted for good.")
    kept: int = Field(description="Number of its expenses that stay, because they were changed.")
    unlinked: int = Field(description="Number of linked expenses, which stay as they are.")
    revision: RevisionNumber

    model_config = with_example(deleted=95, kept=2, unlinked=0, revision=42)


class ImportProfile(ResponseModel):
    """Options of imports under a name."""

    name: str
    kind: Literal["built_in", "own"] = Field(description="Whether the service brings it, or it is your own.")
    options: dict[str, Any]
    created_at: datetime | None
    updated_at: datetime | None

    model_config = with_example(
        name="my bank",
        kind="own",
        options=_OPTIONS,
        created_at="2026-11-22T13:23:00Z",
        updated_at="2026-11-22T13:23:00Z",
    )


class ImportProfileList(ResponseModel):
    """All profiles: your own, then those of the service, each by name."""

    items: list[ImportProfile]
    next_cursor: None = None
