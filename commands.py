"""Commands for operators: `python -m commands --help` lists them."""

import asyncio
import getpass
import json
import os
import signal
import sqlite3
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final, TextIO, TypeVar

from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

import migrations
from config import Settings, list_unknown_settings, load_settings
from crud import UserRow, find_user
from database import Database, UnitOfWork
from infra import backups
from infra.backups import BackupError
from infra.engines import make_blocking_engine
from infra.faults import CommitLost, classify_fault, describe_error
from ledger.check import Report, Tell, check_file, check_ledgers, hold_snapshot
from ledger.copies import Work, copy_file, dump_server, load_server, restore_file
from migrations import SchemaError, SchemaState
from problems import InvalidToken, Problem
from users import directory, invites
from users.accounts import Accounts
from users.hashing import PasswordHasher
from users.throttle import Throttle
from values.field_errors import ParseError

Result = TypeVar("Result")
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it
FIELD_NAMES: Final = {"/username": "User name: ", "/email": "E-mail: ", "/password": "Password: "}
_UNTRIED: Final = (
    "The dump is complete, but it was not restored for a trial: the account may not create a database beside this one."
)


class OperatorError(Exception):
    """The command cannot be done; the message says why, and what the operator can do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 if it was done and 1 if it cannot be done; exit with 2 for wrong arguments."""
    options = _build_parser().parse_args(arguments)
    settings = load_settings()
    for sentence in list_unknown_settings():
        _print(sentence, sys.stderr)
    try:
        options.run(settings, options)
        sys.stdout.flush()
    except OperatorError as error:
        _print(error, sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever reads the output, such as `head`, has read enough. Python would flush it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, EOFError):  # Ctrl-C, or Ctrl-D instead of a password
        return INTERRUPTED
    return 0


def _print(sentence: object, stream: TextIO | None = None) -> None:
    """Print a sentence; letters that the stream's encoding lacks become escapes."""
    out = stream or sys.stdout
    print(str(sentence).encode(out.encoding, "backslashreplace").decode(out.encoding), file=out)


