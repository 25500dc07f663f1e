"""CAMT: entries, the movements in them, and both sides, in all versions and whatever the namespace."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.camt import read_camt
from ledger.transfer.readers.entries import MAX_ENTRIES, Statement, TooManyEntries, UnreadableFile
from tests.support.bank_files import (
    CAMT_HEADER,
    IBAN,
    broken,
    camt,
    camt_details,
    camt_entry,
    camt_statement,
    only,
    rows,
)

SHOP = "<RltdPties><Dbtr><Nm>Ada</Nm></Dbtr><Cdtr><Nm>Corner Shop</Nm></Cdtr></RltdPties>"
EMPLOYER = "<RltdPties><Dbtr><Nm>Employer</Nm></Dbtr><Cdtr><Nm>Ada</Nm></Cdtr></RltdPties>"


def read(data: bytes) -> Statement:
    """Read a file."""
    return read_camt(data, {})


def read_entry(*args: str, **fields: str) -> Statement:
    """Read a file of one entry."""
    return read(camt(camt_statement(camt_entry(*args, **fields))))


def of(amount: str, currency: str = "EUR") -> str:
    """Return the amount of a movement in an entry."""
    return f'<Amt Ccy="{currency}">{amount}</Amt>'


# Files


def test_an_entry_is_read() -> None:
    entry = only(read_entry(rest="<AcctSvcrRef>R1</AcctSvcrRef>"))

    assert (entry.day, entry.amount, entry.currency) == (date(2026, 3, 1), Decimal("-12.50"), "EUR")
    assert (entry.account, entry.bank_id, entry.line) == (IBAN, "R1", 3)


@pytest.mark.parametrize("version", ["01", "02", "08", "13"])
def test_every_version_is_read(version: str) -> None:
    assert rows(read(camt(camt_statement(camt_entry()), version=version))) == [("2026-03-01", "-12.50", "EUR")]


@pytest.mark.parametrize(("message", "block"), [("BkToCstmrAcctRpt", "Rpt"), ("BkToCstmrDbtCdtNtfctn", "Ntfctn")])
def test_reports_and_notifications_are_read(message: str, block: str) -> None:
    text = camt(camt_statement(camt_entry())).decode()
    text = text.replace("BkToCstmrStmt>", f"{message}>").replace("Stmt>", f"{block}>")

    assert rows(read(text.encode())) == [("2026-03-01", "-12.50", "EUR")]


def test_names_may_have_a_prefix() -> None:
    text = camt(camt_statement(camt_entry())).decode()
    body = text.removeprefix(CAMT_HEADER).replace("</", "</n:").replace("<", "<n:").replace("<n:/n:", "</n:")

    assert rows(read(body.replace("xmlns=", "xmlns:n=").encode())) == [("2026-03-01", "-12.50", "EUR")]


def test_the_encoding_that_is_declared_is_used() -> None:
    rest = camt_details("<RltdPties><Cdtr><Nm>Bäckerei</Nm></Cdtr></RltdPties>")
    text = camt(camt_statement(camt_entry(rest=rest))).decode().replace('encoding="UTF-8"', 'encoding="ISO-8859-1"')

    assert only(read(text.encode("latin-1"))).payee == "Bäckerei"


def test_white_space_before_the_xml_declaration_does_no_harm() -> None:
    assert rows(read(b"\n  " + camt(camt_statement(camt_entry())))) == [("2026-03-01", "-12.50", "EUR")]


def test_several_statements_bear_their_own_entries() -> None:
    other = camt_statement(camt_entry(currency="USD"), account="<Othr><Id>US 99</Id></Othr>")
    statement = read(camt(camt_statement(), camt_statement(camt_entry()), other))

    assert statement.accounts == (IBAN, "US 99")
    assert [(it.account, it.currency) for it in statement.entries] == [(IBAN, "EUR"), ("US 99", "USD")]


def test_a_statement_without_entries_is_read_and_its_balance_is_no_entry() -> None:
    statement = read(camt(camt_statement()))

    assert (statement.entries, statement.accounts) == ([], (IBAN,))


@pytest.mark.parametrize(
    "data",
    [
        camt(camt_statement(camt_entry()))[:-30],
        b"<Document><BkToCstmrStmt></BkToCstmrStmt></Document>",
        camt(camt_statement(camt_entry())).replace(b"12.50", b"\xff"),
        camt(camt_statement(camt_entry())).replace(b'"UTF-8"', b'"no-such-charset"'),
        b"<a>" * 1000,
        b"",
    ],
    ids=["cut off", "no statement", "not UTF-8", "no such charset", "deep", "empty"],
)
def test_xml_that_is_broken_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read(data)


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE Document>",
        '<!DOCTYPE Document SYSTEM "http://example.com/a.dtd">',
        '<!DOCTYPE Document [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
        '<!DOCTYPE Document [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_a_document_type_is_refused(doctype: str) -> None:
    data = camt(camt_statement(camt_entry())).replace(CAMT_HEADER.encode(), f"{CAMT_HEADER}{doctype}".encode())

    with pytest.raises(UnreadableFile, match="document type"):
        read(data)


def test_more_entries_than_an_import_may_have_are_refused() -> None:
    with pytest.raises(TooManyEntries):
        read(camt(camt_statement("<Ntry></Ntry>" * (MAX_ENTRIES + 1))))


def test_more_statements_than_entries_are_refused() -> None:
    with pytest.raises(TooManyEntries):
        read(camt("<Stmt></Stmt>" * (3 * MAX_ENTRIES + 1)))


# Entries


def test_a_credit_is_money_in() -> None:
    assert only(read_entry("8.85", "CRDT")).amount == Decimal("8.85")


@pytest.mark.parametrize(("indicator", "amount"), [("CRDT", "12.50"), ("DBIT", "-12.50")])
def test_the_indicator_of_a_reversal_is_its_own(indicator: str, amount: str) -> None:
    entry = only(read_entry(indicator=indicator, rest="<RvslInd>true</RvslInd>"))

    assert entry.amount == Decimal(amount)


@pytest.mark.parametrize("amount", ["12..34", "12,34", "", "-5.00", "1e3", "٣"])
def test_an_amount_that_is_no_number_refuses_its_entry_alone(amount: str) -> None:
    entries = read(camt(camt_statement(camt_entry(amount), camt_entry()))).entries

    assert [it.column for it in entries[0].errors] == ["Amt"]
    assert entries[1].errors == []


def test_an_entry_that_does_not_say_credit_or_debit_is_refused() -> None:
    assert [it.column for it in only(read_entry(indicator="BOTH")).errors] == ["CdtDbtInd"]


@pytest.mark.parametrize("status", ["PDNG", "<Cd>PDNG</Cd>", "INFO", "<Cd>FUTR</Cd>"])
def test_what_is_not_booked_is_pending(status: str) -> None:
    data = camt(camt_statement(camt_entry())).replace(b"BOOK", status.encode())

    assert only(read(data)).skip == "pending"


def test_a_status_of_a_version_with_codes_is_read() -> None:
    data = camt(camt_statement(camt_entry())).replace(b"BOOK", b"<Cd>BOOK</Cd>")

    assert rows(read(data)) == [("2026-03-01", "-12.50", "EUR")]


def test_a_status_that_is_unknown_refuses_the_entry() -> None:
    data = camt(camt_statement(camt_entry())).replace(b"BOOK", b"MAYB")

    assert [it.column for it in only(read(data)).errors] == ["Sts"]


def test_an_entry_of_zero_is_skipped() -> None:
    assert only(read_entry("0.00")).skip == "zero"


# Days


def test_an_instant_is_the_day_as_it_is_written() -> None:
    data = camt(camt_statement(camt_entry()))
    data = data.replace(b"<BookgDt><Dt>2026-03-01</Dt>", b"<BookgDt><DtTm>2026-03-01T23:30:00.0-05:00</DtTm>")

    assert only(read(data)).day == date(2026, 3, 1)


def test_the_value_date_is_taken_if_there_is_no_other() -> None:
    data = camt(camt_statement(camt_entry())).replace(b"<BookgDt><Dt>2026-03-01</Dt></BookgDt>", b"")

    assert only(read(data)).day == date(2026, 3, 2)


def test_the_day_of_the_transaction_is_taken_if_every_entry_has_one() -> None:
    rest = camt_details("<RltdDts><TxDtTm>2026-02-27T10:00:00</TxDtTm></RltdDts>")

    assert only(read_entry(rest=rest)).day == date(2026, 2, 27)


def test_the_day_of_the_transaction_is_not_taken_if_only_some_entries_have_one() -> None:
    rest = camt_details("<RltdDts><TxDtTm>2026-02-27T10:00:00</TxDtTm></RltdDts>")
    statement = read(camt(camt_statement(camt_entry(rest=rest), camt_entry())))

    assert [it.day for it in statement.entries] == [date(2026, 3, 1)] * 2


@pytest.mark.parametrize("day", ["2026-02-30", "01.03.2026", "20260301"])
def test_a_day_that_is_none_refuses_its_entry(day: str) -> None:
    data = camt(camt_statement(camt_entry())).replace(b"2026-03-01</Dt></BookgDt>", f"{day}</Dt></BookgDt>".encode())

    assert [it.column for it in only(read(data)).errors] == ["BookgDt"]


# Texts


@pytest.mark.parametrize(
    ("indicator", "parties", "payee"), [("DBIT", SHOP, "Corner Shop"), ("CRDT", EMPLOYER, "Employer")]
)
def test_the_payee_is_the_other_side(indicator: str, parties: str, payee: str) -> None:
    assert only(read_entry(indicator=indicator, rest=camt_details(parties))).payee == payee


def test_in_a_reversal_the_sides_are_those_of_what_is_reversed() -> None:
    rest = "<RvslInd>true</RvslInd>" + camt_details(SHOP)

    assert only(read_entry(indicator="CRDT", rest=rest)).payee == "Corner Shop"


def test_names_are_nested_more_deeply_since_version_8() -> None:
    rest = camt_details("<RltdPties><Cdtr><Pty><Nm>Corner Shop</Nm></Pty></Cdtr></RltdPties>")

    assert only(read_entry(rest=rest)).payee == "Corner Shop"


def test_the_ultimate_side_is_taken_if_there_is_no_other() -> None:
    rest = camt_details("<RltdPties><UltmtCdtr><Nm>Corner Shop</Nm></UltmtCdtr></RltdPties>")

    assert only(read_entry(rest=rest)).payee == "Corner Shop"


def test_the_owner_of_the_account_is_not_the_payee() -> None:
    rest = camt_details("<RltdPties><Cdtr><Nm>Ada</Nm></Cdtr></RltdPties>")

    assert only(read_entry(rest=rest)).payee is None


def test_the_description_holds_what_the_bank_and_the_payer_say() -> None:
    details = "<RmtInf><Ustrd>Invoice</Ustrd><Ustrd>7</Ustrd></RmtInf><AddtlTxInf>by card</AddtlTxInf>"
    rest = f"{camt_details(details)}<AddtlNtryInf>PAYMENT</AddtlNtryInf>"

    assert only(read_entry(rest=rest)).description == "PAYMENT Invoice 7 by card"


def test_a_thousand_lines_of_text_are_not_all_joined() -> None:
    lines = "".join(f"<Ustrd>line {number}</Ustrd>" for number in range(1000))
    entry = only(read_entry(rest=camt_details(f"<RmtInf>{lines}</RmtInf>")))

    assert (len(entry.description or "") < 2100, len(entry.texts)) == (True, 1000)


def test_a_structured_reference_is_a_part_of_the_description() -> None:
    strd = "<Strd><CdtrRefInf><Ref>RF18539007547034</Ref></CdtrRefInf></Strd>"

    assert only(read_entry(rest=camt_details(f"<RmtInf>{strd}</RmtInf>"))).description == "RF18539007547034"


def test_the_texts_leave_out_what_the_day_and_the_amount_say() -> None:
    rest = camt_details(of("12.50") + "<Refs><EndToEndId>E1</EndToEndId></Refs>" + SHOP)

    assert only(read_entry(rest=rest)).texts == ("E1", "Ada", "Corner Shop")


# Batches


def test_movements_that_add_up_are_imported_instead_of_the_entry() -> None:
    shop = "<RltdPties><Cdtr><Nm>Shop</Nm></Cdtr></RltdPties>"
    statement = read_entry(rest=camt_details(of("10.00") + SHOP, of("2.50") + shop))

    assert [(it.amount, it.payee) for it in only(statement).movements] == [
        (Decimal("-10.00"), "Corner Shop"),
        (Decimal("-2.50"), "Shop"),
    ]


def test_a_movement_against_the_entry_counts_against_it() -> None:
    other = of("2.50") + "<CdtDbtInd>CRDT</CdtDbtInd>"

    assert [it.amount for it in only(read_entry(rest=camt_details(of("15.00"), other))).movements] == [
        Decimal("-15.00"),
        Decimal("2.50"),
    ]


def test_the_amounts_of_version_2_are_nested() -> None:
    details = [f"<AmtDtls><TxAmt>{of(amount)}</TxAmt></AmtDtls>" for amount in ("10.00", "2.50")]

    assert [it.amount for it in only(read_entry(rest=camt_details(*details))).movements] == [
        Decimal("-10.00"),
        Decimal("-2.50"),
    ]


@pytest.mark.parametrize(
    "details",
    [(of("10.00"), of("2.00")), (of("10.00"), ""), (of("10.00"), of("2.50", "USD"))],
    ids=["too little", "without an amount", "another currency"],
)
def test_movements_that_do_not_add_up_stay_one_entry(details: tuple[str, str]) -> None:
    assert only(read_entry(rest=camt_details(*details))).amount == Decimal("-12.50")


def test_a_batch_that_stays_one_has_a_payee_if_all_movements_have_the_same() -> None:
    assert only(read_entry(rest=camt_details(SHOP, SHOP))).payee == "Corner Shop"
    assert only(read_entry(rest=camt_details(SHOP, ""))).payee is None


def test_the_reference_of_a_batch_is_none_of_its_movements() -> None:
    own = "<Refs><AcctSvcrRef>{}</AcctSvcrRef></Refs>".format
    rest = "<AcctSvcrRef>R1</AcctSvcrRef>" + camt_details(of("10.00") + own("T1"), of("2.00") + own("R1"), of("0.50"))

    batch = only(read_entry(rest=rest))

    assert (batch.bank_id, [it.bank_id for it in batch.movements]) == ("R1", ["T1", None, None])


def test_a_batch_is_known_by_what_it_says_without_its_movements() -> None:
    alone, with_movements = only(read_entry()), only(read_entry(rest=camt_details(of("10.00") + SHOP, of("2.50"))))

    assert (with_movements.said_day, with_movements.texts) == (alone.said_day, alone.texts)


def test_a_batch_of_several_days_does_not_decide_which_days_count() -> None:
    on = "<RltdDts><TxDtTm>2026-03-0{}T10:00:00</TxDtTm></RltdDts>".format
    batch = only(read_entry(rest=camt_details(of("10.00") + on(1), of("2.50") + on(2))))

    assert [it.day and it.day.day for it in batch.movements] == [1, 2]


# The bank's ids


def test_the_reference_of_the_movement_beats_that_of_the_entry() -> None:
    rest = "<AcctSvcrRef>R1</AcctSvcrRef>" + camt_details("<Refs><AcctSvcrRef>T1</AcctSvcrRef></Refs>")

    assert only(read_entry(rest=rest)).bank_id == "T1"


def test_equal_entries_are_all_there_and_a_reference_that_they_share_is_none() -> None:
    entry = camt_entry(rest="<AcctSvcrRef>R1</AcctSvcrRef>")
    statement = read(camt(camt_statement(entry, entry)))

    assert [(it.amount, it.bank_id) for it in statement.entries] == [(Decimal("-12.50"), None)] * 2


# Hostile


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read(b"<Document><Stmt><Ntry>" + data)


@given(broken(camt(camt_statement(camt_entry(rest=camt_details(of("12.00"), of("0.50") + SHOP))))))
def test_no_broken_file_does_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read(data)
