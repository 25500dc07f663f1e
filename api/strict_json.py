"""Strict JSON: read so that it means the same to every reader (I-JSON, RFC 7493), and within bounds."""

import json
from codecs import BOM_UTF8
from typing import Any, Final

from problems import MalformedBody

MAX_DEPTH: Final = 32
# Twice as many as the largest batch has: each one that is refused is told, and that takes its time.
MAX_VALUES: Final = 40_000
MAX_DIGITS: Final = 40


def parse_strict_json(body: bytes) -> object:
    """Parse JSON (RFC 8259) as I-JSON (RFC 7493) wants it; raise MalformedBody.

    Refused are other encodings than UTF-8, a key given twice, NaN and Infinity, nesting deeper than 32, and more than
    40,000 values.
    """
    if body.startswith(BOM_UTF8):
        raise MalformedBody("Leave out the byte order mark before the JSON.")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedBody from None
    _refuse_oversized(value)
    return value


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise MalformedBody("The body has a key twice.")
    return members


def _parse_integer(digits: str) -> int | float:
    # Python refuses to read thousands of digits; as a double such a number is refused by every field all the same.
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _refuse_constant(_: str) -> None:
    raise MalformedBody("NaN and Infinity are not JSON.")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicate_keys, parse_int=_parse_integer, parse_constant=_refuse_constant
)


def _refuse_oversized(value: Any) -> None:  # noqa: ANN401
    """Raise MalformedBody where a value is nested too deeply, or holds too many others."""
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        level = [it for it in level if isinstance(it, dict | list)]
        count += sum(map(len, level))
        if count > MAX_VALUES:
            raise MalformedBody(f"The body holds too many values: at most {MAX_VALUES:,}.")
        level = [inner for it in level for inner in (it.values() if isinstance(it, dict) else it)]
    if any(isinstance(it, dict | list) for it in level):
        raise MalformedBody(f"The body is nested too deeply: at most {MAX_DEPTH} levels.")
