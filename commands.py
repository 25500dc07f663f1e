"""Commands for operators: `python -m commands --help` lists them; `admin/` does what they say."""

import os
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from admin import accounts, backups, schema
from admin.console import OperatorError, erase_progress, say
from config import list_unknown_settings, load_settings
from infra.engines import CertificateError
from users import invites
from values.parse_errors import ParseError

MAX_KEPT: Final = 1_000
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 if it was done, 1 if it cannot be done, 130 if it was interrupted.

    Exits with 2 for wrong arguments.
    """
    _open_closed_streams()
    options = _build_parser().parse_args(arguments)
    settings = load_settings()
    for sentence in list_unknown_settings():
        say(sentence, sys.stderr)
    try:
        try:
            options.run(settings, options)
        finally:
            erase_progress()
        sys.stdout.flush()
    except (OperatorError, CertificateError) as error:
        say(error, sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever reads the output, such as `head`, has read enough. Python would flush it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, EOFError):  # Ctrl-C, or Ctrl-D instead of a password
        return INTERRUPTED
    return 0


def _open_closed_streams() -> None:
    """Open the null device in the place of each standard stream that the caller has closed, as `<&-` does."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # until the process ends


def _build_parser() -> ArgumentParser:
    parser = ArgumentParser("python -m commands", description="Commands for whoever operates the service.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    migrating = commands.add_parser("migrate", help="bring the database's schema up to date")
    migrating.set_defaults(run=schema.migrate)
    checking = commands.add_parser("check", help="check counts, revisions, references and amounts of every ledger")
    checking.add_argument("--json", action="store_true", help="print the report as JSON")
    checking.set_defaults(run=backups.check)
    backing_up = commands.add_parser("backup", help="write a verified backup beside the working service")
    backing_up.add_argument("file", metavar="FILE", help="where it is written; an older backup there is replaced")
    backing_up.add_argument("--keep", metavar="N", type=_parse_keep, help="keep the newest N, numbered")
    backing_up.add_argument("--json", action="store_true", help="print what was written as JSON")
    backing_up.set_defaults(run=backups.back_up)
    restoring = commands.add_parser("restore", help="verify a backup, and restore it where no database is")
    restoring.add_argument("file", metavar="FILE", help="the backup")
    restoring.set_defaults(run=backups.restore)
    password = commands.add_parser("password", help="reset a forgotten password and end all sessions of the account")
    password.add_argument("name", metavar="NAME", help="the user name or the e-mail")
    password.set_defaults(run=accounts.reset_password)
    _add_user_commands(commands.add_parser("user", help="add, list and remove accounts"))
    _add_invite_options(commands.add_parser("invite", help="make a code with which one account can be registered"))
    return parser


def _add_user_commands(parser: ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    adding = commands.add_parser("add", help="open an account, whatever REGISTRATION says")
    adding.add_argument("name", metavar="NAME", help="the user name")
    adding.add_argument("email", metavar="EMAIL", help="the e-mail")
    adding.set_defaults(run=accounts.add_user)
    listing = commands.add_parser("list", help="list all accounts")
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    listing.set_defaults(run=accounts.list_users)
    removing = commands.add_parser("remove", help="delete an account and everything in it, for good")
    removing.add_argument("name", metavar="NAME", help="the user name or the e-mail")
    removing.add_argument("--yes", action="store_true", help="do not ask")
    removing.set_defaults(run=accounts.remove_user)


def _add_invite_options(parser: ArgumentParser) -> None:
    duration = "how long the code is good: 30m, 24h, 7d or 2w; 7d unless given"
    parser.add_argument("--expires", metavar="DURATION", type=_parse_lifetime, default="7d", help=duration)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=accounts.invite)


def _parse_lifetime(text: str) -> timedelta:
    try:
        return invites.parse_lifetime(text)
    except ParseError as error:
        raise ArgumentTypeError(str(error)) from None


def _parse_keep(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(MAX_KEPT)) or not 1 <= int(text) <= MAX_KEPT:
        raise ArgumentTypeError(f"keep from 1 to {MAX_KEPT} backups")
    return int(text)


if __name__ == "__main__":
    # SIGTERM ends a command as Ctrl-C does, so that it removes what it has begun.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
