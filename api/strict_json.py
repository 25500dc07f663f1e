"""Strict JSON (I-JSON, RFC 7493): one meaning for every parser, limited in depth and in number of values."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from problems import MalformedBody

MAX_DEPTH: Final = 32
# Twice as many as the largest valid batch has; limited because reporting each refused value takes time.
MAX_VALUES: Final = 40_000
# Of an object. No schema has half as many fields, and reporting each unknown one takes time.
MAX_MEMBERS: Final = 100
MAX_STRUCTURAL_CHARACTERS: Final = 2_000
MAX_DIGITS: Final = 40
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_CONTAINERS: Final = {dict, list}


def parse_strict_json(body: bytes, max_members: int = MAX_MEMBERS) -> object:
    """Parse JSON (RFC 8259) by the rules of I-JSON (RFC 7493).

    Raises MalformedBody if it is not UTF-8 or not JSON, has a duplicate key, NaN or Infinity, is nested deeper than 32
    levels, has more than 40,000 values, or an object of more than `max_members`.
    """
    if body.startswith(BOM_UTF8):
        raise MalformedBody("Leave out the byte order mark before the JSON.")
    try:
        decoder = _make_decoder(max_members, is_patient=_LONG_NUMBER.search(body) is not None)
        value = decoder.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedBody from None
    _refuse_oversized(value)
    return value


def refuse_many_parts(body: bytes, most: int = MAX_STRUCTURAL_CHARACTERS) -> None:
    """Raise MalformedBody if a body has so many parts that parsing it would stop other requests for long.

    The structural characters (RFC 8259 2) that begin or separate parts are counted, also those within texts: of the
    bodies that are no batch, the longest text has 500 characters.
    """
    if sum(map(body.count, (b"{", b"[", b":", b","))) > most:
        raise MalformedBody(
            f"The body has more than {most:,} braces, brackets, colons and commas; only a batch may have so many."
        )


@lru_cache
def _make_decoder(max_members: int, *, is_patient: bool) -> json.JSONDecoder:
    def build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(pairs) > max_members:
            raise MalformedBody(f"An object of the body has too many members: at most {max_members:,}.")
        members = dict(pairs)
        if len(members) < len(pairs):
            raise MalformedBody("The body has a key twice.")
        return members

    # A call for each integer makes it several times slower.
    parse_integer = _parse_integer if is_patient else None
    return json.JSONDecoder(object_pairs_hook=build_object, parse_int=parse_integer, parse_constant=_refuse_constant)


def _parse_integer(digits: str) -> int | float:
    # int() refuses thousands of digits; as a float, such a number is refused by every field.
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _refuse_constant(_: str) -> None:
    raise MalformedBody("NaN and Infinity are not JSON.")


def _refuse_oversized(value: Any) -> None:  # noqa: ANN401
    """Raise MalformedBody if a value is nested too deeply, or contains too many values."""
    containers, count = _select_containers([value]), 0
    for _ in range(MAX_DEPTH):
        if not containers:
            return
        count += sum(map(len, containers))
        if count > MAX_VALUES:
            raise MalformedBody(f"The body holds too many values: at most {MAX_VALUES:,}.")
        containers = _select_containers(
            inner for outer in containers for inner in (outer.values() if isinstance(outer, dict) else outer)
        )
    if containers:
        raise MalformedBody(f"The body is nested too deeply: at most {MAX_DEPTH} levels.")


def _select_containers(values: Iterable[Any]) -> list[dict[str, Any] | list[Any]]:
    return [value for value in values if type(value) in _CONTAINERS]
