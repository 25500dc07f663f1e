"""Text in the columns of a terminal: made visible, measured and padded.

Pure: the terminal is not asked.
"""

import unicodedata


def make_visible(text: str) -> str:
    """Return the text with escapes for what a terminal obeys instead of showing, such as controls and line ends."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("ascii", "backslashreplace").decode() if ord(char) > 127 else f"\\x{ord(char):02x}"  # noqa: PLR2004


def compute_width(text: str) -> int:
    """Return how many columns a visible text takes: wide characters two (UAX #11), combining ones none."""
    return sum(_compute_char_width(char) for char in text)


def _compute_char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def pad(text: str, width: int) -> str:
    """Return a visible text with spaces after it, so that it takes at least `width` columns."""
    return text + " " * (width - compute_width(text))
