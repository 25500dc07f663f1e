"""Cells of CSV files: no spreadsheet runs them, and every text comes back."""

import csv

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from values.csv_cells import guard_cell, join_tags, split_tags, unguard_cell, write_cell

# What may stand in a text of an expense, with what is dangerous more often than by chance.
TEXTS = st.text(
    st.one_of(st.sampled_from("=+-@＝＋－＠'\"\t\n ,;|a1é🍎"), st.characters(exclude_categories=["Cs", "Cc"]))
)
NAMES = TEXTS.map(str.strip).filter(lambda name: name and not {"\n", "\r", "\t"} & {*name})


FORMULAS = "=+-@＝＋－＠"
BEFORE_A_FORMULA = ' "\t\n\r\u00a0\u3000\u2003'


def is_run(cell: str) -> bool:
    """Whether a spreadsheet may take a cell for a formula."""
    return cell.lstrip(' "\u00a0\u3000\u2003')[:1] in {*FORMULAS, *"\t\n\r"}


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://example.com")',
        "+1",
        "-1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\u00a0=1",
        "\u3000=1",
        '"=1',
        ' "" =1',
        "' =1",
        "＝1",
        "＋1",
        "－1",
        "＠1",
        "-",
        "'",
        "'tis the season",
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    """ASVS 5.0 1.2.10."""
    assert (guard_cell(text)[0], unguard_cell(guard_cell(text))) == ("'", text)


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("shop;=1+1;x", "shop;'=1+1;x"),
        ("a\n-1", "a\n'-1"),
        ("a|@SUM(1)", "a|'@SUM(1)"),
        ("a; =1", "a;' =1"),
        ("a;'b", "a;''b"),
        ("a; b", "a; b"),
    ],
)
def test_what_would_be_run_behind_another_separator_gets_an_apostrophe_there(text: str, guarded: str) -> None:
    assert guard_cell(text) == guarded


@given(TEXTS)
def test_however_a_spreadsheet_splits_rows_it_runs_no_part(text: str) -> None:
    for separator in ";|\t\n\r":
        parts = [part.lstrip(BEFORE_A_FORMULA)[:1] for part in guard_cell(text).split(separator)]
        assert not {*parts} & {*FORMULAS}, separator


@pytest.mark.parametrize("text", ["", "Bread", "1 + 1 = 2", "a@example.com", "50-50", "é", "🍎", '"quoted"', "— dash"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert guard_cell(text) == text


@given(TEXTS)
@example("''=1")
def test_taking_one_apostrophe_off_gives_the_text_back(text: str) -> None:
    assert unguard_cell(guard_cell(text)) == text


@given(TEXTS)
@example('"\n')
def test_what_got_no_apostrophe_is_nothing_that_is_run(text: str) -> None:
    assert not is_run(guard_cell(text))


@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_any_reader_of_csv_reads_the_cells(texts: list[str]) -> None:
    line = ",".join(map(write_cell, texts)) + "\r\n"

    assert [*csv.reader([line], strict=True)] == [[*map(guard_cell, texts)]]


def test_nothing_is_an_empty_cell() -> None:
    assert write_cell(None) == ""


def test_a_cell_is_quoted_only_where_it_must_be() -> None:
    assert [write_cell(it) for it in ("Bread", "a, b", 'a "b"', "a\nb", "-1, 2")] == [
        *("Bread", '"a, b"', '"a ""b"""', '"a\nb"', '"\'-1, 2"'),
    ]


# --- tags -------------------------------------------------------------------------------------------------------------


def test_tags_are_joined_by_a_comma_and_quoted_if_they_have_one() -> None:
    assert join_tags(["shared", "bed, breakfast", 'so-called "fun"']) == (
        'shared, "bed, breakfast", "so-called ""fun"""'
    )


@given(st.lists(NAMES, max_size=20))
@example(['"'])
@example([","])
def test_tags_come_back_from_their_cell(names: list[str]) -> None:
    assert split_tags(unguard_cell(guard_cell(join_tags(names)))) == names


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("", []),
        (" , ,", []),
        ("a,b", ["a", "b"]),
        (" a ,\tb c ", ["a", "b c"]),
        ('"a', ['"a']),
        ('"a" b, c', ['"a" b', "c"]),
        ('a, "b', ["a", '"b']),
    ],
)
def test_tags_that_a_person_wrote_are_read(cell: str, names: list[str]) -> None:
    assert split_tags(cell) == names


@given(st.text(st.sampled_from('",a \n')))
def test_no_cell_is_too_odd_to_be_read(cell: str) -> None:
    assert all(split_tags(cell))
