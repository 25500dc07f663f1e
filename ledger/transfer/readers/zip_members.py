"""Members of a zip file, measured before a library unpacks them: the sizes that a zip declares may be lies.

Nothing is written anywhere, so names with `..` do no harm, and a zip within the zip is never opened.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

from ledger.transfer.readers.entries import UnreadableFile

_MAX_MEMBERS: Final = 5000
_MAX_BYTES: Final = 128 * 1024 * 1024
_MAX_RATIO: Final = 200
# Equal rows shrink to a hundredth and less, so what is small may have any ratio.
_ANY_RATIO_BYTES: Final = 16 * 1024 * 1024
_PIECE_BYTES: Final = 1024 * 1024
_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
_ENCRYPTED: Final = 1
_BROKEN: Final = "This zip file is broken; download it again."
_HUGE: Final = "This zip file unpacks to more than a statement can hold; send a smaller one, or CSV."


def list_members(data: bytes) -> list[zipfile.ZipInfo]:
    """Return the members of a zip file by its directory; raise UnreadableFile if that is broken."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error, EOFError):
        raise UnreadableFile(_BROKEN) from None


def check_members(data: bytes, advice: str = _HUGE) -> list[zipfile.ZipInfo]:
    """Return the members of a zip file, none of them encrypted or named twice, which unpack to a sane size.

    Raises UnreadableFile; with `advice` if it unpacks to more.
    """
    members = list_members(data)
    if len(members) > _MAX_MEMBERS:
        raise UnreadableFile(advice)
    if len({it.filename for it in members}) < len(members):
        raise UnreadableFile(_BROKEN)
    if any(it.flag_bits & _ENCRYPTED for it in members):
        raise UnreadableFile("This file is encrypted; save it without a password.")
    most = min(_MAX_BYTES, max(_ANY_RATIO_BYTES, _MAX_RATIO * len(data)))
    unpacked = sum(it.file_size for it in members)
    if unpacked > most:
        raise UnreadableFile(advice)
    unpacked = 0
    for member in members:
        for piece in iterate_pieces(data, member):
            unpacked += len(piece)
            if unpacked > most:
                raise UnreadableFile(advice)
    return members


def iterate_pieces(data: bytes, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield what a member really holds, whatever size it declares, in pieces of at most a mebibyte."""
    try:
        signature, name_bytes, extra_bytes = _LOCAL_HEADER.unpack_from(data, member.header_offset)
    except struct.error:
        raise UnreadableFile(_BROKEN) from None
    start = member.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
    packed = memoryview(data)[start : start + member.compress_size]
    if signature != b"PK\x03\x04" or len(packed) < member.compress_size:
        raise UnreadableFile(_BROKEN)
    if member.compress_type == zipfile.ZIP_STORED:
        yield from (bytes(packed[at : at + _PIECE_BYTES]) for at in range(0, len(packed), _PIECE_BYTES))
    elif member.compress_type == zipfile.ZIP_DEFLATED:
        yield from _inflate(packed)
    else:
        raise UnreadableFile("This zip file is packed by a method that is not read; save the file again.")


def _inflate(packed: memoryview) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for at in range(0, len(packed), _PIECE_BYTES):
            piece = inflater.decompress(packed[at : at + _PIECE_BYTES], _PIECE_BYTES)
            while piece:
                yield piece
                piece = inflater.decompress(inflater.unconsumed_tail, _PIECE_BYTES)
    except zlib.error:
        raise UnreadableFile(_BROKEN) from None
