"""QIF: records of money among lists, their days, parts and transfers."""

from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.entries import UnreadableFile
from tests.support.readings import list_all_rows, list_details, list_options, list_rows, read


def _write(*records: str, section: str = "!Type:Bank") -> str:
    return section + "\n" + "".join(f"{record}\n^\n" for record in records)


COFFEE = "D2026-03-01\nT-2.50\nPCoffee bar"
BREAD = "D2026-03-02\nT-3.10\nPBaker\nMTwo loaves\nLFood:Bread/home"


def test_a_record_is_a_row() -> None:
    bread = read(_write(COFFEE, BREAD)).drafts[1]

    assert (bread.date, bread.amount, bread.payee, bread.description) == ("2026-03-02", "3.10", "Baker", "Two loaves")
    assert (bread.category, bread.parent, bread.tags, bread.line) == ("Bread", "Food", ["home"], 6)


def test_one_late_day_proves_the_order_of_all() -> None:
    reading = read(_write("D01/06/26\nT-1.00", "D29/12/26\nT-2.00"))

    assert list_rows(reading) == ["2026-06-01 1.00 EUR", "2026-12-29 2.00 EUR"]


def test_an_order_that_no_day_proves_is_asked() -> None:
    text = _write("D6/1/94\nT-1.00", "D6/2/94\nT-2.00")

    assert list_options(read(text)) == ["date_order"]
    assert list_rows(read(text, date_order="MDY")) == ["1994-06-01 1.00 EUR", "1994-06-02 2.00 EUR"]


def test_days_with_blanks_and_apostrophes_are_read() -> None:
    reading = read(_write("D6/ 1/10\nT-1.00", "D2/28'2020\nT-2.00"))

    assert list_rows(reading) == ["2010-06-01 1.00 EUR", "2020-02-28 2.00 EUR"]


def test_lists_and_investments_are_no_rows() -> None:
    lists = _write("NFood\nDMeals\nE", section="!Type:Cat") + _write(
        "D2026-03-01\nNBuy\nYABC\nT9.00", section="!Type:Invst"
    )

    assert list_rows(read(lists + _write(COFFEE))) == ["2026-03-01 2.50 EUR"]


def test_an_empty_record_is_no_row() -> None:
    assert list_rows(read("!Type:Bank\n^\n" + COFFEE + "\n^\n")) == ["2026-03-01 2.50 EUR"]


def test_a_last_record_without_its_end_is_read() -> None:
    assert list_rows(read("!Type:Bank\n" + COFFEE)) == ["2026-03-01 2.50 EUR"]


def test_a_transfer_is_skipped_unless_it_is_wanted() -> None:
    text = _write(COFFEE, "D2026-03-02\nT-100.00\nL[Savings]")

    assert list_all_rows(read(text))[1] == "transfer 2026-03-02 100.00 EUR"
    assert list_rows(read(text, transfers="import"))[1] == "2026-03-02 100.00 EUR"


def test_an_opening_balance_is_no_movement() -> None:
    assert list_all_rows(read(_write(COFFEE, "D2026-03-01\nT500.00\nPOpening Balance\nL[Checking]")))[1].startswith(
        "balance"
    )


SPLIT = "D2026-03-02\nT-5.00\nPMarket\nLFood\nSFood:Bread\nEloaf\n$-3.00\nSHome\n$-2.00"


def test_a_split_record_is_one_row_without_a_category_if_its_parts_differ() -> None:
    (draft,) = read(_write(SPLIT)).drafts

    assert (draft.amount, draft.category) == ("5.00", None)


def test_the_parts_of_a_record_are_rows_if_they_are_wanted() -> None:
    reading = read(_write(SPLIT), splits="parts")

    assert [(it.reason or it.status, it.amount, it.category, it.description) for it in reading.drafts] == [
        ("split_parent", "5.00", "Food", None),
        ("read", "3.00", "Bread", "loaf"),
        ("read", "2.00", "Home", None),
    ]


def test_a_rebate_within_a_purchase_is_a_part_of_it() -> None:
    text = _write("D2026-03-02\nT-140.00\nPMarket\nSFood\n$-200.00\nSRebates\n$60.00")

    assert list_rows(read(text, splits="parts")) == ["2026-03-02 200.00 EUR", "2026-03-02 -60.00 EUR"]


def test_a_deduction_from_pay_goes_the_way_of_the_pay() -> None:
    text = _write("D2026-03-02\nT2000.00\nPWork\nSPay\n$2500.00\nSTax\n$-500.00")

    assert list_rows(read(text, splits="parts")) == []
    assert list_rows(read(text, splits="parts", incoming="refund")) == [
        "2026-03-02 -2500.00 EUR",
        "2026-03-02 500.00 EUR",
    ]


def test_parts_that_do_not_add_up_stay_one_row() -> None:
    assert list_rows(read(_write(SPLIT.replace("$-2.00", "$-1.00")), splits="parts")) == ["2026-03-02 5.00 EUR"]


def test_a_day_inside_of_a_part_is_not_the_records() -> None:
    assert list_rows(read(_write("D2026-03-02\nT-5.00\nSFood\nD2020-01-01\n$-5.00"))) == ["2026-03-02 5.00 EUR"]


def test_a_bad_amount_refuses_its_record_alone() -> None:
    reading = read(_write("D2026-03-02\nT-5..00", COFFEE))

    assert list_all_rows(reading) == ["refused", "read 2026-03-01 2.50 EUR"]
    assert list_details(reading) == ["This is no amount: write it like 12.50."]


def test_each_record_bears_its_account() -> None:
    accounts = [f"!Account\nN{name}\nTBank\n^\n" + _write(COFFEE) for name in ("Checking", "Savings")]

    assert [draft.account for draft in read("".join(accounts)).drafts] == ["Checking", "Savings"]


@given(st.text(alphabet="DTPMLS$^!\n 0123456789./-[]:'=,", max_size=200))
def test_any_record_is_read_or_refused(text: str) -> None:
    try:
        reading = read(f"!Type:Bank\n{text}")
    except UnreadableFile:
        return
    assert all(draft.amount and draft.date for draft in reading.drafts if draft.status == "read")
