"""Dumps of MySQL and MariaDB, by the programs that come with them: mariadb-dump or mysqldump, mariadb or mysql.

The password is in a file of mode 0600 that lives as long as the program, never on a command line, which every user of
the machine can read. The program reads no other file of options.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Final

from sqlalchemy import URL

from infra.backup_files import DUMP_HEADER, BackupError, Tell, is_complete_dump
from infra.private_files import PRIVATE

DUMPERS: Final = ("mariadb-dump", "mysqldump")
CLIENTS: Final = ("mariadb", "mysql")
# One transaction sees one moment, and locks no table. `loose` options exist in one of the two programs only: column
# statistics and GTIDs are MySQL's, and could not be restored by the account of the service.
_DUMP_OPTIONS: Final = (
    "--single-transaction",
    "--skip-lock-tables",
    "--no-tablespaces",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--loose-column-statistics=0",
    "--loose-set-gtid-purged=OFF",
)
# Somebody may have written into a dump: binary mode ignores commands of the client, and no other file is read.
_LOAD_OPTIONS: Final = ("--default-character-set=utf8mb4", "--binary-mode", "--local-infile=0")
_TLS_NAMES: Final = {"ssl_ca": "ssl-ca", "ssl_cert": "ssl-cert", "ssl_key": "ssl-key"}
# What follows may quote a row, such as an e-mail that is there twice.
_FAILED_STATEMENT: Final = re.compile(r"ERROR \d+ \(\w+\) at line \d+")
_SHOW_SECONDS: Final = 0.2


def dump(url: URL, aside: Path, tell: Tell) -> None:
    """Write all tables of a database, as of one moment, to a file; raise BackupError if that was not finished."""
    with aside.open("ab") as file:
        file.write(DUMP_HEADER)
        file.flush()
        _run(DUMPERS, _DUMP_OPTIONS, url, lambda: tell(aside.stat().st_size, 0), stdout=file)
    size = aside.stat().st_size
    tell(size, size)
    if not is_complete_dump(aside):
        raise BackupError("The dump lacks its last line: is the disk full?")


def load(url: URL, file: Path, tell: Tell) -> None:
    """Run the statements of a dump in a database; raise BackupError at the first that fails.

    Those before it stay done.
    """
    size = file.stat().st_size
    with file.open("rb", buffering=0) as source:
        # The program reads through our file, and so moves our position in it.
        _run(CLIENTS, _LOAD_OPTIONS, url, lambda: tell(min(source.tell(), size - 1), size), stdin=source)
    tell(size, size)


def _run(
    names: Sequence[str],
    arguments: Sequence[str],
    url: URL,
    show: Callable[[], None],
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.DEVNULL,
) -> None:
    """Run the first of these programs that is installed; raise BackupError with its last sentence if it fails."""
    program = _find_program(names)
    with _write_options(url) as options, TemporaryFile() as errors:
        command = [program, f"--defaults-file={options}", *arguments, str(url.database)]
        with subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=errors) as process:  # noqa: S603  # ours
            try:
                while not _has_ended(process):
                    show()
            finally:
                process.kill()
        if process.returncode:
            errors.seek(0)
            reason = _find_reason(errors.read().decode(errors="replace"))
            raise BackupError(f"{Path(program).name} ended with {process.returncode}: {reason}")


def _find_reason(said: str) -> str:
    """Return the last sentence of a program; of a statement that failed only number and place, not what it wrote."""
    failed = _FAILED_STATEMENT.search(said)
    lines = said.strip().splitlines() or ["it said nothing"]
    return failed[0] if failed else lines[-1]


def _has_ended(process: "subprocess.Popen[bytes]") -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_SHOW_SECONDS)
    return process.returncode is not None


def _find_program(names: Sequence[str]) -> str:
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        raise BackupError(
            f"Neither {names[0]} nor {names[1]} is installed: install the package mariadb-client, or MySQL's client."
        )
    return program


@contextmanager
def _write_options(url: URL) -> Iterator[Path]:
    """Yield a file of options that connects to the server of `url` as the service does."""
    host = {} if "unix_socket" in url.query else {"host": url.host or "localhost", "protocol": "tcp"}
    tls = {_TLS_NAMES[name]: value for name, value in url.query.items() if name in _TLS_NAMES}
    # MariaDB verifies the server's name by the first, MySQL by the second. From 11.4 on, MariaDB's programs verify it
    # by default; without ssl_ca the service does not, and they must reach every server that it reaches:
    # https://mariadb.com/docs/server/security/encryption/data-in-transit-encryption/zero-configuration-ssl
    tls |= {"loose-ssl-verify-server-cert": "1" if tls else "0"}
    tls |= {"loose-ssl-mode": "VERIFY_IDENTITY"} if "ssl-ca" in tls else {}
    values = (
        host
        | tls
        | {
            "socket": url.query.get("unix_socket"),
            "port": url.port,
            "user": url.username,
            "password": url.password,
        }
    )
    lines = [f"{name}={_quote(str(value))}" for name, value in values.items() if value is not None]
    with TemporaryDirectory(prefix="expenses-") as folder:
        path = Path(folder, "options.cnf")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(["[client]", *lines, ""]))
        yield path


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
