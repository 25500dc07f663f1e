"""Words that say of a row that it is no booked expense: statuses, and transfers between own accounts."""

import pytest

from tests.support.readings import list_all_rows, list_options, list_rows, read


@pytest.mark.parametrize(
    ("pending", "booked"),
    [
        ("Venter", "Udført"),
        ("Vorgemerkt", "Gebucht"),
        ("Umsatz vorgemerkt", "Umsatz gebucht"),
        ("transakcja nierozliczona", "transakcja rozliczona"),
        ("Reservert", "Bokført"),
        ("Varaus", "Kirjattu"),
        ("Reserverad", "Bokförd"),
        ("In behandeling", "Verwerkt"),
        ("À venir", "Comptabilisé"),
        ("Pendiente", "Contabilizado"),
        ("Non contabilizzato", "Contabilizzato"),
        ("Pendente", "Efetivado"),
        ("Nezaúčtováno", "Zaúčtováno"),
        ("Függőben", "Könyvelt"),
        ("Bekliyor", "Gerçekleşti"),
        ("В обработке", "Исполнено"),
        ("未確定", "確定"),
        ("待入账", "已入账"),
    ],
)
def test_a_pending_row_is_skipped_in_many_languages(pending: str, booked: str) -> None:
    reading = read(f"Date,Text,Status,Amount\n2026-03-01,Coffee,{pending},-2.50\n2026-03-02,Bread,{booked},-3.10\n")

    assert list_all_rows(reading) == ["pending 2026-03-01 2.50 EUR", "read 2026-03-02 3.10 EUR"]


def test_a_column_of_statuses_is_known_by_its_words_whatever_its_header_is() -> None:
    rows = "2026-03-01,Coffee,Umsatz vorgemerkt,-2.50\n2026-03-02,Bread,Umsatz gebucht,-3.10\n"

    reading = read(f"Date,Text,Info,Amount\n{rows}")

    assert list_all_rows(reading) == ["pending 2026-03-01 2.50 EUR", "read 2026-03-02 3.10 EUR"]
    assert reading.drafts[1].description == "Bread"


def test_a_note_that_is_a_status_by_chance_is_none() -> None:
    reading = read("Date,Text,Extra,Amount\n2026-03-01,Coffee,Cancelled,-2.50\n2026-03-02,Bread,,-3.10\n")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]


def test_a_status_is_not_what_a_row_is_known_by_whatever_its_header_is() -> None:
    row = "Date,Text,Info,Amount\n2026-03-01,Coffee,{},-2.50\n"

    assert read(row.format("Posted")).drafts[0].fingerprint == read(row.format("Settled")).drafts[0].fingerprint


@pytest.mark.parametrize(
    "text", ["Reservert transaksjon", "BAKER 12       CARD PAYMENT       transakcja nierozliczona"]
)
def test_a_text_that_only_says_pending_skips_its_row(text: str) -> None:
    reading = read(f"Date,Text,Amount\n2026-03-01,{text},-2.50\n2026-03-02,Bread,-3.10\n")

    assert list_all_rows(reading) == ["pending 2026-03-01 2.50 EUR", "read 2026-03-02 3.10 EUR"]


@pytest.mark.parametrize("text", ["Hotel Reservation", "Open", "Yes", "Pending Coffee Roasters"])
def test_a_text_with_a_word_of_a_status_is_a_text(text: str) -> None:
    reading = read(f"Date,Text,Amount\n2026-03-01,{text},-2.50\n2026-03-02,Bread,-3.10\n")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]


@pytest.mark.parametrize(
    "text",
    [
        "PRZELEW WŁASNY",
        "Overføring mellom egne kontoer",
        "Между своими счетами",
        "Own account transfer",
        "ÜBERTRAG AUF EIGENES KONTO SPARKONTO",
    ],
)
@pytest.mark.parametrize("header", ["Text", "Type"])
def test_what_only_own_transfers_are_called_is_one(text: str, header: str) -> None:
    reading = read(f"Date,{header},Amount\n2026-03-01,{text},-250.00\n2026-03-02,Bread,-3.10\n")

    assert list_all_rows(reading) == ["transfer 2026-03-01 250.00 EUR", "read 2026-03-02 3.10 EUR"]


def test_a_text_is_what_the_caller_says_it_means() -> None:
    text = "Date,Text,Amount\n2026-03-01,Umbuchung,-250.00\n2026-03-02,Bread,-3.10\n"

    assert list_rows(read(text, meanings={"Umbuchung": "booked"})) == ["2026-03-01 250.00 EUR", "2026-03-02 3.10 EUR"]


def test_a_fee_for_an_own_transfer_is_an_expense() -> None:
    reading = read("Date,Text,Amount\n2026-03-01,Own account transfer fee,-2.50\n2026-03-02,Bread,-3.10\n")

    assert list_rows(reading) == ["2026-03-01 2.50 EUR", "2026-03-02 3.10 EUR"]


def test_a_cleared_column_of_yes_and_no_asks_nothing() -> None:
    reading = read("Date,Text,Cleared,Amount\n2026-03-01,Coffee,Yes,-2.50\n2026-03-02,Bread,No,-3.10\n")

    assert list_options(reading) == []
