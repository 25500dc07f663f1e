"""The console of the commands: sentences, progress, and questions to the operator."""

import getpass
import sys
from typing import TextIO

from infra.backup_files import Tell


class OperatorError(Exception):
    """The command cannot be done; the message says why, and what the operator can do."""


def say(sentence: object, stream: TextIO | None = None) -> None:
    """Print a sentence; letters that the stream's encoding lacks become escapes."""
    out = stream or sys.stdout
    print(str(sentence).encode(out.encoding, "backslashreplace").decode(out.encoding), file=out)


def make_tell(what: str) -> Tell:
    """Return a function that shows on a terminal how far a command has come, and is silent in a pipe."""

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            share = f"{100 * done // total} %" if total else f"{done >> 20} MiB"
            print(f"\r\x1b[K{what}: {share}", end="\r\x1b[K" * (done == total), file=sys.stderr, flush=True)

    return tell


def erase_progress() -> None:
    """Erase what a command that has ended early has shown of its progress."""
    if sys.stderr.isatty():
        print(end="\r\x1b[K", file=sys.stderr, flush=True)


def ask_password() -> str:
    """Return a new password: typed twice on a terminal, or one line of standard input."""
    if not sys.stdin.isatty():
        if password := read_line():
            return password
        raise OperatorError("No password came from standard input: write one there, or run this at a terminal.")
    password = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") != password:
        raise OperatorError("These were two different passwords; nothing was changed.")
    return password


def read_line() -> str:
    """Return a line of standard input; bytes that are not UTF-8 become surrogates."""
    return sys.stdin.buffer.readline().decode(errors="surrogateescape").rstrip("\r\n")
