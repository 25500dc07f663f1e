"""CAMT.052, 053 and 054: the XML of ISO 20022 in which banks report on accounts, in all versions.

- An entry that holds several movements (a batch) is imported as these, if each has an amount in the entry's currency
  and they add up to the entry's; otherwise it stays one. A bank may report it without them first.
- The payee is the other side: the creditor of a debit, the debtor of a credit. In a reversal the sides are those of the
  movement that is reversed, while `CdtDbtInd` is that of the reversal itself.
- Only `BOOK` is booked; `PDNG`, `INFO` and `FUTR` entries come again when they are.

Source: ISO 20022 message definitions, Bank-to-Customer Cash Management.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from ledger.transfer.readers.bank_fields import (
    Days,
    blame_amount,
    forget_repeated_ids,
    join_texts,
    list_accounts,
    parse_iso_day,
    parse_plain_number,
    read_bank_id,
    settle_days,
    tidy,
)
from ledger.transfer.readers.camt_elements import CamtEntry, Element, parse_camt
from ledger.transfer.readers.entries import MAX_ENTRIES, Entry, RowError, Statement, TooManyEntries

_SIGNS: Final = {"CRDT": 1, "DBIT": -1}
_BOOKED: Final = {"BOOK", ""}
_PENDING: Final = {"PDNG", "INFO", "FUTR"}
_AMOUNTS: Final = ("Amt", "AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt")
_REMITTANCE: Final = ("RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/AddtlRmtInf", "AddtlTxInf")
_NAMES: Final = ("Nm", "Pty/Nm", "Agt/FinInstnId/Nm")
_NO_TEXTS: Final = {*_AMOUNTS, "CdtDbtInd", "RltdDts/TxDtTm", "Refs/AcctSvcrRef"}


def read_camt(data: bytes, _options: Mapping[str, Any]) -> Statement:
    """Read a file of CAMT; nothing in it is left to options."""
    entries: list[Entry] = []
    single: list[tuple[Entry, Days]] = []
    batches: list[tuple[Entry, Days]] = []

    def take(camt_entry: CamtEntry) -> None:
        """Add an entry, and of a batch its movements; raise TooManyEntries beyond 50,000 of both."""
        head = camt_entry.entry
        entry, days = _build_entry(camt_entry, camt_entry.details, _read_amount(head), head.line)
        movements = [*_build_movements(camt_entry)]
        if movements:
            entry.texts, entry.movements = _list_texts(head, ()), [it for it, _ in movements]
            batches.append((entry, days))
        single.extend(movements or [(entry, days)])
        entries.append(entry)
        if len(single) > MAX_ENTRIES:
            raise TooManyEntries

    statements = parse_camt(data, take)
    for some in (single, batches):
        settle_days([entry for entry, _ in some], [days for _, days in some], "BookgDt")
    for each in (entries, [entry for entry, _ in single]):
        forget_repeated_ids(each)
    return Statement(format="camt", entries=entries, accounts=list_accounts(_name_account(it) for it in statements))


def _build_movements(camt_entry: CamtEntry) -> Iterator[tuple[Entry, Days]]:
    """Yield each of the movements in an entry, if they add up to it."""
    for detail, amount in zip(camt_entry.details, _split_amount(camt_entry), strict=False):
        entry, days = _build_entry(camt_entry, [detail], amount, detail.line)
        own_id = read_bank_id(detail.get("Refs/AcctSvcrRef"))
        # The entry's is no movement's own.
        entry.bank_id = None if own_id == read_bank_id(camt_entry.entry.get("AcctSvcrRef")) else own_id
        yield entry, days


def _build_entry(
    camt_entry: CamtEntry, details: Sequence[Element], amount: Decimal | None, line: int
) -> tuple[Entry, Days]:
    """Return an entry with what these of its details say."""
    head, statement = camt_entry.entry, camt_entry.statement
    entry = Entry(
        line=line,
        amount=amount,
        currency=_get_currency(head),
        payee=_find_payee(camt_entry, details),
        description=join_texts(
            [head.get("AddtlNtryInf"), *(text for it in details for path in _REMITTANCE for text in it.list(path))]
        ),
        account=_name_account(statement),
        bank_id=_find_bank_id(head, details),
        texts=_list_texts(head, details),
    )
    status = (head.get("Sts", "Sts/Cd", "Sts/Prtry") or "").upper()
    if status in _PENDING:
        entry.skip = "pending"
    elif amount == 0:
        entry.skip = "zero"
    else:
        entry.errors.extend(_find_errors(head, status))
    return entry, _read_days(head, details)


def _find_errors(head: Element, status: str) -> Iterator[RowError]:
    if status not in _BOOKED:
        yield RowError("Sts", "unknown", "The status must be BOOK, PDNG, INFO or FUTR.")
    if head.get("CdtDbtInd") not in _SIGNS:
        yield RowError("CdtDbtInd", "unknown", "The entry must say CRDT or DBIT.")
    elif _read_amount(head) is None:
        yield blame_amount("Amt", head.get("Amt"))


def _read_amount(element: Element, path: str = "Amt", indicator: str | None = None) -> Decimal | None:
    """Return a signed amount; None without a number, or without CRDT or DBIT."""
    sign = _SIGNS.get(element.get("CdtDbtInd") or indicator or "")
    number = parse_plain_number(element.get(path) or "")
    return None if sign is None or number is None or number.is_signed() else sign * number


def _split_amount(camt_entry: CamtEntry) -> list[Decimal]:
    """Return the amounts of the movements in an entry; none unless there are several that add up to it."""
    head = camt_entry.entry
    if len(camt_entry.details) < 2:  # noqa: PLR2004
        return []
    amounts = [_read_detail_amount(head, it) for it in camt_entry.details]
    known = [it for it in amounts if it is not None]
    return known if len(known) == len(amounts) and sum(known) == _read_amount(head) else []


def _read_detail_amount(head: Element, detail: Element) -> Decimal | None:
    """Return a movement's amount in the entry's currency."""
    currency = _get_currency(head)
    path = next((it for it in _AMOUNTS if detail.get(it) and detail.currencies.get(it, "").upper() == currency), None)
    return _read_amount(detail, path, head.get("CdtDbtInd")) if path else None


def _get_currency(head: Element) -> str | None:
    return head.currencies.get("Amt", "").strip().upper() or None


def _find_payee(camt_entry: CamtEntry, details: Sequence[Element]) -> str | None:
    """Return the other side; None if the movements of an entry have several."""
    payees = {_find_other_side(camt_entry, detail) for detail in details}
    return payees.pop() if len(payees) == 1 else None


def _find_other_side(camt_entry: CamtEntry, detail: Element) -> str | None:
    head = camt_entry.entry
    is_debit = (detail.get("CdtDbtInd") or head.get("CdtDbtInd")) == "DBIT"
    is_reversal = (head.get("RvslInd") or "").lower() in {"true", "1"}
    side = "Cdtr" if is_debit != is_reversal else "Dbtr"
    owner = tidy(camt_entry.statement.get("Acct/Ownr/Nm"))
    names = (tidy(detail.get(*(f"RltdPties/{it}/{name}" for name in _NAMES))) for it in (side, f"Ultmt{side}"))
    return next((it for it in names if it and it != owner), None)


def _find_bank_id(head: Element, details: Sequence[Element]) -> str | None:
    """Return the bank's reference of the one movement, else of the entry."""
    own = read_bank_id(details[0].get("Refs/AcctSvcrRef")) if len(details) == 1 else None
    return own or read_bank_id(head.get("AcctSvcrRef"))


def _name_account(statement: Element) -> str | None:
    iban = tidy(statement.get("Acct/Id/IBAN"))
    return iban.replace(" ", "").upper() if iban else tidy(statement.get("Acct/Id/Othr/Id", "Acct/Id/PrtryAcct/Id"))


def _list_texts(head: Element, details: Sequence[Element]) -> tuple[str, ...]:
    own = [text for it in details for path, texts in it.values.items() if path not in _NO_TEXTS for text in texts]
    return (*head.list("AddtlNtryInf"), *own)


def _read_days(head: Element, details: Sequence[Element]) -> Days:
    instants = {parse_iso_day(it.get("RltdDts/TxDtTm")) for it in details}
    booked = head.get("BookgDt/Dt", "BookgDt/DtTm")
    return Days(
        transaction=instants.pop() if len(instants) == 1 else None,
        booking=parse_iso_day(booked),
        value=None if booked else parse_iso_day(head.get("ValDt/Dt", "ValDt/DtTm")),
    )
