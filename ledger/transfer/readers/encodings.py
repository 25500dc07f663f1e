"""The encoding of a file: its byte order mark, strict UTF-8, or the most plausible of those that banks use."""

import codecs
import re
from typing import Final

from charset_normalizer import from_bytes

from ledger.transfer.readers.charsets import guess_utf16
from ledger.transfer.readers.entries import BadOption, UnreadableFile
from ledger.transfer.readers.languages import LATIN_ENCODINGS, Sample
from values.combining_marks import MAX_MARKS_IN_A_ROW, has_too_many_marks

# Of other letters than Latin ones, in the order in which they are preferred where a file fits several equally well.
_NOT_LATIN: Final = [
    *("cp1251", "cp1253", "gb18030", "cp932", "big5", "cp949", "euc_jp", "koi8_r", "cp866"),
    *("cp1255", "cp1256", "cp874"),
]
_PLAUSIBLE: Final = ["cp1252", "cp1250", *_NOT_LATIN]
_ACCEPTED: Final = {
    codecs.lookup(name).name
    for name in (
        *_PLAUSIBLE,
        *LATIN_ENCODINGS,
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii"),
        *(f"cp{number}" for number in (437, 858, *range(1250, 1259))),
        *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)),
        *("koi8-u", "gbk", "gb2312", "shift_jis", "euc_kr", "iso2022_jp"),
    )
}
"""The encodings that the option may name."""
# The four-byte ones first: a mark of UTF-32 begins with that of UTF-16.
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
SAMPLE_BYTES: Final = 32_768
LIKELY: Final = 0.75
"""From this share of letters on that are those of one language, a file is in Latin letters."""
FEW_BYTES: Final = 4
"""With fewer bytes that are not ASCII than these, a file is in Latin letters in any case."""
MOST_OF_WORDS: Final = 0.7
"""Words in Latin letters have no larger share of bytes that are not ASCII."""
_WORDS: Final = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
_HIGH_BYTES: Final = bytes(range(0x80, 0x100))


def decode(data: bytes, encoding: str | None = None, currency: str | None = None) -> tuple[str, str]:
    """Return the text of a file and the name of its encoding; raise UnreadableFile if it is in none that is known.

    The user's `currency` tells languages apart that write different letters with the same bytes.
    """
    text, name = _decode(data, encoding, currency)
    refuse_marks(text)
    return text, name


def refuse_marks(text: str) -> None:
    """Raise UnreadableFile for a text with over 30 combining marks in a row: sorting them takes quadratic time."""
    if has_too_many_marks(text):
        raise UnreadableFile(
            f"The file has more than {MAX_MARKS_IN_A_ROW} combining marks in a row, as no bank writes."
        )


def _decode(data: bytes, encoding: str | None, currency: str | None) -> tuple[str, str]:
    if encoding is not None:
        return _decode_as_named(data, encoding), encoding
    found = next((it for mark, it in _MARKS.items() if data.startswith(mark)), None) or guess_utf16(data)
    if found:
        return _decode_as(data, found), found
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return _decode_plausibly(data, currency)


def _decode_as(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise UnreadableFile("The file is not in the encoding that it seems to have: save it as UTF-8.") from None


def _decode_as_named(data: bytes, encoding: str) -> str:
    """Return the text of a file in the encoding that was sent; raise BadOption if there is none of this name."""
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, ValueError):
        name = ""
    # Python also has codecs that are no encodings of text, and some that are slow.
    if name not in _ACCEPTED:
        raise BadOption("encoding", "There is no such encoding, or no bank uses it; utf-8 and cp1252 are.")
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        raise BadOption("encoding", "The file is not in this encoding.") from None


def _decode_plausibly(data: bytes, currency: str | None) -> tuple[str, str]:
    # Lines in ASCII are the same in all of them.
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:SAMPLE_BYTES]
    for name in dict.fromkeys([*_rank_encodings(telling, data[:SAMPLE_BYTES], currency), *_PLAUSIBLE]):
        try:
            return data.decode(name), name
        except UnicodeDecodeError:
            continue
    raise UnreadableFile("The encoding of the file is not known: save it as UTF-8.")


def _rank_encodings(telling: bytes, start: bytes, currency: str | None) -> list[str]:
    """Return the encodings that fit, the best first."""
    best, share = Sample(telling, start.decode("ascii", errors="replace"), currency).choose_encoding()
    if share >= LIKELY and not _is_not_latin(telling):
        return [best]
    matches = from_bytes(telling, cp_isolation=_NOT_LATIN, threshold=0.9)
    return [min(match.could_be_from_charset, key=_NOT_LATIN.index) for match in matches]


def _is_not_latin(telling: bytes) -> bool:
    """Whether words with bytes that are not ASCII have little else, as those in Latin letters never do."""
    words = b"".join(_WORDS.findall(telling))
    return _count_high_bytes(words) > max(FEW_BYTES, MOST_OF_WORDS * len(words))


def _count_high_bytes(data: bytes) -> int:
    return len(data) - len(data.translate(None, delete=_HIGH_BYTES))
