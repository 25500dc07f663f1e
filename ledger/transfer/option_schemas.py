"""The options of an import, as a client sends them and as a profile keeps them."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from values.fields import Currency
from values.shapes import RequestModel, with_example
from values.text_fields import NON_BLANK_TEXT_PATTERN, CategoryName, make_text_validator

LONGEST_NAME: Final = 200
"""The name of a column, sheet, account or person in a file."""
MAX_LINES: Final = 1_000
FileName = Annotated[
    str,
    AfterValidator(make_text_validator(1, LONGEST_NAME)),
    Field(json_schema_extra={"pattern": NON_BLANK_TEXT_PATTERN, "minLength": 1, "maxLength": LONGEST_NAME}),
]
Encoding = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
Column = FileName | Annotated[int, Field(ge=1, le=16_384)] | None
Meaning = Literal["out", "in", "transfer", "pending", "failed", "skip", "booked"]
RowNumber = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}$")]
ExpenseId = Annotated[int, Field(ge=1, le=2**63 - 1)]


_DOTTED: Final = "columns."
_COLUMNS: Final[dict[str, JsonValue]] = {"date": "Datum", "description": ["Text", 7]}


def _describe_column(what: str) -> Any:  # noqa: ANN401  # what Field returns
    return Field(default=None, description=what)


class ImportColumns(RequestModel):
    """The columns of a table, each by its header or its number from 1; null takes one that was detected away."""

    date: Column = _describe_column("The day.")
    amount: Column = _describe_column("The amount; or else `debit` and `credit`.")
    debit: Column = _describe_column("What was spent.")
    credit: Column = _describe_column("What came in.")
    direction: Column = _describe_column("The word or the sign that says whether money came in or went out.")
    fee: Column = _describe_column("A fee beside the amount.")
    currency: Column = _describe_column("The currency.")
    payee: Column = _describe_column("Who was paid.")
    description: Column | Annotated[list[Column], Field(max_length=50)] = _describe_column(
        "The description; several columns are joined."
    )
    category: Column = _describe_column("The category.")
    subcategory: Column = _describe_column("The category within `category`.")
    tags: Column = _describe_column("The tags, separated by commas.")
    external_id: Column = _describe_column("Your own id of the expense.")
    bank_id: Column = _describe_column("The bank's own id, by which the row is known again.")
    account: Column = _describe_column("The account, in a file of several.")
    type: Column = _describe_column("The kind of the row, such as a transfer.")
    status: Column = _describe_column("Whether the row is booked, pending or failed.")

    model_config = with_example(**_COLUMNS)


class ImportOptions(RequestModel):
    """How a file is read and what becomes of its rows; what an answer shows can be sent back."""

    encoding: Encoding | None = Field(
        default=None, description="The encoding of a text file, such as `utf-8` or `cp1252`."
    )
    delimiter: Literal[",", ";", "\t", "|"] | None = Field(default=None, description="What separates the columns.")
    sheet: Column = Field(default=None, description="The sheet of a workbook, by its name or its number from 1.")
    header_line: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="The line of the header, from 1; 0: there is none."
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="The decimal mark, for numbers that do not show it themselves."
    )
    date_order: Literal["YMD", "DMY", "MDY"] | None = Field(
        default=None, description="The order of day, month and year."
    )
    year: Annotated[int, Field(ge=1900, le=2199)] | None = Field(
        default=None, description="The year in which the statement ends, if its dates have none."
    )
    currency: Currency | None = Field(default=None, description="The currency of rows that name none.")
    category: CategoryName | None = Field(default=None, description="The category of rows that name none.")
    columns: ImportColumns | None = Field(
        default=None,
        description="Columns, which replace those that were detected. The name of one may also stand beside the other "
        "options as a question names it: `columns.amount`.",
    )
    sign: Literal["minus_is_spent", "plus_is_spent", "flag", "columns"] | None = Field(
        default=None,
        description="What was spent: negative amounts, positive ones, those that `direction` says, or the column "
        "`debit`.",
    )
    meanings: Annotated[dict[FileName, Meaning], Field(max_length=100)] | None = Field(
        default=None, description="What the words in `direction`, `type` and `status` mean."
    )
    incoming: Literal["skip", "refund"] | None = Field(
        default=None, description="Money that came in is left out, or is a refund."
    )
    transfers: Literal["skip", "import"] | None = Field(
        default=None, description="Transfers between accounts of your own are left out, or imported."
    )
    fees: Literal["included", "separate", "add"] | None = Field(
        default=None, description="Fees are in the amount already, become expenses of their own, or are added to it."
    )
    splits: Literal["whole", "parts"] | None = Field(
        default=None, description="An entry that is split among categories becomes one expense, or one for each part."
    )
    person: FileName | None = Field(default=None, description="Whose share counts, in an export of Splitwise.")
    accounts: Annotated[list[FileName], Field(max_length=100)] | None = Field(
        default=None, description="Which of the file's accounts are imported."
    )
    on_match: Literal["report", "link", "skip"] | None = Field(
        default=None,
        description="What becomes of a row that looks like an expense that is there: it is new all the same, it is "
        "that expense, or it is left out. Unless given, `report`; but if the expense was imported for the same "
        "account in another way, you are asked, even if you have changed or deleted it since. A row that is linked to "
        "a deleted expense stays deleted.",
    )
    lines: Annotated[dict[RowNumber, Literal["skip", "new"] | ExpenseId], Field(max_length=MAX_LINES)] | None = Field(
        default=None,
        description="For single rows, by their number: `skip`, `new`, or the id of the expense that the row is.",
    )
    deleted: Literal["keep", "import"] | None = Field(
        default=None,
        description="Rows whose expense you have deleted stay deleted, or are imported again; then the "
        "old one leaves the trash for good.",
    )
    skip_refused: bool | None = Field(default=None, description="Import the other rows although some are refused.")

    @model_validator(mode="before")
    @classmethod
    def _move_dotted_names(cls, sent: object) -> object:
        """Move `columns.amount`, as a question names the option, into `columns`."""
        if not isinstance(sent, dict) or not isinstance(sent.get("columns", {}), dict | None):
            return sent
        dotted = {name: value for name, value in sent.items() if isinstance(name, str) and name.startswith(_DOTTED)}
        if not dotted:
            return sent
        columns = {name.removeprefix(_DOTTED): value for name, value in dotted.items()}
        others = {name: value for name, value in sent.items() if name not in dotted}
        return others | {"columns": (sent.get("columns") or {}) | columns}

    model_config = with_example(date_order="DMY", decimal=",", incoming="skip", columns=_COLUMNS)

    def dump_options(self) -> dict[str, Any]:
        """Return the options that were sent, as JSON; of `columns` also those that are null."""
        sent = {name: value for name, value in self.model_dump(mode="json").items() if value is not None}
        return sent | ({"columns": self.columns.model_dump(mode="json", exclude_unset=True)} if self.columns else {})
