"""MT940: line 61 in all the ways that banks write it, and the dialects of line 86."""

from contextlib import suppress
from datetime import date
from decimal import Decimal

import bankfile
import mt940 as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.entries import MAX_ENTRIES, Entry, Statement, TooManyEntries, UnreadableFile
from ledger.transfer.readers.mt940 import read_mt940
from tests.support.bank_files import IBAN, broken, mt940, only, rows

SHOP = ":61:2603010301D12,50NTRFNONREF//B1"
GERMAN = ":86:166?00SEPA-TRANSFER?20EREF+77 SVWZ+Rent?21 May?30BIC?31DE1?32Corner?33Shop"


def read(data: bytes) -> Statement:
    """Read a file."""
    return read_mt940(data, {})


def read_lines(*lines: str) -> Entry:
    """Read a file with the one movement that the lines describe."""
    return only(read(mt940(*lines)))


# Files


def test_a_movement_is_read() -> None:
    entry = read_lines(SHOP, ":86:CORNER SHOP")

    assert (entry.day, entry.amount, entry.currency, entry.description) == (
        *(date(2026, 3, 1), Decimal("-12.50"), "EUR", "CORNER SHOP"),
    )
    assert (entry.account, entry.bank_id, entry.line) == (IBAN, "B1", 5)


def test_several_messages_bear_their_own_account_and_currency() -> None:
    statement = read(mt940(SHOP) + mt940(SHOP, account="12345678/99", currency="CHF"))

    assert statement.accounts == (IBAN, "12345678/99")
    assert [(it.account, it.currency) for it in statement.entries] == [(IBAN, "EUR"), ("12345678/99", "CHF")]


@pytest.mark.parametrize("account", [f"{IBAN}EUR", f"ABNANL2A/{IBAN}", "NL91 ABNA 0417 1643 00", IBAN.lower()])
def test_an_iban_is_found_in_what_names_the_account(account: str) -> None:
    assert read(mt940(SHOP, account=account)).accounts == (IBAN,)


def test_a_message_may_go_on_in_another_one() -> None:
    data = mt940(SHOP).replace(b":62F:", b":62M:") + mt940(SHOP.replace("12,50", "1,")).replace(b":60F:", b":60M:")

    assert rows(read(data)) == [("2026-03-01", "-12.50", "EUR"), ("2026-03-01", "-1", "EUR")]


def test_envelopes_and_control_bytes_are_no_part_of_a_message() -> None:
    body = mt940(SHOP).removesuffix(b"-\r\n")
    data = (
        b"\x01{1:F01BANK}{2:I940}{4:\r\n" + body + b"-}\x03\x01{1:F01BANK}{2:I940}{4:\r\n" + body + b"-}{5:{MAC:0}}\x03"
    )

    assert len(rows(read(data))) == 2


def test_lines_between_messages_are_left_out() -> None:
    data = b"ABNANL2A\r\n940\r\n" + mt940(SHOP) + b"ABNANL2A\r\n940\r\n" + mt940(SHOP)

    assert [it.description for it in read(data).entries] == [None, None]


def test_a_tag_that_holds_nonsense_harms_nothing_else() -> None:
    assert rows(read(mt940(SHOP, ":65F:Dnullnull7414,3"))) == [("2026-03-01", "-12.50", "EUR")]


def test_a_closing_balance_may_be_missing() -> None:
    data = mt940(SHOP)

    assert rows(read(data[: data.index(b":62F:")])) == [("2026-03-01", "-12.50", "EUR")]


def test_a_closing_balance_names_the_currency_if_the_opening_one_does_not() -> None:
    assert only(read(mt940(SHOP).replace(b":60F:C260301EUR100,\r\n", b""))).currency == "EUR"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_letters_that_swift_does_not_know_are_read(encoding: str) -> None:
    data = mt940(SHOP, ":86:BÄCKEREI").decode().encode(encoding)

    assert only(read(data)).description == "BÄCKEREI"


def test_the_option_names_an_encoding_that_nothing_proves() -> None:
    data = mt940(SHOP, ":86:ŻABKA").decode().encode("cp1250")
    statement = read_mt940(data, {"encoding": "cp1250"})

    assert (only(statement).description, statement.options) == ("ŻABKA", {"encoding": "cp1250"})


