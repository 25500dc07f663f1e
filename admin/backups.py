"""Checks, backups and restores, as commands: which database and which files, and what is said about them."""

import json
import sqlite3
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pymysql.constants import ER
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import migrations
from admin.check import Report, check_ledgers, hold_snapshot
from admin.console import OperatorError, make_tell, say
from admin.copies import copy_file, count_source, dump_server, load_server, restore_file, write_scratch_pattern
from admin.largest import list_largest, write_lines
from admin.schema import refuse_missing, write_url
from config import Settings
from infra import backup_files
from infra.backup_files import BackupError, find_backup_key
from infra.database_file import find_key
from infra.engines import make_blocking_engine
from infra.faults import describe_error
from infra.signing_keys import KeyFileError, read_secret
from migrations.errors import SchemaError

_UNTRIED: Final = (
    "The dump is complete, but it was not restored for a trial. Let the account create a database for that: "
    "GRANT ALL ON `{}`.* TO …"
)
# 1044, 1045 and 1049: the server answers, and waiting does not help.
_NOT_LET_IN: Final = {ER.DBACCESS_DENIED_ERROR, ER.ACCESS_DENIED_ERROR, ER.BAD_DB_ERROR}


def check(settings: Settings, options: Namespace) -> None:
    """Check every ledger, and print what it has found; raise OperatorError if anything is wrong."""
    with _open_snapshot(settings) as connection, _explain_database(settings):
        revision = migrations.read_current_revision(connection)
        migrations.refuse_state(migrations.compare_revision(revision))
        report = check_ledgers(connection, revision, make_tell("Checking"))
        # In a damaged database the counters may be unreadable too, and what was found must be told all the same.
        is_readable = all(problem.owner_id is not None for problem in report.problems)
        largest = list_largest(connection) if report.ledgers and is_readable else []
    if options.json:
        say(json.dumps(asdict(report) | {"largest": [asdict(account) for account in largest]}))
    else:
        say(_describe_counts(report))
        if largest:
            say("The largest accounts:")
            say("\n".join(write_lines(largest)))
    _refuse_wrong(report, f"{write_url(settings)} has the problems above")


def _refuse_wrong(report: Report | None, sentence: str) -> None:
    """Raise OperatorError with what a check has found, so that standard error has it and a script the exit code."""
    if report and report.problems:
        raise OperatorError("\n".join([*_list_problems(report), f"{sentence} ({len(report.problems)} in all)."]))


def _list_problems(report: Report) -> Iterator[str]:
    for damage in report.problems:
        yield damage.detail if damage.owner_id is None else f"Account {damage.owner_id}: {damage.detail}"


def _describe_counts(report: Report) -> str:
    if report.ledgers is None:
        is_older = report.revision != migrations.read_newest_revision()
        older = f"The ledgers were not checked: their schema {report.revision} is older than this version's."
        return older if is_older else "The ledgers could not be counted."
    totals = ", ".join(f"{total.total} {total.currency}" for total in report.totals) or "nothing spent"
    counts = f"{report.expenses:,} expenses ({totals}), {report.trashed:,} in the trash"
    return f"Checked: {report.ledgers:,} ledgers with {counts}, schema {report.revision}."


def back_up(settings: Settings, options: Namespace) -> None:
    """Write a verified backup beside the working service; say what is in it, and what must be kept with it."""
    embedded = _find_embedded(settings)
    key = find_key(embedded) if embedded and not settings.secret_key else None
    with _explain_files(options.file):
        target = backup_files.choose_target(Path(options.file), embedded)
        with backup_files.write_aside(target) as aside:
            report = _write_copy(settings, aside)
            key_copy = find_backup_key(target) if key and key.exists() else None
            if key and key_copy:
                backup_files.copy_key(key, aside)
            backup_files.rotate(aside, target, options.keep, embedded)
    if options.json:
        written = {"file": str(target), "key": key_copy and str(key_copy), "verified": report is not None}
        say(json.dumps(written | (asdict(report) if report else {})))
    else:
        say(_describe_counts(report) if report else _UNTRIED.format(write_scratch_pattern(settings.url)))
        say(f"The backup is {target}" + (f", and its key {key_copy.name}." if key_copy else "."))
        if settings.secret_key:
            say("SECRET_KEY is in the settings, and not in the backup: keep it too.")
    _refuse_wrong(report, "The backup is complete; the database has the problems above, and so has the backup")


