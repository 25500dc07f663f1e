"""Checks, backups and restores, as commands: which database and which files, and what is said about them."""

import json
import sqlite3
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import migrations
from admin.check import Report, check_file, check_ledgers, hold_snapshot
from admin.console import OperatorError, make_tell, say
from admin.copies import Work, copy_file, dump_server, load_server, restore_file
from admin.schema import refuse_missing, write_url
from config import Settings
from infra import backups
from infra.backups import BackupError
from infra.engines import make_blocking_engine
from infra.faults import describe_error
from migrations import SchemaState
from migrations.errors import SchemaError

_UNTRIED: Final = (
    "The dump is complete, but it was not restored for a trial: the account may not create a database beside this one."
)


def check(settings: Settings, options: Namespace) -> None:
    """Check every ledger, and print what it has found; raise OperatorError if anything is wrong."""
    with _open_snapshot(settings) as connection:
        revision = migrations.read_current_revision(connection)
        migrations.refuse_state(migrations.compare_revision(revision))
        report = check_ledgers(connection, revision, make_tell("Checking"))
    if options.json:
        say(json.dumps(asdict(report)))
    else:
        say("\n".join(_describe_report(report)))
    _refuse_wrong(report, f"{write_url(settings)} has the problems above")


def _refuse_wrong(report: Report | None, sentence: str) -> None:
    """Raise OperatorError if a check has found problems, so that a script notices them by the exit code."""
    if report and report.problems:
        raise OperatorError(f"{sentence} ({len(report.problems)} in all).")


def _describe_report(report: Report) -> Iterator[str]:
    for damage in report.problems:
        yield damage.detail if damage.owner_id is None else f"Account {damage.owner_id}: {damage.detail}"
    totals = ", ".join(f"{total.total} {total.currency}" for total in report.totals) or "nothing spent"
    counts = f"{report.expenses:,} expenses ({totals}), {report.trashed:,} in the trash"
    yield f"Checked: {report.ledgers:,} ledgers with {counts}, schema {report.revision}."


def back_up(settings: Settings, options: Namespace) -> None:
    """Write a verified backup beside the working service; say what is in it, and what must be kept with it."""
    embedded = _find_embedded(settings)
    key = backups.find_key(embedded) if embedded and not settings.secret_key else None
    with _explain_files(options.file):
        target = backups.choose_target(Path(options.file), embedded)
        with backups.write_aside(target) as aside, _open_snapshot(settings) as source:
            report = (copy_file if embedded else dump_server)(source, aside, _judge, make_tell("Copying"))
            if key and key.exists():
                backups.copy_key(key, aside)
            backups.replace(aside, target, options.keep)
    key_copy = backups.find_key(target) if key and backups.find_key(target).exists() else None
    if options.json:
        written = {"file": str(target), "key": key_copy and str(key_copy), "verified": report is not None}
        say(json.dumps(written | (asdict(report) if report else {})))
    else:
        say("\n".join(_describe_report(report)) if report else _UNTRIED)
        say(f"The backup is {target}" + (f", and its key {key_copy.name}." if key_copy else "."))
        if settings.secret_key:
            say("SECRET_KEY is in the settings, and not in the backup: keep it too.")
    _refuse_wrong(report, "The backup is complete; the database has the problems above, and so has the backup")


def restore(settings: Settings, options: Namespace) -> None:
    """Verify a backup, and put it in the place of a database that is not there; say what must be done next."""
    file, embedded = Path(options.file), _find_embedded(settings)
    if not file.is_file():
        raise OperatorError(f"There is no file {file}.")
    with _explain_files(options.file):
        if backups.is_sqlite(file) is not settings.is_embedded:
            raise OperatorError(f"{file} is no backup of the kind of database that DATABASE_URL names.")
        report = _restore_file(settings, file, embedded) if embedded else _restore_dump(settings, file)
    say("\n".join(_describe_report(report)))
    older = report.revision != migrations.read_newest_revision()
    say(f"Restored into {write_url(settings)}." + " Its schema is older: run `make migrate`." * older)
    _refuse_wrong(report, "The backup has the problems above, and so has what was restored")


def _restore_file(settings: Settings, file: Path, embedded: Path) -> Report:
    key = backups.find_key(file) if backups.find_key(file).exists() else None
    if settings.secret_key and key:
        say(f"{key.name} is left out, because SECRET_KEY is in the settings.")
        key = None
    return restore_file(file, embedded, key, _judge, make_tell("Copying"))


def _restore_dump(settings: Settings, file: Path) -> Report:
    if not backups.is_complete_dump(file):
        raise OperatorError(f"{file} is no dump of MySQL that was written to its end.")
    return load_server(migrations.make_sync_url(settings.url), file, _judge, make_tell("Restoring"))


def _find_embedded(settings: Settings) -> Path | None:
    return Path(str(settings.url.database)).absolute() if settings.is_embedded else None


def _judge(connection: Connection, work: Work) -> Report:
    """Run the work on a database with the newest schema; of one with an older schema, check only the file."""
    revision = migrations.read_current_revision(connection)
    if revision is None:
        raise BackupError("The database is empty.")
    state = migrations.compare_revision(revision)
    if state is SchemaState.READY:
        return work(connection, revision)
    if state is SchemaState.NEWER_SCHEMA:
        migrations.refuse_state(state)
    return Report(revision, problems=check_file(connection))


@contextmanager
def _open_snapshot(settings: Settings) -> Iterator[Connection]:
    """Yield a connection whose statements see one moment; raise OperatorError if the database cannot be read."""
    refuse_missing(settings)
    try:
        engine = make_blocking_engine(migrations.make_sync_url(settings.url))
        with engine.connect() as connection, hold_snapshot(connection):
            yield connection
    except SchemaError as error:
        raise OperatorError(f"{write_url(settings)}: {error}") from None
    except (DBAPIError, CommandError) as error:
        raise OperatorError(f"{write_url(settings)} cannot be read ({describe_error(error)}).") from None


@contextmanager
def _explain_files(file: str) -> Iterator[None]:
    """Raise OperatorError where a file cannot be read or written, or is no good backup."""
    try:
        yield
    except (BackupError, SchemaError) as error:
        raise OperatorError(error) from None
    except OSError as error:
        raise OperatorError(f"{file}: {error.strerror}; what was there before is unchanged.") from None
    except (sqlite3.Error, DBAPIError, CommandError) as error:
        raise OperatorError(f"{file}: {describe_error(error)}; what was there before is unchanged.") from None
