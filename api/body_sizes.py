"""How large bodies may be, and the problem of one that is larger."""

from typing import Final

from problems import BodyTooLarge

MAX_BODY_BYTES: Final = 64 * 1024
MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_FILE_BYTES: Final = 20 * 1024 * 1024
"""Of a file in a form, which is a file to import."""
MAX_BYTES_BESIDE_FILE: Final = 256 * 1024
"""Of what stands around a file in a form: the other fields, and the headers of the parts."""
_MIB: Final = 1024 * 1024
_LARGER_FILES: Final = (
    " Split the file; whoever operates the service can move larger accounts, with `python -m commands backup`."
)


def body_too_large_problem(most: int) -> BodyTooLarge:
    """Return the problem of a body of more than `most` bytes."""
    size = f"{most // 1024} KiB" if most <= _MIB else f"{most // _MIB} MiB"
    advice = _LARGER_FILES if most == MAX_FILE_BYTES else ""
    return BodyTooLarge(f"The body is too large: this address takes at most {size}.{advice}")