def _write_copy(settings: Settings, aside: Path) -> Report | None:
    """Copy the database into a file; return what was found in the copy, or None if nobody could try it."""
    with _open_snapshot(settings) as source:
        with _explain_database(settings):
            before = count_source(source)
        if settings.is_embedded:
            return copy_file(source, before, aside, make_tell("Copying"))
    with _explain_unusable(settings):
        return dump_server(migrations.make_sync_url(settings.url), aside, make_tell("Copying"))


def restore(settings: Settings, options: Namespace) -> None:
    """Verify a backup, and put it in the place of a database that is not there; say what must be done next."""
    file, embedded = Path(options.file), _find_embedded(settings)
    if not file.is_file():
        raise OperatorError(f"There is no file {file}.")
    with _explain_files(options.file):
        _refuse_other_kind(file, settings)
        if embedded:
            report = _restore_file(settings, file, embedded)
        else:
            with _explain_unusable(settings):
                report = load_server(migrations.make_sync_url(settings.url), file, make_tell("Restoring"))
    say(_describe_counts(report))
    older = report.revision != migrations.read_newest_revision()
    say(f"Restored into {write_url(settings)}." + " Its schema is older: run `make migrate`." * older)
    if embedded and not settings.secret_key and not find_key(embedded).exists():
        say("No key lies beside the backup: the service makes a new one, and everybody signs in again.")
    _refuse_wrong(report, "The backup has the problems above, and so has what was restored")


def _refuse_other_kind(file: Path, settings: Settings) -> None:
    is_sqlite = backup_files.is_sqlite(file)
    if not is_sqlite and not backup_files.is_complete_dump(file):
        raise OperatorError(f"{file} is neither an SQLite database nor a dump of MySQL that was written to its end.")
    if is_sqlite and not backup_files.has_our_tables(file):
        raise OperatorError(f"{file} is damaged, or is no database of this service.")
    if is_sqlite is not settings.is_embedded:
        kind, other = ("an SQLite database", "MySQL") if is_sqlite else ("a dump of MySQL", "an SQLite file")
        raise OperatorError(f"{file} is {kind}, and DATABASE_URL names {other}: it cannot be restored there.")


def _restore_file(settings: Settings, file: Path, embedded: Path) -> Report:
    # A database that was copied by hand has its key as a service has it.
    key = next((path for path in (find_backup_key(file), find_key(file)) if path.exists()), None)
    if settings.secret_key and key:
        say(f"{key.name} is left out, because SECRET_KEY is in the settings.")
        key = None
    if key:
        read_secret(key)
    return restore_file(file, embedded, key, make_tell("Copying"))


def _find_embedded(settings: Settings) -> Path | None:
    return Path(str(settings.url.database)).absolute() if settings.is_embedded else None


@contextmanager
def _open_snapshot(settings: Settings) -> Iterator[Connection]:
    """Yield a connection whose statements see one moment; raise OperatorError if the database does not answer."""
    refuse_missing(settings)
    engine = make_blocking_engine(migrations.make_sync_url(settings.url))
    with ExitStack() as stack:
        with _explain_database(settings):
            connection = stack.enter_context(engine.connect())
            stack.enter_context(hold_snapshot(connection))
        yield connection


@contextmanager
def _explain_database(settings: Settings) -> Iterator[None]:
    """Raise OperatorError where the configured database cannot be used, or has another schema than this code."""
    try:
        with _explain_unusable(settings):
            yield
    except (BackupError, SchemaError) as error:
        raise OperatorError(f"{write_url(settings)}: {error}") from None


@contextmanager
def _explain_unusable(settings: Settings) -> Iterator[None]:
    """Raise OperatorError where the configured database answers with an error, or not at all."""
    try:
        yield
    except DBAPIError as error:
        number = error.orig.args[0] if error.orig and error.orig.args else None
        question = " Is there such a database, and may the account use it?" if number in _NOT_LET_IN else ""
        raise OperatorError(f"{write_url(settings)} cannot be used ({describe_error(error)}).{question}") from None


@contextmanager
def _explain_files(file: str) -> Iterator[None]:
    """Raise OperatorError where a file cannot be read or written, or is no good backup."""
    try:
        yield
    except (BackupError, KeyFileError, SchemaError) as error:
        raise OperatorError(error) from None
    except (OSError, sqlite3.Error, DBAPIError) as error:
        reason = getattr(error, "strerror", None) or describe_error(error)
        named = getattr(error, "filename", None) or file
        raise OperatorError(f"{named}: {reason}; what was there before is unchanged.") from None