def test_a_file_without_a_message_is_unreadable() -> None:
    with pytest.raises(UnreadableFile):
        read(b"Dear customer")


def test_more_movements_than_an_import_may_have_are_refused() -> None:
    with pytest.raises(TooManyEntries):
        read(b":20:A\n" + b":61:\n" * (MAX_ENTRIES + 1))


def test_a_field_of_endless_lines_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="lines"):
        read(mt940(SHOP, ":86:A", *["B"] * 600))


# Line 61


@pytest.mark.parametrize(
    ("line", "amount"),
    [
        *[
            ("2603010301D9,N192NONREF", "-9"),
            ("260301C100,NTRFNONREF", "100"),
            ("2603010301C50,00 NTRFNONREF", "50.00"),
        ],
        *[("260301    DD212,39NMSCNONREF//", "-212.39"), ("2603010301DR6,00N024NONREF", "-6.00")],
        *[("2603010301C79,7FMSC01916//NONREF", "79.7"), ("2603010301CN7,01NTRFNONREF", "7.01")],
        *[("2603010301RC5,00NTRFNONREF", "-5.00"), ("2603010301RD5,00NTRFNONREF", "5.00")],
        *[("2603010301D1234NTRFNONREF", "-1234"), ("2603010301D12.50NTRFNONREF", "-12.50")],
    ],
)
def test_the_mark_says_where_the_money_went(line: str, amount: str) -> None:
    assert read_lines(f":61:{line}").amount == Decimal(amount)


def test_an_amount_of_zero_is_skipped() -> None:
    assert read_lines(":61:260301    CD0,00NDEFNONREF//").skip == "zero"


def test_expected_money_is_pending() -> None:
    assert read_lines(":61:260301ED5,00NTRFNONREF").skip == "pending"


@pytest.mark.parametrize(
    ("dates", "day"),
    [
        *[("2603010302", date(2026, 3, 1)), ("260301", date(2026, 3, 1)), ("991231", date(1999, 12, 31))],
        *[("1602300301", date(2016, 3, 1)), ("1612320101", date(2017, 1, 1)), ("1701321231", date(2016, 12, 31))],
    ],
)
def test_the_day_is_the_first_that_the_calendar_has(dates: str, day: date) -> None:
    assert read_lines(f":61:{dates}D1,NTRFNONREF").day == day


@pytest.mark.parametrize(
    "line", ["260230D1,NTRFNONREF", "2602300230D1,NTRFNONREF", "260301X1,NTRF", "260301D1,2,NTRF", ""]
)
def test_a_line_that_cannot_be_read_refuses_its_movement_alone(line: str) -> None:
    entries = read(mt940(f":61:{line}", SHOP)).entries

    assert [(it.column, it.code) for it in entries[0].errors] == [(":61:", "malformed")]
    assert entries[1].errors == []


@pytest.mark.parametrize(
    ("references", "bank_id"),
    [("NONREF//B1", "B1"), ("C1", None), ("NONREF//NONREF", None), ("NONREF//", None), ("C1//0", None)],
)
def test_the_banks_id_stands_after_the_slashes(references: str, bank_id: str | None) -> None:
    assert read_lines(f":61:2603010301D1,NTRF{references}").bank_id == bank_id


def test_an_id_that_occurs_twice_is_none() -> None:
    assert [it.bank_id for it in read(mt940(SHOP, SHOP)).entries] == [None, None]


def test_words_on_the_second_line_join_the_description_and_numbers_do_not() -> None:
    assert read_lines(SHOP, "Mobile payment").description == "Mobile payment"
    assert read_lines(SHOP, "2026030100760219").description is None


def test_the_texts_are_kept_as_they_stand() -> None:
    assert read_lines(SHOP, "Mobile", ":86:A  B", "C").texts == ("NTRFNONREF", "Mobile", "A  B", "C")


# Line 86


def test_a_german_line_has_numbered_pieces() -> None:
    entry = read_lines(SHOP, GERMAN)

    assert (entry.payee, entry.description) == ("Corner Shop", "SEPA-TRANSFER Rent May")


def test_a_piece_that_is_full_goes_on_in_the_next_one() -> None:
    assert read_lines(SHOP, f":86:166?20{'a' * 27}?21b?22c").description == f"{'a' * 27}b c"


