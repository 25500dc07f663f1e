"""Profiles: exports that their headers prove are read without a question."""

import pytest

from ledger.transfer.readers.profiles import PROFILES
from tests.support.readings import list_all_rows, list_options, list_rows, read


def _write(name: str, *rows: dict[str, str]) -> str:
    """Return an export of a profile with these cells, by header; others are empty."""
    header = PROFILES[name].header
    lines = [header, *([row.get(column, "") for column in header] for row in rows)]
    return "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines) + "\n"


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("expense-tracker", {"date": "2026-03-02", "amount": "2.50", "currency": "EUR", "id": "7"}),
        ("firefly-iii", {"type": "Withdrawal", "amount": "-2.50", "date": "2026-03-02T09:00:00+01:00"}),
        ("actual", {"Account": "Checking", "Date": "2026-03-02", "Payee": "Bar", "Amount": "-2.50"}),
        ("ynab", {"Account": "Checking", "Date": "2026-03-02", "Payee": "Bar", "Outflow": "2.50€", "Inflow": "0.00€"}),
        ("mint", {"Date": "3/2/2026", "Description": "Bar", "Amount": "2.50", "Transaction Type": "debit"}),
        ("money-manager", {"Date": "2026-03-02", "Income/Expense": "Exp.", "Amount": "2.50", "Currency": "EUR"}),
        ("cashew", {"account": "Main", "amount": "-2.5", "currency": "eur", "date": "2026-03-02 08:00:00.000"}),
        ("wallet", {"amount": "-2.50", "currency": "EUR", "date": "2026-03-02T08:00:00.000Z", "transfer": "false"}),
        ("spendee", {"Date": "2026-03-02T08:00:00+00:00", "Type": "Expense", "Amount": "-2.50", "Currency": "EUR"}),
        ("toshl", {"Date": "2026-03-02", "Expense amount": "2.50", "Income amount": "0", "Currency": "EUR"}),
        ("revolut", {"Completed Date": "2026-03-02 08:00:00", "Amount": "-2.50", "Fee": "0.00", "Currency": "EUR"}),
        ("wise", {"Date": "02-03-2026", "Amount": "-2.50", "Currency": "EUR", "Total fees": "0.10"}),
        ("n26", {"Booking Date": "2026-03-02", "Partner Name": "Bar", "Amount (EUR)": "-2.50"}),
        ("paypal", {"Date": "2026-03-02", "Name": "Bar", "Currency": "EUR", "Gross": "-2.40", "Net": "-2.50"}),
        ("monzo", {"Date": "02/03/2026", "Amount": "-2.50", "Currency": "EUR", "Money Out": "-2.50"}),
        ("air-bank", {"Datum provedení": "02.03.2026", "Zaúčtovaná částka": "-2,50", "Měna účtu": "EUR"}),
        ("amex-uk", {"Date Processed": "02-Mar-2026", "Description": "Bar", "Amount": "2.50"}),
        ("bnp-paribas", {"Date de l'opération": "02/03/2026", "Montant de l'opération": "-2,50", "Devise": "EUR"}),
        ("boursorama", {"dateOp": "2026-03-02", "label": "BAR", "amount": "-2,50"}),
        ("bunq", {"Date": "2026-03-02", "Amount": "-2,50", "Name": "Bar"}),
        ("chase-card", {"Transaction Date": "03/02/2026", "Type": "Sale", "Amount": "-2.50"}),
        ("ing-de", {"Buchung": "02.03.2026", "Betrag": "-2,50", "Währung": "EUR"}),
        ("ing-nl", {"Datum": "20260302", "Af Bij": "Af", "Bedrag (EUR)": "2,50"}),
        ("kbc-card", {"datum verrichting": "02/03/2026", "bedrag": "-2,50", "debet": "-2,50", "munt": "EUR"}),
        ("mbank", {"#Data operacji": "2026-03-02", "#Kwota": "-2,50 EUR"}),
        (
            "dkb",
            {"Buchungsdatum": "02.03.26", "Status": "Gebucht", "IBAN": "DE02120300000000202051", "Betrag (€)": "-2,5"},
        ),
        ("nubank-card", {"date": "2026-03-02", "category": "food", "title": "Bar", "amount": "2.50"}),
        ("swedbank-lt", {"Date": "2026-03-02", "Amount": "2.50", "Currency": "EUR", "D/K": "D"}),
    ],
)
def test_a_known_export_is_read_without_a_question(name: str, row: dict[str, str]) -> None:
    reading = read(_write(name, row))

    assert (reading.profile, list_options(reading)) == (name, [])
    assert list_rows(reading) == ["2026-03-02 2.50 EUR"]


