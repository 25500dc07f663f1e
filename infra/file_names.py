"""The moment at which a complete file gets its name: never over another, and also where there are no hard links."""

import os
from pathlib import Path

from infra.private_files import PRIVATE


def take_name(complete: Path, name: Path) -> None:
    """Give a complete file one more name, or the only one where hard links fail; raise FileExistsError if it is taken.

    Without hard links the name stands for an empty file for a moment.
    """
    try:
        os.link(complete, name)
    except FileExistsError:
        raise
    except (OSError, AttributeError):
        _move(complete, name)


def _move(complete: Path, name: Path) -> None:
    # exFAT and Android have no hard links, and a rename overwrites without a word: an empty file reserves the name.
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    try:
        complete.replace(name)
    except OSError:
        name.unlink()
        raise
