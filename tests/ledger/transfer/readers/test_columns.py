"""Columns that their header does not tell alone: ids, accounts, currencies and directions beside amounts, kinds."""

import pytest

from tests.support.readings import list_all_rows, list_options, list_rows, read

# --- ids of the bank --------------------------------------------------------------------------------------------------


def test_numbers_that_count_the_rows_of_a_statement_are_no_ids() -> None:
    reading = read("Transaction number,Date,Text,Amount\n0001,2026-03-01,Coffee,-2.50\n0002,2026-03-02,Bread,-3.10\n")

    assert [draft.bank_id for draft in reading.drafts] == [None, None]
    assert "bank_id" not in reading.options["columns"]


@pytest.mark.parametrize(
    "bank_id", ["3228446118", "8XK12345AB678901C", "6f1c1f5e-7d0c-4a52-9d7c-6a3f0b7d9a10", "tx_0000A1", "CARD-123456"]
)
def test_what_lasts_for_years_is_an_id(bank_id: str) -> None:
    reading = read(f"Transaction ID,Date,Text,Amount\n{bank_id},2026-03-01,Coffee,-2.50\n")

    assert reading.drafts[0].bank_id == bank_id


def test_a_caller_who_names_the_column_of_ids_knows_that_they_last() -> None:
    text = "Transaction number,Date,Text,Amount\n7,2026-03-01,Coffee,-2.50\n8,2026-03-02,Bread,-3.10\n"

    reading = read(text, columns={"bank_id": "Transaction number"})

    assert [draft.bank_id for draft in reading.drafts] == ["7", "8"]


# --- accounts ---------------------------------------------------------------------------------------------------------

OTHERS = ["DE02120300000000202051", "FR1420041010050500013M02606", "NL91ABNA0417164300"]


@pytest.mark.parametrize("ibans", [OTHERS, [OTHERS[0], "", OTHERS[0]]])
def test_ibans_that_differ_or_are_missing_are_those_of_the_others(ibans: list[str]) -> None:
    rows = "".join(f"2026-03-0{day},Rent,{iban},-2.50\n" for day, iban in enumerate(ibans, 1))

    reading = read(f"Date,Text,IBAN,Amount\n{rows}")

    assert (reading.source, reading.accounts) == (None, [])
    assert reading.drafts[0].description == "Rent"


def test_an_iban_that_is_not_the_one_above_the_table_is_anothers() -> None:
    text = f"Girokonto;{OTHERS[0]}\nDatum;Text;IBAN;Betrag\n01.03.2026;Miete;{OTHERS[1]};-650,00\n"

    assert read(text).source == OTHERS[0]


def test_the_iban_of_all_rows_is_the_own_one() -> None:
    text = f"Date,Text,IBAN,Amount\n2026-03-01,Rent,{OTHERS[0]},-650.00\n2026-03-02,Bread,{OTHERS[0]},-3.10\n"

    assert read(text).source == OTHERS[0]


# --- beside the amount ------------------------------------------------------------------------------------------------

TWO_AMOUNTS = (
    "Date,Text,Amount,Currency,Payment amount,Currency\n"
    "2026-03-01,Hotel,-100.00,USD,-92.50,EUR\n2026-03-02,Bread,-3.10,EUR,-3.10,EUR\n"
)


@pytest.mark.parametrize(
    ("amount", "row"), [("Amount", "2026-03-01 100.00 USD"), ("Payment amount", "2026-03-01 92.50 EUR")]
)
def test_the_currency_beside_the_amount_is_the_amounts(amount: str, row: str) -> None:
    assert list_rows(read(TWO_AMOUNTS, columns={"amount": amount}))[0] == row


def test_currencies_that_stand_before_their_amounts_belong_to_these() -> None:
    reading = read("Date,Text,Currency,Amount,Currency,Balance\n2026-03-01,Hotel,USD,-100.00,EUR,900.00\n")

    assert list_rows(reading) == ["2026-03-01 100.00 USD"]


def test_the_direction_beside_the_amount_is_not_that_of_the_balance() -> None:
    rows = "2026-03-01,Coffee,2.50,DR,97.50,CR\n2026-03-02,Pay,900.00,CR,997.50,CR\n"

    reading = read(f"Date,Text,Amount,Dr / Cr,Balance,Dr / Cr\n{rows}")

    assert list_all_rows(reading) == ["read 2026-03-01 2.50 EUR", "incoming 2026-03-02 -900.00 EUR"]


# --- sides ------------------------------------------------------------------------------------------------------------


def test_a_minus_in_every_credit_says_nothing_more() -> None:
    reading = read("Date,Text,Debit,Credit\n2026-03-01,Coffee,2.50,\n2026-03-02,Refund,,-3.10\n")

    assert list_all_rows(reading) == ["read 2026-03-01 2.50 EUR", "incoming 2026-03-02 -3.10 EUR"]


def test_a_minus_in_one_of_the_credits_takes_it_back() -> None:
    rows = "2026-03-01,Pay,,900.00\n2026-03-02,Pay taken back,,-900.00\n2026-03-03,Coffee,2.50,\n"

    reading = read(f"Date,Text,Debit,Credit\n{rows}")

    assert list_rows(reading) == ["2026-03-02 900.00 EUR", "2026-03-03 2.50 EUR"]


# --- kinds ------------------------------------------------------------------------------------------------------------


def test_the_kind_of_a_row_without_any_text_describes_it() -> None:
    text = "Datum;Buchungstext;Verwendungszweck;Betrag\n13.03.2026;Kontogebühr;;-2,50\n14.03.2026;Karte;Brot;-3,10\n"

    assert [draft.description for draft in read(text).drafts] == ["Kontogebühr", "Brot"]


def test_kinds_that_differ_from_row_to_row_are_descriptions() -> None:
    rows = "".join(f"{day}.03.2026;Karte;{text};Ref {day};-2,50\n" for day, text in enumerate(["A1", "B2", "C3"], 13))

    reading = read(f"Datum;Vorgang;Buchungstext;Referenz;Betrag\n{rows}")

    assert [draft.description for draft in reading.drafts] == ["A1; Ref 13", "B2; Ref 14", "C3; Ref 15"]
    assert list_options(reading) == []