@pytest.mark.parametrize(
    ("name", "row", "written"),
    [
        ("alipay", {"交易时间": "2026-03-02 08:00:00", "收/支": "支出", "金额": "2.50"}, "2026-03-02 2.50 CNY"),
        ("apple-card", {"Transaction Date": "03/02/2026", "Amount (USD)": "2.50"}, "2026-03-02 2.50 USD"),
        ("icbc", {"交易日期": "2026-03-02", "记账金额(支出)": "2.50", "记账币种": "人民币"}, "2026-03-02 2.50 CNY"),
        ("rakuten-card", {"利用日": "2026/03/02", "利用金額": "2,500"}, "2026-03-02 2500 JPY"),
        ("schwab", {"Date": "03/02/2026", "Withdrawal": "$2.50"}, "2026-03-02 2.50 USD"),
        ("ubs", {"Monn.": "CHF", "Date de valeur": "02.03.2026", "Débit": "2.50"}, "2026-03-02 2.50 CHF"),
    ],
)
def test_the_currency_of_a_known_export_is_known(name: str, row: dict[str, str], written: str) -> None:
    reading = read(_write(name, row))

    assert (reading.profile, list_options(reading), list_rows(reading)) == (name, [], [written])


def test_a_card_statement_without_years_asks_for_the_year_alone() -> None:
    assert list_options(read(_write("cmb-card", {"记账日": "03/02", "人民币金额": "2.50"}))) == ["year"]


def test_transfers_between_accounts_of_a_budget_are_told_by_their_payee() -> None:
    row = {
        "Account": "Checking",
        "Date": "2026-03-02",
        "Payee": "Transfer : Savings",
        "Outflow": "2.50",
        "Inflow": "0.00",
    }

    assert list_all_rows(read(_write("ynab", row))) == ["transfer 2026-03-02 2.50 EUR"]


def test_the_first_balance_of_a_budget_is_no_movement() -> None:
    row = {
        "Account": "Checking",
        "Date": "2026-03-02",
        "Payee": "Starting Balance",
        "Outflow": "0.00",
        "Inflow": "9.00",
    }

    assert list_all_rows(read(_write("ynab", row)))[0].startswith("balance")


def test_the_fee_of_an_exchange_is_a_row_of_its_own() -> None:
    row = {"Completed Date": "2026-03-02 08:00:00", "Amount": "-100.00", "Fee": "0.50", "Currency": "EUR"}

    assert list_rows(read(_write("revolut", row))) == ["2026-03-02 100.00 EUR", "2026-03-02 0.50 EUR"]


def test_a_profile_is_used_where_it_is_named() -> None:
    reading = read("Date,Description,Amount\n2026-03-02,Bar,2.50\n", profile="amex-uk")

    assert list_rows(reading) == ["2026-03-02 2.50 EUR"]


# --- shares of several people -----------------------------------------------------------------------------------------

SHARED = """Date,Description,Category,Cost,Currency,Ada,Bob
2026-03-02,Dinner,Dining out,90.00,EUR,60.00,-60.00
2026-03-03,Taxi,Transport,20.00,EUR,-5.00,5.00
2026-03-04,Ada paid Bob,Payment,10.00,EUR,10.00,-10.00
2026-03-05,Total balance, ,,EUR,65.00,-65.00
"""


def test_whose_share_is_meant_is_asked() -> None:
    reading = read(SHARED)

    assert [(it.option, it.choices) for it in reading.questions] == [("person", ["Ada", "Bob"])]


@pytest.mark.parametrize(("person", "rows"), [("Ada", ["30.00", "5.00"]), ("Bob", ["60.00", "15.00"])])
def test_the_share_of_a_person_is_imported(person: str, rows: list[str]) -> None:
    reading = read(SHARED, person=person)

    assert [draft.amount for draft in reading.drafts if draft.status == "read"] == rows


def test_settling_up_is_a_transfer() -> None:
    assert list_all_rows(read(SHARED, person="Ada"))[2].startswith("transfer")


def test_what_several_have_paid_does_not_tell_their_shares() -> None:
    text = "Date,Description,Category,Cost,Currency,Ada,Bob,Cy\n2026-03-02,Trip,Travel,90.00,EUR,20.00,10.00,-30.00\n"

    assert list_all_rows(read(text, person="Ada")) == ["refused"]
    assert list_rows(read(text, person="Cy")) == ["2026-03-02 30.00 EUR"]


# --- banks and cards --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("General Currency Conversion", "transfer"),
        ("Bank Deposit to PP Account ", "transfer"),
        ("General Withdrawal", "transfer"),
        ("General Authorization", "pending"),
        ("Account Hold for Open Authorization", "pending"),
    ],
)
def test_what_paypal_only_moves_or_holds_is_no_expense(kind: str, reason: str) -> None:
    row = {"Date": "2026-03-02", "Type": kind, "Status": "Completed", "Currency": "EUR", "Net": "-2.50"}

    assert list_all_rows(read(_write("paypal", row))) == [f"{reason} 2026-03-02 2.50 EUR"]


def test_the_iban_of_the_others_is_no_account_of_a_known_bank() -> None:
    row = {"Buchungsdatum": "02.03.26", "IBAN": "DE02120300000000202051", "Betrag (€)": "-2,50"}

    assert read(_write("dkb", row)).source is None


def test_a_header_that_others_have_too_needs_a_payment_that_proves_the_sign() -> None:
    shop = {"date": "2026-03-02", "title": "Bar", "amount": "2.50"}
    payment = {"date": "2026-03-03", "title": "Pagamento recebido", "amount": "-90.00"}
    name = "nubank-card-without-categories"

    assert list_options(read(_write(name, shop))) == ["sign"]
    assert list_rows(read(_write(name, shop, payment))) == ["2026-03-02 2.50 EUR"]
    assert read(_write(name, shop, payment)).profile == name
