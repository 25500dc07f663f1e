"""The encoding of a file: its byte order mark, strict UTF-8, or the most plausible of those that banks use."""

import codecs
from typing import Final

from charset_normalizer import from_bytes

from ledger.transfer.readers.charsets import guess_utf16
from ledger.transfer.readers.entries import BadOption, UnreadableFile

# In the order in which they are preferred where a file fits several equally well.
_PLAUSIBLE: Final = [
    *("cp1252", "cp1250", "cp1251", "cp1257", "cp1254", "cp1253", "iso8859_2", "iso8859_15"),
    *("gb18030", "cp932", "big5", "cp949", "euc_jp", "koi8_r", "cp1255", "cp1256", "cp874", "mac_roman", "cp852"),
]
_ACCEPTED: Final = {
    codecs.lookup(name).name
    for name in (
        *_PLAUSIBLE,
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii"),
        *(f"cp{number}" for number in (437, 850, 858, 866, *range(1250, 1259))),
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
FEW_BYTES: Final = 4
"""With fewer bytes that are not ASCII than these, nothing tells encodings apart, and the most common one is taken."""
_HIGH_BYTES: Final = bytes(range(0x80, 0x100))


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Return the text of a file and the name of its encoding; raise UnreadableFile if it is in none that is known."""
    if encoding is not None:
        return _decode_as_named(data, encoding), encoding
    found = next((it for mark, it in _MARKS.items() if data.startswith(mark)), None) or guess_utf16(data)
    if found:
        return _decode_as(data, found), found
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return _decode_plausibly(data)


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


def _decode_plausibly(data: bytes) -> tuple[str, str]:
    # Lines in ASCII are the same in all of them.
    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[:SAMPLE_BYTES]
    found = [] if _count_high_bytes(telling) < FEW_BYTES else _rank_encodings(telling)
    for name in dict.fromkeys([*found, *_PLAUSIBLE]):
        try:
            return data.decode(name), name
        except UnicodeDecodeError:
            continue
    raise UnreadableFile("The encoding of the file is not known: save it as UTF-8.")


def _rank_encodings(telling: bytes) -> list[str]:
    """Return the encodings that fit, the best first; of those that read the same text the most common first."""
    matches = from_bytes(telling, cp_isolation=_PLAUSIBLE, threshold=0.9)
    return [min(match.could_be_from_charset, key=_PLAUSIBLE.index) for match in matches]


def _count_high_bytes(data: bytes) -> int:
    return len(data) - len(data.translate(None, delete=_HIGH_BYTES))
