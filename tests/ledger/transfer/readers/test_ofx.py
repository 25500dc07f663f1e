"""OFX: what banks make of it is read, and what is wrong with a row stays with that row."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import bankfile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.entries import MAX_ENTRIES, Statement, TooManyEntries, UnreadableFile
from ledger.transfer.readers.ofx import read_ofx
from tests.support.bank_files import IBAN, OFX_HEADER, broken, ofx, ofx_account, ofx_row, only, rows

XML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<?OFX OFXHEADER="200" VERSION="220"?>\n<OFX><CREDITCARDMSGSRSV1>'
    "<CCSTMTTRNRS><CCSTMTRS><CURDEF>USD</CURDEF><CCACCTFROM><ACCTID>4111</ACCTID></CCACCTFROM><BANKTRANLIST>"
    "<STMTTRN><TRNTYPE>CREDIT</TRNTYPE><DTPOSTED>20260301</DTPOSTED><TRNAMT>-7.00</TRNAMT><FITID>C1</FITID>"
    "<NAME>Café &amp; Bar</NAME></STMTTRN></BANKTRANLIST></CCSTMTRS></CCSTMTTRNRS></CREDITCARDMSGSRSV1></OFX>"
)
BROKER = (
    "<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><CURDEF>USD<INVACCTFROM><BROKERID>b<ACCTID>X1</INVACCTFROM>"
    "<INVTRANLIST><BUYSTOCK><INVBUY><INVTRAN><FITID>S1<DTTRADE>20260301</INVTRAN><TOTAL>-500.00</INVBUY></BUYSTOCK>"
    "<INVBANKTRAN><STMTTRN><TRNTYPE>DEP<DTPOSTED>20260302<TRNAMT>+000115.8331<FITID>B1<NAME>Transfer</STMTTRN>"
    "<SUBACCTFUND>CASH</INVBANKTRAN></INVTRANLIST></INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1></OFX>"
)


def read(data: bytes | str, **options: str) -> Statement:
    """Read a file with the options."""
    return read_ofx(data.encode() if isinstance(data, str) else data, options)


def read_row(amount: str = "-12.50", day: str = "20260301", rest: str = "<FITID>A1<NAME>Corner Shop") -> Statement:
    """Read a file of one row."""
    return read(ofx(ofx_account(ofx_row(amount, day, rest))))


# Files


def test_a_row_of_sgml_without_end_tags_is_read() -> None:
    entry = only(read_row())

    assert (entry.day, entry.amount, entry.currency, entry.payee) == (
        *(date(2026, 3, 1), Decimal("-12.50"), "EUR", "Corner Shop"),
    )
    assert (entry.account, entry.bank_id, entry.line) == ("123456", "A1", 8)


def test_everything_may_stand_on_one_line() -> None:
    assert rows(read(ofx(ofx_account(ofx_row(), ofx_row("3.00"))).replace(b"\n", b""))) == [
        ("2026-03-01", "-12.50", "EUR"),
        ("2026-03-01", "3.00", "EUR"),
    ]


def test_xml_of_a_credit_card_is_read() -> None:
    statement = read(XML)

    assert rows(statement) == [("2026-03-01", "-7.00", "USD")]
    assert (only(statement).payee, statement.accounts) == ("Café & Bar", ("4111",))


def test_a_header_of_xml_before_sgml_is_a_lie_that_does_no_harm() -> None:
    header = '<?xml version="1.0" encoding="UTF-8"?>\n<?OFX OFXHEADER="200"?>\n'

    assert rows(read(ofx(ofx_account(ofx_row()), header=header))) == [("2026-03-01", "-12.50", "EUR")]


def test_no_header_is_needed() -> None:
    assert rows(read(ofx(ofx_account(ofx_row()), header="\n\n"))) == [("2026-03-01", "-12.50", "EUR")]


@pytest.mark.parametrize("charset", ["NONE", "1252", "ISO-8859-1", "nonsense"])
def test_utf_8_is_read_whatever_the_header_claims(charset: str) -> None:
    header = OFX_HEADER.replace("1252", charset)

    assert only(read(ofx(ofx_account(ofx_row(rest="<NAME>Bäckerei")), header=header))).payee == "Bäckerei"


def test_a_byte_of_latin_1_in_ascii_is_read() -> None:
    data = ofx(ofx_account(ofx_row(rest="<NAME>Cafe"))).replace(b"Cafe", b"Caf\xe9")

    assert only(read(data)).payee == "Café"


def test_a_declared_charset_is_believed_where_the_bytes_are_no_utf_8() -> None:
    text = ofx(ofx_account(ofx_row(rest="<NAME>Магазин")), header=OFX_HEADER.replace("1252", "1251")).decode()

    assert only(read(text.encode("cp1251"))).payee == "Магазин"


def test_more_tags_than_any_statement_has_are_refused() -> None:
    with pytest.raises(TooManyEntries):
        read(b"OFXHEADER:100\n<OFX>" + b"<A>" * 2_000_001)


def test_a_declared_charset_that_the_bytes_refute_is_no_fault_of_an_option() -> None:
    data = ofx(ofx_account(ofx_row(rest="<NAME>Cafe"))).replace(b"Cafe", b"Caf\x8d")

    assert only(read(data)).payee is not None


def test_the_option_beats_what_the_header_claims() -> None:
    data = ofx(ofx_account(ofx_row(rest="<NAME>Żabka"))).decode().encode("cp1250")
    statement = read(data, encoding="cp1250")

    assert (only(statement).payee, statement.options["encoding"]) == ("Żabka", "cp1250")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_utf_16_and_a_byte_order_mark_are_read(encoding: str) -> None:
    assert rows(read(ofx(ofx_account(ofx_row())).decode().encode(encoding))) == [("2026-03-01", "-12.50", "EUR")]


def test_bank_transactions_of_a_broker_are_read_and_trades_are_not() -> None:
    statement = read(BROKER)

    assert rows(statement) == [("2026-03-02", "115.8331", "USD")]
    assert statement.accounts == ("X1",)


def test_several_accounts_bear_their_own_rows() -> None:
    statement = read(
        ofx(ofx_account(number="1"), ofx_account(ofx_row(), number="2"), ofx_account(ofx_row(), number="3"))
    )

    assert statement.accounts == ("1", "2", "3")
    assert [it.account for it in statement.entries] == ["2", "3"]


def test_an_iban_is_written_without_blanks() -> None:
    assert read(ofx(ofx_account(ofx_row(), number="NL91 ABNA 0417 1643 00"))).accounts == (IBAN,)


def test_the_other_sides_account_is_not_the_statements() -> None:
    row = ofx_row(rest="<BANKACCTTO><BANKID>9<ACCTID>999</BANKACCTTO><NAME>Shop")

    assert read(ofx(ofx_account(row))).accounts == ("123456",)


def test_a_file_without_an_account_is_unreadable() -> None:
    with pytest.raises(UnreadableFile, match="no statement"):
        read("<OFX><SIGNONMSGSRSV1></SIGNONMSGSRSV1></OFX>")


def test_a_statement_without_rows_is_none_the_less_one() -> None:
    assert read(ofx(ofx_account())).entries == []


def test_a_row_that_the_file_cuts_off_is_refused() -> None:
    data = ofx(ofx_account(ofx_row("-1.00"), ofx_row("-1234.56")))

    assert [bool(it.errors) for it in read(data[: data.index(b"-1234.56") + 3]).entries] == [False, True]


def test_rows_need_no_end_tag_before_the_next_one() -> None:
    data = ofx(ofx_account(ofx_row("-1.00"), ofx_row("-2.00"))).replace(b"</STMTTRN>\n<STMTTRN>", b"<STMTTRN>")

    assert [amount for _, amount, _ in rows(read(data))] == ["-1.00", "-2.00"]


def test_more_rows_than_an_import_may_have_are_refused() -> None:
    with pytest.raises(TooManyEntries):
        read("<OFX><STMTRS>" + "<STMTTRN>" * (MAX_ENTRIES + 1))


def test_more_accounts_than_rows_are_refused() -> None:
    with pytest.raises(TooManyEntries):
        read("<OFX>" + "<STMTRS>" * (MAX_ENTRIES + 1))


def test_an_account_may_have_no_number() -> None:
    statement = read(ofx(ofx_account(ofx_row(), number="")))

    assert (statement.accounts, only(statement).account) == ((), None)


# Amounts


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        *[("-530,86", "-530.86"), ("+000115.8331", "115.8331"), ("-1,234.56", "-1234.56"), ("1.234,56", "1234.56")],
        *[("-1.234.567", "-1234567"), ("7", "7"), ("-.50", "-0.50"), ("5.", "5"), (" 12.50 ", "12.50")],
        *[("0.125", "0.125"), ("1234.567", "1234.567"), ("1,234,567.5", "1234567.5")],
    ],
)
def test_an_amount_that_shows_its_decimal_mark_is_read_by_it(written: str, amount: str) -> None:
    assert only(read_row(written)).amount == Decimal(amount)


@pytest.mark.parametrize(
    "written", ["$120", "12..34", "1,23,4.5", "12.50-", "1e5", "- 5", "٣", "12.50 EUR", "1.2.34,5"]
)
def test_an_amount_that_is_no_number_refuses_its_row_alone(written: str) -> None:
    entries = read(ofx(ofx_account(ofx_row(written), ofx_row("-1.00")))).entries

    assert [(it.column, it.code) for it in entries[0].errors] == [("TRNAMT", "malformed")]
    assert entries[1].errors == []


@pytest.mark.parametrize(("other", "amount"), [("-2,50", "-1450"), ("-2.50", "-1.450")])
def test_another_amount_proves_what_the_mark_before_three_digits_is(other: str, amount: str) -> None:
    statement = read(ofx(ofx_account(ofx_row("-1.450"), ofx_row(other))).replace(b"<BALAMT>1.00", b""))

    assert statement.entries[0].amount == Decimal(amount)
    assert statement.questions == []


def test_a_balance_proves_it_as_well() -> None:
    assert read_row("-1,450").entries[0].amount == Decimal(-1450)


def test_a_mark_that_nothing_proves_is_a_question() -> None:
    statement = read(ofx(ofx_account(ofx_row("-1.450"))).replace(b"<BALAMT>1.00", b""))

    assert [it.option for it in statement.questions] == ["decimal"]
    assert (only(statement).amount, only(statement).errors) == (None, [])


def test_the_option_answers_it() -> None:
    statement = read(ofx(ofx_account(ofx_row("-1.450"))).replace(b"<BALAMT>1.00", b""), decimal=",")

    assert (only(statement).amount, statement.questions) == (Decimal(-1450), [])


def test_three_decimals_are_the_currencys_own() -> None:
    statement = read(ofx(ofx_account(ofx_row("-1.450"), currency="KWD")).replace(b"<BALAMT>1.00", b""))

    assert (only(statement).amount, statement.questions) == (Decimal("-1.450"), [])


def test_the_sign_wins_over_the_type() -> None:
    assert only(read_row(rest="<TRNTYPE>DIRECTDEP")).amount == Decimal("-12.50")


def test_a_blank_amount_on_a_line_about_the_balance_is_skipped() -> None:
    assert only(read_row("          .  ", rest="<FITID>0<MEMO>SALDO DIA")).skip == "balance"


def test_a_blank_amount_on_any_other_line_is_refused() -> None:
    assert [it.code for it in only(read_row("  .  ", rest="<MEMO>Lunch")).errors] == ["required"]


def test_an_amount_of_zero_is_skipped() -> None:
    assert only(read_row("0.00")).skip == "zero"


def test_the_currency_of_a_row_beats_that_of_the_account() -> None:
    assert only(read_row(rest="<CURRENCY><CURRATE>1.1<CURSYM>usd</CURRENCY>")).currency == "USD"


def test_an_original_currency_is_not_that_of_the_amount() -> None:
    assert only(read_row(rest="<ORIGCURRENCY><CURRATE>1.1<CURSYM>USD</ORIGCURRENCY>")).currency == "EUR"


# Days


@pytest.mark.parametrize(
    "written", ["20230509", "20230509120000", "20230509233000.000[-5:EST]", "20230509000000[+9:JST]"]
)
def test_a_day_is_the_one_that_is_written(written: str) -> None:
    assert only(read_row(day=written)).day == date(2023, 5, 9)


@pytest.mark.parametrize("written", ["201120000000", "00000000", "20230230", "2023", "09/05/2023", "today"])
def test_a_day_that_is_none_refuses_its_row(written: str) -> None:
    assert [(it.column, it.code) for it in only(read_row(day=written)).errors] == [("DTPOSTED", "malformed")]


def test_the_day_of_the_purchase_is_taken_if_every_row_has_one() -> None:
    assert only(read_row(rest="<DTUSER>20260228<NAME>Shop")).day == date(2026, 2, 28)


def test_the_day_of_the_purchase_is_not_taken_if_only_some_rows_have_one() -> None:
    statement = read(ofx(ofx_account(ofx_row(rest="<DTUSER>20260228"), ofx_row())))

    assert [it.day for it in statement.entries] == [date(2026, 3, 1)] * 2


def test_a_date_of_the_server_that_is_zeros_is_not_looked_at() -> None:
    assert rows(read(ofx("<DTSERVER>00000000000000", ofx_account(ofx_row())))) == [("2026-03-01", "-12.50", "EUR")]


def test_pending_rows_are_skipped() -> None:
    data = ofx(ofx_account("<STMTTRNP><DTTRAN>20260301<TRNAMT>-5.00<NAME>Hotel</STMTTRNP>"))

    assert only(read(data)).skip == "pending"


# Texts


def test_the_memo_describes_what_the_name_does_not() -> None:
    entry = only(read_row(rest="<NAME>Shop<MEMO>Card 12"))

    assert (entry.payee, entry.description) == ("Shop", "Card 12")


def test_a_memo_that_repeats_the_name_is_said_once() -> None:
    assert only(read_row(rest="<NAME>Corner Shop<MEMO>CORNER  SHOP")).description is None


def test_a_memo_alone_is_the_payee() -> None:
    entry = only(read_row(rest="<MEMO>Corner Shop"))

    assert (entry.payee, entry.description) == ("Corner Shop", None)


def test_a_name_of_digits_gives_way_to_the_memo() -> None:
    entry = only(read_row(rest="<NAME>000123<MEMO>DEBIT;Water Works"))

    assert (entry.payee, entry.description) == ("DEBIT;Water Works", "000123")


def test_the_name_may_stand_within_the_payee() -> None:
    assert only(read_row(rest="<PAYEE><NAME>Shop<ADDR1>Street 1<CITY>Town</PAYEE><MEMO>Tea")).payee == "Shop"


@pytest.mark.parametrize(
    ("written", "payee"),
    [
        *[("A &amp; B", "A & B"), ("A &amp;amp; B", "A & B"), ("&amp;lt;PAY&amp;gt;", "<PAY>"), ("A & B", "A & B")],
        *[("a < b", "a < b"), ("R&D;", "R&D;"), ("Caf&#233;", "Café"), ("<![CDATA[A & <B>]]>", "A & <B>")],
        *[("A&#0;B", "A B"), ("A&#xD800;B", "A B"), ("A&#9999999;B", "AB"), ("A&nbsp;B", "A B"), ("A\x01B", "A B")],
    ],
)
def test_a_text_is_read_as_it_was_meant(written: str, payee: str) -> None:
    assert only(read_row(rest=f"<NAME>{written}")).payee == payee


def test_a_row_in_a_comment_is_none() -> None:
    assert len(read(ofx(ofx_account(ofx_row(), f"<!-- {ofx_row()} -->"))).entries) == 1


def test_lines_are_counted_past_comments() -> None:
    assert only(read(ofx("<!-- \n\n -->", ofx_account(ofx_row())))).line == 10


def test_the_texts_of_a_row_are_kept_as_they_stand() -> None:
    assert only(read_row(rest="<FITID>A1<NAME>Corner   Shop<CHECKNUM>7")).texts == ("DEBIT", "Corner   Shop", "7")


# The bank's ids


@pytest.mark.parametrize("written", ["0", "000", "NONREF", ""])
def test_an_id_that_is_none_is_not_taken(written: str) -> None:
    assert only(read_row(rest=f"<FITID>{written}<NAME>Shop")).bank_id is None


def test_an_id_that_occurs_twice_is_none() -> None:
    statement = read(ofx(ofx_account(ofx_row(), ofx_row(), ofx_row(rest="<FITID>B1"))))

    assert [it.bank_id for it in statement.entries] == [None, None, "B1"]


def test_two_accounts_may_use_the_same_id() -> None:
    statement = read(ofx(ofx_account(ofx_row(), number="1"), ofx_account(ofx_row(), number="2")))

    assert [it.bank_id for it in statement.entries] == ["A1", "A1"]


# Hostile and unlike


@given(st.binary(max_size=300))
def test_no_bytes_do_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read(b"<OFX><STMTRS><STMTTRN>" + data)


@given(broken(XML.encode(), BROKER.encode(), ofx(ofx_account(ofx_row(), ofx_row("1.450"), ofx_row("1,5")))))
def test_no_broken_file_does_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read(data)


@pytest.mark.parametrize("data", [ofx(ofx_account(ofx_row(), ofx_row("3.00"))), XML.encode()])
def test_another_reader_reads_the_same(data: bytes) -> None:
    other = bankfile.parse_bytes(data).transactions

    assert [(day, Decimal(amount)) for day, amount, _ in rows(read(data))] == [
        (str(it.date), it.amount) for it in other
    ]
