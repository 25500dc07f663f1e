"""Names of settings: what a misspelt one may mean."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

FILE_SUFFIX: Final = "_FILE"


def find_nearest(name: str, settings: Sequence[str], min_likeness: float) -> str | None:
    """Return the setting whose name is most like this one, or None if none is at least that like it (0 to 1)."""
    stem = name.upper()
    while stem.endswith(FILE_SUFFIX):
        stem = stem.removesuffix(FILE_SUFFIX)
    if stem != name.upper():
        # Compared with its suffix, a name would be like every other name of a file.
        nearest = find_nearest(stem, [it for it in settings if not it.endswith(FILE_SUFFIX)], min_likeness)
        return nearest and nearest + FILE_SUFFIX
    return next(iter(get_close_matches(stem, settings, 1, min_likeness)), None)


def describe_unknown(name: str, source: str, nearest: str | None) -> str:
    """Return the sentence that says that a name in `source` is no setting, and which one may be meant."""
    return f"{name} in {source} is no setting" + (f": did you mean {nearest}?" if nearest else ", and changes nothing.")
