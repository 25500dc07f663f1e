"""Tables of banks: where they begin, what their columns mean, which way the money went."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.transfer.readers.bank_fields import name_account
from ledger.transfer.readers.entries import UnreadableFile
from ledger.transfer.readers.reading import Request, read_file
from tests.support.readings import list_all_rows, list_details, list_options, list_rows, read

# --- where the table is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    lines = [["Date", "Text", "Amount"], ["2026-03-01", "Coffee", "-2.50"], ["2026-03-02", "Bread", "-3.10"]]

    reading = read("\n".join(delimiter.join(line) for line in lines))

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]
    assert reading.options["delimiter"] == delimiter


def test_a_decimal_comma_is_no_delimiter() -> None:
    reading = read("01.03.2026;Coffee;-2,50\n02.03.2026;Bread;-3,10\n")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]


def test_lines_before_the_header_are_no_rows() -> None:
    reading = read("My bank\nFrom;01.03.2026\nBalance;1.000,00;EUR\n\nDatum;Text;Betrag\n02.03.2026;Brot;-3,10\n")

    assert list_rows(reading) == ["2026-03-02 3.10 EUR"]
    assert reading.options["header_line"] == 5


def test_a_table_without_a_header_is_read_by_its_values() -> None:
    reading = read("20260301,Coffee,-2.50\n20260302,Bread,-3.10\n")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]
    assert reading.options["header_line"] == 0


def test_a_header_in_an_unknown_language_is_a_header() -> None:
    reading = read("Xyz,Abc,Qrs\n2026-03-01,Coffee,-2.50\n2026-03-02,Bread,-3.10\n")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]
    assert reading.options["columns"] == {"date": "Xyz", "amount": "Qrs", "description": ["Abc"]}


def test_a_repeated_header_is_no_row() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Coffee,-2.50\nDate,Text,Amount\n2026-03-02,Bread,-3.10\n")

    assert list_all_rows(reading) == ["read 2026-03-01 2.50 EUR", "repeated_header", "read 2026-03-02 3.10 EUR"]


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_all_line_ends_are_read(ends: str) -> None:
    reading = read(ends.join(["Date,Text,Amount", "2026-03-01,Coffee,-2.50", "2026-03-02,Bread,-3.10"]))

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]
    assert [draft.line for draft in reading.drafts] == [2, 3]


def test_a_cell_of_several_lines_is_one_row_and_the_next_knows_its_line() -> None:
    reading = read('Date,Text,Amount\n2026-03-01,"Coffee\nand cake",-2.50\n2026-03-02,Bread,-3.10\n')

    assert [(draft.line, draft.description) for draft in reading.drafts] == [(2, "Coffee\nand cake"), (4, "Bread")]


def test_a_quote_that_nothing_closes_refuses_its_row_alone() -> None:
    reading = read('Date,Text,Amount\n2026-03-01,"Coffee,-2.50\n2026-03-02,Bread,-3.10\n2026-03-03,"Tea",-1.00\n')

    assert list_all_rows(reading) == ["refused", "read 2026-03-02 3.10 EUR", "read 2026-03-03 1.00 EUR"]


def test_quotes_inside_a_cell_are_characters() -> None:
    reading = read('Date\tText\tAmount\n2026-03-01\tBar "Zoë"\t-2.50\n2026-03-02\t5" pipe\t-3.10\n')

    assert [draft.description for draft in reading.drafts] == ['Bar "Zoë"', '5" pipe']


def test_blanks_between_a_quote_and_a_comma_do_not_count() -> None:
    reading = read('"Date","Text","Amount"\n"2026-03-01"\t,"Coffee   \t","-2.50"\n"2026-03-02","Bread","-3.10"\n')

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]


def test_blocks_of_keys_and_values_are_rows() -> None:
    block = "Date: {}\nDescription: Shop, Main Street\nAmount: {}\nBalance: 100.00\n"

    reading = read(
        "From: 01/03/2026 to 31/03/2026\n\n"
        + "\n".join([block.format("05/03/2026", "-3.10"), block.format("04/03/2026", "-2.50")])
    )

    assert list_rows(reading) == ["2026-03-05 3.10 EUR", "2026-03-04 2.50 EUR"]


def test_a_row_of_text_alone_goes_on_with_the_one_before() -> None:
    reading = read("Date,Text,Amount\n01/13/2026,Card,-2.50\n,at the corner,\n01/14/2026,Bread,-3.10\n")

    assert [draft.description for draft in reading.drafts] == ["Card; at the corner", "Bread"]


def test_sums_and_remarks_below_are_no_rows() -> None:
    reading = read(
        "Date;Text;Amount\n13.01.2026;Coffee;-2,50\n14.01.2026;Bread;-3,10\nTotal;;-5,60\n;;\nAsk your bank\n"
    )

    assert list_rows(reading) == ["2026-01-13 2.50 EUR", "2026-01-14 3.10 EUR"]
    assert len(reading.drafts) == 2


@pytest.mark.parametrize("text", ["Opening balance", "Saldo końcowe", "Anfangssaldo", "SALDO ANTERIOR", "期末余额"])
def test_balances_are_no_movements(text: str) -> None:
    reading = read(f"Date;Text;Amount\n13.01.2026;{text};900,00\n14.01.2026;Bread;-3,10\n15.01.2026;Tea;-1,00\n")

    assert list_all_rows(reading)[0].startswith("balance")


def test_a_shop_that_is_called_total_is_a_row() -> None:
    reading = read("Date;Text;Amount\n13.01.2026;Total;-50,00\n14.01.2026;Bread;-3,10\n")

    assert list_rows(reading)[0] == "2026-01-13 50.00 EUR"


# --- which column is what ---------------------------------------------------------------------------------------------


def test_a_balance_is_not_the_amount() -> None:
    reading = read("Date;Text;Balance;Amount\n13.01.2026;Coffee;97,50;-2,50\n14.01.2026;Bread;94,40;-3,10\n")

    assert list_rows(reading) == ["2026-01-13 2.50 EUR", "2026-01-14 3.10 EUR"]


def test_a_running_balance_proves_the_amount_where_no_header_does() -> None:
    reading = read("13.01.2026;Coffee;-2,50;97,50\n14.01.2026;Bread;-3,10;94,40\n15.01.2026;Pay;200,00;294,40\n")

    assert list_rows(reading) == ["2026-01-13 2.50 EUR", "2026-01-14 3.10 EUR"]
    assert reading.questions == []


def test_balances_before_and_after_prove_the_amount_between_them() -> None:
    reading = read("13.01.2026;100,00;97,50;-2,50\n14.01.2026;97,50;94,40;-3,10\n")

    assert list_rows(reading) == ["2026-01-13 2.50 EUR", "2026-01-14 3.10 EUR"]


def test_two_columns_of_numbers_that_prove_nothing_are_asked_about() -> None:
    reading = read("13.01.2026;Coffee;-2,50;97,50\n14.01.2026;Bread;-3,10;12,40\n")

    assert list_options(reading) == ["columns.amount"]
    assert reading.questions[0].choices == [3, 4]
    assert list_rows(read("13.01.2026;Coffee;-2,50;97,50\n14.01.2026;Bread;-3,10;12,40\n", columns={"amount": 3})) == [
        "2026-01-13 2.50 EUR",
        "2026-01-14 3.10 EUR",
    ]


def test_two_columns_of_days_without_a_header_are_asked_about() -> None:
    reading = read("13.01.2026;Coffee;14.01.2026;-2,50\n14.01.2026;Bread;15.01.2026;-3,10\n")

    assert list_options(reading) == ["columns.date"]


def test_the_transactions_day_counts_if_every_row_has_one() -> None:
    reading = read("Booking date;Transaction date;Amount\n14.01.2026;13.01.2026;-2,50\n15.01.2026;14.01.2026;-3,10\n")

    assert list_rows(reading) == ["2026-01-13 2.50 EUR", "2026-01-14 3.10 EUR"]


def test_the_bookings_day_counts_if_a_row_lacks_the_transactions() -> None:
    reading = read("Transaction date;Booking date;Amount\n13.01.2026;14.01.2026;-2,50\n;15.01.2026;-3,10\n")

    assert list_rows(reading) == ["2026-01-14 2.50 EUR", "2026-01-15 3.10 EUR"]


def test_an_empty_file_of_columns_asks_for_day_and_amount() -> None:
    reading = read("one,two\nthree,four\n")

    assert list_options(reading) == ["columns.date", "columns.amount"]


def test_columns_that_are_sent_beat_those_that_were_found() -> None:
    reading = read(
        "Date,Text,Shop,Amount\n2026-03-01,Coffee,Zoë,-2.50\n2026-03-02,Bread,Al,-3.10\n", columns={"payee": "Text"}
    )

    assert [draft.payee for draft in reading.drafts] == ["Coffee", "Bread"]


def test_a_column_that_is_unset_is_not_used() -> None:
    reading = read("Date,Category,Amount\n2026-03-01,Food,-2.50\n2026-03-02,Food,-3.10\n", columns={"category": None})

    assert {draft.category for draft in reading.drafts} == {None}


def test_text_of_unknown_columns_joins_the_description() -> None:
    reading = read("Date,Description,Branch,Amount\n2026-03-01,Coffee,North,-2.50\n2026-03-02,Bread,South,-3.10\n")

    assert [draft.description for draft in reading.drafts] == ["Coffee; North", "Bread; South"]


def test_of_two_columns_of_one_name_the_second_is_named_by_its_number() -> None:
    reading = read("Date;Note;Note;Amount\n13.01.2026;Coffee;black;-2,50\n14.01.2026;Bread;brown;-3,10\n")

    assert reading.options["columns"]["description"] == [2, 3]


def test_what_the_answer_shows_can_be_sent_back() -> None:
    text = "Datum;Text;Betrag\n13.01.2026;Kaffee;-2,50\n14.01.2026;Brot;-3,10\n"
    first = read(text)

    assert read(text, **first.options) == first


def test_a_category_and_its_part_are_read() -> None:
    reading = read("Date,Category,Subcategory,Amount\n2026-03-01,Food,Coffee,-2.50\n2026-03-02,Food,,-3.10\n")

    assert [(draft.category, draft.parent) for draft in reading.drafts] == [("Coffee", "Food"), ("Food", None)]


def test_tags_stand_between_commas() -> None:
    reading = read('Date,Tags,Amount\n2026-03-01,"work, lunch",-2.50\n2026-03-02,,-3.10\n')

    assert [draft.tags for draft in reading.drafts] == [["work", "lunch"], []]


# --- days -------------------------------------------------------------------------------------------------------------


def test_an_order_that_no_day_proves_is_asked() -> None:
    text = "Date,Text,Amount\n02/12/2026,Coffee,-2.50\n03/12/2026,Bread,-3.10\n"

    assert list_options(read(text)) == ["date_order"]
    assert list_all_rows(read(text)) == ["open", "open"]
    assert list_rows(read(text, date_order="DMY")) == ["2026-12-02 2.50 EUR", "2026-12-03 3.10 EUR"]


def test_a_day_in_the_title_proves_the_order() -> None:
    reading = read("From 01/12/2026 to 31/12/2026\nDate,Text,Amount\n02/12/2026,Coffee,-2.50\n03/12/2026,Bread,-3.10\n")

    assert list_rows(reading) == ["2026-12-02 2.50 EUR", "2026-12-03 3.10 EUR"]


def test_a_missing_year_is_asked_with_those_of_the_title() -> None:
    text = "Statement 1/2026\nDate;Text;Amount\n30.12.;Coffee;-2,50\n02.01.;Bread;-3,10\n"

    assert [(it.option, it.choices) for it in read(text).questions] == [("year", [2026])]
    assert list_rows(read(text, year=2026)) == ["2025-12-30 2.50 EUR", "2026-01-02 3.10 EUR"]


def test_a_day_that_does_not_exist_refuses_its_row() -> None:
    reading = read("Date,Text,Amount\n2026-02-30,Coffee,-2.50\n2026-03-02,Bread,-3.10\n")

    assert list_all_rows(reading) == ["refused", "read 2026-03-02 3.10 EUR"]
    assert list_details(reading) == ["This is no day that exists."]


# --- amounts ----------------------------------------------------------------------------------------------------------


def test_a_number_is_read_as_the_others_prove_it() -> None:
    reading = read("Date;Text;Amount\n13.01.2026;Rent;-1.450\n14.01.2026;Bread;-1.000,5\n")

    assert list_rows(reading) == ["2026-01-13 1450.00 EUR", "2026-01-14 1000.50 EUR"]


def test_a_number_that_nothing_proves_is_asked_about() -> None:
    text = "Date;Text;Amount\n13.01.2026;Rent;-1.450\n14.01.2026;Bread;-2.000\n"

    assert list_options(read(text)) == ["decimal"]
    assert list_rows(read(text, decimal=",")) == ["2026-01-13 1450.00 EUR", "2026-01-14 2000.00 EUR"]
    assert list_rows(read(text, decimal=".")) == ["2026-01-13 1.45 EUR", "2026-01-14 2.00 EUR"]


def test_a_currency_without_decimals_proves_the_thousands_mark() -> None:
    reading = read('Date,Text,Amount (JPY)\n2026-03-01,Rice,"-1,450"\n2026-03-02,Tea,-300\n')

    assert list_rows(reading) == ["2026-03-01 1450 JPY", "2026-03-02 300 JPY"]


def test_an_amount_that_is_none_refuses_its_row() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Coffee,-12..34\n2026-03-02,Bread,-3.10\n2026-03-03,Tea,-1.00\n")

    assert list_all_rows(reading)[0] == "refused"
    assert list_details(reading) == ["This is no amount: write it like 12.50, in the same way in all rows."]


def test_more_decimals_than_the_currency_has_refuse_the_row_unless_they_are_zero() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Coffee,-2.5000\n2026-03-02,Bread,-3.1234\n2026-03-03,Tea,-1.00\n")

    assert list_all_rows(reading)[:2] == ["read 2026-03-01 2.50 EUR", "refused"]
    assert list_details(reading) == ["EUR has 2 decimals, and amounts are not rounded."]


def test_a_zero_is_no_movement() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Coffee,0.00\n2026-03-02,Bread,-3.10\n2026-03-03,Tea,-1.00\n")

    assert list_all_rows(reading)[0].startswith("zero")


@pytest.mark.parametrize(
    "header", ["Withdrawals,Deposits", "Soll,Haben", "Débit,Crédit", "Paid out,Paid in", "出金,入金", "Расход,Приход"]
)
def test_columns_of_debits_and_credits_say_the_direction(header: str) -> None:
    reading = read(f"Date,Text,{header}\n2026-03-01,Coffee,2.50,\n2026-03-02,Pay,,900.00\n", incoming="refund")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 -900.00 EUR"]


def test_a_minus_in_every_debit_says_nothing_more() -> None:
    reading = read("Date,Text,Debit,Credit\n2026-03-01,Coffee,-2.50,\n2026-03-02,Bread,-3.10,\n")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]


def test_a_minus_in_one_of_the_debits_takes_it_back() -> None:
    reading = read("Date,Text,Debit,Credit\n2026-03-01,Coffee,2.50,\n2026-03-02,Coffee,-2.50,\n", incoming="refund")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 -2.50 EUR"]


@pytest.mark.parametrize(
    ("out", "in_"), [("Af", "Bij"), ("D", "C"), ("Expense", "Income"), ("支出", "收入"), ("debit", "credit")]
)
def test_a_word_beside_an_unsigned_amount_says_the_direction(out: str, in_: str) -> None:
    reading = read(f"2026-03-01,Coffee,{out},2.50\n2026-03-02,Pay,{in_},900.00\n", incoming="refund")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 -900.00 EUR"]
    assert reading.options["sign"] == "flag"
    assert reading.options["meanings"] == {out: "out", in_: "in"}


def test_a_word_that_says_no_direction_refuses_its_row_and_can_be_explained() -> None:
    text = "Date,Text,D/C,Amount\n2026-03-01,Coffee,D,2.50\n2026-03-02,Fee,Q,1.00\n"

    assert list_all_rows(read(text)) == ["read 2026-03-01 2.50 EUR", "refused"]
    assert list_rows(read(text, meanings={"Q": "out"})) == ["2026-03-01 2.50 EUR", "2026-03-02 1.00 EUR"]


def test_unsigned_amounts_without_a_word_are_asked_about() -> None:
    text = "Date,Text,Amount\n2026-03-01,Coffee,2.50\n2026-03-02,Bread,3.10\n"

    assert list_options(read(text)) == ["sign"]
    assert list_rows(read(text, sign="plus_is_spent")) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]


def test_as_many_positive_as_negative_amounts_prove_nothing() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Coffee,2.50\n2026-03-02,Bread,-3.10\n")

    assert list_options(reading) == ["sign"]


@pytest.mark.parametrize(("pay", "sign"), [("900.00", "minus_is_spent"), ("-900.00", "plus_is_spent")])
def test_a_salary_proves_the_sign(pay: str, sign: str) -> None:
    spent = "-2.50" if sign == "minus_is_spent" else "2.50"

    reading = read(f"Date,Text,Amount\n2026-03-01,Coffee,{spent}\n2026-03-02,Salary,{pay}\n")

    assert reading.options["sign"] == sign


def test_an_iban_proves_that_it_is_a_bank_account() -> None:
    reading = read(
        "Account: DE89 3704 0044 0532 0130 00\nDate,Text,Amount\n2026-03-01,Coffee,-2.50\n2026-03-02,Pay,9.00\n"
    )

    assert list_rows(reading) == ["2026-03-01 2.50 EUR"]


def test_cr_behind_some_amounts_says_that_the_others_were_spent() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Coffee,2.50\n2026-03-02,Payment,100.00 CR\n", incoming="refund")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 -100.00 EUR"]


def test_a_word_that_contradicts_the_sign_counts_less() -> None:
    text = "Date,Type,Amount\n2026-03-01,Debit,(2.50)\n2026-03-02,Debit,(4.50)\n2026-03-03,Credit,(116.22)\n"

    assert list_rows(read(text)) == ["2026-03-01 2.50 EUR", "2026-03-02 4.50 EUR", "2026-03-03 116.22 EUR"]


# --- currencies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Date,Text,Amount,Currency\n2026-03-01,Coffee,-2.50,CHF\n",
        "Date,Text,Amount (CHF)\n2026-03-01,Coffee,-2.50\n",
        "Date,Text,Amount CHF\n2026-03-01,Coffee,-2.50\n",
        "Date,Text,Amount\n2026-03-01,Coffee,-2.50 CHF\n",
        "Account,123,CHF\nDate,Text,Amount\n2026-03-01,Coffee,-2.50\n",
    ],
)
def test_the_currency_is_found_wherever_the_file_says_it(text: str) -> None:
    assert list_rows(read(text)) == ["2026-03-01 2.50 CHF"]


def test_a_currency_that_is_not_named_is_the_users() -> None:
    assert list_rows(read("Date,Text,Amount\n2026-03-01,Coffee,-2.50\n", currency="SEK")) == ["2026-03-01 2.50 SEK"]


def test_a_sign_is_the_users_currency_where_that_bears_it_and_else_asked() -> None:
    text = "Date,Text,Amount\n2026-03-01,Coffee,-$2.50\n"

    assert list_rows(read(text, currency="CAD")) == ["2026-03-01 2.50 CAD"]
    assert list_options(read(text)) == ["currency"]
    assert list_rows(read(text, currency="EUR")) == []


def test_an_unknown_currency_refuses_the_row() -> None:
    reading = read("Date,Text,Amount,Currency\n2026-03-01,Coffee,-2.50,EUR\n2026-03-02,Bread,-3.10,ABC\n")

    assert list_all_rows(reading) == ["read 2026-03-01 2.50 EUR", "refused"]


# --- rows that are not booked -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "reason"), [("Pending", "pending"), ("Declined", "failed"), ("offen", "pending")])
def test_rows_that_are_not_booked_are_skipped(word: str, reason: str) -> None:
    reading = read(f"Date,Text,Status,Amount\n2026-03-01,Coffee,{word},-2.50\n2026-03-02,Bread,Posted,-3.10\n")

    assert list_all_rows(reading)[0].startswith(reason)


def test_the_word_pending_instead_of_a_day_is_no_error() -> None:
    reading = read("Date,Text,Amount\nPending,Coffee,-2.50\n2026-03-02,Bread,-3.10\n")

    assert list_all_rows(reading) == ["pending", "read 2026-03-02 3.10 EUR"]


def test_transfers_between_own_accounts_are_skipped_unless_they_are_wanted() -> None:
    text = "Date,Text,Type,Amount\n2026-03-01,Coffee,Expense,2.50\n2026-03-02,Savings,Transfer-Out,100.00\n"

    assert list_all_rows(read(text))[1] == "transfer 2026-03-02 100.00 EUR"
    assert list_rows(read(text, transfers="import")) == ["2026-03-01 2.50 EUR", "2026-03-02 100.00 EUR"]


def test_a_transfer_in_a_statement_may_be_a_payment_so_it_is_asked() -> None:
    text = "Date,Text,Type,Amount\n2026-03-01,Coffee,Card,-2.50\n2026-03-02,Rent,Transfer,-650.00\n"

    assert list_options(read(text)) == ["transfers"]
    assert list_all_rows(read(text)) == ["read 2026-03-01 2.50 EUR", "open"]
    assert list_rows(read(text, transfers="import")) == ["2026-03-01 2.50 EUR", "2026-03-02 650.00 EUR"]
    assert list_all_rows(read(text, transfers="skip"))[1] == "transfer 2026-03-02 650.00 EUR"


def test_kinds_of_cards_are_no_direction() -> None:
    text = "Date,Shop,Method,Amount\n2026-03-01,Coffee,Credit,2.50\n2026-03-02,Bread,Debit,3.10\n"

    assert list_options(read(text)) == ["sign"]


def test_letters_are_a_direction_only_where_the_header_says_so() -> None:
    rows = "2026-03-01,Coffee,A,2.50\n2026-03-02,Bread,B,3.10\n"

    assert list_options(read(f"Date,Text,Type,Amount\n{rows}")) == ["sign"]


def test_two_columns_of_amounts_that_differ_are_asked_about() -> None:
    text = "Date,Text,Transaction amount,Amount\n2026-03-01,Hotel,-100.00,-92.50\n2026-03-02,Bread,-3.10,-3.10\n"

    assert list_options(read(text)) == ["columns.amount"]


def test_a_header_that_means_two_things_is_told_by_its_values() -> None:
    reading = read("Dato;Tekst;Beløp;Valuta\n13.01.2026;Kaffe;-25,00;NOK\n14.01.2026;Brød;-31,00;NOK\n")

    assert list_rows(reading) == ["2026-01-13 25.00 NOK", "2026-01-14 31.00 NOK"]


def test_money_in_is_skipped_unless_it_is_a_refund() -> None:
    text = "Date,Text,Amount\n2026-03-01,Coffee,-2.50\n2026-03-02,Bread,-3.10\n2026-03-03,Coffee,2.50\n"

    assert list_all_rows(read(text))[2] == "incoming 2026-03-03 -2.50 EUR"
    assert list_rows(read(text, incoming="refund"))[2] == "2026-03-03 -2.50 EUR"


# --- accounts and ids -------------------------------------------------------------------------------------------------


def test_the_only_account_of_a_file_is_its_source() -> None:
    reading = read("Account,Date,Text,Amount\nChecking,2026-03-01,Coffee,-2.50\nChecking,2026-03-02,Bread,-3.10\n")

    assert (reading.source, reading.accounts) == ("Checking", [])


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("IBAN: DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("Kontonummer,12345", "12345"),
        ("Account number:,12-345", "12-345"),
        ("Statement of March", None),
    ],
)
def test_the_account_that_stands_above_the_table_is_its_source(line: str, source: str | None) -> None:
    assert read(f"{line}\nDate,Text,Amount\n2026-03-01,Coffee,-2.50\n").source == source


def test_each_row_of_several_accounts_bears_its_own() -> None:
    text = "Account,Date,Text,Amount\nChecking,2026-03-01,Coffee,-2.50\nCash,2026-03-02,Bread,-3.10\n"

    assert read(text).source is None
    assert [draft.account for draft in read(text).drafts] == ["Checking", "Cash"]
    assert list_all_rows(read(text, accounts=["Cash"])) == ["chosen 2026-03-01 2.50 EUR", "read 2026-03-02 3.10 EUR"]


def test_an_id_of_the_bank_that_occurs_twice_is_none() -> None:
    rows = "T2603010001,2026-03-01,Coffee,-2.50\nT2603010001,2026-03-02,Bread,-3.10\nT2603030002,2026-03-03,Tea,-1.00\n"

    reading = read(f"Transaction ID,Date,Text,Amount\n{rows}")

    assert [draft.bank_id for draft in reading.drafts] == [None, None, "T2603030002"]


def test_a_row_is_known_again_whatever_the_options() -> None:
    text = "Date,Text,Shop,Category,Amount\n2026-03-01,Coffee,Zoë,Food,2.50\n2026-03-02,Bread,Al,Food,3.10\n"
    first = read(text, sign="plus_is_spent")
    second = read(
        text, sign="minus_is_spent", incoming="refund", columns={"category": None, "payee": "Text"}, category="X"
    )

    assert [it.fingerprint for it in first.drafts] == [it.fingerprint for it in second.drafts]


def test_a_row_is_known_again_when_it_is_cleared() -> None:
    row = "Date,Text,Cleared,Amount\n2026-03-01,Coffee,{},-2.50\n"

    assert read(row.format("Uncleared")).drafts[0].fingerprint == read(row.format("Reconciled")).drafts[0].fingerprint


def test_other_texts_make_another_row() -> None:
    row = "Date,Text,Amount\n2026-03-01,{},-2.50\n"

    assert read(row.format("Coffee")).drafts[0].fingerprint != read(row.format("Tea")).drafts[0].fingerprint


@pytest.mark.parametrize("account", ["NL91ABNA0417164300EUR", "NL91 ABNA 0417 1643 00", "NL91ABNA0417164300"])
def test_an_account_has_one_name_with_its_currency_and_without(account: str) -> None:
    assert name_account(account) == "NL91ABNA0417164300"


def test_an_account_whose_check_digits_are_wrong_has_one_name_too() -> None:
    assert name_account("NL01ABNA0417164300EUR") == name_account("NL01ABNA0417164300") == "NL01ABNA0417164300"


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Date,Amount\n" + "2026-03-01,-1.00\n" * 50_001, "50,000 rows"),
        (",".join(["x"] * 10_000), "300 columns"),
        ('Date,Amount\n"' + "x" * 200_000 + '",1', "100,000 characters"),
        ("x" * 2_000_000, "1,000,000 characters"),
        ("Date,Amount\n" + (",".join(["2026-03-01", *["1.50"] * 290]) + "\n") * 8_000, "2,000,000 cells"),
        ('"a,b\n' * 10_000, "quote that nothing closes"),
        ("Date: 01/02/2026\nAmount: 5\n\n" * 50_001, "50,000 rows"),
    ],
)
def test_a_file_that_is_too_large_says_so(text: str, detail: str) -> None:
    with pytest.raises(UnreadableFile, match=detail):
        read(text)


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        reading = read(text)
    except UnreadableFile:
        return
    assert all(draft.number == place for place, draft in enumerate(reading.drafts, 1))


_CELLS = st.sampled_from(
    ["2026-03-01", "01/02/2026", "1.450", "-2,50", "12.50", "Coffee", "EUR", "", "Pending", '"', "Af", "Total"]
)


@settings(max_examples=200)
@given(st.lists(st.lists(_CELLS, min_size=1, max_size=6), max_size=8), st.sampled_from([",", ";", "\t"]))
def test_any_table_is_read_and_every_row_that_is_read_is_whole(rows: list[list[str]], delimiter: str) -> None:
    try:
        reading = read("Date;Text;Amount\n" + "\n".join(delimiter.join(row) for row in rows))
    except UnreadableFile:
        return
    whole = [draft for draft in reading.drafts if draft.status == "read"]
    assert all(draft.amount and draft.currency and draft.date and draft.fingerprint for draft in whole)


# --- what is no proof -------------------------------------------------------------------------------------------------

IBAN = "Account;DE89370400440532013000\n"


def test_an_iban_proves_no_sign_where_no_amount_has_a_minus() -> None:
    assert list_options(read(IBAN + "Date;Text;Somme\n13.03.2026;Rent;650,00\n14.03.2026;Cafe;4,50\n")) == ["sign"]


@pytest.mark.parametrize("headers", ["Dr;Cr", "Suma debit;Suma credit", "Isplata;Uplata", "Retiros;Depósitos"])
def test_debits_and_credits_have_many_names(headers: str) -> None:
    reading = read(IBAN + f"Date;Text;{headers}\n13.03.2026;Rent;650,00;\n14.03.2026;Pay;;900,00\n")

    assert list_all_rows(reading) == ["read 2026-03-13 650.00 EUR", "incoming 2026-03-14 -900.00 EUR"]


@pytest.mark.parametrize(("above", "currency"), [("Status;ALL", "EUR"), ("Currency;ALL", "ALL"), ("Status;SEK", "SEK")])
def test_a_word_that_is_a_code_too_is_a_currency_only_beside_the_word_for_it(above: str, currency: str) -> None:
    rows = "Date;Text;Amount\n13.03.2026;Rent;-650,00\n14.03.2026;Cafe;-4,50\n"

    assert {row.currency for row in read(f"{above}\n{rows}").drafts} == {currency}


def test_the_option_currency_beats_what_stands_above_the_table_and_changes_no_identity() -> None:
    text = "Currency;SEK\nDate;Text;Amount\n13.03.2026;Rent;-650,00\n14.03.2026;Cafe;-4,50\n"
    chosen = read_file(text.encode(), "csv", Request(currency="EUR", options={"currency": "NOK"})).drafts[0]
    stated = read(text).drafts[0]

    assert (stated.currency, chosen.currency, chosen.fingerprint) == ("SEK", "NOK", stated.fingerprint)


def test_the_name_of_the_accounts_owner_is_no_payee() -> None:
    text = "Date;Name;Counterparty name;Amount\n" + "".join(
        f"{day}.03.2026;ADA LOVELACE;Shop {day};-1,00\n" for day in range(13, 18)
    )

    assert [row.payee for row in read(text).drafts][:2] == ["Shop 13", "Shop 14"]


@pytest.mark.parametrize("text", ["S A L D O", "Saldo Atual", "Solde", "Neuer Kontostand", "Balance forward"])
def test_a_balance_is_no_expense_also_with_a_day(text: str) -> None:
    reading = read(f"Date;Text;Amount\n13.03.2026;Rent;-650,00\n14.03.2026;{text};-1182,45\n")

    assert [row.reason for row in reading.drafts] == [None, "balance"]
