"""The keys that sign tokens: from the settings, or from a generated file beside an embedded database."""

import os
import secrets
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from config import Settings
from infra.database_file import find_key
from infra.file_names import take_name
from infra.private_files import PRIVATE, find_other_owner, list_exposed, write_chmod
from values.signing_secrets import SECRET_BYTES, is_guessable

# How long a worker waits for the secret that another worker is writing, where there are no hard links.
MAX_SECRET_SECONDS: Final = 1.0
MAX_SECRET_LENGTH: Final = 1_024
_DELETE_FILE: Final = "delete the file, and the service generates a new one. Users then have to sign in again."


class KeyFileError(Exception):
    """The file with the generated secret cannot be used; the message says what the operator can do."""


def load_signing_keys(settings: Settings) -> tuple[str, ...]:
    """Return the key that signs and, if it is set, the previous one, which only verifies.

    Without SECRET_KEY the key is read from a file beside the embedded database, which is created if it is missing.
    Raises KeyFileError if that file contains no good secret.
    """
    configured = [key.get_secret_value() for key in (settings.secret_key, settings.secret_key_previous) if key]
    return tuple(configured) if settings.secret_key else (_load_embedded_key(settings), *configured)


def _load_embedded_key(settings: Settings) -> str:
    return load_or_create_secret(find_key(Path(str(settings.url.database))))


def load_or_create_secret(path: Path) -> str:
    """Return the secret in `path`; generate it first if the file does not exist.

    The file (mode 0600) is written under a temporary name before it takes that of `path`, so that of two workers that
    start together both use the secret of the first. Raises KeyFileError if other accounts can use the file.
    """
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            _write_new_secret(temporary)
            with suppress(FileExistsError):
                take_name(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    _refuse_shared(path)
    return read_secret(path)


def _refuse_shared(path: Path) -> None:
    """Raise KeyFileError if other accounts of the machine can know or change the secret (ASVS 5.0 13.3.2)."""
    owner = find_other_owner(path)
    if owner is not None:
        own = os.geteuid()
        command = f"`chown {own} {shlex.quote(str(path))}`"
        raise KeyFileError(f"{path.name} belongs to user {owner}, and the service runs as user {own}: run {command}.")
    if list_exposed([path]):
        raise KeyFileError(
            f"{path.name} can be read or written by other accounts of this machine: run `{write_chmod([path])}`."
            f" If one of them may have read it, {_DELETE_FILE}"
        )


def _write_new_secret(path: Path) -> None:
    """Write a secret into a new file; raise FileExistsError if the file exists."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w") as file:
        file.write(secrets.token_hex(SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> str:
    """Return the secret in `path`; raise KeyFileError if there is none that the service could have generated."""
    deadline = time.monotonic() + MAX_SECRET_SECONDS
    while len(secret := _read_start(path).strip()) < SECRET_BYTES:
        if time.monotonic() >= deadline:
            raise KeyFileError(f"{path.name} contains no complete secret: {_DELETE_FILE}")
        time.sleep(0.01)
    if len(secret) > MAX_SECRET_LENGTH or len(secret.splitlines()) > 1:
        raise KeyFileError(f"{path.name} contains more than one secret: {_DELETE_FILE}")
    if is_guessable(secret):
        raise KeyFileError(f"{path.name} contains a secret that is easy to guess: {_DELETE_FILE}")
    return secret


def _read_start(path: Path) -> str:
    if path.exists() and not path.is_file():
        return ""
    try:
        with path.open(errors="replace") as file:
            return file.read(2 * MAX_SECRET_LENGTH)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise KeyFileError(f"{path.name} cannot be read ({reason}): let user {os.geteuid()} read it.") from None
