"""Sizes: the bytes that texts take, and sizes as people read them."""

from typing import Final

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


def measure(*texts: str | None) -> int:
    """Return how many bytes the texts take in UTF-8; None takes none."""
    return sum(len(text.encode()) for text in texts if text)


def write_size(size: int) -> str:
    """Return a number of bytes in the largest unit of which it is at least one: 1.5 KiB, 128 MiB."""
    value, unit = float(size), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"
