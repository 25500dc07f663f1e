"""Commands for operators: `python -m commands --help` lists them."""

import asyncio
import getpass
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO, TypeVar

from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

import migrations
from config import Settings, list_unknown_settings, load_settings
from crud import UserRow, find_user
from database import Database, UnitOfWork
from infra.engines import refuse_plain_text
from infra.faults import CommitLost, classify_fault, describe_error
from ledger.check import Report, Tell, check_ledgers, hold_snapshot
from migrations import SchemaError, SchemaState
from problems import Problem
from users.accounts import Accounts
from users.hashing import PasswordHasher
from users.throttle import Throttle

Result = TypeVar("Result")


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
    except OperatorError as error:
        _print(error, sys.stderr)
        return 1
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
    password = commands.add_parser("password", help="reset a forgotten password and end all sessions of the account")
    password.add_argument("name", metavar="NAME", help="the user name or the e-mail")
    password.set_defaults(run=reset_password)
    return parser


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
        for sentence in _describe_report(report):
            _print(sentence)
    if report.problems:
        raise OperatorError(f"Something is wrong in {_write_url(settings)}: {len(report.problems)} problems.")


def _describe_report(report: Report) -> Iterator[str]:
    for damage in report.problems:
        yield damage.detail if damage.owner_id is None else f"Account {damage.owner_id}: {damage.detail}"
    totals = ", ".join(f"{total.total} {total.currency}" for total in report.totals) or "nothing spent"
    counts = f"{report.expenses:,} expenses ({totals}), {report.trashed:,} in the trash"
    yield f"Checked: {report.ledgers:,} ledgers with {counts}, schema {report.revision}."


@contextmanager
def _open_snapshot(settings: Settings) -> Iterator[Connection]:
    """Yield a connection whose statements see one moment; raise OperatorError if the database cannot be read."""
    _refuse_missing(settings)
    engine = create_engine(migrations.make_sync_url(settings.url), poolclass=NullPool, hide_parameters=True)
    if "ssl_ca" in settings.url.query:
        event.listen(engine, "connect", refuse_plain_text)
    try:
        with engine.connect() as connection, hold_snapshot(connection):
            yield connection
    except (DBAPIError, CommandError) as error:
        raise OperatorError(f"{_write_url(settings)} cannot be read ({describe_error(error)}).") from None


def _refuse_missing(settings: Settings) -> None:
    if settings.is_embedded and not Path(str(settings.url.database)).exists():
        raise OperatorError(
            f"There is no database at {_write_url(settings)}; is this the folder of the service's .env?"
        )


def _make_tell(what: str) -> Tell:
    """Return a function that shows on a terminal how far a command has come, and is silent in a pipe."""

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            end = "\r\x1b[K" if done == total else ""
            print(f"\r{what}: {100 * done // total} %", end=end, file=sys.stderr, flush=True)

    return tell


# --- A forgotten password ---------------------------------------------------------------------------------------------


def reset_password(settings: Settings, options: Namespace) -> None:
    """Ask for the new password of the account with this user name or e-mail, set it, and end all its sessions."""

    async def reset(unit: UnitOfWork, accounts: Accounts) -> None:
        user = await _find_account(unit, options.name)
        await unit.release()
        await accounts.reset_password(unit, user, _ask_password())

    _run_on_accounts(settings, reset, if_lost="try to sign in with the new password.")
    _print(f"The password of {options.name} is new, and every session of the account has ended.")
    _print("Its personal access tokens stay valid. Whoever must wait (429) after wrong guesses still must.")


async def _find_account(unit: UnitOfWork, name: str) -> UserRow:
    # The database refuses a name that is not UTF-8. No account has one; escaped, it matches none.
    user = await find_user(unit, name.encode(errors="backslashreplace").decode())
    if user is None:
        raise OperatorError("There is no account with this user name or e-mail.")
    return user


def _run_on_accounts(
    settings: Settings, work: Callable[[UnitOfWork, Accounts], Awaitable[Result]], *, if_lost: str
) -> Result:
    """Run `work` in a unit of work, commit it, and return its result; `if_lost` says what to do after a lost COMMIT."""
    _refuse_missing(settings)
    try:
        return asyncio.run(_open_and_run(settings, work))
    except Problem as problem:
        raise OperatorError(problem.errors[0].detail if problem.errors else problem.detail) from None
    except CommitLost:
        raise OperatorError(f"The connection was lost during the commit: {if_lost}") from None
    except Exception as error:
        if classify_fault(error) is None:
            raise
        raise OperatorError(
            f"{_write_url(settings)} cannot do this now ({describe_error(error)}); nothing was changed."
        ) from None


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


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline().decode(errors="surrogateescape").rstrip("\r\n")
    password = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") != password:
        raise OperatorError("These were two different passwords; nothing was changed.")
    return password


if __name__ == "__main__":
    sys.exit(main())
