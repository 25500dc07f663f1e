"""Accounts, as commands: add, list and remove them, make invites, and replace a forgotten password."""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from admin import directory
from admin.console import OperatorError, ask_password, read_line, say
from admin.schema import refuse_missing, refuse_unready, write_url
from config import Settings
from crud import UserRow, find_user
from database import Database, UnitOfWork
from infra.faults import CommitLost, classify_fault, describe_error
from problems import InvalidToken, Problem
from users import invites
from users.accounts import Accounts
from users.hashing import PasswordHasher
from users.throttle import Throttle

Result = TypeVar("Result")
FIELD_NAMES: Final = {"/username": "User name: ", "/email": "E-mail: ", "/password": "Password: "}


def add_user(settings: Settings, options: Namespace) -> None:
    """Ask for a password, and open an account with it; the rules are those of registering."""
    fields = {"username": options.name, "email": options.email, "password": ask_password()}
    user = _run_on_accounts(
        settings, lambda unit, accounts: accounts.add(unit, fields), if_lost="`user list` shows if it is there."
    )
    say(f"The account {user.username} is open.")


def list_users(settings: Settings, options: Namespace) -> None:
    """Print all accounts in the order in which they were opened, while they are read."""

    async def print_lines(unit: UnitOfWork, _: Accounts) -> None:
        async for line in directory.write_json(unit) if options.json else directory.write_table(unit):
            say(line)

    _run_on_accounts(settings, print_lines)


def remove_user(settings: Settings, options: Namespace) -> None:
    """Say what will be deleted, ask for the user name again, and delete the account with everything in it."""
    user = _find_account(settings, options.name)
    if not options.yes and not sys.stdin.isatty():
        raise OperatorError("There is no terminal to ask at: add --yes, or yes=1 after `make user-remove`.")
    if not options.yes:
        say(_run_on_accounts(settings, lambda unit, _: directory.describe_removal(unit, user)))
        if read_line() != user.username:
            raise OperatorError("That was not its user name; nothing was changed.")
    _run_on_accounts(
        settings,
        lambda unit, accounts: accounts.remove(unit, user.id),
        if_lost="`user list` shows if it is there.",
    )
    say("The account is gone, with everything in it.")


def invite(settings: Settings, options: Namespace) -> None:
    """Make a code with which one account can be registered, and print it with how it is used."""
    made = _run_on_accounts(
        settings, lambda unit, _: invites.create_invite(unit, options.expires), if_lost="make another code."
    )
    say(made.model_dump_json() if options.json else made.describe(settings.registration))


def reset_password(settings: Settings, options: Namespace) -> None:
    """Ask for the new password of the account with this user name or e-mail, set it, and end all its sessions."""
    user = _find_account(settings, options.name)
    password = ask_password()
    _run_on_accounts(
        settings,
        lambda unit, accounts: accounts.reset_password(unit, user, password),
        if_lost="try to sign in with the new password.",
    )
    say(f"The password of {options.name} is new, and every session of the account has ended.")
    say("Its personal access tokens stay valid. Whoever must wait (429) after wrong guesses still must.")


def _find_account(settings: Settings, name: str) -> UserRow:
    # The database refuses a name that is not UTF-8. No account has one; escaped, it matches none.
    text = name.encode(errors="backslashreplace").decode()
    user = _run_on_accounts(settings, lambda unit, _: find_user(unit, text))
    if user is None:
        raise OperatorError("There is no account with this user name or e-mail.")
    return user


def _run_on_accounts(
    settings: Settings, work: Callable[[UnitOfWork, Accounts], Awaitable[Result]], *, if_lost: str = ""
) -> Result:
    """Run `work` in a unit of work, commit it, and return its result; `if_lost` says what to do after a lost COMMIT."""
    refuse_missing(settings)
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
            f"{write_url(settings)} cannot do this now ({describe_error(error)}); nothing was changed."
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
        await refuse_unready(settings, database)
        async with database.new_unit() as unit:
            result = await work(unit, accounts)
            await unit.commit()
            return result
    finally:
        passwords.close()
        await database.close()
