"""Character sets: what the header of a file names, and what bytes are evidently in."""

import re
from contextlib import suppress
from typing import Final

_SAMPLE_BYTES: Final = 4096

# What headers name, without punctuation. Python also knows codecs that are slow or no character sets (punycode, idna).
_CODECS: Final = {
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


def find_codec(name: str) -> str | None:
    """Return the codec of a character set as headers name it, like 1252 or ISO-8859-15; None if it is not known."""
    return _CODECS.get(re.sub(r"[^A-Z0-9]", "", name.upper()))


def is_unicode(data: bytes) -> bool:
    """Return whether bytes are UTF-8 or UTF-16; no text in another character set is so by chance."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or guess_utf16(data):
        return True
    with suppress(UnicodeDecodeError):
        data.decode()
        return True
    return False


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
