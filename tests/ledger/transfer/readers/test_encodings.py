"""Encodings of text files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.transfer.readers.encodings import decode
from ledger.transfer.readers.entries import BadOption, UnreadableFile

GERMAN = "Überweisung an Bäckerei Müller; Frühstück für vier; Straße\n" * 3
POLISH = "Płatność kartą w sklepie Żabka; Łódź; wpłata własna; książki\n" * 3
RUSSIAN = "Оплата в магазине; перевод между своими счетами; зарплата\n" * 3
CHINESE = "交易时间,交易对方,商品说明,收支,金额,支付成功\n" * 3
JAPANESE = "利用日,利用店名・商品名,支払方法,利用金額,ｽﾀｰﾊﾞｯｸｽ\n" * 3


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(GERMAN, "cp1252"), (POLISH, "cp1250"), (RUSSIAN, "cp1251"), (CHINESE, "gb18030"), (JAPANESE, "cp932")],
)
def test_the_encoding_of_banks_is_told(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_told(encoding: str) -> None:
    assert decode("Café;Größe 12.50\n".encode(encoding)) == ("Café;Größe 12.50\n", encoding)


def test_with_a_single_byte_nothing_is_told_and_the_most_common_one_is_taken() -> None:
    assert decode(b"Caf\xe9") == ("Café", "cp1252")


def test_an_encoding_that_is_named_is_used() -> None:
    assert decode(b"\xc1", "koi8-r")[0] == "а"


@pytest.mark.parametrize("encoding", ["rot13", "zip", "idna", "unicode_escape", "nope", "utf\x00", ""])
def test_a_name_of_no_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(BadOption, match="no such encoding"):
        decode(b"abc", encoding)


def test_a_named_encoding_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadOption, match="not in this encoding"):
        decode(b"\xff\xff", "utf-8")


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        text, encoding = decode(data)
    except UnreadableFile:
        return
    assert data.decode(encoding) == text


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1))
def test_any_utf8_is_read_as_it_is(text: str) -> None:
    # The rarest of texts begin with a byte order mark, or look like UTF-16 because every second character is NUL.
    plain = text.replace("\0", "").lstrip("\ufeff")

    assert decode(plain.encode())[0] == plain