def _build_parser() -> ArgumentParser:
    parser = ArgumentParser("python -m commands", description="Commands for whoever operates the service.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    migrating = commands.add_parser("migrate", help="bring the database's schema up to date")
    migrating.set_defaults(run=migrate)
    checking = commands.add_parser("check", help="check counts, revisions, references and amounts of every ledger")
    checking.add_argument("--json", action="store_true", help="print the report as JSON")
    checking.set_defaults(run=check)
    backing_up = commands.add_parser("backup", help="write a verified backup beside the working service")
    backing_up.add_argument("file", metavar="FILE", help="where it is written; an older backup there is replaced")
    backing_up.add_argument("--keep", metavar="N", type=_parse_keep, default=1, help="keep the newest N, numbered")
    backing_up.add_argument("--json", action="store_true", help="print what was written as JSON")
    backing_up.set_defaults(run=back_up)
    restoring = commands.add_parser("restore", help="verify a backup, and restore it where no database is")
    restoring.add_argument("file", metavar="FILE", help="the backup")
    restoring.set_defaults(run=restore)
    password = commands.add_parser("password", help="reset a forgotten password and end all sessions of the account")
    password.add_argument("name", metavar="NAME", help="the user name or the e-mail")
    password.set_defaults(run=reset_password)
    _add_user_commands(commands.add_parser("user", help="add, list and remove accounts"))
    _add_invite_options(commands.add_parser("invite", help="make a code with which one account can be registered"))
    return parser


def _add_user_commands(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    adding = commands.add_parser("add", help="open an account, whatever REGISTRATION says")
    adding.add_argument("name", metavar="NAME", help="the user name")
    adding.add_argument("email", metavar="EMAIL", help="the e-mail")
    adding.set_defaults(run=add_user)
    listing = commands.add_parser("list", help="list all accounts")
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    listing.set_defaults(run=list_users)
    removing = commands.add_parser("remove", help="delete an account and everything in it, for good")
    removing.add_argument("name", metavar="NAME", help="the user name or the e-mail")
    # Without a terminal nobody can be asked.
    removing.add_argument("--yes", action="store_true", required=not sys.stdin.isatty(), help="do not ask")
    removing.set_defaults(run=remove_user)


def _add_invite_options(parser: ArgumentParser) -> None:
    duration = "how long the code is good: 30m, 24h, 7d or 2w; 7d unless given"
    parser.add_argument("--expires", metavar="DURATION", type=_parse_lifetime, default="7d", help=duration)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=invite)


def _parse_lifetime(text: str) -> timedelta:
    try:
        return invites.parse_lifetime(text)
    except ParseError as error:
        raise ArgumentTypeError(str(error)) from None


def _parse_keep(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError("keep a number of backups, at least 1")
    return int(text)


# --- The schema -------------------------------------------------------------------------------------------------------


def migrate(settings: Settings, _: Namespace) -> None:
    """Upgrade the schema of the configured database to the newest revision, and print the old and the new revision."""
    try:
        before = _read_revision(settings)
        migrations.upgrade(settings.url)
        after = _read_revision(settings)
    except (DBAPIError, OSError, CommandError, SchemaError) as error:
        raise OperatorError(f"{_write_url(settings)} was not migrated: {getattr(error, 'orig', error)}") from None
    _print(f"{_write_url(settings)}: {before or 'empty'} → {after}" + " (nothing to do)" * (before == after))


def _read_revision(settings: Settings) -> str | None:
    with migrations.make_sync_engine(settings.url).connect() as connection:
        return migrations.read_current_revision(connection)


def _write_url(settings: Settings) -> str:
    return settings.url.render_as_string(hide_password=True)


# --- Backups ----------------------------------------------------------------------------------------------------------


def check(settings: Settings, options: Namespace) -> None:
    """Check every ledger, and print what it has found; raise OperatorError if anything is wrong."""
    with _open_snapshot(settings) as connection:
        revision = migrations.read_current_revision(connection)
        if revision != migrations.read_newest_revision():
            raise OperatorError(f"{_write_url(settings)} has another schema than this code: run `make migrate`.")
        report = check_ledgers(connection, revision, _make_tell("Checking"))
    if options.json:
        _print(json.dumps(asdict(report)))
    else:
        _print("\n".join(_describe_report(report)))
    if report.problems:
        raise OperatorError(f"Something is wrong in {_write_url(settings)}: {len(report.problems)} problems.")


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
            report = (copy_file if embedded else dump_server)(source, aside, _judge, _make_tell("Copying"))
            if key and key.exists():
                backups.copy_key(key, aside)
            backups.replace(aside, target, options.keep)
    if options.json:
        written = {"file": str(target), "verified": report is not None}
        _print(json.dumps(written | (asdict(report) if report else {})))
    else:
        _print("\n".join(_describe_report(report)) if report else _UNTRIED)
        has_key = key and backups.find_key(target).exists()
        _print(f"The backup is {target}" + (f", and its key {backups.find_key(target).name}." if has_key else "."))
    if settings.secret_key:
        _print("SECRET_KEY is in the settings, and not in the backup: keep it too.", sys.stderr)


def restore(settings: Settings, options: Namespace) -> None:
    """Verify a backup, and put it in the place of a database that is not there; say what must be done next."""
    file, embedded = Path(options.file), _find_embedded(settings)
    if not file.is_file():
        raise OperatorError(f"There is no file {file}.")
    with _explain_files(options.file):
        if backups.is_sqlite(file) is not settings.is_embedded:
            raise OperatorError(f"{file} is no backup of the kind of database that DATABASE_URL names.")
        report = _restore_file(settings, file, embedded) if embedded else _restore_dump(settings, file)
    _print("\n".join(_describe_report(report)))
    older = report.revision != migrations.read_newest_revision()
    _print(f"Restored into {_write_url(settings)}." + " Its schema is older: run `make migrate`." * older)


def _restore_file(settings: Settings, file: Path, embedded: Path) -> Report:
    key = backups.find_key(file) if backups.find_key(file).exists() else None
    if settings.secret_key and key:
        _print(f"{key.name} is left out, because SECRET_KEY is in the settings.")
        key = None
    return restore_file(file, embedded, key, _judge, _make_tell("Copying"))


def _restore_dump(settings: Settings, file: Path) -> Report:
    if not backups.is_complete_dump(file):
        raise OperatorError(f"{file} is no dump of MySQL that was written to its end.")
    return load_server(migrations.make_sync_url(settings.url), file, _judge, _make_tell("Restoring"))


def _find_embedded(settings: Settings) -> Path | None:
    return Path(str(settings.url.database)).absolute() if settings.is_embedded else None


def _judge(connection: Connection, work: Work) -> Report:
    """Run the work on a database with the newest schema; of one with an older schema, check only the file."""
    revision = migrations.read_current_revision(connection)
    if revision is None:
        raise BackupError("The database is empty.")
    if not migrations.is_known_revision(revision):
        raise BackupError("The database is newer than this code: use the newer code.")
    if revision == migrations.read_newest_revision():
        return work(connection, revision)
    return Report(revision, problems=check_file(connection))


@contextmanager
def _open_snapshot(settings: Settings) -> Iterator[Connection]:
    """Yield a connection whose statements see one moment; raise OperatorError if the database cannot be read."""
    _refuse_missing(settings)
    try:
        engine = make_blocking_engine(migrations.make_sync_url(settings.url))
        with engine.connect() as connection, hold_snapshot(connection):
            yield connection
    except SchemaError as error:
        raise OperatorError(error) from None
    except (DBAPIError, CommandError) as error:
        raise OperatorError(f"{_write_url(settings)} cannot be read ({describe_error(error)}).") from None


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


def _refuse_missing(settings: Settings) -> None:
    if settings.is_embedded and not Path(str(settings.url.database)).exists():
        raise OperatorError(
            f"There is no database at {_write_url(settings)}; is this the folder of the service's .env?"
        )


def _make_tell(what: str) -> Tell:
    """Return a function that shows on a terminal how far a command has come, and is silent in a pipe."""

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            share = f"{100 * done // total} %" if total else f"{done >> 20} MiB"
            print(f"\r\x1b[K{what}: {share}", end="\r\x1b[K" * (done == total), file=sys.stderr, flush=True)

    return tell


# --- Accounts ---------------------------------------------------------------------------------------------------------


def add_user(settings: Settings, options: Namespace) -> None:
    """Ask for a password, and open an account with it; the rules are those of registering."""
    fields = {"username": options.name, "email": options.email, "password": _ask_password()}
    user = _run_on_accounts(
        settings, lambda unit, accounts: accounts.add(unit, fields), if_lost="`user list` shows if it is there."
    )
    _print(f"The account {user.username} is open.")


def list_users(settings: Settings, options: Namespace) -> None:
    """Print all accounts in the order in which they were opened, while they are read."""

    async def print_lines(unit: UnitOfWork, _: Accounts) -> None:
        async for line in directory.write_json(unit) if options.json else directory.write_table(unit):
            _print(line)

    _run_on_accounts(settings, print_lines)


def remove_user(settings: Settings, options: Namespace) -> None:
    """Say what will be deleted, ask for the user name again, and delete the account with everything in it."""
    user = _find_account(settings, options.name)
    if not options.yes:
        _print(_run_on_accounts(settings, lambda unit, _: directory.describe_removal(unit, user)))
        if _read_line() != user.username:
            raise OperatorError("That was not its user name; nothing was changed.")
    _run_on_accounts(
        settings,
        lambda unit, accounts: accounts.remove(unit, user.id),
        if_lost="`user list` shows if it is there.",
    )
    _print("The account is gone, with everything in it.")


def invite(settings: Settings, options: Namespace) -> None:
    """Make a code with which one account can be registered, and print it with how it is used."""
    made = _run_on_accounts(
        settings, lambda unit, _: invites.create_invite(unit, options.expires), if_lost="make another code."
    )
    _print(made.model_dump_json() if options.json else made.describe(settings.registration))


def reset_password(settings: Settings, options: Namespace) -> None:
    """Ask for the new password of the account with this user name or e-mail, set it, and end all its sessions."""
    user = _find_account(settings, options.name)
    password = _ask_password()
    _run_on_accounts(
        settings,
        lambda unit, accounts: accounts.reset_password(unit, user, password),
        if_lost="try to sign in with the new password.",
    )
    _print(f"The password of {options.name} is new, and every session of the account has ended.")
    _print("Its personal access tokens stay valid. Whoever must wait (429) after wrong guesses still must.")


def _find_account(settings: Settings, name: str) -> UserRow:
    # The database refuses a name that is not UTF-8. No account has one; escaped, it matches none.
    text = name.encode(errors="backslashreplace").decode()
    user = _run_on_accounts(settings, lambda unit, _: find_user(unit, text))
    if user is None:
        raise OperatorError("There is no account with this user name or e-mail.")
    return user


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return _read_line()
    password = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") != password:
        raise OperatorError("These were two different passwords; nothing was changed.")
    return password


def _read_line() -> str:
    return sys.stdin.buffer.readline().decode(errors="surrogateescape").rstrip("\r\n")


# --- The services -----------------------------------------------------------------------------------------------------


def _run_on_accounts(
    settings: Settings, work: Callable[[UnitOfWork, Accounts], Awaitable[Result]], *, if_lost: str = ""
) -> Result:
    """Run `work` in a unit of work, commit it, and return its result; `if_lost` says what to do after a lost COMMIT."""
    _refuse_missing(settings)
    try:
        return asyncio.run(_open_and_run(settings, work))
    except Problem as problem:
        raise OperatorError(_describe_problem(problem)) from None
    except CommitLost:
        raise OperatorError(f"The connection was lost during the commit: {if_lost}") from None
    except Exception as error:
        if classify_fault(error) is None or isinstance(error, BrokenPipeError):
            raise
        raise OperatorError(
            f"{_write_url(settings)} cannot do this now ({describe_error(error)}); nothing was changed."
        ) from None


def _describe_problem(problem: Problem) -> str:
    if isinstance(problem, InvalidToken):
        return "The account was deleted meanwhile."
    sentences = [FIELD_NAMES.get(error.location["pointer"], "") + error.detail for error in problem.errors]
    return "\n".join(sentences) or problem.detail


async def _open_and_run(settings: Settings, work: Callable[[UnitOfWork, Accounts], Awaitable[Result]]) -> Result:
    database, passwords = Database(settings), PasswordHasher(settings.bcrypt_rounds)
    accounts = Accounts(passwords, settings, Throttle(settings))
    try:
        await _refuse_unready(settings, database)
        async with database.new_unit() as unit:
            result = await work(unit, accounts)
            await unit.commit()
            return result
    finally:
        passwords.close()
        await database.close()


async def _refuse_unready(settings: Settings, database: Database) -> None:
    state = await migrations.check_schema(database)
    if state is SchemaState.NO_ANSWER:
        raise OperatorError(f"{_write_url(settings)} does not answer.")
    if state is SchemaState.ANOTHER_SCHEMA:
        raise OperatorError(f"{_write_url(settings)} has another schema than this code: run `make migrate`.")


if __name__ == "__main__":
    # SIGTERM ends a command as Ctrl-C does, so that it removes what it has begun.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
