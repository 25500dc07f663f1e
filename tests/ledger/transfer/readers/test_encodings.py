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


# As short as the texts of a small statement: a few words beside amounts.
BY_LANGUAGE = {
    "Danish": ("Dato;Tekst;Beløb\n01.11.;Føtex Rødovre;12\n02.11.;Købmand Ærø;5\n", "cp1252 cp850 mac_roman"),
    "Swedish": ("Datum;Text;Belopp\n01.11.;Hemköp Gävle;12\n02.11.;Åhléns;5\n", "cp1252 cp850 mac_roman"),
    "Finnish": ("Kirjauspäivä;Selitys;Määrä\n01.11.;Lähikauppa Töölö;12\n", "cp1252 cp850 mac_roman"),
    "German": ("Buchungstag;Verwendungszweck;Betrag\n01.11.;Bäckerei Müller Straße;12\n", "cp1252 cp850 mac_roman"),
    "French": ("Date;Libellé;Débit\n01.11.;Crèche où ça;12\n02.11.;Hôtel;5\n", "cp1252 cp850 mac_roman"),
    "Spanish": ("Fecha;Concepto;Importe\n01.11.;Panadería Ibáñez;12\n02.11.;Nómina;5\n", "cp1252 cp850"),
    "Portuguese": ("Data;Descrição;Valor\n01.11.;Pão de Açúcar São João;12\n", "cp1252 cp850"),
    "Italian": ("Data;Descrizione;Importo\n01.11.;Caffè Università;12\n02.11.;Più;5\n", "cp1252 cp850"),
    "Polish": ("Data;Tytuł;Kwota\n01.11.;Żabka Łódź;12\n02.11.;Opłata;5\n", "cp1250 iso8859_2 cp852"),
    "Czech": ("Datum;Částka;Zůstatek\n01.11.;Řeznictví Kávárna;12\n02.11.;Čaj;5\n", "cp1250 iso8859_2 cp852"),
    "Hungarian": ("Dátum;Közlemény;Összeg\n01.11.;Győr fűtés;12\n02.11.;Őszi vásár;5\n", "cp1250 iso8859_2 cp852"),
    "Croatian": ("Datum;Opis;Iznos\n01.11.;Čakovec plaća Müller;12\n02.11.;Kaštel;5\n", "cp1250 iso8859_2"),
    "Estonian": ("Kuupäev;Selgitus;Summa\n01.11.;Võru õlu;12\n02.11.;Jäätis Žanna;5\n", "cp1257"),
    "Lithuanian": ("Data;Gavėjas;Suma\n01.11.;Šiaulių turgus;12\n02.11.;Ąžuolas;5\n", "cp1257"),
    "Turkish": ("Tarih;Açıklama;Tutar\n01.11.;Şarküteri Işık;12\n02.11.;Doğalgaz;5\n", "cp1254"),
    "Russian": ("Дата;Описание;Сумма\n01.11.;Аптека на углу;12\n02.11.;Перевод;5\n", "cp1251 koi8_r cp866"),
    "Greek": ("Ημερομηνία;Περιγραφή;Ποσό\n01.11.;Καφές και νερό;12\n02.11.;Ενοίκιο;5\n", "cp1253"),
    "Japanese": ("取引日,入出金(円)\n20261101,-5 カブシキガイシヤ Alpha\n20261102,7 Luna シヤ\n", "cp932"),
}


@pytest.mark.parametrize("language", BY_LANGUAGE)
def test_a_short_statement_of_each_language_is_read(language: str) -> None:
    text, encodings = BY_LANGUAGE[language]
    for encoding in encodings.split():
        assert decode(text.encode(encoding))[0] == text, encoding


def test_the_same_bytes_are_read_as_the_words_around_them_or_the_users_currency_tell() -> None:
    row = "01.11.;F\xf8tex;12\n".encode("latin-1")

    assert decode(b"Dato;Tekst;Saldo\n" + row)[0].endswith("Føtex;12\n")
    assert decode(b"Datum;Popis;Mena\n" + row)[0].endswith("Fřtex;12\n")
    assert decode(row, currency="CZK")[0].endswith("Fřtex;12\n")
    assert decode(row, currency="DKK")[0].endswith("Føtex;12\n")


def test_a_sign_alone_tells_no_language() -> None:
    assert decode("12 €; 5 €; 7 €; 9 €".encode("cp1252"))[1] == "cp1252"


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
