"""Character sets of banks' files: what the bytes prove comes before what a header claims."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import suppress
from typing import Final, NamedTuple

from ledger.transfer.readers.entries import UnreadableFile

_SAMPLE_BYTES: Final = 4096
_BOMS: Final = {BOM_UTF8: "utf-8", BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}

# What headers name, without punctuation. Python also knows codecs that are slow or no character sets (punycode, idna).
_NAMES: Final = {
    "UTF8": "utf-8",
    **{f"{prefix}{number}": f"cp{number}" for number in range(1250, 1259) for prefix in ("", "CP", "WINDOWS")},
    **{f"{prefix}8859{part}": f"iso8859-{part}" for part in (1, 2, 4, 5, 7, 9, 13, 15, 16) for prefix in ("", "ISO")},
    "LATIN1": "iso8859-1",
    "KOI8R": "koi8-r",
    "SHIFTJIS": "cp932",
    "932": "cp932",
    "GB18030": "gb18030",
    "GBK": "gb18030",
    "936": "gb18030",
    "BIG5": "big5",
    "950": "big5",
}


class Decoded(NamedTuple):
    """The text of a file, with newlines as line ends, and the encoding that it was in."""

    text: str
    encoding: str


def decode_text(data: bytes, declared: str | None = None) -> Decoded:
    """Decode bytes: by a byte order mark, as UTF-8 if they are, else as declared, else as Windows-1252 or Latin-1.

    Headers come last because they lie: files that claim US-ASCII or Windows-1252 are often UTF-8. No character set but
    UTF-8 and UTF-16 can be told from the bytes alone, and no text in another one is valid UTF-8 by chance.
    """
    for bom, encoding in _BOMS.items():
        if data.startswith(bom):
            return _decode_strictly(data.removeprefix(bom), encoding)
    if utf16 := guess_utf16(data):
        return _decode_strictly(data, utf16)
    named = _NAMES.get(re.sub(r"[^A-Z0-9]", "", (declared or "").upper()), "cp1252")
    for encoding in ("utf-8", named, "cp1252"):
        with suppress(UnicodeDecodeError):
            return Decoded(_unify_line_ends(data.decode(encoding)), encoding)
    return Decoded(_unify_line_ends(data.decode("iso8859-1")), "iso8859-1")


def guess_utf16(data: bytes) -> str | None:
    """Return which UTF-16 the bytes evidently are without a byte order mark; None if they are something else."""
    sample = data[:_SAMPLE_BYTES]
    first_nuls, second_nuls = sample[::2].count(0), sample[1::2].count(0)
    # Of Western text every second byte is NUL; a quarter of the characters may be others.
    enough = max(1, len(sample) * 3 // 8)
    if second_nuls >= enough and not first_nuls:
        return "utf-16-le"
    if first_nuls >= enough and not second_nuls:
        return "utf-16-be"
    return None


def _decode_strictly(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(_unify_line_ends(data.decode(encoding)), encoding)
    except UnicodeDecodeError:
        message = f"The file begins as {encoding.upper()} and then is not; download it again."
        raise UnreadableFile(message) from None


def _unify_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
