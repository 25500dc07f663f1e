"""Files that only the account of the service may use: how one is made, and which of those beside it others can use.

Windows has no such modes, so there nothing is found.
"""

import os
import shlex
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

PRIVATE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_HAS_MODES: Final = os.name == "posix"


def create_private(path: Path) -> None:
    """Create an empty file, mode 0600 whatever the umask; leave one that exists as it is."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))


def list_exposed(paths: Iterable[Path]) -> list[Path]:
    """Return those of the files that exist and that other accounts of the machine can read or write.

    A file system without modes, such as exFAT, shows the same for all its files, and nobody can change it: none is
    returned.
    """
    exposed = [path for path in paths if _HAS_MODES and _is_exposed(path)]
    return exposed if exposed and _keeps_modes(exposed[0].parent) else []


def _is_exposed(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return bool(path.stat().st_mode & _OTHERS)
    return False


def _keeps_modes(folder: Path) -> bool:
    try:
        with TemporaryFile(dir=folder) as file:  # its mode is 0600
            return not os.fstat(file.fileno()).st_mode & _OTHERS
    except OSError:  # nothing can be written there
        return True


def find_other_owner(path: Path) -> int | None:
    """Return the user id that a file belongs to, if it is neither this process's nor root's."""
    owner = path.stat().st_uid
    return owner if _HAS_MODES and owner not in {os.geteuid(), 0} else None


def write_chmod(paths: Iterable[Path]) -> str:
    """Return the command that lets only their owner read and write these files."""
    return shlex.join(["chmod", f"{PRIVATE:o}", *map(str, paths)])
