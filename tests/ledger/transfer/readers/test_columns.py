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


def test_a_currency_that_belongs_to_no_amount_is_no_description() -> None:
    rows = "2026-03-01,EUR,97.50,EUR,-2.50\n2026-03-02,EUR,94.40,EUR,-3.10\n2026-03-03,EUR,93.40,EUR,-1.00\n"

    assert read(rows).options["columns"] == {"date": 1, "currency": 4, "amount": 5, "description": []}


def test_currencies_that_stand_before_their_amounts_belong_to_these() -> None:
    reading = read("Date,Text,Currency,Amount,Currency,Balance\n2026-03-01,Hotel,USD,-100.00,EUR,900.00\n")

    assert list_rows(reading) == ["2026-03-01 100.00 USD"]


def test_the_direction_beside_the_amount_is_not_that_of_the_balance() -> None:
    rows = "2026-03-01,Coffee,2.50,DR,97.50,CR\n2026-03-02,Pay,900.00,CR,997.50,CR\n"

    reading = read(f"Date,Text,Amount,Dr / Cr,Balance,Dr / Cr\n{rows}")

    assert list_all_rows(reading) == ["read 2026-03-01 2.50 EUR", "incoming 2026-03-02 -900.00 EUR"]


def test_a_word_for_neither_direction_is_no_option() -> None:
    reading = read("Date,Text,收/支,Amount\n2026-03-01,Coffee,支出,2.50\n2026-03-02,Savings,不计收支,100.00\n")

    assert list_all_rows(reading) == ["read 2026-03-01 2.50 EUR", "neutral"]
    assert reading.options["meanings"] == {"支出": "out"}


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
    rows = "".join(f"{day}.03.2026;Karte;Laden {day};Ref {day};-2,50\n" for day in range(13, 18))

    reading = read(f"Datum;Vorgang;Buchungstext;Referenz;Betrag\n{rows}")

    assert [draft.description for draft in reading.drafts][:2] == ["Laden 13; Ref 13", "Laden 14; Ref 14"]
    assert (list_options(reading), reading.options["columns"]["type"]) == ([], "Vorgang")


def test_kinds_that_agree_with_the_signs_prove_them() -> None:
    rows = "2026-03-01,Coffee,Purchase,2.50\n2026-03-02,Zoë,Credit,-3.10\n2026-03-03,Thanks,Payment,-90.00\n"

    reading = read(f"Date,Text,Type,Amount\n{rows}")

    assert (reading.options["sign"], list_rows(reading)) == ("plus_is_spent", ["2026-03-01 2.50 EUR"])


# --- balances ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "balances", [["+97.50", "+997.50", "+994.40"], ["+100.00", "+97.50", "+997.50"]], ids=["after", "before"]
)
@pytest.mark.parametrize("step", [1, -1], ids=["oldest first", "newest first"])
def test_balances_before_or_after_each_row_prove_the_amount(balances: list[str], step: int) -> None:
    amounts = ["-2.50", "+900.00", "-3.10"]
    rows = [f"0{day}/03/2026,{amounts[day - 1]},Text {day},{balances[day - 1]}" for day in (1, 2, 3)]

    reading = read("\n".join(rows[::step]), date_order="DMY")

    assert list_options(reading) == []
    assert sorted(list_rows(reading)) == ["2026-03-01 2.50 EUR", "2026-03-03 3.10 EUR"]


def test_a_balance_that_is_missing_or_has_two_signs_proves_as_much() -> None:
    rows = [
        "-2.50,Tea,+7.50",
        "-10.00,Rent,+-2.50",
        "+3.00,Zoë,+0.50",
        "-1.00,Bread,",
        "+2.00,Al,+1.50",
        "-1.00,Jam,0.50",
    ]

    reading = read("\n".join(f"2026-03-0{day},{row}" for day, row in enumerate(rows, 1)))

    assert (list_options(reading), len(list_rows(reading))) == ([], 4)


def test_a_balance_with_its_day_and_without_an_amount_is_no_movement() -> None:
    text = "Date,Description,Amount,Running Bal.\n11/01/2026,Beginning balance as of 11/01/2026,,100.00\n"

    reading = read(f"{text}11/13/2026,Coffee,-2.50,97.50\n")

    assert list_all_rows(reading) == ["balance", "read 2026-11-13 2.50 EUR"]


def test_a_column_of_amounts_that_are_all_zero_is_no_rival() -> None:
    reading = read("Date,Text,Amount (tax),Amount (total)\n2026-03-01,Coffee,0,-2.50\n2026-03-02,Bread,0,-3.10\n")

    assert (list_options(reading), list_rows(reading)) == ([], ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"])


# --- what waits for an answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01,Hotel,-100.00,-92.50\n2026-03-02,Bread,-3.10,-1.00\n",
        "Date,Text,Transaction amount,Amount\n2026-03-01,Hotel,-100.00,-92.50\n2026-03-02,Bread,0.00,-3.10\n",
    ],
)
def test_no_row_is_shown_as_read_while_a_question_decides_its_amount(text: str) -> None:
    reading = read(text)

    assert list_options(reading) == ["columns.amount"]
    assert list_all_rows(reading) == ["open", "open"]


def test_no_row_is_shown_as_read_while_a_question_decides_its_day() -> None:
    reading = read("2026-03-01,2026-03-05,Hotel,-100.00\n2026-03-02,2026-03-02,Bread,-3.10\n")

    assert (list_options(reading), list_all_rows(reading)) == (["columns.date"], ["open", "open"])


STATES = "Date,Text,Status,Amount\n2026-03-01,Coffee,Zzyx,-2.50\n2026-03-02,Bread,Qrst,-3.10\n"


def test_states_of_which_none_is_known_are_asked_about() -> None:
    (question,) = read(STATES).questions

    assert question.option == "meanings"
    assert question.choices[0] == {"Zzyx": "pending", "Qrst": "booked"}
    assert list_all_rows(read(STATES)) == ["open", "open"]


def test_what_is_chosen_of_states_answers_the_question() -> None:
    reading = read(STATES, meanings={"Zzyx": "pending", "Qrst": "booked"})

    assert (list_options(reading), list_rows(reading)) == ([], ["2026-03-02 3.10 EUR"])


# --- the user's currency ----------------------------------------------------------------------------------------------


def test_the_users_currency_is_shown_where_a_row_names_none() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Coffee,-2.50\n", currency="CHF")

    assert reading.options["currency"] == "CHF"


def test_the_users_currency_is_not_shown_where_every_row_bears_its_own() -> None:
    assert "currency" not in read("Date,Text,Amount,Currency\n2026-03-01,Coffee,-2.50,GBP\n").options
