"""Reads texts as files of a bank, for tests of readers.

reading = read("Date,Text,Amount\n2026-03-01,Coffee,-2.50\n2026-03-02,Bread,-3.10")
list_rows(reading)      # ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]
"""

from ledger.transfer.readers.drafts import Draft, Reading
from ledger.transfer.readers.formats import detect_format
from ledger.transfer.readers.reading import Request, read_file


def read(content: str | bytes, *, currency: str = "EUR", profile: str | None = None, **options: object) -> Reading:
    """Read a file with these options, for a user with this currency."""
    data = content.encode() if isinstance(content, str) else content
    return read_file(data, detect_format(data), Request(currency=currency, options=options, profile=profile))


def list_rows(reading: Reading) -> list[str]:
    """Return the rows that become expenses: day, amount and currency of each."""
    return [_write(draft) for draft in reading.drafts if draft.status == "read"]


def list_all_rows(reading: Reading) -> list[str]:
    """Return all rows: status, and day, amount and currency where they were read, or the reason."""
    return [f"{draft.reason or draft.status} {_write(draft)}".strip() for draft in reading.drafts]


def list_options(reading: Reading) -> list[str]:
    """Return the options that are asked for."""
    return [question.option for question in reading.questions]


def list_details(reading: Reading) -> list[str]:
    """Return the sentences that say what is wrong with rows."""
    return [error.detail for draft in reading.drafts for error in draft.errors]


def _write(draft: Draft) -> str:
    return " ".join(it for it in (draft.date, draft.amount, draft.currency) if it)
