"""The keys that sign tokens: from the settings, or from a file beside an embedded database."""

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from config import SECRET_BYTES, Settings

# So long a worker waits for the secret that another one is writing, which takes a moment.
MAX_SECRET_SECONDS: Final = 1.0


def load_signing_keys(settings: Settings) -> tuple[str, ...]:
    """Return the key that signs and, if it is set, the previous one, which only verifies.

    An embedded database has its key in a file beside it, which is made when it is first asked for.
    """
    given = [key.get_secret_value() for key in (settings.secret_key, settings.secret_key_previous) if key]
    return tuple(given) if settings.secret_key else (_load_embedded_key(settings), *given)


def _load_embedded_key(settings: Settings) -> str:
    return load_or_create_secret(Path(str(settings.url.database)).with_suffix(".key"))


def load_or_create_secret(path: Path) -> str:
    """Return the secret in `path`, making it first where there is none.

    The file (mode 0600) is written aside and linked into place, so that two workers that start together agree.
    """
    if not path.exists():
        aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            _write_new_secret(aside)
            with suppress(FileExistsError):
                _place_secret(aside, path)
        finally:
            aside.unlink(missing_ok=True)
    return _read_secret(path)


def _write_new_secret(path: Path) -> None:
    """Write a secret into a file of its own; raise FileExistsError where there is one already."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())


def _place_secret(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)
    except FileExistsError:
        raise
    except (OSError, AttributeError):
        # Neither exFAT nor Android has hard links. The worker that creates the file writes it, the others wait for it.
        _write_new_secret(path)


def _read_secret(path: Path) -> str:
    deadline = time.monotonic() + MAX_SECRET_SECONDS
    while len(secret := path.read_text().strip()) < SECRET_BYTES:
        if time.monotonic() >= deadline:
            raise ValueError(f"{path.name} holds no secret of ours any more: remove it, and another is made")
        time.sleep(0.01)
    return secret