def test_a_german_line_may_be_broken_anywhere() -> None:
    assert read_lines(SHOP, ":86:166?32Corner Sh", "op?20Te", "a").payee == "Corner Shop"


def test_a_line_that_only_looks_like_a_tag_belongs_to_the_text() -> None:
    entry = read_lines(SHOP, ":86:166?20SVWZ+RENT", ":KO:NR:4711?32Corner Shop")

    assert (entry.payee, entry.description) == ("Corner Shop", "RENT:KO:NR:4711")


def test_a_line_of_slashes_has_named_parts() -> None:
    entry = read_lines(SHOP, f":86:/TRTP/SEPA TRANSFER/IBAN/{IBAN}/BIC/ABNANL2A/NAME/Corner Shop/REMI/Rent May/EREF/7")

    assert (entry.payee, entry.description) == ("Corner Shop", "SEPA TRANSFER Rent May")


def test_a_counterparty_of_ing_has_its_name_third() -> None:
    entry = read_lines(SHOP, f":86:/EREF/7//CNTP/{IBAN}/INGBNL2A/Corner Shop/Town//REMI/USTD//Rent May/")

    assert (entry.payee, entry.description) == ("Corner Shop", "Rent May")


def test_a_card_line_of_abn_amro_names_the_shop() -> None:
    assert read_lines(SHOP, ":86:BEA   NR:X1   01.03.26/12.54 CORNER SHOP,PAS001").payee == "CORNER SHOP"


@pytest.mark.parametrize("end", ["OMSCHRIJVING: Rent", "  KENMERK: 7", ""])
def test_a_transfer_of_abn_amro_names_the_other_side(end: str) -> None:
    text = f"SEPA IDEAL                       IBAN: {IBAN}        BIC: ABNANL2A      NAAM: Corner Shop{end}"

    assert read_lines(SHOP, f":86:{text}").payee == "Corner Shop"


@pytest.mark.parametrize("mark", ["?", "~", "^", "<", "@"])
def test_a_polish_line_has_other_marks(mark: str) -> None:
    entry = read_lines(SHOP, f":86:020{mark}00VE02{mark}20Rent{mark}32Corner Shop")

    assert (entry.payee, entry.description) == ("Corner Shop", "VE02 Rent")


@pytest.mark.parametrize(
    "text", ["CASH WITHDRAWAL", "#12 Shop", "~15 items", "123 ?20", "B32?JANE, MOBILE", "/PT/FT/PY/SOMETHING", "12?x"]
)
def test_any_other_text_is_the_description_and_no_payee(text: str) -> None:
    entry = read_lines(SHOP, f":86:{text}")

    assert (entry.payee, entry.description) == (None, text)


def test_a_full_line_goes_on_in_the_next_one_and_another_ends_a_word() -> None:
    full = f"{'A' * 60} STRE"

    assert read_lines(SHOP, f":86:{full}", "ET 7").description == f"{full}ET 7"
    assert read_lines(SHOP, ":86:MAIN", "STREET").description == "MAIN STREET"


def test_a_line_after_the_balance_is_about_no_movement() -> None:
    assert read_lines(SHOP, ":62M:C260301EUR1,", ":86:SUMMARY").description is None


# Hostile and unlike


@given(st.text(alphabet=":0123456789DCRN?,/{}-\n ABé", max_size=200))
def test_no_text_does_worse_than_being_unreadable(text: str) -> None:
    with suppress(UnreadableFile):
        read(b":20:A\n:61:2603010301" + text.encode())


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read(data)


@given(broken(mt940(SHOP, GERMAN, SHOP, ":86:/NAME/Shop/REMI/Rent")))
def test_no_broken_file_does_worse_than_being_unreadable(data: bytes) -> None:
    with suppress(UnreadableFile):
        read(data)


def test_two_other_readers_read_the_same() -> None:
    data = mt940(SHOP, GERMAN, ":61:2603020303C1200,NTRFNONREF//B2", ":86:SALARY")
    ours = [(day, Decimal(amount)) for day, amount, _ in rows(read(data))]

    assert ours == [(str(it.date), it.amount) for it in bankfile.parse_bytes(data).transactions]
    assert ours == [(str(it.data["date"]), it.data["amount"].amount) for it in library.parse(data.decode())]
